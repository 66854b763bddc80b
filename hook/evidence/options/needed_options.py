"""Needed options: what a kernel has to be configured with so that it holds the changed lines.

They are those of Kbuild, of the preprocessor and of what these depend on; what the base configuration has is left out. What leads to the
lines is added by hook.evidence.options.whole_configuration. docs/configs.md has the rules.
"""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hook.change.patch import FileChange, Patch
from hook.evidence.finding import Evidence, No
from hook.kernel.kbuild.architecture_directories import around
from hook.kernel.kbuild.conditionals import Conditionals
from hook.kernel.kbuild.objects import Built
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import YES, Condition, all_of, taken_to_hold
from hook.kernel.kernel import Kernel
from hook.verdict import Answer, ConfigReason, ConfigSet, Fact, Place

if typing.TYPE_CHECKING:
    from hook.kernel.kconfig.solver import Solution

_MOST_SURE = 100  # files that are looked into for a proof that nobody includes one
_MOST_SETS = 4
_MOST_GROUPS = 24  # of lines under the same condition, of one patch
_MOST_ASSUMPTIONS = 6
_MOST_WARNINGS = 2  # about Kconfig, in a verdict


class Stated(msgspec.Struct, frozen=True):
    """A condition, and the line that asks for it."""

    condition: Condition
    why: str
    path: str
    line: int


class Configs(msgspec.Struct, frozen=True):
    """What is to be configured for a patch."""

    sets: tuple[ConfigSet, ...] = ()  # of the first, Enable and Disable are the verdict's own
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    unreachable: Mapping[str, Fact] = msgspec.field(default_factory=dict)  # path -> why no configuration of the target builds it
    condition: Condition = YES  # under which the lines of the first set are built
    stated: tuple[Stated, ...] = ()  # the lines that ask for it


class _Group(msgspec.Struct):
    """Changed lines of one file that are compiled under the same condition."""

    path: str
    condition: Condition  # of the file and of the lines
    lines: list[int]
    stated: tuple[Stated, ...]  # its directives, the innermost first, then the lines of makefiles
    directive: tuple[int, str]  # the innermost, or nothing


def find(patch: Patch, evidence: Evidence, kernel: Kernel) -> Configs:
    """What is to be configured for what a patch may change of the kernel."""
    relevant = [file for file, finding in zip(patch.files, evidence.findings, strict=True) if not finding.proof]
    return _Plan(kernel).find(relevant)


def with_reach(evidence: Evidence, found: Configs) -> Evidence:
    """The evidence with what was found to be in no kernel for the target."""
    if not found.unreachable:
        return evidence
    findings = tuple(
        msgspec.structs.replace(one, reachable=No(found.unreachable[one.change.place.path]))
        if not isinstance(one.functional, No) and one.change.place.path in found.unreachable
        else one
        for one in evidence.findings
    )
    evidence = msgspec.structs.replace(evidence, findings=findings)
    return msgspec.structs.replace(evidence, focus=None) if evidence.reachable is Answer.NO else evidence


