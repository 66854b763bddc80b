"""The worker: finishes in the background what commits have left pending, so that no commit waits for a long search or for a model.

First comes the search that a commit cut short, which needs no model, no consent and no network; then the model, where one may be asked.

One process a repository. Whoever hands it a question takes its lock and starts it with the lock in hand, so that there is never a second;
the lock dies with its holder, and the next call of ours starts another. It has no terminal and none of git's files, reads and asks at a
low priority, and ends when nothing is due. It writes the note as a hook would.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence

import msgspec

from hook import triage
from hook.asking import Asking, goes_on, refusal
from hook.change.change import NothingToJudge, find_commit, of_commit
from hook.config import DEFAULTS, Settings, WrongSetting
from hook.failure import CannotJudge
from hook.processes import own_python
from hook.record import pending
from hook.record.pending import Need, Question
from hook.source import filelock, own_files, setting_layers
from hook.source.git import GitError, Repository, find
from hook.source.object_store import Objects
from hook.verdict import DecidedBy, Lack, State

_NICENESS = 10  # as that of `nice`: a tenth of what a running compiler gets. At 19 it is a seventieth, and an answer would take minutes
_PATIENCE_SECONDS = 600.0  # the longest that a worker sleeps; what is due later is for the next one
_REFUSED_SECONDS = 900.0  # until a question is looked at again that may not be asked now
_LONGEST_PAUSE_SECONDS = 3600.0
_PAUSE_GROWS = 4
_TROUBLES = 3  # questions in a row at which the endpoint itself fails, before the worker leaves it for another day
_DAY_SECONDS = 86_400.0
_MAX_DAYS = 7  # after which a question that could not be asked is given up
_FORGOTTEN_SECONDS = 7 * _DAY_SECONDS  # for which `status` tells of what was given up
_INDEX_SECONDS = 1800.0  # at most, a question waits for the word index; a full disk may keep it from being made
_GLANCE_SECONDS = 0.1  # for which `status` may hold the lock, to see whether there is a worker
_STATE_BYTES = 4096


def hand_over(repo: Repository, settings: Settings, judged: Sequence[triage.Judged]) -> list[str]:
    """Queue what is still to be found out about commits; `resume` sees that somebody works on it.

    Returns what a person should know, a line each: there is none but where something is wrong.
    """
    try:
        for judgement in judged:
            verdict = judgement.verdict
            need = _need(repo, judgement, settings)
            if verdict.commit and need is not None:
                rest_seconds = settings.agent.settle_seconds if need is Need.MODEL else 0.0
                pending.add(repo, verdict.commit, verdict.change_id, need, rest_seconds)
            elif verdict.commit and verdict.state is not State.PENDING and verdict.decided_by is not DecidedBy.DEFAULT:
                pending.drop(repo, verdict.commit)
    except OSError as wrong:
        return [f"the question waits for the push, it cannot be queued: {wrong.strerror or wrong}"]
    return []


def _need(repo: Repository, judged: triage.Judged, settings: Settings) -> Need | None:
    """What the worker is to do about a commit, if anything."""
    if goes_on(judged.verdict, settings):
        return Need.INDEX if _waits_for_index(repo, judged, settings) else Need.SEARCH
    # of a verdict that the model has given the question about KMSAN may be left
    is_open = judged.verdict.state is State.PENDING or (judged.unanswered is not None and judged.unanswered.for_now)
    return Need.MODEL if is_open and settings.agent.background else None


def _waits_for_index(repo: Repository, judged: triage.Judged, settings: Settings) -> bool:
    """Whether more will be found with a word index that is still to come."""
    if Lack.INDEX not in judged.verdict.lacks or not settings.index.background:
        return False
    from hook.source.indexing import background

    return background.will_come(repo)


def _needs(settings: Settings) -> set[Need]:
    """What the person lets a worker do. A question that a crash has emptied begins with the search, whatever it was."""
    asks = settings.agent.background and bool(settings.agent.base_url)
    return {need for need, is_wanted in ((Need.SEARCH, asks or settings.reach.background), (Need.MODEL, asks)) if is_wanted}


def resume(repo: Repository, settings: Settings) -> None:
    """Start a worker where a question is due and there is none. Raises OSError."""
    needs = _needs(settings)
    if not needs or not pending.is_any(repo):
        return
    _use_index(repo)
    while True:
        try:
            handle = filelock.take(_path(repo))  # first: where a worker is at it, that is all
        except filelock.Held:
            return  # it looks again after it has let go
        try:
            if _soon(repo, needs):
                _start(repo, handle)
                return
        finally:
            os.close(handle)
        if not _soon(repo, needs):  # whoever brought a question while we held the lock has taken us for the worker
            return


def _use_index(repo: Repository) -> None:
    """Let what waits for the word index wait no longer, where there is one or none will come. Raises OSError."""
    waiting = [question for question in pending.every(repo) if question.need is Need.INDEX]
    if not waiting:
        return
    from hook.source import index
    from hook.source.indexing import background, ubiquitous_names

    comes = background.will_come(repo)
    with contextlib.suppress(index.NoIndex):
        index.open_index(repo).close()
        comes = comes and not ubiquitous_names.are_kept(repo)
    for question in waiting:
        if not comes or time.time() - question.since > _INDEX_SECONDS:
            pending.replace(repo, msgspec.structs.replace(question, need=Need.SEARCH))


def _start(repo: Repository, handle: int) -> None:
    # the settings of `git -c` and the like are the person's; the rest of git's variables are about the call that we are in
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_") or key.startswith("GIT_CONFIG_")}
    subprocess.Popen(
        own_python.command("-m", "hook.worker", str(handle)),
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        cwd=repo.common_dir, env=env, pass_fds=(handle,), start_new_session=True,
    )  # fmt: skip


class Doing(msgspec.Struct, frozen=True, rename="pascal"):
    """What the worker is at."""

    process: int
    commit: str  # empty while it rests
    line: str


def doing(repo: Repository) -> Doing | None:
    """What the worker of this repository is at, None if there is none."""
    path = _path(repo)
    try:
        handle = filelock.take(path) if path.exists() else None
    except filelock.Held:
        handle = -1
    if handle is None or handle >= 0:
        if handle is not None:
            os.close(handle)
        return None
    try:
        return msgspec.json.decode(own_files.read(path, _STATE_BYTES) or b"", type=Doing)
    except (OSError, ValueError, RecursionError):
        return Doing(0, "", "")  # it has only just begun


def run(handle: int) -> None:
    """Work until nothing is due, with the lock in hand."""
    repo = find()
    worker = Worker(repo)
    while worker.work(handle):
        os.close(handle)
        if not _soon(repo, worker.needs):
            return
        try:
            handle = filelock.take(_path(repo), _GLANCE_SECONDS)  # somebody has come while we let go
        except filelock.Held:
            return


class _SwitchedOff(Exception):
    """The person does without a worker by now."""


class Worker:
    """One worker at its work."""

    def __init__(self, repo: Repository) -> None:
        import concurrent.futures  # whoever only starts a worker does not pay for it

        self.repo = repo
        self.needs = _needs(setting_layers.load(repo))
        self.troubles = 0
        # A thread has a priority of its own. Notes are written by the main one, at the usual priority: a commit may wait for the lock that
        # is held then, and at a low one, beside a kernel that is being built, it would wait for seconds.
        self.quiet = concurrent.futures.ThreadPoolExecutor(1, initializer=_be_nice)

    def work(self, handle: int) -> bool:
        """Look into one question after the other; gives whether the queue has nothing more to do, False where something else ends it."""
        with contextlib.suppress(OSError):
            pending.sweep(self.repo, _FORGOTTEN_SECONDS)
        while question := pending.first_due(self.repo, self.needs):
            wait = question.not_before - time.time()
            if wait > _PATIENCE_SECONDS:
                return True
            if wait > 0:
                _tell(handle, "", "resting")
                time.sleep(min(wait, 0.5))  # somebody may bring a question that is due earlier
                continue
            try:
                judged = self.quiet.submit(self._judge, question, handle).result()
                if judged is None:
                    continue
                if question.need is Need.MODEL:
                    if not self._settle(question, *judged, handle):
                        return False
                else:
                    self._settle_search(question, *judged)
            except _SwitchedOff:
                return False
            except Exception as wrong:  # the last boundary: one commit that cannot be judged must not keep the others from it
                known = isinstance(wrong, (CannotJudge, WrongSetting, OSError))
                self._fail(question, str(wrong) if known else f"a bug in patch-triage ({type(wrong).__name__}: {wrong})")
        return True

    def _judge(self, question: Question, handle: int) -> tuple[triage.Judged, Settings] | None:
        """What came of one question, None where it was not looked into and need not be, or not now. Raises _SwitchedOff."""
        # where it was made: which branch is worked on there, and what is switched off there
        place, ours = pathlib.Path(question.git_dir), self.repo.common_dir / "worktrees"
        repo = msgspec.structs.replace(self.repo, git_dir=place) if place.parent == ours and place.is_dir() else self.repo
        with Objects(repo) as objects:
            if not _is_wanted(repo, objects, question.commit):
                pending.drop(self.repo, question.commit)
                return None
            commit = find_commit(objects, question.commit)
            settings = setting_layers.at(objects, commit.parent)
            if question.need not in _needs(settings):
                raise _SwitchedOff
            try:
                change = of_commit(objects, commit)
            except NothingToJudge:
                pending.drop(self.repo, question.commit)
                return None
            asks = question.need is Need.MODEL
            asking = Asking(
                deadline=time.monotonic() + settings.agent.max_seconds if asks else 0.0,
                progress=lambda line: _tell(handle, question.commit, line),
            )
            if why := setting_layers.switched_off(repo) or (refusal(change, settings, asking) if asks else ""):
                self._put_off(question, time.time() + _REFUSED_SECONDS, why, settings)
                return None
            _tell(handle, question.commit, "reading" if asks else "searching")
            return triage.judge(change, objects, settings, asking=asking), settings

    def _settle_search(self, question: Question, judged: triage.Judged, settings: Settings) -> None:
        """Record what the long search has found, and leave to a model what it has not."""
        if pending.find(self.repo, question.commit) is None:
            return
        if complaints := triage.keep(self.repo, [judged], settings):
            self._fail(question, complaints[0])
        elif _waits_for_index(self.repo, judged, settings) and time.time() - question.since <= _INDEX_SECONDS:
            pending.replace(self.repo, msgspec.structs.replace(question, need=Need.INDEX))
        elif judged.verdict.state is State.PENDING and Need.MODEL in self.needs:
            rested = question.since + settings.agent.settle_seconds
            pending.replace(self.repo, msgspec.structs.replace(question, need=Need.MODEL, not_before=rested))
        else:
            pending.drop(self.repo, question.commit)

    def _settle(self, question: Question, judged: triage.Judged, settings: Settings, handle: int) -> bool:
        """Write down what came of it; gives whether to go on."""
        if pending.find(self.repo, question.commit) is None:
            return True  # rewritten meanwhile; what was answered is remembered for what it has become
        failed = judged.unanswered
        settled = judged.verdict.decided_by is not DecidedBy.DEFAULT
        if settled and (complaints := triage.keep(self.repo, [judged], settings)):
            self._fail(question, complaints[0])  # the answer is remembered, and costs nothing the next time
            return True
        if settled and failed is None:
            pending.drop(self.repo, question.commit)
            self.troubles = 0
            return True
        from hook.agent.endpoint.trouble import Trouble

        end, why = (failed.end, f"{failed.end}: {failed.why}") if failed else ("", judged.asked)
        if end == Trouble.FORBIDDEN:
            return self._put_off(question, time.time() + _REFUSED_SECONDS, why, settings)
        if end in (Trouble.PATCH_CAP, Trouble.DAY_CAP):
            if not settled:
                triage.keep(self.repo, [judged], settings)  # pending still, with the reason
            tomorrow = (time.time() // _DAY_SECONDS + 1) * _DAY_SECONDS  # as the ledger counts days
            self._put_off(question, tomorrow, why, settings)
            return end == Trouble.PATCH_CAP
        counts = end != Trouble.UNREACHABLE
        tries = question.tries + counts
        if tries >= settings.agent.background_tries:
            if not settled:
                final = msgspec.structs.replace(judged.verdict, state=State.FINAL)
                triage.keep(self.repo, [msgspec.structs.replace(judged, verdict=final)], settings)
            return self._give_up(msgspec.structs.replace(question, tries=tries), f"asked {tries} times; {why}")
        pause = _pause(settings.agent.background_pause_seconds, max(1, tries))
        self._put_off(msgspec.structs.replace(question, tries=tries), time.time() + pause, why, settings)
        if failed is None or end == Trouble.REFUSED:
            return False  # as with a wrong key: the next call of ours may bring another
        if failed.for_now:
            self.troubles += 1
            if self.troubles >= _TROUBLES:
                return False
            _tell(handle, "", f"resting: {why}")
            time.sleep(min(_PATIENCE_SECONDS, _pause(settings.agent.background_pause_seconds, self.troubles)))
        return True

    def _put_off(self, question: Question, until: float, why: str, settings: Settings) -> bool:
        """Leave it for later; or for good, where it could not be asked for days."""
        if time.time() - question.since > _MAX_DAYS * _DAY_SECONDS:
            return self._give_up(question, f"no answer for {_MAX_DAYS} days; {why}")
        pending.replace(self.repo, msgspec.structs.replace(question, not_before=until, why=why))
        return True

    def _fail(self, question: Question, why: str) -> None:
        """It could not even be asked, or the answer not be recorded, for a reason of ours or of the repository."""
        question = msgspec.structs.replace(question, tries=question.tries + 1, why=why)
        if question.tries >= DEFAULTS.agent.background_tries:
            self._give_up(question, why)
        else:
            pause = _pause(DEFAULTS.agent.background_pause_seconds, question.tries)
            pending.replace(self.repo, msgspec.structs.replace(question, not_before=time.time() + pause))

    def _give_up(self, question: Question, why: str) -> bool:
        pending.replace(self.repo, msgspec.structs.replace(question, why=why, given_up=True))
        return True


def _be_nice() -> None:
    with contextlib.suppress(OSError):  # not every system gives a thread a priority
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _pause(first_seconds: float, times: int) -> float:
    return min(_LONGEST_PAUSE_SECONDS, first_seconds * float(_PAUSE_GROWS ** min(times - 1, 10)))


def _soon(repo: Repository, needs: Collection[Need]) -> bool:
    """Whether a question is due, or will be while a worker would wait for it."""
    question = pending.first_due(repo, needs)
    return question is not None and question.not_before - time.time() <= _PATIENCE_SECONDS


def _is_wanted(repo: Repository, objects: Objects, commit: str) -> bool:
    """Whether a commit is still part of anything: of what is checked out where it was made, or of a branch or tag."""
    if objects.read(commit) is None:
        return False
    try:
        if repo.outcome("merge-base", "--is-ancestor", commit, "HEAD", ok=(0, 1)).returncode == 0:
            return True
    except GitError:
        pass  # a working tree without a HEAD; a branch may hold it all the same
    return bool(repo.run("for-each-ref", "--count=1", "--contains", commit, "refs/heads", "refs/remotes", "refs/tags").strip())


def _tell(handle: int, commit: str, line: str) -> None:
    """Say in the lock's own file what is done, for `status`."""
    data = msgspec.json.encode(Doing(os.getpid(), commit, line))[:_STATE_BYTES]
    try:
        os.pwrite(handle, data.ljust(_STATE_BYTES), 0)
    except OSError:
        pass  # a full disk: only the telling is lost


def _path(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "worker"


if __name__ == "__main__":
    run(int(sys.argv[1]))
