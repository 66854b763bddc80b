"""The macros of Kconfig: `$(NAME)`, `$(NAME,argument,…)`, and the assignments that define them. Nothing is executed.

Follows Documentation/kbuild/kconfig-macro-language.rst. Where the kernel's own Kconfig runs a command, the table of the toolchain answers;
each such answer is noted in `probes`, so that the parser knows which option depends on it.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping

from hook import lazy_re
from hook.c.brackets import Brackets
from hook.kernel.kconfig.toolchain import Toolchain

_DEEPEST = 40  # macros inside each other
_LONGEST = 64 << 10  # characters of one expansion
_MOST_STEPS = 20_000  # expansions for one line of a file
PARENTHESES = Brackets("(", ")")
_TEST = lazy_re.compile(  # a comparison of two words by test(1)
    r"(?:test|\[)\s+(?:(\"[^\"$`]*\"|'[^']*')|([\w.-]*))\s*(!?=|-(?:eq|ne|lt|le|gt|ge))\s*"
    r"(\"[^\"$`]*\"|'[^']*'|[\w.-]+)(?:\s*\])?"
)
_EXPR = lazy_re.compile(r"\s*expr\s+(-?[0-9]{1,15})\s+([-+/%]|\\\*)\s+(-?[0-9]{1,15})\s*\Z")  # two numbers for expr(1)
_WHOLE = lazy_re.compile(r"-?[0-9]{1,30}\Z")
_NUMERIC = {"-eq": operator.eq, "-ne": operator.ne, "-lt": operator.lt, "-le": operator.le, "-gt": operator.gt, "-ge": operator.ge}
_ANSWERED = frozenset(
    (
        "cc-option", "cc-option-bit", "ld-option", "as-instr", "as-instr64", "as-option", "rustc-option", "success", "failure",
        "if-success", "shell",
    )
)  # fmt: skip


class MacroTooLarge(ValueError):
    """An expansion past the limits; the sentence says which."""


class KconfigMacros:
    """The macros that the lines read so far define."""

    def __init__(self, predefined: Mapping[str, str], toolchain: Toolchain) -> None:
        self._values: dict[str, tuple[str, bool]] = {name: (text, False) for name, text in predefined.items()}
        self._tool_variables = toolchain.variables()
        self._toolchain = toolchain
        self._steps = 0
        self.probes: list[str] = []  # `PROBE = ANSWER`, of what was expanded since the list was last emptied

    def define(self, name: str, operator: str, text: str) -> None:
        """`NAME = text`, `:=` or `+=`. Raises MacroTooLarge."""
        if name in self._tool_variables:
            return  # the tree would ask a tool for it
        if operator == "+=" and name in self._values:
            value, recursive = self._values[name]
            added = text if recursive else self.expand(text)
            self._values[name] = (f"{value} {added}"[:_LONGEST], recursive)
        elif operator == ":=":
            self._values[name] = (self.expand(text), False)
        else:
            self._values[name] = (text, True)

    def expand(self, text: str) -> str:
        """`text` with every macro in it expanded. Raises MacroTooLarge."""
        if "$" not in text:
            return text
        self._steps = 0
        return self._expand(text, (), 0)

    def _expand(self, text: str, arguments: tuple[str, ...], depth: int) -> str:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise MacroTooLarge("the macros expand too deeply or too often")
        pieces: list[str] = []
        position, length = 0, 0
        while (dollar := text.find("$", position)) >= 0:
            pieces.append(text[position:dollar])
            if text[dollar + 1 : dollar + 2] == "(":
                end = PARENTHESES.closing(text, dollar + 1)
                if end < 0:
                    pieces.append(text[dollar:])
                    position = len(text)
                    break
                piece = self._reference(text[dollar + 2 : end], arguments, depth + 1)
                position = end + 1
            else:
                piece, position = "$", dollar + 1
            pieces.append(piece)
            length += len(piece)
            if length > _LONGEST:
                raise MacroTooLarge(f"a macro that expands to more than {_LONGEST} characters")
        pieces.append(text[position:])
        return "".join(pieces)

    def _reference(self, inner: str, arguments: tuple[str, ...], depth: int) -> str:
        parts = [part for part, _ in PARENTHESES.split(inner)]
        name = self._expand(parts[0], arguments, depth) if "$" in parts[0] else parts[0]
        if name.isdecimal():
            return arguments[int(name[:9])] if int(name[:9]) < len(arguments) else ""
        if name in _ANSWERED:
            return self._answered(name, parts[1:], arguments, depth)
        expanded = [self._expand(part, arguments, depth) if "$" in part else part for part in parts[1:]]
        if name in self._tool_variables:
            if name not in ("m32-flag", "m64-flag"):
                self.probes.append(f"$({name}) = {self._tool_variables[name]}")
            return self._tool_variables[name]
        if name in ("info", "warning-if", "error-if", "warning", "error", "filename", "lineno"):
            return ""
        if name not in self._values:
            return ""
        value, recursive = self._values[name]
        return self._expand(value, (name, *expanded), depth) if recursive and "$" in value else value

    def _answered(self, name: str, parts: list[str], arguments: tuple[str, ...], depth: int) -> str:
        """The answer of a probe: the command is matched as text, and never run."""
        raw = [self._with_arguments(part, arguments) for part in parts]
        plain = self._tested(parts, arguments, depth) if name in ("success", "failure", "if-success") else None
        if plain is not None and name != "if-success":
            return "y" if plain is not (name == "failure") else "n"  # a comparison of texts depends on no tool but those named in it
        if name == "shell":
            worked_out = _arithmetic(self._expand(",".join(parts), arguments, depth)) if parts[:1] and "expr " in parts[0] else None
            answer = self._toolchain.prints(",".join(raw)) if worked_out is None else worked_out
        elif name == "if-success":
            command = raw[0] if raw else ""
            good = self._toolchain.succeeds(command) if plain is None else plain
            chosen = parts[1:2] if good else parts[2:3]
            answer = self._expand(chosen[0], arguments, depth) if chosen else ""
        elif name == "cc-option-bit":
            answer = raw[0] if raw else ""
        else:
            command = ",".join(raw)
            if name == "cc-option":
                good = self._toolchain.takes(command.replace("$(comma)", ","))
            elif name == "rustc-option":
                good = bool(self._toolchain.rustc)
            else:
                good = self._toolchain.succeeds(command)
            answer = "y" if good is not (name == "failure") else "n"
        self.probes.append(f"$({name},{','.join(raw)[:80]}) = {answer}")
        return answer

    def _tested(self, parts: list[str], arguments: tuple[str, ...], depth: int) -> bool | None:
        """The result of `test`, if the command is a plain comparison of two words; else None."""
        if not parts or not parts[0].lstrip().startswith(("test ", "[ ")):
            return None
        words = _TEST.fullmatch(self._expand(",".join(parts[:1]), arguments, depth).strip())
        if words is None:
            return None
        first, relation, second = (words[1] or words[2] or "").strip("\"'"), words[3], words[4].strip("\"'")
        if relation in ("=", "!="):
            return (first == second) is (relation == "=")
        if not (_WHOLE.match(first) and _WHOLE.match(second) and len(first) + len(second) < 40):
            return None
        return bool(_NUMERIC[relation](int(first), int(second)))

    def _with_arguments(self, text: str, arguments: tuple[str, ...]) -> str:
        if not arguments or "$(" not in text:
            return text
        return re.sub(r"\$\((\d)\)", lambda reference: arguments[int(reference[1])] if int(reference[1]) < len(arguments) else "", text)[
            :_LONGEST
        ]


def _arithmetic(command: str) -> str | None:
    """The output of `expr A / B` and its like; None for any other command, and if expr would fail."""
    words = _EXPR.match(command)
    if words is None:
        return None
    first, second = int(words[1]), int(words[3])
    match words[2]:
        case "+":
            return str(first + second)
        case "-":
            return str(first - second)
        case "/" | "%" if not second:
            return None
        case "/":
            return str(abs(first) // abs(second) * (1 if (first < 0) == (second < 0) else -1))
        case "%":
            return str(abs(first) % abs(second) * (-1 if first < 0 else 1))
        case _:
            return str(first * second)
