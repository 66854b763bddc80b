"""Requirements: the resources that a system call takes and creates, and the smallest set of calls that can provide them.

The rules are those by which syzkaller enables calls (prog/resources.go): a call is disabled if no enabled call creates one of its
resources. A resource counts as created only if the call creates it in any case: not in a union, nor behind something optional.
"""

from __future__ import annotations

import collections
from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from hook.syzlang.declarations import Declarations, NamedType, SystemCall, Type, TypeGroup

_MOST_DEPTH = 60  # of types inside each other
_MOST_TYPES = 20_000  # that are read for one call
_MOST_TYPES_OF_ALL = 5_000_000  # the descriptions of August 2026 have 200,000
_LARGEST_TYPE = 2000  # names in it, with the arguments of templates substituted
_MOST_NAMING = 64  # calls with the same word; a word of more does not distinguish them
_MOST_STEPS = 64  # from a call to those that need nothing; real ones need ten
_DIRECTIONS = frozenset(("in", "out", "inout"))
_POINTERS = frozenset(("ptr", "ptr64"))
# only this call creates it, though no description says so
_TIME, _TIME_MAKER = "timespec", "clock_gettime"
_BUILT_IN = {
    "buffer": (("DIR",), Type("ptr", (Type("DIR"), Type("array", (Type("int8"),))))),
    "fileoff": (("BASE",), Type("BASE")),
    "filename": ((), Type("string", (Type("filename"),))),
}


class TooLarge(ValueError):
    """Descriptions that would take too long; the sentence says where."""


class CallFacts(NamedTuple):
    """The facts about a call."""

    path: str  # of its description
    line: int
    takes: tuple[str, ...]  # resources that it needs
    direct: tuple[str, ...]  # those among its own arguments
    gives: tuple[str, ...]  # resources that it creates
    own: frozenset[str]  # constants and strings among its arguments, each of a set
    words: frozenset[str]  # those in its structures and unions, without words of many calls


def of_all(declared: Declarations, absent: Collection[str] = ()) -> dict[str, CallFacts]:
    """The facts of each call that may be enabled, by name; not of a call that needs a constant in `absent`, which the target lacks.

    Raises TooLarge.
    """
    facts_by_call: dict[str, CallFacts] = {}
    remaining = _MOST_TYPES_OF_ALL
    for name, call in declared.calls.items():
        if "disabled" in call.attributes:
            continue
        walk = _Walk(declared, absent, min(remaining, _MOST_TYPES))
        facts = walk.of(call)
        remaining -= walk.types_read
        if remaining <= 0:
            raise TooLarge(f"{call.path}:{call.line}: too much to understand: more than {_MOST_TYPES_OF_ALL} types")
        if facts is not None:
            facts_by_call[name] = facts
    uses = collections.Counter(word for facts in facts_by_call.values() for word in facts.words)
    return {
        name: facts._replace(words=frozenset(word for word in facts.words if uses[word] <= _MOST_NAMING))
        for name, facts in facts_by_call.items()
    }


def kinds(resource: str, resources: Mapping[str, str]) -> list[str]:
    """A resource and its base resources, itself first."""
    chain = [resource]
    while (base := resources.get(chain[-1], "")) in resources and base not in chain:
        chain.append(base)
    return chain


