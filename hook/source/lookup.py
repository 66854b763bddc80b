"""Look-ups: where a name is defined, used and called, and which files include a header.

The word index chooses the files, or ``git grep`` if there is none; the answer is read from the files themselves, and is the same. Every
answer is bounded, and says if it was cut. A name is only a name: two static functions with one name are both in the answer.
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
from hook.source.tree import Source
from hook.source.words import is_binary, is_number

Item = TypeVar("Item")
MOST_FILES = 20_000  # read for one question about the tree
_NAMES_BYTES = 8 << 20  # of the names of files
_NAME = lazy_re.compile(r"[A-Za-z_]\w*\Z", re.ASCII)
_CALL = lazy_re.compile(rb"(?<![\w.>])([A-Za-z_]\w*+)\s*+\(")
_OPENING = lazy_re.compile(rb"\s*+\(")
_INCLUDE = lazy_re.compile(rb'(?m)^[ \t]*+#[ \t]*+include[ \t]*+["<]([^">\n]+)[">]')


class NotAName(ValueError):
    """A text that cannot be a name in C; the sentence says so."""


class FunctionUseKind(enum.StrEnum):
    """How a function is used."""

    CALL = "call"
    ADDRESS = "address"  # taken in a function: passed on, compared, stored
    TABLE = "table"  # its address is in an initialiser outside of functions
    MACRO = "macro"  # in the body of a macro, wherever that is used


class Bounds(msgspec.Struct, frozen=True):
    """How much a look-up may read."""

    files: int
    seconds: float = math.inf  # if a person waits for it; an answer that a verdict depends on is bounded by its files alone
    searches_all: bool = False  # whether a large tree without an index is searched completely


class LookupResult(msgspec.Struct, Generic[Item], frozen=True):
    """The answer, by path and line. `cut` says what ended it early: `files`, `seconds`, `index` (there is none), or nothing."""

    items: tuple[Item, ...]
    cut: str = ""


class Defined(msgspec.Struct, frozen=True):
    """A definition and the file it is in."""

    path: str
    definition: Definition
    text: str  # the line with the name


class Reference(msgspec.Struct, frozen=True):
    """A line with a name in it."""

    path: str
    line: int
    text: str
    function: str  # around it; empty outside of functions


class FunctionUse(msgspec.Struct, frozen=True):
    """A use of a function in the code, not in comments or strings."""

    path: str
    line: int
    text: str
    user: str  # the function, table or macro that it is in; empty if that has no name
    kind: FunctionUseKind


class Include(msgspec.Struct, frozen=True):
    """A line that includes a header."""

    path: str
    line: int
    text: str


def find_definitions(source: Source, name: str, bounds: Bounds) -> LookupResult[Defined]:
    """The definitions of `name`: as a function, macro, type, constant, variable or option. Raises NotAName, GitError.

    A system call is found as `sys_NAME`, or by any name of its entry point in the kernel (`__x64_sys_NAME`).
    """
    defined_name = canonical(name)
    reading = _Reading(source, defined_name, bounds, defining=True)
    definitions = []
    for file in reading:
        for definition in file.scan.definitions:
            if definition.name == defined_name:
                definitions.append(Defined(file.path, definition, file.whole_line(definition.offset)[1]))
    return LookupResult(tuple(definitions), reading.cut)


def references(source: Source, name: str, bounds: Bounds) -> LookupResult[Reference]:
    """The lines with `name` as a word, as `git grep -w` finds them, each with the function around it. Raises NotAName, GitError."""
    reading = _Reading(source, _checked(name), bounds)
    lines = []
    for file in reading:
        for offset in _lines_with(file, name):
            line, text = file.whole_line(offset)
            function = file.function_at_line(line)
            lines.append(Reference(file.path, line, text, function.name if function else ""))
    return LookupResult(tuple(lines), reading.cut)


def callers(source: Source, name: str, bounds: Bounds) -> LookupResult[FunctionUse]:
    """The calls of the function `name`, and the uses of its address. Raises NotAName, GitError."""
    reading = _Reading(source, _checked(name), bounds)
    uses = []
    for file in reading:
        uses += _uses(file, name)
    return LookupResult(tuple(uses), reading.cut)


def callees(source: Source, name: str, bounds: Bounds) -> LookupResult[FunctionUse]:
    """The functions and macros that the function `name` calls, each at its first call. Raises NotAName, GitError."""
    function = canonical(name)
    reading = _Reading(source, function, bounds, defining=True)
    calls = []
    for file in reading:
        for definition in file.scan.definitions:
            if definition.name != function or definition.kind is not DefinitionKind.FUNCTION:
                continue
            listed = set()
            for match in _CALL.finditer(file.scan.code, *definition.body):
                called = match.group(1)
                if called in NOT_CALLED or called in listed:
                    continue
                listed.add(called)
                calls.append(FunctionUse(file.path, *file.whole_line(match.start(1)), called.decode("ascii"), FunctionUseKind.CALL))
    return LookupResult(tuple(calls), reading.cut)


def file_index(source: Source, path: str) -> LookupResult[Definition]:
    """The definitions of the file at `path`, in order; none for a file that is not C, assembly or Kconfig. Raises GitError."""
    blob = source.file(path)
    return LookupResult(scanned(blob.data, path).definitions if blob and blob.data is not None and not is_binary(blob.data) else ())


def includers(source: Source, header: str, bounds: Bounds) -> LookupResult[Include]:
    """The files that include `header`, a path of the tree: by the end of its path, or by a path relative to the file.

    The include path of the compiler is not followed: an include may mean either of two headers whose paths end alike.
    """
    base = header.rpartition("/")[2]
    if not base.isprintable():
        return LookupResult(())  # no directive can name it
    words = [] if source.index is None else [[word.lower()] for word in re.findall(r"[A-Za-z0-9_]+", base) if not is_number(word)]
    reading = _Reading(source, base, bounds, words=words, expression=rf"#[[:space:]]*include[[:space:]].*{_literally(base)}")
    includes = []
    for file in reading:
        for match in _INCLUDE.finditer(file.data):
            text = match.group(1).decode("utf-8", "replace")
            near = posixpath.normpath(posixpath.join(posixpath.dirname(file.path), text))
            if near == header or header == text or (header.endswith(f"/{text}") and not text.startswith(".")):
                includes.append(Include(file.path, *file.whole_line(match.start(1))))
    return LookupResult(tuple(includes), reading.cut)


def _literally(text: str) -> str:
    """An extended regular expression that matches this text alone."""
    return re.sub(r"([^\w/ -])", r"\\\1", text)


def canonical(name: str) -> str:
    """The name under which a definition is found. Raises NotAName."""
    entry_name = re.match(r"__(?:x64|ia32|arm64|s390x?|riscv|powerpc|do|se)_((?:compat_)?sys_\w+)\Z", _checked(name))
    return entry_name.group(1) if entry_name else name


def _checked(name: str) -> str:
    if not _NAME.match(name):
        raise NotAName(f"{name[:60]!a} is no name")
    return name


def _lines_with(file: SourceFile, name: str) -> Iterator[int]:
    """An offset in each line with a word."""
    line_end = -1
    for offset in places(file.data, name):
        if offset > line_end:
            yield offset
            line_end = file.data.find(b"\n", offset)
            if line_end < 0:
                return


def _uses(file: SourceFile, name: str) -> list[FunctionUse]:
    uses: dict[tuple[int, FunctionUseKind], FunctionUse] = {}
    code = file.scan.code
    for offset in places(code, name):
        if code[offset - 1 : offset] in (b".", b">"):
            continue  # a member of that name
        line, text = file.whole_line(offset)
        function = file.function_at_line(line)
        called = _OPENING.match(code, offset + len(name)) is not None
        if function and function.body[0] < offset < function.body[1]:
            kind, user = (FunctionUseKind.CALL if called else FunctionUseKind.ADDRESS), function.name
        elif function is None and not called:
            table = _variable_at(file.scan.definitions, line)
            if table is None or table.name == name:
                continue
            kind, user = FunctionUseKind.TABLE, table.name
        else:
            continue  # its own definition, or a declaration
        uses.setdefault((line, kind), FunctionUse(file.path, line, text, user, kind))
    for macro in file.scan.definitions:
        if macro.kind is DefinitionKind.MACRO and macro.name != name:
            for offset in places(file.data, name, *macro.span):
                line, text = file.whole_line(offset)
                uses.setdefault((line, FunctionUseKind.MACRO), FunctionUse(file.path, line, text, macro.name, FunctionUseKind.MACRO))
    return sorted(uses.values(), key=lambda use: use.line)


def _variable_at(definitions: Sequence[Definition], line: int) -> Definition | None:
    return next(
        (
            variable
            for variable in definitions
            if variable.kind is DefinitionKind.VARIABLE and variable.first_line <= line <= variable.last_line
        ),
        None,
    )


class _Reading:
    """The files that may contain a word, in the order of their paths, within the bounds."""

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
            paths = source.files_holding(words or [[f":{word.lower()}"]])
            if paths is not None:
                self._paths = paths
                return
        if source.index is None and not bounds.searches_all and not source.is_small:
            self._paths, self.cut = [], "index"
            return
        # a system call is defined by its plain name, as an argument of a macro
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
            blob = self._source.file(path)
            if blob is not None and blob.data is not None and not is_binary(blob.data):
                yield SourceFile(path, blob.data)
