"""The processes that make the index: forked, given few tasks at a time, and ended with the process that writes."""

from __future__ import annotations

import concurrent.futures
import gc
import multiprocessing
import os
import signal
import threading
import typing
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from hook.failure import CannotJudge

_Task = typing.TypeVar("_Task")
_Result = typing.TypeVar("_Result")


def in_order(
    work: Callable[[_Task], _Result], tasks: Iterable[_Task], jobs: int, begin: Callable[[], None] = lambda: None
) -> Iterator[tuple[_Task, _Result]]:
    """Each task with its result, in the order of the tasks, done by `jobs` processes that call `begin` first. Raises CannotJudge."""
    # fork: no other thread runs here, and a new interpreter would cost more than the work of one worker
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(jobs, context, _begin, (begin,)) as pool:
        waiting: deque[tuple[_Task, concurrent.futures.Future[_Result]]] = deque()
        try:
            for task in tasks:
                waiting.append((task, _submitted(pool, work, task)))
                if len(waiting) > jobs + 1:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        except concurrent.futures.process.BrokenProcessPool:
            raise CannotJudge("a process that read the tree for the index was killed") from None
        finally:
            for _, future in waiting:
                future.cancel()


def _submitted(
    pool: concurrent.futures.ProcessPoolExecutor, work: Callable[[_Task], _Result], task: _Task
) -> concurrent.futures.Future[_Result]:
    """A task that is given to the pool. Ctrl-C waits: one that came while the pool starts would leave a process that nobody ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return pool.submit(work, task)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(begin: Callable[[], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that writes
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_the_writer, daemon=True).start()
    gc.disable()  # the work leaves no circles
    begin()


def _end_with_the_writer() -> None:
    """End a worker whose writer was killed."""
    writer = multiprocessing.parent_process()
    if writer is not None:
        writer.join()
        os._exit(1)
