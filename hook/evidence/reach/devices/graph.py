"""The graph of what makes the objects of a kernel run: its edges, and the rules that give them.

A node is an object of Kbuild: a module, or the same built in. An edge leads to it from the machine (or user space), or from another object
whose code makes it run. hook.evidence.reach.devices.device_solver answers from the edges.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import msgspec

from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.probes.running_code import RunningCode
from hook.kernel.kbuild.objects import Object
from hook.verdict import ConfigReason, Fact


class EdgeKind(enum.Enum):
    """What an edge proves."""

    MUST = "must"  # if its source runs, a program can make its target run
    MAY = "may"  # that cannot be excluded


class Run(enum.Enum):
    """How an object comes to run."""

    DEVICE = "device"  # a device of the machine, or a virtual one of the kernel's own
    EMULATED = "emulated"  # user space emulates the chip behind a bus, and binds the driver
    SUITE = "suite"  # a test suite of the kernel's own
    FILE = "file"  # user space opens a file that its initcall creates


class Spread(enum.IntEnum):
    """Whether an open question about an object is also one about the objects that it uses."""

    NOWHERE = 0  # not at all: for what it uses of others, the object needs a device
    ASIDE = 1  # because of a callback that its initcall registers: not for the core of an absent PCI chip in the same directory
    EVERYWHERE = 2


BY_DEVICE = frozenset((Run.DEVICE, Run.EMULATED, Run.SUITE))


class Edge(msgspec.Struct, frozen=True):
    """What makes an object run, or may. Without `file` and `objects` it comes from the machine or user space."""

    question: str = ""  # what is not known, where this does not prove that the object runs
    kind: EdgeKind = EdgeKind.MAY
    file: str = ""  # its objects are the source
    objects: tuple[Object, ...] = ()  # the source
    facts: tuple[Fact, ...] = ()
    devices: tuple[str, ...] = ()
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    run: Run = Run.DEVICE  # of an edge from the machine
    carries: frozenset[Run] = BY_DEVICE  # of a must-edge: how its source must run for it to hold
    # why a source that runs so may not make the object run, as a sentence; empty: nothing is known against it
    refusal: Callable[[Run], str] | None = None
    by_initcall: bool = False  # whether it may hold where only the initcall of the source runs
    spread: Spread = Spread.EVERYWHERE
    into: tuple[str, ...] = ()  # files of the object: it leads to their directories; empty: to all
    beside: bool = False  # whether the source is in the directory of the object
    uses: frozenset[str] = frozenset()  # the names by which the source may use the object
    at: tuple[str, int] | None = None  # the file and line that makes the object run


class Incoming(msgspec.Struct, frozen=True):
    """The edges of one rule to one object, and the facts that prove that there are no others."""

    edges: tuple[Edge, ...] = ()
    closed: tuple[Fact, ...] = ()
    unseen: str = ""  # the open question, where the rule may not have seen all its edges
    running: RunningCode | None = None  # what of the object runs though no edge leads to it


class Asked(enum.Enum):
    """When a rule is asked."""

    ALWAYS = enum.auto()
    WHILE_CLOSED = enum.auto()  # only while nothing is open that spreads to all that the object uses (Spread.EVERYWHERE)
    WITHOUT_DEVICE = enum.auto()  # the same; where the object is open, only sources that run count
    FOR_LIBRARIES = enum.auto()  # of an open object that registers with no bus, near the one that was asked for


class Rule(msgspec.Struct, frozen=True):
    """A kind of edges. A rule does not depend on the solver, on other rules, or on earlier questions."""

    name: str
    incoming: Callable[[Object, ObjectReader], Incoming]
    asked: Asked = Asked.ALWAYS
    # gives the question that stays open where the object is too far for the rule to be asked; empty: it has no such edge
    question: Callable[[Object, ObjectReader], str] | None = None
    # whether, after an edge that stays open, the next ones are may-edges: they may be about the same thing (a name does not tell which
    # file creates a device)
    needs_closed: bool = False
    most_sources: tuple[int, ...] = ()  # sources that are followed and are not closed, by distance; empty: all
