"""Queued functions: work items, timers and tasklets, whose function runs when somebody queues what holds it. So runs the release function
of a kobject when somebody puts that (Documentation/core-api/kobject.rst)."""

from __future__ import annotations

import bisect
import itertools
import re
import sys
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c import word_places
from hook.c.brackets import LONGEST_ARGUMENTS, arguments, end_of_call
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use, UseKind, uses_in, uses_of
from hook.evidence.reach.calls.callbacks import CallbackCalls, is_itself
from hook.evidence.reach.calls.nodes import DeadEnd, Hop, NodeKind, PathNode, Trigger, function_node, hop_to_user, user_of
from hook.evidence.reach.calls.object_types import ObjectTypes
from hook.kernel import entry_points
from hook.kernel.name_users import NameUsers


class _Holding(msgspec.Struct, frozen=True):
    """How a member of an object comes to hold a function, and what runs that."""

    tying: frozenset[str]  # the calls that are given the member, and then the function
    running: re.Pattern[bytes]  # the call that is given the member
    verb: str


_WORK = _Holding(entry_points.TIED, entry_points.QUEUEING, "queues")
_KOBJECT = _Holding(frozenset(("kobject_init", "kobject_init_and_add")), lazy_re.compile(rb"\bkobject_(?:put|del)\s*\("), "puts")
_MAY_QUEUE = lazy_re.compile(r"queue|sched|submit|kick|arm|start|post|issue")  # in the name of a function; the others are not read
_MOST_PASSED = 50  # uses of the object behind the tie
_MOST_FILES = 64  # that name the structure of an object
_OPENING = lazy_re.compile(rb"\s*\(")
_BRACE = lazy_re.compile(rb"[{}]")
_WORD = lazy_re.compile(rb"\w+")
_MEMBER = lazy_re.compile(rb"&\s*(\w+)\s*(?:->|\.)\s*(\w+)")
# `&foo->bar.work` as an argument; of a delayed work item also the work item in it
_HELD = lazy_re.compile(rb"&\s*[\w.\[\]>-]*?(->|\.)(\w+)(?:\s*\.\s*work)?\s*(?=[,)])")


def tied(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use, holder: str) -> Hop:
    """The hop from a function to what holds it."""
    queued = PathNode(NodeKind.QUEUED, holder, unit.path)
    return Hop(queued, trigger, f"{node.name}() runs when {holder} is queued", unit.path, use.line, use.text)


def handed_on(node: PathNode, trigger: Trigger, unit: TranslationUnit, tie: Use, callback_calls: CallbackCalls) -> Iterator[Hop | DeadEnd]:
    """Where the function that ties a work item, as `INIT_WORK(&foo->work, function)`, queues it, or hands `foo` to one that queues it.

    Certain, whatever else other objects hold: it is the same object, since nothing sets the variable in between.
    """
    code, user = unit.scan.code, user_of(tie)
    opening = code.rfind(b"(", user.body[0], tie.offset)
    member = _MEMBER.fullmatch(arguments(code, opening)[0]) if opening >= 0 and arguments(code, opening) else None
    if member is None:
        return
    # what sets the variable, or ties the item once more; and the end of the block of the tie
    item = rb"&\s*%b\s*(?:->|\.)\s*%b\b" % member.groups()
    set_anew = re.compile(rb"(?<![\w.>])%b\s*=(?!=)|&\s*%b\s*[,)]|for_each\w*\s*\(\s*%b\b" % (member[1], member[1], member[1]))
    tied_anew = re.compile(rb"\s*" + item)
    ties = [opening for opening in _openings(code, entry_points.TIED, tie.offset, user.body[1]) if tied_anew.match(code, opening + 1)]
    changed = set_anew.search(code, tie.offset, user.body[1])
    last = min([_end_of_block(code, tie.offset, user.body[1]), *ties, *([changed.start()] if changed else ())])
    for queues in entry_points.QUEUEING.finditer(code, tie.offset, last):
        if re.search(item + rb"\s*(?:\.\s*work\s*)?[,)]", code[queues.end() : end_of_call(code, queues.end() - 1) + 1]):
            use = Use(UseKind.CALL, queues.start(), *unit.line(queues.start()), user)
            yield from hop_to_user(unit, use, trigger, f"{user.name}() ties {node.name}() to what it then queues")
            return
    for use in itertools.islice(uses_in(unit, user, member[1].decode("ascii"), tie.offset), _MOST_PASSED):
        if use.offset > last:
            return
        if use.kind is not UseKind.PASSED or not _MAY_QUEUE.search(use.callee):
            continue
        if is_itself(code, use.offset, member[1].decode("ascii")) and callback_calls.queues(
            use.callee, use.argument, member[2].decode("ascii"), unit
        ):
            yield from hop_to_user(unit, use, trigger, f"{user.name}() ties {node.name}() to what {use.callee}() then queues")
            return


