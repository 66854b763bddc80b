"""The file lock: one holder at a time among all our processes; the system frees it when the holder dies.

The lock is on the open file, not in its text, so no process id has to be trusted.
"""

from __future__ import annotations

import fcntl
import os
import pathlib
import time

from hook.source import own_files

_POLL_SECONDS = 0.02


class Held(Exception):
    """Another process holds the lock."""


def take(path: pathlib.Path, seconds: float = 0.0) -> int:
    """A descriptor of `path` that holds its lock; closing it frees the lock. The holder may remove the file before that.

    Waits for at most `seconds`, then raises Held. Raises OSError if the file cannot be made.
    """
    deadline = time.monotonic() + seconds
    while True:
        handle = own_files.open_lock(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_same_file(handle, path):
                return handle
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(handle)
                raise Held(f"another process holds {path}") from None
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # not free yet, or removed by its last holder while we waited


def _is_same_file(handle: int, path: pathlib.Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
