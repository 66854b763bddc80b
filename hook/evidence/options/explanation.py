"""An option explained: where it is defined, what it needs, what provides it, and what the base configuration lacks for it."""

from __future__ import annotations

from collections.abc import Iterator

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import YES, Condition, Conjunction, Disjunction, Negation, SharedCondition, built_in
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.option import OptionLookup
from hook.kernel.kconfig.solver import NoSolution, solve
from hook.kernel.kconfig.upper_bounds import impossible
from hook.kernel.kernel import Kernel

_MOST_LISTED = 12  # options that provide it


def explain(kernel: Kernel, name: str) -> Iterator[str]:
    """What there is to say of an option, a line each; nothing where nobody defines it."""
    known, base = kernel.options, kernel.base
    option = known.get(name)
    if option is None:
        return
    values = Values(known, base)
    try:
        now = values.text(name)
    except TooDeep:
        now = "?"
    title = f' "{option.title}"' if option.title else ""
    yield f"{name}: {option.type or 'no type'}{title}; in the base configuration: {now or 'empty'}"
    for path, line in option.places:
        yield f"  defined at {path}:{line}"
    if option.depends != YES:
        yield f"  depends on {expressions.shown(_spelled(known, option.depends, 0))}"
    if option.choice:
        choice = known.get(option.choice)
        yield f"  one of a choice: {', '.join(choice.members) if choice else ''}"
    yield "  a person can set it" if option.prompts else "  no prompt: only other options switch it on"
    by = [selector for selector, _ in option.selected_by]
    if by:
        more = f" and {len(by) - _MOST_LISTED} more" if len(by) > _MOST_LISTED else ""
        yield f"  selected by {', '.join(by[:_MOST_LISTED])}{more}"
    if option.selects:
        yield f"  selects {', '.join(selected for selected, _ in option.selects[:_MOST_LISTED])}"
    for value, condition in option.defaults[:_MOST_LISTED]:
        when = "" if condition == YES else f" if {expressions.shown(_spelled(known, condition, 0))}"
        yield f"  default {expressions.shown(value)}{when}"
    for probe in option.probes:
        yield f"  asks the toolchain: {probe}"
    for unread in option.unread:
        yield f"  not read: {unread}"
    if option.type in ("bool", "tristate"):
        if why := impossible(known, built_in(name)):
            yield f"  cannot be on for {kernel.environment['ARCH']}: {why}"
            return
        try:
            needed = solve(known, base, built_in(name)).settings
        except NoSolution as wrong:
            yield f"  no way was found to have it built in: {wrong}"
            return
        said = " ".join(f"CONFIG_{one}={value}" for one, value in needed.items())
        yield f"  to have it: {said}" if needed else "  the base configuration has it"


def _spelled(known: OptionLookup, condition: Condition, depth: int) -> Condition:
    """A condition with what its menus ask for written out."""
    if depth > 12:
        return condition
    match condition:
        case SharedCondition(name):
            return _spelled(known, known.common(name), depth + 1)
        case Conjunction(parts):
            return expressions.all_of(_spelled(known, part, depth + 1) for part in parts)
        case Disjunction(parts):
            return Disjunction(tuple(_spelled(known, part, depth + 1) for part in parts))
        case Negation(operand):
            return Negation(_spelled(known, operand, depth + 1))
    return condition
