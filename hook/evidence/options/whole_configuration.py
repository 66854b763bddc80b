"""The whole configuration: one solution for the options of the changed lines and of the call path to them.

A proved path to the change names options (a bus, a virtual device) and files (the driver, the code that creates its device). They are
solved together with the options of the change, by the rules of olddefconfig, which drops options whose dependencies are not met. If no path
is proved, the callers of the changed functions are taken as the path. docs/configs.md has the rules.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from hook.evidence.finding import Evidence
from hook.evidence.options.needed_options import Configs, Stated, builds, with_lines
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import YES, Condition, all_of, any_of, built_in, open_parts, taken_to_hold
from hook.kernel.kconfig.flavours import as_in_base
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kernel import Kernel
from hook.verdict import Answer, ConfigReason, ConfigSet

if typing.TYPE_CHECKING:
    from hook.evidence.focus.focus_symbols import Callers, Focus
    from hook.evidence.reach.answer import Reach
    from hook.evidence.reach.reachability import Reached
    from hook.kernel.kconfig.solver import Solution

_MOST_PATHS = 8  # of one change that are configured
_MOST_FILES = 12  # of one path
_MOST_NAMED = 8  # options of the base configuration
# options of one feature, of which the host's processor decides which one works; checked on 6.1 to 7.1
_OF_PROCESSORS = (("KVM_AMD", "KVM_INTEL"),)


class _Goal(msgspec.Struct, frozen=True):
    """The options that a path to the change needs."""

    condition: Condition
    stated: tuple[Stated, ...]  # the lines that state it
    description: str  # of the path, for a person
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)  # the reasons of the proof, by option
    suffix: str = ""  # of each reason


def find(configs: Configs, evidence: Evidence, reached: Reached, kernel: Kernel) -> Configs:
    """The configuration, with the options of the paths to the change."""
    configs = msgspec.structs.replace(configs, assumptions=tuple(dict.fromkeys((*configs.assumptions, *reached.assumptions))))
    if reached.answer is Answer.YES:
        goals = [_of_path(reach, kernel) for reach in reached.answers.values() if reach.answer is Answer.YES]
    else:
        goals = _of_callers(evidence, kernel)
    if on_already := _on_already(configs, goals, kernel):
        configs = msgspec.structs.replace(configs, assumptions=(*configs.assumptions, on_already))
    if reached.answer is not Answer.YES and any(_holds_with(goal.condition, configs, kernel) for goal in goals):
        goals = []  # one of the callers is built
    goals = [*goals[:_MOST_PATHS], *_of_focus(configs, evidence, kernel)]
    whole = configs if _holds_with(all_of(goal.condition for goal in goals), configs, kernel) else _solved(configs, goals, kernel)
    others = list(_of_other_processors(configs, whole, kernel))
    return _solved(configs, [*goals, *others], kernel) if others else whole


def with_built_focus(evidence: Evidence, configs: Configs, kernel: Kernel) -> Evidence:
    """The evidence without names to aim at that the configuration does not build; the changed lines have configurations of their own."""
    focus = evidence.focus
    if focus is None:
        return evidence
    unbuilt = {path for path in _unchanged_files(evidence, focus) if not _is_built(path, configs, kernel)}
    if not unbuilt:
        return evidence
    focus = msgspec.structs.replace(
        focus,
        symbols=tuple(name for name in focus.symbols if focus.paths.get(name) not in unbuilt),
        via=tuple(name for name in focus.via if focus.paths.get(name) not in unbuilt),
        facts=tuple(fact for fact in focus.facts if fact.place.path not in unbuilt),
    )
    return msgspec.structs.replace(evidence, focus=focus)


def _unchanged_files(evidence: Evidence, focus: Focus) -> list[str]:
    """The files of the names to aim at that the change does not touch."""
    own = {finding.functions.path for finding in evidence.findings if finding.functions is not None}
    return [path for path in dict.fromkeys(focus.paths.values()) if path not in own]


def _is_built(path: str, configs: Configs, kernel: Kernel) -> bool:
    """Whether the configuration builds a file, by its makefiles."""
    return _holds_with(taken_to_hold(kernel.built_if(path).condition), configs, kernel)


def _of_focus(configs: Configs, evidence: Evidence, kernel: Kernel) -> Iterator[_Goal]:
    """The goal to build the first function to aim at, if none would be built: they use description changed in a header."""
    focus = evidence.focus
    if focus is None or not focus.symbols:
        return
    beside = _unchanged_files(evidence, focus)
    paths = [focus.paths[name] for name in focus.symbols]
    if any(path not in beside or _is_built(path, configs, kernel) for path in paths):
        return
    built = kernel.built_if(paths[0])
    yield _Goal(taken_to_hold(built.condition), builds(built, paths[0]), focus.symbols[0])


def _of_other_processors(configs: Configs, whole: Configs, kernel: Kernel) -> Iterator[_Goal]:
    """The goal to have a feature on the processors of the other maker, too. Not where the change itself is for those of one maker."""
    settings = _settings(whole)
    for pair in _OF_PROCESSORS:
        chosen = [name for name in pair if settings.get(name) == "y"]
        if len(chosen) != 1:
            continue
        [other] = (name for name in pair if name not in chosen)
        option = kernel.options.get(other)
        exchanged = {**settings, chosen[0]: "n", other: "y"}
        if option is None or other in settings or kernel.holds(built_in(other)) or not _holds(configs.condition, exchanged, kernel):
            continue
        why = f"which of {' and '.join(pair)} works depends on the host's processor"
        reasons = {other: ConfigReason("reach", why, *option.places[0])}
        yield _Goal(all_of(map(built_in, pair)), (), other, reasons)


def _holds_with(condition: Condition, configs: Configs, kernel: Kernel) -> bool:
    """Whether a condition holds in the base configuration with the first set."""
    return _holds(condition, _settings(configs), kernel)


def is_built_with(settings: Mapping[str, str], path: str, kernel: Kernel) -> bool:
    """Whether the base configuration with these options certainly builds a file, as its makefiles say."""
    condition = kernel.built_if(path).condition
    return not open_parts(condition) and _holds(condition, settings, kernel)


def _holds(condition: Condition, settings: Mapping[str, str], kernel: Kernel) -> bool:
    if condition == YES:
        return True
    if not settings:
        return kernel.holds(condition)
    try:
        return Values(kernel.options, {**{name: value for name, value in kernel.base.items() if name not in settings}, **settings}).holds(
            condition
        )
    except (TooDeep, RecursionError):
        return False


def _of_path(reach: Reach, kernel: Kernel) -> _Goal:
    """The goal of a proved path: its options, and the files of its facts."""
    conditions = [
        expressions.negated(built_in(name)) if name in reach.disable else built_in(name)
        for name in reach.reasons
        if kernel.options.get(name)
    ]
    stated: list[Stated] = []
    places: dict[str, list[int]] = {path: [] for path in reach.files}
    for fact in reach.facts:
        places.setdefault(fact.place.path, []).append(fact.place.line)
    for path, lines in list(places.items())[:_MOST_FILES]:
        if not path.endswith(".c"):
            continue
        built = kernel.built_if(path)
        file_conditionals = kernel.conditionals(path) if any(lines) else None
        around = (file_conditionals.at(line) for line in lines if line) if file_conditionals is not None else ()
        directives = [
            Stated(conditional.condition, conditional.text, path, conditional.line)
            for conditional in dict.fromkeys(chain.from_iterable(around))
        ]
        # what no option decides takes nothing with it: the driver is built all the same
        conditions += [part for part in (built.condition, *(directive.condition for directive in directives)) if not open_parts(part)]
        stated += [statement for statement in (*directives, *builds(built, path)) if not open_parts(statement.condition)]
    return _Goal(all_of(conditions), tuple(stated), reach.devices[0] if reach.devices else "the call path", reach.reasons)


def _on_already(configs: Configs, goals: Sequence[_Goal], kernel: Kernel) -> str:
    """The options of the change and its callers that are on in the person's own base configuration, and off in that of the tree."""
    if kernel.base_text is None:
        return ""
    conditions = [stated.condition for stated in (*configs.stated, *(stated for goal in goals for stated in goal.stated))]
    enabled = dict.fromkeys(
        name for condition in conditions for name in expressions.names(condition) if kernel.base.get(name) in ("y", "m")
    )
    options = [name for name in enabled if kernel.default_base.get(name, "n") == "n"] if enabled else []
    return f"the base configuration has {', '.join(options[:_MOST_NAMED])} already" if options else ""


