"""The vocabulary of the index: its words in blocks, and the parts between their underscores, by which a literal finds the blocks.

The words of the database are read in ranges, by several processes. Blocks end with a range, so that their number does not depend on
how many processes there are.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import pathlib
import sqlite3
import zlib
from collections.abc import Iterable, Iterator

import msgspec

from hook.source import index
from hook.source.indexing import worker_processes

_WORDS_A_BLOCK = 5000
_LEVEL = 5  # of compression: 6 takes a third longer for 0.2% less
_FIRST = "0123456789_abcdefghijklmnopqrstuvwxyz"  # with which a word begins, in their order


class WordBlock(msgspec.Struct, frozen=True):
    """Some words."""

    words: bytes  # with a line break between, compressed
    parts: str  # distinct, with a space between


class Growth(msgspec.Struct, frozen=True):
    """What is to be written."""

    last_blob: int  # whose words are in the vocabulary then
    replaces: bool  # whether the blocks take the place of all that are there
    blocks: list[WordBlock]


def write(database: sqlite3.Connection, growth: Growth | None) -> None:
    """Write the blocks, in the transaction of the caller."""
    if growth is None:
        return
    if growth.replaces:
        database.execute("delete from vocabulary")
        database.execute("delete from part_list")
        database.execute("insert into part(part) values('delete-all')")
    parts: set[str] = set()
    last = database.execute("select coalesce(max(id), 0) from vocabulary").fetchone()[0]
    for number, block in enumerate(growth.blocks, last + 1):
        database.execute("insert into vocabulary(id, words) values(?, ?)", (number, block.words))
        database.execute("insert into part(rowid, t) values(?, ?)", (number, block.parts))
        parts.update(block.parts.split())
    database.execute("insert into part_list(parts) values(?)", (zlib.compress("\n".join(sorted(parts)).encode("ascii"), 6),))
    database.execute("update meta set value = ? where key = 'vocabulary'", (growth.last_blob,))


def blocks(words: Iterable[str]) -> Iterator[WordBlock]:
    """The blocks of words that are in order."""
    remaining = iter(words)
    while block := list(itertools.islice(remaining, _WORDS_A_BLOCK)):
        text = "\n".join(block).encode("ascii")
        yield WordBlock(zlib.compress(text, _LEVEL), index.parts_of(text).decode("ascii"))


def blocks_of_database(path: pathlib.Path, jobs: int) -> list[WordBlock]:
    """The blocks of all words of the database as it was committed last, read by `jobs` processes. Raises sqlite3.Error, CannotJudge.

    The caller has no transaction: a process that is forked in one would take the lock of it for its own, and read while we write.
    """
    ranges = list(zip(("", *_FIRST[1:]), (*_FIRST[1:], ""), strict=True))
    read = functools.partial(_blocks_between, path)
    results = map(read, ranges) if jobs < 2 else (result for _, result in worker_processes.in_order(read, ranges, jobs))
    return list(itertools.chain.from_iterable(results))


def _blocks_between(path: pathlib.Path, ends: tuple[str, str]) -> list[WordBlock]:
    """The blocks of the words from the first of `ends` up to the second; no end if that is empty."""
    with contextlib.closing(index.connect(path, writing=False)) as database:
        database.execute("create virtual table temp.every using fts5vocab(main, word, row)")
        conditions = [f"term {sign} ?" for sign, end in zip((">=", "<"), ends, strict=True) if end]
        rows = database.execute(f"select term from temp.every where {' and '.join(conditions)}", [end for end in ends if end])
        return list(blocks(row[0] for row in rows))
