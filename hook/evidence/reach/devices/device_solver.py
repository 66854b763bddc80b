"""Which objects a virtual machine makes run: the solver of the graph of hook.evidence.reach.devices.graph.

An object is `yes` where a path of must-edges leads to it from the machine or user space; `no` where not even may-edges lead to it; else
`unknown`. The search goes backwards from the object that was asked for. It does not follow a circle: an object that is reached by a path
with a circle is also reached by that path without it. The answer depends on the object, the tree and the limits, never on earlier
questions.

**Why a `no` holds.** It needs every may-edge. So each rule (hook.evidence.reach.devices.rules) says when it has seen all of its edges. When
it has not, it gives the question that stays open (`Incoming.unseen`), and the answer is `unknown`:

- `own_devices`: Kconfig options that make the object a virtual device of the kernel's own. It only adds edges.
- `driver_tables`: the devices of a bus for a driver that the object registers. It has seen all drivers if every file of the object was
  read, the makefile names all files, and every table of MODULE_DEVICE_TABLE belongs to a driver that was found, or nothing but look-ups
  (pci_match_id) and the loading of modules has its name. It has seen all devices of a driver if every line of its tables was read and the
  catalogue of the machine has none of them.
  An I2C or SPI driver that user space binds has no device where its probe is certain to fail for each that user space makes
  (hook.evidence.reach.devices.probes.failing_probes). What it runs until then is kept (`Standing.running`), with all that this names. An
  edge from such an object counts only where that uses the target; then as much of the target runs, too. A `no` leaves these functions open.
- `registrations`: the buses and subsystems that the initcalls of the object register with. A bus that buses.py lacks leaves the object
  open.
- `rc_keymaps`: the receivers that use a keymap. Each has the name of the keymap in its text; no device tree gives it.
- `own_files`: files that initcalls create for user space. It only adds edges; what it misses, `initcall_calls` leaves open.
- `initcall_calls`: calls that may give other code a callback: by the name of the function (register, add, create, …), or because the
  address of a function, or of a variable that may hold one, is an argument. Of these calls the one that spreads furthest counts (`Spread`).
- `initcall_hooks`: a parameter with a setter, a PCI fixup, `__setup`, callbacks that an initcall assigns to data of others, and hidden
  starts (hook.evidence.reach.devices.hidden_starts) leave the object open.
- `device_creators`: code that creates a device by the name of a driver: every file with the name, with a format that may print it, or with
  a macro for it. Left out are names of drivers, clocks, pins and the like, that are looked up or printed. On buses where no code creates
  devices by name there is none.
- `symbol_users`: the users of what the object exports; where it cannot be a module, of what is not static. They are found by the word
  index, also through inline functions and macros of headers. Exports by a macro of the object's own leave it open.
- `likely_users`: some users of what an open object exports. It only adds edges, to find a `yes`.

So into an object without may-edges, no other object, no bus and no user space has a call. System calls, assembly and linker sections lead
into code outside of drivers/ and sound/, where nothing is `no`.

**Assumptions** are named in the answer. An object that is open only because its initcall registers a notifier or a transport needs a device
for what it uses of others (`Spread.NOWHERE`). So does one that registers another callback, for what it uses of the core of a PCI chip in
its directory that no machine has (`Spread.ASIDE`). In a large object, a callback leads to the directories of the files that register it,
and to what these call (`Edge.into`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import msgspec

from hook.evidence.reach.devices.graph import Asked, Edge, EdgeKind, Rule, Run, Spread
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.probes.device_getters import RunningPart
from hook.evidence.reach.devices.probes.running_code import RunningCode, running_code
from hook.kernel.held_addresses import NAMES
from hook.kernel.kbuild.objects import Object
from hook.verdict import Answer, ConfigReason, Fact

FARTHEST = 8  # objects between the one that was asked for and the last that is followed
_NEAR = 2  # greatest distance of an open object whose other users are searched
_MOST_FACTS = 6  # of one answer
_HOP_FACTS = 2  # of a path that are kept, beside those of the last edge
_MOST_QUESTIONS = 2


class Standing(msgspec.Struct, frozen=True):
    """What is known of one object."""

    answer: Answer
    facts: tuple[Fact, ...] = ()  # of YES: the path, from user space down; of NO: why there are no edges
    devices: tuple[str, ...] = ()
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    question: str = ""
    files: tuple[str, ...] = ()  # of YES: those on the path
    run: Run = Run.DEVICE  # of YES
    spread: Spread = Spread.EVERYWHERE  # of UNKNOWN
    into: tuple[str, ...] = ()  # of UNKNOWN: all open edges lead to the directories of these files; empty: to all
    closed: tuple[Fact, ...] = ()  # of UNKNOWN: why there are no other edges
    is_short: bool = False  # of UNKNOWN: whether a limit has cut the search
    running: RunningCode | None = None  # what of it runs without an edge


_IN_CIRCLE = Standing(Answer.NO)
_OPEN_IN_CIRCLE = Standing(Answer.NO, spread=Spread.NOWHERE)  # the same, of an object that has an open edge already


class Solver:
    """Answers one question. Its standings are not kept for the next one: a limit may have cut them."""

    def __init__(self, rules: Sequence[Rule], reader: ObjectReader, most_files: int) -> None:
        self._rules, self._reader, self._most_files = rules, reader, most_files
        self._known: dict[str, tuple[int, Standing]] = {}
        self._asking: dict[str, _IncomingEdges] = {}
        self._circles: set[str] = set()  # objects in `_asking` that a circle has led to

    def standing(self, obj: Object, distance: int = 0) -> Standing:
        """What is known of an object at a distance from the one that was asked for. Raises TooManyFiles."""
        if obj.path in self._known:
            far, known_standing = self._known[obj.path]
            if not known_standing.is_short or far <= distance:
                return known_standing
        if obj.path in self._asking:
            self._circles.add(obj.path)
            asking = self._asking[obj.path]
            return _OPEN_IN_CIRCLE if asking.is_open else msgspec.structs.replace(_IN_CIRCLE, running=asking.running)
        edges = self._asking[obj.path] = _IncomingEdges(obj)
        try:
            judged = self._judge(obj, distance, edges)
        finally:
            del self._asking[obj.path]
            self._circles.discard(obj.path)
        if judged.answer is Answer.YES or not self._circles:
            self._known[obj.path] = distance, judged
        return judged

    def _judge(self, obj: Object, distance: int, edges: _IncomingEdges) -> Standing:
        if self._is_spent():
            edges.open(Edge(f"{obj.path} was not read: too many files were read already"), short=True)
            return edges.standing()
        for rule in self._rules:
            if rule.asked in (Asked.WHILE_CLOSED, Asked.WITHOUT_DEVICE) and edges.is_open and edges.spread is Spread.EVERYWHERE:
                continue
            if rule.asked is Asked.FOR_LIBRARIES:
                if not edges.is_open or self._reader.profile(obj).registers:
                    continue
                if distance >= _NEAR:
                    edges.is_short = True
                    continue
            if distance >= FARTHEST and rule.question is not None and not (edges.is_open and rule.asked is Asked.WITHOUT_DEVICE):
                if question := rule.question(obj, self._reader):
                    edges.open(Edge(question), short=True)
                continue
            self._ask(rule, obj, distance, edges)
            if edges.proved is not None:
                return edges.proved
        if obj.path in self._circles:
            edges.run_all_used(self._reader)
        return edges.standing()

    def _is_spent(self) -> bool:
        spent = self._reader.texts.question_files > self._most_files
        if spent:
            self._reader.texts.source.safety.at_limit = True
        return spent

    def _ask(self, rule: Rule, obj: Object, distance: int, edges: _IncomingEdges) -> None:
        """Adds the edges of one rule to an object."""
        incoming = self._reader.texts.once((rule.name, obj.path), lambda: rule.incoming(obj, self._reader))
        edges.close(incoming.closed)
        edges.run(incoming.running)
        asked_sources: set[tuple[str, bool, Spread]] = set()
        followed: set[str] = set()  # sources that are not closed
        is_full = False
        opened = edges.opened
        only_running = edges.is_open and rule.asked is Asked.WITHOUT_DEVICE
        most = rule.most_sources[min(distance, len(rule.most_sources) - 1)] if rule.most_sources else 1 << 30
        for edge in incoming.edges:
            if rule.needs_closed and edges.opened > opened:
                edge = msgspec.structs.replace(edge, kind=EdgeKind.MAY)
            if edge.kind is EdgeKind.MAY and edges.is_open and edge.spread <= edges.spread:
                continue  # it would change nothing
            if not edge.file and not edge.objects:
                edges.from_machine(edge)
            elif distance >= FARTHEST:
                if not only_running:
                    edges.open(edge, short=True)
            else:
                sources = edge.objects or self._reader.objects(edge.file)
                if not sources and not only_running:
                    edges.open(edge)
                for source in sources:
                    key = source.path, edge.beside, edge.spread
                    if key in asked_sources:
                        continue
                    asked_sources.add(key)
                    if len(followed) >= most or (rule.most_sources and self._is_spent()):
                        is_full = True
                        if not only_running:
                            edges.open(edge, short=True)
                        break
                    source_standing = self.standing(source, distance + 1)
                    if source_standing.answer is not Answer.NO:
                        followed.add(source.path)
                    if source_standing.answer is Answer.YES or not only_running:
                        edges.from_object(edge, source, source_standing, self._reader)
            if edges.proved is not None:
                return
            if is_full:
                break
        edges.from_aside()
        if incoming.unseen and not only_running:
            edges.open(Edge(incoming.unseen))


class _Aside(msgspec.Struct, frozen=True):
    """An edge from a driver in the same directory that is open only because its initcall registers a callback."""

    edge: Edge
    source: Object
    known: Standing


class _IncomingEdges:
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
        self.running: RunningCode | None = None
        self._closed_edges: list[Edge] = []
        self._pci_is_absent = False  # whether a PCI driver in the same directory that uses it has no device

    @property
    def opened(self) -> int:
        """How many edges leave the object open."""
        return len(self._open)

    def close(self, facts: Sequence[Fact]) -> None:
        """Adds what proves that there are no edges of some kind."""
        self._closed += facts

    def open(self, edge: Edge, spread: Spread | None = None, *, short: bool = False) -> None:
        """Adds an edge that cannot be excluded."""
        self.is_open = True
        self.spread = max(self.spread, edge.spread if spread is None else spread)
        self._open.append(edge)
        self.is_short = self.is_short or short

    def from_machine(self, edge: Edge) -> None:
        """Adds an edge from the machine, or user space."""
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

    def from_object(self, edge: Edge, source: Object, standing: Standing, reader: ObjectReader) -> None:
        """Adds an edge from another object with its standing."""
        is_on_pci = standing.answer is not Answer.YES and edge.beside and reader.bus(source) == "pci"
        if standing is _OPEN_IN_CIRCLE:
            return
        if standing.answer is not Answer.YES and standing.running is not None and not self._runs_from(edge, standing.running, reader):
            self.open(edge)
        elif standing.answer is Answer.NO:
            self._closed_edges.append(edge)
            self._closed += standing.facts[:1]
            self._assumptions += standing.assumptions
            self._pci_is_absent = self._pci_is_absent or is_on_pci
        elif standing.answer is Answer.YES:
            self._from_running(edge, standing)
        elif standing.spread is Spread.NOWHERE and not edge.by_initcall:
            self._take_for_closed(source, standing)
            self._pci_is_absent = self._pci_is_absent or is_on_pci
        elif standing.spread is Spread.ASIDE and edge.beside:
            self._aside.append(_Aside(edge, source, standing))
        else:
            self.open(edge, short=standing.is_short)

    def run(self, code: RunningCode | None) -> None:
        """Adds what runs of the object without an edge."""
        self.running = code.joined(self.running) if code is not None else self.running

    def _runs_from(self, edge: Edge, running: RunningCode, reader: ObjectReader) -> bool:
        """Adds what runs of the object where a source runs in part; gives whether that is known."""
        if edge.at is not None:
            return not running.holds(reader.texts, *edge.at)
        used = edge.uses & running.words
        return bool(edge.uses) and (not used or self._run_used(used, running.parts, reader))

    def _run_used(self, used: Set[str], parts: Sequence[RunningPart], reader: ObjectReader) -> bool:
        code = running_code(reader.texts, reader.profile(self._target).members, sorted(used), parts)
        self.run(code)
        return code is not None

    def run_all_used(self, reader: ObjectReader) -> None:
        """Of an object that leads to itself: what runs of it may make a source run, and so all that the source uses."""
        running = self.running
        for edge in self._closed_edges if running is not None else ():
            used = edge.uses.intersection(NAMES.findall(reader.texts.get(edge.file) or ""))
            if not edge.uses or (running and used and not self._run_used(used, running.parts, reader)):
                self.open(edge)

    def _from_running(self, edge: Edge, standing: Standing) -> None:
        if standing.run not in edge.carries or edge.kind is not EdgeKind.MUST:
            self.open(edge)
            return
        if edge.refusal is not None and (refused := edge.refusal(standing.run)):
            self.open(msgspec.structs.replace(edge, question=refused, devices=standing.devices))
            return
        self.proved = Standing(
            Answer.YES,
            (*standing.facts[:_HOP_FACTS], *edge.facts),
            standing.devices,
            standing.reasons,
            standing.assumptions,
            files=(*standing.files, edge.file, *(fact.place.path for fact in edge.facts)),
            run=Run.EMULATED if standing.run is Run.EMULATED else Run.DEVICE,
        )

    def from_aside(self) -> None:
        """Adds the edges that were put aside: they do not count where a PCI chip of the same directory is absent."""
        for aside in self._aside:
            if self._pci_is_absent:
                self._take_for_closed(aside.source, aside.known)
            else:
                self.open(aside.edge, Spread.ASIDE, short=aside.known.is_short)
        self._aside = []

    def _take_for_closed(self, source: Object, standing: Standing) -> None:
        why = standing.question or next((fact.claim for fact in standing.facts), "")
        self._assumptions.append(f"{source.path} uses other objects only with a device of its own ({why})"[:240])
        self._closed += standing.closed[:1]

    def standing(self) -> Standing:
        """The standing by all edges."""
        closed, assumptions = tuple(dict.fromkeys(self._closed)), tuple(dict.fromkeys(self._assumptions))
        if not self.is_open:
            return Standing(Answer.NO, closed[:_MOST_FACTS], assumptions=assumptions[:_MOST_FACTS], running=self.running)
        questions = tuple(dict.fromkeys(edge.question for edge in self._open if edge.question))
        return Standing(
            Answer.UNKNOWN,
            self._open[0].facts,
            next((edge.devices for edge in self._open if edge.devices), ()),
            assumptions=assumptions,
            question="\n".join(questions[:_MOST_QUESTIONS]),
            spread=self.spread,
            into=tuple(dict.fromkeys(path for edge in self._open for path in edge.into)) if all(edge.into for edge in self._open) else (),
            closed=closed[:_MOST_FACTS],
            is_short=self.is_short,
            running=self.running,
        )
