"""Table uses: the hops from a table of callbacks to what holds or registers it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c.brackets import end_of_call
from hook.c.definitions import Definition, DefinitionKind
from hook.c.keywords import HANDS_NOTHING_ON
from hook.c.translation_unit import Statement, TranslationUnit
from hook.c.uses import Use, UseKind, uses_in
from hook.evidence.reach.calls.nodes import DeadEnd, Hop, NodeKind, PathNode, Trigger, hop_to_user, macro_node, table_node, user_of
from hook.evidence.reach.calls.object_types import hides
from hook.kernel import callback_tables, entry_points

_OF_THE_VERIFIER = "bpf_func_proto"  # who calls a function that returns one uses it
_NEAR = 160  # bytes before a call, for what its result is given to
_MOST_USES = 50  # of a variable
_HANDED_ON = (UseKind.PASSED, UseKind.SET_MEMBER, UseKind.RETURNED, UseKind.LOCAL)
_RETURNED, _SET = lazy_re.compile(rb"\breturn\s*\Z"), lazy_re.compile(rb"(?:->|\.)\s*\w+(?:\[[^\]]*\])?\s*=\s*\Z")
_VARIABLE = lazy_re.compile(rb"(?<![\w.>])(\w+)\s*=\s*\Z")
_PASSED, _MEMBER = lazy_re.compile(rb"(\w+)\s*\((?:[^();]*,)?\s*\Z"), lazy_re.compile(rb"\s*(?:->|\.)")
_TESTS = ("IS_ERR", "IS_ERR_OR_NULL", "PTR_ERR", "WARN_ON", "WARN_ON_ONCE", "BUG_ON")


def of_table(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
    """What a use of a table leads to."""
    name = node.name
    if use.kind is UseKind.TABLE:
        yield from _in_another_table(node, trigger, unit, use)
    elif use.kind is UseKind.STATEMENT:
        yield from _registered_by_macro(name, unit, use)
    elif use.is_in_macro:
        macro = macro_node(unit, user_of(use))
        yield Hop(macro, trigger, f"macro {macro.name} stands for {name}", unit.path, use.line, use.text)
    elif use.user is None or use.kind is UseKind.COMPARED:
        return
    elif use.kind is UseKind.PASSED:
        yield from _given(node, trigger, unit, use)
    elif use.kind in (UseKind.ASSIGNED, UseKind.SET_MEMBER):
        kept = use.kind is UseKind.SET_MEMBER or _hands_on(unit, use.user, use.member) or _is_of_file(unit, use.user, use.member)
        doubt = "" if kept else f"what {use.user.name}() does with {use.member}"
        yield from hop_to_user(unit, use, trigger, f"{use.user.name}() sets {use.member} to {name}", doubt)
    elif use.kind is UseKind.LOCAL:
        yield from hop_to_user(unit, use, trigger, f"{use.user.name}() sets {member_of(use)} to {name}")
    elif use.kind is UseKind.RETURNED:
        doubt = "" if _gives_out(node, use) else f"who uses the table that {use.user.name}() returns"
        for hop in hop_to_user(unit, use, trigger, f"{use.user.name}() returns {name}", doubt):
            yield _giving(hop) if node.struct != _OF_THE_VERIFIER else hop
    elif not re.match(r"[;{}\s]*" + re.escape(name) + r"\s*(?:\.|->)", use.text):
        doubt = f"whether {use.user.name}() registers it"
        yield from hop_to_user(unit, use, trigger, f"{use.user.name}() uses {name}", doubt)


def of_returned(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
    """What a call of a function that returns a table leads to: its user, if that does something with the table."""
    code, user = unit.scan.code, user_of(use)
    end = end_of_call(code, code.find(b"(", use.offset))
    before = code[max(user.body[0], use.offset - _NEAR) : use.offset]
    claim = f"{user.name}() calls {node.name}()"
    if _RETURNED.search(before) and code[end + 1 : end + 1 + _NEAR].lstrip().startswith(b";"):
        yield from map(_giving, hop_to_user(unit, use, trigger, claim))
        return
    if variable := _VARIABLE.search(before):
        later = list(itertools.islice(uses_in(unit, user, variable[1].decode("ascii"), end), _MOST_USES))
        is_used = any(
            (use.kind in _HANDED_ON and use.callee not in _TESTS)
            or _MEMBER.match(code, use.offset + len(variable[1]))
            for use in later
        )  # fmt: skip
    else:
        passed = _PASSED.search(before)
        is_used = bool(
            _SET.search(before)
            or (passed and passed[1] not in HANDS_NOTHING_ON and passed[1].decode("ascii") not in _TESTS)
            or _MEMBER.match(code, end + 1)
        )
    doubt = "" if end >= 0 and is_used else f"what {user.name}() does with what {node.name}() returns"
    yield from hop_to_user(unit, use, trigger, claim, doubt)


def _giving(hop: Hop | DeadEnd) -> Hop | DeadEnd:
    """The hop to a function that returns a table: it is of use only where what it returns is."""
    if isinstance(hop, DeadEnd) or hop.to is None:
        return hop
    return msgspec.structs.replace(hop, to=msgspec.structs.replace(hop.to, kind=NodeKind.GIVING))


def of_static_call(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
    if use.kind is UseKind.PASSED and use.user is not None and use.callee in ("static_call", "static_call_cond", "static_call_mod"):
        doubt = f"whether the static call {node.name} still calls it"
        yield from hop_to_user(unit, use, trigger, f"{use.user.name}() makes the static call {node.name}", doubt)


def of_kfunc_set(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
    if use.kind is UseKind.TABLE and use.user is not None and use.struct == "btf_kfunc_id_set":
        table = table_node(unit, use.user, use.struct)
        yield Hop(table, trigger, f"{node.name} is .set of {table.name}", unit.path, use.line, use.text)


def member_of(use: Use) -> str:
    """The member that a use sets, as a person reads it."""
    return f"{f'.{use.member}' if use.member else 'a member'} of a struct {use.struct}"


def statement_of(unit: TranslationUnit, use: Use) -> Statement:
    """The macro outside of functions around a use."""
    return next(statement for statement in unit.statements if statement.opening < use.offset < statement.end)


def is_parameter_file(statement: Statement) -> bool:
    """Whether a module parameter is a file of sysfs: it has permissions."""
    return re.fullmatch(r"0*", statement.arguments[-1]) is None


def boot_doubt(path: str) -> str:
    return "whether its boot code needs hardware first" if entry_points.depends_on_hardware(path) else ""


def _in_another_table(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop]:
    table = table_node(unit, user_of(use), use.struct)
    if table.name == node.name or entry_points.takes_away(use.callee):
        return  # `.count = ARRAY_SIZE(table)` holds none
    claim = f"{node.name} is {f'.{use.member} of ' if use.member else 'in '}{table.name}"
    doubt = f"whether {table.name} has a device" if use.struct.endswith("_driver") else ""
    if use.struct == "pid_entry":
        claim, doubt = f"{node.name} is in {table.name}, files below /proc", ""
    elif node.struct == "file_system_type":
        doubt = f"whether {table.name} belongs to a registered file system"
    yield Hop(table, trigger, claim, unit.path, use.line, use.text, doubt)


def _registered_by_macro(name: str, unit: TranslationUnit, use: Use) -> Iterator[Hop]:
    at = (unit.path, use.line, use.text)
    if entry_points.PARAMETERS.match(use.callee):
        if is_parameter_file(statement_of(unit, use)):
            yield Hop(None, Trigger.ANYTHING, f"{use.callee}() makes a file of {name}", *at)
    elif entry_points.REGISTERED_BY.match(use.callee):
        yield Hop(None, Trigger.ANYTHING, f"{use.callee}() registers {name} at boot", *at, doubt=boot_doubt(unit.path))
    elif use.callee.startswith(("BPF_MAP_TYPE", "BPF_PROG_TYPE", "BPF_LINK_TYPE")):
        yield Hop(None, Trigger.ANYTHING, f"{use.callee}() registers {name}", *at)


def _given(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
    if entry_points.takes_away(use.callee):
        return
    doubt = ""
    if node.struct == "notifier_block":
        if entry_points.NOTIFIERS.match(use.callee):
            trigger = Trigger.ANYTHING
        else:
            doubt = f"whether a program raises the event of {use.callee}()"
    claim = f"{user_of(use).name}() passes {node.name} to {use.callee}()"
    yield from hop_to_user(unit, use, trigger, claim, doubt, options=entry_points.options_of_call(use.callee))


def _gives_out(node: PathNode, use: Use) -> bool:
    """Whether a function that returns a table, or what an index takes out of it, gives it to its caller for good.

    A table that the core registers is only of use where it is registered; who has another one calls its members (member_calls).
    """
    if node.struct == _OF_THE_VERIFIER:
        return True
    is_whole = re.search(rf"\breturn\s+&?{re.escape(node.name)}\s*(?:\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\])?\s*;", use.text) is not None
    return is_whole and bool(node.struct) and node.struct not in callback_tables.TABLES


def _is_of_file(unit: TranslationUnit, user: Definition, variable: str) -> bool:
    """Whether what a function calls by a name is a variable of its file."""
    is_defined = any(one.kind is DefinitionKind.VARIABLE for one in unit.by_name.get(variable, ()))
    return is_defined and not hides(unit, user, variable.encode())


def _hands_on(unit: TranslationUnit, user: Definition, variable: str) -> bool:
    """Whether a function hands a variable of its own to another one, or sets something to it."""
    return re.search(rb"[(,=]\s*" + variable.encode() + rb"\s*[,);]", unit.scan.code[user.body[0] : user.body[1]]) is not None
