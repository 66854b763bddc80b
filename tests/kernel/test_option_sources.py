"""What no kernel for the target holds, and what only looks so: a tree without its Kconfig, and names that are given by something else."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping

import pytest

from hook.kernel.kernel import Kernel
from tests import small_kernel
from tests.conftest import Grow

PLAIN = "int plain(void)\n{\n\treturn 1;\n}\n"
FOREIGN = "#ifdef CONFIG_ARM64\nint foreign(void)\n{\n\treturn 1;\n}\n#endif\n"  # arch/arm64/Kconfig defines it
BY_ARM = "obj-$(CONFIG_ARM64) += a.o\n"


def excluded(grow: Grow, kernel: small_kernel.Kernel, files: Mapping[str, str], line: int, *, indexed: bool = True) -> str:
    source = grow({"drivers/Makefile": "obj-y += d/\n", **files})
    if indexed:
        kernel.triage("index", "--quiet")
    asked = Kernel(source, "x86_64", "gcc-12", None)
    conditionals = asked.conditionals("drivers/d/a.c")
    assert conditionals is not None
    return asked.excluded("drivers/d/a.c", [conditional.condition for conditional in conditionals.at(line)])


@pytest.mark.parametrize(
    ("makefile", "text"),
    [
        (BY_ARM, PLAIN),
        ("obj-y += a.o\n", FOREIGN),
        ("obj-y += a.o\nCONFIG_ARM64_MORE := y\nccflags-y += -DCONFIG_ARM64_MORE\n", FOREIGN),
        ("obj-y += a.o\n", "#define CONFIG_ARM64_MORE 1\n" + FOREIGN),
        ("obj-y += a.o b.o\n", FOREIGN),
    ],
)
def test_what_only_another_architecture_has_is_in_no_kernel(grow: Grow, kernel: small_kernel.Kernel, makefile: str, text: str) -> None:
    files = {
        "drivers/d/Makefile": makefile,
        "drivers/d/a.c": text,
        "drivers/d/b.c": '#include "b.h"\n',
        "drivers/d/b.h": "#define CONFIG_ARM64 1\n",
    }
    assert "ARM64 is not there for this architecture" in excluded(grow, kernel, files, 3)


@pytest.mark.parametrize(
    ("makefile", "text", "more"),
    [
        ("obj-$(CONFIG_VENDOR) += a.o\n", PLAIN, {}),
        ("obj-$(CONFIG_VENDOR) += a.o\n", PLAIN, {"drivers/d/Kconfig": 'config VENDOR\n\tbool "no file sources this"\n'}),
        ("obj-$(CONFIG_ARM64) += a.o\n", PLAIN, {"drivers/d/Kconfig": 'config ARM64\n\tbool "no file sources this"\n'}),
        ("CONFIG_ARM64 := y\n" + BY_ARM, PLAIN, {}),
        (BY_ARM, PLAIN, {"drivers/Makefile": "export CONFIG_ARM64 = y\nobj-y += d/\n"}),
        ("ifeq ($(shell true),)\n" + BY_ARM + "endif\n", PLAIN, {}),
        (BY_ARM, PLAIN, {"drivers/Makefile": "obj-y += e/\n"}),
        ("obj-y += a.o\n", "#define CONFIG_ARM64 1\n" + FOREIGN, {}),
        ("obj-y += a.o\n", "#ifdef CONFIG_BAND\nint band;\n\n#endif\n", {}),
        ("obj-y += a.o\nccflags-y += -DCONFIG_ARM64\n", FOREIGN, {}),
        ("obj-y += a.o\n", '#include "b.h"\n' + FOREIGN, {"drivers/d/b.h": "#define CONFIG_ARM64 1\n"}),
        (
            "obj-y += a.o\n",
            '#include "c.h"\n' + FOREIGN,
            {"drivers/d/c.h": '#include "b.h"\n', "drivers/d/b.h": "#define CONFIG_ARM64 1\n"},
        ),
        ("obj-y += a.o\n", "#undef CONFIG_X86_64\n#ifndef CONFIG_X86_64\nint not;\n#endif\n", {}),
        (BY_ARM, PLAIN, {"Kconfig": "# not that of a kernel\n"}),
    ],
)
def test_what_something_else_than_kconfig_may_give_is_not_excluded(
    grow: Grow, kernel: small_kernel.Kernel, makefile: str, text: str, more: Mapping[str, str]
) -> None:
    files = {"drivers/d/Makefile": makefile, "drivers/d/a.c": text, **more}
    assert excluded(grow, kernel, files, 3) == ""


def test_nothing_is_excluded_without_the_word_index(grow: Grow, kernel: small_kernel.Kernel) -> None:
    assert excluded(grow, kernel, {"drivers/d/Makefile": BY_ARM, "drivers/d/a.c": PLAIN}, 1, indexed=False) == ""


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("place", ["", "linux", "vendor/acme"])
def test_a_tree_that_is_no_whole_kernel_proves_nothing(tmp_path: pathlib.Path, place: str, indexed: bool) -> None:
    """A driver alone, a kernel below the top of the repository, and a driver of a vendor beside it."""
    kernel = small_kernel.Kernel.create(tmp_path / "super", tmp_path / "home")
    kernel.git("rm", "-rq", ".")
    text = 'static struct platform_driver a_driver = {\n\t.driver = { .name = "a" },\n};\nmodule_platform_driver(a_driver);\n'
    for path in ("drivers/net/a.c", f"{place}/drivers/net/a.c".strip("/")):
        kernel.write(path, text)
        kernel.write(f"{path.rpartition('/')[0]}/Makefile", "obj-$(CONFIG_A) += a.o\n")
    if place:
        kernel.write(f"{place}/Kconfig", 'config X86_64\n\tdef_bool y\nconfig A\n\ttristate "A"\n')
        kernel.write(f"{place}/Makefile", "obj-y += drivers/\n")
        kernel.write(f"{place}/drivers/Makefile", "obj-y += net/\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "a driver")
    if indexed:
        kernel.triage("index", "--quiet")
    for path in {"drivers/net/a.c", f"{place}/drivers/net/a.c".strip("/")}:
        kernel.replace(path, '"a"', '"b"')
        kernel.git("add", "-A", "-f")
        verdict = kernel.triage("check", "--format", "json")
        assert '"WorthFuzzing": true' in verdict and "there is no Kconfig at the top of the tree" in verdict
        kernel.git("reset", "-q", "--hard")


def test_a_driver_of_a_vendor_whose_kconfig_is_not_sourced_is_worth_fuzzing(kernel: small_kernel.Kernel) -> None:
    kernel.write("drivers/Makefile", "obj-y += net/ acme/\n")
    kernel.write("drivers/acme/Makefile", "obj-$(CONFIG_ACME) += widget.o\n")
    kernel.write("drivers/acme/Kconfig", 'config ACME\n\ttristate "a driver of a vendor"\n')
    kernel.write("drivers/acme/widget.c", "int acme(void)\n{\n\treturn 1;\n}\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "acme")
    kernel.triage("index", "--quiet")
    kernel.replace("drivers/acme/widget.c", "return 1;", "return 2;")
    kernel.git("add", "-A", "-f")
    assert '"WorthFuzzing": true' in kernel.triage("check", "--format", "json")
