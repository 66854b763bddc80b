"""A worker of the cluster: it makes the word index if its clone lacks one, and judges pieces in a child process.

The worker's own process only passes data on: it stays small and answers the scheduler whatever the child does.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import pathlib
import pickle
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence

import msgspec

from hook.bulk import rows
from hook.bulk.inputs import BulkInput
from hook.bulk.judge_process import END, OUT_OF_MEMORY, JudgeWork, rest
from hook.bulk.pieces import BulkPiece
from hook.config import WrongSetting
from hook.failure import CannotJudge
from hook.processes import own_python
from hook.record import cache
from hook.source import index, own_files, setting_layers
from hook.source.git import Repository, find
from hook.source.indexing import commit_history, ubiquitous_names
from hook.source.object_store import Objects
from hook.source.tree import MOST_CONFIRMED, Source

_INDEX_SECONDS = 3600.0
_MOST_TOKEN = 100  # bytes of a run's token
_FAR = 300  # files by which the revision may differ from the indexed tree
_MOST_DEATHS = 2  # of the child, for one input


class UnfitWorker(Exception):
    """A worker cannot judge a piece as the others would: its address, and why. Another one may."""


class BulkRun(msgspec.Struct, frozen=True):
    """The work of all workers of a run."""

    work: JudgeWork
    program: str  # the hash of the package: another version may judge differently
    history: tuple[str, ...] = ()  # the ranges that are judged, as `index --history` takes them
    token: str = ""  # another one in each run

    def about(self) -> dict[str, object]:
        """What the rows depend on, beside the changes: a resumed run must have the same."""
        work = self.work
        return {"Head": work.head, "Program": self.program, "Settings": work.settings.fingerprint(), "Short": work.short}


class _Child:
    """The process that judges, and the pipes to it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def rows(self, repo: Repository, work: JudgeWork, item: BulkInput) -> Iterator[bytes]:
        """The rows of an input. If the child dies, the present patch has no verdict; the second time, neither have those after it."""
        done, deaths = 0, 0
        while True:
            process = self._process or self._started()
            assert process.stdin is not None and process.stdout is not None
            try:
                pickle.dump((work, item, done), process.stdin)
                process.stdin.flush()
                while (row := pickle.load(process.stdout)) != END:
                    yield row
                    done += 1
                return
            except (EOFError, BrokenPipeError, pickle.UnpicklingError):
                why, self._process = _why_ended(process.wait(), work), None
            if done >= item.size:
                return  # only the end marker was missing
            deaths += 1
            lost = [rows.line(row) for row in rest(repo, item, done, why)]
            yield lost[0]
            done += 1
            if deaths >= _MOST_DEATHS:
                yield from lost[1:]
            if deaths >= _MOST_DEATHS or not lost[1:]:
                return

    def end(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _started(self) -> subprocess.Popen[bytes]:
        command = own_python.command("-c", "from hook.bulk.judge_process import main; main()")
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd="/")
        atexit.register(self.end)  # with the worker
        return self._process


_of_thread = threading.local()  # each thread of a worker has a child of its own
_prepared: set[tuple[str, str]] = set()
_preparing = threading.Lock()


def judge_piece(program: str, packed: bytes) -> list[bytes]:
    """The rows of a piece, as lines of JSON; `packed` is what `pack` gave. Raises UnfitWorker before anything is judged."""
    if cache.program_hash() != program:
        raise UnfitWorker(f"{_address()} has another version of patch-triage")
    run, piece = _unpack(packed)
    try:
        repo = _clone(run)
        setting_layers.load(repo)  # its own, of the word index
        _refuse_missing(repo, piece)
    except (CannotJudge, WrongSetting) as wrong:
        raise UnfitWorker(f"{_address()} {wrong}") from None
    _prepare(repo, run)
    work = msgspec.structs.replace(run.work, clone=str(repo.git_dir), index_directory=repo.in_force.index_directory)
    child = _of_thread.__dict__.setdefault("child", _Child())
    lines: list[bytes] = []
    try:
        for item in piece.inputs:
            lines.extend(child.rows(repo, work, item))
    except BaseException:
        child.end()  # its remaining answers would be taken as those of the next input
        raise
    return lines


