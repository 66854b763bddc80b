"""The three answers put together, by their truth table."""

from __future__ import annotations

import itertools
import json
import pathlib

import pytest

from hook.evidence.linux.reach import Reach
from hook.evidence.linux.reachability import of_file, together
from hook.verdict import Answer, ConfigReason
from tests.kernel import Kernel

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


@pytest.mark.parametrize(("hardware", "ending", "way"), list(itertools.product(Answer, repeat=3)))
def test_no_comes_only_from_a_proof_and_yes_from_any(hardware: Answer, ending: Answer, way: Answer) -> None:
    found = of_file(Reach(hardware), Reach(ending), lambda: Reach(way)).answer
    if NO in (hardware, ending):
        assert found is NO
    else:
        # a search for ways in that ends without one says nothing
        assert found is (YES if YES in (hardware, ending, way) else UNKNOWN)


def test_what_only_begins_or_ends_stays_open_though_its_device_is_there() -> None:
    found = of_file(Reach(YES, devices=("e1000e",)), Reach(UNKNOWN, question="runs at suspend only"), lambda: Reach(YES))
    assert (found.answer, found.question) == (UNKNOWN, "runs at suspend only")


def test_the_dear_search_is_made_only_where_the_rest_leaves_it_open() -> None:
    def never() -> Reach:
        raise AssertionError("searched")

    of_file(Reach(YES), Reach(UNKNOWN), never)
    of_file(Reach(UNKNOWN), Reach(NO), never)
    with pytest.raises(AssertionError):
        of_file(Reach(UNKNOWN, question="which board?"), Reach(UNKNOWN), never)


def test_one_file_that_is_reached_is_enough_and_brings_what_it_needs() -> None:
    there = Reach(YES, devices=("igb",), reasons={"IGB": ConfigReason("reach", "drives igb")}, assumptions=("QEMU 7.2",))
    found = together({"a.c": Reach(NO), "b.c": there, "c.c": Reach(UNKNOWN, question="who?")})
    assert (found.answer, found.devices, list(found.reasons), found.assumptions) == (YES, ("igb",), ["IGB"], ("QEMU 7.2",))
    assert found.questions == ()


def test_all_files_must_be_out_of_reach() -> None:
    assert together({"a.c": Reach(NO), "b.c": Reach(NO)}).answer is NO
    open_one = together({"a.c": Reach(NO), "b.c": Reach(UNKNOWN, question="who?")})
    assert (open_one.answer, open_one.questions) == (UNKNOWN, ("who?",))
    assert together({}).answer is UNKNOWN


def test_what_syzkaller_describes_is_said_and_a_directory_that_is_none_is_refused(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    text = "static void help(void)\n{\n\tone();\n}\nSYSCALL_DEFINE0(frob)\n{\n\thelp();\n\treturn 0;\n}\n"
    kernel.commit("arch/x86/entry/syscalls/syscall_64.tbl", "0\tcommon\tfrob\tsys_frob\n")
    kernel.commit("init/main.c", text)
    kernel.stage("init/main.c", text.replace("one();", "two();"))
    assert "no descriptions in" in kernel.triage_both("check", "--no-cache", ok=None, PATCH_TRIAGE_FUZZ_SYZKALLER=str(tmp_path))[1]
    (tmp_path / "sys/linux").mkdir(parents=True)
    (tmp_path / "sys/linux/a.txt").write_text("other(a int32)\n")
    said = kernel.triage("check", "--no-cache", "--format", "json", PATCH_TRIAGE_FUZZ_SYZKALLER=str(tmp_path))
    found = json.loads(said)
    assert found["Reachable"] == "yes"
    assert "no description of syzkaller reaches the system call frob yet: fuzzing it needs one first" in found["Assumptions"]
