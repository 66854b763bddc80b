"""The store: a commit's records wherever the settings keep them, as one.

A note or a file holds whole documents, each with its ChangeId. What could not be written is queued and written by the next call of ours.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from hook.config import Settings
from hook.record import document, file, note, queue
from hook.record.lock import Locked
from hook.source.git import GitError, Repository
from hook.verdict import DecidedBy, NotAVerdict, State, Verdict, from_document, is_fuller, to_document

Documents = tuple[Mapping[str, Any], ...]


class Recorded(msgspec.Struct, frozen=True):
    """What is recorded of one commit."""

    verdict: Verdict | None  # the one that speaks of the commit's present change
    stale: bool  # whether there are verdicts, but only of other changes
    marks: Documents  # the person's own judgements of that verdict
    broken: int  # documents that could not be read


def keep(repo: Repository, settings: Settings, verdicts: Sequence[Verdict], carried: Mapping[str, Documents] | None = None) -> list[str]:
    """Record each verdict with its commit, and the `carried` documents beside it. Returns what a person should know, a line each."""
    changes = {verdict.commit: [*(carried or {}).get(verdict.commit, ()), to_document(verdict)] for verdict in verdicts}
    return add(repo, settings, changes)


def add(repo: Repository, settings: Settings, changes: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Add documents to the records of commits; one of the same kind and ChangeId is replaced."""
    said = []
    formats = settings.record.format
    if "note" in formats:
        try:
            write_queued(repo, settings)
            note.update(repo, {commit: _adding(new) for commit, new in changes.items()}, settings.record.lock_seconds)
        except (Locked, note.NoteNotWritten, GitError, OSError) as wrong:
            said.append(_queued(repo, changes, wrong))
    if "file" in formats:
        try:
            for commit, new in changes.items():
                file.write(repo, directory(settings), commit, _adding(new)(file.read(repo, directory(settings), commit)))
        except OSError as wrong:
            said.append(f"not recorded in a file: {wrong.strerror or wrong}; `record.directory` names another place")
    return said


def is_free(repo: Repository) -> bool:
    """Whether nothing is known to stand in the way of a record, such as little room or a lock of another git."""
    try:
        return note.is_free(repo)
    except OSError:
        return False


def hand_in(repo: Repository, settings: Settings, verdicts: Sequence[Verdict]) -> bool:
    """Queue verdicts for a `write_queued` that nobody waits for. False, with nothing done, where `keep` may have something to say.

    That is where a record may fail, where an earlier one still waits, or where records are kept elsewhere too.
    """
    try:
        if settings.record.format != ("note",) or not note.is_free(repo) or not queue.is_empty(repo):
            return False
        for verdict in verdicts:
            queue.add(repo, verdict.commit, [to_document(verdict)])
    except OSError:
        return False
    return True


def write_queued(repo: Repository, settings: Settings) -> int:
    """Write what is queued into the notes; how many commits that were. Raises what note.update raises; then everything still waits."""
    return queue.flush(repo, settings.record.lock_seconds, _adding)


def replace_lesser(repo: Repository, settings: Settings, verdict: Verdict) -> list[str]:
    """Record a verdict where the commit has one of the same change that lacked more. Returns what a person should know, a line each."""
    recorded = read(repo, settings, {verdict.commit: verdict.change_id})[verdict.commit].verdict
    if recorded is None or not is_fuller(verdict.lacks, recorded.lacks):
        return []
    return keep(repo, settings, [verdict])


def read(repo: Repository, settings: Settings, ids: Mapping[str, str]) -> dict[str, Recorded]:
    """What is recorded of commits, given each commit's present ChangeId (empty where it has none). A note outranks a file."""
    texts = note.read(repo, list(ids))
    waiting = dict(queue.pending(repo))
    found = {}
    for commit, change_id in ids.items():
        documents: Documents
        documents, broken = document.load(texts.get(commit, ""))
        documents = (*documents, *waiting.get(commit, ()))
        if not documents:
            documents, more = document.load(file.read(repo, directory(settings), commit))
            broken += more
        mine = [one for one in documents if change_id and one.get("ChangeId") == change_id]
        verdict = None
        for one in mine:
            if "Mark" in one:
                continue
            try:
                verdict = from_document(one)
            except NotAVerdict:
                broken += 1
        found[commit] = Recorded(
            verdict=verdict,
            stale=verdict is None and any("Mark" not in one for one in documents),
            marks=tuple(one for one in mine if "Mark" in one),
            broken=broken,
        )
    return found


def carried(repo: Repository, settings: Settings, ids: Mapping[str, str]) -> dict[str, Recorded]:
    """As `read`, of commits that others have replaced, but only where there is something that nobody could find out anew.

    That is a person's mark or an agent's verdict. Of most commits of a rebase there is neither, and their records need no reading.
    """
    worth_reading = ("\nMark:", "\nDecidedBy: agent")
    texts = note.read(repo, list(ids))
    kept = "file" in settings.record.format or not queue.is_empty(repo)
    wanted = {oid: change for oid, change in ids.items() if kept or any(word in texts.get(oid, "") for word in worth_reading)}
    return read(repo, settings, wanted) if wanted else {}


def _adding(new: Sequence[Mapping[str, Any]]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        documents: Documents = document.load(text)[0]
        for one in new:
            if not _is_overtaken(one, documents):
                documents = document.with_document(documents, one)
        return document.dump(documents)

    return changed


def _is_overtaken(new: Mapping[str, Any], documents: Documents) -> bool:
    """Whether a question is to be recorded whose answer somebody else has recorded meanwhile, or a verdict beside one that lacks less."""
    if "Mark" in new:
        return False
    there = [one for one in documents if one.get("ChangeId") == new.get("ChangeId") and "Mark" not in one]
    return any(
        (new.get("State") == State.PENDING and one.get("DecidedBy") == DecidedBy.AGENT) or is_fuller(_lacks(one), _lacks(new))
        for one in there
    )


def _lacks(document: Mapping[str, Any]) -> Sequence[object]:
    lacks = document.get("Lacks", ())
    return lacks if isinstance(lacks, list) else ()


def _queued(repo: Repository, changes: Mapping[str, Sequence[Mapping[str, Any]]], wrong: Exception) -> str:
    why = getattr(wrong, "strerror", None) or str(wrong)
    try:
        for commit, new in changes.items():
            queue.add(repo, commit, new)
    except OSError as worse:
        return f"not recorded: {why}; nor could it be queued: {worse.strerror}. `patch-triage check COMMIT` tells the verdict again"
    return f"not recorded: {why}; it is queued, `patch-triage status` shows it"


def directory(settings: Settings) -> pathlib.Path | None:
    """Where the files of records are, if not in their usual place."""
    given = settings.record.directory
    return pathlib.Path(given).expanduser() if given else None
