"""The maintainer's queue: series and commits in the order in which they need attention.

First those proved worth fuzzing, then open ones, then those that could not be judged, and last those proved not worth it. Of equal ones,
first those without a review, then those that change more lines. Only the newest version of a series is in the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hook.bulk import rows

# a series has the first of these that one of its rows has
_ORDER = ("proved worth fuzzing", "functional, reach open", "open", "not judged", "not worth fuzzing", "nothing to judge")


class Queued(msgspec.Struct):
    """A series or a commit in the queue."""

    id: str  # of the input
    subject: str  # of its first patch
    author: str
    version: int
    patches: int = 0
    lines: int = 0
    rank: int = len(_ORDER)
    reviews: frozenset[str] = frozenset()
    focus: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        return _ORDER[self.rank]

    def document(self) -> dict[str, Any]:
        """The same as a JSON value."""
        return {
            "Input": self.id, "Subject": self.subject, "Author": self.author, "Version": self.version, "Patches": self.patches,
            "Lines": self.lines, "Says": self.says, "Reviews": sorted(self.reviews), "FocusSymbols": list(self.focus),
        }  # fmt: skip


def queue(rows_of_run: Iterable[Mapping[str, Any]]) -> list[Queued]:
    """The queue of the inputs in some rows."""
    by_input: dict[str, Queued] = {}
    for row in rows_of_run:
        queued = by_input.setdefault(row["Input"], Queued(row["Input"], row["Subject"], row["Author"], row["Version"]))
        queued.patches += 1
        queued.lines += row["LineCount"]
        queued.rank = min(queued.rank, _rank(row))
        queued.reviews |= frozenset(row["Reviews"])
        if row["WorthFuzzing"]:
            queued.focus = tuple(dict.fromkeys((*queued.focus, *row["FocusSymbols"])))
    newest: dict[tuple[str, str], int] = {}
    for queued in by_input.values():
        key = (queued.author, queued.subject)
        newest[key] = max(newest.get(key, 0), queued.version)
    # commits have no version: two with one subject are different
    newest_versions = [queued for queued in by_input.values() if queued.version == newest[queued.author, queued.subject]]
    return sorted(newest_versions, key=lambda queued: (queued.rank, bool(queued.reviews), -queued.lines, queued.id))


def _rank(row: Mapping[str, Any]) -> int:
    kind = rows.kind(row)
    if kind == "worth fuzzing":
        return 0
    if kind == "open":
        return 1 if row["Functional"] == "yes" else 2
    return {"failed": 3, "not worth fuzzing": 4, "nothing to judge": 5}[kind]
