"""The layout: the members of a struct and the padding between them, on a 64-bit target with natural alignment.

As the System V ABI for x86-64 has it (figure 3.1), and the one for s390x too: every scalar is aligned to its own size.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

Path = tuple[bytes, ...]


class Member(msgspec.Struct, frozen=True):
    """A member. An unnamed struct or union has no name; its own members are reached as if they were the outer one's."""

    name: bytes
    size: int | None  # None where that is not known
    align: int | None
    is_array: bool = False
    is_scalar: bool = False  # a number or a pointer, or an array of them
    inner: Layout | None = None  # of a struct
    others: tuple[bytes, ...] = ()  # of an unnamed union: the names that reach into it
    is_union: bool = False


class Layout(msgspec.Struct, frozen=True):
    """A struct."""

    name: str
    members: tuple[Member, ...]
    padded: bool  # whether padding may be told at all: no attribute moves the members
    path: str = ""
    line: int = 0
    blob: str = ""

    @property
    def size(self) -> int | None:
        end, align = self._end()
        return None if end is None or align is None else rounded_up(end, align)

    @property
    def align(self) -> int | None:
        return self._end()[1]

    def gaps(self) -> Iterator[Gap]:
        """The bytes of padding of this struct itself, as far as all before them is known."""
        if not self.padded:
            return
        at, last = 0, b""
        for one in self.members:
            if one.size is None or one.align is None:
                return
            if (start := rounded_up(at, one.align)) > at:
                yield Gap(last, start - at)
            at, last = start + one.size, one.name or last
        align = self.align
        if align and rounded_up(at, align) > at:
            yield Gap(last, rounded_up(at, align) - at)

    def find(self, path: Path) -> Member | None:
        """The member that a path leads to; None where there is none, or it leads through something that is not known."""
        if not path:
            return None
        for one in self.members:
            found: Member | None = None
            if one.name == path[0]:
                found = one
            elif not one.name and one.inner is not None:
                deeper = one.inner.find(path)
                if deeper is not None:
                    return deeper
            elif not one.name and path[0] in one.others:
                return msgspec.structs.replace(one, is_scalar=False, is_array=True)
            if found is not None:
                if len(path) == 1:
                    return found
                if found.inner is not None:
                    return found.inner.find(path[1:])
                return msgspec.structs.replace(found, is_scalar=False, is_array=True) if found.is_union else None
        return None

    def _end(self) -> tuple[int | None, int | None]:
        """Where the last member ends, and the alignment of the whole."""
        at, align = 0, 1
        for one in self.members:
            if not self.padded or one.size is None or one.align is None:
                return None, None
            at = rounded_up(at, one.align) + one.size
            align = max(align, one.align)
        return at, align


class Gap(msgspec.Struct, frozen=True):
    """Padding."""

    after: bytes  # the member before it, or before the unnamed one that is before it
    size: int


def unwritten(layout: Layout, written: frozenset[Path], at: Path = ()) -> Iterator[tuple[Path, int]]:
    """The members that no write reaches, each with its size: those whose type is understood and that have a size."""
    for one in layout.members:
        if one.size is None or one.size == 0:
            continue
        if not one.name:
            if one.inner is not None:
                yield from unwritten(one.inner, written, at)
            continue  # of a union one name is enough, and which one is not asked
        path = (*at, one.name)
        if any(path[: len(write)] == write for write in written):
            continue
        if not any(write[: len(path)] == path for write in written):
            yield path, one.size
        elif one.inner is not None and not one.is_array:
            yield from unwritten(one.inner, written, path)


def is_whole(layout: Layout, written: frozenset[Path], at: Path = ()) -> bool:
    """Whether a write reaches every member, understood or not, and there is no padding besides."""
    if layout.padded and (layout.size is None or any(layout.gaps())):
        return False
    for one in layout.members:
        path = (*at, one.name) if one.name else at
        if one.name and any(path[: len(write)] == write for write in written):
            continue
        if one.inner is not None and not one.is_array:
            if not is_whole(one.inner, written, path):
                return False
        elif one.size != 0 and not any(write[: len(path)] == path for write in written):
            return False
    return True


def unwritten_gaps(layout: Layout, written: frozenset[Path], at: Path = ()) -> Iterator[tuple[Path, Gap]]:
    """The padding that no write reaches: of a struct inside it as well, unless that is ever written as a whole, or not at all."""
    for gap in layout.gaps():
        yield at, gap
    for one in layout.members:
        if one.inner is None or one.is_array:
            continue
        path = (*at, one.name) if one.name else at
        if one.name and any(path[: len(write)] == write for write in written):
            continue
        if any(write[: len(path)] == path for write in written):
            yield from unwritten_gaps(one.inner, written, path)


def rounded_up(offset: int, align: int) -> int:
    """The first offset from `offset` on that has an alignment."""
    return -(-offset // align) * align
