"""Workers: many changes judged by several processes at once, what takes longest first.

The verdict on a series as a whole takes as long as dozens of its patches, so it is begun as soon as its two ends are known, not when the
patches are done. The processes are forked with the modules loaded: each would else read them again.
"""

from __future__ import annotations

import collections
import concurrent.futures
import multiprocessing
import os
import signal
import time
import typing
from collections.abc import Callable, Iterable, Iterator

from hook import config, triage
from hook.asking import NOT_ASKED, Asking
from hook.change import patch
from hook.change.change import Change, find_commit
from hook.failure import CannotJudge
from hook.report.series_report import JudgedPatch
from hook.source.git import Repository
from hook.source.object_store import Objects

_WHOLE = "the series"
_MOST_DIFF_BYTES = 256 << 10  # of a patch, on the page of its series
_FEW = 3  # changes that are not worth more than one process
_AHEAD = 2  # tasks handed to each process at a time: it never waits for the next, and a long one that comes late is not last


class Ends(typing.NamedTuple):
    """Everything between two states of the tree, to be judged as one change."""

    repo: Repository
    base: str  # commit, empty before the first
    after: str  # commit or tree


class ReviewTask(typing.NamedTuple):
    """Something to judge, under the key by which its outcome is asked for."""

    key: int
    what: str | Change | Ends | JudgedPatch  # a commit; a mailed patch; the whole; or what is known already
    first: bool = False  # takes long: to be begun before all others


class Work(typing.NamedTuple):
    """What each process needs to judge."""

    repo: Repository
    settings: config.Settings
    wait: bool  # for a model; else open questions are left pending
    offline: bool
    use_cache: bool
    with_diffs: bool  # for a page


def judge_all(
    work: Work, tasks: Iterable[ReviewTask], total: int, jobs: int, progress: Callable[[int, int], None]
) -> dict[int, JudgedPatch]:
    """The outcome of every task by its key. `tasks` may take its time: what it gives is judged meanwhile.

    Raises CannotJudge where a process was killed from outside. On KeyboardInterrupt what is being judged is finished, and remembered;
    where a model is asked, it is given up.
    """
    jobs = min(jobs or _processors(), total)
    outcomes: dict[int, JudgedPatch] = {}
    done = _here(work, tasks) if jobs < 2 or total <= _FEW else _forked(work, tasks, jobs)
    for key, outcome in done:
        outcomes[key] = outcome
        progress(len(outcomes), total)
    return outcomes


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _here(work: Work, tasks: Iterable[ReviewTask]) -> Iterator[tuple[int, JudgedPatch]]:
    for task in tasks:
        yield task.key, _judge(work, task.what)


def _forked(work: Work, tasks: Iterable[ReviewTask], jobs: int) -> Iterator[tuple[int, JudgedPatch]]:
    from hook.evidence.functional import file_findings  # noqa: F401 (for the processes)
    from hook.evidence.options import needed_options  # noqa: F401

    coming = iter(tasks)
    waiting: collections.deque[ReviewTask] = collections.deque()
    running: dict[concurrent.futures.Future[JudgedPatch], int] = {}
    has_more = True
    context = multiprocessing.get_context("fork")
    # Ctrl-C reaches the whole group of processes: only we act on it, and what a process has begun it finishes
    with concurrent.futures.ProcessPoolExecutor(jobs, context, signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        try:
            while has_more or waiting or running:
                if has_more:
                    task = next(coming, None)
                    has_more = task is not None
                    if task is not None:
                        (waiting.appendleft if task.first else waiting.append)(task)
                # while tasks come we work too: one process less, and they come sooner, the long one among them
                while waiting and len(running) < (jobs - 1 if has_more else jobs * _AHEAD):
                    task = waiting.popleft()
                    running[pool.submit(_judge, work, task.what)] = task.key
                ready, _ = concurrent.futures.wait(running, 0 if has_more else None, concurrent.futures.FIRST_COMPLETED)
                for future in ready:
                    yield running.pop(future), future.result()
        except concurrent.futures.process.BrokenProcessPool:
            raise CannotJudge("a judging process was killed, perhaps for lack of memory; --jobs 1 needs the least") from None
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            if work.wait:  # a model may take minutes; what it has answered so far is remembered
                for process in multiprocessing.active_children():
                    process.terminate()
            raise


def _judge(work: Work, subject: str | Change | Ends | JudgedPatch) -> JudgedPatch:
    if isinstance(subject, JudgedPatch):
        return subject
    if isinstance(subject, Ends):
        return _judge_whole(work, subject)
    if isinstance(subject, Change):
        return _judge_change(work, subject)
    with Objects(work.repo, work.settings.limits.blob_bytes) as objects:
        label = f"{subject[:12]} {find_commit(objects, subject).subject}"
        started = time.monotonic()
        (judged,) = triage.judge_commits(work.repo, objects, work.settings, [subject], use_cache=work.use_cache, asking=_asking(work))
    if isinstance(judged, triage.NotJudged):
        return JudgedPatch(label, None, judged.why, judged.failed)
    return _judged_patch(work, label, judged, time.monotonic() - started)


def _judged_patch(work: Work, label: str, judged: triage.Judged, seconds: float) -> JudgedPatch:
    diff = ""
    if work.with_diffs and label != _WHOLE:
        from hook.commands.report import shown_diff

        diff = shown_diff(judged.change, _MOST_DIFF_BYTES)
    return JudgedPatch(label, judged.verdict, judged.unsettled if work.wait else "", seconds=seconds, diff=diff)


def _judge_whole(work: Work, ends: Ends) -> JudgedPatch:
    label, before = _WHOLE, ends.base or ends.repo.empty_tree
    try:
        made = patch.read(ends.repo, ["diff-tree", "-r", before, ends.after])
    except CannotJudge as wrong:
        return JudgedPatch(label, None, str(wrong), failed=True)
    if not made.files:
        return JudgedPatch(label, None, "nothing is left of what its patches change")
    return _judge_change(work, Change(label, ends.repo, made, ends.base, before, ends.after))


def _judge_change(work: Work, change: Change) -> JudgedPatch:
    started = time.monotonic()
    try:
        with Objects(change.repo, work.settings.limits.blob_bytes) as objects:
            judged = triage.judge(change, objects, work.settings, use_cache=work.use_cache, asking=_asking(work))
    except CannotJudge as wrong:
        return JudgedPatch(change.label, None, str(wrong), failed=True)
    return _judged_patch(work, change.label, judged, time.monotonic() - started)


def _asking(work: Work) -> Asking:
    """Each change has the time that the settings allow for one, however many there are."""
    if work.offline:
        return NOT_ASKED
    return Asking(deadline=time.monotonic() + work.settings.agent.max_seconds if work.wait else 0.0)
