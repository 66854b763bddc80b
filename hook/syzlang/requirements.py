"""Requirements: which resources a system call takes and gives, and the smallest set of calls that can provide them.

The rules are those by which syzkaller enables calls (prog/resources.go): a call is taken out where nothing that is enabled makes one of its
resources. A resource counts as made only where the call certainly gives it: not in a union, nor behind what is optional.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from hook.syzlang.declarations import Declarations, NamedType, SystemCall, Type, TypeGroup

_MOST_DEPTH = 60  # of types inside each other
_MOST_TYPES = 20_000  # that are looked at for one call
_MOST_TYPES_OF_ALL = 5_000_000  # the descriptions of August 2026 have 200,000
_LARGEST_TYPE = 2000  # names in it, with the arguments of templates in place
_MOST_NAMING = 64  # calls that name a word which tells them from others
_MOST_STEPS = 64  # from a call to those that need nothing; real ones need ten
_DIRECTIONS = frozenset(("in", "out", "inout"))
_POINTERS = frozenset(("ptr", "ptr64"))
# made by this call alone, though no description says so
_TIME, _TIME_MAKER = "timespec", "clock_gettime"
_BUILT_IN = {
    "buffer": (("DIR",), Type("ptr", (Type("DIR"), Type("array", (Type("int8"),))))),
    "fileoff": (("BASE",), Type("BASE")),
    "filename": ((), Type("string", (Type("filename"),))),
}


class TooLarge(ValueError):
    """Descriptions that would take too long; the sentence says where."""


class CallFacts(NamedTuple):
    """What is known of a call."""

    path: str  # of its description
    line: int
    takes: tuple[str, ...]  # resources without which it cannot be made
    direct: tuple[str, ...]  # those among its own arguments
    gives: tuple[str, ...]
    own: frozenset[str]  # constants and strings among its arguments, each of a set
    words: frozenset[str]  # those that it names through structures and unions; what many calls name is left out


def of_all(declared: Declarations, absent: Collection[str] = ()) -> dict[str, CallFacts]:
    """The facts of each call that may be enabled, by name; none of what the target lacks a constant for, which is in `absent`.

    Raises TooLarge.
    """
    found: dict[str, CallFacts] = {}
    left = _MOST_TYPES_OF_ALL
    for name, call in declared.calls.items():
        if "disabled" in call.attributes:
            continue
        walk = _Walk(declared, absent, min(left, _MOST_TYPES))
        facts = walk.of(call)
        left -= walk.looked_at
        if left <= 0:
            raise TooLarge(f"{call.path}:{call.line}: too much to understand: more than {_MOST_TYPES_OF_ALL} types")
        if facts is not None:
            found[name] = facts
    times = collections.Counter(word for facts in found.values() for word in facts.words)
    return {
        name: facts._replace(words=frozenset(word for word in facts.words if times[word] <= _MOST_NAMING)) for name, facts in found.items()
    }


def kinds(resource: str, resources: Mapping[str, str]) -> list[str]:
    """A resource and what it is a kind of, itself first."""
    found = [resource]
    while (above := resources.get(found[-1], "")) in resources and above not in found:
        found.append(above)
    return found


class _Walk:
    """Walks through the types of one call."""

    def __init__(self, declared: Declarations, absent: Collection[str], most_types: int) -> None:
        self._declared, self._absent = declared, absent
        self._takes: dict[str, None] = {}
        self._gives: dict[str, None] = {}
        self._own: set[str] = set()
        self._words: set[str] = set()
        self._is_absent = False
        self._groups = 0  # structures and unions around what is looked at
        self._seen: set[tuple[Type, str, bool, bool, bool]] = set()
        self._most_types = most_types

    @property
    def looked_at(self) -> int:
        """How many types were looked at."""
        return len(self._seen)

    def of(self, call: SystemCall) -> CallFacts | None:
        """The facts; None where the target has not all constants of the call."""
        if f"__NR_{call.base}" in self._absent:
            return None
        direct = []
        for argument in call.arguments:
            if argument.type.name in self._declared.resources:
                direct.append(argument.type.name)
            self._type(argument.type, "in", False, False, 0)
        if call.result in self._declared.resources:
            self._gives[call.result] = None
        if call.base == _TIME_MAKER:
            self._gives[_TIME] = None
        if self._is_absent:
            return None
        gives = () if "no_generate" in call.attributes else tuple(self._gives)
        return CallFacts(call.path, call.line, tuple(self._takes), tuple(direct), gives, frozenset(self._own), frozenset(self._words))

    def _type(self, kind: Type, direction: str, optional: bool, certain_not: bool, depth: int) -> None:
        """`certain_not` where it may be absent: in a union, or behind what is optional."""
        state = kind, direction, optional, certain_not, self._groups > 0
        if state in self._seen or depth > _MOST_DEPTH or len(self._seen) >= self._most_types:
            return
        self._seen.add(state)
        name, arguments = kind
        if any(argument.name == "opt" for argument in arguments):
            optional = certain_not = True
        if name in self._declared.resources:
            self._resource(name, direction, optional, certain_not)
        elif name in _POINTERS:
            if len(arguments) > 1:
                inner = arguments[0].name if arguments[0].name in _DIRECTIONS else direction
                self._type(arguments[1], inner, optional, certain_not, depth + 1)
        elif name == "optional" and arguments:
            self._type(arguments[0], direction, optional, True, depth + 1)
        elif name in self._declared.groups:
            group = self._declared.groups[name]
            self._group(name, group, arguments, (direction, optional, certain_not), depth)
        elif name in self._declared.aliases or name in _BUILT_IN:
            parameters, inner_type = self._declared.aliases.get(name) or _BUILT_IN[name]
            self._type(_filled(inner_type, dict(zip(parameters, arguments, strict=False))), direction, optional, certain_not, depth + 1)
        else:
            self._word(name)
            for argument in arguments:
                self._type(argument, direction, optional, certain_not, depth + 1)

    def _resource(self, name: str, direction: str, optional: bool, certain_not: bool) -> None:
        if direction != "out" and not optional:
            self._takes[name] = None
        if direction != "in" and not certain_not:
            self._gives[name] = None

    def _group(self, name: str, group: TypeGroup, arguments: Sequence[Type], state: tuple[str, bool, bool], depth: int) -> None:
        direction, optional, certain_not = state
        if name in ("timespec", "timeval") and direction != "out":
            self._takes[_TIME] = None
        given = dict(zip(group.parameters, arguments, strict=False))
        self._groups += 1
        if any("out_overlay" in field.attributes for field in group.fields):
            direction = "in"  # what stands before it; the rest lies over it
        for field in group.fields:
            if "out_overlay" in field.attributes:
                direction = "out"
            own = _direction(field, direction)
            self._type(_filled(field.type, given), own, optional, certain_not or group.is_union, depth + 1)
        self._groups -= 1

    def _word(self, word: str) -> None:
        into = self._words if self._groups else self._own
        if word[:1] in ('"', "`"):
            into.add(word[1:-1])
        elif word in self._declared.sets:
            into.update((word, *self._declared.sets[word]))
        elif not word[:1].isdigit():
            self._is_absent = self._is_absent or (not self._groups and word in self._absent)
            into.add(word)


def _direction(field: NamedType, direction: str) -> str:
    return next(iter(sorted(field.attributes & _DIRECTIONS)), direction)


def _filled(kind: Type, given: Mapping[str, Type]) -> Type:
    """A type with the arguments of its template in place; nothing where it would be too large."""
    if not given:
        return kind
    sizes = {name: _size(argument) for name, argument in given.items()}
    if _size(kind, sizes) > _LARGEST_TYPE:
        return Type("void")
    return _put(kind, given)


def _put(kind: Type, given: Mapping[str, Type]) -> Type:
    if kind.name in given and not kind.arguments:
        return given[kind.name]
    return Type(kind.name, tuple(_put(argument, given) for argument in kind.arguments))


def _size(kind: Type, sizes: Mapping[str, int] = MappingProxyType({})) -> int:
    """How many names a type has, with those of the arguments in their place."""
    if kind.name in sizes and not kind.arguments:
        return sizes[kind.name]
    return 1 + sum(_size(argument, sizes) for argument in kind.arguments)


class Providers:
    """Which calls give a resource, the cheapest first: how many calls are needed to make it."""

    def __init__(self, calls: Mapping[str, CallFacts], resources: Mapping[str, str]) -> None:
        self._calls = calls
        self._resources = resources
        self._made_by = self._cheapest()

    def _cheapest(self) -> dict[str, tuple[int, str]]:
        """Of each resource (cost, call): the call that makes it with the fewest others; by name where several do."""
        made: dict[str, tuple[int, str]] = {}
        for _ in range(_MOST_STEPS):
            changed = False
            for name, call in self._calls.items():
                if not call.gives or not all(resource in made for resource in call.takes):
                    continue
                cost = 1 + sum(made[resource][0] for resource in call.takes)
                for resource in (kind for given in call.gives for kind in kinds(given, self._resources)):
                    known = made.get(resource)
                    if known is None or (cost, len(name), name) < (known[0], len(known[1]), known[1]):
                        made[resource] = cost, name
                        changed = True
            if not changed:
                break
        return made

    def closed(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """These calls with those that make what they take, in order; and those left out, since nothing makes what they take."""
        chosen: dict[str, None] = {}
        left_out = []
        for name in names:
            needed = self._needed(name)
            if needed is None:
                left_out.append(name)
            else:
                chosen.update(dict.fromkeys(needed))
        return list(chosen), left_out

    def _needed(self, name: str) -> list[str] | None:
        found: dict[str, None] = {}
        waiting = [name]
        while waiting:
            call = waiting.pop()
            if call in found:
                continue
            found[call] = None
            for resource in self._calls[call].takes:
                if resource not in self._made_by:
                    return None
                waiting.append(self._made_by[resource][1])
        return list(found)
