"""The search backwards from a condition: what to set so that it holds, by the cheapest way.

An option is switched on by its prompt, or by what selects or defaults to it, with all that these depend on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import (
    MODULE,
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
from hook.kernel.kconfig.olddefconfig import Values
from hook.kernel.kconfig.option import Option, OptionLookup

_MOST_STEPS = 60_000  # of one search
_DEEPEST = 60  # options that lead to each other
_MOST_SELECTORS = 400  # looked at for one option
COSTS = {"COMPILE_TEST": 1.4, "EXPERT": 1.2, "STAGING": 1.2}
_COST_OFF = 2.5  # of an option that has to be switched off: it may be one that somebody wants

Plan = dict[str, str]  # NAME -> y or n


class Reason(msgspec.Struct, frozen=True):
    """Why an option is in a plan."""

    why: str
    path: str = ""
    line: int = 0


class SearchOver(Exception):
    """The search has taken as many steps as it may."""


class BackwardSearch:
    """One search backwards from a condition, in the state that `values` has."""

    def __init__(self, known: OptionLookup, values: Values, fixed: Mapping[str, str]) -> None:
        self._known = known
        self._values = values
        self._fixed = fixed
        self._steps = 0
        self._running: list[str] = []
        self._memo: dict[tuple[str, int], Plan | None] = {}
        self._cut = 0  # how often a way was given up because it led back to where it came from
        self.reasons: dict[str, Reason] = {}
        self.ended_at = ""

    def have(self, condition: Condition, level: int, asking: str) -> Plan | None:
        """What to set so that a condition has at least this level; None where no way was found."""
        self._step()
        match condition:
            case Symbol(name):
                return self.on(name, level, asking)
            case SharedCondition(name):
                return self._remembered(name, level, asking)
            case Constant():
                return {} if condition == YES or (condition == MODULE and level < 2) else None
        if self._values.evaluate(condition) >= level:
            return {}
        match condition:
            case Conjunction(parts):
                return self._all(self.have(part, level, asking) for part in parts)
            case Disjunction(parts):
                return self._cheapest([self.have(part, level, asking) for part in parts])
            case Negation(operand):
                return self.lack(operand, asking)
            case Relation():
                return self._related(condition, asking)
            case Unevaluated(text):
                self.ended_at = text
                return None

    def lack(self, condition: Condition, asking: str) -> Plan | None:
        """What to set so that a condition does not hold at all."""
        self._step()
        if self._values.evaluate(condition) == 0:
            return {}
        match condition:
            case Symbol(name):
                return self.off(name, asking)
            case SharedCondition(name):
                return self.lack(self._known.common(name), asking)
            case Conjunction(parts):
                return self._cheapest([self.lack(part, asking) for part in parts])
            case Disjunction(parts):
                # each part is looked at, so that the reason for the last one is known
                plans = [self.lack(part, asking) for part in parts]
                return self._all(plans)
            case Negation(operand):
                return self.have(operand, 2, asking)
            case Relation():
                return self.have(expressions.negated(condition), 2, asking)
            case Constant() | Unevaluated():
                return None

    def on(self, name: str, level: int, asking: str) -> Plan | None:
        """What to set so that an option is on: by its prompt, or by what pulls it in."""
        if self._values.level(name) >= level:
            return {}
        option = self._known.get(name)
        if option is None or option.type not in ("bool", "tristate"):
            self.ended_at = f"{name}, which nothing defines" if option is None else f"{name}, which is no switch"
            return None
        if self._fixed.get(name) == "n":
            return None
        if name in self._running or len(self._running) > _DEEPEST:
            self._cut += 1
            return None
        key = (name, level)
        if key in self._memo:
            plan = self._memo[key]
            return None if plan is None else dict(plan)
        before = self._cut
        self._running.append(name)
        try:
            plan = self._ways_on(option, level, asking)
        finally:
            self._running.pop()
        if plan is not None or before == self._cut:
            self._memo[key] = plan
        return None if plan is None else dict(plan)

    def _ways_on(self, option: Option, level: int, asking: str) -> Plan | None:
        name = option.name
        needed = level if option.type == "tristate" else 1
        best: Plan | None = None
        for prompt in () if option.transitional else option.prompts:
            way = self.have(prompt, needed, name)
            if way is not None:
                way = _joined(way, {name: "y"})
                best = self._better(best, way)
        if best is not None:
            self.reasons.setdefault(name, self._reason(option, asking))
        if option.choice:
            return best
        # what another option pulls in costs that option: only where there is no prompt, or a dearer one, is it worth a look
        if best is None or _cost(best) > 1.5:
            for selector, condition in option.selected_by[:_MOST_SELECTORS]:
                way = self.on(selector, needed, f"{name}*")
                if way is not None and (best is None or _cost(way) < _cost(best)):
                    best = self._better(best, _joined(way, self.have(condition, needed, selector)))
        if best is None or _cost(best) > 1.5:
            visible = self._values.visible(name) and name in self._values.given
            for value, condition in () if visible else option.defaults:
                way = self.have(value, needed, f"{name}+")
                if way is not None:
                    best = self._better(best, _joined(way, self.have(condition, needed, f"{name}+")))
            for implier, condition in () if visible else option.implied_by[:_MOST_SELECTORS]:
                way = self.on(implier, needed, f"{name}+")
                if way is not None:
                    way = _joined(way, self.have(condition, needed, f"{name}+"))
                    best = self._better(best, _joined(way, self.have(option.depends, needed, f"{name}+")))
        if best is None and not self.ended_at:
            as_module = needed == 2 and any(self.have(prompt, 1, name) is not None for prompt in option.prompts)
            self.ended_at = f"{name}, which can only be a module" if as_module else name
        return best

    def off(self, name: str, asking: str) -> Plan | None:
        """What to set so that an option is off."""
        option = self._known.get(name)
        if option is None or self._values.level(name) == 0:
            return {}
        if self._fixed.get(name) == "y" or f"!{name}" in self._running or len(self._running) > _DEEPEST:
            self._cut += 1
            return None
        self._running.append(f"!{name}")
        try:
            way: Plan | None = {}
            if option.choice:
                choice = self._known.get(option.choice)
                others = [member for member in (choice.members if choice else []) if member != name]
                return self._cheapest([self.on(member, 2, asking) for member in others[:40]])
            for selector, condition in option.selected_by:
                if self._values.level(selector) and self._values.evaluate(condition):
                    way = _joined(way, self._cheapest([self.off(selector, asking), self.lack(condition, asking)]))
                    if way is None:
                        return None
            by_hand: Plan | None = None
            if self._values.visible(name):
                by_hand = _joined(way, {name: "n"})
            elif way is not None:
                by_default: Plan | None = way
                for value, condition in option.defaults:
                    if self._values.evaluate(condition) and self._values.evaluate(value):
                        by_default = _joined(by_default, self._cheapest([self.lack(condition, asking), self.lack(value, asking)]))
                # a prompt may only be there for experts
                ways = (_joined(self.have(prompt, 1, name), {name: "n"}) for prompt in option.prompts)
                by_hand = self._better(by_default, _joined(way, self._cheapest(ways)))
            if by_hand is not None and name in by_hand:
                self.reasons.setdefault(name, self._reason(option, asking))
            return by_hand
        finally:
            self._running.pop()

    def _related(self, relation: Relation, asking: str) -> Plan | None:
        """What to set so that a comparison holds."""
        match relation:
            case Relation("=", Symbol(name), Constant("y")) | Relation("!=", Symbol(name), Constant("n")):
                return self.on(name, 2, asking)
            case Relation("!=", Symbol(name), Constant("y")) | Relation("=", Symbol(name), Constant("n")):
                return self.off(name, asking)
            case Relation(_, Symbol(), Constant("y") | Constant("n")):
                return None
            case Relation(operator, Symbol(name), right):
                option = self._known.get(name)
                if option is not None and option.type in ("int", "hex"):
                    # a number that a person sets is no switch, but it may have another default under other conditions
                    fitting = [
                        condition
                        for value, condition in option.defaults
                        if isinstance(value, Symbol | Constant) and self._values.evaluate(Relation(operator, value, right))
                    ]
                    return self._cheapest([self.have(condition, 1, asking) for condition in fitting])
                other = self._known.get(right.name) if isinstance(right, Symbol) else None
                if option is not None and other is not None and {option.type, other.type} <= {"bool", "tristate"}:
                    return self._switches(operator, name, other.name, asking)
        self.ended_at = expressions.shown(relation)
        return None

    def _switches(self, kind: str, left: str, right: str, asking: str) -> Plan | None:
        """What to set so that a comparison of two options holds, by the levels that are no module."""
        if kind == "=":
            same = (_joined(self.on(left, 2, asking), self.on(right, 2, asking)), _joined(self.off(left, asking), self.off(right, asking)))
            return self._cheapest(same)
        if kind == "!=":
            return self._cheapest([_joined(self.on(on, 2, asking), self.off(off, asking)) for on, off in ((left, right), (right, left))])
        if kind in (">=", "<="):
            more, less = (left, right) if kind == ">=" else (right, left)
            return self._cheapest([self.on(more, 2, asking), self.off(less, asking)])
        more, less = (left, right) if kind == ">" else (right, left)
        return _joined(self.on(more, 2, asking), self.off(less, asking))

    def _remembered(self, name: str, level: int, asking: str) -> Plan | None:
        key = (name, level)
        if key in self._memo:
            plan = self._memo[key]
            return None if plan is None else dict(plan)
        before = self._cut
        plan = self.have(self._known.common(name), level, asking)
        if plan is not None or before == self._cut:
            self._memo[key] = plan
        return None if plan is None else dict(plan)

    def _all(self, plans: Iterable[Plan | None]) -> Plan | None:
        """The plans together; the first that is missing ends it."""
        together: Plan | None = {}
        for plan in plans:
            together = _joined(together, plan)
            if together is None:
                return None
        return together

    def _cheapest(self, ways: Iterable[Plan | None]) -> Plan | None:
        best: Plan | None = None
        for way in ways:
            best = self._better(best, way)
        return best

    def _better(self, one: Plan | None, other: Plan | None) -> Plan | None:
        if one is None or other is None:
            return one if other is None else other
        return other if _cost(other) < _cost(one) else one

    def _reason(self, option: Option, asking: str) -> Reason:
        path, line = (option.places or [("", 0)])[0]
        if not asking:
            return Reason("", path, line)
        other = self._known.get(asking.rstrip("*+"))
        if other is not None and other.places and not asking.endswith("*"):
            path, line = other.places[0]
        name = asking.rstrip("*+")
        why = (
            f"it selects {name}"
            if asking.endswith("*")
            else f"{name} is on by default with it"
            if asking.endswith("+")
            else f"{name} depends on it"
        )
        return Reason(why, path, line)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise SearchOver


def _joined(one: Plan | None, other: Plan | None) -> Plan | None:
    """Two plans together; None where one is missing, or they contradict each other."""
    if one is None or other is None:
        return None
    if not one:
        return other
    for name, value in other.items():
        if one.get(name, value) != value:
            return None
    return {**one, **other}


def _cost(plan: Plan) -> float:
    return sum(COSTS.get(name, 1.0) if value == "y" else _COST_OFF for name, value in plan.items())
