"""Pasted names: macros that make a function's or a table's name out of a part of it, as `DEVICE_ATTR_RW(speed)` uses speed_show, and
other places where a name does not stand as such.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.translation_unit import TranslationUnit
from hook.evidence.reach.calls.nodes import Hop, NodeKind, PathNode, Trigger, table_node
from hook.kernel import callback_tables
from hook.source.tree import Source

_LONGEST_NAME = 512  # that is put together by a macro, with the blanks beside it
_LAST_WORD, _FIRST_WORD = lazy_re.compile(rb"\w*\Z"), lazy_re.compile(rb"\s*+(\w*+)")
_QUOTED = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"([^"\n]+)"')
_STRING = rb'"(?:[^"\\]|\\.)*+"'
# an alias, a pragma, and assembly to its closing parenthesis: each begins with one of _MARKS, since a search for these alone is much faster
_MARKS = (b"alias", b"asm", b"ragma")
_IN_TEXT = lazy_re.compile(
    rb'alias_*\s*\(\s*"\w+"|ragma\b[^\n]*|asm(?<![^\W_]asm)[^("{};]*+\((?:[^"()]|'
    + _STRING
    + rb"|\((?:[^\"()]|"
    + _STRING
    + rb"|\([^()]*+\))*+\))*+"
)
_MOST_HEADERS = 600  # names of one file, some of which do not exist


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


def place_of_paste(data: bytes, name: str) -> int:
    """Where a `##` in a text may make a name, by the piece of it that stands beside the mark; -1 where none does."""
    for mark in re.finditer(rb"##", data):
        near = data[max(0, mark.start() - _LONGEST_NAME) : mark.start()].rstrip()
        before = _LAST_WORD.search(near)[0].decode("ascii", "replace")  # type: ignore[index]
        after = _FIRST_WORD.match(data, mark.end(), mark.end() + _LONGEST_NAME)[1].decode("ascii", "replace")  # type: ignore[index]
        if (after.startswith("_") and name.endswith(after)) or (before.endswith("_") and name.startswith(before)):
            return mark.start()
    return -1


def headers_that_paste(source: Source, path: str) -> dict[str, bytes] | None:
    """The headers with a `##` that a file includes in quotes, directly or through one another, beside it.

    None if there are too many, or if one cannot be read.
    """
    folder, waiting, seen = posixpath.dirname(path), [path], {path}
    headers = dict[str, bytes]()
    while waiting:
        blobs = source.files(waiting)
        if any(blob is not None and blob.data is None for blob in blobs):
            return None
        headers |= {file: blob.data for file, blob in zip(waiting, blobs, strict=True) if blob and blob.data and b"##" in blob.data}
        beside = [
            posixpath.normpath(f"{place}/{name.decode('utf-8', 'replace')}")
            for file, blob in zip(waiting, blobs, strict=True)
            for name in _QUOTED.findall((blob.data or b"") if blob else b"")
            for place in dict.fromkeys((posixpath.dirname(file), folder))
        ]
        waiting = [file for file in dict.fromkeys(beside) if file not in seen and not file.startswith("..")]
        seen.update(waiting)
        if len(seen) > _MOST_HEADERS:
            return None
    return {file: data for file, data in headers.items() if file != path}


def is_named_in_text(data: bytes, name: str) -> bool:
    """Whether a file names a function in the text of an alias or of assembly, or in a pragma."""
    word = name.encode("ascii", "replace")
    if word not in data:
        return False
    named = re.compile(rb"\b" + word + rb"\b")
    for mark in _MARKS:
        at = data.find(mark)
        while at >= 0:
            text = _IN_TEXT.match(data, at)
            if text and named.search(text[0]):
                return True
            at = data.find(mark, text.end() if text else at + len(mark))
    return False
