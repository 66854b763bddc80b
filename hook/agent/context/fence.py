"""The fence: the two lines between which a model is shown what others have written, the change and the tree.

The line holds a hash of the data that a conversation begins with, so that no text in it can know the line; should data hold it all the
same, the first is hashed anew, and what comes later is shown without it. It is made of the content alone: the same question is the same
request, whose answer may be known already.
"""

from __future__ import annotations

import hashlib

_DIGITS = 24  # of the hash
_GONE = "[no fence]"


def fence(*data: str) -> str:
    """A line that none of `data` holds."""
    digest = hashlib.sha256(repr(data).encode("utf-8", "replace"))
    while any(digest.hexdigest()[:_DIGITS] in text for text in data):
        digest.update(b"again")
    return f"=== data {digest.hexdigest()[:_DIGITS]} ==="


def without(line: str, text: str) -> str:
    """`text`, which may have been written by somebody who knows the fence, without it."""
    return text.replace(line.split()[2], _GONE)


def fenced(line: str, text: str) -> str:
    """`text` between two lines of a fence."""
    inside = without(line, text).rstrip("\n")
    return f"{line}\n{inside}\n{line}"
