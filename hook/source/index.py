"""The word index: which blobs contain a word, and which define a name.

Keyed by blob id, so every revision of the tree shares it. An answer may name too many files (letters are folded, conditionals are not
followed), never too few: callers look into the files it names. Without an index the same questions go through ``git grep``.

One SQLite file with an FTS5 table, beside it a seal that says how the file looked when its writer was done: what differs from that (a
copy, a disk error, a writer at work or killed) is not read. docs/word-index.md says what else was tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import sqlite3
import threading
import typing
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from hook.source import own_files, words
from hook.source.git import GitError, Repository

FORMAT = 2  # 2: what stands behind a quote that nothing closes is defined, as the compiler reads it
MOST_WORDS = 1500  # that hold a literal: more of them choose no files
_MOST_PARTS = 500
_MOST_SEAL_BYTES = 4096
_WAIT_SECONDS = 0.2  # for a writer; then the question goes through git grep
_MOST_IDS = 500  # in one statement
# `state > 1` is what blob_state, a partial index, is for: without it SQLite reads every blob's row, at each question
_IN_STATE = "select id from blob where state = ? and state > 1"

# how a blob is in the index
TEXT = 0  # its words, and the names it defines where its path says what language it is
BINARY = 1  # no search looks into it
WHOLE = 2  # not read (too large, or not in a partial clone): always among the files to look into
UNDEFINED = 3  # its words alone: what it defines is found by looking into it

TABLES = """
create table meta (key text primary key, value) without rowid;
create table blob (id integer primary key, oid blob not null unique, state integer not null, language text not null);
create index blob_state on blob (state) where state > 1;
create table anchor (id integer primary key, tree text not null unique, used real not null);
create table place (anchor integer not null, path blob not null, blob integer not null, primary key (anchor, path)) without rowid;
create index place_blob on place (blob, anchor);
create virtual table word using fts5(t, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_:'");
create table vocabulary (id integer primary key, words blob not null);
create virtual table part using fts5(t, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '_:'");
create table part_list (id integer primary key, parts blob not null);
"""


class NoIndex(Exception):
    """There is no index that could answer; the sentence says why."""


class Files(msgspec.Struct, frozen=True):
    """Where the index is kept."""

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
        """How far the writer at work has come."""
        return self.directory / "progress"

    def look(self) -> dict[str, typing.Any]:
        """How the database looks now. Raises OSError."""
        stat = self.database.stat()
        return {"format": FORMAT, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}

    def sealed(self) -> dict[str, typing.Any]:
        """What the seal says; empty where there is none that can be read."""
        try:
            read = json.loads(own_files.read(self.seal, _MOST_SEAL_BYTES) or b"{}")
        except (OSError, ValueError, RecursionError):
            return {}
        return read if isinstance(read, dict) else {}


def files(repo: Repository) -> Files:
    return Files(repo.index_directory)


class _Coverage(msgspec.Struct, frozen=True):
    """How a revision is seen through an indexed tree."""

    anchor: int
    changed: Mapping[str, str]  # paths that differ from it, with the blob they have in the revision; "" where there is none


class Index:
    """An open index, to be asked from any thread. Raises NoIndex where it turns out to be unreadable."""

    def __init__(self, repo: Repository, database: sqlite3.Connection) -> None:
        self._repo = repo
        self._database = database
        self._lock = threading.RLock()
        self._coverages: dict[str, _Coverage] = {}
        self._unread: dict[str, Mapping[str, str]] = {}  # by revision

    def holding(self, revision: str, groups: Sequence[Collection[str]]) -> list[str]:
        """The paths of a revision (empty: the staged index) whose file may hold a word of each group; all of them, and some more.

        Words are given in lower case, names that a file defines behind a colon. Raises NoIndex.
        """
        with self._asking():
            coverage = self._coverage(revision)
            ids = set(self._matches("word", groups))
            defining = any(word.startswith(words.DEFINED) for group in groups for word in group)
            if defining:
                plain = [[word.removeprefix(words.DEFINED) for word in group] for group in groups]
                ids.update(self._in_state(self._matches("word", plain), UNDEFINED))
            return self._paths(coverage, ids, defining)

    def unread(self, revision: str) -> Mapping[str, str]:
        """The files of a revision that the index has never read, with their blobs: they are in every answer. Raises NoIndex."""
        if revision not in self._unread:
            with self._asking():
                changed = self._coverage(revision).changed
                known = self._blobs(changed)
                self._unread[revision] = {path: oid for path, oid in changed.items() if oid and oid not in known}
        return self._unread[revision]

    def changed(self, revision: str) -> int:
        """In how many files a revision differs from the one that was indexed: each is looked at in every answer. Raises NoIndex."""
        with self._asking():
            return len(self._coverage(revision).changed)

    def is_common(self, word: str, files: int) -> bool:
        """Whether more than so many files that are indexed hold a word, given in lower case. No paths are read for it. Raises NoIndex."""
        with self._asking():
            query = "select count(*) from (select rowid from word where word match ? limit ?)"
            return int(self._database.execute(query, (f'"{word}"', files + 1)).fetchone()[0]) > files

    def containing(self, literal: str) -> list[str] | None:
        """The words that contain a literal, in lower case; None where there are more than would help. Raises NoIndex."""
        with self._asking():
            found: list[str] = []
            wanted = literal.encode("ascii")
            for block in self._blocks(literal):
                for word in _around(block, wanted):
                    found.append(word.decode("ascii"))
                    if len(found) > MOST_WORDS:
                        return None
            return list(dict.fromkeys(found))

    def trees(self) -> list[str]:
        """The trees that it has listings of, the last used first. Raises NoIndex."""
        with self._asking():
            return [row[0] for row in self._database.execute("select tree from anchor order by used desc")]

    def distance(self, revision: str) -> int:
        """By how many files a revision differs from what is indexed. Raises NoIndex."""
        with self._asking():
            return len(self._coverage(revision).changed)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        with self._lock:
            try:
                self._database.execute("begin")
                try:
                    yield
                finally:
                    self._database.execute("rollback")
            except (sqlite3.Error, zlib.error, GitError, MemoryError) as wrong:
                raise NoIndex(f"the index cannot be read ({wrong})") from None

    def _coverage(self, revision: str) -> _Coverage:
        known = self._coverages.get(revision)
        if known is not None:
            return known
        best: _Coverage | None = None
        wrong: GitError | None = None
        for anchor, tree in self._database.execute("select id, tree from anchor order by used desc").fetchall():
            try:
                changed = differences(self._repo, tree, revision)
            except GitError as gone:  # of another clone that shares the index, or no longer here
                wrong = gone
                continue
            if best is None or len(changed) < len(best.changed):
                best = _Coverage(anchor, changed)
            if len(changed) < 1000:
                break
        if best is None:
            raise NoIndex(f"it is of another tree: {wrong}" if wrong else "the index is not complete yet")
        self._coverages[revision] = best
        return best

    def _matches(self, table: str, groups: Sequence[Collection[str]]) -> Iterator[int]:
        if not all(groups):
            return iter(())  # no word that is indexed; files that are not remain
        query = " AND ".join("(" + " OR ".join(f'"{word}"' for word in group) + ")" for group in groups)
        return (row[0] for row in self._database.execute(f"select rowid from {table} where {table} match ?", (query,)))

    def _in_state(self, ids: Iterable[int], state: int) -> list[int]:
        wanted = {row[0] for row in self._database.execute(_IN_STATE, (state,))}
        return [one for one in ids if one in wanted] if wanted else []

    def _paths(self, coverage: _Coverage, ids: set[int], defining: bool) -> list[str]:
        wholes = [row[0] for row in self._database.execute(_IN_STATE, (WHOLE,))]
        found: set[str] = set()
        for chunk in _chunks([*ids, *wholes]):
            marks = ",".join("?" * len(chunk))
            rows = self._database.execute(f"select path from place where blob in ({marks}) and anchor = ?", (*chunk, coverage.anchor))
            found.update(os.fsdecode(row[0]) for row in rows)
        found.difference_update(coverage.changed)
        there = self._blobs(coverage.changed)
        for path, oid in coverage.changed.items():
            known = there.get(oid)
            # under a name of another language it defines other things than the index knows
            other = defining and known is not None and words.language(path) not in ("", known[2])
            if oid and (known is None or known[0] in ids or known[1] == WHOLE or other):
                found.add(path)
        return sorted(found, key=os.fsencode)

    def _blobs(self, changed: Mapping[str, str]) -> dict[str, tuple[int, int, str]]:
        """What the index knows of the blobs of changed files."""
        there: dict[str, tuple[int, int, str]] = {}
        for part in _chunks([bytes.fromhex(oid) for oid in {*changed.values()} if oid]):
            rows = self._database.execute(f"select oid, id, state, language from blob where oid in ({','.join('?' * len(part))})", part)
            there.update((row[0].hex(), row[1:]) for row in rows)
        return there

    def _blocks(self, literal: str) -> Iterator[bytes]:
        """The blocks of the vocabulary that may hold the literal."""
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
        if groups:
            rows = [
                row[0]
                for row in self._database.execute(
                    "select rowid from part where part match ?",
                    (" AND ".join("(" + " OR ".join(f'"{part}"' for part in group) + ")" for group in groups),),
                )
            ]
        else:
            rows = [row[0] for row in self._database.execute("select id from vocabulary")]
        for one in rows:
            yield zlib.decompress(self._database.execute("select words from vocabulary where id = ?", (one,)).fetchone()[0])

    def _parts(self, piece: str, *, first: bool, last: bool) -> list[str] | None:
        """The parts of words (what stands between underscores) that a piece of a literal may be a part of; None where there are too many.

        The first piece of a literal ends a part, the last one begins one, and the only one may stand anywhere in it.
        """
        found: dict[bytes, None] = {}
        wanted = piece.encode("ascii")
        for (block,) in self._database.execute("select parts from part_list"):
            for part in _around(block, wanted):
                if not (first or part.startswith(wanted)) or not (last or part.endswith(wanted)):
                    continue
                found[part] = None
                if len(found) > _MOST_PARTS:
                    return None
        return [part.decode("ascii") for part in found]


def open_index(repo: Repository) -> Index:
    """The repository's index. Raises NoIndex where there is none, or none that can be trusted."""
    where = files(repo)
    sealed = where.sealed()
    try:
        look = where.look()
    except OSError:
        raise NoIndex("there is no index; `patch-triage index` makes one") from None
    if isinstance(sealed.get("format"), int) and sealed["format"] > FORMAT:
        raise NoIndex("the index was made by a newer patch-triage; `patch-triage index` makes it anew")
    if sealed != look:
        raise NoIndex("the index is being written, or its last writer did not end; `patch-triage index` goes on")
    try:
        return Index(repo, connect(where.database, writing=False))
    except sqlite3.Error as wrong:
        raise NoIndex(f"the index cannot be read ({wrong}); `patch-triage index` makes it anew") from None


def connect(path: pathlib.Path, *, writing: bool) -> sqlite3.Connection:
    """A connection to the database. Raises sqlite3.Error."""
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if writing else 'ro'}"
    database = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT_SECONDS, check_same_thread=False)
    database.execute("pragma cell_size_check = on")
    return database


