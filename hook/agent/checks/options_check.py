"""Needs: the options that a model names, held against what the tree says of them.

What the evidence has found to be needed is always there. Any other option stays only if the target can have it, the base configuration
lacks it, and something that has to do with the change is built by it: a changed line, a definition that the change uses, a function that
the model aims at, or a place that it cites. What it depends on comes with it. Each difference has its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.agent.context.shown_files import Sheet, Sheets
from hook.agent.desk import Desk
from hook.evidence.options.needed_options import changed_lines
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.solver import NoSolution, Solution, solve
from hook.kernel.kconfig.upper_bounds import impossible
from hook.source.lookup import Bounds, NotAName, canonical, find_definitions
from hook.verdict import ConfigReason, Verdict

_MOST_LINES = 200  # of a change, whose conditionals are looked at
_MOST_NAMES = 24  # that changed lines use, whose definitions are looked at
_USED = lazy_re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(", re.ASCII)
_BOUNDS = Bounds(24, searches_all=True)


class Needs(msgspec.Struct, frozen=True):
    """What comes of the options that a model gave."""

    options: tuple[str, ...]
    reasons: Mapping[str, ConfigReason]
    corrections: tuple[str, ...]


class Pointers(msgspec.Struct, frozen=True):
    """What a model points at: the functions it aims at with their files, and the places it cites."""

    functions: Mapping[str, str]
    places: tuple[tuple[str, int], ...]


def settle(given: Sequence[str], pointers: Pointers, verdict: Verdict, desk: Desk) -> Needs:
    """The options that the tree bears out, with the reasons of those that the evidence did not know of."""
    corrections = [
        f"EnableConfigs: {name} added, to {reason.purpose}: {reason.why}{_at(reason)}"
        for name in verdict.enable_configs
        if name not in given and (reason := verdict.config_reasons.get(name, ConfigReason("build", "is needed")))
    ]
    options = list(verdict.enable_configs)
    reasons: dict[str, ConfigReason] = {}
    more = [name for name in given if name not in options]
    if not more:
        return Needs(tuple(options), reasons, tuple(corrections))
    trial = _Trial(pointers, desk)
    for name in more:
        if name in reasons or name in options:
            continue  # it came with another
        settings = trial.of(name, options)
        if isinstance(settings, str):
            corrections.append(f"EnableConfigs: {name} dropped: {settings}")
            continue
        for option, reason in settings.items():
            if option not in options:
                options.append(option)
                reasons[option] = reason
                if option not in given:
                    corrections.append(f"EnableConfigs: {option} added, to {reason.purpose}: {reason.why}{_at(reason)}")
    return Needs(tuple(options), reasons, tuple(corrections))


class _Trial:
    """The options one by one, against one tree."""

    def __init__(self, pointers: Pointers, desk: Desk) -> None:
        self._pointers, self._desk = pointers, desk
        self._kernel = desk.kernel()
        self._sheets = Sheets(desk)
        self._leads: dict[str, ConfigReason] | None = None

    def of(self, name: str, options: Sequence[str]) -> dict[str, ConfigReason] | str:
        """The option with what it needs, each with its reason; or why it is dropped."""
        arch = self._desk.target.arch
        option = self._kernel.options.get(name)
        if option is None:
            return f"no Kconfig file that is read for {arch} has it"
        if option.type not in ("bool", "tristate"):
            return f"it is no switch but a value ({option.type or 'no type'})"
        if self._is_on(name):
            return "the base configuration has it"
        if why := impossible(self._kernel.options, expressions.built_in(name)):
            return f"it cannot be on for {arch}: {why}"
        lead = self._lead(name)
        if lead is None:
            return "nothing that changed, that the change uses or that was cited is built by it"
        try:
            plan: Solution | None = solve(self._kernel.options, self._kernel.base, expressions.built_in(name), dict.fromkeys(options, "y"))
        except NoSolution:
            plan = None  # not found is no proof that there is none
        if plan is None:
            return {name: lead}
        if not plan.settings:
            return "it comes with the others"
        if off := [other for other, value in plan.settings.items() if value != "y"]:
            return f"it needs {', '.join(off)} to be off"
        reasons = {name: lead} if name in plan.settings else {}
        for other in plan.settings:
            reason = plan.reasons.get(other)
            why, path, line = (reason.why, reason.path, reason.line) if reason is not None else ("", "", 0)
            reasons.setdefault(other, ConfigReason(lead.purpose, why or f"{name} needs it", path, line))
        return reasons

    def _is_on(self, name: str) -> bool:
        try:
            return Values(self._kernel.options, self._kernel.base).text(name) == "y"
        except (TooDeep, RecursionError):
            return False

    def _lead(self, name: str) -> ConfigReason | None:
        """How an option has to do with the change."""
        if self._leads is None:
            self._leads = {}
            for option, reason in self._all_leads():
                self._leads.setdefault(option, reason)
        return self._leads.get(name)

    def _all_leads(self) -> Iterator[tuple[str, ConfigReason]]:
        files = self._desk.patch.files if self._desk.patch is not None else ()
        used: dict[str, None] = {}
        for file in files:
            sheet = self._sheets.get(file.path)
            if sheet is None:
                continue
            yield from self._of_file(file.path, "build")
            for line in changed_lines(file)[0][:_MOST_LINES]:
                yield from self._of_line(sheet, line, "build")
            for hunk in file.hunks:
                for _, text in hunk.added:
                    used.update(dict.fromkeys(_USED.findall(text)))
        for function, path in self._pointers.functions.items():
            sheet = self._sheets.get(path)
            for definition in sheet.named(canonical(function)) if sheet is not None else ():
                assert sheet is not None
                yield from self._of_line(sheet, definition.line, "reach")
                yield from self._of_file(path, "reach")
        for path, line in self._pointers.places:
            sheet = self._sheets.get(path)
            if sheet is not None and path.endswith((".c", ".h", ".S", ".rs")):
                yield from self._of_line(sheet, line, "reach")
                yield from self._of_file(path, "reach")
        yield from self._of_used(list(used)[:_MOST_NAMES])

    def _of_used(self, names: Sequence[str]) -> Iterator[tuple[str, ConfigReason]]:
        """The options under which what the change uses does something: VM_WARN_ON without DEBUG_VM is nothing."""
        source = self._desk.source
        if source.index is None and not source.is_small:
            return
        for name in names:
            try:
                definitions = find_definitions(source, name, _BOUNDS)
            except NotAName:
                continue
            for definition in definitions.items:
                sheet = self._sheets.get(definition.path)
                if sheet is not None and definition.path.endswith((".h", ".c")):
                    yield from self._of_line(sheet, definition.definition.line, "build")

    def _of_line(self, sheet: Sheet, line: int, purpose: str) -> Iterator[tuple[str, ConfigReason]]:
        for conditional in sheet.conditionals(line):
            for name in expressions.names(conditional.condition):
                yield name, ConfigReason(purpose, conditional.text, sheet.path, conditional.line)

    def _of_file(self, path: str, purpose: str) -> Iterator[tuple[str, ConfigReason]]:
        for makefile, line, condition in self._kernel.built_if(path).places:
            for name in expressions.names(condition):
                yield name, ConfigReason(purpose, f"{expressions.shown(condition)} builds {path}"[:160], makefile, line)


def _at(reason: ConfigReason) -> str:
    return f" ({reason.path}:{reason.line})" if reason.path else ""
