"""From a file to the options that build it."""

from __future__ import annotations

import pytest

from hook.kernel.kbuild import rust_modules
from hook.kernel.kbuild.objects import Kbuild
from hook.kernel.kconfig import expressions
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.conftest import Grow
from tests.small_kernel import Kernel

X86 = {"ARCH": "x86_64", "SRCARCH": "x86"}
TOP = "obj-y += drivers/ mm/\nobj-$(CONFIG_NET) += net/\n"


@pytest.mark.parametrize(
    ("makefile", "condition"),
    [
        ("obj-$(CONFIG_X) += a.o", "X"),
        ("obj-y += a.o", "y"),
        ("obj-$(CONFIG_X) += whole.o\nwhole-y := b.o a.o", "X"),
        ("obj-$(CONFIG_X) += whole.o\nwhole-objs := b.o \\\n\ta.o", "X"),
        ("obj-$(CONFIG_X) += whole.o\nwhole-$(CONFIG_Y) += a.o", "Y && X"),
        ("ifdef CONFIG_X\nobj-y += a.o\nendif", "X"),
        ("ifeq ($(CONFIG_X),y)\nobj-y += b.o\nelse\nobj-y += a.o\nendif", "X!=y"),
        ("ifneq ($(CONFIG_X)$(CONFIG_Y),)\nobj-y += a.o\nendif", "X || Y"),
        ("list := a.o b.o\nobj-$(CONFIG_X) += $(list)", "X"),
        ("obj-$(CONFIG_X) += $(addprefix ./, a.o b.o)", "X"),
        ("parts := a b\nobj-$(CONFIG_X) += $(patsubst %,%.o,$(parts))", "X"),
        ("parts := a.c b.c\nobj-$(CONFIG_X) += $(parts:.c=.o)", "X"),
        ("obj-$(subst m,y,$(CONFIG_X)) += a.o", "X || X=m"),
        ("lib-$(CONFIG_X) += a.o", "X"),
        ("obj-$(CONFIG_X) += a.o # a comment\nobj-$(CONFIG_Y) += a.o", "X || Y"),
        ("include $(src)/more.mk", "Z"),
        ("obj-$(CONFIG_X) += whole_$(BITS).o\nwhole_64-y := a.o", "X"),
        ("obj-$(CONFIG_X) += $(subst 32,a,$(BITS)).o", "no makefile names drivers/d/a.c"),
        ("obj-y += b.o\nfoo: a.o\n\tobj-y += a.o", "no makefile names drivers/d/a.c"),
        ("define x\n\tendef\nobj-y += a.o\nendef", "no makefile names drivers/d/a.c"),
        ("define x\n\tendef\nendef\nobj-y += a.o", "y"),
        ("obj-$(SOMETHING) += a.o", "no makefile names drivers/d/a.c"),
        ("ifeq ($(ARCH),arm64)\nobj-$(CONFIG_X) += a.o\nendif", "ARM64"),
        ("ifeq ($(SRCARCH), arm64)\nobj-$(CONFIG_X) += b.o\nb-y := c.o a.o\nendif", "ARM64"),
        ("ifeq ($(ARCH),arm64)\nobj-y += a.o\nelse\nobj-$(CONFIG_X) += a.o\nendif", "X"),
        ("ifneq ($(ARCH),arm64)\nobj-$(CONFIG_X) += a.o\nendif", "X"),
        ("ifeq ($(ARCH),x86)\nobj-y += a.o\nendif", "no makefile names drivers/d/a.c"),
        ("ifeq ($(ARCH),nowhere)\nobj-y += a.o\nendif", "no makefile names drivers/d/a.c"),
        ("ifeq ($(ARCH),arm64)\nCFLAGS_b += a.o\nendif", "no makefile names drivers/d/a.c"),
        ("ifeq ($(ARCH),arm64)\nobj-y += a.o\nendif\nb-y := $(shell ls)", "no makefile names drivers/d/a.c"),
        ("ifeq ($(shell true),)\nobj-$(CONFIG_X) += a.o\nendif", "drivers/d/Makefile:1: only make can evaluate this && X"),
    ],
)
def test_a_makefile_and_when_it_builds_a_file(grow: Grow, makefile: str, condition: str) -> None:
    source = grow(
        {
            "Kbuild": TOP,
            "drivers/Makefile": "obj-y += d/\n",
            "drivers/d/Makefile": makefile + "\n",
            "drivers/d/a.c": "int a;\n",
            "drivers/d/more.mk": "obj-$(CONFIG_Z) += a.o\n",
            "arch/arm64/Kconfig": "config ARM64\n\tdef_bool y\n",
            "arch/x86/Kconfig": "config X86\n\tdef_bool y\n",
        }
    )
    assert expressions.shown(Kbuild(source, X86).built_if("drivers/d/a.c").condition) == condition


