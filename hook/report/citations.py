"""Citations: the places `path:line` that a text names, each with the lines of source around it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.trajectory import Span

# lines of the file at a path by their number, from a blob where one is named; empty where it is not known
Lines = Callable[[str, str], Mapping[int, str]]

_CITED = lazy_re.compile(r"(?<![\w/.+-])((?:[\w.+-]{1,100}/){0,20}[\w.+-]{1,100}):(\d{1,7})\b")
_AROUND = 3  # lines shown before and after
_MOST_EXCERPTS = 200
_NUMBERED = lazy_re.compile(r"(?m)^ *(\d{1,7}):\t(.*)$")
_GREPPED = lazy_re.compile(r"(?m)^([^:=\n]{1,500}?)[:=-](\d{1,7})[:=-](.*)$")


class Excerpt(msgspec.Struct, frozen=True):
    """Lines of source around one that is cited."""

    anchor: str
    path: str
    line: int
    lines: tuple[tuple[int, str], ...]


class TextPiece(msgspec.Struct, frozen=True):
    """A piece of a text: plain, or a citation with the anchor of its excerpt."""

    text: str
    anchor: str = ""


class Sources:
    """What is known of the sources, and the excerpts that were asked for."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._made: dict[tuple[str, int, str], Excerpt] = {}

    @property
    def excerpts(self) -> Sequence[Excerpt]:
        return list(self._made.values())

    def excerpt(self, path: str, line: int, blob: str = "", text: str = "") -> Excerpt | None:
        """The lines around one, or at least its `text`; None where nothing is known of it."""
        key = (path, line, "")
        if key not in self._made:
            key = (path, line, blob)
        if key not in self._made and len(self._made) < _MOST_EXCERPTS:
            known = self._lines(path, blob)
            shown = tuple((at, known[at]) for at in range(line - _AROUND, line + _AROUND + 1) if at in known) if line in known else ()
            if not shown and text:
                shown = ((line, text),)
            if shown:
                self._made[key] = Excerpt(f"source-{len(self._made) + 1}", path, line, shown)
        return self._made.get(key)

    def linked(self, text: str) -> Iterator[TextPiece]:
        """`text` in pieces, with each citation of a known line linked."""
        at = 0
        for match in _CITED.finditer(text):
            excerpt = self.excerpt(match[1], int(match[2]))
            if excerpt:
                if match.start() > at:
                    yield TextPiece(text[at : match.start()])
                yield TextPiece(match[0], excerpt.anchor)
                at = match.end()
        if at < len(text):
            yield TextPiece(text[at:])


def in_trajectory(spans: Iterable[Span]) -> dict[str, dict[int, str]]:
    """The lines of source that the tools of a run have shown, by path."""
    lines_of: dict[str, dict[int, str]] = {}
    for span in spans:
        if span.type != "tool" or not isinstance(span.args, dict) or not isinstance(span.results, dict):
            continue
        contents, output = span.results.get("Contents"), span.results.get("Output")
        if isinstance(contents, str) and isinstance(span.args.get("File"), str):
            lines = lines_of.setdefault(span.args["File"], {})
            lines.update((int(number), text) for number, text in _NUMBERED.findall(contents))
        if span.name == "grepper" and isinstance(output, str):
            for path, number, text in _GREPPED.findall(output):
                lines_of.setdefault(path, {}).setdefault(int(number), text)
    return lines_of
