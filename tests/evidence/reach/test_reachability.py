"""The three answers put together, by their truth table."""

from __future__ import annotations

import itertools
import json
import pathlib

import pytest

from hook.evidence.reach.answer import Reach
from hook.evidence.reach.reachability import of_file, together
from hook.verdict import Answer, ConfigReason
from tests.small_kernel import Kernel

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


@pytest.mark.parametrize(("hardware", "ending", "way"), list(itertools.product(Answer, repeat=3)))
def test_no_comes_only_from_a_proof_and_yes_from_any(hardware: Answer, ending: Answer, way: Answer) -> None:
    found = of_file(Reach(hardware), Reach(ending), lambda: Reach(way)).answer
    if NO in (hardware, ending):
        assert found is NO
    else:
        # a search that finds no call path says nothing
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


def test_a_macro_or_member_of_a_header_is_reached_where_a_function_that_uses_it_is(kernel: Kernel) -> None:
    header = "struct frob {\n\tshort size;\n};\nstruct lost {\n\tshort size;\n};\n#define FROB_LIMIT 3\n#define LOST_LIMIT 3\n"
    text = "static int lost(struct lost *l)\n{\n\treturn l->size > LOST_LIMIT;\n}\n"
    text += "SYSCALL_DEFINE1(frob, int, n)\n{\n\treturn help(n);\n}\n"
    text += "static int help(struct frob *f)\n{\n\treturn f->size > FROB_LIMIT;\n}\n"
    kernel.commit("arch/x86/entry/syscalls/syscall_64.tbl", "0\tcommon\tfrob\tsys_frob\n")
    kernel.commit("include/linux/frob.h", header)
    kernel.commit("init/main.c", "#include <linux/frob.h>\n" + text)
    kernel.triage("index", "--quiet")
    edits = {"FROB_LIMIT 3": "yes", "struct frob {\n\tshort": "yes", "LOST_LIMIT 3": "unknown", "struct lost {\n\tshort": "unknown"}
    for old, answer in edits.items():
        kernel.stage("include/linux/frob.h", header.replace(old, old.replace("3", "4").replace("short", "int")))
        assert json.loads(kernel.triage("check", "--no-cache", "--format", "json"))["Reachable"] == answer, old


DRIVER = """#include <linux/pci.h>

static int speed = 1;

static void start_all(void)
{
\tspeed = 2;
}

static int foo_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
\tif (speed > 1)
\t\treturn -EBUSY;
\treturn 0;
}

static void foo_remove(struct pci_dev *pdev)
{
\tspeed = 0;
}

static const struct pci_device_id foo_ids[] = {
\t{ PCI_DEVICE(0x15b3, 0xcb84) },
\t{ }
};
MODULE_DEVICE_TABLE(pci, foo_ids);

static struct pci_driver foo_driver = {
\t.name = "foo",
\t.id_table = foo_ids,
\t.probe = foo_probe,
\t.remove = foo_remove,
};

static int __init foo_init(void)
{
\tstart_all();
\treturn pci_register_driver(&foo_driver);
}
module_init(foo_init);
"""
FOO = "drivers/net/foo.c"
PCI_H = """#define PCI_ANY_ID (~0)
#define PCI_DEVICE(vend,dev) .vendor = (vend), .device = (dev), .subvendor = PCI_ANY_ID, .subdevice = PCI_ANY_ID
"""


@pytest.fixture
def driver(kernel: Kernel) -> Kernel:
    """A driver for a network card that QEMU does not emulate."""
    kernel.write("drivers/net/Makefile", "obj-$(CONFIG_FOO) += foo.o\n" + kernel.read("drivers/net/Makefile"))
    kernel.write("drivers/net/Kconfig", kernel.read("drivers/net/Kconfig") + '\nconfig FOO\n\ttristate "Foo"\n')
    kernel.write("include/linux/pci.h", PCI_H)
    kernel.write(FOO, DRIVER)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "driver")
    kernel.triage("index", "--quiet")
    return kernel


def judged(kernel: Kernel, *edits: tuple[str, str]) -> dict[str, object]:
    text = DRIVER
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    kernel.stage(FOO, text)
    found: dict[str, object] = json.loads(kernel.triage("check", "--format", "json"))
    return found


