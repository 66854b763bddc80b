"""A checkout of syzkaller: its descriptions, parsed from their text and cached with our other files, since parsing takes a second.

No link is followed, and nothing is run. The key of the cache is what git's index compares of each file: its size, times and inode.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import stat
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from hook.source import own_files
from hook.syzlang import constants, requirements
from hook.syzlang.declarations import Declarations
from hook.syzlang.requirements import CallFacts

FOLDER = "sys/linux"
# syzkaller's names for the architectures of `target.arch`
ARCHES = {
    "x86_64": "amd64", "i386": "386", "arm64": "arm64", "arm": "arm", "riscv": "riscv64", "s390": "s390x",
    "powerpc": "ppc64le", "mips": "mips64le", "loongarch": "loong64",
}  # fmt: skip
_FORMAT = 2
_MOST_FILES = 2000
_MOST_FILE_BYTES = 4 << 20
_MOST_BYTES = 64 << 20  # of all files, and of the cache file


class NoDescriptions(ValueError):
    """A directory without descriptions; the sentence says so."""


class Descriptions(NamedTuple):
    """The descriptions of a checkout, for one architecture."""

    calls: Mapping[str, CallFacts]
    resources: Mapping[str, str]  # name -> its base resource or type


def read(checkout: str, target_arch: str, cache_directory: pathlib.Path | None = None) -> Descriptions:
    """The descriptions of a checkout; with a directory, they are cached there. Raises NoDescriptions."""
    arch = ARCHES.get(target_arch, target_arch)
    files = _files(checkout)
    digest = hashlib.sha256(f"{_FORMAT} {arch}".encode())
    for path, state in files.items():
        digest.update(b"\n%b " % os.fsencode(path))
        digest.update(f"{state.st_size} {state.st_mtime_ns} {state.st_ctime_ns} {state.st_dev} {state.st_ino}".encode())
    cache_file = cache_directory / f"descriptions-{digest.hexdigest()[:32]}.json" if cache_directory is not None else None
    if cache_file is not None and (cached := _cached(cache_file)) is not None:
        return cached
    parsed = _parsed({path.name: text.decode("utf-8", "replace") for path, text in _texts(files)}, arch)
    if not parsed.calls:
        raise NoDescriptions(f"no descriptions in {checkout}/{FOLDER}; it names a checkout of syzkaller")
    if cache_file is not None:
        _store(cache_file, parsed)
    return parsed


def _files(checkout: str) -> dict[pathlib.Path, os.stat_result]:
    folder = pathlib.Path(checkout) / FOLDER
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith((".txt", ".txt.const")))[:_MOST_FILES]
        return {folder / name: os.lstat(folder / name) for name in names}
    except OSError:
        raise NoDescriptions(f"no descriptions in {checkout}/{FOLDER}; it names a checkout of syzkaller") from None


def _texts(files: Iterable[pathlib.Path]) -> Iterator[tuple[pathlib.Path, bytes]]:
    total = 0
    for path in files:
        data = plain_file(path, _MOST_FILE_BYTES)
        total += len(data)
        if total > _MOST_BYTES:
            return
        yield path, data


def plain_file(path: pathlib.Path, most_bytes: int) -> bytes:
    """The content of a regular file; empty for a link, a larger file, or one that cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        return file.read(most_bytes) if stat.S_ISREG(state.st_mode) and state.st_size <= most_bytes else b""


def _parsed(texts: Mapping[str, str], arch: str) -> Descriptions:
    declared = Declarations()
    has_value: dict[str, bool] = {}
    for name, text in texts.items():
        if name.endswith(".const"):
            for constant, is_there in constants.values(text, arch):
                has_value[constant] = is_there or has_value.get(constant, False)
        else:
            declared.add(text, f"{FOLDER}/{name}", arch)
    absent = {constant for constant, is_there in has_value.items() if not is_there}
    if has_value:  # a call without a number does not exist on this architecture
        numbers = {f"__NR_{call.base}" for call in declared.calls.values() if not call.base.startswith("syz_")}
        absent |= numbers - has_value.keys()
    try:
        return Descriptions(requirements.of_all(declared, absent), declared.resources)
    except requirements.TooLarge as wrong:
        raise NoDescriptions(str(wrong)) from None


def _cached(path: pathlib.Path) -> Descriptions | None:
    """The cached descriptions; None if the file is absent or malformed."""
    try:
        data = own_files.read(path, _MOST_BYTES)
        if data is None:
            return None
        document = msgspec.json.decode(data)
        words = document["Words"]
        calls = {
            name: CallFacts(
                path,
                line,
                tuple(takes),
                tuple(direct),
                tuple(gives),
                frozenset(map(words.__getitem__, own)),
                frozenset(map(words.__getitem__, other)),
            )
            for name, (path, line, takes, direct, gives, own, other) in document["Calls"].items()
        }
        return Descriptions(calls, dict(document["Resources"]))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _store(path: pathlib.Path, descriptions: Descriptions) -> None:
    words: dict[str, int] = {}
    rows = {}
    for name, facts in descriptions.calls.items():
        own, other = ([words.setdefault(word, len(words)) for word in sorted(names)] for names in (facts.own, facts.words))
        rows[name] = (facts.path, facts.line, facts.takes, facts.direct, facts.gives, own, other)
    document = {"Words": list(words), "Calls": rows, "Resources": dict(descriptions.resources)}
    try:
        for old in path.parent.glob("descriptions-*.json"):
            own_files.remove(old)
        own_files.write(path, msgspec.json.encode(document))
    except OSError:
        pass  # a full disk, or no permission: the next run parses again