def test_the_directories_up_to_the_top_count(grow: Grow) -> None:
    source = grow(
        {
            "Kbuild": TOP,
            "net/Makefile": "obj-$(CONFIG_DEEP) += deep/er/\n",
            "net/deep/er/Kbuild": "obj-y += a.o\n",
            "net/deep/er/Makefile": "obj-$(CONFIG_NOT_READ) += a.o\n",
            "net/deep/er/a.c": "int a;\n",
        }
    )
    built = Kbuild(source, X86).built_if("net/deep/er/a.c")
    assert expressions.shown(built.condition) == "DEEP && NET"
    assert [(path, line) for path, line, _ in built.places] == [("net/deep/er/Kbuild", 1), ("net/Makefile", 1), ("Kbuild", 2)]


def test_an_older_top_makefile_names_the_directories_itself(grow: Grow) -> None:
    source = grow(
        {
            "Makefile": "ifeq ($(KBUILD_EXTMOD),)\ncore-y := mm/\nendif\ndrivers-y := drivers/\nexport x\n",
            "arch/x86/Makefile": "drivers-$(CONFIG_PCI) += arch/x86/pci/\n",
            "arch/x86/pci/Makefile": "obj-y += a.o\n",
            "arch/x86/pci/a.c": "int a;\n",
        }
    )
    kbuild = Kbuild(source, X86)
    assert expressions.shown(kbuild.built_if("arch/x86/pci/a.c").condition) == "PCI"
    assert expressions.shown(kbuild.built_if("mm/pool.c").condition) == "POOL"


def test_an_object_may_be_named_from_a_directory_above(grow: Grow) -> None:
    source = grow({"Kbuild": TOP, "drivers/Makefile": "obj-$(CONFIG_BIG) += big.o\nbig-y := part/a.o\n", "drivers/part/a.c": "int a;\n"})
    assert expressions.shown(Kbuild(source, X86).built_if("drivers/part/a.c").condition) == "BIG"


def test_a_directory_that_only_one_above_its_own_leads_to(grow: Grow) -> None:
    """drivers/media/platform/st: its makefile goes past that of sti/, which nothing leads to."""
    source = grow(
        {
            "Kbuild": TOP,
            "drivers/Makefile": "obj-$(CONFIG_ST) += sti/part/\n",
            "drivers/sti/Makefile": "obj-y += part/\n",
            "drivers/sti/part/Makefile": "obj-$(CONFIG_PART) += a.o\n",
            "drivers/sti/part/a.c": "int a;\n",
        }
    )
    condition = Kbuild(source, X86).built_if("drivers/sti/part/a.c").condition
    assert expressions.shown(expressions.taken_to_hold(condition)) == "PART && ST"
    assert expressions.open_parts(condition) == ["no makefile leads to drivers/sti"]  # another makefile may: it is never called impossible


def test_what_is_only_made_a_module_is_not_taken_to_be_built_in(grow: Grow) -> None:
    source = grow(
        {
            "Kbuild": TOP,
            "drivers/Makefile": "obj-$(CONFIG_WIFI) += wifi.o\nifeq ($(CONFIG_WIFI),m)\nobj-m += part/\nelse\nwifi-y += part/a.o\nendif\nobj-m += b.o\n",
            "drivers/part/Makefile": "obj-m += whole.o\nwhole-y := a.o c.o\n",
            "drivers/part/a.c": "int a;\n",
            "drivers/part/c.c": "int c;\n",
            "drivers/b.c": "int b;\n",
        }
    )
    kbuild = Kbuild(source, X86)
    assert "drivers/Makefile:7 makes a module of it" in expressions.shown(kbuild.built_if("drivers/b.c").condition)
    # a makefile above builds the one file in, where the option is no module; nothing does so for the other
    above = expressions.taken_to_hold(kbuild.built_if("drivers/part/a.c").condition)
    assert "WIFI!=m && WIFI" in expressions.shown(above)
    only = expressions.taken_to_hold(kbuild.built_if("drivers/part/c.c").condition)
    assert expressions.shown(only) == "WIFI=m"