def test_code_of_a_device_that_no_machine_has_is_not_worth_fuzzing(driver: Kernel) -> None:
    found = judged(driver, ("speed > 1", "speed > 2"))
    assert (found["WorthFuzzing"], found["DecidedBy"], found["Reachable"]) == (False, "evidence", "no")
    assert found["Evidence"][0]["Path"] == FOO and "QEMU" in found["Evidence"][0]["Claim"]  # type: ignore[index]
    assert found["ChangedFunctions"] == found["FocusSymbols"] == ["foo_probe"]  # for who has the card
    assert driver.triage("check").splitlines()[0].startswith("not worth fuzzing: out of reach in the VM")


def test_the_machine_is_started_with_the_device_that_qemu_has(driver: Kernel) -> None:
    found = judged(driver, ("0x15b3, 0xcb84", "0x8086, 0x10d3"), ("speed > 1", "speed > 2"))
    assert (found["Reachable"], found["Devices"]) == ("yes", ["e1000e"])
    assert found["QemuArgs"] == "-enable-kvm -cpu host,migratable=off -device e1000e"
    assert "  QEMU: -enable-kvm -cpu host,migratable=off -device e1000e" in driver.triage("check", "-v").splitlines()


def test_a_part_that_cannot_be_read_keeps_a_driver_open(driver: Kernel) -> None:
    driver.write("drivers/net/Makefile", driver.read("drivers/net/Makefile").replace("foo.o\n", "card.o\ncard-y := foo.o more.o\n", 1))
    for text, answer in (("int more;\n", "no"), (f"/* {'a' * 5000} */\nint more;\n", "unknown")):
        driver.write("drivers/net/more.c", text)
        driver.git("add", "-A", "-f")
        driver.git("commit", "-qm", "more")
        driver.triage("index", "--quiet")
        found = judged(driver, ("speed > 1", "speed > 2"))
        assert found["Reachable"] == answer
        driver.git("reset", "-q", "--hard")


def test_such_a_driver_still_starts_at_boot(driver: Kernel) -> None:
    for edit in (("speed = 2", "speed = 3"), ("\tstart_all();\n", "\tstart_all();\n\tstart_all();\n")):
        found = judged(driver, edit)
        assert (found["WorthFuzzing"], found["Reachable"]) == (True, "unknown"), edit
        assert "boot" in str(found["Reasoning"])


@pytest.mark.parametrize(
    ("text", "condition", "edit"),
    [
        ("static int limit = 4;\n", "limit > 3", "4;"),
        ("enum {\n\tLIMIT = 4,\n};\n", "LIMIT > 3", "4,"),
        ("enum limits {\n\tLIMIT = 4,\n};\n", "LIMIT > 3", "4,"),
        ("#define LIMIT 4\n", "LIMIT > 3", "4\n"),
        ("struct limits {\n\tchar all[4];\n};\n", "sizeof(struct limits) > 3", "4]"),
    ],
)
def test_so_does_what_a_start_uses_that_is_no_function(driver: Kernel, text: str, condition: str, edit: str) -> None:
    alone = "unknown" if text.startswith("enum {") else "no"  # it has no name whose uses could be told
    at_boot, with_device = ("\tstart_all();\n", f"\tif ({condition})\n\t\tstart_all();\n"), ("speed > 1", condition)
    for place, answers in ((at_boot, ("unknown", "unknown")), (with_device, (alone, alone))):
        old = DRIVER.replace(*place).replace("static int speed", f"{text}\nstatic int speed")
        driver.commit(FOO, old)
        new = old.replace(text, text.replace(edit, f"4{edit}"))
        for changed, answer in zip((new, new.replace("-EBUSY", "-EAGAIN").replace("\treturn 0;", "\treturn 1;")), answers, strict=True):
            driver.stage(FOO, changed)
            assert json.loads(driver.triage("check", "--format", "json"))["Reachable"] == answer, (place, changed == new)


@pytest.mark.parametrize(
    ("place", "answer"), [(("\tstart_all();\n", "\tif (LIMIT > 3)\n\t\tstart_all();\n"), "unknown"), (("speed > 1", "LIMIT > 3"), "no")]
)
def test_so_does_a_macro_that_takes_the_place_of_another_in_a_start(driver: Kernel, place: tuple[str, str], answer: str) -> None:
    old = DRIVER.replace(*place)
    driver.commit(FOO, old)
    driver.stage(FOO, old.replace("static int speed", "#define LIMIT 5\n\nstatic int speed"))
    assert json.loads(driver.triage("check", "--format", "json"))["Reachable"] == answer


