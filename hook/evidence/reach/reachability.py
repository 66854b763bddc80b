"""Reachability: whether a fuzzer can run the changed code, by all proofs together.

Three proofs, by the rules of fuzzing farms, and `of_file` alone combines them:

- `devices`, of the object that a file is linked into: `no` where no virtual machine has a device for it and nothing else makes it run,
  `yes` where the machine, the kernel or user space provides the device. hook.evidence.reach.devices.device_solver argues why a `no` holds.
- `teardown`, of functions: `no` where every use of them ends where no program of a farm gets. hook.evidence.reach.calls.teardown argues it.
- `call_paths`, of functions: `yes` by a chain of calls from an entry point, and never `no`.

They are no edges of one graph, since a node of `devices` is an object and says nothing of a single function: teardown is closed in an
object that runs, and a call path may lead into an object of which nothing is known. With a node for each function, a question about one
driver would have to read the users of all functions on its way. So a `no` of an object must leave out what runs without its devices, the
initcalls and module exits, for which `teardown.without_device` is asked; and a `no` of functions holds only where nothing else changed.

The rest stays open, with a question in words. The proofs: docs/reachability.md, docs/call-paths.md.
"""

from __future__ import annotations

import functools
import pathlib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from hook import redaction
from hook.change.patch import FileChange, Patch
from hook.config import Settings, WrongSetting
from hook.evidence.change_classes import OF_ADDITIONS, OF_STATEMENTS
from hook.evidence.finding import Evidence, Finding, No, Open, Yes
from hook.evidence.focus.symbol_names import definition_name
from hook.evidence.reach.answer import Reach, unknown
from hook.evidence.reach.devices import machine
from hook.failure import CannotJudge
from hook.kernel.kconfig.expressions import all_of as all_true
from hook.kernel.kconfig.expressions import built_in, taken_to_hold
from hook.source.tree import Source
from hook.verdict import Answer, ConfigReason, Fact, all_of, each_once

if typing.TYPE_CHECKING:
    from hook.coverage.observations import Coverage
    from hook.evidence.focus.changed_functions import Changed
    from hook.evidence.reach.calls import call_paths
    from hook.evidence.reach.devices.drivers import Drivers
    from hook.evidence.reach.observed import Measurement
    from hook.kernel.kernel import Kernel
    from hook.syzlang.checkout import Descriptions

_NOTHING = Reach(Answer.UNKNOWN)
_HARDWARE = ("drivers/", "sound/")  # code that binds to devices
_BOOT = ("arch/",)  # code that may run before the kernel does
_CORES = ("net/",)  # subsystems that only drivers may lead to, such as mac80211
_MAX_HOPS = 32  # from a changed function to an entry point
_MAX_CALLER_FILES = 24  # searched for callers of one function, the nearest first
_MOST_NAMED = 3  # functions, in a question
_MOST_FILES = 24  # of one change that are asked; the rest stays open


class Reached(msgspec.Struct, frozen=True):
    """What is known of a whole change."""

    answers: Mapping[str, Reach]  # by path
    facts: tuple[Fact, ...] = ()  # of the file that is reached, from user space down
    devices: tuple[str, ...] = ()
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    disable: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()  # what stays open, where nothing is reached

    @property
    def answer(self) -> Answer:
        return all_of(reach.answer for reach in self.answers.values())


class Limits(msgspec.Struct, frozen=True):
    """The fuzzed machine, and how far call paths are followed."""

    vm: machine.Machine
    files: int  # read for call paths, and for drivers and their users
    steps: int  # of call paths
    descriptions: Descriptions | None = None  # of system calls, from a checkout of syzkaller
    includes_teardown: bool = False  # whether the fuzzing farm unloads modules, and unbinds and unplugs devices
    measurement: Measurement | None = None  # what the person's fuzzer has reached, where that is given


def limits(settings: Settings, state_dir: pathlib.Path, coverage: Coverage | None = None, *, short: bool = False) -> Limits:
    """The limits that the settings give, for the short search of a commit where that is wanted. Raises WrongSetting."""
    vm = machine.of_settings(settings)
    described = None
    if checkout := settings.fuzz.syzkaller:
        from hook.syzlang import checkout as descriptions

        try:
            described = descriptions.read(checkout, settings.target.arch, state_dir)
        except descriptions.NoDescriptions as wrong:
            raise WrongSetting(f"{settings.origins['fuzz.syzkaller']}: fuzz.syzkaller: {wrong}") from None
    reach = settings.reach
    files, steps = (reach.commit_files, reach.commit_steps) if short else (reach.max_files, reach.max_steps)
    return Limits(vm, files, steps, described, settings.fuzz.teardown == "include", _measurement(coverage, settings))


