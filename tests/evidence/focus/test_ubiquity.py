"""Which functions nearly every program runs, so that nothing is gained by aiming at them."""

from __future__ import annotations

import json

import pytest

from hook.evidence.focus import focus_symbols
from hook.source import git
from hook.source.indexing import ubiquitous_names
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import Kernel

FILES = {
    "fs/open.c": """
static int build_flags(int how)
{
	return how + 1;
}

int do_sys_open(int how)
{
	int fd = build_flags(how);

	if (fd < 0)
		report_bad_flags(fd);
	if (fd) {
		if (how)
			open_by_handle(fd);
		while (how)
			if (fd > how)
				open_again(fd);
		install(fd);
	}
	security_open(fd);
	return alloc_number(fd);
}

SYSCALL_DEFINE1(openat, int, how)
{
	return do_sys_open(how);
}

int report_bad_flags(int fd)
{
	if (unlikely(fd))
		dump_flags(fd);
	return fd;
}

int open_by_handle(int fd)
{
	return fd + 2;
}

int open_again(int fd)
{
	return fd + 4;
}

int dump_flags(int fd)
{
	return fd + 3;
}

int security_open(int fd)
{
	return call_int_hook(file_open, fd);
}
""",
    "kernel/cgroup/cgroup.c": "SYSCALL_DEFINE0(exit)\n{\n\tdo_each_subsys_mask(ss, i, mask) {\n\t\tss->release(task);\n\t}\n}\n",
    "kernel/cgroup/pids.c": "static void pids_release(int a)\n{\n}\n\nstatic int pids_alloc(int a)\n{\n\treturn a;\n}\n\n"
    "struct cgroup_subsys pids_cgrp_subsys = {\n\t.css_alloc\t= pids_alloc,\n\t.release\t= pids_release,\n};\n",
    "fs/kernfs/file.c": "static int kernfs_open(int a)\n{\n\treturn a;\n}\n\nstatic int kernfs_poll(int a)\n{\n\treturn a;\n}\n\n"
    "const struct file_operations kernfs_file_fops = {\n\t.open\t= kernfs_open,\n\t.poll\t= kernfs_poll,\n};\n",
    "fs/rarefs/file.c": "static int rare_open(int a)\n{\n\treturn a;\n}\n\n"
    "const struct file_operations rare_fops = {\n\t.open\t= rare_open,\n};\n",
    "fs/install.c": "int install(int fd)\n{\n\treturn fd;\n}\n\nstatic int helper(int fd)\n{\n\treturn fd;\n}\n",
    "include/linux/numbers.h": "#define alloc_number(fd) alloc_number_noprof(fd)\n"
    "#ifndef CONFIG_NOTES\nstatic inline void note_number(int fd)\n{\n}\n#endif\n"
    "static inline void number_used(int fd)\n{\n\tnote_number(fd);\n}\n",
    "lib/numbers.c": "int alloc_number_noprof(int fd)\n{\n\tnumber_used(fd);\n\treturn helper(fd);\n}\n\n"
    "static int helper(int fd)\n{\n\treturn fd;\n}\n",
    "drivers/misc/notes.c": "void note_number(int fd)\n{\n\tnoted = fd;\n}\n",
    "drivers/misc/thing.c": "static int install(int fd)\n{\n\treturn fd;\n}\n\nstatic const struct ops o = { .install = install };\n",
    "security/far.c": "int far_file_open(int fd)\n{\n\treturn fd;\n}\n",
    "security/guard.c": """
static int guard_file_open(int fd)
{
	return fd;
}

static int guard_other(int fd)
{
	return fd;
}

static struct security_hook_list hooks[] = {
	LSM_HOOK_INIT(file_open, guard_file_open),
	LSM_HOOK_INIT(file_open, far_file_open),
	LSM_HOOK_INIT(other, guard_other),
};
""",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    home = tmp_path_factory.mktemp("ubiquity")
    kernel = Kernel.create(home / "linux", home)
    for path, text in FILES.items():
        kernel.write(path, text)
    kernel.git("add", "-A")
    kernel.git("commit", "-qm", "files")
    kernel.triage("index")
    return kernel


def is_ubiquitous(tree: Kernel, path: str, name: str) -> bool:
    with Objects(git.find(tree.path)) as objects:
        return focus_symbols.is_ubiquitous(Source(objects, "HEAD"), path, name)


@pytest.mark.parametrize(
    ("path", "name", "expected"),
    [
        ("fs/open.c", "sys_openat", True),
        ("fs/open.c", "do_sys_open", True),
        ("fs/open.c", "build_flags", True),
        ("fs/install.c", "install", True),  # under one condition
        ("fs/open.c", "open_by_handle", True),  # under two
        ("fs/open.c", "open_again", False),  # under two, in a loop
        ("drivers/misc/notes.c", "note_number", True),  # a header has its stub
        ("security/far.c", "far_file_open", True),  # registered by another file
        ("fs/open.c", "report_bad_flags", True),
        ("fs/open.c", "dump_flags", False),  # where something failed
        ("lib/numbers.c", "alloc_number_noprof", True),  # by a macro of a header
        ("lib/numbers.c", "helper", True),  # the static of this file is meant,
        ("fs/install.c", "helper", False),  # not one of another
        ("drivers/misc/thing.c", "install", False),
        ("security/guard.c", "guard_file_open", True),
        ("security/guard.c", "guard_other", False),
        ("kernel/cgroup/pids.c", "pids_release", True),  # called for each controller
        ("kernel/cgroup/pids.c", "pids_alloc", False),
        ("fs/kernfs/file.c", "kernfs_open", True),  # every program opens such files
        ("fs/kernfs/file.c", "kernfs_poll", False),
        ("fs/rarefs/file.c", "rare_open", False),
        ("fs/open.c", "nothing", False),
    ],
)
def test_what_every_program_runs(tree: Kernel, path: str, name: str, expected: bool) -> None:
    assert is_ubiquitous(tree, path, name) is expected


def test_such_a_function_is_no_aim_and_the_verdict_says_why(tree: Kernel) -> None:
    tree.stage("fs/install.c", FILES["fs/install.c"].replace("return fd;", "return fd + 1;"))
    verdict = json.loads(tree.triage("check", "--staged", "--offline", "--format", "json"))
    tree.git("reset", "-q", "--hard")
    assert (verdict["FocusSymbols"], verdict["Via"][0]) == (["helper"], "install")
    assert "nearly every program runs install" in [fact["Claim"] for fact in verdict["Evidence"]]


def test_without_the_names_all_can_be_aimed_at(tree: Kernel) -> None:
    kept = ubiquitous_names.file(git.find(tree.path))
    names = kept.read_bytes()
    for other in (b"", b"something else\nfs/install.c install\n"):
        kept.write_bytes(other)
        assert not is_ubiquitous(tree, "fs/install.c", "install")
    kept.unlink()
    assert not is_ubiquitous(tree, "fs/install.c", "install")
    tree.triage("index")
    assert kept.read_bytes() == names
