"""Teardown: whether changed functions run only when a driver, a device or a module goes.

A NO is a proof from every use of the function in the kernel, of its callers, and so on: each ends where a device is taken from a bus that
no program in a virtual machine takes devices from, or at the exit of code that is built in. The list of uses is whole or there is no
answer: a limit, a macro that may make the name, an address that goes anywhere else leave it open. docs/ways-in.md has the rules.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Iterator, Sequence

from hook.c.definitions import Definition, DefinitionKind
from hook.evidence.reach.answer import Reach
from hook.evidence.reach.calls.call_paths import Bounds
from hook.evidence.reach.calls.nodes import Node, function_node, table_node
from hook.kernel import entry_points
from hook.kernel.kconfig.expressions import YES, Condition, all_of, names, open_parts
from hook.kernel.kernel import Kernel
from hook.kernel.name_users import NOT_THE_KERNEL, Holders
from hook.kernel.units import MOST_USES, Kind, Unit, Units, Use
from hook.source.index import NoIndex
from hook.source.tree import Source
from hook.source.words import is_number
from hook.verdict import Answer, ConfigReason, Fact, Place

_MOST_FUNCTIONS = 60  # callers of callers that are followed


class Goes(enum.StrEnum):
    """What makes a function run."""

    EXIT = "the module is taken out"
    FIXED = "its device is taken from a bus that no program takes devices from"
    DRIVEN = "its device is unplugged, as a program that emulates it does"
    POWER = "the machine suspends, resumes or shuts down"
    BOOT = "the kernel boots"
    OPEN = "not known"


# structure -> members -> when they run. Buses whose devices a program can make and take (i2c through USB adapters or i2c-stub, spi, virtio
# through vduse, auxiliary through devlink, …) are not here: nothing is said of them
_POWER = dict.fromkeys(("suspend", "resume", "reset_resume", "shutdown"), Goes.POWER)
_FIXED = {"remove": Goes.FIXED, **_POWER}
_WHEN: dict[str, dict[str, Goes]] = {
    "pci_driver": _FIXED,
    "amba_driver": _FIXED,
    "platform_driver": {"remove_new": Goes.FIXED, **_FIXED},
    "usb_driver": {"disconnect": Goes.DRIVEN, "shutdown": Goes.POWER},  # a device that nobody uses is suspended while the machine runs
    "usb_serial_driver": {"disconnect": Goes.DRIVEN, "release": Goes.DRIVEN, "port_remove": Goes.DRIVEN},
    "hid_driver": {"remove": Goes.DRIVEN},
    "i2c_driver": _POWER,
    "spi_driver": _POWER,
    "virtio_driver": _POWER,
    "pnp_driver": _POWER,
    "dev_pm_ops": {},  # each of its members
    "syscore_ops": {},
}
# what a virtual machine needs so that a program can plug and unplug such devices, and what people call it
_GADGET = ("USB_RAW_GADGET", "USB_DUMMY_HCD"), "dummy_hcd with raw-gadget"
_PLUGGED = {"usb_driver": _GADGET, "usb_serial_driver": _GADGET, "hid_driver": (("UHID",), "uhid")}
_MAKES_DEVICES = re.compile(rb"\b(?:platform_device_(?:register|add|alloc|unregister|del|put)\w*|mfd_\w+|struct mfd_cell|MFD_CELL\w*)\b")
_LONGEST_NAME = 512  # that is put together by a macro, with the blanks beside it
_LAST_WORD, _FIRST_WORD = re.compile(rb"\w*\Z"), re.compile(rb"\s*+(\w*+)")
_HARMLESS = re.compile(r"(?:EXPORT|MODULE|EXPORT_SYMBOL)_\w+\Z")


@dataclasses.dataclass(frozen=True)
class _End:
    """Where the uses of a function end."""

    goes: Goes
    fact: Fact
    table: Node | None = None
    why: str = ""  # of an open one
    whole: bool = True  # whether every use of the function was seen


def gate(functions: Sequence[tuple[str, str]], source: Source, kernel: Kernel, bounds: Bounds) -> Reach:
    """Whether `functions`, given as (path, name), run only as something goes.

    NO where each of them is proved to; YES where one runs as a device is unplugged that a program emulates; else UNKNOWN, with what is
    known in the question, which is empty where a function is none of teardown. Raises GitError.
    """
    units = Units(source, bounds.files)
    holders = Holders(source, units, kernel.kbuild, kernel.environment, bounds.files)
    facts: list[Fact] = []
    assumptions: list[str] = []
    questions: list[str] = []
    for path, name in dict.fromkeys(functions):
        ends = list(_Ends(holders, kernel).of(path, name))
        for end in ends:
            if end.goes is Goes.DRIVEN and end.table is not None:
                found = _plugged(name, end, units, kernel)
                if found is not None:
                    return found
        kinds = {end.goes for end in ends}
        if kinds and kinds <= {Goes.EXIT, Goes.FIXED}:
            facts += [end.fact for end in ends]
            if Goes.EXIT in kinds:
                assumptions.append(f"{path} is built in, not a module")
            continue
        if not ends or Goes.OPEN in kinds:
            return Reach(Answer.UNKNOWN)  # one of them runs at other times, or may: nothing is said of the change
        questions.append(f"{name} runs when {' or when '.join(sorted(map(str, kinds)))}: {ends[0].fact.claim}")
    if not functions or questions:
        return Reach(Answer.UNKNOWN, question="; ".join(questions))
    return Reach(Answer.NO, tuple(dict.fromkeys(facts)), assumptions=tuple(dict.fromkeys(assumptions)))


def at_boot(functions: Sequence[tuple[str, str]], source: Source, kernel: Kernel, bounds: Bounds) -> str:
    """How one of `functions`, given as (path, name), runs as the kernel boots whatever devices there are, or why that cannot be told.

    Empty where none does. Raises GitError.
    """
    holders = Holders(source, Units(source, bounds.files), kernel.kbuild, kernel.environment, bounds.files)
    ends = _Ends(holders, kernel)
    return next(filter(None, (ends.boots(path, name) for path, name in dict.fromkeys(functions))), "")


def _plugged(name: str, end: _End, units: Units, kernel: Kernel) -> Reach | None:
    """YES, if a kernel for the target can have the driver, registered, and what its devices are emulated with."""
    from hook.kernel.kconfig.solver import NoSolution, solve

    assert end.table is not None
    unit = units.get(end.table.path)
    options, device = _PLUGGED[end.table.struct]
    registered = _registration(unit, end.table.name) if unit else None
    if unit is None or registered is None:
        return None
    built = kernel.built_if(unit.path)
    condition: Condition = all_of([built.condition, *(["=", one, YES] for one in options)])
    if open_parts(condition):
        return None
    try:
        solution = solve(kernel.options, kernel.base, condition, {})
    except NoSolution:
        return None
    reasons = {
        one: ConfigReason("reach", f"unplugs the devices of {end.table.name}: {name} runs", end.fact.place.path, end.fact.place.line)
        for one, value in solution.settings.items()
        if value == "y"
    }
    fact = Fact(f"{end.table.name} is registered", Place(unit.path, registered[0], unit.oid), registered[1])
    return Reach(Answer.YES, (fact, end.fact), devices=(device,), reasons=reasons, assumptions=tuple(solution.probes))


def _may_be_virtual_function(unit: Unit, table: Definition) -> bool:
    """Whether a PCI driver may drive virtual functions: by its path (igbvf, iavf), or since it has some made."""
    return re.search(r"vf(?:_\w*)?[/.]", unit.path) is not None or b"sriov_configure" in unit.data[table.span[0] : table.span[1]]


def _registration(unit: Unit, table: str) -> tuple[int, str] | None:
    """The line that registers a driver in its own file."""
    form = rb"\b(?:module_\w+driver\w*|usb_register\w*|hid_register_driver)\s*\(\s*&?" + table.encode() + rb"\b"
    match = re.search(form, unit.scan.code)
    if match is None and (serial := re.search(rb"\bmodule_usb_serial_driver\s*\(", unit.scan.code)):
        match = serial
    return unit.line(match.start()) if match else None


class _Ends:
    """Where all uses of a function end."""

    def __init__(self, holders: Holders, kernel: Kernel) -> None:
        self._holders, self._kernel = holders, kernel

    def of(self, path: str, name: str) -> Iterator[_End]:
        """The ends of a function's uses; one that is open where they cannot all be told."""
        unit = self._holders.units.get(path)
        definition = unit.defined(name, DefinitionKind.FUNCTION) if unit else None
        if unit is None or definition is None:
            yield self._open(path, 0, "", f"{path} defines no function {name} that could be found")
            return
        waiting = [(unit, definition)]
        seen = {(unit.path, definition.name)}
        while waiting:
            unit, definition = waiting.pop(0)
            if len(seen) > _MOST_FUNCTIONS:
                yield self._open(path, 0, "", "too many callers")
                return
            for found in self._uses(unit, definition):
                if isinstance(found, _End):
                    yield found
                    if found.goes is Goes.OPEN:
                        return
                elif (found[0].path, found[1].name) not in seen:
                    seen.add((found[0].path, found[1].name))
                    waiting.append(found)

    def boots(self, path: str, name: str) -> str:
        """How a function runs as the kernel boots, or why that cannot be told; empty where it does not."""
        unit = self._holders.units.get(path)
        definition = unit.defined(name, DefinitionKind.FUNCTION) if unit else None
        if unit is None or definition is None:
            return f"{path} defines no function {name} that could be found"
        waiting = [(unit, definition)]
        seen = {(unit.path, definition.name)}
        while waiting:
            for found in self._uses(*waiting.pop(0)):
                if isinstance(found, _End):
                    if found.goes is Goes.BOOT or not found.whole:
                        return found.fact.claim
                elif (found[0].path, found[1].name) not in seen:
                    seen.add((found[0].path, found[1].name))
                    waiting.append(found)
            if len(seen) > _MOST_FUNCTIONS:
                return f"{name} has too many callers"
        return ""

    def _uses(self, unit: Unit, definition: Definition) -> Iterator[_End | tuple[Unit, Definition]]:
        head = unit.head(definition)
        name = definition.name
        line, text = unit.line(definition.offset)
        if re.search(rb"\b__exit\b", head):
            yield self._exit(unit, f"{name} is __exit", line, text)
            return
        if re.search(rb"\b__init\b", head):
            yield _End(Goes.BOOT, self._fact(unit, f"{name} is __init", line, text))
            return
        if why := self._may_be_made(unit, name):
            yield self._unseen(unit.path, line, text, why)
            return
        node = function_node(unit, definition)
        count = 0
        for path in self._all_files(node):
            user = self._holders.units.get(path) if path else None
            if user is None:
                yield self._unseen(unit.path, line, text, f"not every use of {name} could be looked at")
                return
            uses = user.uses(name)
            if len(uses) >= MOST_USES:
                yield self._unseen(unit.path, line, text, f"{path} uses {name} too often")
                return
            for use in uses:
                if use.kind is Kind.STATEMENT and _HARMLESS.match(use.given):
                    continue
                if use.user is not None and use.user.kind is DefinitionKind.FUNCTION and use.user.name == name:
                    continue
                count += 1
                yield self._end_of(user, use, name)
        if not count:
            yield self._open(unit.path, line, text, f"nothing uses {name}")

    def _all_files(self, node: Node) -> Iterator[str]:
        """Every file that may use a function; the empty path where there may be others."""
        if node.local and self._holders.together(node.path) == []:
            yield node.path
            if node.path.endswith(".c") and open_parts(self._kernel.kbuild.built_if(node.path).condition):
                yield ""  # who includes it?
            return
        if self._holders.source.index is None and not self._holders.source.is_small:
            yield ""
            return
        self._holders.cut = False
        found = self._holders.everywhere(node.name)
        if self._holders.cut or any(self._is_other_code(path) for path in found):
            yield ""
            return
        yield from dict.fromkeys((node.path, *self._holders.holding(node.name), *self._holders.together(node.path)))

    def _is_other_code(self, path: str) -> bool:
        """Whether a file that holds the name is code of the kernel in which uses are not told apart."""
        other = path.startswith("arch/") and path.split("/")[1] != self._holders.environment["SRCARCH"]
        return not other and path.endswith((".S", ".rs", ".inc", ".lds", ".y", ".l")) and not path.startswith(NOT_THE_KERNEL[:3])

    def _end_of(self, unit: Unit, use: Use, name: str) -> _End | tuple[Unit, Definition]:
        if use.kind is Kind.CALL and use.user is not None:
            return unit, use.user
        if use.kind is Kind.STATEMENT and entry_points.AT_EXIT.match(use.given):
            return self._exit(unit, f"{use.given}({name})", use.line, use.text)
        if use.kind is Kind.STATEMENT and (entry_points.AT_BOOT.match(use.given) or entry_points.BOOT_OPTIONS.match(use.given)):
            return _End(Goes.BOOT, self._fact(unit, f"{use.given}({name})", use.line, use.text))
        members = _WHEN.get(use.struct) if use.kind is Kind.TABLE else None
        if members is None or use.user is None or (members and use.member not in members):
            return self._open(unit.path, use.line, use.text, f"{name} is used at {unit.path}:{use.line}")
        goes = members.get(use.member, Goes.POWER)
        table = table_node(unit, use.user, use.struct)
        if goes is Goes.FIXED and use.struct == "platform_driver" and (why := self._may_be_unplugged(unit, use.user)):
            return self._open(unit.path, use.line, use.text, why)
        if goes is Goes.FIXED and use.struct == "pci_driver" and _may_be_virtual_function(unit, use.user):
            why = f"{table.name} may be the driver of virtual functions, which come and go by a file of sysfs"
            return self._open(unit.path, use.line, use.text, why)
        claim = f"{name} is .{use.member} of the {use.struct} {table.name}: it runs when {goes}"
        return _End(goes, self._fact(unit, claim, use.line, use.text), table)

    def _exit(self, unit: Unit, claim: str, line: int, text: str) -> _End:
        """The exit of a module: include/linux/init.h and module.h drop it from what is built in."""
        condition = self._kernel.kbuild.built_if(unit.path).condition if unit.path.endswith(".c") else YES
        base = self._kernel.base
        modules = [name for name in names(condition) if base.get(name) == "m"]
        if open_parts(condition) or modules:
            return self._open(unit.path, line, text, f"{unit.path} may be a module")
        return _End(Goes.EXIT, self._fact(unit, f"{claim}: it runs when {Goes.EXIT}, and what is built in is not", line, text))

    def _may_be_made(self, unit: Unit, name: str) -> str:
        """Why a macro may make a use of the name that does not show; empty if none does."""
        for match in re.finditer(rb"##", unit.data):
            near = unit.data[max(0, match.start() - _LONGEST_NAME) : match.start()].rstrip()
            before = _LAST_WORD.search(near)[0].decode("ascii", "replace")  # type: ignore[index]
            after = _FIRST_WORD.match(unit.data, match.end(), match.end() + _LONGEST_NAME)[1].decode("ascii", "replace")  # type: ignore[index]
            if (after.startswith("_") and name.endswith(after)) or (before.endswith("_") and name.startswith(before)):
                return f"{unit.path}:{unit.line(match.start())[0]} may make the name {name}"
        for statement in unit.statements:
            if not _HARMLESS.match(statement.macro) and any(one and name.startswith(f"{one}_") for one in statement.arguments):
                return f"{statement.macro} at {unit.path}:{unit.line(statement.offset)[0]} may make the name {name}"
        return ""

    def _may_be_unplugged(self, unit: Unit, table: Definition) -> str:
        """Why something other than the machine may make the devices of a platform driver (drivers/mfd/dln2.c is one on USB)."""
        text = unit.data[table.span[0] : table.span[1]]
        name = re.search(rb'\.\s*name\s*=\s*"([^"\n]+)"', text)
        if name is None or b"id_table" in text or _MAKES_DEVICES.search(unit.data):
            return f"the devices of {table.name} may be made and taken by a program"
        wanted = name[1].decode("utf-8", "replace").lower()
        # plain numbers are no words of the index; 88pm860x is one
        words = [[word] for word in re.findall(r"\w+", wanted) if not (word[0].isdigit() and is_number(word))]
        source = self._holders.source
        if source.index is None or not words:
            return f"who makes the devices of {table.name} cannot be looked up"
        try:
            paths = source.holding(words)
        except NoIndex as wrong:
            source.index_failed(str(wrong))
            return f"who makes the devices of {table.name} cannot be looked up"
        for path in paths:
            if path == unit.path or not self._holders.is_of_the_kernel(path):
                continue
            other = self._holders.units.get(path)
            if other is None:
                return f"not every file that may make devices of {table.name} could be looked at"
            if b'"' + name[1] + b'"' in other.data and _MAKES_DEVICES.search(other.data):
                return f"{path} makes devices of {table.name}"
        return ""

    @staticmethod
    def _fact(unit: Unit, claim: str, line: int, text: str) -> Fact:
        return Fact(claim, Place(unit.path, line, unit.oid), text)

    @classmethod
    def _unseen(cls, path: str, line: int, text: str, why: str) -> _End:
        return dataclasses.replace(cls._open(path, line, text, why), whole=False)

    @staticmethod
    def _open(path: str, line: int, text: str, why: str) -> _End:
        return _End(Goes.OPEN, Fact(why, Place(path, line, ""), text), why=why)
