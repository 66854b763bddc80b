"""The comparison: what is known of two versions of one text file."""

from __future__ import annotations

import msgspec


class Comparison(msgspec.Struct, frozen=True):
    """Whether a kernel built from either version is proved to be the same, and where the versions first differ."""

    same: bool  # proved; False says only that there is no proof
    change_class: str  # "white space", "comment", "documentation comment", "help text", "prompt text"; empty unless `same`
    first_new_line: int  # from 1; of the first differing token, or where all tokens are the same, of the first differing character
    why: str
    read: bool = True  # whether both versions were understood, so that another look may prove more


class Unreadable(ValueError):
    """A text that the reader here does not fully understand, so that nothing is proved of it; the sentence says why."""


def common_prefix(old: bytes, new: bytes) -> int:
    """How many bytes the two have in common at their beginning."""
    low, high = 0, min(len(old), len(new))
    while low < high:
        middle = (low + high + 1) // 2
        if old[low:middle] == new[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def common_suffix(old: bytes, new: bytes) -> int:
    """How many bytes the two have in common at their end."""
    return common_prefix(old[::-1], new[::-1])


def first_line(old: bytes, new: bytes) -> int:
    """The line of the first character that differs."""
    return old.count(b"\n", 0, common_prefix(old, new)) + 1
