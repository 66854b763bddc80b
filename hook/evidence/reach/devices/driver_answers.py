"""What each driver of an object says: by its tables, and by whether user space can have it bound by hand."""

from __future__ import annotations

import msgspec

from hook.evidence.reach.answer import Reach, unknown
from hook.evidence.reach.devices import manual_bind
from hook.evidence.reach.devices.bindings import BY_MACRO, Binder, DeviceNames, Driver
from hook.evidence.reach.devices.buses import BUSES, Way
from hook.evidence.reach.devices.graph import Edge, EdgeKind, Run, Spread
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.kernel.kbuild.objects import Object
from hook.verdict import Answer, Fact


class DriverAnswer(msgspec.Struct, frozen=True):
    """What one driver says."""

    driver: Driver
    reach: Reach
    names: DeviceNames | None  # by which code of the kernel may make its device, where nothing else does


def driver_answers(obj: Object, reader: ObjectReader) -> tuple[DriverAnswer, ...]:
    """What the drivers of an object say, as far as the first that has a device."""
    return reader.texts.once(("driver answers", obj.path), lambda: _driver_answers(obj, reader))


def _driver_answers(obj: Object, reader: ObjectReader) -> tuple[DriverAnswer, ...]:
    binder = reader.binder(obj)
    found: list[DriverAnswer] = []
    for driver in reader.profile(obj).drivers:
        found.append(DriverAnswer(driver, *_of_driver(binder, driver)))
        if found[-1].reach.answer is Answer.YES:
            break
    return tuple(found)


def _of_driver(binder: Binder, driver: Driver) -> tuple[Reach, DeviceNames | None]:
    bus = BUSES[driver.bus]
    if bus.way is Way.BY_HAND and (by_hand := manual_bind.bound(binder, driver, bus)) is not None:
        return by_hand, None
    reach, names = binder.answer(driver)
    if reach.answer is Answer.NO and BY_MACRO in driver.fields:
        return unknown(f"not known: what {driver.fields[BY_MACRO][:60]} gives {driver.name}"), None
    if reach.answer is Answer.NO and (files := driver.fields.get("groups", "NULL")) != "NULL":
        return unknown(f"{driver.name} has files of its own in sysfs ({files[:60]}), which user space opens without a device"), None
    return reach, names


def edge(reach: Reach, run: Run = Run.DEVICE, spread: Spread = Spread.EVERYWHERE) -> Edge:
    """The edge from the machine that an answer other than NO stands for."""
    return Edge(
        reach.question,
        EdgeKind.MUST if reach.answer is Answer.YES else EdgeKind.MAY,
        facts=reach.facts,
        devices=reach.devices,
        reasons=reach.reasons,
        assumptions=reach.assumptions,
        run=run,
        spread=spread,
    )


def split(reaches: list[tuple[Reach, Run, Spread]]) -> tuple[tuple[Edge, ...], tuple[Fact, ...]]:
    """The edges that answers stand for, and the facts of those that are NO."""
    edges = tuple(edge(reach, run, spread) for reach, run, spread in reaches if reach.answer is not Answer.NO)
    return edges, tuple(fact for reach, _, _ in reaches if reach.answer is Answer.NO for fact in reach.facts)
