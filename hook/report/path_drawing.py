"""A call path as it is drawn: a box for each place on it, from user space down to the change. Only geometry; the template draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from hook.report.chain import ChainHop, call_paths
from hook.report.citations import Sources
from hook.verdict import Fact

WIDTH, _BOX, _ARROW = 360, 40, 16  # of the drawing, in its own units: about the width of a phone
_MOST_DRAWN = 3
_MOST_HOPS = 40
_NAME_CHARACTERS, _PLACE_CHARACTERS = 46, 54  # that fit into a box


class PathBox(msgspec.Struct, frozen=True):
    """A box: where its top is, what it says, and the excerpt that shows its place, empty where there is none."""

    top: int
    name: str
    place: str
    anchor: str
    says: str  # the same, uncut


class PathDrawing(msgspec.Struct, frozen=True):
    """The boxes of one call path, and one sentence for who does not see them."""

    boxes: tuple[PathBox, ...]
    arrows: tuple[int, ...]  # where each begins
    height: int
    says: str


def drawings(facts: Sequence[Fact], sources: Sources) -> Iterator[PathDrawing]:
    """The call paths among the facts of a verdict, the first few."""
    for path in call_paths(facts)[0][:_MOST_DRAWN]:
        yield _drawing(path[:_MOST_HOPS], sources)


def _drawing(path: Sequence[ChainHop], sources: Sources) -> PathDrawing:
    boxes = tuple(_box(number * (_BOX + _ARROW), hop, sources) for number, hop in enumerate(path))
    arrows = tuple(box.top + _BOX for box in boxes[:-1])
    return PathDrawing(boxes, arrows, boxes[-1].top + _BOX, "Call path: " + ", then ".join(hop.name for hop in path))


def _box(top: int, hop: ChainHop, sources: Sources) -> PathBox:
    place = hop.fact.place
    excerpt = sources.excerpt(place.path, place.line, place.blob, hop.fact.text) if place.line else None
    where = f"{place.path}:{place.line}" if place.line else place.path
    says = f"{hop.name}, {where}"
    name = hop.name if len(hop.name) <= _NAME_CHARACTERS else f"{hop.name[: _NAME_CHARACTERS - 1]}…"
    # the end of a path says more than its beginning
    where = where if len(where) <= _PLACE_CHARACTERS else f"…{where[1 - _PLACE_CHARACTERS :]}"
    return PathBox(top, name, where, excerpt.anchor if excerpt else "", says)
