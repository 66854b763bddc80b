"""Merged: both sides of a changed file as one run of lines, so that a function is seen whole, before and after, where it changed.

Git's hunks have three lines around what changed; here it is the function. A line has its number on the new side; one that is gone, on the
old side.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Sequence

from hook.agent.excerpt import Excerpts
from hook.change.patch import FileChange
from hook.redaction import Redactor
from hook.source.definitions import Definition, Scan, scan

CONTEXT = 3
LINE_CHARACTERS = 200
_EMPTY = Scan(b"", ())


class Line(typing.NamedTuple):
    """A line of either side, or of both. (There are tens of thousands, so no dataclass.)"""

    mark: str  # "+" only new, "-" only old, " " both
    old: int  # its number; of a line that is only new, of the next one on the old side
    new: int  # and the other way round


@dataclasses.dataclass(frozen=True)
class Piece:
    """Lines that belong together."""

    name: str  # of the function, empty outside of any
    first: int  # the numbers on the new side that it covers
    last: int
    text: str  # all of it
    short: str  # what changed, with a few lines around; the same as `text` where that is no shorter


class Merged:
    """One changed text file."""

    def __init__(self, file: FileChange, old: bytes, new: bytes, redactor: Redactor) -> None:
        self._old, self._new = Excerpts(redactor, old), Excerpts(redactor, new)
        removed = {number for hunk in file.hunks for number, _ in hunk.removed}
        added = {number for hunk in file.hunks for number, _ in hunk.added}
        self._lines = list(_walk(removed, added, self._old.count, self._new.count))
        code = file.path.endswith((".c", ".h"))
        self._before, self._after = (scan(side) if code else _EMPTY for side in (old, new))

    @property
    def changed(self) -> tuple[str, str]:
        """The text that is gone, and that is new."""
        old = self._old.some((one.old for one in self._lines if one.mark == "-"), LINE_CHARACTERS)
        new = self._new.some((one.new for one in self._lines if one.mark == "+"), LINE_CHARACTERS)
        return "\n".join(old.values()), "\n".join(new.values())

    def pieces(self, most_lines: int) -> list[Piece]:
        """What changed, function by function; of a function with more lines than `most_lines`, the surroundings of what changed."""
        at = [number for number, line in enumerate(self._lines) if line.mark != " "]
        spans: dict[tuple[int, int], tuple[str, list[int]]] = {}
        for number in at:
            name, first, last = self._around(number)
            spans.setdefault((first, last), (name, []))[1].append(number)
        found: list[Piece] = []
        for (first, last), (name, changed) in _joined(spans):
            near = sorted({one for number in changed for one in range(number - CONTEXT, number + CONTEXT + 1) if first <= one <= last})
            head = [first, first + 1] if name else []
            short = sorted({*near, *(one for one in head if one <= last)})
            whole: Sequence[int] = range(first, last + 1)
            if len(whole) > most_lines:
                wide = max(CONTEXT, most_lines // (4 * len(changed)))
                reach = {one for number in changed for one in range(number - wide, number + wide)}
                whole = sorted({*short, *(one for one in reach if first <= one <= last)})
            text, less = self._shown(whole), self._shown(short)
            numbers = [self._lines[first].new, max(self._lines[first].new, self._lines[last].new - (self._lines[last].mark == "-"))]
            found.append(Piece(name, numbers[0], numbers[1], text, less if len(less) < len(text) * 0.8 else text))
        return found

    def _around(self, number: int) -> tuple[str, int, int]:
        """The function around a line, and where its lines begin and end; where there is none, the lines near it."""
        line = self._lines[number]
        function = self._after.function_at(line.new) if line.mark == "+" else None
        if line.mark == "-":
            function = self._before.function_at(line.old)
        if function is not None:
            return (function.name, *self._extent(number, function, line.mark))
        return "", max(0, number - CONTEXT), min(len(self._lines) - 1, number + CONTEXT)

    def _extent(self, number: int, function: Definition, mark: str) -> tuple[int, int]:
        def inside(at: int) -> bool:
            place = self._lines[at].old if mark == "-" else self._lines[at].new
            return function.first_line <= place <= function.last_line

        first = last = number
        while first > 0 and inside(first - 1):
            first -= 1
        while last + 1 < len(self._lines) and inside(last + 1):
            last += 1
        return first, last

    def _shown(self, numbers: Sequence[int]) -> str:
        lines = [self._lines[at] for at in numbers]
        old = self._old.some((one.old for one in lines if one.mark == "-"), LINE_CHARACTERS)
        new = self._new.some((one.new for one in lines if one.mark != "-"), LINE_CHARACTERS)
        shown: list[str] = []
        last = -1
        for at in numbers:
            line = self._lines[at]
            if last >= 0 and at != last + 1:
                shown.append("...")
            number, text = (line.old, old.get(line.old, "")) if line.mark == "-" else (line.new, new.get(line.new, ""))
            shown.append(f"{line.mark}{number}\t{text.rstrip()}")
            last = at
        return "\n".join(shown)


def _walk(removed: set[int], added: set[int], old_lines: int, new_lines: int) -> Iterable[Line]:
    old = new = 1
    while old <= old_lines or new <= new_lines:
        if old in removed and old <= old_lines:
            yield Line("-", old, new)
            old += 1
        elif new in added and new <= new_lines:
            yield Line("+", old, new)
            new += 1
        elif old <= old_lines and new <= new_lines:
            yield Line(" ", old, new)
            old, new = old + 1, new + 1
        else:
            return  # hunks that do not fit the blobs: what is left is not known to have changed


def _joined(spans: dict[tuple[int, int], tuple[str, list[int]]]) -> list[tuple[tuple[int, int], tuple[str, list[int]]]]:
    """The spans in their order, those that touch as one."""
    found: list[tuple[tuple[int, int], tuple[str, list[int]]]] = []
    for (first, last), (name, changed) in sorted(spans.items()):
        if found and first <= found[-1][0][1] + 1 and (not name or not found[-1][1][0] or first <= found[-1][0][1]):
            (begin, end), (before, numbers) = found.pop()
            found.append(((begin, max(end, last)), (before or name, sorted({*numbers, *changed}))))
        else:
            found.append(((first, last), (name, changed)))
    return found