class _Walk:
    """Walks through the types of one call."""

    def __init__(self, declared: Declarations, absent: Collection[str], most_types: int) -> None:
        self._declared, self._absent = declared, absent
        self._takes: dict[str, None] = {}
        self._gives: dict[str, None] = {}
        self._own: set[str] = set()
        self._words: set[str] = set()
        self._is_absent = False
        self._groups = 0  # structures and unions around the present type
        self._seen: set[tuple[Type, str, bool, bool, bool]] = set()
        self._most_types = most_types

    @property
    def types_read(self) -> int:
        """The number of types that were read."""
        return len(self._seen)

    def of(self, call: SystemCall) -> CallFacts | None:
        """The facts of a call; None if the target lacks one of its constants."""
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

    def _type(self, kind: Type, direction: str, optional: bool, may_be_absent: bool, depth: int) -> None:
        """Read a type; `may_be_absent` if it is in a union, or behind something optional."""
        state = kind, direction, optional, may_be_absent, self._groups > 0
        if state in self._seen or depth > _MOST_DEPTH or len(self._seen) >= self._most_types:
            return
        self._seen.add(state)
        name, arguments = kind
        if any(argument.name == "opt" for argument in arguments):
            optional = may_be_absent = True
        if name in self._declared.resources:
            self._resource(name, direction, optional, may_be_absent)
        elif name in _POINTERS:
            if len(arguments) > 1:
                inner = arguments[0].name if arguments[0].name in _DIRECTIONS else direction
                self._type(arguments[1], inner, optional, may_be_absent, depth + 1)
        elif name == "optional" and arguments:
            self._type(arguments[0], direction, optional, True, depth + 1)
        elif name in self._declared.groups:
            group = self._declared.groups[name]
            self._group(name, group, arguments, (direction, optional, may_be_absent), depth)
        elif name in self._declared.aliases or name in _BUILT_IN:
            parameters, inner_type = self._declared.aliases.get(name) or _BUILT_IN[name]
            self._type(_filled(inner_type, dict(zip(parameters, arguments, strict=False))), direction, optional, may_be_absent, depth + 1)
        else:
            self._word(name)
            for argument in arguments:
                self._type(argument, direction, optional, may_be_absent, depth + 1)

    def _resource(self, name: str, direction: str, optional: bool, may_be_absent: bool) -> None:
        if direction != "out" and not optional:
            self._takes[name] = None
        if direction != "in" and not may_be_absent:
            self._gives[name] = None

    def _group(self, name: str, group: TypeGroup, arguments: Sequence[Type], state: tuple[str, bool, bool], depth: int) -> None:
        direction, optional, may_be_absent = state
        if name in ("timespec", "timeval") and direction != "out":
            self._takes[_TIME] = None
        template_arguments = dict(zip(group.parameters, arguments, strict=False))
        self._groups += 1
        if any("out_overlay" in field.attributes for field in group.fields):
            direction = "in"  # the fields before it; the others overlay them
        for field in group.fields:
            if "out_overlay" in field.attributes:
                direction = "out"
            own = _direction(field, direction)
            self._type(_filled(field.type, template_arguments), own, optional, may_be_absent or group.is_union, depth + 1)
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


def _filled(kind: Type, template_arguments: Mapping[str, Type]) -> Type:
    """A type with the arguments of its template substituted; `void` if it would be too large."""
    if not template_arguments:
        return kind
    sizes = {name: _size(argument) for name, argument in template_arguments.items()}
    if _size(kind, sizes) > _LARGEST_TYPE:
        return Type("void")
    return _substituted(kind, template_arguments)


def _substituted(kind: Type, template_arguments: Mapping[str, Type]) -> Type:
    if kind.name in template_arguments and not kind.arguments:
        return template_arguments[kind.name]
    return Type(kind.name, tuple(_substituted(argument, template_arguments) for argument in kind.arguments))


def _size(kind: Type, sizes: Mapping[str, int] = MappingProxyType({})) -> int:
    """The number of names in a type, with those of the substituted arguments."""
    if kind.name in sizes and not kind.arguments:
        return sizes[kind.name]
    return 1 + sum(_size(argument, sizes) for argument in kind.arguments)


class Providers:
    """The cheapest call to create each resource, by the number of calls that it needs."""

    def __init__(self, calls: Mapping[str, CallFacts], resources: Mapping[str, str]) -> None:
        self._calls = calls
        self._resources = resources
        self._made_by = self._cheapest()

    def _cheapest(self) -> dict[str, tuple[int, str]]:
        """For each resource (cost, call): the call that creates it with the fewest others; of equal ones the first by name."""
        makers: dict[str, tuple[int, str]] = {}
        for _ in range(_MOST_STEPS):
            changed = False
            for name, call in self._calls.items():
                if not call.gives or not all(resource in makers for resource in call.takes):
                    continue
                cost = 1 + sum(makers[resource][0] for resource in call.takes)
                for resource in (kind for created in call.gives for kind in kinds(created, self._resources)):
                    current = makers.get(resource)
                    if current is None or (cost, len(name), name) < (current[0], len(current[1]), current[1]):
                        makers[resource] = cost, name
                        changed = True
            if not changed:
                break
        return makers

    def closed(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """These calls with those that create their resources, in order; and the calls left out, of which nothing creates a resource."""
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
        needed: dict[str, None] = {}
        waiting = [name]
        while waiting:
            call = waiting.pop()
            if call in needed:
                continue
            needed[call] = None
            for resource in self._calls[call].takes:
                if resource not in self._made_by:
                    return None
                waiting.append(self._made_by[resource][1])
        return list(needed)
