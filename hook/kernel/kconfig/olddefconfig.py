"""Values: the values of all options after `make olddefconfig`, given the options that a person has set.

Follows sym_calc_value, sym_calc_visibility and sym_calc_choice of scripts/kconfig/symbol.c (Linux 6.12, choices also of 6.1). An option is
evaluated when it is needed, together with what it depends on.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

from hook import lazy_re
from hook.kernel.kconfig.expressions import (
    Condition,
    Conjunction,
    Constant,
    Disjunction,
    Negation,
    Relation,
    SharedCondition,
    Symbol,
    Unevaluated,
)
from hook.kernel.kconfig.option import Option, OptionLookup

_DEEPEST = 60  # options in one chain of dependencies
_LETTERS = ("n", "m", "y")
_LEVELS = {"n": 0, "m": 1, "y": 2}
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
_NUMBER = lazy_re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|\d+)\Z")


class TooDeep(ValueError):
    """A chain of dependencies past the limit; the sentence names an option of it."""


class Values:
    """The values of all options, where a person has set some of them."""

    def __init__(self, options: OptionLookup, settings: Mapping[str, str]) -> None:
        self.options = options
        self.settings = settings  # NAME -> y, m, n or text; a later one of the same choice wins
        self.unreadable: dict[str, None] = {}  # what could not be evaluated, and was taken as n
        self._levels: dict[str, int] = {}
        self._texts: dict[str, str] = {}
        self._shared: dict[str, int] = {}
        self._chosen: dict[str, str] = {}
        self._running: set[str] = set()
        self._order: dict[str, int] | None = None

    def level(self, name: str) -> int:
        """0, 1 or 2 for n, m or y; 0 if the option is neither bool nor tristate. Raises TooDeep."""
        cached = self._levels.get(name)
        return cached if cached is not None else self._calculated(name)

    def text(self, name: str) -> str:
        """The value as in .config; for an option that is not defined, its name. Raises TooDeep."""
        option = self.options.get(name)
        if option is None or not option.type:
            return name
        level = self.level(name)
        return _LETTERS[level] if option.type in ("bool", "tristate") else self._texts[name]

    def holds(self, condition: Condition) -> bool:
        """Whether a condition is `y` or `m`. Raises TooDeep."""
        return self.evaluate(condition) != 0

    def evaluate(self, condition: Condition) -> int:
        """The value of a condition: 0, 1 or 2. Raises TooDeep."""
        match condition:
            case Symbol(name):
                return self.level(name)
            case SharedCondition(name):
                level = self._shared.get(name)
                if level is None:
                    level = self._shared[name] = self.evaluate(self.options.common(name))
                return level
            case Conjunction(parts):
                lowest = 2
                for part in parts:
                    lowest = min(lowest, self.evaluate(part))
                    if not lowest:
                        break
                return lowest
            case Disjunction(parts):
                highest = 0
                for part in parts:
                    highest = max(highest, self.evaluate(part))
                    if highest == 2:
                        break
                return highest
            case Constant(value):
                return _LEVELS.get(value, 0)
            case Relation(operator, left, right):
                return 2 if self._compared(operator, left, right) else 0
            case Negation(operand):
                return 2 - self.evaluate(operand)
            case Unevaluated(text):
                self.unreadable[text] = None
                return 0

    def visible(self, name: str) -> int:
        """The highest level that a person may set an option to. Raises TooDeep."""
        option = self.options.get(name)
        return self._visible(option) if option is not None else 0

    def is_written(self, name: str) -> bool:
        """Whether .config would have a line about an option. Raises TooDeep."""
        option = self.options.get(name)
        if option is None or not option.type or name[0] == "<" or option.transitional:
            return False
        if self._visible(option):
            return True
        if option.type in ("bool", "tristate"):
            return self.level(name) != 0 or self._pulled(option, option.implied_by) != 0
        return self._default(option) is not None

    def _visible(self, option: Option) -> int:
        level = 0
        for prompt in option.prompts:
            level = max(level, self.evaluate(prompt))
            if level == 2:
                return 2
        if level == 1 and (option.type != "tristate" or not self._has_modules(option.name)):
            return 2
        return level

    def _has_modules(self, name: str) -> bool:
        return name == self.options.modules or self.level(self.options.modules) != 0

    def _is_bool(self, option: Option) -> bool:
        return option.type == "bool" or not self._has_modules(option.name)

    def _calculated(self, name: str) -> int:
        option = self.options.get(name)
        if option is None or not option.type:
            self._levels[name] = 0
            return 0
        if name in self._running:
            self._texts.setdefault(name, "")
            return 0  # it depends on itself; the parser has warned of it
        if len(self._running) > _DEEPEST:
            raise TooDeep(f"the dependencies of {name} are nested too deep")
        self._running.add(name)
        try:
            if option.type in ("bool", "tristate"):
                level = self._tristate(option)
            else:
                level, self._texts[name] = 0, self._number_or_text(option)
        finally:
            self._running.discard(name)
        self._levels[name] = level
        return level

    def _tristate(self, option: Option) -> int:
        if option.choice:
            return 2 if self._visible(option) and self._choice(option.choice) == option.name else 0
        visible = self._visible(option)
        set_to = _LEVELS.get(self.settings.get(option.name, "")) if visible else None
        if set_to == 1 and option.type == "bool":
            set_to = None
        if set_to is not None:
            level = min(set_to, visible)
        else:
            level = 0
            default = self._default(option)
            if default is not None:
                level = min(self.evaluate(default[0]), self.evaluate(default[1]))
            implied = self._pulled(option, option.implied_by) if level < 2 else 0
            if implied:
                level = min(max(level, implied), self._direct(option))
        if level < 2:
            level = max(level, self._pulled(option, option.selected_by))
        return 2 if level == 1 and self._is_bool(option) else level

    def _pulled(self, option: Option, pullers: list[tuple[str, Condition]]) -> int:
        level = 0
        for name, condition in pullers:
            its_level = self.level(name)
            if its_level > level:
                level = max(level, min(its_level, self.evaluate(condition)))
                if level == 2:
                    return 2
        return 2 if level == 1 and self._is_bool(option) else level

    def _direct(self, option: Option) -> int:
        level = self.evaluate(option.depends)
        return 2 if level == 1 and self._is_bool(option) else level

    def _default(self, option: Option) -> tuple[Condition, Condition] | None:
        for default in option.defaults:
            if self.evaluate(default[1]):
                return default
        return None

    def _number_or_text(self, option: Option) -> str:
        text = {"int": "0", "hex": "0x0"}.get(option.type, "")
        set_to = self.settings.get(option.name)
        if set_to is not None and self._visible(option):
            text = set_to
        else:
            default = self._default(option)
            if default is not None:
                text = self._word(default[0])
        if option.type == "string":
            return text
        for low, high, condition in option.ranges:
            if self.evaluate(condition):
                value, lowest, highest = _number(text), _number(self._word(low)), _number(self._word(high))
                if value is None or lowest is None or highest is None:
                    return text
                return self._word(low) if value < lowest else self._word(high) if value > highest else text
        return text

    def _word(self, value: Condition) -> str:
        match value:
            case Constant(text):
                return text
            case Symbol(name):
                return self.text(name)
            case _:
                return _LETTERS[self.evaluate(value)]

    def _choice(self, name: str) -> str:
        """The member of a choice that is on (sym_calc_choice)."""
        cached = self._chosen.get(name)
        if cached is not None:
            return cached
        choice = self.options.get(name)
        assert choice is not None
        visible = []
        for member in choice.members:
            option = self.options.get(member)
            if option is not None and self._visible(option):
                visible.append(member)
        self._chosen[name] = picked = self._pick(choice, visible)
        return picked

    def _pick(self, choice: Option, visible: list[str]) -> str:
        if self._order is None:
            self._order = dict(zip(self.settings, range(len(self.settings)), strict=True))
        order = self._order
        candidates = ((value.name, condition) for value, condition in choice.defaults if isinstance(value, Symbol))
        defaults = (name for name, condition in candidates if name in visible and self.evaluate(condition))
        default = next(defaults, visible[0] if visible else "")
        if self.options.old_choices:  # only the last `y` counts, and no `n`
            switched_on = [member for member in choice.members if self.settings.get(member) == "y"]
            last = max(switched_on, key=lambda member: order[member], default="")
            return last if last in visible else default
        # the member that was set last comes first; then those that were not set, in the order of their definition
        ranked = sorted(visible, key=lambda member: -order.get(member, -1))
        for member in ranked:
            if self.settings.get(member) == "y":
                return member
        if default and self.settings.get(default) != "n":
            return default
        for member in visible:
            if member not in self.settings:
                return member
        return ranked[-1] if ranked else ""

    def _is_switch(self, value: Condition) -> bool:
        option = self.options.get(value.name) if isinstance(value, Symbol) else None
        return option is not None and option.type in ("bool", "tristate")

    def _compared(self, kind: str, left: Condition, right: Condition) -> bool:
        left_word, right_word = self._word(left), self._word(right)
        if self._is_switch(left) and self._is_switch(right):
            return _COMPARE[kind](_LEVELS[left_word], _LEVELS[right_word])
        numbers = _number(left_word), _number(right_word)
        if numbers[0] is not None and numbers[1] is not None:
            return _COMPARE[kind](numbers[0], numbers[1])
        return _COMPARE[kind]((left_word > right_word) - (left_word < right_word), 0)


def _number(text: str) -> int | None:
    """The value as a number, if it is one."""
    if not _NUMBER.match(text) or len(text) > 40:
        return None
    return int(text, 16) if "x" in text.lower() else int(text)
