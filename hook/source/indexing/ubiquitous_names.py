"""The names of the functions that nearly every program runs, kept beside the word index. With both, no better answer is possible later.

hook.evidence.focus.ubiquity finds them after the index is made. A focus depends on them, so each answer is an input of the verdict.
"""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Iterable

from hook.source import own_files
from hook.source.git import Repository

ASKED = "\0ubiquitous "  # before PATH NAME, in the inputs of a verdict
_FORMAT = b"ubiquitous functions, format 3\n"  # the first line of the file
_MOST_BYTES = 4 << 20


def file(repo: Repository) -> pathlib.Path:
    """The file of the names."""
    return repo.index_directory / "ubiquitous"


def keep(repo: Repository, functions: Iterable[tuple[str, str]]) -> None:
    """Store the functions, each as its file and its name. Raises OSError."""
    names = "".join(f"{path} {name}\n" for path, name in sorted(functions))
    own_files.write(file(repo), _FORMAT + names.encode("utf-8", "surrogateescape"))


def are_kept(repo: Repository) -> bool:
    """Whether the names are stored, in the format of this program."""
    return bool(_kept(repo))


def of_file(repo: Repository, path: str) -> frozenset[str]:
    """Those of the functions that a file defines; none if no names are stored."""
    defined = re.findall(rb"(?m)^" + re.escape(f"{path} ".encode("utf-8", "surrogateescape")) + rb"(\w+)$", _kept(repo))
    return frozenset(name.decode("ascii") for name in defined)


def answer(repo: Repository, function: str) -> str:
    """`yes` or `no` for PATH NAME; empty if no names are stored."""
    names = _kept(repo)
    if not names:
        return ""
    return "yes" if f"\n{function}\n".encode("utf-8", "surrogateescape") in names else "no"


def _kept(repo: Repository) -> bytes:
    path = file(repo)
    try:
        status = path.lstat()
        return _read(path, (status.st_mtime_ns, status.st_size, status.st_ino))
    except OSError:
        return b""


@functools.lru_cache(maxsize=1)
def _read(path: pathlib.Path, fingerprint: tuple[int, ...]) -> bytes:
    """The content of the file with this time, size and inode; empty if it has another format. Raises OSError."""
    content = own_files.read(path, _MOST_BYTES) or b""
    return content if content.startswith(_FORMAT) else b""
