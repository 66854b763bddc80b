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
        (["pc"], ""),  # the machine itself
        (["q35", "e1000e"], f"{BY_SYZ_MANAGER} -machine q35 -device e1000e"),
        (["microvm"], ""),
        (["e1000e,romfile=/etc/passwd"], ""),  # no name of a device
        (
            ["nvme"],
            f"{BY_SYZ_MANAGER} -blockdev driver=null-co,read-zeroes=on,size=67108864,node-name=triage0 -device nvme,serial=1,drive=triage0",
        ),
        # a controller has something to talk to, and a back end comes before what it is for
        (["virtio-serial-pci"], f"{BY_SYZ_MANAGER} -device virtio-serial-pci -device virtserialport"),
        (
            ["rtl8139", "virtio-crypto-pci"],
            f"{BY_SYZ_MANAGER} -device rtl8139 -object cryptodev-backend-builtin,id=triage1 -device virtio-crypto-pci,cryptodev=triage1",
        ),
        (["vhost-vsock-pci"], f"{BY_SYZ_MANAGER} -device vhost-vsock-pci,guest-cid=1{{{{INDEX}}}}3"),
        (["vmbus-bridge"], f"{BY_SYZ_MANAGER} -device vmbus-bridge -cpu host,migratable=off,hv-passthrough"),
        (["vhost-user-fs-pci"], ""),  # QEMU does not start without the other program
    ],
)
def test_devices_as_qemu_is_told_of_them(devices: list[str], text: str) -> None:
    assert launch.qemu_arguments(devices, VM) == text


def test_what_only_the_person_can_give_is_named() -> None:
    devices = ["vhost-user-fs-pci", "nvme", "e1000e", "pc", "q35", "microvm", "dummy_hcd with raw-gadget", "vfio-pci"]
    assert launch.needing_more(devices, VM) == ["vhost-user-fs-pci", "microvm", "vfio-pci"]


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
