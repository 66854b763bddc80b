"""Objects: what the repository's object store holds, read through one long-lived `git cat-file --batch`.

The process has one owner, and one thread at a time talks to it: whoever asks takes the lock, and has read every answer to its questions
before it lets go. Where that does not come to pass (an exception, an answer too late, more than is to be held) the process is killed, and
the next question goes to a new one: no answer is ever left over for somebody else's question.
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

_CHUNK = 200  # questions asked at once,
_CHUNK_BYTES = 32 << 10  # and in so many bytes: git reads no further while its answers fill their pipe, so they must fit into ours
_HELD_BYTES = 32 << 20  # of answers in memory at once, and one more
_MOST_LATE = 2  # answers too late in a row, after which nothing is asked any more
_ATOMIC_BYTES = 4096  # that a pipe which has room takes without waiting (PIPE_BUF)
_PIPE_BYTES = 1 << 16


class Found(msgspec.Struct, frozen=True):
    """One object of the store."""

    oid: str
    kind: str  # blob, tree, commit or tag
    size: int  # bytes
    data: bytes | None  # None where it is larger than the reader's limit


class Objects:
    """A reader of objects, for any number of threads; use it as a context manager.

    What a partial clone lacks is answered None, never fetched. Git has as long for the answers to one set of questions as one git call may
    take; what is late raises GitError, and the next question starts git again. After the second time in a row every read raises at once.
    """

    def __init__(self, repo: Repository, limit_bytes: int = DEFAULTS.limits.blob_bytes, cache_bytes: int = 0) -> None:
        self.limit_bytes = limit_bytes
        self._settings = ("-c", f"core.deltaBaseCacheLimit={cache_bytes}") if cache_bytes else ()
        self.repo = repo
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = bytearray()  # of what git has written
        self._late = 0  # answers too late, one after the other

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._stop()

    def read(self, name: str) -> Found | None:
        """The object that `name` (an id, or `REV:path` that `can_ask` allows) stands for; None if the store lacks it."""
        return next(iter(self.read_all([name])))[1]

    def read_all(self, names: Sequence[str]) -> Iterator[tuple[str, Found | None]]:
        """As `read`, for many names, in their order."""
        at = 0
        while at < len(names):
            chunk = _chunk(names, at)
            found = self._ask(chunk)
            yield from zip(chunk, found, strict=False)
            at += len(found)

    def _ask(self, names: Sequence[str]) -> list[Found | None]:
        """What the first of `names` stand for, at least one: the rest is to be asked anew."""
        if not all(can_ask(name) for name in names):
            raise CannotJudge("an object name with a line break or NUL cannot be asked for")
        found: list[Found | None] = []
        with self._lock:
            process = self._start()
            deadline = time.monotonic() + self.repo.seconds
            try:
                try:
                    self._send(process, "".join(f"{name}\n" for name in names).encode("utf-8", "surrogateescape"), deadline)
                except BrokenPipeError:
                    pass  # it died at an earlier question; what it did answer is read below
                held = 0
                for name in names:
                    answer = self._answer(process, name, deadline)
                    found.append(answer)
                    held += len(answer.data or b"") if answer else 0
                    if held > _HELD_BYTES:
                        break
            except EOFError:
                # Newer gits die on an object that a partial clone lacks: that one is missing, the rest is asked anew.
                self._stop()
                found.append(None)
            finally:
                if len(found) < len(names):
                    self._stop()
            self._late = 0
        return found

    def _answer(self, process: subprocess.Popen[bytes], name: str, deadline: float) -> Found | None:
        header = self._line(process, deadline)
        # a name may hold spaces, an id, a kind and a size may not
        words = header.decode("utf-8", "surrogateescape").rstrip("\n").rsplit(" ", 2)
        if words[-1] in ("missing", "ambiguous"):
            return None
        if len(words) != 3 or not words[-1].isdigit():
            raise GitError(f"git cat-file: {header.decode('utf-8', 'replace').strip()}")
        oid, kind, size = words[0], words[1], int(words[2])
        if len(name) == len(self.repo.null_id) and ":" not in name and oid != name:
            raise GitError(f"git cat-file: answered {oid} where {name} was asked for")
        if size > self.limit_bytes:
            left = size + 1
            while left:
                left -= len(self._bytes(process, min(left, 1 << 20), deadline))
            return Found(oid, kind, size, None)
        return Found(oid, kind, size, self._bytes(process, size + 1, deadline)[:-1])

    def _send(self, process: subprocess.Popen[bytes], questions: bytes, deadline: float) -> None:
        assert process.stdin is not None
        at = 0
        while at < len(questions):
            self._wait(process.stdin.fileno(), select.POLLOUT, deadline)
            at += os.write(process.stdin.fileno(), questions[at : at + _ATOMIC_BYTES])

    def _line(self, process: subprocess.Popen[bytes], deadline: float) -> bytes:
        """The next line of what git writes. Raises EOFError where there is none."""
        while (end := self._unread.find(b"\n")) < 0:
            self._receive(process, deadline)
        return self._take(end + 1)

    def _bytes(self, process: subprocess.Popen[bytes], count: int, deadline: float) -> bytes:
        """The next `count` bytes of what git writes. Raises EOFError where there are fewer."""
        while len(self._unread) < count:
            self._receive(process, deadline)
        return self._take(count)

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._unread)[:count])
        del self._unread[:count]
        return taken

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
        process.kill()  # it only reads, and a git that hangs would not see that we have gone
        process.stdin.close()
        process.stdout.close()
        process.wait()


def can_ask(name: str) -> bool:
    """Whether git takes the name as it is: it reads a name a line, drops a carriage return at its end, and stops at a NUL."""
    return not ("\n" in name or "\0" in name or name.endswith("\r"))


def _chunk(names: Sequence[str], start: int) -> Sequence[str]:
    """The names from `start` on that are asked for at once, at least one."""
    size = 0
    for at in range(start, min(start + _CHUNK, len(names))):
        size += 4 * len(names[at]) + 1  # no character takes more bytes
        if size > _CHUNK_BYTES:
            return names[start : max(at, start + 1)]
    return names[start : start + _CHUNK]
