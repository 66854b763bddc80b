"""Launch: the arguments of QEMU and the kernel parameters without which changed code does not run in the machine.

A parameter is given only where the tree under review has it. Values are those that syzbot boots its kernels with, fewer of each
(dashboard/config/linux/bits in syzkaller).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from hook import lazy_re
from hook.evidence.reach.devices.machine import Machine
from hook.source.tree import Source

# what syz-manager gives QEMU by itself; with arguments of one's own it gives none of these (vm/qemu/qemu.go)
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
# what a device needs beside its name; {node} is a disk of zeros, {{INDEX}} the number of the machine
_NEEDS_DISK = lazy_re.compile(r"(?:nvme|virtio-blk-\w+|vhost-user-blk|scsi-hd|ide-hd|usb-storage|sd-card|ufs-lu|floppy)\Z")
_PROPERTIES = {"nvme": "serial=1", "vhost-vsock-pci": "guest-cid=1{{INDEX}}3"}
# machines and parts of them, which no -device names
_OF_THE_MACHINE = frozenset(("pc", "q35", "virt", "microvm"))


class Parameter(NamedTuple):
    """A kernel parameter, and the driver that reads it."""

    option: str  # of the kernel configuration, which builds the driver
    text: str
    path: str
    name: str  # as the driver declares it


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
    """What to start QEMU with, so that it has those of `devices` that it emulates; empty where syz-manager's own arguments do."""
    more: list[str] = []
    for name in dict.fromkeys(devices):
        if name in machine.names and name not in _OF_THE_MACHINE:
            more += list(_device(name, len(more)))
    return " ".join(filter(None, (_OWN_ARGUMENTS.get(machine.arch, ""), *more))) if more else ""


def _device(name: str, number: int) -> Iterator[str]:
    properties = [name, *filter(None, (_PROPERTIES.get(name, ""),))]
    if _NEEDS_DISK.match(name):
        node = f"triage{number}"
        yield _DISK.format(node=node)
        properties.append(f"drive={node}")
    yield f"-device {','.join(properties)}"


def kernel_parameters(options: Iterable[str], source: Source) -> list[str]:
    """The parameters that the drivers behind `options` read, as far as the tree has them."""
    wanted = set(options)
    return [parameter.text for parameter in _PARAMETERS if parameter.option in wanted and _is_declared(parameter, source)]


def _is_declared(parameter: Parameter, source: Source) -> bool:
    file = source.file(parameter.path)
    declared = (
        rb"\b(?:core_param|(?:module_)?param\w*)\(\s*"
        + parameter.name.encode()
        + rb"\b|\bmodule_param_named\(\s*"
        + parameter.name.encode()
    )
    return file is not None and file.data is not None and re.search(declared, file.data) is not None
