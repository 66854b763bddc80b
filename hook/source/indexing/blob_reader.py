"""The reader of blobs for the index: the words of each, in parallel processes if there are many."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator, Sequence

import msgspec

from hook.source import index, words
from hook.source.git import Repository
from hook.source.indexing import worker_processes
from hook.source.indexing.defined_names import defined_names
from hook.source.object_store import Objects

_CHUNK = 100  # blobs of one task for a worker
_CHUNK_BYTES = 4 << 20  # bytes of one task
_FEW = 300  # blobs that are read here, without workers
_GIT_CACHE_BYTES = 16 << 20  # of each git that reads blobs
_GENERATED = (  # headers whose words are in halves; they are in every answer about a definition of one of their words
    "drivers/gpu/drm/amd/include/*",
    "drivers/accel/habanalabs/include/*/asic_reg/*",
)


class BlobPlace(msgspec.Struct, frozen=True):
    """A blob of the tree, and its path."""

    path: str
    oid: str
    size: int = 0  # bytes; 0: not known


class BlobWords(msgspec.Struct, frozen=True):
    """The state of a blob in the index, and its words."""

    state: int
    words: str  # separated by spaces
    names: str  # those that it defines


def read_words(
    repo: Repository, new: Sequence[BlobPlace], limit_bytes: int, jobs: int
) -> Iterator[tuple[Sequence[BlobPlace], list[BlobWords]]]:
    """The words of the blobs at `new`, chunk by chunk, read by `jobs` processes. Raises CannotJudge."""
    if len(new) <= _FEW or jobs < 2:
        with Objects(repo, limit_bytes) as objects:
            for chunk in _chunks(new):
                yield chunk, _words_of(objects, chunk)
        return
    begin = functools.partial(_begin_worker, repo, limit_bytes)
    yield from worker_processes.in_order(_work, _chunks(new), jobs, begin)


def missing(repo: Repository, revision: str) -> list[str]:
    """The blobs of a revision that a partial clone lacks. Raises GitError."""
    tree = repo.run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}").decode().strip()
    listing = repo.run("rev-list", "--objects", "--missing=print", "--no-object-names", tree).decode().split()
    return [line[1:] for line in listing if line.startswith("?")]


def _chunks(new: Sequence[BlobPlace]) -> Iterator[Sequence[BlobPlace]]:
    start, size = 0, 0
    for position, place in enumerate(new):
        if position - start >= _CHUNK or (size and size + place.size > _CHUNK_BYTES):
            yield new[start:position]
            start, size = position, 0
        size += place.size
    if start < len(new):
        yield new[start:]


def _words_of(objects: Objects, places: Sequence[BlobPlace]) -> list[BlobWords]:
    answers = []
    for place, (_, blob) in zip(places, objects.read_all([place.oid for place in places]), strict=True):
        if blob is None or blob.data is None:
            answers.append(BlobWords(index.WHOLE, "", ""))
        elif words.is_binary(blob.data):
            answers.append(BlobWords(index.BINARY, "", ""))
        else:
            answers.append(_words_at(place.path, blob.data))
    return answers


def _words_at(path: str, data: bytes) -> BlobWords:
    file_words = words.words(data)
    if not words.language(path):
        return BlobWords(index.TEXT, " ".join(file_words), "")
    if any(fnmatch.fnmatchcase(path, pattern) for pattern in _GENERATED):
        split = {half for word in file_words for half in words.halves(word)}
        return BlobWords(index.UNDEFINED, " ".join(split), "")
    names = _names(data, path)
    file_words.update(names)
    return BlobWords(index.TEXT, " ".join(file_words), " ".join(names))


def _names(data: bytes, path: str) -> set[str]:
    """The names that a file defines, in lower case. Not each is a word of the file: `SYSCALL_DEFINE1(sync, …)` defines sys_sync."""
    return set(b" ".join(defined_names(data, path)).decode("ascii").lower().split())


_worker_objects: Objects | None = None  # of this process, if it is a worker


def _begin_worker(repo: Repository, limit_bytes: int) -> None:
    global _worker_objects
    _worker_objects = Objects(repo, limit_bytes, _GIT_CACHE_BYTES)


def _work(places: Sequence[BlobPlace]) -> list[BlobWords]:
    assert _worker_objects is not None
    return _words_of(_worker_objects, places)
