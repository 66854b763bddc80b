"""A checkout of syzkaller: its descriptions, read as text and kept beside our other files, since to understand them takes a second.

No link is followed, nothing is run, and what is kept is known by the content of all files that it was read from.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from hook.source import own_files
from hook.syzlang import constants, requirements
from hook.syzlang.declarations import Declarations
from hook.syzlang.requirements import CallFacts

FOLDER = "sys/linux"
# as syzkaller names the architectures of `target.arch`
ARCHES = {
    "x86_64": "amd64", "i386": "386", "arm64": "arm64", "arm": "arm", "riscv": "riscv64", "s390": "s390x",
    "powerpc": "ppc64le", "mips": "mips64le", "loongarch": "loong64",
}  # fmt: skip
_FORMAT = 1
_MOST_FILES = 2000
_MOST_FILE_BYTES = 4 << 20
_MOST_BYTES = 64 << 20  # of all files, and of what is kept


class NoDescriptions(ValueError):
    """A directory that holds no descriptions; the sentence says so."""


class Descriptions(NamedTuple):
    """What the descriptions of a checkout say, for one architecture."""

    calls: Mapping[str, CallFacts]
    resources: Mapping[str, str]  # name -> what it is a kind of


def read(checkout: str, target_arch: str, kept_in: pathlib.Path | None = None) -> Descriptions:
    """The descriptions of a checkout; with `kept_in`, those that were understood before are taken from there. Raises NoDescriptions."""
    arch = ARCHES.get(target_arch, target_arch)
    texts = dict(_texts(checkout))
    digest = hashlib.sha256(f"{_FORMAT} {arch}".encode())
    for name, text in texts.items():
        digest.update(f"\n{name} {len(text)}\n".encode())
        digest.update(text)
    kept = kept_in / f"descriptions-{digest.hexdigest()[:32]}.json" if kept_in is not None else None
    if kept is not None and (known := _known(kept)) is not None:
        return known
    found = _understood({name: text.decode("utf-8", "replace") for name, text in texts.items()}, arch)
    if not found.calls:
        raise NoDescriptions(f"no descriptions in {checkout}/{FOLDER}; it names a checkout of syzkaller")
    if kept is not None:
        _keep(kept, found)
    return found


def _texts(checkout: str) -> Iterator[tuple[str, bytes]]:
    folder = pathlib.Path(checkout) / FOLDER
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith((".txt", ".txt.const")))[:_MOST_FILES]
    except OSError:
        raise NoDescriptions(f"no descriptions in {checkout}/{FOLDER}; it names a checkout of syzkaller") from None
    total = 0
    for name in names:
        data = plain_file(folder / name, _MOST_FILE_BYTES)
        total += len(data)
        if total > _MOST_BYTES:
            return
        yield name, data


def plain_file(path: pathlib.Path, most_bytes: int) -> bytes:
    """What a plain file holds; nothing of a link, a larger one, or one that cannot be read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(handle, "rb") as file:
        state = os.fstat(handle)
        return file.read(most_bytes) if stat.S_ISREG(state.st_mode) and state.st_size <= most_bytes else b""


def _understood(texts: Mapping[str, str], arch: str) -> Descriptions:
    declared = Declarations()
    has_value: dict[str, bool] = {}
    for name, text in texts.items():
        if name.endswith(".const"):
            for constant, is_there in constants.values(text, arch):
                has_value[constant] = is_there or has_value.get(constant, False)
        else:
            declared.add(text, f"{FOLDER}/{name}", arch)
    absent = {constant for constant, is_there in has_value.items() if not is_there}
    if has_value:  # a call whose number no file knows is none of this architecture
        numbers = {f"__NR_{call.base}" for call in declared.calls.values() if not call.base.startswith("syz_")}
        absent |= numbers - has_value.keys()
    try:
        return Descriptions(requirements.of_all(declared, absent), declared.resources)
    except requirements.TooLarge as wrong:
        raise NoDescriptions(str(wrong)) from None


def _known(path: pathlib.Path) -> Descriptions | None:
    """What was kept; None where it is not there, or is not as we write it."""
    try:
        data = own_files.read(path, _MOST_BYTES)
        if data is None:
            return None
        document = json.loads(data)
        words = document["Words"]
        calls = {
            name: CallFacts(
                path,
                line,
                tuple(takes),
                tuple(direct),
                tuple(gives),
                frozenset(map(words.__getitem__, own)),
                frozenset(map(words.__getitem__, more)),
            )
            for name, (path, line, takes, direct, gives, own, more) in document["Calls"].items()
        }
        return Descriptions(calls, dict(document["Resources"]))
    except (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _keep(path: pathlib.Path, found: Descriptions) -> None:
    words: dict[str, int] = {}
    rows = {}
    for name, facts in found.calls.items():
        own, more = ([words.setdefault(word, len(words)) for word in sorted(some)] for some in (facts.own, facts.words))
        rows[name] = (facts.path, facts.line, facts.takes, facts.direct, facts.gives, own, more)
    document = {"Words": list(words), "Calls": rows, "Resources": dict(found.resources)}
    try:
        for old in path.parent.glob("descriptions-*.json"):
            own_files.remove(old)
        own_files.write(path, json.dumps(document, separators=(",", ":")).encode())
    except OSError:
        pass  # a full disk, or nothing may be written here: it is understood anew next time
