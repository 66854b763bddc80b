"""Change: what is judged. The staged index, a commit, each commit of a range, or a mailed patch.

Each has its patch, and the repository through which its blobs can be read.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from hook.change import patch
from hook.change.subject import kmsan_reports
from hook.failure import CannotJudge
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects, can_ask


class NothingToJudge(Exception):
    """There is no change to judge; the sentence says why. This is not a failure."""


class UnknownMerge(NothingToJudge):
    """A merge of which git does not tell what it changed itself: most change nothing, and no policy is satisfied by that."""


class UnknownRevision(CannotJudge):
    """A revision that this repository does not have."""


class Commit(msgspec.Struct, frozen=True):
    """A commit as its object says it; grafts and replacements do not count."""

    oid: str
    parents: tuple[str, ...]
    message: bytes
    author: str = ""  # Name <address> seconds zone

    @property
    def parent(self) -> str:
        """The first of its parents, empty if it has none."""
        return self.parents[0] if self.parents else ""

    @property
    def subject(self) -> str:
        first = self.message.lstrip(b"\n").split(b"\n", 1)[0]
        return first.decode("utf-8", "replace").strip()


class Change(msgspec.Struct, frozen=True):
    """What is judged."""

    label: str  # for the person: "staged change", "1a2b3c4d5e6f mm: fix …"
    repo: Repository
    patch: patch.Patch
    base: str  # commit it is judged against, empty before the first commit
    base_tree: str  # what `base` stands for in git commands: that commit, or the empty tree
    after: str = ""  # commit or tree with the change applied; empty: the staged index
    commit: str = ""  # empty while it is staged or mailed
    note: str = ""  # for the person: how it was read
    author_says: tuple[str, ...] = ()  # the KMSAN reports that its message quotes: a hint, never evidence


def find_commit(objects: Objects, revision: str) -> Commit:
    """The commit that `revision` names. Raises UnknownRevision."""
    revision = _of_git(objects.repo, revision)
    if not revision or not can_ask(revision):
        raise UnknownRevision(f"{revision!r} is no revision")
    answer = objects.read(f"{revision}^{{commit}}")
    if answer is None or answer.kind != "commit" or answer.data is None:
        raise UnknownRevision(f"{revision} names no commit in this repository")
    head, _, message = answer.data.partition(b"\n\n")
    parents = tuple(line[7:].decode() for line in head.split(b"\n") if line.startswith(b"parent "))
    author = next((line[7:].decode("utf-8", "replace") for line in head.split(b"\n") if line.startswith(b"author ")), "")
    return Commit(answer.oid, parents, message, author)


def head_commit(objects: Objects) -> Commit | None:
    """The commit at HEAD, None before the first one."""
    try:
        return find_commit(objects, "HEAD")
    except UnknownRevision:
        return None


def staged(objects: Objects, against: Commit | None) -> Change:
    """The staged change against the commit `against` (HEAD, or HEAD's parent when HEAD is being amended).

    Raises NothingToJudge when nothing is staged, CannotJudge when the index has unmerged paths.
    """
    repo = objects.repo
    base_tree = against.oid if against else repo.empty_tree
    made = patch.read(repo, ["diff-index", "--cached", base_tree])
    unmerged = sorted({file.path for file in made.files if file.status == "U"})
    if unmerged:
        raise CannotJudge(f"the index has unmerged paths ({unmerged[0]}): resolve them and `git add` first")
    if not made.files:
        raise NothingToJudge("nothing is staged")
    return Change("staged change", repo, made, against.oid if against else "", base_tree)


def of_commit(objects: Objects, commit: Commit) -> Change:
    """What a commit changes: against its parent; for a merge, against the merge that git would make by itself.

    Raises NothingToJudge for an empty commit and a clean merge, UnknownMerge for an octopus, CannotJudge when the parent is not here (a
    shallow clone).
    """
    repo, label = objects.repo, f"{commit.oid[:12]} {commit.subject}"
    if len(commit.parents) > 2:
        raise UnknownMerge(f"{commit.oid[:12]} is an octopus merge: judge its commits one by one")
    if len(commit.parents) == 2:
        made = _remerged(repo, commit)
        if not made.files:
            raise NothingToJudge(f"{commit.oid[:12]} is a merge without changes of its own")
        note = "judged on what the merge itself changed"
        return Change(label, repo, made, commit.parents[0], commit.parents[0], commit.oid, commit.oid, note, kmsan_reports(commit.message))
    base = commit.parent
    if base and objects.read(f"{base}^{{tree}}") is None:
        raise CannotJudge(f"the parent of {commit.oid[:12]} is not here (a shallow clone?): `git fetch --deepen=1` brings it")
    made = patch.read(repo, ["diff-tree", "-r", base or repo.empty_tree, commit.oid])
    if not made.files:
        raise NothingToJudge(f"{commit.oid[:12]} is an empty commit")
    reports = kmsan_reports(commit.message)
    return Change(label, repo, made, base, base or repo.empty_tree, commit.oid, commit.oid, author_says=reports)


def _remerged(repo: Repository, commit: Commit) -> patch.Patch:
    try:
        return patch.read(repo, ["show", "--format=", "--remerge-diff", commit.oid])
    except GitError as wrong:
        if "unrecognized argument" in str(wrong):
            raise UnknownMerge(f"{commit.oid[:12]} is a merge: only git 2.35 and later can show what it changed itself") from None
        raise


def unread(repo: Repository, commit: Commit, change_id: str) -> Change:
    """A commit whose verdict is known, so that its patch is not read."""
    base = commit.parent
    label = f"{commit.oid[:12]} {commit.subject}"
    made, reports = patch.Patch((), change_id, ""), kmsan_reports(commit.message)
    return Change(label, repo, made, base, base or repo.empty_tree, commit.oid, commit.oid, author_says=reports)


def revisions(repo: Repository, names: str) -> list[str]:
    """The commits that `A..B` names, oldest first, without merges' other sides being lost.

    Raises UnknownRevision. In a shallow clone the error says so: the range that a CI job gets may start before the clone does.
    """
    if names.startswith("-"):
        raise UnknownRevision(f"{names} is no revision")
    ends = "..".join(_of_git(repo, end) for end in names.split(".."))
    try:
        out = repo.run("rev-list", "--reverse", "--topo-order", ends, "--")
    except GitError:
        more = "; this clone is shallow: `git fetch --deepen=N` gets more" if _ends(repo) else ""
        raise UnknownRevision(f"{names} names no commits in this repository{more}") from None
    return out.decode().split()


def _of_git(repo: Repository, revision: str) -> str:
    """What git calls a revision: `@-` is jj's name of the commit at which it keeps git's HEAD, where both use one repository."""
    return "HEAD" if revision == "@-" and (repo.common_dir.parent / ".jj").is_dir() else revision


def cut_off(repo: Repository, commits: Collection[str]) -> str:
    """One of `commits` whose parents a shallow clone leaves out, and with them perhaps more of the range; empty if there is none."""
    return next((oid for oid in _ends(repo) if oid in commits), "")


def _ends(repo: Repository) -> list[str]:
    """The commits at which a shallow clone ends (gitrepository-layout, `shallow`)."""
    try:
        return (repo.common_dir / "shallow").read_text("ascii").split()
    except (OSError, UnicodeDecodeError):
        return []
