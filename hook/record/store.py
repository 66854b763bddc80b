"""The store: a commit's records wherever the settings keep them, as one.

A note or a file has complete documents, each with its ChangeId. A record that could not be written is queued, and the next call writes it.
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
    """The record of one commit."""

    verdict: Verdict | None  # the one about the commit's present change
    stale: bool  # whether there are verdicts, but only about other changes
    marks: Documents  # the person's own judgements of that verdict
    broken: int  # documents that could not be read


def keep(repo: Repository, settings: Settings, verdicts: Sequence[Verdict], carried: Mapping[str, Documents] | None = None) -> list[str]:
    """Record each verdict with its commit, and the `carried` documents beside it. Returns lines for the person."""
    changes = {verdict.commit: [*(carried or {}).get(verdict.commit, ()), to_document(verdict)] for verdict in verdicts}
    return add(repo, settings, changes)


def add(repo: Repository, settings: Settings, changes: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Add documents to the records of commits; one with the same kind and ChangeId is replaced. Returns lines for the person."""
    lines = []
    formats = settings.record.format
    if "note" in formats:
        try:
            write_queued(repo, settings)
            note.update(repo, {commit: _adding(new) for commit, new in changes.items()}, settings.record.lock_seconds)
        except (Locked, note.NoteNotWritten, GitError, OSError) as wrong:
            lines.append(_queued(repo, changes, wrong))
    if "file" in formats:
        try:
            for commit, new in changes.items():
                file.write(repo, directory(settings), commit, _adding(new)(file.read(repo, directory(settings), commit)))
        except OSError as wrong:
            lines.append(f"not recorded in a file: {wrong.strerror or wrong}; `record.directory` names another place")
    return lines


def is_free(repo: Repository) -> bool:
    """Whether a record can probably be written: enough disk space, and no lock of another git."""
    try:
        return note.is_free(repo)
    except OSError:
        return False


def hand_in(repo: Repository, settings: Settings, verdicts: Sequence[Verdict]) -> bool:
    """Queue verdicts for a later `write_queued` for which nobody waits. False, with nothing done, if `keep` may have lines for the person.

    That is so if the record may fail, if an earlier one is still queued, or if records are kept elsewhere too.
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
    """Write the queued records into the notes; returns the number of commits. Raises as note.update; then all are still queued."""
    return queue.flush(repo, settings.record.lock_seconds, _adding)


def replace_lesser(repo: Repository, settings: Settings, verdict: Verdict) -> list[str]:
    """Record a verdict if the commit has a less complete one about the same change. Returns lines for the person."""
    recorded = read(repo, settings, {verdict.commit: verdict.change_id})[verdict.commit].verdict
    if recorded is None or not is_fuller(verdict.lacks, recorded.lacks):
        return []
    return keep(repo, settings, [verdict])


def read(repo: Repository, settings: Settings, ids: Mapping[str, str]) -> dict[str, Recorded]:
    """The records of commits, given each commit's present ChangeId (empty if it has none). A note comes before a file."""
    texts = note.read(repo, list(ids))
    waiting = dict(queue.pending(repo))
    records = {}
    for commit, change_id in ids.items():
        documents: Documents
        documents, broken = document.load(texts.get(commit, ""))
        documents = (*documents, *waiting.get(commit, ()))
        if not documents:
            documents, broken_in_file = document.load(file.read(repo, directory(settings), commit))
            broken += broken_in_file
        of_change = [entry for entry in documents if change_id and entry.get("ChangeId") == change_id]
        verdict = None
        for entry in of_change:
            if "Mark" in entry:
                continue
            try:
                verdict = from_document(entry)
            except NotAVerdict:
                broken += 1
        records[commit] = Recorded(
            verdict=verdict,
            stale=verdict is None and any("Mark" not in entry for entry in documents),
            marks=tuple(entry for entry in of_change if "Mark" in entry),
            broken=broken,
        )
    return records


def carried(repo: Repository, settings: Settings, ids: Mapping[str, str]) -> dict[str, Recorded]:
    """As `read`, for commits that were rewritten, but only those with something that cannot be derived again.

    That is a person's mark or an agent's verdict. Most commits of a rebase have neither, and their records are not parsed.
    """
    worth_reading = ("\nMark:", "\nDecidedBy: agent")
    texts = note.read(repo, list(ids))
    needs_all = "file" in settings.record.format or not queue.is_empty(repo)
    to_read = {oid: change for oid, change in ids.items() if needs_all or any(word in texts.get(oid, "") for word in worth_reading)}
    return read(repo, settings, to_read) if to_read else {}


def _adding(new: Sequence[Mapping[str, Any]]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        documents: Documents = document.load(text)[0]
        for addition in new:
            if not _is_overtaken(addition, documents):
                documents = document.with_document(documents, addition)
        return document.dump(documents)

    return changed


def _is_overtaken(new: Mapping[str, Any], documents: Documents) -> bool:
    """Whether the answer to a pending question, or a more complete verdict, has been recorded meanwhile."""
    if "Mark" in new:
        return False
    recorded = [entry for entry in documents if entry.get("ChangeId") == new.get("ChangeId") and "Mark" not in entry]
    return any(
        (new.get("State") == State.PENDING and old.get("DecidedBy") == DecidedBy.AGENT) or is_fuller(_lacks(old), _lacks(new))
        for old in recorded
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
        return f"not recorded: {why}, and not queued: {worse.strerror}. `patch-triage check COMMIT` prints the verdict again"
    return f"not recorded: {why}; it is queued, `patch-triage status` shows it"


def directory(settings: Settings) -> pathlib.Path | None:
    """The directory of the record files; None for the usual one."""
    setting = settings.record.directory
    return pathlib.Path(setting).expanduser() if setting else None
