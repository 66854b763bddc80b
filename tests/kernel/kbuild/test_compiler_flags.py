"""What makefiles give the compiler of a C file, and where only make could tell."""

from __future__ import annotations

import pytest

from hook.kernel.kbuild import compiler_flags
from hook.source.tree import Source
from tests.conftest import Grow
from tests.small_kernel import Kernel

# what the makefile of a directory says, and the names that it gives; None where that is not known
MAKEFILES = {
    "ccflags-y += -Dtake=give\n": {"take"},
    "ccflags-y += -D'take(a)=give(a)' -UDEBUG\n": {"take", "DEBUG"},
    "GIVEN := -Dtake=give\nCFLAGS_one.o += $(GIVEN)\n": {"take"},
    "ccflags-y += \\\n\t-D take=$(TAKEN)\n": {"take"},
    "$(obj)/one.o: ccflags-y += -Dtake=give\n": {"take"},
    "# ccflags-y += -D$(NAME)\nobj-y += one.o\n": set(),
    "CHECKFLAGS += -D$(NAME)\nAFLAGS_one.o := -D$(NAME)\nCPPFLAGS_box.lds += -U$(ARCH)\n": set(),
    "obj-y += one.o\n$(obj)/one.o:\n\t$(NM) -D $< > $@\n\tinstall -D $< $(shell pwd)\n": set(),
    "always-y += $(shell find $(src) -name '*.h')\naltivec += -isystem $(shell $(CC) -print-file-name=include)\n": set(),
    "ccflags-y += -D$(NAME)\n": None,
    "ccflags-y += -Dtake_$(NAME)\n": None,
    "FLAG := -D\nccflags-y += $(FLAG)take=give\n": None,
    "ccflags-y += $(addprefix -D,take=give)\n": None,
    "ccflags-y += $(shell cat $(src)/flags)\n": None,
    "MORE := $(shell cat $(src)/flags)\nccflags-y += $(MORE)\n": None,
    "ccflags-y += @$(src)/flags\n": None,
    "$(obj)/one.o: ccflags-y += -D$(NAME)\n": None,
    "FLAG := -include\nccflags-y += $(FLAG) $(src)/own.h\n": None,
    "include $(src)/flags.mk\n": {"in_part"},
    "PLACE := $(src)\nPARTS = $(PLACE)/flags.mk\ninclude $(PARTS)\n": {"in_part"},
    "include $(src)/above.mk\n": {"in_part_above"},
    "include $(src)/nowhere.mk\n": None,
    "include $(addsuffix /flags.mk,$(OF_THE_USER))\n": {"in_user"},
}


def names(source: Source, directory: str) -> set[str] | None:
    flags = compiler_flags.read(source, directory)
    return None if flags is None else {name.decode() for name in flags.names}


def test_the_flags_of_a_directory(grow: Grow) -> None:
    files = {"box/above.mk": "ccflags-y += -Din_part_above\n", "user/Makefile": "OF_THE_USER := parts\nccflags-y += -Din_user\n"}
    for number, text in enumerate(MAKEFILES):
        files |= {f"box/{number}/Makefile": text, f"box/{number}/flags.mk": "ccflags-y += -Din_part\n"}
    source = grow(files)
    of_all = names(source, "")
    assert of_all is not None
    for number, (text, given) in enumerate(MAKEFILES.items()):
        found = names(source, f"box/{number}")
        assert (None if found is None else found - of_all) == given, text


def test_the_flags_of_the_whole_kernel(grow: Grow, kernel: Kernel) -> None:
    flags = {
        "Makefile": "KBUILD_CFLAGS += -Dof_top -DKBUILD_MODNAME=one\nLINUXINCLUDE := -Iinclude \\\n\t-include $(srctree)/include/linux/all.h\n"
        "-include .kernelvariables\n",
        "scripts/Makefile.lib": "modkern_cflags = -Dof_lib\n",
        "scripts/Makefile.clean": "rm-files := -Dnothing\n",
        "arch/x86/Makefile": "KBUILD_CFLAGS += -Dof_arch\nCHECKFLAGS += -D$(NAME)\n",
    }
    found = compiler_flags.read(grow(flags), "box")
    assert found is not None
    assert {b"of_top", b"of_lib", b"of_arch"} <= found.names
    assert {b"nothing", b"KBUILD_MODNAME"}.isdisjoint(found.names)
    assert found.headers == ("include/linux/all.h",)
    assert compiler_flags.read(grow({"Makefile": "KBUILD_CFLAGS += -D$(NAME)\n"}), "box") is None


def test_a_header_that_a_makefile_puts_first(grow: Grow) -> None:
    source = grow({"box/Makefile": "ccflags-y += -include $(srctree)/$(src)/first.h -imacros include/linux/own.h\n", "box/first.h": ""})
    found = compiler_flags.read(source, "box")
    assert found is not None
    assert set(found.headers) >= {"box/first.h", "include/linux/own.h"}


def test_a_command_that_includes_a_header_is_no_flag(grow: Grow) -> None:
    command = "ccflags-y += -include $(src)/all.h\nquiet_cmd_check = CHECK $<\n      cmd_check = $(CC) $(c_flags) \\\n\t-x c /dev/null -include $<; touch $@\n"
    found = compiler_flags.read(grow({"box/Makefile": command}), "box")
    assert found is not None
    assert found.headers[-1] == "box/all.h"


@pytest.mark.parametrize(
    ("makefile", "text", "places"),
    [
        ("user/Makefile", "obj-y += ../box/one.o\n", ["user"]),
        ("user/Makefile", "obj-y += $(srctree)/box/one.o\n", ["user"]),
        ("user/Makefile", "BOX := ../box\nobj-y += $(BOX)/one.o\n", ["user"]),
        ("user/Makefile", "obj-y += far/one.o\n$(obj)/far/%.o: $(srctree)/box/%.c FORCE\n\t$(call if_changed_rule,cc_o_c)\n", ["user"]),
        ("box/below/Makefile", "obj-y += ../one.o\n", ["box/below"]),
        ("user/Makefile", "obj-y += one.o box/\n", []),
        ("user/Makefile", "obj-y += box/one.o\n", []),  # user/box/one.c
        ("box/below/Makefile", "obj-y += one.o\n", []),
    ],
)
def test_makefiles_elsewhere_that_compile_a_file(grow: Grow, makefile: str, text: str, places: list[str]) -> None:
    source = grow({"box/Makefile": "obj-y += one.o\n", "box/one.c": "int one;\n", makefile: text})
    assert compiler_flags.elsewhere(source, "box/one.c") == places
