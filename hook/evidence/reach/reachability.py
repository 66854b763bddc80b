"""Reachability: whether a fuzzer can run what changes, as all proofs together say.

The rules are those that farms give to whoever judges, in this order: hardware that no virtual machine has is out of reach, and so is
teardown that user space cannot ask for; code of a device that the machine or the kernel itself provides is in reach; so is code with a
proved call path from user space. The rest stays open, with the question in words.

The proofs: docs/reachability.md, docs/call-paths.md.
"""

from __future__ import annotations

import functools
import pathlib
import typing
from collections.abc import Callable, Iterable, Mapping

import msgspec

from hook import redaction
from hook.change.patch import Patch
from hook.config import Settings, WrongSetting
from hook.evidence.change_classes import ChangeClass
from hook.evidence.finding import Evidence, Finding, No, Open, Yes
from hook.evidence.reach.answer import Reach, unknown
from hook.evidence.reach.calls import call_paths, teardown
from hook.evidence.reach.devices import machine
from hook.failure import CannotJudge
from hook.source.tree import Source
from hook.verdict import Answer, ConfigReason, Fact, all_of

if typing.TYPE_CHECKING:
    from hook.evidence.reach.devices.drivers import Drivers
    from hook.kernel.kernel import Kernel
    from hook.syzlang.checkout import Descriptions

_NOTHING = Reach(Answer.UNKNOWN)
# of what stands in functions
_STATEMENTS = frozenset((ChangeClass.ASSERTION, ChangeClass.CODE, ChangeClass.CONSTANT, ChangeClass.LOG_CALL, ChangeClass.TRACEPOINT_CALL))
_ADDITIONS = frozenset(
    (ChangeClass.FUNCTION_ADDED, ChangeClass.DECLARATION, ChangeClass.COMMENT, ChangeClass.DOC_COMMENT, ChangeClass.WHITE_SPACE)
)
_HARDWARE = ("drivers/", "sound/")  # where the code is that binds to devices
_BOOT = ("arch/",)  # where the code is that runs before the kernel does
_CORES = ("net/",)  # where subsystems are that only drivers lead to, such as mac80211
_MAX_HOPS = 24  # from a changed function to an entry point
_MAX_CALLER_FILES = 24  # in which the callers of one function are looked for, the nearest first
_MOST_NAMED = 3  # functions, in a question
_MOST_FILES = 24  # of one change that are looked into; the rest stays open


class Reached(msgspec.Struct, frozen=True):
    """What is known of a whole change."""

    answers: Mapping[str, Reach]  # path -> what is said of that file
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
    """What the fuzzed machine is, and how far call paths are followed."""

    vm: machine.Machine
    bounds: call_paths.SearchBounds
    driver_files: int  # read for what drivers bind to, and for who uses them
    descriptions: Descriptions | None = None  # of system calls, where the person has a checkout of them
    left_out: frozenset[teardown.RunsAt] = teardown.LEFT_OUT


def limits(settings: Settings, state_dir: pathlib.Path, *, short: bool = False) -> Limits:
    """The limits that the settings give, for the short search of a commit where that is wanted. Raises WrongSetting."""
    try:
        vm = machine.machine(settings.target.arch, settings.fuzz.vm)
    except machine.NoSuchDevice as wrong:
        raise WrongSetting(f"{settings.origins['fuzz.vm']}: fuzz.vm: {wrong}") from None
    described = None
    if checkout := settings.fuzz.syzkaller:
        from hook.syzlang import checkout as descriptions

        try:
            described = descriptions.read(checkout, settings.target.arch, state_dir)
        except descriptions.NoDescriptions as wrong:
            raise WrongSetting(f"{settings.origins['fuzz.syzkaller']}: fuzz.syzkaller: {wrong}") from None
    reach = settings.reach
    files, steps = (reach.commit_files, reach.commit_steps) if short else (reach.max_files, reach.max_steps)
    left_out = teardown.NOTHING_RUNS if settings.fuzz.teardown == "include" else teardown.LEFT_OUT
    return Limits(vm, call_paths.SearchBounds(_MAX_HOPS, files, _MAX_CALLER_FILES, steps), files, described, left_out)


