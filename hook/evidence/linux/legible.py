"""Legible: whether a text is such that searches with patterns take time in step with its length.

The files that proofs are looked for in may be anybody's. A name of a megabyte, or as much white space, makes a pattern that begins with one
or the other take the square of it; no source file of the kernel has either (in Linux 6.12 the longest name has 152 bytes, no run of
blanks has 200, and none of parentheses more than 101). A file that is not legible is one that cannot be read: what rests on it stays open.
"""

from __future__ import annotations

import re

_LONG = re.compile(rb"\w{1024}|\s{4096}|[(){}\[\]]{4096}")


def is_legible(data: bytes) -> bool:
    """Whether no run in a text is longer than anything in a source file."""
    return _LONG.search(data) is None