def pack(run: BulkRun, piece: BulkPiece) -> bytes:
    """The work of a worker as bytes: another version, whose records differ, refuses it before it reads them."""
    return pickle.dumps((run, piece))


def _unpack(packed: bytes) -> tuple[BulkRun, BulkPiece]:
    run, piece = pickle.loads(packed)
    assert isinstance(run, BulkRun) and isinstance(piece, BulkPiece)
    return run, piece


def _address() -> str:
    import distributed

    return str(distributed.get_worker().address)


def _clone(run: BulkRun) -> Repository:
    own = setting_layers.load(None).bulk.clone
    try:
        return find(pathlib.Path(own or run.work.clone).expanduser())
    except CannotJudge as wrong:
        raise CannotJudge(f"{wrong} (bulk.clone names the clone of a worker)") from None


def _refuse_missing(repo: Repository, piece: BulkPiece) -> None:
    needed = list(dict.fromkeys(commit for item in piece.inputs for commit in item.needs))
    if not needed:
        return
    types = repo.run("cat-file", "--batch-check=%(objecttype)", data="".join(f"{name}\n" for name in needed).encode()).splitlines()
    lacking = [name for name, kind in zip(needed, types, strict=True) if kind != b"commit"]
    if lacking:
        raise CannotJudge(f"its clone lacks commit {lacking[0][:12]}")


def _prepare(repo: Repository, run: BulkRun) -> None:
    """Make the word index, once in a run: if several workers share a clone, the first makes it and the others wait.

    While it is written it cannot be read, so no other worker tries again, whatever has come of it.
    """
    key = (str(repo.common_dir), run.token)
    with _preparing:
        if key in _prepared:
            return
        with contextlib.suppress(OSError):  # what cannot be written is judged as it is
            if not is_indexed(repo, run.work.head, run.history):
                _index_once(repo, run)
        _prepared.add(key)


def _index_once(repo: Repository, run: BulkRun) -> None:
    """Have the word index made, where no other worker has tried in this run. Raises OSError."""
    handle = own_files.open_lock(index.files(repo).directory / "bulk-lock", 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.pread(handle, _MOST_TOKEN, 0) != run.token.encode() and not is_indexed(repo, run.work.head, run.history):
            command = own_python.command("-m", "hook", "index", "--quiet", "--repo", str(repo.git_dir), f"--rev={run.work.head}")
            command += [f"--history={revisions}" for revisions in run.history]
            subprocess.run(command, stdin=subprocess.DEVNULL, cwd=repo.git_dir, timeout=_INDEX_SECONDS, check=False)
        os.ftruncate(handle, 0)
        os.pwrite(handle, run.token.encode(), 0)
    finally:
        os.close(handle)


def is_indexed(repo: Repository, revision: str, history: Sequence[str]) -> bool:
    """Whether the tree is small, or there is a word index for nearly this revision, and for the files of a history."""
    with Objects(repo, 0) as objects:
        if Source(objects, revision).is_small:
            return True
    try:
        opened = index.open_index(repo)
    except index.NoIndex:
        return False
    try:
        if not ubiquitous_names.are_kept(repo) or opened.distance(revision) > _FAR:
            return False
        return opened.history() == commit_history.text(history) or all(_is_near(opened, revisions.split()) for revisions in history)
    except index.NoIndex:
        return False
    finally:
        opened.close()


def _is_near(opened: index.Index, revisions: Sequence[str]) -> bool:
    """Whether the index has nearly all files of a range at both of its ends. Raises NoIndex."""
    ends = [revision.removeprefix("^") for revision in revisions if not revision.startswith("--")]
    return len(ends) > 1 and all(len(opened.unread(end)) <= MOST_CONFIRMED for end in ends)


def _why_ended(code: int, work: JudgeWork) -> str:
    most = work.settings.bulk
    if code == -signal.SIGALRM:
        return f"not judged within {most.change_seconds:g} s (bulk.change_seconds)"
    if code == OUT_OF_MEMORY:
        return f"not judged with {most.change_bytes >> 20} MB of memory (bulk.change_bytes)"
    return f"the judging process was killed ({signal.Signals(-code).name if code < 0 else f'exit {code}'})"
