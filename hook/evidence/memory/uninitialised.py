"""UninitialisedPart memory: objects of a function that leave the kernel whole although a part of them is never written.

The proof leans on no order of statements: if nothing at all in the function, nor in what it hands the object to, can write a member or a
byte of padding, then it is unset on every path to the call that copies it out. So every place where the object is named has to be
understood: a write to a member, a read, a call that only reads. Whatever else is done with it is a doubt, and a doubt ends the proof.
docs/kmsan.md has the rules.
"""

from __future__ import annotations

import bisect
import dataclasses
import re
from collections.abc import Iterator

from hook.c import body
from hook.c.body import Body
from hook.c.definitions import Definition
from hook.c.layout import Layout, Member, NotUnderstood, Path, is_whole, number, unwritten, unwritten_gaps
from hook.evidence.memory import sinks
from hook.evidence.memory.allocations import UninitialisedObject, uninitialised_objects
from hook.evidence.memory.sinks import SINKS, Sink
from hook.evidence.memory.source_file import File

_DEEPEST = 3  # functions of the file that hand an object on to each other
_LARGE = 1 << 30
_MOST_NAMED = 3  # members or gaps, in a claim
_SIZE_OF = frozenset(b"sizeof typeof __typeof__ offsetof __alignof__ sizeof_field ARRAY_SIZE typeof_member offsetofend".split())
_ASSIGNMENTS = frozenset(b"= += -= *= /= %= &= |= ^= <<= >>=".split())
# that copy as many bytes as they are told, whatever member they are given
_BY_SIZE = re.compile(rb"mem|copy|bytes|read|recv|fill|zero|memset|crypto|hash|digest", re.IGNORECASE)
# that write one argument, and no more than they are told
_SIZED = frozenset(
    b"memcpy memset memmove copy_from_user __copy_from_user strscpy strscpy_pad strncpy strlcpy snprintf scnprintf get_random_bytes"
    b" nla_memcpy nla_strscpy".split()
)
_BY_LAST = frozenset(b"memcpy memset memmove copy_from_user strscpy strncpy".split())  # of these the last argument is the size
# include/linux/etherdevice.h, include/net/bluetooth/bluetooth.h, include/linux/uuid.h: that write one value of the type they are given
_OF_ONE_TYPE = frozenset(b"ether_addr_copy eth_zero_addr eth_broadcast_addr bacpy guid_copy uuid_copy".split())


class Doubt(Exception):
    """Something that may write the object, or is not understood; the sentence says what."""


@dataclasses.dataclass(frozen=True)
class CopyOut:
    """A call that copies an object out whole."""

    sink: Sink
    offset: int  # of the call's name, in the file


@dataclasses.dataclass(frozen=True)
class UninitialisedPart:
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
        members = tuple(one for one in self.members if one not in other.members)
        gaps = tuple(one for one in self.gaps if one not in other.gaps)
        return dataclasses.replace(self, members=members, gaps=gaps) if members or gaps else None

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


@dataclasses.dataclass
class _Uses:
    """What is done with an object."""

    written: set[Path] = dataclasses.field(default_factory=set)
    leaving: list[CopyOut] = dataclasses.field(default_factory=list)
    always: set[Path] = dataclasses.field(default_factory=set)  # of those written, what no condition is around in the function itself


class _Unknown(Layout):
    """A struct of which every member is there, and is a number: what is in doubt even so is in doubt with the real one."""

    def find(self, path: Path) -> Member | None:
        return Member(path[-1], _LARGE, 1, is_scalar=True)


def find(file: File, function: Definition) -> Iterator[UninitialisedPart]:
    """The objects of a function of which a part is provably never written, although they are copied out whole."""
    text = file.body(function)
    if not any(name in SINKS for name, _ in text.calls()) and not _hands_on(file, text):
        return
    for one in uninitialised_objects(text):
        try:
            yield from _proved(file, function, text, one)
        except (Doubt, NotUnderstood):
            continue


def is_written(file: File, function: Definition, one: UninitialisedObject) -> bool:
    """Whether every member of an object is written under no condition, and no padding is between them. In which order is not asked."""
    try:
        layout = file.structs.layout(one.struct)
        uses = _uses(file, file.body(function), one.name, layout, one, 0)
    except (Doubt, NotUnderstood):
        return False
    return is_whole(layout, frozenset(uses.always))


