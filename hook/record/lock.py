"""Our lock in the common git directory: one writer of records at a time, freed by the system when its holder dies.

While a ref is being updated the file has a journal line, so that the next holder can distinguish a ref lock that a killed process of ours
has left from that of another program.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pathlib
import time
from collections.abc import Iterator

from hook.source import own_files
from hook.source.git import Repository

_POLL_SECONDS = 0.01
_LEFT_ALONE_SECONDS = 1.0


class Locked(Exception):
    """Another process of ours is writing records and does not finish in time."""


@contextlib.contextmanager
def held(repo: Repository, seconds: float) -> Iterator[int]:
    """Hold the lock; yields its file descriptor. Raises Locked after `seconds`, OSError if the file cannot be made."""
    handle = own_files.open_lock(repo.state_dir / "lock", 0o644)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Locked(f"another patch-triage still writes records after {seconds:g} s") from None
                time.sleep(_POLL_SECONDS)
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def updating(handle: int, ref_lock: pathlib.Path) -> Iterator[None]:
    """Note in the lock file that a ref is being updated; first remove the ref lock that a killed process of ours has left."""
    _repair(handle, ref_lock)
    os.pwrite(handle, b"updating\n", 0)
    try:
        yield
    finally:
        os.ftruncate(handle, 0)


def _repair(handle: int, ref_lock: pathlib.Path) -> None:
    if os.pread(handle, 16, 0) != b"updating\n":
        return
    since = os.fstat(handle).st_mtime
    try:
        before = ref_lock.stat()
        if before.st_mtime + 0.1 < since:
            return  # it is older than our update: of another program
        time.sleep(_LEFT_ALONE_SECONDS)
        if ref_lock.stat().st_mtime == before.st_mtime and ref_lock.stat().st_ino == before.st_ino:
            ref_lock.unlink()
    except FileNotFoundError:
        return
