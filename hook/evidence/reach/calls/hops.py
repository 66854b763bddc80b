"""Hops: one step of a way in, backwards: from a function, macro or table to what uses it, and how.

A hop is proved where the text proves it, else it says what does not; which definition a name binds to, and whether the files are built, is
looked at when a whole way was found (hook.evidence.reach.calls.hop_conditions).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from hook.c.brackets import arguments, end_of_call
from hook.c.definitions import Definition, DefinitionKind
from hook.evidence.reach.calls import scope
from hook.evidence.reach.calls.callbacks import Passing
from hook.evidence.reach.calls.entry_functions import entered
from hook.evidence.reach.calls.nodes import Dead, Hop, Mode, Node, NodeKind, function_node, table_node
from hook.kernel import callback_tables, entry_points
from hook.kernel.name_users import Holders
from hook.kernel.units import Kind, Statement, Unit, Use

_MOST_MEMBER_FILES = 64  # that hold the name of a member, for its calls to be looked for
_TYING = re.compile(rb"\b(?:" + "|".join(entry_points.TIED).encode() + rb")\s*\(")
_TIMER = re.compile(rb"(\w+)(?:\.|->)function\s*=")
_AGGREGATES = (DefinitionKind.STRUCT, DefinitionKind.UNION, DefinitionKind.TYPEDEF)


class Hops:
    """The hops of one tree, for one target."""

    def __init__(self, holders: Holders) -> None:
        self.holders, self.units = holders, holders.units
        self._passing = Passing(holders)
        self._only: dict[tuple[str, str], bool] = {}

    def above(self, node: Node, mode: Mode) -> Iterator[Hop | Dead]:
        """What leads to a node."""
        if node.kind is NodeKind.FUNCTION:
            yield from entered(node, mode, self.holders)
        if node.kind is NodeKind.QUEUED:
            yield from self._queued(node, mode)
            return
        paths = self.holders.files(node.name, node.path, local=node.local)
        self.units.fetch(paths)
        for path in paths:
            unit = self.units.get(path)
            if unit is None:
                self.holders.cut = self.holders.cut or self.units.is_full
                continue
            if path != node.path and unit.only_declares(node.name):
                continue
            if path != node.path and path.endswith(".c") and scope.defines(unit, node.name):
                continue  # a name of its own; in a header it may be what stands in the place of the function where that is not built
            for use in unit.uses(node.name):
                if use.user is not None and (use.user.name == node.name or scope.shadows(unit, use, node.name)):
                    continue
                if node.kind is NodeKind.TABLE:
                    yield from self._of_table(node, mode, unit, use)
                elif node.kind is NodeKind.STATIC_CALL:
                    yield from self._of_static_call(node, mode, unit, use)
                elif node.kind is NodeKind.SET:
                    yield from self._of_set(node, mode, unit, use)
                else:
                    yield from self._of_function(node, mode, unit, use)
            if path == node.path:
                yield from self._pasted(node, mode, unit)

    # what uses a function or macro

    def _of_function(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        at = (unit.path, use.line, use.text)
        name = node.name
        if use.kind is Kind.MACRO:
            assert use.user is not None
            is_called = use.given != "named" or node.kind is NodeKind.MACRO
            doubt = "" if is_called else f"macro {use.user.name} names {name} and does not call it"
            macro = Node(NodeKind.MACRO, use.user.name, unit.path, unit.path.endswith(".c"))
            yield Hop(macro, mode, f"macro {use.user.name} stands for {name}", *at, doubt=doubt)
        elif use.kind is Kind.STATEMENT:
            yield from self._stated(node, mode, unit, use)
        elif use.kind is Kind.TABLE:
            yield from self._entry_of(node, mode, unit, use)
        elif use.user is None:
            return
        elif use.kind is Kind.CALL or node.kind is NodeKind.MACRO:
            verb = "uses" if node.kind is NodeKind.MACRO else "calls"
            yield from self._user(unit, use, mode, f"{use.user.name}() {verb} {name}{'' if verb == 'uses' else '()'}", "")
        elif use.kind is Kind.GIVEN:
            yield from self._given(node, mode, unit, use)
        elif use.kind is Kind.LOCAL and use.struct in callback_tables.CALLBACKS:
            yield from self._user(unit, use, mode, f"{use.user.name}() sets {_part(use)} to {name}()", "")
        elif use.kind is Kind.LOCAL and use.struct in callback_tables.TABLES:
            how = callback_tables.TABLES[use.struct]
            claim = f"{how.kind}: {use.user.name}() sets {_part(use)} to {name}()"
            yield from self._user(unit, use, mode if how.is_called_at_once else Mode.RUN, claim, "", needs=how.options)
        elif use.kind in (Kind.ASSIGNED, Kind.LOCAL) and use.member:
            if use.member in entry_points.MEMBERS:
                claim = f"{entry_points.MEMBERS[use.member]}: {use.user.name}() sets ->{use.member} to {name}()"
                yield from self._user(unit, use, mode, claim, "")
                return
            claim = f"{use.user.name}() sets {use.member} to {name}()"
            if scope.calls_variable(unit, use.user, use.member):
                yield from self._user(unit, use, mode, f"{claim}, and calls that", "")
                return
            doubt = f"nothing shows who calls {use.member}"
            timer = _TIMER.search(unit.scan.code, max(use.offset - 120, use.user.body[0]), use.offset)
            if use.member == "function" and timer:
                queued = Node(NodeKind.QUEUED, timer[1].decode(), unit.path)
                yield Hop(queued, mode, claim, *at)
                return
            yield from self._user(unit, use, mode, claim, doubt)
        elif use.kind is Kind.RETURNED:
            doubt = f"nothing shows who calls what {use.user.name}() returns"
            yield from self._user(unit, use, mode, f"{use.user.name}() returns {name}", doubt)
        elif use.member != "compared":
            doubt = f"nothing shows what {use.user.name}() does with it"
            yield from self._user(unit, use, mode, f"{use.user.name}() uses {name}", doubt)

    def _user(self, unit: Unit, use: Use, mode: Mode, claim: str, doubt: str, *, needs: tuple[str, ...] = ()) -> Iterator[Hop | Dead]:
        """The hop to the function that a use is in, if that can be run."""
        assert use.user is not None
        at = (unit.path, use.line, use.text)
        head = unit.head(use.user)
        if re.search(rb"\b__exit\b", head):
            yield Dead(f"{claim}; {use.user.name} is __exit", *at)
            return
        if mode is Mode.DRIVEN and re.search(rb"\b__init\b", head):
            yield Dead(f"{claim}; {use.user.name} runs at boot only", *at)
            return
        yield Hop(function_node(unit, use.user), mode, claim, *at, doubt=doubt, needs=needs)

    def _given(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        """A function that is handed to another one."""
        assert use.user is not None
        name, given, user = node.name, use.given, use.user.name
        if entry_points.takes_away(given) and not self._passing.calls(given, use.argument, unit):
            return
        if given == "open_softirq":
            doubt = "" if entry_points.SOFTIRQS.search(use.text) else "nothing shows who raises that softirq"
            yield from self._user(unit, use, Mode.RUN, f"softirqs, of every machine: {user}() gives {name}() to {given}()", doubt)
        elif given in entry_points.REGISTERING:
            claim = f"{entry_points.REGISTERING[given]}: {user}() gives {name}() to {given}()"
            yield from self._user(unit, use, Mode.RUN, claim, "", needs=entry_points.options_of_call(given))
        elif given in entry_points.CALLING:
            yield from self._user(unit, use, mode, f"{user}() gives {name}() to {given}(), which has it called", "")
        elif given in entry_points.THREADS:
            yield from self._user(unit, use, Mode.RUN, f"{user}() starts a thread of {name}() by {given}()", "")
        elif given in entry_points.LATER:
            yield from self._user(unit, use, mode, f"{user}() has {name}() run by {given}()", "")
        elif given in entry_points.TIED:
            yield from self._tied(node, mode, unit, use)
        elif given in ("static_call", "static_call_cond", "static_call_mod", "indirect_call_wrapper") or given.startswith("INDIRECT_CALL"):
            yield from self._user(unit, use, mode, f"{user}() calls {name}() by {given}()", "")
        elif given == "static_call_update":
            return
        else:
            sure = self._passing.calls(given, use.argument, unit)
            doubt = "" if sure else f"nothing shows that {given}() calls what it is given"
            yield from self._user(unit, use, mode, f"{user}() gives {name}() to {given}(){', which calls it' if sure else ''}", doubt)

    def _tied(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        """A function that runs when something is queued: the way goes on from where that is."""
        opening = unit.scan.code.rfind(b"(", 0, use.offset)
        while opening >= 0 and not unit.scan.code[:opening].rstrip().endswith(use.given.encode()):
            opening = unit.scan.code.rfind(b"(", 0, opening)
        given = arguments(unit.scan.code, opening) if opening >= 0 else []
        words = re.findall(rb"\w+", given[0]) if given else []
        if not words:
            return
        held = words[-1].decode("ascii", "replace")
        queued = Node(NodeKind.QUEUED, held, unit.path)
        yield Hop(queued, mode, f"{node.name}() runs when {held} is queued", unit.path, use.line, use.text)

    def _queued(self, node: Node, mode: Mode) -> Iterator[Hop | Dead]:
        """Where a work item or timer of a file is queued in it, by the name of what holds it."""
        unit = self.units.get(node.path)
        if unit is None:
            return
        code = unit.scan.code
        tied = [arguments(code, match.end() - 1) for match in _TYING.finditer(code)]
        handlers = {tuple(given[1:2]) for given in tied if node.name.encode() in re.findall(rb"\w+", b" ".join(given[:1]))}
        doubt = "" if len(handlers) < 2 else f"{node.name} holds more than one thing in this file"
        for match in entry_points.QUEUEING.finditer(code):
            user = unit.function_at(match.start())
            end = end_of_call(code, match.end() - 1)
            if user is None or end < 0:
                continue
            if not scope.is_about(code[match.end() : end], node.name.encode(), code[user.body[0] : match.start()]):
                continue
            line, text = unit.line(match.start())
            use = Use(Kind.CALL, match.start(), line, text, user)
            yield from self._user(unit, use, mode, f"{user.name}() queues {node.name}", doubt)

    def _stated(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        """A macro outside of functions that is given a function."""
        at = (unit.path, use.line, use.text)
        name, macro = node.name, use.given
        statement = next(one for one in unit.statements if one.opening < use.offset < one.end)
        if entry_points.AT_BOOT.match(macro):
            doubt = "its boot code may look for hardware first" if entry_points.depends_on_hardware(unit.path) else ""
            if mode is Mode.RUN:
                yield Hop(None, mode, f"{name}() runs at boot", *at, doubt=doubt)
            else:
                yield Dead(f"{name} runs at boot only", *at)
        elif entry_points.AT_EXIT.match(macro):
            yield Dead(f"{name} runs when the module is taken out", *at)
        elif entry_points.BOOT_OPTIONS.match(macro):
            yield Dead(f"{name} reads a boot option", *at)
        elif entry_points.PARAMETERS.match(macro) and _is_file(statement):
            yield Hop(None, Mode.DRIVEN, f"module parameters: {name}() is called where one is written or read", *at)
        elif macro in callback_tables.MAKING:
            form, struct = callback_tables.MAKING[macro]
            how = callback_tables.TABLES[struct]
            table = Node(NodeKind.TABLE, form.format(*statement.arguments), unit.path, True, struct)
            yield Hop(table, Mode.RUN, f"{how.kind}: {name}() is a member of {table.name}, a struct {struct}", *at)
        elif macro == "DEFINE_STATIC_CALL":
            key = Node(NodeKind.STATIC_CALL, statement.arguments[0], unit.path, False)
            yield Hop(key, mode, f"{name}() is the static call {key.name}", *at)
        elif macro in ("BTF_ID_FLAGS", "BTF_ID"):
            start = None
            for one in unit.statements:
                if one.offset < use.offset and re.match(r"BTF_(?:KFUNCS|SET8)_START\Z", one.macro):
                    start = one
            if start is not None:
                kfuncs = Node(NodeKind.SET, start.arguments[0], unit.path)
                yield Hop(kfuncs, Mode.RUN, f"BPF programs: {name}() is a kfunc of the set {kfuncs.name}", *at, needs=("BPF_SYSCALL",))
        elif macro in entry_points.TIED:
            queued = Node(NodeKind.QUEUED, statement.arguments[0], unit.path)
            yield Hop(queued, mode, f"{name}() runs when {queued.name} is queued", *at)

    def _entry_of(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        """A function that stands in a table."""
        assert use.user is not None
        at = (unit.path, use.line, use.text)
        if use.given in entry_points.TIED:  # DEFINE_TIMER(tick, function)
            yield Hop(Node(NodeKind.QUEUED, use.user.name, unit.path), mode, f"{node.name}() runs when {use.user.name} is queued", *at)
            return
        table = table_node(unit, use.user, use.struct)
        member = f".{use.member} of " if use.member else "in "
        how = callback_tables.entry_of(use.struct, use.member)
        where = f"{member}{use.struct and 'struct ' + use.struct + ' '}{table.name}"
        if how is not None:
            claim = f"{how.kind}: {node.name}() is {where}"
            hop = Hop(None if how.is_indexed_by_core else table, mode if how.is_called_at_once else Mode.RUN, claim, *at, needs=how.options)
            yield dataclasses.replace(hop, mode=Mode.DRIVEN) if how.is_indexed_by_core else hop
        elif use.struct == "lsm_info" and use.member == "init":
            if mode is Mode.RUN:
                yield Hop(None, mode, f"{node.name}() runs at boot, as a security module that CONFIG_LSM or lsm= names", *at)
        elif use.struct == "notifier_block":
            yield Hop(table, mode, f"{node.name}() is {where}", *at)
        else:
            yield Hop(table, mode, f"{node.name}() is {where}", *at, doubt=f"nothing shows who calls {where}")
            yield from self._called_as_member(node, mode, table, use, where)

    def _called_as_member(self, node: Node, mode: Mode, table: Node, use: Use, where: str) -> Iterator[Hop | Dead]:
        """Calls through the table: `table.member()`, and where no other structure has a function of that name, `anything->member()`."""
        if not use.member:
            return
        home = self.units.get(table.path)
        direct = re.compile(rb"\b" + table.name.encode() + rb"\s*(?:\[[^\]]*\]\s*)?(?:\.|->)\s*" + use.member.encode() + rb"\s*\(")
        for unit, user, offset in _matches(home, direct):
            called = Use(Kind.CALL, offset, *unit.line(offset), user)
            # what stands in a table that is called by its name is run when its caller is, at boot too
            yield from self._user(unit, called, mode, f"{user.name}() calls {where}, which is {node.name}()", "")
        if not use.struct or use.struct.endswith("_driver") or not self._is_only_of(use.struct, use.member):
            return  # of a driver, what it has for devices decides
        through = re.compile(rb"(?:->|\.)\s*" + use.member.encode() + rb"\s*\(")
        for path in self.holders.holding(use.member):
            holder = self.units.get(path)
            if holder is None or not holder.stands_before(use.member, b"("):
                continue
            for unit, user, offset in _matches(holder, through):
                called = Use(Kind.CALL, offset, *unit.line(offset), user)
                claim = f"{user.name}() calls .{use.member} of a struct {use.struct}; that of {table.name} is {node.name}()"
                for hop in self._user(unit, called, mode, claim, ""):
                    yield dataclasses.replace(hop, registered=table) if isinstance(hop, Hop) else hop

    def _is_only_of(self, struct: str, member: str) -> bool:
        """Whether a structure is the only one of the kernel with a function of that name in it."""
        key = (struct, member)
        if key not in self._only:
            self._only[key] = False
            paths = self.holders.holding(member)
            # a function, or something of a type that may be one
            word = member.encode()
            form = re.compile(rb"\(\s*\*\s*" + word + rb"\s*\)\s*\(|\w\s+\**" + word + rb"\s*(?:\[[^\]]*\]\s*)?;")
            owned = False
            if len(paths) > _MOST_MEMBER_FILES:
                return False
            self.units.fetch(paths)
            for path in paths:
                unit = self.units.get(path)
                if unit is None:
                    return False
                if not unit.stands_before(member, b")[;"):
                    continue
                for match in form.finditer(unit.scan.code):
                    around = [one for one in unit.scan.definitions if one.kind in _AGGREGATES and one.span[0] < match.start() < one.span[1]]
                    if (around and around[-1].name != struct) or (not around and match[0].startswith(b"(")):
                        return False
                    owned = owned or bool(around)
            self._only[key] = owned
        return self._only[key]

    def _pasted(self, node: Node, mode: Mode, unit: Unit) -> Iterator[Hop | Dead]:
        """Macros that make a node's name out of a part of it."""
        if "_" not in node.name:
            return
        for statement in unit.statements:
            pasted = callback_tables.PASTED.get(statement.macro)
            if pasted is None:
                continue
            forms, makes, struct = pasted
            try:
                used = [form.format(*statement.arguments) for form in forms]
                table = Node(NodeKind.TABLE, makes.format(*statement.arguments), unit.path, True, struct)
            except IndexError:
                continue
            if node.name not in used:
                continue
            at = (unit.path, *unit.line(statement.offset))
            if node.kind is NodeKind.TABLE:
                yield Hop(table, mode, f"{node.name} is in {table.name}", *at)
            else:
                yield Hop(
                    table, Mode.RUN, f"{callback_tables.TABLES[struct].kind}: {node.name}() is in {table.name}, a struct {struct}", *at
                )
        if node.kind is NodeKind.FUNCTION and node.name.endswith(("_show", "_store")):
            yield from self._pasted_inside(node, unit)

    def _pasted_inside(self, node: Node, unit: Unit) -> Iterator[Hop]:
        """`static struct kobj_attribute foo_attr = __ATTR_RW(foo);`"""
        stem = node.name.rpartition("_")[0]
        for match in re.finditer(rb"\b(\w+)\s*\(\s*" + re.escape(stem.encode()) + rb"\s*[,)]", unit.scan.code):
            if not callback_tables.PASTED_INSIDE.match(match[1].decode("ascii")):
                continue
            variable = next((one for one in unit.variables if one.offset < match.start() <= one.span[1]), None)
            if variable is None:
                continue
            types = re.findall(rb"struct\s+(\w+)", unit.head(variable))
            struct = types[0].decode() if types else ""
            how = callback_tables.TABLES.get(struct)
            doubt = "" if how else f"nothing shows who calls a struct {struct}"
            table = table_node(unit, variable, struct)
            claim = f"{how.kind if how else 'an attribute'}: {node.name}() is in {table.name}, a struct {struct}"
            yield Hop(table, Mode.RUN if how else Mode.DRIVEN, claim, unit.path, *unit.line(match.start()), doubt=doubt)

    # what uses a table

    def _of_table(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        at = (unit.path, use.line, use.text)
        name = node.name
        if use.kind is Kind.TABLE:
            assert use.user is not None
            table = table_node(unit, use.user, use.struct)
            if table.name == name:
                return
            if use.struct == "pid_entry":
                yield Hop(table, mode, f"{name} is in {table.name}, files below /proc", *at)
                return
            doubt = f"whether {table.name} has a device decides" if use.struct.endswith("_driver") else ""
            if node.struct == "file_system_type":
                doubt = f"nothing shows that what {table.name} holds is registered as a file system"
            yield Hop(table, mode, f"{name} is {f'.{use.member} of ' if use.member else 'in '}{table.name}", *at, doubt=doubt)
        elif use.kind is Kind.STATEMENT:
            statement = next(one for one in unit.statements if one.opening < use.offset < one.end)
            if entry_points.PARAMETERS.match(use.given):
                if _is_file(statement):
                    yield Hop(None, Mode.RUN, f"{use.given}() makes a file of {name}", *at)
            elif entry_points.REGISTERED_BY.match(use.given):
                doubt = "its boot code may look for hardware first" if entry_points.depends_on_hardware(unit.path) else ""
                yield Hop(None, Mode.RUN, f"{use.given}() registers {name} at boot", *at, doubt=doubt)
            elif use.given.startswith(("BPF_MAP_TYPE", "BPF_PROG_TYPE", "BPF_LINK_TYPE")):
                yield Hop(None, Mode.RUN, f"{use.given}() registers {name}", *at)
        elif use.kind is Kind.MACRO:
            assert use.user is not None
            macro = Node(NodeKind.MACRO, use.user.name, unit.path, unit.path.endswith(".c"))
            yield Hop(macro, mode, f"macro {use.user.name} stands for {name}", *at)
        elif use.user is None or use.member == "compared":
            return
        elif use.kind is Kind.GIVEN:
            if entry_points.takes_away(use.given):
                return
            doubt = ""
            if node.struct == "notifier_block" and not entry_points.NOTIFIERS.match(use.given):
                doubt = f"nothing shows that a program raises what {use.given}() is told of"
            raised = entry_points.NOTIFIERS.match(use.given) if node.struct == "notifier_block" else None
            claim, needs = f"{use.user.name}() gives {name} to {use.given}()", entry_points.options_of_call(use.given)
            yield from self._user(unit, use, Mode.RUN if raised else mode, claim, doubt, needs=needs)
        elif use.kind is Kind.ASSIGNED:
            kept = use.given or scope.hands_on(unit, use.user, use.member)
            doubt = "" if kept else f"nothing shows what {use.user.name}() does with {use.member}"
            yield from self._user(unit, use, mode, f"{use.user.name}() sets {use.member} to {name}", doubt)
        elif use.kind is Kind.LOCAL:
            yield from self._user(unit, use, mode, f"{use.user.name}() sets {_part(use)} to {name}", "")
        elif use.kind is Kind.RETURNED:
            doubt = "" if node.struct == "bpf_func_proto" else f"nothing shows what is done with what {use.user.name}() returns"
            yield from self._user(unit, use, mode, f"{use.user.name}() returns {name}", doubt)
        elif not re.match(r"[;{}\s]*" + re.escape(name) + r"\s*(?:\.|->)", use.text):
            yield from self._user(unit, use, mode, f"{use.user.name}() uses {name}", f"nothing shows that {use.user.name}() registers it")

    def _of_static_call(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        if use.kind is Kind.GIVEN and use.user is not None and use.given in ("static_call", "static_call_cond", "static_call_mod"):
            doubt = f"the static call {node.name} may lead elsewhere by then"
            yield from self._user(unit, use, mode, f"{use.user.name}() makes the static call {node.name}", doubt)

    def _of_set(self, node: Node, mode: Mode, unit: Unit, use: Use) -> Iterator[Hop | Dead]:
        if use.kind is Kind.TABLE and use.user is not None and use.struct == "btf_kfunc_id_set":
            table = table_node(unit, use.user, use.struct)
            yield Hop(table, mode, f"{node.name} is .set of {table.name}", unit.path, use.line, use.text)


def _matches(unit: Unit | None, form: re.Pattern[bytes]) -> Iterator[tuple[Unit, Definition, int]]:
    """Where the code of a file's functions matches: the file, the function and the offset."""
    for match in form.finditer(unit.scan.code) if unit is not None else ():
        user = unit.function_at(match.start()) if unit is not None else None
        if unit is not None and user is not None:
            yield unit, user, match.start()


def _part(use: Use) -> str:
    return f"{f'.{use.member}' if use.member else 'a member'} of a struct {use.struct}"


def _is_file(statement: Statement) -> bool:
    """Whether a module parameter is a file of sysfs: it has permissions."""
    return re.fullmatch(r"0*", statement.arguments[-1]) is None
