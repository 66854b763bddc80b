"""The flow: change -> evidence -> (agent) -> verdict -> record. Read this first.

A change comes in whole (hook.change). `judge` takes what was answered before, if it still holds (hook.reuse). Else it proves what can be
proved (hook.steps.proving), asks the agents what stays open, where they may be asked (hook.steps.consultation), and settles the verdict
(hook.settlement). `keep` puts it where the settings say; a record that lacked more is replaced in any case. Nothing here runs git or
looks into C.
"""

from __future__ import annotations

import contextlib
import time
import typing
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hook import reuse
from hook.asking import INTERRUPTED, NOT_ASKED, Asking, Unanswered, may_ask, with_state
from hook.change import patch
from hook.change.change import Change, NothingToJudge, UnknownMerge, find_commit, of_commit, unread
from hook.config import Settings
from hook.failure import CannotJudge
from hook.record import claim, store
from hook.source import filelock
from hook.source.git import Repository
from hook.source.object_store import Objects
from hook.verdict import DecidedBy, Tokens, Verdict, to_document

if typing.TYPE_CHECKING:
    from hook.agent.endpoint.recording import Recording
    from hook.evidence.functional import hunk_classes
    from hook.redaction import Redactor
    from hook.steps.consultation import Answered
    from hook.steps.proving import Case, Proved
    from hook.trajectory import Trajectory


class Judged(msgspec.Struct, frozen=True):
    """A change with its verdict."""

    change: Change
    verdict: Verdict
    asked: str = ""  # why the model was asked, or was not
    trajectory: Trajectory | None = None  # of the run in which it was asked
    hunks: tuple[hunk_classes.Classified, ...] = ()  # where they were asked for
    unanswered: Unanswered | None = None  # the question of this run that got no answer, if there is one

    @property
    def unsettled(self) -> str:
        """Why no model has settled what the evidence leaves open; empty where it leaves nothing open."""
        if self.verdict.decided_by is not DecidedBy.DEFAULT:
            return ""
        return self.unanswered.why if self.unanswered else self.asked.removeprefix("not asked: ")

    @property
    def was_interrupted(self) -> bool:
        """Whether the person has ended the asking: no model is to be asked about the next commits either."""
        return self.unanswered is not None and self.unanswered.end == INTERRUPTED


class NotJudged(msgspec.Struct, frozen=True):
    """A commit without a verdict: because there is nothing to judge, or because it could not be read."""

    commit: str
    why: str
    failed: bool
    unknown: bool = False  # whether there may be something to judge


def judge(change: Change, objects: Objects, settings: Settings, *, use_cache: bool = True, asking: Asking = NOT_ASKED) -> Judged:
    """The verdict for `change`. What cannot be read or proved stays open, and the verdict says so.

    Raises WrongSetting where the person insists on asking a model and the key or a prompt cannot be had.
    """
    use_cache = use_cache and settings.cache.enabled
    if use_cache and (known := _known(change, objects, settings, asking)):
        return known
    from hook.steps import proving  # only what is not known pays for it

    with contextlib.ExitStack() as stack:
        if _waits_its_turn(settings, asking):
            try:
                waited = stack.enter_context(claim.held(change.repo, change.patch.change_id, asking.deadline - time.monotonic()))
            except filelock.Held:
                asking = msgspec.structs.replace(asking, deadline=0.0)  # somebody else still asks about it: pending
            except OSError:
                pass  # nothing can be written here: what asking costs could not be, either
            else:
                if waited and use_cache and (known := _known(change, objects, settings, asking)):
                    return known
        return _judge(proving.case(change, objects, settings, asking, use_cache=use_cache))


def _known(change: Change, objects: Objects, settings: Settings, asking: Asking) -> Judged | None:
    known = reuse.known(change, objects, settings, asking)
    if known is None:
        return None
    verdict = with_state(_of_change(known.verdict, change), change, settings, asking)
    with contextlib.suppress(OSError):
        reuse.replace_lesser(verdict, change, settings)
    return Judged(change, verdict, known.why)


def _of_change(verdict: Verdict, change: Change) -> Verdict:
    """A verdict with what its content does not say: which commit it is, and what its message claims."""
    return msgspec.structs.replace(verdict, base=change.base, commit=change.commit, author_says=change.author_says)


def standing_verdict(change: Change, objects: Objects, settings: Settings) -> Verdict:
    """The recorded verdict of a commit; one that is given now, without a model, where there is none or it was cut short."""
    recorded = store.read(change.repo, settings, {change.commit: change.patch.change_id})[change.commit].verdict
    if recorded is not None and (not recorded.lacks or recorded.decided_by is DecidedBy.AGENT):
        return recorded
    return judge(change, objects, settings, asking=Asking()).verdict


def _waits_its_turn(settings: Settings, asking: Asking) -> bool:
    """Whether the model may be asked about what another process may ask about at this moment. (A claim costs less than to know it.)"""
    return asking.mode == "auto" and asking.may_wait and bool(settings.agent.base_url)


