"""Proving: what is proved of a change without a model, step by step, and the verdict that this allows."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Mapping

import msgspec

from hook import settlement
from hook.asking import Asking
from hook.change import patch
from hook.change.change import Change
from hook.config import Settings
from hook.redaction import Redactor
from hook.settlement import Proofs
from hook.source.object_store import Objects
from hook.source.tree import SafetyNet, Source
from hook.trajectory import Trajectory
from hook.verdict import Answer, Lack, Verdict

if typing.TYPE_CHECKING:
    from hook.coverage.observations import Coverage
    from hook.kernel.kernel import Kernel

Shown = Mapping[str, object]  # what a trajectory shows of a step's result


class Case(msgspec.Struct, frozen=True, dict=True):
    """A change, the tree with it applied, and how it is to be judged."""

    change: Change
    objects: Objects
    source: Source  # the tree with the change applied
    settings: Settings
    asking: Asking
    redactor: Redactor
    use_cache: bool = False

    @functools.cached_property
    def kernel(self) -> Kernel:
        """The kernel of the tree with the change applied; what it has read for one step serves the next."""
        from hook.kernel.kernel import Kernel

        read = self.settings
        return Kernel(self.source, read.target.arch, read.fuzz.toolchain, read.base_config)

    @functools.cached_property
    def coverage(self) -> Coverage | None:
        """What the person's fuzzer has reached; None where no file is named. A commit does not wait until a new one is read."""
        fuzz, state_dir = self.settings.fuzz, self.source.repo.state_dir
        if not fuzz.coverage:
            return None
        from hook.coverage import coverage_file
        from hook.record import cache

        self.source.read_blobs[cache.COVERAGE] = coverage_file.known_by(fuzz)
        if self.asking.leaves_reading and coverage_file.kept(fuzz, state_dir) is None:
            self.source.safety.at_limit = True  # the worker reads it
            return coverage_file.unread(fuzz.coverage)
        with self.source.safety.paused():
            return coverage_file.read(fuzz, state_dir)


def case(
    change: Change, objects: Objects, settings: Settings, asking: Asking, redactor: Redactor | None = None, *, use_cache: bool = False
) -> Case:
    """How a change is to be judged."""
    return Case(change, objects, tree_after(change, objects, settings), settings, asking, redactor or Redactor(), use_cache)


class Proved(msgspec.Struct, frozen=True):
    """A case with what the evidence says of it."""

    case: Case
    proofs: Proofs
    verdict: Verdict


class ProofStep(typing.NamedTuple):
    """A step that proves something more.

    It is taken as long as no answer is NO, which settles the verdict, and of a change that can be read.
    """

    name: str
    prove: Callable[[Case, Proofs], Proofs]  # given what was proved before
    shown: Callable[[Proofs], Shown]


def prove(case: Case, trajectory: Trajectory) -> Proved:
    """What is proved of a change without a model, and the verdict that this allows."""
    proofs = trajectory.step("evidence", lambda: _evidence(case), _shown_evidence)
    for proof in PROOFS:
        if case.asking.leaves_reading and not case.kernel.has_known_options:
            case.source.safety.at_limit = True  # the worker reads them
            break
        if case.change.patch.by_path or Answer.NO in (proofs.evidence.functional, proofs.evidence.reachable):
            break
        proofs = trajectory.step(proof.name, functools.partial(proof.prove, case, proofs), proof.shown)
    proofs = msgspec.structs.replace(proofs, cut=case.source.safety.cut, lacks=_lacks(case, proofs))
    verdict = trajectory.step("settle", lambda: _settled(case, proofs), _shown_verdict)
    return Proved(case, proofs, verdict)


def _lacks(case: Case, proofs: Proofs) -> tuple[Lack, ...]:
    """What was not there to prove more with. A proved `no` needs nothing more."""
    source, evidence = case.source, proofs.evidence
    if Answer.NO in (evidence.functional, evidence.reachable):
        return ()
    lacking = {
        Lack.SEARCH: case.asking.is_short and source.safety.at_limit,
        Lack.INDEX: not source.is_small and not source.has_whole_index,
        Lack.OBJECTS: bool(case.change.patch.hunks_missing or evidence.unread) and case.change.repo.is_partial,
        Lack.TIME: bool(source.safety.cut),
    }
    return tuple(lack for lack, is_lacking in lacking.items() if is_lacking)


