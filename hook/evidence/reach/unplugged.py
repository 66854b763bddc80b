"""Unplugged devices: why the device of a driver may go while programs run, other than by root through sysfs (unbind, remove, rescan).

Asked for buses whose devices no program plugs or unplugs (`RunsAt.FIXED_UNBIND`): `pci_driver`, `amba_driver`, `platform_driver`.
"""

from __future__ import annotations

import re

from hook import lazy_re
from hook.c.definitions import Definition
from hook.c.translation_unit import TranslationUnit
from hook.kernel.name_users import NameUsers
from hook.source.words import words_of

_MAKES_DEVICES = lazy_re.compile(
    rb"\b(?:platform_device_(?:register|add|alloc|unregister|del|put)\w*|mfd_\w+|struct mfd_cell|MFD_CELL\w*)\b"
)
# functions by which a driver unbinds or removes a device itself, as where its firmware is dead
_UNBINDING = (
    "device_release_driver", "device_driver_detach", "device_reprobe", "pci_stop_and_remove_bus_device",
    "pci_stop_and_remove_bus_device_locked",
)  # fmt: skip
_UNBINDS = lazy_re.compile(rb"\b(?:" + "|".join(_UNBINDING).encode() + rb")\s*\(")
_CORE = ("drivers/base", "drivers/pci")  # which defines them, and calls them for sysfs


def why(name_users: NameUsers, unit: TranslationUnit, struct: str, table: Definition) -> str:
    """Why a device of a driver may be unbound while programs run; empty if nothing but sysfs does that.

    Excluded are: devices of platform drivers that other code makes, by their name; virtual functions of a PCI chip; a driver that unbinds
    its device, or has it removed, itself. What removes any device of a bus is not: hot-plug controllers, buttons of laptops.
    """
    if struct == "platform_driver" and (made := _of_maker(name_users, unit, table)):
        return made
    if struct == "pci_driver" and _may_be_virtual_function(unit, table):
        return f"{table.name} may drive virtual functions, which a sysfs file creates and removes"
    return _unbound(name_users, unit)


def _may_be_virtual_function(unit: TranslationUnit, table: Definition) -> bool:
    """Whether a PCI driver may drive virtual functions: by its path (igbvf, iavf), or since it has some made."""
    return re.search(r"vf(?:_\w*)?[/.]", unit.path) is not None or b"sriov_configure" in unit.data[table.span[0] : table.span[1]]


def _of_maker(name_users: NameUsers, unit: TranslationUnit, table: Definition) -> str:
    """Why a program may plug and unplug the devices of a platform driver (drivers/mfd/dln2.c creates some on USB)."""
    text = unit.data[table.span[0] : table.span[1]]
    name = re.search(rb'\.\s*name\s*=\s*"([^"\n]+)"', text)
    if name is None or b"id_table" in text or _MAKES_DEVICES.search(unit.data):
        return f"a program may plug and unplug the devices of {table.name}"
    words = [[word] for word in words_of(name[1].decode("utf-8", "replace").lower())]  # no plain numbers
    paths = name_users.source.files_holding(words) if words else None
    if paths is None:
        return f"not known: which code creates the devices of {table.name} (no word index)"
    for path in paths:
        if path == unit.path or not name_users.is_of_the_kernel(path):
            continue
        other = name_users.units.get(path)
        if other is None:
            return f"not every file that may create devices of {table.name} could be read"
        if b'"' + name[1] + b'"' in other.data and (_MAKES_DEVICES.search(other.data) or path.endswith(".h")):
            return f"{path} creates devices of {table.name}, or has a macro for their name"
    return ""


def _unbound(name_users: NameUsers, unit: TranslationUnit) -> str:
    """Why a driver's device may be unbound by the kernel itself: code of its directory, or of one above or below, does that."""
    paths = name_users.source.files_holding([_UNBINDING])
    if paths is None:
        return f"not known: whether other code unbinds devices of {unit.path} (no word index)"
    ours = unit.path.rpartition("/")[0]
    for path in paths:
        folder = path.rpartition("/")[0]
        is_near = f"{ours}/".startswith(f"{folder}/") or folder.startswith(f"{ours}/")
        if is_near and folder not in _CORE and path.endswith((".c", ".h")):
            other = name_users.units.get(path)
            if other is None or _UNBINDS.search(other.scan.code):
                return f"{path} may unbind devices itself"
    return ""
