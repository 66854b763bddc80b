"""The writer of the word index.

One writer at a time, by a lock in the directory of the index. Of a new revision, only what differs from an indexed one is added: a blob is
read once, whatever trees it is in. Every step is committed, so that the next run goes on where one was stopped or killed.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence

import msgspec

from hook.config import Settings
from hook.source import index, own_files, words
from hook.source.git import GitError, Repository
from hook.source.indexing import FORMAT, build_progress, commit_history, vocabulary
from hook.source.indexing.blob_reader import BlobPlace, BlobWords, read_words

_COMMIT_BLOBS = 8000
_HASH_BYTES = 1 << 20  # that FTS5 keeps in memory before it writes a segment: they fit into the cache of a processor
_MOST_SEGMENTS = 64  # of one level, before they are merged
_MOST_APPENDED = 4000  # new blobs whose words are appended to the vocabulary; for more, it is made again
_MOST_CHANGED = 5000  # files: a tree that differs by more gets a listing of its own
_MOST_ANCHORS = 4
_WRITING = b"writing\n"


class Busy(Exception):
    """Another process is making the index."""


class Made(msgspec.Struct, frozen=True):
    """The result of a run."""

    tree: str
    files: int  # of the tree
    read: int  # blobs that were not in the index before
    unread: int  # of these: too large, or not in a partial clone
    size_bytes: int


def make(
    repo: Repository,
    revision: str,
    settings: Settings,
    *,
    jobs: int = 0,
    fetched: bool = False,
    history: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Made:
    """Put a revision into the index. `progress` gets the number of blobs done and their total; `fetched` says that missing blobs have
    been fetched since the last run. Of the commits that `git rev-list` lists for each part of `history`, the blobs are read too, as far as
    the size of the index allows.

    Raises Busy, GitError, OSError (no space left), KeyboardInterrupt; finished steps are kept.
    """
    tree = repo.run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}").decode().strip()
    past = commit_history.read(repo, history)
    index_files = index.files(repo)
    with _held(index_files) as handle, build_progress.reported(index_files, tree, progress) as progress:
        database = _open(index_files, handle)
        try:
            writer = _Writer(repo, database, settings, jobs or os.cpu_count() or 1, progress)
            if fetched:
                writer.forget_unread()
            result = writer.add(tree)
            if result.size_bytes > settings.index.max_bytes and writer.sweep(tree):
                database.close()
                index_files.database.unlink()
                database = _open(index_files, handle)
                writer = _Writer(repo, database, settings, jobs or os.cpu_count() or 1, progress)
                result = writer.add(tree)
            if past.commits:
                result = writer.add_history(tree, past)
        except sqlite3.Error as wrong:
            raise OSError(f"the index cannot be written ({wrong})") from None
        finally:
            with contextlib.suppress(sqlite3.Error):
                database.close()
            _seal(index_files, handle)
    return result


@contextlib.contextmanager
def _held(index_files: index.Files) -> Iterator[int]:
    handle = own_files.open_lock(index_files.lock, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy("another patch-triage is building the index") from None
        yield handle
    finally:
        os.close(handle)


def is_made_now(repo: Repository) -> bool:
    """Whether a process is making the index now, or the lock cannot be taken."""
    if not index.files(repo).lock.exists():
        return False
    try:
        with _held(index.files(repo)):
            return False
    except (Busy, OSError):
        return True


def _open(index_files: index.Files, handle: int) -> sqlite3.Connection:
    """The database; a new one if it is not as our last writer left it."""
    ours = os.pread(handle, 16, 0) == _WRITING  # the last writer was killed: SQLite recovers from its journal
    try:
        trusted = ours or index_files.sealed() == index_files.fingerprint()
    except OSError:
        trusted = False
    if not trusted:
        _remove(index_files)
    own_files.remove(index_files.seal)
    os.pwrite(handle, _WRITING, 0)
    os.fsync(handle)
    try:
        return _prepared(index_files)
    except sqlite3.DatabaseError as wrong:
        if "disk" in str(wrong) or "full" in str(wrong):
            raise OSError(f"the index cannot be written ({wrong})") from None
        _remove(index_files)
        return _prepared(index_files)


def _remove(index_files: index.Files) -> None:
    """Remove the database, and the files of SQLite beside it."""
    for end in ("", "-journal", "-wal", "-shm"):
        own_files.remove(index_files.database.with_name(index_files.database.name + end))


def _prepared(index_files: index.Files) -> sqlite3.Connection:
    database = index.connect(index_files.database, writing=True)
    try:
        database.execute("pragma synchronous = normal")
        database.execute("pragma cache_size = -32768")
        database.execute("pragma secure_delete = off")  # Debian's SQLite overwrites what it deletes
        has_tables = database.execute("select name from sqlite_master where name = 'meta'").fetchone()
        if has_tables and database.execute("select value from meta where key = 'format'").fetchone() != (FORMAT,):
            database.close()
            index_files.database.unlink()
            return _prepared(index_files)
        if not has_tables:
            database.execute("begin")
            for statement in index.TABLES.split(";"):
                database.execute(statement)
            database.execute("insert into meta values ('format', ?)", (FORMAT,))
            database.execute("insert into meta values ('vocabulary', 0)")  # the last blob whose words are in it
            database.execute("commit")
        return database
    except sqlite3.Error:
        database.close()
        raise


def _seal(index_files: index.Files, handle: int) -> None:
    """Write the seal of the finished database."""
    try:
        current = index_files.fingerprint()
    except OSError:
        return
    temporary = index_files.seal.with_suffix(".new")
    temporary.write_text(json.dumps(current), "utf-8")
    os.replace(temporary, index_files.seal)
    os.ftruncate(handle, 0)


class _Writer:
    def __init__(
        self, repo: Repository, database: sqlite3.Connection, settings: Settings, jobs: int, progress: Callable[[int, int], None]
    ) -> None:
        self._repo, self._database, self._settings, self._jobs, self._progress = repo, database, settings, jobs, progress
        self._unread = 0
        self._new_words: set[str] | None = set()
        self._last = 0  # the id of the blob that was put in last

    def add(self, tree: str) -> Made:
        """Put a tree into the index."""
        base = self._nearest(tree)
        if base is not None and not base[1]:
            self._database.execute("update anchor set used = ? where id = ?", (time.time(), base[0]))
            return self._made(tree, 0)
        if base is not None and len(base[1]) <= _MOST_CHANGED:
            places = [BlobPlace(path, oid) for path, oid in base[1].items() if oid]
        else:
            base, places = None, self._listing(tree)
        new = self._unknown(places)
        self._read(new)
        self._finish(tree, base, places, len(new))
        return self._made(tree, len(new))

    def add_history(self, tree: str, past: commit_history.CommitHistory) -> Made:
        """Read the blobs of some commits, and list the tree of the last ones where none that is listed is near."""
        for last in past.last_trees:
            nearest = self._nearest(last)
            if nearest is None or len(nearest[1]) > _MOST_CHANGED:
                self.add(last)
        read = self._read(self._unknown(past.places(self._repo)), bounded=True)
        growth = self._new_vocabulary(read)
        self._database.execute("begin")
        vocabulary.write(self._database, growth)
        self._database.execute("insert or replace into meta values ('history', ?)", (past.text,))
        self._database.execute("commit")
        return self._made(tree, read)

    def forget_unread(self) -> None:
        """Forget the blobs that could not be read, so that they are read again."""
        self._database.execute("begin")
        self._database.execute("delete from place")
        self._database.execute("delete from anchor")
        self._database.execute("delete from blob where state = ?", (index.WHOLE,))
        # others get their ids: by these it could not be seen that there are words which the vocabulary lacks
        self._database.execute("update meta set value = 0 where key = 'vocabulary'")
        self._database.execute("commit")

    def sweep(self, tree: str) -> bool:
        """Forget all trees but one. Returns whether too many blobs of the others are left, so that the index should be made again."""
        database = self._database
        database.execute("begin")
        database.execute("delete from place where anchor not in (select id from anchor where tree = ?)", (tree,))
        database.execute("delete from anchor where tree != ?", (tree,))
        database.execute("commit")
        blobs = database.execute("select count(*) from blob").fetchone()[0]
        dead = database.execute("select count(*) from blob where id not in (select blob from place)").fetchone()[0]
        return bool(dead * 10 > blobs)

    def _made(self, tree: str, read: int) -> Made:
        count = self._database.execute(
            "select count(*) from place where anchor = (select id from anchor where tree = ?)", (tree,)
        ).fetchone()[0]
        return Made(tree, count, read, self._unread, self._size())

    def _size(self) -> int:
        pages, page_bytes = (self._database.execute(f"pragma {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return int(pages * page_bytes)

    def _nearest(self, tree: str) -> tuple[int, dict[str, str]] | None:
        """The indexed tree that differs least, with the difference."""
        best: tuple[int, dict[str, str]] | None = None
        for anchor, indexed_tree in self._database.execute("select id, tree from anchor order by used desc").fetchall():
            try:
                changed = index.differences(self._repo, indexed_tree, tree) if indexed_tree != tree else {}
            except GitError:  # the tree is in another clone that shares the index, or was pruned; newer trees will replace it
                continue
            if best is None or len(changed) < len(best[1]):
                best = anchor, changed
        return best

    def _forget(self, anchor: int) -> None:
        self._database.execute("delete from place where anchor = ?", (anchor,))
        self._database.execute("delete from anchor where id = ?", (anchor,))

    def _listing(self, tree: str) -> list[BlobPlace]:
        places = []
        try:
            out = self._repo.run("ls-tree", "-r", "-z", "--long", tree)
        except GitError:  # a partial clone does not know the size of a missing blob
            out = self._repo.run("ls-tree", "-r", "-z", tree)
        for record in out.split(b"\0"):
            head, _, path = record.partition(b"\t")
            if head.startswith(b"100"):
                fields = head.split()
                places.append(BlobPlace(os.fsdecode(path), fields[2].decode(), int(fields[3]) if len(fields) > 3 else 0))
        return places

    def _unknown(self, places: Sequence[BlobPlace]) -> list[BlobPlace]:
        """One place for each blob that is not in the index."""
        new = {bytes.fromhex(place.oid): place for place in reversed(places)}
        indexed: set[bytes] = set()
        if len(new) > 20_000:
            indexed = {row[0] for row in self._database.execute("select oid from blob")}
        else:
            for chunk in index.chunks(list(new)):
                rows = self._database.execute(f"select oid from blob where oid in ({','.join('?' * len(chunk))})", chunk)
                indexed.update(row[0] for row in rows)
        return [place for oid, place in new.items() if oid not in indexed]

    def _read(self, new: Sequence[BlobPlace], *, bounded: bool = False) -> int:
        """Put blobs into the index, those that are `bounded` only up to its size limit; gives their number."""
        database, total, done = self._database, len(new), 0
        self._last = self._newest()
        self._new_words = None if total > _MOST_APPENDED else set()  # None: they come from the database later
        database.execute("insert into word(word, rank) values('hashsize', ?)", (_HASH_BYTES,))
        database.execute("insert into word(word, rank) values('crisismerge', ?)", (_MOST_SEGMENTS,))
        database.execute("insert into word(word, rank) values('automerge', ?)", (0 if total > _MOST_APPENDED else 4,))
        database.execute("begin")
        try:
            for places, answers in read_words(self._repo, new, self._settings.index.blob_bytes, self._jobs):
                if bounded and self._size() > self._settings.index.max_bytes:
                    break  # what is left out is looked into every time
                self._insert(places, answers)
                done += len(places)
                self._progress(done, total)
                if done % _COMMIT_BLOBS < len(places):
                    database.execute("commit")
                    database.execute("begin")
        except BaseException:
            # not a commit: Ctrl-C may come between a blob's row and its words
            if database.in_transaction:
                database.execute("rollback")
            raise
        database.execute("commit")
        return done

    def _insert(self, places: Sequence[BlobPlace], answers: Sequence[BlobWords]) -> None:
        database = self._database
        for place, blob in zip(places, answers, strict=True):
            self._last += 1
            row = self._last
            database.execute(
                "insert into blob(oid, id, state, language) values(?, ?, ?, ?)",
                (bytes.fromhex(place.oid), row, blob.state, words.language(place.path)),
            )
            self._unread += blob.state == index.WHOLE
            if blob.words:
                database.execute("insert into word(rowid, t) values(?, ?)", (2 * row + index.HELD, blob.words))
                if self._new_words is not None:
                    self._new_words.update(blob.words.split())
            if blob.names:
                database.execute("insert into word(rowid, t) values(?, ?)", (2 * row + index.DEFINED, blob.names))

    def _finish(self, tree: str, base: tuple[int, dict[str, str]] | None, places: Sequence[BlobPlace], read: int) -> None:
        """Write the listing of the tree and the vocabulary in one transaction: then the tree is indexed."""
        database = self._database
        if read > _MOST_APPENDED:
            database.execute("insert into word(word) values('optimize')")
        growth = self._new_vocabulary(read)
        database.execute("begin")
        if base is None:
            anchors = database.execute("select id from anchor order by used desc").fetchall()
            for (old,) in anchors[_MOST_ANCHORS - 1 :]:
                self._forget(old)
            anchor = database.execute("insert into anchor(tree, used) values(?, ?)", (tree, time.time())).lastrowid
        else:
            anchor = base[0]
            database.execute("update anchor set tree = ?, used = ? where id = ?", (tree, time.time(), anchor))
            for chunk in index.chunks([os.fsencode(path) for path in base[1]]):
                database.execute(f"delete from place where anchor = ? and path in ({','.join('?' * len(chunk))})", (anchor, *chunk))
        database.executemany(
            "insert into place(anchor, path, blob) values(?, ?, (select id from blob where oid = ?))",
            ((anchor, os.fsencode(place.path), bytes.fromhex(place.oid)) for place in places),
        )
        self._settle_languages(places)
        vocabulary.write(database, growth)
        database.execute("commit")
        if read > _MOST_APPENDED:
            with contextlib.suppress(sqlite3.OperationalError):
                database.execute("vacuum")

    def _settle_languages(self, places: Sequence[BlobPlace]) -> None:
        """Mark a blob with a second name of another language: it is then in every answer about a definition of one of its words."""
        for place in places:
            language = words.language(place.path)
            if language:
                self._database.execute(
                    "update blob set state = ? where oid = ? and state = ? and language != ?",
                    (index.UNDEFINED, bytes.fromhex(place.oid), index.TEXT, language),
                )

    def _newest(self) -> int:
        """The greatest id of a blob."""
        return int(self._database.execute("select coalesce(max(id), 0) from blob").fetchone()[0])

    def _new_vocabulary(self, read: int) -> vocabulary.Growth | None:
        """What the vocabulary needs after so many blobs were read; None if it has all words. To be called outside a transaction."""
        covered = self._database.execute("select value from meta where key = 'vocabulary'").fetchone()[0]
        newest = self._newest()
        if newest == covered:
            return None
        if self._new_words is not None and covered and newest - covered == read:
            return vocabulary.Growth(newest, False, list(vocabulary.blocks(sorted(self._new_words))))
        jobs = self._jobs if read > _MOST_APPENDED else 1
        return vocabulary.Growth(newest, True, vocabulary.blocks_of_database(index.files(self._repo).database, jobs))
