"""The source: a tree at one revision, or the staged index, as files by path.

Every file read is remembered with its object id, so that a cached verdict can be checked: the same question must read the same bytes.
"""

from __future__ import annotations

import bisect
import contextlib
import enum
import fnmatch
import math
import os
import re
import threading
import time
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.source.git import Repository
from hook.source.object_store import Found, Objects, can_ask, tree_entries

if typing.TYPE_CHECKING:
    from hook.source.index import Index


MOST_CONFIRMED = 64  # files that are not indexed: at most N are read; if there are more, all are in every answer
SMALL_FILES = 2000  # in a tree: fewer are searched fast enough without an index
_LINK_TEXT = lazy_re.compile(rb"[^\s(){};#\"]{1,4095}")  # a line without its end


class TreeEntryKind(enum.StrEnum):
    """The kind of a tree entry."""

    FILE = "file"
    DIRECTORY = "directory"
    LINK = "symbolic link"
    SUBMODULE = "submodule"


class Entry(msgspec.Struct, frozen=True):
    """A name in a directory of the tree."""

    name: str
    kind: TreeEntryKind
    oid: str  # empty for a directory of the index, which has no object


class SafetyNet:
    """Ends a judgement that takes far longer than its limits, which count work, should allow.

    An answer that it cut short says so, and is never cached. Its seconds are processor time: on a busy machine an answer comes later, and
    is the same. Whatever is waited for has a limit of its own.
    """

    def __init__(self, seconds: float = math.inf, clock: Callable[[], float] = time.process_time) -> None:
        self.seconds = seconds
        self.cut = ""  # why an answer may differ from that of a working, faster machine; empty: it does not
        self.at_limit = False  # whether a limit that counts work has ended a search: a longer search may find more
        self._clock = clock
        self._deadline = clock() + seconds

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """For what is done once, and for more than this judgement: its time does not count."""
        begin = self._clock()
        try:
            yield
        finally:
            self._deadline += self._clock() - begin

    @property
    def is_over(self) -> bool:
        """Whether the time is over; then the answer is marked as cut short."""
        if self._clock() > self._deadline:
            self.cut = self.cut or f"stopped after {self.seconds:g} s (limits.safety_seconds)"
            return True
        return False

    @property
    def seconds_left(self) -> float:
        """The time limit for a process that we wait for."""
        return max(0.0, self._deadline - self._clock())


