"""Call paths: the shortest chain of callers from an entry point to a changed function.

Searched backwards from the function, the cheapest hop first (hops), to an entry point. A call path proves that a fuzzer gets there only if
each of its hops does: the name binds to the definition by C scope, the files can be built for the target together (hop_conditions), a table
is registered. Any other call path is shown as likely, and the answer stays UNKNOWN. It is never NO: that no call path was found proves
nothing. docs/call-paths.md has the rules.
"""

from __future__ import annotations

import heapq
import itertools
import typing
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from hook.c.definitions import DefinitionKind
from hook.evidence.reach.answer import Reach
from hook.evidence.reach.calls.hop_conditions import HopConditions
from hook.evidence.reach.calls.hops import Hops
from hook.evidence.reach.calls.nodes import CallPath, ConditionAt, DeadEnd, Hop, NodeKind, PathNode, Trigger, function_node
from hook.kernel.kconfig.expressions import all_of, names, open_parts
from hook.kernel.kconfig.flavours import as_in_base
from hook.kernel.kernel import Kernel
from hook.kernel.name_users import NameUsers
from hook.kernel.units import Units
from hook.source.tree import Source
from hook.verdict import Answer, ConfigReason, Fact, Place

if typing.TYPE_CHECKING:
    from hook.syzlang.checkout import Descriptions

_Place: typing.TypeAlias = tuple[str, int, PathNode | None]  # of a hop
_Weak: typing.TypeAlias = PathNode | _Place  # a name or a hop that turned out not to hold

# what a hop costs in the search: less for a registration, which anything that runs may do, than for one that user space has to trigger
_COSTS = {Trigger.USER_SPACE: 2, Trigger.ANYTHING: 1}
_DOUBT = 4
_OPTIONS = 6  # of a file that needs options which the base configuration does not have, so that core code is reached by core code
_LONGER = 12  # what a path without doubts may cost more than one with some, to be looked for still
_FAR = 3  # what a function in a file without entry points is taken to cost to the next
_MOST_TRIES = 12  # call paths of one function that are looked at whole
_MOST_PLACES = 40_000  # nodes of one search


class SearchBounds(msgspec.Struct, frozen=True):
    """How far the searches for call paths of one change may go. They count work, not time: the answer is the same on a busy machine."""

    hops: int
    files: int  # read, all together
    callers: int  # files in which the callers of one function are looked for
    steps: int  # all together; each looks for the callers of one function, or for the users of one table


class SearchResult(msgspec.Struct, frozen=True):
    """What a search for one function gave."""

    call_path: CallPath | None
    dead_ends: tuple[DeadEnd, ...] = ()
    limit: str = ""  # what ended the search early


class _State(msgspec.Struct, frozen=True):
    node: PathNode
    trigger: Trigger
    below: _State | None
    hop: Hop | None  # that led here, from `below`
    length: int
    cost: int
    doubts: int
    is_weighed: bool = False  # whether the cost holds the options that the hop needs


def reach(functions: Sequence[tuple[str, str]], search: CallPathSearch, descriptions: Descriptions | None = None) -> Reach:
    """Whether a program can get to one of `functions`, given as (path, name), and how.

    YES with the call path of the first that is proved; else UNKNOWN, with the most likely one in the question. With `descriptions`, whether
    they reach the interface is among the assumptions. Raises GitError.
    """
    questions: list[str] = []
    for path, name in dict.fromkeys(functions):
        result = search.find(path, name)
        if result.call_path is not None and result.call_path.is_proved:
            return _with_interfaces(proved(result.call_path, search), result.call_path, search, descriptions)
        questions.append(_question(name, result))
    return Reach(Answer.UNKNOWN, question="\n".join(questions[:3]))


def _with_interfaces(answer: Reach, call_path: CallPath, search: CallPathSearch, descriptions: Descriptions | None) -> Reach:
    """The answer with what a program drives, and whether that is described."""
    from hook.evidence.reach.calls import interfaces

    described = interfaces.described(call_path, search.name_users, descriptions) if descriptions is not None else ""
    assumptions = (*answer.assumptions, described) if described else answer.assumptions
    return msgspec.structs.replace(answer, assumptions=assumptions, interfaces=tuple(interfaces.named(call_path, search.name_users)))


