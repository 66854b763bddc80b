"""The solver: the smallest set of options that a person can set so that a condition holds.

It searches backwards from the condition (backward_search), checks the plan with the rules of olddefconfig, repairs what does not hold
yet, and then leaves out every setting that is not needed. The search is bounded: if it finds nothing, nothing is claimed. That a condition
is impossible is proved elsewhere (upper_bounds).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.backward_search import COSTS, BackwardSearch, Plan, Reason, SearchOver
from hook.kernel.kconfig.expressions import (
    Condition,
    Conjunction,
    Constant,
    Negation,
    Relation,
    SharedCondition,
    Symbol,
    equal,
    operands,
)
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.option import Option, OptionLookup

_MOST_REPAIRS = 6
_MOST_DEPENDENCIES = 2000  # parts of the conditions of one option


class Solution(msgspec.Struct, frozen=True):
    """The options to set, with the reason for each."""

    settings: Plan
    reasons: Mapping[str, Reason]
    probes: tuple[str, ...] = ()  # answers of the toolchain that it depends on
    unread: tuple[str, ...] = ()  # lines about options it depends on that could not be read


class NoSolution(ValueError):
    """No set of options was found; the sentence says where the search ended."""


def solve(options: OptionLookup, base: Mapping[str, str], condition: Condition, base_settings: Mapping[str, str] | None = None) -> Solution:
    """The settings over `base` and `base_settings` that make `condition` hold; none of them changes `base_settings`. Raises NoSolution."""
    fixed = dict(base_settings or {})
    plan: Plan = {}
    reasons: dict[str, Reason] = {}
    ended_at = ""
    try:
        for _ in range(_MOST_REPAIRS):
            values = Values(options, _laid_over(base, fixed, plan))
            missing = list(_missing(values, condition, {**fixed, **plan}))
            if not missing:
                break
            search = BackwardSearch(options, values, {**dict.fromkeys(_left_off(condition), "n"), **fixed, **plan})
            for goal in missing:
                goal_plan = search.to_hold(goal, 2 if isinstance(goal, Symbol) and plan.get(goal.name) == "y" else 1, "")
                if goal_plan is None:
                    raise NoSolution(search.ended_at or expressions.shown(goal))
                for name, value in goal_plan.items():
                    if (plan | fixed).get(name, value) != value:
                        raise NoSolution(f"{name} would have to be both on and off")
                    plan.setdefault(name, value)
            for name, reason in search.reasons.items():
                reasons.setdefault(name, reason)
            ended_at = search.ended_at
        else:
            raise NoSolution(ended_at or expressions.shown(condition))
        plan = smallest(options, base, fixed, plan, condition)
        values = Values(options, _laid_over(base, fixed, plan))
        values.holds(condition)
        probes, unread = _uncertain_inputs(options, values, [*expressions.names(condition), *plan])
    except TooDeep as wrong:
        raise NoSolution(str(wrong)) from None
    except RecursionError:
        raise NoSolution("conditions that are nested too deep") from None
    except SearchOver:
        raise NoSolution("the search ended at its limit") from None
    return Solution(plan, {name: _reason(options, values, plan, name, reasons.get(name, Reason(""))) for name in plan}, probes, unread)


def _laid_over(base: Mapping[str, str], fixed: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """All settings together; what was added last comes last, so that it wins in a choice."""
    settings = dict(base)
    for name, value in {**fixed, **plan}.items():
        settings.pop(name, None)
        settings[name] = value
    return settings


def _left_off(condition: Condition) -> Iterator[str]:
    """The options that a condition needs off: one that is off at first must not be a way to another part of the condition."""
    for part in condition.parts if isinstance(condition, Conjunction) else (condition,):
        match part:
            case Negation(Symbol(name)) | Relation("!=", Symbol(name), Constant("y")) | Relation("=", Symbol(name), Constant("n")):
                yield name


def _missing(values: Values, condition: Condition, settings: Mapping[str, str]) -> Iterator[Condition]:
    """What does not hold yet: the condition, and each setting that olddefconfig would not keep."""
    if not values.holds(condition):
        yield condition
    for name, value in settings.items():
        if value == "y" and values.level(name) < 2:
            yield Symbol(name)
        elif value == "n" and values.level(name):
            yield equal(name, "n")


def smallest(options: OptionLookup, base: Mapping[str, str], fixed: Mapping[str, str], plan: Plan, condition: Condition) -> Plan:
    """The plan without what `condition` does not need of it. Raises TooDeep."""
    for name in sorted(plan, key=lambda kept: (-COSTS.get(kept, 1.0), list(plan).index(kept))):
        smaller = {kept: value for kept, value in plan.items() if kept != name}
        values = Values(options, _laid_over(base, fixed, smaller))
        if next(_missing(values, condition, {**fixed, **smaller}), None) is None:
            plan = smaller
    return plan


def _reason(options: OptionLookup, values: Values, plan: Plan, name: str, searched: Reason) -> Reason:
    """Why the plan has an option. If the search met it first for one that stays off: an option of the plan that depends on it."""
    if plan[name] != "y" or not searched.of or values.level(searched.of):
        return searched
    for other in plan:
        option = options.get(other)
        if option is not None and option.places and name in _dependencies(options, option):
            return Reason(f"{other} depends on it", *option.places[0], other)
    return Reason("")


def _dependencies(options: OptionLookup, option: Option) -> set[str]:
    """The options that an option depends on itself."""
    names: set[str] = set()
    waiting = [option.depends, *option.prompts]
    for _ in range(_MOST_DEPENDENCIES):
        if not waiting:
            break
        match waiting.pop():
            case Symbol(name):
                names.add(name)
            case SharedCondition(name):
                waiting.append(options.common(name))
            case other:
                waiting += operands(other)
    return names


def _uncertain_inputs(options: OptionLookup, values: Values, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The assumed answers of the toolchain, and the lines that could not be read, about these options and what they depend on."""
    probes: dict[str, None] = {}
    unread: dict[str, None] = {}
    done: set[str] = set()
    waiting: list[tuple[Condition, int]] = [(Symbol(name), 0) for name in names]
    while waiting and len(done) < 2000:
        condition, depth = waiting.pop()
        if not isinstance(condition, Symbol | SharedCondition):
            waiting += [(part, depth) for part in operands(condition)]
            continue
        name = condition.name
        if name in done or depth > 6:
            continue
        done.add(name)
        if isinstance(condition, SharedCondition):
            waiting.append((options.common(name), depth))
            continue
        option = options.get(name)
        if option is not None and (values.level(name) or option.type not in ("bool", "tristate")):
            for probe in option.probes:
                probes[f"{name}: {probe}"] = None
            unread |= dict.fromkeys(option.unread)
            waiting.append((option.depends, depth + 1))
    return tuple(probes), tuple(unread)
