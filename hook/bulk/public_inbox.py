"""Public-inbox archives: git repositories with one mail a commit, in the file `m` (public-inbox-v2-format(5)).

A large archive is split into epochs, git/0.git, git/1.git and so on. A commit with `d` instead takes an earlier mail away.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterator, Sequence

from hook import lazy_re
from hook.bulk.inputs import Letter, MailPlace
from hook.bulk.mailboxes import letter_of
from hook.change.mail import MAX_BYTES
from hook.source.git import GitError, Repository, find
from hook.source.object_store import Objects

_EPOCH = lazy_re.compile(r"(\d+)\.git")


def epochs(path: pathlib.Path) -> list[Repository]:
    """The git repositories of the archive at `path`, the oldest first; empty where it is no archive."""
    numbered = [(int(match[1]), folder) for folder in (path / "git").glob("*.git") if (match := _EPOCH.fullmatch(folder.name))]
    if numbered:
        return [find(folder) for _, folder in sorted(numbered)]
    if not (path / "HEAD").is_file() and not (path / ".git").exists():
        return []
    try:
        repo = find(path)
        names = repo.run("ls-tree", "--name-only", "HEAD").decode("utf-8", "replace").split()
    except GitError:
        return []
    return [repo] if set(names) <= {"m", "d"} and names else []


def letters(repo: Repository, archives: Sequence[Repository], since: str) -> Iterator[Letter]:
    """The mails of an archive in the order in which they came, without those that were taken away. Raises GitError."""
    limit = [f"--since={since}"] if since else []
    kept: dict[str, Letter] = {}
    for archive in archives:
        archive.in_force.seconds = repo.in_force.seconds
        commits = archive.run("rev-list", "--reverse", *limit, "HEAD", "--").decode("ascii").split()
        with Objects(archive, MAX_BYTES) as objects:
            for number, (name, found) in enumerate(objects.read_all([f"{commit}:{file}" for commit in commits for file in "md"])):
                if found is None:
                    continue
                # one that is too large to read is judged all the same, and its row says so
                mail = found.data if found.data is not None else b"Subject: [PATCH] larger than is read\n\n"
                letter = letter_of(mail, MailPlace(str(archive.git_dir), name))
                key = letter.message_id or name
                if number % 2 == 0:
                    kept.setdefault(key, letter)
                else:
                    kept.pop(key, None)
    yield from kept.values()
