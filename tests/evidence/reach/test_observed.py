"""What a fuzzer was seen to reach: when that proves that a changed function can be reached, and when it is a hint."""

from __future__ import annotations

import json
import pathlib
import typing
from collections.abc import Iterator

import pytest

from hook.change.patch import FileChange
from hook.coverage.observations import Coverage, Measured, Tally
from hook.evidence.focus import focus_symbols
from hook.evidence.focus.changed_functions import Changed
from hook.evidence.reach import answer
from hook.evidence.reach.answer import Reach
from hook.evidence.reach.observed import Measurement, with_observations
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer, Fact, Place
from tests.small_kernel import Kernel

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN
PATH = "kernel/signal.c"
OLD = "int other(void)\n{\n\treturn 0;\n}\n"
BASE = "int first(void)\n{\n\treturn 1;\n}\n\nint reached(int x)\n{\n\treturn x;\n}\n\nint __init at_boot(void)\n{\n\treturn 2;\n}\n"
ALONE = "int alone(void)\n{\n\treturn 4;\n}\n"  # in one file
NAMED = "static int named(void)\n{\n\treturn 5;\n}\n"  # in files of other names
INLINE = "static inline int short_one(void)\n{\n\treturn 6;\n}\n"  # in a header, too
TWICE = "#ifdef A\nint twice(void)\n{\n\treturn 1;\n}\n#else\nint twice(void)\n{\n\treturn 2;\n}\n#endif\n"
OPEN, OUT = answer.unknown("who calls it?"), answer.no(Fact("no machine has it", Place(PATH, 1, "")))
PROGRAMS = Measured("syz-manager ci", counts_programs=True)
LCOV = Measured("lcov")


class Tree(typing.NamedTuple):
    source: Source
    file: FileChange
    first_commit: str  # in which `first` and `at_boot` are other functions


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tree]:
    home = tmp_path_factory.mktemp("observed")
    kernel = Kernel.create(home / "linux", home)
    then = kernel.commit(PATH, OLD + "\n\n\n" + BASE.replace("return 1", "return 7") + ALONE + NAMED + INLINE)
    kernel.write("arch/x86/kernel/signal.c", BASE)
    kernel.commit("kernel/other.c", NAMED)
    kernel.commit("include/linux/signals.h", INLINE)
    kernel.commit(PATH, BASE + TWICE + ALONE + NAMED + INLINE)
    blobs = [kernel.git("rev-parse", f"HEAD:{PATH}").strip()]
    kernel.commit(PATH, BASE.replace("return x", "return x + 1") + "int added(void)\n{\n\treturn 3;\n}\n" + TWICE + ALONE + NAMED + INLINE)
    kernel.commit("arch/x86/kernel/signal.c", BASE)
    blobs.append(kernel.git("rev-parse", f"HEAD:{PATH}").strip())
    with Objects(find(kernel.path)) as objects:
        yield Tree(Source(objects, "HEAD"), FileChange("M", PATH, PATH, "100644", "100644", *blobs, ()), then)


def coverage(*rows: tuple[str, str, int, int, int], measured: Measured = PROGRAMS, programs: int = 0) -> Coverage:
    tally = Tally()
    tally.programs = programs
    for row in rows:
        tally.add(*row)
    return tally.coverage("cover.jsonl", measured)


def seen(
    tree: Tree, found: Coverage, name: str = "reached", given: Reach = OPEN, file: FileChange | None = None, commit: str = ""
) -> Reach:
    changed = [Changed(name, 6, "code changed")]
    return with_observations(given, file or tree.file, changed, tree.source, Measurement(found, commit, "x86_64"))


def test_lines_of_the_function_prove_that_it_is_reached(tree: Tree) -> None:
    found = seen(tree, coverage((PATH, "reached", 12, 6, 9), programs=40))
    assert found.answer is YES
    assert found.facts == (Fact("12 programs of syz-manager ci run reached (cover.jsonl)", Place(PATH, 6, tree.file.new_blob)),)
    assert "the kernel of cover.jsonl has them" in found.assumptions[0]


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ((PATH, "reached", 12, 5, 9), "lines 5 to 9"),
        ((PATH, "reached", 12, 6, 10), "lines 6 to 10"),
        ((PATH, "reached", 12, 0, 0), "of which build is not known"),
        ((PATH, "added", 12, 20, 21), "no function of this name"),
        ((PATH, "twice", 12, 20, 21), "or several"),
    ],
)
def test_another_version_of_it_is_a_hint(tree: Tree, row: tuple[str, str, int, int, int], hint: str) -> None:
    for given in (OPEN, OUT):
        found = seen(tree, coverage(row), row[1], given)
        assert found.answer is UNKNOWN and hint in found.question, found
        assert ("who calls it?" if given is OPEN else "against that: no machine has it") in found.question


