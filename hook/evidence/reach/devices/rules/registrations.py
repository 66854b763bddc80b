"""Registrations: the edges from what the initcalls of an object do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.evidence.reach.answer import Reach, no, unknown
from hook.evidence.reach.devices.buses import BUSES, DeviceOrigin
from hook.evidence.reach.devices.driver_answers import edge, split
from hook.evidence.reach.devices.graph import BY_DEVICE, Edge, EdgeKind, Incoming, Run, Spread
from hook.evidence.reach.devices.object_reader import ObjectReader, Profile, beside
from hook.evidence.reach.devices.rules import created_files
from hook.kernel.held_addresses import defined
from hook.kernel.kbuild.objects import Object

_DRIVERS = ("drivers/", "sound/")
_MOST_CALLS = 12  # of functions of other objects, by the initcalls of one
_MOST_DEFINING = 3  # files that define such a function
# whole lines: another such macro on the same line would be of another node
_FOR_COMPATIBLE = lazy_re.compile(
    r'\s*(CLK_OF_DECLARE(?:_DRIVER)?|TIMER_OF_DECLARE|IRQCHIP_DECLARE)\s*\(\s*(\w+)\s*,\s*"([^"\\]+)"\s*,\s*(\w+)\s*\)\s*;?[ \t]*(?:\n|\Z)'
)
_FOR_NODE = lazy_re.compile(r"\b\w*(?:OF|IRQCHIP)_DECLARE\w*")
# these call back for each host, session or network device, not when they are called
_OF_HOSTS = lazy_re.compile(r"notifier|transport")


def registrations(obj: Object, reader: ObjectReader) -> Incoming:
    """The devices of the buses and subsystems that the object registers with, other than those of its drivers."""
    profile = reader.profile(obj)
    binder = reader.binder(obj)
    of_drivers = {driver.bus for driver in profile.drivers}
    of_nodes = _of_nodes(reader, [(path, line) for bus, path, line in profile.effects.buses if bus == "tree"])
    reaches = [(reach, Run.DEVICE, Spread.EVERYWHERE) for reach in of_nodes]
    for path, line in [(path, line) for bus, path, line in profile.effects.buses if bus == "no node"]:
        claim = f"its initcall returns before this line: no device tree of {reader.vm.made_by} has the node that it looks for"
        if not reader.vm.describes_by_tree:
            claim = f"runs from a device tree, which no machine of {reader.vm.made_by} has"
        reaches.append((no(reader.texts.fact(claim, path, line)), Run.DEVICE, Spread.EVERYWHERE))
    for bus, path, line in profile.effects.buses:
        if bus in of_drivers or bus in ("tree", "no node", "rc_map"):
            continue
        is_answered = bus in BUSES and BUSES[bus].origin in (DeviceOrigin.USER_SPACE, DeviceOrigin.ABSENT, DeviceOrigin.UNKNOWN)
        reach = binder.of_bus(BUSES[bus], path, line) if is_answered else None
        if reach is None:
            reach = unknown(f"not known: whether the VM has a device on {bus}, which {path}:{line} registers with")
        reaches.append((reach, Run.SUITE if bus == "kunit" else Run.DEVICE, Spread.EVERYWHERE))
    reaches += [(reach, Run.DEVICE, Spread.EVERYWHERE) for reach in _unseen_drivers(reader, profile, of_drivers)]
    return Incoming(*split(reaches))


def _unseen_drivers(reader: ObjectReader, profile: Profile, of_drivers: set[str]) -> Iterator[Reach]:
    """Drivers that are registered, but whose structure was not found."""
    seen_names = {driver.name for driver in profile.drivers}
    for bus, name, path, line in profile.effects.drivers:
        if bus not in of_drivers or name in seen_names:
            continue
        text = reader.texts.get(path) or ""
        array = re.search(rf"\b{re.escape(name)}\s*\[\s*\w*\s*\]\s*=\s*\{{([^}}]*)\}}", text)
        if array is None or not seen_names.issuperset(re.findall(r"\w+", re.sub(r"(?m)^[ \t]*#.*$", "", array[1]))):
            yield unknown(f"not known: which devices {name} binds to, which {path}:{line} registers; it was not found")


def _of_nodes(reader: ObjectReader, places: Sequence[tuple[str, int]]) -> Iterator[Reach]:
    """What runs for a node of the device tree: nothing where no machine has a tree, or no node is compatible with the string of the macro.

    That string has to stand there as it is, in a macro whose function runs for `compatible` alone (of_clk_init(), timer_probe() and
    of_irq_init()). The methods of processors are another property, firmware may reserve memory, and the host decides which of ARM's
    interrupt controllers it gives the guest.
    """
    vm = reader.vm
    ids = {text.lower() for text in vm.compatible}  # drivers/of/base.c compares without regard to case
    for path, line in places:
        if vm.made_by and not vm.describes_by_tree:
            yield no(reader.texts.fact(f"runs from a device tree, which no machine of {vm.made_by} has", path, line))
            return
        text = reader.texts.get(path) or ""
        macro = _FOR_COMPATIBLE.match("\n".join(text.split("\n")[line - 1 : line + 2]))
        is_read = len(_FOR_NODE.findall(text)) == sum(of == path for of, _ in places)  # each such macro, behind another declaration too
        is_of_host = macro is not None and macro[1] == "IRQCHIP_DECLARE" and macro[3].lower().startswith("arm,")
        if vm.made_by and macro and is_read and not is_of_host and macro[3].lower() not in ids and _is_plain(reader, path, macro):
            yield no(reader.texts.fact(f"runs for a node {macro[3]!a}, which no device tree of {vm.made_by} has", path, line))
        else:
            yield unknown(f"not known: whether the machine's device tree has the node that {path}:{line} needs")


def _is_plain(reader: ObjectReader, path: str, macro: re.Match[str]) -> bool:
    """Whether a macro for a node is the kernel's, and its words are no macros: the last is a function of the file."""
    texts = reader.texts
    files = (path, *texts.local_headers(path))
    is_function = any(one.name == macro[4] and one.kind is DefinitionKind.FUNCTION for one in texts.scan(path))
    return is_function and not any(texts.macro(file, word) for file in files for word in macro.group(1, 2, 4))


