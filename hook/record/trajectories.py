"""The trajectories of this repository: one file a run in which a model was asked, named by ChangeId and time."""

from __future__ import annotations

import datetime
import os
import pathlib

from hook.source.git import Repository

MOST_KEPT = 500


def new_path(repo: Repository, change_id: str) -> pathlib.Path:
    """Where the next run on a change is written."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S%f")
    return _directory(repo) / f"{change_id}-{now}-{os.getpid()}.jsonl"


def latest(repo: Repository, change_id: str) -> pathlib.Path | None:
    """The newest run on a change, None if there is none."""
    found = sorted(_directory(repo).glob(f"{change_id}-*.jsonl"))
    return found[-1] if found else None


def sweep(repo: Repository) -> None:
    """Drop the oldest beyond MOST_KEPT."""
    try:
        names = [name for name in os.listdir(_directory(repo)) if name.endswith(".jsonl")]
        if len(names) > MOST_KEPT:
            for name in sorted(names, key=lambda name: name.split("-")[1:])[: len(names) - MOST_KEPT]:
                (_directory(repo) / name).unlink(missing_ok=True)
    except OSError:
        pass  # none yet, or not ours to remove


def _directory(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "trajectories"
