"""The file record: one file a commit, with the same documents as the note."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from hook.record.queue import put
from hook.source.git import Repository


def read(repo: Repository, directory: pathlib.Path | None, commit: str) -> str:
    """The text of the record, empty if there is none."""
    try:
        return _path(repo, directory, commit).read_text("utf-8", "replace")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def write(repo: Repository, directory: pathlib.Path | None, commit: str, text: str) -> None:
    """Put the record in place in one step. Raises OSError."""
    put(_path(repo, directory, commit), text)


def every(repo: Repository, directory: pathlib.Path | None) -> Iterator[str]:
    """The text of every record."""
    for path in sorted((directory or repo.state_dir / "verdicts").glob("*.yaml")):
        yield path.read_text("utf-8", "replace")


def _path(repo: Repository, directory: pathlib.Path | None, commit: str) -> pathlib.Path:
    return (directory or repo.state_dir / "verdicts") / f"{commit}.yaml"