def differences(repo: Repository, tree: str, revision: str) -> dict[str, str]:
    """The paths of regular files that differ between an indexed tree and a revision (empty: the staged index), with their blob there.

    Where there is no regular file in the revision the blob is empty. Raises GitError.
    """
    if revision:
        out = repo.run("diff-tree", "-r", "--raw", "-z", "--no-renames", "--no-abbrev", tree, revision, "--")
    else:
        out = repo.run("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", tree, "--", index=repo.index_path)
    found: dict[str, str] = {}
    fields = out.split(b"\0")
    for at in range(0, len(fields) - 1, 2):
        _, mode, _, oid, _ = fields[at].split(b" ")
        found[os.fsdecode(fields[at + 1])] = oid.decode() if mode.startswith(b"100") else ""
    return found


def parts_of(block: bytes) -> bytes:
    """The distinct parts of a block of words, with a space between."""
    return b" ".join(set(block.replace(b"_", b"\n").split()))


def _around(block: bytes, wanted: bytes) -> Iterator[bytes]:
    """The lines of a block that contain `wanted`."""
    at = block.find(wanted)
    while at >= 0:
        begin = block.rfind(b"\n", 0, at) + 1
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end
        yield block[begin:end]
        at = block.find(wanted, end)


def _chunks(values: Sequence[typing.Any]) -> Iterator[Sequence[typing.Any]]:
    for start in range(0, len(values), _MOST_IDS):
        yield values[start : start + _MOST_IDS]
