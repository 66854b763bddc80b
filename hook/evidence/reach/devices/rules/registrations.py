"""Initcalls: the buses that they register with, the files that they create, and the calls that may lead back into the object."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re
from hook.evidence.reach.answer import Reach, no, unknown
from hook.evidence.reach.devices.buses import BUSES, Way
from hook.evidence.reach.devices.driver_answers import edge, split
from hook.evidence.reach.devices.graph import BY_DEVICE, Edge, EdgeKind, Incoming, Run, Spread
from hook.evidence.reach.devices.initcalls import defined
from hook.evidence.reach.devices.object_reader import ObjectReader, Profile, beside
from hook.evidence.reach.devices.rules import created_files
from hook.kernel.kbuild.objects import Object

_DRIVERS = ("drivers/", "sound/")
_MOST_CALLS = 12  # functions of other objects that the initcalls of one call
_MOST_DEFINING = 3  # files that define such a function
# what calls back for each host, session or network device, and not for the driver alone; cpuhp_setup_state() calls at once
_OF_HOSTS = lazy_re.compile(r"notifier|transport")


def registrations(obj: Object, reader: ObjectReader) -> Incoming:
    """What comes to the buses and subsystems that the object registers with, beside those of its drivers."""
    profile = reader.profile(obj)
    binder = reader.binder(obj)
    of_drivers = {driver.bus for driver in profile.drivers}
    reaches: list[tuple[Reach, Run, Spread]] = []
    for bus, path, line in profile.start.buses:
        if bus == "tree":
            reaches.append((_by_tree(reader, path, line), Run.DEVICE, Spread.EVERYWHERE))
        if bus in of_drivers or bus in ("tree", "rc_map"):
            continue
        known = bus in BUSES and BUSES[bus].way in (Way.HOSTED, Way.ABSENT, Way.OPEN)
        reach = binder.of_bus(BUSES[bus], path, line) if known else None
        if reach is None:
            reach = unknown(f"not known: whether the VM has a device on {bus}, which {path}:{line} registers with")
        reaches.append((reach, Run.SUITE if bus == "kunit" else Run.DEVICE, Spread.EVERYWHERE))
    reaches += [(reach, Run.DEVICE, Spread.EVERYWHERE) for reach in _unseen_drivers(reader, profile, of_drivers)]
    return Incoming(*split(reaches))


def _unseen_drivers(reader: ObjectReader, profile: Profile, of_drivers: set[str]) -> Iterator[Reach]:
    """What is registered on a bus of which drivers were seen, and is none of these, nor an array of them."""
    seen = {driver.name for driver in profile.drivers}
    for bus, name, path, line in profile.start.drivers:
        if bus not in of_drivers or name in seen:
            continue
        text = reader.texts.get(path) or ""
        array = re.search(rf"\b{re.escape(name)}\s*\[\s*\w*\s*\]\s*=\s*\{{([^}}]*)\}}", text)
        if array is None or not seen.issuperset(re.findall(r"\w+", re.sub(r"(?m)^[ \t]*#.*$", "", array[1]))):
            yield unknown(f"not known: which devices {name} binds to, which {path}:{line} registers; it was not found")


def _by_tree(reader: ObjectReader, path: str, line: int) -> Reach:
    vm = reader.vm
    if vm.made_by and not vm.describes_by_tree:
        return no(reader.fact(f"it starts from a device tree, which no machine of {vm.made_by} hands out", path, line))
    return unknown(f"not known: whether the machine's device tree has what {path}:{line} starts from")


def own_files(obj: Object, reader: ObjectReader) -> Incoming:
    """A file that the initcalls create on every machine, and that user space opens."""
    profile = reader.profile(obj)
    if profile.drivers or not profile.start.calls:
        return Incoming()
    step = next(created_files.files(created_files.steps(reader.texts, profile.members)), None)
    if step is None:
        return Incoming()
    reach = reader.binder(obj).of_bus(BUSES["misc"], step.path, reader.texts.line(step.path, step.offset))
    return Incoming((edge(reach, Run.FILE),))


def initcall_hooks(obj: Object, reader: ObjectReader) -> Incoming:
    """What runs code of the object without any device, by a macro: a parameter with a setter, a PCI fixup, `__setup`."""
    profile = reader.profile(obj)
    into = _into(profile)
    hooks = profile.start.unknown
    return Incoming(tuple(Edge(f"{what} ({path}:{line})", spread=_spread(profile, what), into=into) for what, path, line in hooks))


def initcall_calls(obj: Object, reader: ObjectReader) -> Incoming:
    """What the initcalls hand out to other code, which may call back into the object without any device."""
    profile = reader.profile(obj)
    into = _into(profile)
    edges: list[Edge] = []
    for count, (name, path, line) in enumerate(profile.start.calls):
        question = f"not known: whether {name}(), which its initcall calls ({path}:{line}), leads back into it without a device"
        spread = _spread(profile, name)
        machine = Edge(question, spread=spread, into=into)
        if count > _MOST_CALLS:
            edges.append(machine)
            break
        defining = [file for file in reader.texts.defining(name) if file.endswith(".c") and file not in obj.members]
        # the index names every file that may define it: one that does not would stand for the core that every machine has
        sure = [file for file in defining if defined(reader.texts, name, (file,))] if len(defining) <= _MOST_DEFINING else []
        objects = [each for file in sure for each in reader.objects(file)]
        if not objects or not all(each.path.startswith(_DRIVERS) and reader.is_module(each) for each in objects):
            edges.append(machine)  # a core that every machine has
            continue
        # an object without drivers that registers with the module beside it runs with the device of that (em28xx-dvb)
        sibling = "_register" in name and not profile.drivers and all(beside(each, obj) and reader.bus(each) for each in objects)
        fact = reader.fact(f"registers with {objects[0].path}", path, line)
        kind = EdgeKind.MUST if sibling else EdgeKind.MAY
        edges.append(Edge(question, kind, objects=tuple(objects), facts=(fact,), carries=BY_DEVICE, spread=spread, into=into))
    return Incoming(tuple(edges))


def _into(profile: Profile) -> tuple[str, ...]:
    """The files of an object in which its initcalls hand something out."""
    places = (*profile.start.calls, *profile.start.unknown) if profile.registers else ()
    return tuple(dict.fromkeys(path for _, path, _ in places))


def _spread(profile: Profile, function: str) -> Spread:
    if not profile.registers:
        return Spread.EVERYWHERE
    return Spread.NOWHERE if _OF_HOSTS.search(function.partition("(")[0]) else Spread.ASIDE
