"""The source file: one version of a C file that is looked into, its functions as tokens that are read when they are asked for."""

from __future__ import annotations

import dataclasses
import re

from hook.c import body
from hook.c.body import Body
from hook.c.definitions import Definition, DefinitionKind, Scan
from hook.evidence.memory.struct_layouts import StructLayouts

_WORD = re.compile(rb"[A-Za-z_]\w*+")


@dataclasses.dataclass
class File:
    """One version of a C file that is looked into."""

    data: bytes
    scanned: Scan
    structs: StructLayouts
    _bodies: dict[int, Body] = dataclasses.field(default_factory=dict)
    _named: dict[str, list[Definition]] = dataclasses.field(default_factory=dict)
    _macros: list[tuple[str, frozenset[bytes]]] | None = None

    def __post_init__(self) -> None:
        for one in self.scanned.definitions:
            if one.kind in (DefinitionKind.FUNCTION, DefinitionKind.MACRO):
                self._named.setdefault(one.name, []).append(one)

    def definition(self, name: bytes) -> Definition | None:
        """The function of a name that the file defines once, and as nothing else."""
        found = self._named.get(name.decode("ascii", "replace"), [])
        return found[0] if len(found) == 1 and found[0].kind is DefinitionKind.FUNCTION and found[0].body[1] else None

    def defines(self, name: bytes) -> bool:
        return name.decode("ascii", "replace") in self._named

    def body(self, function: Definition) -> Body:
        start, end = function.body
        if start not in self._bodies:
            self._bodies[start] = body.read(self.scanned.code, start, end + 1)
        return self._bodies[start]

    def parameters(self, function: Definition) -> list[tuple[bytes, ...]]:
        """The parameters of a function, each as its tokens."""
        head = body.read(self.scanned.code, function.offset, function.body[0])
        opening = next((at for at, token in enumerate(head.tokens) if token == b"("), -1)
        return [head.text(*one) for one in head.arguments(opening)] if opening >= 0 else []

    def macro_with(self, name: bytes) -> str:
        """A macro of the file whose text holds a name, so that the object could be written without being named; empty where none does."""
        if self._macros is None:
            self._macros = [
                (one.name, frozenset(_WORD.findall(self.data[slice(*one.span)])))
                for one in self.scanned.definitions
                if one.kind is DefinitionKind.MACRO
            ]
        return next((macro for macro, words in self._macros if name in words), "")
