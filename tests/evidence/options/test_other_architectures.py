"""Directories outside of arch/ that belong to one architecture, on a target that is another one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.small_kernel import Kernel

MAKEFILE = """\
obj-y += hash.o
CFLAGS_hash.o += -I$(src)/$(SRCARCH)
obj-$(CONFIG_ARM64) += arm64/core.o
"""
HEADER = '#include "round.h"\nstatic inline int blocks(int a)\n{\n\treturn rounds(a);\n}\n'
FILES = {
    "mm/hash/Makefile": MAKEFILE,
    "mm/hash/hash.c": '#include "hash.h"\nint hash(int a)\n{\n\treturn blocks(a);\n}\n',
    "mm/hash/arm64/hash.h": HEADER,
    "mm/hash/arm64/round.h": "static inline int rounds(int a)\n{\n\treturn a + 1;\n}\n",
    "mm/hash/arm64/core.S": "SYM_FUNC_START(core)\n\tadd x0, x0, #1\n",
    "mm/hash/arm64/glue.c": '#include "round.h"\nint glue(int a)\n{\n\treturn rounds(a);\n}\n',
    "mm/hash/x86/hash.h": HEADER.replace('#include "round.h"\n', "").replace("rounds(a)", "a + 1"),
}
EDITS = {
    "mm/hash/arm64/hash.h": ("rounds(a)", "rounds(a + 1)"),
    "mm/hash/arm64/round.h": ("a + 1", "a + 2"),
    "mm/hash/arm64/core.S": ("#1", "#2"),
    "mm/hash/arm64/glue.c": ("rounds(a)", "rounds(a + 1)"),
    "mm/hash/x86/hash.h": ("a + 1", "a + 2"),
}


def judged(kernel: Kernel, path: str, more: dict[str, str], *, arch: str = "x86_64", indexed: bool = True) -> dict[str, Any]:
    """The verdict on the edit of one file, in a tree with some files more."""
    kernel.write("mm/Makefile", kernel.read("mm/Makefile") + "obj-y += hash/\n")
    for place, text in {**FILES, **more}.items():
        kernel.write(place, text)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "hash")
    if indexed:
        kernel.triage("index", "--quiet")
    kernel.replace(path, *EDITS[path])
    kernel.git("add", "-A", "-f")
    return dict(json.loads(kernel.triage("check", "--format", "json", PATCH_TRIAGE_TARGET_ARCH=arch)))


@pytest.mark.parametrize("path", [path for path in EDITS if "arm64" in path])
def test_a_file_of_another_architecture_is_out_of_reach_and_asks_for_nothing(kernel: Kernel, path: str) -> None:
    found = judged(kernel, path, {})
    assert (found["Reachable"], found["WorthFuzzing"], found["EnableConfigs"], found["FocusSymbols"]) == ("no", False, [], [])
    assert any(
        one["Claim"] == "mm/hash/arm64/ is code of arm64: make takes mm/hash/x86/ for a kernel of the target"
        and (one["Path"], one["Line"]) == ("mm/hash/Makefile", 2)
        for one in found["Evidence"]
    )


@pytest.mark.parametrize(
    ("path", "arch"), [("mm/hash/x86/hash.h", "x86_64"), ("mm/hash/arm64/hash.h", "arm64"), ("mm/hash/arm64/core.S", "arm64")]
)
def test_a_file_of_the_target_is_not(kernel: Kernel, path: str, arch: str) -> None:
    assert judged(kernel, path, {}, arch=arch)["Reachable"] != "no"


@pytest.mark.parametrize(
    "more",
    [
        {"mm/hash/hash.c": '#include "arm64/hash.h"\n' + FILES["mm/hash/hash.c"]},
        {"mm/hash/hash.c": '#define HEADER "arm64/round.h"\n#include HEADER\n' + FILES["mm/hash/hash.c"]},
        {"mm/user.c": "#include <hash/arm64/hash.h>\n"},
        {"mm/hash/arm64/hash.h": "#define ROUND <round.h>\n#include ROUND\n", "mm/user.c": "#include <hash/arm64/hash.h>\n"},
        {"mm/hash/Makefile": MAKEFILE + "ccflags-y += -I$(src)/arm64\n"},
        {"mm/hash/Makefile": MAKEFILE + "wide := arm64\nccflags-y += -I$(src)/$(wide)\n"},
        {"mm/hash/Makefile": MAKEFILE + "SRCARCH := arm64\n"},
        {"mm/hash/Makefile": MAKEFILE + "obj-y += arm64/glue.o\n"},
        {"mm/hash/Makefile": MAKEFILE + "obj-$(CONFIG_POOL) += more.o\nmore-y := arm64/glue.o\n"},
        {"mm/hash/Makefile": MAKEFILE + "vpath %.c mm/hash/arm64\n"},
        {"mm/hash/Makefile": MAKEFILE + "$(obj)/table.h: $(src)/arm64/round.h\n\tsed p $< > $@\n"},
        {"mm/hash/Makefile": MAKEFILE + "sources := arm64/glue.c\n"},
        {"mm/hash/Makefile": MAKEFILE.replace("-I$(src)/$(SRCARCH)", "")},
        {"mm/Makefile": "obj-y += pool.o hash/ hash/arm64/glue.o\n"},
        {"mm/near/Makefile": "obj-y += ../hash/arm64/glue.o\n"},
        {"drivers/wide/Makefile": "wide := arm64\nplace := mm/hash\nccflags-y += -I$(srctree)/$(place)/$(wide)\n"},
        {"mm/hash/arm64/Makefile": "obj-y += glue.o\n"},
    ],
    ids=lambda more: next(iter(more.items()))[1].splitlines()[-1][:40],
)
def test_what_the_target_takes_of_it_in_any_way_is_not(kernel: Kernel, more: dict[str, str]) -> None:
    assert judged(kernel, "mm/hash/arm64/round.h", more)["Reachable"] == "unknown"


def test_nothing_is_said_without_the_word_index(kernel: Kernel) -> None:
    assert judged(kernel, "mm/hash/arm64/round.h", {}, indexed=False)["Reachable"] == "unknown"


@pytest.mark.parametrize(("config", "answer"), [("depends on ARM64", "no"), ("", "unknown")])
def test_the_makefile_of_a_directory_above_is_the_nearest_one(kernel: Kernel, config: str, answer: str) -> None:
    more = {
        "mm/hash/Makefile": "obj-$(CONFIG_WIDE) += arm64/glue.o\n",
        "mm/Kconfig": kernel.read("mm/Kconfig") + f'config WIDE\n\tbool "wide"\n\t{config}\n',
        "mm/other/Makefile": "obj-y += glue.o\n",  # a file of its own
    }
    assert judged(kernel, "mm/hash/arm64/glue.c", more)["Reachable"] == answer


@pytest.mark.parametrize(
    "rule", ["obj-y += ../hash/arm64/glue.o\n", "obj-y += $(srctree)/mm/hash/arm64/glue.o\n", "glue := glue.o\nVPATH := x\n"]
)
def test_a_makefile_that_leads_elsewhere_may_build_the_file(kernel: Kernel, rule: str) -> None:
    more = {
        "mm/hash/Makefile": "obj-$(CONFIG_WIDE) += arm64/glue.o\n",
        "mm/Kconfig": kernel.read("mm/Kconfig") + 'config WIDE\n\tbool "wide"\n\tdepends on ARM64\n',
        "mm/other/Makefile": rule,
    }
    assert judged(kernel, "mm/hash/arm64/glue.c", more)["Reachable"] == "unknown"


ALONE = "obj-y += hash.o\nifeq ($(ARCH),arm64)\nobj-y += glue.o\nendif\n"


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        ({"mm/hash/Makefile": ALONE}, "no"),
        ({"mm/hash/Makefile": ALONE.replace("endif", "else\nobj-y += glue.o\nendif")}, "unknown"),
        ({"mm/hash/Makefile": ALONE.replace("arm64", "x86_64")}, "unknown"),
        ({"mm/hash/Makefile": ALONE.replace("arm64", "powerpc")}, "unknown"),  # not an architecture of this tree
        ({"mm/hash/Makefile": ALONE + "obj-y += $(shell ls)\n"}, "unknown"),
        ({"mm/hash/Makefile": ALONE, "mm/Makefile": "obj-y += pool.o hash/ hash/glue.o\n"}, "unknown"),
        ({"mm/hash/Makefile": ALONE, "mm/hash/hash.c": '#include "glue.c"\n'}, "unknown"),
    ],
)
def test_a_file_that_a_makefile_builds_for_another_architecture_alone(kernel: Kernel, more: dict[str, str], answer: str) -> None:
    path = "mm/hash/glue.c"
    EDITS[path] = ("a + 1", "a + 2")
    found = judged(
        kernel, path, {path: "int glue(int a)\n{\n\treturn a + 1;\n}\n", "arch/arm64/Kconfig": "config ARM64\n\tdef_bool y\n", **more}
    )
    assert found["Reachable"] == answer
