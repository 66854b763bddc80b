"""The queue: records that could not be written yet, one file a commit in the common git directory."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from hook.record import document, note
from hook.source.git import Repository


def add(repo: Repository, commit: str, documents: Sequence[Mapping[str, Any]]) -> None:
    """Queue documents for `commit`. Raises OSError where that cannot be written."""
    waiting: Sequence[Mapping[str, Any]] = dict(pending(repo)).get(commit, ())
    for one in documents:
        waiting = document.with_document(waiting, one)
    put(_directory(repo) / f"{commit}.yaml", document.dump(waiting))


def pending(repo: Repository) -> list[tuple[str, tuple[Mapping[str, Any], ...]]]:
    """What waits, as (commit, documents)."""
    found: list[tuple[str, tuple[Mapping[str, Any], ...]]] = []
    try:
        names = sorted(os.listdir(_directory(repo)))
    except (FileNotFoundError, NotADirectoryError):
        return []
    for name in names:
        if name.endswith(".yaml") and not name.startswith("."):
            try:
                text = (_directory(repo) / name).read_text("utf-8", "replace")
            except FileNotFoundError:
                continue  # another process has just written it
            found.append((name.removesuffix(".yaml"), document.load(text)[0]))
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


def put(path: pathlib.Path, text: str) -> None:
    """Write a file in one step: whoever reads it sees the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except BaseException:
        pathlib.Path(name).unlink(missing_ok=True)
        raise


def _directory(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "queue"
