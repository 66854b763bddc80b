"""Driver answers: what the tables of each driver of an object prove, and whether user space can bind it manually."""

from __future__ import annotations

import msgspec

from hook.evidence.reach.answer import Reach, no, unknown
from hook.evidence.reach.devices import manual_bind
from hook.evidence.reach.devices.bindings import Binder, DeviceNames
from hook.evidence.reach.devices.buses import BUSES, DeviceOrigin
from hook.evidence.reach.devices.driver_structures import BY_MACRO, Driver
from hook.evidence.reach.devices.graph import Edge, EdgeKind, Run, Spread
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.probes.running_code import RunningCode, running_code
from hook.kernel.held_addresses import NAMES
from hook.kernel.kbuild.objects import Object
from hook.verdict import Answer, Fact

# fields of a driver that run nothing before a device is bound, beside its probe, of which a part runs
_UNBOUND = frozenset(
    (
        "probe",
        "probe_new",
        "remove",
        "remove_new",
        "shutdown",
        "name",
        "owner",
        "id_table",
        "of_match_table",
        "acpi_match_table",
        "dev_groups",
    )
)


class DriverAnswer(msgspec.Struct, frozen=True):
    """The answer for one driver."""

    driver: Driver
    reach: Reach
    names: DeviceNames | None  # by which kernel code may create its device, where nothing else does
    running: RunningCode | None = None  # what its probe runs before it fails, where it always does


def driver_answers(obj: Object, reader: ObjectReader) -> tuple[DriverAnswer, ...]:
    """The answers for the drivers of an object, up to the first that has a device."""
    return reader.texts.once(("driver answers", obj.path), lambda: _driver_answers(obj, reader))


def _driver_answers(obj: Object, reader: ObjectReader) -> tuple[DriverAnswer, ...]:
    binder = reader.binder(obj)
    answers: list[DriverAnswer] = []
    for driver in reader.profile(obj).drivers:
        answers.append(_of_failing(binder, driver) or DriverAnswer(driver, *_of_driver(binder, driver)))
        if answers[-1].reach.answer is Answer.YES:
            break
    return tuple(answers)


def _of_failing(binder: Binder, driver: Driver) -> DriverAnswer | None:
    """The answer for a driver that user space binds, but whose probe always fails; None for any other.

    Firmware that describes the device, or kernel code that creates it by a name, may give the probe what it lacks.
    """
    failing = manual_bind.failing(binder, driver)
    if failing is None:
        return None
    described, names = binder.answer(driver)
    if described.answer is not Answer.NO or BY_MACRO in driver.fields or driver.fields.get("groups", "NULL") != "NULL":
        return None
    roots = [failing.parts[-1].function]
    for field, value in driver.fields.items():
        roots += NAMES.findall(value) if field not in _UNBOUND else ()
    running = running_code(binder.texts, (*dict.fromkeys((driver.path, *binder.members)),), roots, failing.parts)
    if running is None:
        return None
    claim = f"{driver.name}: its probe always fails, since a chip that user space emulates does not have {failing.requirement}"
    reach = no(binder.fact(claim, failing.path, failing.line), *described.facts)
    return DriverAnswer(driver, reach, names or binder.client_names(driver), running)


def _of_driver(binder: Binder, driver: Driver) -> tuple[Reach, DeviceNames | None]:
    bus = BUSES[driver.bus]
    if bus.origin is DeviceOrigin.MANUAL_BIND and (manual := manual_bind.bound(binder, driver, bus)) is not None:
        return manual, None
    reach, names = binder.answer(driver)
    if reach.answer is Answer.NO and BY_MACRO in driver.fields:
        return unknown(f"not known: which fields of {driver.name} the macro {driver.fields[BY_MACRO][:60]} sets"), None
    if reach.answer is Answer.NO and (files := driver.fields.get("groups", "NULL")) != "NULL":
        return unknown(f"{driver.name} has files of its own in sysfs ({files[:60]}), which user space opens without a device"), None
    return reach, names


def edge(reach: Reach, run: Run = Run.DEVICE, spread: Spread = Spread.EVERYWHERE) -> Edge:
    """The edge from the machine for an answer other than NO."""
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
    """The edges for answers other than NO, and the facts of those that are NO."""
    edges = tuple(edge(reach, run, spread) for reach, run, spread in reaches if reach.answer is not Answer.NO)
    return edges, tuple(fact for reach, _, _ in reaches if reach.answer is Answer.NO for fact in reach.facts)
