"""Queued functions: work items, timers and tasklets, whose function runs when somebody queues what holds it."""

from __future__ import annotations

import bisect
import itertools
import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.brackets import LONGEST_ARGUMENTS, arguments, end_of_call
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use, UseKind, uses_in
from hook.evidence.reach.calls.callbacks import CallbackCalls, is_itself
from hook.evidence.reach.calls.nodes import DeadEnd, Hop, NodeKind, PathNode, Trigger, hop_to_user, user_of
from hook.kernel import entry_points

_TYING = lazy_re.compile(rb"\b(?:" + "|".join(sorted(entry_points.TIED)).encode() + rb")\s*\(")

_MAY_QUEUE = lazy_re.compile(r"queue|sched|submit|kick|arm|start|post|issue")  # in the name of a function; the others are not read
_MOST_PASSED = 50  # uses of the object behind the tie
_MEMBER = lazy_re.compile(rb"&\s*(\w+)\s*->\s*(\w+)")


def tied(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use, holder: str) -> Hop:
    """The hop from a function to what holds it."""
    queued = PathNode(NodeKind.QUEUED, holder, unit.path)
    return Hop(queued, trigger, f"{node.name}() runs when {holder} is queued", unit.path, use.line, use.text)


def handed_on(node: PathNode, trigger: Trigger, unit: TranslationUnit, tie: Use, callback_calls: CallbackCalls) -> Iterator[Hop | DeadEnd]:
    """Where the function that ties a work item, as `INIT_WORK(&foo->work, function)`, hands `foo` to one that queues it.

    Certain, whatever else other objects hold: it is the same object, since nothing sets the variable in between.
    """
    code, user = unit.scan.code, user_of(tie)
    opening = code.rfind(b"(", user.body[0], tie.offset)
    member = _MEMBER.fullmatch(arguments(code, opening)[0]) if opening >= 0 and arguments(code, opening) else None
    if member is None:
        return
    # what sets the variable, or ties the item once more; and the end of the block of the tie
    other = re.compile(
        rb"(?<![\w.>])%b\s*=(?!=)|&\s*%b\s*(?:->\s*%b\b|[,)])|for_each\w*\s*\(\s*%b\b" % (member[1], member[1], member[2], member[1])
    )
    changed = other.search(code, tie.offset, user.body[1])
    last = min(changed.start() if changed else user.body[1], _end_of_block(code, tie.offset, user.body[1]))
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


def _end_of_block(code: bytes, begin: int, end: int) -> int:
    """Where the innermost block around a place of a function ends."""
    depth = 0
    for brace in re.finditer(rb"[{}]", code[begin:end]):
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
    words = re.findall(rb"\w+", given[0]) if given else []
    return words[-1].decode("ascii", "replace") if words else ""


def queueing(node: PathNode, trigger: Trigger, unit: TranslationUnit | None) -> Iterator[Hop | DeadEnd]:
    """Where a file queues a work item or timer of its own, by the name of what holds it."""
    if unit is None:
        return
    code, holder = unit.scan.code, node.name.encode()
    tying = [arguments(code, match.end() - 1) for match in _TYING.finditer(code)]
    functions = {tuple(given[1:2]) for given in tying if holder in re.findall(rb"\w+", b" ".join(given[:1]))}
    doubt = "" if len(functions) < 2 else f"{node.name} holds more than one thing in this file"
    places = [match.start() for match in re.finditer(re.escape(holder), code)]
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
    words = re.findall(rb"\w+", call_arguments)
    variables = [word for word in dict.fromkeys(words) if not word[:1].isdigit()]
    pointed = rb"\s*=\s*&[\w>.-]*\b" + holder + rb"\s*;"
    return holder in words or any(re.search(rb"\b" + variable + pointed, code_before) for variable in variables)
