"""Uninitialised memory: objects of a function that are copied out completely although a part of them is never written.

The proof needs no order of statements: if nothing in the function, nor in the functions to which it passes the object, can write a member
or a byte of padding, then it is uninitialised on every path to the call that copies it out. So every use of the object must be
understood: a write to a member, a read, a call that only reads. Any other use is a doubt, and a doubt ends the proof. docs/kmsan.md has
the rules.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hook.c.body import Body
from hook.c.definitions import Definition
from hook.c.layout import Layout, Member, Path, is_whole, unwritten, unwritten_gaps
from hook.c.struct_parser import NotUnderstood
from hook.evidence.memory.allocations import UninitialisedObject, uninitialised_objects
from hook.evidence.memory.object_uses import CopyOut, Doubt, ObjectUses
from hook.evidence.memory.sinks import SINKS
from hook.evidence.memory.source_file import File

_LARGE = 1 << 30
_MOST_NAMED = 3  # members or gaps, in a claim


class UninitialisedPart(msgspec.Struct, frozen=True):
    """An object of which a part is never written, and the call that copies it out."""

    function: str
    item: UninitialisedObject
    layout: Layout
    members: tuple[Path, ...]
    gaps: tuple[tuple[Path, bytes, int], ...]  # the struct inside it, the member before, the bytes
    leaving: CopyOut

    @property
    def key(self) -> tuple[str, bytes, str]:
        """Equal for the same object in another version of the function."""
        return self.function, self.item.name, self.item.struct

    def without(self, old_part: UninitialisedPart) -> UninitialisedPart | None:
        """The part that is uninitialised here and not in `other`; None if there is none."""
        members = tuple(path for path in self.members if path not in old_part.members)
        gaps = tuple(gap for gap in self.gaps if gap not in old_part.gaps)
        return msgspec.structs.replace(self, members=members, gaps=gaps) if members or gaps else None

    @property
    def description(self) -> str:
        """The uninitialised part as text."""
        names = [b".".join(path).decode("ascii", "replace") for path in self.members]
        holes = [
            f"{size} byte{'s' if size > 1 else ''} of padding after {b'.'.join((*path, after)).decode('ascii', 'replace')}"
            for path, after, size in self.gaps
        ]
        return " and ".join(text for text in (_shortened(names, " members"), _shortened(holes, "")) if text)

    @property
    def claim(self) -> str:
        name, sink = self.item.name.decode("ascii", "replace"), self.leaving.sink
        copied = f"{self.function}() copies {name} (struct {self.item.struct}) to {sink.to} with {sink.name.decode()}()"
        one_member, one_byte = (len(self.members), len(self.gaps)) == (1, 0), not self.members and [gap[2] for gap in self.gaps] == [1]
        return f"{copied}; {self.description} {'is' if one_member or one_byte else 'are'} uninitialised"


def _shortened(names: list[str], kind: str) -> str:
    rest = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {rest} more{kind}" if rest > 0 else "")


class _AnyLayout(Layout, frozen=True):
    """A struct that has every member, each a number: a doubt with this layout is also one with the real layout."""

    def find(self, path: Path) -> Member | None:
        return Member(path[-1], _LARGE, 1, is_scalar=True)


def find(file: File, function: Definition) -> Iterator[UninitialisedPart]:
    """The objects of a function of which a part is provably never written, although they are copied out completely."""
    text = file.body(function)
    if not any(name in SINKS for name, _ in text.calls()) and not _calls_with_sink(file, text):
        return
    for item in uninitialised_objects(text):
        try:
            yield from _proved(file, function, text, item)
        except (Doubt, NotUnderstood):
            continue


def is_written(file: File, function: Definition, item: UninitialisedObject) -> bool:
    """Whether every member of an object is written under no condition, in any order, and there is no padding."""
    try:
        layout = file.structs.layout(item.struct)
        uses = ObjectUses(file, file.body(function), layout, item).read(item.name)
    except (Doubt, NotUnderstood):
        return False
    return is_whole(layout, frozenset(uses.always))


def why_not(file: File, function: Definition, item: UninitialisedObject) -> str:
    """Why nothing is proved of an object; empty if something is, or if all of it is written."""
    try:
        list(_proved(file, function, file.body(function), item))
    except (Doubt, NotUnderstood) as wrong:
        return str(wrong)
    return ""


def _calls_with_sink(file: File, text: Body) -> bool:
    """Whether a function calls a function of its file that calls a sink."""
    for name, _ in text.calls():
        called = file.definition(name)
        if called is not None and any(inner in SINKS for inner, _ in file.body(called).calls()):
            return True
    return False


def _proved(file: File, function: Definition, text: Body, item: UninitialisedObject) -> Iterator[UninitialisedPart]:
    # first a test without a look-up: if it fails, the proof fails with any layout
    if not ObjectUses(file, text, _AnyLayout(item.struct, (), False), item).read(item.name).leaving:
        raise Doubt(f"no known call copies out all of {item.name.decode()}")
    layout = file.structs.layout(item.struct)
    declared = sum(
        1
        for position in text.places(item.name)
        if text.before(position) in (item.struct.encode(), b"*", b",") and text.offsets[position] == item.offset
    )
    if not item.on_heap and declared != 1:
        raise Doubt(f"{item.name.decode()} is not declared once")
    if macro := file.macro_with(item.name) or file.structs.macro_with(item.name):
        raise Doubt(f"{'a macro of' if '/' in macro else 'the macro'} {macro} may write {item.name.decode()}")
    uses = ObjectUses(file, text, layout, item).read(item.name)
    written_paths = frozenset(uses.written)
    for path in written_paths:
        if layout.find(path) is None and layout.find(path[:1]) is None:
            raise Doubt(f"struct {item.struct} has no member {b'.'.join(path).decode()}")
    members = tuple(path for path, _ in unwritten(layout, written_paths))
    gaps = tuple((path, gap.after, gap.size) for path, gap in unwritten_gaps(layout, written_paths))
    if members or gaps:
        yield UninitialisedPart(function.name, item, layout, members, gaps, uses.leaving[0])
