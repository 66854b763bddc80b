"""Driver tables: the devices that the machine, or the kernel itself, has for the drivers of an object."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook import lazy_re
from hook.evidence.reach.devices import id_tables
from hook.evidence.reach.devices.buses import BUSES, STUB_DEVICES, VIRTUAL_DEVICES, DeviceOrigin
from hook.evidence.reach.devices.driver_answers import driver_answers, split
from hook.evidence.reach.devices.graph import Edge, EdgeKind, Incoming, Run, Spread
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.probes.running_code import RunningCode
from hook.kernel.kbuild.objects import Object
from hook.kernel.kconfig import expressions

_TABLES = ("pci", "acpi", "pnp", "virtio", "platform", "usb", "hid")  # kinds of MODULE_DEVICE_TABLE that must all be read
_OWN_USES = 2  # of the name of a table: its definition, and MODULE_DEVICE_TABLE
_LOOKED_UP = lazy_re.compile(r"\b(?:pci_match_id|pci_dev_present)\s*\(\s*(\w+)\s*[,)]|\bacpi_match_device_ids\s*\([^(),]*,\s*(\w+)\s*\)")
_HEAD = 200  # characters before the body of a table


def own_devices(obj: Object, reader: ObjectReader) -> Incoming:
    """That the object is a virtual device of the kernel's own, by the option that builds it."""
    for name in expressions.names(obj.condition):
        device, question = (VIRTUAL_DEVICES[name], "") if name in VIRTUAL_DEVICES else STUB_DEVICES.get(name, ("", ""))
        if not device or reader.kernel.options.get(name) is None:
            continue
        fact = reader.texts.fact(f"{device} is a virtual device of the kernel ({name})", *obj.place)
        kind = EdgeKind.MAY if question else EdgeKind.MUST
        return Incoming((Edge(f"{device}: {question}", kind, facts=(fact,), devices=(device,)),))
    return Incoming()


def driver_tables(obj: Object, reader: ObjectReader) -> Incoming:
    """The devices of the buses for the drivers of the object."""
    profile = reader.profile(obj)
    edges, closed = split([(answer.reach, _run(answer.driver.bus), Spread.EVERYWHERE) for answer in driver_answers(obj, reader)])
    running: RunningCode | None = None
    for answer in driver_answers(obj, reader):
        running = answer.running.joined(running) if answer.running is not None else running
    unseen = "" if profile.whole else f"not known: which files {obj.path} is linked from"
    return Incoming((*edges, *_unclaimed(obj, reader)), closed, unseen, running)


def _run(bus: str) -> Run:
    """How a driver runs where it has a device. A function of a PCI endpoint without a controller is only created: it uses no others."""
    if bus == "pci_epf":
        return Run.FILE
    return Run.EMULATED if BUSES[bus].origin is DeviceOrigin.MANUAL_BIND else Run.DEVICE


def _unclaimed(obj: Object, reader: ObjectReader) -> tuple[Edge, ...]:
    """The id tables that no driver structure names: a macro has made the structure, or other code looks for the devices."""
    profile = reader.profile(obj)
    in_drivers = " ".join(value for driver in profile.drivers for value in driver.fields.values())
    return tuple(
        Edge(f"no driver structure was found that uses the table {name} ({path}:{line})")
        for path in profile.members
        for kind, name, line in id_tables.announced(reader.texts, path)
        if kind in _TABLES
        and re.search(rf"\b{re.escape(name)}\b", in_drivers) is None
        and not _is_for_loading(reader, profile.members, path, name)
    )


def _is_for_loading(reader: ObjectReader, members: Sequence[str], path: str, name: str) -> bool:
    """Whether a table is there for MODULE_DEVICE_TABLE, by which user space loads the module, and for look-ups, which call nothing.

    Excluded are a table that other files may use, and a name that a macro may put together.
    """
    uses = 0
    for member in members:
        text = reader.texts.get(member) or ""
        if "##" in text or any("##" in (reader.texts.get(header) or "") for header in reader.texts.local_headers(member)):
            return False
        uses += len(re.findall(rf"\b{re.escape(name)}\b", _LOOKED_UP.sub(lambda call: "" if name in call.groups() else call[0], text)))
    table = next((table for table in id_tables.tables(reader.texts, path) if table.name == name), None)
    if table is None or uses != _OWN_USES:
        return False
    text = reader.texts.get(path) or ""
    return re.search(r"\bstatic\b[^;{}]*\Z", text[max(0, table.offset - _HEAD) : table.offset - 1]) is not None
