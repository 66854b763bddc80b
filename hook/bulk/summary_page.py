"""The page of a run: one HTML file that loads nothing from the network. Untrusted text is escaped."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence

import msgspec

from hook.bulk import rows, summary
from hook.bulk.ranking import Queued
from hook.bulk.summary import BulkSummary
from hook.report import page

_WIDTH = 1000.0  # of a bar, in its own units
_MOST_GROUPS = 40  # subsystems and classes that are drawn
_MOST_COUNTED = 30
_MOST_QUEUED = 500
# the name of a kind's colour in the style sheet
_COLOURS = {"worth fuzzing": "yes", "open": "open", "not worth fuzzing": "no", "nothing to judge": "none", "failed": "none"}


class ShareBar(msgspec.Struct, frozen=True):
    """A part of a bar."""

    kind: str  # its colour
    x: float
    width: float
    says: str


class Shares(msgspec.Struct, frozen=True):
    """A group with its kinds, as a bar."""

    name: str
    total: int
    bars: tuple[ShareBar, ...]
    says: str


def render(title: str, run: BulkSummary, queued: Sequence[Queued]) -> str:
    """The page; without `queued` it has no queue."""
    return page.written(
        "bulk.html",
        title=title,
        summary=run,
        whole=_shares("all", run.kinds, run.rows),
        groups=[("subsystems", "Subsystems", _bars(run.subsystems)), ("classes", "Change classes", _bars(run.classes))],
        counts=[
            ("open", "Why changes stayed open", run.open.most_common(_MOST_COUNTED)),
            ("failed", "Why there is no verdict", run.failed.most_common(_MOST_COUNTED)),
            ("options", "Kernel options", run.options.most_common(_MOST_COUNTED)),
        ],
        slowest=run.slowest,
        queued=queued[:_MOST_QUEUED],
    )


def _bars(groups: Mapping[str, collections.Counter[str]]) -> list[Shares]:
    drawn = summary.largest(groups)[:_MOST_GROUPS]
    most = drawn[0][1].total() if drawn else 1
    return [_shares(name, kinds, most) for name, kinds in drawn]


def _shares(name: str, kinds: collections.Counter[str], most: int) -> Shares:
    bars, x = [], 0.0
    for kind in rows.KINDS:
        width = _WIDTH * kinds[kind] / max(most, 1)
        if width:
            bars.append(ShareBar(_COLOURS[kind], round(x, 2), round(width, 2), f"{kinds[kind]} {kind}"))
        x += width
    return Shares(name, kinds.total(), tuple(bars), ", ".join(bar.says for bar in bars))
