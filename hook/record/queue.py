"""The queue: records that are not written yet, one file a commit in the common git directory.

A commit leaves its record here, and a process that nobody waits for writes the note; so does the next call of ours, where that was killed.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hook import lazy_re
from hook.record import document, note
from hook.source import own_files
from hook.source.git import Repository

_MOST_BYTES = 1 << 20  # of a queued record
_COMMIT = lazy_re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def add(repo: Repository, commit: str, documents: Sequence[Mapping[str, Any]]) -> None:
    """Queue documents for `commit`. Raises OSError if they cannot be written."""
    path = _directory(repo) / f"{commit}.yaml"
    waiting: Sequence[Mapping[str, Any]] = _documents(path)
    for new in documents:
        waiting = document.with_document(waiting, new)
    own_files.write(path, document.dump_fast(waiting).encode())


def is_empty(repo: Repository) -> bool:
    """Whether nothing is queued; reads one directory."""
    try:
        return not any(name.endswith(".yaml") and not name.startswith(".") for name in os.listdir(_directory(repo)))
    except (FileNotFoundError, NotADirectoryError):
        return True


def pending(repo: Repository) -> list[tuple[str, tuple[Mapping[str, Any], ...]]]:
    """The queued records, as (commit, documents)."""
    queued: list[tuple[str, tuple[Mapping[str, Any], ...]]] = []
    try:
        names = sorted(os.listdir(_directory(repo)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        if name.endswith(".yaml") and not name.startswith("."):
            path = _directory(repo) / name
            if documents := _documents(path):
                queued.append((path.stem, documents))
    return queued


def _documents(path: pathlib.Path) -> tuple[dict[str, Any], ...]:
    """The documents in a file of the queue; none if there is no file, since another process has just written it to the notes."""
    data = own_files.read(path, _MOST_BYTES)
    if data is None:
        return ()
    documents, _ = document.load(data.decode("utf-8", "replace"))
    if documents and _COMMIT.match(path.stem):
        return documents
    own_files.put_aside(path, "holds no record")
    return ()


def flush(repo: Repository, seconds: float, adding: Callable[[Sequence[Mapping[str, Any]]], note.Change]) -> int:
    """Write the queued records into the notes, each by the function that `adding` returns; returns the number of commits.

    Raises as note.update; then all records are still queued.
    """
    waiting = pending(repo)
    if not waiting:
        return 0

    def unless_written(commit: str, change: note.Change) -> note.Change:
        # under the lock: another process may have written it meanwhile, and something newer after it
        return lambda text: change(text) if (_directory(repo) / f"{commit}.yaml").exists() else text

    note.update(repo, {commit: unless_written(commit, adding(new)) for commit, new in waiting}, seconds)
    for commit, _ in waiting:
        (_directory(repo) / f"{commit}.yaml").unlink(missing_ok=True)
    return len(waiting)


def _directory(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "queue"
