"""By hand: drivers that user space has bound by their name, to a chip that it plays itself.

I2C: `new_device` of an adapter makes a client of any name (Documentation/i2c/instantiating-devices.rst, method 4), which binds the driver
with that name in its i2c_device_id table (i2c_match_id), or with a compatible of that name, with or without its vendor, where the kernel
knows device trees (i2c_of_match_device_sysfs). SPI: user space names the driver for the device of an adapter (`driver_override`), or the
adapter itself says what is behind it. Who plays the adapter plays the chip; what else a board would give, an interrupt first, is not there.
"""

from __future__ import annotations

from collections.abc import Iterator

from hook import lazy_re
from hook.evidence.reach.answer import Reach, unknown, yes
from hook.evidence.reach.devices import id_tables, probe_requirements
from hook.evidence.reach.devices.bindings import Binder, Driver
from hook.evidence.reach.devices.buses import Bus
from hook.kernel.kconfig import upper_bounds
from hook.kernel.kconfig.expressions import Symbol
from hook.verdict import ConfigReason

_MODE = lazy_re.compile(r"\bSPI_(?:MODE_[23]|CPOL|CS_HIGH|LSB_FIRST|3WIRE|NO_CS|READY)\b")  # that a CH341 has not (spi_setup)
_LONGEST = 19  # characters of the name of an I2C client (I2C_NAME_SIZE without the end)
ASSUMED = "user space has {name} bound by hand: what needs the chip's interrupt, or what a board or its firmware says, does not run"


def bound(binder: Binder, driver: Driver, bus: Bus) -> Reach | None:
    """What is said of a driver that can be bound by hand; None where it cannot, and only firmware or a board makes its device."""
    host = binder.provided(bus.providers, driver.path, driver.line, "")
    if host is None:
        # a tree of before that adapter: software stubs still answer on I2C
        return unknown(f"{driver.name}: {bus.what}") if bus.name == "i2c" else None
    if bus.name == "spi" and _MODE.search(binder.texts.get(driver.path) or ""):
        host = binder.provided(bus.providers[1:], driver.path, driver.line, "")
        if host is None:
            return unknown(f"{driver.name} asks for a mode of SPI that no adapter has which user space plays")
    if bus.name == "i2c":
        found = next(_names(binder, driver), None)
        if isinstance(found, str):
            return unknown(f"{driver.name}: {found}", devices=host.devices)
        if found is None:
            return None
        name, path, line, needs_tree = found
        claim = f"user space has {driver.name} bound as {name!a} (new_device)"
    else:
        path, line, needs_tree = driver.path, driver.line, False
        claim = f"user space has {driver.name} bound to the device of an adapter"
    reasons = dict(host.reasons)
    if needs_tree and binder.kernel.base.get("OF") != "y":
        option = binder.kernel.options.get("OF")
        where = option.places[0] if option is not None and option.places else ["", 0]
        why = "the compatible strings of drivers are compared only with it"
        reasons["OF"] = ConfigReason("reach", why, str(where[0]), int(str(where[1])))
    want = probe_requirements.of_probe(binder.texts, driver.fields.get("probe", "").strip(" &"), (driver.path, *binder.members))
    if want is not None:
        question = f"{claim}, but its probe asks for {want.what} ({want.path}:{want.line}), which a chip played by user space has not"
        return unknown(question, devices=host.devices)
    fact = binder.fact(f"{claim}; {host.facts[0].claim.removeprefix('; ')}", path, line)
    return yes(fact, devices=host.devices, reasons=reasons, assumptions=(ASSUMED.format(name=driver.name),))


def _names(binder: Binder, driver: Driver) -> Iterator[tuple[str, str, int, bool] | str]:
    """The names that bind a driver, each with its place and whether it takes a kernel that knows device trees; or what is not known."""
    unread = ""
    for field, needs_tree in (("id_table", False), ("of_match_table", True)):
        table = binder.table(driver.fields.get(field), driver.path)
        if table is None or (needs_tree and not _knows_trees(binder)):
            continue
        if not isinstance(table, id_tables.Table):
            unread = unread or f"its {field} was not found, so the name by which it is bound is not known"
            continue
        strings, wrong = binder.strings(table)
        unread = unread or (wrong and f"a line of a table could not be read: {wrong}")
        for text, line, _ in strings:
            # with the vendor or without; what is too long cannot be written to new_device
            for name in dict.fromkeys((text.partition(",")[2] or text, text)) if needs_tree else (text,):
                if len(name) <= _LONGEST and not any(one.isspace() for one in name):
                    yield name, table.path, line, needs_tree
    if unread:
        yield unread


def _knows_trees(binder: Binder) -> bool:
    """Whether a kernel of the target can be built with what compares the compatible strings."""
    return binder.kernel.options.get("OF") is not None and not upper_bounds.impossible(binder.kernel.options, Symbol("OF"))
