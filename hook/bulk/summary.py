"""The summary of a run: its rows by kind, subsystem and change class; why rows are open or failed; the slowest; the options.

It reads the columns that it needs, part by part, so that a run of a million rows takes no more memory than its counts.
"""

from __future__ import annotations

import collections
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from hook import lazy_re
from hook.bulk import rows
from hook.failure import CannotJudge

_COLUMNS = (
    "Id", "Input", "Subject", "Author", "Version", "Reviews", "Paths", "LineCount", "NoVerdict", "Failed", "Seconds", "Open",
    "WorthFuzzing", "DecidedBy", "Functional", "Reachable", "FocusSymbols", "EnableConfigs", "ChangeClasses",
)  # fmt: skip
_TWO_LEVELS = frozenset(("arch", "drivers", "fs", "net", "sound", "tools"))
_SLOWEST = 20
# the parts of a sentence that differ from change to change: ids, functions, paths
_ID = lazy_re.compile(r"\b[0-9a-f]{12,64}\b")
_FUNCTION = lazy_re.compile(r"\b\w+\(\)")
_PATH = lazy_re.compile(r"\b[\w.-]+(?:/[\w.+-]+)+(?:, line \d+)?")


class SlowRow(msgspec.Struct, frozen=True, order=True):
    """A slow change."""

    seconds: float
    id: str
    subject: str


class BulkSummary(msgspec.Struct):
    """The counts of a run."""

    rows: int = 0
    seconds: float = 0.0
    kinds: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)  # of rows.KINDS
    subsystems: dict[str, collections.Counter[str]] = msgspec.field(default_factory=dict)  # each with its kinds
    classes: dict[str, collections.Counter[str]] = msgspec.field(default_factory=dict)  # of change; a row can have several
    open: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)  # why rows stayed open
    failed: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)  # why rows have no verdict
    options: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)
    slowest: list[SlowRow] = msgspec.field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """The same as a JSON value, the most frequent first."""

        def counted(counts: collections.Counter[str]) -> dict[str, int]:
            return dict(counts.most_common())

        def by_kind(groups: Mapping[str, collections.Counter[str]]) -> dict[str, dict[str, int]]:
            return {name: counted(kinds) for name, kinds in largest(groups)}

        return {
            "Rows": self.rows,
            "Seconds": round(self.seconds, 1),
            "Kinds": counted(self.kinds),
            "Subsystems": by_kind(self.subsystems),
            "ChangeClasses": by_kind(self.classes),
            "Open": counted(self.open),
            "NoVerdict": counted(self.failed),
            "EnableConfigs": counted(self.options),
            "Slowest": [{"Seconds": row.seconds, "Id": row.id, "Subject": row.subject} for row in self.slowest],
        }


def largest(groups: Mapping[str, collections.Counter[str]]) -> list[tuple[str, collections.Counter[str]]]:
    """Groups with their kinds, the largest first."""
    return sorted(groups.items(), key=lambda item: (-item[1].total(), item[0]))


def read(directory: pathlib.Path) -> Iterator[dict[str, Any]]:
    """The rows of a run, with the columns that a summary needs. Raises CannotJudge if there are none."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise CannotJudge("bulk needs pyarrow: pip install 'patch-triage[cluster]'") from None
    parts = sorted((directory / "parquet").glob("*.parquet"))
    if not parts:
        raise CannotJudge(f"{directory} has no rows")
    for part in parts:
        yield from pyarrow.parquet.read_table(part, columns=list(_COLUMNS)).to_pylist()


def add(summary: BulkSummary, row: Mapping[str, Any]) -> None:
    """Count a row."""
    kind = rows.kind(row)
    summary.rows += 1
    summary.seconds += row["Seconds"]
    summary.kinds[kind] += 1
    summary.subsystems.setdefault(subsystem(row["Paths"]), collections.Counter())[kind] += 1
    for name in row["ChangeClasses"] or ():
        summary.classes.setdefault(name, collections.Counter())[kind] += 1
    summary.options.update(row["EnableConfigs"] or ())
    if row["Open"]:
        summary.open.update(dict.fromkeys(map(general, row["Open"].split("; ")), 1))
    if row["NoVerdict"]:
        summary.failed[general(row["NoVerdict"])] += 1
    summary.slowest = sorted([*summary.slowest, SlowRow(row["Seconds"], row["Id"], row["Subject"])], reverse=True)[:_SLOWEST]


def subsystem(paths: list[str]) -> str:
    """The part of the tree with most of the paths: `mm`, `drivers/net`."""
    counts = collections.Counter(_part(path) for path in paths)
    return counts.most_common(1)[0][0] if counts else "none"


def general(sentence: str) -> str:
    """A sentence without the names in it, so that the same reason is counted once."""
    return _PATH.sub("FILE", _FUNCTION.sub("f()", _ID.sub("ID", sentence)))


def _part(path: str) -> str:
    first, *rest = path.split("/")
    if not rest:
        return "top"
    return f"{first}/{rest[0]}" if first in _TWO_LEVELS and len(rest) > 1 else first
