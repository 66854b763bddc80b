"""Brackets: the closing one for an opening one, and the parts of a text between the commas outside of brackets.

Each kind of text says which brackets count and whether string literals are skipped; the counting is the same for all.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator
from typing import AnyStr, Generic, cast

from hook import lazy_re

LONGEST_ARGUMENTS = 16 << 10  # bytes between the parentheses of a call
_MOST_LEVELS = 12  # brackets inside each other that `outwards` follows
_LITERAL = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|'
_MARK = lazy_re.compile(rb"[(){}\[\];,]")
_PARENTHESIS = lazy_re.compile(rb"[()]")


class Brackets(Generic[AnyStr]):
    """The brackets that count in one kind of text. Different kinds of brackets are not distinguished."""

    def __init__(self, opening: AnyStr, closing: AnyStr, *, skips_literals: bool = False) -> None:
        self._opening: AnyStr = opening
        self._closing: AnyStr = closing
        self._literal = _LITERAL if skips_literals else ""

    @functools.cached_property
    def _brackets(self) -> re.Pattern[AnyStr]:
        return self._marks("")

    @functools.cached_property
    def _brackets_and_commas(self) -> re.Pattern[AnyStr]:
        return self._marks(",")

    def _marks(self, others: str) -> re.Pattern[AnyStr]:
        either: str | bytes = self._opening + self._closing
        brackets = either if isinstance(either, str) else either.decode("ascii")
        pattern = f"{self._literal}[{re.escape(brackets + others)}]"
        compiled = re.compile(pattern) if isinstance(either, str) else re.compile(pattern.encode("ascii"))
        return cast(re.Pattern[AnyStr], compiled)

    def closing(self, text: AnyStr, opening: int, end: int = sys.maxsize) -> int:
        """The offset of the bracket that closes the one at `opening`; -1 if there is none before `end`."""
        depth = 0
        for mark in self._brackets.finditer(text, opening, end) if opening >= 0 else ():
            if mark[0] in self._opening:
                depth += 1
            elif mark[0] in self._closing:
                depth -= 1
                if depth == 0:
                    return mark.start()
        return -1

    def split(self, text: AnyStr) -> list[tuple[AnyStr, int]]:
        """The parts of a text between the commas outside of brackets, each with its offset."""
        parts: list[tuple[AnyStr, int]] = []
        depth = start = 0
        for mark in self._brackets_and_commas.finditer(text):
            if mark[0] in self._opening:
                depth += 1
            elif mark[0] in self._closing:
                depth -= 1
            elif depth == 0 and len(mark[0]) == 1:
                parts.append((text[start : mark.start()], start))
                start = mark.end()
        parts.append((text[start:], start))
        return parts


# for code whose strings are blanked
PARENTHESES = Brackets(b"(", b")")
BRACES = Brackets(b"{", b"}")
_CODE = Brackets(b"([{", b")]}")
# for text with strings; `closing` is never used for a subscript, but a subscript may have commas in it
_TEXT = Brackets("({", ")}", skips_literals=True)
_LIST = Brackets("({[", ")}]", skips_literals=True)


def closing(text: str, opening: int) -> int:
    """The offset that closes the parenthesis or brace at `opening`, in a text with strings; -1 if it is not closed."""
    return _TEXT.closing(text, opening)


def elements(text: str) -> list[tuple[str, int]]:
    """The elements of a list in a text with strings, each with its offset; blanks after the last comma are no element."""
    parts = _LIST.split(text)
    return parts if parts[-1][0].strip() else parts[:-1]


def end_of_call(code: bytes, opening: int) -> int:
    """The offset that closes the parenthesis of a call; -1 if it is not closed within LONGEST_ARGUMENTS."""
    return PARENTHESES.closing(code, opening, opening + LONGEST_ARGUMENTS)


def arguments(code: bytes, opening: int) -> list[bytes]:
    """The arguments of a call with the parenthesis at `opening`; none if it is not closed."""
    end = end_of_call(code, opening)
    return split_arguments(code[opening + 1 : end]) if end >= 0 else []


def split_arguments(text: bytes) -> list[bytes]:
    """The arguments in the text between the parentheses of a call."""
    return [argument.strip() for argument, _ in _CODE.split(text)]


def outermost(text: bytes) -> list[tuple[int, int]]:
    """The offsets of the outermost pairs of parentheses; none if the parentheses do not balance."""
    depth, opening, pairs = 0, 0, []
    if text.count(b"(") == text.count(b")") == 1 and text.find(b"(") < text.find(b")"):
        return [(text.find(b"("), text.find(b")"))]
    for mark in _PARENTHESIS.finditer(text) if b"(" in text else ():
        if mark[0] == b"(":
            if depth == 0:
                opening = mark.start()
            depth += 1
        else:
            depth -= 1
            if depth == 0:
                pairs.append((opening, mark.start()))
    return pairs if depth == 0 else []


def outwards(code: bytes, begin: int, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """The brackets around an offset, the innermost first, and last the semicolon before its statement; each with its offset, and the number
    of commas between it and the next inner one.
    """
    depth = commas = levels = 0
    for match in reversed(list(_MARK.finditer(code, begin, offset))):
        mark = match[0]
        if mark in (b")", b"]", b"}"):
            depth += 1
        elif mark in (b"(", b"[", b"{"):
            if depth:
                depth -= 1
                continue
            levels += 1
            if levels > _MOST_LEVELS:
                return
            yield mark, match.start(), commas
            commas = 0
        elif depth == 0 and mark == b",":
            commas += 1
        elif depth == 0 and mark == b";":
            yield mark, match.start(), commas
            return
