"""UninitialisedPart memory: objects of a function that leave the kernel whole although a part of them is never written.

The proof leans on no order of statements: if nothing at all in the function, nor in what it hands the object to, can write a member or a
byte of padding, then it is unset on every path to the call that copies it out. So every place where the object is named has to be
understood: a write to a member, a read, a call that only reads. Whatever else is done with it is a doubt, and a doubt ends the proof.
docs/kmsan.md has the rules.
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
        """What is the same for the same object in another version of the function."""
        return self.function, self.item.name, self.item.struct

    def without(self, other: UninitialisedPart) -> UninitialisedPart | None:
        """The part that is uninitialised here and not in `other`; None where that is nothing."""
        members = tuple(path for path in self.members if path not in other.members)
        gaps = tuple(gap for gap in self.gaps if gap not in other.gaps)
        return msgspec.structs.replace(self, members=members, gaps=gaps) if members or gaps else None

    @property
    def what(self) -> str:
        """The uninitialised part, in words."""
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
        return f"{copied}; {self.what} {'is' if one_member or one_byte else 'are'} uninitialised"


def _shortened(names: list[str], kind: str) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more{kind}" if more > 0 else "")


class _Unknown(Layout, frozen=True):
    """A struct of which every member is there, and is a number: what is in doubt even so is in doubt with the real one."""

    def find(self, path: Path) -> Member | None:
        return Member(path[-1], _LARGE, 1, is_scalar=True)


def find(file: File, function: Definition) -> Iterator[UninitialisedPart]:
    """The objects of a function of which a part is provably never written, although they are copied out whole."""
    text = file.body(function)
    if not any(name in SINKS for name, _ in text.calls()) and not _hands_on(file, text):
        return
    for item in uninitialised_objects(text):
        try:
            yield from _proved(file, function, text, item)
        except (Doubt, NotUnderstood):
            continue


def is_written(file: File, function: Definition, item: UninitialisedObject) -> bool:
    """Whether every member of an object is written under no condition, and no padding is between them. In which order is not asked."""
    try:
        layout = file.structs.layout(item.struct)
        uses = ObjectUses(file, file.body(function), layout, item).read(item.name)
    except (Doubt, NotUnderstood):
        return False
    return is_whole(layout, frozenset(uses.always))


def why_not(file: File, function: Definition, item: UninitialisedObject) -> str:
    """Why nothing is proved of an object; empty where something is, or where all of it is written."""
    try:
        list(_proved(file, function, file.body(function), item))
    except (Doubt, NotUnderstood) as wrong:
        return str(wrong)
    return ""


def _hands_on(file: File, text: Body) -> bool:
    """Whether a function calls one of its file that has a sink."""
    for name, _ in text.calls():
        called = file.definition(name)
        if called is not None and any(inner in SINKS for inner, _ in file.body(called).calls()):
            return True
    return False


def _proved(file: File, function: Definition, text: Body, item: UninitialisedObject) -> Iterator[UninitialisedPart]:
    # first what costs no look-up: whatever the struct is like, this ends the proof
    if not ObjectUses(file, text, _Unknown(item.struct, (), False), item).read(item.name).leaving:
        raise Doubt(f"{item.name.decode()} is copied out whole by no call that is known")
    layout = file.structs.layout(item.struct)
    declared = sum(
        1 for at in text.places(item.name) if text.before(at) in (item.struct.encode(), b"*", b",") and text.offsets[at] == item.offset
    )
    if not item.on_heap and declared != 1:
        raise Doubt(f"{item.name.decode()} is not declared once")
    if macro := file.macro_with(item.name) or file.structs.macro_with(item.name):
        raise Doubt(f"the macro {macro} may write {item.name.decode()}" if "/" not in macro else f"a macro of {macro} may")
    uses = ObjectUses(file, text, layout, item).read(item.name)
    written = frozenset(uses.written)
    for path in written:
        if layout.find(path) is None and layout.find(path[:1]) is None:
            raise Doubt(f"struct {item.struct} has no member {b'.'.join(path).decode()}")
    members = tuple(path for path, _ in unwritten(layout, written))
    gaps = tuple((path, gap.after, gap.size) for path, gap in unwritten_gaps(layout, written))
    if members or gaps:
        yield UninitialisedPart(function.name, item, layout, members, gaps, uses.leaving[0])
