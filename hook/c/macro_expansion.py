"""Macro expansion: the expansion and the value of the words of an initialiser, with definitions from a look-up.

It knows as much of the preprocessor as id tables need: macros with and without arguments, `#` and `##`, constant expressions and adjacent
strings. A name that the look-up does not know is not expanded, and an expression with one has no value.
"""

from __future__ import annotations

import operator
import re
import typing
from collections.abc import Callable, Iterable, Sequence

import msgspec

from hook import lazy_re
from hook.c.blanking import without_comments
from hook.c.brackets import closing, elements

if typing.TYPE_CHECKING:
    import ast

_DEEPEST = 24  # macros inside each other
_MOST_STEPS = 4000  # expansions for one line of a table
_LONGEST = 32 << 10  # characters of one expansion
_WORD = lazy_re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|[A-Za-z_]\w*|\d\w*')
_STRING = lazy_re.compile(r'"((?:[^"\\]|\\.)*)"')
_NUMBER_END = lazy_re.compile(r"\b(0[xX][0-9a-fA-F]+|\d+)[uUlL]+\b")
_CAST = lazy_re.compile(r"\(\s*(?:unsigned|int|long|u?int\d+_t|__?[us]\d+|[us]\d+|kernel_ulong_t)(?:\s+(?:int|long))*\s*\)")
_OPERATORS: dict[str, Callable[[int, int], int]] = {  # by their names in `ast`
    "Add": operator.add, "Sub": operator.sub, "BitOr": operator.or_, "BitAnd": operator.and_, "BitXor": operator.xor,
}  # fmt: skip


class Macro(msgspec.Struct, frozen=True):
    """A definition; `parameters` is None for a macro without arguments."""

    parameters: tuple[str, ...] | None
    body: str


class ExpansionTooLarge(ValueError):
    """An expansion past the limits."""


def agreed(definitions: Iterable[tuple[str | None, str]]) -> Macro | None:
    """The macro with these definitions, each as parameters and body; None if they differ, or if there is none."""
    distinct = set(definitions)
    if len(distinct) != 1:
        return None
    parameters, body = next(iter(distinct))
    names = None if parameters is None else tuple(parameter.strip() for parameter in parameters.split(",") if parameter.strip())
    return Macro(names, body)


def written(text: bytes) -> tuple[str | None, str]:
    """The definition in the text behind a macro's name: its parameters as written (None if it has none), and its body."""
    body = without_comments(text).replace(b"\\\n", b" ").decode("latin-1")
    parameters = None
    if body.startswith("("):
        parameters, _, body = body[1:].partition(")")
    return parameters, " ".join(body.split())