@pytest.mark.parametrize(
    "makefile",
    [
        "a = $(a)$(a)\nobj-y += $(a) a.o\n",
        "a = $(b)$(b)\nb = $(c)$(c)\nc = $(d)$(d)\nd = $(CONFIG_A)$(CONFIG_B)$(CONFIG_C)$(CONFIG_D)$(CONFIG_E)\nobj-$(a) += a.o\n",
        "include drivers/d/Makefile\nobj-y += a.o\n",
        "obj-y += " + "$(a " * 5000 + "\nobj-y += a.o\n",
        "".join(f"v{n} = $(v{n + 1}) $(v{n + 1})\n" for n in range(60)) + "v60 = b.o\nobj-y += $(v0)\nobj-y += a.o\n",
    ],
)
def test_a_hostile_makefile_is_bounded_and_nothing_is_claimed(grow: Grow, makefile: str) -> None:
    source = grow({"Kbuild": TOP, "drivers/Makefile": "obj-y += d/\n", "drivers/d/Makefile": makefile, "drivers/d/a.c": "int a;\n"})
    assert expressions.taken_to_hold(Kbuild(source, X86).built_if("drivers/d/a.c").condition) == expressions.YES


def test_a_file_belongs_to_the_objects_that_list_it(grow: Grow) -> None:
    makefile = "one-y := a.o b.o\none-$(CONFIG_Y) += c.o\ntwo-objs := a.o\nobj-$(CONFIG_X) += one.o\nobj-m += two.o\nobj-y += alone.o\nhostprogs := gen\n"
    source = grow({"Makefile": TOP, "drivers/Makefile": "obj-y += d/\n", "drivers/d/Makefile": makefile})
    kbuild = Kbuild(source, X86)
    one, *_ = kbuild.objects("drivers/d/c.c")
    assert (one.path, one.members, one.whole) == ("drivers/d/one", ("drivers/d/a.c", "drivers/d/b.c", "drivers/d/c.c"), True)
    assert one.place == ("drivers/d/Makefile", 4) and list(expressions.names(one.condition)) == ["X"]
    assert {each.name for each in kbuild.objects("drivers/d/a.c")} >= {"one"}
    assert kbuild.objects("drivers/d/alone.c")[0].members == ("drivers/d/alone.c",)
    assert kbuild.objects("drivers/d/nowhere.c") == []
    assert kbuild.is_host_program("drivers/d/gen.c") and not kbuild.is_host_program("drivers/d/a.c")


