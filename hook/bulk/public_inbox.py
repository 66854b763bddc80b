"""Public-inbox archives: git repositories with one mail per commit, in the file `m` (public-inbox-v2-format(5)).

A large archive is split into epochs, git/0.git, git/1.git and so on. A commit with `d` instead removes an earlier mail.
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
    """The git repositories of the archive at `path`, the oldest first; empty if it is no archive."""
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
    """The mails of an archive in the order of their arrival, without removed ones. Raises GitError."""
    limit = [f"--since={since}"] if since else []
    by_id: dict[str, Letter] = {}
    for archive in archives:
        archive.in_force.seconds = repo.in_force.seconds
        commits = archive.run("rev-list", "--reverse", *limit, "HEAD", "--").decode("ascii").split()
        with Objects(archive, MAX_BYTES) as objects:
            for number, (name, blob) in enumerate(objects.read_all([f"{commit}:{file}" for commit in commits for file in "md"])):
                if blob is None:
                    continue
                # a mail that is too large gets a row that says so
                mail = blob.data if blob.data is not None else b"Subject: [PATCH] larger than is read\n\n"
                letter = letter_of(mail, MailPlace(str(archive.git_dir), name))
                key = letter.message_id or name
                if number % 2 == 0:
                    by_id.setdefault(key, letter)
                else:
                    by_id.pop(key, None)
    yield from by_id.values()
