"""The plan of a run: from a commit to a directory that starts a fuzzer."""

from __future__ import annotations

import json
import pathlib
import shlex
from typing import Any

import pytest

from hook.plan import run_plan, system_calls
from tests.plan import mgrconfig
from tests.small_kernel import Kernel

CODE = (
    "static void help(void)\n{\n\tone();\n}\nSYSCALL_DEFINE0(frob)\n{\n\thelp();\n\treturn 0;\n}\nSYSCALL_DEFINE0(set)\n{\n\treturn 0;\n}\n"
)
DESCRIPTIONS = """\
resource fd[int32]: -1
resource fd_frob[fd]
open(a const[0]) fd
open$more(a const[0]) fd
set$one(a fd)
set$two(a fd)
frob_open(a fd) fd_frob
frob(a fd_frob)
frob$more(a fd_frob)
set(a fd)
other(a fd)
"""


@pytest.fixture
def frobbing(kernel: Kernel, tmp_path: pathlib.Path) -> Kernel:
    """A kernel whose last commit changes what a system call does, and a checkout of syzkaller that describes the call."""
    table = "0\tcommon\tfrob\tsys_frob\n1\tcommon\tset\tsys_set\n"
    kernel.commit("arch/x86/entry/syscalls/syscall_64.tbl", table)
    kernel.commit("init/main.c", CODE)
    kernel.commit("init/main.c", CODE.replace("one();", "two();"), "init: frob twice <b>`x`")
    folder = tmp_path / "syzkaller/sys/linux"
    (folder / "test").mkdir(parents=True)
    (folder / "a.txt").write_text(DESCRIPTIONS)
    (folder / "test/frob").write_text("r0 = open(0x0)\nr1 = frob_open(r0)\nfrob$more(r1)\n")
    (folder / "test/frob_arm").write_text("# requires: arch=arm64\nfrob(0x0)\n")
    (folder / "test/other").write_text("other(0x0)\n")
    (folder / "test/link").symlink_to(tmp_path / "linux/init/main.c")
    return kernel


