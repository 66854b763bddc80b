"""The bar: the progress of long work, if standard error is a terminal."""

from __future__ import annotations

import sys
import time
import typing

if typing.TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_SECONDS = 0.1  # between two updates


class ProgressBar:
    """A progress line: done/total and time left. Call it with the number done, perhaps with a note, and `clear` it at the end."""

    def __init__(self, title: str, *, wanted: bool = True) -> None:
        self._what = title
        self._shown = wanted and sys.stderr.isatty()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._said = 0.0

    def __call__(self, done: int, total: int, note: str = "") -> None:
        if not self._shown or (time.monotonic() - self._said < _SECONDS and done < total):
            return
        self._said = time.monotonic()
        progress = self._progress or self._start(total)
        assert self._task is not None
        progress.update(self._task, completed=done, total=total, note=note)
        progress.refresh()

    def clear(self) -> None:
        """Remove the line."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _start(self, total: int) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(30), MofNCompleteColumn(), TextColumn(self._what), TimeRemainingColumn(), TextColumn("{task.fields[note]}"))
        # refreshed by hand: a thread of its own would not go along into the processes that are forked meanwhile
        self._progress = Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False)
        self._task = self._progress.add_task("", total=total, note="")
        self._progress.start()
        return self._progress
