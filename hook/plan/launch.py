"""Launch: the QEMU arguments and kernel parameters without which changed code does not run in the machine.

A parameter is set only if the tree under review has it. The values are those of syzbot's kernels, with fewer of each device
(dashboard/config/linux/bits in syzkaller).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
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
# machines and parts of them, which are no argument of -device
_OF_THE_MACHINE = frozenset(("pc", "virt"))
# devices that need more than their name: a back end, a disk of zeros, or something on the bus of a controller, without which little of its
# driver runs. ID stands for a name of its own, {{INDEX}} is the number of the machine
_DISK = "-blockdev driver=null-co,read-zeroes=on,size=67108864,node-name=ID"
_MEMORY = "-object memory-backend-ram,id=ID,size=16M"
_CAN = "-object can-bus,id=ID"
_SOUND = "-audiodev none,id=ID"
_ON_SCSI = f"{_DISK} -device scsi-hd,drive=ID"
_ARGUMENTS: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (lazy_re.compile(rf"(?:{names})\Z"), text)
    for names, text in (
        ("nvme", f"{_DISK} -device NAME,serial=1,drive=ID"),
        (r"virtio-blk-\S+|usb-storage|sd-card|scsi-hd|ide-hd", f"{_DISK} -device NAME,drive=ID"),
        (r"virtio-scsi-\S+|am53c974|dc390|lsi53c\w+|megasas\S*|mptsas1068|pvscsi", f"-device NAME {_ON_SCSI}"),
        ("sdhci-pci", f"-device NAME {_DISK} -device sd-card,drive=ID"),
        ("ich9-ahci", f"-device NAME,id=ID {_DISK}d -device ide-hd,bus=ID.0,drive=IDd"),
        ("ufs", f"-device NAME,id=ID {_DISK}d -device ufs-lu,bus=ID,drive=IDd"),
        (r"virtio-serial-\S+", "-device NAME -device virtserialport"),
        (r"virtio-crypto-\S+", "-object cryptodev-backend-builtin,id=ID -device NAME,cryptodev=ID"),
        (r"virtio-9p-\S+", "-fsdev synth,id=ID -device NAME,fsdev=ID,mount_tag=ID"),
        (r"virtio-(?:pmem|mem)-\S+|pc-dimm", f"-m slots=2,maxmem=4G {_MEMORY} -device NAME,memdev=ID"),
        ("nvdimm", f"-M nvdimm=on -m slots=2,maxmem=4G {_MEMORY} -device NAME,memdev=ID"),
        ("ivshmem-plain|acpi-erst", f"{_MEMORY} -device NAME,memdev=ID"),
        (r"vhost-vsock-\S+", "-device NAME,guest-cid=1{{INDEX}}3"),
        ("virtio-sound-pci|AC97|ES1370", f"{_SOUND} -device NAME,audiodev=ID"),
        (r"(?:ich9-)?intel-hda", f"{_SOUND} -device NAME -device hda-duplex,audiodev=ID"),
        ("kvaser_pci", f"{_CAN} -device NAME,canbus=ID"),
        ("mioe3680_pci|pcm3680_pci|ctucan_pci", f"{_CAN} -device NAME,canbus0=ID,canbus1=ID"),
        (r"(?:pci|isa)-ipmi-\w+", "-device ipmi-bmc-sim,id=ID -device NAME,bmc=ID"),
        ("tpci200", "-device NAME -device ipoctal232"),
        ("q35", "-machine NAME"),  # syz-manager starts pc
        ("microvm", ""),  # it has little of what the other devices need: a machine of its own
        # without what Hyper-V offers its guests no driver registers on the bus (hv_is_hyperv_initialized)
        ("vmbus-bridge", "-device NAME -cpu host,migratable=off,hv-passthrough"),
        ("pci-serial", "-chardev null,id=ID -device NAME,chardev=ID"),
        ("pci-bridge(?:-seat)?", "-device NAME,chassis_nr=1"),
        ("isa-parallel", "-chardev null,id=ID -device NAME,chardev=ID"),
        # machines of their own, or a back end that is another program
        ("pxb|pxb-pcie|pxb-cxl|tpm-tis", ""),
        ("pcie-root-port|ioh3420|x3130-upstream", "-M q35 -device NAME"),
    )
)


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
    names = [name for name in dict.fromkeys(devices) if name in machine.names and name not in _OF_THE_MACHINE]
    texts = [_of_device(name, machine).replace("NAME", name).replace("ID", f"triage{number}") for number, name in enumerate(names)]
    return " ".join(filter(None, (_OWN_ARGUMENTS.get(machine.arch, ""), *texts))) if any(texts) else ""


def needing_more(devices: Iterable[str], machine: Machine) -> list[str]:
    """Those of `devices` with which QEMU does not start unless a person gives it what they stand for, such as a vhost-user program."""
    return [name for name in devices if name in machine.names and not _of_device(name, machine)]


def _of_device(name: str, machine: Machine) -> str:
    return next((text for names, text in _ARGUMENTS if names.match(name)), "" if name in machine.not_plugged else "-device NAME")


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
