"""Bindings: what the drivers of an object bind to, and whether the machine has such a device.

Reads the driver structures and their tables. Each gives a Reach of its own: the device that makes it `yes`, the table that proves `no`, or
what stays open. docs/reachability.md has the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import closing, elements
from hook.c.macro_expansion import ExpansionTooLarge
from hook.evidence.reach.answer import Reach, no, unknown, yes
from hook.evidence.reach.devices import id_tables
from hook.evidence.reach.devices.buses import BUS_OF_SPELLING, BUSES, Bus, Provider, Way
from hook.evidence.reach.devices.initcalls import defined
from hook.evidence.reach.devices.machine import ANY, ELSEWHERE_ACPI, Machine, PciDevice, PciId, elsewhere, taken
from hook.kernel.kernel import Kernel
from hook.kernel.macros import Macros
from hook.kernel.texts import Texts
from hook.verdict import ConfigReason, Fact, Place

_DRIVER = lazy_re.compile(r"\bstruct\s+(\w+?)(?:_driver|_family)\s+(\w+)\s*(?:\[\s*\w*\s*\])?\s*(?:__\w+\s*(?:\([^()]*\)\s*)?)*=\s*\{")
_NAME = lazy_re.compile(r"[A-Za-z_]\w*\Z")
_INNER = lazy_re.compile(
    r"(?:mdiodrv(?:\.|\Z))?(?:driver|drv)?(?:\.|\Z)(\w*)\Z"
)  # of the structures that all drivers, or all of MDIO, have
_REFUSED = lazy_re.compile(r"(\w+)\s*\[\s*\w+\s*\]\s*==\s*\w+\s*->\s*device\s*\)\s*\{?\s*return\s+-\s*ENODEV")
_BY_NAME = ("platform", "spi", "mdio", "mipi_dsi")  # buses on which the kernel makes devices by their drivers' names
_WITH_NAME = ("platform", "spi", "mdio", "mipi_dsi", "amba", "serdev", "i3c", "spmi", "slim", "apr", "fsi")  # where `.name` is a name
_NOT_STRINGS = ("amba_id", "sdw_device_id", "i2c_device_id", "mdio_device_id", "slim_device_id")
_DESCRIBING = {"acpi_device_id": "ACPI", "pnp_device_id": "PNP", "pnp_card_device_id": "PNP card", "of_device_id": "device tree"}
BY_MACRO = "?"  # the field for what stands in a driver without a name: a macro may give it any
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


class Driver(msgspec.Struct, frozen=True):
    """A driver structure."""

    bus: str
    name: str
    path: str
    line: int
    fields: Mapping[str, str]  # those of `.driver` among them
    is_whole: bool = True  # whether its end was found


class DeviceNames(msgspec.Struct, frozen=True):
    """The names by which a device is made for a driver in the kernel itself."""

    driver: Driver
    names: tuple[str, ...]
    macros: tuple[str, ...]  # that the names are written with
    bus: str


def drivers(texts: Texts, path: str) -> list[Driver]:
    """The driver structures that a file defines."""
    return texts.once(("drivers", path), lambda: list(_drivers(texts, path)))


def _drivers(texts: Texts, path: str) -> Iterator[Driver]:
    text = texts.get(path) or ""
    every = (
        found for mark in ("_driver ", "_driver\t", "_family ", "_family\t") for found in id_tables.matches(_DRIVER, text, mark, "struct")
    )
    seen: set[int] = set()  # the name of a structure may end as its kind does
    for found in every:
        bus = BUS_OF_SPELLING.get(found[1], found[1])
        if bus not in BUSES or found.start() in seen:
            continue
        seen.add(found.start())
        end = closing(text, found.end() - 1)
        body = text[found.end() : end if end > 0 else found.end() + 2000]
        yield Driver(bus, found[2], path, texts.line(path, found.start()), _fields(body), end > 0)


def _fields(body: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part, _ in elements(re.sub(r"(?m)^[ \t]*#.*$", "", body)):
        named = re.match(r"\s*\.\s*([\w.]+)\s*=\s*(.*)\Z", part, re.DOTALL)
        if named is None:
            if part.strip():
                found[BY_MACRO] = " ".join(part.split())
            continue
        name, value = named[1], named[2].strip()
        inner = _INNER.match(name)
        if inner and not inner[1] and value.startswith("{"):
            found |= {key: text for key, text in _fields(value[1:-1]).items() if key not in found}
        elif inner and inner[1]:
            found[inner[1]] = value
        else:
            # in two branches of a conditional: neither is the one that counts
            found[name] = value if found.get(name, value) == value else f"{found[name]} or {value}"
    return found


class _Described(msgspec.Struct):
    """What the tables of one driver say of devices that firmware, or code of the kernel, describes."""

    facts: list[Fact] = msgspec.field(default_factory=list)  # that a table has none of the machine
    unread: list[str] = msgspec.field(default_factory=list)  # what could not be read
    names: list[tuple[str, str]] = msgspec.field(default_factory=list)  # by which a device may be made, and as they are written


class Binder:
    """Answers for the drivers of one object."""

    def __init__(self, texts: Texts, members: Sequence[str], macros: Macros, kernel: Kernel, vm: Machine, modname: str) -> None:
        self.texts, self.members, self._macros = texts, members, macros
        self.kernel, self._vm, self._modname = kernel, vm, modname
        self._tables: dict[tuple[str, str], id_tables.Table] = {}
        for table in (table for path in members for table in id_tables.tables(texts, path)):
            other = self._tables.get((table.path, table.name))  # in another branch of a conditional
            self._tables[table.path, table.name] = table if other is None else other.joined(table)

    def fact(self, claim: str, path: str, line: int) -> Fact:
        """A claim with its place and the line there."""
        text = (self.texts.get(path) or "").split("\n", line)
        shown = text[line - 1].strip()[:160] if 0 < line <= len(text) else ""
        return Fact(claim, Place(path, line, self.texts.blob(path)), shown)

    def provided(self, providers: Sequence[Provider], path: str, line: int, what: str) -> Reach | None:
        """That one of the kernel's own virtual devices hosts it; None where the tree has none of them."""
        for one in providers:
            options = [self.kernel.options.get(name) for name in one.options]
            if any(option is None for option in options):
                continue
            if one.device and not (one.device in self._vm.names and self._vm.is_given(one.device)):
                continue
            reasons = {}
            for option in options:
                assert option is not None
                where = option.places[0] if option.places else ["", 0]
                if self.kernel.base.get(option.name) not in ("y", "m"):
                    reasons[option.name] = ConfigReason("reach", f"{one.name}: {one.why}"[:160], str(where[0]), int(str(where[1])))
            claim = f"{what}; {one.why} ({one.name})"
            return yes(self.fact(claim, path, line), devices=(one.name,), reasons=reasons)
        return None

    def answer(self, driver: Driver) -> tuple[Reach, DeviceNames | None]:
        """What one driver structure says, and the names that are still to be looked for where it says `no`."""
        bus = BUSES[driver.bus]
        if not driver.is_whole and bus.way in (Way.PCI, Way.DESCRIBED, Way.BY_HAND, Way.NAMED):
            return unknown(f"not known: which devices {driver.name} binds to; its end was not found"), None
        if bus.way is Way.PCI:
            return self._pci(driver), None
        if bus.way is Way.VIRTIO:
            return self._virtio(driver), None
        if bus.way in (Way.DESCRIBED, Way.BY_HAND):
            return self._described(driver, bus)
        if bus.way is Way.NAMED:
            return self._named(driver)
        if driver.bus == "comedi" and "attach" not in driver.fields:
            return no(self.fact(f"{driver.name} cannot be attached by COMEDI_DEVCONFIG", driver.path, driver.line)), None
        return self.of_bus(bus, driver.path, driver.line), None

    def of_bus(self, bus: Bus, path: str, line: int) -> Reach:
        """What a bus says of every driver on it."""
        if bus.way is Way.HOSTED:
            found = self.provided(bus.providers, path, line, bus.what or f"a driver of the {bus.name} bus")
            return found or unknown(f"not known: whether the VM has a device on the {bus.name} bus, of which the tree has no virtual host")
        if bus.way is Way.ABSENT and (not bus.absent_on or self._vm.arch in bus.absent_on) and self._vm.made_by:
            return no(self.fact(f"a driver of the {bus.name} bus: {bus.what}", path, line))
        question = bus.what if bus.way is not Way.ABSENT else ""  # there it is the reason of the `no`
        return unknown(question or f"not known: whether the VM has a device on the {bus.name} bus")

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
        headers = (header for one in (path, *self.members[:_MOST_HEADERS]) for header in self.texts.local_headers(one))
        others = [table for (_, name), table in self._tables.items() if name == text]
        others += [table for header in dict.fromkeys(headers) for table in id_tables.tables(self.texts, header) if table.name == text]
        return others[0] if len(others) == 1 else False

    def _pci(self, driver: Driver) -> Reach:
        table = self.table(driver.fields.get("id_table"), driver.path)
        if table is None:
            return unknown(f"{driver.name} has no table of PCI ids: it is for what user space has bound to it (new_id, driver_override)")
        if not isinstance(table, id_tables.Table):
            return unknown(f"the table of PCI ids of {driver.name} was not found")
        found, unread = id_tables.rows(table, id_tables.pci_fields(), self._macros, self.texts)
        lines, wrong = id_tables.pci_ids(found, self._macros, table.name)
        unread = unread or wrong
        ids = [one for one, _ in lines]
        at = dict(reversed(lines))
        offered, refusal = self._not_refused(driver, taken(ids, self._vm))
        if offered:
            return self._offered(driver, table, offered, at)
        if not self._vm.made_by:
            return unknown(f"there is no catalogue of devices for {self._vm.arch}")
        if unread:
            return unknown(f"a line of a table could not be read: {unread}")
        if not ids:
            return unknown(f"{table.name} has no PCI id: it is for what user space has bound to it (new_id, driver_override)")
        wild = next((one for one in ids if one.vendor == ANY), None)
        if wild is not None:
            what = f"class {wild.class_code:06x}" if wild.class_mask else "any device"
            return unknown(f"{table.name} takes {what} of any maker; not known: whether a device of the machine matches")
        for one in ids:
            other = elsewhere(one)
            if other:
                return unknown(f"{table.name} is for {other[0]}, a device of {other[1]}; not known: whether the kernel is fuzzed there")
        claim = f"{driver.name} binds to {len(ids)} PCI id{'s' * (len(ids) != 1)}, of which {self._vm.made_by} emulates none"
        return no(self.fact(claim, table.path, table.line), *refusal)

    def _offered(self, driver: Driver, table: id_tables.Table, offered: list[tuple[PciDevice, PciId]], at: Mapping[PciId, int]) -> Reach:
        device, line = offered[0]
        shown = f"{device.vendor:04x}:{device.device:04x}"
        fact = self.fact(
            f"{driver.name} binds to {shown}, which is {device.name} of {self._vm.made_by}", table.path, at.get(line, table.line)
        )
        if not self._vm.is_given(device.name):
            return unknown(f"the machine ({self._vm.kind}) has none: it needs -device {device.name}", fact, devices=(device.name,))
        if not line.is_exact(device):
            return unknown(f"{device.name} has other subsystem ids than {table.name} asks for", fact, devices=(device.name,))
        return yes(fact, devices=(device.name,))

    def _not_refused(
        self, driver: Driver, offered: list[tuple[PciDevice, PciId]]
    ) -> tuple[list[tuple[PciDevice, PciId]], tuple[Fact, ...]]:
        """What the driver's probe does not send away by a list of device ids (as amdgpu does with what is radeon's)."""
        probe = driver.fields.get("probe", "")
        if not offered or not _NAME.match(probe):
            return offered, ()
        where = defined(self.texts, probe, (driver.path, *self.members))
        if where is None:
            return offered, ()
        text = self.texts.get(where[0]) or ""
        refusing = _REFUSED.search(text, where[1], where[2])
        if refusing is None:
            return offered, ()
        array = re.search(rf"\b{re.escape(refusing[1])}\s*\[\s*\]\s*=\s*\{{([^}}]*)\}}", text)
        numbers = [self._macros.number(one) for one, _ in elements(array[1])] if array else []
        left = [one for one in offered if one[0].device not in numbers]
        if len(left) == len(offered):
            return offered, ()
        names = ", ".join(sorted({one[0].name for one in offered} - {one[0].name for one in left}))
        return left, (self.fact(f"{probe}() sends {names} away", where[0], self.texts.line(where[0], refusing.start())),)

    def _virtio(self, driver: Driver) -> Reach:
        table = self.table(driver.fields.get("id_table"), driver.path)
        if not isinstance(table, id_tables.Table):
            return unknown(f"the table of virtio ids of {driver.name} was not found")
        found, unread = id_tables.rows(table, ("device", "vendor"), self._macros, self.texts)
        numbers = [(self._macros.number(row.fields.get("device", "")), row.line) for row in found]
        for number, line in numbers:
            if number and number in self._vm.virtio:
                name = self._vm.virtio[number]
                fact = self.fact(f"{driver.name} binds to virtio device {number}, which is {name} of {self._vm.made_by}", table.path, line)
                if self._vm.is_given(name):
                    return yes(fact, devices=(name,))
                return unknown(f"the machine ({self._vm.kind}) has none: it needs -device {name}", fact, devices=(name,))
        more = f" ({unread})" if unread else ""
        return unknown(f"no device of the catalogue has the virtio ids of {table.name}{more}; another hypervisor may")

    def strings(self, table: id_tables.Table) -> tuple[list[tuple[str, int, str]], str]:
        """The strings of a table with their lines and how they are written; and what could not be read."""
        if table.kind not in _STRINGS:
            return [], f"{table.name} is a table of {table.kind}"
        field, names = _STRINGS[table.kind]
        found, unread = id_tables.rows(table, names, self._macros, self.texts)
        out: list[tuple[str, int, str]] = []
        for row in found:
            text = row.fields.get(field, "").strip()
            if not text or text in ("NULL", "0", "{}", '""'):
                if any(row.fields.get(one) for one in ("cls", "type", "devs")) and not re.fullmatch(
                    r"0|NULL", row.fields.get("cls", "0").strip()
                ):
                    return out, f"{table.name}, line {row.line}"
                continue
            value = self.text(text)
            if value is None:
                return out, f"{table.name}, line {row.line}: {text[:60]}"
            if value:
                out.append((value, row.line, text))
        return out, unread

    def text(self, text: str) -> str | None:
        """A constant string; a driver's name may be that of its module, behind a macro of its own."""
        try:
            text = self._macros.expand(text)
        except ExpansionTooLarge:
            return None
        return self._macros.string(re.sub(r"\bKBUILD_MODNAME\b", f'"{self._modname}"', text))

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
            return unknown(f"not known: whether a primecell of the machine's device tree has an id of {driver.name}"), None
        if bus.name == "i2c" and "detect" in driver.fields:
            return unknown(f"{driver.name} looks for its chip on adapters of its class (.detect); not known: whether the VM has one"), None
        if bus.name == "i2c":  # the name of a client is compared with tables alone
            nothing = self.fact(f"{driver.name} has no table by which user space or a board could have it bound", driver.path, driver.line)
            return no(*(described.facts or [nothing])), None
        return self._by_name(driver, bus, described)

    def _in_table(self, driver: Driver, bus: Bus, table: id_tables.Table, described: _Described) -> Reach | None:
        """The device of the machine that a table has; None where it has none, which is added to what is described."""
        if table.kind not in _STRINGS:
            if table.kind not in _NOT_STRINGS:
                described.unread.append(f"{table.name} is a table of {table.kind}")
            return None
        strings, unread = self.strings(table)
        ids = self._vm.acpi if table.kind.startswith(("acpi", "pnp")) else self._vm.compatible if table.kind == "of_device_id" else {}
        for text, line, _ in strings:
            if text in ids:
                device = ids[text]
                fact = self.fact(f"{driver.name} binds to {text}, which {device} of {self._vm.made_by} has", table.path, line)
                if self._vm.is_given(device.partition(",")[0]):
                    return yes(fact, devices=(device.partition(",")[0],))
                return unknown(f"the machine ({self._vm.kind}) has no {device}", fact, devices=(device,))
        for text, line, _ in strings if ids is self._vm.acpi else ():
            if text in ELSEWHERE_ACPI:
                question = f"{text} is a device of {ELSEWHERE_ACPI[text]}; not known: whether the kernel is fuzzed there"
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

    def _by_name(self, driver: Driver, bus: Bus, described: _Described) -> tuple[Reach, DeviceNames | None]:
        """That firmware describes no device; and the names by which code of the kernel may make one."""
        nameless = unknown(f"not known: whether code of the kernel makes a device for {driver.name}, whose name could not be read"), None
        facts, names = described.facts, described.names
        written = driver.fields.get("name")
        if written is None and (not facts or bus.name == "platform"):
            return nameless
        if bus.name in _WITH_NAME and written is not None:
            own = self.text(written)
            if own is None:
                return nameless
            if not (driver.fields.get("id_table") and bus.name == "platform" and names):
                names.append((own, written))
        facts = facts or [self.fact(f"{driver.name} binds by name alone", driver.path, driver.line)]
        macros = tuple(dict.fromkeys(text.strip() for _, text in names if _NAME.match(text.strip()) and text.strip() != "KBUILD_MODNAME"))
        wanted = DeviceNames(driver, tuple(dict.fromkeys(text for text, _ in names)), macros, bus.name)
        return no(*facts), wanted if bus.name in _BY_NAME and names else None

    def _named(self, driver: Driver) -> tuple[Reach, DeviceNames | None]:
        table = self.table(driver.fields.get("id_table"), driver.path)
        if not isinstance(table, id_tables.Table):
            return unknown(f"the table of {driver.name} was not found"), None
        strings, unread = self.strings(table)
        if unread or not strings:
            return unknown(f"a line of a table could not be read: {unread or table.name}"), None
        makers = tuple(dict.fromkeys(text.partition(".")[0] for text, _, _ in strings))
        shown = ", ".join(text for text, _, _ in strings[:3])
        claim = f"{driver.name} binds to devices that other drivers make ({shown})"
        return no(self.fact(claim, table.path, table.line)), DeviceNames(driver, makers, (), "auxiliary")
