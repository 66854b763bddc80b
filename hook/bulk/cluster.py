"""The cluster: Dask distributes the pieces, on this machine or on many, and repeats those that a lost worker had begun."""

from __future__ import annotations

import concurrent.futures
import contextlib
import importlib.machinery
import logging
import os
import signal
import sys
import typing
import uuid
from collections.abc import Callable, Iterator

import msgspec

from hook.bulk.piece_worker import BulkRun, UnfitWorker, judge_piece, pack
from hook.bulk.pieces import BulkPiece
from hook.failure import CannotJudge, sentence
from hook.record import crash_log

if typing.TYPE_CHECKING:
    import distributed

_AHEAD = 3  # pieces handed out per thread of a worker, so that none waits
_LEAST_AHEAD = 8  # so that a worker that joins finds work
_CLOSE_SECONDS = 5
_NEEDS = "bulk needs dask, pyarrow and cryptography: pip install 'patch-triage[cluster]'"


class NoCluster(CannotJudge):
    """There is no cluster, or it is gone."""


class Left(msgspec.Struct, frozen=True):
    """A piece that was not judged."""

    piece: BulkPiece
    why: str


@contextlib.contextmanager
def connected(scheduler: str, jobs: int) -> Iterator[distributed.Client]:
    """A client of the scheduler at an address; without an address, of `jobs` processes here (0: one per processor), which end with it.

    Raises NoCluster.
    """
    try:
        import distributed
    except ImportError:
        raise NoCluster(_NEEDS) from None
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # we report the failures ourselves
    with contextlib.ExitStack() as stack:
        try:
            address_or_cluster = scheduler or stack.enter_context(_local(jobs))
            client = distributed.Client(address_or_cluster, set_as_default=False)
        except ImportError:
            raise NoCluster(_NEEDS) from None
        except (OSError, TimeoutError, ValueError) as wrong:
            raise NoCluster(f"no scheduler answers at {scheduler or 'this machine'}: {wrong}") from None
        stack.callback(_close, client)
        yield client


class Dealer:
    """Hands out pieces and collects their rows."""

    def __init__(self, client: distributed.Client, run: BulkRun, pieces: Iterator[BulkPiece], tell: Callable[[str], None]) -> None:
        import distributed

        self._client, self._run, self._pieces, self._tell = client, run, pieces, tell
        self._name = f"patch-triage-{uuid.uuid4().hex}"
        self._ready = distributed.as_completed(loop=client.loop, raise_errors=False)
        self._waiting: dict[distributed.Future, _HandedOut] = {}
        self._told: set[str] = set()
        self.left: list[Left] = []

    def judged(self) -> Iterator[tuple[BulkPiece, list[bytes]]]:
        """Every piece with its rows, in the order of arrival; pieces that no worker could judge are in `left` at the end.

        Raises NoCluster if the scheduler is lost.
        """
        self._hand_out_more()
        for future in self._ready:
            handed = self._waiting.pop(future)
            lines = self._result(future, handed)
            if lines is not None:
                yield handed.piece, lines
            self._hand_out_more()

    def _result(self, future: distributed.Future, handed: _HandedOut) -> list[bytes] | None:
        """The rows of a piece; None if the worker could not judge it. Dask repeats what was lost with a worker.

        Raises NoCluster.
        """
        try:
            lines: list[bytes] = future.result()
        except concurrent.futures.CancelledError:
            raise NoCluster("the scheduler is gone") from None
        except UnfitWorker as unfit:
            self._hand_to_another(handed, str(unfit))
        except Exception as wrong:  # for any failure of a worker: the other pieces are judged
            if future.status != "error":
                raise NoCluster(f"the scheduler is gone ({wrong})") from None
            self.left.append(Left(handed.piece, _why_failed(wrong)))
        else:
            return lines
        return None

    def _hand_out_more(self) -> None:
        ahead = max(_LEAST_AHEAD, _AHEAD * sum(self._threads().values()))
        while len(self._waiting) < ahead and (piece := next(self._pieces, None)) is not None:
            self._hand_out(_HandedOut(piece, frozenset(), 0))

    def _hand_out(self, handed: _HandedOut) -> None:
        others = sorted(self._threads().keys() - handed.refused) if handed.refused else None
        future = self._client.submit(
            judge_piece,
            self._run.program,
            pack(self._run, handed.piece),
            key=f"{self._name}-{handed.piece.number}-{handed.tries}",
            workers=others,
            allow_other_workers=others is not None,  # these may be gone by then
        )
        self._waiting[future] = handed
        self._ready.add(future)

    def _hand_to_another(self, handed: _HandedOut, why: str) -> None:
        """Hand a piece out again, to a worker that has not refused it."""
        worker, _, reason = why.partition(" ")
        if why not in self._told:
            self._told.add(why)
            self._tell(f"worker {worker}: {reason}; what it cannot judge goes to the others")
        refused = handed.refused | {worker}
        if self._threads().keys() <= refused:
            self.left.append(Left(handed.piece, f"no worker can judge it: {reason}"))
        else:
            self._hand_out(_HandedOut(handed.piece, refused, handed.tries + 1))

    def _threads(self) -> dict[str, int]:
        """The workers, with the number of pieces that each judges at a time. Raises NoCluster."""
        try:
            return dict(self._client.nthreads())
        except (OSError, TimeoutError, AttributeError):
            raise NoCluster("the scheduler is gone") from None


class _HandedOut(msgspec.Struct, frozen=True):
    piece: BulkPiece
    refused: frozenset[str]  # the addresses of workers that cannot judge it
    tries: int


def _why_failed(wrong: Exception) -> str:
    """Why no worker has judged a piece; the changes in it are not the cause, since a child process judges them."""
    import distributed

    if isinstance(wrong, distributed.KilledWorker):
        return "its workers died too often (distributed.scheduler.allowed-failures)"
    if isinstance(wrong, ImportError):
        return f"a worker cannot load patch-triage: {wrong}"
    return sentence(wrong) if isinstance(wrong, OSError) else crash_log.sentence(wrong)


def _local(jobs: int) -> distributed.LocalCluster:
    """A cluster of processes on this machine. Other users cannot connect to it, since it has a certificate of its own."""
    import distributed

    # a spawned process would run the script of this one again, but not the __main__ of a package
    vars(sys.modules["__main__"])["__spec__"] = importlib.machinery.ModuleSpec("hook.__main__", None)
    # Ctrl-C reaches every process of a terminal: these processes inherit that it is ignored, and end with the run
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        return distributed.LocalCluster(
            n_workers=jobs or len(os.sched_getaffinity(0)),
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            security=distributed.Security.temporary(),
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def _close(client: distributed.Client) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        client.close(timeout=_CLOSE_SECONDS)
