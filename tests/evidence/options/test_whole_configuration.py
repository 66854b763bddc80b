"""One configuration for what builds a change and for what leads to it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.small_kernel import Kernel

KCONFIG = """
config USB
	bool "usb"
config USB_GADGET
	bool "gadgets"
config USB_DUMMY_HCD
	bool "dummy"
	depends on USB && USB_GADGET
config USB_RAW_GADGET
	bool "raw"
	depends on USB_GADGET
config CHIP_COMMON
	bool
config CHIP_PCI
	bool "chip on PCI"
	select CHIP_COMMON
config CHIP_USB
	bool "chip on USB"
	depends on USB
	select CHIP_COMMON
config PREEMPT_RT
	bool "real time"
config LATE
	bool "late"
"""
USB_DRIVER = """#include <linux/usb.h>
static int chip_probe(struct usb_interface *intf, const struct usb_device_id *id)
{
	return chip_start();
}
static const struct usb_device_id chip_ids[] = { { USB_DEVICE(1, 2) }, { } };
MODULE_DEVICE_TABLE(usb, chip_ids);
static struct usb_driver chip_usb = { .name = "chip", .id_table = chip_ids, .probe = chip_probe };
module_usb_driver(chip_usb);
"""
CORE = "int chip_start(void)\n{\n\treturn 1;\n}\nEXPORT_SYMBOL(chip_start);\n"


@pytest.fixture
def chip(kernel: Kernel) -> Kernel:
    """The small tree with the core of a chip, and its driver on USB; the driver on PCI is the first option that builds the core."""
    kernel.write("drivers/net/Kconfig", kernel.read("drivers/net/Kconfig") + KCONFIG)
    lines = ("COMMON) += core.o", "USB) += chip_usb.o", "PCI) += chip_pci.o")
    kernel.write("drivers/net/Makefile", kernel.read("drivers/net/Makefile") + "".join(f"obj-$(CONFIG_CHIP_{line}\n" for line in lines))
    kernel.write("drivers/net/core.c", CORE)
    kernel.write("drivers/net/chip_usb.c", USB_DRIVER)
    kernel.write("drivers/net/chip_pci.c", "int unrelated;\n")
    kernel.write("init/Makefile", "obj-y += main.o helper.o\nobj-$(CONFIG_LATE) += late.o\nobj-$(CONFIG_PREEMPT_RT) += rt.o\n")
    kernel.write("init/helper.c", "int helper(void)\n{\n\treturn 1;\n}\nint other(void)\n{\n\treturn 1;\n}\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "chip")
    return kernel


def verdict(kernel: Kernel, *args: str, **env: str) -> dict[str, Any]:
    return dict(json.loads(kernel.triage("check", "--format", "json", *args, **env)))


def with_callers(kernel: Kernel, **files: str) -> dict[str, Any]:
    """The verdict on a change of helper() and other(), of which `files` of init/ are the callers."""
    for name, text in files.items():
        kernel.write(f"init/{name}.c", text)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "callers")
    kernel.triage("index", "--quiet")
    kernel.stage("init/helper.c", kernel.read("init/helper.c").replace("return 1;", "return 2;"))
    return verdict(kernel)


def test_the_options_of_a_virtual_device_come_with_what_they_depend_on(chip: Kernel) -> None:
    chip.triage("index", "--quiet")
    chip.stage("drivers/net/chip_usb.c", USB_DRIVER.replace("return chip_start();", "return chip_start() + 1;"))
    found = verdict(chip, "-v")
    assert (found["Reachable"], found["Devices"]) == ("yes", ["dummy_hcd with raw-gadget"])
    assert sorted(found["EnableConfigs"]) == ["CHIP_USB", "USB", "USB_DUMMY_HCD", "USB_GADGET", "USB_RAW_GADGET"]
    reasons = {name: reason["For"] for name, reason in found["ConfigReasons"].items()}
    assert reasons == {"CHIP_USB": "build", "USB": "build", **dict.fromkeys(("USB_DUMMY_HCD", "USB_GADGET", "USB_RAW_GADGET"), "reach")}


def test_the_driver_that_the_proof_names_is_built_and_no_other_one_for_the_core(chip: Kernel) -> None:
    chip.triage("index", "--quiet")
    chip.stage("drivers/net/core.c", CORE.replace("return 1;", "return 2;"))
    found = verdict(chip, "-v")
    assert found["Reachable"] == "yes"
    assert "CHIP_USB" in found["EnableConfigs"] and "CHIP_PCI" not in found["EnableConfigs"]


@pytest.mark.parametrize(("caller", "devices"), [("chip_start", []), ("other", ["dummy_hcd with raw-gadget"])])
def test_a_driver_that_is_not_built_is_not_asked_for_where_another_caller_is(chip: Kernel, caller: str, devices: list[str]) -> None:
    chip.write("drivers/net/Makefile", chip.read("drivers/net/Makefile").replace("$(CONFIG_CHIP_COMMON)", "y"))
    chip.write("arch/x86/entry/syscalls/syscall_64.tbl", "0\tcommon\tfrob\tsys_frob\n")
    chip.write("init/main.c", f"SYSCALL_DEFINE0(frob)\n{{\n\treturn {caller}();\n}}\n")
    chip.git("add", "-A", "-f")
    chip.git("commit", "-qm", "caller")
    chip.triage("index", "--quiet")
    chip.stage("drivers/net/core.c", CORE.replace("return 1;", "return 2;"))
    found = verdict(chip, "-v")
    assert (found["Reachable"], found["Devices"]) == ("yes", devices)
    assert ("CHIP_USB" in found["EnableConfigs"]) is bool(devices)


def test_every_line_of_the_proof_is_built_and_one_that_no_option_decides_takes_nothing_with_it(chip: Kernel) -> None:
    under = USB_DRIVER.replace("static struct usb_driver", "#ifdef FIRST_CHIP\n#ifdef CONFIG_LATE\nstatic struct usb_driver")
    chip.commit("drivers/net/chip_usb.c", f"{under}#endif\n#endif\n")
    chip.triage("index", "--quiet")
    chip.stage("drivers/net/core.c", CORE.replace("return 1;", "return 2;"))
    found = verdict(chip, "-v")
    assert found["Reachable"] == "yes"
    assert {"CHIP_USB", "LATE"} <= set(found["EnableConfigs"]) and "CHIP_PCI" not in found["EnableConfigs"]


def test_what_the_base_configuration_has_for_the_path_is_left_out(chip: Kernel) -> None:
    chip.triage("index", "--quiet")
    names = ("USB", "USB_GADGET", "USB_DUMMY_HCD", "USB_RAW_GADGET", "CHIP_USB")
    (chip.path.parent / "config").write_text("".join(f"CONFIG_{name}=y\n" for name in names))
    chip.stage("drivers/net/core.c", CORE.replace("return 1;", "return 2;"))
    found = verdict(chip, "-v", PATCH_TRIAGE_FUZZ_BASE_CONFIG=str(chip.path.parent / "config"))
    assert (found["Reachable"], found["EnableConfigs"], found["ConfigReasons"]) == ("yes", [], {})


def test_no_option_is_asked_for_where_a_changed_function_is_called_already(chip: Kernel) -> None:
    late = "int late(void)\n{\n\treturn helper();\n}\n"
    assert with_callers(chip, late=late + "int later(void)\n{\n\treturn other();\n}\n")["EnableConfigs"] == ["LATE"]
    chip.git("reset", "-q", "--hard")
    assert with_callers(chip, late=late, main="int first(void)\n{\n\treturn other();\n}\n")["EnableConfigs"] == []


def test_no_other_flavour_of_the_kernel_is_asked_for_to_have_a_caller(chip: Kernel) -> None:
    found = with_callers(chip, rt="int rt(void)\n{\n\treturn helper() + other();\n}\n")
    assert (found["EnableConfigs"], found["WorthFuzzing"]) == ([], True)
    assert any("no configuration was found that has the change and a caller of helper" in one for one in found["Assumptions"])


def test_a_flavour_is_asked_for_where_the_change_itself_is_in_it(chip: Kernel) -> None:
    chip.commit("init/rt.c", "int rt(void)\n{\n\treturn 1;\n}\n")
    chip.stage("init/rt.c", "int rt(void)\n{\n\treturn 2;\n}\n")
    assert verdict(chip)["EnableConfigs"] == ["PREEMPT_RT"]


KVM = """
config KVM
	bool "virtual machines"
