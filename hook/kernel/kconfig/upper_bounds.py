"""Bounds: the highest value that an option could have, whatever a person sets. A condition beyond the bounds holds in no kernel.

A bound depends on no search and on no answer of the toolchain. Only `impossible` proves anything: what is not followed counts as
possible.
"""

from __future__ import annotations

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import (
    MODULE,
    NO,
    YES,
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
from hook.kernel.kconfig.option import OptionLookup

_MOST_STEPS = 240_000  # of one question; a condition that takes more counts as possible


class _TooManySteps(Exception):
    """The question has reached its limit of steps."""


def impossible(options: OptionLookup, condition: Condition) -> str:
    """Why a condition holds in no configuration of this architecture; empty if it may hold in one.

    An option that depends on a probe of the toolchain, or of which a line could not be read, counts as possible.
    """
    if options.warnings:
        return ""  # a line that could not be read may define or select any option
    bounds = _Bounds(options)
    try:
        if bounds.may_hold(condition):
            return ""
        return bounds.clause(condition)
    except (_TooManySteps, RecursionError):
        return ""


class _Bounds:
    """The highest values that options could have, whatever a person sets."""

    def __init__(self, options: OptionLookup) -> None:
        self._options = options
        self._on: dict[str, bool] = {}
        self._always: dict[str, bool] = {}
        self._shared: dict[tuple[str, bool], bool] = {}
        self._steps = 0

    def may_hold(self, condition: Condition) -> bool:
        """Whether a condition may be something other than no."""
        self._step()
        match condition:
            case Symbol(name):
                return self.may_be_on(name)
            case SharedCondition(name):
                return self._common(name, False)
            case Constant():
                return condition != NO
            case Conjunction(parts):
                return all([self.may_hold(part) for part in parts])
            case Disjunction(parts):
                return any([self.may_hold(part) for part in parts])
            case Negation(operand):
                return not self.always_holds(operand)
            case Relation("=" | "!=", Constant(), Constant()):
                return _of_constants(condition)
            case Relation("=", Symbol(name), right) if right in (YES, MODULE):
                return self.may_be_on(name)
            case Relation("!=", Symbol(name), Constant("n")):
                return self.may_be_on(name)
            case Relation("=", Symbol(name), Constant("n")) | Relation("!=", Symbol(name), Constant("y")):
                return not self.is_always_on(name)
            case Relation() | Unevaluated():
                return True

    def always_holds(self, condition: Condition) -> bool:
        """Whether a condition is y whatever is set."""
        self._step()
        match condition:
            case Symbol(name):
                return self.is_always_on(name)
            case SharedCondition(name):
                return self._common(name, True)
            case Constant():
                return condition == YES
            case Conjunction(parts):
                return all([self.always_holds(part) for part in parts])
            case Disjunction(parts):
                return any([self.always_holds(part) for part in parts])
            case Negation(operand):
                return not self.may_hold(operand)
            case Relation("=" | "!=", Constant(), Constant()):
                return _of_constants(condition)
            case Relation():
                return not self.may_hold(expressions.negated(condition))
            case Unevaluated():
                return False

    def may_be_on(self, name: str) -> bool:
        if name in self._on:
            return self._on[name]
        self._on[name] = True  # a cycle is not excluded
        option = self._options.get(name)
        may = False
        if option is not None and option.type in ("bool", "tristate", ""):
            may = (
                bool(option.probes or option.unread)
                or any(self.may_hold(prompt) for prompt in option.prompts)
                or any(self.may_hold(condition) and self.may_hold(value) for value, condition in option.defaults)
                or any(self.may_hold(condition) and self.may_be_on(by) for by, condition in option.selected_by)
                or any(self.may_hold(condition) and self.may_be_on(by) for by, condition in option.implied_by)
            )
        elif option is not None:
            may = True  # a number or a text
        self._on[name] = may
        return may

    def is_always_on(self, name: str) -> bool:
        if name in self._always:
            return self._always[name]
        self._always[name] = False
        option = self._options.get(name)
        always = False
        if option is not None and option.type in ("bool", "tristate") and not (option.choice or option.probes or option.unread):
            always = any(self.is_always_on(by) and self.always_holds(condition) for by, condition in option.selected_by)
            if not always and not any(self.may_hold(prompt) for prompt in option.prompts):
                for value, condition in option.defaults:
                    if self.always_holds(condition):
                        always = self.always_holds(value)
                        break
                    if self.may_hold(condition) and not self.always_holds(value):
                        break
        self._always[name] = always
        return always

    def clause(self, condition: Condition) -> str:
        """The part of a condition that cannot hold, and the root cause."""
        for _ in range(20):
            match condition:
                case SharedCondition(name):
                    condition = self._options.common(name)
                case Constant():
                    return "n"
                case Symbol(name):
                    return self._clause_of(name)
                case Conjunction(parts):
                    condition = next(part for part in parts if not self.may_hold(part))
                case Relation("=", left, Constant("y")) | Relation("!=", left, Constant("n")):
                    condition = left
                case _:
                    break
        return f"{expressions.shown(condition)} cannot hold"

    def _clause_of(self, name: str) -> str:
        option = self._options.get(name)
        if option is None:
            return f"{name} is not there for this architecture"
        blocked = next((needed for needed in (option.depends, *option.prompts) if not self.may_hold(needed)), None)
        inner = self._blocked_by(blocked) if blocked is not None else "nothing that can be on selects it"
        return f"{name} cannot be on{f': {inner}' if inner and inner != name else ''}"

    def _blocked_by(self, condition: Condition) -> str:
        for _ in range(40):
            match condition:
                case SharedCondition(name):
                    condition = self._options.common(name)
                case Conjunction(parts):
                    blocked = next((part for part in parts if not self.may_hold(part)), None)
                    if blocked is None:
                        return ""
                    condition = blocked
                case _:
                    break
        return f"depends on {expressions.shown(condition)}"

    def _common(self, name: str, always: bool) -> bool:
        key = (name, always)
        if key not in self._shared:
            self._shared[key] = not always
            common = self._options.common(name)
            self._shared[key] = self.always_holds(common) if always else self.may_hold(common)
        return self._shared[key]

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _TooManySteps


def _of_constants(relation: Relation) -> bool:
    """Whether two constants are equal, or differ."""
    return (relation.left == relation.right) is (relation.operator == "=")
