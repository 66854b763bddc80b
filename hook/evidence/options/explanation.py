"""An option explained: its definitions, dependencies and selects, and what to set beside the base configuration to have it."""

from __future__ import annotations

from collections.abc import Iterator

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import YES, Condition, Conjunction, Disjunction, Negation, SharedCondition, built_in
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.option import OptionLookup
from hook.kernel.kconfig.solver import NoSolution, solve
from hook.kernel.kconfig.upper_bounds import impossible
from hook.kernel.kernel import Kernel

_MOST_LISTED = 12  # options, of each kind


def explain(kernel: Kernel, name: str) -> Iterator[str]:
    """The explanation of an option, line by line; nothing if the tree does not define it."""
    options, base = kernel.options, kernel.base
    option = options.get(name)
    if option is None:
        return
    values = Values(options, base)
    try:
        current_value = values.text(name)
    except TooDeep:
        current_value = "?"
    title = f' "{option.title}"' if option.title else ""
    yield f"{name}: {option.type or 'no type'}{title}; in the base configuration: {current_value or 'empty'}"
    for path, line in option.places:
        yield f"  defined at {path}:{line}"
    if option.depends != YES:
        yield f"  depends on {expressions.shown(_written_out(options, option.depends, 0))}"
    if option.choice:
        choice = options.get(option.choice)
        yield f"  one of a choice: {', '.join(choice.members) if choice else ''}"
    yield "  it can be set by hand" if option.prompts else "  no prompt: only other options enable it"
    selectors = [selector for selector, _ in option.selected_by]
    if selectors:
        rest = f" and {len(selectors) - _MOST_LISTED} more" if len(selectors) > _MOST_LISTED else ""
        yield f"  selected by {', '.join(selectors[:_MOST_LISTED])}{rest}"
    if option.selects:
        yield f"  selects {', '.join(selected for selected, _ in option.selects[:_MOST_LISTED])}"
    for value, condition in option.defaults[:_MOST_LISTED]:
        when = "" if condition == YES else f" if {expressions.shown(_written_out(options, condition, 0))}"
        yield f"  default {expressions.shown(value)}{when}"
    for probe in option.probes:
        yield f"  asks the toolchain: {probe}"
    for unread in option.unread:
        yield f"  not read: {unread}"
    if option.type in ("bool", "tristate"):
        if why := impossible(options, built_in(name)):
            yield f"  cannot be on for {kernel.environment['ARCH']}: {why}"
            return
        try:
            needed = solve(options, base, built_in(name)).settings
        except NoSolution as wrong:
            yield f"  no configuration was found that builds it in: {wrong}"
            return
        settings = " ".join(f"CONFIG_{option_name}={value}" for option_name, value in needed.items())
        yield f"  to have it: {settings}" if needed else "  the base configuration has it"


def _written_out(options: OptionLookup, condition: Condition, depth: int) -> Condition:
    """A condition with the shared conditions of menus written out."""
    if depth > 12:
        return condition
    match condition:
        case SharedCondition(name):
            return _written_out(options, options.common(name), depth + 1)
        case Conjunction(parts):
            return expressions.all_of(_written_out(options, part, depth + 1) for part in parts)
        case Disjunction(parts):
            return Disjunction(tuple(_written_out(options, part, depth + 1) for part in parts))
        case Negation(operand):
            return Negation(_written_out(options, operand, depth + 1))
    return condition
