"""`patch-triage status`: what waits in this repository, for the disk or for a model, and what is done about it."""

from __future__ import annotations

import argparse
import sys
import time
import typing

from hook.commands import DONE, Command, complain, repository
from hook.config import Settings
from hook.report.text import plain, table
from hook.source import setting_layers
from hook.source.git import GitError, Repository

if typing.TYPE_CHECKING:
    from hook import worker
    from hook.record import pending

_LOOK_AGAIN_SECONDS = 0.5
_HALF_A_DAY_SECONDS = 43_200.0
_MOST_SHOWN = 20  # a terminal that is drawn anew cannot go back further than its height


def register(command: Command) -> None:
    sub = command("status", status, "write queued records, and print what still waits and what the worker does")
    sub.add_argument("--watch", action="store_true", help="continue until nothing is due, or Ctrl-C")


def status(options: argparse.Namespace) -> int:
    """Write what is queued, have the worker go on, and print what still waits."""
    from hook import worker

    repo = repository(options)
    settings = setting_layers.load(repo)
    off = setting_layers.switched_off(repo)
    _write_queued(repo, settings)
    if off:
        print(plain(f"patch-triage is off: {off}"))
    else:
        worker.resume(repo, settings)
    lines = _lines(repo, settings)
    print("\n".join(map(plain, lines)), flush=True)
    running = options.watch
    while running:
        running = worker.doing(repo) is not None  # when it has ended, what it left is printed too
        if running:
            time.sleep(_LOOK_AGAIN_SECONDS)
        before, lines = lines, _lines(repo, settings)
        if lines == before:
            continue
        if sys.stdout.isatty():
            print(f"\033[{len(before)}A\033[J", end="")
        print("\n".join(map(plain, lines)), flush=True)
    return DONE


def _write_queued(repo: Repository, settings: Settings) -> None:
    from hook.record import note, queue, store
    from hook.record.lock import Locked

    try:
        count = store.write_queued(repo, settings)
        if count:
            print(f"{count} queued {'record' if count == 1 else 'records'} written")
    except (Locked, note.NoteNotWritten, GitError, OSError) as wrong:
        complain(str(wrong))
    waiting = len(queue.pending(repo))
    print(f"{waiting} {'record waits' if waiting == 1 else 'records wait'} to be written")


def _lines(repo: Repository, settings: Settings) -> list[str]:
    """The questions, what is done about them, and what was spent today."""
    from hook import worker
    from hook.record import pending

    questions = pending.every(repo)
    waiting, lost = [question for question in questions if not question.given_up], [question for question in questions if question.given_up]
    asking = [question for question in waiting if question.need is pending.Need.MODEL]
    lines = []
    if asking or settings.agent.base_url:
        lines.append(f"{len(asking)} {'question waits' if len(asking) == 1 else 'questions wait'} for a model")
    if searching := len(waiting) - len(asking):
        lines.append(f"{searching} {'commit waits' if searching == 1 else 'commits wait'} for the long search")
    doing = worker.doing(repo)
    if doing is not None:
        about = f"about {doing.commit[:12]}: " if doing.commit else ""
        lines.append(f"worker: process {doing.process}, {about}{doing.line}" if doing.line else "worker: starting")
    elif waiting:
        lines.append(f"worker: none{_why_no_worker(settings, bool(asking), len(asking) < len(waiting))}")
    rows = [(f"{question.commit[:12]}", _state(question, doing)) for question in waiting]
    rows += [(question.commit[:12], f"given up: {question.why}") for question in lost]
    lines += [f"  {line}" for line in table(rows[:_MOST_SHOWN])]
    if len(rows) > _MOST_SHOWN:
        lines.append(f"  and {len(rows) - _MOST_SHOWN} more")
    return [*lines, _index(repo), *_spent(repo, settings)]


def _index(repo: Repository) -> str:
    from hook.source import index
    from hook.source.indexing import background
    from hook.source.object_store import Objects
    from hook.source.tree import Source

    made = background.progress(repo)
    if made is not None:
        return (
            f"word index: process {made.process} builds it, {made.done} of {made.total} files" if made.total else "word index: being built"
        )
    with Objects(repo) as objects:
        source = Source(objects, "HEAD")
        opened = source.index
        if opened is None:
            return "word index: none, the tree is small" if source.is_small else f"word index: not used: {source.without_index}"
        size = index.files(repo).database.stat().st_size / 1e6
        lacking = "" if source.has_whole_index else "; the ubiquitous functions are not known (`patch-triage index` finds them)"
        try:
            away = opened.distance("HEAD")
        except index.NoIndex as wrong:
            return f"word index: not used: {wrong}"
        finally:
            opened.close()
    differs = f"a revision that differs from HEAD in {away} file{'s' if away > 1 else ''}"
    return f"word index: {size:.0f} MB, of {differs if away else 'HEAD'}{lacking}"


def _why_no_worker(settings: Settings, asks: bool, searches: bool) -> str:
    if asks and not settings.agent.background:
        return " (agent.background is false); the push asks"
    return " (reach.background is false); `check COMMIT` searches" if searches and not settings.reach.background else ""


def _state(question: pending.Question, doing: worker.Doing | None) -> str:
    from hook.record import pending

    if doing is not None and doing.commit == question.commit:
        return "the model is being asked" if question.need is pending.Need.MODEL else "is being searched"
    if question.need is pending.Need.INDEX:
        return "waits for the word index"
    tried = f"tried {question.tries} times; " if question.tries else ""
    wait = question.not_before - time.time()
    form = "%H:%M:%S" if wait < _HALF_A_DAY_SECONDS else "%Y-%m-%d %H:%M"
    due = "due" if wait <= 0 else f"due {time.strftime(form, time.localtime(question.not_before))}"
    return f"{tried}{due}" + (f"; {question.why}" if question.why else "")


def _spent(repo: Repository, settings: Settings) -> list[str]:
    from hook.agent import ledger

    today = time.strftime("%Y-%m-%d", time.gmtime())
    lines = [line for day, line in ledger.read(repo.state_dir / "ledger", 1) if day == today]
    if not lines:
        return []
    tokens, money = sum(line.tokens.total for line in lines), sum(line.money for line in lines)
    most = settings.agent.max_day_tokens
    of = f" of {most:,} (agent.max_day_tokens)" if most else ""
    return [f"spent today (UTC): {tokens:,} tokens{of}" + (f", {money:,.4f} in money" if settings.agent.price else "")]
