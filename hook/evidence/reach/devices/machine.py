"""The machine: the devices that a virtual machine can have, with the ids that drivers bind to.

`machines/ARCH.json` is made from a real QEMU by bench/catalogue.py. `fuzz.catalogue` takes its place, `fuzz.vm` narrows it. A device that
QEMU emulates and the machine lacks is not out of reach: one option on the command line adds it.
"""

from __future__ import annotations

import functools
import pathlib
import typing
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hook.config import Settings, WrongSetting

ANY = 0xFFFFFFFF
_FILES = pathlib.Path(__file__).parent / "machines"
# what Google Compute Engine gives its machines (its documentation, "Using gVNIC", "About Local SSD", "Virtio RNG")
GCE = (
    "gvnic",
    "virtio-scsi-pci",
    "virtio-net-pci",
    "virtio-rng-pci",
    "virtio-balloon-pci",
    "nvme",
    "pc",
    "q35",
    "VGA",
    "tpm-tis",
    "pvpanic",
)
# devices of hypervisors other than QEMU. They exist in virtual machines, so nothing proves that they are out of reach
ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "1ae0:": ("gvnic", "Google Compute Engine"),
    "1d0f:": ("ena", "Amazon EC2"),
    "1414:": ("mana", "Microsoft Hyper-V and Azure"),
    "15ad:": ("vmci", "VMware"),
    "80ee:": ("vboxguest", "VirtualBox"),
    "5853:": ("xen-platform", "Xen"),
    "1ab8:": ("prl-tg", "Parallels"),
    "1ded:": ("erdma", "Alibaba Cloud"),
    "1af4:": ("virtio", "another hypervisor"),
    "1b36:": ("a device of QEMU", "another QEMU"),
    "1234:": ("a device of QEMU", "another QEMU"),
}
# of firmware tables and device trees
ELSEWHERE_IDS: Mapping[str, str] = {"VMW0005": "VMware", "linaro,optee-tz": "the firmware OP-TEE"}


class _Made(typing.TypedDict):
    """The program that a catalogue was made with."""

    Program: str
    Version: str
    Target: str
    Machines: list[str]


class _Catalogue(typing.TypedDict):
    """The parts of a file of machines/ that are used here."""

    Made: _Made
    Devices: dict[str, str]  # name -> bus
    Pci: dict[str, list[str]]  # name -> VENDOR:DEVICE SUBVENDOR:SUBDEVICE CLASS, a line for each function
    Virtio: dict[str, int]
    Acpi: dict[str, str]
    Of: dict[str, str]
    Amba: typing.NotRequired[dict[str, str]]  # what a primecell of the device tree is compatible with -> its peripheral id
    NotPlugged: dict[str, str]  # name -> why


class PciDevice(msgspec.Struct, frozen=True):
    """An emulated PCI device or function."""

    name: str  # as QEMU names it, or the machine that has it
    vendor: int
    device: int
    subvendor: int
    subdevice: int
    class_code: int  # class, subclass and interface


class PciId(msgspec.Struct, frozen=True):
    """A line of a driver's table (struct pci_device_id); ANY stands for every value."""

    vendor: int
    device: int
    subvendor: int = ANY
    subdevice: int = ANY
    class_code: int = 0
    class_mask: int = 0
    override_only: int = 0

    def takes(self, device: PciDevice) -> bool:
        """Whether a driver with this line is offered the device (drivers/pci/pci-driver.c, pci_match_one_device).

        Subsystem ids are not compared: QEMU lets a person set those of several devices.
        """
        if self.override_only:
            return False  # user space has to ask for the driver by name
        return (
            self.vendor in (ANY, device.vendor)
            and self.device in (ANY, device.device)
            and not (self.class_code ^ device.class_code) & self.class_mask
        )

    def is_exact(self, device: PciDevice) -> bool:
        """Whether the subsystem ids that QEMU gives the device match, too."""
        return self.subvendor in (ANY, device.subvendor) and self.subdevice in (ANY, device.subdevice)


class Machine(msgspec.Struct, frozen=True, dict=True):
    """What a virtual machine of one architecture may have."""

    arch: str
    made_by: str  # "QEMU 10.0.2"; empty where there is no catalogue for the architecture
    pci: tuple[PciDevice, ...]
    virtio: Mapping[int, str]  # device id -> name
    acpi: Mapping[str, str]  # _HID or _CID -> what it describes
    compatible: Mapping[str, str]  # of the device tree
    names: frozenset[str]  # all devices, as QEMU names them
    not_plugged: frozenset[str]  # those of them with which alone QEMU does not start
    has: frozenset[str] | None  # the devices of this machine; None where it may have any
    kind: str = "qemu-any"
    primecells: Mapping[str, int] | None = None  # compatible -> peripheral id; None where not all are known

    @property
    def describes_by_tree(self) -> bool:
        """Whether the firmware gives the kernel a device tree."""
        return bool(self.compatible)

    @functools.cached_property
    def by_vendor(self) -> dict[int, list[PciDevice]]:
        """The PCI devices by their vendor."""
        by_vendor: dict[int, list[PciDevice]] = {}
        for device in self.pci:
            by_vendor.setdefault(device.vendor, []).append(device)
        return by_vendor

    def is_given(self, device: str) -> bool:
        """Whether this machine has the device, or may have it."""
        return self.has is None or device in self.has


class NoSuchDevice(ValueError):
    """A device that the catalogue does not know; the sentence names it."""