def own_files(obj: Object, reader: ObjectReader) -> Incoming:
    """A file that the initcalls create on every machine, and user space opens."""
    profile = reader.profile(obj)
    if profile.drivers or not profile.effects.calls:
        return Incoming()
    step = next(created_files.files(created_files.steps(reader.texts, profile.members)), None)
    if step is None:
        return Incoming()
    reach = reader.binder(obj).of_bus(BUSES["misc"], step.path, reader.texts.line(step.path, step.offset))
    return Incoming((edge(reach, Run.FILE),))


def initcall_hooks(obj: Object, reader: ObjectReader) -> Incoming:
    """What else may run code of the object without a device: a parameter with a setter, a PCI fixup, `__setup`."""
    profile = reader.profile(obj)
    into = _into(profile)
    hooks = profile.effects.unknown
    return Incoming(
        tuple(Edge(f"{question} ({path}:{line})", spread=_spread(profile, question), into=into) for question, path, line in hooks)
    )


def initcall_calls(obj: Object, reader: ObjectReader) -> Incoming:
    """Calls by which the initcalls may give other code a callback into the object."""
    profile = reader.profile(obj)
    into = _into(profile)
    edges: list[Edge] = []
    for count, (name, path, line) in enumerate(profile.effects.calls):
        question = f"not known: whether {name}(), which its initcall calls ({path}:{line}), calls back without a device"
        spread = _spread(profile, name)
        machine = Edge(question, spread=spread, into=into)
        if count > _MOST_CALLS:
            edges.append(machine)
            break
        defining = [file for file in reader.texts.defining(name) if file.endswith(".c") and file not in obj.members]
        # the index gives every file that may define it; only those that do count
        sure = [file for file in defining if defined(reader.texts, name, (file,))] if len(defining) <= _MOST_DEFINING else []
        objects = [source for file in sure for source in reader.objects(file)]
        if not objects or not all(source.path.startswith(_DRIVERS) and reader.is_module(source) for source in objects):
            edges.append(machine)  # a core that every machine has
            continue
        # an object without drivers that registers with the module beside it runs with the device of that (em28xx-dvb)
        sibling = "_register" in name and not profile.drivers and all(beside(source, obj) and reader.bus(source) for source in objects)
        fact = reader.texts.fact(f"registers with {objects[0].path}", path, line)
        kind = EdgeKind.MUST if sibling else EdgeKind.MAY
        edges.append(Edge(question, kind, objects=tuple(objects), facts=(fact,), carries=BY_DEVICE, spread=spread, into=into))
    return Incoming(tuple(edges))


def _into(profile: Profile) -> tuple[str, ...]:
    """The files of an object in which its initcalls may give a callback away."""
    places = (*profile.effects.calls, *profile.effects.unknown) if profile.registers else ()
    return tuple(dict.fromkeys(path for _, path, _ in places))


def _spread(profile: Profile, function: str) -> Spread:
    if not profile.registers:
        return Spread.EVERYWHERE
    return Spread.NOWHERE if _OF_HOSTS.search(function.partition("(")[0]) else Spread.ASIDE
