"""The symbols of a built kernel: names, addresses, and whether a function calls KCOV. Reads the ELF file and runs nothing.

After the System V ABI, chapters "Object Files" and "Symbol Table". A reader of our own, since a kernel has some 200,000 symbols: read as
one array they cost half a second, as objects of a general library many.
"""

from __future__ import annotations

import bisect
import functools
import mmap
import pathlib
import struct
from array import array
from collections.abc import Collection, Sequence

import msgspec

_SYMBOL_TABLE, _NO_BITS = 2, 8
_EXECUTABLE = 4
_FUNCTION, _FILE = 2, 4
_LOCAL = 0
_X86_64 = 62
_COVERAGE_POINT = b"__sanitizer_cov_trace_pc"
_MOST_NAME_BYTES = 1024


class NotAKernel(ValueError):
    """A file whose symbols cannot be read; the sentence says why."""


class Function(msgspec.Struct, frozen=True):
    """A function in the symbol table."""

    name: str
    address: int
    size: int
    source: str = ""  # base name of the file that it is local to; empty where it is known everywhere

    def holds_any(self, addresses: Sequence[int]) -> bool:
        """Whether any of some addresses, which are in order, is in the function."""
        at = bisect.bisect_left(addresses, self.address)
        return at < len(addresses) and addresses[at] < self.address + max(1, self.size)


class Code(msgspec.Struct, frozen=True):
    """A section with instructions."""

    address: int
    data: bytes


class Symbols(msgspec.Struct, frozen=True, dict=True):
    """What the symbol table tells."""

    functions: tuple[Function, ...]
    files: frozenset[str]  # base names of the sources, as the compiler noted them; empty where it noted none
    code: tuple[Code, ...]
    points: Sequence[int] | None  # the addresses of the calls of KCOV, in order; None where that cannot be told

    @functools.cached_property
    def names(self) -> str:
        """The names of the functions, a line each."""
        return "\n".join(function.name for function in self.functions)

    @functools.cached_property
    def covered(self) -> frozenset[str] | None:
        """The functions that hold a coverage point; None where that cannot be told."""
        if self.points is None:
            return None
        return frozenset(function.name for function in self.functions if function.holds_any(self.points))

    def holds(self, path: str, functions: Collection[str]) -> bool:
        """Whether a source of this path, which defines `functions`, was built in, with a coverage point if that can be told.

        Sources are noted without their directories, so the name alone (inode.c, core.c) proves nothing: a function of it must be there.
        """
        base = path.rpartition("/")[2]
        if self.files and base not in self.files:
            return False
        built = (function for name in functions for function in self._by_name.get(name, ()))
        return any(function.source in ("", base) and (self.covered is None or function.name in self.covered) for function in built)

    @functools.cached_property
    def _by_name(self) -> dict[str, list[Function]]:
        """The functions by their names without what the compiler adds."""
        by_name: dict[str, list[Function]] = {}
        for function in self.functions:
            by_name.setdefault(function.name.partition(".")[0], []).append(function)
        return by_name


class _Section(msgspec.Struct, frozen=True):
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int


def read(path: pathlib.Path) -> Symbols:
    """The symbols of the kernel at `path`. Raises NotAKernel, OSError."""
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise NotAKernel(f"{path} is empty") from None
        with data:
            try:
                return _read(data, path)
            except (struct.error, IndexError, OverflowError):
                raise NotAKernel(f"{path} is truncated, or no ELF file") from None


def _read(data: mmap.mmap, path: pathlib.Path) -> Symbols:
    if data[:4] != b"\x7fELF":
        raise NotAKernel(f"{path} is no ELF file: use vmlinux, not bzImage")
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    machine = struct.unpack_from(f"{order}H", data, 18)[0]
    if wide:
        start, entry, count = struct.unpack_from(f"{order}Q", data, 40)[0], *struct.unpack_from(f"{order}HH", data, 58)
        form, record = f"{order}IIQQQQIIQQ", struct.Struct(f"{order}IBBHQQ")
    else:
        start, entry, count = struct.unpack_from(f"{order}I", data, 32)[0], *struct.unpack_from(f"{order}HH", data, 46)
        form, record = f"{order}IIIIIIIIII", struct.Struct(f"{order}IIIBBH")
    if start and not count:  # more than fit into the header: the first section says how many
        count = struct.unpack_from(form, data, start)[5]
    rows = [struct.unpack_from(form, data, start + entry * number) for number in range(min(count, len(data) // max(1, entry)))]
    sections = [_Section(row[1], row[2], row[3], row[4], row[5], row[6]) for row in rows]
    table = next((section for section in sections if section.kind == _SYMBOL_TABLE), None)
    if table is None:
        raise NotAKernel(f"{path} has no symbol table: it was stripped")
    names = sections[table.link]
    functions, files, point, source = [], set(), 0, ""
    whole = data[table.offset : table.offset + table.size // record.size * record.size]
    for row in record.iter_unpack(whole):
        name_at, address, size, info = (row[0], row[4], row[5], row[1]) if wide else (row[0], row[1], row[2], row[3])
        kind = info & 15
        if kind not in (_FUNCTION, _FILE) and not name_at:
            continue
        at = names.offset + name_at
        end = data.find(b"\0", at, at + _MOST_NAME_BYTES)
        name = data[at : max(at, end)]
        if name == _COVERAGE_POINT:
            point = address
        if kind == _FUNCTION and name:
            functions.append(Function(name.decode("ascii", "replace"), address, size, source if info >> 4 == _LOCAL else ""))
        elif kind == _FILE:
            # the local symbols of a file come after its name
            source = name.decode("utf-8", "replace").rpartition("/")[2]
            files.add(source)
    with_code = [section for section in sections if section.kind != _NO_BITS and section.flags & _EXECUTABLE and section.address]
    code = tuple(Code(section.address, data[section.offset : section.offset + section.size]) for section in with_code)
    points = _points(code, point) if machine == _X86_64 and point else None
    return Symbols(tuple(functions), frozenset(files), code, points)


def _points(code: Sequence[Code], point: int) -> Sequence[int] | None:
    """The near calls (e8 and the distance) of the coverage point; None where there is no such call at all."""
    calls = array("Q")
    for section in sorted(code, key=lambda section: section.address):
        data, start = section.data, section.address
        # the distance is known from the place, so each e8 is tried; find() walks there at memory speed
        at = data.find(b"\xe8")
        while at >= 0:
            if at + 5 <= len(data) and start + at + 5 + int.from_bytes(data[at + 1 : at + 5], "little", signed=True) == point:
                calls.append(start + at)
            at = data.find(b"\xe8", at + 1)
    return calls or None  # not linked yet, or another compiler's way to call it