def why_not(file: File, function: Definition, one: UninitialisedObject) -> str:
    """Why nothing is proved of an object; empty where something is, or where all of it is written."""
    try:
        list(_proved(file, function, file.body(function), one))
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


def _proved(file: File, function: Definition, text: Body, one: UninitialisedObject) -> Iterator[UninitialisedPart]:
    # first what costs no look-up: whatever the struct is like, this ends the proof
    if not _uses(file, text, one.name, _Unknown(one.struct, (), False), one, 0).leaving:
        raise Doubt(f"{one.name.decode()} is copied out whole by no call that is known")
    layout = file.structs.layout(one.struct)
    declared = sum(
        1 for at in text.places(one.name) if text.before(at) in (one.struct.encode(), b"*", b",") and text.offsets[at] == one.offset
    )
    if not one.on_heap and declared != 1:
        raise Doubt(f"{one.name.decode()} is not declared once")
    if macro := file.macro_with(one.name) or file.structs.macro_with(one.name):
        raise Doubt(f"the macro {macro} may write {one.name.decode()}" if "/" not in macro else f"a macro of {macro} may")
    uses = _uses(file, text, one.name, layout, one, 0)
    written = frozenset(uses.written)
    for path in written:
        if layout.find(path) is None and layout.find(path[:1]) is None:
            raise Doubt(f"struct {one.struct} has no member {b'.'.join(path).decode()}")
    members = tuple(path for path, _ in unwritten(layout, written))
    gaps = tuple((path, gap.after, gap.size) for path, gap in unwritten_gaps(layout, written))
    if members or gaps:
        yield UninitialisedPart(function.name, one, layout, members, gaps, uses.leaving[0])


def _uses(file: File, text: Body, name: bytes, layout: Layout, one: UninitialisedObject | None, depth: int) -> _Uses:
    """All that is done with an object: `one`, or what a parameter of that name points at. Raises Doubt."""
    found = _Uses()
    by_pointer = one is None or one.on_heap
    for at in text.places(name):
        if one is not None and not one.on_heap and text.offsets[at] == one.offset:
            continue  # its declaration
        _use(file, text, at, layout, by_pointer, one, found, depth)
    return found


def _use(
    file: File, text: Body, at: int, layout: Layout, by_pointer: bool, one: UninitialisedObject | None, found: _Uses, depth: int
) -> None:
    """What is done with an object in one place."""
    name = text.tokens[at]
    if _is_measured(text, at):
        return
    path, end = _path(text, at, by_pointer)
    before, after = text.before(at), text.after(end - 1)
    address = before == b"&" and not _ends_value(text, at - 2)
    if not path:
        if by_pointer and not address:
            if one is not None and after == b"=" and _is_declared_or_allocated(text, at, end, one):
                return
            if _is_tested(text, at, end):
                return
            if before == b"*" and one is not None and text.offsets[at] <= one.offset and after in (b";", b",", b"="):
                return  # its declaration
            return _handed_on(file, text, at, end, layout, found, depth)
        if address and not by_pointer:
            return _handed_on(file, text, at - 1, end, layout, found, depth)
        raise Doubt(f"{name.decode()} is used whole")
    member = layout.find(path)
    if member is None:
        raise Doubt(f"struct {layout.name} has no member {b'.'.join(path).decode('ascii', 'replace')} that is known")
    if after in _ASSIGNMENTS or after in (b"++", b"--") or before in (b"++", b"--"):
        found.written.add(path)
        if after == b"=" and depth == 0 and before in (b";", b"{", b"}") and (one is None or _is_around(text, at, one)):
            found.always.add(path)
        return
    subscripted = text.tokens[end - 1] == b"]"
    if address or (member.is_array and not subscripted):
        _member_handed_on(text, at - 1 if address else at, end, path, member, layout, found)
        return
    call = _argument_of(text, at, end)
    if call is not None and not (call[0] in SINKS or call[0] in sinks.READERS):
        found.written.add(path)  # a macro may write its argument: get_user(x.member, …)
    elif text.inside[at] >= 0 and text.tokens[text.inside[at]] == b"(" and b"asm" in text.tokens:
        raise Doubt("assembly")


