"""StructLayouts: the layout of a struct by its name, as one C file sees it.

The one in the file itself, or the only one that a header has. The word index finds it; where two are left, or a bound is met, none is
taken.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Mapping

import msgspec

from hook import lazy_re
from hook.c import integers, struct_parser
from hook.c.definitions import Definition, DefinitionKind, Scan, scan
from hook.c.layout import Layout
from hook.c.struct_parser import NotUnderstood
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.source.index import NoIndex
from hook.source.tree import Source

_MOST_FILES = 12  # that are looked into for one name
_MOST_NAMES = 60  # looked up for one file
_DEEPEST = 6
_PRAGMA = lazy_re.compile(rb"#[ \t]*pragma[ \t]+pack")
_QUOTED = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"([\w./+-]+)"')
_INCLUDED = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+["<](?:[\w.+-]+/)*([\w.+-]+)[">]')
_PLAIN = lazy_re.compile(rb"\(?[ \t]*(\w+)[ \t]*\)?[ \t]*(?:/\*[^\n]*|//[^\n]*)?\Z")


class StructLayouts(msgspec.Struct):
    """What one file sees. `instead` are files as they were before the change, where those are meant."""

    source: Source
    path: str
    data: bytes
    scanned: Scan
    arch: str  # the directory below arch/ that counts
    natural: bool  # whether every number of the target is aligned to its size, and a long has 64 bits
    instead: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    _known: dict[str, Layout | str] = msgspec.field(default_factory=dict)
    _values: dict[bytes, int | None] = msgspec.field(default_factory=dict)
    _sizes: dict[bytes, int | None] = msgspec.field(default_factory=dict)
    _macros: dict[bytes, str] = msgspec.field(default_factory=dict)
    _scans: dict[str, Scan] = msgspec.field(default_factory=dict)
    _looked_up: int = 0
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
        path, data, scanned, found = self._definition(name)
        start, end = found.span
        self._depth += 1
        try:
            made = struct_parser.parse(name, scanned.code[start : end + 1], data[start : end + 1], self)
        finally:
            self._depth -= 1
        blob = self.source.file(path)
        padded = made.padded and self.natural and not _PRAGMA.search(data) and not _PRAGMA.search(self.data)
        return msgspec.structs.replace(made, padded=padded, path=path, line=found.line, blob=blob.oid if blob else "")

    def struct(self, tag: bytes) -> Layout:
        return self.layout(tag.decode("ascii", "replace"))

    def typedef(self, name: bytes) -> int | None:
        """The size of a type that is a plain number, and the same wherever it is defined; None for any other name."""
        if name not in self._sizes:
            self._sizes[name] = None
            form = re.compile(rb"(?m)^[ \t]*typedef[ \t]+((?:\w+[ \t]+)+)" + name + rb"[ \t]*;")
            sizes = {struct_parser.size_of(words) for words in self._found(name, form)}
            self._sizes[name] = sizes.pop() if len(sizes) == 1 else None
        return self._sizes[name]

    def constant(self, name: bytes) -> int | None:
        """The value of a macro that is a plain number, and the same wherever it is defined; None for any other name."""
        if name in self._values:
            return self._values[name]
        self._values[name] = None
        form = re.compile(rb"(?m)^[ \t]*#[ \t]*define[ \t]+" + name + rb"[ \t]+([^\n]*)")
        values = {match.group(1) if (match := _PLAIN.match(text)) else b"" for text in self._found(name, form)}
        if len(values) == 1 and (value := values.pop()):
            number = integers.value(value)
            self._values[name] = number if number is not None else self.constant(value)
        return self._values[name]

    def _found(self, name: bytes, form: re.Pattern[bytes]) -> set[bytes]:
        """What the file, or else the headers that may define a name, say of it in a given form."""
        texts = set(form.findall(self.data))
        if texts:
            return texts
        try:
            return {text for path in self._holding(name.decode("ascii", "replace")) for text in form.findall(self._text(path))}
        except NotUnderstood:
            return set()

    def _definition(self, name: str) -> tuple[str, bytes, Scan, Definition]:
        """The one definition that is meant, and the file it is in. Raises NotUnderstood."""
        places = [(self.path, self.data, self.scanned, one) for one in _structs(self.scanned, name)]
        if not places:
            for path in self._holding(name):
                scanned = self._scan(path)
                places += [(path, self._text(path), scanned, one) for one in _structs(scanned, name)]
        if len(places) != 1:
            raise NotUnderstood(f"struct {name} is defined {len(places)} times")
        if not self._is_near(places[0][0]):
            raise NotUnderstood(f"whether {self.path} means the struct {name} of {places[0][0]} is not told")
        return places[0]

    def macro_with(self, name: bytes) -> str:
        """A header that the file quotes, in which the text of a macro holds a name; empty where there is none."""
        if name not in self._macros:
            self._macros[name] = self._macro_with(name)
        return self._macros[name]

    def _macro_with(self, name: bytes) -> str:
        form = re.compile(rb"(?m)^[ \t]*#[ \t]*define\b(?:[^\n\\]|\\\n|\\.)*\b" + name + rb"\b")
        for match in _QUOTED.finditer(self.data):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), match.group(1).decode("utf-8", "replace")))
            found = self.source.file(path) if not path.startswith("..") else None
            if found is not None and found.data is not None and form.search(found.data):
                return path
        return ""

    def _is_near(self, path: str) -> bool:
        """Whether a file is one that the C file surely means: a header of the whole kernel, of its own folder, or one that it includes."""
        if path == self.path or path.startswith(("include/", "arch/")):
            return True
        return posixpath.dirname(path) == posixpath.dirname(self.path) or path.rpartition("/")[2].encode() in _INCLUDED.findall(self.data)

    def _holding(self, name: str) -> list[str]:
        """The headers that may define a name for the target. Raises NotUnderstood."""
        self._looked_up += 1
        if self._looked_up > _MOST_NAMES:
            raise NotUnderstood("more names than are looked up for one file")
        try:
            if self.source.index is not None:
                paths = self.source.holding([[f":{name.lower()}"]])
            elif self.source.is_small:
                from hook.source.lookup import Bounds, find_definitions

                answer = find_definitions(self.source, name, Bounds(_MOST_FILES))
                if answer.cut:
                    raise NotUnderstood(f"{name} is not found in time")
                paths = [one.path for one in answer.items]
            else:
                raise NotUnderstood(f"there is no word index to find {name} with")
        except NoIndex as wrong:
            self.source.index_failed(str(wrong))
            raise NotUnderstood(str(wrong)) from None
        seen = [path for path in dict.fromkeys(paths) if self._is_seen(path)]
        if len(seen) > _MOST_FILES:
            raise NotUnderstood(f"{name} is defined in too many places")
        return seen

    def _is_seen(self, path: str) -> bool:
        return path.endswith(".h") and in_kernel(path, self.arch, NO_KERNEL_CODE)

    def _text(self, path: str) -> bytes:
        if path in self.instead:
            return self.instead[path]
        found = self.source.file(path)
        if found is None or found.data is None:
            raise NotUnderstood(f"{path} cannot be read")
        return found.data

    def _scan(self, path: str) -> Scan:
        if path not in self._scans:
            self._scans[path] = _scanned(self._text(path))
        return self._scans[path]


@functools.lru_cache(maxsize=32)  # the old and the new version of a file ask for the same headers
def _scanned(text: bytes) -> Scan:
    return scan(text)


def _structs(scanned: Scan, name: str) -> list[Definition]:
    return [one for one in scanned.definitions if one.name == name and one.kind is DefinitionKind.STRUCT]
