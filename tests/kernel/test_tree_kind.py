"""Repositories that are no kernel, and those that only look like none."""

from __future__ import annotations

import pytest

from hook.kernel.tree_kind import NO_KERNEL
from tests.small_kernel import Kernel

PROGRAM = {"src/main.c": "int main(void)\n{\n\treturn 0;\n}\n", "Makefile": "all: src/main\n", "include/main.h": "#define A 1\n"}


def emptied(kernel: Kernel, files: dict[str, str]) -> None:
    """The repository with other files alone."""
    kernel.git("rm", "-rq", ".")
    for path, text in files.items():
        kernel.write(path, text)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "other", "--no-verify")


def test_in_a_repository_that_is_no_kernel_the_hooks_are_silent_and_every_command_that_judges_says_so_once(hooked: Kernel) -> None:
    emptied(hooked, PROGRAM)
    hooked.stage("src/main.c", "int main(void)\n{\n\treturn 1;\n}\n")
    assert hooked.triage_both("check", ok=2) == ("", f"patch-triage: {NO_KERNEL}\n")
    for words in ("check HEAD", "check HEAD~1..HEAD", "review HEAD~1..HEAD", "configs", "export kconfig HEAD", "plan --out run"):
        assert hooked.triage_both(*words.split(), ok=2) == ("", f"patch-triage: {NO_KERNEL}\n")
    assert hooked.triage_both("review", "-", data="not read", ok=2)[1] == f"patch-triage: {NO_KERNEL}\n"
    # a hook of `repo upload` may be there for every project of a manifest
    hooked.git("config", "patchtriage.policy.block", "worth-fuzzing")
    assert hooked.triage_both("presubmit") == (f"{NO_KERNEL}\n", "")
    for stage in ("pre-commit", "post-commit", "pre-push"):
        assert hooked.triage_both("hook", stage) == ("", "")


@pytest.mark.parametrize(
    "files",
    [
        {"linux/Kconfig": 'config A\n\tbool "a"\n'},
        {"driver/Makefile": "obj-m += driver.o\n"},
        {"a/b/c/d/Kbuild": "obj-$(CONFIG_A) += driver.o\n"},
        {"Makefile": "all:\n\t$(MAKE) -C /lib/modules/$(shell uname -r)/build M=$(CURDIR)\n"},
        {"dkms.conf": "PACKAGE_NAME=x\n"},
        {"drivers/net/a.c": "int a;\n"},
        {"src/include/linux/a.h": "#define A 1\n"},
    ],
    ids=lambda files: next(iter(files)),
)
def test_what_may_be_a_part_of_a_kernel_or_a_module_for_one_is_judged(kernel: Kernel, files: dict[str, str]) -> None:
    emptied(kernel, {**PROGRAM, **files})
    kernel.stage("src/main.c", "int main(void)\n{\n\treturn 1;\n}\n")
    assert kernel.triage("check").startswith("worth fuzzing")


def test_before_the_first_commit_a_kernel_is_judged(kernel: Kernel) -> None:
    kernel.git("update-ref", "-d", "HEAD")
    assert "worth fuzzing" in kernel.triage("check")
