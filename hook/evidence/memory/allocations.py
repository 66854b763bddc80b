"""Uninitialised objects: structs that a function declares without an initialiser, or allocates without zeroing for a local pointer.

An allocation must have exactly the size of the struct, and nothing else may be assigned to the pointer.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hook.c import body
from hook.c.body import Body
from hook.evidence.memory import sinks

_STATEMENT_ENDS = frozenset((b"{", b"}", b";", b")", b":", b"", b"else"))


class UninitialisedObject(msgspec.Struct, frozen=True):
    """A local object, or one on the heap to which a local pointer points."""

    name: bytes
    struct: str
    on_heap: bool
    offset: int  # of its declaration or its allocation


def uninitialised_objects(text: Body) -> Iterator[UninitialisedObject]:
    """The structs that a function declares without an initialiser, and those that it allocates without zeroing, named by their pointer."""
    tokens = text.tokens
    for position, token in enumerate(tokens):
        if token != b"struct" or text.before(position) not in _STATEMENT_ENDS or not body.is_name(text.after(position)):
            continue
        if text.inside[position] >= 0 and tokens[text.inside[position]] != b"{":
            continue  # a cast, or in the head of a loop
        struct = tokens[position + 1].decode("ascii", "replace")
        declarator = position + 2
        while declarator < len(tokens):
            is_pointer = tokens[declarator] == b"*"
            declarator += is_pointer
            if declarator >= len(tokens) or not body.is_name(tokens[declarator]):
                break
            name, after = tokens[declarator], text.after(declarator)
            if is_pointer:
                if (allocated := _allocation(text, name, struct)) is not None:
                    yield UninitialisedObject(name, struct, True, text.offsets[allocated])
            elif after in (b",", b";"):
                yield UninitialisedObject(name, struct, False, text.offsets[declarator])
            while declarator < len(tokens) and tokens[declarator] not in (b",", b";"):
                declarator = text.partner[declarator] + 1 if text.partner.get(declarator, 0) > declarator else declarator + 1
            if declarator >= len(tokens) or tokens[declarator] == b";":
                break
            declarator += 1


def _allocation(text: Body, name: bytes, struct: str) -> int | None:
    """The only assignment to a pointer but NULL, if it is an allocation of uninitialised memory of the size of its struct; else None.

    kmalloc_obj() has the object or its type as argument, and GFP_KERNEL as the default of its flags (include/linux/gfp.h, default_gfp).
    """
    allocated = None
    for position in text.places(name):
        if text.after(position) != b"=":
            continue
        if text.after(position + 1) == b"NULL":
            continue
        opening = position + 3
        call = text.tokens[position + 2] if opening < len(text.tokens) and text.tokens[opening] == b"(" else b""
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
            return None  # it may allocate more or less than the object
        allocated = position
    return allocated
