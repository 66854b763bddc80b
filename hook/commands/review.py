"""`patch-triage review`: a series, patch by patch and as a whole.

Each patch is judged on the state before it, by several processes at once, and all of them together as one change from the first state to
the last: an early patch may add what only a later one uses. Verdicts are remembered one by one, so a review that was stopped goes on.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import signal
import sys
import time
import typing
from collections.abc import Sequence

from hook import config
from hook.commands import DONE, NOT_JUDGED, Command, WrongUse, complain, mail, repository, settings_at
from hook.source.git import GitError, Repository
from hook.source.objects import Objects

if typing.TYPE_CHECKING:
    from hook.change.change import Change
    from hook.report.series import Outcome, Series

_FEW = 3  # patches that are not worth more than one process
_INTERRUPTED = 130


class _Work(typing.NamedTuple):
    """What each process needs to judge."""

    repo: Repository
    settings: config.Settings
    deadline: float  # of time.monotonic(), for a model; in the past, open questions are left pending
    use_cache: bool


def register(command: Command) -> None:
    """Add the command."""
    sub = command("review", review, "judge a series: every patch on the state before it, and all of them as one change")
    sub.add_argument("series", metavar="A..B | FILE | -", help="a range, or a mailbox with patches; - is standard input")
    sub.add_argument("--base", metavar="REV", help="what a mailed series is judged on")
    sub.add_argument("--jobs", type=int, default=0, metavar="N", help="so many processes (default: one a processor)")
    sub.add_argument("--wait", action="store_true", help="ask the model now about what the evidence leaves open")
    sub.add_argument("--no-cache", action="store_true", help="judge anew, and remember nothing")
    sub.add_argument("--record", action="store_true", help="also record each verdict with its commit")
    sub.add_argument("--html", metavar="FILE", help="write a page with a row for each patch")
    sub.add_argument("--format", choices=("text", "json"), default="text")


def review(options: argparse.Namespace) -> int:
    """Judge a series and print the table."""
    from hook.report import series as report

    if options.jobs < 0:
        raise WrongUse("--jobs takes a number of processes")
    repo = repository(options)
    try:
        if ".." in options.series and not pathlib.Path(options.series).exists():
            if options.base:
                raise WrongUse("--base goes with a mailed series; a range begins where it begins")
            judged = _of_range(repo, options)
        else:
            if options.record:
                raise WrongUse("--record goes with a range: a mailed patch is no commit")
            judged = _of_mail(repo, options)
    except KeyboardInterrupt:
        _progress(0, 0)
        complain("stopped; the same command goes on from here" if not options.no_cache else "stopped")
        return _INTERRUPTED
    if options.html:
        name = options.series if options.series != "-" else "a mailed series"
        pathlib.Path(options.html).write_text(report.render(f"review of {name}", judged), "utf-8", "backslashreplace")
    if options.format == "json":
        print(json.dumps(report.document(judged)))
    else:
        print("\n".join(report.lines(judged)))
    return NOT_JUDGED if any(one.failed for one in (*judged.patches, judged.whole)) else DONE


def _of_range(repo: Repository, options: argparse.Namespace) -> Series:
    from hook.change.change import find_commit, head_commit, revisions
    from hook.record import store
    from hook.report.series import Series

    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        oids = revisions(repo, options.series)
        if not oids:
            raise GitError(f"{options.series} holds no commits")
        head = head_commit(objects)
        work = _work(repo, settings_at(repo, objects, head.oid if head else repo.empty_tree), options)
        tip = oids[-1]
        parents = find_commit(objects, oids[0]).parents
    outcomes = _all(work, oids, options.jobs)
    if options.record:
        for line in store.keep(repo, work.settings, [one.verdict for one in outcomes if one.verdict is not None]):
            complain(line)
    return Series(tuple(outcomes), _whole(work, repo, parents[0] if parents else "", tip))


def _of_mail(repo: Repository, options: argparse.Namespace) -> Series:
    from hook.change import series as mailed
    from hook.change.change import head_commit
    from hook.report.series import Outcome, Series

    with Objects(repo, config.BY_NAME["limits.blob_bytes"].default) as objects:
        head = head_commit(objects)
        work = _work(repo, settings_at(repo, objects, head.oid if head else repo.empty_tree), options)
    data, name = mail(options.series, work.settings["limits.mail_bytes"])
    with mailed.read(repo, work.settings, data, name, options.base) as series:
        if series.why and options.format == "text":
            complain(f"base: {series.why}")
        changes = list(series.changes())
        judged = iter(_all(work, [one for one in changes if not isinstance(one, mailed.Unread)], options.jobs))
        outcomes = [Outcome(one.label, None, one.why, one.failed) if isinstance(one, mailed.Unread) else next(judged) for one in changes]
        last = [one for one in changes if not isinstance(one, mailed.Unread)][-1:]
        if any(one.failed for one in outcomes) or not last:
            return Series(tuple(outcomes), Outcome("the series", None, "not judged as a whole: a patch of it could not be applied", True))
        return Series(tuple(outcomes), _whole(work, last[0].repo, last[0].base, last[0].after))


def _work(repo: Repository, settings: config.Settings, options: argparse.Namespace) -> _Work:
    deadline = time.monotonic() + settings["agent.max_seconds"] if options.wait else 0.0
    return _Work(repo, settings, deadline, not options.no_cache)


def _whole(work: _Work, repo: Repository, base: str, after: str) -> Outcome:
    """The verdict for everything between two states."""
    from hook.change import patch
    from hook.change.change import Change
    from hook.report.series import Outcome

    label = "the series"
    try:
        made = patch.read(repo, ["diff-tree", "-r", base or repo.empty_tree, after], work.settings["limits.diff_bytes"])
    except GitError as wrong:
        return Outcome(label, None, str(wrong), failed=True)
    if not made.files:
        return Outcome(label, None, "nothing is left of what its patches change")
    return _judge_change(work, Change(label, repo, made, base, base or repo.empty_tree, after))


def _all(work: _Work, things: Sequence[str | Change], jobs: int) -> list[Outcome]:
    """The outcomes of commits or mailed changes, in their order."""
    jobs = min(jobs or os.cpu_count() or 1, len(things))
    _progress(0, len(things))
    found: dict[int, Outcome] = {}
    if jobs < 2 or len(things) <= _FEW:
        for number, one in enumerate(things):
            found[number] = _judge(work, one)
            _progress(len(found), len(things))
    else:
        context = multiprocessing.get_context("fork")
        with concurrent.futures.ProcessPoolExecutor(jobs, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
            waiting = {pool.submit(_judge, work, one): number for number, one in enumerate(things)}
            try:
                for done in concurrent.futures.as_completed(waiting):
                    found[waiting[done]] = done.result()
                    _progress(len(found), len(things))
            except concurrent.futures.process.BrokenProcessPool:
                raise GitError("a process that judged was killed: is there memory enough? --jobs 1 takes the least") from None
            except KeyboardInterrupt:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    _progress(0, 0)
    return [found[number] for number in range(len(things))]


def _judge(work: _Work, one: str | Change) -> Outcome:
    from hook import triage
    from hook.change.change import find_commit
    from hook.report.series import Outcome

    if not isinstance(one, str):
        return _judge_change(work, one)
    asking = triage.Asking(deadline=work.deadline)
    with Objects(work.repo, work.settings["limits.blob_bytes"]) as objects:
        label = f"{one[:12]} {find_commit(objects, one).subject}"
        (found,) = triage.judge_commits(work.repo, objects, work.settings, [one], use_cache=work.use_cache, asking=asking)
    if isinstance(found, triage.NotJudged):
        return Outcome(label, None, found.why, found.failed)
    return Outcome(label, found.verdict)


def _judge_change(work: _Work, change: Change) -> Outcome:
    from hook import triage
    from hook.report.series import Outcome

    asking = triage.Asking(deadline=work.deadline)
    try:
        with Objects(change.repo, work.settings["limits.blob_bytes"]) as objects:
            found = triage.judge(change, objects, work.settings, use_cache=work.use_cache, asking=asking)
    except GitError as wrong:
        return Outcome(change.label, None, str(wrong), failed=True)
    return Outcome(change.label, found.verdict)


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        bar = "#" * (done * 30 // total) if total else ""
        print(f"\r\033[K[{bar:30}] {done} of {total} patches" if total else "\r\033[K", end="", file=sys.stderr, flush=True)
