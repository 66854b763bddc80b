"""The index in the background: whether it is due, and how it is made while nobody waits."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
import typing

from hook import lazy_re
from hook.processes import own_python
from hook.source.git import Repository
from hook.source.indexing import FORMAT, ubiquitous_names
from hook.source.object_store import Objects
from hook.source.tree import Source

if typing.TYPE_CHECKING:
    from hook.source.indexing.build_progress import Progress

_SEALED_FORMAT = lazy_re.compile(rb'"format": (\d{1,9}),')
_WORTH_CHANGED = 300  # files by which HEAD may differ from the indexed tree
_LOOK_AGAIN_SECONDS = 3600.0
_MAKING_SECONDS = 120.0  # between the seal and the file of ubiquitous functions


def is_due(repo: Repository) -> bool:
    """Whether the tree is large, and not indexed or far from the indexed one. At every `check`; mostly it costs a look at the seal."""
    try:
        if not repo.index_path.exists() or Source(Objects(repo, 0), "").is_small:
            return False
        seal = repo.index_directory / "seal"
        is_whole = ubiquitous_names.are_kept(repo)
        if _is_sealed(seal):
            if time.time() - seal.stat().st_mtime < (_LOOK_AGAIN_SECONDS if is_whole else _MAKING_SECONDS):
                return False
            os.utime(seal)
    except OSError:
        return False
    from hook.source import index

    try:
        opened = index.open_index(repo)
    except index.NoIndex:
        from hook.source.indexing import index_writer  # it brings multiprocessing along

        return not index_writer.is_made_now(repo)
    try:
        return not is_whole or opened.distance("HEAD") > _WORTH_CHANGED
    except index.NoIndex:
        return True
    finally:
        opened.close()


def _is_sealed(seal: pathlib.Path) -> bool:
    """Whether there is an index, by its seal. One of an earlier format has to be made anew, one of a later format is left alone."""
    try:
        match = _SEALED_FORMAT.search(seal.read_bytes())
    except FileNotFoundError:
        return False
    return match is not None and int(match[1]) >= FORMAT


def is_missing(repo: Repository) -> bool:
    """Whether the tree is large and has no index, and no process is making one. If there is one, it costs a look at its seal."""
    try:
        if _is_sealed(repo.index_directory / "seal") or not repo.index_path.exists() or Source(Objects(repo, 0), "").is_small:
            return False
    except OSError:
        return False
    from hook.source.indexing import index_writer

    return not index_writer.is_made_now(repo)


def will_come(repo: Repository) -> bool:
    """Whether a process makes the index now, or the next hook starts one. None does where there is one that is of no use here."""
    from hook.source.indexing import index_writer

    return is_missing(repo) or index_writer.is_made_now(repo)


def progress(repo: Repository) -> Progress | None:
    """The progress of the process that makes the index; None if there is none."""
    from hook.source import index
    from hook.source.indexing import build_progress, index_writer

    return build_progress.read(index.files(repo)) if index_writer.is_made_now(repo) else None


def start(repo: Repository) -> None:
    """Make the index of HEAD in a process of its own, at the lowest priority; it goes on when this one has ended. Raises OSError."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    subprocess.Popen(
        own_python.command("-m", "hook", "index", "--quiet", "--background"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=repo.git_dir,
        env=env,
        start_new_session=True,
    )