@pytest.mark.parametrize(
    "row",
    [
        (PATH, "reached", 0, 6, 9),  # never reached
        ("signal.c", "reached", 1, 6, 9),
        ("arch/x86/kernel/signal.c", "reached", 1, 6, 9),
        ("/home/jo/linux/arch/x86/kernel/signal.c", "reached", 1, 6, 9),  # a longer path of the tree
        ("/home/jo/linux/mykernel/signal.c", "reached", 1, 6, 9),
        (PATH, "reached_too", 1, 6, 9),
    ],
)
def test_what_is_not_there_or_is_another_function_says_nothing(tree: Tree, row: tuple[str, str, int, int, int]) -> None:
    for given in (OPEN, OUT):
        assert seen(tree, coverage(row), given=given) is given


@pytest.mark.parametrize("path", ["/home/jo/linux/kernel/signal.c", "../linux/kernel/signal.c", "./kernel/signal.c"])
def test_a_path_may_begin_at_the_root_of_a_disk(tree: Tree, path: str) -> None:
    assert seen(tree, coverage((path, "reached", 1, 6, 9))).answer is YES


@pytest.mark.parametrize(("name", "expected"), [("reached", YES), ("first", UNKNOWN), ("twice", UNKNOWN)])
def test_where_the_build_is_known_the_text_decides(tree: Tree, name: str, expected: Answer) -> None:
    row = (PATH, name, 3, 1000, 1001)
    said_by_file = coverage(row, measured=Measured("syz-manager", counts_programs=True, commit=tree.first_commit))
    assert seen(tree, said_by_file, name).answer is expected
    assert seen(tree, coverage((PATH, name, 3, 0, 0)), name, commit=tree.first_commit).answer is expected
    elsewhere = Measured("syz-manager", counts_programs=True, commit="5a3b12c4d5e6f708")
    assert seen(tree, coverage(row, measured=elsewhere), name).answer is UNKNOWN
    if name != "twice":
        assert "at 5a3b12c4d5e6, which is not here" in seen(tree, coverage((PATH, name, 3, 0, 0), measured=elsewhere), name).question


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("alone", "?", YES),
        ("alone", "?/signal.c", YES),
        ("alone", "?/other.c", UNKNOWN),
        ("named", "?/signal.c", YES),
        ("named", "?", UNKNOWN),  # perhaps that of kernel/other.c
        ("reached", "?/signal.c", UNKNOWN),  # perhaps that of arch/x86/kernel/signal.c
        ("short_one", "?/signal.c", UNKNOWN),  # perhaps of a header that another signal.c includes
    ],
)
def test_a_symbol_table_proves_where_only_one_file_can_be_meant(tree: Tree, name: str, path: str, expected: Answer) -> None:
    assert seen(tree, coverage((path, name, 1, 0, 0)), name, commit=tree.first_commit).answer is expected
    assert seen(tree, coverage((path, name, 1, 0, 0)), name).answer is UNKNOWN  # of which build is not known


def test_another_architecture_or_a_file_that_moves_is_a_hint(tree: Tree) -> None:
    row = (PATH, "reached", 1, 6, 9)
    other = coverage(row, measured=Measured("syz-manager", counts_programs=True, arch="arm64"))
    assert "on arm64" in seen(tree, other).question
    assert seen(tree, coverage(row, measured=Measured("syz-manager", counts_programs=True, arch="amd64"))).answer is YES
    moved = FileChange("R", PATH, "kernel/signals.c", "100644", "100644", tree.file.old_blob, tree.file.new_blob, ())
    assert "moves to kernel/signals.c" in seen(tree, coverage(row), file=moved).question


