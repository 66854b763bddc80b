"""Sheets: files of the tree under review as they are shown to a model, each read and scanned once.

What is kept back (agent.never_paths), is a link or no text has no sheet. Lines come out without secrets, with their numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

from hook import lazy_re
from hook.agent.context.excerpt import Excerpts
from hook.agent.desk import Desk
from hook.c.definitions import Definition, DefinitionKind, Scan, definitions
from hook.kernel.kbuild.conditionals import Conditional, Conditionals
from hook.source.grep import held_back
from hook.source.tree import TreeEntryKind
from hook.source.treepath import NotATreePath, tree_path
from hook.source.words import is_binary

LINE_CHARACTERS = 160
_ENTRY_ENDS = lazy_re.compile(r"(?:menu)?config\s|-*help-*\Z|(?:choice|endif|endmenu|endchoice)\b|(?:if|menu|comment|source)\s")


class Sheet:
    """One file."""

    def __init__(self, desk: Desk, path: str, data: bytes) -> None:
        self._excerpts = Excerpts(desk.redactor, data)
        self.path = path
        self.data = data

    @functools.cached_property
    def scan(self) -> Scan:
        return definitions(self.data, self.path)

    @functools.cached_property
    def _conditionals(self) -> Conditionals | None:
        return Conditionals(self.data, self.path) if self.path.endswith((".c", ".h", ".S", ".inc")) else None

    def conditionals(self, line: int) -> Sequence[Conditional]:
        """The conditionals around a line, the outermost first."""
        return self._conditionals.at(line) if self._conditionals is not None else ()

    def function_at(self, line: int) -> Definition | None:
        return self.scan.function_at(line)

    def named(self, name: str) -> list[Definition]:
        """What the file defines under a name."""
        return [definition for definition in self.scan.definitions if definition.name == name]

    def lines(self, numbers: Iterable[int]) -> list[str]:
        """The lines with these numbers; between those that do not follow each other a line with three dots."""
        shown: list[str] = []
        last = 0
        for number, text in self._excerpts.some(numbers, LINE_CHARACTERS).items():
            if last and number != last + 1:
                shown.append("...")
            shown.append(f"{number}\t{text.rstrip()}")
            last = number
        return shown

    def line(self, number: int) -> str:
        """The text of one line."""
        return self._excerpts.some([number], LINE_CHARACTERS).get(number, "").strip()


class Sheets:
    """The files of one tree."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._known: dict[str, Sheet | None] = {}

    def get(self, path: str) -> Sheet | None:
        """The file at `path`; None where there is nothing that may be shown."""
        if path not in self._known:
            self._known[path] = self._read(path)
        return self._known[path]

    def _read(self, path: str) -> Sheet | None:
        try:
            tree_path(path)
        except NotATreePath:
            return None
        source = self.desk.source
        if held_back([path], self.desk.never_paths):
            return None
        entry = source.entry(path)
        if entry is None or entry.kind is not TreeEntryKind.FILE:
            return None
        file = source.file(path)
        if file is None or file.data is None or is_binary(file.data):
            return None
        return Sheet(self.desk, path, file.data)


def extent(definition: Definition, most_lines: int) -> list[int]:
    """The numbers of the lines of a definition: all, or where it is long its head and its end."""
    last = definition.last_line
    if last - definition.first_line < most_lines:
        return list(range(definition.first_line, last + 1))
    return [*range(definition.first_line, definition.first_line + most_lines - 2), last]


def is_function(definition: Definition) -> bool:
    return definition.kind is DefinitionKind.FUNCTION


def entry_lines(sheet: Sheet, line: int) -> list[int]:
    """The lines of a Kconfig entry that begins at `line`, without its help text."""
    numbers = [line]
    for number in range(line + 1, line + 40):
        text = sheet.line(number)
        if not text or _ENTRY_ENDS.match(text):
            break
        numbers.append(number)
    return numbers
