"""The cache: the verdict of a change that was judged before, kept by its ChangeId in the common git directory.

An entry is valid only for the same program, the same settings and the same bytes of everything that was read beside the change itself.
Each is a file of its own, put in place by a rename, so that two writers leave one complete entry. Only verdicts of this machine are here.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Iterator, Mapping

import msgspec

from hook.config import Settings
from hook.digest import sha256
from hook.source import own_files
from hook.source.git import Repository
from hook.source.tree import Source
from hook.verdict import NotAVerdict, Verdict, from_document, to_document

_MOST_BYTES = 64 << 20  # of an entry
_MOST_ENTRIES = 79  # that are kept, newest first, in each of 256 directories; each write looks at one
NO_PATH = "\0"  # begins the name of an input that is no file, such as all Kconfig files together
COVERAGE = "\0coverage"  # an input: the file of fuzz.coverage
NO_INDEX = "\0no index"  # an input: that there was no word index, or an incomplete one
NO_OBJECT = "\0no object "  # before the id of a missing blob


@functools.cache
def program_hash() -> str:
    """A hash over the files of our own package, equal for equal programs on any machine."""
    digest = sha256()
    for name, file in sorted((name, file.path) for name, file in _own_files()):
        digest.update(f"{name}\0".encode() + pathlib.Path(file).read_bytes() + b"\0")
    return digest.hexdigest()


@functools.cache
def _installation() -> str:
    """The program in the key of an entry, so that another version, or an edited one, shares no entries.

    It is made from the sizes and times of our files: to read them would take a fifth of the time of an answer from the cache.
    """
    states = sorted((name, file.stat(follow_symlinks=False)) for name, file in _own_files())
    return "\n".join(f"{name} {state.st_size} {state.st_mtime_ns} {state.st_ctime_ns}" for name, state in states)


def _own_files() -> Iterator[tuple[str, os.DirEntry[str]]]:
    """The files of our own package on which an answer depends, each with its name in the package."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    directories = [package]
    for directory in directories:
        for entry in os.scandir(directory):
            if entry.name.endswith((".py", ".md", ".sh", ".json")):
                yield entry.path[len(package) :], entry
            elif entry.name != "__pycache__" and entry.is_dir(follow_symlinks=False):
                directories.append(entry.path)


def look_up(repo: Repository, settings: Settings, source: Source, change_id: str, judge: str = "") -> Verdict | None:
    """The verdict for `change_id`; None if there is none, or if it is not valid for the present content of `source`.

    `judge` names the judge of the verdict, if it is not the evidence alone.
    """
    try:
        data = own_files.read(_path(repo, change_id, judge), _MOST_BYTES)
        if data is None:
            return None
        digest, _, text = data.partition(b"\n")
        if digest != _digest(text):
            return None  # of another version, or damaged: the verdict could be another one
        entry = msgspec.json.decode(text)
        if entry["Key"] != _key(settings):
            return None
        verdict = from_document(entry["Verdict"])
        reads = dict(entry["Read"])
    except (OSError, ValueError, KeyError, TypeError, NotAVerdict):
        return None  # as good as absent
    if verdict.change_id != change_id:
        return None
    for path, oid in reads.items():
        if read(source, path, settings) != oid:
            return None
    return verdict


def read(source: Source, name: str, settings: Settings) -> str:
    """The present content of an input, as an entry stores it: the id of a path in `source`, or the digest of all its options."""
    if not name.startswith(NO_PATH):
        return source.oid(name)
    if name == NO_INDEX:
        return "there is one" if source.has_whole_index else ""
    if name == COVERAGE:
        from hook.coverage import coverage_file

        return coverage_file.known_by(settings.fuzz) if settings.fuzz.coverage else ""
    if name.startswith(NO_OBJECT):
        return "it is there" if source.objects.read(name.removeprefix(NO_OBJECT)) is not None else ""
    from hook.source.indexing import ubiquitous_names

    if name.startswith(ubiquitous_names.ASKED):
        return ubiquitous_names.answer(source.repo, name.removeprefix(ubiquitous_names.ASKED))
    from hook.kernel.kconfig import options_cache

    return options_cache.known_by(source, name, settings.fuzz.toolchain)


def keep(repo: Repository, settings: Settings, verdict: Verdict, reads: Mapping[str, str], judge: str = "") -> None:
    """Store `verdict`, which depends on the inputs in `reads`. Raises OSError if it cannot be written."""
    path = _path(repo, verdict.change_id, judge)
    try:
        text = msgspec.json.encode({"Key": _key(settings), "Read": dict(reads), "Verdict": to_document(verdict)})
    except UnicodeEncodeError:
        return  # a path that is no UTF-8, which JSON cannot name
    own_files.write(path, _digest(text) + b"\n" + text)
    own_files.remove_oldest(path.parent, _MOST_ENTRIES, _MOST_ENTRIES)


def is_kept(repo: Repository, change_id: str, judge: str) -> bool:
    """Whether there is an entry, valid or not."""
    return _path(repo, change_id, judge).exists()


def drop(repo: Repository, change_id: str, judge: str) -> None:
    """Forget a verdict. Raises OSError."""
    own_files.remove(_path(repo, change_id, judge))


def _digest(text: bytes) -> bytes:
    return sha256(text).hexdigest().encode()


def _key(settings: Settings) -> str:
    return sha256(f"{_installation()}\n{settings.fingerprint()}".encode()).hexdigest()


def _path(repo: Repository, change_id: str, judge: str) -> pathlib.Path:
    return repo.state_dir / "cache" / change_id[:2] / f"{change_id[2:]}{f'.{judge}' if judge else ''}.json"
