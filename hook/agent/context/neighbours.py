"""Neighbours: what stands around changed code, where its names are defined and used, within a number of look-ups.

Tests, tools and other architectures are none of the kernel that is fuzzed; what is kept back is not looked at. Of a name that everybody
uses nothing is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook.agent.context.shown_files import Sheet, Sheets, is_function
from hook.agent.desk import Desk
from hook.c.definitions import Definition, DefinitionKind
from hook.evidence.focus.focus_symbols import Focus
from hook.evidence.functional import path_table
from hook.kernel.kconfig import expressions
from hook.kernel.kernel import Kernel
from hook.kernel.no_kernel_code import NO_KERNEL_CODE
from hook.source import lookup, treepath
from hook.source.index import NoIndex
from hook.source.lookup import Bounds, FunctionUse, FunctionUseKind

SHOWN_CALLS = 6  # of one function
_UBIQUITOUS_FILES = 400  # that hold a name: everybody knows what it is
_RARE_FILES = 40  # that hold a constant: then who sets it tells something
_SETTERS = 5
_BOUNDS = Bounds(24, searches_all=True)


class Neighbours:
    """The look-ups for one change."""

    def __init__(self, desk: Desk, sheets: Sheets, kernel: Kernel, focus: Focus | None, most: int) -> None:
        self._source, self._target = desk.source, desk.target.arch
        self._sheets, self._kernel = sheets, kernel
        self._known = {callers.function: callers.uses for callers in focus.callers} if focus else {}
        self._left = most
        self._in_base: dict[str, bool] = {}
        self.is_cut = False  # whether something was not looked up, for lack of look-ups or of an index

    def uses(self, name: str, path: str) -> list[FunctionUse] | None:
        """The uses of a function of the file at `path`, those that tell most first; none only where there is none anywhere.

        None where that is not known.
        """
        known, whole = self._known.get(name), True
        if known is None:
            bare = name.removeprefix("compat_").removeprefix("sys_")
            if not self._may_look() or self._is_common(bare):
                return None
            callers = lookup.callers(self._source, bare, _BOUNDS)
            known, whole = callers.items, not callers.cut
        uses = [use for use in known if self._is_kernels(use.path) and use.user != name and self._sheets.get(use.path) is not None]
        first: dict[tuple[str, str], FunctionUse] = {}
        for use in uses:
            first.setdefault((use.path, use.user), use)
        ordered = sorted(first.values(), key=lambda use: (use.kind is not FunctionUseKind.CALL, use.path != path))
        if len(ordered) > SHOWN_CALLS:
            near, far = ordered[: 2 * SHOWN_CALLS], ordered[2 * SHOWN_CALLS :]
            ordered = [*sorted(near, key=lambda use: not self._is_in_base(use.path)), *far]
        return ordered if ordered or (whole and not known) else None

    def defined(self, name: str, near: Sequence[str]) -> list[tuple[Sheet, Definition]] | None:
        """Where a name is defined, as the files `near` would see it; None where it is used all over the kernel."""
        for path in near:
            sheet = self._sheets.get(path)
            own = [(sheet, entry) for entry in sheet.named(name) if entry.kind is not DefinitionKind.OPTION] if sheet is not None else []
            if own:
                return own[:2]
        if not self._may_look():
            return []
        if self._is_common(name):
            return None
        places: list[tuple[Sheet, Definition]] = []
        for entry in lookup.find_definitions(self._source, name, _BOUNDS).items:
            sheet = self._sheets.get(entry.path) if self._is_kernels(entry.path) else None
            if sheet is None or entry.definition.kind is DefinitionKind.OPTION:
                continue
            is_own = entry.path.endswith(".c") and b"static" in sheet.data[entry.definition.span[0] : entry.definition.offset]
            if not is_own:
                places.append((sheet, entry.definition))

        def rank(pair: tuple[Sheet, Definition]) -> tuple[bool, bool, int]:
            return (
                pair[1].kind is DefinitionKind.VARIABLE,
                _is_stub(*pair),
                -max((_nearness(pair[0].path, path) for path in near), default=0),
            )

        # two file systems may both have one of that name: the nearer is meant
        places.sort(key=lambda pair: (*rank(pair), not pair[0].path.startswith("include/")))
        return (
            places[:1]
            if len(places) > 1 and (places[1][1].kind is not places[0][1].kind or rank(places[0]) < rank(places[1]))
            else places[:2]
        )

    def setters(self, name: str) -> list[str]:
        """The lines that put a constant into something, with those around them; none where it stands in many files."""
        if not self._may_look() or self._is_common(name, _RARE_FILES):
            return []
        # what stands behind `&` is tested, not set
        form = re.compile(rf"(?:\|=|(?<![=!<>])=(?!=))[^&]*\b{name}\b")
        shown: list[str] = []
        for reference in lookup.references(self._source, name, _BOUNDS).items:
            sheet = self._sheets.get(reference.path) if self._is_kernels(reference.path) else None
            if sheet is None or not form.search(reference.text) or not reference.function or len(shown) > _SETTERS * 6:
                continue
            near = [number for number in range(reference.line - 2, reference.line + 2) if number > 0]
            shown += [f"{reference.path} {reference.function}():", *sheet.lines(near)]
        return shown

    def _is_in_base(self, path: str) -> bool:
        """Whether the base configuration builds a file, as far as its makefiles tell."""
        if path.endswith(".h"):
            return True
        if path not in self._in_base:
            condition = expressions.taken_to_hold(self._kernel.built_if(path).condition)
            self._in_base[path] = self._kernel.holds(condition)
        return self._in_base[path]

    def _may_look(self) -> bool:
        good = (self._source.index is not None or self._source.is_small) and self._left > 0
        self._left -= 1
        self.is_cut = self.is_cut or not good
        return good

    def _is_common(self, name: str, files: int = _UBIQUITOUS_FILES) -> bool:
        """Whether too many files contain a name; False if there is no index."""
        if self._source.index is None:
            return False
        try:
            return self._source.index.is_common(name.lower(), files)
        except NoIndex as wrong:
            self._source.index_failed(str(wrong))
            return False

    def _is_kernels(self, path: str) -> bool:
        return not path.startswith(NO_KERNEL_CODE) and self._is_targets(path)

    def _is_targets(self, path: str) -> bool:
        return not path_table.classify(path, self._target).is_out_of_reach


def _nearness(path: str, other: str) -> int:
    """How many directories two files share; a header of the whole tree is as near as can be."""
    return other.count("/") if path.startswith("include/") else treepath.shared_directories(path, other)


def _is_stub(sheet: Sheet, entry: Definition) -> bool:
    """Whether a function does nothing: what a header has where an option is off."""
    if not is_function(entry):
        return False
    body = sheet.scan.code[entry.body[0] : entry.body[1]].strip(b"{} \t\n")
    return not body or (body.count(b";") == 1 and body.startswith(b"return") and b"(" not in body and entry.last_line - entry.line < 4)