class _Plan:
    """The configurations for one change to a kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def find(self, files: Sequence[FileChange]) -> Configs:
        """What is to be configured for changes to `files`."""
        unreachable = {file.path: fact for file in files if (fact := self._of_another_architecture(file.path)) is not None}
        files = [file for file in files if file.path not in unreachable]
        found = list(itertools.islice((group for file in files for group in self._groups(file)), _MOST_GROUPS + 1))
        groups = found[:_MOST_GROUPS]
        if not groups:
            return Configs(unreachable=unreachable)
        assumed = [
            f"{part} is taken to hold" if not part.startswith("no makefile") else part
            for group in groups
            for part in expressions.open_parts(group.condition)
        ]
        sets: list[ConfigSet] = []
        reasons: dict[str, ConfigReason] = {}
        probes: list[str] = []
        unread: list[str] = []
        first: list[_Group] = []
        left = self._solvable(groups, unreachable, files if groups == found else (), assumed)
        for _ in range(_MOST_SETS):
            if not left:
                break
            taken, solution = self._one_set(left, assumed)
            if not taken:
                break
            left = [group for group in left if group not in taken]
            if solution is not None:
                probes += solution.probes
                unread += solution.unread
                reasons = {**with_lines(solution, [stated for group in taken for stated in group.stated]), **reasons}
            first = first or taken
            sets.append(_set(solution.settings if solution else {}, taken))
        assumed += [f"in Kconfig, {warning}" for warning in [*self._kernel.warnings, *unread][:_MOST_WARNINGS]]
        if probes:
            assumed += [f"{one} ({self._kernel.toolchain_name})" for one in probes]
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
        found: dict[Condition, _Group] = {}
        for line in lines or [1]:
            around = conditionals.at(line) if conditionals is not None else ()
            condition = all_of([built.condition, *(one.condition for one in around)])
            if condition in found:
                found[condition].lines.append(line)
            else:
                directives = [Stated(one.condition, one.text, path, one.line) for one in reversed(around)]
                innermost = (around[-1].line, around[-1].text) if around else (0, "")
                found[condition] = _Group(path, condition, [line], (*directives, *builds(built, path)), innermost)
        return list(found.values())

    # from conditions to settings

    def _solvable(
        self, groups: list[_Group], unreachable: dict[str, Fact], files: Sequence[FileChange], assumed: list[str]
    ) -> list[_Group]:
        """The groups that some configuration may hold; of a file of which none does, the reason."""
        if all(self._kernel.holds(taken_to_hold(group.condition)) for group in groups):
            return groups
        from hook.kernel.kconfig.upper_bounds import impossible

        left = []
        why: dict[str, str] = {}
        for group in groups:
            clause = "" if self._kernel.holds(taken_to_hold(group.condition)) else impossible(self._kernel.options, group.condition)
            if clause:
                why[group.path] = clause
            else:
                left.append(group)
        for path, clause in why.items():
            if all(group.path != path for group in left):
                file = next((one for one in files if one.path == path), None)
                if file is not None and self._is_sure(file):
                    line, text = next(one.directive for one in groups if one.path == path)
                    claim = f"no kernel for {self._kernel.environment['ARCH']} is built with it: {clause}"
                    unreachable[path] = Fact(claim, Place(path, line, file.new_blob), text)
                    continue
            assumed.append(f"{path}: no configuration was found in which all changed lines are built: {clause}")
        return left

    def _is_sure(self, file: FileChange) -> bool:
        """Whether all is known that could build a changed file, or its changed lines, in another way than what was found."""
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
            stacks = {tuple(one.line for one in around): around for around in map(conditionals.at, lines)}.values()
            if conditionals.directives.intersection(lines) or not all(
                self._kernel.excluded(path, [one.condition for one in stack]) for stack in stacks
            ):
                return False
        return self._kernel.kbuild.is_only_here(path) and not self._is_included(path)

    def _is_included(self, path: str) -> bool:
        from hook.source.lookup import Bounds, includers

        found = includers(self._kernel.source, path, Bounds(_MOST_SURE))
        return bool(found.items) or bool(found.cut)

    def _one_set(self, groups: list[_Group], assumed: list[str]) -> tuple[list[_Group], Solution | None]:
        """The most groups that one configuration holds, beginning with the largest, and what it needs."""
        whole = all_of(taken_to_hold(group.condition) for group in groups)
        if self._kernel.holds(whole):
            return groups, None
        solution = self._solve(whole)
        if solution is not None:
            return groups, solution
        taken: list[_Group] = []
        best: Solution | None = None
        for group in sorted(groups, key=lambda one: -len(one.lines)):
            condition = all_of(taken_to_hold(one.condition) for one in (*taken, group))
            if self._kernel.holds(condition):
                taken.append(group)
                continue
            solution = self._solve(condition)
            if solution is not None:
                taken.append(group)
                best = solution
            elif not taken:
                assumed.append(f"{group.path}:{group.lines[0]}: no configuration was found that builds it: {self._ended_at}")
        return taken, best

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
    return tuple(Stated(one, f"{expressions.shown(one)} builds {path}"[:160], place, line) for place, line, one in built.places)


def with_lines(solution: Solution, stated: Iterable[Stated]) -> dict[str, ConfigReason]:
    """Why a solution has its options: by the lines that ask for them, else by the options that need them."""
    lines: dict[str, Stated] = {}
    for one in sorted(stated, key=lambda one: not one.why.startswith("#")):
        for name in expressions.names(one.condition):
            lines.setdefault(name, one)
    found = {}
    for name, value in solution.settings.items():
        reason = solution.reasons[name]
        why, path, line = reason.why, reason.path, reason.line
        if not why and name in lines:
            why, path, line = lines[name].why, lines[name].path, lines[name].line
        why = why or "is needed"
        found[name] = ConfigReason("build", why if value == "y" else f"has to be off: {why}", path, line)
    return found


def changed_lines(file: FileChange) -> tuple[list[int], list[int]]:
    """The lines of the new version that a change is about, and those of the old one that are gone.

    Where lines were only taken out, the one that stands in their place counts for the new version.
    """
    new: list[int] = []
    old: list[int] = []
    for hunk in file.hunks:
        added = [number for number, text in hunk.added if _is_code(text)]
        removed = [number for number, text in hunk.removed if _is_code(text)]
        if not hunk.added and removed:
            before = [number for number, _ in hunk.removed]
            added = [max(hunk.new_start, 1) + (number - hunk.old_start) - sum(1 for one in before if one < number) for number in removed]
        new += added
        old += removed
    return list(dict.fromkeys(new)), old


def _is_code(text: str) -> bool:
    bare = text.strip()
    return bool(bare) and not bare.startswith(("//", "/*", "*/", "* ")) and bare != "*" and re.match(r"#\s*(?:endif|else)\b", bare) is None


def _set(settings: Mapping[str, str], groups: list[_Group]) -> ConfigSet:
    lines = tuple(f"{group.path}:{_ranges(group.lines)}" for group in groups)
    on, off = (tuple(name for name, value in settings.items() if value == wanted) for wanted in ("y", "n"))
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
