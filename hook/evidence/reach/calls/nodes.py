"""Nodes: the places that a call path leads through, with the hops between them.

A hop leads from a node to the one above it: to a caller, to the table that holds a function, to an entry point. A hop without a doubt is
proved (a *must*-edge: if the node above runs, a program can make this one run). One with a doubt is only likely (a *may*-edge).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping

import msgspec

from hook import lazy_re
from hook.c.definitions import Definition
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use
from hook.kernel.kconfig.expressions import Condition

WEAK = lazy_re.compile(rb"\b__weak\b|__attribute__\s*\(\(\s*weak")
_EXIT, _INIT = lazy_re.compile(rb"\b__exit\b"), lazy_re.compile(rb"\b__init\b")


class Trigger(enum.StrEnum):
    """What has to run the top of a call path: user space, or anything at all (boot too) where it only registers something."""

    USER_SPACE = "user space"
    ANYTHING = "anything"


class NodeKind(enum.StrEnum):
    FUNCTION = "function"
    GIVING = "function that returns a table"  # of use where what it returns is used
    TABLE = "table"
    MACRO = "macro"
    QUEUED = "queued"  # a work item, timer or tasklet, by the member or variable that holds it
    KFUNC_SET = "set of kfuncs"
    STATIC_CALL = "static call"


class PathNode(msgspec.Struct, frozen=True):
    """A place on a call path."""

    kind: NodeKind
    name: str
    path: str  # of its definition
    local: bool = True  # whether only the file itself can name it
    struct: str = ""  # of a table


class Hop(msgspec.Struct, frozen=True):
    """From a node to the one above it; without one the call path ends here, at an entry point."""

    to: PathNode | None
    trigger: Trigger
    claim: str
    path: str
    line: int
    text: str
    doubt: str = ""  # why this hop is only likely; empty where it is proved
    key: str = ""  # of an entry point: what descriptions of it would name
    options: tuple[str, ...] = ()  # without which this does not happen
    registered: PathNode | None = None  # a table that has to be registered besides, or a function that has to run, by something that runs


class DeadEnd(msgspec.Struct, frozen=True):
    """A use that no program triggers."""

    claim: str
    path: str
    line: int
    text: str


class ConditionAt(msgspec.Struct, frozen=True):
    """A condition of a call path, and the line that states it."""

    condition: Condition
    path: str
    line: int
    text: str


class CallPath(msgspec.Struct, frozen=True):
    """The nodes from the changed function up, and the hop above each; the last hop is the entry point."""

    nodes: tuple[PathNode, ...]
    hops: tuple[Hop, ...]
    doubts: tuple[str, ...] = ()
    conditions: tuple[ConditionAt, ...] = ()
    settings: Mapping[str, str] = msgspec.field(default_factory=dict)  # the options that it needs, with their values
    probes: tuple[str, ...] = ()
    registrations: tuple[CallPath, ...] = ()  # of tables, and of functions that set members, through which it calls

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.nodes]

    @property
    def is_proved(self) -> bool:
        return not self.doubts


def node_of(kind: NodeKind, unit: TranslationUnit, definition: Definition, struct: str = "") -> PathNode:
    """The node of a function or table that a file defines."""
    return PathNode(kind, definition.name, unit.path, unit.path.endswith(".c") and unit.is_static(definition), struct)


def function_node(unit: TranslationUnit, definition: Definition) -> PathNode:
    return node_of(NodeKind.FUNCTION, unit, definition)


def table_node(unit: TranslationUnit, definition: Definition, struct: str) -> PathNode:
    return node_of(NodeKind.TABLE, unit, definition, struct)


def macro_node(unit: TranslationUnit, macro: Definition) -> PathNode:
    return PathNode(NodeKind.MACRO, macro.name, unit.path, unit.path.endswith(".c"))


def user_of(use: Use) -> Definition:
    """The function, table or macro around a use that has one."""
    assert use.user is not None
    return use.user


def hop_to_user(
    unit: TranslationUnit, use: Use, trigger: Trigger, claim: str, doubt: str = "", *, options: tuple[str, ...] = ()
) -> Iterator[Hop | DeadEnd]:
    """The hop to the function that a use is in, if that can run."""
    user = user_of(use)
    head = unit.head(user)
    if _EXIT.search(head):
        yield DeadEnd(f"{claim}; {user.name} is __exit", unit.path, use.line, use.text)
    elif trigger is Trigger.USER_SPACE and _INIT.search(head):
        yield DeadEnd(f"{claim}; {user.name} runs at boot only", unit.path, use.line, use.text)
    else:
        yield Hop(function_node(unit, user), trigger, claim, unit.path, use.line, use.text, doubt, options=options)