def _of_callers(evidence: Evidence, kernel: Kernel) -> list[_Goal]:
    """A goal for each changed function: one of its callers. None if the callers are not known."""
    focus = evidence.focus
    if focus is None or focus.has_other_callers or not focus.callers:
        return []
    if any(not caller.uses or any(use.path.endswith(".h") or use.kind == "macro" for use in caller.uses) for caller in focus.callers):
        return []
    return [_of_caller(caller, kernel) for caller in focus.callers]


def _of_caller(caller: Callers, kernel: Kernel) -> _Goal:
    conditions: list[Condition] = []
    stated: list[Stated] = []
    for use in caller.uses:
        file_conditionals = kernel.conditionals(use.path)
        stack = file_conditionals.at(use.line) if file_conditionals is not None else ()
        built = kernel.built_if(use.path)
        conditions.append(taken_to_hold(all_of([built.condition, *(conditional.condition for conditional in stack)])))
        stated += [Stated(conditional.condition, conditional.text, use.path, conditional.line) for conditional in reversed(stack)]
        stated += builds(built, use.path)
    names = ", ".join(dict.fromkeys(use.user for use in caller.uses if use.user))[:80]
    description = f"a caller of {caller.function}"
    return _Goal(any_of(conditions), tuple(stated), description, suffix=f": {names}, caller of {caller.function}")


