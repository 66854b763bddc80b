"""Member calls: who calls a function through the table that holds it, where the table's structure is none that the kernel's core knows."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from hook.c.definitions import DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use, UseKind, stands_before
from hook.evidence.reach.calls.nodes import DeadEnd, Hop, PathNode, Trigger, hop_to_user
from hook.kernel.name_users import NameUsers

_MOST_FILES = 64  # that hold the name of a member, for its calls to be looked for
_AGGREGATES = (DefinitionKind.STRUCT, DefinitionKind.UNION, DefinitionKind.TYPEDEF)


class MemberCalls:
    """The calls through tables of one tree."""

    def __init__(self, name_users: NameUsers) -> None:
        self._name_users, self._units = name_users, name_users.units
        self._owned: dict[tuple[str, str], bool] = {}

    def of(self, node: PathNode, trigger: Trigger, table: PathNode, use: Use, member: str) -> Iterator[Hop | DeadEnd]:
        """Calls of `table.member()`, and of `anything->member()` where no other structure has a function of that name.

        `member` names the member for a person.
        """
        if not use.member:
            return
        name = use.member.encode()
        home = self._units.get(table.path)
        direct = re.compile(rb"\b" + table.name.encode() + rb"\s*(?:\[[^\]]*\]\s*)?(?:\.|->)\s*" + name + rb"\s*\(")
        for unit, call in _calls(home, direct):
            # what stands in a table that is called by its name runs when its caller does, at boot too
            claim = f"{call.user.name if call.user else ''}() calls {member}, which is {node.name}()"
            yield from hop_to_user(unit, call, trigger, claim)
        if not use.struct or use.struct.endswith("_driver") or not self._is_only_of(use.struct, use.member):
            return  # of a driver, what it has for devices decides
        through = re.compile(rb"(?:->|\.)\s*" + name + rb"\s*\(")
        for path in self._name_users.holding(use.member):
            holder = self._units.get(path)
            if holder is None or not stands_before(holder, use.member, b"("):
                continue
            for unit, call in _calls(holder, through):
                caller = call.user.name if call.user else ""
                claim = f"{caller}() calls .{use.member} of a struct {use.struct}; that of {table.name} is {node.name}()"
                for hop in hop_to_user(unit, call, trigger, claim):
                    yield msgspec.structs.replace(hop, registered=table) if isinstance(hop, Hop) else hop

    def _is_only_of(self, struct: str, member: str) -> bool:
        """Whether a structure is the only one of the kernel with a function of that name in it."""
        key = (struct, member)
        if key not in self._owned:
            self._owned[key] = False
            self._owned[key] = self._looked_up(struct, member)
        return self._owned[key]

    def _looked_up(self, struct: str, member: str) -> bool:
        paths = self._name_users.holding(member)
        if len(paths) > _MOST_FILES:
            return False
        # a function, or something of a type that may be one
        word = member.encode()
        form = re.compile(rb"\(\s*\*\s*" + word + rb"\s*\)\s*\(|\w\s+\**" + word + rb"\s*(?:\[[^\]]*\]\s*)?;")
        is_owned = False
        self._units.fetch(paths)
        for path in paths:
            unit = self._units.get(path)
            if unit is None:
                return False
            if not stands_before(unit, member, b")[;"):
                continue
            aggregates = [definition for definition in unit.scan.definitions if definition.kind in _AGGREGATES]
            for match in form.finditer(unit.scan.code):
                around = [aggregate for aggregate in aggregates if aggregate.span[0] < match.start() < aggregate.span[1]]
                if (around and around[-1].name != struct) or (not around and match[0].startswith(b"(")):
                    return False
                is_owned = is_owned or bool(around)
        return is_owned


def _calls(unit: TranslationUnit | None, form: re.Pattern[bytes]) -> Iterator[tuple[TranslationUnit, Use]]:
    """Where the code of a file's functions matches, as calls."""
    for match in form.finditer(unit.scan.code) if unit is not None else ():
        user = unit.function_at(match.start()) if unit is not None else None
        if unit is not None and user is not None:
            yield unit, Use(UseKind.CALL, match.start(), *unit.line(match.start()), user)
