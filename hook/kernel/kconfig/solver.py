"""The solver: the smallest set of options that a person can set so that a condition holds.

It works backwards from the condition: an option is switched on by its prompt, or by what selects or defaults to it, with all that these
depend on; the cheapest way is taken. What comes out is checked with `values`, which does what olddefconfig does, repaired where it does not
hold, and then every part that is not needed is left out again. The search is bounded: where it finds nothing, nothing is claimed
(`impossible` is another question: hook.kernel.kconfig.upper_bounds).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.backward_search import COSTS, BackwardSearch, Plan, Reason, SearchOver
from hook.kernel.kconfig.expressions import (
    Condition,
    SharedCondition,
    Symbol,
    equal,
    operands,
)
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.option import OptionLookup
from hook.kernel.kconfig.upper_bounds import impossible as impossible  # by the name it has had here

_MOST_REPAIRS = 6


class Solution(msgspec.Struct, frozen=True):
    """What to set, and how each option of it came in."""

    settings: Plan
    reasons: Mapping[str, Reason]
    probes: tuple[str, ...] = ()  # answers of the toolchain that it leans on
    unread: tuple[str, ...] = ()  # lines that could not be read about options that hold it up


class NoSolution(ValueError):
    """No set of options was found; the sentence says at what the search ended."""


def solve(known: OptionLookup, base: Mapping[str, str], condition: Condition, given: Mapping[str, str] | None = None) -> Solution:
    """The settings over `base`, and `given` beside it, that make `condition` hold. Raises NoSolution."""
    fixed = dict(given or {})
    plan: Plan = {}
    reasons: dict[str, Reason] = {}
    ended_at = ""
    try:
        for _ in range(_MOST_REPAIRS):
            values = Values(known, _laid_over(base, fixed, plan))
            missing = _missing(values, condition, {**fixed, **plan})
            if not missing:
                break
            search = BackwardSearch(known, values, {**fixed, **plan})
            for goal in missing:
                plan_found = search.have(goal, 2 if isinstance(goal, Symbol) and plan.get(goal.name) == "y" else 1, "")
                if plan_found is None:
                    raise NoSolution(search.ended_at or expressions.shown(goal))
                for name, value in plan_found.items():
                    if (plan | fixed).get(name, value) != value:
                        raise NoSolution(f"{name} would have to be both on and off")
                    plan.setdefault(name, value)
            for name, reason in search.reasons.items():
                reasons.setdefault(name, reason)
            ended_at = search.ended_at
        else:
            raise NoSolution(ended_at or expressions.shown(condition))
        plan = smallest(known, base, fixed, plan, condition)
        values = Values(known, _laid_over(base, fixed, plan))
        values.holds(condition)
        probes, unread = _leans_on(known, values, [*expressions.names(condition), *plan])
    except TooDeep as wrong:
        raise NoSolution(str(wrong)) from None
    except RecursionError:
        raise NoSolution("conditions that are nested too deep") from None
    except SearchOver:
        raise NoSolution("the search ended at its limit") from None
    return Solution(plan, {name: reasons.get(name, Reason("")) for name in plan}, probes, unread)


def _laid_over(base: Mapping[str, str], fixed: Mapping[str, str], plan: Plan) -> dict[str, str]:
    """The settings together; what was added last comes last, so that it wins in a choice."""
    added = {**fixed, **plan}
    return {**{name: value for name, value in base.items() if name not in added}, **added}


def _missing(values: Values, condition: Condition, wanted: Mapping[str, str]) -> list[Condition]:
    """What does not hold yet: the condition, and each setting that olddefconfig would not keep."""
    missing: list[Condition] = [] if values.holds(condition) else [condition]
    for name, value in wanted.items():
        if value == "y" and values.level(name) < 2:
            missing.append(Symbol(name))
        elif value == "n" and values.level(name):
            missing.append(equal(name, "n"))
    return missing


def smallest(known: OptionLookup, base: Mapping[str, str], fixed: Mapping[str, str], plan: Plan, condition: Condition) -> Plan:
    """The plan without what `condition` does not need of it. Raises TooDeep."""
    for name in sorted(plan, key=lambda other: (-COSTS.get(other, 1.0), list(plan).index(other))):
        smaller = {other: value for other, value in plan.items() if other != name}
        values = Values(known, _laid_over(base, fixed, smaller))
        if not _missing(values, condition, {**fixed, **smaller}):
            plan = smaller
    return plan


def _leans_on(known: OptionLookup, values: Values, names: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What the toolchain was taken to say, and what could not be read, of the options that hold up the answer.

    Those are the options of the answer themselves, and what they depend on.
    """
    probes: dict[str, None] = {}
    unread: dict[str, None] = {}
    seen: set[str] = set()
    waiting: list[tuple[Condition, int]] = [(Symbol(name), 0) for name in names]
    while waiting and len(seen) < 2000:
        condition, depth = waiting.pop()
        if not isinstance(condition, Symbol | SharedCondition):
            waiting += [(part, depth) for part in operands(condition)]
            continue
        name = condition.name
        if name in seen or depth > 6:
            continue
        seen.add(name)
        if isinstance(condition, SharedCondition):
            waiting.append((known.common(name), depth))
            continue
        option = known.get(name)
        if option is not None and (values.level(name) or option.type not in ("bool", "tristate")):
            for probe in option.probes:
                probes[f"{name}: {probe}"] = None
            unread |= dict.fromkeys(option.unread)
            waiting.append((option.depends, depth + 1))
    return tuple(probes), tuple(unread)