def proved(call_path: CallPath, search: CallPathSearch) -> Reach:
    """The answer that a call path without doubts gives: its hops from user space down, after what registers its tables."""
    facts = [
        Fact(hop.claim, Place(hop.path, hop.line, search.blob(hop.path)), hop.text)
        for part in (*call_path.registrations, call_path)
        for hop in reversed(part.hops)
    ]
    off = tuple(option for option, value in call_path.settings.items() if value != "y")
    return Reach(Answer.YES, tuple(dict.fromkeys(facts)), reasons=_reasons(call_path), disable=off, assumptions=tuple(call_path.probes))


def _reasons(call_path: CallPath) -> dict[str, ConfigReason]:
    reasons = {}
    for option, value in call_path.settings.items():
        stated = next((condition for condition in call_path.conditions if option in names(condition.condition)), None)
        why = f"{'' if value == 'y' else 'must be off: '}on the call path to {call_path.names[0]}: {stated.text if stated else 'needed'}"
        reasons[option] = ConfigReason("reach", why, stated.path if stated else "", stated.line if stated else 0)
    return reasons


def _question(name: str, result: SearchResult) -> str:
    likely = result.call_path
    if likely is not None:
        return f"likely: {' <- '.join(likely.names)} <- {likely.hops[-1].claim}; not proved: {likely.doubts[0]}"
    limit = f" (limit: {result.limit})" if result.limit and not result.dead_ends else ""
    question = f"no call path to {name} was found{limit}"
    if result.dead_ends:
        first, more = result.dead_ends[0], len(result.dead_ends) - 1
        question += f": {first.claim} ({first.path}:{first.line}){f' and {more} more like it' if more else ''}"
    return question


