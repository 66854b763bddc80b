"""Legible: whether searches with patterns take time linear in the length of a text.

The files that are searched for proofs are untrusted. With a name of a megabyte, or as much white space, a pattern that begins with either
takes quadratic time. No source file of the kernel has such a run: in Linux 6.12 the longest name has 152 bytes, no run of blanks has 200,
and none of parentheses more than 101. A file that is not legible counts as one that cannot be read: what depends on it stays open.
"""

from __future__ import annotations

_BLANKS, _BRACKETS = b" \t\n\r\v\f", b"(){}[]"
_NAMES = b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# each byte mapped to one byte of its kind; other bytes stay
_KINDS = bytes.maketrans(_BLANKS + _BRACKETS + _NAMES, b" " * len(_BLANKS) + b"(" * len(_BRACKETS) + b"_" * len(_NAMES))
_TOO_LONG = (b"_" * 1024, b" " * 4096, b"(" * 4096)


def is_legible(data: bytes) -> bool:
    """Whether no run of a text is longer than in any source file."""
    kinds = data.translate(_KINDS)
    return not any(run in kinds for run in _TOO_LONG)
