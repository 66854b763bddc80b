"""Callbacks: whether a function calls, or queues, what it is given, itself or through a function that it hands it to."""

from __future__ import annotations

import re

from hook.c.brackets import arguments, end_of_call
from hook.c.definitions import Definition, DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use, UseKind, uses_of
from hook.kernel import entry_points
from hook.kernel.name_users import NameUsers

_MOST_PASSED = 5  # functions that hand on what they are given
_MOST_FILES = 12  # that may define one name
_MOST_DEFINITIONS = 4  # of a name; each of them has to call what it is given
_NEAR = 64
_KINDS = (DefinitionKind.FUNCTION, DefinitionKind.MACRO)


def is_called(name: bytes, code: bytes) -> bool:
    """Whether code calls what a variable points to. A condition on it, before a cast, is no call, and its declaration is none."""
    if re.search(rb"\(\s*" + name + rb"\s*\)\(|(?<![\w.>])" + name + rb"\s*\(", code):
        return True
    pointed = re.finditer(rb"(\w*)[\s*]*\(\s*\*\s*" + name + rb"\s*\)\s*\(", code)
    return any(not match[1] or match[1] in BEFORE_A_VALUE for match in pointed)


class CallbackCalls:
    """The functions of one tree, each looked at once."""

    def __init__(self, name_users: NameUsers) -> None:
        self._name_users = name_users
        self._known: dict[tuple[str, int], bool] = {}

    def calls(self, name: str, argument: int, near: TranslationUnit, depth: int = 0) -> bool:
        """Whether the function `name`, as the file `near` sees it, calls its argument of that number."""
        key = (name, argument)
        if key not in self._known:
            self._known[key] = False  # it is not called by what only hands it round
            answers = [self._calls_parameter(unit, definition, argument, depth) for unit, definition in self._defining(name, near)]
            self._known[key] = bool(answers) and all(answers)
        return self._known[key]

    def queues(self, name: str, argument: int, member: str, near: TranslationUnit) -> bool:
        """Whether the function `name`, as the file `near` sees it, queues the work item or timer that is a member of its argument."""
        definitions = self._defining(name, near)
        return bool(definitions) and all(_queues_parameter(unit, definition, argument, member) for unit, definition in definitions)

    def stores(self, name: str, argument: int, near: TranslationUnit, depth: int = 0) -> tuple[TranslationUnit, Use] | None:
        """Where the one function `name` that the file `near` can mean sets a member of an object to its argument of that number, as it is.

        Also by way of a function that it hands the argument to. Not where it sets the parameter itself, or stores something made of it.
        """
        definitions = self._defining(name, near)
        if len(definitions) != 1 or definitions[0][1].kind is not DefinitionKind.FUNCTION:
            return None
        [(unit, definition)] = definitions
        parameter = _parameter(unit.scan.code, definition, argument).decode("ascii", "replace")
        if not parameter or _is_set(unit.scan.code, definition, parameter.encode()):
            return None
        uses = [use for use in uses_of(unit, parameter) if use.user is definition and is_itself(unit.scan.code, use.offset, parameter)]
        if set_by := next((use for use in uses if use.kind is UseKind.SET_MEMBER), None):
            return unit, set_by
        passed = (use for use in uses if use.kind is UseKind.PASSED and depth < _MOST_PASSED and use.callee != name)
        return next(filter(None, (self.stores(use.callee, use.argument, unit, depth + 1) for use in passed)), None)

    def _defining(self, name: str, near: TranslationUnit) -> list[tuple[TranslationUnit, Definition]]:
        """Every definition that `name` may mean there; none where there are too many, or where one could not be read."""
        here = [(near, definition) for definition in near.by_name.get(name, ()) if definition.kind in _KINDS]
        if here:
            return here
        definitions = []
        paths = self._name_users.defining(name)
        for path in paths if len(paths) <= _MOST_FILES else ():
            unit = self._name_users.units.get(path)
            if unit is None:
                return []
            of_file = [definition for definition in unit.by_name.get(name, ()) if definition.kind in _KINDS]
            definitions += [(unit, definition) for definition in of_file if path.endswith(".h") or not unit.is_static(definition)]
        return definitions if len(definitions) <= _MOST_DEFINITIONS else []

    def _calls_parameter(self, unit: TranslationUnit, definition: Definition, argument: int, depth: int) -> bool:
        is_function = definition.kind is DefinitionKind.FUNCTION
        code = unit.scan.code if is_function else unit.data
        parameter = _parameter(code, definition, argument)
        if not parameter:
            return False
        begin, end = definition.body if is_function else (definition.offset + len(definition.name), definition.span[1])
        if is_called(parameter, code[begin:end]):
            return True
        if depth >= _MOST_PASSED or not is_function:
            return False
        name = parameter.decode("ascii", "replace")
        return any(
            use.user is definition
            and use.kind is UseKind.PASSED
            and is_itself(code, use.offset, name)
            and self.calls(use.callee, use.argument, unit, depth + 1)
            for use in uses_of(unit, name)
        )


def _queues_parameter(unit: TranslationUnit, definition: Definition, argument: int, member: str) -> bool:
    code = unit.scan.code
    parameter = _parameter(code, definition, argument)
    if not parameter or definition.kind is not DefinitionKind.FUNCTION:
        return False
    held = re.compile(rb"&\s*" + parameter + rb"\s*->\s*" + member.encode() + rb"\b(?!\s*(?:->|\.|\[))")
    calls = entry_points.QUEUEING.finditer(code, *definition.body)
    is_set = _is_set(code, definition, parameter)
    return not is_set and any(held.search(code, call.end(), max(call.end(), end_of_call(code, call.end() - 1))) for call in calls)


def is_itself(code: bytes, offset: int, name: str) -> bool:
    """Whether the name at an offset is all that is passed, or assigned, there."""
    before, after = code[max(0, offset - _NEAR) : offset].rstrip(), code[offset + len(name) :][:_NEAR].lstrip()
    is_assigned = before[-1:] == b"=" and before[-2:-1] not in b"=!<>|&+-*/^%" and after[:1] == b";"
    return is_assigned or (before[-1:] in (b",", b"(") and after[:1] in (b",", b")"))


def _is_set(code: bytes, definition: Definition, parameter: bytes) -> bool:
    return re.search(rb"(?<![\w.>])" + parameter + rb"\s*=(?!=)", code[slice(*definition.body)]) is not None


def _parameter(code: bytes, definition: Definition, argument: int) -> bytes:
    """The name of a parameter of a function or macro, by its number; empty where there is none."""
    opening = code.find(b"(", definition.offset)
    parameters = arguments(code, opening) if opening >= 0 else []
    if not 0 <= argument < len(parameters):
        return b""
    pointer = re.search(rb"\(\s*\*\s*(?:const\s+)?(\w+)\s*\)", parameters[argument])
    words = re.findall(rb"\w+", parameters[argument])
    return pointer[1] if pointer else words[-1] if words else b""
