"""What all stages do alike: judge, say the verdict, leave to the worker what is pending."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from hook import triage
from hook.asking import Asking, goes_on
from hook.config import Settings, WrongSetting
from hook.failure import CannotJudge, sentence
from hook.record import kept_patterns, pending
from hook.report import text
from hook.source import own_files
from hook.source.git import Repository
from hook.source.object_store import Objects
from hook.verdict import State, Verdict

_ANNOUNCED = "patch-triage-announced"
_MOST_ANNOUNCED_BYTES = 64 << 10
_MOST_LINES = 40  # of one sequence


def say(line: str) -> None:
    """One line to the person, where git's own messages go."""
    print(f"patch-triage: {text.plain(line)}", file=sys.stderr, flush=True)


def why(wrong: BaseException) -> str:
    """Why a stage came to nothing, as a person reads it. A defect of ours is written to the crash log."""
    if isinstance(wrong, (CannotJudge, WrongSetting, OSError)):
        return sentence(wrong)
    if isinstance(wrong, KeyboardInterrupt):
        return "interrupted"
    from hook.record import crash_log

    return crash_log.sentence(wrong)


def asking_for(seconds: float) -> Asking:
    """How a commit's hook asks: a model until a deadline, and what is open then stays pending; or no model, in a hurry."""
    tty = sys.stderr.isatty()

    def progress(line: str) -> None:
        if tty:
            print(f"\r\033[Kpatch-triage: {text.plain(line)}", end="", file=sys.stderr, flush=True)

    return Asking(deadline=time.monotonic() + seconds if seconds else 0.0, progress=progress, at_commit=True)


def judge_all(
    repo: Repository,
    objects: Objects,
    settings: Settings,
    commits: Sequence[str],
    *,
    asking: Asking,
    progress: str = "",
    ids: Mapping[str, str] | None = None,
) -> tuple[list[triage.Judged], list[triage.NotJudged]]:
    """Judge commits; a verdict that the worker will look for more of is pending."""
    judged: list[triage.Judged] = []
    missed: list[triage.NotJudged] = []
    shows_progress = progress and sys.stderr.isatty()
    for count, outcome in enumerate(triage.judge_commits(repo, objects, settings, commits, asking=asking, ids=ids), 1):
        if isinstance(outcome, triage.NotJudged):
            missed.append(outcome)
        elif goes_on(outcome.verdict, settings):
            judged.append(msgspec.structs.replace(outcome, verdict=msgspec.structs.replace(outcome.verdict, state=State.PENDING)))
        else:
            judged.append(outcome)
        if shows_progress:
            print(f"\rpatch-triage: {progress} {count}/{len(commits)}", end="", file=sys.stderr, flush=True)
    if shows_progress:
        print("\r\033[K", end="", file=sys.stderr, flush=True)
    return judged, missed


def announce(repo: Repository, verdict: Verdict, settings: Settings) -> None:
    """Say the verdict once: post-commit keeps silent where pre-commit has said the same of the same change."""
    marker = repo.git_dir / _ANNOUNCED
    line = _line(verdict, settings)
    announced = f"{verdict.change_id} {line}"
    before = own_files.read(marker, _MOST_ANNOUNCED_BYTES)
    with contextlib.suppress(OSError):  # a disk that cannot be written to: it is said twice
        own_files.remove(marker)
        if not verdict.commit and before != announced.encode():
            own_files.write(marker, announced.encode())
    if before != announced.encode():
        say(line)


def announce_each(verdicts: Sequence[Verdict], settings: Settings) -> None:
    """Say the verdicts of a sequence, such as a mailed series, a line each."""
    for verdict in verdicts[:_MOST_LINES]:
        say(f"{verdict.commit[:12]} {_line(verdict, settings)}")
    if len(verdicts) > _MOST_LINES:
        say(f"and {len(verdicts) - _MOST_LINES} more commits; `patch-triage show COMMIT` prints each")


def _line(verdict: Verdict, settings: Settings) -> str:
    return text.one_line(verdict) + ("; checking further in the background" if goes_on(verdict, settings) else "")


def hand_over(repo: Repository, settings: Settings, judged: Sequence[triage.Judged]) -> None:
    """Leave to the worker what is pending."""
    if (
        not settings.agent.base_url
        and not pending.is_any(repo)
        and all(judgement.verdict.state is not State.PENDING for judgement in judged)
    ):
        return
    from hook import worker  # a commit without questions does not pay for it

    for line in worker.hand_over(repo, settings, judged):
        say(line)


def start_worker(repo: Repository, settings: Settings) -> None:
    """Have the worker look into what is pending, where there is none at it."""
    if pending.is_any(repo):
        from hook import worker

        try:
            worker.resume(repo, settings)
        except OSError as wrong:
            say(f"the question waits for the push: the worker cannot be started: {wrong.strerror or wrong}")


def index_in_background(repo: Repository, settings: Settings) -> None:
    """Have the word index of a large tree made where there is none."""
    from hook.source.indexing import background

    if settings.index.background and background.is_missing(repo):
        with contextlib.suppress(OSError):  # the next commit tries again
            background.start(repo)


def leave_behind(repo: Repository, work: Callable[[], object]) -> None:
    """Do `work` in a process that nobody waits for: it has no terminal and none of git's pipes, and Ctrl-C does not reach it."""
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.fork():
            return
    except OSError:  # no process can be made: then the commit waits
        work()
        return
    try:
        os.setsid()
        os.chdir(repo.common_dir)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nothing, stream)
        work()
        kept_patterns.keep()
    except BaseException as wrong:  # the last boundary of this process
        why(wrong)
    finally:
        os._exit(0)
