"""Drivers and their tables: the devices that the machine, or the kernel itself, has for what an object registers."""

from __future__ import annotations

import re

from hook.evidence.reach.devices.buses import BUSES, BY_HAND, OWN, Way
from hook.evidence.reach.devices.driver_answers import driver_answers, split
from hook.evidence.reach.devices.graph import Edge, EdgeKind, Incoming, Run, Spread
from hook.evidence.reach.devices.id_tables import announced
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.kernel.kbuild.objects import Object
from hook.kernel.kconfig import expressions

_TABLES = ("pci", "acpi", "pnp", "virtio", "platform", "usb", "hid")  # kinds that MODULE_DEVICE_TABLE names, of which all have to be read


def own_devices(obj: Object, reader: ObjectReader) -> Incoming:
    """That the object is one of the kernel's own virtual devices, by the option that builds it."""
    for name in expressions.names(obj.condition):
        device, question = (OWN[name], "") if name in OWN else BY_HAND.get(name, ("", ""))
        if not device or reader.kernel.options.get(name) is None:
            continue
        fact = reader.fact(f"{device} is a virtual device of the kernel's own ({name})", *obj.place)
        kind = EdgeKind.MAY if question else EdgeKind.MUST
        return Incoming((Edge(f"{device}: {question}", kind, facts=(fact,), devices=(device,)),))
    return Incoming()


def driver_tables(obj: Object, reader: ObjectReader) -> Incoming:
    """What the buses give to the drivers of the object."""
    profile = reader.profile(obj)
    edges, closed = split(
        [
            (found.reach, Run.PLAYED if BUSES[found.driver.bus].way is Way.BY_HAND else Run.DEVICE, Spread.EVERYWHERE)
            for found in driver_answers(obj, reader)
        ]
    )
    unseen = "" if profile.whole else f"which files {obj.path} is linked of could not be read"
    return Incoming((*edges, *_unclaimed(obj, reader)), closed, unseen)


def _unclaimed(obj: Object, reader: ObjectReader) -> tuple[Edge, ...]:
    """The tables of ids that no driver structure names: a macro has made one that was not seen, or other code looks for the devices."""
    profile = reader.profile(obj)
    named = " ".join(value for driver in profile.drivers for value in driver.fields.values())
    return tuple(
        Edge(f"the table {name} ({path}:{line}) is named by no driver structure that was found")
        for path in profile.members
        for kind, name, line in announced(reader.texts, path)
        if kind in _TABLES and re.search(rf"\b{re.escape(name)}\b", named) is None
    )
