"""The consultation: what the agents are asked about a case that the evidence leaves open, and the verdict with their answers."""

from __future__ import annotations

import typing
from collections.abc import Mapping

import msgspec

from hook import settlement
from hook.asking import Unanswered, may_ask, refusal
from hook.config import WrongSetting
from hook.record import trajectories
from hook.source import setting_layers
from hook.steps.proving import Case, Proved
from hook.trajectory import Trajectory
from hook.verdict import Verdict

if typing.TYPE_CHECKING:
    from hook.agent import budget, evaluators
    from hook.agent.endpoint.recording import Recording
    from hook.agent.loop import Outcome


class Answered(msgspec.Struct, frozen=True):
    """What came of asking: the verdict with the agents' answers, and how each agent's run went."""

    verdict: Verdict
    why: str  # the model was asked, or was not
    outcomes: Mapping[str, Outcome] = msgspec.field(default_factory=dict)  # by the agents' names
    looked_at: Mapping[str, str] = msgspec.field(default_factory=dict)  # by the agents' tools: paths and blobs


def prepare(proved: Proved, trajectory: Trajectory) -> tuple[evaluators.Bench | None, str]:
    """What the agents need, None where they may not be asked or nothing is open; and why."""
    case = proved.case
    why, may = may_ask(case.change, proved.verdict, case.settings, case.asking)
    if not may:
        return None, why
    try:
        bench = lay_out(proved, use_cache=case.use_cache)
    except WrongSetting as wrong:
        if case.asking.mode == "always":
            raise
        return None, f"not asked: {wrong}"
    bench.client.meter = _meter(case)
    trajectory.open(trajectories.new_path(case.change.repo, case.change.patch.change_id))
    return bench, why


def _meter(case: Case) -> budget.Meter:
    from hook.agent import budget

    change = case.change

    def now_refused() -> str:
        return setting_layers.switched_off(change.repo) or refusal(change, case.settings, case.asking)

    directory = change.repo.state_dir / "ledger"
    return budget.Meter(directory, case.settings, change.patch.change_id, change.commit, case.asking.push, now_refused)


def lay_out(proved: Proved, *, use_cache: bool, client: Recording | None = None) -> evaluators.Bench:
    """What the agents need for this case. Raises WrongSetting."""
    from hook.agent import evaluators

    case = proved.case
    bench = evaluators.prepare(
        case.change,
        proved.proofs.evidence,
        proved.verdict,
        case.objects,
        case.settings,
        profile=case.asking.profile,
        deadline=case.asking.deadline,
        use_cache=use_cache,
        redactor=case.redactor,
        leaks=proved.proofs.leaks,
        client=client,
    )
    bench.grounding.coverage = case.coverage
    return bench


def ask(proved: Proved, bench: evaluators.Bench, why: str, trajectory: Trajectory, recording: Recording | None = None) -> Answered:
    """What the agents answer, and the verdict with it. A `recording` is told whose turns come next."""
    from hook.agent import evaluators

    case = proved.case
    trajectory.step("read-patch-diff", lambda: bench.variables["diff"], lambda diff: {"PatchDiff": diff})
    outcomes: dict[str, Outcome] = {}
    for agent in evaluators.AGENTS:
        if not agent.is_wanted(outcomes) or (agent.is_about_kmsan and _no_kmsan(case)):
            continue
        if recording is not None:
            recording.turn_to(agent.name)
        outcomes[agent.name] = evaluators.ask(bench, agent.task(bench, outcomes), trajectory, case.asking.progress)
    verdict = trajectory.step("verdict", lambda: _with_answers(proved, bench, outcomes), _shown_answers)
    first = next(iter(outcomes.values()))
    if first.results is None:
        why = case.redactor.text(f"{why}, without result: {first.end}: {first.why}")
    return Answered(verdict, why, outcomes, bench.desk.source.read_blobs)


def _with_answers(proved: Proved, bench: evaluators.Bench, outcomes: Mapping[str, Outcome]) -> Verdict:
    from hook.agent import evaluators

    case = proved.case
    verdict = settlement.with_answers(proved.verdict, outcomes, tuple(bench.grounding.disputes), bench.grounding.reasons)
    if evaluators.is_worth_fuzzing(outcomes) and (why := _no_kmsan(case)) and why not in verdict.kmsan_reasoning:
        verdict = msgspec.structs.replace(verdict, kmsan_reasoning=f"{verdict.kmsan_reasoning} not asked: {why}".lstrip())
    verdict = settlement.without_secrets(verdict, case.redactor)
    # a farm knows no call paths
    return msgspec.structs.replace(verdict, via=()) if case.asking.profile.is_a_farms else verdict


def _shown_answers(verdict: Verdict) -> Mapping[str, object]:
    return {"Disputes": list(verdict.disputes), "DecidedBy": str(verdict.decided_by)}


def _no_kmsan(case: Case) -> str:
    """Why no kernel that can be built has KMSAN, so that nobody is asked whether it is needed; empty where one may."""
    from hook.evidence.memory import kmsan

    arch = case.settings.target.arch
    if arch not in kmsan.TARGETS:
        return f"there is KMSAN for {' and '.join(kmsan.TARGETS)} only, and the target is {arch}"
    if case.asking.profile.is_a_farms:
        return ""  # it has compilers of its own
    # what is only a part of a kernel's tree proves nothing
    return kmsan.hindrance(case.kernel, arch) if case.kernel.options.get("KMSAN") is not None else ""


def unanswered(case: Case, answered: Answered) -> Unanswered | None:
    """The first question that got no answer, and why."""
    for outcome in answered.outcomes.values():
        if outcome.results is None:
            from hook.agent import loop

            return Unanswered(str(outcome.end), case.redactor.text(outcome.why), outcome.end in loop.FOR_NOW)
    return None
