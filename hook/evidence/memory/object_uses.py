"""Object uses: everything that a function does with one object, from every place that names it.

A place that may write the object in a way that is not understood raises Doubt. If the address of the object is passed to a function of the
same file, the uses there count too.
"""

from __future__ import annotations

import bisect
import re

import msgspec

from hook import lazy_re
from hook.c import body, integers
from hook.c.body import Body
from hook.c.layout import Layout, Member, Path
from hook.evidence.memory import sinks
from hook.evidence.memory.allocations import UninitialisedObject
from hook.evidence.memory.sinks import SINKS, Sink
from hook.evidence.memory.source_file import File

_DEEPEST = 3  # functions of the file through which an object is passed on
_SIZE_OF = (
    frozenset(b"sizeof typeof __typeof__ offsetof __alignof__ sizeof_field ARRAY_SIZE typeof_member offsetofend".split())
    | sinks.ALLOCATORS_OF_AN_OBJECT
)
_ASSIGNMENTS = frozenset(b"= += -= *= /= %= &= |= ^= <<= >>=".split())
# names of calls that may write any number of bytes, whatever the type of their argument
_BY_SIZE = lazy_re.compile(rb"mem|copy|bytes|read|recv|fill|zero|memset|crypto|hash|digest", re.IGNORECASE)
# calls that write one argument, and at most as many bytes as their size argument says
_SIZED = frozenset(
    b"memcpy memset memmove copy_from_user __copy_from_user strscpy strscpy_pad strncpy strlcpy snprintf scnprintf get_random_bytes"
    b" nla_memcpy nla_strscpy".split()
)
_BY_LAST = frozenset(b"memcpy memset memmove copy_from_user strscpy strncpy".split())  # their last argument is the size
# include/linux/etherdevice.h, include/net/bluetooth/bluetooth.h, include/linux/uuid.h: they write one value of the type of their argument
_WRITES_ONE_VALUE = frozenset(b"ether_addr_copy eth_zero_addr eth_broadcast_addr bacpy guid_copy uuid_copy".split())


class Doubt(Exception):
    """A use that may write the object, or that is not understood; the sentence says which."""


class CopyOut(msgspec.Struct, frozen=True):
    """A call that copies a complete object out."""

    sink: Sink
    offset: int  # of the call's name, in the file


