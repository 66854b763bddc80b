"""Units: the C files that a way in leads through, and what each use of a name in one of them is.

A use is told by the text around it: called, given to a function, assigned, an entry of a table, an argument of a macro outside of
functions. Comments, strings and what `#if 0` hides are no uses.
"""

from __future__ import annotations

import bisect
import dataclasses
import enum
import functools
import re
from collections.abc import Iterator

from hook.source.definitions import Definition, DefinitionKind, Scan, scan
from hook.source.tree import Source
from hook.source.words import is_binary

_MOST_BACK = 4000  # characters before a name that are looked at for what it stands in
_WORD_BYTES = frozenset(bytes((byte,)) for byte in range(128) if chr(byte).isalnum() or byte == 0x5F)
_MARK = re.compile(rb"[(){}\[\];,]")
_NAME_BEFORE = re.compile(rb"([A-Za-z_]\w*)\s*\Z")
_TYPE_BEFORE = re.compile(rb"\(\s*(?:const\s+)?struct\s+(\w+)\s*(?:\[[^\]]*\])?\s*\)\s*\Z")
_DECLARED_BEFORE = re.compile(rb"struct\s+(\w+)\s+(?:__\w+\s+)*(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__\w+\s*)*=\s*\Z")
_MEMBER_BEFORE = re.compile(rb"\.\s*(\w+)\s*(?:\[[^\]]*\]\s*)*=\s*[&(]?\s*(?:\([^()]*\)\s*)?&?\s*\Z")
_ASSIGNED = re.compile(
    rb"(?:(?:->|\.)\s*|\b)(\w+)\s*(?:\[[^\]]*\]\s*)*=\s*(?:[^=;]*\?[^;]*:|[^=;]*\?)?\s*[&(]?\s*(?:\([^()]*\)\s*)?&?\s*\Z"
)
_COMPARED_BEFORE = re.compile(rb"[=!]=\s*&?\s*\Z")
_COMPARED_AFTER = re.compile(rb"\s*\)*\s*[=!]=")
_RETURNED = re.compile(rb"\breturn\b[^;=]*\Z")
_STRUCT = re.compile(rb"\bstruct\s+(\w+)")
_STATEMENT = re.compile(rb"(?m)^(?:(?:static|const|extern|__\w+)[ \t]+)*([A-Za-z_]\w*)[ \t]*\(")
_ENTRY = re.compile(rb"(?m)^(?:SYSCALL_DEFINE|COMPAT_SYSCALL_DEFINE|DEFINE_IDTENTRY|module_init|\w+_initcall(?:_sync)?)\w*\(")
_MADE = re.compile(
    rb"(?m)^(?:static[ \t]+)?(?:const[ \t]+)?(DEFINE_\w+\(\s*|struct[ \t]+\w+[ \t]+)(\w+)\s*(?:\)|\[\])?\s*(?:__\w+\s*)?=\s*\{"
)
_NO_FUNCTION = frozenset(
    b"if for while switch return sizeof typeof __typeof__ likely unlikely defined do else case READ_ONCE rcu_dereference".split()
)
_DEFINED_BY = {"DEFINE_LSM": "lsm_info", "DEFINE_EARLY_LSM": "lsm_info", "DEFINE_SCHED_CLASS": "sched_class"}


class Kind(enum.StrEnum):
    """What a use of a name is."""

    CALL = "call"
    GIVEN = "given"  # an argument of a call: `given` and `argument` say of which
    ASSIGNED = "assigned"  # to `member`, or to a variable of that name
    RETURNED = "returned"
    LOCAL = "local"  # set in an initialiser inside of a function: `struct` and `member`
    TABLE = "table"  # in an initialiser outside of functions: `struct` and `member`; `given` is the macro around it
    MACRO = "macro"  # in the body of a macro
    STATEMENT = "statement"  # an argument of a macro outside of functions: `given` and `argument`
    OTHER = "other"  # in a function, in some other way


@dataclasses.dataclass(frozen=True)
class Use:
    """A use of a name in one file."""

    kind: Kind
    offset: int
    line: int
    text: str  # of the line
    user: Definition | None  # the function, variable or macro around it
    given: str = ""
    argument: int = -1
    member: str = ""
    struct: str = ""


