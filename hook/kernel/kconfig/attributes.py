"""The attributes of a Kconfig entry: dependencies, prompts, defaults, ranges, selects and implies, and the macros in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from hook import lazy_re
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import YES, BadExpression, Condition, Conjunction, Constant, Disjunction, Negation, Symbol
from hook.kernel.kconfig.option import Option, Options
from hook.kernel.kconfig.variables import PARENTHESES, KconfigMacros

TYPES = frozenset(("bool", "tristate", "int", "hex", "string"))
PLAIN_NAME = lazy_re.compile(r"[\w-]+\Z")
_MOST_WARNINGS = 200
_QUOTED = lazy_re.compile(r"\s*(\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+')")
_IF = lazy_re.compile(r"\sif(?![\w-])")
_TEXT = lazy_re.compile(r"\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'")
_WORD = lazy_re.compile(r"[\w-]+")


class KconfigEntry(msgspec.Struct):
    """The definition that is being read."""

    kind: str  # config, choice, menu, comment
    line: int
    option: Option | None
    depends: list[Condition] = msgspec.field(default_factory=list)
    visible: list[Condition] = msgspec.field(default_factory=list)
    prompts: list[Condition] = msgspec.field(default_factory=list)
    defaults: list[tuple[Condition, Condition]] = msgspec.field(default_factory=list)
    selects: list[tuple[str, Condition]] = msgspec.field(default_factory=list)
    implies: list[tuple[str, Condition]] = msgspec.field(default_factory=list)
    ranges: list[tuple[Condition, Condition, Condition]] = msgspec.field(default_factory=list)


class AttributeReader:
    """Reads the attributes of the entry that is open."""

    def __init__(self, macros: KconfigMacros) -> None:
        self._macros = macros
        self._options = Options()
        self._entry: KconfigEntry | None = None
        self._path = ""
        self._parsed: dict[str, Condition] = {}
        self._unread: dict[str, list[str]] = {}  # option -> lines about it that could not be read
        self._attributes: dict[str, Callable[[str, int], None]] = {
            "depends": self._depends, "select": self._select, "imply": self._select, "default": self._default, "def_bool": self._default,
            "def_tristate": self._default, "prompt": self._prompt, "visible": self._visible, "range": self._range, "modules": self._modules,
            "option": self._option, "optional": self._nothing, "transitional": self._transitional,
            **dict.fromkeys(TYPES, self._type),
        }  # fmt: skip

    def _warn(self, line: int, warning: str) -> None:
        """Keep a warning that may concern any option: after one, no option is proved to be impossible."""
        if len(self._options.warnings) < _MOST_WARNINGS:
            self._options.warnings.append(f"{self._path}:{line}: {warning}")

    def _concerns(self, names: Iterable[str], line: int, warning: str) -> None:
        """Keep a line that could not be read for the options that it concerns: each of them may have any value."""
        for name in names:
            self._unread.setdefault(name, []).append(f"{self._path}:{line}: {warning}")

    def _depends(self, text: str, line: int) -> None:
        """`depends on CONDITION [if X]`: with X, CONDITION or `X = n` (menu.c, menu_add_dep)."""
        rest = text[7:].lstrip()
        if not rest.startswith("on"):
            raise BadExpression("`depends` without `on`")
        rest = _without_comment(rest[2:])
        only_if = _IF.search(_TEXT.sub(lambda quoted: "_" * len(quoted[0]), rest))
        condition = self._expression(rest[: only_if.start()] if only_if else rest)
        if only_if is not None:
            condition = expressions.any_of((condition, expressions.equals_no(self._expression(rest[only_if.end() :]))))
        self._here().depends.append(condition)

    def _visible(self, text: str, line: int) -> None:
        rest = text[7:].lstrip()
        if not rest.startswith("if"):
            raise BadExpression("`visible` without `if`")
        self._here().visible.append(self._expression(rest[2:]))

    def _type(self, text: str, line: int) -> None:
        word = text.split(None, 1)[0]
        entry = self._here()
        if entry.option is not None:
            if entry.option.type and entry.option.type != word and entry.kind == "config":
                self._concerns((entry.option.name,), line, f"{entry.option.name} is {entry.option.type} elsewhere")
            elif not entry.option.type:
                entry.option.type = word
        rest = text[len(word) :].strip()
        if rest and rest[0] != "#":
            self._prompt(f"prompt {rest}", line)

    def _prompt(self, text: str, line: int) -> None:
        rest = text[6:].strip()
        quoted = _QUOTED.match(rest)
        if quoted is None:
            # the title may be a macro; only the condition after it is read
            after = _IF.search(" " + rest)
            title, tail = rest, rest[after.start() :] if after else ""
        else:
            title, tail = quoted[1][1:-1], rest[quoted.end() :]
        entry = self._here()
        entry.prompts.append(self._condition(tail))
        if entry.option is not None and not entry.option.title:
            entry.option.title = title[:120]

    def _default(self, text: str, line: int) -> None:
        word = text.split(None, 1)[0]
        value, condition = self._with_condition(text[len(word) :])
        entry = self._here()
        if word != "default" and entry.option is not None and not entry.option.type:
            entry.option.type = word[4:]
        entry.defaults.append((value, condition))

    def _select(self, text: str, line: int) -> None:
        """`select OPTION [if CONDITION]`, or the same with `imply`."""
        word = text.split(None, 1)[0]
        target, condition = self._with_condition(text[len(word) :])
        if not isinstance(target, Symbol):
            raise BadExpression(f"`{word}` of what is no option")
        entry = self._here()
        (entry.selects if word == "select" else entry.implies).append((target.name, condition))

    def _range(self, text: str, line: int) -> None:
        rest = self._expanded(text[5:], line)
        head = _IF.search(rest)
        ends = (rest[: head.start()] if head else rest).split()
        if len(ends) != 2:
            raise BadExpression("a range without two ends")
        condition = self._expression(rest[head.end() :]) if head else YES
        self._here().ranges.append((expressions.atom(ends[0]), expressions.atom(ends[1]), condition))

    def _modules(self, text: str, line: int) -> None:
        entry = self._here()
        if entry.option is not None:
            self._options.modules = entry.option.name

    def _option(self, text: str, line: int) -> None:
        if text.split()[1:2] == ["modules"]:
            self._modules(text, line)

    def _transitional(self, text: str, line: int) -> None:
        """An old name: its value in a .config is used, but no person can set it (symbol.c, SYMBOL_TRANS)."""
        entry = self._here()
        if entry.option is not None:
            entry.option.transitional = True
            entry.prompts.append(YES)

    def _unreadable(self, text: str, line: int, why: str) -> None:
        """A line of the entry that could not be read.

        It concerns the option of the entry and each option that the line names, since a `select` sets another option. The names in a macro
        are not known, so it then concerns every option. A condition that the line may add to the entry is left open.
        """
        word = text.split(None, 1)[0]
        entry = self._here()
        if "$" in text and word not in ("depends", "visible"):
            self._warn(line, why)
        if entry.option is not None:
            self._concerns(dict.fromkeys((entry.option.name, *_WORD.findall(text, len(word)))), line, why)
        elif entry.kind != "comment" and word not in ("depends", "visible"):
            self._warn(line, why)
        unknown = expressions.left_open(f"{word} at {self._path}:{line}")
        if word == "depends":
            entry.depends.append(unknown)
        elif word in ("default", "def_bool", "def_tristate"):
            entry.defaults.append((unknown, YES))
        elif word in ("prompt", *TYPES):
            entry.prompts.append(unknown)
        elif word == "visible":
            entry.visible.append(unknown)

    def _here(self) -> KconfigEntry:
        assert self._entry is not None
        return self._entry

    # expressions

    def _expanded(self, text: str, line: int = 0) -> str:
        if "$" not in text:
            return text
        expanded = self._macros.expand(text)
        self._note_probes()
        return expanded

    def _note_probes(self) -> None:
        probes = self._macros.probes
        if probes and self._entry is not None and self._entry.option is not None:
            self._entry.option.probes += [probe for probe in dict.fromkeys(probes) if probe not in self._entry.option.probes][:8]
        probes.clear()

    def _expression(self, text: str) -> Condition:
        """A condition; `m` in it means `m && MODULES` (menu.c, rewrite_m)."""
        text = _without_comment(self._substituted(text) if "$" in text else text)
        parsed = self._parsed.get(text)
        if parsed is None:
            parsed = self._parsed[text] = _modules_for(expressions.parse(text), self._options.modules)
        return parsed

    def _substituted(self, text: str) -> str:
        """An expression with each macro replaced by one word, plain or quoted, whatever it expands to."""
        pieces, position = [], 0
        while (begin := text.find("$(", position)) >= 0:
            end = PARENTHESES.closing(text, begin + 1)
            if end < 0:
                raise BadExpression("a macro without its end")
            value = self._macros.expand(text[begin : end + 1])
            self._note_probes()
            before = text[position:begin]
            pieces.append(before)
            quoted = (text[:begin].count('"') - text[:begin].count('\\"')) % 2 == 1
            if quoted:
                pieces.append(value.replace('"', "").replace("\\", ""))
            elif PLAIN_NAME.match(value):
                pieces.append(value)
            elif value.strip():
                pieces.append('"' + value.replace('"', "").replace("\\", "") + '"')
            position = end + 1
        pieces.append(text[position:])
        return "".join(pieces)

    def _with_condition(self, text: str) -> tuple[Condition, Condition]:
        """`VALUE [if CONDITION]`."""
        if "$" in text:
            text = self._substituted(text)
        text = _without_comment(text)
        quoted = _QUOTED.match(text)
        condition_at = _IF.search(text, quoted.end() if quoted else 0)
        if condition_at is None:
            return expressions.parse(text), YES
        return expressions.parse(text[: condition_at.start()]), self._expression(text[condition_at.end() :])

    def _condition(self, text: str) -> Condition:
        text = _without_comment(text).strip()
        if not text:
            return YES
        if not text.startswith("if"):
            raise BadExpression(f"{text[:40]!a} after a prompt")
        return self._expression(text[2:])

    def _nothing(self, text: str, line: int) -> None:
        return


def _without_comment(text: str) -> str:
    if "#" not in text:
        return text
    kept_characters, quote = [], ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            break
        kept_characters.append(char)
    return "".join(kept_characters)


def _modules_for(condition: Condition, modules: str) -> Condition:
    match condition:
        case Constant("m"):
            return Conjunction((condition, Symbol(modules)))
        case Conjunction(parts):
            return Conjunction(tuple(_modules_for(part, modules) for part in parts))
        case Disjunction(parts):
            return Disjunction(tuple(_modules_for(part, modules) for part in parts))
        case Negation(operand):
            return Negation(_modules_for(operand, modules))
        case _:
            return condition