class Expansion:
    """The macros for a piece of text; `look_up` returns the definition of a name, or None."""

    def __init__(self, look_up: Callable[[str], Macro | None]) -> None:
        self._look_up = look_up
        self._macros: dict[str, Macro | None] = {}
        self._numbers: dict[str, int | None] = {}
        self._steps = 0

    def get(self, name: str) -> Macro | None:
        """The macro `name`; None if it is no macro, or has different definitions."""
        if name not in self._macros:
            self._macros[name] = self._look_up(name)
        return self._macros[name]

    def expand(self, text: str) -> str:
        """`text` with every macro in it expanded. Raises ExpansionTooLarge."""
        self._steps = 0
        return self._expand(text, frozenset(), 0)

    def number(self, text: str) -> int | None:
        """The value of a constant expression, as 32 bits; None if it is not known."""
        if text not in self._numbers:
            try:
                self._numbers[text] = _evaluated(self.expand(text))
            except (ExpansionTooLarge, ValueError, SyntaxError, RecursionError):
                self._numbers[text] = None
        return self._numbers[text]

    def once(self, text: str, macro: Macro) -> str | None:
        """The expansion of a macro by one step, if `text` is a use of it and nothing else; else None."""
        if macro.parameters is None:
            return macro.body
        opening = text.find("(")
        end = closing(text, opening) if opening >= 0 else -1
        if end < 0 or text[end + 1 :].strip():
            return None
        return _substituted(macro, [argument for argument, _ in elements(text[opening + 1 : end])], None, frozenset(), 0)

    def string(self, text: str) -> str | None:
        """The text of adjacent strings; None if anything else is between them."""
        try:
            expanded = self.expand(text)
        except ExpansionTooLarge:
            return None
        if _STRING.sub("", expanded).strip(" \t\n(){}"):
            return None
        strings = _STRING.findall(expanded)
        return "".join(strings) if strings else None

    def _expand(self, text: str, inside: frozenset[str], depth: int) -> str:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS or len(text) > _LONGEST:
            raise ExpansionTooLarge
        pieces: list[str] = []
        position = 0
        while (word := _WORD.search(text, position)) is not None:
            pieces.append(text[position : word.start()])
            position = word.end()
            name = word[0]
            macro = (
                None
                if name[0] in "\"'" or name[0].isdigit() or name in inside or text[word.start() - 1 : word.start()] == "."
                else self.get(name)
            )
            if macro is None:
                pieces.append(name)
                continue
            if macro.parameters is None:
                pieces.append(self._expand(macro.body, inside | {name}, depth + 1))
                continue
            opening = position + len(text[position:]) - len(text[position:].lstrip())
            end = closing(text, opening) if text[opening : opening + 1] == "(" else -1
            if end < 0:
                pieces.append(name)
                continue
            arguments = [argument for argument, _ in elements(text[opening + 1 : end])]
            position = end + 1
            pieces.append(self._expand(_substituted(macro, arguments, self, inside, depth), inside | {name}, depth + 1))
        pieces.append(text[position:])
        return "".join(pieces)


def _substituted(macro: Macro, arguments: Sequence[str], macros: Expansion | None, inside: frozenset[str], depth: int) -> str:
    parameters = macro.parameters or ()
    values = {name: arguments[number].strip() if number < len(arguments) else "" for number, name in enumerate(parameters) if name != "..."}
    if parameters and parameters[-1] == "...":
        values["__VA_ARGS__"] = ", ".join(arguments[len(parameters) - 1 :])
    body = macro.body

    def put(word: re.Match[str]) -> str:
        name = word[0]
        if name not in values:
            return name
        before, after = body[: word.start()].rstrip(), body[word.end() :].lstrip()
        if before.endswith("##") or after.startswith("##"):
            return values[name]
        if before.endswith("#"):
            return f'"{values[name]}"'
        return macros._expand(values[name], inside, depth + 1) if macros is not None else values[name]

    text = _WORD.sub(put, body)
    text = re.sub(r"\s*##\s*", "", text)
    return re.sub(r'(?<!#)#\s*(?=")', "", text)


def _evaluated(text: str) -> int | None:
    text = _CAST.sub("", _NUMBER_END.sub(r"\1", text)).strip()
    text = re.sub(r"\b0+(?=\d)", "", text) if not re.search(r"\b0[0-7]+\b", text) else text
    if not text or len(text) > 2000 or re.fullmatch(r"[\w\s()~|&^+<>-]+", text) is None:
        return None
    import ast  # only what computes something pays for it

    value = _node(ast.parse(text.strip(), mode="eval").body)
    return None if value is None else value & 0xFFFFFFFF


def _node(node: ast.expr) -> int | None:
    import ast

    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.UnaryOp):
        value = _node(node.operand)
        if value is None:
            return None
        return ~value if isinstance(node.op, ast.Invert) else -value if isinstance(node.op, ast.USub) else None
    if isinstance(node, ast.BinOp):
        left, right = _node(node.left), _node(node.right)
        if left is None or right is None:
            return None
        if isinstance(node.op, (ast.LShift, ast.RShift)):
            if not 0 <= right < 64:
                return None
            return left << right if isinstance(node.op, ast.LShift) else left >> right
        compute = _OPERATORS.get(type(node.op).__name__)
        return compute(left, right) if compute else None
    return None