def _judge(case: Case) -> Judged:
    from hook.steps import consultation, proving
    from hook.trajectory import Trajectory

    change, trajectory = case.change, Trajectory(case.redactor.value)
    with trajectory.inside("flow", "patch-triage") as span:
        proved = proving.prove(case, trajectory)
        bench, why = trajectory.step(
            "ask-or-not", lambda: consultation.prepare(proved, trajectory), lambda it: {"Asked": it[0] is not None, "Why": it[1]}
        )
        answered = consultation.ask(proved, bench, why, trajectory) if bench is not None else consultation.Answered(proved.verdict, why)
        verdict = _of_change(answered.verdict, change)
        span.results = to_document(verdict)
    if bench is not None:
        from hook.record import trajectories

        trajectory.close()
        trajectories.sweep(change.repo)
    if case.use_cache:
        _keep_for_reuse(proved, answered, verdict)
    unanswered = consultation.unanswered(case, answered)
    verdict = with_state(verdict, change, case.settings, case.asking, unanswered)
    if change.commit and not case.asking.is_short:
        store.replace_lesser(change.repo, case.settings, verdict)
    return Judged(change, verdict, answered.why, trajectory if bench is not None else None, unanswered=unanswered)


def _keep_for_reuse(proved: Proved, answered: Answered, verdict: Verdict) -> None:
    case, proofs = proved.case, proved.proofs
    if any(outcome.results is None for outcome in answered.outcomes.values()):
        return  # what an endpoint could not answer today it may answer tomorrow
    verdict = msgspec.structs.replace(verdict, tokens=Tokens())
    # a full disk or a read-only .git: the verdict itself is what counts, and the record says what is wrong
    with contextlib.suppress(OSError):
        if verdict.decided_by is DecidedBy.AGENT:
            reuse.keep_answer(case.change, case.settings, case.asking, case.source, proofs, verdict, answered.looked_at)
        elif not answered.outcomes:
            reuse.keep_evidence(case.change, case.objects, case.settings, case.source, proofs, verdict)


def with_hunks(judged: Judged, objects: Objects, settings: Settings) -> Judged:
    """The same, with each hunk of its change classified."""
    from hook.evidence.functional import hunk_classes
    from hook.steps import proving

    classified = hunk_classes.classify(judged.change.patch, proving.tree_after(judged.change, objects, settings), settings.target.arch)
    return msgspec.structs.replace(judged, hunks=tuple(classified))


def dry_run(change: Change, objects: Objects, settings: Settings, asking: Asking) -> tuple[dict[str, typing.Any], int, str]:
    """The first request that would be sent about a change, about how many tokens it has, and why it would be sent or not."""
    from hook.agent import evaluators
    from hook.steps import consultation

    proofs = proved(change, objects, settings, asking)
    bench = consultation.lay_out(proofs, use_cache=False)
    request, tokens = evaluators.first_request(bench, evaluators.AGENTS[0].task(bench, {}))
    why, _ = may_ask(change, proofs.verdict, settings, asking)
    return request, tokens, why.replace("asked: ", "It would be asked: ") if why.startswith("asked") else f"It would not be sent: {why}."


def replay(
    change: Change, objects: Objects, settings: Settings, asking: Asking, redactor: Redactor, recording: Recording
) -> tuple[Verdict, Trajectory]:
    """A recorded run once more: the same turns of the model, today's tools and checks. Nothing is kept of it.

    Raises WrongSetting where a prompt cannot be used.
    """
    from hook.steps import consultation, proving
    from hook.trajectory import Trajectory

    trajectory = Trajectory(redactor.value)
    proofs = proving.prove(proving.case(change, objects, settings, asking, redactor), trajectory)
    bench = consultation.lay_out(proofs, use_cache=False, client=recording)
    return consultation.ask(proofs, bench, "", trajectory, recording).verdict, trajectory


def proved(change: Change, objects: Objects, settings: Settings, asking: Asking = NOT_ASKED) -> Proved:
    """What is proved of a change without a model; nothing is asked, and nothing kept."""
    from hook.steps import proving
    from hook.trajectory import Trajectory

    case = proving.case(change, objects, settings, asking)
    return proving.prove(case, Trajectory(case.redactor.value))


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
    if use_cache and settings.cache.enabled and len(commits) > 1:  # of one, git tells both at once
        known = patch.change_ids(repo, commits) if ids is None else ids
    for oid in commits:
        try:
            commit = find_commit(objects, oid)
            if oid in known:
                plain = unread(repo, commit, known[oid])
                if judged := _known(plain, objects, settings, asking):
                    yield judged
                    continue
            judged = judge(of_commit(objects, commit), objects, settings, use_cache=use_cache, asking=asking)
            if judged.was_interrupted:
                asking = msgspec.structs.replace(asking, deadline=0.0)
            yield judged
        except NothingToJudge as nothing:
            yield NotJudged(oid, str(nothing), failed=False, unknown=isinstance(nothing, UnknownMerge))
        except CannotJudge as wrong:
            yield NotJudged(oid, str(wrong), failed=True)


def hand_in(repo: Repository, judged: Sequence[Judged], settings: Settings) -> bool:
    """Queue the verdicts of commits for a process that nobody waits for; False where `keep` is to be called, as it may say something."""
    no_trajectory = all(judgement.trajectory is None for judgement in judged)
    return no_trajectory and store.hand_in(repo, settings, [judgement.verdict for judgement in judged if judgement.verdict.commit])


def keep(repo: Repository, judged: Sequence[Judged], settings: Settings, carried: Mapping[str, store.Documents] | None = None) -> list[str]:
    """Record the verdicts of commits where the settings say, `carried` documents beside them.

    Returns the lines a person should read where that was not possible.
    """
    complaints = store.keep(repo, settings, [judgement.verdict for judgement in judged if judgement.verdict.commit], carried)
    for judgement in judged:
        if judgement.trajectory is not None:
            span = judgement.trajectory.begin("action", "record", results={"Formats": list(settings.record.format)})
            span.error = "; ".join(complaints)
            judgement.trajectory.end(span)
            judgement.trajectory.close()
    return complaints