config KVM_X86
	def_tristate KVM if (KVM_INTEL != n || KVM_AMD != n)
config KVM_INTEL
	bool "VMX"
	depends on KVM
config KVM_AMD
	bool "SVM"
	depends on KVM
"""


@pytest.mark.parametrize(
    ("path", "base", "options"),
    [
        ("init/kvm.c", "", ["KVM", "KVM_AMD", "KVM_INTEL"]),
        ("init/kvm.c", "CONFIG_KVM=y\nCONFIG_KVM_INTEL=y\n", []),
        ("init/svm.c", "", ["KVM", "KVM_AMD"]),
        ("init/svm.c", "CONFIG_KVM=y\nCONFIG_KVM_INTEL=y\n", ["KVM_AMD"]),
        ("init/vmx.c", "", ["KVM", "KVM_INTEL"]),
    ],
)
def test_virtual_machines_are_asked_for_whichever_processor_the_host_has(kernel: Kernel, path: str, base: str, options: list[str]) -> None:
    kernel.write("drivers/net/Kconfig", kernel.read("drivers/net/Kconfig") + KVM)
    kernel.write("init/Makefile", "obj-$(CONFIG_KVM_X86) += kvm.o\nobj-$(CONFIG_KVM_AMD) += svm.o\nobj-$(CONFIG_KVM_INTEL) += vmx.o\n")
    for name in ("kvm", "svm", "vmx"):
        kernel.write(f"init/{name}.c", f"int {name}(void)\n{{\n\treturn 1;\n}}\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "kvm")
    kernel.triage("index", "--quiet")
    (kernel.path.parent / "config").write_text(base)
    env = {"PATCH_TRIAGE_FUZZ_BASE_CONFIG": str(kernel.path.parent / "config")} if base else {}
    kernel.stage(path, kernel.read(path).replace("return 1;", "return 2;"))
    assert sorted(verdict(kernel, **env)["EnableConfigs"]) == options
