"""The open questions: commits that the worker has still to judge, one small file each in the common git directory.

Each is put in place by a rename. A file that a crash has emptied still shows its commit by its name, which is enough.
"""

from __future__ import annotations

import enum
import os
import pathlib
import time
from collections.abc import Collection

import msgspec

from hook.source import own_files
from hook.source.git import Repository


class Need(enum.StrEnum):
    """What a question waits for."""

    SEARCH = "search"  # for the search that the commit cut short; then for a model, if one may be asked
    INDEX = "index"  # for the word index, and then as SEARCH
    MODEL = "model"


_SUFFIX = ".json"
_MOST_BYTES = 64 << 10
_OBJECT_ID_LENGTHS = (40, 64)


class Question(msgspec.Struct, frozen=True, rename="pascal"):
    """One commit that waits. Times are seconds since the epoch, as from time.time()."""

    commit: str
    change_id: str = ""
    git_dir: str = ""  # of the working tree in which it was made
    since: float = 0.0
    not_before: float = 0.0
    tries: int = 0  # requests that an endpoint accepted and that failed
    why: str = ""  # the last one failed, or none was made
    given_up: bool = False
    need: Need = Need.SEARCH  # the others follow from it, so it is right after a crash too


def add(repo: Repository, commit: str, change_id: str, need: Need, rest_seconds: float = 0.0) -> None:
    """Let `commit` wait, for at least `rest_seconds`; one that waits already, or was given up, does not change. Raises OSError."""
    existing = find(repo, commit)
    if existing is not None and existing.change_id == change_id:
        return
    now = time.time()
    _put(repo, Question(commit, change_id, str(repo.git_dir), now, now + rest_seconds, need=need))


def find(repo: Repository, commit: str) -> Question | None:
    """The question about `commit`; None if there is none."""
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
    questions = (find(repo, commit) for commit in commits if len(commit) in _OBJECT_ID_LENGTHS)
    return sorted((question for question in questions if question is not None), key=lambda question: (question.since, question.commit))


def is_any(repo: Repository) -> bool:
    """Whether there may be a question; reads one directory."""
    try:
        return any(_directory(repo).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return False


def sweep(repo: Repository, seconds: float) -> None:
    """Remove questions that were given up and are older than `seconds`. Raises OSError."""
    for question in every(repo):
        if question.given_up and time.time() - question.since > seconds:
            drop(repo, question.commit)


def first_due(repo: Repository, needs: Collection[Need]) -> Question | None:
    """The question with one of `needs` to work on next, due or not; None if there is none."""
    waiting = [question for question in every(repo) if not question.given_up and question.need in needs]
    now = time.time()
    return min(waiting, key=lambda question: (max(question.not_before, now), question.since), default=None)


def replace(repo: Repository, question: Question) -> bool:
    """Write a question again, unless another process has removed it; returns whether it was written. Raises OSError."""
    if not _path(repo, question.commit).exists():
        return False
    _put(repo, question)
    return True


def drop(repo: Repository, commit: str) -> None:
    """Let `commit` wait no longer. Raises OSError."""
    own_files.remove(_path(repo, commit))


def move(repo: Repository, old: str, new: str, new_change_id: str) -> None:
    """Commit `old` was rewritten as `new`: its question moves there, with its history, if the change is the same.

    Raises OSError.
    """
    question = find(repo, old)
    if question is None:
        return
    if question.change_id == new_change_id and find(repo, new) is None:
        _put(repo, msgspec.structs.replace(question, commit=new))
    drop(repo, old)


def _put(repo: Repository, question: Question) -> None:
    own_files.write(_path(repo, question.commit), msgspec.json.encode(question) + b"\n")


def _parsed(commit: str, data: bytes, age: float) -> Question:
    try:
        return msgspec.structs.replace(msgspec.json.decode(data, type=Question), commit=commit)
    except (ValueError, RecursionError):  # UnicodeDecodeError is no DecodeError
        return Question(commit, since=age)


def _path(repo: Repository, commit: str) -> pathlib.Path:
    return _directory(repo) / f"{commit}{_SUFFIX}"


def _directory(repo: Repository) -> pathlib.Path:
    return repo.state_dir / "pending"
