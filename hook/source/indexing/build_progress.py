"""Build progress: the progress of the process that makes the index, shown to other processes by a file beside the index."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

import msgspec

from hook.source import index, own_files

_PROGRESS_BYTES = 4096


class Progress(msgspec.Struct, frozen=True):
    """The progress of the process that makes the index."""

    process: int
    tree: str
    done: int  # blobs
    total: int


@contextlib.contextmanager
def reported(index_files: index.Files, tree: str, progress: Callable[[int, int], None]) -> Iterator[Callable[[int, int], None]]:
    """A function that reports the blobs done and their total to `progress`, and to other processes."""
    own_files.remove(index_files.progress)
    handle = own_files.open_lock(index_files.progress, 0o644)

    def tell(done: int, total: int) -> None:
        os.pwrite(handle, msgspec.json.encode(Progress(os.getpid(), tree, done, total)).ljust(_PROGRESS_BYTES), 0)
        progress(done, total)

    try:
        yield tell
    finally:
        os.close(handle)
        own_files.remove(index_files.progress)


def read(index_files: index.Files) -> Progress:
    """The progress that the process has reported; zero if it has only just begun."""
    try:
        return msgspec.json.decode(own_files.read(index_files.progress, _PROGRESS_BYTES) or b"", type=Progress)
    except (OSError, msgspec.MsgspecError):
        return Progress(0, "", 0, 0)