def _measurement(coverage: Coverage | None, settings: Settings) -> Measurement | None:
    if coverage is None:
        return None
    from hook.evidence.reach.observed import Measurement  # only who names a coverage file pays for it

    return Measurement(coverage, settings.fuzz.coverage_commit, settings.target.arch)


def find(patch: Patch, evidence: Evidence, source: Source, kernel: Kernel, within: Limits) -> Reached:
    """Whether a fuzzer can run what a patch may change; `source` is the tree with the patch applied."""
    functions_of: dict[str, list[tuple[str, str]]] = {}
    others_of: dict[str, list[tuple[str, str]]] = {}
    observable: dict[str, tuple[FileChange, tuple[Changed, ...]]] = {}
    only_added: set[str] = set()  # files to which nothing but functions was added
    only_functions: set[str] = set()  # files in which only functions changed: the change runs when these run
    for file, finding in zip(patch.files, evidence.findings, strict=True):
        if finding.proof or not file.new_blob:
            continue
        # call paths are followed in C alone
        changed = finding.functions.changed if finding.functions is not None and not file.path.endswith(".rs") else ()
        functions_of[file.path] = [(file.path, function.name) for function in changed if not function.gone]
        # of C that was not compared nothing is known: no name stands for that
        others = finding.functions.others if finding.functions is not None else ("",) * file.path.endswith((".c", ".h"))
        others_of[file.path] = [(file.path, name) for name in others]
        observable[file.path] = (file, changed)
        if OF_STATEMENTS.issuperset(finding.change_classes) and not any(function.gone for function in changed):
            only_functions.add(file.path)
        if OF_ADDITIONS.issuperset(finding.change_classes) and changed and all(function.why == "added" for function in changed):
            only_added.add(file.path)
    users = [] if any(functions_of.values()) else _users(evidence)  # of types, macros or tables, where nothing else changed
    # only the files of the facts count as read: a file that led nowhere proves nothing
    search = _Search(msgspec.structs.replace(source, read_blobs={}), kernel, within)
    answers = dict.fromkeys(functions_of, _NOTHING)
    for path in list(functions_of)[:_MOST_FILES]:
        try:
            in_c = users if path.endswith((".c", ".h")) else []
            reach = search.of_file(path, functions_of[path], others_of[path], path in only_functions, in_c)
            if within.measurement is not None:
                reach = _with_observations(reach, *observable[path], source, within.measurement)
            answers[path] = _of_a_kernel(reach, kernel, path)
            if path in only_added and answers[path].answer is not Answer.NO:
                answers[path] = _of_additions(answers[path], source, path, [name for _, name in functions_of[path]])
        except CannotJudge as wrong:
            answers[path] = unknown(f"not known: what runs {path}; not everything could be read: {wrong}")
    redactor = redaction.of(patch.diff)
    reached = together({path: _without_secrets(reach, redactor) for path, reach in answers.items()})
    if within.measurement is not None and (note := within.measurement.note):
        reached = msgspec.structs.replace(reached, assumptions=(*reached.assumptions, note))
    source.read_blobs.update({fact.place.path: fact.place.blob for fact in reached.facts if fact.place.blob})
    return reached


def _users(evidence: Evidence) -> list[tuple[str, str]]:
    """The functions of .c files that use what changed, as far as a fuzzer is aimed at them."""
    focus = evidence.focus
    if focus is None:
        return []
    return [(path, definition_name(name)) for name in focus.symbols if (path := focus.paths.get(name, "")).endswith(".c")]


def _with_observations(reach: Reach, file: FileChange, changed: Iterable[Changed], source: Source, measurement: Measurement) -> Reach:
    from hook.evidence.reach import observed

    return observed.with_observations(reach, file, changed, source, measurement)


def _of_a_kernel(reach: Reach, kernel: Kernel, path: str) -> Reach:
    """The answer, unless it is a `no` from a tree that is no whole kernel, or a `yes` through code that no kernel for the target has.

    Callers that an incomplete tree lacks may be elsewhere.
    """
    if reach.answer is Answer.NO and kernel.strangeness:
        return unknown(f"not known: what runs {path}; {kernel.strangeness}")
    if reach.answer is Answer.YES:
        for proving_file in dict.fromkeys((path, *reach.files, *(fact.place.path for fact in reach.facts))):
            if (
                proving_file.endswith(".c")
                and not kernel.holds(kernel.built_if(proving_file).condition)
                and (clause := kernel.excluded(proving_file))
            ):
                return unknown(
                    f"not known: what runs {path}; no configuration of the target was found that builds {proving_file}: {clause}"
                )
    return reach


