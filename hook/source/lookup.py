"""Look-ups: where a name of the tree is defined, used and called, and what includes a header.

The word index chooses the files where there is one, and ``git grep`` does where not; the answer is read from the files themselves, and is
the same. Every answer is bounded, and says so where it was cut. A name is taken as a name: two static functions of one name are both meant.
"""

from __future__ import annotations

import enum
import math
import posixpath
import re
import time
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from hook import lazy_re
from hook.c.definitions import Definition, DefinitionKind
from hook.c.definitions import definitions as scanned
from hook.c.keywords import NOT_CALLED
from hook.c.translation_unit import SourceFile
from hook.c.word_places import places
from hook.source.grep import paths_matching
from hook.source.index import NoIndex
from hook.source.tree import Source
from hook.source.words import is_binary, is_number

Item = TypeVar("Item")
MOST_FILES = 20_000  # looked into for one question about the tree
_NAMES_BYTES = 8 << 20  # of the names of files
_NAME = lazy_re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_CALL = lazy_re.compile(rb"(?<![\w.>])([A-Za-z_]\w*+)\s*+\(")
_OPENING = lazy_re.compile(rb"\s*+\(")
_INCLUDE = lazy_re.compile(rb'(?m)^[ \t]*+#[ \t]*+include[ \t]*+["<]([^">\n]+)[">]')


class NotAName(ValueError):
    """Something that cannot be a name in C; the sentence says so."""


class FunctionUseKind(enum.StrEnum):
    """How a function is used."""

    CALL = "call"
    ADDRESS = "address"  # taken in a function: handed on, compared, stored
    TABLE = "table"  # its address stands in an initialiser outside of functions
    MACRO = "macro"  # in the body of a macro, however that is used


class Bounds(msgspec.Struct, frozen=True):
    """How much a look-up may read."""

    files: int
    seconds: float = math.inf  # for those who wait for it; an answer that a verdict rests on is bounded by its files alone
    searches_all: bool = False  # whether a large tree without an index is searched from end to end


class LookupResult(msgspec.Struct, Generic[Item], frozen=True):
    """What was found, by path and line. `cut` says what ended it early: `files`, `seconds`, `index` (there is none), or nothing."""

    items: tuple[Item, ...]
    cut: str = ""


class Defined(msgspec.Struct, frozen=True):
    """A definition and the file it is in."""

    path: str
    definition: Definition
    text: str  # the line that holds the name


class Reference(msgspec.Struct, frozen=True):
    """A line that holds a name."""

    path: str
    line: int
    text: str
    function: str  # around it; empty outside of functions


class FunctionUse(msgspec.Struct, frozen=True):
    """A use of a function in the code, not in comments or strings."""

    path: str
    line: int
    text: str
    user: str  # the function, table or macro that it is in; empty where that has no name
    kind: FunctionUseKind


class Include(msgspec.Struct, frozen=True):
    """A line that includes a header."""

    path: str
    line: int
    text: str


def find_definitions(source: Source, name: str, bounds: Bounds) -> LookupResult[Defined]:
    """Where `name` is defined: as a function, macro, type, constant, variable or option. Raises NotAName, GitError.

    A system call is found as `sys_NAME`, or by any name that its entry point has in the kernel (`__x64_sys_NAME`).
    """
    wanted = canonical(name)
    reading = _Reading(source, wanted, bounds, defining=True)
    found = []
    for file in reading:
        for one in file.scan.definitions:
            if one.name == wanted:
                found.append(Defined(file.path, one, file.whole_line(one.offset)[1]))
    return LookupResult(tuple(found), reading.cut)


def references(source: Source, name: str, bounds: Bounds) -> LookupResult[Reference]:
    """The lines that hold `name` as a word, as `git grep -w` finds them, each with the function around it. Raises NotAName, GitError."""
    reading = _Reading(source, _checked(name), bounds)
    found = []
    for file in reading:
        for offset in _lines_with(file, name):
            line, text = file.whole_line(offset)
            around = file.function_at_line(line)
            found.append(Reference(file.path, line, text, around.name if around else ""))
    return LookupResult(tuple(found), reading.cut)


def callers(source: Source, name: str, bounds: Bounds) -> LookupResult[FunctionUse]:
    """What calls the function `name` or takes its address. Raises NotAName, GitError."""
    reading = _Reading(source, _checked(name), bounds)
    found = []
    for file in reading:
        found += _uses(file, name)
    return LookupResult(tuple(found), reading.cut)


def callees(source: Source, name: str, bounds: Bounds) -> LookupResult[FunctionUse]:
    """What the function `name` calls: functions and macros, each where it is called first. Raises NotAName, GitError."""
    wanted = canonical(name)
    reading = _Reading(source, wanted, bounds, defining=True)
    found = []
    for file in reading:
        for one in file.scan.definitions:
            if one.name != wanted or one.kind is not DefinitionKind.FUNCTION:
                continue
            seen = set()
            for match in _CALL.finditer(file.scan.code, *one.body):
                called = match.group(1)
                if called in NOT_CALLED or called in seen:
                    continue
                seen.add(called)
                found.append(FunctionUse(file.path, *file.whole_line(match.start(1)), called.decode("ascii"), FunctionUseKind.CALL))
    return LookupResult(tuple(found), reading.cut)


