"""The call graph of one C file: the callers of each function, and the places that take its address.

By name, over the text of the code: both branches of every conditional count. Macros are nodes too, since a call in the body of a macro is
a call wherever the macro is used.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import msgspec

from hook import lazy_re
from hook.c.definitions import Definition, DefinitionKind, Scan

_MOST_BACK = 4000  # bytes before a name in which its statement may begin
_NAME = lazy_re.compile(rb"[A-Za-z_]\w*+")
_OPENING = lazy_re.compile(rb"\s*+\(")


class Node(msgspec.Struct, frozen=True):
    """A function or macro of the file, and its uses there."""

    name: str
    definition: Definition
    callers: tuple[str, ...]  # functions and macros of the file that call it, once for each call
    taken_in: tuple[str, ...]  # functions, tables and macros that take its address; "" for a place without a name

    @property
    def address_taken(self) -> bool:
        return bool(self.taken_in)


def of_file(data: bytes, scan: Scan) -> dict[str, Node]:
    """The nodes of a file by name; of several definitions of a name (in branches of a conditional) the first."""
    functions, macros, variables = (
        [definition for definition in scan.definitions if definition.kind is kind]
        for kind in (DefinitionKind.FUNCTION, DefinitionKind.MACRO, DefinitionKind.VARIABLE)
    )
    variables.sort(key=lambda variable: variable.span[0])
    defined: dict[bytes, Definition] = {}
    for definition in (*functions, *macros):
        defined.setdefault(definition.name.encode("ascii"), definition)
    calls: dict[bytes, list[str]] = {name: [] for name in defined}
    taken_in: dict[bytes, list[str]] = {name: [] for name in defined}
    starts = [function.span[0] for function in functions]
    code = scan.code
    for match in _NAME.finditer(code):
        word = match[0]
        if word not in defined:
            continue
        position = match.start()
        if code[position - 1 : position] in (b".", b">"):
            continue
        number = bisect.bisect_right(starts, position) - 1
        user = functions[number] if number >= 0 and position <= functions[number].span[1] else None
        called = _OPENING.match(code, match.end()) is not None
        if user is None:
            if not called:
                taken_in[word].append(_variable_at(variables, position))
            elif not _declares(code, position):
                taken_in[word].append("")  # in an argument, or a macro that is used at the top level
        elif position > user.body[0]:
            (calls if called else taken_in)[word].append(user.name)
    for macro in macros:
        for match in _NAME.finditer(data, macro.offset + len(macro.name), macro.span[1]):
            word = match.group()
            if word in defined and word != macro.name.encode():
                (calls if _OPENING.match(data, match.end()) else taken_in)[word].append(macro.name)
    return {
        definition.name: Node(definition.name, definition, tuple(calls[name]), tuple(taken_in[name]))
        for name, definition in defined.items()
    }


def _variable_at(variables: Sequence[Definition], offset: int) -> str:
    """The variable whose declaration is around an offset, of several declared together the first; empty if there is none."""
    position = bisect.bisect_right(variables, offset, key=lambda variable: variable.span[0]) - 1
    while position > 0 and variables[position].span[0] == variables[position - 1].span[0]:
        position -= 1
    return variables[position].name if position >= 0 and offset <= variables[position].span[1] else ""


def _declares(code: bytes, offset: int) -> bool:
    """Whether a name with parentheses at the top level is a prototype or a definition: its statement begins before it."""
    earliest = max(0, offset - _MOST_BACK)
    begin = max(earliest, *(code.rfind(mark, earliest, offset) + 1 for mark in (b";", b"}", b"\n\n")))
    return bool(code[begin:offset].strip())
