"""The whole configuration: one solution for what builds the changed lines and for what leads to them.

A path that proves that a fuzzer gets there names options (a bus, a virtual device) and files (the driver, what makes its device). They are
solved together with the options of the change, by the rules of olddefconfig: what a kernel would not keep is not named. Where no path is
proved, the callers of the changed functions stand for it. docs/configs.md has the rules.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence

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


class _Goal(msgspec.Struct, frozen=True):
    """What a path to the change needs."""

    condition: Condition
    stated: tuple[Stated, ...]  # the lines that ask for it
    what: str
    given: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)  # as the proof gives them
    suffix: str = ""  # of each reason


def find(configs: Configs, evidence: Evidence, reached: Reached, kernel: Kernel) -> Configs:
    """The configuration with what leads to the change."""
    configs = msgspec.structs.replace(configs, assumptions=tuple(dict.fromkeys((*configs.assumptions, *reached.assumptions))))
    if reached.answer is Answer.YES:
        goals = [_of_path(reach, kernel) for reach in reached.answers.values() if reach.answer is Answer.YES]
    else:
        goals = _of_callers(evidence, kernel)
    if on_already := _on_already(configs, goals, kernel):
        configs = msgspec.structs.replace(configs, assumptions=(*configs.assumptions, on_already))
    if reached.answer is not Answer.YES and any(_is_there(goal.condition, configs, kernel) for goal in goals):
        goals = []  # one of the callers is built
    goals = [*goals[:_MOST_PATHS], *_of_focus(configs, evidence, kernel)]
    return configs if _is_there(all_of(goal.condition for goal in goals), configs, kernel) else _solved(configs, goals, kernel)


def with_built_focus(evidence: Evidence, configs: Configs, kernel: Kernel) -> Evidence:
    """The evidence with names to aim at that the configuration builds; the lines that changed have configurations of their own."""
    focus = evidence.focus
    if focus is None:
        return evidence
    unbuilt = {path for path in _beside(evidence, focus) if not _is_built(path, configs, kernel)}
    if not unbuilt:
        return evidence
    focus = msgspec.structs.replace(
        focus,
        symbols=tuple(name for name in focus.symbols if focus.paths.get(name) not in unbuilt),
        via=tuple(name for name in focus.via if focus.paths.get(name) not in unbuilt),
        facts=tuple(fact for fact in focus.facts if fact.place.path not in unbuilt),
    )
    return msgspec.structs.replace(evidence, focus=focus)


def _beside(evidence: Evidence, focus: Focus) -> list[str]:
    """The files of names to aim at that are not among those of the change."""
    own = {finding.functions.path for finding in evidence.findings if finding.functions is not None}
    return [path for path in dict.fromkeys(focus.paths.values()) if path not in own]


def _is_built(path: str, configs: Configs, kernel: Kernel) -> bool:
    """Whether the configuration builds a file, as far as its makefiles say."""
    return _is_there(taken_to_hold(kernel.built_if(path).condition), configs, kernel)


def _of_focus(configs: Configs, evidence: Evidence, kernel: Kernel) -> Iterator[_Goal]:
    """What builds the first function to aim at, where none of them would be built: those that use what changed in a header."""
    focus = evidence.focus
    if focus is None or not focus.symbols:
        return
    beside = _beside(evidence, focus)
    paths = [focus.paths[name] for name in focus.symbols]
    if any(path not in beside or _is_built(path, configs, kernel) for path in paths):
        return
    built = kernel.built_if(paths[0])
    yield _Goal(taken_to_hold(built.condition), builds(built, paths[0]), focus.symbols[0])


def _is_there(condition: Condition, configs: Configs, kernel: Kernel) -> bool:
    """Whether a condition holds in the base configuration with the first set."""
    if condition == YES:
        return True
    if not (settings := _settings(configs)):
        return kernel.holds(condition)
    try:
        return Values(kernel.options, {**{name: value for name, value in kernel.base.items() if name not in settings}, **settings}).holds(
            condition
        )
    except (TooDeep, RecursionError):
        return False


def _of_path(reach: Reach, kernel: Kernel) -> _Goal:
    """What a proved path needs: its options, and the files that its facts are of."""
    conditions = [
        expressions.negated(built_in(name)) if name in reach.disable else built_in(name)
        for name in reach.reasons
        if kernel.options.get(name)
    ]
    stated: list[Stated] = []
    places = dict.fromkeys(reach.files, 0) | {fact.place.path: fact.place.line for fact in reach.facts}
    for path, line in list(places.items())[:_MOST_FILES]:
        if not path.endswith(".c"):
            continue
        built = kernel.built_if(path)
        lines = kernel.conditionals(path) if line else None
        directives = [Stated(one.condition, one.text, path, one.line) for one in (lines.at(line) if lines is not None else ())]
        condition = all_of([built.condition, *(one.condition for one in directives)])
        if not open_parts(condition):
            conditions.append(condition)
            stated += (*directives, *builds(built, path))
    return _Goal(all_of(conditions), tuple(stated), reach.devices[0] if reach.devices else "the call path", reach.reasons)


def _on_already(configs: Configs, goals: Sequence[_Goal], kernel: Kernel) -> str:
    """What the change and its callers name that is on in the person's own base configuration, and would not be in that of the tree."""
    if kernel.base_text is None:
        return ""
    stated = (*configs.stated, *(one for goal in goals for one in goal.stated))
    named = dict.fromkeys(name for one in stated for name in expressions.names(one.condition) if kernel.base.get(name) in ("y", "m"))
    options = [name for name in named if kernel.default_base.get(name, "n") == "n"] if named else []
    return f"the base configuration has {', '.join(options[:_MOST_NAMED])} already" if options else ""


