"""The coverage file that a person has named: read once, and what it says is kept beside our other files.

A large one takes a minute. It is known by its size, its time of change, its beginning and its end.
"""

from __future__ import annotations

import gzip
import os
import pathlib
import stat
import zlib
from typing import BinaryIO, cast

import msgspec

from hook.config import FuzzSettings
from hook.coverage.observations import Coverage, NoCoverage
from hook.digest import sha256
from hook.source import own_files

_FORMAT = 1
_END_BYTES = 64 << 10  # that are looked at, at each end of it
_MOST_KEPT_BYTES = 512 << 20
_LARGE_BYTES = 100 << 20  # of a file: more take seconds, and a person is told
_BYTES_A_SECOND = 36 << 20
_PACKED = b"\x1f\x8b"  # by gzip


def known_by(fuzz: FuzzSettings) -> str:
    """What stands for the content of the coverage file, and of the kernel of its addresses; empty where the file cannot be read."""
    measured = _identity(fuzz.coverage)
    kernel = _identity(fuzz.coverage_vmlinux) if fuzz.coverage_vmlinux else b""
    return sha256(measured + kernel).hexdigest()[:32] if measured else ""


def _identity(path: str) -> bytes:
    """What tells a file from others; empty where it cannot be read."""
    try:
        with _opened(path) as file:
            state = os.fstat(file.fileno())
            beginning = file.read(_END_BYTES)
            file.seek(max(0, state.st_size - _END_BYTES))
            return f"{_FORMAT} {state.st_size} {state.st_mtime_ns}\n".encode() + beginning + file.read(_END_BYTES)
    except OSError:
        return b""


def kept(fuzz: FuzzSettings, kept_in: pathlib.Path) -> Coverage | None:
    """What a coverage file says, where it was read before."""
    digest = known_by(fuzz)
    try:
        data = own_files.read(_place(digest, kept_in), _MOST_KEPT_BYTES) if digest else None
        if data is None:
            return None
        end = data.find(b"\n")
        return msgspec.structs.replace(
            msgspec.json.decode(data[:end], type=Coverage), name=pathlib.Path(fuzz.coverage).name, rows=data[end:]
        )
    except (OSError, ValueError):
        return None


def unread(path: str) -> Coverage:
    """A coverage file that there is no time to read now."""
    return Coverage(pathlib.Path(path).name, is_read=False)


def read(fuzz: FuzzSettings, kept_in: pathlib.Path) -> Coverage:
    """What the coverage file says. One that cannot be used says why."""
    if (known_coverage := kept(fuzz, kept_in)) is not None:
        return known_coverage
    digest, name = known_by(fuzz), pathlib.Path(fuzz.coverage).name
    try:
        coverage = _read_whole(fuzz, name)
    except OSError as wrong:
        return Coverage(name, f"it cannot be read: {wrong.strerror}")  # another time it may be
    try:
        for old in kept_in.glob("coverage-*.txt"):
            own_files.remove(old)
        own_files.write(_place(digest, kept_in), msgspec.json.encode(msgspec.structs.replace(coverage, name="", rows=b"")) + coverage.rows)
    except OSError:
        pass  # a full disk, or nothing may be written here: it is read anew next time
    return coverage


def _read_whole(fuzz: FuzzSettings, name: str) -> Coverage:
    """What a coverage file says. Raises OSError."""
    from hook.coverage import coverage_formats

    try:
        with _opened(fuzz.coverage) as file:
            if (size := os.fstat(file.fileno()).st_size) > _LARGE_BYTES:
                own_files.tell_once(f"{name} is read, once: {size >> 20} MB, about {size // _BYTES_A_SECOND} s (fuzz.coverage)")
            packed = file.read(len(_PACKED)) == _PACKED
            file.seek(0)
            unpacked = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if packed else file
            return coverage_formats.read(name, unpacked, fuzz.coverage_vmlinux)
    except NoCoverage as wrong:
        return Coverage(name, str(wrong))
    except (EOFError, zlib.error, gzip.BadGzipFile) as wrong:
        return Coverage(name, f"it cannot be unpacked: {wrong}")


def _place(digest: str, kept_in: pathlib.Path) -> pathlib.Path:
    return kept_in / f"coverage-{digest}.txt"


def _opened(path: str) -> BinaryIO:
    """A plain file. Raises OSError."""
    handle = os.open(pathlib.Path(path).expanduser(), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(0, "it is no plain file")
    return os.fdopen(handle, "rb")