class Source(msgspec.Struct):
    """The files of one revision. Its methods may be called from several threads."""

    objects: Objects
    revision: str  # a commit or tree id; empty for the staged index
    changes: Mapping[str, str] = msgspec.field(default_factory=dict)  # over the revision, for `file` and `oid`: path -> blob; "": deleted
    read_blobs: dict[str, str] = msgspec.field(default_factory=dict)  # path -> object id; "" if there was none
    base: str = ""  # a commit with few differences, which still exists when the staged or mailed change is gone; empty: none
    lock: threading.RLock = msgspec.field(default_factory=threading.RLock)
    safety: SafetyNet = msgspec.field(default_factory=SafetyNet)
    rests_on_all: bool = False  # whether an answer depends on the absence of something, so that any new file may change it
    index_asked: bool = False
    opened_index: Index | None = None
    without_index: str = ""
    searched: dict[str, list[str]] = msgspec.field(default_factory=dict)  # by expression, the makefiles with a match
    # of files that the index has not read: their words, without and with definitions; None if they cannot be read
    unread_words: dict[tuple[str, bool], frozenset[str] | None] = msgspec.field(default_factory=dict)
    # by directory, the ids of its files, where a partial clone lacks one; None until it is asked whether this is a partial clone
    listed_files: dict[str, dict[str, str]] | None = None
    is_partial: bool = False

    @property
    def repo(self) -> Repository:
        return self.objects.repo

    @property
    def index(self) -> Index | None:
        """The repository's word index; None if there is no usable one, and `without_index` says why."""
        with self.lock:
            if not self.index_asked:
                from hook.source.index import NoIndex, open_index

                self.index_asked = True
                try:
                    opened = open_index(self.repo)
                    if not any(self.objects.read(tree) for tree in opened.trees()):
                        raise NoIndex("the index is of another tree: none of its revisions is here; `patch-triage index` adds one")
                    self.opened_index = opened
                except NoIndex as wrong:
                    self.without_index = str(wrong)
            return self.opened_index

    @property
    def has_whole_index(self) -> bool:
        """Whether there is a word index, and beside it the names of ubiquitous functions."""
        from hook.source.indexing import ubiquitous_names

        return self.index is not None and ubiquitous_names.are_kept(self.repo)

    @property
    def is_small(self) -> bool:
        """Whether the tree is so small that a complete search costs little, by the number of entries in the staged index."""
        try:
            with self.repo.index_path.open("rb") as file:
                head = file.read(12)  # gitformat-index(5): the signature, the version, the number of entries
        except OSError:
            return False
        return head[:4] == b"DIRC" and int.from_bytes(head[8:12], "big") < SMALL_FILES

    def index_failed(self, why: str) -> None:
        """Answer without the index from now on. It may work again later, so no answer is cached."""
        with self.lock:
            self.opened_index, self.without_index = None, why
            self.safety.cut = self.safety.cut or f"the word index could not be read: {why}"

    def file(self, path: str) -> Found | None:
        """The blob at `path`; None if there is none. Without content if that is too large, a symbolic link, or not in a partial clone."""
        with self.lock:
            return self._kept(path, self._read(path))

    def files(self, paths: Sequence[str]) -> list[Found | None]:
        """As `file`, for many paths, in one request to git."""
        with self.lock:
            plain = [path for path in paths if path not in self.changes and can_ask(path)]
            read = self.objects.read_all([f"{self.revision}:{path}" for path in plain])
            answers = {path: blob for path, (_, blob) in zip(plain, read, strict=True)}
            return [self._kept(path, answers[path] if path in answers else self._read(path)) for path in paths]

    def _kept(self, path: str, blob: Found | None) -> Found | None:
        """The blob at a path, which is remembered as read; None if it is no blob."""
        if blob is not None and blob.kind != "blob":
            blob = None
        self.read_blobs[path] = blob.oid if blob else ""
        if blob is not None and blob.data is not None and _LINK_TEXT.fullmatch(blob.data) and self._may_be_link(path):
            return msgspec.structs.replace(blob, data=None)
        return blob or self._lacking(path)

    def _may_be_link(self, path: str) -> bool:
        """Whether a path is a symbolic link, whose blob is not the text that a compiler reads."""
        entry = None if path in self.changes else self.entry(path)
        return entry is None or entry.kind is TreeEntryKind.LINK

    def _lacking(self, path: str) -> Found | None:
        """The file at a path that could not be read, without its content; None if there is none.

        A partial clone knows the names of the files that it lacks.
        """
        if path in self.changes:
            return Found(self.changes[path], "blob", 0, None) if self.changes[path] else None
        if self.listed_files is None:
            self.listed_files, self.is_partial = {}, self.repo.is_partial
        if not self.is_partial:
            return None
        directory, _, name = path.rpartition("/")
        if directory not in self.listed_files:
            files = (TreeEntryKind.FILE, TreeEntryKind.LINK)
            self.listed_files[directory] = {entry.name: entry.oid for entry in self.names(directory) or () if entry.kind in files}
        oid = self.listed_files[directory].get(name)
        return Found(oid, "blob", 0, None) if oid else None

    def oid(self, path: str) -> str:
        """The id of the blob or tree at `path`; empty if there is none. The top of the tree is the empty path."""
        with self.lock:
            entry = self._read(path) or self._lacking(path)
            return entry.oid if entry else ""

    def _read(self, path: str) -> Found | None:
        if path not in self.changes:
            return self._at(path)
        return self.objects.read(self.changes[path]) if self.changes[path] else None

    def _at(self, path: str) -> Found | None:
        """The object at `path` in the revision or the staged index, without the changes."""
        if can_ask(path):
            return self.objects.read(f"{self.revision}:{path}")
        oid = self._listed(path) if "\0" not in path else ""
        return self.objects.read(oid) if oid else None

    def _listed(self, path: str) -> str:
        """The id of the entry at `path`, from git's listing; empty if there is none."""
        if self.revision:
            out = self.repo.run("--literal-pathspecs", "ls-tree", "-z", self.revision, "--", path)
        else:
            out = self.repo.run("--literal-pathspecs", "ls-files", "--stage", "-z", "--", path, index=self.repo.index_path)
        for record in out.split(b"\0"):
            head, _, name = record.partition(b"\t")
            if os.fsdecode(name) == path:
                return head.split(b" ")[2 if self.revision else 1].decode()
        return ""

    def holding(self, groups: Sequence[Collection[str]]) -> list[str]:
        """The paths of files that may contain a word of each group, by the index, which must exist; see Index.holding. Raises NoIndex."""
        assert self.index is not None
        indexed_paths = self.index.holding(self.revision, groups)
        unread = self.unread()
        if not unread:
            return indexed_paths
        few_unread = len(unread) <= MOST_CONFIRMED
        unread_paths = [path for path, oid in unread.items() if oid and (not few_unread or self._may_hold(path, oid, groups))]
        paths = [path for path in indexed_paths if path not in unread]
        if not few_unread:
            return sorted([*paths, *unread_paths], key=os.fsencode)
        for path in unread_paths:
            bisect.insort(paths, path, key=os.fsencode)  # the indexed ones are sorted
        return paths

    def files_holding(self, groups: Sequence[Collection[str]]) -> list[str] | None:
        """As `holding`; None if there is no index that can answer."""
        if self.index is None:
            return None
        from hook.source.index import NoIndex

        try:
            return self.holding(groups)
        except NoIndex as wrong:
            self.index_failed(str(wrong))
            return None

    def changed_files(self) -> int:
        """The number of files that differ from the indexed revision; the index must exist. Raises NoIndex."""
        assert self.index is not None
        return self.index.distance(self.revision) + len(self.changes)

    def unread(self) -> Mapping[str, str]:
        """The files that the index, which must exist, has not read, with their blobs; "" for a deleted file. Raises NoIndex."""
        assert self.index is not None
        return {**self.index.unread(self.revision), **self.changes}

    def _may_hold(self, path: str, oid: str, groups: Sequence[Collection[str]]) -> bool:
        """Whether a file that is not indexed may contain a word of each group; the index alone has it in every answer."""
        # what SYSCALL_DEFINE defines is a word of the file only without its prefix
        plain = [
            {
                form
                for name in group
                for form in (name.removeprefix(":"), name.removeprefix(":").removeprefix("compat_").removeprefix("sys_"))
            }
            for group in groups
        ]
        file_words = self._words(path, oid, False)
        if file_words is None or any(file_words.isdisjoint(group) for group in plain):
            return file_words is None
        defined = self._words(path, oid, True) if any(word.startswith(":") for group in groups for word in group) else file_words
        return defined is None or not any(defined.isdisjoint(group) for group in groups)

    def _words(self, path: str, oid: str, definitions: bool) -> frozenset[str] | None:
        """The words of a file, as in the index; None if it cannot be read."""
        from hook.c.definitions import definitions as scanned
        from hook.source import words

        with self.lock:
            if (path, definitions) not in self.unread_words:
                file = self.objects.read(oid)
                if file is None or file.data is None:
                    file_words = None
                elif words.is_binary(file.data):
                    file_words = frozenset[str]()
                else:
                    defining = definitions and bool(words.language(path))
                    distinct = words.words(file.data)
                    if defining:
                        # not its names alone: mostly it is a file of the change, of which the evidence needs the same scan
                        named = scanned(file.data, path).definitions
                        distinct.update(f":{definition.name}".lower() for definition in named)
                    file_words = frozenset(distinct)
                self.unread_words[path, definitions] = file_words
            return self.unread_words[path, definitions]

    def entry(self, path: str) -> Entry | None:
        """The entry at `path`; None if there is none. No link is followed, neither at the end nor on the way."""
        directory, _, name = path.rpartition("/")
        if not name:
            return Entry("", TreeEntryKind.DIRECTORY, self.oid("") if self.revision else "")
        return next((entry for entry in self.names(directory) or () if entry.name == name), None)

    def names(self, directory: str) -> list[Entry] | None:
        """The entries of a directory, sorted by name; None if there is no such directory."""
        with self.lock:
            entries = self._tree(directory) if self.revision else self._staged(directory)
        return sorted(entries, key=lambda entry: entry.name) if entries is not None else None

    def glob(self, *patterns: str) -> list[str]:
        """The paths of the regular files that one of `patterns` matches; `*` matches slashes too, as in git. Raises GitError."""
        if self.revision:
            out = self.repo.run("ls-tree", "-r", "-z", self.revision)
        else:
            out = self.repo.run("ls-files", "--stage", "-z", index=self.repo.index_path)
        forms = [re.compile(fnmatch.translate(pattern)) for pattern in patterns]
        paths = []
        for record in out.split(b"\0"):
            head, _, name = record.partition(b"\t")
            path = os.fsdecode(name)
            if head.startswith(b"100") and any(form.match(path) for form in forms):
                paths.append(path)
        return list(dict.fromkeys(paths))  # an unmerged path is in the index up to three times

    def _tree(self, directory: str) -> list[Entry] | None:
        tree = self._at(directory)
        if tree is None or tree.kind != "tree" or tree.data is None:
            return None
        self.read_blobs[directory] = tree.oid
        return [Entry(os.fsdecode(name), _kind(mode), oid) for mode, name, oid in tree_entries(tree.data, self.repo.object_format)]

    def _staged(self, directory: str) -> list[Entry] | None:
        prefix = f"{directory}/" if directory else ""
        out = self.repo.run(
            "--literal-pathspecs", "ls-files", "--stage", "-z", *(["--", prefix] if prefix else []), index=self.repo.index_path
        )
        entries: dict[str, Entry] = {}
        for record in out.split(b"\0"):
            if not record:
                continue
            head, _, path = record.partition(b"\t")
            mode, oid, _ = head.split(b" ")
            name, slash, _ = os.fsdecode(path)[len(prefix) :].partition("/")
            entries[name] = Entry(name, TreeEntryKind.DIRECTORY, "") if slash else Entry(name, _kind(mode), oid.decode())
        return list(entries.values()) if entries or not prefix else None