def test_programs_of_a_fuzzer_end_a_no_and_what_ran_somewhere_opens_it(tree: Tree) -> None:
    row = (PATH, "reached", 1, 6, 0)
    assert seen(tree, coverage((PATH, "reached", 1, 6, 9)), given=OUT).answer is YES
    ran = coverage(row, measured=LCOV)
    assert seen(tree, ran, given=OUT).answer is UNKNOWN
    assert seen(tree, ran).answer is YES and "boot" in seen(tree, ran).assumptions[1]
    assert "at boot" in seen(tree, coverage((PATH, "at_boot", 1, 11, 0), measured=LCOV), "at_boot").question
    assert seen(tree, coverage((PATH, "reached", 1, 7, 0), measured=LCOV)).answer is UNKNOWN  # begins elsewhere


def test_a_file_that_was_not_read_yet_keeps_a_no_open(tree: Tree) -> None:
    unread = Coverage("cover.jsonl", is_read=False)
    assert seen(tree, unread, given=OUT).answer is UNKNOWN
    assert seen(tree, unread, given=OPEN) is OPEN
    proved = answer.yes(Fact("called", Place(PATH, 1, "")))
    assert seen(tree, unread, given=proved) is seen(tree, coverage((PATH, "reached", 1, 6, 9)), given=proved) is proved


@pytest.mark.parametrize(
    ("reached", "programs", "expected"),
    [
        (101, 1000, "10% of the programs in cover.jsonl run reached"),
        (900, 1000, "90% of the programs in cover.jsonl run reached"),
        (100, 1000, ""),
        (90, 100, ""),  # too few to tell
        (0, 1000, ""),
    ],
)
def test_what_more_than_a_tenth_of_the_programs_reach_is_no_aim(tree: Tree, reached: int, programs: int, expected: str) -> None:
    found = coverage((PATH, "reached", reached, 6, 9), programs=programs)
    assert focus_symbols.why_no_aim(tree.source, PATH, "reached", found) == expected
    why_not = focus_symbols.hit("reached", PATH, tree.source, "x86_64", found).why_not
    assert (why_not.claim if why_not else "") == expected
    assert focus_symbols.why_no_aim(tree.source, "kernel/other.c", "reached", found) == ""


def test_a_verdict_rests_on_the_coverage_file_as_it_is(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    text = "int lonely(int x)\n{\n\treturn x;\n}\n"
    kernel.commit("kernel/lonely.c", text)
    kernel.commit("kernel/lonely.c", text.replace("return x", "return x + 1"))
    kernel.git("config", "patchtriage.fuzz.coverage", str(tmp_path / "cover.jsonl"))
    frame = '{"file_path":"kernel/lonely.c","func_name":"lonely","sl":1,"sc":0,"el":3,"ec":-1,"hit_count":7,"inline":false,"pc":1}\n'

    def judged() -> dict[str, typing.Any]:
        return dict(json.loads(kernel.triage("check", "HEAD", "--format", "json")))

    missing = judged()
    assert missing["Reachable"] == "unknown"
    assert "cover.jsonl (fuzz.coverage) is not used: it cannot be read: No such file or directory" in missing["Assumptions"]
    (tmp_path / "cover.jsonl").write_text(frame)
    there = judged()
    assert (there["Reachable"], there["Evidence"][-1]["Claim"]) == ("yes", "7 programs of syz-manager run lonely (cover.jsonl)")
    (tmp_path / "cover.jsonl").write_text(frame.replace(":7", ":0"))
    nothing = judged()
    assert nothing["Reachable"] == "unknown"
    assert "cover.jsonl (fuzz.coverage) is not used: nothing in it was reached" in nothing["Assumptions"]


def test_a_commit_does_not_wait_until_a_coverage_file_is_read(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    text = "int lonely(int x)\n{\n\treturn x;\n}\n"
    frame = '{"file_path":"kernel/lonely.c","func_name":"lonely","sl":1,"sc":0,"el":3,"ec":-1,"hit_count":7,"inline":false,"pc":1}\n'
    hooked.commit("kernel/lonely.c", text)
    (tmp_path / "cover.jsonl").write_text(frame)
    hooked.git("config", "patchtriage.fuzz.coverage", str(tmp_path / "cover.jsonl"))

    def recorded() -> tuple[str, list[str]]:
        found = json.loads(hooked.triage("show", "HEAD", "--format", "json"))
        return found["Reachable"], found.get("Lacks", [])

    hooked.commit("kernel/lonely.c", text.replace("return x", "return x + 1"))
    assert recorded() == ("unknown", ["search"])
    hooked.triage("check", "HEAD")  # as the worker does
    assert recorded() == ("yes", [])
    hooked.commit("kernel/lonely.c", text)
    assert recorded() == ("yes", [])  # it is known now
