"""Words: what a file is found by in the index.

A word is a run of ASCII letters, digits and underscores, as `git grep -w` sees it, in lower case. Plain numbers are no words: nobody looks
for them, and there are millions. A name that the file defines is told again behind a colon.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.definitions import defined_names

_FOLD = bytes(
    byte + 32 if 65 <= byte <= 90 else byte if 48 <= byte <= 57 or 97 <= byte <= 122 or byte == 0x5F else 32 for byte in range(256)
)
_NUMBER = lazy_re.compile(rb"[0-9][0-9a-fxul]*\Z")
_PIECE_BYTES = 1 << 20
_BINARY_WITHIN = 8000  # bytes in which git looks for a NUL
DEFINED = ":"


def is_binary(data: bytes) -> bool:
    """Whether git takes this for a binary file, which no search looks into."""
    return b"\0" in data[:_BINARY_WITHIN]


def words(data: bytes, path: str, *, definitions: bool) -> bytes:
    """The words of a file, each once, with a space between; with the names it defines, if `definitions`."""
    found: set[bytes] = set()
    for piece in _pieces(data.translate(_FOLD)):
        found.update(word for word in set(piece.split()) if word[0] > 0x39 or not _NUMBER.match(word))
    if definitions:
        found.update(b":" + name.lower() for name in defined_names(data, path))
    return b" ".join(found)


def language(path: str) -> str:
    """What a file's name says of how its definitions are found; empty where it defines nothing."""
    name = path.rpartition("/")[2]
    if name.endswith((".c", ".h")):
        return "c"
    if name.endswith(".S"):
        return "assembly"
    return "kconfig" if name.startswith("Kconfig") else ""


def _pieces(folded: bytes) -> Iterator[bytes]:
    """The text in pieces that end between words, so that a large file needs little more memory than itself."""
    at = 0
    while len(folded) - at > _PIECE_BYTES:
        end = folded.rfind(b" ", at, at + _PIECE_BYTES)
        end = folded.find(b" ", at + _PIECE_BYTES) if end <= at else end
        if end < 0:
            break
        yield folded[at:end]
        at = end
    yield folded[at:]


def is_number(text: str) -> bool:
    """Whether a word that holds this may be a plain number, which the index leaves out."""
    return re.fullmatch(r"[0-9a-fxul]+", text.lower()) is not None
