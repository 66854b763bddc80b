"""Objects: what the repository's object store holds, read through one long-lived `git cat-file --batch`."""

from __future__ import annotations

import dataclasses
import os
import select
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from hook.source.git import GitError, Repository

# git writes answers while we still write questions: a chunk must fit the pipe in both directions
_CHUNK = 200
_ATOMIC_BYTES = 4096  # that a pipe which has room takes without waiting (PIPE_BUF)
_PIPE_BYTES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Found:
    """One object of the store."""

    oid: str
    kind: str  # blob, tree, commit or tag
    size: int  # bytes
    data: bytes | None  # None where it is larger than the reader's limit


class Objects:
    """A reader of objects; use it as a context manager. What a partial clone lacks is answered None, never fetched.

    An answer that takes longer than one git call may ends git, and every read after it raises GitError at once.
    """

    def __init__(self, repo: Repository, limit_bytes: int, cache_bytes: int = 0) -> None:
        self.limit_bytes = limit_bytes
        self._settings = ("-c", f"core.deltaBaseCacheLimit={cache_bytes}") if cache_bytes else ()
        self.repo = repo
        self._process: subprocess.Popen[bytes] | None = None
        self._unread = bytearray()  # of what git has written
        self._is_late = False

    def __enter__(self) -> Objects:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stop()

    def read(self, name: str) -> Found | None:
        """The object that `name` (an id, or `REV:path` without a newline) stands for; None if the store lacks it."""
        return next(iter(self.read_all([name])))[1]

    def read_all(self, names: Sequence[str]) -> Iterator[tuple[str, Found | None]]:
        """As `read`, for many names, in their order."""
        for start in range(0, len(names), _CHUNK):
            chunk = names[start : start + _CHUNK]
            if any("\n" in name for name in chunk):
                raise GitError("an object name with a newline cannot be asked for")
            yield from zip(chunk, self._ask(chunk), strict=True)

    def _ask(self, names: Sequence[str]) -> Iterable[Found | None]:
        answered = 0
        while answered < len(names):
            process = self._start()
            try:
                self._send(process, "".join(f"{name}\n" for name in names[answered:]).encode("utf-8", "surrogateescape"))
            except BrokenPipeError:
                pass  # it died at an earlier question; what it did answer is read below
            for _ in names[answered:]:
                try:
                    found = self._answer(process)
                except EOFError:
                    # Newer gits die on an object that a partial clone lacks: that one is missing, the rest is asked anew.
                    self._stop()
                    answered += 1
                    yield None
                    break
                answered += 1
                yield found

    def _answer(self, process: subprocess.Popen[bytes]) -> Found | None:
        deadline = time.monotonic() + self.repo.seconds
        header = self._line(process, deadline)
        # a name may hold spaces, an id, a kind and a size may not
        words = header.decode("utf-8", "surrogateescape").rstrip("\n").rsplit(" ", 2)
        if words[-1] in ("missing", "ambiguous"):
            return None
        if len(words) != 3 or not words[-1].isdigit():
            raise GitError(f"git cat-file: {header.decode('utf-8', 'replace').strip()}")
        oid, kind, size = words[0], words[1], int(words[2])
        if size > self.limit_bytes:
            left = size + 1
            while left:
                left -= len(self._bytes(process, min(left, 1 << 20), deadline))
            return Found(oid, kind, size, None)
        return Found(oid, kind, size, self._bytes(process, size + 1, deadline)[:-1])

    def _send(self, process: subprocess.Popen[bytes], questions: bytes) -> None:
        assert process.stdin is not None
        deadline = time.monotonic() + self.repo.seconds
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
            self._is_late = True
            self._stop()
            raise self._late()

    def _late(self) -> GitError:
        return GitError(f"git cat-file did not answer within {self.repo.seconds:g} s (limits.git_seconds)")

    def _start(self) -> subprocess.Popen[bytes]:
        if self._is_late:
            raise self._late()
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
