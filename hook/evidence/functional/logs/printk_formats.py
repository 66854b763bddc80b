"""Printk formats: the conversions of a format, as vsnprintf() of lib/vsprintf.c reads them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from hook import lazy_re

_ESCAPE = lazy_re.compile(rb"\\(?:x([0-9a-fA-F]+)|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v", b"e": b"\x1b"}
_CONVERSION = lazy_re.compile(
    rb"%[-+ #0]*(?P<width>\*|\d*)(?P<precision>\.(?:\*|\d*))?(?P<size>hh|h|ll|l|z|t)?(?P<type>[cdiouxXs%]|p[A-Za-z0-9]*)"
)
_POINTER_VALUES = frozenset((b"p", b"px", b"pK", b"pe"))


class Conversion(msgspec.Struct, frozen=True):
    """One conversion of a format."""

    text: bytes
    counts: int  # arguments for its width and precision
    size: bytes  # `ll` and the like
    type: bytes  # a letter, or `p` with what extends it

    @property
    def prints_memory(self) -> bool:
        """Whether it prints what its argument points to."""
        return self.type == b"s" or (self.type[:1] == b"p" and self.type not in _POINTER_VALUES)


def conversions(strings: Sequence[bytes]) -> tuple[Conversion, ...] | None:
    """The conversions of a format of adjacent string constants, escapes resolved; None where one is not known, or a NUL ends the format."""
    text = b"".join(_unescaped(string[1:-1]) for string in strings)
    if b"\0" in text:
        return None
    found = []
    at = text.find(b"%")
    while at >= 0:
        match = _CONVERSION.match(text, at)
        if match is None:
            return None
        if match["type"] != b"%":
            stars = (match["width"] == b"*") + (match["precision"] == b".*")
            found.append(Conversion(match[0], stars, match["size"] or b"", match["type"]))
        elif match[0] != b"%%":
            return None
        at = text.find(b"%", match.end())
    return tuple(found)


def _unescaped(text: bytes) -> bytes:
    """What stands between the quotes of a string constant, with its escapes resolved (C11 6.4.4.4); an unknown one gives a NUL."""

    def resolved(match: re.Match[bytes]) -> bytes:
        if match[1] or match[2]:
            return bytes([int(match[1], 16) & 255 if match[1] else int(match[2], 8) & 255])
        return _LETTERS.get(match[3], match[3] if match[3] in b"\"'\\?" else b"\0")

    return _ESCAPE.sub(resolved, text)
