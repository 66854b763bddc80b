"""Uninitialised objects: structs that a function declares without an initialiser, or allocates without zeroing, of just their size, for a
local pointer that is given nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hook.c import body
from hook.c.body import Body
from hook.evidence.memory import sinks

_STATEMENT_ENDS = frozenset((b"{", b"}", b";", b")", b":", b"", b"else"))


class UninitialisedObject(msgspec.Struct, frozen=True):
    """A local object, or one on the heap that a local pointer points at."""

    name: bytes
    struct: str
    on_heap: bool
    offset: int  # of its declaration or its allocation


def uninitialised_objects(text: Body) -> Iterator[UninitialisedObject]:
    """The structs that a function declares without an initialiser, and those that it allocates without zeroing, by the pointer to them."""
    tokens = text.tokens
    for at, token in enumerate(tokens):
        if token != b"struct" or text.before(at) not in _STATEMENT_ENDS or not body.is_name(text.after(at)):
            continue
        if text.inside[at] >= 0 and tokens[text.inside[at]] != b"{":
            continue  # a cast, or in the head of a loop
        struct = tokens[at + 1].decode("ascii", "replace")
        place = at + 2
        while place < len(tokens):
            pointer = tokens[place] == b"*"
            place += pointer
            if place >= len(tokens) or not body.is_name(tokens[place]):
                break
            name, after = tokens[place], text.after(place)
            if pointer:
                if (allocated := _allocation(text, name, struct)) is not None:
                    yield UninitialisedObject(name, struct, True, text.offsets[allocated])
            elif after in (b",", b";"):
                yield UninitialisedObject(name, struct, False, text.offsets[place])
            while place < len(tokens) and tokens[place] not in (b",", b";"):
                place = text.partner[place] + 1 if text.partner.get(place, 0) > place else place + 1
            if place >= len(tokens) or tokens[place] == b";":
                break
            place += 1


def _allocation(text: Body, name: bytes, struct: str) -> int | None:
    """Where a pointer is given uninitialised memory of the size of what it points at, if that is the only thing it is ever given.

    kmalloc_obj() takes the object or its type, and GFP_KERNEL where it is given no flags (include/linux/gfp.h, default_gfp).
    """
    allocated = None
    for at in text.places(name):
        if text.after(at) != b"=":
            continue
        if text.after(at + 1) == b"NULL":
            continue
        opening = at + 3
        call = text.tokens[at + 2] if opening < len(text.tokens) and text.tokens[opening] == b"(" else b""
        if allocated is not None or call not in sinks.UNINITIALISED_ALLOCATORS or opening not in text.partner:
            return None
        if text.after(text.partner[opening]) not in (b";", b","):
            return None
        arguments = text.arguments(opening)
        size, flags = sinks.UNINITIALISED_ALLOCATORS[call]
        by_object = call in sinks.ALLOCATORS_OF_AN_OBJECT
        if max(size, flags if not by_object else size) >= len(arguments) or len(arguments) > 1 + max(size, flags):
            return None
        if 0 <= flags < len(arguments) and not set(text.text(*arguments[flags])) <= sinks.PLAIN_FLAGS:
            return None
        if by_object:
            if text.text(*arguments[size]) not in ((b"*", name), (b"struct", struct.encode())):
                return None
        elif text.text(*arguments[size]) != (b"sizeof", b"(", b"*", name, b")"):
            return None  # more than the object may follow it, or less
        allocated = at
    return allocated
