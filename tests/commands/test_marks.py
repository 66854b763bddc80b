"""`patch-triage marks`: where people found verdicts right and wrong."""

from __future__ import annotations

import json

from tests.small_kernel import Kernel

POOL = "mm/pool.c"


def test_marks_are_counted_by_who_decided_and_by_change_class(hooked: Kernel) -> None:
    assert hooked.triage("marks").startswith("no verdict is marked")
    hooked.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    hooked.triage("mark", "HEAD", "right")
    hooked.commit(POOL, hooked.read(POOL) + "\nint extra;\n", "code")
    hooked.triage("mark", "HEAD", "wrong", "--why", "nobody reads it")
    hooked.commit(POOL, hooked.read(POOL) + "\nint more;\n", "unmarked")
    found = json.loads(hooked.triage("marks", "--format", "json"))
    assert found["Marks"] == {"Right": 1, "Wrong": 1}
    assert found["DecidedBy"] == {"default": {"Right": 0, "Wrong": 1}, "evidence": {"Right": 1, "Wrong": 0}}
    assert (
        found["ChangeClass"]["documentation"] == {"Right": 1, "Wrong": 0}
        and sum(one["Wrong"] for one in found["ChangeClass"].values()) >= 1
    )
    assert [line.split() for line in hooked.triage("marks").splitlines()][:5] == [
        ["right", "wrong", "wrong", "of", "all"],
        ["all", "1", "1", "50%"],
        ["decided", "by"],
        ["default", "0", "1", "100%"],
        ["evidence", "1", "0", "0%"],
    ]


def test_the_last_mark_counts_though_an_amend_has_carried_another_along(hooked: Kernel) -> None:
    hooked.commit(POOL, hooked.read(POOL) + "\nint extra;\n", "mm: one")
    hooked.triage("mark", "HEAD", "wrong")
    hooked.git("commit", "-q", "--amend", "-m", "mm: better words")
    assert json.loads(hooked.triage("marks", "--format", "json"))["Marks"] == {"Right": 0, "Wrong": 1}
    hooked.git(
        "notes",
        "--ref=patch-triage",
        "add",
        "-f",
        "-m",
        hooked.note().replace("Mark: wrong", "Mark: right").replace("When: '2", "When: '3"),
    )
    assert json.loads(hooked.triage("marks", "--format", "json"))["Marks"] == {"Right": 1, "Wrong": 0}


def test_marks_in_files_count_too(kernel: Kernel) -> None:
    kernel.git("config", "patchtriage.record.format", "file")
    kernel.install()
    kernel.commit(POOL, kernel.read(POOL) + "\nint extra;\n", "mm: one")
    kernel.triage("mark", "HEAD", "right")
    assert json.loads(kernel.triage("marks", "--format", "json"))["DecidedBy"] == {"default": {"Right": 1, "Wrong": 0}}


def test_a_mark_is_about_who_had_decided_then(hooked: Kernel) -> None:
    hooked.commit(POOL, hooked.read(POOL) + "\nint extra;\n", "mm: one")
    hooked.triage("mark", "HEAD", "right")
    note = hooked.note().replace("DecidedBy: default", "DecidedBy: agent", 1)
    hooked.git("notes", "--ref=patch-triage", "add", "-f", "-m", note)
    assert json.loads(hooked.triage("marks", "--format", "json"))["DecidedBy"] == {"default": {"Right": 1, "Wrong": 0}}
