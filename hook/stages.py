"""What git calls: one function a stage, each given the arguments and the standard input that githooks(5) describes.

Whatever fails in here, the commit goes through and one line says why. Only pre-push can stop anything, and only by the policy that the
person has set.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

from hook import triage
from hook.asking import NOT_ASKED, Asking
from hook.change import patch
from hook.change.change import NothingToJudge, find_commit, head_commit, revisions, staged
from hook.config import DEFAULTS, Settings, WrongSetting
from hook.record import pending, store
from hook.report import text
from hook.source import setting_layers as settings_source
from hook.source.git import GitError, Repository, find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import DecidedBy, Verdict

_NULL = frozenset("0")
_ANNOUNCED = "patch-triage-announced"
AMEND_MARKER = "patch-triage-amend"  # left by the prepare-commit-msg stub
SINCE_MARKER = "patch-triage-since"  # left by the stubs during `git am` and cherry-pick sequences
STOPPED = 10  # a status of its own: a Python that cannot start ends with 1, and must not stop a push
_NAMED_IN_PUSH = 10
_AFTER_SEQUENCE = ("post-rewrite", "post-applypatch", "pre-push")


def run(argv: Sequence[str]) -> int:
    """Run one stage: STAGE [-- ARGUMENTS]. The exit status is STOPPED only where the policy stops a push, and else 0."""
    stage, arguments = argv[0], list(argv[1:])
    if arguments[:1] == ["--"]:
        arguments = arguments[1:]
    function = STAGES.get(stage)
    if function is None:
        say(f"{stage} is no stage of ours; there are {', '.join(STAGES)}")
        return 0
    lost = "the push goes on" if stage == "pre-push" else "the commit goes through"
    try:
        repo = find()
        if settings_source.switched_off(repo) or (stage not in _AFTER_SEQUENCE and _in_sequence(repo)):
            return 0
        return function(repo, arguments)
    except (GitError, WrongSetting, OSError) as wrong:
        say(f"no verdict: {_sentence(wrong)}; {lost}")
    except KeyboardInterrupt:
        say("interrupted; `patch-triage check` tells the verdict later")
    except Exception as bug:  # the last boundary: a defect of ours must not cost a commit
        from hook.record import crash_log

        say(f"no verdict: {crash_log.sentence(bug)}; {lost}")
    return 0


def pre_commit(repo: Repository, arguments: Sequence[str]) -> int:
    """Judge what is staged and say so, so that the verdict is known before the message is written."""
    if (repo.git_dir / "MERGE_HEAD").exists():
        return 0  # the index holds the other side of the merge as well: post-commit judges what the merge itself changes
    with _objects(repo) as objects:
        head = head_commit(objects)
        settings = _settings(repo, objects, head.oid if head else repo.empty_tree)
        try:
            change = staged(repo, objects, settings, head)
        except NothingToJudge:
            return 0
        judged = triage.judge(change, objects, settings)
        _announce(repo, judged.verdict, settings)
    return 0


def prepare_commit_msg(repo: Repository, arguments: Sequence[str]) -> int:
    """Note whether HEAD is being amended: commit-msg is not told. (Our own hook does this in `sh`; here for the pre-commit framework.)"""
    source = os.environ.get("PRE_COMMIT_COMMIT_MSG_SOURCE") or "".join(arguments[1:2])
    name = os.environ.get("PRE_COMMIT_COMMIT_OBJECT_NAME") or "".join(arguments[2:3])
    marker = repo.git_dir / AMEND_MARKER
    if (source, name) == ("commit", "HEAD"):
        marker.touch()
    else:
        marker.unlink(missing_ok=True)
    return 0


def commit_msg(repo: Repository, arguments: Sequence[str]) -> int:
    """Add the trailers to the message file, where the person wants trailers."""
    from hook.record import trailer

    amends = repo.git_dir / AMEND_MARKER
    amended = amends.exists()
    amends.unlink(missing_ok=True)
    if (repo.git_dir / "MERGE_HEAD").exists() or not arguments:
        return 0
    with _objects(repo) as objects:
        head = head_commit(objects)
        if amended and head is not None:
            # on an amend the index holds only the delta to HEAD: the commit to be is measured from HEAD's parent
            head = find_commit(objects, head.parents[0]) if head.parents else None
        settings = _settings(repo, objects, head.oid if head else repo.empty_tree)
        if "trailer" not in settings.record.format:
            return 0
        try:
            change = staged(repo, objects, settings, head)
        except NothingToJudge:
            return 0
        judged = triage.judge(change, objects, settings)
    path = pathlib.Path(arguments[0])
    message = path.read_bytes()
    changed = trailer.add(repo, message, judged.verdict)
    if changed != message:
        _replace(path, changed)
    return 0


def post_commit(repo: Repository, arguments: Sequence[str]) -> int:
    """Record the verdict of the commit that was just made, or of a whole cherry-pick or revert sequence at its end."""
    return _record_since(repo, "")


def _record_since(repo: Repository, fallback: str) -> int:
    """Record HEAD, or all that a sequence has made: our hooks left its start in a file, since git may have forgotten it by now.

    Without such a file the sequence starts at the revision `fallback`.
    """
    start = repo.git_dir / SINCE_MARKER
    with _objects(repo) as objects:
        head = find_commit(objects, "HEAD")
        settings = _settings(repo, objects, head.parents[0] if head.parents else repo.empty_tree)
        commits = _since(repo, start, fallback) or [head.oid]
        start.unlink(missing_ok=True)
        wait = settings.agent.commit_seconds if settings.agent.at_commit == "wait" and len(commits) == 1 else 0.0
        judged, missed = _judge_all(repo, objects, settings, commits, asking=_asking(wait))
        for line in triage.keep(repo, judged, settings):
            say(line)
        for one in missed:
            if one.failed:
                say(f"no verdict on {one.commit[:12]}: {one.why}")
        if len(commits) == 1 and judged:
            _announce(repo, judged[0].verdict, settings)
        _hand_over(repo, settings, judged)
    return 0


def post_applypatch(repo: Repository, arguments: Sequence[str]) -> int:
    """Record the verdicts of what `git am` has applied since it started."""
    return _record_since(repo, "ORIG_HEAD")  # which our hook cannot read where refs are a reftable


def post_rewrite(repo: Repository, arguments: Sequence[str]) -> int:
    """Carry records from the commits that an amend or a rebase replaced to those that replace them.

    A verdict moves along where the change is the same; where it is not, the new commit is judged. The person's marks go with the verdict
    they are about.
    """
    pairs = [line.split()[:2] for line in sys.stdin.read().splitlines() if len(line.split()) >= 2]
    olds: dict[str, list[str]] = {}
    for old, new in pairs:
        olds.setdefault(new, []).append(old)
    if not olds:
        return _record_rebased(repo)
    with _objects(repo) as objects:
        head = find_commit(objects, "HEAD")
        settings = _settings(repo, objects, head.parents[0] if head.parents else repo.empty_tree)
        added = [one for one in _added_in_rebase(repo, settings.push.max_commits) if one not in olds]
        ids = patch.change_ids(repo, [*olds, *added])
        old_records = store.carried(repo, settings, {old: ids.get(new, "") for new, mine in olds.items() for old in mine})
        there = store.read(repo, settings, {one: ids.get(one, "") for one in added}) if added else {}
        moved = {new: [old_records[old] for old in mine if old in old_records] for new, mine in olds.items()}
        marks: dict[str, store.Documents] = {new: tuple(mark for one in mine for mark in one.marks) for new, mine in moved.items()}
        commits = [*olds, *(one for one in added if there[one].verdict is None)]
        judged, _ = _judge_all(repo, objects, settings, commits, asking=_asking(0.0), ids=ids)
        judged = [_with_the_agents(one, [record.verdict for record in moved.get(one.verdict.commit, ())]) for one in judged]
        for line in triage.keep(repo, judged, settings, marks):
            say(line)
        for new, mine in olds.items():
            for old in mine:
                pending.move(repo, old, new, ids.get(new, ""))
        _hand_over(repo, settings, judged)
    return 0


def _record_rebased(repo: Repository) -> int:
    """Record what a rebase has made, where nobody tells which commit became which (the pre-commit framework passes no input on)."""
    if os.environ.get("PRE_COMMIT_REWRITE_COMMAND") != "rebase":
        return 0
    with _objects(repo) as objects:
        head = find_commit(objects, "HEAD")
        settings = _settings(repo, objects, head.parents[0] if head.parents else repo.empty_tree)
        most = settings.push.max_commits
        commits = repo.run("rev-list", f"--max-count={most}", "--no-merges", "HEAD", "--not", "ORIG_HEAD", "--remotes").decode().split()
        judged, _ = _judge_all(repo, objects, settings, commits, asking=_asking(0.0))
        for line in triage.keep(repo, judged, settings):
            say(line)
        _hand_over(repo, settings, judged)
    return 0


def pre_push(repo: Repository, arguments: Sequence[str]) -> int:
    """Judge every commit that the push brings to a remote for the first time, and stop it where the policy says so."""
    with _objects(repo) as objects:
        head = head_commit(objects)
        settings = _settings(repo, objects, head.oid if head else repo.empty_tree)
        most = settings.push.max_commits
        commits = _pushed(repo, most + 1)
        older = len(commits) > most
        commits = commits[:most]
        if not commits:
            return 0
        asking = dataclasses.replace(_asking(settings.push.wait_seconds), push=os.urandom(8).hex())
        judged, missed = _judge_all(repo, objects, settings, commits, progress="judging", asking=asking)
        ids = patch.change_ids(repo, [one.verdict.commit for one in judged])
        recorded = store.read(repo, settings, {one.verdict.commit: ids.get(one.verdict.commit, "") for one in judged})
        unrecorded = [one for one in judged if not _is_recorded(one, recorded[one.verdict.commit].verdict)]
        for line in triage.keep(repo, unrecorded, settings):
            say(line)
        _hand_over(repo, settings, judged)
    _report_push(judged, missed)
    if older:
        say(f"only the newest {most} commits of this push were judged (push.max_commits); `patch-triage check A..B` judges more")
    return _policy(settings.policy.block, judged, missed)


def say(line: str) -> None:
    """One line to the person, where git's own messages go."""
    print(f"patch-triage: {text.plain(line)}", file=sys.stderr, flush=True)


