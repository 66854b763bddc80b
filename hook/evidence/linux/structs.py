"""Structs: the layout of a struct by its name, as one C file sees it.

The one in the file itself, or the only one that a header has. The word index finds it; where two are left, or a bound is met, none is
taken.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping

from hook.evidence.linux import layout
from hook.evidence.linux.layout import Layout, NotUnderstood
from hook.source.definitions import Definition, DefinitionKind, Scan, scan
from hook.source.index import NoIndex
from hook.source.lookup import Bounds, find_definitions
from hook.source.tree import Source
from hook.source.treepath import NotATreePath

_MOST_FILES, _MOST_SECONDS = 12, 0.3  # that are looked into for one name
_MOST_NAMES = 60  # looked up for one file
_DEEPEST = 6
_OTHER_PROGRAMS = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")
_PRAGMA = re.compile(rb"#[ \t]*pragma[ \t]+pack")
_DEFINE = re.compile(rb"#[ \t]*define[ \t]+\w+[ \t]+\(?[ \t]*(\w+)[ \t]*\)?[ \t]*(?:/\*[^\n]*)?\Z")


@dataclasses.dataclass
class Structs:
    """What one file sees. `instead` are files as they were before the change, where those are meant."""

    source: Source
    path: str
    data: bytes
    scanned: Scan
    arch: str  # the directory below arch/ that counts
    instead: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    _known: dict[str, Layout | str] = dataclasses.field(default_factory=dict)
    _values: dict[bytes, int | None] = dataclasses.field(default_factory=dict)
    _scans: dict[str, tuple[bytes, Scan]] = dataclasses.field(default_factory=dict)
    _depth: int = 0

    def layout(self, name: str) -> Layout:
        """The layout of `struct NAME`. Raises NotUnderstood."""
        known = self._known.get(name)
        if known is None:
            try:
                known = self._read(name)
            except NotUnderstood as wrong:
                known = str(wrong)
            self._known[name] = known
        if isinstance(known, str):
            raise NotUnderstood(known)
        return known

    def _read(self, name: str) -> Layout:
        if self._depth > _DEEPEST:
            raise NotUnderstood(f"structs too deep inside struct {name}")
        path, data, scanned, found = self._definition(name, DefinitionKind.STRUCT)
        start, end = found.span
        self._depth += 1
        try:
            made = layout.parse(name, scanned.code[start : end + 1], data[start : end + 1], self._inner, self._constant)
        finally:
            self._depth -= 1
        blob = self.source.file(path)
        padded = made.padded and not _PRAGMA.search(data)
        return dataclasses.replace(made, padded=padded, path=path, line=found.line, blob=blob.oid if blob else "")

    def _inner(self, tag: bytes) -> Layout:
        return self.layout(tag.decode("ascii", "replace"))

    def _constant(self, name: bytes) -> int | None:
        """The value of a macro that is a plain number; None for any other name."""
        if name not in self._values:
            self._values[name] = None
            try:
                _, data, _, found = self._definition(name.decode("ascii", "replace"), DefinitionKind.MACRO)
            except NotUnderstood:
                return None
            match = _DEFINE.match(data[slice(*found.span)].strip())
            if match:
                value = layout.number(match.group(1))
                self._values[name] = value if value is not None else self._constant(match.group(1))
        return self._values[name]

    def _definition(self, name: str, kind: DefinitionKind) -> tuple[str, bytes, Scan, Definition]:
        """The one definition that is meant, and the file it is in. Raises NotUnderstood."""
        own = [one for one in self.scanned.definitions if one.name == name and one.kind is kind]
        if own:
            if len(own) > 1:
                raise NotUnderstood(f"{name} is defined {len(own)} times in {self.path}")
            return self.path, self.data, self.scanned, own[0]
        if len(self._known) + len(self._values) > _MOST_NAMES:
            raise NotUnderstood("more names than are looked up for one file")
        if self.source.index is None and not self.source.is_small:
            raise NotUnderstood(f"there is no word index to find {name} with")
        try:
            answer = find_definitions(self.source, name, Bounds(_MOST_FILES, _MOST_SECONDS))
        except (NoIndex, NotATreePath) as wrong:
            raise NotUnderstood(str(wrong)) from None
        paths = {one.path for one in answer.items if one.definition.kind is kind and self._is_seen(one.path)}
        if answer.cut or len(paths) != 1:
            raise NotUnderstood(f"{len(paths)} headers define {name}" if not answer.cut else f"{name} is defined in too many places")
        path = paths.pop()
        data, scanned = self._scan(path)
        found = [one for one in scanned.definitions if one.name == name and one.kind is kind]
        if len(found) != 1:
            raise NotUnderstood(f"{name} is defined {len(found)} times in {path}")
        return path, data, scanned, found[0]

    def _is_seen(self, path: str) -> bool:
        if not path.endswith(".h") or path.startswith(_OTHER_PROGRAMS):
            return False
        return not path.startswith("arch/") or path.startswith(f"arch/{self.arch}/")

    def _scan(self, path: str) -> tuple[bytes, Scan]:
        if path not in self._scans:
            data = self.instead.get(path)
            if data is None:
                found = self.source.file(path)
                data = found.data if found is not None else None
            if data is None:
                raise NotUnderstood(f"{path} cannot be read")
            self._scans[path] = data, scan(data)
        return self._scans[path]
