"""The text of drivers: files with their comments blanked, read once, and what is found in them by its form."""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Callable, Iterator, Sequence

from hook import lazy_re
from hook.c import definitions
from hook.c.blanking import HIDDEN, without_comments
from hook.c.legible import is_legible
from hook.c.macro_expansion import ExpansionTooLarge
from hook.source.tree import Source

Found = typing.TypeVar("Found")
_LOCAL = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"([\w./-]+)"')
_DEFINE = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*define[ \t]+(\w+)")
_BODY = lazy_re.compile(rb"(?:[^\n\\/]|\\[^\n]|\\\n|/(?!\*)|/\*(?:[^*]|\*(?!/))*\*/)*")
_MAKING = lazy_re.compile(r"(?m)^([A-Z][A-Z0-9_]*_DRIVER)[ \t]*\([^;]{0,400}\)")
_MOST_MAKING = 20  # of such macros in a file
_MOST_LOCAL = 24  # headers of its own that a file may include


class TooManyFiles(Exception):
    """More files would have to be read than may be."""


class Texts:
    """The files of one tree, as text without comments; what reads more of them than `most_files` raises TooManyFiles."""

    def __init__(self, source: Source, most_files: int) -> None:
        self.source = source
        self._most_files = most_files
        self.unread: list[str] = []  # files that are there and cannot be read as text
        self.unsearched: dict[str, None] = {}  # files that are there and cannot be read at all, of many that were asked for
        self.read_files = 0  # how many have been read, for those who have to stop
        self._raw: dict[str, bytes | None] = {}
        self._texts: dict[str, str | None] = {}
        self._made: dict[tuple[str, str], object] = {}
        self._defining: dict[str, list[str]] = {}
        self._locals: dict[str, tuple[str, ...]] = {}
        self._ends: dict[str, tuple[int, int]] = {}  # of files with something set behind them: where, and the line that stands for it
        self._behind: dict[str, str] = {}  # the macro that this stands for

    def get(self, path: str) -> str | None:
        """A file without its comments and without what `#if 0` hides, same length; None where there is none that can be read."""
        if path not in self._texts:
            data = self.raw(path)
            self._texts[path] = text = None if data is None else without_comments(data).decode("latin-1")
            if text is not None and "DRIVER(" in text:
                self._texts[path] = text + self._unfolded(path, text)
        return self._texts[path]

    def _unfolded(self, path: str, text: str) -> str:
        """What macros of a driver's own headers stand for where they make its structures (FBTFT_REGISTER_DRIVER); set behind the file."""
        from hook.kernel.macros import Macros

        for use in itertools.islice(_MAKING.finditer(text), _MOST_MAKING):
            headers = self.local_headers(path)
            if not any(self.macro(header, use[1]) for header in headers):
                continue
            try:
                made = Macros(self, (path, *headers)).expand(use[0])
            except ExpansionTooLarge:
                continue
            if "_driver " in made:
                self._ends[path] = len(text), text.count("\n", 0, use.start()) + 1
                self._behind[path] = use[1]
                return "\n" + re.sub(r"\b(?=module_\w+\s*\(|static\b|MODULE_\w+\s*\()", "\n", made)
        return ""

    def is_unfolded(self, path: str, macro: str) -> bool:
        """Whether what a macro stands for is set behind a file."""
        return self._behind.get(path) == macro

    def raw(self, path: str) -> bytes | None:
        """A file as it is; None where there is none that can be read as text."""
        if path not in self._raw:
            self.read_files += 1
            if self.read_files > self._most_files:
                raise TooManyFiles
            found = self.source.file(path)
            data = found.data if found is not None else None
            readable = data is not None and b"\0" not in data[:8000] and is_legible(data)
            if found is not None and not readable:
                self.unread.append(path)
            self._raw[path] = data if readable else None
        return self._raw[path]

    def written(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Many files as they are, those that can be read. Each costs a quarter of what one costs that is read as C, and counts so."""
        self.read_files += len(paths) // 4
        if self.read_files > self._most_files:
            raise TooManyFiles
        for path, found in zip(paths, self.source.files(paths), strict=True):
            if found is not None and found.data is not None:
                yield path, found.data
            elif found is not None:
                self.unsearched[path] = None

    def once(self, key: tuple[str, str], make: Callable[[], Found]) -> Found:
        """What `make` gives for a key, made once."""
        if key not in self._made:
            self._made[key] = make()
        return typing.cast(Found, self._made[key])

    def scan(self, path: str) -> tuple[definitions.Definition, ...]:
        """What a file defines."""
        return self.once(("scan", path), lambda: definitions.scan((self.get(path) or "").encode("latin-1")).definitions)

    def variables(self, path: str) -> list[definitions.Definition]:
        """The variables that a file defines or declares outside of functions."""
        return [one for one in self.scan(path) if one.kind is definitions.DefinitionKind.VARIABLE]

    def exists(self, path: str) -> bool:
        """Whether there is a file to read."""
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
        """The headers that a file includes from beside itself, and those that these do."""
        if path not in self._locals:
            folder = path.rpartition("/")[0]
            found: dict[str, None] = {}
            waiting = [path]
            while waiting and len(found) < _MOST_LOCAL:
                for name in _LOCAL.findall(self.raw(waiting.pop(0)) or b""):
                    header = _joined(folder, name.decode("latin-1"))
                    if header and header not in found and self.raw(header) is not None:
                        found[header] = None
                        waiting.append(header)
            self._locals[path] = tuple(found)
        return self._locals[path]

    def macro(self, path: str, name: str) -> list[tuple[str | None, str]]:
        """The definitions of a macro in a file: its parameters as they are written (None where it has none), and its body."""
        data = self.raw(path) or b""
        found: list[tuple[str | None, str]] = []
        for end in self.once(("defines", path), lambda: _defines(data)).get(name.encode("ascii", "replace"), ()):
            body = _BODY.match(data, end)
            whole = HIDDEN.sub(_without_comment, body[0] if body else b"").replace(b"\\\n", b" ").decode("latin-1")
            parameters = None
            if whole.startswith("("):
                parameters, _, whole = whole[1:].partition(")")
            found.append((parameters, " ".join(whole.split())))
        return found

    def defining(self, name: str) -> list[str]:
        """The files that define a name, by the word index; none without it."""
        if name not in self._defining:
            self._defining[name] = self.holding([[f":{name.lower()}"]]) or []
        return self._defining[name]

    def holding(self, groups: list[list[str]]) -> list[str] | None:
        """The files that may hold a word of each group; None without the word index."""
        if self.source.index is None:
            return None
        from hook.source.index import NoIndex

        try:
            return self.source.holding(groups)
        except NoIndex as wrong:
            self.source.index_failed(str(wrong))
            return None


def _defines(data: bytes) -> dict[bytes, list[int]]:
    """Where each macro's definition goes on after its name."""
    found: dict[bytes, list[int]] = {}
    for one in _DEFINE.finditer(data):
        found.setdefault(one[1], []).append(one.end())
    return found


def _without_comment(found: re.Match[bytes]) -> bytes:
    return found[0] if found[0][:1] in b"\"'" else b" "


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