def _settled(case: Case, proofs: Proofs) -> Verdict:
    patch_id = patch.patch_id(case.change.repo, case.change.patch)
    return _with_launch(msgspec.structs.replace(settlement.settle(case.change, proofs, case.settings), patch_id=patch_id), case)


def _with_launch(verdict: Verdict, case: Case) -> Verdict:
    """The verdict with what the machine is started with, so that it has the devices and the drivers as many of their own as they need."""
    if not (verdict.devices or verdict.enable_configs):
        return verdict
    from hook.evidence.reach.devices import machine
    from hook.plan import launch

    arguments = launch.qemu_arguments(verdict.devices, machine.of_settings(case.settings))
    parameters = launch.kernel_parameters(verdict.enable_configs, case.source)
    return msgspec.structs.replace(verdict, qemu_args=arguments, kernel_parameters=tuple(parameters))


def _shown_verdict(verdict: Verdict) -> Shown:
    return {"WorthFuzzing": verdict.worth_fuzzing, "DecidedBy": verdict.decided_by}


def _evidence(case: Case) -> Proofs:
    from hook.evidence.functional import file_findings  # only what is not known already pays for it

    arch, most_symbols, most_bytes = case.settings.target.arch, case.settings.focus.max_symbols, case.settings.limits.evidence_bytes
    return Proofs(file_findings.gather(case.change.patch, case.source, arch, most_symbols, most_bytes, lambda: case.coverage))


def _options(case: Case, proofs: Proofs) -> Proofs:
    from hook.evidence.options import needed_options  # what is harmless or out of reach does not pay for it

    configs = needed_options.find(case.change.patch, proofs.evidence, case.kernel)
    return msgspec.structs.replace(proofs, evidence=needed_options.with_reach(proofs.evidence, configs), configs=configs)


def _reach(case: Case, proofs: Proofs) -> Proofs:
    from hook.evidence.options import whole_configuration
    from hook.evidence.reach import reachability

    within = reachability.limits(case.settings, case.source.repo.state_dir, case.coverage, short=case.asking.is_short)
    reached = reachability.find(case.change.patch, proofs.evidence, case.source, case.kernel, within)
    evidence = reachability.with_answers(proofs.evidence, case.change.patch, reached)
    assert proofs.configs is not None  # the step before
    configs = whole_configuration.find(proofs.configs, evidence, reached, case.kernel)
    evidence = whole_configuration.with_built_focus(evidence, configs, case.kernel)
    return msgspec.structs.replace(proofs, evidence=evidence, reached=reached, configs=configs)


def _leaks(case: Case, proofs: Proofs) -> Proofs:
    from hook.evidence.memory import leaks

    uninitialised = leaks.find(case.change.patch, proofs.evidence, case.source, case.kernel, case.settings.target.arch)
    return msgspec.structs.replace(proofs, leaks=uninitialised)


def _shown_evidence(proofs: Proofs) -> Shown:
    evidence = proofs.evidence
    claims = [finding.fact.claim for finding in evidence.findings]
    return {"Functional": evidence.functional, "Reachable": evidence.reachable, "Facts": claims}


def _shown_options(proofs: Proofs) -> Shown:
    first = proofs.configs.sets[0] if proofs.configs and proofs.configs.sets else None
    return {"EnableConfigs": list(first.enable) if first else [], "DisableConfigs": list(first.disable) if first else []}


def _shown_reach(proofs: Proofs) -> Shown:
    reached = proofs.reached
    return {"Reachable": reached.answer, "Devices": list(reached.devices), "Open": list(reached.questions)} if reached else {}


def _shown_leaks(proofs: Proofs) -> Shown:
    leaks = proofs.leaks
    signals = [signal.claim for signal in leaks.signals] if leaks else []
    return {"NeedsKMSAN": leaks.needs, "Proved": len(leaks.proved), "Signals": signals} if leaks else {}


def tree_after(change: Change, objects: Objects, settings: Settings) -> Source:
    """The tree with the change applied. What is staged is laid over its base: git needs a while to look anything up in a large index."""
    safety = SafetyNet(settings.limits.safety_seconds)
    if change.after:
        return Source(objects, change.after, base=change.base, safety=safety)
    changes = {path: "" for file in change.patch.files for path in (file.old_path,)}
    changes |= {file.path: file.new_blob or "" for file in change.patch.files}
    return Source(objects, change.base_tree, changes, base=change.base, safety=safety)


PROOFS = (
    ProofStep("configs", _options, _shown_options),
    ProofStep("reach", _reach, _shown_reach),
    ProofStep("kmsan", _leaks, _shown_leaks),
)
