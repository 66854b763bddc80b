"""The source file: a translation unit with the layouts of its structs, and with its functions as tokens, read when they are needed."""

from __future__ import annotations

import functools

from hook import lazy_re
from hook.c import body
from hook.c.body import Body
from hook.c.definitions import Definition, DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.evidence.memory.struct_layouts import StructLayouts

_WORD = lazy_re.compile(rb"[A-Za-z_]\w*+")
_CALLABLE = (DefinitionKind.FUNCTION, DefinitionKind.MACRO)


class File(TranslationUnit):
    """One version of a C file that is searched for uninitialised memory."""

    def __init__(self, data: bytes, structs: StructLayouts) -> None:
        super().__init__("", data)
        self.structs = structs
        self._bodies: dict[int, Body] = {}

    def definition(self, name: bytes) -> Definition | None:
        """The function with a name, if the file defines it once, and no macro with that name."""
        callables = self._callable(name)
        return callables[0] if len(callables) == 1 and callables[0].kind is DefinitionKind.FUNCTION and callables[0].body[1] else None

    def defines(self, name: bytes) -> bool:
        """Whether a function or macro of the file has this name."""
        return bool(self._callable(name))

    def _callable(self, name: bytes) -> list[Definition]:
        return [definition for definition in self.by_name.get(name.decode("ascii", "replace"), ()) if definition.kind in _CALLABLE]

    def body(self, function: Definition) -> Body:
        """The tokens between the braces of a function."""
        start, end = function.body
        if start not in self._bodies:
            self._bodies[start] = body.read(self.scan.code, start, end + 1)
        return self._bodies[start]

    def parameters(self, function: Definition) -> list[tuple[bytes, ...]]:
        """The parameters of a function, each as its tokens."""
        head = body.read(self.scan.code, function.offset, function.body[0])
        opening = next((position for position, token in enumerate(head.tokens) if token == b"("), -1)
        return [head.text(*parameter) for parameter in head.arguments(opening)] if opening >= 0 else []

    def macro_with(self, name: bytes) -> str:
        """A macro of the file whose text contains a name, so that the macro may write the object; empty if there is none."""
        return next((macro for macro, words in self._macro_words if name in words), "")

    @functools.cached_property
    def _macro_words(self) -> list[tuple[str, frozenset[bytes]]]:
        macros = (definition for definition in self.scan.definitions if definition.kind is DefinitionKind.MACRO)
        return [(macro.name, frozenset(_WORD.findall(self.data[slice(*macro.span)]))) for macro in macros]
