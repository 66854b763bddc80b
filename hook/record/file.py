"""The file record: one file a commit, with the same documents as the note."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator

from hook.source import own_files
from hook.source.git import Repository

_MOST_BYTES = 1 << 20  # of a record


def read(repo: Repository, directory: pathlib.Path | None, commit: str) -> str:
    """The text of the record, empty if there is none."""
    return _text(_path(repo, directory, commit))


def write(repo: Repository, directory: pathlib.Path | None, commit: str, text: str) -> None:
    """Put the record in place in one step. Raises OSError."""
    own_files.write(_path(repo, directory, commit), text.encode())


def every(repo: Repository, directory: pathlib.Path | None) -> Iterator[str]:
    """The text of every record."""
    for path in sorted((directory or repo.state_dir / "verdicts").glob("*.yaml")):
        yield _text(path)


def _text(path: pathlib.Path) -> str:
    return (own_files.read(path, _MOST_BYTES) or b"").decode("utf-8", "replace")


def _path(repo: Repository, directory: pathlib.Path | None, commit: str) -> pathlib.Path:
    return (directory or repo.state_dir / "verdicts") / f"{commit}.yaml"
