"""The ledger: what was spent on models in this repository, one file of lines a day (UTC), only ever added to.

A request is written down before it is sent, at the most that it can cost, and again when its answer is there, at what it did cost; the
later line of an id holds. So a cap holds for several writers at once, and what a process spent that was killed in a request is counted.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import os
import pathlib
from collections.abc import Iterator, Mapping

import msgspec

from hook.source import filelock
from hook.verdict import Tokens

_LOCK_SECONDS = 5.0
_MOST_DAY_BYTES = 256 << 20  # of one day's file; beyond it nothing is read, and so nothing is spent


class LedgerLine(msgspec.Struct, frozen=True, rename="pascal"):
    """One request."""

    id: str
    time: str  # UTC, ISO 8601
    settled: bool  # whether its answer is there; else the figures are the most it can cost
    model: str
    change_id: str
    commit: str  # empty where the change was none
    push: str  # names the push that asked, empty for any other
    tokens: Tokens
    money: float  # 0 where no price was known


class UnreadableLedger(OSError):
    """A day's file that cannot be read as a whole, so that nobody knows what was spent."""


class Ledger:
    """The ledger in one directory."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._day = ""
        self._read_bytes = 0
        self._lines: dict[str, LedgerLine] = {}

    @contextlib.contextmanager
    def today(self) -> Iterator[Day]:
        """Today's lines, while nobody else can add to them. Raises filelock.Held, OSError."""
        handle = filelock.take(self._directory / "lock", _LOCK_SECONDS)
        try:
            day = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
            path = self._directory / f"{day}.jsonl"
            if day != self._day:
                self._day, self._read_bytes, self._lines = day, 0, {}
            self._catch_up(path)
            yield Day(path, self._lines)
        finally:
            os.close(handle)

    def settle(self, path: pathlib.Path, line: LedgerLine) -> None:
        """Add a line to the file of the day on which its request began. Raises filelock.Held, OSError."""
        handle = filelock.take(self._directory / "lock", _LOCK_SECONDS)
        try:
            _append(path, line)
        finally:
            os.close(handle)

    def _catch_up(self, path: pathlib.Path) -> None:
        """Read what was added since the last time, by others or by us."""
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._read_bytes:  # another file: the person has removed the one we knew
                    self._read_bytes, self._lines = 0, {}
                file.seek(self._read_bytes)
                data = file.read(_MOST_DAY_BYTES + 1)
        except FileNotFoundError:
            return
        if len(data) > _MOST_DAY_BYTES:
            raise UnreadableLedger(f"{path} has more than {_MOST_DAY_BYTES} bytes")
        whole = data.rfind(b"\n") + 1
        self._read_bytes += whole
        self._lines.update({line.id: line for line in map(_parsed, data[:whole].split(b"\n")) if line})


class Day(msgspec.Struct, frozen=True):
    """One day's file, held."""

    path: pathlib.Path
    lines: Mapping[str, LedgerLine]

    def add(self, line: LedgerLine) -> None:
        """Write a line down. Raises OSError."""
        _append(self.path, line)


def read(directory: pathlib.Path, days: int) -> Iterator[tuple[str, LedgerLine]]:
    """The requests of the last `days` days that have any, each with its day, oldest first. Raises OSError."""
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".jsonl"))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names[-days:]:
        lines: dict[str, LedgerLine] = {}
        if not (directory / name).is_file() or (directory / name).stat().st_size > _MOST_DAY_BYTES:
            continue  # nothing is spent on such a day, and nothing can be told of it
        with (directory / name).open("rb") as file:
            lines.update({line.id: line for line in map(_parsed, file) if line})
        yield from ((name.removesuffix(".jsonl"), line) for line in lines.values())


def _append(path: pathlib.Path, line: LedgerLine) -> None:
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(handle).st_size
        # what a full disk or a crash has cut short must not swallow this line, too
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
        data = (b"\n" if torn else b"") + json.dumps(_document(line)).encode() + b"\n"
        if os.write(handle, data) != len(data):
            raise OSError(f"{path} could not be written completely")
    finally:
        os.close(handle)


def _document(line: LedgerLine) -> dict[str, object]:
    document = msgspec.to_builtins(line)
    tokens = document.pop("Tokens")
    return {**document, **tokens}


def _parsed(data: bytes) -> LedgerLine | None:
    try:
        entry = json.loads(data)
        line = msgspec.convert({**entry, "Tokens": entry}, LedgerLine)
    except (ValueError, TypeError, RecursionError):
        return None
    # no sum may become less by a line, nor something that is neither over a cap nor under it
    numbers = (line.tokens.input, line.tokens.output, line.tokens.thoughts, line.money)
    return line if min(numbers) >= 0 and math.isfinite(line.money) else None
