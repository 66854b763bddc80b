"""The call graph of one C file: who calls whom in it, and whose address is taken.

By name, over the code as it stands: both branches of every conditional count. Macros are nodes too, since what stands in the body of one
is called wherever it is used.
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
    """A function or macro of the file, as it is used there."""

    name: str
    definition: Definition
    callers: tuple[str, ...]  # functions and macros of the file with a call of it, once for each call
    taken_in: tuple[str, ...]  # functions, tables and macros in which its address is taken; "" for a place without a name

    @property
    def address_taken(self) -> bool:
        return bool(self.taken_in)


def of_file(data: bytes, scan: Scan) -> dict[str, Node]:
    """The nodes of a file by name; of several definitions of a name (in branches of a conditional) the first."""
    functions = [one for one in scan.definitions if one.kind is DefinitionKind.FUNCTION]
    macros = [one for one in scan.definitions if one.kind is DefinitionKind.MACRO]
    variables = sorted((one for one in scan.definitions if one.kind is DefinitionKind.VARIABLE), key=lambda one: one.span[0])
    defined: dict[bytes, Definition] = {}
    for one in (*functions, *macros):
        defined.setdefault(_spelled(one), one)
    calls: dict[bytes, list[str]] = {name: [] for name in defined}
    taken: dict[bytes, list[str]] = {name: [] for name in defined}
    starts = [one.span[0] for one in functions]
    for match in _NAME.finditer(scan.code):
        word = match.group()
        if word not in defined or scan.code[match.start() - 1 : match.start()] in (b".", b">"):
            continue
        at = match.start()
        number = bisect.bisect_right(starts, at) - 1
        around = functions[number] if number >= 0 and at <= functions[number].span[1] else None
        called = _OPENING.match(scan.code, match.end()) is not None
        if around is None:
            if not called:
                taken[word].append(_variable_at(variables, at))
            elif not _declares(scan.code, at):
                taken[word].append("")  # an argument's function, or a macro that is used at the top level
        elif at > around.body[0]:
            (calls if called else taken)[word].append(around.name)
    for macro in macros:
        for match in _NAME.finditer(data, macro.offset + len(macro.name), macro.span[1]):
            word = match.group()
            if word in defined and word != macro.name.encode():
                (calls if _OPENING.match(data, match.end()) else taken)[word].append(macro.name)
    return {
        definition.name: Node(definition.name, definition, tuple(calls[name]), tuple(taken[name])) for name, definition in defined.items()
    }


def _spelled(definition: Definition) -> bytes:
    """The name as the file spells it: of a system call, the argument of its macro."""
    return definition.name.encode("ascii")


def _variable_at(variables: Sequence[Definition], offset: int) -> str:
    """The variable whose declaration holds an offset, of several declared together the first; empty where there is none."""
    at = bisect.bisect_right(variables, offset, key=lambda one: one.span[0]) - 1
    while at > 0 and variables[at].span[0] == variables[at - 1].span[0]:
        at -= 1
    return variables[at].name if at >= 0 and offset <= variables[at].span[1] else ""


def _declares(code: bytes, at: int) -> bool:
    """Whether a name with parentheses at the top level is a prototype or a definition: something stands before it on its statement."""
    earliest = max(0, at - _MOST_BACK)
    begin = max(earliest, *(code.rfind(mark, earliest, at) + 1 for mark in (b";", b"}", b"\n\n")))
    return bool(code[begin:at].strip())
