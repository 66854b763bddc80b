"""Sources: the inputs of a range, a mailbox, a directory or an archive that a person names, in a fixed order."""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator, Sequence

import msgspec

from hook.bulk import mailboxes, public_inbox, threads
from hook.bulk.inputs import BulkInput
from hook.change.change import UnknownRevision
from hook.failure import CannotJudge
from hook.source.git import GitError, Repository


class NoSource(CannotJudge):
    """The name is not that of a source of changes."""


def listed(repo: Repository, names: Sequence[str], since: str, base: str) -> list[BulkInput]:
    """The inputs of all sources, each once: an input of two sources comes from the first.

    `since` is a date in the notation of `git log`: older commits and mails are left out. `base` is taken as HEAD to choose a mail's base.
    Raises NoSource, GitError, OSError.
    """
    inputs: dict[str, BulkInput] = {}
    for item in itertools.chain.from_iterable(_of_source(repo, name, since) for name in names):
        inputs.setdefault(item.id, item if item.commit else msgspec.structs.replace(item, needs=(base,)))
    return list(inputs.values())


def _of_source(repo: Repository, name: str, since: str) -> Iterator[BulkInput]:
    path = pathlib.Path(name)
    if not path.exists():
        yield from commits(repo, name, since)
    elif epochs := public_inbox.epochs(path):
        yield from threads.series(public_inbox.letters(repo, epochs, since), name)
    else:
        oldest = mailboxes.seconds_since(repo, since)
        yield from threads.series(mailboxes.letters(path, oldest), name)


def commits(repo: Repository, name: str, since: str) -> Iterator[BulkInput]:
    """The commits of a range, or all commits of a revision, the oldest first. Raises NoSource if `name` is neither."""
    if name.startswith("-"):
        raise NoSource(f"{name} is no revision")
    limit = [f"--since={since}"] if since else []
    try:
        out = repo.run("rev-list", "--reverse", "--topo-order", "--parents", *limit, "--end-of-options", name, "--")
    except GitError:
        raise NoSource(f"{name} is not a revision, range, file or directory") from None
    for line in out.decode("ascii").splitlines():
        commit, *parents = line.split()
        yield BulkInput(commit, name, commit=commit, needs=(commit, *parents[:1]))


def history(repo: Repository, names: Sequence[str], since: str) -> tuple[str, ...]:
    """What `git rev-list` is given to list the commits of each range among the sources, by their ids."""
    limit = [f"--max-age={mailboxes.seconds_since(repo, since):.0f}"] if since else []
    ranges = [name for name in names if not pathlib.Path(name).exists()]
    return tuple(" ".join([*limit, *repo.run("rev-parse", "--revs-only", name).decode("ascii").split()]) for name in ranges)


def head(repo: Repository) -> str:
    """The commit of HEAD: its settings are in force, and mails without a known base are judged on it."""
    try:
        return repo.run("rev-parse", "--verify", "--end-of-options", "HEAD^{commit}").decode("ascii").strip()
    except GitError:
        raise UnknownRevision(
            "HEAD names no commit in this repository: bulk needs a clone of the kernel around it, or --repo DIR"
        ) from None
