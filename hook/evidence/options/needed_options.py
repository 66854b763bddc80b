"""Needed options: the options under which a kernel has the changed lines.

They are the options in makefiles and in preprocessor conditionals, with what these depend on, without those that the base configuration
has. hook.evidence.options.whole_configuration adds the options of the call path. docs/configs.md has the rules.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.change.patch import FileChange, Patch
from hook.evidence.finding import Evidence, No
from hook.kernel.kbuild.architecture_directories import around
from hook.kernel.kbuild.conditionals import Conditionals
from hook.kernel.kbuild.includers import may_be_included
from hook.kernel.kbuild.objects import Built
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import YES, Condition, all_of, taken_to_hold
from hook.kernel.kernel import Kernel
from hook.verdict import Answer, ConfigReason, ConfigSet, Fact, Place

if typing.TYPE_CHECKING:
    from hook.kernel.kconfig.solver import Solution

_ENDING = lazy_re.compile(r"#\s*(?:endif|else)\b")
_MOST_INCLUDERS = 100  # files that are read to prove that none includes a changed file
_MOST_SETS = 4
_MOST_GROUPS = 24  # of lines under the same condition, of one patch
_MOST_ASSUMPTIONS = 6
_MOST_WARNINGS = 2  # about Kconfig, in a verdict


class Stated(msgspec.Struct, frozen=True):
    """A condition, and the line that states it."""

    condition: Condition
    why: str
    path: str
    line: int


class Configs(msgspec.Struct, frozen=True):
    """The configuration for a patch."""

    sets: tuple[ConfigSet, ...] = ()  # Enable and Disable of the first are those of the verdict
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    unreachable: Mapping[str, Fact] = msgspec.field(default_factory=dict)  # path -> why no configuration of the target builds it
    condition: Condition = YES  # under which the lines of the first set are built
    stated: tuple[Stated, ...] = ()  # the lines that state it


class _Group(msgspec.Struct):
    """Changed lines of one file that are compiled under the same condition."""

    path: str
    condition: Condition  # of the file and of the lines
    lines: list[int]
    stated: tuple[Stated, ...]  # its directives, the innermost first, then the lines of makefiles
    directive: tuple[int, str]  # line and text of the innermost one; (0, "") if there is none


def find(patch: Patch, evidence: Evidence, kernel: Kernel) -> Configs:
    """The configuration for the files of a patch that are not proved harmless."""
    relevant = [file for file, finding in zip(patch.files, evidence.findings, strict=True) if not finding.proof]
    return _Plan(kernel).find(relevant)


def with_reach(evidence: Evidence, configs: Configs) -> Evidence:
    """The evidence, with the files out of reach that no kernel for the target contains."""
    if not configs.unreachable:
        return evidence
    findings = tuple(
        msgspec.structs.replace(finding, reachable=No(configs.unreachable[finding.change.place.path]))
        if not isinstance(finding.functional, No) and finding.change.place.path in configs.unreachable
        else finding
        for finding in evidence.findings
    )
    evidence = msgspec.structs.replace(evidence, findings=findings)
    return msgspec.structs.replace(evidence, focus=None) if evidence.reachable is Answer.NO else evidence


class _Plan:
    """The configurations for one change to a kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def find(self, files: Sequence[FileChange]) -> Configs:
        """The configuration for changes to `files`."""
        unreachable = {file.path: fact for file in files if (fact := self._of_another_architecture(file.path)) is not None}
        files = [file for file in files if file.path not in unreachable]
        all_groups = list(itertools.islice((group for file in files for group in self._groups(file)), _MOST_GROUPS + 1))
        groups = all_groups[:_MOST_GROUPS]
        if not groups:
            return Configs(unreachable=unreachable)
        assumed = [
            f"{part} is assumed to be true" if not part.startswith("no makefile") else part
            for group in groups
            for part in expressions.open_parts(group.condition)
        ]
        sets: list[ConfigSet] = []
        reasons: dict[str, ConfigReason] = {}
        probes: list[str] = []
        unread: list[str] = []
        first: list[_Group] = []
        remaining = self._solvable(groups, unreachable, files if groups == all_groups else (), assumed)
        for _ in range(_MOST_SETS):
            if not remaining:
                break
            built_together, solution = self._one_set(remaining, assumed)
            if not built_together:
                break
            remaining = [group for group in remaining if group not in built_together]
            if solution is not None:
                probes += solution.probes
                unread += solution.unread
                reasons = {**with_lines(solution, [stated for group in built_together for stated in group.stated]), **reasons}
            first = first or built_together
            sets.append(_set(solution.settings if solution else {}, built_together))
        assumed += [f"in Kconfig, {warning}" for warning in [*self._kernel.warnings, *unread][:_MOST_WARNINGS]]
        if probes:
            assumed += [f"{probe} ({self._kernel.toolchain_name})" for probe in probes]
        if any(expressions.names(group.condition) for group in groups) and not self._kernel.base and self._kernel.base_text is None:
            assumed.append(f"the tree has no defconfig for {self._kernel.environment['ARCH']}")
        return Configs(
            tuple(sets),
            reasons,
            tuple(dict.fromkeys(assumed))[:_MOST_ASSUMPTIONS],
            unreachable,
            all_of(taken_to_hold(group.condition) for group in first),
            tuple(stated for group in first for stated in group.stated),
        )

    def _of_another_architecture(self, path: str) -> Fact | None:
        if around(self._kernel.source, path) is None:
            return None
        from hook.evidence.options.other_architectures import of_another

        return of_another(self._kernel, path)

    # the conditions of a change

    def _groups(self, file: FileChange) -> list[_Group]:
        path = file.path
        if not file.new_blob or not path.endswith((".c", ".h", ".S", ".rs", ".inc")):
            return []
        lines, _ = changed_lines(file)
        conditionals = self._kernel.conditionals(path) if not path.endswith(".rs") else None
        built = self._kernel.built_if(path)
        by_condition: dict[Condition, _Group] = {}
        for line in lines or [1]:
            around = conditionals.at(line) if conditionals is not None else ()
            condition = all_of([built.condition, *(conditional.condition for conditional in around)])
            if condition in by_condition:
                by_condition[condition].lines.append(line)
            else:
                directives = [Stated(conditional.condition, conditional.text, path, conditional.line) for conditional in reversed(around)]
                innermost = (around[-1].line, around[-1].text) if around else (0, "")
                by_condition[condition] = _Group(path, condition, [line], (*directives, *builds(built, path)), innermost)
        return list(by_condition.values())

    # from conditions to settings

    def _solvable(
        self, groups: list[_Group], unreachable: dict[str, Fact], files: Sequence[FileChange], assumed: list[str]
    ) -> list[_Group]:
        """The groups that some configuration may build. A file of which none can be built gets its fact in `unreachable`, if proved."""
        if all(self._kernel.holds(taken_to_hold(group.condition)) for group in groups):
            return groups
        from hook.kernel.kconfig.upper_bounds import impossible

        solvable = []
        clauses: dict[str, str] = {}
        for group in groups:
            clause = "" if self._kernel.holds(taken_to_hold(group.condition)) else impossible(self._kernel.options, group.condition)
            if clause:
                clauses[group.path] = clause
            else:
                solvable.append(group)
        for path, clause in clauses.items():
            if all(group.path != path for group in solvable):
                file = next((file for file in files if file.path == path), None)
                if file is not None and self._is_fully_known(file):
                    line, text = next(group.directive for group in groups if group.path == path)
                    claim = f"no kernel for {self._kernel.environment['ARCH']} is built with it: {clause}"
                    unreachable[path] = Fact(claim, Place(path, line, file.new_blob), text)
                    continue
            assumed.append(f"{path}: no configuration was found in which all changed lines are built: {clause}")
        return solvable

    def _is_fully_known(self, file: FileChange) -> bool:
        """Whether no other makefile, file or option can build a changed file or its changed lines, in both versions."""
        path = file.path
        if self._kernel.source.index is None or not path.endswith((".c", ".S")):
            return False
        added, removed = changed_lines(file)
        for oid, lines in ((file.new_blob, added or [1]), (file.old_blob, removed)):
            side = self._kernel.source.objects.read(oid) if lines else None
            if not lines:
                continue
            if side is None or side.data is None:
                return False
            conditionals = Conditionals(side.data, path, proving=True)
            stacks = {tuple(conditional.line for conditional in stack): stack for stack in map(conditionals.at, lines)}.values()
            if conditionals.directives.intersection(lines) or not all(
                self._kernel.excluded(path, [conditional.condition for conditional in stack]) for stack in stacks
            ):
                return False
        return self._kernel.kbuild.is_only_here(path) and not self._is_included(path)

    def _is_included(self, path: str) -> bool:
        from hook.source.lookup import Bounds, includers

        includes = includers(self._kernel.source, path, Bounds(_MOST_INCLUDERS))
        return bool(includes.items) or bool(includes.cut) or may_be_included(self._kernel.source, path)

    def _one_set(self, groups: list[_Group], assumed: list[str]) -> tuple[list[_Group], Solution | None]:
        """As many groups as one configuration builds, the largest first, and its solution; None if the base configuration builds them."""
        all_conditions = all_of(taken_to_hold(group.condition) for group in groups)
        if self._kernel.holds(all_conditions):
            return groups, None
        solution = self._solve(all_conditions)
        if solution is not None:
            return groups, solution
        chosen: list[_Group] = []
        best: Solution | None = None
        for group in sorted(groups, key=lambda group: -len(group.lines)):
            condition = all_of(taken_to_hold(member.condition) for member in (*chosen, group))
            if self._kernel.holds(condition):
                chosen.append(group)
                continue
            solution = self._solve(condition)
            if solution is not None:
                chosen.append(group)
                best = solution
            elif not chosen:
                assumed.append(f"{group.path}:{group.lines[0]}: no configuration was found that builds it: {self._ended_at}")
        return chosen, best

    _ended_at = ""

    def _solve(self, condition: Condition) -> Solution | None:
        from hook.kernel.kconfig.solver import NoSolution, solve

        try:
            return solve(self._kernel.options, self._kernel.base, condition)
        except NoSolution as wrong:
            self._ended_at = str(wrong)
            return None


