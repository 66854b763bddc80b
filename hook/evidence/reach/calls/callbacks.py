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
_MOST_DEFINITIONS = 4  # of a name; each of them has to call what it is given
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
        """Where the one function `name` that the file `near` can mean sets a member of an object to its argument of that number.

        Also by way of a function that it hands the argument to.
        """
        definitions = self._defining(name, near)
        if len(definitions) != 1 or definitions[0][1].kind is not DefinitionKind.FUNCTION:
            return None
        [(unit, definition)] = definitions
        parameter = _parameter(unit.scan.code, definition, argument).decode("ascii", "replace")
        uses = [use for use in uses_of(unit, parameter) if use.user is definition] if parameter else []
        if set_by := next((use for use in uses if use.kind is UseKind.SET_MEMBER), None):
            return unit, set_by
        passed = (use for use in uses if use.kind is UseKind.PASSED and depth < _MOST_PASSED and use.callee != name)
        return next(filter(None, (self.stores(use.callee, use.argument, unit, depth + 1) for use in passed)), None)

    def _defining(self, name: str, near: TranslationUnit) -> list[tuple[TranslationUnit, Definition]]:
        here = near.defined(name, *_KINDS)
        if here is not None:
            return [(near, here)]
        definitions = []
        for path in self._name_users.defining(name)[:_MOST_DEFINITIONS]:
            unit = self._name_users.units.get(path)
            definition = unit.defined(name, *_KINDS) if unit else None
            if unit is not None and definition is not None and (path.endswith(".h") or not unit.is_static(definition)):
                definitions.append((unit, definition))
        return definitions

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
        return any(
            use.user is definition and use.kind is UseKind.PASSED and self.calls(use.callee, use.argument, unit, depth + 1)
            for use in uses_of(unit, parameter.decode("ascii", "replace"))
        )


def _queues_parameter(unit: TranslationUnit, definition: Definition, argument: int, member: str) -> bool:
    code = unit.scan.code
    parameter = _parameter(code, definition, argument)
    if not parameter or definition.kind is not DefinitionKind.FUNCTION:
        return False
    held = re.compile(rb"&\s*" + parameter + rb"\s*->\s*" + member.encode() + rb"\b(?!\s*(?:->|\.|\[))")
    calls = entry_points.QUEUEING.finditer(code, *definition.body)
    is_set = re.search(rb"(?<![\w.>])" + parameter + rb"\s*=(?!=)", code[slice(*definition.body)])
    return is_set is None and any(held.search(code, call.end(), max(call.end(), end_of_call(code, call.end() - 1))) for call in calls)


def _parameter(code: bytes, definition: Definition, argument: int) -> bytes:
    """The name of a parameter of a function or macro, by its number; empty where there is none."""
    opening = code.find(b"(", definition.offset)
    parameters = arguments(code, opening) if opening >= 0 else []
    if not 0 <= argument < len(parameters):
        return b""
    pointer = re.search(rb"\(\s*\*\s*(?:const\s+)?(\w+)\s*\)", parameters[argument])
    words = re.findall(rb"\w+", parameters[argument])
    return pointer[1] if pointer else words[-1] if words else b""