def settings(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    for name, value in (("fuzz.syzkaller", "syzkaller"), ("plan.image", "image"), ("plan.sshkey", "key")):
        kernel.git("config", f"patchtriage.{name}", str(tmp_path / value))


def planned(kernel: Kernel, place: pathlib.Path, *args: str) -> dict[str, Any]:
    kernel.triage("plan", *args, "--out", str(place))
    return dict(json.loads((place / "manager.cfg").read_text()))


def test_a_commit_becomes_a_configuration_that_syz_manager_takes(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    settings(frobbing, tmp_path)
    place = tmp_path / "plan"
    config = planned(frobbing, place)
    assert mgrconfig.faults(config) == []
    assert {"frob", "frob$more"} <= set(config["enable_syscalls"]) and "other" not in config["enable_syscalls"]
    taken = mgrconfig.enabled(config, {line.partition("(")[0] for line in DESCRIPTIONS.splitlines() if "(" in line})
    assert taken == set(config["enable_syscalls"])
    assert mgrconfig.unprovided(DESCRIPTIONS, taken) == set()
    assert config["image"] == str(tmp_path / "image") and config["target"] == "linux/amd64"
    assert config["experimental"]["focus_areas"][0]["filter"]["functions"][0].startswith("^__x64_sys_frob(\\.")
    assert [seed.name for seed in (place / "seeds").iterdir()] == ["frob"]


@pytest.mark.parametrize(
    ("calls", "disabled"),
    [
        (["read"], ["read$*"]),
        (["read", "read$a"], ["read$b"]),
        (["read", "read$a", "read$b", "reads"], []),
        (["read$a", "close"], []),
        (["read$b", "open"], ["open$*"]),
    ],
)
def test_no_variant_is_enabled_with_the_call_that_it_is_one_of(calls: list[str], disabled: list[str]) -> None:
    described = {"read", "read$a", "read$b", "reads", "readv$a", "close", "open", "open$x", "open$x$y"}
    assert list(system_calls._other_variants(calls, described)) == disabled
    config = {"enable_syscalls": calls, "disable_syscalls": disabled}
    assert mgrconfig.enabled(config, described) == set(calls)


@pytest.mark.parametrize(
    ("interface", "file"),
    [
        ("device:/dev/kvm", "sys/linux/dev_kvm.txt"),
        ("device:/dev/net/tun", "sys/linux/dev_net_tun.txt"),
        ("device:/dev/comedi0", "sys/linux/dev_comedi.txt"),
        ("family:PF_X25", "sys/linux/socket_x25.txt"),
        ("genl:batadv", "sys/linux/socket_netlink_generic_batadv.txt"),
        ("call:frob", "sys/linux/sys.txt"),
        ("ioctl:FROB_RUN", "a file of sys/linux"),
    ],
)
def test_who_may_describe_an_interface_is_told_where(interface: str, file: str) -> None:
    assert system_calls.file_for(interface) == file
    enabled = system_calls.Enabled(("open",), (system_calls.InterfaceCalls(interface, (), ""),), ())
    (line,) = run_plan._unanswered(enabled, [interface])
    assert line == f"no description of syzkaller reaches {interface}: the fuzzer cannot get there until {file} has one"


def test_the_page_says_what_to_run_in_order(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    settings(frobbing, tmp_path)
    place = tmp_path / "a plan"
    planned(frobbing, place)
    document = json.loads((place / "plan.json").read_text())
    assert [step["Title"] for step in document["Steps"]] == [
        "Check the change out", "Configure the kernel", "Build it", "Remove filters that match nothing in this kernel", "Fuzz",
    ]  # fmt: skip
    assert document["Missing"] == [] and document["SchemaVersion"] == 1
    page = (place / "plan.md").read_text()
    for step in document["Steps"]:
        assert all(command in page for command in step["Commands"])
    assert "<b>" not in page and "\\`x\\`" in page
    first = shlex.split(document["Steps"][0]["Commands"][0])
    assert first[-2:] == [str(place / "linux"), frobbing.head()]


def test_what_of_the_focus_no_program_has_reached_yet_is_named(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    settings(frobbing, tmp_path)
    frobbing.git("config", "patchtriage.fuzz.coverage", str(tmp_path / "cover.csv"))
    head = "Module,Filename,Function,Covered PCs,Total PCs\n,init/main.c,__do_sys_set,1,1\n"
    for number, (row, expected) in enumerate(
        (
            (",init/main.c,__do_sys_frob,0,2\n", ["__x64_sys_frob"]),
            (",init/main.c,__do_sys_frob,1,2\n", []),
            (",init/other.c,__do_sys_frob,0,2\n", []),
            ("", []),  # what the file does not know says nothing
        )
    ):
        (tmp_path / "cover.csv").write_text(head + row)
        place = tmp_path / f"plan{number}"
        planned(frobbing, place)
        assert json.loads((place / "plan.json").read_text())["NeverReached"] == expected
        assert ("Never reached by the corpus yet: `__x64_sys_frob`" in (place / "plan.md").read_text()) == bool(expected)


def test_what_only_the_person_knows_is_asked_for(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "plan"
    out, error = frobbing.triage_both("plan", "HEAD", "--out", str(place))
    assert "plan.image is not set" in error and "fuzz.syzkaller is not set" in error and "all system calls are enabled" in error
    assert "all system calls" in out
    assert "enable_syscalls" not in json.loads((place / "manager.cfg").read_text())
    assert "CONFIG_KCOV=y" in (place / "kernel.config").read_text()


def test_a_base_that_fuzzers_use_needs_no_more_for_it(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    (tmp_path / "base.config").write_text("CONFIG_KCOV=y\n")
    frobbing.git("config", "patchtriage.fuzz.baseConfig", str(tmp_path / "base.config"))
    planned(frobbing, tmp_path / "plan")
    assert "KASAN" not in (tmp_path / "plan/kernel.config").read_text()
    commands = json.loads((tmp_path / "plan/plan.json").read_text())["Steps"][1]["Commands"]
    assert commands[0] == f"cp {tmp_path}/base.config {tmp_path}/plan/build/.config"


@pytest.mark.parametrize(
    ("args", "encoding"), [(["format-patch", "-1", "--stdout"], "utf-8"), (["diff", "HEAD~1"], "utf-8"), (["diff", "HEAD~1"], "utf-16")]
)
def test_a_mailed_patch_is_planned_and_applied_on_its_base(
    frobbing: Kernel, tmp_path: pathlib.Path, args: list[str], encoding: str
) -> None:
    settings(frobbing, tmp_path)
    (tmp_path / "change.patch").write_text(frobbing.git(*args), encoding)
    tree = frobbing.git("rev-parse", "HEAD^{tree}")
    frobbing.git("reset", "-q", "--hard", "HEAD~1")
    config = planned(frobbing, tmp_path / "plan", "--patch", str(tmp_path / "change.patch"))
    assert "frob" in config["enable_syscalls"]
    commands = json.loads((tmp_path / "plan/plan.json").read_text())["Steps"][0]["Commands"]
    assert frobbing.head() in commands[0]
    for command in commands:
        program, *rest = shlex.split(command)
        if program == "git":
            frobbing.git(*rest)
    assert frobbing.git("-C", str(tmp_path / "plan/linux"), "rev-parse", "HEAD^{tree}", "HEAD~1") == f"{tree}{frobbing.head()}\n"
    # what the compiler inlines is known only then: a filter that matches nothing keeps syz-manager from starting
    left_out = json.loads((tmp_path / "plan/plan.json").read_text())["Steps"][3]["Commands"]
    assert f" {frobbing.head()}..HEAD --repo {tmp_path}/plan/linux --vmlinux {tmp_path}/plan/build/vmlinux " in left_out[0]


def test_a_series_is_one_plan(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    frobbing.commit("mm/pool.c", frobbing.read("mm/pool.c").replace("count++", "count--"), "mm: count down")
    planned(frobbing, tmp_path / "plan", "HEAD~2..HEAD")
    document = json.loads((tmp_path / "plan/plan.json").read_text())
    assert len(document["Changes"]) == 2
    assert all(frobbing.git("rev-parse", name).strip() in document["Steps"][3]["Commands"][0] for name in ("HEAD", "HEAD~1"))


def test_nothing_is_planned_for_what_is_not_worth_it(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    frobbing.commit("init/main.c", "/* more */\n" + frobbing.read("init/main.c"))
    assert frobbing.triage("plan", "--out", str(tmp_path / "plan")) == "nothing to fuzz: no change is worth fuzzing\n"
    assert not (tmp_path / "plan").exists()


@pytest.mark.parametrize(
    ("args", "why"),
    [(["HEAD", "--patch", "x"], "plan takes"), (["--base", "HEAD"], "use --base with --patch"), (["--patch", "-"], "use a file instead")],
)
def test_wrong_use(kernel: Kernel, tmp_path: pathlib.Path, args: list[str], why: str) -> None:
    assert why in kernel.triage_both("plan", *args, "--out", str(tmp_path / "plan"), ok=2)[1]


def test_a_directory_with_something_in_it_is_left_alone(frobbing: Kernel, tmp_path: pathlib.Path) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan/mine").write_text("")
    assert "name a new directory" in frobbing.triage_both("plan", "--out", str(tmp_path / "plan"), ok=2)[1]
    assert [path.name for path in (tmp_path / "plan").iterdir()] == ["mine"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"target": "linux/x86_64"},
        {"type": "gce"},
        {"workdir": ""},
        {"enable_syscalls": []},
        {"disable_syscalls": [""]},
        {"vm": {"count": 0}},
        {"vm": {"mem": 64}},
        {"vm": {"cmdline": "quiet"}},
        {"vm": {"memory": 512}},
        {"more": 1},
        {"experimental": {"focus_areas": [{"filter": {"functions": []}, "weight": 1.0}]}},
    ],
)
def test_the_schema_refuses_what_syz_manager_does(wrong: dict[str, Any]) -> None:
    good = {"target": "linux/amd64", "workdir": "w", "syzkaller": "s", "type": "qemu"}
    assert mgrconfig.faults(good) == []
    assert mgrconfig.faults(good | wrong) != []
