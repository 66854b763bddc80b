"""Our own files under .git, read as untrusted: a power cut, a full disk or a hand may have left anything in their place.

What we would not have written is put aside under another name; one line says so, and the file is made anew.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import stat
import sys

_SPARE_BYTES = 1 << 20  # of a disk are git's: with less we write nothing
_told: set[str] = set()


def tell_once(line: str) -> None:
    """Say a line beside the output, once for a process."""
    if line not in _told:
        _told.add(line)
        shown = "".join(char for char in line if char.isprintable())
        print(f"patch-triage: {shown}", file=sys.stderr)


def read(path: pathlib.Path, most_bytes: int) -> bytes | None:
    """The content of a file of ours, None where there is none, or something else in its place. No link is followed. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as wrong:
        if wrong.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        put_aside(path, "is no file of ours")
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            put_aside(path, "is no file of ours")
            return None
        data = b""
        while len(data) <= most_bytes and (piece := os.read(handle, most_bytes + 1 - len(data))):
            data += piece
    finally:
        os.close(handle)
    if len(data) > most_bytes:
        put_aside(path, f"has more than {most_bytes} bytes")
        return None
    return data


def put_aside(path: pathlib.Path, why: str) -> None:
    """Let what is there be known by another name, and say so."""
    for name in (f"{path.name}.damaged", f"{path.name}.damaged-{os.getpid()}"):
        with contextlib.suppress(OSError):  # not ours to rename, or something else in the way
            os.replace(path, path.with_name(name))
            tell_once(f"{path} {why}: put aside as {name}, and made anew")
            return


def write(path: pathlib.Path, data: bytes) -> None:
    """Put a file in place in one step: whoever reads it sees the old content or the new. Raises OSError."""
    import tempfile  # a third of what the smallest command imports

    spare(path)
    make_directory(path.parent)
    handle, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        try:
            os.replace(name, path)
        except IsADirectoryError:
            put_aside(path, "is no file of ours")
            os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def spare(path: pathlib.Path) -> None:
    """Raise OSError where the disk that holds `path` has so little room that git may need it for the commit under way."""
    there = next((part for part in path.parents if part.is_dir()), pathlib.Path("/"))
    room = os.statvfs(there)
    if room.f_bavail * room.f_frsize < _SPARE_BYTES:
        raise OSError(errno.ENOSPC, f"less than {_SPARE_BYTES >> 20} MB is free, and left to git", str(path))


def remove(path: pathlib.Path) -> None:
    """Take a file away, whatever is there. Raises OSError."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        if not path.is_dir():
            raise
        put_aside(path, "is no file of ours")


def open_lock(path: pathlib.Path, mode: int = 0o600) -> int:
    """A descriptor of a file to be locked, which is made where there is none. Raises OSError."""
    make_directory(path.parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, mode)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return handle
        os.close(handle)
    except OSError as wrong:
        if wrong.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
    put_aside(path, "is no file of ours")
    return os.open(path, flags, mode)


def make_directory(path: pathlib.Path) -> None:
    """Make a directory and those above it, where they are not there; in ours, what is in the way is put aside. Raises OSError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        above = [*reversed(path.parents), path]
        ours = next((at for at, part in enumerate(above) if part.name == "patch-triage" and (part.parent / "HEAD").is_file()), len(above))
        for part in above[ours:]:
            if os.path.lexists(part) and not part.is_dir():
                put_aside(part, "is no directory of ours")
                break
        path.mkdir(parents=True, exist_ok=True)
