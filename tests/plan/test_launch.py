"""The arguments of QEMU and the kernel parameters that changed code needs."""

from __future__ import annotations

import pytest

from hook.evidence.reach.devices import machine
from hook.plan import launch
from tests.conftest import Grow

VM = machine.machine("x86_64", ("qemu-any",))
BY_SYZ_MANAGER = "-enable-kvm -cpu host,migratable=off"  # vm/qemu/qemu.go


@pytest.mark.parametrize(
    ("devices", "text"),
    [
        (["e1000e"], f"{BY_SYZ_MANAGER} -device e1000e"),
        (["e1000e", "e1000e"], f"{BY_SYZ_MANAGER} -device e1000e"),
        (["dummy_hcd with raw-gadget"], ""),  # of the kernel's own
        (["q35"], ""),  # the machine itself
        (["e1000e,romfile=/etc/passwd"], ""),  # no name of a device
        (
            ["nvme"],
            f"{BY_SYZ_MANAGER} -blockdev driver=null-co,read-zeroes=on,size=67108864,node-name=triage0 -device nvme,serial=1,drive=triage0",
        ),
    ],
)
def test_devices_as_qemu_is_told_of_them(devices: list[str], text: str) -> None:
    assert launch.qemu_arguments(devices, VM) == text


@pytest.mark.parametrize(
    ("line", "there"),
    [
        ("module_param_named(num, mod_data.num, uint, S_IRUGO);", True),
        ("module_param(num, uint, 0);", True),
        ("module_param_array(num, uint, NULL, 0);", True),
        ("module_param(number, uint, 0);", False),
        ("static int num;", False),
    ],
)
def test_a_parameter_is_given_where_the_driver_has_it(grow: Grow, line: str, there: bool) -> None:
    source = grow({"drivers/usb/gadget/udc/dummy_hcd.c": f"{line}\n"})
    assert launch.kernel_parameters(["USB_DUMMY_HCD", "PCI"], source) == (["dummy_hcd.num=8"] if there else [])
    assert launch.kernel_parameters(["PCI"], source) == []
