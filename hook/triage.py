"""The flow: change -> evidence -> (agent) -> verdict -> record. Read this first.

A change comes in whole (hook.change). `judge` proves what can be proved (PROOFS) and settles the verdict that the proofs allow. It asks the
agents (evaluators.AGENTS) what stays open, where they may be asked, and settles again. `keep` puts the verdict where the settings say.
Each step takes what those before it gave, and returns its own result. Nothing here runs git or looks into C.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

from hook import reuse, settlement
from hook.asking import NOT_ASKED, Asking, Unanswered, may_ask, refusal, with_state
from hook.change import patch
from hook.change.change import Change, NothingToJudge, find_commit, of_commit, unread
from hook.config import Settings, WrongSetting
from hook.record import claim, store, trajectories
from hook.redaction import Redactor
from hook.settlement import Proofs
from hook.source import filelock
from hook.source import setting_layers as settings_source
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.trajectory import Trajectory
from hook.verdict import Answer, DecidedBy, Tokens, Verdict, to_document

if typing.TYPE_CHECKING:
    from hook.agent import budget, evaluators
    from hook.agent.endpoint.recording import Recording
    from hook.agent.loop import Outcome
    from hook.evidence.functional import hunk_classes
    from hook.kernel.kernel import Kernel

Result = typing.TypeVar("Result")
Shown = Mapping[str, object]  # what a trajectory shows of a step's result


@dataclasses.dataclass(frozen=True)
class Judged:
    """A change with its verdict."""

    change: Change
    verdict: Verdict
    from_cache: bool
    asked: str = ""  # why the model was asked, or was not
    trajectory: Trajectory | None = None  # of the run in which it was asked
    hunks: tuple[hunk_classes.Classified, ...] = ()  # where they were asked for
    unanswered: Unanswered | None = None  # the question of this run that got no answer, if there is one


@dataclasses.dataclass(frozen=True)
class NotJudged:
    """A commit without a verdict: because there is nothing to judge, or because it could not be read."""

    commit: str
    why: str
    failed: bool


@dataclasses.dataclass(frozen=True)
class Case:
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


@dataclasses.dataclass(frozen=True)
class Proved:
    """A case with what the evidence says of it."""

    case: Case
    proofs: Proofs
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class Answered:
    """What came of asking: the verdict with the agents' answers, and how each agent's run went."""

    verdict: Verdict
    why: str  # the model was asked, or was not
    outcomes: Mapping[str, Outcome] = dataclasses.field(default_factory=dict)  # by the agents' names
    looked_at: Mapping[str, str] = dataclasses.field(default_factory=dict)  # by the agents' tools: paths and blobs


# The proofs


def _evidence(case: Case) -> Proofs:
    from hook.evidence.functional import file_findings  # only what is not known already pays for it

    most, seconds = case.settings.focus.max_symbols, case.settings.limits.evidence_seconds
    return Proofs(file_findings.gather(case.change.patch, case.source, case.settings.target.arch, most, seconds))


def _options(case: Case, proofs: Proofs) -> Proofs:
    from hook.evidence.options import needed_options  # what is harmless or out of reach does not pay for it

    found = needed_options.find(case.change.patch, proofs.evidence, case.kernel)
    return dataclasses.replace(proofs, evidence=needed_options.with_reach(proofs.evidence, found), configs=found)


def _reach(case: Case, proofs: Proofs) -> Proofs:
    from hook.evidence.reach import reachability

    within = reachability.limits(case.settings, case.asking.is_thorough)
    found = reachability.find(case.change.patch, proofs.evidence, case.source, case.kernel, within)
    evidence = reachability.with_answers(proofs.evidence, case.change.patch, found)
    return dataclasses.replace(proofs, evidence=evidence, reached=found)


def _leaks(case: Case, proofs: Proofs) -> Proofs:
    from hook.evidence.memory import leaks

    found = leaks.find(case.change.patch, proofs.evidence, case.source, case.kernel, case.settings.target.arch)
    return dataclasses.replace(proofs, leaks=found)


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


class Proof(typing.NamedTuple):
    """A step that proves something more. It is taken as long as no answer is NO: that settles the verdict."""

    name: str
    prove: Callable[[Case, Proofs], Proofs]  # given what was proved before
    shown: Callable[[Proofs], Shown]


PROOFS = (
    Proof("configs", _options, _shown_options),
    Proof("reach", _reach, _shown_reach),
    Proof("kmsan", _leaks, _shown_leaks),
)


def prove(case: Case, trajectory: Trajectory) -> Proved:
    """What is proved of a change without a model, and the verdict that this allows."""
    proofs = _step(trajectory, "evidence", lambda: _evidence(case), _shown_evidence)
    for proof in PROOFS:
        if Answer.NO in (proofs.evidence.functional, proofs.evidence.reachable):
            break
        proofs = _step(trajectory, proof.name, functools.partial(proof.prove, case, proofs), proof.shown)
    verdict = _step(trajectory, "settle", lambda: _settled(case, proofs), _shown_verdict)
    return Proved(case, proofs, verdict)


def _settled(case: Case, proofs: Proofs) -> Verdict:
    patch_id = patch.patch_id(case.change.repo, case.change.patch)
    return dataclasses.replace(settlement.settle(case.change, proofs, case.settings), patch_id=patch_id)


def _shown_verdict(verdict: Verdict) -> Shown:
    return {"WorthFuzzing": verdict.worth_fuzzing, "DecidedBy": verdict.decided_by}


def _step(trajectory: Trajectory, name: str, take: Callable[[], Result], shown: Callable[[Result], Shown]) -> Result:
    """The result of a step, which the trajectory shows."""
    with trajectory.inside("action", name) as span:
        result = take()
        span.results = shown(result)
    return result


# The agents


def _prepared(proved: Proved, trajectory: Trajectory) -> tuple[evaluators.Bench | None, str]:
    """What the agents need, None where they may not be asked or nothing is open; and why."""
    case = proved.case
    why, may = may_ask(case.change, proved.verdict, case.settings, case.asking)
    if not may:
        return None, why
    try:
        bench = _bench(proved, use_cache=case.use_cache)
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
        return settings_source.switched_off(change.repo) or refusal(change, case.settings, case.asking)

    directory = change.repo.state_dir / "ledger"
    return budget.Meter(directory, case.settings, change.patch.change_id, change.commit, case.asking.push, now_refused)


def _bench(proved: Proved, *, use_cache: bool, client: Recording | None = None) -> evaluators.Bench:
    """What the agents need for this case. Raises WrongSetting."""
    from hook.agent import evaluators

    case = proved.case
    return evaluators.prepare(
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


def _ask(proved: Proved, bench: evaluators.Bench, why: str, trajectory: Trajectory, recording: Recording | None = None) -> Answered:
    """What the agents answer, and the verdict with it. A `recording` is told whose turns come next."""
    from hook.agent import evaluators

    case = proved.case
    _step(trajectory, "read-patch-diff", lambda: bench.variables["diff"], lambda diff: {"PatchDiff": diff})
    outcomes: dict[str, Outcome] = {}
    for agent in evaluators.AGENTS:
        if not agent.is_wanted(outcomes) or (agent.is_about_kmsan and _no_kmsan(case)):
            continue
        if recording is not None:
            recording.turn_to(agent.name)
        outcomes[agent.name] = evaluators.ask(bench, agent.task(bench, outcomes), trajectory, case.asking.progress)
    verdict = _step(trajectory, "verdict", lambda: _with_answers(proved, bench, outcomes), _shown_answers)
    first = next(iter(outcomes.values()))
    if first.results is None:
        why = case.redactor.text(f"{why}, without result: {first.end}: {first.why}")
    return Answered(verdict, why, outcomes, bench.desk.source.read_blobs)


def _with_answers(proved: Proved, bench: evaluators.Bench, outcomes: Mapping[str, Outcome]) -> Verdict:
    from hook.agent import evaluators

    case = proved.case
    verdict = settlement.with_answers(proved.verdict, outcomes, tuple(bench.grounding.disputes), bench.grounding.reasons)
    if evaluators.is_worth_fuzzing(outcomes) and (why := _no_kmsan(case)) and why not in verdict.kmsan_reasoning:
        verdict = dataclasses.replace(verdict, kmsan_reasoning=f"{verdict.kmsan_reasoning} not asked: {why}".lstrip())
    verdict = settlement.without_secrets(verdict, case.redactor)
    # a farm knows no call paths
    return dataclasses.replace(verdict, via=()) if case.asking.profile == "farm" else verdict


def _shown_answers(verdict: Verdict) -> Shown:
    return {"Disputes": list(verdict.disputes), "DecidedBy": str(verdict.decided_by)}


def _no_kmsan(case: Case) -> str:
    """Why no kernel that can be built has KMSAN, so that nobody is asked whether it is needed; empty where one may."""
    from hook.evidence.memory import kmsan

    arch = case.settings.target.arch
    if arch not in kmsan.TARGETS:
        return f"there is KMSAN for {' and '.join(kmsan.TARGETS)} only, and the target is {arch}"
    if case.asking.profile == "farm":
        return ""  # it has compilers of its own
    # what is only a part of a kernel's tree proves nothing
    return kmsan.hindrance(case.kernel, arch) if case.kernel.options.get("KMSAN") is not None else ""


# The flow


def judge(change: Change, objects: Objects, settings: Settings, *, use_cache: bool = True, asking: Asking = NOT_ASKED) -> Judged:
    """The verdict for `change`. What cannot be read or proved stays open, and the verdict says so.

    Raises WrongSetting where the person insists on asking a model and the key or a prompt cannot be had.
    """
    use_cache = use_cache and settings.cache.enabled
    if use_cache and (known := _known(change, objects, settings, asking)):
        return known
    with contextlib.ExitStack() as stack:
        if _waits_its_turn(settings, asking):
            try:
                waited = stack.enter_context(claim.held(change.repo, change.patch.change_id, asking.deadline - time.monotonic()))
            except filelock.Held:
                asking = dataclasses.replace(asking, deadline=0.0)  # somebody else still asks about it: pending
            except OSError:
                pass  # nothing can be written here: what asking costs could not be, either
            else:
                if waited and use_cache and (known := _known(change, objects, settings, asking)):
                    return known
        return _judge(Case(change, objects, _after(change, objects), settings, asking, Redactor(), use_cache))


def _known(change: Change, objects: Objects, settings: Settings, asking: Asking) -> Judged | None:
    known = reuse.known(change, objects, settings, asking)
    if known is None:
        return None
    verdict = dataclasses.replace(known.verdict, base=change.base, commit=change.commit)
    return Judged(change, with_state(verdict, change, settings, asking), True, known.why)


def _waits_its_turn(settings: Settings, asking: Asking) -> bool:
    """Whether the model may be asked about what another process may ask about at this moment. (A claim costs less than to know it.)"""
    return asking.mode == "auto" and asking.may_wait and bool(settings.agent.base_url)


def _judge(case: Case) -> Judged:
    change, trajectory = case.change, Trajectory(case.redactor.value)
    with trajectory.inside("flow", "patch-triage") as span:
        proved = prove(case, trajectory)
        bench, why = _step(
            trajectory, "ask-or-not", lambda: _prepared(proved, trajectory), lambda it: {"Asked": it[0] is not None, "Why": it[1]}
        )
        answered = _ask(proved, bench, why, trajectory) if bench is not None else Answered(proved.verdict, why)
        verdict = dataclasses.replace(answered.verdict, base=change.base, commit=change.commit)
        span.results = to_document(verdict)
    if bench is not None:
        trajectory.close()
        trajectories.sweep(change.repo)
    if case.use_cache:
        _keep_for_reuse(proved, answered, verdict)
    unanswered = _unanswered(case, answered)
    verdict = with_state(verdict, change, case.settings, case.asking, unanswered)
    return Judged(change, verdict, False, answered.why, trajectory if bench is not None else None, unanswered=unanswered)


def _keep_for_reuse(proved: Proved, answered: Answered, verdict: Verdict) -> None:
    case, proofs = proved.case, proved.proofs
    if any(outcome.results is None for outcome in answered.outcomes.values()):
        return  # what an endpoint could not answer today it may answer tomorrow
    verdict = dataclasses.replace(verdict, tokens=Tokens())
    # a full disk or a read-only .git: the verdict itself is what counts, and the record says what is wrong
    with contextlib.suppress(OSError):
        if verdict.decided_by is DecidedBy.AGENT:
            reuse.keep_answer(case.change, case.settings, case.asking, case.source, proofs, verdict, answered.looked_at)
        elif not answered.outcomes:
            reuse.keep_evidence(case.change, case.objects, case.settings, case.asking, case.source, proofs, verdict)


def _unanswered(case: Case, answered: Answered) -> Unanswered | None:
    for outcome in answered.outcomes.values():
        if outcome.results is None:
            from hook.agent import loop

            return Unanswered(str(outcome.end), case.redactor.text(outcome.why), outcome.end in loop.FOR_NOW)
    return None


def with_hunks(judged: Judged, objects: Objects, settings: Settings) -> Judged:
    """The same, with each hunk of its change classified."""
    from hook.evidence.functional import hunk_classes

    found = hunk_classes.classify(judged.change.patch, _after(judged.change, objects), settings.target.arch)
    return dataclasses.replace(judged, hunks=tuple(found))


def _after(change: Change, objects: Objects) -> Source:
    """The tree with the change applied. What is staged is laid over its base: git needs a while to look anything up in a large index."""
    if change.after:
        return Source(objects, change.after, base=change.base)
    changes = {path: "" for file in change.patch.files for path in (file.old_path,)}
    changes |= {file.path: file.new_blob or "" for file in change.patch.files}
    return Source(objects, change.base_tree, changes, base=change.base)


def dry_run(change: Change, objects: Objects, settings: Settings, asking: Asking) -> tuple[dict[str, typing.Any], int, str]:
    """The first request that would be sent about a change, about how many tokens it has, and why it would be sent or not."""
    from hook.agent import evaluators

    found = proved(change, objects, settings, asking)
    bench = _bench(found, use_cache=False)
    request, tokens = evaluators.first_request(bench, evaluators.AGENTS[0].task(bench, {}))
    why, _ = may_ask(change, found.verdict, settings, asking)
    return request, tokens, why.replace("asked: ", "It would be asked: ") if why.startswith("asked") else f"It would not be sent: {why}."


def replay(
    change: Change, objects: Objects, settings: Settings, asking: Asking, redactor: Redactor, recording: Recording
) -> tuple[Verdict, Trajectory]:
    """A recorded run once more: the same turns of the model, today's tools and checks. Nothing is kept of it.

    Raises WrongSetting where a prompt cannot be used.
    """
    trajectory = Trajectory(redactor.value)
    found = prove(Case(change, objects, _after(change, objects), settings, asking, redactor), trajectory)
    bench = _bench(found, use_cache=False, client=recording)
    return _ask(found, bench, "", trajectory, recording).verdict, trajectory


def proved(change: Change, objects: Objects, settings: Settings, asking: Asking = NOT_ASKED) -> Proved:
    """What is proved of a change without a model; nothing is asked, and nothing kept."""
    redactor = Redactor()
    case = Case(change, objects, _after(change, objects), settings, asking, redactor)
    return prove(case, Trajectory(redactor.value))


def stops(policy: str, verdict: Verdict) -> bool:
    """Whether a policy stops a commit with this verdict."""
    if policy == "unjudged":
        return verdict.decided_by is DecidedBy.DEFAULT
    return policy == "worth-fuzzing" and verdict.worth_fuzzing


def judge_commits(
    repo: Repository,
    objects: Objects,
    settings: Settings,
    commits: Sequence[str],
    *,
    use_cache: bool = True,
    asking: Asking = NOT_ASKED,
    ids: Mapping[str, str] | None = None,
) -> Iterator[Judged | NotJudged]:
    """The verdicts of many commits, in their order. Those that the cache knows cost a look-up; only the others are read.

    `ids` are their ChangeIds, where the caller has them already.
    """
    known: Mapping[str, str] = {}
    if use_cache and settings.cache.enabled:
        known = patch.change_ids(repo, commits) if ids is None else ids
    for oid in commits:
        try:
            commit = find_commit(objects, oid)
            if oid in known:
                plain = unread(repo, commit, known[oid])
                if judged := _known(plain, objects, settings, asking):
                    yield judged
                    continue
            yield judge(of_commit(repo, objects, settings, commit), objects, settings, use_cache=use_cache, asking=asking)
        except NothingToJudge as nothing:
            yield NotJudged(oid, str(nothing), failed=False)
        except GitError as wrong:
            yield NotJudged(oid, str(wrong), failed=True)


def keep(repo: Repository, judged: Sequence[Judged], settings: Settings, carried: Mapping[str, store.Documents] | None = None) -> list[str]:
    """Record the verdicts of commits where the settings say, `carried` documents beside them.

    Returns the lines a person should read where that was not possible.
    """
    said = store.keep(repo, settings, [one.verdict for one in judged if one.verdict.commit], carried)
    for one in judged:
        if one.trajectory is not None:
            span = one.trajectory.begin("action", "record", results={"Formats": list(settings.record.format)})
            span.error = "; ".join(said)
            one.trajectory.end(span)
            one.trajectory.close()
    return said
