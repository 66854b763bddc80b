"""`patch-triage trajectory`: the steps of the run in which a model was asked."""

from __future__ import annotations

import argparse
import pathlib

from hook.change.change import find_commit
from hook.commands import DONE, Command, repository
from hook.failure import CannotJudge
from hook.source.object_store import Objects


def register(command: Command) -> None:
    sub = command("trajectory", trajectory, "print the steps of the model's run about a commit")
    sub.add_argument("commit", nargs="?", default="HEAD", metavar="COMMIT")
    sub.add_argument("--trajectory", metavar="FILE", help="a trajectory file instead of a commit")
    sub.add_argument("--full", action="store_true", help="every argument, result, prompt and thought")


def trajectory(options: argparse.Namespace) -> int:
    """Print a trajectory."""
    from hook import trajectory as spans
    from hook.change import patch
    from hook.record import trajectories
    from hook.report import steps

    if options.trajectory:
        path: pathlib.Path | None = pathlib.Path(options.trajectory)
    else:
        repo = repository(options)
        with Objects(repo) as objects:
            commit = find_commit(objects, options.commit)
        path = trajectories.latest(repo, patch.change_ids(repo, [commit.oid]).get(commit.oid, "none"))
        if path is None:
            raise CannotJudge(f"no model was asked about {commit.oid[:12]}; `patch-triage check {commit.oid[:12]} --wait` asks it")
    assert path is not None
    run = spans.read(path)
    for line in steps.full(run) if options.full else steps.table(run):
        print(line)
    return DONE