def _of_additions(reach: Reach, source: Source, path: str, added: list[str]) -> Reach:
    """The answer, unless nothing calls the added functions: then it does not help that the rest of the file is reached."""
    from hook.evidence.reach import uncalled

    if uncalled.is_uncalled(source, path, added):
        return unknown(f"nothing calls {', '.join(f'{name}()' for name in added[:_MOST_NAMED])} yet")
    return reach


class _Search:
    """Searches one tree; what was read for one file serves the next."""

    def __init__(self, source: Source, kernel: Kernel, within: Limits) -> None:
        self._source, self._kernel, self._within = source, kernel, within

    @functools.cached_property
    def _bounds(self) -> call_paths.SearchBounds:
        from hook.evidence.reach.calls import call_paths  # only functions that changed, or that use what changed, pay for it

        return call_paths.SearchBounds(_MAX_HOPS, self._within.files, _MAX_CALLER_FILES, self._within.steps)

    @functools.cached_property
    def _search(self) -> call_paths.CallPathSearch:
        from hook.evidence.reach.calls import call_paths

        return call_paths.CallPathSearch(self._source, self._kernel, self._bounds)

    @functools.cached_property
    def _drivers(self) -> Drivers:
        from hook.evidence.reach.devices import drivers  # core code does not pay for it

        return drivers.Drivers(self._source, self._kernel, self._within.vm, min(self._within.files, drivers.FILES_OF_A_QUESTION))

    def of_file(
        self,
        path: str,
        functions: list[tuple[str, str]],
        others: list[tuple[str, str]],
        nothing_else: bool,
        users: list[tuple[str, str]],
    ) -> Reach:
        """The answer for a file of which `functions` and `others` changed, or `nothing_else` than functions; or what `users` use.

        Raises GitError.
        """
        ending = self._ending(functions) if functions and nothing_else else _NOTHING

        def call_path() -> Reach:
            return self._called(functions or users)

        if path.startswith(_HARDWARE):
            hardware = self._drivers.of_file(path)
            if hardware.answer is Answer.NO and (why := self._without_device(functions, others)):
                hardware = unknown(f"runs without a device, at boot or as a module is unloaded: {why}")
            if hardware.answer is Answer.NO and hardware.running:
                hardware = _of_running(hardware, path, functions, nothing_else)
            if hardware.answer is Answer.YES and self._needs_another_user(hardware, path):
                by_call = call_path()
                hardware = by_call if by_call.answer is Answer.YES and not by_call.reasons else hardware
            return of_file(hardware, ending, call_path)
        if path.startswith(_BOOT):
            # the users of such an object prove nothing; that it is gone when the kernel runs, does
            before_boot = self._drivers.of_file(path)
            return of_file(before_boot if before_boot.answer is Answer.NO else _NOTHING, ending, call_path)
        # a user of core code need not use the function that changed: a call path proves more
        by_call = of_file(_NOTHING, ending, call_path)
        if by_call.answer is Answer.UNKNOWN and path.startswith(_CORES) and not ending.question:
            return _or(by_call, self._drivers.of_file(path))
        return by_call

    def _ending(self, functions: list[tuple[str, str]]) -> Reach:
        from hook.evidence.reach.calls import teardown

        left_out = teardown.NOTHING_RUNS if self._within.includes_teardown else teardown.LEFT_OUT
        return teardown.gate(functions, self._source, self._kernel, self._bounds, left_out)

    def _called(self, functions: list[tuple[str, str]]) -> Reach:
        if not functions:
            return _NOTHING
        from hook.evidence.reach.calls import call_paths

        return call_paths.reach(functions, self._search, self._within.descriptions)

    def _without_device(self, functions: list[tuple[str, str]], others: list[tuple[str, str]]) -> str:
        from hook.evidence.reach.calls import teardown

        return teardown.without_device(functions, self._source, self._kernel, self._bounds, others)

    def _needs_another_user(self, hardware: Reach, path: str) -> bool:
        """Whether the driver of another object, which the base configuration does not build, is what reaches a file that it builds.

        Not a driver of the same object, nor what makes the devices of its bus (uhid): these run more of it than another caller.
        """
        kernel = self._kernel
        files = list(dict.fromkeys((*(fact.place.path for fact in hardware.facts), *hardware.files)))
        own = {member for obj in kernel.kbuild.objects(path) for member in obj.members}
        if not files or not files[0].endswith(".c") or files[0] in own or not kernel.holds(kernel.built_if(path).condition):
            return False
        built = (taken_to_hold(kernel.built_if(file).condition) for file in files if file.endswith(".c"))
        return not kernel.holds(all_true([*map(built_in, hardware.reasons), *built]))