def queued_elsewhere(
    node: PathNode, trigger: Trigger, unit: TranslationUnit, tie: Use, types: ObjectTypes, name_users: NameUsers
) -> Iterator[Hop | DeadEnd]:
    """Where another file queues what a call ties, as `INIT_WORK(&foo->work, function)`: the same member of an object of the same structure.

    The function around the call has to run besides. A doubt where other files tie another function to that member, or may do so.
    """
    for other, hop in _of_the_member(node.name, trigger, unit, tie, node.name, _WORK, types, name_users):
        if other is not unit:  # in the same file by the name of the member alone: `queueing`
            yield hop


def releasing(node: PathNode, trigger: Trigger, table: PathNode, types: ObjectTypes, name_users: NameUsers) -> Iterator[Hop | DeadEnd]:
    """Where a kobject is put whose `struct kobj_type`, a table, has a function as .release: the same member of the same structure."""
    for path in name_users.files(table.name, table.path, local=table.local):
        unit = name_users.units.get(path)
        for tie in uses_of(unit, table.name) if unit is not None else ():
            if unit is not None and tie.kind is UseKind.PASSED and tie.callee.startswith("kobject_init") and tie.argument == 1:
                for _, hop in _of_the_member(node.name, trigger, unit, tie, table.name, _KOBJECT, types, name_users):
                    yield hop


def _of_the_member(
    name: str,
    trigger: Trigger,
    unit: TranslationUnit,
    tie: Use,
    held_name: str,
    holding: _Holding,
    types: ObjectTypes,
    name_users: NameUsers,
) -> Iterator[tuple[TranslationUnit, Hop | DeadEnd]]:
    """The calls that run a function which a member of a structure holds, by `held_name`, since the call `tie`; each with its file."""
    opening = unit.scan.code.rfind(b"(", user_of(tie).body[0], tie.offset)
    held = _HELD.match(unit.scan.code, opening + 1) if opening >= 0 else None
    struct = types.struct_called_through(unit, user_of(tie), held.start(1)) if held else ""
    if held is None or not struct:
        return
    member, paths = held[2].decode("ascii"), name_users.holding(struct)
    if not 0 < len(paths) <= _MOST_FILES:
        return
    name_users.units.fetch(paths)
    running, held_names = list[tuple[TranslationUnit, Use]](), {held_name}
    for path in paths:
        other = name_users.units.get(path)
        if other is None:
            return
        held_names.update(_tied_to(other, member, struct, holding.tying, types))
        running += ((other, use) for use in _running(other, member, struct, holding.running, types))
    tying = msgspec.structs.replace(function_node(unit, user_of(tie)), struct=f"{struct}.{member}")
    doubt = "" if len(held_names) == 1 else f"{member} of a struct {struct} holds more than one thing"
    for other, use in running:
        if other is unit and use.user is tie.user:
            continue  # as it fails
        claim = f"{user_of(use).name}() {holding.verb} {member} of a struct {struct}; {tying.name}() ties {name}() to it"
        for hop in hop_to_user(other, use, trigger, claim, doubt):
            yield other, msgspec.structs.replace(hop, registered=tying) if isinstance(hop, Hop) else hop


