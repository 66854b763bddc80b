"""Leak search: which functions are checked for uninitialised memory that they copy out, and what is found in them.

Those that changed, their callers in the same file, and those that copy out a struct that changed, in other files too.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection, Iterator, Mapping

import msgspec

from hook.c import segments, translation_unit
from hook.c.definitions import Definition, DefinitionKind, Scan, scan
from hook.change.patch import FileChange
from hook.evidence.finding import quoted
from hook.evidence.memory import signals, uninitialised
from hook.evidence.memory.allocations import uninitialised_objects
from hook.evidence.memory.sinks import CALLS, SINKS
from hook.evidence.memory.source_file import File
from hook.evidence.memory.struct_layouts import StructLayouts
from hook.evidence.memory.uninitialised import UninitialisedPart
from hook.source.index import NoIndex
from hook.source.tree import Source
from hook.verdict import Fact, Place

_MOST_FUNCTIONS = 120  # of one file
_MOST_LOOKED_INTO = 500  # functions and files, of one patch
_MOST_USERS = 16  # files that are read for functions that copy out a struct of a header
_MOST_SIGNALS = 12
_MOST_PROOFS = 4
_DEEPEST_CALLERS = 2  # functions of the file that lead to a changed one
_LONGEST_TEXT = 200


class LayoutTarget(msgspec.Struct, frozen=True):
    """What the layout of a struct depends on."""

    directory: str  # below arch/
    natural: bool


class LeakSearch(msgspec.Struct):
    """What is found for the files of one patch, one after the other."""

    source: Source  # with the patch applied
    target: LayoutTarget
    before: Mapping[str, bytes]  # the old text of the headers that changed
    changed: frozenset[str]  # the paths of the patch
    looked_into: int = 0  # functions and files
    is_cut: bool = False  # whether that was as many as may be
    proofs: list[tuple[UninitialisedPart, str, str, bytes]] = msgspec.field(default_factory=list)  # with the file's path, blob and text
    signals: dict[tuple[str, str], Fact] = msgspec.field(default_factory=dict)  # by path and claim

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What is proved: each flaw, and what it rests on."""
        return tuple(_facts(self.proofs[:_MOST_PROOFS]))

    def look_into(self, file: FileChange, old: bytes, new: bytes) -> None:
        """Add what is found for one changed file, by its text before and after."""
        sides = translation_unit.of_text(old), translation_unit.of_text(new)
        edits = [edit for edit in segments.edits(sides[0].segments, sides[1].segments) if not edit.moved]
        then = File(old, self._structs(file.path, old, sides[0].scan, self.before))
        now = File(new, self._structs(file.path, new, sides[1].scan, {}))
        structs = {edit.new.name for edit in edits if edit.new and edit.either.kind is DefinitionKind.STRUCT}
        changed = {edit.new.name for edit in edits if edit.new and edit.new.is_function}
        for function in _concerned(now, changed, structs)[:_MOST_FUNCTIONS]:
            if self._ends():
                return
            was = _version_of(function, now, then)
            if function.name in changed:
                for hint in signals.find(then, was, now, function):
                    if hint.is_old:
                        self._signal(hint.claim, file.old_path, file.old_blob, old, hint.offset)
                    else:
                        self._signal(hint.claim, file.path, file.new_blob, new, hint.offset)
            elif structs:
                self._struct_signal(file.path, file.new_blob, now, function, structs)
            self._prove(file.path, file.new_blob, then, was, now, function)
        if file.path.endswith(".h"):
            for struct in sorted(structs):
                self._users(struct)

    def _structs(self, path: str, data: bytes, scanned: Scan, instead: Mapping[str, bytes]) -> StructLayouts:
        return StructLayouts(self.source, path, data, scanned, self.target.directory, self.target.natural, instead)

    def _ends(self) -> bool:
        self.looked_into += 1
        self.is_cut = self.is_cut or self.looked_into > _MOST_LOOKED_INTO or self.source.safety.is_over
        return self.is_cut

    def _signal(self, claim: str, path: str, blob: str, data: bytes, offset: int) -> None:
        if len(self.signals) < _MOST_SIGNALS:
            line, text = _line(data, offset)
            self.signals.setdefault((path, claim), Fact(claim, Place(quoted(path), line, blob), text))

    def _prove(self, path: str, blob: str, then: File, was: Definition | None, now: File, function: Definition) -> None:
        """Add what is uninitialised in the new version of a function, and was not in the old one."""
        proofs = list(uninitialised.find(now, function))
        if not proofs:
            return
        known = {part.key: part for part in uninitialised.find(then, was)} if was is not None else {}
        for part in proofs:
            new_part = part.without(known[part.key]) if part.key in known else part
            if new_part is not None:
                self.proofs.append((new_part, path, blob, now.data))
            else:
                self._signal(f"{part.claim}, as before the change", path, blob, now.data, part.leaving.offset)

    def _struct_signal(self, path: str, blob: str, file: File, function: Definition, structs: Collection[str]) -> None:
        """A function that copies out a struct that changed."""
        text = file.body(function)
        for item in uninitialised_objects(text):
            if item.struct not in structs or uninitialised.is_written(file, function, item):
                continue
            for name, opening in text.calls():
                if name in SINKS and item.name in text.tokens[opening : text.partner[opening]]:
                    claim = f"struct {item.struct} changed, and {function.name}() copies one to {SINKS[name].to} with {name.decode()}()"
                    self._signal(claim, path, blob, file.data, text.offsets[opening - 1])
                    break

    def _users(self, struct: str) -> None:
        """The functions that copy out a struct of a header that changed, in files that did not."""
        if self.source.index is None:
            return
        try:
            paths = [path for path in self.source.holding([[struct.lower()]]) if path.endswith(".c") and path not in self.changed]
        except NoIndex as wrong:
            self.source.index_failed(str(wrong))
            return
        for path in paths[:_MOST_USERS]:
            if self._ends():
                return
            read = self.source.file(path)
            if read is None or read.data is None or not CALLS.search(read.data):
                continue
            scanned = scan(read.data)
            now = File(read.data, self._structs(path, read.data, scanned, {}))
            then = File(read.data, self._structs(path, read.data, scanned, self.before))
            for function in _concerned(now, set(), {struct}):
                self._prove(path, read.oid, then, function, now, function)
                self._struct_signal(path, read.oid, now, function, {struct})


