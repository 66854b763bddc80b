"""Leak search: checks the functions near a change for uninitialised memory that they copy out.

These are the changed functions, their callers in the same file, and functions that copy out a changed struct, in other files too.
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
from hook.source.tree import Source
from hook.verdict import Fact, Place

_MOST_FUNCTIONS = 120  # of one file
_MOST_SEARCHED = 500  # functions and files, of one patch
_MOST_USERS = 16  # files that are searched for functions that copy out a struct of a header
_MOST_SIGNALS = 12
_MOST_PROOFS = 4
_DEEPEST_CALLERS = 2  # levels of callers of a changed function, in the file
_LONGEST_TEXT = 200


class LayoutTarget(msgspec.Struct, frozen=True):
    """The target, as far as the layout of a struct depends on it."""

    directory: str  # below arch/
    natural: bool  # see StructLayouts.natural


class LeakSearch(msgspec.Struct):
    """The results for the files of one patch, one after the other."""

    source: Source  # with the patch applied
    target: LayoutTarget
    before: Mapping[str, bytes]  # the old text of the headers that changed
    changed: frozenset[str]  # the paths of the patch
    searched: int = 0  # functions and files
    is_cut: bool = False  # whether a limit ended the search
    proofs: list[tuple[UninitialisedPart, str, str, bytes]] = msgspec.field(default_factory=list)  # with the file's path, blob and text
    signals: dict[tuple[str, str], Fact] = msgspec.field(default_factory=dict)  # by path and claim

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What is proved: each leak, with its proof."""
        return tuple(_facts(self.proofs[:_MOST_PROOFS]))

    def search(self, file: FileChange, old: bytes, new: bytes) -> None:
        """Add the results for one changed file, from its text before and after."""
        sides = translation_unit.of_text(old), translation_unit.of_text(new)
        edits = [edit for edit in segments.edits(sides[0].segments, sides[1].segments) if not edit.moved]
        old_file = File(old, self._structs(file.path, old, sides[0].scan, self.before))
        new_file = File(new, self._structs(file.path, new, sides[1].scan, {}))
        structs = {edit.new.name for edit in edits if edit.new and edit.either.kind is DefinitionKind.STRUCT}
        changed = {edit.new.name for edit in edits if edit.new and edit.new.is_function}
        for function in _candidates(new_file, changed, structs)[:_MOST_FUNCTIONS]:
            if self._is_over_limit():
                return
            old_function = _old_version(function, new_file, old_file)
            if function.name in changed:
                for hint in signals.find(old_file, old_function, new_file, function):
                    if hint.is_old:
                        self._signal(hint.claim, file.old_path, file.old_blob, old, hint.offset)
                    else:
                        self._signal(hint.claim, file.path, file.new_blob, new, hint.offset)
            elif structs:
                self._struct_signal(file.path, file.new_blob, new_file, function, structs)
            self._prove(file.path, file.new_blob, old_file, old_function, new_file, function)
        if file.path.endswith(".h"):
            for struct in sorted(structs):
                self._users(struct)

    def _structs(self, path: str, data: bytes, scanned: Scan, old_texts: Mapping[str, bytes]) -> StructLayouts:
        return StructLayouts(self.source, path, data, scanned, self.target.directory, self.target.natural, old_texts)

    def _is_over_limit(self) -> bool:
        self.searched += 1
        self.is_cut = self.is_cut or self.searched > _MOST_SEARCHED or self.source.safety.is_over
        return self.is_cut

    def _signal(self, claim: str, path: str, blob: str, data: bytes, offset: int) -> None:
        if len(self.signals) < _MOST_SIGNALS:
            line, text = _line(data, offset)
            self.signals.setdefault((path, claim), Fact(claim, Place(quoted(path), line, blob), text))

    def _prove(self, path: str, blob: str, old_file: File, old_function: Definition | None, new_file: File, function: Definition) -> None:
        """Add what is uninitialised in the new version of a function, but was not in the old one."""
        proofs = list(uninitialised.find(new_file, function))
        if not proofs:
            return
        old_parts = {part.key: part for part in uninitialised.find(old_file, old_function)} if old_function is not None else {}
        for part in proofs:
            new_part = part.without(old_parts[part.key]) if part.key in old_parts else part
            if new_part is not None:
                self.proofs.append((new_part, path, blob, new_file.data))
            else:
                self._signal(f"{part.claim}, as before the change", path, blob, new_file.data, part.leaving.offset)

    def _struct_signal(self, path: str, blob: str, file: File, function: Definition, structs: Collection[str]) -> None:
        """Add a signal for each changed struct that a function copies out, unless all of it is written."""
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
        holding = self.source.files_holding([[struct.lower()]]) or ()
        for path in [path for path in holding if path.endswith(".c") and path not in self.changed][:_MOST_USERS]:
            if self._is_over_limit():
                return
            blob = self.source.file(path)
            if blob is None or blob.data is None or not CALLS.search(blob.data):
                continue
            scanned = scan(blob.data)
            new_file = File(blob.data, self._structs(path, blob.data, scanned, {}))
            old_file = File(blob.data, self._structs(path, blob.data, scanned, self.before))
            for function in _candidates(new_file, set(), {struct}):
                self._prove(path, blob.oid, old_file, function, new_file, function)
                self._struct_signal(path, blob.oid, new_file, function, {struct})


def _old_version(function: Definition, new_file: File, old_file: File) -> Definition | None:
    """The old version of a function. If several have the name (in the arms of a conditional), the one in the same order."""
    new_versions, old_versions = (
        [definition for definition in file.scan.definitions if definition.name == function.name and definition.body[1]]
        for file in (new_file, old_file)
    )
    return old_versions[min(new_versions.index(function), len(old_versions) - 1)] if old_versions else None


def _candidates(file: File, changed: set[str], structs: set[str]) -> list[Definition]:
    """The changed functions of a file, their callers, and the functions that name a changed struct."""
    functions = file.functions
    chosen = set(changed)
    near = changed
    for _ in range(_DEEPEST_CALLERS):
        near = _naming(file, functions, near) - chosen
        chosen |= near
    chosen |= _naming(file, functions, structs)
    return [function for function in functions if function.name in chosen]


def _naming(file: File, functions: list[Definition], names: Collection[str]) -> set[str]:
    """The functions whose body names one of `names`."""
    if not names:
        return set()
    pattern = re.compile(rb"\b(?:" + b"|".join(re.escape(name.encode()) for name in sorted(names)) + rb")\b")
    places = [match.start() for match in pattern.finditer(file.scan.code)]
    naming = set()
    for function in functions:
        position = bisect.bisect_left(places, function.body[0])
        if position < len(places) and places[position] < function.body[1]:
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