def _is_around(text: Body, at: int, one: UninitialisedObject) -> bool:
    """Whether a statement stands in the block in which an object is declared or allocated, or in one around that."""
    declared = bisect.bisect_left(text.offsets, one.offset)
    block = text.inside[declared]
    while block >= 0 and block != text.inside[at]:
        block = text.inside[block]
    return block >= 0


def _path(text: Body, at: int, by_pointer: bool) -> tuple[Path, int]:
    """The members that are named behind an object, and where the whole ends. Raises Doubt."""
    path: list[bytes] = []
    place = at + 1
    while place < len(text.tokens):
        token = text.tokens[place]
        if token in (b".", b"->") and body.is_name(text.after(place)):
            if token != (b"->" if by_pointer and not path else b"."):
                if path:
                    break  # through a pointer: another object
                raise Doubt(f"{text.tokens[at].decode()} is used in a way that is not understood")
            path.append(text.tokens[place + 1])
            place += 2
        elif token == b"[" and place in text.partner:
            if not path:
                raise Doubt(f"{text.tokens[at].decode()} is used as an array")
            place = text.partner[place] + 1
        else:
            break
    return tuple(path), place


def _is_measured(text: Body, at: int) -> bool:
    """Whether only the size or the type of an object is asked for."""
    start = at - 1 if text.before(at) in (b"*", b"&") else at
    opening = text.inside[at]
    if text.before(start) == b"sizeof":
        return True
    return opening >= 0 and text.tokens[opening] == b"(" and text.before(opening) in _SIZE_OF


def _ends_value(text: Body, at: int) -> bool:
    """Whether an `&` behind a token is an operator between two values."""
    token = text.tokens[at] if at >= 0 else b""
    if token == b")" and at in text.partner and text.tokens[at - 1] == b"*":
        return False  # a cast
    return token in (b")", b"]") or (body.is_name(token) and token not in (b"return", b"case", b"else", b"sizeof")) or token[:1].isdigit()


def _is_declared_or_allocated(text: Body, at: int, end: int, one: UninitialisedObject) -> bool:
    return text.offsets[at] == one.offset or text.after(end) == b"NULL"


def _is_tested(text: Body, at: int, end: int) -> bool:
    """Whether a pointer is only compared."""
    before, after = text.before(at), text.after(end - 1)
    if before == b"(" and after == b")":
        return text.before(at - 1) in (b"if", b"while")
    if before == b"(" and text.called(at - 1):
        return False  # an argument
    return before in (b"!", b"(", b"&&", b"||", b"==", b"!=") and after in (b")", b"&&", b"||", b"==", b"!=", b"?")


def _argument_of(text: Body, start: int, end: int) -> tuple[bytes, int, int] | None:
    """The call of which some tokens are a whole argument: its name, where it opens, and which argument; None where there is none."""
    opening = text.inside[start]
    while opening >= 0 and text.tokens[opening] == b"(" and not text.called(opening):
        opening = text.inside[opening]  # parentheses, or a cast's
    if opening < 0 or text.tokens[opening] != b"(":
        return None
    for which, (first, last) in enumerate(text.arguments(opening)):
        if text.uncast(first, last) == (start, end):
            return text.called(opening), opening, which
    return None


