"""Which objects a virtual machine makes run: the solver of the graph of hook.evidence.reach.devices.graph.

An object is `yes` where a path of must-edges leads to it from the machine or user space; `no` where not even may-edges lead there; else
`unknown`. The search goes backwards from the object that was asked for. An object that is being asked already adds nothing: a path that
passes an object twice is a longer form of one that passes it once, so every object can be reached by a path without such a circle, and that
one is searched. What is found depends on the object that was asked for, the tree and the limits, and on nothing that was asked before.

**Why a `no` holds.** It needs every may-edge, so each rule (hook.evidence.reach.devices.rules) says which edges it has seen all of; where
it cannot, it names the question that stays open (`Incoming.unseen`), and the answer is `unknown`:

- `own_devices`: options of Kconfig that make the object a virtual device of the kernel's own. It only adds edges.
- `driver_tables`: whatever a bus gives to a driver that the object registers. It has seen all drivers where each file of the object was
  read, the makefile names all files, and each table that MODULE_DEVICE_TABLE announces belongs to a driver that was seen; all devices of a
  driver where each line of its tables was read and the catalogue of the machine has none of them.
- `registrations`: what comes to the buses and subsystems that the initcalls of the object register with. A bus that buses.py does not know
  leaves the object open.
- `rc_keymaps`: the receivers that name a keymap. All of them have its name in their text, and no device tree gives it.
- `created_files`: files that initcalls create for user space. It only adds edges; what it does not see, `initcall_calls` leaves open.
- `initcall_calls`: what else may call back into the object: a call by name (register, add, create, …), or one that is given the address of
  a function, or of a variable that holds some. Of these calls, the one that spreads furthest counts (`Spread`).
- `initcall_hooks`: a parameter with a setter, a PCI fixup, `__setup`, what an initcall assigns to something of others, and hidden starts
  (hook.evidence.reach.devices.hidden_starts) leave the object open.
- `device_creators`: code that makes a device by the name of a driver: each file that holds the name, a format that may print it, or a macro
  that stands for it. For buses on which no code makes devices by name there is none.
- `symbol_users`: who calls what the object exports, or for what cannot be a module, what is not static; found by the word index, and
  through inline functions and macros of headers.

So an object without may-edges has no file that another object, a bus or user space could call into it by; what system calls, assembly and
linker sections lead to stands outside of drivers/ and sound/, where nothing is `no`.

**What is taken for granted** is named in the answer's assumptions: an object that is open only for a notifier or a transport that its
initcall registers needs a device for what it uses of others (`Spread.NOWHERE`); so does one that hands out something else, for what it
uses of the core of a PCI chip in its directory that no machine has (`Spread.ASIDE`); in a large object, what an initcall hands out leads to
the directories in which it does so, and what these call (`Edge.into`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hook.evidence.reach.devices.graph import Asked, Edge, EdgeKind, Rule, Run, Spread
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.kernel.kbuild.objects import Object
from hook.verdict import Answer, ConfigReason, Fact

FARTHEST = 8  # objects between the one that was asked for and the last that is looked into
_NEAR = 2  # how far an open object may be from it to be asked who else uses it
_MOST_FACTS = 6  # of one answer
_HOP_FACTS = 2  # of a path that are kept, with that of the last edge
_MOST_QUESTIONS = 2


class Standing(msgspec.Struct, frozen=True):
    """What is known of one object."""

    answer: Answer
    facts: tuple[Fact, ...] = ()  # of YES from user space down; of NO what closes the edges
    devices: tuple[str, ...] = ()
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    question: str = ""
    files: tuple[str, ...] = ()  # of YES: those by which the path goes
    run: Run = Run.DEVICE  # of YES
    spread: Spread = Spread.EVERYWHERE  # of UNKNOWN
    into: tuple[str, ...] = ()  # of UNKNOWN: the files whose directories all open edges lead to; empty: to all
    closed: tuple[Fact, ...] = ()  # of UNKNOWN: what closes the other edges
    is_short: bool = False  # of UNKNOWN: whether a limit has cut the search


_IN_CIRCLE = Standing(Answer.NO)
_OPEN_IN_CIRCLE = Standing(Answer.NO, spread=Spread.NOWHERE)  # the same, of an object that is known already not to be closed


class Solver:
    """Answers one question. Its standings are not kept for the next: they may have been cut where this one ended."""

    def __init__(self, rules: Sequence[Rule], reader: ObjectReader, most_files: int) -> None:
        self._rules, self._reader, self._most_files = rules, reader, most_files
        self._known: dict[str, tuple[int, Standing]] = {}
        self._asking: dict[str, _Ways] = {}
        self._circles: set[str] = set()  # objects in `_asking` that a standing took for closed

    def standing(self, obj: Object, distance: int = 0) -> Standing:
        """What is known of an object that is so far from the one that was asked for. Raises TooManyFiles."""
        if obj.path in self._known:
            far, known = self._known[obj.path]
            if not known.is_short or far <= distance:
                return known
        if obj.path in self._asking:
            self._circles.add(obj.path)
            return _OPEN_IN_CIRCLE if self._asking[obj.path].is_open else _IN_CIRCLE
        ways = self._asking[obj.path] = _Ways(obj)
        try:
            found = self._judge(obj, distance, ways)
        finally:
            del self._asking[obj.path]
            self._circles.discard(obj.path)
        if found.answer is Answer.YES or not self._circles:
            self._known[obj.path] = distance, found
        return found

    def _judge(self, obj: Object, distance: int, ways: _Ways) -> Standing:
        if self._is_spent():
            ways.open(Edge(f"{obj.path} was not looked into: too many files were read already"), short=True)
            return ways.standing()
        for rule in self._rules:
            if rule.asked in (Asked.WHILE_CLOSED, Asked.WITHOUT_DEVICE) and ways.is_open and ways.spread is Spread.EVERYWHERE:
                continue
            if rule.asked is Asked.FOR_LIBRARIES:
                if not ways.is_open or self._reader.profile(obj).registers:
                    continue
                if distance >= _NEAR:
                    ways.is_short = True
                    continue
            if distance >= FARTHEST and rule.question is not None and not (ways.is_open and rule.asked is Asked.WITHOUT_DEVICE):
                if question := rule.question(obj, self._reader):
                    ways.open(Edge(question), short=True)
                continue
            self._ask(rule, obj, distance, ways)
            if ways.proved is not None:
                return ways.proved
        return ways.standing()

    def _is_spent(self) -> bool:
        spent = self._reader.texts.question_files > self._most_files
        if spent:
            self._reader.texts.source.safety.at_limit = True
        return spent

    def _ask(self, rule: Rule, obj: Object, distance: int, ways: _Ways) -> None:
        """Adds what one rule says of an object."""
        incoming = self._reader.texts.once((rule.name, obj.path), lambda: rule.incoming(obj, self._reader))
        ways.close(incoming.closed)
        seen: set[tuple[str, bool, Spread]] = set()
        looked_into: set[str] = set()  # of the sources, those that are not closed
        is_full = False
        opened = ways.opened
        only_running = ways.is_open and rule.asked is Asked.WITHOUT_DEVICE
        most = rule.most_sources[min(distance, len(rule.most_sources) - 1)] if rule.most_sources else 1 << 30
        for edge in incoming.edges:
            if rule.needs_closed and ways.opened > opened:
                edge = msgspec.structs.replace(edge, kind=EdgeKind.MAY)
            if edge.kind is EdgeKind.MAY and ways.is_open and edge.spread <= ways.spread:
                continue  # it would leave open what is
            if not edge.file and not edge.objects:
                ways.from_machine(edge)
            elif distance >= FARTHEST:
                if not only_running:
                    ways.open(edge, short=True)
            else:
                sources = edge.objects or self._reader.objects(edge.file)
                if not sources and not only_running:
                    ways.open(edge)
                for source in sources:
                    same = source.path, edge.beside, edge.spread
                    if same in seen:
                        continue
                    seen.add(same)
                    if len(looked_into) >= most or (rule.most_sources and self._is_spent()):
                        is_full = True
                        if not only_running:
                            ways.open(edge, short=True)
                        break
                    known = self.standing(source, distance + 1)
                    if known.answer is not Answer.NO:
                        looked_into.add(source.path)
                    if known.answer is Answer.YES or not only_running:
                        ways.from_object(edge, source, known, self._reader)
            if ways.proved is not None:
                return
            if is_full:
                break
        ways.from_aside()
        if incoming.unseen and not only_running:
            ways.open(Edge(incoming.unseen))


class _Aside(msgspec.Struct, frozen=True):
    """An edge from a driver beside the object that is open only for what its initcall hands out."""

    edge: Edge
    source: Object
    known: Standing


class _Ways:
    """The edges that lead to one object, as far as they have been followed."""

    def __init__(self, target: Object) -> None:
        self._target = target
        self.proved: Standing | None = None
        self.is_open = False
        self.spread = Spread.NOWHERE
        self.is_short = False
        self._open: list[Edge] = []
        self._closed: list[Fact] = []
        self._assumptions: list[str] = []
        self._aside: list[_Aside] = []
        self._pci_is_absent = False  # whether a driver beside the object that uses it, for the same chip on PCI, has no device

    @property
    def opened(self) -> int:
        """How many edges leave the object open."""
        return len(self._open)

    def close(self, facts: Sequence[Fact]) -> None:
        """What proves that there are no edges of some kind."""
        self._closed += facts

    def open(self, edge: Edge, spread: Spread | None = None, *, short: bool = False) -> None:
        """An edge that cannot be excluded."""
        self.is_open = True
        self.spread = max(self.spread, edge.spread if spread is None else spread)
        self._open.append(edge)
        self.is_short = self.is_short or short

    def from_machine(self, edge: Edge) -> None:
        """An edge from the machine, or user space."""
        if edge.kind is EdgeKind.MUST:
            self.proved = Standing(
                Answer.YES,
                edge.facts,
                edge.devices,
                edge.reasons,
                edge.assumptions,
                files=tuple(fact.place.path for fact in edge.facts),
                run=edge.run,
            )
        else:
            self.open(edge)

    def from_object(self, edge: Edge, source: Object, known: Standing, reader: ObjectReader) -> None:
        """An edge from another object, of which so much is known."""
        is_on_pci = known.answer is not Answer.YES and edge.beside and reader.bus(source) == "pci"
        if known is _OPEN_IN_CIRCLE:
            return
        if known.answer is Answer.NO:
            self._closed += known.facts[:1]
            self._assumptions += known.assumptions
            self._pci_is_absent = self._pci_is_absent or is_on_pci
        elif known.answer is Answer.YES:
            self._from_running(edge, known)
        elif known.spread is Spread.NOWHERE and not edge.by_initcall:
            self._take_for_closed(source, known)
            self._pci_is_absent = self._pci_is_absent or is_on_pci
        elif known.spread is Spread.ASIDE and edge.beside:
            self._aside.append(_Aside(edge, source, known))
        else:
            self.open(edge, short=known.is_short)

    def _from_running(self, edge: Edge, known: Standing) -> None:
        is_played = known.run is Run.PLAYED
        if known.run not in edge.carries or edge.kind is not EdgeKind.MUST:
            self.open(edge)
            return
        if is_played and edge.refusal is not None and (refused := edge.refusal()):
            self.open(msgspec.structs.replace(edge, question=refused, devices=known.devices))
            return
        self.proved = Standing(
            Answer.YES,
            (*known.facts[:_HOP_FACTS], *edge.facts),
            known.devices,
            known.reasons,
            known.assumptions,
            files=(*known.files, edge.file, *(fact.place.path for fact in edge.facts)),
            run=Run.PLAYED if is_played else Run.DEVICE,
        )

    def from_aside(self) -> None:
        """The edges from drivers beside the object that only hand something out: they do not count where that chip is absent on PCI."""
        for aside in self._aside:
            if self._pci_is_absent:
                self._take_for_closed(aside.source, aside.known)
            else:
                self.open(aside.edge, Spread.ASIDE, short=aside.known.is_short)
        self._aside = []

    def _take_for_closed(self, source: Object, known: Standing) -> None:
        why = known.question or next((fact.claim for fact in known.facts), "")
        self._assumptions.append(f"what {source.path} uses of others needs a device of its own ({why})"[:240])
        self._closed += known.closed[:1]

    def standing(self) -> Standing:
        """What the edges say together."""
        closed, assumptions = tuple(dict.fromkeys(self._closed)), tuple(dict.fromkeys(self._assumptions))
        if not self.is_open:
            return Standing(Answer.NO, closed[:_MOST_FACTS], assumptions=assumptions[:_MOST_FACTS])
        questions = tuple(dict.fromkeys(edge.question for edge in self._open if edge.question))
        return Standing(
            Answer.UNKNOWN,
            self._open[0].facts,
            next((edge.devices for edge in self._open if edge.devices), ()),
            assumptions=assumptions,
            question="; ".join(questions[:_MOST_QUESTIONS]),
            spread=self.spread,
            into=tuple(dict.fromkeys(path for edge in self._open for path in edge.into)) if all(edge.into for edge in self._open) else (),
            closed=closed[:_MOST_FACTS],
            is_short=self.is_short,
        )
