"""Pasted names: macros that make a function's or a table's name out of a part of it, as `DEVICE_ATTR_RW(speed)` uses speed_show."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook.c.translation_unit import TranslationUnit
from hook.evidence.reach.calls.nodes import Hop, NodeKind, PathNode, Trigger, table_node
from hook.kernel import callback_tables


def pasted(node: PathNode, trigger: Trigger, unit: TranslationUnit) -> Iterator[Hop]:
    """The tables that macros of a file define of a function or table of the same file."""
    if "_" not in node.name:
        return
    for statement in unit.statements:
        if statement.macro not in callback_tables.PASTED:
            continue
        forms, table_form, struct = callback_tables.PASTED[statement.macro]
        try:
            used = [form.format(*statement.arguments) for form in forms]
            table = PathNode(NodeKind.TABLE, table_form.format(*statement.arguments), unit.path, True, struct)
        except IndexError:
            continue
        if node.name not in used:
            continue
        at = (unit.path, *unit.line(statement.offset))
        if node.kind is NodeKind.TABLE:
            yield Hop(table, trigger, f"{node.name} is in {table.name}", *at)
        else:
            kind = callback_tables.TABLES[struct].kind
            yield Hop(table, Trigger.ANYTHING, f"{kind}: {node.name}() is in {table.name}, a struct {struct}", *at)
    if node.kind is NodeKind.FUNCTION and node.name.endswith(("_show", "_store")):
        yield from _pasted_in_initialiser(node, unit)


def _pasted_in_initialiser(node: PathNode, unit: TranslationUnit) -> Iterator[Hop]:
    """`static struct kobj_attribute foo_attr = __ATTR_RW(foo);`"""
    stem = node.name.rpartition("_")[0]
    for match in re.finditer(rb"\b(\w+)\s*\(\s*" + re.escape(stem.encode()) + rb"\s*[,)]", unit.scan.code):
        if not callback_tables.PASTED_INSIDE.match(match[1].decode("ascii")):
            continue
        variable = next((variable for variable in unit.variables if variable.offset < match.start() <= variable.span[1]), None)
        if variable is None:
            continue
        types = re.findall(rb"struct\s+(\w+)", unit.head(variable))
        struct = types[0].decode() if types else ""
        known = callback_tables.TABLES.get(struct)
        table = table_node(unit, variable, struct)
        claim = f"{known.kind if known else 'an attribute'}: {node.name}() is in {table.name}, a struct {struct}"
        doubt = "" if known else f"who calls the members of a struct {struct}"
        trigger = Trigger.ANYTHING if known else Trigger.USER_SPACE
        yield Hop(table, trigger, claim, unit.path, *unit.line(match.start()), doubt)
