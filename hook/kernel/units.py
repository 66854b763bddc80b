"""Units: the C files that a way in leads through, and what each use of a name in one of them is.

A use is told by the text around it: called, given to a function, assigned, an entry of a table, an argument of a macro outside of
functions. Comments, strings and what `#if 0` hides are no uses.
"""

from __future__ import annotations

import bisect
import dataclasses
import enum
import functools
import itertools
import re
from collections.abc import Iterator, Sequence

from hook.c.brackets import BRACES, end_of_call, outwards, split_arguments
from hook.c.definitions import Definition, DefinitionKind, Scan, scan
from hook.c.keywords import HANDS_NOTHING_ON
from hook.c.legible import is_legible
from hook.source.lookup import places
from hook.source.tree import Source
from hook.source.words import is_binary

# bounds on what a file that was written to be slow can cost
_MOST_BACK = 4000  # characters before a name that are looked at for what it stands in
_MOST_STATEMENT = 600  # of these, characters of the statement itself
_LONGEST_TABLE = 256 << 10  # bytes between brackets
_MOST_UNCLOSED = 100  # of a file
_MOST_TABLES = 2000  # of a file, that are found beside those of its scan
MOST_USES = 500  # of a name in one file: beyond it they are not told apart
_LONGEST_LINE = 200  # characters that are quoted
_FAR_MARK = 80  # characters behind a name in which the next mark is looked for
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
_NO_DECLARATION, _OPENS = re.compile(rb"[^\w\s*]"), re.compile(rb"[ \t]*\(")
_MADE = re.compile(
    rb"(?m)^(?:static[ \t]+)?(?:const[ \t]+)?(DEFINE_\w+\(\s*|struct[ \t]+\w+[ \t]+)(\w+)\s*(?:\)|\[\])?\s*(?:__\w+\s*)?=\s*\{"
)
_DEFINED_BY = {"DEFINE_LSM": "lsm_info", "DEFINE_EARLY_LSM": "lsm_info", "DEFINE_SCHED_CLASS": "sched_class"}


class Kind(enum.StrEnum):
    """What a use of a name is."""

    CALL = "call"
    GIVEN = "given"  # an argument of a call: `given` and `argument` say of which
    ASSIGNED = "assigned"  # to `member`, where `given` is an arrow; else to a variable of that name
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
        for match in itertools.islice(_MADE.finditer(self.scan.code), _MOST_TABLES):
            if match[1].startswith(b"struct") and match[2].decode("ascii") in names:
                continue
            end = BRACES.closing(self.scan.code, match.end() - 1, match.end() - 1 + _LONGEST_TABLE)
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
        text = self.data[begin : end if end >= 0 else len(self.data)].decode("utf-8", "replace").strip()[:_LONGEST_LINE]
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
        code, unclosed = self.scan.code, 0
        for match in _STATEMENT.finditer(code):
            if self.function_at(match.start()) is not None or self._table_at(match.start()) is not None:
                continue
            end = end_of_call(code, match.end() - 1)
            if end < 0:
                unclosed += 1
                if unclosed > _MOST_UNCLOSED:
                    break  # no C
                continue
            if code[end + 1 : end + 80].lstrip()[:1] == b"{":
                continue
            # strings are blank in the code, and some macros take one
            arguments = tuple(one.decode("utf-8", "replace") for one in split_arguments(self.data[match.end() : end]))
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

    def only_declares(self, name: str) -> bool:
        """Whether a name stands only where a declaration or a definition of a function begins, told without a scan of the file."""
        for offset in places(self.data, name):
            begin = self.data.rfind(b"\n", 0, offset) + 1
            before = self.data[begin:offset]
            if before[:1].isspace() or _NO_DECLARATION.search(before) or not _OPENS.match(self.data, offset + len(name)):
                return False
        return True

    def stands_before(self, name: str, marks: bytes) -> bool:
        """Whether a name may stand before one of some marks, told without a scan of the file: what a comment may hide counts too."""
        for offset in places(self.data, name):
            after = self.data[offset + len(name) : offset + len(name) + _FAR_MARK].lstrip()
            if not after or after[:1] in marks or after[:1] in b"/\\":
                return True
        return False

    def uses(self, name: str) -> list[Use]:
        """The uses of a function, table or macro in the code of the file, in their order; no more than MOST_USES."""
        if self.only_declares(name):
            return []
        found: list[Use] = []
        code = self.scan.code
        for offset in places(code, name):
            if len(found) >= MOST_USES:
                return found
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
                number = len(split_arguments(code[statement.opening + 1 : offset])) - 1
                found.append(Use(Kind.STATEMENT, offset, *self.line(offset), None, statement.macro, number))
        for macro in self.scan.definitions:
            if macro.kind is DefinitionKind.MACRO and macro.name != name and len(found) < MOST_USES:
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
        if _COMPARED_BEFORE.search(before[-_MOST_STATEMENT:]) or _COMPARED_AFTER.match(after):
            return Use(Kind.OTHER, offset, *at, member="compared")
        stop = begin
        for mark, place, commas in outwards(code, begin, offset):
            text = code[max(begin, place - _MOST_STATEMENT) : place]
            stop = place + 1
            if mark == b"(":
                given = _NAME_BEFORE.search(text)
                if given and given[1] not in HANDS_NOTHING_ON:
                    return Use(Kind.GIVEN, offset, *at, given[1].decode("ascii"), commas)
            elif mark == b"{":
                struct = _DECLARED_BEFORE.search(text) or _TYPE_BEFORE.search(text)
                if struct:
                    found = _MEMBER_BEFORE.search(before[-_MOST_STATEMENT:])
                    member = found[1].decode("ascii") if found else ""
                    return Use(Kind.LOCAL, offset, *at, member=member, struct=struct[1].decode("ascii"))
                if not text.rstrip().endswith((b"=", b",", b"{")):
                    break  # a block; what else there is are initialisers inside each other
            elif mark == b";":
                break
        statement = code[max(stop, offset - _MOST_STATEMENT) : offset]
        if _RETURNED.search(statement):
            return Use(Kind.RETURNED, offset, *at)
        assigned = _ASSIGNED.search(statement)
        if assigned:
            to_member = assigned[0][:1] in (b"-", b".")
            return Use(Kind.ASSIGNED, offset, *at, given="->" if to_member else "", member=assigned[1].decode("ascii"))
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
        direct = _MEMBER_BEFORE.search(code[max(begin, offset - _MOST_STATEMENT) : offset])
        if direct:
            member = direct[1].decode("ascii")
        for mark, place, commas in outwards(code, begin, offset):
            text = code[max(begin, place - _MOST_STATEMENT) : place]
            if mark == b"(" and not given:
                name = _NAME_BEFORE.search(text)
                if name:
                    given, argument = name[1].decode("ascii"), commas
                outer = _MEMBER_BEFORE.search(text[: name.start()] if name else text)
                member = member or (outer[1].decode("ascii") if outer else "")
            elif mark == b"{" and (cast := _TYPE_BEFORE.search(text)):
                struct = cast[1].decode("ascii")
                break
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
        if path not in self._read:
            self.fetch([path])
        return self._read.get(path)

    def fetch(self, paths: Sequence[str]) -> None:
        """Read files that will be asked for, together, as many as may be."""
        new = [path for path in dict.fromkeys(paths) if path not in self._read][: max(0, self._most - len(self._read))]
        for path, found in zip(new, self.source.files(new), strict=True):
            is_text = found is not None and found.data is not None and not is_binary(found.data) and is_legible(found.data)
            self._read[path] = Unit(path, found.data or b"", found.oid) if found is not None and is_text else None
