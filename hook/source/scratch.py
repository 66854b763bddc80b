"""Scratch: a temporary directory for one run, removed after it, or by a later run if this one was killed."""

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
_ALIVE_SECONDS = 60.0  # more than a live process needs between making the directory and locking it


@contextlib.contextmanager
def directory(repo: Repository) -> Iterator[pathlib.Path]:
    """A new empty directory beside our state, or in the system's temporary directory if `.git` cannot be written to.

    Directories of killed runs are removed too: the lock on a file in each shows whether its owner is alive.
    """
    root = repo.state_dir / "tmp"
    try:
        root.mkdir(parents=True, exist_ok=True)
        run_directory, lock = _make(root)
    except OSError:
        with tempfile.TemporaryDirectory(prefix="patch-triage-", ignore_cleanup_errors=True) as elsewhere:
            yield pathlib.Path(elsewhere).resolve()
        return
    try:
        _sweep(root)
        yield run_directory / "files"
    finally:
        shutil.rmtree(run_directory, ignore_errors=True)
        os.close(lock)


def _make(root: pathlib.Path) -> tuple[pathlib.Path, int]:
    private = pathlib.Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=root))
    lock = -1
    try:
        (private / "files").mkdir()
        lock = os.open(private / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # other runs remove a directory of this name unless it is locked, so it gets the name after the lock
        run_directory = root / (_LOCKED + private.name.removeprefix(_UNFINISHED))
        private.rename(run_directory)
    except OSError:
        if lock >= 0:
            os.close(lock)
        shutil.rmtree(private, ignore_errors=True)
        raise
    return run_directory, lock


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
