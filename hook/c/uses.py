"""Uses: the kind of each use of a name in a translation unit.

The text around a name shows its use: a call, an argument of a call, an assignment, an entry of a table, an argument of a macro outside of
functions. Comments, strings and what `#if 0` hides are no uses.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c.brackets import outwards, split_arguments
from hook.c.definitions import Definition, DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE, HANDS_NOTHING_ON, TAGS
from hook.c.translation_unit import TranslationUnit
from hook.c.word_places import places

# bounds on the cost of a file that was written to be slow
_MOST_BACK = 4000  # characters before a name that are read to find its use
_MOST_STATEMENT = 600  # of these, characters of the statement itself
MOST_USES = 500  # of a name in one file that are returned
_FAR_MARK = 80  # characters after a name in which the next mark is searched
_NAME_BEFORE = lazy_re.compile(rb"([A-Za-z_]\w*)\s*\Z")
_TYPE_BEFORE = lazy_re.compile(rb"\(\s*(?:const\s+)?struct\s+(\w+)\s*(?:\[[^\]]*\])?\s*\)\s*\Z")
_DECLARED_BEFORE = lazy_re.compile(rb"struct\s+(\w+)\s+(?:__\w+\s+)*(\w+)\s*(?:\[[^\]]*\]\s*)*(?:__\w+\s*)*=\s*\Z")
_MEMBER_BEFORE = lazy_re.compile(rb"\.\s*(\w+)\s*(?:\[[^\]]*\]\s*)*=\s*[&(]?\s*(?:\([^()]*\)\s*)?&?\s*\Z")
_ASSIGNED = lazy_re.compile(
    rb"(?:(?:->|\.)\s*|\b)(\w+)\s*(?:\[[^\]]*\]\s*)*=\s*(?:(?:[^=;]|[=!<>]=)*\?(?:[^;]*:)?)?\s*[&(]?\s*(?:\([^()]*\)\s*)?&?\s*\Z"
)
_COMPARED_BEFORE = lazy_re.compile(rb"[=!]=\s*&?\s*\Z")
_COMPARED_AFTER = lazy_re.compile(rb"\s*\)*\s*[=!]=")
_RETURNED = lazy_re.compile(rb"\breturn\b[^;=]*\Z")
_STRUCT = lazy_re.compile(rb"\bstruct\s+(\w+)")
_NO_DECLARATION, _OPENS = lazy_re.compile(rb"[^\w\s*]|\A[\s*]*\Z"), lazy_re.compile(rb"[ \t]*\(")
_TYPE_KINDS = (DefinitionKind.STRUCT, DefinitionKind.UNION, DefinitionKind.ENUM, DefinitionKind.TYPEDEF)
# before and after a name that is declared: its type, and what follows no value
_TYPED = lazy_re.compile(rb"([A-Za-z_]\w*)(?:[\s*]+|[\s*]*\(\s*\*\s*(?:const\s+)?)\Z")
_AFTER_DECLARED = lazy_re.compile(rb"\s*[(),;\[]")
_DEFINED_BY = {"DEFINE_LSM": "lsm_info", "DEFINE_EARLY_LSM": "lsm_info", "DEFINE_SCHED_CLASS": "sched_class"}


class UseKind(enum.StrEnum):
    """The kind of a use."""

    CALL = "call"
    PASSED = "passed"  # an argument of a call: `callee` is the function, `argument` the number
    ASSIGNED = "assigned"  # to the variable `member`
    SET_MEMBER = "set-member"  # assigned to the member `member` of something
    COMPARED = "compared"
    RETURNED = "returned"
    LOCAL = "local"  # set in an initialiser inside of a function: `struct` and `member`
    TABLE = "table"  # in an initialiser outside of functions: `struct` and `member`; `callee` is the macro around it
    MACRO_CALL = "macro-call"  # called in the body of a macro
    MACRO = "macro"  # named there
    STATEMENT = "statement"  # an argument of a macro outside of functions: `callee` and `argument`
    OTHER = "other"  # in some other way, or outside of all that is read; then `user` is None


class Use(msgspec.Struct, frozen=True):
    """A use of a name in one file."""

    kind: UseKind
    offset: int
    line: int
    text: str  # of the line
    user: Definition | None  # the function, variable or macro around it
    callee: str = ""
    argument: int = -1
    member: str = ""
    struct: str = ""

    @property
    def is_in_macro(self) -> bool:
        return self.kind in (UseKind.MACRO, UseKind.MACRO_CALL)


def only_declares(unit: TranslationUnit, name: str) -> bool:
    """Whether a name occurs only in declarations and definitions of a function, without a scan of the file."""
    for offset in places(unit.data, name):
        begin = unit.data.rfind(b"\n", 0, offset) + 1
        before = unit.data[begin:offset]
        if before[:1].isspace() or _NO_DECLARATION.search(before) or not _OPENS.match(unit.data, offset + len(name)):
            return False
        if not BEFORE_A_VALUE.isdisjoint(before.split()):
            return False  # a call in the first column
    return True


def stands_before(unit: TranslationUnit, name: str, marks: bytes) -> bool:
    """Whether a name may be followed by one of `marks`, without a scan of the file; a mark after a comment counts too."""
    for offset in places(unit.data, name):
        after = unit.data[offset + len(name) : offset + len(name) + _FAR_MARK].lstrip()
        if not after or after[:1] in marks or after[:1] in b"/\\":
            return True
    return False


def uses_of(unit: TranslationUnit, name: str) -> list[Use]:
    """The uses of a function, table or macro in the code of the file, in order; at most MOST_USES."""
    if only_declares(unit, name):
        return []
    uses: list[Use] = []
    code = unit.scan.code
    for offset in places(code, name):
        if len(uses) >= MOST_USES:
            return uses
        if code[max(0, offset - 2) : offset].endswith((b".", b"->")):
            continue  # a member of that name
        function = unit.function_at(offset)
        if function is not None and function.body[0] < offset < function.body[1]:
            uses.append(_in_function(unit, name, offset, function))
            continue
        table = unit.table_at(offset)
        if table is not None:
            if table.name != name or table.offset != offset:
                uses.append(_in_table(unit, offset, table))
            continue
        statement = next((candidate for candidate in unit.statements if candidate.opening < offset < candidate.end), None)
        if statement is not None:
            number = len(split_arguments(code[statement.opening + 1 : offset])) - 1
            uses.append(Use(UseKind.STATEMENT, offset, *unit.line(offset), None, statement.macro, number))
        elif not any(made.offset == offset for made in unit.statements) and not _is_declared(unit, name, offset):
            uses.append(Use(UseKind.OTHER, offset, *unit.line(offset), None))
    for macro in unit.scan.definitions:
        if macro.kind is DefinitionKind.MACRO and macro.name != name and len(uses) < MOST_USES:
            for offset in places(unit.data, name, macro.offset + len(macro.name), macro.span[1]):
                called = unit.data[offset + len(name) : offset + len(name) + 8].lstrip()[:1] == b"("
                uses.append(Use(UseKind.MACRO_CALL if called else UseKind.MACRO, offset, *unit.line(offset), macro))
    return uses


def _is_declared(unit: TranslationUnit, name: str, offset: int) -> bool:
    """Whether a name outside of functions is declared there, or defined: a function, its parameter, a member or the tag of a type."""
    if any(definition.offset == offset for definition in unit.by_name.get(name, ())):
        return True
    before = unit.scan.code[max(0, offset - _MOST_STATEMENT) : offset]
    if any(definition.kind in _TYPE_KINDS and definition.span[0] <= offset <= definition.span[1] for definition in unit.scan.definitions):
        return not before.rstrip().endswith(b"(")  # a macro may make anything of its argument
    typed = _TYPED.search(before)
    if typed is None or typed[1] in BEFORE_A_VALUE:
        return False
    return typed[1] in TAGS or _AFTER_DECLARED.match(unit.scan.code, offset + len(name)) is not None


def uses_in(unit: TranslationUnit, function: Definition, name: str, begin: int) -> Iterator[Use]:
    """The uses of a name in the body of a function, in order, from an offset on."""
    code = unit.scan.code
    for offset in places(code, name, max(begin, function.body[0] + 1), function.body[1]):
        if unit.function_at(offset) is function and not code[max(0, offset - 2) : offset].endswith((b".", b"->")):
            yield _in_function(unit, name, offset, function)


def _in_function(unit: TranslationUnit, name: str, offset: int, function: Definition) -> Use:
    code = unit.scan.code
    line_and_user = (*unit.line(offset), function)
    after = code[offset + len(name) : offset + len(name) + 80]
    if after.lstrip()[:1] == b"(":
        return Use(UseKind.CALL, offset, *line_and_user)
    begin = max(function.body[0], offset - _MOST_BACK)
    before = code[begin:offset]
    if _COMPARED_BEFORE.search(before[-_MOST_STATEMENT:]) or _COMPARED_AFTER.match(after):
        return Use(UseKind.COMPARED, offset, *line_and_user)
    stop = begin
    for mark, place, commas in outwards(code, begin, offset):
        text = code[max(begin, place - _MOST_STATEMENT) : place]
        stop = place + 1
        if mark == b"(":
            callee = _NAME_BEFORE.search(text)
            if callee and callee[1] not in HANDS_NOTHING_ON:
                return Use(UseKind.PASSED, offset, *line_and_user, callee[1].decode("ascii"), commas)
        elif mark == b"{":
            struct = _DECLARED_BEFORE.search(text) or _TYPE_BEFORE.search(text)
            if struct:
                member_match = _MEMBER_BEFORE.search(before[-_MOST_STATEMENT:])
                member = member_match[1].decode("ascii") if member_match else ""
                return Use(UseKind.LOCAL, offset, *line_and_user, member=member, struct=struct[1].decode("ascii"))
            if not text.rstrip().endswith((b"=", b",", b"{")):
                break  # a block; anything else is an outer initialiser
        elif mark == b";":
            break
    statement = code[max(stop, offset - _MOST_STATEMENT) : offset]
    if _RETURNED.search(statement):
        return Use(UseKind.RETURNED, offset, *line_and_user)
    assigned = _ASSIGNED.search(statement)
    if assigned:
        to_member = assigned[0][:1] in (b"-", b".")
        kind = UseKind.SET_MEMBER if to_member else UseKind.ASSIGNED
        return Use(kind, offset, *line_and_user, member=assigned[1].decode("ascii"))
    return Use(UseKind.OTHER, offset, *line_and_user)


def _in_table(unit: TranslationUnit, offset: int, table: Definition) -> Use:
    code = unit.scan.code
    begin = max(table.span[0], offset - _MOST_BACK)
    head = unit.data[table.span[0] : table.offset]
    types = _STRUCT.findall(head)
    struct = types[0].decode("ascii") if types else ""
    if not struct:
        macro = _NAME_BEFORE.search(head.rstrip().removesuffix(b"("))
        struct = _DEFINED_BY.get(macro[1].decode("ascii"), "") if macro else ""
    callee, argument, member = "", -1, ""
    direct = _MEMBER_BEFORE.search(code[max(begin, offset - _MOST_STATEMENT) : offset])
    if direct:
        member = direct[1].decode("ascii")
    for mark, place, commas in outwards(code, begin, offset):
        text = code[max(begin, place - _MOST_STATEMENT) : place]
        if mark == b"(" and not callee:
            name = _NAME_BEFORE.search(text)
            if name:
                callee, argument = name[1].decode("ascii"), commas
            outer = _MEMBER_BEFORE.search(text[: name.start()] if name else text)
            member = member or (outer[1].decode("ascii") if outer else "")
        elif mark == b"{" and (cast := _TYPE_BEFORE.search(text)):
            struct = cast[1].decode("ascii")
            break
    return Use(UseKind.TABLE, offset, *unit.line(offset), table, callee, argument, member, struct)