@dataclasses.dataclass(frozen=True)
class Statement:
    """A macro that is used outside of functions: `module_init(foo);`."""

    macro: str
    arguments: tuple[str, ...]
    offset: int
    opening: int
    end: int


class Unit:
    """One C file."""

    def __init__(self, path: str, data: bytes, oid: str) -> None:
        self.path, self.data, self.oid = path, data, oid

    @functools.cached_property
    def scan(self) -> Scan:
        return scan(self.data)

    @functools.cached_property
    def has_entry(self) -> bool:
        """Whether the file looks as if a system call, an exception or boot code entered it."""
        return _ENTRY.search(self.data) is not None

    @functools.cached_property
    def functions(self) -> list[Definition]:
        return [one for one in self.scan.definitions if one.kind is DefinitionKind.FUNCTION and one.body[1]]

    @functools.cached_property
    def variables(self) -> list[Definition]:
        known = [one for one in self.scan.definitions if one.kind is DefinitionKind.VARIABLE]
        return sorted((*known, *self._made_by_macros()), key=lambda one: one.span)

    def _made_by_macros(self) -> Iterator[Definition]:
        """`DEFINE_LSM(foo) = { … };`, and tables that stand behind macros without a semicolon (`BTF_KFUNCS_END(foo_ids)`)."""
        names = {one.name for one in self.scan.definitions if one.kind is DefinitionKind.VARIABLE}
        for match in _MADE.finditer(self.scan.code):
            if match[1].startswith(b"struct") and match[2].decode("ascii") in names:
                continue
            end = closing(self.scan.code, match.end() - 1, b"{}")
            if end >= 0 and self.function_at(match.start()) is None:
                first, last = self.line(match.start())[0], self.line(end)[0]
                span = match.start(), end
                yield Definition(match[2].decode("ascii"), DefinitionKind.VARIABLE, first, first, last, match.start(2), span)

    @functools.cached_property
    def by_name(self) -> dict[str, list[Definition]]:
        found: dict[str, list[Definition]] = {}
        for one in self.scan.definitions:
            found.setdefault(one.name, []).append(one)
        return found

    def defined(self, name: str, *kinds: DefinitionKind) -> Definition | None:
        """The first definition of a name, of one of some kinds."""
        return next((one for one in self.by_name.get(name, ()) if one.kind in kinds), None)

    def head(self, definition: Definition) -> bytes:
        """What stands before the body of a function, or before the name of a variable."""
        end = definition.body[0] if definition.kind is DefinitionKind.FUNCTION else definition.offset
        return self.data[definition.span[0] : end]

    def is_static(self, definition: Definition) -> bool:
        return re.search(rb"\bstatic\b", self.head(definition)) is not None

    def line(self, offset: int) -> tuple[int, str]:
        """The number and the text of the line that holds an offset."""
        begin = self.data.rfind(b"\n", 0, offset) + 1
        end = self.data.find(b"\n", offset)
        text = self.data[begin : end if end >= 0 else len(self.data)].decode("utf-8", "replace").strip()
        return bisect.bisect_right(self._starts, offset), text

    def offset(self, line: int) -> int:
        """Where a line begins; past the last one the end of the file."""
        return self._starts[line - 1] if 0 < line <= len(self._starts) else len(self.data)

    @functools.cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer(rb"\n", self.data))]

    @functools.cached_property
    def statements(self) -> list[Statement]:
        """The macros that are used outside of functions."""
        found = []
        code = self.scan.code
        for match in _STATEMENT.finditer(code):
            if self.function_at(match.start()) is not None or self._table_at(match.start()) is not None:
                continue
            end = closing(code, match.end() - 1)
            if end < 0 or code[end + 1 : end + 80].lstrip()[:1] == b"{":
                continue
            # strings are blank in the code, and some macros take one
            arguments = tuple(one.strip().decode("utf-8", "replace") for one in _split(self.data[match.end() : end]))
            found.append(Statement(match[1].decode("ascii"), arguments, match.start(1), match.end() - 1, end))
        return found

    def function_at(self, offset: int) -> Definition | None:
        at = bisect.bisect_right(self.functions, offset, key=lambda one: one.span[0]) - 1
        return self.functions[at] if at >= 0 and offset <= self.functions[at].span[1] else None

    def _table_at(self, offset: int) -> Definition | None:
        """The variable with an initialiser around an offset."""
        at = bisect.bisect_right(self.variables, offset, key=lambda one: one.span[0]) - 1
        while at >= 0 and self.variables[at].span[0] == self.variables[max(at - 1, 0)].span[0] and at > 0:
            at -= 1  # of several declared together the first
        if at < 0 or not self.variables[at].offset < offset <= self.variables[at].span[1]:
            return None
        return self.variables[at]

    def uses(self, name: str) -> list[Use]:
        """The uses of a function, table or macro in the code of the file, in their order."""
        found = []
        code = self.scan.code
        for offset in places(code, name):
            before = code[:offset][-2:] if offset < 2 else code[offset - 2 : offset]
            if before.endswith(b".") or before == b"->":
                continue  # a member of that name
            around = self.function_at(offset)
            if around is not None:
                if not around.body[0] < offset < around.body[1]:
                    continue  # its own definition, or a parameter
                found.append(self._in_function(name, offset, around))
                continue
            table = self._table_at(offset)
            if table is not None:
                if table.name != name or table.offset != offset:
                    found.append(self._in_table(offset, table))
                continue
            statement = next((one for one in self.statements if one.opening < offset < one.end), None)
            if statement is not None:
                number = _commas(code[statement.opening + 1 : offset])
                found.append(Use(Kind.STATEMENT, offset, *self.line(offset), None, statement.macro, number))
        for macro in self.scan.definitions:
            if macro.kind is DefinitionKind.MACRO and macro.name != name:
                for offset in places(self.data, name, macro.offset + len(macro.name), macro.span[1]):
                    called = self.data[offset + len(name) : offset + len(name) + 8].lstrip()[:1] == b"("
                    found.append(Use(Kind.MACRO, offset, *self.line(offset), macro, "" if called else "named"))
        return found

    def _in_function(self, name: str, offset: int, around: Definition) -> Use:
        code = self.scan.code
        at = (*self.line(offset), around)
        after = code[offset + len(name) : offset + len(name) + 80]
        if after.lstrip()[:1] == b"(":
            return Use(Kind.CALL, offset, *at)
        begin = max(around.body[0], offset - _MOST_BACK)
        before = code[begin:offset]
        if _COMPARED_BEFORE.search(before) or _COMPARED_AFTER.match(after):
            return Use(Kind.OTHER, offset, *at, member="compared")
        commas = depth = 0
        stop = begin
        for match in reversed(list(_MARK.finditer(code, begin, offset))):
            mark = match[0]
            if mark in (b")", b"]", b"}"):
                depth += 1
            elif mark in (b"(", b"[", b"{"):
                if depth:
                    depth -= 1
                    continue
                text = code[begin : match.start()]
                if mark == b"(":
                    given = _NAME_BEFORE.search(text)
                    if given and given[1] not in _NO_FUNCTION:
                        return Use(Kind.GIVEN, offset, *at, given[1].decode("ascii"), commas)
                elif mark == b"{":
                    declared, cast = _DECLARED_BEFORE.search(text), _TYPE_BEFORE.search(text)
                    struct = declared or cast
                    if struct:
                        member = _MEMBER_BEFORE.search(before)
                        return Use(
                            Kind.LOCAL, offset, *at, member=member[1].decode("ascii") if member else "", struct=struct[1].decode("ascii")
                        )
                    if not text.rstrip().endswith((b"=", b",", b"{")):
                        stop = match.end()
                        break  # a block; what else there is are initialisers inside each other
                commas = 0
            elif depth == 0 and mark == b",":
                commas += 1
            elif depth == 0 and mark == b";":
                stop = match.end()
                break
        statement = code[stop:offset]
        if _RETURNED.search(statement):
            return Use(Kind.RETURNED, offset, *at)
        assigned = _ASSIGNED.search(statement)
        if assigned:
            return Use(Kind.ASSIGNED, offset, *at, member=assigned[1].decode("ascii"))
        return Use(Kind.OTHER, offset, *at)

    def _in_table(self, offset: int, table: Definition) -> Use:
        code = self.scan.code
        begin = max(table.span[0], offset - _MOST_BACK)
        head = self.data[table.span[0] : table.offset]
        types = _STRUCT.findall(head)
        struct = types[0].decode("ascii") if types else ""
        if not struct:
            made = _NAME_BEFORE.search(head.rstrip().removesuffix(b"("))
            struct = _DEFINED_BY.get(made[1].decode("ascii"), "") if made else ""
        given, argument, member = "", -1, ""
        depth = commas = 0
        direct = _MEMBER_BEFORE.search(code[begin:offset])
        if direct:
            member = direct[1].decode("ascii")
        for match in reversed(list(_MARK.finditer(code, begin, offset))):
            mark = match[0]
            if mark in (b")", b"]", b"}"):
                depth += 1
            elif mark in (b"(", b"[", b"{"):
                if depth:
                    depth -= 1
                    continue
                text = code[begin : match.start()]
                if mark == b"(" and not given:
                    name = _NAME_BEFORE.search(text)
                    if name:
                        given, argument = name[1].decode("ascii"), commas
                    outer = _MEMBER_BEFORE.search(text[: name.start()] if name else text)
                    member = member or (outer[1].decode("ascii") if outer else "")
                elif mark == b"{":
                    cast = _TYPE_BEFORE.search(text)
                    if cast:
                        struct = cast[1].decode("ascii")
                        break
                commas = 0
            elif depth == 0 and mark == b",":
                commas += 1
        return Use(Kind.TABLE, offset, *self.line(offset), table, given, argument, member, struct)


