"""Primecells: the devices on the AMBA bus, which a device tree or ACPI describes, and drivers bind to by the id in their registers."""

from __future__ import annotations

from hook.evidence.reach.answer import Reach, no, unknown, yes
from hook.evidence.reach.devices import id_tables
from hook.evidence.reach.devices.counted_texts import CountedTexts
from hook.evidence.reach.devices.driver_structures import Driver
from hook.evidence.reach.devices.machine import Machine
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.kernel.texts import Macros

_FIELDS = ("id", "mask", "data")  # of struct amba_id
# what makes a device on the bus (include/linux/amba/bus.h), and the code that does so for a node, or an object of ACPI
_MAKING = (
    "amba_device_alloc", "amba_device_register", "amba_device_add", "amba_apb_device_add", "amba_ahb_device_add", "amba_apb_device_add_res",
    "amba_ahb_device_add_res",
)  # fmt: skip
_OF_FIRMWARE = ("drivers/amba/", "drivers/of/", "drivers/acpi/", "include/linux/amba/bus.h")


def of_driver(
    driver: Driver, table: id_tables.Table | bool | None, vm: Machine, macros: Macros, texts: CountedTexts, srcarch: str
) -> Reach:
    """The answer for a driver of the bus, on a machine with a device tree.

    `no` if no id of its table is that of a primecell of the machine (drivers/amba/bus.c, amba_lookup). Excluded are: a table that was not
    read to its end; a machine of which not all primecells are known; code of the target that makes such a device itself.
    """
    if vm.primecells is None or not isinstance(table, id_tables.Table) or table.kind != "amba_id":
        return unknown(f"not known: whether a primecell of the machine's device tree has an id of {driver.name}")
    rows, unread = id_tables.rows(table, _FIELDS, macros, texts)
    ids = [(macros.number(row.fields.get("id", "0")), macros.number(row.fields.get("mask", "0")), row.line) for row in rows]
    for number, mask, line in ids:
        device = next((name for name, its in vm.primecells.items() if number is not None and mask and its & mask == number), "")
        if device:
            fact = texts.fact(f"{driver.name} binds to {number:08x}, which {device} of {vm.made_by} has", table.path, line)
            board = vm.compatible.get(device, "virt").partition(",")[0]
            return yes(fact, devices=(board,)) if vm.is_given(board) else unknown(f"the machine ({vm.kind}) has no {device}", fact)
    if unread or not ids or any(number is None or mask is None for number, mask, _ in ids):
        return unknown(f"a table entry could not be read: {unread or table.name}")
    makers = texts.holding([[*_MAKING]])
    others = [path for path in makers or () if path.endswith((".c", ".h", ".rs")) and not path.startswith(_OF_FIRMWARE)]
    if makers is None or any(in_kernel(path, srcarch, NO_KERNEL_CODE) for path in others):
        return unknown(f"not known: whether kernel code makes a primecell for {driver.name}")
    names = ", ".join(sorted(vm.primecells))
    return no(texts.fact(f"{driver.name}: the primecells of {vm.made_by} ({names}) have none of its ids", table.path, table.line))