STAGES: Mapping[str, Callable[[Repository, Sequence[str]], int]] = {
    "pre-commit": pre_commit,
    "prepare-commit-msg": prepare_commit_msg,
    "commit-msg": commit_msg,
    "post-commit": post_commit,
    "post-rewrite": post_rewrite,
    "post-applypatch": post_applypatch,
    "pre-push": pre_push,
}


def _in_sequence(repo: Repository) -> bool:
    """Whether a rebase or `git am` is under way: what it makes is recorded in one go at its end. Our own hooks see that before Python."""
    return any((repo.git_dir / name).exists() for name in ("rebase-merge", "rebase-apply"))


def _asking(seconds: float) -> Asking:
    """How a hook asks the model: for so many seconds from now, and what is open after them stays pending."""
    tty = sys.stderr.isatty()

    def progress(line: str) -> None:
        if tty:
            print(f"\r\033[Kpatch-triage: {text.plain(line)}", end="", file=sys.stderr, flush=True)

    return Asking(deadline=time.monotonic() + seconds if seconds else 0.0, progress=progress)


def _with_the_agents(judged: triage.Judged, recorded: Sequence[Verdict | None]) -> triage.Judged:
    """What the agent found for the same change before it moved, where nothing is known of it in its new place."""
    if judged.verdict.decided_by is DecidedBy.DEFAULT:
        for verdict in recorded:
            if verdict is not None and verdict.decided_by is DecidedBy.AGENT:
                moved = dataclasses.replace(verdict, base=judged.verdict.base, commit=judged.verdict.commit)
                return dataclasses.replace(judged, verdict=moved)
    return judged


