"""Words: the terms under which the index knows a file.

A word is a run of ASCII letters, digits and underscores, as for `git grep -w`, in lower case. Plain numbers are left out: nobody searches
for them, and there are millions. In a question, a colon before a word asks for files that define it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re

_FOLD = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if 48 <= byte <= 57 or 97 <= byte <= 122 or byte == 0x5F else 32 for byte in range(256)
)
_NUMBERS = lazy_re.compile(r" ([0-9][0-9a-fxul]*+)(?= )")
_NUMBER = lazy_re.compile(r"[0-9a-fxul]+")
_RUN = lazy_re.compile(r"\w+", re.ASCII)
_PIECE_BYTES = 1 << 15  # the words of a piece fit into the cache of a processor
_BINARY_WITHIN = 8000  # bytes in which git looks for a NUL
DEFINED = ":"


def is_binary(data: bytes) -> bool:
    """Whether this is a binary file for git, which no search reads."""
    return b"\0" in data[:_BINARY_WITHIN]


def words(data: bytes) -> set[str]:
    """The words of a file."""
    distinct: set[str] = set()
    for piece in _pieces(data.translate(_FOLD).decode("ascii")):
        distinct.update(piece.split())
    distinct.difference_update(_NUMBERS.findall(f" {' '.join(distinct)} "))
    return distinct


def words_of(text: str) -> list[str]:
    """The words of a text by which a question may find the files that hold it."""
    return [word for word in _RUN.findall(text) if not (word[0].isdigit() and is_number(word))]


def halves(word: str) -> tuple[str, str]:
    """A word split at the first `__` after its first letter, which both halves keep; the second is empty if there is none.

    Generated headers have a name for each field of each register, `REGISTER__FIELD`. Registers and fields alone are far fewer.
    """
    position = word.find("__", 1)
    return (word[: position + 2], word[position:]) if 0 < position < len(word) - 2 else (word, "")


def language(path: str) -> str:
    """The language of a file by its name, for its definitions; empty if it is none with definitions."""
    name = path.rpartition("/")[2]
    if name.endswith((".c", ".h")):
        return "c"
    if name.endswith(".S"):
        return "assembly"
    return "kconfig" if name.startswith("Kconfig") else ""


def _pieces(folded: str) -> Iterator[str]:
    """The text in pieces that end between words."""
    begin = 0
    while len(folded) - begin > _PIECE_BYTES:
        end = folded.rfind(" ", begin, begin + _PIECE_BYTES)
        end = folded.find(" ", begin + _PIECE_BYTES) if end <= begin else end
        if end < 0:
            break
        yield folded[begin:end]
        begin = end
    yield folded[begin:]


def is_number(text: str) -> bool:
    """Whether a word with this text in it may be a plain number, which the index leaves out."""
    return _NUMBER.fullmatch(text.lower()) is not None
