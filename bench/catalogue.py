"""The catalogue of emulated devices, made by asking a real QEMU: what hook/evidence/reach/devices/machines/ holds.

    python bench/catalogue.py x86_64 --out hook/evidence/reach/devices/machines/x86_64.json
    python bench/catalogue.py arm64 --out hook/evidence/reach/devices/machines/arm64.json

Needs qemu-system-x86 or qemu-system-arm (Debian's packages). Each machine is started, and each PCI device that `-device help` lists is
plugged into one; ids come from query-pci, the whole class from the device's own configuration space. What the firmware tables of x86 name
is read from the memory of the booted guest, what those of arm64 name from the device tree that the machine hands out. What could not be
plugged in alone is listed with the reason, and what is known of it from QEMU's sources. One minute on an idle machine.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

PROGRAMS = {"x86_64": "qemu-system-x86_64", "arm64": "qemu-system-aarch64"}
MACHINES = {"x86_64": ("pc", "q35", "microvm"), "arm64": ("virt",)}
SECONDS = 30
DISK = ("-blockdev", "null-co,node-name=disk")
MEMORY = ("-object", "memory-backend-ram,id=memory,size=16M")
SOUND = ("-audiodev", "none,id=sound")
CAN = ("-object", "can-bus,id=can")
# what a device cannot be made without
NEEDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "nvme": ("serial=1", ()),
    "virtio-blk-pci": ("drive=disk", DISK),
    "virtio-blk-pci-transitional": ("drive=disk", DISK),
    "virtio-blk-pci-non-transitional": ("drive=disk", DISK),
    "ivshmem-plain": ("memdev=memory", MEMORY),
    "acpi-erst": ("memdev=memory", MEMORY),
    "virtio-pmem-pci": ("memdev=memory", ("-m", "128M,slots=2,maxmem=1G", *MEMORY)),
    "virtio-mem-pci": ("memdev=memory", ("-m", "128M,slots=2,maxmem=1G", *MEMORY)),
    "virtio-crypto-pci": ("cryptodev=crypto", ("-object", "cryptodev-backend-builtin,id=crypto")),
    "virtio-9p-pci": ("fsdev=fs,mount_tag=x", ("-fsdev", "local,id=fs,path=/tmp,security_model=none")),
    "pci-serial": ("chardev=null", ("-chardev", "null,id=null")),
    "pci-serial-2x": ("chardev1=null,chardev2=null2", ("-chardev", "null,id=null", "-chardev", "null,id=null2")),
    "pxb-cxl": ("bus_nr=12", ("-M", "q35,cxl=on")),
    "AC97": ("audiodev=sound", SOUND),
    "ES1370": ("audiodev=sound", SOUND),
    "virtio-sound-pci": ("audiodev=sound", SOUND),
    "kvaser_pci": ("canbus=can", CAN),
    "mioe3680_pci": ("canbus0=can,canbus1=can", CAN),
    "pcm3680_pci": ("canbus0=can,canbus1=can", CAN),
    "ctucan_pci": ("canbus0=can,canbus1=can", CAN),
    "ivshmem-doorbell": ("chardev=null", ("-chardev", "null,id=null")),
    "pci-ipmi-kcs": ("bmc=bmc", ("-device", "ipmi-bmc-sim,id=bmc")),
    "pci-ipmi-bt": ("bmc=bmc", ("-device", "ipmi-bmc-sim,id=bmc")),
    "pxb": ("bus_nr=12", ()),
    "pci-bridge-seat": ("chassis_nr=1", ()),
    "pcie-root-port": ("chassis=1", ()),
    "ioh3420": ("chassis=1", ()),
    "pci-bridge": ("chassis_nr=1", ()),
    "pxb-pcie": ("bus_nr=12", ()),
}
# what cannot be plugged in here: vendor:device class, as QEMU's sources give them
FROM_SOURCES: dict[str, dict[str, tuple[str, str]]] = {
    "x86_64": {
        "cxl-type3": ("8086:0d93 050210", "hw/mem/cxl_type3.c"),
        "cxl-rp": ("8086:7075 060400", "hw/pci-bridge/cxl_root_port.c"),
        "cxl-upstream": ("19e5:a128 060400", "hw/pci-bridge/cxl_upstream.c"),
        "cxl-downstream": ("19e5:a129 060400", "hw/pci-bridge/cxl_downstream.c"),
        "xen-platform": ("5853:0001 ff8000", "hw/i386/xen/xen_platform.c"),
        "xio3130-downstream": ("104c:8233 060400", "hw/pci-bridge/xio3130_downstream.c"),
    },
    "arm64": {
        "cxl-type3": ("8086:0d93 050210", "hw/mem/cxl_type3.c"),
        "xio3130-downstream": ("104c:8233 060400", "hw/pci-bridge/xio3130_downstream.c"),
    },
}
# what a device shows besides: its virtual functions (hw/net/igbvf.c), or an id that a property gives it (hw/nvme/ctrl.c, hw/display/ati.c)
BESIDES = {
    "igb": "8086:10ca 0000:0000 020000", "nvme": "8086:5845 0000:0000 010802", "ati-vga": "1002:5159 1af4:1100 030000",
}  # fmt: skip
VIRTIO_FROM_SOURCES = {  # include/standard-headers/linux/virtio_ids.h; their back ends are other programs, which are not here
    "vhost-user-fs-pci": 26, "vhost-user-gpio-pci": 41, "vhost-user-i2c-pci": 34, "vhost-user-snd-pci": 25, "vhost-vsock-pci": 19,
    "vhost-user-rng-pci": 4, "vhost-user-scsi-pci": 8, "vhost-user-blk-pci": 2, "vhost-user-gpu-pci": 16, "vhost-user-input-pci": 18,
    "vhost-user-scmi-pci": 32, "vhost-user-bluetooth": 40,
}  # fmt: skip
ACPI_FROM_SOURCES = {
    "MSFT0101": ("tpm-tis", "hw/i386/acpi-build.c"), "PNP0C31": ("tpm-tis", "hw/i386/acpi-build.c"),
    "IPI0001": ("isa-ipmi-kcs", "hw/acpi/ipmi.c"), "ACPI0012": ("nvdimm", "hw/acpi/nvdimm.c"),
    "ACPI0016": ("pxb-cxl", "hw/i386/acpi-build.c"), "ACPI0017": ("pxb-cxl", "hw/i386/acpi-build.c"),
    "APP0001": ("isa-applesmc", "hw/i386/acpi-build.c"), "VMBUS": ("vmbus-bridge", "hw/hyperv/vmbus.c"),
    "ACPI0011": ("q35", "generic buttons"), "VM_GEN_COUNTER": ("vmgenid", "hw/acpi/vmgenid.c"),
    "PNP0C80": ("pc-dimm", "hw/acpi/memory_hotplug.c"),
}  # fmt: skip
# of nodes that a machine has with more options than this script gives it
OF_FROM_SOURCES = {"numa-distance-map-v1": ("virt", "hw/arm/virt.c"), "tcg,tpm-tis-mmio": ("tpm-tis-device", "hw/core/sysbus-fdt.c")}
# the peripheral ids in the registers of primecells, each with the file that says so
PRIMECELLS = {
    "arm,pl011": ("00141011", "hw/char/pl011.c"), "arm,pl031": ("00141031", "hw/rtc/pl031.c"), "arm,pl061": ("00041061", "hw/gpio/pl061.c"),
}  # fmt: skip
# of the machines that tell of their parts by ACPI alone, which the firmware of this script's guest does not lay out
ACPI_OF_BOARD = {
    "LNRO0005": "hw/acpi/virtio-acpi.c", "ACPI0013": "hw/acpi/generic_event_device.c", "PNP0C0C": "hw/acpi/generic_event_device.c",
    "PNP0C02": "hw/acpi/pcihp.c",
}  # fmt: skip
BOARD = {"x86_64": "microvm", "arm64": "virt"}
WITH_TABLES = (  # devices that firmware tables describe, where they can be plugged in
    "pvpanic", "isa-fdc", "isa-parallel", "isa-serial", "vmgenid", "vmclock", "isa-applesmc,osk=" + "x" * 64,
    "isa-ipmi-kcs,bmc=bmc", "tpm-crb", "vmcoreinfo",
)  # fmt: skip
EISA, NAMED = re.compile(rb"\x08_(?:HID|CID)\x0c(....)", re.DOTALL), re.compile(rb"\x08_(?:HID|CID)\x0d([\x20-\x7e]{3,16})\0")
PACKAGED = re.compile(rb"\x08_CID\x12[\s\S]{1,80}")


class Refused(Exception):
    """QEMU does not start so; the sentence is its own."""


class Qemu:
    """A QEMU that was started, with its monitor, and its test protocol where it was started for that."""

    def __init__(self, directory: pathlib.Path, program: str, *args: str, booted: bool = False) -> None:
        monitor, test = directory / "qmp", directory / "qtest"
        ways = [] if booted else ["-S", "-qtest", f"unix:{test},server=on,wait=off"]
        self._process = subprocess.Popen(
            [program, "-display", "none", "-monitor", "none", "-qmp", f"unix:{monitor},server=on,wait=off", *ways, *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        end = time.monotonic() + SECONDS
        while not monitor.exists() or (not booted and not test.exists()):
            if self._process.poll() is not None or time.monotonic() > end:
                raise Refused(self.close())
            time.sleep(0.01)
        self._monitor = _connected(monitor, self)
        self.ask("qmp_capabilities")
        self._test = None if booted else _connected(test, self)

    def ask(self, command: str, **arguments: Any) -> Any:
        try:
            self._monitor.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
            self._monitor.flush()
            return self._answer()
        except OSError:
            raise Refused(self.close()) from None

    def _answer(self) -> Any:
        while True:
            line = self._monitor.readline()
            if not line:
                raise Refused(self.close())
            said = json.loads(line)
            if "error" in said:
                raise Refused(str(said["error"]["desc"]))
            if "return" in said:  # the greeting and events come between
                return said["return"]

    def test(self, command: str) -> int:
        assert self._test is not None
        self._test.write(command + "\n")
        self._test.flush()
        while not (line := self._test.readline()).startswith("OK"):
            if not line:
                raise Refused(self.close())
        return int(line.split()[1], 0) if len(line.split()) > 1 else 0

    def close(self) -> str:
        self._process.kill()
        said = self._process.communicate()[1]
        return said.strip().splitlines()[-1][-200:] if said.strip() else "it did not start"


def _connected(path: pathlib.Path, qemu: Qemu) -> Any:
    end = time.monotonic() + SECONDS
    while True:
        one = socket.socket(socket.AF_UNIX)
        one.settimeout(SECONDS)
        try:
            one.connect(str(path))
            return one.makefile("rw")
        except OSError:
            if time.monotonic() > end:
                raise Refused(qemu.close()) from None
            time.sleep(0.01)


@contextlib.contextmanager
def started(program: str, *args: str, booted: bool = False) -> Iterator[Qemu]:
    with tempfile.TemporaryDirectory() as directory:
        qemu = Qemu(pathlib.Path(directory), program, *args, booted=booted)
        try:
            yield qemu
        finally:
            qemu.close()


def listed(program: str, machine: str) -> dict[str, str]:
    """The devices by name, each with its bus."""
    said = subprocess.run([program, "-M", machine, "-device", "help"], capture_output=True, text=True, check=True).stdout
    said = re.sub(r"(?ms)^CPU devices:.*?(?=^\w[\w ]* devices:|\Z)", "", said)
    return {name: bus or "" for name, bus in re.findall(r'(?m)^name "([^"]+)"(?:, bus ([\w-]+))?', said)}


def pci(qemu: Qemu, arch: str) -> list[str]:
    """What is on the first PCI bus: `vendor:device subvendor:subdevice class`."""
    found = []
    for bus in qemu.ask("query-pci"):
        for device in bus["devices"]:
            slot, function = device["slot"], device["function"]
            if bus["bus"] == 0 and arch == "x86_64":
                qemu.test(f"outl 0xcf8 {0x80000008 | slot << 11 | function << 8:#x}")
                code = qemu.test("inl 0xcfc") >> 8
            elif bus["bus"] == 0:
                code = qemu.test(f"readl {0x4010000000 + (slot << 15) + (function << 12) + 8:#x}") >> 8
            else:
                code = device["class_info"]["class"] << 8
            one = device["id"]
            sub = f"{one.get('subsystem-vendor', 0):04x}:{one.get('subsystem', 0):04x}"
            found.append(f"{one['vendor']:04x}:{one['device']:04x} {sub} {code:06x}")
    return found


def acpi(program: str, machine: str, *args: str) -> set[str]:
    """The ids in the tables that the firmware of a booted guest has laid out."""
    with (
        tempfile.TemporaryDirectory() as directory,
        started(program, "-M", machine, "-m", "64M", "-net", "none", *args, booted=True) as qemu,
    ):
        image = pathlib.Path(directory) / "memory"
        for _ in range(40):
            time.sleep(1)
            image.unlink(missing_ok=True)
            qemu.ask("pmemsave", val=0, size=64 << 20, filename=str(image))
            data = image.read_bytes()
            if b"Booting from" in data or b"No bootable device" in data:
                break
    found: set[str] = set()
    for signature in (b"DSDT", b"SSDT"):
        at = data.find(signature)
        while at >= 0:
            size = int.from_bytes(data[at + 4 : at + 8], "little")
            if 36 < size < 1 << 20 and sum(data[at : at + size]) & 0xFF == 0:
                table = data[at : at + size]
                found |= {_eisa(one) for one in EISA.findall(table)} | {one.decode() for one in NAMED.findall(table)}
                for package in PACKAGED.findall(table):
                    found |= {_eisa(one) for one in re.findall(rb"\x0c(....)", package, re.DOTALL)}
            at = data.find(signature, at + 4)
    return {one for one in found if re.fullmatch(r"[A-Z0-9]{5,8}", one)}


def _eisa(raw: bytes) -> str:
    """An EISA id as ACPI compresses it (ACPI specification, EISAID)."""
    value = int.from_bytes(raw, "big")
    letters = "".join(chr(0x40 + (value >> shift & 0x1F)) for shift in (26, 21, 16))
    return f"{letters}{value & 0xFFFF:04X}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the catalogue of emulated devices.")
    parser.add_argument("arch", choices=sorted(PROGRAMS))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    args = parser.parse_args()
    arch, program = args.arch, PROGRAMS[args.arch]
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[3]
    devices: dict[str, str] = {}
    ids: dict[str, list[str]] = {}
    virtio: dict[str, int] = {}
    refused: dict[str, str] = {}
    tables: dict[str, str] = {}
    base: list[str] = []
    for machine in MACHINES[arch]:
        devices |= listed(program, machine)
        defaults = ["-cpu", "max"] if arch == "arm64" else []
        with started(program, "-M", machine, *defaults) as qemu:
            ids[machine] = sorted(set(pci(qemu, arch)))
    machine = MACHINES[arch][1] if arch == "x86_64" else MACHINES[arch][0]
    with started(program, "-M", machine, "-nodefaults") as qemu:
        base = pci(qemu, arch)
    for name, bus in sorted(devices.items()):
        if bus != "PCI":
            continue
        options, more = NEEDS.get(name, ("", ()))
        for on in (machine, "pc") if arch == "x86_64" else (machine,):
            # a bridge may have to stand where no other function is
            plug = f"{name},{options}" if options else name
            way = ["-M", on, "-nodefaults", *more, "-device", plug]
            try:
                with started(program, *way) as qemu:
                    found = list(pci(qemu, arch))
            except Refused as wrong:
                refused[name] = str(wrong)
                continue
            left = list(base) if on == machine else list(ids["pc"])
            new = []
            for one in found:
                if one.startswith("ffff:ffff"):
                    continue  # a virtual function that is not enabled yet
                if one in left:
                    left.remove(one)
                else:
                    new.append(one)
            refused.pop(name, None)
            ids[name] = sorted(set(new))
            if not new:
                del ids[name]
                refused[name] = "it is not on the first bus"
            break
        print(name, ids.get(name) or refused.get(name), flush=True, file=sys.stderr)
    for name, (known, source) in FROM_SOURCES[arch].items():
        if name in devices and name not in ids:
            ids[name] = [known.replace(" ", " 0000:0000 ")]
            refused[name] = f"{refused.get(name, '')}; {source}".strip("; ")
    for name, more_ids in BESIDES.items():
        if name in ids:
            ids[name].append(more_ids)
    for name in sorted(ids):
        for one in ids[name]:
            number = int(one[5:9], 16)
            if one.startswith("1af4:10") and number >= 0x1040:
                virtio[name] = number - 0x1040
    legacy = {0x1000: 1, 0x1001: 2, 0x1002: 5, 0x1003: 3, 0x1004: 8, 0x1005: 4, 0x1009: 9}  # virtio 1.2, 4.1.2.1
    for name in sorted(ids):
        for one in ids[name]:
            if one.startswith("1af4:") and int(one[5:9], 16) in legacy:
                virtio.setdefault(name, legacy[int(one[5:9], 16)])
    virtio |= {name: number for name, number in VIRTIO_FROM_SOURCES.items() if name in devices or name == "vhost-user-bluetooth"}
    compatible: dict[str, str] = {}
    primecells: set[str] = set()
    if arch == "x86_64":
        for machine in MACHINES[arch][:2]:
            for found_id in sorted(acpi(program, machine)):
                tables.setdefault(found_id, machine)
        for plug in WITH_TABLES:
            try:
                more = ("-device", "ipmi-bmc-sim,id=bmc") if "bmc" in plug else ()
                for found_id in sorted(acpi(program, "q35", *more, "-device", plug)):
                    tables.setdefault(found_id, plug.partition(",")[0])
            except Refused as wrong:
                refused[plug.partition(",")[0]] = str(wrong)
    else:
        for board in (
            "virt",
            "virt,gic-version=2",
            "virt,gic-version=3,its=on,iommu=smmuv3",
            "virt,secure=on,virtualization=on",
            "virt,highmem=off",
        ):
            with tempfile.TemporaryDirectory() as directory:
                blob = pathlib.Path(directory) / "tree"
                subprocess.run([program, "-M", f"{board},dumpdtb={blob}", "-cpu", "max"], check=True, capture_output=True)
                for texts in _compatible(blob.read_bytes()):
                    primecells |= {texts[0]} if "arm,primecell" in texts else set()
                    for text in texts:
                        compatible.setdefault(text, board)
        compatible = {name: device for name, (device, _) in OF_FROM_SOURCES.items()} | compatible
        tables["LNRO0005"] = tables["ARMH0011"] = tables["ARMH0061"] = "virt"
    tables |= {name: device for name, (device, _) in ACPI_FROM_SOURCES.items() if name not in tables}
    tables |= {name: BOARD[arch] for name in ACPI_OF_BOARD if name not in tables}
    if arch == "x86_64":
        tables["PNP0D10"] = BOARD[arch]  # with usb=on (hw/usb/hcd-xhci-sysbus.c)
    made = {"Program": "QEMU", "Version": version, "Target": arch, "Machines": list(MACHINES[arch])}
    whole = {"Made": made, "Pci": ids, "Virtio": virtio, "Acpi": tables, "Of": compatible, "Devices": devices, "NotPlugged": refused}
    if primecells and primecells <= PRIMECELLS.keys():
        whole["Amba"] = {name: PRIMECELLS[name][0] for name in primecells}
    args.out.write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")


def _compatible(blob: bytes) -> set[tuple[str, ...]]:
    """What each node of a flattened device tree is compatible with (Devicetree specification, 5)."""
    structure, strings = int.from_bytes(blob[8:12], "big"), int.from_bytes(blob[12:16], "big")
    at, found = structure, set()
    while True:
        token, at = int.from_bytes(blob[at : at + 4], "big"), at + 4
        if token == 1:
            at = (blob.index(b"\0", at) + 4) & ~3
        elif token == 3:
            size, name = (int.from_bytes(blob[at + part : at + part + 4], "big") for part in (0, 4))
            value = blob[at + 8 : at + 8 + size]
            if blob[strings + name :].startswith(b"compatible\0"):
                found.add(tuple(one.decode() for one in value.split(b"\0") if one))
            at = (at + 8 + size + 3) & ~3
        elif token == 9:
            return found


if __name__ == "__main__":
    main()