def _of_running(reach: Reach, path: str, functions: Sequence[tuple[str, str]], nothing_else: bool) -> Reach:
    """The answer for an object that runs in part: its `no` holds for functions that the running code does not mention."""
    running = [name for _, name in functions if name in reach.running]
    if running:
        return unknown(f"not known: how far a probe that fails runs {running[0]}()")
    if not nothing_else or not functions or not path.endswith(".c"):
        return unknown(f"not known: whether what changed in {path} runs in a probe that fails")
    return reach


def with_answers(evidence: Evidence, patch: Patch, reached: Reached) -> Evidence:
    """The evidence with the answers filled in."""
    findings = tuple(
        _answered(finding, reached.answers[file.path]) if file.path in reached.answers else finding
        for file, finding in zip(patch.files, evidence.findings, strict=True)
    )
    return msgspec.structs.replace(evidence, findings=findings)


def _answered(finding: Finding, reach: Reach) -> Finding:
    if reach.answer is Answer.NO and not reach.facts:
        return finding  # no proof
    if reach.answer is Answer.NO:
        return msgspec.structs.replace(finding, reachable=No(reach.facts[0]))
    return msgspec.structs.replace(finding, reachable=Yes(reach.facts) if reach.answer is Answer.YES else Open(reach.question))


def of_file(hardware: Reach, ending: Reach, call_path: Callable[[], Reach]) -> Reach:
    """What the proofs about one changed file say together.

    `hardware` is about what its drivers bind to, `ending` about functions that run only when something begins or ends; either says nothing
    where it is UNKNOWN without a question. `call_path`, which costs most, is asked only where these leave it open.
    """
    for reach in (hardware, ending):
        if reach.answer is Answer.NO:
            return reach
    if ending.answer is Answer.YES or ending.question:
        return _with(ending, hardware) if ending.answer is Answer.YES else ending
    if hardware.answer is Answer.YES:
        return hardware
    by_call = call_path()
    if by_call.answer is Answer.YES:
        return by_call
    question = "\n".join(reach.question for reach in (hardware, by_call) if reach.question)
    return msgspec.structs.replace(_NOTHING, question=question)


def _without_secrets(reach: Reach, redactor: redaction.Redactor) -> Reach:
    """The answer with secrets cut out: facts quote lines of the change, and verdicts are published."""
    facts = tuple(msgspec.structs.replace(fact, claim=redactor.text(fact.claim), text=redactor.text(fact.text)) for fact in reach.facts)
    return msgspec.structs.replace(reach, facts=facts, question=redactor.text(reach.question))


def _or(first: Reach, second: Reach) -> Reach:
    """The second answer where it is YES, else the first."""
    return second if second.answer is Answer.YES else first


def together(answers: Mapping[str, Reach]) -> Reached:
    """The answer for a change, by those for its files: one that is reached is enough to fuzz it."""
    yes = [reach for reach in answers.values() if reach.answer is Answer.YES]
    if not yes:
        questions = (part for reach in answers.values() if reach.answer is Answer.UNKNOWN for part in reach.question.splitlines())
        assumptions = each_once(reach.assumptions for reach in answers.values() if reach.answer is Answer.NO)
        return Reached(answers, questions=tuple(dict.fromkeys(questions)), assumptions=assumptions)
    return Reached(
        answers,
        facts=yes[0].facts,
        devices=each_once(reach.devices for reach in yes),
        reasons={name: reason for reach in reversed(yes) for name, reason in reach.reasons.items()},
        disable=each_once(reach.disable for reach in yes),
        assumptions=each_once(reach.assumptions for reach in yes),
        interfaces=each_once(reach.interfaces for reach in yes),
    )


def _with(first: Reach, also: Reach) -> Reach:
    """The first answer, with what the second needs and proves where it is YES."""
    if also.answer is not Answer.YES:
        return first
    return Reach(
        first.answer,
        (*also.facts, *first.facts),
        each_once((first.devices, also.devices)),
        {**also.reasons, **first.reasons},
        each_once((first.disable, also.disable)),
        each_once((first.assumptions, also.assumptions)),
        each_once((first.interfaces, also.interfaces)),
        files=each_once((first.files, also.files)),
    )
