"""The text of files, read once, with comments blanked; and their definitions, macros and local headers."""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

from hook import lazy_re
from hook.c import definitions
from hook.c.blanking import without_comments
from hook.c.legible import is_legible
from hook.c.macro_expansion import Expansion, ExpansionTooLarge, Macro, agreed, written
from hook.kernel.no_kernel_code import OtherCode, left_out
from hook.source.tree import Source

Value = typing.TypeVar("Value")
_LOCAL = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"([\w./-]+)"')
_DEFINE = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*define[ \t]+(\w+)")
_BODY = lazy_re.compile(rb"(?:[^\n\\/]|\\[^\n]|\\\n|/(?!\*)|/\*(?:[^*]|\*(?!/))*\*/)*")
_DRIVER_MACRO = lazy_re.compile(r"(?m)^([A-Z][A-Z0-9_]*_DRIVER)[ \t]*\([^;]{0,400}\)")
_MOST_DRIVER_MACROS = 20  # in one file
_MOST_LOCAL = 24  # local headers of one file
# the headers that define the macros of device tables
_STANDARD = (
    "include/linux/pci.h", "include/linux/pci_ids.h", "include/linux/mod_devicetable.h", "include/uapi/linux/virtio_ids.h",
    "include/linux/acpi.h", "include/linux/pnp.h", "include/linux/usb.h",
)  # fmt: skip
_MOST_HEADERS = 8  # that define one macro, by the index
_LEFT_OUT = left_out(OtherCode.PROGRAM, OtherCode.SAMPLE)


class TooManyFiles(Exception):
    """The search would have to read more files than the limit."""