def _hand_over(repo: Repository, settings: Settings, judged: Sequence[triage.Judged]) -> None:
    """Leave to the worker what is pending."""
    if not settings.agent.base_url:
        return
    from hook import worker  # only who has a model pays for it

    for line in worker.hand_over(repo, settings, judged):
        say(line)


def _is_recorded(judged: triage.Judged, recorded: Verdict | None) -> bool:
    """Whether a record says what is known now. One that waits for the model does not once that has answered, or a cap keeps it from it."""
    if recorded is None or recorded.decided_by is not DecidedBy.DEFAULT:
        return recorded is not None
    capped = judged.unanswered is not None and judged.unanswered.end.endswith("cap-reached")
    return judged.verdict.decided_by is DecidedBy.DEFAULT and not (capped and judged.verdict.reasoning != recorded.reasoning)


def _objects(repo: Repository) -> Objects:
    return Objects(repo, DEFAULTS.limits.blob_bytes)


def _settings(repo: Repository, objects: Objects, base: str) -> Settings:
    settings = settings_source.load(repo, Source(objects, base))
    objects.limit_bytes = settings.limits.blob_bytes
    return settings


def _announce(repo: Repository, verdict: Verdict, settings: Settings) -> None:
    """Say the verdict once: post-commit keeps silent where pre-commit has said the same of the same change."""
    marker = repo.git_dir / _ANNOUNCED
    said = f"{verdict.change_id} {text.one_line(verdict)}"
    try:
        known = marker.read_text()
        marker.unlink()
    except OSError:
        known = ""
    if known == said:
        return
    say(text.one_line(verdict))
    if not verdict.commit:
        marker.write_text(said)


