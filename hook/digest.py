"""SHA-1 and SHA-256 of the standard library, for keys of ours and ids of git.

`hashlib` gives the same, but loads OpenSSL first, which costs a commit as much as a question to git.
"""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    from hashlib import sha1, sha256
else:
    try:
        from _sha1 import sha1

        try:
            from _sha2 import sha256  # Python 3.12
        except ImportError:
            from _sha256 import sha256
    except ImportError:  # a Python that was built without them
        from hashlib import sha1, sha256

__all__ = ("of_git", "sha1", "sha256")


def of_git(object_format: str, data: bytes) -> bytes:
    """The hash by which git names an object in a repository of this format."""
    return (sha256 if object_format == "sha256" else sha1)(data, usedforsecurity=False).digest()