def test_a_part_of_a_makefile_is_included_by_that_of_the_target(kernel: Kernel) -> None:
    """virt/kvm/Makefile.kvm, which arch/*/kvm/Makefile includes."""
    kernel.write("virt/kvm/Makefile.kvm", "KVM ?= ../../../virt/kvm\nkvm-$(CONFIG_EVENTS) += $(KVM)/eventfd.o\n")
    kernel.write("virt/kvm/eventfd.c", "int a;\n")
    for arch in ("x86", "arm64"):
        name = arch.upper()
        kernel.write(f"arch/{arch}/Kbuild", "obj-y += kvm/\n")
        kernel.write(f"arch/{arch}/kvm/Makefile", f"include $(srctree)/virt/kvm/Makefile.kvm\nobj-$(CONFIG_KVM_{name}) += kvm.o\n")
    kernel.write("Kbuild", "obj-y += arch/$(SRCARCH)/\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "kvm")
    kernel.triage("index", "--quiet")
    with Objects(find(kernel.path), 16 << 20) as objects:
        assert expressions.shown(Kbuild(Source(objects, "HEAD"), X86).built_if("virt/kvm/eventfd.c").condition) == "EVENTS && KVM_X86"


@pytest.mark.parametrize(
    ("files", "condition"),
    [
        ({"d/main.rs": "mod node;\n"}, "CRATE"),
        ({"d/main.rs": "pub(crate) mod node;\n"}, "CRATE"),
        ({"d/main.rs": "#[cfg(CONFIG_EXTRA)]\npub mod node;\n"}, "EXTRA && CRATE"),
        ({"d/main.rs": "#[allow(dead_code)]\nmod node;\n"}, "CRATE"),
        ({"d/main.rs": "mod outer;\n", "d/outer.rs": "mod node;\n"}, None),  # d/outer/node.rs would be meant
        ({"d/main.rs": "#[cfg(not(CONFIG_EXTRA))]\nmod node;\n"}, None),
        ({"d/main.rs": "// mod node;\n"}, None),
        ({"d/main.rs": "mod nodes;\n"}, None),
        ({"d/main.rs": "mod node { }\n"}, None),
        ({"d/node.rs": "mod node;\n"}, None),
    ],
)
def test_a_module_of_rust_is_built_with_the_file_that_takes_it_in(grow: Grow, files: dict[str, str], condition: str | None) -> None:
    makefiles = {"Kbuild": "obj-y += d/\n", "d/Makefile": "obj-$(CONFIG_CRATE) += main.o\n"}
    built = Kbuild(grow({**makefiles, "d/node.rs": "fn f() {}\n", **files}), X86).built_if("d/node.rs")
    if condition is None:
        assert expressions.open_parts(built.condition)
    else:
        assert expressions.shown(built.condition) == condition


@pytest.mark.parametrize("path", ["d/node/inner.rs", "d/node/deep/mod.rs", "d/mods/one.rs"])
def test_a_module_in_a_directory_is_taken_in_by_the_file_of_its_name(grow: Grow, path: str) -> None:
    files = {
        "Kbuild": "obj-y += d/\n", "d/Makefile": "obj-$(CONFIG_CRATE) += main.o\n", "d/main.rs": "mod node;\nmod mods;\n",
        "d/node.rs": "mod inner;\nmod deep;\n", "d/mods/mod.rs": "mod one;\n", "d/node/inner.rs": "", "d/node/deep/mod.rs": "", "d/mods/one.rs": "",
    }  # fmt: skip
    assert expressions.shown(Kbuild(grow(files), X86).built_if(path).condition) == "CRATE"


def test_a_file_of_rust_is_built_with_its_crate(grow: Grow) -> None:
    files = {"Kbuild": "obj-$(CONFIG_RUST) += rust/\n", "rust/Makefile": "obj-$(CONFIG_CRATE) += kernel.o\n", "rust/kernel/lib.rs": "\n"}
    kbuild = Kbuild(grow({**files, "rust/kernel/sync/arc.rs": "\n", "rust/other/arc.rs": "\n"}), X86)
    assert expressions.shown(kbuild.built_if("rust/kernel/sync/arc.rs").condition) == "CRATE && RUST"
    assert expressions.shown(kbuild.built_if("rust/kernel/lib.rs").condition) == "CRATE && RUST"
    assert expressions.open_parts(kbuild.built_if("rust/other/arc.rs").condition)


@pytest.mark.parametrize(
    ("path", "modules"),
    [
        ("d/main.rs", "main"),
        ("d/node.rs", "main::node"),  # not of d/other.rs, which would mean d/other/node.rs
        ("d/other/node.rs", "main::other::node"),
        ("d/mods/mod.rs", "main::mods"),
        ("d/mods/one.rs", "main::mods::one"),
        ("rust/kernel/lib.rs", "kernel"),
        ("rust/kernel/sync.rs", "kernel::sync"),
        ("d/stray.rs", "stray"),
    ],
)
def test_the_crate_and_the_modules_of_a_file_of_rust(grow: Grow, path: str, modules: str) -> None:
    files = {
        "d/main.rs": "mod node;\nmod other;\nmod mods;\n", "d/node.rs": "", "d/other.rs": "mod node;\n", "d/other/node.rs": "", "d/stray.rs": "",
        "d/mods/mod.rs": "mod one;\n", "d/mods/one.rs": "", "rust/kernel/lib.rs": "pub mod sync;\n", "rust/kernel/sync.rs": "",
    }  # fmt: skip
    assert "::".join(rust_modules.module_path(grow(files), path)) == modules