def find(patch: Patch, evidence: Evidence, source: Source, kernel: Kernel, within: Limits) -> Reached:
    """What is known of how a fuzzer gets to what a patch may change; `source` is the tree with it applied."""
    wanted: dict[str, list[tuple[str, str]]] = {}
    only_added: set[str] = set()  # files of which nothing else changed than that functions were added
    only_functions: set[str] = set()  # files of which nothing else changed: when these run tells when the change does
    for file, finding in zip(patch.files, evidence.findings, strict=True):
        if finding.proof or not file.new_blob:
            continue
        changed = finding.functions.changed if finding.functions is not None else ()
        wanted[file.path] = [(file.path, function.name) for function in changed if not function.gone]
        if _STATEMENTS.issuperset(finding.change_classes) and not any(function.gone for function in changed):
            only_functions.add(file.path)
        if _ADDITIONS.issuperset(finding.change_classes) and changed and all(function.why == "added" for function in changed):
            only_added.add(file.path)
    # what is read on the way proves nothing where it leads nowhere: a verdict rests on what its facts name
    look = _Look(msgspec.structs.replace(source, read_blobs={}), kernel, within)
    answers = dict.fromkeys(wanted, _NOTHING)
    for path in list(wanted)[:_MOST_FILES]:
        try:
            answers[path] = _of_a_kernel(look.at(path, wanted[path], path in only_functions), kernel, path)
            if path in only_added and answers[path].answer is not Answer.NO:
                answers[path] = _of_additions(answers[path], source, path, [name for _, name in wanted[path]])
        except CannotJudge as wrong:
            answers[path] = unknown(f"not known: what runs {path}; not everything could be read: {wrong}")
    redactor = redaction.of(patch.diff)
    found = together({path: _without_secrets(reach, redactor) for path, reach in answers.items()})
    source.read_blobs.update({fact.place.path: fact.place.blob for fact in found.facts if fact.place.blob})
    return found


def _of_a_kernel(reach: Reach, kernel: Kernel, path: str) -> Reach:
    """The answer, unless it is a `no` from a tree that is no whole kernel, or a `yes` by code that no kernel for the target has.

    What is not in such a tree may be elsewhere.
    """
    if reach.answer is Answer.NO and kernel.strangeness:
        return unknown(f"not known: what runs {path}; {kernel.strangeness}")
    if reach.answer is Answer.YES:
        for way in dict.fromkeys((path, *reach.files, *(fact.place.path for fact in reach.facts))):
            if way.endswith(".c") and not kernel.holds(kernel.built_if(way).condition) and (clause := kernel.excluded(way)):
                return unknown(f"not known: what runs {path}; no configuration of the target was found that builds {way}: {clause}")
    return reach


def _of_additions(reach: Reach, source: Source, path: str, added: list[str]) -> Reach:
    """The answer, unless nothing calls what was added: that the object is used says nothing of it."""
    from hook.evidence.reach import uncalled

    if uncalled.is_uncalled(source, path, added):
        return unknown(f"nothing calls {', '.join(f'{name}()' for name in added[:_MOST_NAMED])} yet")
    return reach


class _Look:
    """Looks at one tree; what was read for one file serves the next."""

    def __init__(self, source: Source, kernel: Kernel, within: Limits) -> None:
        self._source, self._kernel, self._within = source, kernel, within

    @functools.cached_property
    def _search(self) -> call_paths.CallPathSearch:
        return call_paths.CallPathSearch(self._source, self._kernel, self._within.bounds)

    @functools.cached_property
    def _drivers(self) -> Drivers:
        from hook.evidence.reach.devices import drivers  # core code does not pay for it

        return drivers.Drivers(self._source, self._kernel, self._within.vm, min(self._within.driver_files, drivers.FILES_OF_A_QUESTION))

    def at(self, path: str, functions: list[tuple[str, str]], nothing_else: bool) -> Reach:
        """What is said of a file of which `functions` changed, perhaps `nothing_else`. Raises GitError."""
        source, kernel, bounds = self._source, self._kernel, self._within.bounds
        within = self._within
        ending = teardown.gate(functions, source, kernel, bounds, within.left_out) if functions and nothing_else else _NOTHING

        def way_in() -> Reach:
            return call_paths.reach(functions, self._search, self._within.descriptions) if functions else _NOTHING

        if path.startswith(_HARDWARE):
            hardware = self._drivers.of_file(path)
            if hardware.answer is Answer.NO and (why := teardown.without_device(functions, source, kernel, bounds)):
                hardware = unknown(f"runs without a device, at boot or as a module is unloaded: {why}")
            return of_file(hardware, ending, way_in)
        if path.startswith(_BOOT):
            # of what uses such an object nothing follows; that it is gone when the kernel runs is its own
            gone = self._drivers.of_file(path)
            return of_file(gone if gone.answer is Answer.NO else _NOTHING, ending, way_in)
        # who uses another object of the kernel may use something else of it than what changed: a call path says more
        found = of_file(_NOTHING, ending, way_in)
        if found.answer is Answer.UNKNOWN and path.startswith(_CORES) and not ending.question:
            return _or(found, self._drivers.of_file(path))
        return found