class Texts:
    """The files of one tree, as text without comments. Past `most_files`, reading one raises TooManyFiles."""

    def __init__(self, source: Source, most_files: int) -> None:
        self.source = source
        self._most_files = most_files
        self.unread: list[str] = []  # files that exist and cannot be read as text
        self.unsearched: dict[str, None] = {}  # files that exist and cannot be read at all, of those that `written` was asked for
        self.read_files = 0  # for the limit
        self._raw: dict[str, bytes | None] = {}
        self._texts: dict[str, str | None] = {}
        self._once: dict[tuple[str, str], object] = {}
        self._defining: dict[str, list[str]] = {}
        self._locals: dict[str, tuple[str, ...]] = {}
        self._ends: dict[str, tuple[int, int]] = {}  # of files with an expansion appended: its offset, and the line of the macro
        self._appended_macro: dict[str, str] = {}  # the macro of the appended expansion

    def get(self, path: str) -> str | None:
        """A file with comments and `#if 0` blanked; None if it cannot be read. Offsets stay; an expanded macro may be appended."""
        if path not in self._texts:
            data = self.raw(path)
            self._texts[path] = text = None if data is None else without_comments(data).decode("latin-1")
            if text is not None and "DRIVER(" in text:
                self._texts[path] = text + self._expanded_macro(path, text)
        return self._texts[path]

    def _expanded_macro(self, path: str, text: str) -> str:
        """The expansion of a macro of the local headers that defines a driver (FBTFT_REGISTER_DRIVER), to be appended to the file."""
        for use in itertools.islice(_DRIVER_MACRO.finditer(text), _MOST_DRIVER_MACROS):
            headers = self.local_headers(path)
            if not any(self.macro(header, use[1]) for header in headers):
                continue
            try:
                expansion = Macros(self, (path, *headers)).expand(use[0])
            except ExpansionTooLarge:
                continue
            if "_driver " in expansion:
                self._ends[path] = len(text), text.count("\n", 0, use.start()) + 1
                self._appended_macro[path] = use[1]
                return "\n" + re.sub(r"\b(?=module_\w+\s*\(|static\b|MODULE_\w+\s*\()", "\n", expansion)
        return ""

    def is_expanded_from(self, path: str, macro: str) -> bool:
        """Whether the expansion of this macro is appended to a file."""
        return self._appended_macro.get(path) == macro

    def raw(self, path: str) -> bytes | None:
        """A file as it is; None if it cannot be read as text."""
        if path not in self._raw:
            self.read_files += 1
            if self.read_files > self._most_files:
                raise TooManyFiles
            blob = self.source.file(path)
            data = blob.data if blob is not None else None
            readable = data is not None and b"\0" not in data[:8000] and is_legible(data)
            if blob is not None and not readable:
                self.unread.append(path)
            self._raw[path] = data if readable else None
        return self._raw[path]

    def written(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Many files as they are, those that can be read. Each counts a quarter of a file that is read as C, as it costs."""
        self.read_files += len(paths) // 4
        if self.read_files > self._most_files:
            raise TooManyFiles
        for path, blob in zip(paths, self.source.files(paths), strict=True):
            if blob is not None and blob.data is not None:
                yield path, blob.data
            elif blob is not None:
                self.unsearched[path] = None

    def once(self, key: tuple[str, str], make: Callable[[], Value]) -> Value:
        """The result of `make` for a key, made once."""
        if key not in self._once:
            self._once[key] = make()
        return typing.cast(Value, self._once[key])

    def scan(self, path: str) -> tuple[definitions.Definition, ...]:
        """The definitions of a file."""
        return self.once(("scan", path), lambda: definitions.scan((self.get(path) or "").encode("latin-1")).definitions)

    def is_static(self, path: str, definition: definitions.Definition) -> bool:
        """Whether a definition of a file is static, under all options."""
        head = (self.get(path) or "")[definition.span[0] : definition.offset]
        return "static" in head.split() and "#" not in head

    def variables(self, path: str) -> list[definitions.Definition]:
        """The variables that a file defines or declares outside of functions."""
        return [definition for definition in self.scan(path) if definition.kind is definitions.DefinitionKind.VARIABLE]

    def exists(self, path: str) -> bool:
        """Whether there is a file that can be read."""
        return self.get(path) is not None

    def blob(self, path: str) -> str:
        """The id of the blob at a path."""
        return self.source.oid(path)

    def line(self, path: str, offset: int) -> int:
        """The line of an offset."""
        end, line = self._ends.get(path, (-1, 0))
        if 0 <= end < offset:
            return line
        return (self.get(path) or "").count("\n", 0, offset) + 1

    def local_headers(self, path: str) -> tuple[str, ...]:
        """The headers that a file includes in quotes, directly or through one another; all are searched beside the file."""
        if path not in self._locals:
            folder = path.rpartition("/")[0]
            headers: dict[str, None] = {}
            waiting = [path]
            while waiting and len(headers) < _MOST_LOCAL:
                for name in _LOCAL.findall(self.raw(waiting.pop(0)) or b""):
                    header = _joined(folder, name.decode("latin-1"))
                    if header and header not in headers and self.raw(header) is not None:
                        headers[header] = None
                        waiting.append(header)
            self._locals[path] = tuple(headers)
        return self._locals[path]

    def macro(self, path: str, name: str) -> list[tuple[str | None, str]]:
        """The definitions of a macro in a file: its parameters as written (None if it has none), and its body."""
        data = self.raw(path) or b""
        definitions: list[tuple[str | None, str]] = []
        for end in self.once(("defines", path), lambda: _defines(data)).get(name.encode("ascii", "replace"), ()):
            body = _BODY.match(data, end)
            definitions.append(written(body[0] if body else b""))
        return definitions

    def defining(self, name: str) -> list[str]:
        """The files that define a name, by the word index; none without it."""
        if name not in self._defining:
            self._defining[name] = self.holding([[f":{name.lower()}"]]) or []
        return self._defining[name]

    def holding(self, groups: list[list[str]]) -> list[str] | None:
        """The files that may contain a word of each group; None without the word index."""
        return self.source.files_holding(groups)


class Macros(Expansion):
    """The macros of the headers that the files of one object may include.

    A name with different definitions, or with none in the files that were searched, has no expansion: the caller must leave its line open.
    """

    def __init__(self, texts: Texts, near: Iterable[str]) -> None:
        super().__init__(self._find)
        self._texts = texts
        self._near = tuple(near)

    def _find(self, name: str) -> Macro | None:
        for paths in (self._near, _STANDARD):
            definitions = {definition for path in paths for definition in self._texts.macro(path, name)}
            if definitions:
                return agreed(definitions)
        folder = self._near[0].rpartition("/")[0] if self._near else ""
        # `O2` of arch/sparc/net is a word of its own file: a driver includes no header of an architecture but by <asm/…>
        others = _LEFT_OUT if folder.startswith("arch/") else (*_LEFT_OUT, "arch/")
        headers = [path for path in self._texts.defining(name) if path.endswith(".h") and not path.startswith(others)]
        if not headers or len(headers) > _MOST_HEADERS:
            return None
        local_headers = [path for path in headers if path.startswith(f"{folder}/")] or headers
        return agreed({definition for path in local_headers for definition in self._texts.macro(path, name)})


def _defines(data: bytes) -> dict[bytes, list[int]]:
    """The offsets after the name of each macro that is defined."""
    offsets: dict[bytes, list[int]] = {}
    for match in _DEFINE.finditer(data):
        offsets.setdefault(match[1], []).append(match.end())
    return offsets


def _joined(folder: str, name: str) -> str:
    parts = folder.split("/")
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return ""
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
