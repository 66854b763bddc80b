"""Nodes: what a way in leads through, and the hops between them."""

from __future__ import annotations

import dataclasses
import enum
import re

from hook.c.definitions import Definition
from hook.kernel.units import Unit

WEAK = re.compile(rb"\b__weak\b|__attribute__\s*\(\(\s*weak")


class Mode(enum.StrEnum):
    """What would end a way in: a program's own doing, or anything that runs, boot too, where the way only registers something."""

    DRIVEN = "driven"
    RUN = "run"


class NodeKind(enum.StrEnum):
    """What a way leads through."""

    FUNCTION = "function"
    TABLE = "table"
    MACRO = "macro"
    QUEUED = "queued"  # a work item, timer or tasklet, by the member or variable that holds it
    SET = "set"  # of kfuncs
    STATIC_CALL = "static call"


@dataclasses.dataclass(frozen=True)
class Node:
    """A place on a way in."""

    kind: NodeKind
    name: str
    path: str  # of its definition
    local: bool = True  # whether only the file itself can name it
    struct: str = ""  # of a table


@dataclasses.dataclass(frozen=True)
class Hop:
    """From a node to the one above it; without one the way ends here, at an entry."""

    to: Node | None
    mode: Mode
    claim: str
    path: str
    line: int
    text: str
    doubt: str = ""  # why this does not prove anything; empty where it does
    key: str = ""  # of an entry: what descriptions of it would name
    needs: tuple[str, ...] = ()  # options without which this does not happen
    registered: Node | None = None  # a table that has to be registered beside, by something that runs


@dataclasses.dataclass(frozen=True)
class Dead:
    """A use that no program drives."""

    claim: str
    path: str
    line: int
    text: str


def function_node(unit: Unit, definition: Definition) -> Node:
    """The node of a function that a file defines."""
    return Node(NodeKind.FUNCTION, definition.name, unit.path, unit.path.endswith(".c") and unit.is_static(definition))


def table_node(unit: Unit, definition: Definition, struct: str) -> Node:
    """The node of a table that a file defines."""
    return Node(NodeKind.TABLE, definition.name, unit.path, unit.path.endswith(".c") and unit.is_static(definition), struct)