def with_answers(evidence: Evidence, patch: Patch, found: Reached) -> Evidence:
    """The evidence with the answers filled in; what is out of reach is shown by what proves it."""
    findings = tuple(
        _answered(finding, found.answers[file.path]) if file.path in found.answers else finding
        for file, finding in zip(patch.files, evidence.findings, strict=True)
    )
    # what changed is known all the same, and where one would aim who has the device
    return msgspec.structs.replace(evidence, findings=findings)


def _answered(finding: Finding, said: Reach) -> Finding:
    if said.answer is Answer.NO and not said.facts:
        return finding  # a claim without a place is none
    if said.answer is Answer.NO:
        return msgspec.structs.replace(finding, reachable=No(said.facts[0]))
    return msgspec.structs.replace(finding, reachable=Yes(said.facts) if said.answer is Answer.YES else Open(said.question))


def of_file(hardware: Reach, ending: Reach, way_in: Callable[[], Reach]) -> Reach:
    """What the proofs about one changed file say together.

    `hardware` is about what its drivers bind to, `ending` about functions that run only when something begins or ends; either says nothing
    where it is UNKNOWN without a question. `way_in`, the dear one, is asked only where these leave it open.
    """
    for reach in (hardware, ending):
        if reach.answer is Answer.NO:
            return reach
    if ending.answer is Answer.YES or ending.question:
        return _with(ending, hardware) if ending.answer is Answer.YES else ending
    if hardware.answer is Answer.YES:
        return hardware
    found = way_in()
    if found.answer is Answer.YES:
        return found
    question = "; ".join(reach.question for reach in (hardware, found) if reach.question)
    return msgspec.structs.replace(_NOTHING, question=question)


def _without_secrets(found: Reach, redactor: redaction.Redactor) -> Reach:
    """Facts quote lines of the change too, and verdicts are published."""
    facts = tuple(msgspec.structs.replace(fact, claim=redactor.text(fact.claim), text=redactor.text(fact.text)) for fact in found.facts)
    return msgspec.structs.replace(found, facts=facts, question=redactor.text(found.question))


def _or(first: Reach, other: Reach) -> Reach:
    """The second where it is reached, else the first."""
    return other if other.answer is Answer.YES else first


def together(answers: Mapping[str, Reach]) -> Reached:
    """What is known of a change, by what is known of each of its files: one that is reached is enough to fuzz it."""
    yes = [reach for reach in answers.values() if reach.answer is Answer.YES]
    if not yes:
        questions = (reach.question for reach in answers.values() if reach.answer is Answer.UNKNOWN and reach.question)
        assumptions = _each(reach.assumptions for reach in answers.values() if reach.answer is Answer.NO)
        return Reached(answers, questions=tuple(dict.fromkeys(questions)), assumptions=assumptions)
    return Reached(
        answers,
        facts=yes[0].facts,
        devices=_each(reach.devices for reach in yes),
        reasons={name: reason for reach in reversed(yes) for name, reason in reach.reasons.items()},
        disable=_each(reach.disable for reach in yes),
        assumptions=_each(reach.assumptions for reach in yes),
        interfaces=_each(reach.interfaces for reach in yes),
    )


def _with(first: Reach, other: Reach) -> Reach:
    """The first, with what makes the second hold beside it."""
    if other.answer is not Answer.YES:
        return first
    return Reach(
        first.answer,
        (*other.facts, *first.facts),
        _each((first.devices, other.devices)),
        {**other.reasons, **first.reasons},
        _each((first.disable, other.disable)),
        _each((first.assumptions, other.assumptions)),
        _each((first.interfaces, other.interfaces)),
        files=_each((first.files, other.files)),
    )


def _each(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))