def _since(repo: Repository, file: pathlib.Path, fallback: str) -> list[str]:
    """The commits from the one that `file` names to HEAD, oldest first; none if there is no such file or it names no ancestor."""
    try:
        start = file.read_text().strip() if file.exists() else fallback
        if not start:
            return []
        repo.run("merge-base", "--is-ancestor", start, "HEAD")
        return revisions(repo, f"{start}..HEAD")
    except (OSError, GitError):
        return []


def _added_in_rebase(repo: Repository, most: int) -> list[str]:
    """What stands on the commit that the rebase under way began with: it tells post-rewrite of no commit that the person made at a stop."""
    for name in ("rebase-merge", "rebase-apply"):
        try:
            onto = (repo.git_dir / name / "onto").read_text().strip()
            limits = ("--first-parent", "--no-merges", f"--max-count={most}")
            return repo.run("rev-list", *limits, "HEAD", "--not", onto, "--").decode().split()
        except (OSError, GitError):
            continue
    return []


def _judge_all(
    repo: Repository,
    objects: Objects,
    settings: Settings,
    commits: Sequence[str],
    progress: str = "",
    asking: Asking = NOT_ASKED,
    ids: Mapping[str, str] | None = None,
) -> tuple[list[triage.Judged], list[triage.NotJudged]]:
    judged: list[triage.Judged] = []
    missed: list[triage.NotJudged] = []
    shown = progress and sys.stderr.isatty()
    for count, one in enumerate(triage.judge_commits(repo, objects, settings, commits, asking=asking, ids=ids), 1):
        (judged if isinstance(one, triage.Judged) else missed).append(one)  # type: ignore[arg-type]
        if shown:
            print(f"\rpatch-triage: {progress} {count}/{len(commits)}", end="", file=sys.stderr, flush=True)
    if shown:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return judged, missed


def _pushed(repo: Repository, most: int) -> list[str]:
    """The commits that no remote has, newest first, of every ref on standard input, or of the one the pre-commit framework names."""
    lines = [] if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read().splitlines()
    new, old = [], []
    for line in lines:
        words = line.rsplit(" ", 3)
        if len(words) == 4 and set(words[1]) != _NULL:
            new.append(words[1])
            old.append(words[3])
    if not new and os.environ.get("PRE_COMMIT") == "1":
        new.append(os.environ.get("PRE_COMMIT_TO_REF") or "HEAD")
        old.append(os.environ.get("PRE_COMMIT_FROM_REF", ""))
    if not new:
        return []
    known = [one for one in old if one and set(one) != _NULL]
    out = repo.run("rev-list", "--ignore-missing", f"--max-count={most}", "--no-merges", *new, "--not", "--remotes", *known, "--")
    return out.decode().split()


def _report_push(judged: Sequence[triage.Judged], missed: Sequence[triage.NotJudged]) -> None:
    failed = [one for one in missed if one.failed]
    worth = [one for one in judged if one.verdict.worth_fuzzing]
    parts = [f"{len(worth)} worth fuzzing", f"{len(judged) - len(worth)} not"]
    if failed:
        parts.append(f"{len(failed)} could not be judged")
    count = len(judged) + len(failed)
    say(f"{count} {'commit' if count == 1 else 'commits'}: {', '.join(parts)}")
    rows = [(one.change.label, text.one_line(one.verdict)) for one in worth] + [(one.commit[:12], one.why) for one in failed]
    for line in text.table(rows[:_NAMED_IN_PUSH]):
        say(f"  {line}")
    if len(rows) > _NAMED_IN_PUSH:
        say(f"  and {len(rows) - _NAMED_IN_PUSH} more")


def _policy(policy: str, judged: Sequence[triage.Judged], missed: Sequence[triage.NotJudged]) -> int:
    if policy == "never":
        return 0
    stopping = [one.change.label for one in judged if triage.stops(policy, one.verdict)]
    stopping += [one.commit[:12] for one in missed if one.failed]
    if not stopping:
        return 0
    say(f"push stopped by policy.block: {policy} ({stopping[0]}" + (f" and {len(stopping) - 1} more)" if len(stopping) > 1 else ")"))
    say("`PATCH_TRIAGE=0 git push …` pushes all the same")
    return STOPPED


def _replace(path: pathlib.Path, content: bytes) -> None:
    """Put `content` in place of the message file in one step: git must never read half a message."""
    handle, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


def _sentence(wrong: Exception) -> str:
    if isinstance(wrong, OSError) and wrong.strerror:
        return f"{wrong.filename}: {wrong.strerror}" if wrong.filename else wrong.strerror
    return str(wrong)