class CallPathSearch:
    """Searches in one tree; what was read for one function serves the next."""

    def __init__(self, source: Source, kernel: Kernel, bounds: SearchBounds) -> None:
        self._bounds, self._steps_left = bounds, bounds.steps
        self._kernel = kernel
        self.units = Units(source, bounds.files)
        self.name_users = NameUsers(source, self.units, kernel.kbuild, kernel.environment, bounds.callers)
        self._hops = Hops(self.name_users)
        self._conditions = HopConditions(self.name_users, kernel)
        self._registrations: dict[PathNode, CallPath | None] = {}

    @property
    def _is_spent(self) -> bool:
        if self._steps_left <= 0:
            self.units.source.safety.at_limit = True
        return self._steps_left <= 0 or self.units.source.safety.is_over

    def blob(self, path: str) -> str:
        """The blob at a path that was read."""
        return self.units.source.read_blobs.get(path, "")

    def find(self, path: str, name: str) -> SearchResult:
        """The call path to a function."""
        unit = self.units.get(path)
        definition = unit.defined(name, DefinitionKind.FUNCTION) if unit else None
        if unit is None or definition is None:
            return SearchResult(None, limit=f"{path} defines no function {name} that could be read")
        return self._proved_from(function_node(unit, definition), Trigger.USER_SPACE)

    def _proved_from(self, start: PathNode, trigger: Trigger) -> SearchResult:
        """The shortest call path that is proved; else the one that looked best."""
        weak: dict[_Weak, str] = {}
        best: CallPath | None = None
        result = SearchResult(None)
        for _ in range(_MOST_TRIES):
            result = self._search(start, trigger, weak)
            if result.call_path is None or not result.call_path.is_proved:
                return result
            call_path, wrong = self._checked(result.call_path)
            if wrong is None:
                return msgspec.structs.replace(result, call_path=call_path)
            best = best or call_path
            weak[wrong] = call_path.doubts[0]
            if self._is_spent:
                break
        return msgspec.structs.replace(result, call_path=best)

    def _search(self, start: PathNode, trigger: Trigger, weak: Mapping[_Weak, str]) -> SearchResult:
        self.name_users.cut = False
        count = itertools.count()
        waiting: list[tuple[int, int, _State]] = [(0, 0, _State(start, trigger, None, None, 0, 0, 0))]
        seen: set[tuple[PathNode, Trigger, bool]] = set()  # the last: with doubts
        dead_ends: dict[DeadEnd, None] = {}
        best: tuple[int, CallPath] | None = None
        limit = ""
        while waiting:
            guess, _, state = heapq.heappop(waiting)
            if _is_known(seen, state.node, state.trigger, state.doubts) or (best is not None and guess >= best[0] + _LONGER):
                continue
            if not state.is_weighed:
                more = self._options_of(state)
                state = msgspec.structs.replace(state, cost=state.cost + more, is_weighed=True)
                if more:
                    heapq.heappush(waiting, (guess + more, next(count) + 1, state))
                    continue
            seen.add((state.node, state.trigger, bool(state.doubts)))
            if self._is_spent:
                limit = f"{self._bounds.steps} steps"
                break
            self._steps_left -= 1
            if state.length >= self._bounds.hops or len(seen) > _MOST_PLACES:
                limit = limit or f"{self._bounds.hops} calls"
                continue
            for hop, upper in self._steps(state, weak, dead_ends):
                if hop.to is None:
                    call_path = _call_path(state, hop)
                    if call_path.is_proved:
                        return SearchResult(call_path, tuple(dead_ends))
                    if best is None or upper.cost < best[0]:
                        best = upper.cost, call_path
                elif not _is_known(seen, upper.node, upper.trigger, upper.doubts):
                    heapq.heappush(waiting, (upper.cost + self._far(upper.node), next(count) + 1, upper))
        if self.units.is_full:
            limit = limit or f"{self._bounds.files} files"
        elif self.name_users.cut:
            limit = limit or f"callers in {self._bounds.callers} files"
        return SearchResult(best[1] if best else None, tuple(dead_ends), limit)

    def _steps(self, state: _State, weak: Mapping[_Weak, str], dead_ends: dict[DeadEnd, None]) -> Iterator[tuple[Hop, _State]]:
        """The hops above a state, each with the state that it leads to; what leads nowhere is put into `dead_ends`."""
        for hop in self._hops.above(state.node, state.trigger):
            if isinstance(hop, DeadEnd):
                dead_ends[hop] = None
                continue
            doubt = hop.doubt or weak.get(_place(hop), "") or weak.get(state.node, "")
            cost = state.cost + _COSTS[state.trigger] + (_DOUBT if doubt else 0)
            hop = msgspec.structs.replace(hop, doubt=doubt) if doubt else hop
            to = hop.to or state.node
            yield hop, _State(to, hop.trigger, state, hop, state.length + 1, cost, state.doubts + bool(doubt))

    def _options_of(self, state: _State) -> int:
        """The cost of a hop into files that neither the base configuration nor the hops before it build."""
        if state.hop is None or state.below is None:
            return 0
        before = self._kernel.kbuild.built_if(state.below.node.path).condition
        paths = {state.hop.path, *((state.hop.registered.path,) if state.hop.registered is not None else ())}
        conditions = {self._kernel.kbuild.built_if(path).condition for path in sorted(paths) if path.endswith(".c")}
        return _OPTIONS * sum(condition != before and not self._kernel.holds(condition) for condition in conditions)

    def _far(self, node: PathNode) -> int:
        """An estimate of the hops that remain: fewer where the node's own file has an entry point."""
        unit = self.units.get(node.path)
        return 0 if unit is not None and unit.has_entry else _FAR

    def _checked(self, call_path: CallPath) -> tuple[CallPath, _Weak | None]:
        """The call path with what it needs to be built, and the node or hop that does not hold, if one does not."""

        def doubted(doubt: str, weak: _Weak) -> tuple[CallPath, _Weak]:
            return msgspec.structs.replace(call_path, doubts=(doubt,)), weak

        conditions: list[ConditionAt] = list(self._conditions.defined(call_path.nodes[0]))
        registrations: list[CallPath] = []
        # through whose members the path calls, by their structure
        tables = {node.struct: node for node in call_path.nodes if node.kind is NodeKind.TABLE}
        for hop, stated in self._stated(call_path):
            for part, weak in stated:
                if left := open_parts(all_of(condition.condition for condition in part)):
                    return doubted(f"{hop.claim}: {left[0]}", weak)
                conditions += part
            if hop.registered is None:
                continue
            other = tables.setdefault(hop.registered.struct, hop.registered)
            if other != hop.registered:
                told = f"{hop.claim}: whether one object can have both tables of this structure that the call path uses"
                return doubted(told, other if other in call_path.nodes else _place(hop))
            registration = self._registered(hop.registered)
            if registration is None:
                is_run = "() runs" if hop.registered.kind is NodeKind.FUNCTION else " is registered"
                return doubted(f"{hop.claim}: whether {hop.registered.name}{is_run}", _place(hop))
            registrations.append(registration)
            conditions += registration.conditions
        call_path = msgspec.structs.replace(call_path, conditions=tuple(conditions), registrations=tuple(registrations))
        condition = all_of(part.condition for part in conditions)
        if self._kernel.holds(condition):
            return call_path, None
        from hook.kernel.kconfig.solver import NoSolution, solve

        try:
            kept = as_in_base(self._kernel.options, self._kernel.base)
            solution = solve(self._kernel.options, self._kernel.base, condition, kept)
        except NoSolution as wrong:
            return doubted(f"no configuration was found that has all its options: {str(wrong)[:120]}", self._worst(call_path))
        return msgspec.structs.replace(call_path, settings=solution.settings, probes=solution.probes), None

    def _stated(self, call_path: CallPath) -> Iterator[tuple[Hop, tuple[tuple[list[ConditionAt], _Weak], ...]]]:
        """The conditions of each hop and of the name that it uses, each with what does not hold where they do not."""
        for node, hop in zip(call_path.nodes, call_path.hops, strict=True):
            yield hop, ((self._conditions.of_hop(hop), _place(hop)), (self._conditions.of_name(node, hop.path), node))

    def _registered(self, table: PathNode) -> CallPath | None:
        """How a table that a call path goes through is registered, by something that runs."""
        if table not in self._registrations:
            self._registrations[table] = None  # it is not registered by what is called through it
            result = self._proved_from(table, Trigger.ANYTHING)
            if result.call_path is not None and result.call_path.is_proved:
                self._registrations[table] = result.call_path
        return self._registrations[table]

    def _worst(self, call_path: CallPath) -> _Weak:
        """What to do without where a call path cannot be configured: what cannot be by itself, else the last hop that needs options."""
        from hook.kernel.kconfig.upper_bounds import impossible

        needing = _place(call_path.hops[-1])
        for hop, stated in self._stated(call_path):
            for part, weak in stated:
                condition = all_of(part_condition.condition for part_condition in part)
                if not self._kernel.holds(condition):
                    needing = _place(hop)
                    if impossible(self._kernel.options, condition):
                        return weak
        return needing


def _is_known(seen: set[tuple[PathNode, Trigger, bool]], node: PathNode, trigger: Trigger, doubts: int) -> bool:
    return (node, trigger, False) in seen or (bool(doubts) and (node, trigger, True) in seen)


def _place(hop: Hop) -> _Place:
    return hop.path, hop.line, hop.to


def _call_path(state: _State, entry: Hop) -> CallPath:
    """The path from the changed function up to an entry point."""
    nodes, hops = [], [entry]
    at: _State | None = state
    while at is not None:
        nodes.append(at.node)
        if at.hop is not None:
            hops.append(at.hop)
        at = at.below
    hops.reverse()
    nodes.reverse()
    return CallPath(tuple(nodes), tuple(hops), tuple(hop.doubt for hop in hops if hop.doubt))
