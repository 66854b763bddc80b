"""Bounds: what options could be at most, whatever a person sets; what lies beyond them is in no kernel.

Leans on no search and on no answer of the toolchain. Only a condition that is found to be impossible here proves anything: whatever is not
followed counts as possible.
"""

from __future__ import annotations

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import MODULE, NO, YES, Condition
from hook.kernel.kconfig.option import Known

_MOST_STEPS = 240_000  # of one question; what takes more is possible


class _Over(Exception):
    """The question has taken as many steps as it may."""


def impossible(known: Known, condition: Condition) -> str:
    """Why a condition holds in no configuration at all of this architecture; empty where it may.

    Leans on no answer of the toolchain, on no search and on nothing that could not be read: what is not proved is taken to be possible.
    """
    bounds = _Bounds(known)
    try:
        if bounds.may_hold(condition):
            return ""
        return bounds.clause(condition)
    except (_Over, RecursionError):
        return ""


class _Bounds:
    """Which values options could have at most, whatever a person sets."""

    def __init__(self, known: Known) -> None:
        self._known = known
        self._on: dict[str, bool] = {}
        self._always: dict[str, bool] = {}
        self._shared: dict[tuple[str, bool], bool] = {}
        self._steps = 0

    def may_hold(self, condition: Condition) -> bool:
        """Whether a condition may be something other than no."""
        self._step()
        if isinstance(condition, str):
            if condition[:1] == "'":
                return condition != NO
            if condition[:1] == "#":
                return self._common(condition, False)
            return self.may_be_on(condition)
        kind = condition[0]
        if kind == "&":
            return all([self.may_hold(part) for part in condition[1:]])
        if kind == "|":
            return any([self.may_hold(part) for part in condition[1:]])
        if kind == "!":
            return not self.always_holds(condition[1])
        if kind == "?":
            return True
        known = self._constant(condition)
        if known is not None:
            return known
        left, right = condition[1], condition[2]
        if isinstance(left, str) and left[:1] != "'":
            if (kind == "=" and right in (YES, MODULE)) or (kind == "!=" and right == NO):
                return self.may_be_on(left)
            if (kind == "=" and right == NO) or (kind == "!=" and right == YES):
                return not self.is_always_on(left)
        return True

    def always_holds(self, condition: Condition) -> bool:
        """Whether a condition is y whatever is set."""
        self._step()
        if isinstance(condition, str):
            if condition[:1] == "'":
                return condition == YES
            if condition[:1] == "#":
                return self._common(condition, True)
            return self.is_always_on(condition)
        kind = condition[0]
        if kind == "&":
            return all([self.always_holds(part) for part in condition[1:]])
        if kind == "|":
            return any([self.always_holds(part) for part in condition[1:]])
        if kind == "!":
            return not self.may_hold(condition[1])
        if kind == "?":
            return False
        known = self._constant(condition)
        if known is not None:
            return known
        return not self.may_hold(expressions.negated(condition))

    def may_be_on(self, name: str) -> bool:
        if name in self._on:
            return self._on[name]
        self._on[name] = True  # what leads back to itself is not ruled out
        option = self._known.get(name)
        found = False
        if option is not None and option.type in ("bool", "tristate", ""):
            found = (
                bool(option.probes)
                or any(self.may_hold(prompt) for prompt in option.prompts)
                or any(self.may_hold(condition) and self.may_hold(value) for value, condition in option.defaults)
                or any(self.may_hold(condition) and self.may_be_on(str(by)) for by, condition in option.selected_by)
                or any(self.may_hold(condition) and self.may_be_on(str(by)) for by, condition in option.implied_by)
            )
        elif option is not None:
            found = True  # a number or a text: what it is compared with decides
        self._on[name] = found
        return found

    def is_always_on(self, name: str) -> bool:
        if name in self._always:
            return self._always[name]
        self._always[name] = False
        option = self._known.get(name)
        found = False
        if option is not None and option.type in ("bool", "tristate") and not option.choice and not option.probes:
            found = any(self.is_always_on(str(by)) and self.always_holds(condition) for by, condition in option.selected_by)
            if not found and not any(self.may_hold(prompt) for prompt in option.prompts):
                for value, condition in option.defaults:
                    if self.always_holds(condition):
                        found = self.always_holds(value)
                        break
                    if self.may_hold(condition) and not self.always_holds(value):
                        break
        self._always[name] = found
        return found

    def clause(self, condition: Condition) -> str:
        """The part of a condition that cannot hold, down to what is at its root."""
        for _ in range(20):
            if isinstance(condition, str):
                if condition[:1] == "#":
                    condition = self._known.common(condition)
                    continue
                option = self._known.get(condition)
                if option is None:
                    return f"{expressions.shown(condition)} is not there for this architecture" if condition[:1] != "'" else "n"
                blocked = next((one for one in (option.depends, *option.prompts) if not self.may_hold(one)), None)
                inner = self._leaf(blocked) if blocked is not None else "nothing that can be on selects it"
                return f"{condition} cannot be on{f': {inner}' if inner and inner != condition else ''}"
            if condition[0] == "&":
                condition = next(part for part in condition[1:] if not self.may_hold(part))
                continue
            if (condition[0] == "=" and condition[2] == YES) or (condition[0] == "!=" and condition[2] == NO):
                condition = condition[1]
                continue
            break
        return f"{expressions.shown(condition)} cannot hold"

    def _leaf(self, condition: Condition) -> str:
        for _ in range(40):
            if isinstance(condition, str) and condition[:1] == "#":
                condition = self._known.common(condition)
            elif isinstance(condition, list) and condition[0] == "&":
                parts = [part for part in condition[1:] if not self.may_hold(part)]
                if not parts:
                    return ""
                condition = parts[0]
            else:
                break
        return f"depends on {expressions.shown(condition)}"

    def _common(self, name: str, always: bool) -> bool:
        key = (name, always)
        if key not in self._shared:
            self._shared[key] = not always
            common = self._known.common(name)
            self._shared[key] = self.always_holds(common) if always else self.may_hold(common)
        return self._shared[key]

    def _constant(self, condition: Condition) -> bool | None:
        """The answer to a comparison of two constants, or of a name that nothing defines."""
        kind, left, right = condition
        if isinstance(left, str) and isinstance(right, str) and left[:1] == "'" and right[:1] == "'" and kind in ("=", "!="):
            return (left == right) is (kind == "=")
        return None

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise _Over
