"""Compiled patterns that are kept from one run to the next."""

from __future__ import annotations

import contextlib
import pathlib
import re
from collections.abc import Iterator

import pytest

from hook.record.kept_patterns import KeptPatterns, _hash
from hook.source.git import find
from tests.small_kernel import Kernel

# with groups, names, flags, sets of both widths, and what only newer engines know
PATTERNS = [
    *((rb"(?P<name>\w++)-(\d)?", re.IGNORECASE), (r"[\u0430-\u044f]+(?<!x)|(?i:ab)", 0), (r"(?P<a>.)(?P<b>.)(?P=a)", re.DOTALL), (b"", 0)),
    *((r"(\w+)-(\d)", re.ASCII | re.MULTILINE), (r"(\w+)-(\d)", 0), (b"(?>a|ab)c", 0)),
]
TEXTS = ["Name-7 b-", "\u0430\u0431xAB", "a\nab", "abc ac", "\u00e9-1"]


def kept(kernel: Kernel) -> KeptPatterns:
    return KeptPatterns(find(kernel.path))


def file(kernel: Kernel) -> pathlib.Path:
    return kernel.path / ".git/patch-triage/patterns"


@pytest.fixture
def written(kernel: Kernel) -> Kernel:
    file(kernel).parent.mkdir()
    first = kept(kernel)
    for pattern, flags in PATTERNS:
        first.compile(pattern, flags)
    first.write()
    return kernel


@contextlib.contextmanager
def nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr("hook.record.kept_patterns._compiled", lambda pattern, flags: pytest.fail(f"{pattern!r} is compiled"))
        patched.setattr(re, "compile", lambda pattern, flags: pytest.fail(f"{pattern!r} is compiled"))
        yield


def test_are_those_that_re_compiles(written: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    second = kept(written)
    for pattern, flags in PATTERNS:
        with nothing_is_compiled(monkeypatch):
            loaded = second.compile(pattern, flags)
        plain = re.compile(pattern, flags)
        assert loaded == plain and (loaded.flags, loaded.groups, loaded.groupindex) == (plain.flags, plain.groups, plain.groupindex)
        for text in TEXTS:
            subject = text.encode() if isinstance(pattern, bytes) else text
            assert [(found.span(), found.groupdict()) for found in loaded.finditer(subject)] == [
                (found.span(), found.groupdict()) for found in plain.finditer(subject)
            ]


def test_a_damaged_file_is_not_used(written: Kernel) -> None:
    data = file(written).read_bytes()
    for damaged in (data[:-1], data[:100] + bytes([data[100] ^ 1]) + data[101:], b"", data[32:]):
        file(written).write_bytes(damaged)
        assert kept(written).compile(rb"(?>a|ab)c", 0).findall(b"ac abc") == [b"ac"]
        assert kept(written)._kept == {}


def test_a_program_that_the_engine_does_not_take_is_compiled_from_its_text(written: Kernel) -> None:
    code = kept(written)._kept["0b'(?>a|ab)c'"].code
    data = file(written).read_bytes()[32:].replace(code, b"\xff" * len(code))
    file(written).write_bytes(_hash(data) + data)
    assert kept(written)._kept["0b'(?>a|ab)c'"].code == b"\xff" * len(code)
    assert kept(written).compile(rb"(?>a|ab)c", 0).findall(b"ac") == [b"ac"]


def test_nothing_is_written_where_nothing_of_ours_is_kept(kernel: Kernel) -> None:
    patterns = kept(kernel)
    patterns.compile("a", 0)
    patterns.write()
    assert not file(kernel).parent.exists()


def test_a_commit_leaves_the_patterns_that_it_used_to_the_next(starting: Kernel) -> None:
    starting.commit("mm/pool.c", starting.read("mm/pool.c").replace("pool_check(pool);", "pool->count++;"))
    assert len(kept(starting)._kept) > 50