def _tied_to(unit: TranslationUnit, member: str, struct: str, tying: frozenset[str], types: ObjectTypes) -> Iterator[str]:
    """What a file ties to a member of a structure, or of an object of which the structure is not known."""
    for opening in _openings(unit.scan.code, tying):
        given, user = arguments(unit.scan.code, opening), unit.function_at(opening)
        if user is None or member.encode() not in _WORD.findall(b" ".join(given[:1])):
            continue
        held = _HELD.match(unit.scan.code, opening + 1)
        if held is None or types.struct_called_through(unit, user, held.start(1)) in ("", struct):
            yield b" ".join(given[1:2]).decode("ascii", "replace").removeprefix("&")


def _running(unit: TranslationUnit, member: str, struct: str, calls: re.Pattern[bytes], types: ObjectTypes) -> Iterator[Use]:
    """Where a file gives a member of a structure to one of some calls."""
    code = unit.scan.code
    for match in calls.finditer(code):
        user, end = unit.function_at(match.start()), end_of_call(code, match.end() - 1)
        for held in _HELD.finditer(code, match.end(), max(match.end(), end + 1)) if user is not None else ():
            assert user is not None
            if held[2] == member.encode() and types.struct_called_through(unit, user, held.start(1)) == struct:
                yield Use(UseKind.CALL, match.start(), *unit.line(match.start()), user)


def _openings(code: bytes, names: frozenset[str], start: int = 0, end: int = sys.maxsize) -> list[int]:
    """Where the calls of some functions open their arguments: found by each name, in half the time of a pattern for all of them."""
    calls = (_OPENING.match(code, place + len(name), end) for name in names for place in word_places.places(code, name, start, end))
    return sorted(call.end() - 1 for call in calls if call)


def _end_of_block(code: bytes, begin: int, end: int) -> int:
    """Where the innermost block around a place of a function ends."""
    depth = 0
    for brace in _BRACE.finditer(code[begin:end]):
        depth += 1 if brace[0] == b"{" else -1
        if depth < 0:
            return begin + brace.start()
    return end


def holder_in_call(unit: TranslationUnit, use: Use) -> str:
    """What a call like `INIT_WORK(&foo->work, function)` ties the function to: `work`; empty where that cannot be read."""
    code = unit.scan.code
    opening = code.rfind(b"(", 0, use.offset)
    while opening >= 0 and not code[:opening].rstrip().endswith(use.callee.encode()):
        opening = code.rfind(b"(", 0, opening)
    given = arguments(code, opening) if opening >= 0 else []
    words = _WORD.findall(given[0]) if given else []
    return words[-1].decode("ascii", "replace") if words else ""


def queueing(node: PathNode, trigger: Trigger, unit: TranslationUnit | None) -> Iterator[Hop | DeadEnd]:
    """Where a file queues a work item or timer of its own, by the name of what holds it."""
    if unit is None:
        return
    code, holder = unit.scan.code, node.name.encode()
    tying = [arguments(code, opening) for opening in _openings(code, entry_points.TIED)]
    functions = {tuple(given[1:2]) for given in tying if holder in _WORD.findall(b" ".join(given[:1]))}
    doubt = "" if len(functions) < 2 else f"{node.name} holds more than one thing in this file"
    places = list(word_places.places(code, node.name))
    for user in unit.functions:
        following = bisect.bisect_left(places, user.span[0])
        if following == len(places) or places[following] > user.span[1] + LONGEST_ARGUMENTS:
            continue  # it does not name what holds the work item
        for match in entry_points.QUEUEING.finditer(code, *user.span):
            end = end_of_call(code, match.end() - 1)
            if end < 0 or unit.function_at(match.start()) is not user:
                continue
            if _names(code[match.end() : end], holder, code[user.body[0] : match.start()]):
                use = Use(UseKind.CALL, match.start(), *unit.line(match.start()), user)
                yield from hop_to_user(unit, use, trigger, f"{user.name}() queues {node.name}", doubt)


def _names(call_arguments: bytes, holder: bytes, code_before: bytes) -> bool:
    """Whether the arguments of a call name what holds a work item or timer, or a variable that points to it."""
    words = _WORD.findall(call_arguments)
    variables = [word for word in dict.fromkeys(words) if not word[:1].isdigit()]
    pointed = rb"\s*=\s*&[\w>.-]*\b" + holder + rb"\s*;"
    return holder in words or any(re.search(rb"\b" + variable + pointed, code_before) for variable in variables)
