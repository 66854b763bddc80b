"""The trajectories of this repository: one file per run of the agent, named by ChangeId and time."""

from __future__ import annotations

import datetime
import os
import pathlib

from hook.source.git import Repository

MOST_KEPT = 500


def new_path(repo: Repository, change_id: str) -> pathlib.Path:
    """The file for the next run on a change."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")
    return _directory(repo) / f"{change_id}-{now}-{os.getpid()}.jsonl"


def latest(repo: Repository, change_id: str) -> pathlib.Path | None:
    """The newest run on a change; None if there is none."""
    runs = sorted(_directory(repo).glob(f"{change_id}-*.jsonl"))
    return runs[-1] if runs else None


def sweep(repo: Repository) -> None:
    """Remove the oldest files beyond MOST_KEPT."""
    try:
        names = [name for name in os.listdir(_directory(repo)) if name.endswith(".jsonl")]
        if len(names) > MOST_KEPT:
            for name in sorted(names, key=lambda name: name.split("-")[1:])[: len(names) - MOST_KEPT]:
                (_directory(repo) / name).unlink(missing_ok=True)
    except OSError:
        pass  # there are none yet, or we may not remove them


def _directory(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "trajectories"