@pytest.mark.parametrize(
    ("gone", "instead", "use", "answer"),
    [
        ("#define LIMIT 4\n", "", "if (LIMIT > 3)", "unknown"),  # <linux/foo.h> has one, too
        ("#define LIMIT 4\n", "", "if (speed > 3)", "no"),
        ("#define LIMIT 4\n", "#define OTHER 4\n", "if (LIMIT > 3)", "unknown"),
        ("#define LIMIT 4\n", "#define OTHER 4\n", "/* LIMIT */", "no"),
        ("static int twice(int n)\n{\n\treturn n;\n}\n", "", "if (twice(2))", "unknown"),
        ("static int twice(int n)\n{\n\treturn n;\n}\n", "static int once(int n)\n{\n\treturn n;\n}\n", "if (twice(2))", "unknown"),
        ("static int twice(int n)\n{\n\treturn n;\n}\n", "", "", "no"),
        ("int sleepy(int n)\n{\n\treturn n;\n}\n", "", "", "unknown"),  # kernel/weak.c has a weak one
        ("int wakeful(int n)\n{\n\treturn n;\n}\n", "", "", "no"),
        ("static int limit = 4;\n", "", "if (limit > 3)", "unknown"),
    ],
)
def test_so_does_a_name_that_means_something_else_when_its_definition_is_gone(
    driver: Kernel, gone: str, instead: str, use: str, answer: str
) -> None:
    driver.write("include/linux/foo.h", "#define LIMIT 5\nextern int limit;\nstatic inline int twice(int n)\n{\n\treturn 2 * n;\n}\n")
    driver.write("kernel/weak.c", "int __weak sleepy(int n)\n{\n\treturn 0;\n}\n")
    old = DRIVER.replace("\tstart_all();\n", f"\t{use}\n\t\tstart_all();\n").replace("static int speed", f"{gone}\nstatic int speed")
    driver.write(FOO, old)
    driver.git("add", "-A", "-f")
    driver.git("commit", "-qm", "scene")
    driver.triage("index", "--quiet")
    driver.stage(FOO, old.replace(gone, instead).replace("-EBUSY", "-EAGAIN"))
    assert json.loads(driver.triage("check", "--format", "json"))["Reachable"] == answer


@pytest.mark.parametrize(
    ("old", "new", "answer"),
    [
        ("module_init(foo_init);", "late_initcall(foo_init);", "unknown"),
        ("module_init(foo_init);", "module_init(foo_init);\nlate_initcall(start_all);", "unknown"),
        ("module_init(foo_init);", "module_init(foo_init);\nbegin_of_all(start_all);", "unknown"),
        ("module_init(foo_init);", 'module_init(foo_init);\nMODULE_AUTHOR("me");', "no"),
        ("#include <linux/pci.h>\n", '#include <linux/pci.h>\n#include "foo.h"\n', "unknown"),
        ("#include <linux/pci.h>\n", "#include <linux/pci.h>\n#include <linux/delay.h>\n", "no"),
        ("#include <linux/pci.h>\n", "#include <linux/pci.h>\n#undef speed\n", "unknown"),
        ("static int speed = 1;", "static void start_all(void) __attribute__((constructor));\nstatic int speed = 1;", "unknown"),
        ("static int speed = 1;", "static void start_all(void);\nstatic int speed = 1;", "no"),
        ("static int speed = 1;", "extern int jiffy;\nstatic int speed = 1;", "unknown"),
        ("static int speed = 1;", 'asm(".globl speed");\nstatic int speed = 1;', "unknown"),
    ],
)
def test_so_does_what_acts_between_definitions(driver: Kernel, old: str, new: str, answer: str) -> None:
    found = judged(driver, (old, new), ("-EBUSY", "-EAGAIN"))
    assert found["Reachable"] == answer
    assert (found["WorthFuzzing"] is False) == (answer == "no")


def test_so_does_a_line_number_in_a_start(driver: Kernel) -> None:
    old = DRIVER.replace("\tstart_all();\n", "\tstart_at(__LINE__);\n")
    driver.commit(FOO, old)
    driver.stage(FOO, f"/* a comment */\n{old}")
    found = json.loads(driver.triage("check", "--format", "json"))
    assert (found["Functional"], found["Reachable"]) == ("unknown", "unknown")


