"""The queue: records that could not be written yet, one file a commit in the common git directory."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from hook import lazy_re
from hook.record import document, note
from hook.source import own_files
from hook.source.git import Repository

_MOST_BYTES = 1 << 20  # of a queued record
_COMMIT = lazy_re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def add(repo: Repository, commit: str, documents: Sequence[Mapping[str, Any]]) -> None:
    """Queue documents for `commit`. Raises OSError where that cannot be written."""
    waiting: Sequence[Mapping[str, Any]] = dict(pending(repo)).get(commit, ())
    for one in documents:
        waiting = document.with_document(waiting, one)
    own_files.write(_directory(repo) / f"{commit}.yaml", document.dump(waiting).encode())


def pending(repo: Repository) -> list[tuple[str, tuple[Mapping[str, Any], ...]]]:
    """What waits, as (commit, documents)."""
    found: list[tuple[str, tuple[Mapping[str, Any], ...]]] = []
    try:
        names = sorted(os.listdir(_directory(repo)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        if name.endswith(".yaml") and not name.startswith("."):
            path = _directory(repo) / name
            data = own_files.read(path, _MOST_BYTES)
            if data is None:
                continue  # another process has just written it
            documents, _ = document.load(data.decode("utf-8", "replace"))
            if documents and _COMMIT.match(path.stem):
                found.append((path.stem, documents))
            else:
                own_files.put_aside(path, "holds no record")
    return found


def flush(repo: Repository, seconds: float) -> int:
    """Write what waits into the notes; how many commits that were. Raises what note.update raises, and then everything still waits."""
    waiting = pending(repo)
    if not waiting:
        return 0

    def adding(new: Sequence[Mapping[str, Any]]) -> note.Change:
        def change(text: str) -> str:
            documents: Sequence[Mapping[str, Any]] = document.load(text)[0]
            for one in new:
                documents = document.with_document(documents, one)
            return document.dump(documents)

        return change

    note.update(repo, {commit: adding(new) for commit, new in waiting}, seconds)
    for commit, _ in waiting:
        (_directory(repo) / f"{commit}.yaml").unlink(missing_ok=True)
    return len(waiting)


def _directory(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "queue"
