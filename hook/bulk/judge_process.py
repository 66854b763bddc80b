"""The process that judges for a worker: a child that may run out of memory or of time, at the cost of one change.

It reads inputs from standard input and writes rows to standard output. Its own alarm ends it if a change takes too long, so that no
process is left behind if the worker is killed.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import resource
import signal
import time
from collections.abc import Iterator
from typing import Any

import msgspec

from hook import triage
from hook.asking import NOT_ASKED, SHORT_SEARCH
from hook.bulk import rows
from hook.bulk.inputs import BulkInput, Letter, reviews
from hook.change.change import Change, NothingToJudge, find_commit, of_commit
from hook.config import Settings
from hook.failure import CannotJudge
from hook.record import crash_log
from hook.source import setting_layers
from hook.source.git import Repository, find
from hook.source.object_store import Objects

OUT_OF_MEMORY = 3  # exit code
END = b""  # instead of a row: the input is finished


class JudgeWork(msgspec.Struct, frozen=True):
    """The repository and settings with which inputs are judged."""

    clone: str  # the repository
    head: str  # the commit taken as HEAD, the same on all workers
    settings: Settings
    short: bool  # whether the search for call paths is as short as while a commit waits
    use_cache: bool
    index_directory: pathlib.Path | None = None  # of the worker's word index, if not in its usual place


def main() -> None:
    """Judge inputs until the end of standard input."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # messages must not mix with rows
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; its worker ends this one
    work: JudgeWork | None = None
    while True:
        try:
            work, item, skip = pickle.load(requests)
        except EOFError:
            return
        _bound_memory(work.settings.bulk.change_bytes)
        try:
            for row in _judged(work, item, skip):
                signal.setitimer(signal.ITIMER_REAL, 0)
                pickle.dump(rows.line(row), answers)
                answers.flush()
                signal.setitimer(signal.ITIMER_REAL, work.settings.bulk.change_seconds)
            signal.setitimer(signal.ITIMER_REAL, 0)
            pickle.dump(END, answers)
            answers.flush()
        except MemoryError:
            os._exit(OUT_OF_MEMORY)  # which frees all its memory
        except BrokenPipeError:
            os._exit(0)  # the worker is gone


def _bound_memory(most: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _judged(work: JudgeWork, item: BulkInput, skip: int) -> Iterator[dict[str, Any]]:
    """The rows of an input, from its `skip`-th patch on. A defect of ours costs one row, and names its log."""
    signal.setitimer(signal.ITIMER_REAL, work.settings.bulk.change_seconds)
    repo = find(pathlib.Path(work.clone))
    setting_layers.bring_into_force(repo, work.settings)
    repo.in_force.index_directory = work.index_directory
    place = skip
    try:
        for row in _of_commit(repo, work, item) if item.commit else _of_mails(repo, work, item, skip):
            yield row
            place += 1
    except CannotJudge as wrong:
        yield from rest(repo, item, place, str(wrong))
    except MemoryError:
        raise
    except Exception as bug:  # the boundary of a change: the run goes on
        yield from rest(repo, item, place, crash_log.sentence(bug, repo))


def rest(repo: Repository, item: BulkInput, place: int, why: str) -> Iterator[dict[str, Any]]:
    """Rows without a verdict for the patches of an input from `place` on; at least one."""
    for number in range(place, max(place + 1, item.size)):
        yield rows.without_verdict(_described(repo, item, number), why, failed=True)


def _described(repo: Repository, item: BulkInput, place: int) -> dict[str, Any]:
    """The row of a patch from its message alone."""
    row, patches = rows.of_input(item, place), patch_letters(item)
    if place < len(patches):
        return rows.with_letter(row, patches[place], item)
    with contextlib.suppress(CannotJudge), Objects(repo) as objects:
        commit = find_commit(objects, item.commit)
        row = rows.with_commit(row, commit, reviews(commit.message.decode("utf-8", "replace")))
    return row


def patch_letters(item: BulkInput) -> list[Letter]:
    """The letters of an input that are patches, in order."""
    return [letter for letter in item.letters if letter.is_patch]


def _of_commit(repo: Repository, work: JudgeWork, item: BulkInput) -> Iterator[dict[str, Any]]:
    row, started = rows.of_input(item, 0), time.monotonic()
    with Objects(repo, work.settings.limits.blob_bytes) as objects:
        try:
            commit = find_commit(objects, item.commit)
            row = rows.with_commit(row, commit, reviews(commit.message.decode("utf-8", "replace")))
            change = of_commit(objects, commit)
        except NothingToJudge as nothing:
            yield rows.without_verdict(row, str(nothing), failed=False)
            return
        except CannotJudge as wrong:
            yield rows.without_verdict(row, str(wrong), failed=True)
            return
        yield _with_verdict(row, change, objects, work, started)


def _of_mails(repo: Repository, work: JudgeWork, item: BulkInput, skip: int) -> Iterator[dict[str, Any]]:
    from hook.change import series as mailed

    patches = patch_letters(item)
    by_id = {letter.message_id: letter for letter in patches if letter.message_id}
    with mailed.of_mails(repo, work.settings, item.mails, "the mail" if item.size == 1 else "the series", work.head) as series:
        for place, (patch, change) in enumerate(zip(series.patches[skip:], series.changes(skip), strict=True), skip):
            started = time.monotonic()
            letter = by_id.get(patch.message_id) or patches[min(place, len(patches) - 1)]
            row = rows.with_letter(rows.of_input(item, place), letter, item)
            row = {**row, "Subject": patch.subject or letter.subject, "BaseChoice": series.why}
            if isinstance(change, mailed.Unread):
                yield rows.without_verdict(row, change.why, change.failed)
                continue
            with Objects(change.repo, work.settings.limits.blob_bytes) as objects:
                yield _with_verdict(row, change, objects, work, started)


def _with_verdict(row: dict[str, Any], change: Change, objects: Objects, work: JudgeWork, started: float) -> dict[str, Any]:
    row = rows.with_patch(row, change.patch)
    asking = SHORT_SEARCH if work.short else NOT_ASKED
    try:
        judged = triage.judge(change, objects, work.settings, use_cache=work.use_cache, asking=asking)
    except CannotJudge as wrong:
        return rows.without_verdict(row, str(wrong), failed=True, seconds=time.monotonic() - started)
    return rows.with_verdict(row, judged.verdict, time.monotonic() - started)
