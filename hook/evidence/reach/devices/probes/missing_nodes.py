"""Missing nodes: where a function returns because the device tree of no machine has the node that it looks for."""

from __future__ import annotations

import re
from collections.abc import Collection

from hook import lazy_re
from hook.evidence.reach.devices import id_tables
from hook.evidence.reach.devices.machine import ELSEWHERE_IDS
from hook.kernel.texts import Macros, Texts

_DIRECTIVE = lazy_re.compile(r"(?m)^[ \t]*#")
_DECLARING = lazy_re.compile(r"\bstruct\s+device_node\s*\*\s*\Z")
# what comes before the return is no condition: it ends in `;`
_LEAVES = r"\s*(?:\{(?:[^{}]*;)?\s*)?return\b"
# not the root, which newer kernels have without a tree, too
_NO_NODE = lazy_re.compile(
    r'\b(?P<node>\w+)\s*=\s*of_find_(?P<by>matching_node\w*|compatible_node|node_by_(?!path\s*\(\s*"/"\s*\))\w+)\s*\((?P<looked_for>[^;]*)\);'
    r"\s*if\s*\(\s*!\s*(?P=node)\s*(?:\|\|[^;{}]*?)?\)" + _LEAVES
)
_IN_TABLE = lazy_re.compile(r"\s*NULL\s*,\s*(\w+)\s*(?:,\s*[&\w]+\s*)?\Z")  # for a node that matches a line of a table
_BY_TEXT = lazy_re.compile(r'\s*NULL\s*,\s*NULL\s*,\s*"([^"\\]+)"\s*\Z')  # for a node that is compatible with a text
_TEXT = lazy_re.compile(r'\s*"([^"\\]+)"\s*\Z')
_FIELDS = ("name", "type", "compatible", "data")  # of struct of_device_id


def left_without_node(texts: Texts, path: str, body: tuple[int, int], nodes: Collection[str] | None) -> int:
    """Where a function of a file, whose body is given, returns for lack of a node of the device tree; -1 where it may go on without one.

    `nodes` are the strings with which nodes of the machines' trees are compatible: none of a machine without a tree; None where they are
    not known, and then nothing is left. Excluded are: another test before the return; a search by name or path in a tree that exists; a
    table that is not read to its end, or has a line for a type or a name. Only what stands under no condition counts, before any jump and
    preprocessor conditional.
    """
    if nodes is None:
        return -1
    text, (begin, end) = texts.get(path) or "", body
    directive = _DIRECTIVE.search(text, begin, end)
    for returning in _NO_NODE.finditer(text, begin, directive.start() if directive else end):
        before = _DECLARING.sub("", text[begin + 1 : returning.start()]).rstrip()
        is_statement = before.count("{") == before.count("}") and before[-1:] in ("", ";", "}")
        if is_statement and "goto" not in before and "goto" not in returning[0] and _is_missing(texts, path, returning, nodes):
            return text.find(";", returning.end()) + 1
    return -1


def _is_missing(texts: Texts, path: str, search: re.Match[str], nodes: Collection[str]) -> bool:
    """Whether no node is compatible with what a search looks for (drivers/of/base.c compares without regard to case)."""
    if not nodes:
        return True
    known = {node.lower() for node in (*nodes, *ELSEWHERE_IDS)}
    if search["by"] == "compatible_node":
        looked_for = _BY_TEXT.match(search["looked_for"])
        return looked_for is not None and looked_for[1].lower() not in known
    table = _IN_TABLE.match(search["looked_for"]) if search["by"].startswith("matching_node") else None
    tables = [one for one in id_tables.tables(texts, path) if table is not None and one.name == table[1]]
    return bool(tables) and all(_has_none(texts, one, known) for one in tables)


def _has_none(texts: Texts, table: id_tables.Table, known: set[str]) -> bool:
    """Whether each line of a table is for a text, with which no node is compatible."""
    rows, unread = id_tables.rows(table, _FIELDS, Macros(texts, (table.path,)), texts)
    fields = [{field: value for field, value in row.fields.items() if value.strip() not in ("0", "NULL", '""', "{}")} for row in rows]
    wanted = [_TEXT.match(row.get("compatible", "")) for row in fields if row]
    return table.kind == "of_device_id" and not unread and all(text is not None and text[1].lower() not in known for text in wanted)
