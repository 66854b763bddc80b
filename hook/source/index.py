"""The word index: which blobs contain a word, and which define a name.

Keyed by blob id, so every revision of the tree shares it. An answer may name too many files (letters are folded, conditionals are not
followed), never too few: callers read the files it names. Without an index, ``git grep`` answers the same questions.

One SQLite file with an FTS5 table, and beside it a seal with the size and time of the file when its writer was done. A file that differs
from its seal (a copy, a disk error, a writer that is running or was killed) is not read. docs/word-index.md says what else was tried.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import sqlite3
import threading
import typing
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from hook.source import own_files, words
from hook.source.git import GitError, Repository
from hook.source.indexing import FORMAT

MOST_WORDS = 1500  # that contain a literal: with more of them, the literal chooses no files
_MOST_PARTS = 500
_MOST_SEAL_BYTES = 4096
_WAIT_SECONDS = 0.2  # for a writer; then git grep answers
_MOST_IDS = 500  # in one statement
# `state > 1` makes SQLite use the partial index blob_state: without it, every question reads the rows of all blobs
_IN_STATE = "select id from blob where state = ? and state > 1"

# what the index has of a blob
TEXT = 0  # its words, and the names it defines if its path shows the language
BINARY = 1  # nothing: no search reads it
WHOLE = 2  # nothing, since it was not read (too large, or not in a partial clone): it is in every answer
UNDEFINED = 3  # its words alone: it is in every answer about a definition of one of them

_ALWAYS, _GONE = 0, -1  # instead of the id of a blob: the file is in every answer, in none

# the rows of the table `word`: two for each blob, with 2 * the id of the blob + one of these as their id
HELD = 0  # all its words, and the names that it defines
DEFINED = 1  # the names that it defines

TABLES = """
create table meta (key text primary key, value) without rowid;
create table blob (oid blob primary key, id integer not null, state integer not null, language text not null) without rowid;
create index blob_state on blob (state, id) where state > 1;
create table anchor (id integer primary key, tree text not null unique, used real not null);
create table place (anchor integer not null, blob integer not null, path blob not null, primary key (anchor, blob, path)) without rowid;
create virtual table word using fts5(t, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_'");
create table vocabulary (id integer primary key, words blob not null);
create virtual table part using fts5(t, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_'");
create table part_list (id integer primary key, parts blob not null);
"""


class NoIndex(Exception):
    """There is no usable index; the sentence says why."""


class Files(msgspec.Struct, frozen=True):
    """The files of the index."""

    directory: pathlib.Path

    @property
    def database(self) -> pathlib.Path:
        return self.directory / "words.db"

    @property
    def seal(self) -> pathlib.Path:
        return self.directory / "seal"

    @property
    def lock(self) -> pathlib.Path:
        return self.directory / "lock"

    @property
    def progress(self) -> pathlib.Path:
        """The progress of a running writer."""
        return self.directory / "progress"

    def fingerprint(self) -> dict[str, typing.Any]:
        """The format, size and time of the database, to be compared with the seal. Raises OSError."""
        stat = self.database.stat()
        return {"format": FORMAT, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}

    def sealed(self) -> dict[str, typing.Any]:
        """The content of the seal; empty if there is none that can be read."""
        try:
            read = msgspec.json.decode(own_files.read(self.seal, _MOST_SEAL_BYTES) or b"{}")
        except (OSError, ValueError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}


def files(repo: Repository) -> Files:
    return Files(repo.index_directory)


class _Coverage(msgspec.Struct, frozen=True):
    """A revision as an indexed tree with changed files."""

    anchor: int
    changed: Mapping[str, str]  # paths that differ from the indexed tree, with their blob in the revision; "" if there is none


class Index:
    """An open index, for any thread. Raises NoIndex if it turns out to be unreadable."""

    def __init__(self, repo: Repository, database: sqlite3.Connection) -> None:
        self._repo = repo
        self._database = database
        self._lock = threading.RLock()
        self._coverages: dict[str, _Coverage] = {}
        self._unread: dict[str, Mapping[str, str]] = {}  # by revision
        self._version = 0  # of the database, for which the following holds
        self._states: dict[int, frozenset[int]] = {}  # the blobs in a state
        self._changed_files: dict[str, dict[bytes, tuple[int, bool]]] = {}  # by revision: see _of_changed
        self._part_lists: list[bytes] = []  # the table part_list, once it is read

    def holding(self, revision: str, groups: Sequence[Collection[str]]) -> list[str]:
        """The paths of a revision (empty: the staged index) whose file may contain a word of each group: all of them, and some more.

        Words are in lower case; a colon before a word asks for files that define it. Raises NoIndex.
        """
        with self._reading():
            coverage = self._coverage(revision)
            ids = self._matches(HELD, [[word.removeprefix(words.DEFINED) for word in group] for group in groups])
            defining = [group for group in groups if any(word.startswith(words.DEFINED) for word in group)]
            undefined = self._in_state(UNDEFINED) & ids if defining else frozenset[int]()
            for group in defining:
                names = [word.removeprefix(words.DEFINED) for word in group if word.startswith(words.DEFINED)]
                others = [word for word in group if not word.startswith(words.DEFINED)]
                ids &= self._matches(DEFINED, [names]) | self._matches(HELD, [others])
            return self._paths(revision, coverage, ids | undefined, bool(defining))

    def unread(self, revision: str) -> Mapping[str, str]:
        """The files of a revision that the index has not read, with their blobs: they are in every answer. Raises NoIndex."""
        if revision not in self._unread:
            with self._reading():
                changed = self._coverage(revision).changed
                indexed = self._blobs(changed)
                self._unread[revision] = {path: oid for path, oid in changed.items() if oid and oid not in indexed}
        return self._unread[revision]

    def is_common(self, word: str, files: int) -> bool:
        """Whether more than `files` indexed files contain a word, in lower case. No paths are read for it. Raises NoIndex."""
        with self._reading():
            query = "select count(*) from (select rowid from word where word match ? and rowid & 1 = ? limit ?)"
            return int(self._database.execute(query, (f'"{word}"', HELD, files + 1)).fetchone()[0]) > files

    def containing(self, literal: str) -> list[str] | None:
        """Words, and halves of words, in lower case: every file with the literal in a word has one of them.

        None if there are more than MOST_WORDS. Raises NoIndex.
        """
        first, second = words.halves(literal)
        with self._reading():
            matching = self._words(literal, lambda word: True)
            if matching is not None and second:
                # in a word that is in halves, the literal may begin in one and end in the other: each of them shows that
                across = self._words(second, lambda word: word.startswith(second))
                if across is None:
                    across = self._words(first, lambda word: word.endswith(first))
                matching = None if across is None else matching + across
            return None if matching is None else list(dict.fromkeys(matching))

    def trees(self) -> list[str]:
        """The indexed trees, the last used first. Raises NoIndex."""
        with self._reading():
            return [row[0] for row in self._database.execute("select tree from anchor order by used desc")]

    def distance(self, revision: str) -> int:
        """The number of files in which a revision differs from the nearest indexed tree: every answer checks each. Raises NoIndex."""
        with self._reading():
            return len(self._coverage(revision).changed)

    def history(self) -> str:
        """The ranges of commits whose blobs were read last, beside the listed trees; empty if there are none. Raises NoIndex."""
        with self._reading():
            return next((str(row[0]) for row in self._database.execute("select value from meta where key = 'history'")), "")

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        with self._lock:
            try:
                self._database.execute("begin")
                try:
                    self._forget_older()
                    yield
                finally:
                    self._database.execute("rollback")
            except (sqlite3.Error, zlib.error, GitError, MemoryError) as wrong:
                raise NoIndex(f"the index cannot be read ({wrong})") from None

    def _coverage(self, revision: str) -> _Coverage:
        cached = self._coverages.get(revision)
        if cached is not None:
            return cached
        best: _Coverage | None = None
        last_error: GitError | None = None
        for anchor, tree in self._database.execute("select id, tree from anchor order by used desc").fetchall():
            try:
                changed = differences(self._repo, tree, revision)
            except GitError as error:  # the tree is in another clone that shares the index, or was pruned
                last_error = error
                continue
            if best is None or len(changed) < len(best.changed):
                best = _Coverage(anchor, changed)
            if len(changed) < 1000:
                break
        if best is None:
            raise NoIndex(f"it is of another tree: {last_error}" if last_error else "the index is not complete yet")
        self._coverages[revision] = best
        return best

    def _matches(self, row_kind: int, groups: Sequence[Collection[str]]) -> set[int]:
        """The ids of the blobs whose row of that kind has a word of each group."""
        if not all(groups):
            return set()  # no indexed word; only files that are not indexed can match
        query = " AND ".join("(" + " OR ".join(map(_expression, group)) + ")" for group in groups)
        rows = self._database.execute("select rowid >> 1 from word where word match ? and rowid & 1 = ?", (query, row_kind))
        return {row[0] for row in rows}

    def _forget_older(self) -> None:
        """Drop what was learnt of the database before another process has written into it."""
        version = self._database.execute("pragma data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._states.clear()
            self._changed_files.clear()
            self._part_lists.clear()

    def _in_state(self, state: int) -> frozenset[int]:
        if state not in self._states:
            self._states[state] = frozenset(row[0] for row in self._database.execute(_IN_STATE, (state,)))
        return self._states[state]

    def _paths(self, revision: str, coverage: _Coverage, ids: set[int], defining: bool) -> list[str]:
        names: set[bytes] = set()
        for chunk in chunks([*ids, *self._in_state(WHOLE)]):
            marks = ",".join("?" * len(chunk))
            rows = self._database.execute(f"select path from place where blob in ({marks}) and anchor = ?", (*chunk, coverage.anchor))
            names.update(row[0] for row in rows)
        if coverage.changed:
            if revision not in self._changed_files:
                self._changed_files[revision] = self._of_changed(coverage.changed)
            changed = self._changed_files[revision]
            names.difference_update(changed)
            ids = ids | {_ALWAYS}
            names.update(name for name, (blob, is_foreign) in changed.items() if blob in ids or (is_foreign and defining))
        return os.fsdecode(b"\0".join(sorted(names))).split("\0") if names else []

    def _of_changed(self, changed: Mapping[str, str]) -> dict[bytes, tuple[int, bool]]:
        """The blob of each changed file, and whether it was indexed under a name of another language, with other definitions."""
        indexed = self._blobs(changed)
        files: dict[bytes, tuple[int, bool]] = {}
        for path, oid in changed.items():
            blob, state, language = indexed.get(oid, (_ALWAYS, WHOLE, "")) if oid else (_GONE, TEXT, "")
            is_foreign = blob != _GONE and words.language(path) not in ("", language)
            files[os.fsencode(path)] = _ALWAYS if state == WHOLE else blob, is_foreign
        return files

    def _blobs(self, changed: Mapping[str, str]) -> dict[str, tuple[int, int, str]]:
        """The id, state and language of the blobs of changed files that are in the index."""
        indexed: dict[str, tuple[int, int, str]] = {}
        for part in chunks([bytes.fromhex(oid) for oid in {*changed.values()} if oid]):
            rows = self._database.execute(f"select oid, id, state, language from blob where oid in ({','.join('?' * len(part))})", part)
            indexed.update((row[0].hex(), row[1:]) for row in rows)
        return indexed

    def _words(self, literal: str, accepts: Callable[[str], bool]) -> list[str] | None:
        """The words of the vocabulary that contain a literal and that `accepts` takes; None if there are more than MOST_WORDS."""
        matching: list[str] = []
        needle = literal.encode("ascii")
        for block in self._blocks(literal):
            matching += filter(accepts, (word.decode("ascii") for word in _lines_with(block, needle)))
            if len(matching) > MOST_WORDS:
                return None
        return matching

    def _blocks(self, literal: str) -> Iterator[bytes]:
        """The blocks of the vocabulary that may have a word with the literal in it."""
        pieces = literal.split("_")
        groups: list[list[str]] = []
        for number, piece in enumerate(pieces):
            if 0 < number < len(pieces) - 1:
                groups += [[piece]] if piece else []
            elif len(piece) >= 2:
                parts = self._parts(piece, first=number == 0, last=number == len(pieces) - 1)
                if parts is not None:
                    groups.append(parts)
        if any(not group for group in groups):
            return
        query = " AND ".join("(" + " OR ".join(f'"{part}"' for part in group) + ")" for group in groups)
        if query:
            rows = self._database.execute("select rowid from part where part match ?", (query,)).fetchall()
        else:
            rows = self._database.execute("select id from vocabulary").fetchall()
        for (row_id,) in rows:
            yield zlib.decompress(self._database.execute("select words from vocabulary where id = ?", (row_id,)).fetchone()[0])

    def _parts(self, piece: str, *, first: bool, last: bool) -> list[str] | None:
        """The parts of words (between underscores) that a piece of a literal may be in; None if there are too many.

        The first piece of a literal ends a part, the last one begins one, and the only piece may be anywhere in it.
        """
        matching: dict[bytes, None] = {}
        needle = piece.encode("ascii")
        if not self._part_lists:
            self._part_lists = [zlib.decompress(row[0]) for row in self._database.execute("select parts from part_list")]
        for block in self._part_lists:
            for part in _lines_with(block, needle):
                if not (first or part.startswith(needle)) or not (last or part.endswith(needle)):
                    continue
                matching[part] = None
                if len(matching) > _MOST_PARTS:
                    return None
        return [part.decode("ascii") for part in matching]


def open_index(repo: Repository) -> Index:
    """The repository's index. Raises NoIndex if there is none, or if it does not match its seal."""
    index_files = files(repo)
    sealed = index_files.sealed()
    try:
        fingerprint = index_files.fingerprint()
    except OSError:
        raise NoIndex("there is no index; `patch-triage index` builds it") from None
    if isinstance(sealed.get("format"), int) and sealed["format"] > FORMAT:
        raise NoIndex("the index was made by a newer patch-triage; `patch-triage index` builds it again")
    if sealed and sealed != fingerprint:
        raise NoIndex("the index is not as this program left it (a copy, or made by an older one); `patch-triage index` builds it again")
    if not sealed:
        raise NoIndex("the index is being written, or its last writer did not end; `patch-triage index` continues")
    try:
        return Index(repo, connect(index_files.database, writing=False))
    except sqlite3.Error as wrong:
        raise NoIndex(f"the index cannot be read ({wrong}); `patch-triage index` builds it again") from None


def connect(path: pathlib.Path, *, writing: bool) -> sqlite3.Connection:
    """A connection to the database. Raises sqlite3.Error."""
    uri = own_files.database_uri(path, f"mode={'rwc' if writing else 'ro'}")
    database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT_SECONDS, check_same_thread=False)
    database.execute("pragma cell_size_check = on")
    return database


def differences(repo: Repository, tree: str, revision: str) -> dict[str, str]:
    """The paths of regular files that differ between an indexed tree and a revision (empty: the staged index), with their blob there.

    The blob is empty if the revision has no regular file there. Raises GitError.
    """
    if revision:
        out = repo.run("diff-tree", "-r", "--raw", "-z", "--no-renames", "--no-abbrev", tree, revision, "--")
    else:
        out = repo.run("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", tree, "--", index=repo.index_path)
    blobs: dict[str, str] = {}
    fields = out.split(b"\0")
    for position in range(0, len(fields) - 1, 2):
        _, mode, _, oid, _ = fields[position].split(b" ")
        blobs[os.fsdecode(fields[position + 1])] = oid.decode() if mode.startswith(b"100") else ""
    return blobs


def parts_of(block: bytes) -> bytes:
    """The distinct parts of a block of words, with a space between."""
    return b" ".join(set(block.replace(b"_", b"\n").split()))


def _expression(word: str) -> str:
    """The search for a word, whole or in halves."""
    first, second = words.halves(word)
    return f'("{word}" OR ("{first}" AND "{second}"))' if second else f'"{word}"'


def _lines_with(block: bytes, needle: bytes) -> Iterator[bytes]:
    """The lines of a block that contain `wanted`."""
    position = block.find(needle)
    while position >= 0:
        begin = block.rfind(b"\n", 0, position) + 1
        end = block.find(b"\n", position)
        end = len(block) if end < 0 else end
        yield block[begin:end]
        position = block.find(needle, end)


def chunks(values: Sequence[typing.Any]) -> Iterator[Sequence[typing.Any]]:
    """The values in groups that fit into one statement."""
    for start in range(0, len(values), _MOST_IDS):
        yield values[start : start + _MOST_IDS]
