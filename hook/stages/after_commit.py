"""The stages after commits were made: they record the verdicts, and carry records along where commits were rewritten."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hook import lazy_re, triage
from hook.change import patch
from hook.change.change import find_commit, revisions
from hook.config import Settings
from hook.failure import CannotJudge
from hook.record import note, pending, store
from hook.record.lock import Locked
from hook.source import own_files, setting_layers
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects
from hook.stages.judging import (
    announce,
    announce_each,
    asking_for,
    hand_over,
    index_in_background,
    judge_all,
    leave_behind,
    say,
    start_worker,
)
from hook.verdict import DecidedBy, Verdict

_OBJECT_ID = lazy_re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_MOST_SINCE_BYTES = 1000
_PATIENCE = 10  # times that the lock on the notes is waited for (record.lock_seconds)
SINCE_MARKER = "patch-triage-since"  # left by the stubs during `git am` and cherry-pick sequences
AMENDED_MARKER = "patch-triage-amended"  # the commit that an amend has made, of which our post-rewrite stub starts nothing
_REPLACED = "replaced"  # our directory of files by the commit that an amend has made, until the records of the one in it are carried along
_MOST_REPLACED = 20
_MOST_TRIES = 3  # to carry along the records of one: a line of its file each
_REFLOG_LINE = lazy_re.compile(rb"(\w+) (\w+) [^\n]*\tcommit \(amend\): [^\n]*\n\Z")
_MOST_REFLOG_BYTES = 4096  # of its end


def post_commit(objects: Objects, arguments: Sequence[str]) -> int:
    """Say the verdict of the commit that was just made, and record it; or of a whole cherry-pick or revert sequence at its end."""
    return _record_since(objects, "")


def post_applypatch(objects: Objects, arguments: Sequence[str]) -> int:
    """Record the verdicts of what `git am` has applied since it started."""
    return _record_since(objects, "ORIG_HEAD")  # which our hook cannot read where refs are a reftable


def _record_since(objects: Objects, fallback: str) -> int:
    """Record HEAD, or all that a sequence has made: our hooks left its start in a file, since git may have forgotten it by now.

    Without such a file the sequence starts at the revision `fallback`.
    """
    repo = objects.repo
    start = repo.git_dir / SINCE_MARKER
    head = find_commit(objects, "HEAD")
    settings = setting_layers.at(objects, head.parent)
    commits = _since(repo, start, fallback) or [head.oid]
    own_files.remove(start)
    wait = settings.agent.commit_seconds if settings.agent.at_commit == "wait" and len(commits) == 1 else 0.0
    judged, missed = judge_all(repo, objects, settings, commits, asking=asking_for(wait))
    is_queued = triage.hand_in(repo, judged, settings)
    for line in () if is_queued else triage.keep(repo, judged, settings):
        say(line)
    for outcome in missed:
        if outcome.failed:
            say(f"no verdict on {outcome.commit[:12]}: {outcome.why}")
    if "trailer" in settings.record.format and _lacks_trailer_hooks(repo):
        say("no trailer was added: run `patch-triage install` again, since record.format has changed")
    if len(commits) == 1 and judged:
        announce(repo, judged[0].verdict, settings)
    else:
        announce_each([outcome.verdict for outcome in judged], settings)
    hand_over(repo, settings, judged)
    if len(commits) == 1:
        _note_amend(repo, head.oid)
    leave_behind(repo, lambda: _finish(repo, settings))
    return 0


def _note_amend(repo: Repository, head: str) -> None:
    """Leave the commit that HEAD has replaced to `_finish`, if git's log of HEAD says that this is an amend: post-rewrite need not start.

    Where a record cannot be written now, post-rewrite starts, since it has something to say.
    """
    try:
        with (repo.git_dir / "logs/HEAD").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _MOST_REFLOG_BYTES))
            line = _REFLOG_LINE.search(file.read())
        if line is None or line[2].decode() != head or not store.is_free(repo):
            return
        own_files.write(repo.state_dir / _REPLACED / head, line[1] + b"\n")
        own_files.write(repo.git_dir / AMENDED_MARKER, f"{head}\n".encode())
    except OSError:
        pass  # no such log, as where refs are a reftable; or a full disk


def _replaced(repo: Repository) -> Iterator[tuple[pathlib.Path, str]]:
    """The files of commits that an amend has made, the oldest first, each with the commit that was replaced."""
    with contextlib.suppress(OSError):
        aged = []
        for path in (repo.state_dir / _REPLACED).iterdir():
            with contextlib.suppress(FileNotFoundError):  # another process has carried it along
                aged.append((path.lstat().st_mtime_ns, path))
        for _, file in sorted(aged)[:_MOST_REPLACED]:
            old, *tries = (own_files.read(file, _MOST_SINCE_BYTES) or b"").decode("ascii", "replace").split("\n")
            if _OBJECT_ID.match(old) and _OBJECT_ID.match(file.name) and len(tries) <= _MOST_TRIES:
                own_files.write(file, "\n".join((old, *tries, "")).encode())  # one line more: where this fails, the next call tries again
                yield file, old
            else:
                own_files.remove(file)


def _finish(repo: Repository, settings: Settings) -> None:
    """What nobody waits for after a commit or an amend, or after an earlier amend where that was killed.

    What is not done here, the next call of ours does.
    """
    with contextlib.suppress(note.NoteNotWritten, GitError, OSError):  # it stays queued
        for _ in range(_PATIENCE):
            with contextlib.suppress(Locked):  # other commits are being recorded
                store.write_queued(repo, settings)
                break
    index_in_background(repo, settings)
    replaced = False
    for file, old in _replaced(repo):
        replaced = True
        _carry_on(repo, settings, {file.name: [old]}, [])
        own_files.remove(file)
    if not replaced:
        start_worker(repo, settings)


def _lacks_trailer_hooks(repo: Repository) -> bool:
    from hook import installation  # only who wants trailers pays for it

    return installation.lacks_trailer_hooks(repo)


def _since(repo: Repository, file: pathlib.Path, fallback: str) -> list[str]:
    """The commits from the one that `file` names to HEAD, oldest first; none if there is no such file or it names no ancestor."""
    try:
        data = own_files.read(file, _MOST_SINCE_BYTES)
        start = fallback if data is None else data.decode("ascii", "replace").strip()
        if data is not None and not _OBJECT_ID.match(start):
            own_files.put_aside(file, "names no commit")
            start = fallback
        if not start:
            return []
        repo.run("merge-base", "--is-ancestor", start, "HEAD")
        return revisions(repo, f"{start}..HEAD")
    except (OSError, CannotJudge):
        return []


def post_rewrite(objects: Objects, arguments: Sequence[str]) -> int:
    """Carry records from the commits that an amend or a rebase replaced to those that replace them.

    A verdict moves along where the change is the same; where it is not, the new commit is judged. The person's marks go with the verdict
    they are about. Nobody waits for it, but where something is wrong that is to be said.
    """
    pairs = [line.split()[:2] for line in sys.stdin.read().splitlines() if len(line.split()) >= 2]
    olds: dict[str, list[str]] = {}
    for old, new in pairs:
        olds.setdefault(new, []).append(old)
    if not olds:
        return _record_rebased(objects)
    repo = objects.repo
    head = find_commit(objects, "HEAD")
    settings = setting_layers.at(objects, head.parent)
    added = [oid for oid in _added_in_rebase(repo, settings.push.max_commits) if oid not in olds]
    if store.is_free(repo):
        leave_behind(repo, lambda: _carry_on(repo, settings, olds, added))
    else:
        _carry_on(repo, settings, olds, added)
    return 0


def _carry_on(repo: Repository, settings: Settings, olds: Mapping[str, Sequence[str]], added: Sequence[str]) -> None:
    """Record the commits that have replaced others, which `olds` names by the new one, and those that a rebase has `added`."""
    with Objects(repo, settings.limits.blob_bytes) as objects:
        ids = patch.change_ids(repo, [*olds, *added])
        old_records = store.carried(repo, settings, {old: ids.get(new, "") for new, mine in olds.items() for old in mine})
        there = store.read(repo, settings, {oid: ids.get(oid, "") for oid in added}) if added else {}
        moved = {new: [old_records[old] for old in mine if old in old_records] for new, mine in olds.items()}
        marks: dict[str, store.Documents] = {new: tuple(mark for record in mine for mark in record.marks) for new, mine in moved.items()}
        commits = [*olds, *(oid for oid in added if there[oid].verdict is None)]
        judged, _ = judge_all(repo, objects, settings, commits, asking=asking_for(0.0), ids=ids)
        judged = [
            _with_the_agents(judgement, [record.verdict for record in moved.get(judgement.verdict.commit, ())]) for judgement in judged
        ]
        for line in triage.keep(repo, judged, settings, marks):
            say(line)
        for new, mine in olds.items():
            for old in mine:
                pending.move(repo, old, new, ids.get(new, ""))
        hand_over(repo, settings, judged)
        start_worker(repo, settings)


def _record_rebased(objects: Objects) -> int:
    """Record what a rebase has made, where nobody tells which commit became which (the pre-commit framework passes no input on)."""
    if os.environ.get("PRE_COMMIT_REWRITE_COMMAND") != "rebase":
        return 0
    repo = objects.repo
    head = find_commit(objects, "HEAD")
    settings = setting_layers.at(objects, head.parent)
    most = settings.push.max_commits
    commits = repo.run("rev-list", f"--max-count={most}", "--no-merges", "HEAD", "--not", "ORIG_HEAD", "--remotes").decode().split()
    judged, _ = judge_all(repo, objects, settings, commits, asking=asking_for(0.0))
    for line in triage.keep(repo, judged, settings):
        say(line)
    hand_over(repo, settings, judged)
    start_worker(repo, settings)
    return 0


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


def _with_the_agents(judged: triage.Judged, recorded: Sequence[Verdict | None]) -> triage.Judged:
    """What the agent found for the same change before it moved, where nothing is known of it in its new place."""
    if judged.verdict.decided_by is DecidedBy.DEFAULT:
        for verdict in recorded:
            if verdict is not None and verdict.decided_by is DecidedBy.AGENT:
                moved = msgspec.structs.replace(verdict, base=judged.verdict.base, commit=judged.verdict.commit)
                return msgspec.structs.replace(judged, verdict=moved)
    return judged
