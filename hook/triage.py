"""The flow: change -> evidence -> (agent) -> verdict -> record. Read this first.

A change comes in whole (hook.change). `judge` goes through FLOW, a list of named steps, each one call into the folder of its name; `keep`
puts the verdict where the settings say. Nothing here runs git or looks into C.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import time
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

from hook import settlement
from hook.asking import NOT_ASKED, Asking, Unanswered, may_ask, refusal
from hook.change import patch
from hook.change.change import Change, NothingToJudge, find_commit, of_commit, unread
from hook.config import Settings, WrongSetting
from hook.record import cache, claim, store, trajectories
from hook.redaction import Redactor
from hook.source import filelock
from hook.source import setting_layers as settings_source
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.trajectory import Trajectory
from hook.verdict import Answer, DecidedBy, State, Tokens, Verdict, to_document

if typing.TYPE_CHECKING:
    from hook.agent import budget, evaluators, loop
    from hook.agent.endpoint.recording import Recording
    from hook.evidence.finding import Evidence
    from hook.evidence.functional import hunk_classes
    from hook.kernel.kernel import Kernel


KMSAN_TARGETS = ("x86_64", "s390")  # Documentation/dev-tools/kmsan.rst


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


@dataclasses.dataclass
class Run:
    """One change on its way through the flow. Each step reads what those before it have left."""

    change: Change
    objects: Objects
    source: Source  # the tree with the change applied
    settings: Settings
    asking: Asking
    use_cache: bool
    trajectory: Trajectory
    redactor: Redactor
    may_keep: bool = True  # in the cache
    rests_on_all: bool = False  # the verdict does, so that any new file may change it
    proofs: settlement.Proofs | None = None
    made: Kernel | None = None
    verdict: Verdict | None = None  # of the evidence; then of the agent, where it was asked and its answer holds
    why: str = ""  # the model was asked, or was not
    bench: evaluators.Bench | None = None
    outcomes: list[loop.Outcome] = dataclasses.field(default_factory=list)

    @property
    def known(self) -> settlement.Proofs:
        """What the first step has left, and those after it have added to."""
        assert self.proofs is not None
        return self.proofs

    @property
    def evidence(self) -> Evidence:
        return self.known.evidence

    @property
    def kernel(self) -> Kernel:
        """What works options out for the tree with the change applied; what it has read for one step serves the next."""
        from hook.kernel.kernel import Kernel

        if self.made is None:
            read = self.settings
            self.made = Kernel(self.source, read["target.arch"], read["fuzz.toolchain"], read.base_config)
        return self.made


class Step(typing.NamedTuple):
    """A step of the flow: it is taken where `wanted` says so, and gives what the trajectory shows as its results."""

    name: str
    kind: str  # of its span; an agent writes its own
    wanted: Callable[[Run], bool]
    take: Callable[[Run], typing.Any]


def _always(run: Run) -> bool:
    return True


def _is_asked(run: Run) -> bool:
    return run.bench is not None


def _is_worth_it(run: Run) -> bool:
    outcome = run.outcomes[0] if run.outcomes else None
    return outcome is not None and outcome.results is not None and outcome.results.worth_fuzzing


def _is_open(run: Run) -> bool:
    return Answer.NO not in (run.evidence.functional, run.evidence.reachable)


def _may_need_kmsan(run: Run) -> bool:
    return _is_worth_it(run) and not _without_kmsan(run)


def _without_kmsan(run: Run) -> str:
    """Why no kernel that can be built has KMSAN, so that nobody is asked whether it is needed; empty where one may."""
    arch = run.settings["target.arch"]
    if arch not in KMSAN_TARGETS:
        return f"there is KMSAN for {' and '.join(KMSAN_TARGETS)} only, and the target is {arch}"
    if run.asking.profile == "farm":
        return ""  # it has compilers of its own
    from hook.evidence.memory import kmsan

    # what is only a part of a kernel's tree proves nothing
    return kmsan.hindrance(run.kernel, arch) if run.kernel.options.get("KMSAN") is not None else ""


def _read(run: Run) -> typing.Any:
    return {"PatchDiff": run.bench.variables["diff"]} if run.bench else {"Files": len(run.change.patch.files)}


def _gather(run: Run) -> typing.Any:
    from hook.evidence.functional import harmless  # only what is not known already pays for it

    most, seconds = run.settings["focus.max_symbols"], run.settings["limits.evidence_seconds"]
    evidence = harmless.gather(run.change.patch, run.source, run.settings["target.arch"], most, seconds)
    run.proofs = settlement.Proofs(evidence)
    claims = [one.fact.claim for one in evidence.findings]
    return {"Functional": evidence.functional, "Reachable": evidence.reachable, "Facts": claims}


def _configure(run: Run) -> typing.Any:
    from hook.evidence.options import needed_options  # what is harmless or out of reach does not pay for it

    found = needed_options.find(run.change.patch, run.evidence, run.kernel)
    run.proofs = dataclasses.replace(run.known, evidence=needed_options.with_reach(run.evidence, found), configs=found)
    run.may_keep = not found.unreachable  # that rests on what other files do not hold
    first = found.sets[0] if found.sets else None
    return {"EnableConfigs": list(first.enable) if first else [], "DisableConfigs": list(first.disable) if first else []}


def _reach(run: Run) -> typing.Any:
    from hook.evidence.reach import reachability

    within = reachability.limits(run.settings, _is_thorough(run.asking))
    found = reachability.find(run.change.patch, run.evidence, run.source, run.kernel, within)
    run.proofs = dataclasses.replace(run.known, evidence=reachability.with_answers(run.evidence, run.change.patch, found), reached=found)
    run.rests_on_all = found.answer is Answer.NO
    return {"Reachable": found.answer, "Devices": list(found.devices), "Open": list(found.questions)}


def _is_thorough(asking: Asking) -> bool:
    return asking.thorough or asking.deadline > time.monotonic()


def _look_for_leaks(run: Run) -> typing.Any:
    from hook.evidence.memory import leaks

    found = leaks.find(run.change.patch, run.evidence, run.source, run.kernel, run.settings["target.arch"])
    run.proofs = dataclasses.replace(run.known, leaks=found)
    # a proof rests on which headers define a struct, and on that no other does
    run.may_keep = run.may_keep and not found.proved and not found.cut
    return {"NeedsKMSAN": found.needs, "Proved": len(found.proved), "Signals": [one.claim for one in found.signals]}


def _settle(run: Run) -> typing.Any:
    patch_id = patch.patch_id(run.change.repo, run.change.patch, run.settings["limits.diff_bytes"])
    run.verdict = dataclasses.replace(settlement.settle(run.change, run.known, run.settings), patch_id=patch_id)
    return {"WorthFuzzing": run.verdict.worth_fuzzing, "DecidedBy": run.verdict.decided_by}


def _prepare(run: Run) -> typing.Any:
    assert run.verdict is not None
    run.why, may = may_ask(run.change, run.verdict, run.settings, run.asking)
    if may:
        try:
            run.bench = _laid_out(run, use_cache=run.use_cache)
        except WrongSetting as wrong:
            if run.asking.mode == "always":
                raise
            run.why = f"not asked: {wrong}"
        else:
            run.bench.client.meter = _meter(run)
            run.trajectory.open(trajectories.new_path(run.change.repo, run.change.patch.change_id))
    return {"Asked": run.bench is not None, "Why": run.why}


def _meter(run: Run) -> budget.Meter:
    from hook.agent import budget

    change = run.change

    def now_refused() -> str:
        return settings_source.switched_off(change.repo) or refusal(change, run.settings, run.asking)

    directory = change.repo.state_dir / "ledger"
    return budget.Meter(directory, run.settings, change.patch.change_id, change.commit, run.asking.push, now_refused)


def _laid_out(run: Run, *, use_cache: bool, client: Recording | None = None) -> evaluators.Bench:
    """What the agents need for this run. Raises WrongSetting."""
    from hook.agent import evaluators

    assert run.verdict is not None
    return evaluators.prepare(
        run.change,
        run.evidence,
        run.verdict,
        run.objects,
        run.settings,
        profile=run.asking.profile,
        deadline=run.asking.deadline,
        use_cache=use_cache,
        redactor=run.redactor,
        leaks=run.known.leaks,
        client=client,
    )


def _evaluate(run: Run) -> None:
    from hook.agent import evaluators

    assert run.bench is not None
    run.outcomes.append(evaluators.ask(run.bench, evaluators.patch_task(run.bench), run.trajectory, run.asking.progress))


def _evaluate_kmsan(run: Run) -> None:
    from hook.agent import evaluators

    assert run.bench is not None
    task = evaluators.kmsan_task(run.bench, run.outcomes[0].results.reasoning)
    run.outcomes.append(evaluators.ask(run.bench, task, run.trajectory, run.asking.progress))


def _settle_agent(run: Run) -> typing.Any:
    assert run.verdict is not None and run.bench is not None
    run.verdict = settlement.with_outcomes(run.verdict, run.outcomes, tuple(run.bench.grounding.disputes), run.bench.grounding.reasons)
    if _is_worth_it(run) and (why := _without_kmsan(run)) and why not in run.verdict.kmsan_reasoning:
        found = run.verdict.kmsan_reasoning  # what the tree shows of unset memory
        run.verdict = dataclasses.replace(run.verdict, kmsan_reasoning=f"{found} not asked: {why}".lstrip())
    run.verdict = settlement.without_secrets(run.verdict, run.redactor)
    if run.asking.profile == "farm":
        run.verdict = dataclasses.replace(run.verdict, via=())  # a farm knows no ways in
    if run.outcomes[0].results is None:
        run.why = run.redactor.text(f"{run.why}, without result: {run.outcomes[0].end}: {run.outcomes[0].why}")
    return {"Disputes": list(run.verdict.disputes), "DecidedBy": str(run.verdict.decided_by)}


FLOW: tuple[Step, ...] = (
    Step("evidence", "action", _always, _gather),
    Step("configs", "action", _is_open, _configure),
    Step("reach", "action", _is_open, _reach),
    Step("kmsan", "action", _is_open, _look_for_leaks),
    Step("settle", "action", _always, _settle),
    Step("ask-or-not", "action", _always, _prepare),
    Step("read-patch-diff", "action", _is_asked, _read),
    Step("patch-evaluator", "agent", _is_asked, _evaluate),
    Step("kmsan-evaluator", "agent", _may_need_kmsan, _evaluate_kmsan),
    Step("verdict", "action", _is_asked, _settle_agent),
)
_THOROUGH = "thorough"  # the name under which the cache keeps what was searched for as long as it took
# what is taken before it is asked whether to ask, and what comes after that
_PROVING = tuple(itertools.takewhile(lambda step: step.take is not _prepare, FLOW))
_ASKING = FLOW[len(_PROVING) + 1 :]


def judge(change: Change, objects: Objects, settings: Settings, *, use_cache: bool = True, asking: Asking = NOT_ASKED) -> Judged:
    """The verdict for `change`. What cannot be read or proved stays open, and the verdict says so.

    Raises WrongSetting where the person insists on asking a model and the key or a prompt cannot be had.
    """
    use_cache = use_cache and settings["cache.enabled"]
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
        return _judge(change, objects, settings, use_cache, asking)


def _waits_its_turn(settings: Settings, asking: Asking) -> bool:
    """Whether the model may be asked about what another process may ask about at this moment. (A claim costs less than to know it.)"""
    return asking.mode == "auto" and asking.deadline > time.monotonic() and bool(settings["agent.base_url"])


def _judge(change: Change, objects: Objects, settings: Settings, use_cache: bool, asking: Asking) -> Judged:
    redactor = Redactor()
    run = Run(change, objects, _after(change, objects), settings, asking, use_cache, Trajectory(redactor.value), redactor)
    with run.trajectory.inside("flow", "patch-triage") as span:
        for step in FLOW:
            if not step.wanted(run):
                continue
            if step.kind == "agent":
                step.take(run)
                continue
            with run.trajectory.inside(step.kind, step.name) as inner:
                inner.results = step.take(run)
        assert run.verdict is not None
        run.verdict = dataclasses.replace(run.verdict, base=change.base, commit=change.commit)
        span.results = to_document(run.verdict)
    if run.bench is not None:
        run.trajectory.close()
        trajectories.sweep(change.repo, settings["agent.max_trajectories"])
    if use_cache:
        _remember(run)
    unanswered = _unanswered(run)
    verdict = _state(run.verdict, change, settings, asking, unanswered)
    return Judged(change, verdict, False, run.why, run.trajectory if run.bench else None, unanswered=unanswered)


def _unanswered(run: Run) -> Unanswered | None:
    for outcome in run.outcomes:
        if outcome.results is None:
            from hook.agent import loop

            return Unanswered(str(outcome.end), run.redactor.text(outcome.why), outcome.end in loop.FOR_NOW)
    return None


def with_hunks(judged: Judged, objects: Objects, settings: Settings) -> Judged:
    """The same, with each hunk of its change classified."""
    from hook.evidence.functional import hunk_classes

    found = hunk_classes.classify(judged.change.patch, _after(judged.change, objects), settings["target.arch"])
    return dataclasses.replace(judged, hunks=tuple(found))


def _after(change: Change, objects: Objects) -> Source:
    """The tree with the change applied. What is staged is laid over its base: git needs a while to look anything up in a large index."""
    if change.after:
        return Source(objects, change.after, base=change.base)
    changes = {path: "" for file in change.patch.files for path in (file.old_path,)}
    changes |= {file.path: file.new_blob or "" for file in change.patch.files}
    return Source(objects, change.base_tree, changes, base=change.base)


def _known(change: Change, objects: Objects, settings: Settings, asking: Asking) -> Judged | None:
    """The verdict that was given before and still holds, if it answers what is asked now."""
    if asking.mode == "always":
        return None
    before = Source(objects, change.base_tree)
    verdict = cache.look_up(change.repo, settings, before, change.patch.change_id, _THOROUGH)
    if verdict is None:
        verdict = cache.look_up(change.repo, settings, before, change.patch.change_id)
        if verdict is not None and verdict.decided_by is not DecidedBy.EVIDENCE and _is_thorough(asking):
            verdict = None  # a longer look may find a way in
    if verdict is None:
        return None
    why = "the evidence settles it" if verdict.decided_by is DecidedBy.EVIDENCE else "--agent never or --offline"
    if asking.mode == "auto" and verdict.decided_by is DecidedBy.DEFAULT:
        why = "a model has answered before"
        after = Source(objects, change.after)
        agents = cache.look_up(change.repo, settings, after, change.patch.change_id, _agents(settings, asking)) if change.after else None
        if agents is None and asking.deadline > time.monotonic():
            return None
        verdict = agents or verdict
    verdict = dataclasses.replace(verdict, base=change.base, commit=change.commit)
    return Judged(change, _state(verdict, change, settings, asking), True, why)


def _agents(settings: Settings, asking: Asking) -> str:
    """The name under which the cache keeps what the agents of a profile say, told as they are."""
    if not settings["agent.prompts"]:
        return asking.profile
    from hook.agent import prompt

    return f"{asking.profile}-{prompt.fingerprint(asking.profile, settings['agent.prompts'])}"


def _remember(run: Run) -> None:
    assert run.verdict is not None
    if run.evidence.unread or run.change.patch.hunks_missing or not run.may_keep:
        return
    if any(outcome.results is None for outcome in run.outcomes):
        return  # what an endpoint could not answer today it may answer tomorrow
    verdict = dataclasses.replace(run.verdict, tokens=Tokens())
    try:
        if verdict.decided_by is DecidedBy.AGENT:
            # what the index holds has no tree object to compare with later
            if run.bench is not None and run.change.after:
                options = {name: digest for name, digest in run.source.read_blobs.items() if name.startswith(cache.NO_PATH)}
                read = {**options, **run.bench.desk.source.read_blobs}
                cache.keep(run.change.repo, run.settings, verdict, read, _agents(run.settings, run.asking))
        elif not run.outcomes:
            # what the change itself holds is in its ChangeId
            changed = {path for file in run.change.patch.files for path in (file.old_path, file.path)}
            reads = {path: oid for path, oid in run.source.read_blobs.items() if path not in changed}
            if any("Kconfig" in path for path in changed):
                before = Source(run.objects, run.change.base_tree)
                reads |= {name: cache.read(before, name, run.settings) for name in reads if name.startswith(cache.NO_PATH)}
            if run.rests_on_all or (run.source.rests_on_all and run.evidence.functional is Answer.NO):
                reads[""] = Source(run.objects, run.change.base_tree).oid("")
            cache.keep(run.change.repo, run.settings, verdict, reads, _THOROUGH if _is_thorough(run.asking) else "")
    except OSError:
        pass  # a full disk or a read-only .git: the verdict itself is what counts, and the record says what is wrong


def _state(verdict: Verdict, change: Change, settings: Settings, asking: Asking, unanswered: Unanswered | None = None) -> Verdict:
    """An open verdict is pending where a model could still be asked about it."""
    if verdict.decided_by is not DecidedBy.DEFAULT or asking.mode == "never":
        return verdict
    if asking.deadline > time.monotonic() and not (unanswered and unanswered.for_now):
        return verdict
    return dataclasses.replace(verdict, state=State.PENDING) if not refusal(change, settings, asking) else verdict


def dry_run(change: Change, objects: Objects, settings: Settings, asking: Asking) -> tuple[dict[str, typing.Any], int, str]:
    """The first request that would be sent about a change, about how many tokens it has, and why it would be sent or not."""
    from hook.agent import evaluators

    run = proved(change, objects, settings, asking)
    bench = _laid_out(run, use_cache=False)
    assert run.verdict is not None
    request, tokens = evaluators.first_request(bench, evaluators.patch_task(bench))
    why, _ = may_ask(change, run.verdict, settings, asking)
    return request, tokens, why.replace("asked: ", "It would be asked: ") if why.startswith("asked") else f"It would not be sent: {why}."


def replay(change: Change, objects: Objects, settings: Settings, asking: Asking, redactor: Redactor, recording: Recording) -> Run:
    """A recorded run once more: the same turns of the model, today's tools and checks. Nothing is kept of it.

    Raises WrongSetting where a prompt cannot be used.
    """
    run = proved(change, objects, settings, asking, redactor)
    run.bench = _laid_out(run, use_cache=False, client=recording)
    for step in _ASKING:
        if step.wanted(run):
            recording.turn_to(step.name)
            step.take(run)
    return run


def proved(change: Change, objects: Objects, settings: Settings, asking: Asking = NOT_ASKED, redactor: Redactor | None = None) -> Run:
    """A change after the steps of the flow that need no model: its evidence, and the verdict that this allows."""
    redactor = redactor or Redactor()
    run = Run(change, objects, _after(change, objects), settings, asking, False, Trajectory(redactor.value), redactor)
    for step in _PROVING:
        if step.wanted(run):
            step.take(run)
    return run


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
    if use_cache and settings["cache.enabled"]:
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
            span = one.trajectory.begin("action", "record", results={"Formats": list(settings["record.format"])})
            span.error = "; ".join(said)
            one.trajectory.end(span)
            one.trajectory.close()
    return said
