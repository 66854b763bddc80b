"""The maintainer's queue: series and commits in the order in which they ask for attention.

What is proved to be worth fuzzing comes first, then what is open, then what could not be judged, and last what is proved not to be. Among
equals what nobody has reviewed comes first, then what changes more lines. Of a series only the newest version stands in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from hook.bulk import rows

# the first that a row of a series is says what the series is
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


def queue(found: Iterable[Mapping[str, Any]]) -> list[Queued]:
    """The queue of some rows, in which the rows of an input stand together."""
    every: dict[str, Queued] = {}
    for row in found:
        one = every.setdefault(row["Input"], Queued(row["Input"], row["Subject"], row["Author"], row["Version"]))
        one.patches += 1
        one.lines += row["LineCount"]
        one.rank = min(one.rank, _rank(row))
        one.reviews |= frozenset(row["Reviews"])
        if row["WorthFuzzing"]:
            one.focus = tuple(dict.fromkeys((*one.focus, *row["FocusSymbols"])))
    newest: dict[tuple[str, str], int] = {}
    for one in every.values():
        key = (one.author, one.subject)
        newest[key] = max(newest.get(key, 0), one.version)
    # commits have no version: two of one name are two
    kept = [one for one in every.values() if one.version == newest[one.author, one.subject]]
    return sorted(kept, key=lambda one: (one.rank, bool(one.reviews), -one.lines, one.id))


def _rank(row: Mapping[str, Any]) -> int:
    kind = rows.kind(row)
    if kind == "worth fuzzing":
        return 0
    if kind == "not proved":
        return 1 if row["Functional"] == "yes" else 2
    return {"failed": 3, "not worth fuzzing": 4, "nothing to judge": 5}[kind]
