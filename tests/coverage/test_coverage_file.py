"""A coverage file is read once, until it changes."""

from __future__ import annotations

import gzip
import os
import pathlib

import pytest

from hook.config import FuzzSettings, Given, resolve
from hook.coverage import coverage_file, coverage_formats
from hook.coverage.observations import Coverage
from tests.coverage.test_coverage_formats import JSONL, LLVM


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "kept").mkdir()
    (tmp_path / "cover.jsonl").write_text(JSONL)
    return tmp_path


def read(place: pathlib.Path) -> Coverage:
    return coverage_file.read(fuzz(place), place / "kept")


def fuzz(place: pathlib.Path, name: str = "cover.jsonl") -> FuzzSettings:
    given = {"fuzz.coverage": place / name, "fuzz.coverage_vmlinux": place / "vmlinux"}
    return resolve([[Given(key, str(path), "test") for key, path in given.items()]]).fuzz


def test_it_is_understood_once(place: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert coverage_file.kept(fuzz(place), place / "kept") is None
    first = read(place)
    assert [seen.reached for seen in first.of_function("reached")] == [7]
    monkeypatch.setattr(coverage_formats, "read", None)
    assert read(place) == coverage_file.kept(fuzz(place), place / "kept") == first


@pytest.mark.parametrize("text", [JSONL.replace(":7,", ":9,"), JSONL * 2, "", LLVM, JSONL[:-9]])
def test_another_one_is_read_anew_and_takes_its_place(place: pathlib.Path, text: str) -> None:
    before, kept = read(place), list((place / "kept").iterdir())
    (place / "cover.jsonl").write_text(text)
    os.utime(place / "cover.jsonl", (1, 1))
    assert read(place) != before or text == JSONL * 2
    assert len(kept) == 1 and len(list((place / "kept").iterdir())) == 1 and list((place / "kept").iterdir()) != kept


@pytest.mark.parametrize("kept", [b"", b"\n", b"{}", b"{}\n", b'{"name":3}\n', b"\xff\n" * 9])
def test_what_was_kept_and_is_not_as_it_was_written_is_made_anew(place: pathlib.Path, kept: bytes) -> None:
    first = read(place)
    (file,) = (place / "kept").iterdir()
    file.write_bytes(kept)
    assert read(place) == first


def test_a_packed_one_is_read_too_unless_it_is_cut_off(place: pathlib.Path) -> None:
    rows, packed = read(place).rows, gzip.compress(JSONL.encode())
    (place / "cover.jsonl").write_bytes(packed)
    assert read(place).rows == rows
    for damaged in (packed[:-9], packed[:40], packed[:30] + b"\0" * 20 + packed[50:]):
        (place / "cover.jsonl").write_bytes(damaged)
        assert read(place).rows == b"\n" and read(place).why_not.startswith("it cannot be unpacked")


def test_what_is_no_plain_file_is_not_read(place: pathlib.Path) -> None:
    os.mkfifo(place / "pipe")
    for name, why in (("pipe", "no plain file"), ("kept", "no plain file"), ("nothing", "No such file")):
        found = coverage_file.read(fuzz(place, name), place / "kept")
        assert why in found.why_not and found.rows == b"\n"
    assert list((place / "kept").iterdir()) == []  # another time they may be there
