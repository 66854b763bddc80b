"""The text of makefiles: statements, words, arguments and patterns, by the syntax of GNU make."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.brackets import Brackets

_PARENTHESES, _BRACES, _BOTH = Brackets("(", ")"), Brackets("{", "}"), Brackets("({", ")}")
_COMMENT = lazy_re.compile(r"(?<!\\)#.*", re.DOTALL)
_INCLUDE_PATH = lazy_re.compile(rb"-I[ \t]*[^\s]+|(?m:#.*$)")
_ELSEWHERE = lazy_re.compile(rb"\.\.|\b(?:srctree|objtree|VPATH|vpath|CURDIR|abspath|realpath|abs_\w+)\b")


def statements(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a makefile with their numbers, joined where a backslash ends one, without comments."""
    lines = text.split("\n")
    number, total = 0, len(lines)
    while number < total:
        line = lines[number]
        number += 1
        first = number
        if line.endswith("\\"):
            parts = [line[:-1]]
            while number < total:
                line = lines[number]
                number += 1
                parts.append(line[:-1] if line.endswith("\\") else line)
                if not line.endswith("\\"):
                    break
            line = " ".join(parts)
        if "#" in line:
            line = _COMMENT.sub("", line, count=1)
        if line.strip():
            yield first, line.rstrip()


def closing(text: str, opening: int) -> int:
    """The offset of the bracket that closes the one at `opening`; other kinds of brackets do not count. -1 if nothing closes it."""
    return (_PARENTHESES if text[opening] == "(" else _BRACES).closing(text, opening)


def words(text: str) -> Iterator[str]:
    """The words of a text; a reference in brackets is one word, with its spaces."""
    start, depth = -1, 0
    for position, char in enumerate(text):
        if char in "({":
            depth += 1
        elif char in ")}":
            depth -= 1
        if char.isspace() and depth <= 0:
            if start >= 0:
                yield text[start:position]
                start = -1
        elif start < 0:
            start = position
    if start >= 0:
        yield text[start:]


def arguments(text: str) -> list[str]:
    """The arguments of a function, split at the commas outside of brackets."""
    return [argument for argument, _ in _BOTH.split(text)]


def sides(rest: str) -> tuple[str, str]:
    """The two sides of `ifeq (A,B)` or `ifeq "A" "B"`. Raises ValueError."""
    if rest.startswith("("):
        end = closing(rest, 0)
        parts = arguments(rest[1:end]) if end > 0 else []
        if len(parts) >= 2:
            return parts[0], ",".join(parts[1:])
    quoted = re.match(r"([\"'])(.*?)\1\s+([\"'])(.*?)\3", rest)
    if quoted:
        return quoted[2], quoted[4]
    raise ValueError("not a comparison")


def patsubst(pattern: str, replacement: str, word: str) -> str:
    """The value of `$(patsubst PATTERN,REPLACEMENT,WORD)` for one word."""
    if "%" not in pattern:
        return replacement if word == pattern else word
    before, _, after = pattern.partition("%")
    if len(word) < len(before) + len(after) or not word.startswith(before) or not word.endswith(after):
        return word
    return replacement.replace("%", word[len(before) : len(word) - len(after)], 1)


def fits(pattern: str, word: str) -> bool:
    """Whether a word matches a pattern, in which `%` stands for any text."""
    before, percent, after = pattern.partition("%")
    if not percent:
        return word == pattern
    return len(word) >= len(before) + len(after) and word.startswith(before) and word.endswith(after)


def leads_elsewhere(makefile: bytes) -> bool:
    """Whether a makefile may name a file that is not below its own directory."""
    return _ELSEWHERE.search(_INCLUDE_PATH.sub(b"", makefile)) is not None
