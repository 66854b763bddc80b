"""Launch: the QEMU arguments and kernel parameters without which changed code does not run in the machine.

A parameter is set only if the tree under review has it. The values are those of syzbot's kernels, with fewer of each device
(dashboard/config/linux/bits in syzkaller).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hook import lazy_re
from hook.evidence.reach.devices.machine import Machine
from hook.source.tree import Source

# the default QEMU arguments of syz-manager, which it drops if the configuration has arguments (vm/qemu/qemu.go)
_OWN_ARGUMENTS = {
    "x86_64": "-enable-kvm -cpu host,migratable=off",
    "i386": "",
    "arm64": "-machine virt,virtualization=on,gic-version=max -cpu max,sve128=on,pauth=off",
    "arm": "-machine vexpress-a15 -cpu cortex-a15 -accel tcg,thread=multi",
    "mips": "-M malta -cpu MIPS64R2-generic -nodefaults",
    "powerpc": "-enable-kvm -vga none",
    "riscv": "-machine virt -cpu rv64,sv48=on",
    "loongarch": "-machine virt",
    "s390": "-M s390-ccw-virtio -cpu max",
}
_DISK = "-blockdev driver=null-co,read-zeroes=on,size=67108864,node-name={node}"
# devices that need more than their name; {node} is a disk of zeros, {{INDEX}} the number of the machine
_NEEDS_DISK = lazy_re.compile(r"(?:nvme|virtio-blk-\w+|vhost-user-blk|scsi-hd|ide-hd|usb-storage|sd-card|ufs-lu|floppy)\Z")
_PROPERTIES = {"nvme": "serial=1", "vhost-vsock-pci": "guest-cid=1{{INDEX}}3"}
# machines and parts of them, which are no argument of -device
_OF_THE_MACHINE = frozenset(("pc", "q35", "virt", "microvm"))


class Parameter(NamedTuple):
    """A kernel parameter, and the driver that reads it."""

    option: str  # of the kernel configuration, which builds the driver
    text: str
    path: str
    name: str  # in the driver's declaration


# checked on Linux 6.12 and 7.1
_PARAMETERS = (
    Parameter("USB_DUMMY_HCD", "dummy_hcd.num=8", "drivers/usb/gadget/udc/dummy_hcd.c", "num"),
    Parameter("VIDEO_VIVID", "vivid.n_devs=8", "drivers/media/test-drivers/vivid/vivid-core.c", "n_devs"),
    Parameter("MAC80211_HWSIM", "mac80211_hwsim.radios=4", "drivers/net/wireless/virtual/mac80211_hwsim.c", "radios"),
    Parameter("NETROM", "netrom.nr_ndevs=8", "net/netrom/af_netrom.c", "nr_ndevs"),
    Parameter("ROSE", "rose.rose_ndevs=8", "net/rose/af_rose.c", "rose_ndevs"),
    Parameter("BLK_DEV_LOOP", "loop.max_loop=16", "drivers/block/loop.c", "max_loop"),
    Parameter("BLK_DEV_NBD", "nbd.nbds_max=16", "drivers/block/nbd.c", "nbds_max"),
    Parameter("COMEDI", "comedi.comedi_num_legacy_minors=4", "drivers/comedi/comedi_fops.c", "comedi_num_legacy_minors"),
    Parameter("BLK_DEV_NULL_BLK", "null_blk.nr_devices=2", "drivers/block/null_blk/main.c", "nr_devices"),
    Parameter("BLK_DEV_RAM", "brd.rd_nr=8", "drivers/block/brd.c", "rd_nr"),
)


def qemu_arguments(devices: Iterable[str], machine: Machine) -> str:
    """The arguments with which QEMU has those of `devices` that it can emulate; empty if syz-manager's defaults are enough."""
    device_arguments: list[str] = []
    for name in dict.fromkeys(devices):
        if name in machine.names and name not in _OF_THE_MACHINE:
            device_arguments += list(_device(name, len(device_arguments)))
    return " ".join(filter(None, (_OWN_ARGUMENTS.get(machine.arch, ""), *device_arguments))) if device_arguments else ""


def _device(name: str, number: int) -> Iterator[str]:
    properties = [name, *filter(None, (_PROPERTIES.get(name, ""),))]
    if _NEEDS_DISK.match(name):
        node = f"triage{number}"
        yield _DISK.format(node=node)
        properties.append(f"drive={node}")
    yield f"-device {','.join(properties)}"


def kernel_parameters(options: Iterable[str], source: Source) -> list[str]:
    """The parameters of the drivers that `options` build, if the tree has them."""
    enabled_options = set(options)
    return [parameter.text for parameter in _PARAMETERS if parameter.option in enabled_options and _is_declared(parameter, source)]


def _is_declared(parameter: Parameter, source: Source) -> bool:
    file = source.file(parameter.path)
    declared = (
        rb"\b(?:core_param|(?:module_)?param\w*)\(\s*"
        + parameter.name.encode()
        + rb"\b|\bmodule_param_named\(\s*"
        + parameter.name.encode()
    )
    return file is not None and file.data is not None and re.search(declared, file.data) is not None
