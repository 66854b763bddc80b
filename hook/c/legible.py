"""Legible: whether a text is such that searches with patterns take time in step with its length.

The files that proofs are looked for in may be anybody's. A name of a megabyte, or as much white space, makes a pattern that begins with one
or the other take the square of it; no source file of the kernel has either (in Linux 6.12 the longest name has 152 bytes, no run of
blanks has 200, and none of parentheses more than 101). A file that is not legible is one that cannot be read: what rests on it stays open.
"""

from __future__ import annotations

_BLANKS, _BRACKETS = b" \t\n\r\v\f", b"(){}[]"
_NAMES = b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# each byte as the first of its kind; what is of none stays itself
_KINDS = bytes.maketrans(_BLANKS + _BRACKETS + _NAMES, b" " * len(_BLANKS) + b"(" * len(_BRACKETS) + b"_" * len(_NAMES))
_TOO_LONG = (b"_" * 1024, b" " * 4096, b"(" * 4096)


def is_legible(data: bytes) -> bool:
    """Whether no run in a text is longer than anything in a source file."""
    kinds = data.translate(_KINDS)
    return not any(run in kinds for run in _TOO_LONG)
