"""The names of the functions that nearly every program runs, kept beside the word index: with both, a tree is known as well as it can be.

hook.evidence.focus.ubiquity finds them, after the index is made. A focus depends on them, so each answer is among what was read.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Iterable

from hook.source import own_files
from hook.source.git import Repository
from hook.source.tree import Source

ASKED = "\0ubiquitous "  # before PATH NAME, among what was read
_FORMAT = b"ubiquitous functions, format 1\n"  # how the file begins
_MOST_BYTES = 4 << 20


def file(repo: Repository) -> pathlib.Path:
    """Where they are kept."""
    return repo.index_directory / "ubiquitous"


def keep(repo: Repository, functions: Iterable[tuple[str, str]]) -> None:
    """Keep the functions that were found, each by its file and its name. Raises OSError."""
    names = "".join(f"{path} {name}\n" for path, name in sorted(functions))
    own_files.write(file(repo), _FORMAT + names.encode("utf-8", "surrogateescape"))


def are_kept(repo: Repository) -> bool:
    """Whether the functions were found, by a program that finds the same as this one."""
    return bool(_kept(repo))


def is_ubiquitous(source: Source, path: str, name: str) -> bool:
    """Whether nearly every program runs the function that the file at `path` defines as `name`. Not where no names are kept."""
    function = f"{path} {name}"
    return source.read_blobs.setdefault(ASKED + function, answer(source.repo, function)) == "yes"


def answer(repo: Repository, function: str) -> str:
    """`yes` or `no` for PATH NAME; empty where no names are kept."""
    kept = _kept(repo)
    if not kept:
        return ""
    return "yes" if f"\n{function}\n".encode("utf-8", "surrogateescape") in kept else "no"


def _kept(repo: Repository) -> bytes:
    path = file(repo)
    try:
        look = path.lstat()
        return _read(path, (look.st_mtime_ns, look.st_size, look.st_ino))
    except OSError:
        return b""


@functools.lru_cache(maxsize=1)
def _read(path: pathlib.Path, look: tuple[int, ...]) -> bytes:
    """What the file holds that looks so; empty where another program has written it. Raises OSError."""
    kept = own_files.read(path, _MOST_BYTES) or b""
    return kept if kept.startswith(_FORMAT) else b""
