"""The stage before a push: the only one that can stop anything, and only by the policy that the person has set."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import msgspec

from hook import triage
from hook.change import patch
from hook.config import WrongSetting
from hook.record import store
from hook.report import text
from hook.source import setting_layers
from hook.source.git import Repository
from hook.source.object_store import Objects
from hook.stages.judging import asking_for, hand_over, judge_all, say, start_worker, why
from hook.verdict import DecidedBy, Verdict

# statuses of their own: a Python that cannot start ends with 1, and must not stop a push
STOPPED = 10  # by the policy
MISCONFIGURED = 11  # by settings that do not say what the policy is
_ALL_THE_SAME = "`PATCH_TRIAGE=0 git push …` skips this check"
_NAMED_IN_PUSH = 10
_NULL = frozenset("0")


def pre_push(objects: Objects, arguments: Sequence[str]) -> int:
    """Judge every commit that the push brings to a remote for the first time, and stop it where the policy says so.

    The policy is the person's alone, and read before anything of the tree. Where there is one, what cannot be judged stops the push too: no
    tree can open the gate by being hard to read.
    """
    try:
        policy = setting_layers.load(objects.repo).policy.block
    except WrongSetting as wrong:
        say(f"push stopped, the policy is not known: {wrong}")
        say(_ALL_THE_SAME)
        return MISCONFIGURED
    try:
        return _judged_push(objects)
    except (Exception, KeyboardInterrupt) as wrong:
        if policy == "never":
            raise
        say(f"push stopped by policy.block: {policy}, no verdict: {why(wrong)}")
        say(_ALL_THE_SAME)
        return STOPPED


def _judged_push(objects: Objects) -> int:
    repo = objects.repo
    settings = setting_layers.at(objects, "HEAD")
    most = settings.push.max_commits
    commits = _pushed(repo, most + 1)
    older = len(commits) > most
    commits = commits[:most]
    if not commits:
        return 0
    asking = msgspec.structs.replace(asking_for(settings.push.wait_seconds), push=os.urandom(8).hex(), at_commit=False)
    judged, missed = judge_all(repo, objects, settings, commits, progress="judging", asking=asking)
    ids = patch.change_ids(repo, [judgement.verdict.commit for judgement in judged])
    # a merge has none of its own: what it changes is no difference from a parent
    recorded = store.read(
        repo, settings, {judgement.verdict.commit: ids.get(judgement.verdict.commit, judgement.verdict.change_id) for judgement in judged}
    )
    unrecorded = [judgement for judgement in judged if not _is_recorded(judgement, recorded[judgement.verdict.commit].verdict)]
    for line in triage.keep(repo, unrecorded, settings):
        say(line)
    hand_over(repo, settings, judged)
    start_worker(repo, settings)
    _report_push(judged, missed)
    if older:
        say(f"only the newest {most} commits of this push were judged (push.max_commits); `patch-triage check A..B` judges more")
    return _policy(settings.policy.block, judged, missed, ["the older commits, which were not judged"] if older else [])


def _pushed(repo: Repository, most: int) -> list[str]:
    """The commits that no remote has, newest first, of every ref on standard input, or of the one the pre-commit framework names."""
    lines = [] if sys.stdin is None or sys.stdin.isatty() else sys.stdin.read().splitlines()
    new, old = [], []
    for line in lines:
        words = line.rsplit(" ", 3)
        if len(words) == 4 and set(words[1]) != _NULL:
            new.append(words[1])
            old.append(words[3])
    if not new and os.environ.get("PRE_COMMIT") == "1":
        new.append(os.environ.get("PRE_COMMIT_TO_REF") or "HEAD")
        old.append(os.environ.get("PRE_COMMIT_FROM_REF", ""))
    if not new:
        return []
    old_tips = [tip for tip in old if tip and set(tip) != _NULL]
    out = repo.run("rev-list", "--ignore-missing", f"--max-count={most}", *new, "--not", "--remotes", *old_tips, "--")
    return out.decode().split()


def _is_recorded(judged: triage.Judged, recorded: Verdict | None) -> bool:
    """Whether a record says what is known now. One that waits for the model does not once that has answered, or a cap keeps it from it."""
    if recorded is None or recorded.decided_by is not DecidedBy.DEFAULT:
        return recorded is not None
    capped = judged.unanswered is not None and judged.unanswered.end.endswith("cap-reached")
    return judged.verdict.decided_by is DecidedBy.DEFAULT and not (capped and judged.verdict.reasoning != recorded.reasoning)


def _report_push(judged: Sequence[triage.Judged], missed: Sequence[triage.NotJudged]) -> None:
    failed = [outcome for outcome in missed if outcome.failed]
    worth = [outcome for outcome in judged if outcome.verdict.worth_fuzzing]
    count = len(judged) + len(failed)
    remark = f", {len(failed)} could not be judged" if failed else ""
    say(f"{count} {'commit' if count == 1 else 'commits'}: {text.tally(outcome.verdict for outcome in judged)}{remark}")
    rows = [(outcome.change.label, text.one_line(outcome.verdict)) for outcome in worth] + [
        (outcome.commit[:12], outcome.why) for outcome in failed
    ]
    for line in text.table(rows[:_NAMED_IN_PUSH]):
        say(f"  {line}")
    if len(rows) > _NAMED_IN_PUSH:
        say(f"  and {len(rows) - _NAMED_IN_PUSH} more")


def stopped(subject: str, policy: str, by: Sequence[str]) -> list[str]:
    """What is said where a policy stops a push or a review: all that it stops at, a line each where there are several."""
    head = f"{subject} stopped by policy.block: {policy}"
    return [f"{head} ({by[0]})"] if len(by) == 1 else [f"{head}, {len(by)} commits:", *(f"  {label}" for label in by)]


def _policy(policy: str, judged: Sequence[triage.Judged], missed: Sequence[triage.NotJudged], remarks: Sequence[str]) -> int:
    if policy == "never":
        return 0
    stopping = [judgement.change.label for judgement in judged if triage.stops(policy, judgement.verdict)]
    stopping += [
        *(judgement.why if judgement.unknown else judgement.commit[:12] for judgement in missed if judgement.failed or judgement.unknown),
        *remarks,
    ]
    if not stopping:
        return 0
    for line in stopped("push", policy, stopping):
        say(line)
    say(_ALL_THE_SAME)
    return STOPPED
