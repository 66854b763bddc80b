"""Objects of the repository, read through one long-lived `git cat-file --batch`.

One thread at a time talks to the process: it takes the lock, and reads the answers to all its questions before it frees the lock. If it
cannot (an exception, a late answer, too many bytes to hold), the process is killed, and the next question starts a new one: no answer is
ever left over for another question.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

import msgspec

from hook.config import DEFAULTS
from hook.failure import CannotJudge
from hook.source.git import GitError, Repository

_CHUNK = 200  # questions sent at once
_CHUNK_BYTES = 32 << 10  # of questions sent at once: git stops reading while its answers fill their pipe, so they must fit into ours
_HELD_BYTES = 32 << 20  # of answers in memory at once; the last one may exceed it
_MOST_LATE = 2  # late answers in a row, after which every read raises
_ATOMIC_BYTES = 4096  # that a pipe with room accepts without waiting (PIPE_BUF)
_PIPE_BYTES = 1 << 16


class Found(msgspec.Struct, frozen=True):
    """One object of the repository."""

    oid: str
    kind: str  # blob, tree, commit or tag
    size: int  # bytes; 0 where a partial clone lacks it
    data: bytes | None  # None if it is larger than the reader's limit, or if a partial clone lacks it


class Objects:
    """A reader of objects, for any number of threads; use it as a context manager.

    An object that a partial clone lacks is None, and never fetched. The limit for one git call is also the limit for the answers to one
    chunk of questions: a late answer raises GitError, and the next question starts git again. After two late answers in a row every read
    raises at once.
    """

    def __init__(self, repo: Repository, limit_bytes: int = DEFAULTS.limits.blob_bytes, cache_bytes: int = 0) -> None:
        self.limit_bytes = limit_bytes
        self._settings = ("-c", f"core.deltaBaseCacheLimit={cache_bytes}") if cache_bytes else ()
        self.repo = repo
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = bytearray()  # of git's output
        self._late = 0  # late answers in a row

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._stop()

    def read(self, name: str) -> Found | None:
        """The object with this `name` (an id, or a `REV:path` that `can_ask` allows); None if the repository lacks it."""
        return next(iter(self.read_all([name])))[1]

    def read_all(self, names: Sequence[str]) -> Iterator[tuple[str, Found | None]]:
        """As `read`, for many names, in order."""
        done = 0
        while done < len(names):
            chunk = _chunk(names, done)
            answers = self._ask(chunk)
            yield from zip(chunk, answers, strict=False)
            done += len(answers)

    def _ask(self, names: Sequence[str]) -> list[Found | None]:
        """The objects of the first of `names`, at least one; the caller asks again for the rest."""
        if not all(can_ask(name) for name in names):
            raise CannotJudge("an object name with a line break or NUL cannot be asked for")
        answers: list[Found | None] = []
        with self._lock:
            process = self._start()
            deadline = time.monotonic() + self.repo.seconds
            try:
                try:
                    self._send(process, "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"), deadline)
                except BrokenPipeError:
                    pass  # it died at an earlier question; its answers up to there are read below
                held_bytes = 0
                for name in names:
                    answer = self._answer(process, name, deadline)
                    answers.append(answer)
                    held_bytes += len(answer.data or b"") if answer else 0
                    if held_bytes > _HELD_BYTES:
                        break
            except EOFError:
                # newer git dies on an object that a partial clone lacks: this one is missing, the rest is asked again
                self._stop()
                answers.append(None)
            finally:
                if len(answers) < len(names):
                    self._stop()
            self._late = 0
        return answers

    def _answer(self, process: subprocess.Popen[bytes], name: str, deadline: float) -> Found | None:
        header = self._line(process, deadline)
        # a name may have spaces; an id, a kind and a size may not
        words = header.decode("utf-8", "surrogateescape").rstrip("\n").rsplit(" ", 2)
        if words[-1] in ("missing", "ambiguous"):
            return None
        if len(words) != 3 or not words[-1].isdigit():
            raise GitError(f"git cat-file: {header.decode('utf-8', 'replace').strip()}")
        oid, kind, size = words[0], words[1], int(words[2])
        if len(name) == len(self.repo.null_id) and ":" not in name and oid != name:
            raise GitError(f"git cat-file: answered {oid} where {name} was asked for")
        if size > self.limit_bytes:
            remaining = size + 1
            while remaining:
                remaining -= len(self._bytes(process, min(remaining, 1 << 20), deadline))
            return Found(oid, kind, size, None)
        return Found(oid, kind, size, self._bytes(process, size + 1, deadline)[:-1])

    def _send(self, process: subprocess.Popen[bytes], questions: bytes, deadline: float) -> None:
        assert process.stdin is not None
        sent = 0
        while sent < len(questions):
            self._wait(process.stdin.fileno(), select.POLLOUT, deadline)
            sent += os.write(process.stdin.fileno(), questions[sent : sent + _ATOMIC_BYTES])

    def _line(self, process: subprocess.Popen[bytes], deadline: float) -> bytes:
        """The next line of git's output. Raises EOFError if there is none."""
        while (end := self._unread.find(b"\n")) < 0:
            self._receive(process, deadline)
        return self._take(end + 1)

    def _bytes(self, process: subprocess.Popen[bytes], count: int, deadline: float) -> bytes:
        """The next `count` bytes of git's output. Raises EOFError if there are fewer."""
        while len(self._unread) < count:
            self._receive(process, deadline)
        return self._take(count)

    def _take(self, count: int) -> bytes:
        data = bytes(memoryview(self._unread)[:count])
        del self._unread[:count]
        return data

    def _receive(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        assert process.stdout is not None
        self._wait(process.stdout.fileno(), select.POLLIN, deadline)
        piece = os.read(process.stdout.fileno(), _PIPE_BYTES)
        if not piece:
            raise EOFError
        self._unread += piece

    def _wait(self, descriptor: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self._late += 1
            raise self._too_late()

    def _too_late(self) -> GitError:
        return GitError(f"git cat-file did not answer within {self.repo.seconds:g} s (limits.git_seconds)")

    def _start(self) -> subprocess.Popen[bytes]:
        if self._late >= _MOST_LATE:
            raise self._too_late()
        if self._process is None:
            try:
                self._process = subprocess.Popen(
                    [*self.repo.command(*self._settings), "cat-file", "--batch"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    cwd=self.repo.git_dir,
                    env=self.repo.environment(self.repo.index_path),
                )
            except OSError as wrong:
                raise GitError(f"git could not be started: {wrong.strerror}") from None
        return self._process

    def _stop(self) -> None:
        process, self._process = self._process, None
        self._unread.clear()
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        process.kill()  # it only reads; and a git that hangs would not notice a closed pipe
        process.stdin.close()
        process.stdout.close()
        process.wait()


def can_ask(name: str) -> bool:
    """Whether git reads the name unchanged: it reads one name per line, drops a carriage return at the end, and stops at a NUL."""
    return not ("\n" in name or "\0" in name or name.endswith("\r"))


def tree_entries(data: bytes, object_format: str) -> Iterator[tuple[bytes, bytes, str]]:
    """The entries of a tree object: mode, name and id."""
    id_bytes = 20 if object_format == "sha1" else 32
    begin = 0
    while begin < len(data):
        space, end = data.index(b" ", begin), data.index(b"\0", begin)
        yield data[begin:space], data[space + 1 : end], data[end + 1 : end + 1 + id_bytes].hex()
        begin = end + 1 + id_bytes


def _chunk(names: Sequence[str], start: int) -> Sequence[str]:
    """The names from `start` on that are sent at once, at least one."""
    size = 0
    for position in range(start, min(start + _CHUNK, len(names))):
        size += 4 * len(names[position]) + 1  # a character has at most 4 bytes
        if size > _CHUNK_BYTES:
            return names[start : max(position, start + 1)]
    return names[start : start + _CHUNK]