def builds(built: Built, path: str) -> tuple[Stated, ...]:
    """The lines of makefiles that build a file."""
    return tuple(
        Stated(condition, f"{expressions.shown(condition)} builds {path}"[:160], makefile, line)
        for makefile, line, condition in built.places
    )


def with_lines(solution: Solution, stated: Iterable[Stated]) -> dict[str, ConfigReason]:
    """Why a solution has its options: the line that states the option, or else the option that needs it."""
    lines: dict[str, Stated] = {}
    for statement in sorted(stated, key=lambda statement: not statement.why.startswith("#")):
        for name in expressions.names(statement.condition):
            lines.setdefault(name, statement)
    reasons = {}
    for name, value in solution.settings.items():
        reason = solution.reasons[name]
        why, path, line = reason.why, reason.path, reason.line
        if not why and name in lines:
            why, path, line = lines[name].why, lines[name].path, lines[name].line
        why = why or "chosen by the solver"
        reasons[name] = ConfigReason("build", why if value == "y" else f"must be off: {why}", path, line)
    return reasons


def changed_lines(file: FileChange) -> tuple[list[int], list[int]]:
    """The changed lines of the new version, and the removed lines of the old one.

    If a hunk only removes lines, the line that is now in their place counts as changed.
    """
    new: list[int] = []
    old: list[int] = []
    for hunk in file.hunks:
        added = [number for number, text in hunk.added if _is_code(text)]
        removed = [number for number, text in hunk.removed if _is_code(text)]
        if not hunk.added and removed:
            before = [number for number, _ in hunk.removed]
            added = [max(hunk.new_start, 1) + (number - hunk.old_start) - sum(1 for line in before if line < number) for number in removed]
        new += added
        old += removed
    return list(dict.fromkeys(new)), old


def _is_code(text: str) -> bool:
    bare = text.strip()
    return bool(bare) and not bare.startswith(("//", "/*", "*/", "* ")) and bare != "*" and _ENDING.match(bare) is None


def _set(settings: Mapping[str, str], groups: list[_Group]) -> ConfigSet:
    lines = tuple(f"{group.path}:{_ranges(group.lines)}" for group in groups)
    on, off = (tuple(name for name, value in settings.items() if value == level) for level in ("y", "n"))
    return ConfigSet(on, off, lines)


def _ranges(lines: list[int]) -> str:
    """Line numbers as `3-5,9`."""
    parts: list[list[int]] = []
    for line in sorted(lines):
        if parts and line == parts[-1][1] + 1:
            parts[-1][1] = line
        else:
            parts.append([line, line])
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in parts[:40])
