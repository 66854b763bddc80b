"""Merged: both sides of a changed file as one run of lines, so that a function is seen whole, before and after, where it changed.

Git's hunks have three lines around what changed; here it is the function. A line has its number on the new side; one that is gone, on the
old side.
"""

from __future__ import annotations

import bisect
import typing
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hook.agent.context.excerpt import Excerpts
from hook.c.definitions import Definition, DefinitionKind, scan
from hook.change.patch import FileChange
from hook.redaction import Redactor

CONTEXT = 3
LINE_CHARACTERS = 200
_SHORT_LINES = 60


class MergedLine(typing.NamedTuple):
    """A line of either side, or of both. (There are tens of thousands, so no dataclass.)"""

    mark: str  # "+" only new, "-" only old, " " both
    old: int  # its number; of a line that is only new, of the next one on the old side
    new: int  # and the other way round


class Piece(msgspec.Struct, frozen=True):
    """Lines that belong together."""

    name: str  # of the function, empty outside of any
    first: int  # the numbers on the new side that it covers
    last: int
    text: str  # all of it
    short: str  # what changed, with a few lines around; the same as `text` where that is no shorter


class _Span(msgspec.Struct):
    """Lines around some that changed, by their place in the run of both sides."""

    name: str
    first: int
    last: int
    changed: list[int]


class Merged:
    """One changed text file."""

    def __init__(self, file: FileChange, old: bytes, new: bytes, redactor: Redactor) -> None:
        self._old, self._new = Excerpts(redactor, old), Excerpts(redactor, new)
        removed = {number for hunk in file.hunks for number, _ in hunk.removed}
        added = {number for hunk in file.hunks for number, _ in hunk.added}
        self._lines = list(_walk(removed, added, self._old.count, self._new.count))
        code = file.path.endswith((".c", ".h"))
        self._before, self._after = (_functions(side) if code else [] for side in (old, new))

    @property
    def changed(self) -> tuple[str, str]:
        """The text that is gone, and that is new."""
        old = self._old.some((line.old for line in self._lines if line.mark == "-"), LINE_CHARACTERS)
        new = self._new.some((line.new for line in self._lines if line.mark == "+"), LINE_CHARACTERS)
        return "\n".join(old.values()), "\n".join(new.values())

    def pieces(self, most_lines: int) -> Iterator[Piece]:
        """What changed, function by function; of a function with more lines than `most_lines`, the surroundings of what changed.

        What is still longer comes in several pieces.
        """
        for span in self._spans():
            first, last, changed = span.first, span.last, span.changed
            near = {
                near_number
                for number in changed
                for near_number in range(number - CONTEXT, number + CONTEXT + 1)
                if first <= near_number <= last
            }
            short = near | ({first, min(first + 1, last)} if span.name else set())
            whole = set(range(first, last + 1))
            if len(whole) > most_lines:
                wide = max(CONTEXT, most_lines // (4 * len(changed)))
                reach = {near_number for number in changed for near_number in range(number - wide, number + wide)}
                whole = short | {near_number for near_number in reach if first <= near_number <= last}
            ordered = sorted(whole)
            for begin in range(0, len(ordered), 2 * most_lines):
                part = ordered[begin : begin + 2 * most_lines]
                yield self._piece(span.name, part, [at for at in part if at in short])

    def _spans(self) -> list[_Span]:
        """The functions that changed lines are in, and the lines near those that are in none; in their order, none over another."""
        spans: list[_Span] = []
        for number in (at for at, line in enumerate(self._lines) if line.mark != " "):
            before = spans[-1] if spans else None
            if before and before.name and number <= before.last:
                before.changed.append(number)
                continue
            if before and number == before.last + 1 and self._is_blank(number):
                before.last = number
                before.changed.append(number)
                continue
            name, first, last = self._around(number)
            if before and first <= before.last + (not name and not before.name):
                if (not name and not before.name) or (name and before.changed[-1] >= first):
                    before.name, before.last = before.name or name, max(before.last, last)
                    before.changed.append(number)
                    continue
                if name:
                    before.last = first - 1
                else:
                    first = before.last + 1
            spans.append(_Span(name, first, last, [number]))
        return spans

    def _is_blank(self, number: int) -> bool:
        line = self._lines[number]
        return self._old.is_blank(line.old) if line.mark == "-" else self._new.is_blank(line.new)

    def _piece(self, name: str, whole: Sequence[int], short: Sequence[int]) -> Piece:
        begin, end = self._lines[whole[0]], self._lines[whole[-1]]
        text, less = self._shown(whole), self._shown(short[:_SHORT_LINES])
        if len(short) > _SHORT_LINES:
            less += "\n..."
        return Piece(name, begin.new, max(begin.new, end.new - (end.mark == "-")), text, less if len(less) < len(text) * 0.8 else text)

    def _around(self, number: int) -> tuple[str, int, int]:
        """The function around a line, and where its lines begin and end; where there is none, the lines near it."""
        line = self._lines[number]
        function = _function_at(self._before, line.old) if line.mark == "-" else _function_at(self._after, line.new)
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
        old = self._old.some((merged.old for merged in lines if merged.mark == "-"), LINE_CHARACTERS)
        new = self._new.some((merged.new for merged in lines if merged.mark != "-"), LINE_CHARACTERS)
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


def _functions(data: bytes) -> list[Definition]:
    return [definition for definition in scan(data).definitions if definition.kind is DefinitionKind.FUNCTION]


def _function_at(functions: Sequence[Definition], line: int) -> Definition | None:
    at = bisect.bisect_right(functions, line, key=lambda function: function.first_line) - 1
    return functions[at] if at >= 0 and line <= functions[at].last_line else None


def _walk(removed: set[int], added: set[int], old_lines: int, new_lines: int) -> Iterable[MergedLine]:
    old = new = 1
    while old <= old_lines or new <= new_lines:
        if old in removed and old <= old_lines:
            yield MergedLine("-", old, new)
            old += 1
        elif new in added and new <= new_lines:
            yield MergedLine("+", old, new)
            new += 1
        elif old <= old_lines and new <= new_lines:
            yield MergedLine(" ", old, new)
            old, new = old + 1, new + 1
        else:
            return  # hunks that do not fit the blobs: what is left is not known to have changed