def _solved(configs: Configs, goals: list[_Goal], kernel: Kernel) -> Configs:
    """The first set with the options of the goals; a goal that no kernel has together with the change is left out, with an assumption."""
    from hook.kernel.kconfig.solver import NoSolution, solve

    flavour = as_in_base(kernel.options, kernel.base, but=_settings(configs))

    def solved(goals_to_have: Sequence[_Goal]) -> Solution:
        return solve(kernel.options, kernel.base, all_of([configs.condition, *(goal.condition for goal in goals_to_have)]), flavour)

    assumed: list[str] = []
    reachable = list(goals)
    solution: Solution | None = None
    try:
        solution = solved(goals)
    except NoSolution as wrong:
        reachable = []
        for goal in goals:
            try:
                solution = solved([*reachable, goal])
                reachable.append(goal)
            except NoSolution as why:
                assumed.append(
                    f"no configuration was found that has the change and {goal.description}: {why if len(goals) > 1 else wrong}"[:200]
                )
    assumptions = tuple(dict.fromkeys((*configs.assumptions, *assumed)))
    if solution is None:
        return msgspec.structs.replace(configs, assumptions=assumptions)
    uncertain = [f"{probe} ({kernel.toolchain_name})" for probe in solution.probes] + [f"in Kconfig, {line}" for line in solution.unread]
    building = _needed_by_change(solution.settings, configs.condition, kernel)
    first = configs.sets[0] if configs.sets else ConfigSet()
    on, off = (tuple(name for name, value in solution.settings.items() if value == level) for level in ("y", "n"))
    others = {name for config_set in configs.sets[1:] for name in (*config_set.enable, *config_set.disable)}
    reasons = {name: reason for name, reason in configs.reasons.items() if name in others}
    return msgspec.structs.replace(
        configs,
        sets=(msgspec.structs.replace(first, enable=on, disable=off), *configs.sets[1:]),
        reasons={**_reasons(configs, reachable, solution, building), **reasons},
        assumptions=tuple(dict.fromkeys((*assumptions, *uncertain))),
    )


def _needed_by_change(settings: Mapping[str, str], condition: Condition, kernel: Kernel) -> Mapping[str, str]:
    """Those of the settings that the change itself needs."""
    from hook.kernel.kconfig.solver import smallest

    needed, fewer = dict(settings), dict(settings)
    try:
        # a dependency can be left out only after the option that depends on it
        while (fewer := smallest(kernel.options, kernel.base, {}, needed, condition)) != needed:
            needed = fewer
    except (TooDeep, RecursionError):
        pass
    return fewer


def _reasons(configs: Configs, goals: Sequence[_Goal], solution: Solution, building: Mapping[str, str]) -> dict[str, ConfigReason]:
    """Why the first set has its options: to build the change, or for the goal that needs them."""
    of_change = with_lines(solution, configs.stated)
    of_goals = [(goal, with_lines(solution, goal.stated), _names(goal)) for goal in goals]
    reasons_of_set: dict[str, ConfigReason] = {}
    for name, value in solution.settings.items():
        if name in building:
            reasons_of_set[name] = configs.reasons.get(name, of_change[name])
            continue
        goal, reasons, _ = next((entry for entry in of_goals if name in entry[2]), of_goals[0])
        if value == "y" and name in goal.reasons:
            reasons_of_set[name] = goal.reasons[name]
        else:
            reason = reasons[name]
            reasons_of_set[name] = msgspec.structs.replace(reason, purpose="reach", why=f"{reason.why}{goal.suffix}")
    return reasons_of_set


def _names(goal: _Goal) -> set[str]:
    return {*goal.reasons, *(name for stated in goal.stated for name in expressions.names(stated.condition))}


def _settings(configs: Configs) -> dict[str, str]:
    """The settings of the first set."""
    first = configs.sets[0] if configs.sets else ConfigSet()
    return {**dict.fromkeys(first.enable, "y"), **dict.fromkeys(first.disable, "n")}
