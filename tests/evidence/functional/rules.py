"""A file with a function, edited: what the harmless rules prove of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from hook.c import segments, translation_unit
from hook.evidence.change_classes import ChangeClass as Class
from hook.evidence.functional import harmless_rules

HEAD = """
#include <linux/kernel.h>
#include "local.h"
#define DBG(fmt, ...) pr_debug(fmt, ##__VA_ARGS__)
#define TRACE(fmt, ...) do { pr_debug(fmt, next_id()); } while (0)
"""


@dataclasses.dataclass(frozen=True)
class Tree:
    """What the rest of the tree is said to hold."""

    names: frozenset[str] = frozenset({"current", "far", "seen"})
    tracepoints: frozenset[str] = frozenset({"box_open"})
    included: frozenset[str] = frozenset({"<linux/types.h>"})
    numbers: frozenset[str] = frozenset({"LIMIT_OF_ALL"})
    texts: frozenset[str] = frozenset({"PREFIX_OF_ALL"})

    macros: frozenset[bytes] = frozenset({b"far"})  # a header has these
    captured: frozenset[bytes] = frozenset({b"seen"})
    volatile: frozenset[bytes] = frozenset({b"status"})
    own_names: frozenset[bytes] = frozenset({b"__private"})  # that a header beside the file defines
    statements: frozenset[bytes] = frozenset({b"STATE"})

    def is_redefined(self, names: Iterable[bytes]) -> bool:
        return not {b"__always_unused", b"pr_notice", b"EREDEFINED"}.isdisjoint(names)

    def keeps_spelling(self, name: bytes) -> bool:
        return name.startswith(b"MODULE_") or (name.lower() == name and name not in (b"named", b"get_prop"))

    def is_included(self) -> bool:
        return False

    def may_be_captured(self, name: bytes, used: frozenset[bytes]) -> bool:
        return name in self.captured and b"peek" in used

    def is_macro(self, name: bytes) -> bool:
        return name in self.macros

    def values(self, names: Iterable[bytes]) -> frozenset[bytes]:
        return self.macros.intersection(names)

    def is_opaque(self, name: bytes) -> bool:
        return not name.startswith(b"inline_")

    def has_uneven_macro(self, used: frozenset[bytes]) -> bool:
        return b"BEGIN" in used

    def is_volatile(self, name: bytes) -> bool:
        return name in self.volatile

    def is_one_place(self, struct: bytes, first: bytes, second: bytes) -> bool:
        return struct == b"ops" and {first, second} == {b"remove", b"remove_new"}

    def is_statement(self, name: bytes) -> bool:
        return name in self.statements

    def knows(self, name: str) -> bool:
        return name in self.names

    def is_tracepoint(self, name: str) -> bool:
        return name in self.tracepoints

    def depend_on_order(self, before: Sequence[str], old: Sequence[str], new: Sequence[str]) -> bool:
        return "<linux/first.h>" in old

    def formats(self) -> list[bytes]:
        return []

    def is_number(self, name: str) -> bool:
        return name in self.numbers

    def is_text(self, name: str) -> bool:
        return name in self.texts

    def includes(self, headers: Iterable[str], header: str) -> bool:
        return header in self.included and "<linux/kernel.h>" in headers


def proved(before: str, after: str) -> str:
    """The change classes that are proved of an edit, empty where it is not proved harmless."""
    old, new = translation_unit.of_text(before.encode()), translation_unit.of_text(after.encode())
    proofs = harmless_rules.prove(segments.edits(old.segments, new.segments), old, new, Tree())
    return ", ".join(proof.change_class for proof in proofs or ())


def function(lines: str, name: str = "f") -> str:
    return f"int {name}(struct box *b, int n)\n{{\n\tint err;\n\n\tenter(b);\n\t{lines}\n\terr = leave(b);\n\treturn err;\n}}\n"


def versions(removed: str, added: str, head: str = HEAD) -> tuple[str, str]:
    """A file before and after an edit of lines in a function."""
    return f"{head}\n{function(removed[1:])}", f"{head}\n{function(added[1:])}"


def harmless(removed: str, added: str, change_class: Class, head: str = HEAD) -> None:
    before, after = versions(removed, added, head)
    assert (proved(before, after), proved(after, before)) == (change_class, change_class), (removed, added)


def not_harmless(removed: str, added: str, head: str = HEAD) -> None:
    before, after = versions(removed, added, head)
    assert (proved(before, after), proved(after, before)) == ("", ""), (removed, added)


def harmless_outside(removed: str, added: str, change_class: Class, head: str = HEAD) -> None:
    """The same of lines outside of functions, before one."""
    before, after = (f"{head}{side[1:]}\n{function('')}" for side in (removed, added))
    assert (proved(before, after), proved(after, before)) == (change_class, change_class), (removed, added)


def not_harmless_outside(removed: str, added: str, head: str = HEAD) -> None:
    before, after = (f"{head}{side[1:]}\n{function('')}" for side in (removed, added))
    assert (proved(before, after), proved(after, before)) == ("", ""), (removed, added)
