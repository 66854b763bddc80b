"""The progress of a bulk run: done/total, changes a second, time left, and the answers so far."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence

from hook.bulk import rows
from hook.commands import complain
from hook.commands.bar import ProgressBar

_LINE_SECONDS = 60.0  # between two lines where standard error is no terminal


class BulkProgress:
    """Counts what is judged; on a terminal it is a line that changes, elsewhere a line a minute."""

    def __init__(self, total: int, kinds: Mapping[str, int]) -> None:
        self._total, self._kinds = total, dict(kinds)
        self._done = 0
        self._started = self._said = time.monotonic()
        self._bar = ProgressBar("judged")

    def add(self, changes: int, lines: Sequence[bytes]) -> None:
        """Count a piece: the number of its changes, and its rows."""
        self._done += changes
        for text in lines:
            kind = rows.kind(json.loads(text))
            self._kinds[kind] = self._kinds.get(kind, 0) + 1
        self._bar(self._done, self._total, f"{self._rate()}; {self._shares()}")
        if not sys.stderr.isatty() and time.monotonic() - self._said >= _LINE_SECONDS:
            self._said = time.monotonic()
            complain(f"{self._done}/{self._total} judged, {self._rate()}, {self._time_left()} left; {self._shares()}")

    def end(self) -> None:
        """Remove the line."""
        self._bar.clear()

    def summary(self) -> str:
        """The rows that there are, and how many of them this run has judged."""
        took = time.monotonic() - self._started
        judged = f" ({self._done} judged in {took:.1f} s, {self._rate()})" if self._done else ""
        return f"{sum(self._kinds.values())} rows: {self._shares()}{judged}"

    def _rate(self) -> str:
        return f"{self._done / max(time.monotonic() - self._started, 0.001):.1f} a second"

    def _time_left(self) -> str:
        seconds = (time.monotonic() - self._started) / max(self._done, 1) * (self._total - self._done)
        return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{seconds / 60:.0f} min"

    def _shares(self) -> str:
        return ", ".join(f"{self._kinds.get(kind, 0)} {kind}" for kind in rows.KINDS if kind in rows.ANSWERS or self._kinds.get(kind))
