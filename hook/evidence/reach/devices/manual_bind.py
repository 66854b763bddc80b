"""Manual bind: drivers that user space binds by name, to a chip that it emulates.

I2C: `new_device` of an adapter makes a client of any name (Documentation/i2c/instantiating-devices.rst, method 4), which binds the driver
with that name in its i2c_device_id table (i2c_match_id), or with a compatible of that name, with or without its vendor, where the kernel
knows device trees (i2c_of_match_device_sysfs). SPI: user space names the driver for the device of an adapter (`driver_override`), or the
adapter itself says what is behind it. User space is the adapter, so it is the chip, too. What else a board has, such as an interrupt, is
missing.
"""

from __future__ import annotations

from collections.abc import Iterator

from hook import lazy_re
from hook.evidence.reach.answer import Reach, unknown, yes
from hook.evidence.reach.devices import id_tables
from hook.evidence.reach.devices.bindings import Binder
from hook.evidence.reach.devices.buses import BUSES, Bus, DeviceOrigin
from hook.evidence.reach.devices.driver_structures import Driver
from hook.evidence.reach.devices.probes import probe_requirements
from hook.evidence.reach.devices.probes.failing_probes import FailingProbe, failing_probe
from hook.kernel.kconfig import upper_bounds
from hook.kernel.kconfig.expressions import Symbol
from hook.verdict import ConfigReason

_MODE = lazy_re.compile(r"\bSPI_(?:MODE_[23]|CPOL|CS_HIGH|LSB_FIRST|3WIRE|NO_CS|READY)\b")  # modes that a CH341 lacks (spi_setup)
_LONGEST = 19  # characters of the name of an I2C client (I2C_NAME_SIZE without the end)
ASSUMED = "user space binds {name} manually; code that needs an interrupt or a description by firmware does not run"


def bound(binder: Binder, driver: Driver, bus: Bus) -> Reach | None:
    """The answer for a driver that can be bound manually; None where it cannot, and only firmware or a board describes its device."""
    host = binder.provided(bus.providers, driver.path, driver.line, "")
    if host is None:
        # the tree is older than that adapter; i2c-stub still answers
        return unknown(f"{driver.name}: {bus.question}") if bus.name == "i2c" else None
    if bus.name == "spi" and _MODE.search(binder.texts.get(driver.path) or ""):
        host = binder.provided(bus.providers[1:], driver.path, driver.line, "")
        if host is None:
            return unknown(f"{driver.name} needs an SPI mode that no emulated adapter has")
    if bus.name == "i2c":
        binding_name = next(_names(binder, driver), None)
        if isinstance(binding_name, str):
            return unknown(f"{driver.name}: {binding_name}", devices=host.devices)
        if binding_name is None:
            return None
        name, path, line, needs_of = binding_name
        claim = f"user space has {driver.name} bound as {name!a} (new_device)"
    else:
        path, line, needs_of = driver.path, driver.line, False
        claim = f"user space has {driver.name} bound to the device of an adapter"
    reasons = dict(host.reasons)
    if needs_of and binder.kernel.base.get("OF") != "y":
        option = binder.kernel.options.get("OF")
        place = option.places[0] if option is not None and option.places else ("", 0)
        reasons["OF"] = ConfigReason("reach", "without it compatible strings are not compared", *place)
    lacking = probe_requirements.of_probe(binder.texts, _probe(driver), (driver.path, *binder.members))
    if lacking is not None:
        question = f"{claim}, but its probe requires {lacking.name} ({lacking.path}:{lacking.line}), which an emulated chip does not have"
        return unknown(question, devices=host.devices)
    fact = binder.fact(f"{claim}; {host.facts[0].claim.removeprefix('; ')}", path, line)
    return yes(fact, devices=host.devices, reasons=reasons, assumptions=(ASSUMED.format(name=driver.name),))


def failing(binder: Binder, driver: Driver) -> FailingProbe | None:
    """How the probe of a driver fails for every device that user space makes; None where it is not certain to."""
    if BUSES[driver.bus].origin is not DeviceOrigin.MANUAL_BIND:
        return None
    return failing_probe(binder.texts, _probe(driver), (driver.path, *binder.members))


def _probe(driver: Driver) -> str:
    return (driver.fields.get("probe") or driver.fields.get("probe_new", "")).strip(" &")


def _names(binder: Binder, driver: Driver) -> Iterator[tuple[str, str, int, bool] | str]:
    """The names that bind a driver, each with its place and whether OF is needed; or a sentence that says what is not known."""
    unread = ""
    for field, needs_of in (("id_table", False), ("of_match_table", True)):
        table = binder.table(driver.fields.get(field), driver.path)
        if table is None or (needs_of and not _can_have_of(binder)):
            continue
        if not isinstance(table, id_tables.Table):
            unread = unread or f"its {field} was not found, so the name to bind it by is not known"
            continue
        strings, wrong = binder.strings(table)
        unread = unread or (wrong and f"a table entry could not be read: {wrong}")
        for text, line, _ in strings:
            # with the vendor or without; new_device refuses a longer name
            for name in dict.fromkeys((text.partition(",")[2] or text, text)) if needs_of else (text,):
                if len(name) <= _LONGEST and not any(character.isspace() for character in name):
                    yield name, table.path, line, needs_of
    if unread:
        yield unread


def _can_have_of(binder: Binder) -> bool:
    """Whether a kernel of the target can have OF, which compares compatible strings."""
    return binder.kernel.options.get("OF") is not None and not upper_bounds.impossible(binder.kernel.options, Symbol("OF"))
