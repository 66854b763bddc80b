"""Function uses: the hops from a function, or a macro, to what calls it, holds it in a table, or hands it on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

import msgspec

from hook import lazy_re
from hook.c.blanking import without_comments
from hook.c.definitions import Definition, DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import Use, UseKind, uses_of
from hook.evidence.reach.calls import queued
from hook.evidence.reach.calls.callbacks import CallbackCalls, is_called
from hook.evidence.reach.calls.member_calls import MemberCalls
from hook.evidence.reach.calls.nodes import (
    DeadEnd,
    Hop,
    NodeKind,
    PathNode,
    Trigger,
    hop_to_user,
    macro_node,
    table_node,
    user_of,
)
from hook.evidence.reach.calls.object_types import ObjectTypes
from hook.evidence.reach.calls.table_uses import boot_doubt, is_parameter_file, member_of, of_returned, statement_of
from hook.kernel import callback_tables, entry_points
from hook.kernel.kbuild.conditionals import Conditional
from hook.kernel.kconfig.expressions import Conjunction, negated, operands
from hook.kernel.name_users import NameUsers

_STATIC_CALLS = ("static_call", "static_call_cond", "static_call_mod", "indirect_call_wrapper")
_TIMER = lazy_re.compile(rb"(\w+)(?:\.|->)function\s*=")
_BLANK = lazy_re.compile(rb"\A\([^()]*\)\s*|\\\n|\"(?:[^\"\\\n]|\\.)*\"|/\*.*?\*/|\s+", re.DOTALL)  # parameters, strings and comments
_SETS = lazy_re.compile(rb"(?:\A|[{,])\s*\.\s*(\w+)\s*=\s*&?\s*\Z")
_ENDS = lazy_re.compile(rb"\w+(?:\s|\\\n)*(?:[,}]|\Z)")
_MARKS = lazy_re.compile(rb"[^{}()\[\]]+")  # what is no bracket
_NEAR = 120  # bytes before a name, for what it is assigned to


class FunctionUses:
    """The uses of functions in one tree."""

    def __init__(self, name_users: NameUsers) -> None:
        self._name_users = name_users
        self._callback_calls = CallbackCalls(name_users)
        self._types = ObjectTypes(name_users)
        self._member_calls = MemberCalls(name_users, self._types)

    def of(self, node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
        """What a use of a function or macro leads to."""
        if use.is_in_macro and (initialising := _in_initialisers(unit, use)):
            for of_macro in initialising:
                yield from self._in_table(node, trigger, unit, of_macro)
        elif use.is_in_macro:
            macro = macro_node(unit, user_of(use))
            is_other_name = node.kind is not NodeKind.MACRO and self._is_other_name(unit, user_of(use), node.name)
            is_called = use.kind is UseKind.MACRO_CALL or node.kind is NodeKind.MACRO or is_other_name
            doubt = "" if is_called else f"whether macro {macro.name} calls {node.name}, which it only names"
            # `#define foo bar` is another name of a function: what is done with it counts
            to = msgspec.structs.replace(macro, kind=node.kind) if is_other_name else macro
            yield Hop(to, trigger, f"macro {macro.name} stands for {node.name}", unit.path, use.line, use.text, doubt)
        elif use.kind is UseKind.STATEMENT:
            yield from _in_statement(node, trigger, unit, use)
        elif use.kind is UseKind.TABLE:
            yield from self._in_table(node, trigger, unit, use)
        elif use.user is None:
            return
        elif node.kind is NodeKind.MACRO:
            yield from hop_to_user(unit, use, trigger, f"{use.user.name}() uses {node.name}")
        elif use.kind is UseKind.CALL and node.kind is NodeKind.GIVING:
            yield from of_returned(node, trigger, unit, use)
        elif use.kind is UseKind.CALL:
            yield from hop_to_user(unit, use, trigger, f"{use.user.name}() calls {node.name}()")
        elif use.kind is UseKind.PASSED:
            yield from self._given(node, trigger, unit, use)
        elif use.kind is UseKind.LOCAL and (use.struct in callback_tables.CALLBACKS or use.struct in callback_tables.TABLES):
            yield from _in_local_table(node, trigger, unit, use)
        elif use.kind in (UseKind.ASSIGNED, UseKind.SET_MEMBER, UseKind.LOCAL) and use.member:
            yield from self._assigned(node, trigger, unit, use)
        elif use.kind is UseKind.RETURNED:
            doubt = f"who calls the function that {use.user.name}() returns"
            yield from hop_to_user(unit, use, trigger, f"{use.user.name}() returns {node.name}", doubt)
        elif use.kind is not UseKind.COMPARED:
            doubt = f"what {use.user.name}() does with it"
            yield from hop_to_user(unit, use, trigger, f"{use.user.name}() uses {node.name}", doubt)

    def _is_other_name(self, unit: TranslationUnit, macro: Definition, name: str) -> bool:
        """Whether a macro stands for a name wherever it is used: no later line undefines it, and no other one defines it besides."""
        undefines = re.compile(rb"(?m)^[ \t]*#[ \t]*undef\b.*\b" + macro.name.encode() + rb"\b")
        if _body(unit, macro) != name.encode() or undefines.search(unit.data, macro.span[1]):
            return False
        lines = [one.line for one in unit.by_name.get(macro.name, ()) if one.kind is macro.kind and one.offset != macro.offset]
        conditionals = self._name_users.conditionals(unit.path)
        return all(_exclude(conditionals.at(macro.line), conditionals.at(line)) for line in lines)

    def _given(self, node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
        """A function that is handed to another one."""
        called, user = use.callee, user_of(use).name
        claim, doubt = f"{user}() passes {node.name}() to {called}()", ""
        options: tuple[str, ...] = ()
        if entry_points.takes_away(called) and not self._callback_calls.calls(called, use.argument, unit):
            return
        if called in entry_points.TIED:
            if holder := queued.holder_in_call(unit, use):
                yield queued.tied(node, trigger, unit, use, holder)
            yield from queued.handed_on(node, trigger, unit, use, self._callback_calls)
            yield from queued.queued_elsewhere(node, trigger, unit, use, self._types, self._name_users)
            return
        if called == "static_call_update":
            return
        if called == "open_softirq":
            trigger, claim = Trigger.ANYTHING, f"softirqs, of every machine: {claim}"
            doubt = "" if entry_points.SOFTIRQS.search(use.text) else "who raises that softirq"
        elif called in entry_points.REGISTERING:
            trigger, claim, options = Trigger.ANYTHING, f"{entry_points.REGISTERING[called]}: {claim}", entry_points.options_of_call(called)
        elif trigger is Trigger.USER_SPACE and node.name in entry_points.AT_BOOT_FUNCTIONS.get(node.path, ()):
            yield DeadEnd(f"{node.name} runs at boot only", unit.path, use.line, use.text)  # the thread that goes on with the boot
            return
        elif called in entry_points.THREADS:
            trigger, claim = Trigger.ANYTHING, f"{user}() starts a thread of {node.name}() by {called}()"
        elif called in entry_points.LATER:
            claim = f"{user}() has {node.name}() run by {called}()"
        elif called in _STATIC_CALLS or called.startswith("INDIRECT_CALL"):
            claim = f"{user}() calls {node.name}() by {called}()"
        elif called in entry_points.CALLING or self._callback_calls.calls(called, use.argument, unit):
            claim = f"{claim}, which calls it"
        else:
            stored = self._callback_calls.stores(called, use.argument, unit)
            if stored is not None and stored[1].member in entry_points.MEMBERS:
                claim = f"{entry_points.MEMBERS[stored[1].member]}: {claim}, which sets ->{stored[1].member} to it"
            elif stored is not None and (calls := list(self._member_calls.of_assigned(node, trigger, *stored, (unit, use)))):
                yield from calls
                return
            else:
                doubt = f"whether {called}() calls its argument"
        yield from hop_to_user(unit, use, trigger, claim, doubt, options=options)

    def _in_table(self, node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
        """A function that stands in a table."""
        at = (unit.path, use.line, use.text)
        table = table_node(unit, user_of(use), use.struct)
        if use.callee in entry_points.TIED:  # DEFINE_TIMER(tick, function)
            yield queued.tied(node, trigger, unit, use, table.name)
            return
        member = f"{f'.{use.member} of ' if use.member else 'in '}{use.struct and 'struct ' + use.struct + ' '}{table.name}"
        claim = f"{node.name}() is {member}"
        entry = callback_tables.entry_of(use.struct, use.member)
        if entry is not None:
            claim = f"{entry.kind}: {claim}"
            if entry.is_indexed_by_core:
                yield Hop(None, Trigger.USER_SPACE, claim, *at, options=entry.options)
            else:
                yield Hop(table, trigger if entry.is_called_at_once else Trigger.ANYTHING, claim, *at, options=entry.options)
        elif use.struct == "lsm_info" and use.member == "init":
            if trigger is Trigger.ANYTHING:
                yield Hop(None, trigger, f"{node.name}() runs at boot, as a security module that CONFIG_LSM or lsm= names", *at)
        elif use.struct == "notifier_block":
            yield Hop(table, trigger, claim, *at)
        else:
            is_release = (use.struct, use.member) == ("kobj_type", "release")
            calls = list(queued.releasing(node, trigger, table, self._types, self._name_users)) if is_release else []
            calls = calls or list(self._member_calls.of(node, trigger, table, use, member))
            yield from calls or (Hop(table, trigger, claim, *at, doubt=f"who calls {member}"),)

    def _assigned(self, node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
        """A function that a member or variable is set to."""
        user = user_of(use)
        claim = f"{user.name}() sets {use.member} to {node.name}()"
        if use.member in entry_points.MEMBERS:
            claim = f"{entry_points.MEMBERS[use.member]}: {user.name}() sets ->{use.member} to {node.name}()"
            yield from hop_to_user(unit, use, trigger, claim)
        elif _calls_variable(unit, user, use.member):
            yield from hop_to_user(unit, use, trigger, f"{claim}, and calls that")
        elif use.member == "function" and (timer := _TIMER.search(unit.scan.code, max(use.offset - _NEAR, user.body[0]), use.offset)):
            yield Hop(PathNode(NodeKind.QUEUED, timer[1].decode(), unit.path), trigger, claim, unit.path, use.line, use.text)
        elif use.kind is UseKind.SET_MEMBER and callback_tables.entry_of(
            struct := self._types.struct_assigned_to(unit, user, use), use.member
        ):
            yield from _in_local_table(node, trigger, unit, msgspec.structs.replace(use, struct=struct))
        else:
            is_member = use.kind is not UseKind.ASSIGNED
            calls = list(self._member_calls.of_assigned(node, trigger, unit, use)) if is_member else []
            yield from calls or hop_to_user(unit, use, trigger, claim, f"who calls {use.member}")


def _in_initialisers(unit: TranslationUnit, use: Use) -> list[Use]:
    """The tables of a file in which a name stands by a macro of the file: `#define ALG(name) { .init = foo_init, … }`.

    Only where the macro is an element of an array, a structure, or fields of one, and the file defines it once: then the member is one
    of the table's structure.
    """
    macro = user_of(use)
    defined = [one for one in unit.by_name.get(macro.name, ()) if one.kind is DefinitionKind.MACRO]
    body = _BLANK.sub(b" ", unit.data[macro.offset + len(macro.name) : use.offset]).lstrip()
    if use.kind is not UseKind.MACRO or len(defined) != 1 or not unit.path.endswith(".c") or (member := _SETS.search(body)) is None:
        return []
    if not _ENDS.match(unit.data, use.offset, macro.span[1]):
        return []
    depths = list(itertools.accumulate((mark in b"{([") - (mark in b"})]") for mark in _MARKS.sub(b"", body[: member.start(1)])))
    is_braced = body.startswith(b"{")
    if depths[-1:] not in ([], [0], [1]) or (depths[-1:] == [1]) != is_braced or (is_braced and 0 in depths):
        return []
    return [
        msgspec.structs.replace(one, member=member[1].decode("ascii"))
        for one in uses_of(unit, macro.name)
        if one.kind is UseKind.TABLE and one.struct and not one.member and not one.callee and _depth(unit, one) == (not is_braced)
    ]


def _depth(unit: TranslationUnit, use: Use) -> int:
    """The braces around a use in a structure, or in the array that has it as an element."""
    table, code = user_of(use), unit.scan.code
    is_array = code[table.offset + len(table.name) : use.offset].lstrip().startswith(b"[")
    before = code[table.offset : use.offset]
    return before.count(b"{") - before.count(b"}") - is_array


def _exclude(first: Iterable[Conditional], second: Iterable[Conditional]) -> bool:
    """Whether two lines, by the conditionals around each, are in branches of which only one is compiled."""
    one, other = (
        {
            part
            for around in conditionals
            for part in (operands(around.condition) if type(around.condition) is Conjunction else (around.condition,))
        }
        for conditionals in (first, second)
    )
    return any(negated(part) in other for part in one) or any(negated(part) in one for part in other)


def _body(unit: TranslationUnit, macro: Definition) -> bytes:
    """What a macro stands for."""
    return without_comments(unit.data[macro.offset + len(macro.name) : macro.span[1]]).strip()


def _in_local_table(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
    """A function that stands in a structure which a running function fills in."""
    claim = f"{user_of(use).name}() sets {member_of(use)} to {node.name}()"
    if use.struct in callback_tables.CALLBACKS:
        yield from hop_to_user(unit, use, trigger, claim)
        return
    table = callback_tables.TABLES[use.struct]
    trigger = trigger if table.is_called_at_once else Trigger.ANYTHING
    yield from hop_to_user(unit, use, trigger, f"{table.kind}: {claim}", options=table.options)


def _in_statement(node: PathNode, trigger: Trigger, unit: TranslationUnit, use: Use) -> Iterator[Hop | DeadEnd]:
    """A macro outside of functions that is given a function."""
    at = (unit.path, use.line, use.text)
    name, macro = node.name, use.callee
    statement = statement_of(unit, use)
    if entry_points.AT_BOOT.match(macro):
        if trigger is Trigger.ANYTHING:
            yield Hop(None, trigger, f"{name}() runs at boot", *at, doubt=boot_doubt(unit.path))
        else:
            yield DeadEnd(f"{name} runs at boot only", *at)
    elif entry_points.AT_EXIT.match(macro):
        yield DeadEnd(f"{name} runs at module exit", *at)
    elif entry_points.BOOT_OPTIONS.match(macro):
        yield DeadEnd(f"{name} reads a boot option", *at)
    elif entry_points.PARAMETERS.match(macro) and is_parameter_file(statement):
        yield Hop(None, Trigger.USER_SPACE, f"module parameters: {name}() is called when one is read or written", *at)
    elif macro in callback_tables.MAKING:
        form, struct = callback_tables.MAKING[macro]
        table = PathNode(NodeKind.TABLE, form.format(*statement.arguments), unit.path, True, struct)
        claim = f"{callback_tables.TABLES[struct].kind}: {name}() is a member of {table.name}, a struct {struct}"
        yield Hop(table, Trigger.ANYTHING, claim, *at)
    elif macro == "DEFINE_STATIC_CALL":
        key = PathNode(NodeKind.STATIC_CALL, statement.arguments[0], unit.path, False)
        yield Hop(key, trigger, f"{name}() is the static call {key.name}", *at)
    elif macro in ("BTF_ID_FLAGS", "BTF_ID"):
        starts = [s for s in unit.statements if s.offset < use.offset and re.match(r"BTF_(?:KFUNCS|SET8)_START\Z", s.macro)]
        if starts:
            kfuncs = PathNode(NodeKind.KFUNC_SET, starts[-1].arguments[0], unit.path)
            claim = f"BPF programs: {name}() is a kfunc of the set {kfuncs.name}"
            yield Hop(kfuncs, Trigger.ANYTHING, claim, *at, options=("BPF_SYSCALL",))
    elif macro in entry_points.TIED:
        yield queued.tied(node, trigger, unit, use, statement.arguments[0])


def _calls_variable(unit: TranslationUnit, user: Definition, variable: str) -> bool:
    """Whether a function calls a variable of its own."""
    return is_called(variable.encode(), unit.scan.code[user.body[0] : user.body[1]])
