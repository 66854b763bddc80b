"""Object types: of which structure the object is whose member a call goes through, by the declarations that the call can see.

Told for `NAME->member->…->called()` and `function()->called()`, where NAME is a parameter or variable of the caller, and each structure on
the way has one definition. Anything else is not known.
"""

from __future__ import annotations

import re

from hook import lazy_re
from hook.c.definitions import Definition, DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use
from hook.kernel.name_users import NameUsers

_MOST_STEPS = 4
_MOST_DEFINING = 8  # files that may define a structure
_LONGEST = 200  # bytes of what stands before a member that is called
_OBJECT = lazy_re.compile(rb"(?<![\w.>)\]])(\w+)(\([^();]*\))?((?:\[[^\[\];]*\])?(?:(?:->|\.)\w+(?:\[[^\[\];]*\])?)*)\Z")
_INDEX, _WORDS = lazy_re.compile(rb"\[[^\[\];]*\]"), lazy_re.compile(rb"\w+")
_STEP = lazy_re.compile(rb"(?:->|\.)(\w+)")
_RETURNED = lazy_re.compile(rb"\bstruct\s+(\w+)\s*\*")


class ObjectTypes:
    """The types of one tree."""

    def __init__(self, name_users: NameUsers) -> None:
        self._name_users = name_users
        self._structs: dict[str, bytes | None] = {}
        self._given: dict[str, str] = {}

    def struct_called_through(self, unit: TranslationUnit, caller: Definition, arrow: int) -> str:
        """The structure of the object that stands before the `->` or `.` at an offset; empty where that is not known."""
        code = unit.scan.code
        found = _OBJECT.search(code, max(caller.body[0], arrow - _LONGEST), arrow)
        if found is None:
            return ""
        steps = _STEP.findall(found[3])
        struct = self._returned(unit, found[1].decode("ascii")) if found[2] else _declared(_declaring(unit, caller, found[1]), found[1])
        for member in steps:
            body = self._body(unit, struct) if struct else None
            struct = _declared(body, member) if body is not None else ""
        return struct if len(steps) <= _MOST_STEPS else ""

    def embedded(self, unit: TranslationUnit, caller: Definition, dot: int) -> bytes:
        """The variable or member that is the object before the `.` at an offset; empty where a pointer leads to the object."""
        if unit.scan.code[dot : dot + 1] != b".":
            return b""
        found = _OBJECT.search(unit.scan.code, max(caller.body[0], dot - _LONGEST), dot)
        return _WORDS.findall(found[1] + _INDEX.sub(b"", found[3]))[-1] if found else b"?"

    def struct_assigned_to(self, unit: TranslationUnit, caller: Definition, use: Use) -> str:
        """The structure of the object whose member a use sets; empty where that is not known."""
        arrow = arrow_of(unit, caller, use)
        return self.struct_called_through(unit, caller, arrow) if arrow >= 0 else ""

    def _returned(self, unit: TranslationUnit, function: str) -> str:
        """The structure that a function gives a pointer to: one of the file, or else those that it can call, if all give the same."""
        if (own := unit.defined(function, DefinitionKind.FUNCTION)) is not None:
            return _given_by(unit, own)
        if function not in self._given:
            paths = self._name_users.defining(function)
            units = [self._name_users.units.get(path) for path in paths] if len(paths) <= _MOST_DEFINING else []
            structs = {
                _given_by(other, definition)
                for other in units
                if other is not None
                and (definition := other.defined(function, DefinitionKind.FUNCTION, DefinitionKind.MACRO)) is not None
                and (other.path.endswith(".h") or not other.is_static(definition))
            }
            self._given[function] = structs.pop() if len(structs) == 1 and None not in units else ""
        return self._given[function]

    def _body(self, unit: TranslationUnit, struct: str) -> bytes | None:
        """The text of a structure's definition; None where there is none, or several."""
        own = unit.defined(struct, DefinitionKind.STRUCT)
        if own is not None:
            return unit.scan.code[own.span[0] : own.span[1]]
        if struct not in self._structs:
            found = []
            paths = [path for path in self._name_users.defining(struct) if path.endswith(".h")]
            for path in paths if len(paths) <= _MOST_DEFINING else ():
                header = self._name_users.units.get(path)
                definition = header.defined(struct, DefinitionKind.STRUCT) if header is not None else None
                if header is not None and definition is not None:
                    found.append(header.scan.code[definition.span[0] : definition.span[1]])
            self._structs[struct] = found[0] if len(found) == 1 else None
        return self._structs[struct]


def arrow_of(unit: TranslationUnit, caller: Definition, use: Use) -> int:
    """Where the `->` or `.` stands before the member that a use sets; -1 where there is none."""
    code, begin = unit.scan.code, caller.body[0]
    before = code[begin : code.rfind(use.member.encode(), begin, use.offset)].rstrip()
    return begin + len(before) - (2 if before.endswith(b"->") else 1) if before.endswith((b"->", b".")) else -1


def _given_by(unit: TranslationUnit, definition: Definition) -> str:
    """The structure that a function gives a pointer to; empty where it gives something else, or is a macro."""
    match = _RETURNED.search(unit.data[definition.span[0] : definition.offset]) if definition.kind is DefinitionKind.FUNCTION else None
    return match[1].decode("ascii") if match else ""


def _declaring(unit: TranslationUnit, caller: Definition, name: bytes) -> bytes:
    """The text that declares what a function calls `name`: its own, or that of a variable of the file."""
    variables = [one for one in unit.by_name.get(name.decode("ascii"), ()) if one.kind is DefinitionKind.VARIABLE]
    if not variables or hides(unit, caller, name):
        return unit.scan.code[caller.span[0] : caller.body[1]]
    return b"".join(unit.head(variable) + name + b";" for variable in variables)


def hides(unit: TranslationUnit, function: Definition, name: bytes) -> bool:
    """Whether a function has a parameter or variable of a name, which is not that of its file then."""
    code = unit.scan.code[function.span[0] : function.body[1]]
    pointer = re.search(rb"\b([A-Za-z_]\w*)[\s*]+\(\s*\*\s*(?:const\s+)?" + name + rb"\s*(?:\[[^\]]*\]\s*)?\)\s*\(", code)
    return bool(_types(code, name)) or (pointer is not None and pointer[1] not in BEFORE_A_VALUE)


def _declared(code: bytes, name: bytes) -> str:
    """The structure that a text declares `name` as, or as a pointer to; empty where it declares it as something else too."""
    types = _types(code, name)
    if len(types) != 1:
        return ""
    [(is_struct, struct)] = types
    return struct.decode("ascii") if is_struct else ""


def _types(code: bytes, name: bytes) -> set[tuple[bool, bytes]]:
    """The types that a text declares `name` as, or as a pointer to, each with whether it is a structure."""
    declares = re.compile(
        rb"(struct\s+)?\b([A-Za-z_]\w*)(?:\s+const)?(?:\s*\*\s*|\s+)"
        + name
        + rb"\s*(?:\[[^\]]*\]\s*)?(?:__\w+\s*(?:\([^()]*\)\s*)?)*(?=[;,=)])(?!==)"
    )
    return {(bool(match[1]), match[2]) for match in declares.finditer(code) if match[2] not in BEFORE_A_VALUE}
