"""Counted texts: files, and how many of them one question has needed.

A file counts for each question that needs it, also where an earlier question has read it. So the limit is reached at the same place
whatever was asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hook.kernel.texts import Texts, TooManyFiles, Value
from hook.source.tree import Source
from hook.verdict import Fact, Place

_READ, _SEARCHED = 4, 1  # cost of a file that is read as C, and of one that is only searched, in quarters of a file
_UNLIMITED = 1 << 40  # files: the base class does not count


class CountedTexts(Texts):
    """The files of one tree; a question that needs more than `most_files` raises TooManyFiles."""

    def __init__(self, source: Source, most_files: int) -> None:
        super().__init__(source, _UNLIMITED)
        self._most = most_files * _READ
        self._used: dict[str, int] = {}  # path -> cost, of the present question
        self._cost = 0
        self._frames: list[dict[str, int]] = []  # files needed by each result that is being made, the innermost last
        self._needed: dict[tuple[str, str], dict[str, int]] = {}

    def begin_question(self) -> None:
        """Starts counting anew."""
        self._used, self._cost, self._frames = {}, 0, []

    @property
    def question_files(self) -> int:
        """How many files the question has needed so far."""
        return self._cost // _READ

    @property
    def question_unread(self) -> list[str]:
        """The files that the question needed and that cannot be read as text."""
        unread = [path for path in self.unread if self._used.get(path, 0) == _READ]
        return unread + [path for path in self.unsearched if path in self._used]

    def raw(self, path: str) -> bytes | None:
        self._use({path: _READ})
        return super().raw(path)

    def get(self, path: str) -> str | None:
        return self.once(("text", path), lambda: self._text(path))

    def _text(self, path: str) -> str | None:
        try:
            return super().get(path)
        except TooManyFiles:
            self._texts.pop(path, None)  # it was read, but its macros were not expanded
            raise

    def local_headers(self, path: str) -> tuple[str, ...]:
        return self.once(("local headers", path), lambda: super(CountedTexts, self).local_headers(path))

    def written(self, paths: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        self._use(dict.fromkeys(paths, _SEARCHED))
        return super().written(paths)

    def once(self, key: tuple[str, str], make: Callable[[], Value]) -> Value:
        if key in self._needed:
            self._use(self._needed[key])
            return super().once(key, make)
        self._frames.append({})
        try:
            made = super().once(key, make)
        finally:
            needed = self._frames.pop()
            if self._frames:
                _join(self._frames[-1], needed)
        self._needed[key] = needed
        return made

    def fact(self, claim: str, path: str, line: int) -> Fact:
        """A claim with its place and the text of the line."""
        lines = (self.get(path) or "").split("\n", line)
        quoted = lines[line - 1].strip()[:160] if 0 < line <= len(lines) else ""
        return Fact(claim, Place(path, line, self.blob(path)), quoted)

    def _use(self, files: dict[str, int]) -> None:
        self._cost += _join(self._used, files)
        if self._frames:
            _join(self._frames[-1], files)
        if self._cost > self._most:
            self.source.safety.at_limit = True
            raise TooManyFiles


def _join(used: dict[str, int], files: dict[str, int]) -> int:
    """Adds files to those used. Gives the cost that this adds."""
    more = 0
    for path, cost in files.items():
        had = used.get(path, 0)
        if cost > had:
            used[path] = cost
            more += cost - had
    return more
