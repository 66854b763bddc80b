"""Bindings: what the drivers of an object bind to, and whether the machine has such a device.

Reads the driver structures and their tables. Each gives a Reach of its own: the device that makes it `yes`, the table that proves `no`, or
what stays open. docs/reachability.md has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import elements
from hook.c.macro_expansion import ExpansionTooLarge
from hook.evidence.reach.answer import Reach, no, unknown, yes
from hook.evidence.reach.devices import id_tables, primecells
from hook.evidence.reach.devices.buses import BUSES, SERPORT, USB_HID, USERIO, Bus, DeviceOrigin, Provider
from hook.evidence.reach.devices.counted_texts import CountedTexts
from hook.evidence.reach.devices.driver_structures import Driver
from hook.evidence.reach.devices.machine import ANY, ELSEWHERE_IDS, Machine, PciDevice, PciId, elsewhere, offered
from hook.evidence.reach.devices.probes.statements import is_passed
from hook.kernel.held_addresses import bodies, defined
from hook.kernel.kernel import Kernel
from hook.kernel.texts import Macros
from hook.verdict import ConfigReason, Fact

_NAME = lazy_re.compile(r"[A-Za-z_]\w*\Z")
_REFUSED = lazy_re.compile(r"(\w+)\s*\[\s*\w+\s*\]\s*==\s*\w+\s*->\s*device\s*\)\s*\{?\s*return\s+-\s*ENODEV")
_ONLY_USB = lazy_re.compile(r"\n\tif \(!hid_is_usb\(\w+\)\)\s*(?:\{[^{}]*?)?return -")
_SERIO_RS232, _ANY_SERIO = 0x02, 0xFF  # include/uapi/linux/serio.h, include/linux/mod_devicetable.h
_OF_FIRMWARE = (DeviceOrigin.FIRMWARE, DeviceOrigin.MANUAL_BIND)
_BY_NAME = ("platform", "spi", "mdio", "mipi_dsi")  # buses on which kernel code creates devices by the name of their driver
# buses whose drivers match by `.name`
_WITH_NAME = ("platform", "spi", "mdio", "mipi_dsi", "amba", "serdev", "i3c", "spmi", "slim", "apr", "fsi")
_NOT_STRINGS = ("amba_id", "sdw_device_id", "i2c_device_id", "mdio_device_id", "slim_device_id")
_DESCRIBING = {"acpi_device_id": "ACPI", "pnp_device_id": "PNP", "pnp_card_device_id": "PNP card", "of_device_id": "device tree"}
_MOST_HEADERS = 40  # files of an object whose own headers are looked into for a table
_STRINGS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "acpi_device_id": ("id", ("id", "driver_data", "cls", "cls_msk")),
    "pnp_device_id": ("id", ("id", "driver_data")),
    "pnp_card_device_id": ("id", ("id", "driver_data", "devs")),
    "platform_device_id": ("name", ("name", "driver_data")),
    "spi_device_id": ("name", ("name", "driver_data")),
    "i2c_device_id": ("name", ("name", "driver_data")),
    "auxiliary_device_id": ("name", ("name", "driver_data")),
    "of_device_id": ("compatible", ("name", "type", "compatible", "data")),
}


class DeviceNames(msgspec.Struct, frozen=True):
    """The names by which kernel code may create a device for a driver."""

    driver: Driver
    names: tuple[str, ...]
    macros: tuple[str, ...]  # by which the driver writes the names
    bus: str


class _Described(msgspec.Struct):
    """What the tables of one driver say of devices that firmware describes or kernel code creates."""

    facts: list[Fact] = msgspec.field(default_factory=list)  # that no id of a table belongs to a device of the machine
    unread: list[str] = msgspec.field(default_factory=list)  # what could not be read
    names: list[tuple[str, str]] = msgspec.field(default_factory=list)  # device names, each with the text that the table has for it


class Binder:
    """Answers for the drivers of one object."""

    def __init__(self, texts: CountedTexts, members: Sequence[str], macros: Macros, kernel: Kernel, vm: Machine, modname: str) -> None:
        self.texts, self.members, self._macros, self.fact = texts, members, macros, texts.fact
        self.kernel, self._vm, self._modname = kernel, vm, modname
        self._tables: dict[tuple[str, str], id_tables.Table] = {}
        for table in (table for path in members for table in id_tables.tables(texts, path)):
            other = self._tables.get((table.path, table.name))  # in another branch of a conditional
            self._tables[table.path, table.name] = table if other is None else other.joined(table)

    def provided(self, providers: Sequence[Provider], path: str, line: int, claim_about: str) -> Reach | None:
        """That a virtual device of the kernel's own provides the device; None where the tree has none of `providers`."""
        for provider in providers:
            reasons = self._reasons(provider.options, f"{provider.name}: {provider.why}")
            has_device = not provider.device or (provider.device in self._vm.names and self._vm.is_given(provider.device))
            if reasons is None or not has_device or provider.marker not in (self.texts.get(path) or ""):
                continue
            claim = f"{claim_about}; {provider.why} ({provider.name})"
            return yes(self.fact(claim, path, line), devices=(provider.name,), reasons=reasons)
        return None

    def _reasons(self, options: Sequence[str], why: str) -> dict[str, ConfigReason] | None:
        """Those of `options` that the base configuration leaves out; None where the tree has not all of them."""
        reasons = {}
        for name in options:
            option = self.kernel.options.get(name)
            if option is None:
                return None
            if self.kernel.base.get(name) not in ("y", "m"):
                reasons[name] = ConfigReason("reach", why[:160], *(option.places[0] if option.places else ("", 0)))
        return reasons

    def answer(self, driver: Driver) -> tuple[Reach, DeviceNames | None]:
        """The answer for one driver structure; where it is `no`, also the device names that kernel code may use to create its device."""
        bus = BUSES[driver.bus]
        if not driver.is_whole and bus.origin in (*_OF_FIRMWARE, DeviceOrigin.PCI, DeviceOrigin.OTHER_DRIVER):
            return unknown(f"not known: which devices {driver.name} binds to; the end of the structure was not found"), None
        if bus.origin is DeviceOrigin.PCI:
            return self._pci(driver), None
        if bus.origin is DeviceOrigin.VIRTIO:
            return self._virtio(driver), None
        if bus.origin in _OF_FIRMWARE:
            return self._described(driver, bus)
        if bus.origin is DeviceOrigin.OTHER_DRIVER:
            return self._named(driver)
        if driver.bus == "comedi" and "attach" not in driver.fields:
            return no(self.fact(f"{driver.name} cannot be attached by COMEDI_DEVCONFIG", driver.path, driver.line)), None
        if driver.bus == "serio":
            return self._serio(driver), None
        if driver.bus == "hid" and self._refuses_all_but_usb(driver):
            bus = msgspec.structs.replace(bus, providers=(USB_HID,))
        return self.of_bus(bus, driver.path, driver.line), None

    def of_bus(self, bus: Bus, path: str, line: int) -> Reach:
        """The answer for every driver on a bus."""
        if bus.origin is DeviceOrigin.USER_SPACE:
            by_provider = self.provided(bus.providers, path, line, bus.kind or f"a driver of the {bus.name} bus")
            return by_provider or unknown(
                f"not known: whether the VM has a device on the {bus.name} bus, for which the tree has no virtual host"
            )
        if bus.origin is DeviceOrigin.ABSENT and (not bus.absent_on or self._vm.arch in bus.absent_on) and self._vm.made_by:
            return no(self.fact(f"a driver of the {bus.name} bus: {bus.absent_because}", path, line))
        return unknown(bus.question or f"not known: whether the VM has a device on the {bus.name} bus")

    def table(self, text: str | None, path: str) -> id_tables.Table | bool | None:
        """The table that a field names: None where it names none, False where it is not in the object."""
        if text is None:
            return None
        text = re.sub(r"\A(?:of_match_ptr|ACPI_PTR|pm_ptr|of_match_node)\s*\((.*)\)\Z", r"\1", text.strip(), flags=re.DOTALL).strip()
        text = text.removeprefix("&").partition("[")[0].strip()
        if text in ("NULL", "0"):
            return None
        if not _NAME.match(text):
            return False
        if (path, text) in self._tables:
            return self._tables[path, text]
        headers = (header for member in (path, *self.members[:_MOST_HEADERS]) for header in self.texts.local_headers(member))
        others = [table for (_, name), table in self._tables.items() if name == text]
        others += [table for header in dict.fromkeys(headers) for table in id_tables.tables(self.texts, header) if table.name == text]
        return others[0] if len(others) == 1 else False

    def _serio(self, driver: Driver) -> Reach:
        """userio makes a port of any type without a protocol, serport a serial port (SERIO_RS232) of any protocol."""
        table = self.table(driver.fields.get("id_table"), driver.path)
        if not isinstance(table, id_tables.Table):
            return unknown(f"the table of serio ports of {driver.name} was not found")
        providers: set[Provider] = set()
        for row in id_tables.rows(table, ("type", "extra", "id", "proto"), self._macros, self.texts)[0]:
            kind, *others = (self._macros.number(row.fields.get(field, "0")) for field in ("type", "extra", "id", "proto"))
            if kind and all(value in (0, _ANY_SERIO) for value in others):
                providers.add(USERIO)
            if kind in (_SERIO_RS232, _ANY_SERIO) and None not in others:
                providers.add(SERPORT)
        suitable = [provider for provider in BUSES["serio"].providers if provider in providers]
        return self.provided(suitable, driver.path, driver.line, "a driver of the serio bus") or unknown(
            f"not known: whether user space can make a port that {driver.name} binds to"
        )

    def _refuses_all_but_usb(self, driver: Driver) -> bool:
        """Whether the probe of a HID driver fails for a device that is not on USB, such as one of uhid."""
        probe = driver.fields.get("probe", "").strip(" &")
        place = defined(self.texts, probe, (driver.path, *self.members)) if _NAME.match(probe) else None
        return place is not None and _ONLY_USB.search(self.texts.get(place[0]) or "", place[1], place[2]) is not None

    def _pci(self, driver: Driver) -> Reach:
        table = self.table(driver.fields.get("id_table"), driver.path)
        if table is None:
            return unknown(f"{driver.name} has no table of PCI ids; not known: whether user space binds it (new_id, driver_override)")
        if not isinstance(table, id_tables.Table):
            return unknown(f"the table of PCI ids of {driver.name} was not found")
        id_rows, unread = id_tables.rows(table, id_tables.pci_fields(), self._macros, self.texts)
        lines, wrong = id_tables.pci_ids(id_rows, self._macros, table.name)
        unread = unread or wrong
        ids = [pci_id for pci_id, _ in lines]
        line_of = dict(reversed(lines))
        devices, refusal = self._not_refused(driver, offered(ids, self._vm))
        if devices:
            return self._offered(driver, table, devices, line_of)
        if not self._vm.made_by:
            return unknown(f"there is no catalogue of devices for {self._vm.arch}")
        if unread:
            return unknown(f"a table entry could not be read: {unread}")
        if not ids:
            return unknown(f"{table.name} has no PCI id; not known: whether user space binds it (new_id, driver_override)")
        wildcard = next((pci_id for pci_id in ids if pci_id.vendor == ANY), None)
        if wildcard is not None:
            matched = f"class {wildcard.class_code:06x}" if wildcard.class_mask else "any device"
            return unknown(f"{table.name} takes {matched} of any vendor; not known: whether a device of the machine matches")
        for pci_id in ids:
            cloud = elsewhere(pci_id)
            if cloud:
                return unknown(f"{table.name} is for {cloud[0]}, a device of {cloud[1]}; not known: whether the kernel is fuzzed there")
        claim = f"{driver.name} binds to {len(ids)} PCI id{'s' * (len(ids) != 1)}, of which {self._vm.made_by} emulates none"
        return no(self.fact(claim, table.path, table.line), *refusal)

    def _offered(
        self, driver: Driver, table: id_tables.Table, offered: list[tuple[PciDevice, PciId]], line_of: Mapping[PciId, int]
    ) -> Reach:
        device, line = offered[0]
        id_pair = f"{device.vendor:04x}:{device.device:04x}"
        fact = self.fact(
            f"{driver.name} binds to {id_pair}, which is {device.name} of {self._vm.made_by}", table.path, line_of.get(line, table.line)
        )
        if not self._vm.is_given(device.name):
            return unknown(f"the machine ({self._vm.kind}) has none: it needs -device {device.name}", fact, devices=(device.name,))
        if not line.is_exact(device):
            return unknown(f"{device.name} does not have the subsystem ids of {table.name}", fact, devices=(device.name,))
        return yes(fact, devices=(device.name,))

    def _not_refused(
        self, driver: Driver, offered: list[tuple[PciDevice, PciId]]
    ) -> tuple[list[tuple[PciDevice, PciId]], tuple[Fact, ...]]:
        """The devices that the driver's probe does not reject by a list of device ids (amdgpu leaves radeon's devices alone)."""
        probe = driver.fields.get("probe", "")
        if not offered or not _NAME.match(probe):
            return offered, ()
        place = defined(self.texts, probe, (driver.path, *self.members))
        if place is None or len(bodies(self.texts, place[0], probe)) > 1:
            return offered, ()
        text = self.texts.get(place[0]) or ""
        refusing = _REFUSED.search(text, place[1], place[2])
        if refusing is None or not is_passed(text, place[1], text.rfind("for", place[1], refusing.start())):
            return offered, ()
        array = re.search(rf"\b{re.escape(refusing[1])}\s*\[\s*\]\s*=\s*\{{([^}}]*)\}}", text)
        numbers = [self._macros.number(element) for element, _ in elements(array[1])] if array else []
        kept = [element for element in offered if element[0].device not in numbers]
        if len(kept) == len(offered):
            return offered, ()
        names = ", ".join(sorted({element[0].name for element in offered} - {element[0].name for element in kept}))
        return kept, (self.fact(f"{probe}() rejects {names}", place[0], self.texts.line(place[0], refusing.start())),)

    def _virtio(self, driver: Driver) -> Reach:
        table = self.table(driver.fields.get("id_table"), driver.path)
        if not isinstance(table, id_tables.Table):
            return unknown(f"the table of virtio ids of {driver.name} was not found")
        id_rows, unread = id_tables.rows(table, ("device", "vendor"), self._macros, self.texts)
        numbers = [(self._macros.number(row.fields.get("device", "")), row.line) for row in id_rows]
        for number, line in numbers:
            if number and number in self._vm.virtio:
                name = self._vm.virtio[number]
                fact = self.fact(f"{driver.name} binds to virtio device {number}, which is {name} of {self._vm.made_by}", table.path, line)
                if self._vm.is_given(name):
                    transport = self._reasons(("VIRTIO_PCI",), f"{name} is on PCI")
                    return yes(fact, devices=(name,), reasons=transport or {})
                return unknown(f"the machine ({self._vm.kind}) has none: it needs -device {name}", fact, devices=(name,))
        remark = f" ({unread})" if unread else ""
        return unknown(f"no device of the catalogue has the virtio ids of {table.name}{remark}; another hypervisor may have one")

    def strings(self, table: id_tables.Table) -> tuple[list[tuple[str, int, str]], str]:
        """The strings of a table, each with its line and source text; and what could not be read."""
        if table.kind not in _STRINGS:
            return [], f"{table.name} is a table of {table.kind}"
        field, names = _STRINGS[table.kind]
        id_rows, unread = id_tables.rows(table, names, self._macros, self.texts)
        values: list[tuple[str, int, str]] = []
        for row in id_rows:
            text = row.fields.get(field, "").strip()
            if not text or text in ("NULL", "0", "{}", '""'):
                if any(row.fields.get(other_field) for other_field in ("cls", "type", "devs")) and not re.fullmatch(
                    r"0|NULL", row.fields.get("cls", "0").strip()
                ):
                    return values, f"{table.name}, line {row.line}"
                continue
            value = self.text(text)
            if value is None:
                return values, f"{table.name}, line {row.line}: {text[:60]}"
            if value:
                values.append((value, row.line, text))
        return values, unread

    def text(self, text: str) -> str | None:
        """The value of a constant string expression; None where it is not known. KBUILD_MODNAME is the name of the module."""
        try:
            text = self._macros.expand(text)
        except ExpansionTooLarge:
            return None
        value = self._macros.string(re.sub(r"\bKBUILD_MODNAME\b", f'"{self._modname}"', text))
        return self._array(text.strip()) if value is None and _NAME.match(text.strip()) else value

    def _array(self, name: str) -> str | None:
        """The text of a constant array of characters (`static const char udc_name[] = "…"`); None where it is not known.

        Every definition of the name in the object and its headers has to be the same. Being static, no other object has it.
        """
        form = re.compile(rf'\bstatic\s+(?:const\s+char|char\s+const)\s+{name}\s*\[\s*\w*\s*\]\s*=\s*("(?:[^"\\\n]|\\.)*")\s*;')
        files = dict.fromkeys(
            (*self.members, *(header for member in self.members[:_MOST_HEADERS] for header in self.texts.local_headers(member)))
        )
        values = {match[1] for path in files for match in form.finditer(self.texts.get(path) or "")}
        return self._macros.string(values.pop()) if len(values) == 1 else None

    def _described(self, driver: Driver, bus: Bus) -> tuple[Reach, DeviceNames | None]:
        described = _Described()
        for field in ("acpi_match_table", "id_table", "of_match_table", "ids", "card_id_table"):
            table = self.table(driver.fields.get(field), driver.path)
            if isinstance(table, id_tables.Table):
                if (offered := self._in_table(driver, bus, table, described)) is not None:
                    return offered, None
            elif table is None:
                continue
            elif field == "of_match_table" and self._vm.made_by and not self._vm.describes_by_tree and bus.name != "spi":
                claim = f"{driver.name}: no machine of {self._vm.made_by} has a device tree"
                described.facts.append(self.fact(claim, driver.path, driver.line))
            else:
                described.unread.append(f"{field} of {driver.name} was not found")
        if described.unread:
            return unknown(f"a table could not be read: {described.unread[0]}"), None
        if not self._vm.made_by:
            return unknown(f"there is no catalogue of devices for {self._vm.arch}"), None
        if bus.name == "amba" and self._vm.describes_by_tree:
            table, srcarch = self.table(driver.fields.get("id_table"), driver.path), self.kernel.environment["SRCARCH"]
            return primecells.of_driver(driver, table, self._vm, self._macros, self.texts, srcarch), None
        if bus.name == "i2c" and "detect" in driver.fields:
            return unknown(f"{driver.name} looks for its chip on adapters of its class (.detect); not known: whether the VM has one"), None
        if bus.name == "i2c":  # the name of a client is compared with tables alone
            nothing = self.fact(f"{driver.name} has no table by which user space or a board could bind it", driver.path, driver.line)
            return no(*(described.facts or [nothing])), None
        return self._by_name(driver, bus, described)

    def _in_table(self, driver: Driver, bus: Bus, table: id_tables.Table, described: _Described) -> Reach | None:
        """The answer where the machine has a device of a table; None where it has none, and `described` gets what the table says."""
        if table.kind not in _STRINGS:
            if table.kind not in _NOT_STRINGS:
                described.unread.append(f"{table.name} is a table of {table.kind}")
            return None
        strings, unread = self.strings(table)
        ids = self._vm.acpi if table.kind.startswith(("acpi", "pnp")) else self._vm.compatible if table.kind == "of_device_id" else {}
        for text, line, _ in strings:
            if known := id_tables.known_as(text, table.kind, ids):
                device = ids[known]
                fact = self.fact(f"{driver.name} binds to {text}, which {device} of {self._vm.made_by} has", table.path, line)
                if self._vm.is_given(device.partition(",")[0]):
                    return yes(fact, devices=(device.partition(",")[0],))
                return unknown(f"the machine ({self._vm.kind}) has no {device}", fact, devices=(device,))
        for text, line, _ in strings if ids else ():
            if text in ELSEWHERE_IDS:
                question = f"{text} is a device of {ELSEWHERE_IDS[text]}; not known: whether the kernel is fuzzed there"
                return unknown(question, self.fact(f"{driver.name} binds to {text}", table.path, line))
        if unread and (ids or not table.kind.startswith("of_")):
            described.unread.append(unread)
        elif table.kind in _DESCRIBING:
            claim = f"{driver.name}: {self._vm.made_by} has none of its {_DESCRIBING[table.kind]} ids ({len(strings)})"
            described.facts.append(self.fact(claim, table.path, table.line))
        if table.kind in ("platform_device_id", "spi_device_id"):
            described.names += [(text, written) for text, _, written in strings]
        elif table.kind == "of_device_id" and bus.name in ("spi", "i2c"):
            described.names += [(text.partition(",")[2] or text, '""') for text, _, _ in strings]
        return None

    def client_names(self, driver: Driver) -> DeviceNames:
        """The names by which kernel code may create an I2C client for a driver: of its tables, a compatible with its vendor or without."""
        names: list[tuple[str, str]] = []
        for field in ("id_table", "of_match_table"):
            table = self.table(driver.fields.get(field), driver.path)
            for text, _, written in self.strings(table)[0] if isinstance(table, id_tables.Table) else ():
                names += [(text.partition(",")[2] or text, written), (text, written)]
        macros = tuple(dict.fromkeys(text.strip() for _, text in names if _NAME.match(text.strip())))
        return DeviceNames(driver, tuple(dict.fromkeys(text for text, _ in names)), macros, driver.bus)

    def _by_name(self, driver: Driver, bus: Bus, described: _Described) -> tuple[Reach, DeviceNames | None]:
        """That firmware describes no device; and the names by which kernel code may create one."""
        nameless = unknown(f"not known: whether kernel code creates a device for {driver.name}, whose name could not be read"), None
        facts, names = described.facts, described.names
        written = driver.fields.get("name")
        if written is None and (not facts or bus.name == "platform"):
            return nameless
        if bus.name in _WITH_NAME and written is not None:
            driver_name = self.text(written)
            if driver_name is None:
                return nameless
            if not (driver.fields.get("id_table") and bus.name == "platform" and names):
                names.append((driver_name, written))
        facts = facts or [self.fact(f"{driver.name} has no id table: it binds by name", driver.path, driver.line)]
        spellings = dict.fromkeys(text.strip() for _, text in names)
        macros = tuple(text for text in spellings if _NAME.match(text) and text != "KBUILD_MODNAME" and self._array(text) is None)
        device_names = DeviceNames(driver, tuple(dict.fromkeys(text for text, _ in names)), macros, bus.name)
        return no(*facts), device_names if bus.name in _BY_NAME and names else None

    def _named(self, driver: Driver) -> tuple[Reach, DeviceNames | None]:
        table = self.table(driver.fields.get("id_table"), driver.path)
        if not isinstance(table, id_tables.Table):
            return unknown(f"the table of {driver.name} was not found"), None
        strings, unread = self.strings(table)
        if unread or not strings:
            return unknown(f"a table entry could not be read: {unread or table.name}"), None
        makers = tuple(dict.fromkeys(text.partition(".")[0] for text, _, _ in strings))
        claim = f"{driver.name} binds to devices that other drivers create ({', '.join(text for text, _, _ in strings[:3])})"
        return no(self.fact(claim, table.path, table.line)), DeviceNames(driver, makers, (), "auxiliary")
