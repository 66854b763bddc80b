"""The flow: change -> evidence -> verdict -> record. Read this first.

A change comes in whole (hook.change). `judge` asks the cache, then the evidence, and decides; `keep` puts the verdict where the settings
say. Nothing here runs git or looks into C: each step is one call into the folder of its name.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence

from hook import __version__
from hook.change import patch
from hook.change.change import Change, NothingToJudge, find_commit, of_commit, unread
from hook.config import Settings
from hook.evidence import harmless
from hook.record import cache, store
from hook.source.git import GitError, Repository
from hook.source.objects import Objects
from hook.source.tree import Source
from hook.verdict import Answer, DecidedBy, Verdict, decide


@dataclasses.dataclass(frozen=True)
class Judged:
    """A change with its verdict."""

    change: Change
    verdict: Verdict
    from_cache: bool


@dataclasses.dataclass(frozen=True)
class NotJudged:
    """A commit without a verdict: because there is nothing to judge, or because it could not be read."""

    commit: str
    why: str
    failed: bool


def judge(change: Change, objects: Objects, settings: Settings, *, use_cache: bool = True) -> Judged:
    """The verdict for `change`. Raises nothing of its own: what cannot be read or proved stays open, and the verdict says so."""
    use_cache = use_cache and settings["cache.enabled"]
    source = Source(objects, change.base_tree)
    verdict = cache.look_up(change.repo, settings, source, change.patch.change_id) if use_cache else None
    from_cache = verdict is not None
    if verdict is None:
        evidence = harmless.gather(change.patch, objects, settings["target.arch"])
        verdict = dataclasses.replace(
            settle(change, evidence, settings), patch_id=patch.patch_id(change.repo, change.patch, settings["limits.diff_bytes"])
        )
        if use_cache and not evidence.unread and not change.patch.hunks_missing:
            try:
                cache.keep(change.repo, settings, verdict, source.read_blobs)
            except OSError:
                pass  # a full disk or a read-only .git: the verdict itself is what counts, and the record says what is wrong
    return Judged(change, dataclasses.replace(verdict, base=change.base, commit=change.commit), from_cache)


def stops(policy: str, verdict: Verdict) -> bool:
    """Whether a policy stops a commit with this verdict."""
    if policy == "unjudged":
        return verdict.decided_by is DecidedBy.DEFAULT
    return policy == "worth-fuzzing" and verdict.worth_fuzzing


def settle(change: Change, evidence: harmless.Evidence, settings: Settings) -> Verdict:
    """The verdict that the evidence allows: proved worthless, proved worth it, or left open, which means worth it."""
    worth, decided_by = decide(evidence.functional, evidence.reachable)
    # what is open first, so that a reader in a hurry sees it
    findings = sorted(evidence.findings, key=lambda finding: finding.functional is Answer.NO)
    return Verdict(
        worth_fuzzing=worth,
        decided_by=decided_by,
        functional=evidence.functional,
        reachable=evidence.reachable,
        reasoning=_reasoning(change, evidence, decided_by, settings),
        change_id=change.patch.change_id,
        change_classes=tuple(dict.fromkeys(finding.change_class for finding in findings if finding.change_class)),
        evidence=tuple(finding.fact for finding in findings[: settings["limits.evidence_facts"]]),
        base=change.base,
        commit=change.commit,
        tool_version=__version__,
    )


def _reasoning(change: Change, evidence: harmless.Evidence, decided_by: DecidedBy, settings: Settings) -> str:
    total = len(evidence.findings)
    if evidence.functional is Answer.NO:
        classes = sorted(finding.change_class for finding in evidence.findings)
        kinds = [f"{name} ({_files(len(list(same)))})" for name, same in itertools.groupby(classes)]
        return f"changes nothing that the kernel does: {', '.join(kinds)}."
    still = [finding for finding in evidence.findings if finding.functional is not Answer.NO]
    if evidence.reachable is Answer.NO:
        return f"a kernel for {settings['target.arch']} does not hold what changes: {_places(still)}."
    text = f"{_places(still)} {'changes' if len(still) == 1 else 'change'}, and nothing proves it harmless."
    if len(still) < total:
        text += f" {_files(total - len(still))} of {total} proved harmless."
    if evidence.unread:
        text += f" {_files(evidence.unread)} not compared: a blob is not in this partial clone."
    if change.patch.hunks_missing:
        text += f" No hunks: {change.patch.hunks_missing}."
    assert decided_by is DecidedBy.DEFAULT
    return text


def _places(findings: Sequence[harmless.Finding]) -> str:
    named = list(dict.fromkeys(finding.fact.place.path for finding in findings))
    more = len(named) - 2
    return ", ".join(named[:2]) + (f" and {more} more" if more > 0 else "")


def _files(count: int) -> str:
    return f"{count} file" if count == 1 else f"{count} files"


def judge_commits(
    repo: Repository, objects: Objects, settings: Settings, commits: Sequence[str], *, use_cache: bool = True
) -> Iterator[Judged | NotJudged]:
    """The verdicts of many commits, in their order. Those that the cache knows cost a look-up; only the others are read."""
    known = patch.change_ids(repo, commits) if use_cache and settings["cache.enabled"] else {}
    for oid in commits:
        try:
            commit = find_commit(objects, oid)
            if oid in known:
                plain = unread(repo, commit)
                verdict = cache.look_up(repo, settings, Source(objects, plain.base_tree), known[oid])
                if verdict is not None:
                    yield Judged(plain, dataclasses.replace(verdict, base=plain.base, commit=oid), True)
                    continue
            yield judge(of_commit(repo, objects, settings, commit), objects, settings, use_cache=use_cache)
        except NothingToJudge as nothing:
            yield NotJudged(oid, str(nothing), failed=False)
        except GitError as wrong:
            yield NotJudged(oid, str(wrong), failed=True)


def keep(
    repo: Repository, judged: Sequence[Judged], settings: Settings, carried: Mapping[str, store.Documents] | None = None
) -> list[str]:
    """Record the verdicts of commits where the settings say, `carried` documents beside them.

    Returns the lines a person should read where that was not possible.
    """
    return store.keep(repo, settings, [one.verdict for one in judged if one.verdict.commit], carried)
