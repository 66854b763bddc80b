"""Segments: a C file cut into what it defines and what stands between, and which of these an edit changes.

A segment is a function, a macro, a type, a variable, or a piece of the text between them (prototypes, directives, exports). Two segments
are the same if their tokens are; comments and white space do not count. Every byte of a file is in exactly one segment, so that an edit of
which each segment is accounted for is accounted for as a whole.
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

_MOST_COMPARED = 40_000  # pairs of segments of one place; beyond it only their names tell which became which


class Segment(msgspec.Struct, frozen=True, dict=True):
    """A piece of one version of a file."""

    kind: DefinitionKind | None  # None: what stands between definitions
    name: str
    line: int  # where it begins, from 1
    text: bytes
    start: int  # its offset
    definition: Definition | None = None

    @functools.cached_property
    def tokens(self) -> tuple[bytes, ...]:
        """Its tokens without comments and white space; a directive is one token. Raises Unreadable."""
        return c_tokens.tokens(self.text)

    @functools.cached_property
    def same_as(self) -> tuple[bytes, ...]:
        """What tells it from other segments: its tokens, or its bytes where these cannot be read."""
        try:
            return self.tokens
        except Unreadable:
            return (b"\0unreadable", self.text)

    @property
    def is_function(self) -> bool:
        return self.kind is DefinitionKind.FUNCTION


class Edit(msgspec.Struct, frozen=True):
    """Segments of the old version, and those that stand in their place in the new one. One side may be empty."""

    old: Segment | None
    new: Segment | None

    @property
    def moved(self) -> bool:
        """Whether the segment is the same as before, in another place."""
        return self.old is not None and self.new is not None and self.old.same_as == self.new.same_as

    @property
    def either(self) -> Segment:
        found = self.new or self.old
        assert found is not None
        return found


def cut(data: bytes, scan: Scan) -> tuple[Segment, ...]:
    """One version of a file, cut into segments."""
    return tuple(_cut(data, scan))


def edits(old: Sequence[Segment], new: Sequence[Segment]) -> list[Edit]:
    """What differs between two versions, in the order of the new one. A segment that only moved is one edit, `moved`."""
    found: list[Edit] = []
    start, end = _common(old, new)
    olds, news = old[start : len(old) - end], new[start : len(new) - end]
    # by their bytes first: most segments between the first change and the last are untouched, and need no reading
    for was, now in _gaps(olds, news):
        found += _paired(was, now)
    return _rejoined(edit for edit in found if not edit.old or not edit.new or edit.old.same_as != edit.new.same_as)


def _cut(data: bytes, scanned: Scan) -> Iterator[Segment]:
    at, line = 0, 1
    tops: list[Definition] = []
    for one in sorted(scanned.definitions, key=lambda one: (one.span[0], -one.span[1])):
        if one.kind is not DefinitionKind.CONSTANT and (not tops or one.span[0] >= tops[-1].span[1]):
            tops.append(one)
    for one in tops:
        start, end = one.span[0], min(len(data), one.span[1] + 1)
        if one.kind is DefinitionKind.MACRO:
            end = one.span[1]
        if start > at:
            yield Segment(None, "", line, data[at:start], at)
            line += data.count(b"\n", at, start)
        if end > start:
            yield Segment(one.kind, one.name, line, data[start:end], start, one)
            line += data.count(b"\n", start, end)
        at = max(at, end)
    if at < len(data):
        yield Segment(None, "", line, data[at:], at)


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
    """What differs between segments that both versions have once and in the same order (patience diff)."""
    places = _once(news)
    pairs = sorted((at, places[text]) for text, at in _once(olds).items() if text in places)
    last_old = last_new = 0
    for at_old, at_new in [*_rising(pairs), (len(olds), len(news))]:
        was, now = olds[last_old:at_old], news[last_new:at_new]
        last_old, last_new = at_old + 1, at_new + 1
        start, end = _common(was, now)
        was, now = was[start : len(was) - end], now[start : len(now) - end]
        if len(was) * len(now) > _MOST_COMPARED:
            yield was, now
            continue
        matcher = difflib.SequenceMatcher(None, [one.text for one in was], [one.text for one in now], autojunk=False)
        for what, a, b, c, d in matcher.get_opcodes():
            if what != "equal":
                yield was[a:b], now[c:d]


def _once(segments: Sequence[Segment]) -> dict[bytes, int]:
    """The places of the texts that stand there only once."""
    places: dict[bytes, int] = {}
    twice = set()
    for at, one in enumerate(segments):
        if one.text in places:
            twice.add(one.text)
        places[one.text] = at
    return {text: at for text, at in places.items() if text not in twice}


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs, sorted by their first, in which the second rises too."""
    tops: list[int] = []  # of the runs of each length, the lowest last second
    ends: list[int] = []  # which pair that is
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
    at = ends[-1] if ends else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]


def _paired(olds: Sequence[Segment], news: Sequence[Segment]) -> Iterator[Edit]:
    """The segments of a place that changed, those of one name and kind together; what changed places is taken out and put in again."""
    left: dict[tuple[DefinitionKind | None, str], deque[int]] = {}
    for at, segment in enumerate(olds):
        left.setdefault((segment.kind, segment.name), deque()).append(at)
    last, taken = -1, set()
    for segment in news:
        same = left.get((segment.kind, segment.name))
        while same and same[0] < last:
            same.popleft()
        if same:
            last = same.popleft()
            taken.add(last)
            yield Edit(olds[last], segment)
        else:
            yield Edit(None, segment)
    for at, segment in enumerate(olds):
        if at not in taken:
            yield Edit(segment, None)


def _rejoined(edits: Iterable[Edit]) -> list[Edit]:
    """The edits, those that took a definition from one place and put it to another joined; without those of comments alone."""
    found = [edit for edit in edits if any(side and (side.kind is not None or side.same_as) for side in (edit.old, edit.new))]
    gone = {_key(edit.old): edit for edit in found if edit.old and not edit.new and edit.old.kind}
    moved = {_key(edit.new): edit for edit in found if edit.new and not edit.old and _key(edit.new) in gone}
    joined = []
    for edit in found:
        if edit.new and edit is moved.get(_key(edit.new)):
            joined.append(Edit(gone[_key(edit.new)].old, edit.new))
        elif not (edit.old and not edit.new and _key(edit.old) in moved):
            joined.append(edit)
    return joined
