"""Scratch: a directory of our own for one run, gone after it, even if the run was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Iterator

from hook.source.git import Repository

_LOCK = "lock"
_UNFINISHED = "new-"  # its owner has not taken the lock yet
_LOCKED = "run-"
# between two steps of a process that is alive there is less than this
_ALIVE_SECONDS = 60.0


@contextlib.contextmanager
def directory(repo: Repository) -> Iterator[pathlib.Path]:
    """A new empty directory beside our state, or in the system's temporary directory where `.git` cannot be written.

    Directories that killed runs left behind are removed on the way: the lock on a file in each says whether its owner lives.
    """
    root = repo.state_dir / "tmp"
    try:
        root.mkdir(parents=True, exist_ok=True)
        made, lock = _make(root)
    except OSError:
        with tempfile.TemporaryDirectory(prefix="patch-triage-", ignore_cleanup_errors=True) as elsewhere:
            yield pathlib.Path(elsewhere).resolve()
        return
    try:
        _sweep(root)
        yield made / "files"
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(lock)


def _make(root: pathlib.Path) -> tuple[pathlib.Path, int]:
    private = pathlib.Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=root))
    lock = -1
    try:
        (private / "files").mkdir()
        lock = os.open(private / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # sweepers judge this name by its lock, so it appears with the lock taken
        made = root / (_LOCKED + private.name.removeprefix(_UNFINISHED))
        private.rename(made)
    except OSError:
        if lock >= 0:
            os.close(lock)
        shutil.rmtree(private, ignore_errors=True)
        raise
    return made, lock


def _sweep(root: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        for name in os.listdir(root):
            if name.startswith((_LOCKED, _UNFINISHED)) and _abandoned(root / name):
                shutil.rmtree(root / name, ignore_errors=True)


def _abandoned(path: pathlib.Path) -> bool:
    old = False
    try:
        old = time.time() - path.stat().st_mtime > _ALIVE_SECONDS
        if path.name.startswith(_UNFINISHED) and not old:
            return False
        lock = os.open(path / _LOCK, os.O_RDWR)
    except FileNotFoundError:
        return old
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