def file_index(source: Source, path: str) -> LookupResult[Definition]:
    """What the file at `path` defines, in its order; nothing for one that is no C, assembly or Kconfig file. Raises GitError."""
    found = source.file(path)
    return LookupResult(scanned(found.data, path).definitions if found and found.data is not None and not is_binary(found.data) else ())


def includers(source: Source, header: str, bounds: Bounds) -> LookupResult[Include]:
    """The files that include `header`, a path of the tree: by a path that ends its own, or one that leads there from the file.

    Which directories a compiler would search is not looked at: of two headers that end alike both may be meant.
    """
    base = header.rpartition("/")[2]
    if not base.isprintable():
        return LookupResult(())  # no directive can name it
    words = [] if source.index is None else [[word.lower()] for word in re.findall(r"[A-Za-z0-9_]+", base) if not is_number(word)]
    reading = _Reading(source, base, bounds, words=words, expression=rf"#[[:space:]]*include[[:space:]].*{_literally(base)}")
    found = []
    for file in reading:
        for match in _INCLUDE.finditer(file.data):
            text = match.group(1).decode("utf-8", "replace")
            near = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), text))
            if near == header or header == text or (header.endswith(f"/{text}") and not text.startswith(".")):
                found.append(Include(file.path, *file.whole_line(match.start(1))))
    return LookupResult(tuple(found), reading.cut)


def _literally(text: str) -> str:
    """An extended regular expression that matches this text alone."""
    return re.sub(r"([^\w/ -])", r"\\\1", text)


def canonical(name: str) -> str:
    """The name under which a definition is found. Raises NotAName."""
    found = re.match(r"__(?:x64|ia32|arm64|s390x?|riscv|powerpc|do|se)_((?:compat_)?sys_\w+)\Z", _checked(name))
    return found.group(1) if found else name


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise NotAName(f"{name[:60]!a} is no name")
    return name


def _lines_with(file: SourceFile, name: str) -> Iterator[int]:
    """An offset in each line that holds a word."""
    line_end = -1
    for offset in places(file.data, name):
        if offset > line_end:
            yield offset
            line_end = file.data.find(b"\n", offset)
            if line_end < 0:
                return


def _uses(file: SourceFile, name: str) -> list[FunctionUse]:
    found: dict[tuple[int, FunctionUseKind], FunctionUse] = {}
    code = file.scan.code
    for offset in places(code, name):
        if code[offset - 1 : offset] in (b".", b">"):
            continue  # a member of that name
        line, text = file.whole_line(offset)
        around = file.function_at_line(line)
        called = _OPENING.match(code, offset + len(name)) is not None
        if around and around.body[0] < offset < around.body[1]:
            kind, user = (FunctionUseKind.CALL if called else FunctionUseKind.ADDRESS), around.name
        elif around is None and not called:
            table = _variable_at(file.scan.definitions, line)
            if table is None or table.name == name:
                continue
            kind, user = FunctionUseKind.TABLE, table.name
        else:
            continue  # its own definition, or a declaration
        found.setdefault((line, kind), FunctionUse(file.path, line, text, user, kind))
    for macro in file.scan.definitions:
        if macro.kind is DefinitionKind.MACRO and macro.name != name:
            for offset in places(file.data, name, *macro.span):
                line, text = file.whole_line(offset)
                found.setdefault((line, FunctionUseKind.MACRO), FunctionUse(file.path, line, text, macro.name, FunctionUseKind.MACRO))
    return sorted(found.values(), key=lambda use: use.line)


def _variable_at(definitions: Sequence[Definition], line: int) -> Definition | None:
    return next((one for one in definitions if one.kind is DefinitionKind.VARIABLE and one.first_line <= line <= one.last_line), None)


class _Reading:
    """The files that may hold a word, in the order of their paths, as far as the bounds go."""

    def __init__(
        self,
        source: Source,
        word: str,
        bounds: Bounds,
        *,
        defining: bool = False,
        expression: str = "",
        words: Sequence[Sequence[str]] = (),
    ) -> None:
        self.cut = ""
        self._source, self._bounds = source, bounds
        self._deadline = time.monotonic() + bounds.seconds
        index = source.index if defining else None
        if words or index is not None:
            try:
                self._paths = source.holding(words or [[f":{word.lower()}"]])
                return
            except NoIndex as wrong:
                source.index_failed(str(wrong))
        if source.index is None and not bounds.searches_all and not source.is_small:
            self._paths, self.cut = [], "index"
            return
        # a system call is defined by its bare name, as an argument of a macro
        bare = word.removeprefix("compat_").removeprefix("sys_") if defining else word
        either = word if bare == word else f"({word}|{bare})"
        expression = expression or rf"(^|[^A-Za-z0-9_]){either}([^A-Za-z0-9_]|$)"
        self._paths, self.cut = paths_matching(source, expression, limit_bytes=_NAMES_BYTES, seconds=bounds.seconds)

    def __iter__(self) -> Iterator[SourceFile]:
        if len(self._paths) > self._bounds.files:
            self.cut = self.cut or "files"
        for path in self._paths[: self._bounds.files]:
            if time.monotonic() > self._deadline or self._source.safety.is_over:
                self.cut = "seconds"
                return
            found = self._source.file(path)
            if found is not None and found.data is not None and not is_binary(found.data):
                yield SourceFile(path, found.data)
