"""The open questions: commits that the worker is still to look into, one small file each in the common git directory.

Each is put in place by a rename. A file that a crash has emptied still says by its name which commit it is about, and that is enough.
"""

from __future__ import annotations

import enum
import json
import os
import pathlib
import time
from collections.abc import Collection, Mapping

import msgspec

from hook.source import own_files
from hook.source.git import Repository


class Need(enum.StrEnum):
    """What a question waits for."""

    SEARCH = "search"  # the search that the commit cut short; a model afterwards, where that may be asked
    INDEX = "index"  # the same, as soon as there is a word index
    MODEL = "model"


_SUFFIX = ".json"
_MOST_BYTES = 64 << 10
_OBJECT_ID_LENGTHS = (40, 64)


class Question(msgspec.Struct, frozen=True):
    """One commit that waits. Times are seconds since the epoch, as time.time() gives them."""

    commit: str
    change_id: str = ""
    git_dir: str = ""  # of the working tree in which it was made
    since: float = 0.0
    not_before: float = 0.0
    tries: int = 0  # that an endpoint took and that came to nothing
    why: str = ""  # the last of them came to nothing, or it was not asked
    given_up: bool = False
    need: Need = Need.SEARCH  # which leads to the others, so it does where a crash has emptied the file


def add(repo: Repository, commit: str, change_id: str, need: Need, rest_seconds: float = 0.0) -> None:
    """Let `commit` wait, at first for so long; one that waits already, or was given up, stays as it is. Raises OSError."""
    known = find(repo, commit)
    if known is not None and known.change_id == change_id:
        return
    now = time.time()
    _put(repo, Question(commit, change_id, str(repo.git_dir), now, now + rest_seconds, need=need))


def find(repo: Repository, commit: str) -> Question | None:
    """The question about `commit`, None if there is none."""
    path = _path(repo, commit)
    try:
        age = path.lstat().st_mtime
        data = own_files.read(path, _MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return None if data is None else _parsed(commit, data, age)


def every(repo: Repository) -> list[Question]:
    """All questions, the longest waiting first."""
    try:
        names = os.listdir(_directory(repo))
    except (FileNotFoundError, NotADirectoryError):
        return []
    commits = [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX) and not name.startswith(".")]
    found = (find(repo, commit) for commit in commits if len(commit) in _OBJECT_ID_LENGTHS)
    return sorted((one for one in found if one is not None), key=lambda one: (one.since, one.commit))


def is_any(repo: Repository) -> bool:
    """Whether there may be a question, at the price of one look into a directory."""
    try:
        return any(_directory(repo).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def sweep(repo: Repository, seconds: float) -> None:
    """Forget what was given up and has waited for longer than so. Raises OSError."""
    for one in every(repo):
        if one.given_up and time.time() - one.since > seconds:
            drop(repo, one.commit)


def first_due(repo: Repository, needs: Collection[Need]) -> Question | None:
    """The question with one of `needs` to look into next, due or not; None if there is none that anybody waits for."""
    waiting = [one for one in every(repo) if not one.given_up and one.need in needs]
    now = time.time()
    return min(waiting, key=lambda one: (max(one.not_before, now), one.since), default=None)


def replace(repo: Repository, question: Question) -> bool:
    """Write a question again, unless somebody has taken it away meanwhile; gives whether it was written. Raises OSError."""
    if not _path(repo, question.commit).exists():
        return False
    _put(repo, question)
    return True


def drop(repo: Repository, commit: str) -> None:
    """Let `commit` wait no longer. Raises OSError."""
    own_files.remove(_path(repo, commit))


def move(repo: Repository, old: str, new: str, new_change_id: str) -> None:
    """`old` has become `new`: what waits about the one waits about the other, with its history where the change is the same.

    Raises OSError.
    """
    question = find(repo, old)
    if question is None:
        return
    if question.change_id == new_change_id and find(repo, new) is None:
        _put(repo, msgspec.structs.replace(question, commit=new))
    drop(repo, old)


def _put(repo: Repository, question: Question) -> None:
    document = {
        "Commit": question.commit,
        "ChangeId": question.change_id,
        "GitDir": question.git_dir,
        "Since": question.since,
        "NotBefore": question.not_before,
        "Tries": question.tries,
        "Why": question.why,
        "GivenUp": question.given_up,
        "Need": str(question.need),
    }
    own_files.write(_path(repo, question.commit), f"{json.dumps(document)}\n".encode())


def _parsed(commit: str, data: bytes, age: float) -> Question:
    try:
        one = json.loads(data)
        if not isinstance(one, Mapping):
            raise TypeError
        texts = (str(one["ChangeId"]), str(one["GitDir"]))
        times = (float(one["Since"]), float(one["NotBefore"]))
        need = Need(one.get("Need", Need.SEARCH))
        return Question(commit, *texts, *times, int(one["Tries"]), str(one["Why"]), bool(one["GivenUp"]), need)
    except (ValueError, KeyError, TypeError, RecursionError):
        return Question(commit, since=age)


def _path(repo: Repository, commit: str) -> pathlib.Path:
    return _directory(repo) / f"{commit}{_SUFFIX}"


def _directory(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "pending"
