"""Reuse: an answer that was cut short is used again only where nothing better could be had, and a better one takes its place everywhere."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import pytest

from hook.source import git
from hook.source.indexing import ubiquitous_names
from tests.small_kernel import Kernel

CALLED = (
    "#include <linux/pool.h>\n\nstatic int deep(int n)\n{\n\treturn n + 1;\n}\n\n"
    "static int middle(int n)\n{\n\treturn deep(n);\n}\n\nSYSCALL_DEFINE1(pool_called, int, n)\n{\n\treturn middle(n);\n}\n"
)
HURRIED = {"PATCH_TRIAGE_REACH_COMMIT_STEPS": "1"}
INDEX = "there is no complete word index"


@pytest.fixture
def jo(hooked: Kernel) -> Kernel:
    """Somebody whose commits have a search of one step; the change under HEAD needs more."""
    person = Kernel(hooked.path, hooked.env | HURRIED)
    person.stage("arch/x86/entry/syscalls/syscall_64.tbl", "0\tcommon\tpool_called\tsys_pool_called\n")
    person.stage("mm/Makefile", person.read("mm/Makefile") + "obj-y += called.o\n")
    person.commit("mm/called.c", CALLED, "mm: add a call", "--no-verify")
    return person


def change(kernel: Kernel, number: int = 2) -> str:
    return kernel.commit("mm/called.c", CALLED.replace("n + 1", f"n + {number}"), "mm: change it")


def checked(kernel: Kernel, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kernel.triage("check", "HEAD", "--format", "json", *options))
    return found


def recorded(kernel: Kernel) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kernel.triage("show", "--format", "json"))
    return found


def large(kernel: Kernel) -> Kernel:
    """Somebody with a tree of too many files to be searched whole, who makes the index himself."""
    kernel.stage_unwritten({f"Documentation/many/{number}.rst": "" for number in range(2000)})
    kernel.git("commit", "-qm", "many files", PATCH_TRIAGE="0")
    return Kernel(kernel.path, kernel.env | {"PATCH_TRIAGE_INDEX_BACKGROUND": "false"})


@pytest.mark.parametrize("options", [(), ("-v",), ("--no-cache",), ("-v", "--no-cache")])
def test_every_check_has_the_same_answer_whatever_it_prints(jo: Kernel, options: tuple[str, ...]) -> None:
    change(jo)
    found = checked(jo, *options)
    assert (found["Reachable"], found["DecidedBy"]) == ("yes", "evidence") and "Lacks" not in found


def test_what_a_commit_has_cut_short_says_so_and_is_used_by_the_next_commit_alone(jo: Kernel) -> None:
    change(jo)
    first = recorded(jo)
    assert (first["Reachable"], first["DecidedBy"], first["Lacks"]) == ("unknown", "default", ["search"])
    assert "incomplete: only the short search" in jo.triage("show")
    assert list(pathlib.Path(jo.path, ".git/patch-triage/cache").rglob("*.cut-short.json"))
    jo.git("commit", "-q", "--amend", "-m", "mm: change it, and say why")
    assert recorded(jo)["Lacks"] == ["search"]
    assert "Lacks" not in checked(jo)


@pytest.mark.parametrize(
    "command",
    [
        ("check", "HEAD"),
        ("check", "--no-cache", "HEAD"),
        ("check", "HEAD~1..HEAD"),
        ("review", "HEAD~1..HEAD"),
        ("export", "sarif", "HEAD"),
    ],
)
def test_a_fuller_answer_replaces_the_note_whoever_found_it(jo: Kernel, command: tuple[str, ...]) -> None:
    change(jo)
    jo.triage(*command)
    assert (recorded(jo)["Reachable"], recorded(jo).get("Lacks")) == ("yes", None)
    assert recorded(jo) == json.loads(jo.triage("check", "HEAD", "--format", "json"))


def test_a_check_records_nothing_of_a_commit_without_a_record(jo: Kernel) -> None:
    jo.commit("mm/called.c", CALLED + "\n", "no hook runs", "--no-verify")
    jo.git("update-ref", "-d", "refs/notes/patch-triage")
    checked(jo)
    assert not jo.note()


def test_a_shorter_answer_never_replaces_a_fuller_one(jo: Kernel) -> None:
    change(jo)
    checked(jo)
    full = recorded(jo)
    jo.triage("hook", "post-commit", PATCH_TRIAGE_REACH_MAX_STEPS="1100")  # other settings: the cache does not know it
    assert recorded(jo) == full


def test_without_an_index_the_answer_says_so_until_there_is_one(kernel: Kernel) -> None:
    kernel = large(kernel)
    kernel.commit("mm/called.c", CALLED)
    assert checked(kernel)["Lacks"] == ["index"] and INDEX in kernel.triage("check", "HEAD")
    kernel.triage("check", "--record", "HEAD")
    assert recorded(kernel)["Lacks"] == ["index"] and INDEX in kernel.triage("show")
    kernel.triage("index", "--quiet")
    names = ubiquitous_names.file(git.find(kernel.path))
    found = names.read_bytes()
    for lacking in (b"", b"names of another program\n"):  # they are found after the index is made
        names.write_bytes(lacking)
        assert checked(kernel)["Lacks"] == ["index"]
    names.write_bytes(found)
    assert "Lacks" not in checked(kernel) and "Lacks" not in recorded(kernel)


def test_a_function_that_every_program_is_found_to_run_is_no_aim_any_more(kernel: Kernel) -> None:
    kernel.triage("index", "--quiet")
    change(kernel)
    names = ubiquitous_names.file(git.find(kernel.path))
    found, aimed = names.read_bytes(), checked(kernel)["FocusSymbols"]
    assert aimed == ["__x64_sys_pool_called"] and checked(kernel)["FocusSymbols"] == aimed
    names.write_bytes(found + b"mm/called.c deep\nmm/called.c sys_pool_called\n")
    assert checked(kernel)["FocusSymbols"] == []


def test_what_is_proved_harmless_lacks_nothing(kernel: Kernel) -> None:
    kernel = large(kernel)
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c").replace("the cache. */", "cache. */"))
    assert checked(kernel)["Functional"] == "no" and "Lacks" not in checked(kernel)


def test_a_file_that_a_partial_clone_lacks_is_looked_for_each_time(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    kernel.git("config", "uploadpack.allowFilter", "true")
    kernel.git("config", "uploadpack.allowAnySHA1InWant", "true")
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c").replace("the cache. */", "cache. */"))
    kernel.git("clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{kernel.path}", str(tmp_path / "partial"))
    partial = kernel.beside(tmp_path / "partial")
    partial.triage("check", "--record", "HEAD")
    assert recorded(partial)["Functional"] == "unknown" and "objects" in recorded(partial)["Lacks"]
    assert list(pathlib.Path(partial.path, ".git/patch-triage/cache").rglob("*.json"))
    assert checked(partial)["Lacks"] == recorded(partial)["Lacks"]
    for revision in ("HEAD~1", "HEAD@{1}"):  # which fetches all files
        partial.git("checkout", "-q", revision)
    assert checked(partial)["Functional"] == recorded(partial)["Functional"] == "no"
