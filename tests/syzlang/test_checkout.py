"""A checkout of syzkaller, and what is kept of it."""

from __future__ import annotations

import os
import pathlib

import pytest

from hook.syzlang import checkout, constants


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("5", True),
        ("???", False),
        ("5, amd64:???", False),
        ("386:amd64:???, arm64:7", False),
        ("386:amd64:5, arm64:???", True),
        ("arm64:7", False),
    ],
)
def test_constants(given: str, there: bool) -> None:
    text = f"# made\narches = 386, amd64, arm64\nFOO = {given}\n"
    assert dict(constants.values(text, "amd64")) == {"FOO": there}
    assert dict(constants.values(text, "riscv64")) == {"FOO": False}  # the file says nothing of it


@pytest.fixture
def place(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "syzkaller/sys/linux"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("resource fd[int32]: -1\nopen(a const[FOO]) fd\nfrob(a fd)\nsyz_make(a fd)\nbroken(a const[ODD])\n")
    (folder / "a.txt.const").write_text(
        "arches = amd64, arm64\nFOO = 1\nODD = arm64:3\n__NR_open = 2\n__NR_broken = 3\n__NR_frob = arm64:9\n"
    )
    return tmp_path


def read(place: pathlib.Path, arch: str = "x86_64") -> checkout.Descriptions:
    return checkout.read(str(place / "syzkaller"), arch, place / "kept")


def kept(place: pathlib.Path) -> list[pathlib.Path]:
    return sorted((place / "kept").glob("descriptions-*.json"))


def test_only_what_the_architecture_has_is_there(place: pathlib.Path) -> None:
    assert read(place).calls.keys() == {"open", "syz_make"}
    assert read(place, "arm64").calls.keys() == {"open", "frob", "syz_make", "broken"}


def test_what_was_understood_is_taken_again_until_a_file_changes(place: pathlib.Path) -> None:
    first = read(place)
    (file,) = kept(place)
    file.write_text(file.read_text().replace('"open"', '"openat"'))
    assert read(place).calls.keys() == {"openat", "syz_make"}  # from what is kept
    (place / "syzkaller/sys/linux/b.txt").write_text("syz_more()\n")
    assert read(place).calls.keys() == {*first.calls, "syz_more"}
    assert len(kept(place)) == 1 and kept(place) != [file]
    # other content of the same size and time
    changed = place / "syzkaller/sys/linux/b.txt"
    (place / "other").write_text("syz_less()\n".ljust(changed.stat().st_size))
    os.utime(place / "other", ns=(changed.stat().st_mtime_ns,) * 2)
    os.replace(place / "other", changed)
    assert read(place).calls.keys() == {*first.calls, "syz_less"}


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"Words": 1, "Calls": {"open": []}, "Resources": {}}', "\0" * 100, "[" * 100_000])
def test_what_is_damaged_is_understood_anew(place: pathlib.Path, content: str) -> None:
    first = read(place)
    kept(place)[0].write_text(content)
    assert read(place) == first


def test_a_checkout_may_have_any_path(place: pathlib.Path) -> None:
    os.rename(place / "syzkaller", place / os.fsdecode(b"syz\xff"))
    assert checkout.read(str(place / os.fsdecode(b"syz\xff")), "x86_64").calls.keys() == {"open", "syz_make"}


def test_where_nothing_can_be_kept_it_is_read_all_the_same(place: pathlib.Path) -> None:
    (place / "kept").write_text("in the way")
    assert read(place).calls.keys() == {"open", "syz_make"}
