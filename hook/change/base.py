"""Base: the revision that a mailed patch is meant for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.change.change import UnknownRevision
from hook.change.mail import MailedPatch
from hook.source import overlay
from hook.source.git import Repository
from hook.source.object_store import can_ask

# more blobs would not make the choice better
_MAX_BLOBS = 64


class Base(msgspec.Struct, frozen=True):
    """The chosen revision."""

    commit: str  # its id; the empty tree's where there is no commit yet
    why: str  # for the person: how it was chosen


def choose(repo: Repository, revision: str | None, mailed: Sequence[MailedPatch], max_commits: int, head_name: str = "HEAD") -> Base:
    """The revision to apply a series to: the one the person `named`, else the mail's `base-commit:`, else the newest of the last
    `max_commits` commits that has the blobs on the patches' index lines, else HEAD, or the commit that `head_name` names in its place.

    Raises UnknownRevision if the repository does not have `named`.
    """
    if revision is not None:
        oid = _commit(repo, revision)
        if not oid:
            raise UnknownRevision(f"{revision} names no commit in this repository")
        return Base(oid, f"{revision}, as asked for")
    stated = next((patch.base_commit for patch in mailed if patch.base_commit), "")
    missing = ""
    if stated:
        if oid := _commit(repo, stated):
            return Base(oid, "base-commit: named in the mail" + _prerequisites(mailed))
        missing = f"; base-commit: {stated[:12]}, named in the mail, is not in this repository"
    head = _commit(repo, head_name)
    if not head:
        return Base(repo.empty_tree, "the empty tree: there is no commit here yet" + missing)
    by_blobs = _by_blobs(repo, head, old_blobs(mailed), max_commits)
    return Base(by_blobs.commit, by_blobs.why + missing)


def old_blobs(mailed: Sequence[MailedPatch]) -> dict[bytes, str]:
    """The files that the series expects to find, with the blob id (often abbreviated) it expects each to have."""
    expected: dict[bytes, str] = {}
    made: set[bytes] = set()  # what an earlier patch of the series wrote is not in the base
    for patch in mailed:
        now: set[bytes] = set()
        for path, new_path, blob in _index_lines(patch.diff):
            if path not in made and blob.strip("0"):
                expected.setdefault(path, blob)
            now.update((path, new_path))
        made |= now
    return expected


_INDEX_LINE = lazy_re.compile(
    rb"^diff --git (?P<names>[^\n]*)\n"
    rb"(?:(?:old mode|new mode|deleted file mode|new file mode|similarity index|dissimilarity index) [^\n]*\n"
    rb"|(?:rename|copy) from (?P<source>[^\n]*)\n|(?:rename|copy) to (?P<target>[^\n]*)\n)*"
    rb"index (?P<old>[0-9a-f]{4,64})\.\.[0-9a-f]{4,64}",
    re.MULTILINE,
)


def _index_lines(diff: bytes) -> list[tuple[bytes, bytes, str]]:
    lines = []
    for match in _INDEX_LINE.finditer(diff.replace(b"\r\n", b"\n")):
        if match["source"] is not None and match["target"] is not None:
            names = [overlay.unquoted(match["source"]), overlay.unquoted(match["target"])]
        else:
            names = list(overlay.both_names(match["names"]))
        if names:
            lines.append((names[0], names[-1], match["old"].decode()))
    return lines


def _by_blobs(repo: Repository, head: str, blobs: Mapping[bytes, str], max_commits: int) -> Base:
    # one that starts with a dot would be looked up relative to nowhere
    usable = {path: blob for path, blob in blobs.items() if can_ask(os.fsdecode(path)) and not path.startswith((b"./", b"../"))}
    usable = dict(list(usable.items())[:_MAX_BLOBS])
    if not usable:
        return Base(head, "HEAD, since the patch names no blobs")
    at_head = _matches(repo, [head], usable)[0]
    if at_head == len(usable):
        return Base(head, f"HEAD, whose blobs match the patch's index lines ({at_head} of {at_head})")
    recent = repo.run("rev-list", f"--max-count={max_commits}", head, "--").decode().split()
    counts = _matches(repo, recent, usable)
    best = max(counts, default=0)
    if best <= at_head:
        return Base(head, f"HEAD, since no recent commit has more of the blobs that the patch names ({at_head} of {len(usable)})")
    return Base(
        recent[counts.index(best)],
        f"the newest of the last {len(recent)} commits whose blobs match the patch's index lines ({best} of {len(usable)})",
    )


def _matches(repo: Repository, commits: Sequence[str], blobs: Mapping[bytes, str]) -> list[int]:
    """How many of the blobs each commit has."""
    questions = b"".join(commit.encode() + b":" + path + b"\n" for commit in commits for path in blobs)
    # the bare id, so that git need not look at the blob, which a partial clone may lack
    answers = iter(repo.run("cat-file", "--batch-check=%(objectname)", data=questions).split(b"\n"))
    return [sum(next(answers, b"").startswith(blob.encode()) for blob in blobs.values()) for _ in commits]


def _commit(repo: Repository, revision: str) -> str:
    """The commit that a revision names, empty if none."""
    if not revision or "\0" in revision:
        return ""
    done = repo.outcome("rev-parse", "--verify", "--quiet", "--end-of-options", revision + "^{commit}", ok=(0, 1, 128))
    words = os.fsdecode(done.stdout).split()
    return words[-1] if done.returncode == 0 and words else ""


def _prerequisites(mailed: Sequence[MailedPatch]) -> str:
    number = max(len(patch.prerequisites) for patch in mailed)
    if not number:
        return ""
    return f"; it also names {number} earlier {'patch' if number == 1 else 'patches'} that must come first"