class ObjectUses:
    """The uses of an object: of `item`, or of what a parameter points to. Raises Doubt."""

    def __init__(self, file: File, text: Body, layout: Layout, item: UninitialisedObject | None, depth: int = 0) -> None:
        self._file, self._text, self._layout, self._item, self._depth = file, text, layout, item, depth
        self._by_pointer = item is None or item.on_heap
        self.written: set[Path] = set()
        self.always: set[Path] = set()  # those written under no condition in the function itself
        self.leaving: list[CopyOut] = []

    def read(self, name: bytes) -> ObjectUses:
        """Read every place that names the object."""
        item = self._item
        for position in self._text.places(name):
            if item is None or item.on_heap or self._text.offsets[position] != item.offset:  # else its declaration
                self._use(position)
        return self

    def _use(self, position: int) -> None:
        """Read one use of the object."""
        text = self._text
        if _is_measured(text, position):
            return
        path, end = _path(text, position, self._by_pointer)
        before, after = text.before(position), text.after(end - 1)
        is_address = before == b"&" and not _ends_value(text, position - 2)
        if not path:
            self._object_used(position, end, is_address)
            return
        member = self._layout.find(path)
        if member is None:
            raise Doubt(f"struct {self._layout.name} has no member {b'.'.join(path).decode('ascii', 'replace')} that is known")
        if after in _ASSIGNMENTS or after in (b"++", b"--") or before in (b"++", b"--"):
            self.written.add(path)
            is_statement = after == b"=" and self._depth == 0 and before in (b";", b"{", b"}")
            if is_statement and (self._item is None or _is_in_block_around(text, position, self._item)):
                self.always.add(path)
            return
        if is_address or (member.is_array and text.tokens[end - 1] != b"]"):
            self._member_passed(position - 1 if is_address else position, end, path, member)
            return
        call = _argument_of(text, position, end)
        if call is not None and not (call[0] in SINKS or call[0] in sinks.READERS):
            self.written.add(path)  # a macro may write its argument: get_user(x.member, …)
        elif text.inside[position] >= 0 and text.tokens[text.inside[position]] == b"(" and b"asm" in text.tokens:
            raise Doubt("assembly")

    def _object_used(self, position: int, end: int, is_address: bool) -> None:
        """Read a use of the object itself, or of its address, without a member."""
        text, item = self._text, self._item
        before, after = text.before(position), text.after(end - 1)
        if is_address and not self._by_pointer:
            self._object_passed(position - 1, end)
            return
        if is_address or not self._by_pointer:
            raise Doubt(f"{text.tokens[position].decode()} is used as a value")
        if item is not None and after == b"=" and (text.offsets[position] == item.offset or text.after(end) == b"NULL"):
            return  # it is declared or allocated
        if _is_tested(text, position, end):
            return
        if before == b"*" and item is not None and text.offsets[position] <= item.offset and after in (b";", b",", b"="):
            return  # its declaration
        self._object_passed(position, end)

    def _object_passed(self, start: int, end: int) -> None:
        """Read a use where the address is an argument: of a sink, of a call that only reads, or of a function of the file."""
        text, file = self._text, self._file
        name = text.tokens[end - 1].decode("ascii", "replace")
        call = _argument_of(text, start, end)
        if call is None:
            raise Doubt(f"the address of {name} is taken")
        called, opening, argument = call
        arguments = text.arguments(opening)
        if called in SINKS and _is_the_kernels(file, called):
            sink = SINKS[called]
            if argument != sink.source or len(arguments) <= sink.size:
                raise Doubt(f"{called.decode('ascii', 'replace')}() gets {name} as another argument than the bytes to copy")
            if _is_object_size(text, *arguments[sink.size], end, self._layout):
                self.leaving.append(CopyOut(sink, text.offsets[opening - 1]))
            return  # a part of it is copied out, which only reads it
        if called in sinks.READERS and not file.defines(called):
            return
        if called in (b"memcpy", b"memcmp") and argument == 1:
            return
        self._in_function(called.decode("ascii", "replace"), called, name, argument, len(arguments))

    def _in_function(self, called_name: str, called: bytes, name: str, argument: int, count: int) -> None:
        """Add the uses in a function of the file to which the address is passed."""
        file = self._file
        inner = file.definition(called)
        if inner is None:
            raise Doubt(f"{called_name}() gets the address of {name}")
        if self._depth >= _DEEPEST:
            raise Doubt(f"{name} is passed on through more than {_DEEPEST} functions, to {called_name}()")
        parameters = file.parameters(inner)
        if argument >= len(parameters) or len(parameters) != count:
            raise Doubt(f"{called_name}() has another number of parameters")
        parameter = tuple(word for word in parameters[argument] if word not in (b"const", b"__maybe_unused", b"restrict"))
        if len(parameter) != 4 or parameter[:3] != (b"struct", self._layout.name.encode(), b"*"):
            raise Doubt(f"{called_name}() has a parameter of another type for {name}")
        if macro := file.macro_with(parameter[3]) or file.structs.macro_with(parameter[3]):
            raise Doubt(f"the macro {macro} may write {parameter[3].decode()}")
        uses = ObjectUses(file, file.body(inner), self._layout, None, self._depth + 1).read(parameter[3])
        self.written |= uses.written
        self.leaving += uses.leaving

    def _member_passed(self, start: int, end: int, path: Path, member: Member) -> None:
        """Read a use of the address of a member. Raises Doubt if more than the member may be written through it."""
        text, layout = self._text, self._layout
        name = b".".join(path).decode("ascii", "replace")
        call = _argument_of(text, start, end)
        if call is None:
            raise Doubt(f"the address of {name} is taken")
        called, opening, number = call
        if called in SINKS:
            if number == SINKS[called].source:
                return
            raise Doubt(f"{called.decode()}() gets the address of {name}")
        if called in (b"memcpy", b"memcmp") and number == 1:
            return
        if not _writes_at_most(text, opening, start, end, member.size or 0):
            # container_of() gives the struct around a member that is a struct, and a cast the one around its first member
            is_first = bool(layout.members) and layout.members[0].name == path[0]
            has_size = _BY_SIZE.search(called) or any(b"sizeof" in text.text(*argument) for argument in text.arguments(opening))
            if not member.is_scalar or is_first or has_size:
                raise Doubt(f"{called.decode()}() may write more than {name}")
        self.written.add(path)


def _is_in_block_around(text: Body, position: int, item: UninitialisedObject) -> bool:
    """Whether a statement is in the block in which an object is declared or allocated, or in a block around it."""
    declared = bisect.bisect_left(text.offsets, item.offset)
    block = text.inside[declared]
    while block >= 0 and block != text.inside[position]:
        block = text.inside[block]
    return block >= 0


