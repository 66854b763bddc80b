"""The stages before a commit: the verdict is said before the message is written, and may stand in it."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

from hook import triage
from hook.asking import BEFORE_COMMIT
from hook.change.change import NothingToJudge, find_commit, head_commit, staged
from hook.source import own_files, setting_layers
from hook.source.object_store import Objects
from hook.stages.judging import announce

_MOST_MARKER_BYTES = 1000
AMEND_MARKER = "patch-triage-amend"  # left by the prepare-commit-msg stub


def pre_commit(objects: Objects, arguments: Sequence[str]) -> int:
    """Judge what is staged and say so. (Our own hook leaves it to post-commit, so that a commit starts Python once; here for others.)"""
    repo = objects.repo
    if (repo.git_dir / "MERGE_HEAD").exists():
        return 0  # the index holds the other side of the merge as well: post-commit judges what the merge itself changes
    if os.environ.get("GIT_EDITOR") == ":" and repo.index_path.suffix == ".lock":
        return 0  # only the locked index holds git's new objects, which a `git gc --prune=now` does not see
    head = head_commit(objects)
    settings = setting_layers.at(objects, "HEAD")
    try:
        change = staged(objects, head)
    except NothingToJudge:
        return 0
    judged = triage.judge(change, objects, settings, asking=BEFORE_COMMIT)
    announce(repo, judged.verdict, settings)
    return 0


def prepare_commit_msg(objects: Objects, arguments: Sequence[str]) -> int:
    """Note whether HEAD is being amended: commit-msg is not told. (Our own hook does this in `sh`; here for the pre-commit framework.)"""
    source = os.environ.get("PRE_COMMIT_COMMIT_MSG_SOURCE") or "".join(arguments[1:2])
    name = os.environ.get("PRE_COMMIT_COMMIT_OBJECT_NAME") or "".join(arguments[2:3])
    marker = objects.repo.git_dir / AMEND_MARKER
    if (source, name) == ("commit", "HEAD"):
        own_files.write(marker, b"")
    else:
        own_files.remove(marker)
    return 0


def commit_msg(objects: Objects, arguments: Sequence[str]) -> int:
    """Add the trailers to the message file, where the person wants trailers."""
    from hook.record import trailer

    repo = objects.repo
    amended = own_files.read(repo.git_dir / AMEND_MARKER, _MOST_MARKER_BYTES) is not None
    own_files.remove(repo.git_dir / AMEND_MARKER)
    if (repo.git_dir / "MERGE_HEAD").exists() or not arguments:
        return 0
    head = head_commit(objects)
    if amended and head is not None:
        # on an amend the index holds only the delta to HEAD: the commit to be is measured from HEAD's parent
        head = find_commit(objects, head.parent) if head.parent else None
    settings = setting_layers.at(objects, head.oid if head else "")
    if "trailer" not in settings.record.format:
        return 0
    try:
        change = staged(objects, head)
    except NothingToJudge:
        return 0
    judged = triage.judge(change, objects, settings, asking=BEFORE_COMMIT)
    path = pathlib.Path(arguments[0])
    message = path.read_bytes()
    changed = trailer.add(repo, message, judged.verdict)
    if changed != message:
        own_files.write(path, changed)  # in one step: git must never read half a message
    return 0
