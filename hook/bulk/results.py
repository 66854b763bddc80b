"""Results: the directory of a run. Rows are kept in parts, one per piece; a part is complete or absent, whenever the run is killed.

`json/000001.jsonl` is the part, put in place by a rename; `parquet/000001.parquet` has the same rows and can be made from it again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hook.bulk import rows
from hook.failure import CannotJudge

_UNFINISHED = ".new"
_ABOUT = "run.json"
_BEARS = {"Program": "by another version", "Settings": "with other settings", "Short": "with another search"}


class NotThisRun(CannotJudge):
    """No rows can be kept in the directory: it has rows of something else, is in use, or pyarrow is missing."""


class BulkResults:
    """The parts of one run."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory, self._json, self._parquet = directory, directory / "json", directory / "parquet"

    def head(self) -> str:
        """The commit taken as HEAD when the run was begun; empty for a new run. Raises NotThisRun."""
        return str(self._before().get("Head", ""))

    def begin(self, about: Mapping[str, Any], *, resume: bool) -> None:
        """Begin a run, or resume it. Raises NotThisRun if existing rows could not be compared with new ones."""
        before = self._before()
        if not before:
            _replace(self._directory / _ABOUT, json.dumps(about, indent=1).encode() + b"\n")
            return
        if not resume:
            raise NotThisRun(f"{self._directory} has the results of a run: continue it with --resume, or name another directory")
        for name, difference in _BEARS.items():
            if before.get(name) != about[name]:
                raise NotThisRun(
                    f"{self._directory} was begun {difference}: its rows cannot be compared with new ones; name another directory"
                )

    def put(self, number: int, lines: Sequence[bytes]) -> None:
        """Keep the rows of a piece. Raises OSError."""
        name = self._json / f"{number:06}.jsonl"
        _replace(name, b"".join(lines))
        self._put_parquet(name, lines)

    def look(self) -> tuple[set[str], dict[str, int], int]:
        """The inputs that have rows, the number of rows of each kind, and the number of the next part. Raises OSError."""
        inputs: set[str] = set()
        kinds: dict[str, int] = {}
        last = 0
        for name in sorted(self._json.glob("*.jsonl")):
            lines = name.read_bytes().splitlines(keepends=True)
            for text in lines:
                row = json.loads(text)
                inputs.add(row["Input"])
                kinds[rows.kind(row)] = kinds.get(rows.kind(row), 0) + 1
            if not (self._parquet / f"{name.stem}.parquet").exists():
                self._put_parquet(name, lines)
            last = max(last, int(name.stem))
        return inputs, kinds, last + 1

    def _before(self) -> dict[str, Any]:
        path = self._directory / _ABOUT
        try:
            return dict(json.loads(path.read_bytes()))
        except FileNotFoundError:
            if any(self._json.iterdir()):
                raise NotThisRun(f"{self._directory} has rows, but no {_ABOUT} says of what") from None
            return {}
        except (ValueError, TypeError):
            raise NotThisRun(f"{path} cannot be read") from None

    def _put_parquet(self, name: pathlib.Path, lines: Sequence[bytes]) -> None:
        import io

        import pyarrow.parquet

        buffer = io.BytesIO()
        pyarrow.parquet.write_table(rows.table(lines), buffer, compression="zstd")
        _replace(self._parquet / f"{name.stem}.parquet", buffer.getvalue())


@contextlib.contextmanager
def opened(directory: pathlib.Path) -> Iterator[BulkResults]:
    """The results in a directory, for this process alone; unfinished files of a killed run are removed. Raises NotThisRun, OSError."""
    try:
        import pyarrow.parquet  # noqa: F401 (before anything is judged)
    except ImportError:
        raise NotThisRun("bulk needs pyarrow: pip install 'patch-triage[cluster]'") from None
    for part in ("json", "parquet"):
        (directory / part).mkdir(parents=True, exist_ok=True)
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotThisRun(f"another `patch-triage bulk` writes to {directory}") from None
        for unfinished in directory.glob(f"*/*{_UNFINISHED}"):
            unfinished.unlink()
        yield BulkResults(directory)
    finally:
        os.close(handle)


def _replace(path: pathlib.Path, data: bytes) -> None:
    """Replace a file atomically and durably: even after a power cut it is complete."""
    new = path.with_name(path.name + _UNFINISHED)
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