class Units:
    """The C files of a tree, each read once, as far as the bounds go."""

    def __init__(self, source: Source, most_files: int) -> None:
        self.source = source
        self._most = most_files
        self._read: dict[str, Unit | None] = {}

    @property
    def read(self) -> int:
        """How many files were read."""
        return len(self._read)

    @property
    def is_full(self) -> bool:
        """Whether as many files were read as may be."""
        return len(self._read) >= self._most

    def get(self, path: str) -> Unit | None:
        """The file at `path`; None where there is none, or no more may be read."""
        if path in self._read:
            return self._read[path]
        if self.is_full:
            return None
        found = self.source.file(path)
        unit = None
        if found is not None and found.data is not None and not is_binary(found.data):
            unit = Unit(path, found.data, found.oid)
        self._read[path] = unit
        return unit


def places(text: bytes, name: str, start: int = 0, end: int = -1) -> Iterator[int]:
    """Where a word stands."""
    wanted = name.encode("ascii")
    end = len(text) if end < 0 else end
    at = text.find(wanted, start, end)
    while at >= 0:
        after = at + len(wanted)
        if text[at - 1 : at] not in _WORD_BYTES and text[after : after + 1] not in _WORD_BYTES:
            yield at
        at = text.find(wanted, after, end)


def closing(code: bytes, opening: int, pair: bytes = b"()") -> int:
    """Where what opens at `opening` is closed; -1 where it is not."""
    depth = 0
    for match in (_PARENTHESES if pair == b"()" else _BRACES).finditer(code, opening):
        depth += 1 if match[0] == pair[:1] else -1
        if depth == 0:
            return match.start()
    return -1


_PARENTHESES, _BRACES = re.compile(rb"[()]"), re.compile(rb"[{}]")


def _split(text: bytes) -> Iterator[bytes]:
    """The arguments between the commas that no bracket holds."""
    depth = start = 0
    for match in _MARK.finditer(text):
        if match[0] in (b"(", b"[", b"{"):
            depth += 1
        elif match[0] in (b")", b"]", b"}"):
            depth -= 1
        elif match[0] == b"," and depth == 0:
            yield text[start : match.start()]
            start = match.end()
    yield text[start:]


def arguments(code: bytes, opening: int) -> list[bytes]:
    """The arguments of a call whose parenthesis opens at `opening`; none where it is not closed."""
    end = closing(code, opening)
    return [one.strip() for one in _split(code[opening + 1 : end])] if end >= 0 else []


def _commas(text: bytes) -> int:
    return len(list(_split(text))) - 1
