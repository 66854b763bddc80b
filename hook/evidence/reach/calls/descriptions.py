"""Descriptions: which of syzkaller's system call descriptions reach an interface, read as text.

The form is that of docs/syscall_descriptions_syntax.md of syzkaller: `name$variant(arguments) result (attributes)` on a line, and sets
of strings and constants as `name = "a", "b"`. Nothing of the checkout is run, no link is followed, and what is not understood describes
nothing.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import re
import stat
from collections.abc import Iterator

FOLDER = "sys/linux"
_MOST_FILES = 1000
_MOST_FILE_BYTES = 4 << 20
_MOST_BYTES = 64 << 20  # of all files
_MOUNTING = ("mount", "fsopen", "syz_mount_image", "syz_fuse_mount", "syz_fuseblk_mount")
_OPENING = ("open", "openat", "openat2", "syz_open_dev")
_CALL = re.compile(r"([a-z_]\w*)(?:\$(\w+))?\(")
_SET = re.compile(r"([A-Za-z_]\w*)\s*=\s*(.+)")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
_DISABLED = re.compile(r"\)[^)]*\((?:[^)]*\b)?disabled\b[^)]*\)\s*\Z")


class NoDescriptions(ValueError):
    """A directory that holds no descriptions; the sentence says so."""


@dataclasses.dataclass(frozen=True)
class DescriptionLine:
    """A line of a description."""

    path: str  # in the checkout
    line: int
    text: str


@dataclasses.dataclass(frozen=True)
class _Call:
    name: str
    variant: str
    words: frozenset[str]
    strings: frozenset[str]
    at: DescriptionLine


class Descriptions:
    """All descriptions of a checkout."""

    def __init__(self, calls: list[_Call], sets: dict[str, frozenset[str]], words: dict[str, DescriptionLine]) -> None:
        self._calls, self._sets, self._words = calls, sets, words

    def of(self, interface: str) -> DescriptionLine | None:
        """The first description that reaches an interface, `KIND:NAME` as hook.evidence.reach.calls.interfaces names it."""
        kind, _, name = interface.partition(":")
        if kind == "call":
            return next((one.at for one in self._calls if one.name == name), None)
        if kind == "device":
            numbered = re.sub(r"\d+", "#", name)
            return next((one.at for one in self._opening() if {name, numbered, f"{name}#"} & self._strings(one)), None)
        if kind == "mount":
            mounting = (one for one in self._calls if one.name in _MOUNTING)
            return next((one.at for one in mounting if name in self._strings(one) or one.variant == name), None)
        if kind == "genl":
            return next((one.at for one in self._calls if one.name == "syz_genetlink_get_family_id" and name in self._strings(one)), None)
        if kind == "family":
            families = {name, name.replace("PF_", "AF_", 1), name.replace("AF_", "PF_", 1)}
            sockets = (one for one in self._calls if one.name in ("socket", "socketpair") and one.variant)
            return next((one.at for one in sockets if families & one.words), None)
        if kind == "ioctl":
            return next((one.at for one in self._calls if one.name == "ioctl" and name in one.words), None)
        return self._words.get(name)  # a constant that only descriptions of this interface have: RTM_…, IORING_OP_…

    def _opening(self) -> Iterator[_Call]:
        return (one for one in self._calls if one.name in _OPENING)

    def _strings(self, call: _Call) -> set[str]:
        """The strings of a call, those of the sets that it names too."""
        return set(call.strings).union(*(self._sets[word] for word in call.words if word in self._sets))


def read(checkout: str) -> Descriptions:
    """The descriptions of the syzkaller checkout at `checkout`. Raises NoDescriptions."""
    folder = pathlib.Path(checkout) / FOLDER
    calls: list[_Call] = []
    sets: dict[str, frozenset[str]] = {}
    words: dict[str, DescriptionLine] = {}
    total = 0
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(".txt"))[:_MOST_FILES]
    except OSError:
        raise NoDescriptions(f"no descriptions in {checkout}/{FOLDER}; it names a checkout of syzkaller") from None
    for name in names:
        text = _text(folder / name)
        total += len(text)
        if total > _MOST_BYTES:
            break
        for number, line in enumerate(text.split("\n"), 1):
            _line(line, DescriptionLine(f"{FOLDER}/{name}", number, line.strip()[:200]), calls, sets, words)
    if not calls:
        raise NoDescriptions(f"no descriptions in {checkout}/{FOLDER}; it names a checkout of syzkaller")
    return Descriptions(calls, sets, words)


def _line(line: str, at: DescriptionLine, calls: list[_Call], sets: dict[str, frozenset[str]], words: dict[str, DescriptionLine]) -> None:
    bare = _STRING.sub('""', line)
    comment = bare.find("#")
    bare = bare[:comment] if comment >= 0 else bare
    found = [] if bare.startswith(("include", "incdir", "define", "resource", "meta")) else re.findall(r"[A-Za-z_]\w*", bare)
    for word in found:
        if word.isupper() or "_" in word:
            words.setdefault(word, at)
    call = _CALL.match(bare)
    strings = frozenset(_STRING.findall(line)) if '"' in line and not line.lstrip().startswith("#") else frozenset()
    if call and not _DISABLED.search(bare):
        calls.append(_Call(call[1], call[2] or "", frozenset(found), strings, at))
    elif (given := _SET.match(bare)) and strings:
        sets[given[1]] = strings


def _text(path: pathlib.Path) -> str:
    """What a plain file holds, up to the limit; nothing of a link or a larger one."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    with os.fdopen(handle, "rb") as file:
        seen = os.fstat(handle)
        if not stat.S_ISREG(seen.st_mode) or seen.st_size > _MOST_FILE_BYTES:
            return ""
        return file.read(_MOST_FILE_BYTES).decode("utf-8", "replace")
