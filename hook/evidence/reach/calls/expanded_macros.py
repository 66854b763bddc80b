"""Expanded macros: what a macro that is used outside of functions defines, as `QUEUE_RW_ENTRY(nomerges, "nomerges")` defines a table.

The macro is expanded by its definition in the file or in a header, and what comes out is read as C of the file. A macro with two different
definitions is not expanded.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.macro_expansion import Expansion, ExpansionTooLarge, Macro, agreed, written
from hook.c.translation_unit import Statement, TranslationUnit
from hook.c.uses import Use, uses_of
from hook.evidence.reach.calls.nodes import Hop, PathNode, Trigger, function_node
from hook.kernel.name_users import NameUsers

_MOST_HEADERS = 4  # that define one macro
_MOST_STATEMENTS = 400  # of a file that are expanded for one name
_LEAVES_OUT = lazy_re.compile(r"\b(?:IS_(?:ENABLED|REACHABLE|BUILTIN|MODULE)|sizeof|typeof)\b")
_MOST_ELEMENTS = 1000  # of a table
_CALLED = lazy_re.compile(rb"\b[A-Z_][A-Z0-9_]*[ \t]*\([^()]*\)")
_SHORTEST = 3  # characters of an argument that a name may be made of
_PARTS = lazy_re.compile(r"\w{3,}")


class ExpandedMacros:
    """The expansions of one tree."""

    def __init__(self, name_users: NameUsers) -> None:
        self._name_users = name_users
        self._headers: dict[str, Macro | None] = {}  # macros of headers
        self._elements_of: dict[str, list[tuple[int, str, str]]] = {}  # by file
        self._expanded: dict[tuple[str, int], TranslationUnit | None] = {}  # by file and offset

    def uses(self, node: PathNode, unit: TranslationUnit) -> Iterator[tuple[TranslationUnit, Use]]:
        """The uses of a function or table in what macros of a file define, each at the line of its macro."""
        for statement in unit.statements[:_MOST_STATEMENTS]:
            if any(len(part) >= _SHORTEST and part in node.name for part in statement.arguments):
                yield from self._at(statement.offset, self._of(statement, unit), node, unit)
        for offset, head, text in self._elements(unit):
            if any(part in node.name for part in _PARTS.findall(text)):
                yield from self._at(offset, self._expansion(offset, f"{head}{text} }}", unit), node, unit)

    def _at(
        self, offset: int, expansion: TranslationUnit | None, node: PathNode, unit: TranslationUnit
    ) -> Iterator[tuple[TranslationUnit, Use]]:
        line, text = unit.line(offset)
        for use in uses_of(expansion, node.name) if expansion is not None else ():
            yield expansion or unit, msgspec.structs.replace(use, line=line, text=text)

    def _elements(self, unit: TranslationUnit) -> list[tuple[int, str, str]]:
        """The macros that are called in the tables of a file: the offset, the head of the table up to its brace, and the call."""
        if unit.path not in self._elements_of:
            data = unit.data.decode("latin-1")
            self._elements_of[unit.path] = [
                (call.start(), data[table.span[0] : opening + 1], call[0].decode("latin-1"))
                for table in unit.variables
                if (opening := data.find("{", table.offset, table.span[1])) >= 0
                for call in itertools.islice(_CALLED.finditer(unit.scan.code, table.offset, table.span[1]), _MOST_ELEMENTS)
            ]
        return self._elements_of[unit.path]

    def defined_by(self, node: PathNode, trigger: Trigger, unit: TranslationUnit) -> Iterator[Hop]:
        """The functions that a macro defines, where it is used outside of functions: what the macro calls is called by the one in it."""
        for statement in unit.statements[:_MOST_STATEMENTS]:
            if statement.macro != node.name or (expansion := self._of(statement, unit)) is None or len(expansion.functions) != 1:
                continue
            [function] = expansion.functions
            claim = f"{node.name}() defines {function.name}()"
            yield Hop(function_node(expansion, function), trigger, claim, unit.path, *unit.line(statement.offset))

    def _of(self, statement: Statement, unit: TranslationUnit) -> TranslationUnit | None:
        begin = unit.data.rfind(b"\n", 0, statement.offset) + 1  # `static` stands before it
        return self._expansion(statement.offset, unit.data[begin : statement.end + 1].decode("latin-1"), unit)

    def _expansion(self, offset: int, text: str, unit: TranslationUnit) -> TranslationUnit | None:
        """The text at an offset of a file with its macros expanded; None where there is nothing to expand, or too much."""
        key = (unit.path, offset)
        if key not in self._expanded:
            self._expanded[key] = None
            with contextlib.suppress(ExpansionTooLarge):
                asked = text.partition("(")[0].split()[-1:]  # a macro in small letters is looked for only where it is the one used
                expanded = Expansion(lambda name: self._macro(name, unit, [name] == asked)).expand(text)
                # what a condition or an operator of the compiler leaves out is not seen in the expanded text
                if expanded != text and "{" in expanded and not _LEAVES_OUT.search(expanded):
                    self._expanded[key] = TranslationUnit(unit.path, f"{expanded};\n".encode(), unit.oid)
        return self._expanded[key]

    def _macro(self, name: str, unit: TranslationUnit, is_asked: bool) -> Macro | None:
        if unit.defined(name, DefinitionKind.MACRO) is not None:
            return agreed(_written(name, unit))
        if not (is_asked or name.isupper()):
            return None
        if name not in self._headers:
            paths = [path for path in self._name_users.defining(name) if path.endswith(".h")]
            headers = [self._name_users.units.get(path) for path in paths] if len(paths) <= _MOST_HEADERS else []
            is_read = None not in headers
            self._headers[name] = agreed(one for header in headers if header for one in _written(name, header)) if is_read else None
        return self._headers[name]


def _written(name: str, unit: TranslationUnit) -> Iterator[tuple[str | None, str]]:
    for definition in unit.by_name.get(name, ()):
        if definition.kind is DefinitionKind.MACRO:
            yield written(unit.data[definition.offset + len(name) : definition.span[1]])
