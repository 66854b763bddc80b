"""Reuse: when a verdict that was given before may be used again.

A verdict of the evidence holds as long as everything that it was read from is the same in the revision that the change is applied to:
files, all Kconfig files together, or, where it rests on what no file says, the whole tree. One that was cut short is kept with what it
lacked, and answers only a question that would lack the same. An agent's verdict holds for the tree with the change applied, and for the
prompts in force.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping

from hook.asking import NO_MODEL, NOT_YET, Asking
from hook.change.change import Change
from hook.config import Settings
from hook.record import cache
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer, DecidedBy, Lack, Verdict

if typing.TYPE_CHECKING:
    from hook.settlement import Proofs

_CUT_SHORT = "cut-short"  # the name under which the cache keeps a verdict that lacks something


class EarlierVerdict(typing.NamedTuple):
    """A verdict that was given before and still holds."""

    verdict: Verdict
    why: str  # no model is asked


def known(change: Change, objects: Objects, settings: Settings, asking: Asking) -> EarlierVerdict | None:
    """The verdict that was given before, if it answers what is asked now."""
    if asking.mode == "always":
        return None
    verdict = _of_evidence(change, objects, settings, asking)
    if verdict is None:
        return None
    if verdict.decided_by is DecidedBy.EVIDENCE:
        return EarlierVerdict(verdict, "the evidence has decided")
    if asking.mode != "auto" or verdict.decided_by is not DecidedBy.DEFAULT:
        return EarlierVerdict(verdict, "--agent never or --offline")
    answered = _of_agents(change, objects, settings, asking)
    if answered is None and asking.may_wait:
        return None
    if answered is None:
        return EarlierVerdict(verdict, NOT_YET if settings.agent.base_url else NO_MODEL)
    return EarlierVerdict(answered, "a model has answered before")


def _of_evidence(change: Change, objects: Objects, settings: Settings, asking: Asking) -> Verdict | None:
    before = Source(objects, change.base_tree)
    verdict = cache.look_up(change.repo, settings, before, change.patch.change_id)
    if verdict is not None:
        return verdict
    verdict = cache.look_up(change.repo, settings, before, change.patch.change_id, _CUT_SHORT)
    return verdict if verdict is not None and (asking.is_short or Lack.SEARCH not in verdict.lacks) else None


def _of_agents(change: Change, objects: Objects, settings: Settings, asking: Asking) -> Verdict | None:
    if not change.after:
        return None  # what the index holds has no tree object to compare with
    return cache.look_up(change.repo, settings, Source(objects, change.after), change.patch.change_id, _agents(settings, asking))


def keep_evidence(change: Change, objects: Objects, settings: Settings, source: Source, proofs: Proofs, verdict: Verdict) -> None:
    """Keep a verdict of the evidence, which was read from `source`, the tree with the change applied. Raises OSError."""
    missing = _missing(change, objects, proofs)
    # without hunks, and with all blobs there: git itself has failed, and may not another time
    if proofs.cut or _rests_on_absence(proofs) or (change.patch.hunks_missing and not missing):
        return
    # what the change itself holds is in its ChangeId
    changed = {path for file in change.patch.files for path in (file.old_path, file.path)}
    reads = {path: oid for path, oid in source.read_blobs.items() if path not in changed}
    before = Source(objects, change.base_tree)
    if any("Kconfig" in path for path in changed):
        reads |= {name: cache.read(before, name, settings) for name in reads if name.startswith(cache.NO_PATH)}
    out_of_reach = proofs.reached is not None and proofs.reached.answer is Answer.NO
    if out_of_reach or (source.rests_on_all and proofs.evidence.functional is Answer.NO):
        reads[""] = before.oid("")  # any new file may change it
    if not source.has_whole_index and Answer.NO not in (verdict.functional, verdict.reachable):
        reads[cache.NO_INDEX] = ""  # with one, more may be found
    reads |= {f"{cache.NO_OBJECT}{oid}": "" for oid in missing}
    cache.keep(change.repo, settings, verdict, reads, _CUT_SHORT if proofs.lacks else "")


def replace_lesser(verdict: Verdict, change: Change, settings: Settings) -> None:
    """Record a commit's verdict in place of one that was cut short, where there is one. Raises OSError.

    That it was is known by its entry in the cache, which costs less to look for than to read the record.
    """
    if not change.commit or verdict.lacks or not cache.is_kept(change.repo, change.patch.change_id, _CUT_SHORT):
        return
    from hook.record import store

    store.replace_lesser(change.repo, settings, verdict)  # what cannot be written now is queued
    cache.drop(change.repo, change.patch.change_id, _CUT_SHORT)


def keep_answer(
    change: Change, settings: Settings, asking: Asking, source: Source, proofs: Proofs, verdict: Verdict, looked_at: Mapping[str, str]
) -> None:
    """Keep an agent's verdict, which rests on the evidence and on what its tools `looked_at`. Raises OSError."""
    if proofs.cut or _is_incomplete(change, proofs) or _rests_on_absence(proofs) or not change.after:
        return
    options = {name: digest for name, digest in source.read_blobs.items() if name.startswith(cache.NO_PATH)}
    cache.keep(change.repo, settings, verdict, {**options, **looked_at}, _agents(settings, asking))


def _is_incomplete(change: Change, proofs: Proofs) -> bool:
    """Whether a part of the change was not read: another time it may be."""
    return bool(proofs.evidence.unread or change.patch.hunks_missing)


def _missing(change: Change, objects: Objects, proofs: Proofs) -> list[str]:
    """The blobs of the change that this partial clone lacks. What is too large for a limit is so for everybody with the same settings."""
    if not _is_incomplete(change, proofs):
        return []
    blobs = [oid for file in change.patch.files if file.is_text_file for oid in (file.old_blob, file.new_blob) if oid]
    return [oid for oid, blob in objects.read_all(blobs) if blob is None]


def _rests_on_absence(proofs: Proofs) -> bool:
    """Whether a proof rests on what other files do not hold: that no makefile builds it, that no other header defines a struct."""
    out_of_kernel = proofs.configs is not None and bool(proofs.configs.unreachable)
    return out_of_kernel or (proofs.leaks is not None and bool(proofs.leaks.proved or proofs.leaks.cut))


def _agents(settings: Settings, asking: Asking) -> str:
    """The name under which the cache keeps what the agents of a profile answer to the prompts in force."""
    if not settings.agent.prompts:
        return asking.profile
    from hook.agent import prompt

    return f"{asking.profile}-{prompt.fingerprint(asking.profile, settings.agent.prompts)}"