def _version_of(function: Definition, now: File, then: File) -> Definition | None:
    """A function's old version. Of those of one name (under either arm of a conditional) the one at the same place among them."""
    mine, theirs = ([one for one in file.scan.definitions if one.name == function.name and one.body[1]] for file in (now, then))
    return theirs[min(mine.index(function), len(theirs) - 1)] if theirs else None


def _concerned(file: File, changed: set[str], structs: set[str]) -> list[Definition]:
    """The changed functions of a file, their callers, and the functions that name a changed struct."""
    functions = file.functions
    wanted = set(changed)
    near = changed
    for _ in range(_DEEPEST_CALLERS):
        near = _naming(file, functions, near) - wanted
        wanted |= near
    wanted |= _naming(file, functions, structs)
    return [function for function in functions if function.name in wanted]


def _naming(file: File, functions: list[Definition], names: Collection[str]) -> set[str]:
    """The functions whose body names one of `names`."""
    if not names:
        return set()
    form = re.compile(rb"\b(?:" + b"|".join(re.escape(name.encode()) for name in sorted(names)) + rb")\b")
    places = [match.start() for match in form.finditer(file.scan.code)]
    naming = set()
    for function in functions:
        at = bisect.bisect_left(places, function.body[0])
        if at < len(places) and places[at] < function.body[1]:
            naming.add(function.name)
    return naming


def _facts(proofs: list[tuple[UninitialisedPart, str, str, bytes]]) -> Iterator[Fact]:
    for part, path, blob, data in proofs:
        name = part.item.name.decode("ascii", "replace")
        line, text = _line(data, part.leaving.offset)
        yield Fact(part.claim, Place(quoted(path), line, blob), text)
        line, text = _line(data, part.item.offset)
        how = "is allocated without zeroing" if part.item.on_heap else "is declared without an initialiser"
        yield Fact(f"{name} {how}", Place(quoted(path), line, blob), text)
        layout = part.layout
        yield Fact(f"struct {layout.name} is defined here", Place(quoted(layout.path), layout.line, layout.blob))


def _line(data: bytes, offset: int) -> tuple[int, str]:
    """The number of the line at an offset, and its text."""
    begin = data.rfind(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    text = data[begin : end if end >= 0 else len(data)].strip()[:_LONGEST_TEXT]
    return data.count(b"\n", 0, begin) + 1, text.decode("utf-8", "replace")