def _of_callers(evidence: Evidence, kernel: Kernel) -> list[_Goal]:
    """What one of the callers of each changed function needs; nothing where the callers are not known."""
    focus = evidence.focus
    if focus is None or focus.has_other_callers or not focus.callers:
        return []
    if any(not caller.uses or any(use.path.endswith(".h") or use.kind == "macro" for use in caller.uses) for caller in focus.callers):
        return []
    return [_of_caller(caller, kernel) for caller in focus.callers]


def _of_caller(caller: Callers, kernel: Kernel) -> _Goal:
    ways: list[Condition] = []
    stated: list[Stated] = []
    for use in caller.uses:
        lines = kernel.conditionals(use.path)
        around = lines.at(use.line) if lines is not None else ()
        built = kernel.built_if(use.path)
        ways.append(taken_to_hold(all_of([built.condition, *(one.condition for one in around)])))
        stated += [Stated(one.condition, one.text, use.path, one.line) for one in reversed(around)]
        stated += builds(built, use.path)
    names = ", ".join(dict.fromkeys(use.user for use in caller.uses if use.user))[:80]
    what = f"a caller of {caller.function}"
    return _Goal(any_of(ways), tuple(stated), what, suffix=f": {names}, caller of {caller.function}")


def _solved(configs: Configs, goals: list[_Goal], kernel: Kernel) -> Configs:
    """The first set with what the goals need; a goal that no kernel has beside the change is left out, and said."""
    from hook.kernel.kconfig.solver import NoSolution, solve

    kept = as_in_base(kernel.options, kernel.base, but=_settings(configs))

    def solved(wanted: Sequence[_Goal]) -> Solution:
        return solve(kernel.options, kernel.base, all_of([configs.condition, *(goal.condition for goal in wanted)]), kept)

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
                assumed.append(f"no configuration was found that has the change and {goal.what}: {why if len(goals) > 1 else wrong}"[:200])
    assumptions = tuple(dict.fromkeys((*configs.assumptions, *assumed)))
    if solution is None:
        return msgspec.structs.replace(configs, assumptions=assumptions)
    leans_on = [f"{probe} ({kernel.toolchain_name})" for probe in solution.probes] + [f"in Kconfig, {line}" for line in solution.unread]
    building = _building(solution.settings, configs.condition, kernel)
    first = configs.sets[0] if configs.sets else ConfigSet()
    on, off = (tuple(name for name, value in solution.settings.items() if value == wanted) for wanted in ("y", "n"))
    others = {name for other in configs.sets[1:] for name in (*other.enable, *other.disable)}
    reasons = {name: reason for name, reason in configs.reasons.items() if name in others}
    return msgspec.structs.replace(
        configs,
        sets=(msgspec.structs.replace(first, enable=on, disable=off), *configs.sets[1:]),
        reasons={**_reasons(configs, reachable, solution, building), **reasons},
        assumptions=tuple(dict.fromkeys((*assumptions, *leans_on))),
    )


def _building(settings: Mapping[str, str], condition: Condition, kernel: Kernel) -> Mapping[str, str]:
    """Those of the settings that the change needs by itself."""
    from hook.kernel.kconfig.solver import smallest

    more, fewer = dict(settings), dict(settings)
    try:
        # what an option depends on can be left out only after it
        while (fewer := smallest(kernel.options, kernel.base, {}, more, condition)) != more:
            more = fewer
    except (TooDeep, RecursionError):
        pass
    return fewer


def _reasons(configs: Configs, goals: Sequence[_Goal], solution: Solution, building: Mapping[str, str]) -> dict[str, ConfigReason]:
    """Why the first set has its options: to build the change, or for the goal that asks for them."""
    of_change = with_lines(solution, configs.stated)
    of_goals = [(goal, with_lines(solution, goal.stated), _named(goal)) for goal in goals]
    found: dict[str, ConfigReason] = {}
    for name, value in solution.settings.items():
        if name in building:
            found[name] = configs.reasons.get(name, of_change[name])
            continue
        goal, reasons, _ = next((one for one in of_goals if name in one[2]), of_goals[0])
        if value == "y" and name in goal.given:
            found[name] = goal.given[name]
        else:
            reason = reasons[name]
            found[name] = msgspec.structs.replace(reason, purpose="reach", why=f"{reason.why}{goal.suffix}")
    return found


def _named(goal: _Goal) -> set[str]:
    return {*goal.given, *(name for stated in goal.stated for name in expressions.names(stated.condition))}


def _settings(configs: Configs) -> dict[str, str]:
    """What the first set switches."""
    first = configs.sets[0] if configs.sets else ConfigSet()
    return {**dict.fromkeys(first.enable, "y"), **dict.fromkeys(first.disable, "n")}
