"""Word places: where a word stands in a text."""

from __future__ import annotations

import sys
from collections.abc import Iterator

_IN_WORD = frozenset(bytes((byte,)) for byte in range(128) if chr(byte).isalnum() or byte == 0x5F)


def places(text: bytes, name: str, start: int = 0, end: int = sys.maxsize) -> Iterator[int]:
    """Where a word stands. (A search for its bytes is several times as fast as one for a regular expression.)"""
    wanted = name.encode("ascii")
    at = text.find(wanted, start, end)
    while at >= 0:
        after = at + len(wanted)
        if text[at - 1 : at] not in _IN_WORD and text[after : after + 1] not in _IN_WORD:
            yield at
        at = text.find(wanted, after, end)
