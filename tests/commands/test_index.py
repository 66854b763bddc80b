"""The word index comes by itself, and goes with the rest."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import subprocess
import time

import pytest

from hook.source import filelock, git
from hook.source.indexing import FORMAT
from hook.source.indexing.background import is_missing
from tests.agent import background
from tests.small_kernel import PROGRAM, Kernel
from tests.test_reuse import large


def lock(kernel: Kernel) -> pathlib.Path:
    directory = background.state(kernel) / "index"
    directory.mkdir(parents=True, exist_ok=True)
    return directory / "lock"


def wait_for_index(kernel: Kernel) -> None:
    """Wait until whoever makes the index has ended."""
    while not (background.state(kernel) / "index/seal").exists():
        time.sleep(0.02)
    os.close(filelock.take(lock(kernel), 100))


def test_install_makes_the_index_of_a_large_tree_and_says_what_it_costs(kernel: Kernel) -> None:
    said = large(kernel).install()
    assert "building the word index in" in said and "MB" in said and "files are indexed" in said
    assert "word index:" in kernel.triage("status") and "of HEAD\n" in kernel.triage("status")
    assert "word index" not in kernel.install()
    place = background.state(kernel) / "index"
    (place / "ubiquitous").unlink()
    assert "of HEAD; the ubiquitous functions are not known" in kernel.triage("status")
    os.utime(place / "words.db")
    assert "not used: the index is not as this program left it (a copy, " in kernel.triage("status")


def test_install_makes_no_index_where_it_is_told_not_to_or_the_tree_is_small(kernel: Kernel) -> None:
    assert "word index" not in kernel.install() and "none, the tree is small" in kernel.triage("status")
    assert "word index" not in large(kernel).install("--no-index")
    assert "not used: there is no index" in kernel.triage("status")


def test_a_revision_that_is_not_there_is_named(kernel: Kernel) -> None:
    assert kernel.triage_both("index", "--rev", "nosuch", ok=3)[1] == "patch-triage: nosuch names no commit in this repository\n"


def test_a_commit_has_the_index_made_where_it_is_missing(hooked: Kernel) -> None:
    large(hooked)
    hooked.commit("mm/pool.c", hooked.read("mm/pool.c") + "\nint added;\n")
    wait_for_index(hooked)
    assert "of HEAD" in hooked.triage("status")


@pytest.mark.parametrize(("version", "missing"), [(-1, True), (0, False), (1, False)])
def test_an_index_of_an_earlier_format_is_as_good_as_none(kernel: Kernel, version: int, missing: bool) -> None:
    repo = git.find(large(kernel).path)
    repo.index_directory.mkdir(parents=True)
    (repo.index_directory / "seal").write_text(json.dumps({"format": FORMAT + version, "bytes": 1, "mtime_ns": 1}))
    assert is_missing(repo) is missing


def test_who_asks_for_the_index_beside_a_running_build_waits_for_it(kernel: Kernel) -> None:
    held = filelock.take(lock(kernel))
    (lock(kernel).parent / "progress").write_text('{"process":7,"tree":"","done":20,"total":80}')
    assert "process 7 builds it, 20 of 80 files" in kernel.triage("status")
    assert kernel.triage("index", "--background") == ""
    master, slave = pty.openpty()
    env = kernel.env | {"TERM": "xterm"}
    with subprocess.Popen([str(PROGRAM), "index"], cwd=kernel.path, env=env, stdout=subprocess.PIPE, stderr=slave) as waiting:
        shown = b""
        while b"20/80" not in shown:  # the other's progress
            shown += os.read(master, 1 << 16)
        os.close(held)
        assert waiting.stdout is not None and b"files are indexed" in waiting.stdout.read()
    assert waiting.returncode == 0 and not (lock(kernel).parent / "progress").exists()


def test_clones_share_one_index_and_what_it_does_not_know_is_said(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    shared = {"PATCH_TRIAGE_INDEX_DIRECTORY": str(tmp_path / "shared")}
    one = Kernel(kernel.path, kernel.env | shared)
    kernel.git("clone", "-q", str(kernel.path), str(tmp_path / "other"))
    other = one.beside(tmp_path / "other")
    one.triage("index")
    assert (tmp_path / "shared/words.db").exists() and not (background.state(one) / "index").exists()
    assert other.triage_both("look", "definitions", "pool_put", "-v")[1] == ""
    kernel.git("init", "-q", str(tmp_path / "stranger"))
    stranger = one.beside(tmp_path / "stranger")
    stranger.commit("a.c", "int alone;\n")
    assert "the index is of another tree" in stranger.triage_both("look", "definitions", "alone", "-v")[1]
    assert "1 of them read in" in stranger.triage("index")
    assert stranger.triage_both("look", "definitions", "alone", "-v")[1] == ""
    assert one.triage_both("look", "definitions", "pool_put", "-v")[1] == ""


def test_uninstall_names_what_stays_and_purge_removes_it(hooked: Kernel) -> None:
    hooked.commit("mm/pool.c", hooked.read("mm/pool.c") + "\nint added;\n")
    state = background.state(hooked)
    said = hooked.triage("uninstall")
    assert f"our data stays in {state}, refs/notes/patch-triage" in said and state.exists() and hooked.note()
    held = filelock.take(state / "worker")
    assert "a patch-triage process is running" in hooked.triage_both("uninstall", "--purge", ok=2)[1] and hooked.note()
    os.close(held)
    assert f"removed: {state}" in hooked.triage("uninstall", "--purge")
    assert not state.exists() and not hooked.note() and "stays" not in hooked.triage("uninstall")


def test_settings_that_are_wrong_keep_nobody_from_taking_us_out(hooked: Kernel) -> None:
    assert "post-commit: removed" in hooked.triage("uninstall", PATCH_TRIAGE_LIMITS_GIT_SECONDS="wrong")
