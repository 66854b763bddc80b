"""The search backwards from a condition, for the cheapest plan: the fewest settings that make it hold.

An option is switched on by its prompt, by an option that selects it, or by a default, with everything that these depend on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

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
_DEEPEST = 60  # options in one chain of dependencies
_MOST_SELECTORS = 400  # tried for one option
# drivers that need no hardware, or whose device QEMU has: where one of several has to select an option, rather one of these
_IN_SOFTWARE = (
    "NETDEVSIM", "VXLAN", "VETH", "MAC80211_HWSIM", "BT_HCIVHCI", "NVME_TCP", "SCSI_DEBUG", "BLK_DEV_NULL_BLK", "UHID", "VIDEO_VIVID",
    "DRM_VKMS", "DRM_BOCHS", "DRM_QXL", "SND_VIRMIDI", "SND_DUMMY", "SND_ENS1370", "SND_INTEL8X0", "MISC_RTSX_USB",
)  # fmt: skip
COSTS = {"COMPILE_TEST": 1.4, "EXPERT": 1.2, "STAGING": 1.2, **dict.fromkeys(_IN_SOFTWARE, 0.9)}
_COST_OFF = 2.5  # of an option that has to be switched off: the base configuration may need it

Plan = dict[str, str]  # NAME -> y or n


class Reason(msgspec.Struct, frozen=True):
    """Why an option is in a plan."""

    why: str
    path: str = ""
    line: int = 0
    of: str = ""  # the option that needs it


class SearchOver(Exception):
    """The search has reached its limit of steps."""


class BackwardSearch:
    """One search backwards from a condition; the options have the values in `values`."""

    def __init__(self, options: OptionLookup, values: Values, fixed: Mapping[str, str]) -> None:
        self._options = options
        self._values = values
        self._fixed = fixed
        self._steps = 0
        self._running: list[str] = []
        self._memo: dict[tuple[str, int], Plan | None] = {}
        self._cut = 0  # how many plans were given up because of a cycle: only without one is a failure remembered
        self.reasons: dict[str, Reason] = {}
        self.ended_at = ""

    def to_hold(self, condition: Condition, level: int, needed_by: str) -> Plan | None:
        """The plan that gives a condition at least this level; None if none was found."""
        self._step()
        match condition:
            case Symbol(name):
                return self.on(name, level, needed_by)
            case SharedCondition(name):
                return self._remembered(name, level, lambda: self.to_hold(self._options.common(name), level, needed_by))
            case Constant():
                return {} if condition == YES or (condition == MODULE and level < 2) else None
        if self._values.evaluate(condition) >= level:
            return {}
        match condition:
            case Conjunction(parts):
                return self._all(self.to_hold(part, level, needed_by) for part in parts)
            case Disjunction(parts):
                return self._cheapest([self.to_hold(part, level, needed_by) for part in parts])
            case Negation(operand):
                return self.to_fail(operand, needed_by)
            case Relation():
                return self._related(condition, needed_by)
            case Unevaluated(text):
                self.ended_at = text
                return None

    def to_fail(self, condition: Condition, needed_by: str) -> Plan | None:
        """The plan that makes a condition `n`; None if none was found."""
        self._step()
        if self._values.evaluate(condition) == 0:
            return {}
        match condition:
            case Symbol(name):
                return self.off(name, needed_by)
            case SharedCondition(name):
                return self.to_fail(self._options.common(name), needed_by)
            case Conjunction(parts):
                return self._cheapest([self.to_fail(part, needed_by) for part in parts])
            case Disjunction(parts):
                # all parts are searched, so that the reasons of all are known
                plans = [self.to_fail(part, needed_by) for part in parts]
                return self._all(plans)
            case Negation(operand):
                return self.to_hold(operand, 2, needed_by)
            case Relation():
                return self.to_hold(expressions.negated(condition), 2, needed_by)
            case Constant() | Unevaluated():
                return None

    def on(self, name: str, level: int, needed_by: str) -> Plan | None:
        """The plan that switches an option on: by its prompt, a select, a default or an imply."""
        if self._values.level(name) >= level:
            return {}
        option = self._options.get(name)
        if option is None or option.type not in ("bool", "tristate"):
            self.ended_at = f"{name}, which nothing defines" if option is None else f"{name}, which is not bool or tristate"
            return None
        if self._fixed.get(name) == "n":
            return None
        if name in self._running or len(self._running) > _DEEPEST:
            self._cut += 1
            return None

        def search() -> Plan | None:
            self._running.append(name)
            try:
                return self._cheapest_on(option, level, needed_by)
            finally:
                self._running.pop()

        return self._remembered(name, level, search)

    def _cheapest_on(self, option: Option, level: int, needed_by: str) -> Plan | None:
        name = option.name
        needed = level if option.type == "tristate" else 1
        best: Plan | None = None
        for prompt in () if option.transitional else option.prompts:
            plan = self.to_hold(prompt, needed, name)
            if plan is not None:
                plan = _joined(plan, {name: "y"})
                best = self._better(best, plan)
        if best is not None:
            self.reasons.setdefault(name, self._reason(option, needed_by))
        if option.choice:
            return best
        # a select costs the selecting option: it is tried only if there is no prompt, or if the prompt needs other settings
        if best is None or _cost(best) > 1.5:
            for selector, condition in option.selected_by[:_MOST_SELECTORS]:
                plan = self.on(selector, needed, f"{name}*")
                if plan is not None and (best is None or _cost(plan) < _cost(best)):
                    best = self._better(best, _joined(plan, self.to_hold(condition, needed, selector)))
        if best is None or _cost(best) > 1.5:
            visible = self._values.visible(name) and name in self._values.settings
            for value, condition in () if visible else option.defaults:
                plan = self.to_hold(value, needed, f"{name}+")
                if plan is not None:
                    best = self._better(best, _joined(plan, self.to_hold(condition, needed, f"{name}+")))
            for implier, condition in () if visible else option.implied_by[:_MOST_SELECTORS]:
                plan = self.on(implier, needed, f"{name}+")
                if plan is not None:
                    plan = _joined(plan, self.to_hold(condition, needed, f"{name}+"))
                    best = self._better(best, _joined(plan, self.to_hold(option.depends, needed, f"{name}+")))
        if best is None and not self.ended_at:
            as_module = needed == 2 and any(self.to_hold(prompt, 1, name) is not None for prompt in option.prompts)
            self.ended_at = f"{name}, which can only be a module" if as_module else name
        return best

    def off(self, name: str, needed_by: str) -> Plan | None:
        """The plan that switches an option off."""
        option = self._options.get(name)
        if option is None or self._values.level(name) == 0:
            return {}
        if self._fixed.get(name) == "y" or f"!{name}" in self._running or len(self._running) > _DEEPEST:
            self._cut += 1
            return None
        self._running.append(f"!{name}")
        try:
            by_selectors: Plan | None = {}
            if option.choice:
                choice = self._options.get(option.choice)
                others = [member for member in (choice.members if choice else []) if member != name]
                return self._cheapest([self.on(member, 2, needed_by) for member in others[:40]])
            for selector, condition in option.selected_by:
                if self._values.level(selector) and self._values.evaluate(condition):
                    by_selectors = _joined(
                        by_selectors, self._cheapest([self.off(selector, needed_by), self.to_fail(condition, needed_by)])
                    )
                    if by_selectors is None:
                        return None
            plan: Plan | None = None
            if self._values.visible(name):
                plan = _joined(by_selectors, {name: "n"})
            elif by_selectors is not None:
                by_default: Plan | None = by_selectors
                for value, condition in option.defaults:
                    if self._values.evaluate(condition) and self._values.evaluate(value):
                        by_default = _joined(
                            by_default, self._cheapest([self.to_fail(condition, needed_by), self.to_fail(value, needed_by)])
                        )
                # the prompt may depend on EXPERT
                by_prompts = (_joined(self.to_hold(prompt, 1, name), {name: "n"}) for prompt in option.prompts)
                plan = self._better(by_default, _joined(by_selectors, self._cheapest(by_prompts)))
            if plan is not None and name in plan:
                self.reasons.setdefault(name, self._reason(option, needed_by))
            return plan
        finally:
            self._running.pop()

    def _related(self, relation: Relation, needed_by: str) -> Plan | None:
        """The plan that makes a comparison hold."""
        match relation:
            case Relation("=", Symbol(name), Constant("y")) | Relation("!=", Symbol(name), Constant("n")):
                return self.on(name, 2, needed_by)
            case Relation("!=", Symbol(name), Constant("y")) | Relation("=", Symbol(name), Constant("n")):
                return self.off(name, needed_by)
            case Relation(_, Symbol(), Constant("y") | Constant("n")):
                return None
            case Relation(operator, Symbol(name), right):
                option = self._options.get(name)
                if option is not None and option.type in ("int", "hex"):
                    # no plan sets a number, but its default may depend on other options
                    fitting = [
                        condition
                        for value, condition in option.defaults
                        if isinstance(value, Symbol | Constant) and self._values.evaluate(Relation(operator, value, right))
                    ]
                    return self._cheapest([self.to_hold(condition, 1, needed_by) for condition in fitting])
                right_option = self._options.get(right.name) if isinstance(right, Symbol) else None
                if option is not None and right_option is not None and {option.type, right_option.type} <= {"bool", "tristate"}:
                    return self._switches(operator, name, right_option.name, needed_by)
        self.ended_at = expressions.shown(relation)
        return None

    def _switches(self, kind: str, first: str, second: str, needed_by: str) -> Plan | None:
        """The plan that makes a comparison of two options hold; `m` is not tried."""
        if kind == "=":
            same = (
                _joined(self.on(first, 2, needed_by), self.on(second, 2, needed_by)),
                _joined(self.off(first, needed_by), self.off(second, needed_by)),
            )
            return self._cheapest(same)
        if kind == "!=":
            return self._cheapest(
                [_joined(self.on(on, 2, needed_by), self.off(off, needed_by)) for on, off in ((first, second), (second, first))]
            )
        if kind in (">=", "<="):
            higher, lower = (first, second) if kind == ">=" else (second, first)
            return self._cheapest([self.on(higher, 2, needed_by), self.off(lower, needed_by)])
        higher, lower = (first, second) if kind == ">" else (second, first)
        return _joined(self.on(higher, 2, needed_by), self.off(lower, needed_by))

    def _remembered(self, name: str, level: int, search: Callable[[], Plan | None]) -> Plan | None:
        """The plan for an option or a shared condition, searched once; one that a cycle has cut is searched again."""
        key = (name, level)
        if key not in self._memo:
            before = self._cut
            plan = search()
            if plan is None and before != self._cut:
                return None
            self._memo[key] = plan
        plan = self._memo[key]
        return None if plan is None else dict(plan)

    def _all(self, plans: Iterable[Plan | None]) -> Plan | None:
        """The plans joined; None as soon as one is missing."""
        together: Plan | None = {}
        for plan in plans:
            together = _joined(together, plan)
            if together is None:
                return None
        return together

    def _cheapest(self, plans: Iterable[Plan | None]) -> Plan | None:
        best: Plan | None = None
        for plan in plans:
            best = self._better(best, plan)
        return best

    def _better(self, first: Plan | None, second: Plan | None) -> Plan | None:
        if first is None or second is None:
            return first if second is None else second
        return second if _cost(second) < _cost(first) else first

    def _reason(self, option: Option, needed_by: str) -> Reason:
        path, line = (option.places or [("", 0)])[0]
        if not needed_by:
            return Reason("", path, line)
        dependent = self._options.get(needed_by.rstrip("*+"))
        if dependent is not None and dependent.places and not needed_by.endswith("*"):
            path, line = dependent.places[0]
        name = needed_by.rstrip("*+")
        why = (
            f"it selects {name}"
            if needed_by.endswith("*")
            else f"{name} is then on by default"
            if needed_by.endswith("+")
            else f"{name} depends on it"
        )
        return Reason(why, path, line, name)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise SearchOver


def _joined(first: Plan | None, second: Plan | None) -> Plan | None:
    """Two plans together; None if one is missing, or if they contradict each other."""
    if first is None or second is None:
        return None
    if not first:
        return second
    for name, value in second.items():
        if first.get(name, value) != value:
            return None
    return {**first, **second}


def _cost(plan: Plan) -> float:
    return sum(COSTS.get(name, 1.0) if value == "y" else _COST_OFF for name, value in plan.items())