def changed_paths(before: Source, after: Source, most_directories: int) -> set[str] | None:
    """The paths of files that differ between two revisions; None if more than `most_directories` differ.

    For revisions with few differences: no git process is started.
    """
    changed: set[str] = set()
    waiting = [("", {before.revision, after.revision})]
    for _ in range(most_directories):
        if not waiting:
            return changed
        directory, having = waiting.pop()
        listed = [side.names(directory) if side.revision in having else [] for side in (before, after)]
        if None in listed:
            return None  # a partial clone without its trees
        old, new = ({entry.name: entry for entry in names or ()} for names in listed)
        for name in old.keys() | new.keys():
            if old.get(name) == new.get(name):
                continue
            path = f"{directory}/{name}" if directory else name
            sides = [(side, names[name].kind) for side, names in ((before, old), (after, new)) if name in names]
            if having_directory := {side.revision for side, kind in sides if kind is TreeEntryKind.DIRECTORY}:
                waiting.append((path, having_directory))
            if any(kind is not TreeEntryKind.DIRECTORY for _, kind in sides):
                changed.add(path)
    return None if waiting else changed


def _kind(mode: bytes) -> TreeEntryKind:
    return {b"40000": TreeEntryKind.DIRECTORY, b"120000": TreeEntryKind.LINK, b"160000": TreeEntryKind.SUBMODULE}.get(
        mode, TreeEntryKind.FILE
    )
