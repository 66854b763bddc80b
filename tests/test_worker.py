"""The worker without a model: it finishes the search that a commit has cut short. What it asks a model is in tests/agent/test_worker.py."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from hook.source import filelock
from hook.source.indexing import FORMAT
from tests.agent import background
from tests.agent.background import kill, questions, wait
from tests.small_kernel import Kernel
from tests.test_reuse import CALLED, HURRIED, large

GOES_ON = "; checking further in the background"


@pytest.fixture
def jo(hooked: Kernel) -> Iterator[Kernel]:
    """Somebody whose commits have a search of one step, and a worker that finishes it; no model is set up."""
    person = Kernel(hooked.path, hooked.env | HURRIED | {"PATCH_TRIAGE_REACH_BACKGROUND": "true"})
    person.stage("arch/x86/entry/syscalls/syscall_64.tbl", "0\tcommon\tpool_called\tsys_pool_called\n")
    person.stage("mm/Makefile", person.read("mm/Makefile") + "obj-y += called.o\n")
    person.stage("mm/called.c", CALLED)
    person.git("commit", "-qm", "mm: add a call", PATCH_TRIAGE="0")
    yield person
    while kill(person):
        pass


def change(kernel: Kernel, number: int, **env: str) -> str:
    """Commit a change that the short search leaves open; gives what the hooks say."""
    kernel.stage("mm/called.c", CALLED.replace("n + 1", f"n + {number}"))
    return kernel.git_both("commit", "-qm", f"mm: {number}", **env)[1]


def record(kernel: Kernel, revision: str = "HEAD") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(kernel.triage("show", "--format", "json", revision))
    return found


@contextlib.contextmanager
def held(path: pathlib.Path) -> Iterator[None]:
    """Hold a lock, as another process of ours would."""
    handle = filelock.take(path)
    yield
    os.close(handle)


def test_what_a_commit_leaves_open_is_finished_without_a_model(jo: Kernel) -> None:
    said = change(jo, 2)
    assert said.count("\n") == 1 and said.endswith(f"{GOES_ON}\n")
    wait(jo)
    found = record(jo)
    assert (found["State"], found["Reachable"], found["DecidedBy"], found.get("Lacks")) == ("final", "yes", "evidence", None)
    assert found == json.loads(jo.triage("check", "HEAD", "--format", "json")) and not questions(jo)
    assert "for a model" not in jo.triage("status") and "long search" not in jo.triage("status")


def test_what_is_settled_at_once_starts_no_worker(jo: Kernel) -> None:
    jo.stage("mm/pool.c", jo.read("mm/pool.c").replace("the cache. */", "cache. */"))
    assert GOES_ON not in jo.git_both("commit", "-qm", "mm: fix a comment")[1]
    assert not (background.state(jo) / "worker").exists() and record(jo)["State"] == "final"


@pytest.mark.parametrize(("search", "agent"), [("true", "false"), ("false", "true"), ("false", "false")])
def test_the_search_and_the_model_have_switches_of_their_own(jo: Kernel, search: str, agent: str) -> None:
    said = change(jo, 2, PATCH_TRIAGE_REACH_BACKGROUND=search, PATCH_TRIAGE_AGENT_BACKGROUND=agent)
    wait(jo)
    assert (GOES_ON in said, "Lacks" in record(jo), record(jo)["State"]) == (search == "true", search == "false", "final")


def test_a_rebase_is_finished_commit_by_commit(jo: Kernel) -> None:
    for number in range(2, 6):
        change(jo, number, PATCH_TRIAGE="0")
    jo.git("rebase", "-q", "--force-rebase", "HEAD~4")
    wait(jo)
    assert [record(jo, f"HEAD~{number}")["Reachable"] for number in range(4)] == ["yes"] * 4 and not questions(jo)


def test_a_worker_that_was_killed_is_replaced_by_the_next_call(jo: Kernel) -> None:
    state = background.state(jo)
    state.mkdir(exist_ok=True)
    (state / "worker").touch()
    change(jo, 2, PATCH_TRIAGE_LIMITS_GIT_SECONDS="wrong")  # no verdict, so nothing is queued
    assert not questions(jo)
    with held(state / "worker"):
        change(jo, 3)
        assert [question["Need"] for question in questions(jo).values()] == ["search"] and record(jo)["State"] == "pending"
        assert "1 commit waits for the long search" in jo.triage("status", PATCH_TRIAGE="0")
    jo.triage("status")
    wait(jo)
    assert record(jo)["Reachable"] == "yes" and not questions(jo)


def test_what_was_judged_without_an_index_is_looked_at_again_when_there_is_one(jo: Kernel) -> None:
    large(jo)
    (jo.path / ".git/patch-triage/index").mkdir(parents=True)
    with held(jo.path / ".git/patch-triage/index/lock"):  # as if somebody were making it
        assert GOES_ON in change(jo, 2)
        wait(jo)
        assert set(record(jo)["Lacks"]) >= {"index"} and record(jo)["State"] == "pending"
        assert "waits for the word index" in jo.triage("status")
    jo.triage("index", "--quiet")
    wait(jo)
    assert "Lacks" not in record(jo) and record(jo)["State"] == "final" and not questions(jo)


def test_a_large_tree_whose_options_nobody_has_read_keeps_no_commit_waiting(jo: Kernel) -> None:
    large(jo)
    with held(background.state(jo) / "worker"):
        assert GOES_ON in change(jo, 2, PATCH_TRIAGE_REACH_COMMIT_STEPS="200", PATCH_TRIAGE_INDEX_BACKGROUND="false")
        assert not (background.state(jo) / "kconfig").exists() and "search" in record(jo)["Lacks"]
    jo.triage("status")
    wait(jo)
    assert (background.state(jo) / "kconfig").exists() and record(jo)["Reachable"] == "yes"
    assert GOES_ON not in change(jo, 3, PATCH_TRIAGE_REACH_COMMIT_STEPS="200", PATCH_TRIAGE_INDEX_BACKGROUND="false")


def test_where_no_index_will_come_nothing_waits_for_one(jo: Kernel) -> None:
    large(jo)
    (jo.path / ".git/patch-triage/index").mkdir(parents=True)
    (jo.path / ".git/patch-triage/index/seal").write_text(f'{{"format": {FORMAT}, "bytes": 1}}')  # of an index that is of no use here
    assert GOES_ON in change(jo, 2)
    wait(jo)
    found = record(jo)
    assert (found["State"], "index" in found["Lacks"], "search" in found["Lacks"]) == ("final", True, False) and not questions(jo)