def _handed_on(file: File, text: Body, start: int, end: int, layout: Layout, found: _Uses, depth: int) -> None:
    """The object's address is an argument: of a sink, of what only reads it, or of a function of the file. Raises Doubt."""
    name = text.tokens[end - 1].decode("ascii", "replace")
    call = _argument_of(text, start, end)
    if call is None:
        raise Doubt(f"the address of {name} is taken")
    called, opening, which = call
    shown = called.decode("ascii", "replace")
    arguments = text.arguments(opening)
    if called in SINKS and _is_the_kernels(file, called):
        sink = SINKS[called]
        if which == sink.source and len(arguments) > sink.size:
            if _is_whole(text, *arguments[sink.size], end, layout):
                found.leaving.append(CopyOut(sink, text.offsets[opening - 1]))
            return  # a part of it leaves: that reads it at most
        raise Doubt(f"{shown}() gets {name} where it takes no bytes from")
    if called in sinks.READERS and not file.defines(called):
        return
    if called in (b"memcpy", b"memcmp") and which == 1:
        return
    inner = file.definition(called)
    if inner is None:
        raise Doubt(f"{shown}() gets the address of {name}")
    if depth >= _DEEPEST:
        raise Doubt(f"{shown}() hands {name} on too deep")
    parameters = file.parameters(inner)
    if which >= len(parameters) or len(parameters) != len(arguments):
        raise Doubt(f"{shown}() takes other arguments")
    parameter = tuple(word for word in parameters[which] if word not in (b"const", b"__maybe_unused", b"restrict"))
    if len(parameter) != 4 or parameter[:3] != (b"struct", layout.name.encode(), b"*"):
        raise Doubt(f"{shown}() takes {name} as something else")
    if macro := file.macro_with(parameter[3]) or file.structs.macro_with(parameter[3]):
        raise Doubt(f"the macro {macro} may write {parameter[3].decode()}")
    more = _uses(file, file.body(inner), parameter[3], layout, None, depth + 1)
    found.written |= more.written
    found.leaving += more.leaving


def _is_the_kernels(file: File, sink: bytes) -> bool:
    """Whether a call of that name is what SINKS means: the file has none of its own, or is where it is defined."""
    if not file.defines(sink):
        return True
    own = file.definition(sink)
    parameters = file.parameters(own) if own is not None else []
    which = SINKS[sink].source
    return which < len(parameters) and parameters[which][:3] == (b"const", b"void", b"*")


def _is_whole(text: Body, start: int, end: int, at: int, layout: Layout) -> bool:
    """Whether a size is that of the whole object, whose name ends at `at`."""
    words = text.text(*text.uncast(start, end))
    name = text.tokens[at - 1]
    if words[:1] != (b"sizeof",):
        return False
    rest = words[1:]
    if rest[:1] == (b"(",) and rest[-1:] == (b")",):
        rest = rest[1:-1]
    pointer = text.before(at - 1) != b"&"
    return rest in ((b"*", name) if pointer else (name,), (b"struct", layout.name.encode()))


def _member_handed_on(text: Body, start: int, end: int, path: Path, member: Member, layout: Layout, found: _Uses) -> None:
    """The address of a member is taken. Raises Doubt where more than the member may be written by it."""
    name = b".".join(path).decode("ascii", "replace")
    call = _argument_of(text, start, end)
    if call is None:
        raise Doubt(f"the address of {name} is taken")
    called, opening, which = call
    if called in SINKS:
        if which == SINKS[called].source:
            return
        raise Doubt(f"{called.decode()}() gets the address of {name}")
    if called in (b"memcpy", b"memcmp") and which == 1:
        return
    if not _is_by_own_size(text, opening, start, end, member.size or 0):
        # container_of() leads from a struct to the one around it, and a cast from the first member
        whole = not member.is_scalar or (layout.members and layout.members[0].name == path[0])
        sized = _BY_SIZE.search(called) or any(b"sizeof" in text.text(*one) for one in text.arguments(opening))
        if whole or sized:
            raise Doubt(f"{called.decode()}() may write more than {name}")
    found.written.add(path)


def _is_by_own_size(text: Body, opening: int, start: int, end: int, size: int) -> bool:
    """Whether a call is one that writes an argument of so many bytes, and gets no larger size than that."""
    if text.called(opening) in _OF_ONE_TYPE:
        return True
    if text.called(opening) not in _SIZED:
        return False
    member = text.tokens[start + 1 if text.tokens[start] == b"&" else start : end]
    arguments = text.arguments(opening)
    if text.called(opening) in (b"strscpy", b"strscpy_pad") and len(arguments) == 2:
        return True  # that take the size of the array themselves
    last = text.text(*text.uncast(*arguments[-1])) if text.called(opening) in _BY_LAST else ()
    if len(last) == 1 and (count := number(last[0])) is not None:
        return count <= size
    return any(text.text(*text.uncast(*one)) in ((b"sizeof", b"(", *member, b")"), (b"sizeof", *member)) for one in arguments)