class NotACatalogue(ValueError):
    """A text that is no catalogue of the architecture; the sentence says why."""


def of_settings(settings: Settings) -> Machine:
    """The machine that the settings name. Raises WrongSetting."""
    try:
        return machine(settings.target.arch, settings.fuzz.vm, settings.catalogue)
    except NoSuchDevice as wrong:
        raise WrongSetting(f"{settings.origins['fuzz.vm']}: fuzz.vm: {wrong}") from None
    except NotACatalogue as wrong:
        raise WrongSetting(f"{settings.origins['fuzz.catalogue']}: fuzz.catalogue: {wrong}") from None


def machine(arch: str, vm: Sequence[str], catalogue: str | None = None) -> Machine:
    """The machine that `fuzz.vm` says: `qemu-any`, `gce`, or the names of devices.

    `catalogue` is the text of the person's own catalogue; None for ours. Raises NoSuchDevice and NotACatalogue.
    """
    raw = _catalogue(arch) if catalogue is None else _own_catalogue(catalogue, arch)
    names = frozenset((*raw["Devices"], *raw["Pci"], *raw["Made"]["Machines"])) if raw else frozenset()
    has: frozenset[str] | None = None
    kind = "qemu-any"
    if tuple(vm) == ("gce",):
        has, kind = frozenset(GCE), "gce"
    elif tuple(vm) != ("qemu-any",):
        unknown = [device for device in vm if device not in names]
        if raw and unknown:
            raise NoSuchDevice(f"{unknown[0][:60]!a} is no device that {_made_by(raw)} has for {arch}")
        has, kind = frozenset(vm) | {"pc", "q35", "virt"}, "the devices of fuzz.vm"
    if not raw:
        return Machine(arch, "", (), {}, {}, {}, names, frozenset(), has, kind)
    machines = raw["Made"]["Machines"]
    devices = [_pci(name, line) for name, lines in raw["Pci"].items() for line in lines]
    # the default network adapter and display of a machine are in the list under their own names
    pci = tuple(device for device in devices if device.name not in machines or device.class_code >> 16 not in (2, 3))
    if kind == "gce":
        pci = (*pci, PciDevice("gvnic", 0x1AE0, 0x0042, 0x1AE0, 0x0058, 0x020000))
    virtio: dict[int, str] = {}
    for name, number in sorted(raw["Virtio"].items(), key=lambda entry: (len(entry[0]), entry[0])):
        virtio.setdefault(number, name)
    primecells = {compatible: int(number, 16) for compatible, number in raw["Amba"].items()} if "Amba" in raw else None
    return Machine(arch, _made_by(raw), pci, virtio, raw["Acpi"], raw["Of"], names, frozenset(raw["NotPlugged"]), has, kind, primecells)


def elsewhere(line: PciId) -> tuple[str, str] | None:
    """The device of a hypervisor other than QEMU that a line may match, and that hypervisor."""
    return ELSEWHERE.get(f"{line.vendor:04x}:") if line.vendor != ANY else None


def offered(lines: Iterable[PciId], vm: Machine) -> list[tuple[PciDevice, PciId]]:
    """The devices that a driver with these lines is offered: first those of this machine, and of these the exact matches."""
    of_vendor = vm.by_vendor
    devices = [
        (device, line)
        for line in lines
        for device in (vm.pci if line.vendor == ANY else of_vendor.get(line.vendor, ()))
        if line.takes(device)
    ]
    return sorted(
        devices,
        key=lambda offer: (
            not vm.is_given(offer[0].name),
            not offer[1].is_exact(offer[0]),
            "transitional" in offer[0].name,
            "cxl" in offer[0].name,  # it needs a machine with CXL
            offer[0].name in ("pc", "q35"),
        ),
    )


def _pci(name: str, line: str) -> PciDevice:
    ids, sub, code = line.split()
    vendor, device = (int(part, 16) for part in ids.split(":"))
    subvendor, subdevice = (int(part, 16) for part in sub.split(":"))
    return PciDevice(name, vendor, device, subvendor, subdevice, int(code, 16))


def _made_by(raw: _Catalogue) -> str:
    return f"{raw['Made']['Program']} {raw['Made']['Version']}"


@functools.cache
def _catalogue(arch: str) -> _Catalogue | None:
    """The catalogue of an architecture; None where none was made."""
    try:
        return typing.cast(_Catalogue, msgspec.json.decode((_FILES / f"{arch}.json").read_bytes()))
    except FileNotFoundError:
        return None


@functools.cache
def _own_catalogue(text: str, arch: str) -> _Catalogue:
    """The catalogue that a person has made. A device that it lacks is proved to be absent, so it has to be whole. Raises NotACatalogue."""
    try:
        catalogue = msgspec.json.decode(text, type=_Catalogue)
        for name, lines in catalogue["Pci"].items():
            for line in lines:
                _pci(name, line)
        for number in catalogue.get("Amba", {}).values():
            int(number, 16)
    except ValueError as wrong:
        raise NotACatalogue(f"not made by bench/catalogue.py: {str(wrong)[:100]}") from None
    if catalogue["Made"]["Target"] != arch:
        raise NotACatalogue(f"made for {catalogue['Made']['Target'][:20]!a}, and the target is {arch}")
    if not (catalogue["Made"]["Machines"] and catalogue["Pci"] and catalogue["Devices"]):
        raise NotACatalogue("it has no devices")
    return catalogue
