"""Segments: a C file cut into its definitions and the text between them, and which of these an edit changes.

A segment is a function, a macro, a type, a variable, or a piece of the text between them (prototypes, directives, exports). Two segments
are the same if their tokens are; comments and white space do not count. Every byte of a file is in exactly one segment, so that an edit is
covered completely if each of its segments is.
"""

from __future__ import annotations

import bisect
import difflib
import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hook.c.definitions import Definition, DefinitionKind, Scan
from hook.c.tokens import c_tokens
from hook.c.tokens.comparison import Unreadable

_MOST_COMPARED = 40_000  # pairs of segments of one gap; with more, only names match old and new segments


class Segment(msgspec.Struct, frozen=True, dict=True):
    """A piece of one version of a file."""

    kind: DefinitionKind | None  # None: the text between definitions
    name: str
    line: int  # of its first byte, from 1
    text: bytes
    start: int  # its offset
    definition: Definition | None = None

    @functools.cached_property
    def tokens(self) -> tuple[bytes, ...]:
        """Its tokens without comments and white space; a directive is one token. Raises Unreadable."""
        return c_tokens.tokens(self.text)

    @functools.cached_property
    def same_as(self) -> tuple[bytes, ...]:
        """Equal for equal segments: its tokens, or its bytes if it has no readable tokens."""
        try:
            return self.tokens
        except Unreadable:
            return (b"\0unreadable", self.text)

    @property
    def is_function(self) -> bool:
        return self.kind is DefinitionKind.FUNCTION


class Edit(msgspec.Struct, frozen=True):
    """A segment of the old version, and the one in its place in the new version. One of them may be None."""

    old: Segment | None
    new: Segment | None

    @property
    def moved(self) -> bool:
        """Whether the segment is the same as before, in another place."""
        return self.old is not None and self.new is not None and self.old.same_as == self.new.same_as

    @property
    def either(self) -> Segment:
        segment = self.new or self.old
        assert segment is not None
        return segment


def cut(data: bytes, scan: Scan) -> tuple[Segment, ...]:
    """One version of a file, cut into segments."""
    return tuple(_cut(data, scan))


def edits(old: Sequence[Segment], new: Sequence[Segment]) -> list[Edit]:
    """The differences between two versions, in the order of the new one. A segment that only moved is one edit, `moved`."""
    changes: list[Edit] = []
    start, end = _common(old, new)
    old_middle, new_middle = old[start : len(old) - end], new[start : len(new) - end]
    # first by their bytes: most segments between the first change and the last are unchanged, and need no tokens
    for old_part, new_part in _gaps(old_middle, new_middle):
        changes += _paired(old_part, new_part)
    return _rejoined(edit for edit in changes if not edit.old or not edit.new or edit.old.same_as != edit.new.same_as)


def _cut(data: bytes, scanned: Scan) -> Iterator[Segment]:
    position, line = 0, 1
    tops: list[Definition] = []
    for definition in sorted(scanned.definitions, key=lambda definition: (definition.span[0], -definition.span[1])):
        if definition.kind is not DefinitionKind.CONSTANT and (not tops or definition.span[0] >= tops[-1].span[1]):
            tops.append(definition)
    for definition in tops:
        start, end = definition.span[0], min(len(data), definition.span[1] + 1)
        if definition.kind is DefinitionKind.MACRO:
            end = definition.span[1]
        if start > position:
            yield Segment(None, "", line, data[position:start], position)
            line += data.count(b"\n", position, start)
        if end > start:
            yield Segment(definition.kind, definition.name, line, data[start:end], start, definition)
            line += data.count(b"\n", start, end)
        position = max(position, end)
    if position < len(data):
        yield Segment(None, "", line, data[position:], position)


def _common(olds: Sequence[Segment], news: Sequence[Segment]) -> tuple[int, int]:
    most = min(len(olds), len(news))
    start = 0
    while start < most and olds[start].text == news[start].text:
        start += 1
    end = 0
    while end < most - start and olds[-1 - end].text == news[-1 - end].text:
        end += 1
    return start, end


