"""Object uses: everything that a function does with one object, told by every place that names it.

A place that may write the object in a way that is not understood is a Doubt. What a function of the same file does with the object that it
is given counts too.
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

_DEEPEST = 3  # functions of the file that hand an object on to each other
_SIZE_OF = (
    frozenset(b"sizeof typeof __typeof__ offsetof __alignof__ sizeof_field ARRAY_SIZE typeof_member offsetofend".split())
    | sinks.ALLOCATORS_OF_AN_OBJECT
)
_ASSIGNMENTS = frozenset(b"= += -= *= /= %= &= |= ^= <<= >>=".split())
# that copy as many bytes as they are told, whatever member they are given
_BY_SIZE = lazy_re.compile(rb"mem|copy|bytes|read|recv|fill|zero|memset|crypto|hash|digest", re.IGNORECASE)
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


class CopyOut(msgspec.Struct, frozen=True):
    """A call that copies an object out whole."""

    sink: Sink
    offset: int  # of the call's name, in the file


class ObjectUses:
    """What is done with an object: `item`, or what a parameter of the same name points at. Raises Doubt."""

    def __init__(self, file: File, text: Body, layout: Layout, item: UninitialisedObject | None, depth: int = 0) -> None:
        self._file, self._text, self._layout, self._item, self._depth = file, text, layout, item, depth
        self._by_pointer = item is None or item.on_heap
        self.written: set[Path] = set()
        self.always: set[Path] = set()  # of those written, what no condition is around in the function itself
        self.leaving: list[CopyOut] = []

    def read(self, name: bytes) -> ObjectUses:
        """Look at every place that names the object."""
        item = self._item
        for at in self._text.places(name):
            if item is None or item.on_heap or self._text.offsets[at] != item.offset:  # else its declaration
                self._use(at)
        return self

    def _use(self, at: int) -> None:
        """What is done with the object in one place."""
        text = self._text
        if _is_measured(text, at):
            return
        path, end = _path(text, at, self._by_pointer)
        before, after = text.before(at), text.after(end - 1)
        is_address = before == b"&" and not _ends_value(text, at - 2)
        if not path:
            self._used_whole(at, end, is_address)
            return
        member = self._layout.find(path)
        if member is None:
            raise Doubt(f"struct {self._layout.name} has no member {b'.'.join(path).decode('ascii', 'replace')} that is known")
        if after in _ASSIGNMENTS or after in (b"++", b"--") or before in (b"++", b"--"):
            self.written.add(path)
            is_statement = after == b"=" and self._depth == 0 and before in (b";", b"{", b"}")
            if is_statement and (self._item is None or _is_around(text, at, self._item)):
                self.always.add(path)
            return
        if is_address or (member.is_array and text.tokens[end - 1] != b"]"):
            self._member_handed_on(at - 1 if is_address else at, end, path, member)
            return
        call = _argument_of(text, at, end)
        if call is not None and not (call[0] in SINKS or call[0] in sinks.READERS):
            self.written.add(path)  # a macro may write its argument: get_user(x.member, …)
        elif text.inside[at] >= 0 and text.tokens[text.inside[at]] == b"(" and b"asm" in text.tokens:
            raise Doubt("assembly")

    def _used_whole(self, at: int, end: int, is_address: bool) -> None:
        """What is done with the object by its own name, or by its address."""
        text, item = self._text, self._item
        before, after = text.before(at), text.after(end - 1)
        if is_address and not self._by_pointer:
            self._handed_on(at - 1, end)
            return
        if is_address or not self._by_pointer:
            raise Doubt(f"{text.tokens[at].decode()} is used whole")
        if item is not None and after == b"=" and (text.offsets[at] == item.offset or text.after(end) == b"NULL"):
            return  # it is declared or allocated
        if _is_tested(text, at, end):
            return
        if before == b"*" and item is not None and text.offsets[at] <= item.offset and after in (b";", b",", b"="):
            return  # its declaration
        self._handed_on(at, end)

    def _handed_on(self, start: int, end: int) -> None:
        """The object's address is an argument: of a sink, of what only reads it, or of a function of the file."""
        text, file = self._text, self._file
        name = text.tokens[end - 1].decode("ascii", "replace")
        call = _argument_of(text, start, end)
        if call is None:
            raise Doubt(f"the address of {name} is taken")
        called, opening, which = call
        arguments = text.arguments(opening)
        if called in SINKS and _is_the_kernels(file, called):
            sink = SINKS[called]
            if which != sink.source or len(arguments) <= sink.size:
                raise Doubt(f"{called.decode('ascii', 'replace')}() gets {name} where it takes no bytes from")
            if _is_whole(text, *arguments[sink.size], end, self._layout):
                self.leaving.append(CopyOut(sink, text.offsets[opening - 1]))
            return  # a part of it is copied out: that reads it at most
        if called in sinks.READERS and not file.defines(called):
            return
        if called in (b"memcpy", b"memcmp") and which == 1:
            return
        self._in_function(called.decode("ascii", "replace"), called, name, which, len(arguments))

    def _in_function(self, shown: str, called: bytes, name: str, which: int, count: int) -> None:
        """What a function of the file does with the object that it is given."""
        file = self._file
        inner = file.definition(called)
        if inner is None:
            raise Doubt(f"{shown}() gets the address of {name}")
        if self._depth >= _DEEPEST:
            raise Doubt(f"{shown}() hands {name} on too deep")
        parameters = file.parameters(inner)
        if which >= len(parameters) or len(parameters) != count:
            raise Doubt(f"{shown}() takes other arguments")
        parameter = tuple(word for word in parameters[which] if word not in (b"const", b"__maybe_unused", b"restrict"))
        if len(parameter) != 4 or parameter[:3] != (b"struct", self._layout.name.encode(), b"*"):
            raise Doubt(f"{shown}() takes {name} as something else")
        if macro := file.macro_with(parameter[3]) or file.structs.macro_with(parameter[3]):
            raise Doubt(f"the macro {macro} may write {parameter[3].decode()}")
        uses = ObjectUses(file, file.body(inner), self._layout, None, self._depth + 1).read(parameter[3])
        self.written |= uses.written
        self.leaving += uses.leaving

    def _member_handed_on(self, start: int, end: int, path: Path, member: Member) -> None:
        """The address of a member is taken: a Doubt where more than the member may be written by it."""
        text, layout = self._text, self._layout
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
            is_first = bool(layout.members) and layout.members[0].name == path[0]
            has_size = _BY_SIZE.search(called) or any(b"sizeof" in text.text(*argument) for argument in text.arguments(opening))
            if not member.is_scalar or is_first or has_size:
                raise Doubt(f"{called.decode()}() may write more than {name}")
        self.written.add(path)


def _is_around(text: Body, at: int, item: UninitialisedObject) -> bool:
    """Whether a statement stands in the block in which an object is declared or allocated, or in one around that."""
    declared = bisect.bisect_left(text.offsets, item.offset)
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
    if len(last) == 1 and (count := integers.value(last[0])) is not None:
        return count <= size
    return any(text.text(*text.uncast(*argument)) in ((b"sizeof", b"(", *member, b")"), (b"sizeof", *member)) for argument in arguments)