def test_the_device_counts_again_where_a_machine_has_it(driver: Kernel) -> None:
    found = judged(driver, ("0x15b3, 0xcb84", "0x8086, 0x10d3"), ("speed > 1", "speed > 2"))
    assert (found["WorthFuzzing"], found["DecidedBy"], found["Devices"]) == (True, "evidence", ["e1000e"])
    assert "FOO" in found["EnableConfigs"]  # type: ignore[operator]


def test_teardown_beside_a_changed_table_is_no_teardown(driver: Kernel) -> None:
    real = ("0x15b3, 0xcb84", "0x8086, 0x10d3")
    driver.commit(FOO, DRIVER.replace(*real))
    alone = judged(driver, real, ("speed = 0", "speed = 9"))
    assert (alone["Reachable"], alone["WorthFuzzing"]) == ("no", False)
    assert any("unbind through sysfs" in str(assumption) for assumption in alone["Assumptions"])  # type: ignore[attr-defined]
    both = judged(driver, real, ("speed = 0", "speed = 9"), ('.name = "foo"', '.name = "fooo"'))
    assert (both["Reachable"], both["WorthFuzzing"]) == ("yes", True)


def test_teardown_runs_with_the_device_where_the_settings_include_it(driver: Kernel) -> None:
    real = ("0x15b3, 0xcb84", "0x8086, 0x10d3")
    driver.env["PATCH_TRIAGE_FUZZ_TEARDOWN"] = "include"
    assert judged(driver, ("speed = 0", "speed = 9"))["Reachable"] == "no"  # no machine has a device to unbind
    driver.commit(FOO, DRIVER.replace(*real))
    found = judged(driver, real, ("speed = 0", "speed = 9"))
    assert (found["Reachable"], found["Devices"]) == ("yes", ["e1000e"])


HELPER = "int foo_more(int n)\n{\n\treturn foo_twice(n) + 1;\n}\nEXPORT_SYMBOL_GPL(foo_more);\n\n"
TWICE = "static int foo_twice(int n)\n{\n\treturn n * 2;\n}\n\n"


@pytest.mark.parametrize(
    ("added", "reachable"),
    [
        (TWICE + HELPER, "unknown"),
        (TWICE + HELPER.replace("_GPL(foo_more)", '_FOR_MODULES(foo_more, "kvm")'), "unknown"),  # since Linux 6.17
        (TWICE.replace("n * 2", "foo_more(n)") + HELPER, "unknown"),  # they call each other
        (TWICE + HELPER + "static int __init foo_at_boot(void)\n{\n\treturn foo_more(1);\n}\nlate_initcall(foo_at_boot);\n\n", "yes"),
        (TWICE + HELPER.replace("EXPORT_SYMBOL_GPL", "foo_registers"), "yes"),  # another macro may register it
        (TWICE, "yes"),  # not exported
    ],
)
def test_the_device_of_an_object_says_nothing_of_a_new_export_that_nothing_calls(driver: Kernel, added: str, reachable: str) -> None:
    judged(driver, ("0x15b3, 0xcb84", "0x8086, 0x10d3"))
    driver.git("commit", "-qm", "a device that QEMU has")
    found = judged(
        driver, ("0x15b3, 0xcb84", "0x8086, 0x10d3"), ("static const struct pci_device_id", f"{added}static const struct pci_device_id")
    )
    assert (found["Reachable"], found["WorthFuzzing"]) == (reachable, True)
    assert ("Open: nothing calls " in str(found["Reasoning"])) is (reachable == "unknown")


def test_a_new_export_that_another_file_calls_is_called(driver: Kernel) -> None:
    judged(driver, ("0x15b3, 0xcb84", "0x8086, 0x10d3"))
    driver.git("commit", "-qm", "a device that QEMU has")
    driver.commit("drivers/net/user.c", "int user(void)\n{\n\treturn foo_more(3);\n}\n")
    found = judged(
        driver,
        ("0x15b3, 0xcb84", "0x8086, 0x10d3"),
        ("static const struct pci_device_id", f"{TWICE}{HELPER}static const struct pci_device_id"),
    )
    assert found["Reachable"] == "yes"
