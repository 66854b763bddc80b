"""Observations: what a coverage file says of each function: by how many programs it was reached, and in which lines it stands.

Names are those of the source: without what a compiler adds to them, and a system call as sys_NAME.
"""

from __future__ import annotations

import bisect
import posixpath
import re
from collections.abc import Iterator

import msgspec

from hook import lazy_re

_MOST_FUNCTIONS = 600_000
UNKNOWN_PLACE = "?/"  # before the path of a function of which a file says at most the base name
MOST_COUNTED = 1 << 40  # programs, or calls
_MOST_LETTERS = 8192  # of a path and a name
_LEAST_PROGRAMS = 1000  # of a corpus that tells what nearly every program runs
_ROW = lazy_re.compile(rb"([^\t\n]+)\t(\d+)\t(\d+)\t(\d+)\n")
_SUFFIX = lazy_re.compile(r"\.(?:isra|constprop|part|cold|llvm)\b.*")
_FUNCTION = lazy_re.compile(r"[A-Za-z_]\w{0,250}\Z", re.ASCII)
_SYSTEM_CALL = lazy_re.compile(r"__(?:do|se|x64|ia32|arm64|s390x?|riscv|powerpc)_((?:compat_)?sys_\w+)\Z")


class NoCoverage(ValueError):
    """A file that says nothing that can be used; the sentence says why."""


class Measured(msgspec.Struct, frozen=True):
    """What a coverage file says of its origin."""

    observer: str  # the program that measured it, with its name
    counts_programs: bool = False  # whether each count is one of a fuzzer's programs; else it is of calls, at boot too
    commit: str = ""  # that the kernel was built from
    day: str = ""
    arch: str = ""  # as syzkaller names it


class Observation(msgspec.Struct, frozen=True):
    """What a coverage file says of one function."""

    path: str  # of its source, as the file has it: perhaps from the root of a disk, or behind UNKNOWN_PLACE its base name, or nothing
    reached: int  # the number of programs that reach it, or of calls; 0: never
    first: int  # line of it that the file names; 0: none
    last: int


class Coverage(msgspec.Struct, frozen=True):
    """What a coverage file says."""

    name: str  # of the file, without its directory
    why_not: str = ""  # it cannot be used; then it says nothing
    is_read: bool = True  # else it is one that nobody had the time to read yet
    measured: Measured = Measured("")
    programs: int = 0  # in all, at the least; 0 where the file does not say
    rows: bytes = b"\n"  # after an empty line one for each function, sorted: name, path, reached, first, last

    def of_function(self, name: str) -> Iterator[Observation]:
        """What is said of the functions with a name, in whatever file of the tree."""
        start, rows = name.encode("utf-8", "replace") + b"\t", self.rows

        def begins(offset: int) -> bytes:
            """What the line around an offset begins with."""
            at = rows.rfind(b"\n", 0, offset) + 1
            return rows[at : at + len(start)]

        at = bisect.bisect_left(range(1, len(rows)), start, key=begins) + 1
        while rows.startswith(start, at) and (row := _ROW.match(rows, at + len(start))):
            reached, first, last = (int(row[part]) for part in (2, 3, 4))
            yield Observation(row[1].decode("utf-8", "replace"), reached, first, last)
            at = row.end()

    def share(self, path: str, name: str) -> float | None:
        """The part of all programs that reach a function; None where the file does not say.

        A corpus of few programs says nothing of it. Neither does an export of one part of the kernel alone, which counts few of them.
        """
        if self.programs < _LEAST_PROGRAMS:
            return None
        reached = (row.reached for row in self.of_function(name) if row.path == path and row.reached)
        return next((count / self.programs for count in reached), None)

    def shares(self, path: str) -> dict[str, float]:
        """The part of all programs that reach each function of a file, where the file says so."""
        if self.programs < _LEAST_PROGRAMS:
            return {}
        of_path = re.finditer(rb"\t" + re.escape(path.encode("utf-8", "replace")) + rb"\t(\d+)\t", self.rows)
        reached = {self.rows[self.rows.rfind(b"\n", 0, row.start()) + 1 : row.start()]: int(row[1]) for row in of_path}
        return {name.decode("utf-8", "replace"): count / self.programs for name, count in reached.items() if count}


class Tally:
    """The functions of one file, while it is read."""

    def __init__(self) -> None:
        self.programs = 0
        self._rows: dict[tuple[str, str], list[int]] = {}  # (path, symbol) -> reached, first, last

    def add(self, path: str, symbol: str, reached: int, first: int = 0, last: int = 0) -> None:
        """Count the programs or calls that reached a place of a function, between these lines. Raises NoCoverage."""
        row = self._row(path, symbol, first, last)
        if reached > row[0]:
            row[0] = min(reached, MOST_COUNTED)

    def add_program(self, path: str, symbol: str, first: int, last: int) -> None:
        """Count one more program that reached a function. Raises NoCoverage."""
        self._row(path, symbol, first, last)[0] += 1

    def _row(self, path: str, symbol: str, first: int, last: int) -> list[int]:
        row = self._rows.get((path, symbol))
        if row is None:
            if len(self._rows) >= _MOST_FUNCTIONS:
                raise NoCoverage(f"it has more than {_MOST_FUNCTIONS} functions")
            if len(path) + len(symbol) > _MOST_LETTERS:
                raise NoCoverage(f"a path and a function in it have more than {_MOST_LETTERS} letters")
            row = self._rows[path, symbol] = [0, 0, 0]
        _widen(row, first, last)
        return row

    def coverage(self, name: str, measured: Measured) -> Coverage:
        """What the file says, when it was read to its end."""
        rows: dict[tuple[str, str], list[int]] = {}
        for (path, symbol), (reached, first, last) in self._rows.items():
            function, path = source_name(symbol), posixpath.normpath(path)
            if function and path.isprintable():
                row = rows.setdefault((function, path), [reached, 0, 0])
                row[0] = max(row[0], reached)
                _widen(row, first, last)
        why_not = "" if any(row[0] for row in rows.values()) else "nothing in it was reached"
        lines = "".join(f"{function}\t{path}\t{row[0]}\t{row[1]}\t{row[2]}\n" for (function, path), row in sorted(rows.items()))
        encoded = f"\n{lines}".encode("utf-8", "replace")
        return Coverage(name, why_not, measured=measured, programs=min(self.programs, MOST_COUNTED), rows=encoded)


def _widen(row: list[int], first: int, last: int) -> None:
    if first > 0 and (first < row[1] or not row[1]):
        row[1] = first
    row[2] = max(row[2], last)


def source_name(symbol: str) -> str:
    """The name of a function in the source; empty where it is none."""
    name = _SUFFIX.sub("", symbol)
    if system_call := _SYSTEM_CALL.match(name):
        name = system_call[1]
    return name if _FUNCTION.match(name) else ""