def _key(segment: Segment) -> tuple[object, ...]:
    return (segment.kind, segment.name, segment.same_as)


def _gaps(olds: Sequence[Segment], news: Sequence[Segment]) -> Iterator[tuple[Sequence[Segment], Sequence[Segment]]]:
    """The differences between the segments that both versions have exactly once and in the same order (patience diff)."""
    places = _once(news)
    pairs = sorted((position, places[text]) for text, position in _once(olds).items() if text in places)
    last_old = last_new = 0
    for at_old, at_new in [*_rising(pairs), (len(olds), len(news))]:
        old_part, new_part = olds[last_old:at_old], news[last_new:at_new]
        last_old, last_new = at_old + 1, at_new + 1
        start, end = _common(old_part, new_part)
        old_part, new_part = old_part[start : len(old_part) - end], new_part[start : len(new_part) - end]
        if len(old_part) * len(new_part) > _MOST_COMPARED:
            yield old_part, new_part
            continue
        matcher = difflib.SequenceMatcher(
            None, [segment.text for segment in old_part], [segment.text for segment in new_part], autojunk=False
        )
        for tag, a, b, c, d in matcher.get_opcodes():
            if tag != "equal":
                yield old_part[a:b], new_part[c:d]


def _once(segments: Sequence[Segment]) -> dict[bytes, int]:
    """The positions of the texts that occur only once."""
    places: dict[bytes, int] = {}
    twice = set()
    for position, segment in enumerate(segments):
        if segment.text in places:
            twice.add(segment.text)
        places[segment.text] = position
    return {text: position for text, position in places.items() if text not in twice}


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest subsequence of pairs, sorted by their first value, in which the second value rises too."""
    tops: list[int] = []  # for each length, the lowest last second value of a subsequence
    ends: list[int] = []  # for each length, the pair with that value
    before: list[int] = []
    for number, (_, second) in enumerate(pairs):
        length = bisect.bisect_left(tops, second)
        before.append(ends[length - 1] if length else -1)
        if length == len(tops):
            tops.append(second)
            ends.append(number)
        else:
            tops[length], ends[length] = second, number
    run = []
    number_in_run = ends[-1] if ends else -1
    while number_in_run >= 0:
        run.append(pairs[number_in_run])
        number_in_run = before[number_in_run]
    return run[::-1]


def _paired(olds: Sequence[Segment], news: Sequence[Segment]) -> Iterator[Edit]:
    """The edits of one gap: segments with the same kind and name are paired; one that changed its order is removed and added."""
    waiting: dict[tuple[DefinitionKind | None, str], deque[int]] = {}
    for position, segment in enumerate(olds):
        waiting.setdefault((segment.kind, segment.name), deque()).append(position)
    last, used = -1, set()
    for segment in news:
        same = waiting.get((segment.kind, segment.name))
        while same and same[0] < last:
            same.popleft()
        if same:
            last = same.popleft()
            used.add(last)
            yield Edit(olds[last], segment)
        else:
            yield Edit(None, segment)
    for position, segment in enumerate(olds):
        if position not in used:
            yield Edit(segment, None)


def _rejoined(edits: Iterable[Edit]) -> list[Edit]:
    """The edits, with the removal and the addition of a moved definition joined, and without edits of comments alone."""
    remaining = [edit for edit in edits if any(side and (side.kind is not None or side.same_as) for side in (edit.old, edit.new))]
    removed = {_key(edit.old): edit for edit in remaining if edit.old and not edit.new and edit.old.kind}
    moved = {_key(edit.new): edit for edit in remaining if edit.new and not edit.old and _key(edit.new) in removed}
    joined = []
    for edit in remaining:
        if edit.new and edit is moved.get(_key(edit.new)):
            joined.append(Edit(removed[_key(edit.new)].old, edit.new))
        elif not (edit.old and not edit.new and _key(edit.old) in moved):
            joined.append(edit)
    return joined
