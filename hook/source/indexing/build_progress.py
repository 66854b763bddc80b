"""Build progress: how far the process that makes the index has come, told to the others through a file beside the index."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import msgspec

from hook.source import index, own_files

_PROGRESS_BYTES = 4096


class Progress(msgspec.Struct, frozen=True):
    """How far the process that makes the index has come."""

    process: int
    tree: str
    done: int  # blobs
    total: int


@contextlib.contextmanager
def told(where: index.Files, tree: str, progress: Callable[[int, int], None]) -> Iterator[Callable[[int, int], None]]:
    """What tells `progress`, and other processes too, how many blobs are done and of how many."""
    own_files.remove(where.progress)
    handle = own_files.open_lock(where.progress, 0o644)

    def tell(done: int, total: int) -> None:
        os.pwrite(handle, msgspec.json.encode(Progress(os.getpid(), tree, done, total)).ljust(_PROGRESS_BYTES), 0)
        progress(done, total)

    try:
        yield tell
    finally:
        os.close(handle)
        own_files.remove(where.progress)


def read(where: index.Files) -> Progress:
    """What the process that makes the index has told; nothing where it has only just begun."""
    try:
        return msgspec.json.decode(own_files.read(where.progress, _PROGRESS_BYTES) or b"", type=Progress)
    except (OSError, msgspec.MsgspecError):
        return Progress(0, "", 0, 0)