def _path(text: Body, position: int, by_pointer: bool) -> tuple[Path, int]:
    """The members that are named after an object, and the position after them. Raises Doubt."""
    path: list[bytes] = []
    end = position + 1
    while end < len(text.tokens):
        token = text.tokens[end]
        if token in (b".", b"->") and body.is_name(text.after(end)):
            if token != (b"->" if by_pointer and not path else b"."):
                if path:
                    break  # through a pointer: another object
                raise Doubt(f"{text.tokens[position].decode()} is used in a way that is not understood")
            path.append(text.tokens[end + 1])
            end += 2
        elif token == b"[" and end in text.partner:
            if not path:
                raise Doubt(f"{text.tokens[position].decode()} is used as an array")
            end = text.partner[end] + 1
        else:
            break
    return tuple(path), end


def _is_measured(text: Body, position: int) -> bool:
    """Whether only the size or the type of an object is used."""
    start = position - 1 if text.before(position) in (b"*", b"&") else position
    opening = text.inside[position]
    if text.before(start) == b"sizeof":
        return True
    return opening >= 0 and text.tokens[opening] == b"(" and text.before(opening) in _SIZE_OF


def _ends_value(text: Body, position: int) -> bool:
    """Whether an `&` after this token is an operator between two values."""
    token = text.tokens[position] if position >= 0 else b""
    if token == b")" and position in text.partner and text.tokens[position - 1] == b"*":
        return False  # a cast
    return token in (b")", b"]") or (body.is_name(token) and token not in (b"return", b"case", b"else", b"sizeof")) or token[:1].isdigit()


def _is_tested(text: Body, position: int, end: int) -> bool:
    """Whether a pointer is only compared."""
    before, after = text.before(position), text.after(end - 1)
    if before == b"(" and after == b")":
        return text.before(position - 1) in (b"if", b"while")
    if before == b"(" and text.called(position - 1):
        return False  # an argument
    return before in (b"!", b"(", b"&&", b"||", b"==", b"!=") and after in (b")", b"&&", b"||", b"==", b"!=", b"?")


def _argument_of(text: Body, start: int, end: int) -> tuple[bytes, int, int] | None:
    """The call of which these tokens are a complete argument: its name, parenthesis and argument number; None if there is none."""
    opening = text.inside[start]
    while opening >= 0 and text.tokens[opening] == b"(" and not text.called(opening):
        opening = text.inside[opening]  # parentheses, or a cast's
    if opening < 0 or text.tokens[opening] != b"(":
        return None
    for number, (first, last) in enumerate(text.arguments(opening)):
        if text.uncast(first, last) == (start, end):
            return text.called(opening), opening, number
    return None


def _is_the_kernels(file: File, sink: bytes) -> bool:
    """Whether a call of this name is the kernel's: the file defines none of its own, or is the one that defines the kernel's."""
    if not file.defines(sink):
        return True
    own = file.definition(sink)
    parameters = file.parameters(own) if own is not None else []
    argument = SINKS[sink].source
    return argument < len(parameters) and parameters[argument][:3] == (b"const", b"void", b"*")


def _is_object_size(text: Body, start: int, end: int, name_end: int, layout: Layout) -> bool:
    """Whether a size is that of the object, whose name ends at `name_end`."""
    words = text.text(*text.uncast(start, end))
    name = text.tokens[name_end - 1]
    if words[:1] != (b"sizeof",):
        return False
    rest = words[1:]
    if rest[:1] == (b"(",) and rest[-1:] == (b")",):
        rest = rest[1:-1]
    pointer = text.before(name_end - 1) != b"&"
    return rest in ((b"*", name) if pointer else (name,), (b"struct", layout.name.encode()))


def _writes_at_most(text: Body, opening: int, start: int, end: int, size: int) -> bool:
    """Whether a call writes at most `size` bytes through an argument, by the size that it gets."""
    if text.called(opening) in _WRITES_ONE_VALUE:
        return True
    if text.called(opening) not in _SIZED:
        return False
    member = text.tokens[start + 1 if text.tokens[start] == b"&" else start : end]
    arguments = text.arguments(opening)
    if text.called(opening) in (b"strscpy", b"strscpy_pad") and len(arguments) == 2:
        return True  # they derive the size from the array
    last = text.text(*text.uncast(*arguments[-1])) if text.called(opening) in _BY_LAST else ()
    if len(last) == 1 and (count := integers.value(last[0])) is not None:
        return count <= size
    return any(text.text(*text.uncast(*argument)) in ((b"sizeof", b"(", *member, b")"), (b"sizeof", *member)) for argument in arguments)
