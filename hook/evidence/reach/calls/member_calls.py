"""Member calls: who calls a function through the table that holds it, where the table's structure is none that the kernel's core knows.

A call that names no table leads to it only where the object is of the table's structure, and the table is registered by what runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c.brackets import arguments
from hook.c.definitions import DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use, UseKind, stands_before
from hook.evidence.reach.calls.callbacks import is_called
from hook.evidence.reach.calls.nodes import DeadEnd, Hop, PathNode, Trigger, function_node, hop_to_user, user_of
from hook.evidence.reach.calls.object_types import ObjectTypes, arrow_of, hides
from hook.kernel.name_users import NameUsers

_MOST_FILES = 64  # that hold the name of a member, for its calls to be looked for
_MOST_NAMING = 24  # files that name a structure
_CONSTANT = lazy_re.compile(rb"\s*(\d+|[A-Z_][A-Z0-9_]*)\s*")
_AGGREGATES = (DefinitionKind.STRUCT, DefinitionKind.UNION, DefinitionKind.TYPEDEF)


class MemberCalls:
    """The calls through tables of one tree."""

    def __init__(self, name_users: NameUsers, types: ObjectTypes) -> None:
        self._name_users, self._units = name_users, name_users.units
        self._owned: dict[tuple[str, str], bool] = {}
        self._element_calls: dict[tuple[str, str], list[tuple[bytes, Use]]] = {}  # of an array, by its file and name, with the index
        self._types = types

    def of(self, node: PathNode, trigger: Trigger, table: PathNode, use: Use, member: str) -> Iterator[Hop | DeadEnd]:
        """Calls of `table.member()`; of `object->member()` where the object is of the structure, or only that has a function of that name.

        Of an array of functions, the calls of what an index takes out of it. `member` names the member for a person.
        """
        home = self._units.get(table.path)
        if not use.member:
            yield from self._indexed(node, trigger, home, table, use)
            return
        name = use.member.encode()
        name_of_table = table.name.encode()
        direct = re.compile(rb"(?<![\w.>])" + name_of_table + rb"\s*(?:\[([^\]]*)\]\s*)?(?:\.|->)\s*" + name + rb"\s*\(")
        # what stands in a table that is called by its name runs when its caller does, at boot too
        for path in self._name_users.files(table.name, table.path, local=table.local):
            calling = self._units.get(path)
            if calling is not home and (calling is None or _defines(calling, table.name)):
                continue
            for match, call in _matches(calling, direct):
                assert calling is not None
                if hides(calling, user_of(call), name_of_table):
                    continue
                claim = f"{user_of(call).name}() calls {member}, which is {node.name}()"
                yield from hop_to_user(calling, call, trigger, claim, _doubt_of_element(home, use, match[1]))
            for index, call in _calls_through_pointer(calling, name_of_table, name):
                assert calling is not None
                claim = f"{user_of(call).name}() calls .{use.member} of what it takes out of {table.name}, among it {node.name}()"
                yield from hop_to_user(calling, call, trigger, claim, _doubt_of_element(home, use, index))
        if use.struct and not use.struct.endswith("_driver"):  # of a driver, what it has for devices decides
            told = f"that of {table.name} is {node.name}()"
            yield from self._of_objects(node, trigger, home, table, use, told, frozenset((name_of_table,)))

    def of_assigned(
        self, node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use, given: tuple[TranslationUnit, Use] | None = None
    ) -> Iterator[Hop | DeadEnd]:
        """Calls of `object->member()`, as in `of`, where a function that runs sets the member of such an object.

        `given` is the call of the function that sets the member, where that was given what it sets it to: who calls it has to run.
        """
        setter = user_of(use)
        struct = use.struct or self._types.struct_assigned_to(unit, setter, use)
        if struct and not struct.endswith("_driver"):
            runs = msgspec.structs.replace(
                function_node(given[0], user_of(given[1])) if given else function_node(unit, setter), struct=struct
            )
            told = f"{runs.name}() sets it to {node.name}()" + (f" by {setter.name}()" if given else "")
            objects = _passed_objects(*given) if given else frozenset((self._types.embedded(unit, setter, arrow_of(unit, setter, use)),))
            yield from self._of_objects(node, trigger, unit, runs, msgspec.structs.replace(use, struct=struct), told, objects)

    def _of_objects(
        self,
        node: PathNode,
        trigger: Trigger,
        home: TranslationUnit | None,
        holder: PathNode,
        use: Use,
        told: str,
        objects: frozenset[bytes],
    ) -> Iterator[Hop | DeadEnd]:
        """Calls of the member that a use in the file `home` sets, of objects of its structure.

        `holder` is what has to be registered, or to run, besides. `objects` are the variables or members that the use may set it of: a call
        by the name of another one may be of another object.
        """
        if home is None:
            return
        for path in self._callers(home.path, use):
            caller_unit = self._units.get(path)
            if caller_unit is None or not stands_before(caller_unit, use.member, b"("):
                continue
            for unit, call in self._through(caller_unit, home, use):
                claim = f"{user_of(call).name}() calls .{use.member} of a struct {use.struct}; {told}"
                called = self._types.embedded(unit, user_of(call), call.offset)
                is_same = not called or called in objects or _is_copied(called, use.member.encode(), unit)
                doubt = "" if is_same else f"whether it is set in {called.decode('ascii')}, or in another object"
                for hop in hop_to_user(unit, call, trigger, claim, doubt):
                    yield msgspec.structs.replace(hop, registered=holder) if isinstance(hop, Hop) else hop

    def _indexed(
        self, node: PathNode, trigger: Trigger, home: TranslationUnit | None, table: PathNode, use: Use
    ) -> Iterator[Hop | DeadEnd]:
        """Calls of the elements of an array of functions: the same for each of them, and there can be hundreds."""
        key = (table.path, table.name)
        if home is None:
            return
        if key not in self._element_calls:
            self._element_calls[key] = list(_element_calls(home, table.name.encode()))
        for index, call in self._element_calls[key]:
            claim = f"{user_of(call).name}() calls one of {table.name}, among them {node.name}()"
            yield from hop_to_user(home, call, trigger, claim, _doubt_of_element(home, use, index))

    def _callers(self, home: str, use: Use) -> list[str]:
        """The files that may call the member that a use sets: all, for a member that one structure has; else those beside that file, and
        those that name the structure, where these are few.
        """
        paths = self._name_users.holding(use.member)
        if self._is_only_of(use.struct, use.member):
            return paths
        beside = [path for path in paths if path.rpartition("/")[0] == home.rpartition("/")[0]][:_MOST_FILES]
        naming = set(self._name_users.holding(use.struct))
        return beside + ([path for path in paths if path in naming and path not in beside] if len(naming) <= _MOST_NAMING else [])

    def _through(self, caller: TranslationUnit, home: TranslationUnit, use: Use) -> Iterator[tuple[TranslationUnit, Use]]:
        """The calls in a file of the member that a use in the file `home` sets, of an object of its structure."""
        is_only = self._is_only_of(use.struct, use.member)
        if caller is not home and (_is_own(use.struct, caller) or _is_own(use.struct, home)):
            return
        for unit, call in _calls(caller, re.compile(rb"(?:->|\.)\s*" + use.member.encode() + rb"\s*\(")):
            if is_only or self._types.struct_called_through(unit, user_of(call), call.offset) == use.struct:
                yield unit, call

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


def _passed_objects(unit: TranslationUnit, use: Use) -> frozenset[bytes]:
    """The variables and members whose address is passed in the call that passes what a use names."""
    call = unit.scan.code.rfind(use.callee.encode(), user_of(use).body[0], use.offset)
    passed = arguments(unit.scan.code, unit.scan.code.find(b"(", call)) if call >= 0 else []
    return frozenset(match[1] for argument in passed if (match := re.fullmatch(rb"&[^&]*?(\w+)\s*(?:\[[^\]]*\])?", argument.strip())))


def _is_copied(name: bytes, member: bytes, unit: TranslationUnit) -> bool:
    """Whether a file sets an object, or its member, to that of another object."""
    copied = rb"(?<!\w)%b\s*(?:\[[^\]]*\]\s*)?(?:=\s*[*A-Za-z_]|\.\s*%b\s*=[^=;]*(?:->|\.)\s*%b\s*;)" % (name, member, member)
    return re.search(copied, unit.scan.code) is not None


def _defines(unit: TranslationUnit, name: str) -> bool:
    """Whether a file has a variable of its own by a name."""
    return unit.path.endswith(".c") and any(
        unit.data[slice(*one.span)].count(b"{") or unit.is_static(one) for one in unit.by_name.get(name, ())
    )


def _is_own(struct: str, unit: TranslationUnit) -> bool:
    """Whether a .c file has a structure of its own, which is not that of another file."""
    return unit.path.endswith(".c") and unit.defined(struct, *_AGGREGATES) is not None


def _element_calls(home: TranslationUnit, name: bytes) -> Iterator[tuple[bytes, Use]]:
    """Calls of what an index takes out of an array of functions, in the file of the array, also by way of a variable; with the index."""
    element = name + rb"\s*\[([^\];]*)\]\s*"
    for match, call in _matches(home, re.compile(rb"(?:\(\s*\*\s*" + element + rb"\)|(?<![\w.>])" + element + rb")\s*\(")):
        if not hides(home, user_of(call), name):
            yield match[1] or match[2], call
    for match, call in _matches(home, re.compile(rb"(?<![\w.>])(\w+)\s*=\s*(?:READ_ONCE\()?" + element + rb"\)?\s*;")):
        if is_called(match[1], home.scan.code[call.offset : user_of(call).body[1]]) and not hides(home, user_of(call), name):
            yield match[2], call


def _calls_through_pointer(unit: TranslationUnit | None, table: bytes, member: bytes) -> Iterator[tuple[bytes, Use]]:
    """Calls of a member of what an index takes out of a table, by way of a local pointer to it; with the index.

    Between the two, nothing else is assigned to the pointer.
    """
    taken = re.compile(rb"(?<![\w.>])(\w+)\s*=\s*&\s*" + table + rb"\s*\[([^\];]*)\]\s*;")
    for match, taking in _matches(unit, taken):
        assert unit is not None
        pointer, user = match[1], user_of(taking)
        called = re.compile(rb"(?<![\w.>&])" + pointer + rb"\s*->\s*" + member + rb"\s*\(").search(
            unit.scan.code, match.end(), user.body[1]
        )
        again = re.compile(rb"(?<![\w.>])" + pointer + rb"\s*=(?!=)")
        if called and not again.search(unit.scan.code, match.end(), called.start()) and not hides(unit, user, table):
            yield match[2], Use(UseKind.CALL, called.start(), *unit.line(called.start()), user)


def _doubt_of_element(home: TranslationUnit | None, use: Use, index: bytes | None) -> str:
    """The doubt where a constant index takes an element out of an array, and it is not seen that this is the one in which a use stands."""
    constant = _CONSTANT.fullmatch(index or b"")
    if constant is None or (home is not None and constant[1] == _element_of(home, use)):
        return ""
    return f"whether element {constant[1].decode('ascii')} is the one"


def _element_of(unit: TranslationUnit, use: Use) -> bytes:
    """The index of the element in whose initialiser a use stands, as it is written, or else its number; empty where it is not known."""
    code, table = unit.scan.code, user_of(use)
    begin = code.find(b"{", table.offset, table.span[1]) + 1
    if not 0 < begin <= use.offset:
        return b""
    elements, depth = [begin], 0  # where each element begins
    for mark in re.finditer(rb"[{}()\[\],]", code[begin : use.offset]):
        depth += (mark[0] in b"{([") - (mark[0] in b"})]")
        if mark[0] == b"," and depth == 0:
            elements.append(begin + mark.end())
    number: int | None = -1
    written = b""
    for start in elements:
        designator = re.match(rb"\s*\[\s*(\w+)?", code[start : use.offset])
        written = (designator[1] or b"") if designator else b""
        number = int(written) if written.isdigit() else None if designator or number is None else number + 1
    return written or (b"" if number is None else str(number).encode())


def _calls(unit: TranslationUnit | None, form: re.Pattern[bytes]) -> Iterator[tuple[TranslationUnit, Use]]:
    """Where the code of a file's functions matches, as calls."""
    for _, call in _matches(unit, form):
        assert unit is not None
        yield unit, call


def _matches(unit: TranslationUnit | None, form: re.Pattern[bytes]) -> Iterator[tuple[re.Match[bytes], Use]]:
    for match in form.finditer(unit.scan.code) if unit is not None else ():
        user = unit.function_at(match.start()) if unit is not None else None
        if unit is not None and user is not None:
            yield match, Use(UseKind.CALL, match.start(), *unit.line(match.start()), user)
