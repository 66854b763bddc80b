"""Excerpts: lines of a file as a model gets to see them, without secrets and without what is too long.

First what is secret is cut out, then what is too long, since half a secret is not known as one.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from hook import redaction
from hook.redaction import Redactor

_AROUND = 20  # lines before and after what is shown: a secret may begin there
_LONGEST = 4096  # characters of a line that are looked at; a line of a megabyte holds no secret that anybody would read


class Excerpts:
    """The lines of one file, counted from 1."""

    def __init__(self, redactor: Redactor, data: bytes) -> None:
        self._redactor = redactor
        self._data = data

    @functools.cached_property
    def _lines(self) -> list[str]:
        lines = self._data.decode("utf-8", "replace").split("\n")
        return lines[:-1] if lines[-1] == "" else lines

    @functools.cached_property
    def _hidden(self) -> frozenset[int]:
        """The lines of private keys, which are known by the whole file alone."""
        return redaction.key_lines("\n".join(self._lines)) if b"PRIVATE KEY" in self._data else frozenset()

    @property
    def count(self) -> int:
        return len(self._lines)

    def is_blank(self, number: int) -> bool:
        """Whether there is nothing on a line."""
        return not 1 <= number <= self.count or not self._lines[number - 1].strip()

    def run(self, first: int, count: int, most_characters: int) -> list[str]:
        """At most `count` lines from `first` on."""
        before = max(0, first - 1 - _AROUND)
        around = "\n".join(line[:_LONGEST] for line in self._lines[before : first - 1 + count + _AROUND])
        shown = self._redactor.text(around).split("\n")[first - 1 - before :][: min(count, self.count - first + 1)]
        return [redaction.CUT if number in self._hidden else line[:most_characters] for number, line in enumerate(shown, first)]

    def some(self, numbers: Iterable[int], most_characters: int) -> Mapping[int, str]:
        """The lines with these numbers, in their order; what is not there is left out."""
        chosen = sorted({number for number in numbers if 1 <= number <= self.count})
        texts: dict[int, str] = {}
        at = 0
        while at < len(chosen):
            end = at
            while end + 1 < len(chosen) and chosen[end + 1] - chosen[end] <= _AROUND:
                end += 1
            first, last = chosen[at], chosen[end]
            lines = dict(enumerate(self.run(first, last - first + 1, most_characters), first))
            texts |= {number: lines[number] for number in chosen[at : end + 1]}
            at = end + 1
        return texts
