"""Commit history: commits whose blobs the index reads beside the tree of one revision, so that it knows all files of each of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import msgspec

from hook.source.git import Repository
from hook.source.indexing.blob_reader import BlobPlace


class CommitHistory(msgspec.Struct, frozen=True):
    """The commits of some ranges."""

    text: str  # what git rev-list is given, a range a line
    commits: tuple[str, ...]  # and their parents
    last_trees: tuple[str, ...]  # of the newest commit of each range

    def places(self, repo: Repository) -> list[BlobPlace]:
        """The blobs of the commits, each at one path. Raises GitError."""
        # with --no-walk the trees of these commits alone, of which each is read once
        options = ("--objects", "--filter=object:type=blob", "--missing=allow-any", "--no-walk=unsorted", "--stdin")
        listing = repo.run("rev-list", *options, data="".join(f"{commit}\n" for commit in self.commits).encode())
        records = (record.partition(b" ") for record in listing.split(b"\n"))
        return [BlobPlace(os.fsdecode(path), oid.decode()) for oid, _, path in records if path]


def text(ranges: Sequence[str]) -> str:
    """Ranges as the index keeps them."""
    return "\n".join(ranges)


def read(repo: Repository, ranges: Sequence[str]) -> CommitHistory:
    """The history of some ranges, each as words for git rev-list. Raises GitError."""
    listed = [repo.run("rev-list", "--parents", *revisions.split(), "--").decode().split() for revisions in ranges]
    last = tuple(repo.run("rev-parse", f"{commits[0]}^{{tree}}").decode().strip() for commits in listed if commits)
    return CommitHistory(text(ranges), tuple(dict.fromkeys(commit for commits in listed for commit in commits)), last)
