"""Our own files under .git, read as untrusted: a power cut, a full disk or a person may have left anything in their place.

What we would not have written is renamed; one line says so, and the file is made again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pathlib
import stat
import sys

_SPARE_BYTES = 1 << 20  # of a disk are left to git: with less free space we write nothing
_told: set[str] = set()


def tell_once(line: str) -> None:
    """Print a line to stderr, once per process."""
    if line not in _told:
        _told.add(line)
        printable = "".join(char for char in line if char.isprintable())
        print(f"patch-triage: {printable}", file=sys.stderr)


def database_uri(path: pathlib.Path, query: str) -> str:
    """The name of a database for SQLite, which takes a `?` or `#` in it for its end (https://www.sqlite.org/uri.html)."""
    odd = (b"%", b"?", b"#")
    name = "".join(chr(byte) if byte < 128 and bytes((byte,)) not in odd else f"%{byte:02x}" for byte in os.fsencode(path.absolute()))
    return f"file://{name}?{query}"


def read(path: pathlib.Path, most_bytes: int) -> bytes | None:
    """The content of a file of ours; None if there is none, or something else in its place. No link is followed. Raises OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as wrong:
        if wrong.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        put_aside(path, "is not a file of patch-triage")
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            put_aside(path, "is not a file of patch-triage")
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
    """Rename what is there, and say so."""
    for name in (f"{path.name}.damaged", f"{path.name}.damaged-{os.getpid()}"):
        with contextlib.suppress(OSError):  # not ours to rename, or something else in the way
            os.replace(path, path.with_name(name))
            tell_once(f"{path} {why}: renamed to {name}; a new one is written")
            return


def write(path: pathlib.Path, data: bytes) -> None:
    """Replace a file atomically: a reader sees the old content or the new. Raises OSError."""
    spare(path)
    make_directory(path.parent)
    name = path.with_name(f".new-{os.urandom(8).hex()}")
    handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        try:
            os.replace(name, path)
        except IsADirectoryError:
            put_aside(path, "is not a file of patch-triage")
            os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def spare(path: pathlib.Path) -> None:
    """Raise OSError if the disk of `path` has so little free space that git may need it for the current commit."""
    directory = next((part for part in path.parents if part.is_dir()), pathlib.Path("/"))
    room = os.statvfs(directory)
    if room.f_bavail * room.f_frsize < _SPARE_BYTES:
        raise OSError(errno.ENOSPC, f"less than {_SPARE_BYTES >> 20} MB is free, which is left to git", str(path))


def remove(path: pathlib.Path) -> None:
    """Remove a file; what else is there is renamed. Raises OSError."""
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError):
        if not path.is_dir():
            raise
        put_aside(path, "is not a file of patch-triage")


def remove_oldest(directory: pathlib.Path, most: int, keep: int) -> None:
    """Remove all but the `keep` newest files of a directory with more than `most`, those of a killed writer among them. Raises OSError."""
    names = os.listdir(directory)
    if len(names) <= most:
        return
    aged = []
    for name in names:
        with contextlib.suppress(FileNotFoundError):  # another process has removed it
            aged.append((os.lstat(directory / name).st_mtime, name))
    for _, name in sorted(aged)[: len(aged) - keep]:
        remove(directory / name)


def open_lock(path: pathlib.Path, mode: int = 0o600) -> int:
    """A descriptor of a file to be locked; the file is made if there is none. Raises OSError."""
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
    put_aside(path, "is not a file of patch-triage")
    return os.open(path, flags, mode)


def make_directory(path: pathlib.Path) -> None:
    """Make a directory and those above it, if they do not exist; in our own directory, what is in the way is renamed. Raises OSError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        above = [*reversed(path.parents), path]
        first_of_ours = next(
            (position for position, part in enumerate(above) if part.name == "patch-triage" and (part.parent / "HEAD").is_file()),
            len(above),
        )
        for part in above[first_of_ours:]:
            if os.path.lexists(part) and not part.is_dir():
                put_aside(part, "is no directory of ours")
                break
        path.mkdir(parents=True, exist_ok=True)
