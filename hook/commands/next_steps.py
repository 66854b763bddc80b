"""A bare `patch-triage`: what to do next in this repository."""

from __future__ import annotations

import contextlib

from hook.failure import CannotJudge
from hook.report.text import plain
from hook.source import setting_layers
from hook.source.git import GitError, Repository, find


def lines() -> list[str]:
    """A line for each possible next step, the first one first."""
    try:
        repo = find()
    except GitError as wrong:
        return [str(wrong), "go to a kernel tree, or name one: patch-triage check --repo DIR"]
    if off := setting_layers.switched_off(repo):
        return [f"patch-triage is off: {off}"]
    return [
        *_set_up(repo),
        *_open(repo),
        "patch-triage check HEAD       judge the newest commit",
        "patch-triage --help           all commands",
    ]


def tell() -> int:
    """Print them."""
    print("\n".join(map(plain, lines())))
    return 0


def _set_up(repo: Repository) -> list[str]:
    from hook import installation
    from hook.source import index
    from hook.source.object_store import Objects
    from hook.source.tree import Source

    steps = []
    if not installation.is_installed(repo):
        steps.append("patch-triage install          install the hooks: there are none yet")
    try:
        index.open_index(repo).close()
    except index.NoIndex:
        if not Source(Objects(repo, 0), "").is_small:
            steps.append("patch-triage index            build the word index: look-ups in a large tree get fast")
    return steps


def _open(repo: Repository) -> list[str]:
    from hook.change.change import NothingToJudge, head_commit, staged
    from hook.record import pending
    from hook.source.object_store import Objects

    steps = []
    with contextlib.suppress(NothingToJudge, CannotJudge), Objects(repo) as objects:
        staged(objects, head_commit(objects))
        steps.append("patch-triage check            judge the staged changes")
    if count := len(pending.every(repo)):
        steps.append(f"patch-triage status           {count} {'question is' if count == 1 else 'questions are'} open")
    return steps
