"""Struct layouts: the layout of a struct by its name, for one C file.

The struct is the one in the file itself, or the only one in a header. The word index finds it; if there are two, or a limit is reached,
there is no answer.
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
from hook.source.tree import Source

_MOST_FILES = 12  # that may define one name
_MOST_NAMES = 60  # looked up for one file
_DEEPEST = 6
_PRAGMA = lazy_re.compile(rb"#[ \t]*pragma[ \t]+pack")
_QUOTED = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"([\w./+-]+)"')
_INCLUDED = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+["<](?:[\w.+-]+/)*([\w.+-]+)[">]')
_PLAIN = lazy_re.compile(rb"\(?[ \t]*(\w+)[ \t]*\)?[ \t]*(?:/\*[^\n]*|//[^\n]*)?\Z")


class StructLayouts(msgspec.Struct):
    """The structs of one file. `old_texts` has the old texts of changed headers, for a file before the change."""

    source: Source
    path: str
    data: bytes
    scanned: Scan
    arch: str  # the directory of the target below arch/
    natural: bool  # whether every number of the target is aligned to its size, and a long has 64 bits
    old_texts: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    _layouts: dict[str, Layout | str] = msgspec.field(default_factory=dict)
    _values: dict[bytes, int | None] = msgspec.field(default_factory=dict)
    _sizes: dict[bytes, int | None] = msgspec.field(default_factory=dict)
    _macros: dict[bytes, str] = msgspec.field(default_factory=dict)
    _scans: dict[str, Scan] = msgspec.field(default_factory=dict)
    _looked_up: int = 0
    _depth: int = 0

    def layout(self, name: str) -> Layout:
        """The layout of `struct NAME`. Raises NotUnderstood."""
        cached = self._layouts.get(name)
        if cached is None:
            try:
                cached = self._read(name)
            except NotUnderstood as wrong:
                cached = str(wrong)
            self._layouts[name] = cached
        if isinstance(cached, str):
            raise NotUnderstood(cached)
        return cached

    def _read(self, name: str) -> Layout:
        if self._depth > _DEEPEST:
            raise NotUnderstood(f"structs too deep inside struct {name}")
        path, data, scanned, definition = self._definition(name)
        start, end = definition.span
        self._depth += 1
        try:
            layout = struct_parser.parse(name, scanned.code[start : end + 1], data[start : end + 1], self)
        finally:
            self._depth -= 1
        blob = self.source.file(path)
        padded = layout.padded and self.natural and not _PRAGMA.search(data) and not _PRAGMA.search(self.data)
        return msgspec.structs.replace(layout, padded=padded, path=path, line=definition.line, blob=blob.oid if blob else "")

    def struct(self, tag: bytes) -> Layout:
        return self.layout(tag.decode("ascii", "replace"))

    def typedef(self, name: bytes) -> int | None:
        """The size of a typedef of an integer type, if all definitions agree; None for any other name."""
        if name not in self._sizes:
            self._sizes[name] = None
            form = re.compile(rb"(?m)^[ \t]*typedef[ \t]+((?:\w+[ \t]+)+)" + name + rb"[ \t]*;")
            sizes = {struct_parser.size_of(words) for words in self._matches(name, form)}
            self._sizes[name] = sizes.pop() if len(sizes) == 1 else None
        return self._sizes[name]

    def constant(self, name: bytes) -> int | None:
        """The value of a macro that is a plain number, if all definitions agree; None for any other name."""
        if name in self._values:
            return self._values[name]
        self._values[name] = None
        definition = re.compile(rb"(?m)^[ \t]*#[ \t]*define[ \t]+" + name + rb"[ \t]+([^\n]*)")
        values = {match.group(1) if (match := _PLAIN.match(text)) else b"" for text in self._matches(name, definition)}
        if len(values) == 1 and (value := values.pop()):
            number = integers.value(value)
            self._values[name] = number if number is not None else self.constant(value)
        return self._values[name]

    def _matches(self, name: bytes, pattern: re.Pattern[bytes]) -> set[bytes]:
        """The matches of a pattern in the file, or else in the headers that may define a name."""
        texts = set(pattern.findall(self.data))
        if texts:
            return texts
        try:
            return {text for path in self._holding(name.decode("ascii", "replace")) for text in pattern.findall(self._text(path))}
        except NotUnderstood:
            return set()

    def _definition(self, name: str) -> tuple[str, bytes, Scan, Definition]:
        """The one definition of a struct, and its file. Raises NotUnderstood."""
        places = [(self.path, self.data, self.scanned, definition) for definition in _structs(self.scanned, name)]
        if not places:
            for path in self._holding(name):
                scanned = self._scan(path)
                places += [(path, self._text(path), scanned, definition) for definition in _structs(scanned, name)]
        if len(places) != 1:
            raise NotUnderstood(f"struct {name} is defined {len(places)} times")
        if not self._is_near(places[0][0]):
            raise NotUnderstood(f"not known: whether {self.path} includes {places[0][0]}, which defines struct {name}")
        return places[0]

    def macro_with(self, name: bytes) -> str:
        """A header that the file includes in quotes, in which a macro contains a name; empty if there is none."""
        if name not in self._macros:
            self._macros[name] = self._macro_with(name)
        return self._macros[name]

    def _macro_with(self, name: bytes) -> str:
        definition = re.compile(rb"(?m)^[ \t]*#[ \t]*define\b(?:[^\n\\]|\\\n|\\.)*\b" + name + rb"\b")
        for match in _QUOTED.finditer(self.data):
            path = posixpath.normpath(posixpath.join(posixpath.dirname(self.path), match.group(1).decode("utf-8", "replace")))
            header = self.source.file(path) if not path.startswith("..") else None
            if header is not None and header.data is not None and definition.search(header.data):
                return path
        return ""

    def _is_near(self, path: str) -> bool:
        """Whether a header is surely the right one: a common header of the kernel, one in the same directory, or one that is included."""
        if path == self.path or path.startswith(("include/", "arch/")):
            return True
        return posixpath.dirname(path) == posixpath.dirname(self.path) or path.rpartition("/")[2].encode() in _INCLUDED.findall(self.data)

    def _holding(self, name: str) -> list[str]:
        """The headers that may define a name for the target. Raises NotUnderstood."""
        self._looked_up += 1
        if self._looked_up > _MOST_NAMES:
            raise NotUnderstood(f"more than {_MOST_NAMES} names to look up for one file")
        paths: list[str] | None = None
        if self.source.index is not None:
            paths = self.source.files_holding([[f":{name.lower()}"]])
        elif self.source.is_small:
            from hook.source.lookup import Bounds, find_definitions

            answer = find_definitions(self.source, name, Bounds(_MOST_FILES))
            if answer.cut:
                raise NotUnderstood(f"the search for {name} reached its limit")
            paths = [defined.path for defined in answer.items]
        if paths is None:
            raise NotUnderstood(f"no word index to find {name}")
        headers = [path for path in dict.fromkeys(paths) if self._is_header_of_target(path)]
        if len(headers) > _MOST_FILES:
            raise NotUnderstood(f"{name} may be defined in more than {_MOST_FILES} headers")
        return headers

    def _is_header_of_target(self, path: str) -> bool:
        return path.endswith(".h") and in_kernel(path, self.arch, NO_KERNEL_CODE)

    def _text(self, path: str) -> bytes:
        if path in self.old_texts:
            return self.old_texts[path]
        blob = self.source.file(path)
        if blob is None or blob.data is None:
            raise NotUnderstood(f"{path} cannot be read")
        return blob.data

    def _scan(self, path: str) -> Scan:
        if path not in self._scans:
            self._scans[path] = _scanned(self._text(path))
        return self._scans[path]


@functools.lru_cache(maxsize=32)  # the old and the new version of a file need the same headers
def _scanned(text: bytes) -> Scan:
    return scan(text)


def _structs(scanned: Scan, name: str) -> list[Definition]:
    return [definition for definition in scanned.definitions if definition.name == name and definition.kind is DefinitionKind.STRUCT]
