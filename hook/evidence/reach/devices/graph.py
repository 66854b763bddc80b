"""The graph of what makes the objects of a kernel run: its edges, and what a rule says of one object.

A node is an object of Kbuild: a module, or the same built in. An edge leads to it from the machine (or user space), or from another object
whose code makes it run. hook.evidence.reach.devices.device_solver answers from the edges.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import msgspec

from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.kernel.kbuild.objects import Object
from hook.verdict import ConfigReason, Fact


class EdgeKind(enum.Enum):
    """What an edge proves."""

    MUST = "must"  # if its source runs, a program can make its target run
    MAY = "may"  # that cannot be excluded


class Run(enum.Enum):
    """How an object comes to run."""

    DEVICE = "device"  # a device of the machine, or a virtual one of the kernel's own
    PLAYED = "played"  # user space plays the chip behind a bus, and has the driver bound
    SUITE = "suite"  # a test suite of the kernel's own
    FILE = "file"  # user space opens a file that its initcall creates


class Spread(enum.IntEnum):
    """How far an open question about an object is one about the objects that it uses."""

    NOWHERE = 0  # not at all: for what it uses of others, the object needs a device
    ASIDE = 1  # for what its initcall hands out: not to the core of a PCI chip in the same directory that no machine has
    EVERYWHERE = 2


BY_DEVICE = frozenset((Run.DEVICE, Run.PLAYED, Run.SUITE))


class Edge(msgspec.Struct, frozen=True):
    """What may make an object run, or does. Without `file` and `objects` it comes from the machine or user space."""

    question: str = ""  # what is not known, where this does not prove that the object runs
    kind: EdgeKind = EdgeKind.MAY
    file: str = ""  # whose objects are the source
    objects: tuple[Object, ...] = ()  # that are the source
    facts: tuple[Fact, ...] = ()
    devices: tuple[str, ...] = ()
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    run: Run = Run.DEVICE  # of an edge from the machine
    carries: frozenset[Run] = BY_DEVICE  # of a must-edge: how its source has to run
    refusal: Callable[[], str] | None = None  # what the object asks for and a chip played by user space lacks, in words; empty: nothing
    by_initcall: bool = False  # whether the initcall of the source may be enough, so that it counts where only that runs
    spread: Spread = Spread.EVERYWHERE
    into: tuple[str, ...] = ()  # files of the object whose directories it leads to; empty: it leads to all
    beside: bool = False  # whether the source is in the directory of the object


class Incoming(msgspec.Struct, frozen=True):
    """What one rule says of one object: the edges that lead to it, and what proves that there are no others."""

    edges: tuple[Edge, ...] = ()
    closed: tuple[Fact, ...] = ()
    unseen: str = ""  # the question that stays open where the rule may not have seen all edges of its kind


class Asked(enum.Enum):
    """When a rule is asked."""

    ALWAYS = enum.auto()
    WHILE_CLOSED = enum.auto()  # only while nothing is open that spreads to all that the object uses (Spread.EVERYWHERE)
    WITHOUT_DEVICE = enum.auto()  # the same, but where the object is open, only sources that run count
    FOR_LIBRARIES = enum.auto()  # where it is open, registers with no bus, and is near the object that was asked for


class Rule(msgspec.Struct, frozen=True):
    """A kind of edges. A rule knows nothing of the solver, of other rules, and of what was asked before."""

    name: str
    incoming: Callable[[Object, ObjectReader], Incoming]
    asked: Asked = Asked.ALWAYS
    # the question that stays open where the rule is not asked, too far from the object that was asked for; empty: no such edge can be
    question: Callable[[Object, ObjectReader], str] | None = None
    # whether no edge proves anything after one that stays open: it may stand for the same (a name alone does not tell which file makes a
    # device). It counts only where it spreads further
    needs_closed: bool = False
    most_sources: tuple[int, ...] = ()  # objects that are looked into and are not closed, by how far that one is; empty: all
