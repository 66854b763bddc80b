"""The layout: the members of a struct and the padding between them, on a 64-bit target with natural alignment.

By the System V ABI for x86-64 (figure 3.1), and the one for s390x: every scalar is aligned to its own size.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

Path = tuple[bytes, ...]


class Member(msgspec.Struct, frozen=True):
    """A member. An unnamed struct or union has no name; its members are accessed like those of the outer struct."""

    name: bytes
    size: int | None  # None if it is not known
    align: int | None
    is_array: bool = False
    is_scalar: bool = False  # a number or a pointer, or an array of them
    inner: Layout | None = None  # of a struct
    others: tuple[bytes, ...] = ()  # of an unnamed union: the names that access it
    is_union: bool = False


class Layout(msgspec.Struct, frozen=True):
    """A struct."""

    name: str
    members: tuple[Member, ...]
    padded: bool  # whether its padding is known: no attribute moves the members
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
        """The padding of this struct itself, up to the first member of unknown size."""
        if not self.padded:
            return
        end, last = 0, b""
        for member in self.members:
            if member.size is None or member.align is None:
                return
            if (start := rounded_up(end, member.align)) > end:
                yield Gap(last, start - end)
            end, last = start + member.size, member.name or last
        align = self.align
        if align and rounded_up(end, align) > end:
            yield Gap(last, rounded_up(end, align) - end)

    def find(self, path: Path) -> Member | None:
        """The member at a path; None if there is none, or if the path goes through an unknown struct."""
        if not path:
            return None
        for member in self.members:
            named: Member | None = None
            if member.name == path[0]:
                named = member
            elif not member.name and member.inner is not None:
                deeper = member.inner.find(path)
                if deeper is not None:
                    return deeper
            elif not member.name and path[0] in member.others:
                return msgspec.structs.replace(member, is_scalar=False, is_array=True)
            if named is not None:
                if len(path) == 1:
                    return named
                if named.inner is not None:
                    return named.inner.find(path[1:])
                return msgspec.structs.replace(named, is_scalar=False, is_array=True) if named.is_union else None
        return None

    def _end(self) -> tuple[int | None, int | None]:
        """The end of the last member, and the alignment of the struct."""
        end, align = 0, 1
        for member in self.members:
            if not self.padded or member.size is None or member.align is None:
                return None, None
            end = rounded_up(end, member.align) + member.size
            align = max(align, member.align)
        return end, align


class Gap(msgspec.Struct, frozen=True):
    """Padding."""

    after: bytes  # the last named member before it
    size: int


def unwritten(layout: Layout, written: frozenset[Path], path_to: Path = ()) -> Iterator[tuple[Path, int]]:
    """The members of known size, not 0, that no write reaches, each with its size."""
    for member in layout.members:
        if member.size is None or member.size == 0:
            continue
        if not member.name:
            if member.inner is not None:
                yield from unwritten(member.inner, written, path_to)
            continue  # one write to any name of a union is enough
        path = (*path_to, member.name)
        if any(path[: len(write)] == write for write in written):
            continue
        if not any(write[: len(path)] == path for write in written):
            yield path, member.size
        elif member.inner is not None and not member.is_array:
            yield from unwritten(member.inner, written, path)


def is_whole(layout: Layout, written: frozenset[Path], path_to: Path = ()) -> bool:
    """Whether a write reaches every member, of known type or not, and there is no padding."""
    if layout.padded and (layout.size is None or any(layout.gaps())):
        return False
    for member in layout.members:
        path = (*path_to, member.name) if member.name else path_to
        if member.name and any(path[: len(write)] == write for write in written):
            continue
        if member.inner is not None and not member.is_array:
            if not is_whole(member.inner, written, path):
                return False
        elif member.size != 0 and not any(write[: len(path)] == path for write in written):
            return False
    return True


def unwritten_gaps(layout: Layout, written: frozenset[Path], path_to: Path = ()) -> Iterator[tuple[Path, Gap]]:
    """The padding that no write reaches, also in an inner struct, unless that is written completely, or not at all."""
    for gap in layout.gaps():
        yield path_to, gap
    for member in layout.members:
        if member.inner is None or member.is_array:
            continue
        path = (*path_to, member.name) if member.name else path_to
        if member.name and any(path[: len(write)] == write for write in written):
            continue
        if any(write[: len(path)] == path for write in written):
            yield from unwritten_gaps(member.inner, written, path)


def rounded_up(offset: int, align: int) -> int:
    """The first aligned offset from `offset` on."""
    return -(-offset // align) * align
