"""Ways in: the shortest chain of callers from what a program can drive to a changed function.

Searched backwards, the cheapest first, from the function to an entry (entries) by hops (hops). A chain proves that a fuzzer gets there only
if each of its hops does: the name binds to the definition by C scope, the files can be built for the target together (binding), a table
is registered. Another chain is shown as likely, and the answer stays UNKNOWN. docs/ways-in.md has the rules.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import time
import typing
from collections.abc import Mapping, Sequence

from hook.c.definitions import DefinitionKind
from hook.evidence.reach.answer import Reach
from hook.evidence.reach.calls.hop_conditions import Bindings, Said
from hook.evidence.reach.calls.hops import Hops
from hook.evidence.reach.calls.nodes import Dead, Hop, Mode, Node, function_node
from hook.kernel.kconfig.expressions import all_of, names, open_parts
from hook.kernel.kernel import Kernel
from hook.kernel.name_users import Holders
from hook.kernel.units import Units
from hook.source.tree import Source
from hook.verdict import Answer, ConfigReason, Fact, Place

_Weak: typing.TypeAlias = Node | tuple[str, int, Node | None]  # what turned out not to hold: a name, or a hop by its place
if typing.TYPE_CHECKING:
    from hook.evidence.reach.calls.descriptions import Descriptions

# what a hop costs in the search: one of a registration, where anything that runs will do, less than one that a program has to drive
_DRIVEN, _RUN, _DOUBT = 2, 1, 4
_OPTIONS = 6  # of a file that needs options which the base configuration does not have, so that core code is reached by core code
_LONGER = 12  # what a chain without doubts may cost more than one with some, to be looked for still
_FAR = 3  # what a function in a file without entries is taken to cost to the next
_MOST_TRIES = 12  # chains of one function that are looked at whole
_MOST_PLACES = 40_000  # nodes of one search


@dataclasses.dataclass(frozen=True)
class Bounds:
    """How far a search for ways in may go."""

    hops: int
    files: int  # read, all together
    callers: int  # files in which the callers of one function are looked for
    seconds: float


@dataclasses.dataclass(frozen=True)
class Way:
    """A chain: the nodes from the changed function up, and the hop above each; the last hop is the entry."""

    nodes: tuple[Node, ...]
    hops: tuple[Hop, ...]
    doubts: tuple[str, ...] = ()
    said: tuple[Said, ...] = ()
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    probes: tuple[str, ...] = ()
    registrations: tuple[Way, ...] = ()  # of tables through which the chain calls

    @property
    def names(self) -> list[str]:
        """What the chain leads through, from the changed function up."""
        return [node.name for node in self.nodes]


@dataclasses.dataclass(frozen=True)
class Searched:
    """What a search for one function gave."""

    way: Way | None
    dead: tuple[Dead, ...] = ()  # uses that no program drives
    cut: str = ""  # what ended the search early: hops, files, seconds, or callers that were not looked for


@dataclasses.dataclass(frozen=True)
class _State:
    node: Node
    mode: Mode
    below: _State | None
    hop: Hop | None  # that led here, from `below`
    length: int
    cost: int
    doubts: int
    weighed: bool = False  # whether the cost holds the options that the hop needs


def reach(
    functions: Sequence[tuple[str, str]],
    source: Source,
    kernel: Kernel,
    bounds: Bounds,
    descriptions: Descriptions | None = None,
) -> Reach:
    """Whether a program can get to one of `functions`, given as (path, name), and how.

    YES with the chain of the first that is proved; else UNKNOWN, with the most likely chain in the question. With `descriptions`, whether
    they reach the interface is among the assumptions. Raises GitError.
    """
    search = Search(source, kernel, bounds)
    likely: list[tuple[str, Searched]] = []
    for path, name in dict.fromkeys(functions):
        found = search.find(path, name)
        if found.way is not None and not found.way.doubts:
            said = _described(found.way, search, descriptions)
            answer = proved(found.way, search)
            return dataclasses.replace(answer, assumptions=(*answer.assumptions, said)) if said else answer
        likely.append((name, found))
    return Reach(Answer.UNKNOWN, question="; ".join(_question(name, found) for name, found in likely[:3]))


def _described(way: Way, search: Search, descriptions: Descriptions | None) -> str:
    if descriptions is None:
        return ""
    from hook.evidence.reach.calls import interfaces

    return interfaces.described(way, search, descriptions)


def proved(way: Way, search: Search) -> Reach:
    """The answer that a chain without doubts gives."""
    facts = [
        Fact(hop.claim, Place(hop.path, hop.line, search.blob(hop.path)), hop.text)
        for one in (*way.registrations, way)
        for hop in reversed(one.hops)
    ]
    off = tuple(name for name, value in way.settings.items() if value != "y")
    return Reach(Answer.YES, tuple(facts), reasons=_reasons(way), disable=off, assumptions=tuple(way.probes))


def _reasons(way: Way) -> dict[str, ConfigReason]:
    found = {}
    for name, value in way.settings.items():
        said = next((one for one in way.said if name in names(one.condition)), None)
        why = f"{'' if value == 'y' else 'has to be off: '}{said.text if said else 'is needed'}: way in to {way.names[0]}"
        found[name] = ConfigReason("reach", why, said.path if said else "", said.line if said else 0)
    return found


def _question(name: str, found: Searched) -> str:
    if found.way is not None:
        return f"likely: {' <- '.join(found.way.names)} <- {found.way.hops[-1].claim}; not proved: {found.way.doubts[0]}"
    if found.dead:
        more = f" and {len(found.dead) - 1} more like it" if len(found.dead) > 1 else ""
        return f"who can run {name}? {found.dead[0].claim} ({found.dead[0].path}:{found.dead[0].line}){more}"
    ended = f" ({found.cut})" if found.cut else ""
    return f"who can run {name}? no way in was found{ended}"


class Search:
    """Searches in one tree; what was read for one function serves the next."""

    def __init__(self, source: Source, kernel: Kernel, bounds: Bounds) -> None:
        self._bounds = bounds
        self._until = time.monotonic() + bounds.seconds
        self._kernel = kernel
        self.units = Units(source, bounds.files)
        self.holders = Holders(source, self.units, kernel.kbuild, kernel.environment, bounds.callers)
        self._hops = Hops(self.holders)
        self._bindings = Bindings(self.holders, kernel)
        self._registrations: dict[Node, Way | None] = {}

    def blob(self, path: str) -> str:
        """The blob at a path that was read."""
        return self.units.source.read_blobs.get(path, "")

    def find(self, path: str, name: str) -> Searched:
        """The way in to a function."""
        unit = self.units.get(path)
        definition = unit.defined(name, DefinitionKind.FUNCTION) if unit else None
        if unit is None or definition is None:
            return Searched(None, cut=f"{path} defines no function {name} that could be found")
        return self._proved_from(function_node(unit, definition), Mode.DRIVEN)

    def _proved_from(self, start: Node, mode: Mode) -> Searched:
        """The shortest chain that is proved; else the one that looked best."""
        weak: dict[_Weak, str] = {}
        best: Way | None = None
        found = Searched(None)
        for _ in range(_MOST_TRIES):
            found = self._search(start, mode, weak)
            if found.way is None or found.way.doubts:
                return found
            way, wrong = self._checked(found.way)
            if wrong is None:
                return dataclasses.replace(found, way=way)
            best = best or way
            weak[wrong] = way.doubts[0]
            if time.monotonic() > self._until:
                break
        return dataclasses.replace(found, way=best)

    def _search(self, start: Node, mode: Mode, weak: Mapping[_Weak, str]) -> Searched:
        self.holders.cut = False
        count = itertools.count()
        waiting: list[tuple[int, int, _State]] = [(0, 0, _State(start, mode, None, None, 0, 0, 0))]
        seen: set[tuple[Node, Mode, bool]] = set()  # the last: with doubts
        dead: list[Dead] = []
        best: tuple[int, Way] | None = None
        cut = ""
        while waiting:
            guess, _, state = heapq.heappop(waiting)
            if self._is_known(seen, state.node, state.mode, state.doubts) or (best is not None and guess >= best[0] + _LONGER):
                continue
            if not state.weighed:
                more = self._options_of(state)
                state = dataclasses.replace(state, cost=state.cost + more, weighed=True)
                if more:
                    heapq.heappush(waiting, (guess + more, next(count) + 1, state))
                    continue
            seen.add((state.node, state.mode, bool(state.doubts)))
            if time.monotonic() > self._until:
                cut = "limits of time"
                break
            if state.length >= self._bounds.hops or len(seen) > _MOST_PLACES:
                cut = cut or "limits of hops"
                continue
            for hop in self._hops.above(state.node, state.mode):
                if isinstance(hop, Dead):
                    dead.append(hop)
                    continue
                doubt = hop.doubt or weak.get(_place(hop), "") or weak.get(state.node, "")
                doubts = state.doubts + bool(doubt)
                length = state.length + 1
                cost = state.cost + (_RUN if state.mode is Mode.RUN else _DRIVEN) + (_DOUBT if doubt else 0)
                if doubt:
                    hop = dataclasses.replace(hop, doubt=doubt)
                if hop.to is None:
                    way = _way(state, hop)
                    if not doubts:
                        return Searched(way, tuple(dead))
                    if best is None or cost < best[0]:
                        best = cost, way
                elif not self._is_known(seen, hop.to, hop.mode, doubts):
                    upper = _State(hop.to, hop.mode, state, hop, length, cost, doubts)
                    heapq.heappush(waiting, (cost + self._far(hop.to), next(count) + 1, upper))
        if self.units.is_full:
            cut = cut or "limits of files"
        elif self.holders.cut:
            cut = cut or "not every caller was looked for"
        return Searched(best[1] if best else None, tuple(dict.fromkeys(dead)), cut)

    def _options_of(self, state: _State) -> int:
        """What it costs that a hop leads into a file that the base configuration does not build, and what was built so far does not."""
        if state.hop is None or state.below is None or not state.hop.path.endswith(".c"):
            return 0
        condition = self._kernel.kbuild.built_if(state.hop.path).condition
        if self._kernel.holds(condition) or condition == self._kernel.kbuild.built_if(state.below.node.path).condition:
            return 0
        return _OPTIONS

    @staticmethod
    def _is_known(seen: set[tuple[Node, Mode, bool]], node: Node, mode: Mode, doubts: int) -> bool:
        return (node, mode, False) in seen or (bool(doubts) and (node, mode, True) in seen)

    def _far(self, node: Node) -> int:
        """An estimate of the hops that remain: fewer where the node's own file has an entry."""
        unit = self.units.get(node.path)
        return 0 if unit is not None and unit.has_entry else _FAR

    def _checked(self, way: Way) -> tuple[Way, _Weak | None]:
        """The chain with what it needs to be built, and the node or hop that does not hold, if one does not."""
        said: list[Said] = list(self._bindings.defined(way.nodes[0]))
        registrations: list[Way] = []
        called: dict[str, Node] = {}  # the tables through whose members the chain calls, by their structure
        for node, hop in zip(way.nodes, way.hops, strict=True):
            for parts, what in ((self._bindings.of_hop(hop), _place(hop)), (self._bindings.of_name(node, hop.path), node)):
                left = open_parts(all_of(one.condition for one in parts))
                if left:
                    return dataclasses.replace(way, doubts=(f"{hop.claim}: {left[0]}",)), what
                said += parts
            if hop.registered is not None:
                if called.setdefault(hop.registered.struct, hop.registered) != hop.registered:
                    doubt = f"{hop.claim}: the chain calls through two tables of one structure, and an object has one"
                    return dataclasses.replace(way, doubts=(doubt,)), _place(hop)
                registration = self._registered(hop.registered)
                if registration is None:
                    doubt = f"{hop.claim}: nothing shows that {hop.registered.name} is registered"
                    return dataclasses.replace(way, doubts=(doubt,)), _place(hop)
                registrations.append(registration)
                said += registration.said
        condition = all_of(one.condition for one in said)
        if self._kernel.holds(condition):
            return dataclasses.replace(way, said=tuple(said), registrations=tuple(registrations)), None
        from hook.kernel.kconfig.solver import NoSolution, solve

        known = self._kernel
        try:
            solution = solve(known.options, known.base, condition, {})
        except NoSolution as wrong:
            worst = self._worst(way)
            doubt = f"no configuration was found that holds all of it: {str(wrong)[:120]}"
            return dataclasses.replace(way, doubts=(doubt,)), worst
        return dataclasses.replace(
            way, said=tuple(said), registrations=tuple(registrations), settings=solution.settings, probes=solution.probes
        ), None

    def _registered(self, table: Node) -> Way | None:
        """How a table that a chain calls through is registered, by something that runs."""
        if table not in self._registrations:
            self._registrations[table] = None  # it is not registered by what is called through it
            found = self._proved_from(table, Mode.RUN)
            self._registrations[table] = found.way if found.way is not None and not found.way.doubts else None
        return self._registrations[table]

    def _worst(self, way: Way) -> _Weak:
        """What to do without where a chain cannot be configured: what cannot be by itself, else the last hop that needs options."""
        from hook.kernel.kconfig.solver import impossible

        needing = _place(way.hops[-1])
        for node, hop in zip(way.nodes, way.hops, strict=True):
            for parts, what in ((self._bindings.of_hop(hop), _place(hop)), (self._bindings.of_name(node, hop.path), node)):
                condition = all_of(one.condition for one in parts)
                if not self._kernel.holds(condition):
                    needing = _place(hop)
                    if impossible(self._kernel.options, condition):
                        return what
        return needing


def _place(hop: Hop) -> _Weak:
    return hop.path, hop.line, hop.to


def _way(state: _State, entry: Hop) -> Way:
    nodes, hops = [], [entry]
    at: _State | None = state
    while at is not None:
        nodes.append(at.node)
        if at.hop is not None:
            hops.append(at.hop)
        at = at.below
    hops.reverse()
    nodes.reverse()
    return Way(tuple(nodes), tuple(hops), tuple(hop.doubt for hop in hops if hop.doubt))
