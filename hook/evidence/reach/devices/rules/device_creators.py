"""Device creators: the code of the kernel that makes a device by the name of a driver."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import closing, elements
from hook.evidence.reach.devices.bindings import DeviceNames
from hook.evidence.reach.devices.driver_answers import driver_answers
from hook.evidence.reach.devices.graph import BY_DEVICE, Edge, EdgeKind, Incoming, Run
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.probes import probe_requirements
from hook.evidence.reach.devices.rules import device_makers
from hook.kernel.kbuild.objects import Object
from hook.kernel.texts import Texts
from hook.source.words import words_of

_MAKING = lazy_re.compile(r"\b(?:platform_device_(?:register|alloc|add)\w*|platform_create_bundle|platform_add_devices)\s*\(")
_MOST_MAKERS = 12  # files that may make a device by a driver's name
# functions of the auxiliary bus that are given the name of the module
_GIVING = ("__auxiliary_device_add", "__auxiliary_device_create", "__devm_auxiliary_device_create")
_GIVEN = lazy_re.compile(r"\b__(?:auxiliary_device_add|(?:devm_)?auxiliary_device_create)\s*\(")
_AUXILIARY_BUS = ("drivers/base/auxiliary.c", "include/linux/auxiliary_bus.h")  # which hand on the name, or give KBUILD_MODNAME
_NAME = lazy_re.compile(r"[A-Za-z_]\w*")
_STRING = lazy_re.compile(r'"[^"\\]*"')


class _GivenName(msgspec.Struct, frozen=True):
    """A call that gives a device on the auxiliary bus a name."""

    path: str
    line: int
    name: str  # empty: not known


def device_creators(obj: Object, reader: ObjectReader) -> Incoming:
    """The objects that make a device for one of the drivers."""
    edges: list[Edge] = []
    unseen = ""
    for answer in driver_answers(obj, reader):
        if answer.names is None:
            continue
        of_driver = _auxiliary(answer.names, reader) if answer.names.bus == "auxiliary" else _by_name(answer.names, obj, reader)
        edges += of_driver.edges
        unseen = unseen or of_driver.unseen
    return Incoming(tuple(edges), unseen=unseen)


def question(obj: Object, reader: ObjectReader) -> str:
    """The question that stays open where this rule is not asked."""
    names = next((answer.names for answer in driver_answers(obj, reader) if answer.names is not None), None)
    return "" if names is None else f"no code that creates a device called {names.names[0]!a} was looked for, so far from the change"


def _by_name(names: DeviceNames, obj: Object, reader: ObjectReader) -> Incoming:
    members = reader.profile(obj).members
    makers = device_makers.makers(reader.texts, names, members, reader.srcarch)
    if makers is None:
        why = "too many files have its name" if reader.texts.source.index is not None else "there is no word index"
        return Incoming(unseen=f"not known: whether kernel code creates a device called {names.names[0]!a} ({why})")
    if len(makers) > _MOST_MAKERS:
        first = makers[0]
        return Incoming(unseen=f"{len(makers)} files may create a device called {first.name!a}, the first is {first.path}:{first.line}")
    if not makers and _is_for_driver_override(names, members, reader):
        return Incoming(
            unseen=f"no code in the tree creates a device for {names.driver.name}; not known: whether it is meant for driver_override"
        )
    edges: list[Edge] = []
    for maker in makers:
        if not reader.is_for_target(maker.path):
            continue
        question = f"not known: whether {maker.path}:{maker.line} creates a device called {maker.name!a} in the VM"
        fact = reader.texts.fact(f"creates a device called {maker.name!a}", maker.path, maker.line)
        objects = reader.objects(maker.path)
        if not objects:
            edges.append(Edge(question))
        # an object that runs without a device of its own creates one only on a board that it knows
        for source in objects:
            edges.append(
                Edge(
                    question,
                    EdgeKind.MUST if maker.sure else EdgeKind.MAY,
                    objects=(source,),
                    facts=(fact,),
                    carries=BY_DEVICE if reader.bus(source) else frozenset((Run.EMULATED,)),
                    refusal=functools.partial(_refusal, maker, names, obj, reader),
                    by_initcall=True,
                    at=(maker.path, maker.line),
                )
            )
    return Incoming(tuple(edges))


def _is_for_driver_override(names: DeviceNames, members: Sequence[str], reader: ObjectReader) -> bool:
    """Whether a driver without a table may be meant to be bound by `driver_override` alone (vfio-platform, ramdax).

    It may where it leaves DMA to user space, and where no other file of the tree, for any architecture, has its name.
    """
    fields = names.driver.fields
    if names.bus != "platform" or any("table" in field for field in fields):
        return False
    if "driver_managed_dma" in fields:
        return True
    if any(_MAKING.search(reader.texts.get(path) or "") for path in members):
        return False
    name = names.names[0]
    words = list(dict.fromkeys(words_of(name.lower())))
    holding = [
        path for path in reader.texts.holding([[word] for word in words]) or () if path not in members and path.endswith((".c", ".h"))
    ]
    return not any(f'"{name}"'.encode() in data for _, data in reader.texts.written(holding))


def _refusal(maker: device_makers.Maker, names: DeviceNames, obj: Object, reader: ObjectReader, run: Run) -> str:
    """What the probe of a cell requires and an emulated chip lacks, as a sentence; empty: nothing."""
    if run is not Run.EMULATED:
        return ""
    near = (names.driver.path, *reader.profile(obj).members)
    lacking = probe_requirements.of_probe(reader.texts, names.driver.fields.get("probe", "").strip(" &"), near)
    if lacking is None:
        return ""
    where = f"{lacking.path}:{lacking.line}"
    return f"{maker.path}:{maker.line} creates a device called {maker.name!a}, but its probe requires {lacking.name} ({where})"


def _auxiliary(names: DeviceNames, reader: ObjectReader) -> Incoming:
    """The module that a device on the auxiliary bus is named after, and the code of other modules that gives a device that name.

    The bus compares the name alone, which is KBUILD_MODNAME except where a function of `_GIVING` gets another.
    """
    edges: list[Edge] = []
    given = reader.texts.once(("auxiliary names", ""), lambda: _given_names(reader.texts))
    for name in names.names:
        objects = reader.kernel.kbuild.called(name)
        if given is None:
            return Incoming(unseen=f"not known: which code creates devices for {names.driver.name}: there is no word index")
        places = [place for place in given if place.name in (name, "") and reader.is_for_target(place.path)]
        if not objects and not any(place.name for place in places):
            return Incoming(unseen=f"no object called {name} was found, which could create a device for {names.driver.name}")
        if objects:
            edges.append(Edge(f"not known: whether {name} creates a device for {names.driver.name}", objects=tuple(objects)))
        edges += [
            Edge(f"not known: whether {place.path}:{place.line} creates a device for {names.driver.name}", file=place.path)
            for place in places
        ]
    return Incoming(tuple(edges))


def _given_names(texts: Texts) -> list[_GivenName] | None:
    """Where the kernel gives a device on the auxiliary bus another name than that of the module; None without the word index."""
    paths = texts.holding([list(_GIVING)])
    if paths is None:
        return None
    found: list[_GivenName] = []
    for path in paths:
        if not path.endswith((".c", ".h")) or path in _AUXILIARY_BUS:
            continue
        text = texts.get(path)
        if text is None:  # it could not be read
            found.append(_GivenName(path, 1, ""))
            continue
        for call in _GIVEN.finditer(text):
            end = closing(text, call.end() - 1)
            arguments = [argument.strip() for argument, _ in elements(text[call.end() : end])] if end > 0 else []
            name = arguments[1] if len(arguments) > 1 else ""
            if name != "KBUILD_MODNAME":
                found.append(_GivenName(path, texts.line(path, call.start()), _string(texts, path, name)))
    return found


def _string(texts: Texts, path: str, text: str) -> str:
    """The value of a string, or of a macro that is one wherever it is defined; empty where it is not known."""
    if _NAME.fullmatch(text):
        files = texts.holding([[text.lower()]]) or [path]
        bodies = {body.strip() for file in files if file.endswith((".c", ".h")) for _, body in texts.macro(file, text)}
        text = bodies.pop() if len(bodies) == 1 else ""
    return text[1:-1] if _STRING.fullmatch(text) else ""
