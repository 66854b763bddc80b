"""The translation unit: one version of a C file, and what is derived from it when it is first needed."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c import callgraph, segments
from hook.c.brackets import BRACES, end_of_call, split_arguments
from hook.c.callgraph import Node
from hook.c.definitions import Definition, DefinitionKind, Scan, definitions, scan
from hook.c.segments import Segment

# bounds on the cost of a file that was written to be slow
_LONGEST_TABLE = 256 << 10  # bytes between its braces
_MOST_UNCLOSED = 100  # macros outside of functions whose parenthesis is not closed
_MOST_TABLES = 2000  # of a file, beside those of its scan
_LONGEST_LINE = 200  # characters that are quoted
# the two are searched in a text that begins with a line break: `re` finds a pattern that begins with a literal ten times as fast
_STATEMENT = lazy_re.compile(rb"\n(?=[A-Za-z_])(?:(?:static|const|extern|__\w+)[ \t]+)*([A-Za-z_]\w*)[ \t]*\(")
_ENTRY = lazy_re.compile(rb"(?m)^(?:SYSCALL_DEFINE|COMPAT_SYSCALL_DEFINE|DEFINE_IDTENTRY|module_init|\w+_initcall(?:_sync)?)\w*\(")
_STATIC = lazy_re.compile(rb"\bstatic\b")
_DIRECTIVE = lazy_re.compile(rb"(?m)^[ \t]*#")
_MADE = lazy_re.compile(
    rb"\n(?=[A-Za-z_])(?:static[ \t]+)?(?:const[ \t]+)?(DEFINE_\w+\(\s*|struct[ \t]+\w+[ \t]+)(\w+)\s*(?:\)|\[\])?\s*(?:__\w+\s*)?=\s*\{"
)


class Statement(msgspec.Struct, frozen=True):
    """A macro that is used outside of functions: `module_init(foo);`."""

    macro: str
    arguments: tuple[str, ...]
    offset: int
    opening: int
    end: int


class SourceFile:
    """One version of a file with definitions: C, assembly or Kconfig, by its name."""

    def __init__(self, path: str, data: bytes, oid: str = "") -> None:
        self.path, self.data, self.oid = path, data, oid
        self._counted = 0, 1  # an offset, and the line it is on

    @functools.cached_property
    def scan(self) -> Scan:
        return definitions(self.data, self.path)

    @functools.cached_property
    def functions(self) -> list[Definition]:
        """The functions with a body, by offset."""
        return [function for function in self.scan.definitions if function.kind is DefinitionKind.FUNCTION and function.body[1]]

    @functools.cached_property
    def by_name(self) -> dict[str, list[Definition]]:
        definitions_by_name: dict[str, list[Definition]] = {}
        for definition in self.scan.definitions:
            definitions_by_name.setdefault(definition.name, []).append(definition)
        return definitions_by_name

    def function_at_line(self, line: int) -> Definition | None:
        """The function whose head or body contains a line."""
        position = bisect.bisect_right(self.functions, line, key=lambda function: function.first_line) - 1
        return self.functions[position] if position >= 0 and line <= self.functions[position].last_line else None

    def whole_line(self, offset: int) -> tuple[int, str]:
        """The number and the text of the line at an offset. Fastest for ascending offsets."""
        begin = self.data.rfind(b"\n", 0, offset) + 1
        end = self.data.find(b"\n", offset)
        counted_to, line = self._counted if self._counted[0] <= begin else (0, 1)
        line += self.data.count(b"\n", counted_to, begin)
        self._counted = begin, line
        return line, self.data[begin : end if end >= 0 else len(self.data)].decode("utf-8", "replace")

    def line(self, offset: int) -> tuple[int, str]:
        """The number of the line at an offset, and its text, stripped and cut for a quotation."""
        number, text = self.whole_line(offset)
        return number, text.strip()[:_LONGEST_LINE]


class TranslationUnit(SourceFile):
    """One version of a file that is read as C, whatever its name is."""

    @functools.cached_property
    def scan(self) -> Scan:
        return scan(self.data)

    @functools.cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The file cut into its definitions and the text between them."""
        return segments.cut(self.data, self.scan)

    @functools.cached_property
    def callgraph(self) -> dict[str, Node]:
        """The functions and macros of the file by name, with their callers."""
        return callgraph.of_file(self.data, self.scan)

    @functools.cached_property
    def has_entry(self) -> bool:
        """Whether the file seems to define a system call, an exception entry or an initcall."""
        return _ENTRY.search(self.data) is not None

    @functools.cached_property
    def variables(self) -> list[Definition]:
        scanned = [definition for definition in self.scan.definitions if definition.kind is DefinitionKind.VARIABLE]
        return sorted((*scanned, *self._made_by_macros()), key=lambda variable: variable.span)

    def _made_by_macros(self) -> Iterator[Definition]:
        """`DEFINE_LSM(foo) = { … };`, and tables after a macro without a semicolon (`BTF_KFUNCS_END(foo_ids)`)."""
        names = {variable.name for variable in self.scan.definitions if variable.kind is DefinitionKind.VARIABLE}
        for match in itertools.islice(_MADE.finditer(b"\n" + self.scan.code), _MOST_TABLES):
            if match[1].startswith(b"struct") and match[2].decode("ascii") in names:
                continue
            opening = match.end() - 2
            end = BRACES.closing(self.scan.code, opening, opening + _LONGEST_TABLE)
            if end >= 0 and self.function_at(match.start()) is None:
                first, last = self.line(match.start())[0], self.line(end)[0]
                span = match.start(), end
                yield Definition(match[2].decode("ascii"), DefinitionKind.VARIABLE, first, first, last, match.start(2) - 1, span)

    @functools.cached_property
    def statements(self) -> list[Statement]:
        """The macros that are used outside of functions."""
        statements = []
        code, unclosed = self.scan.code, 0
        for match in _STATEMENT.finditer(b"\n" + code):
            if self.table_at(match.start()) is not None:
                continue
            function = self.function_at(match.start())
            if function is not None and (match.start(1) - 1 >= function.offset or match[1].startswith(b"__")):
                continue
            opening = match.end() - 2
            end = end_of_call(code, opening)
            if function is not None and (function.offset < end or code[end + 1 : end + 2] != b"\n"):
                continue  # the function's own head: but for a macro without a semicolon before it, as `module_init(foo)`
            if end < 0:
                unclosed += 1
                if unclosed > _MOST_UNCLOSED:
                    break  # no C
                continue
            if code[end + 1 : end + 80].lstrip()[:1] == b"{":
                continue
            # strings are blanked in the code, and some macros have one as argument
            arguments = tuple(argument.decode("utf-8", "replace") for argument in split_arguments(self.data[opening + 1 : end]))
            statements.append(Statement(match[1].decode("ascii"), arguments, match.start(1) - 1, opening, end))
        return statements

    def offset(self, line: int) -> int:
        """The offset of a line, counted from the function before it; past the last line, the end of the file."""
        position = bisect.bisect_right(self.functions, line, key=lambda function: function.first_line) - 1
        before = self.functions[position] if position >= 0 and self.functions[position].first_line <= line else None
        offset = self.data.rfind(b"\n", 0, before.span[0]) if before else -1  # of the line break before the line
        for _ in range(line - (before.first_line if before else 1)):
            offset = self.data.find(b"\n", offset + 1)
            if offset < 0:
                return len(self.data)
        return offset + 1 if line > 0 else len(self.data)

    def segments_of(self, kind: DefinitionKind) -> dict[str, list[Segment]]:
        """The segments of one kind by name."""
        segments_by_name: dict[str, list[Segment]] = {}
        for segment in self.segments:
            if segment.kind is kind:
                segments_by_name.setdefault(segment.name, []).append(segment)
        return segments_by_name

    def defined(self, name: str, *kinds: DefinitionKind) -> Definition | None:
        """The first definition of a name that has one of these kinds."""
        return next((definition for definition in self.by_name.get(name, ()) if definition.kind in kinds), None)

    def head(self, definition: Definition) -> bytes:
        """The text before the body of a function, or before the name of a variable, without comments and directives."""
        return self.scan.code[slice(*self._head(definition))]

    def has_one_head(self, definition: Definition) -> bool:
        """Whether no preprocessor conditional is in the text before the body of a function, so that all of it counts."""
        return _DIRECTIVE.search(self.data, *self._head(definition)) is None

    def is_static(self, definition: Definition) -> bool:
        """Whether a definition is static, under all options."""
        return _STATIC.search(self.head(definition)) is not None and self.has_one_head(definition)

    def _head(self, definition: Definition) -> tuple[int, int]:
        return definition.span[0], definition.body[0] if definition.kind is DefinitionKind.FUNCTION else definition.offset

    def function_at(self, offset: int) -> Definition | None:
        """The function around an offset."""
        position = bisect.bisect_right(self.functions, offset, key=lambda function: function.span[0]) - 1
        return self.functions[position] if position >= 0 and offset <= self.functions[position].span[1] else None

    def table_at(self, offset: int) -> Definition | None:
        """The variable whose initialiser is around an offset."""
        position = bisect.bisect_right(self.variables, offset, key=lambda variable: variable.span[0]) - 1
        while position > 0 and self.variables[position].span[0] == self.variables[position - 1].span[0]:
            position -= 1  # of several declared together the first
        if position < 0 or not self.variables[position].offset < offset <= self.variables[position].span[1]:
            return None
        return self.variables[position]


@functools.lru_cache(maxsize=8)  # several rules read the same files of a patch one after the other
def of_text(data: bytes) -> TranslationUnit:
    """The translation unit of a text."""
    return TranslationUnit("", data)
