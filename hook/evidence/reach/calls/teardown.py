"""Teardown: whether changed functions run only at module exit, at unbind, or at hot-unplug.

A NO is a proof from every use of the function in the kernel, of its callers, and so on: each ends at the exit of a module that is built in,
which nothing runs, or at the unbind of a device on a bus where no program plugs or unplugs devices but root through sysfs (unbind, remove,
rescan), which farms leave out (`fuzz.teardown`); what else may unbind a device is in hook.evidence.reach.unplugged. Every use must be seen.
A limit, a macro, an address that goes anywhere else leave it open. docs/call-paths.md has the rules.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c.definitions import Definition, DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.c.uses import MOST_USES, Use, UseKind, uses_of
from hook.evidence.reach import unplugged
from hook.evidence.reach.answer import Reach
from hook.evidence.reach.calls import pasted_names
from hook.evidence.reach.calls.call_paths import SearchBounds
from hook.evidence.reach.calls.nodes import PathNode, function_node, macro_node, table_node
from hook.evidence.reach.run_times import MEMBERS, RunsAt
from hook.kernel import entry_points
from hook.kernel.kconfig.expressions import YES, Condition, all_of, built_in, names, open_parts
from hook.kernel.kernel import Kernel
from hook.kernel.name_users import NameUsers
from hook.kernel.no_kernel_code import PROGRAMS, in_kernel
from hook.kernel.units import Units
from hook.source.tree import Source
from hook.verdict import Answer, ConfigReason, Fact, Place

_MOST_FUNCTIONS = 60  # callers of callers that are followed
# what a virtual machine needs so that a program can plug and unplug such devices, and what people call it
_GADGET = ("USB_RAW_GADGET", "USB_DUMMY_HCD"), "dummy_hcd with raw-gadget"
_PLUGGED = {"usb_driver": _GADGET, "usb_serial_driver": _GADGET, "hid_driver": (("UHID",), "uhid")}
_OPEN = frozenset((RunsAt.UNKNOWN, RunsAt.MODULE_UNLOAD))  # what says nothing of teardown
_WITHOUT_DEVICE = frozenset((RunsAt.BOOT, RunsAt.MODULE_LOAD, RunsAt.MODULE_UNLOAD))
NOTHING_RUNS = frozenset((RunsAt.MODULE_EXIT,))
_BEFORE_PROGRAMS = NOTHING_RUNS | {RunsAt.BOOT}
LEFT_OUT = NOTHING_RUNS | {RunsAt.FIXED_UNBIND}  # by farms, where fuzz.teardown says no more
_EXIT, _INIT = lazy_re.compile(rb"\b__exit\b"), lazy_re.compile(rb"\b__init\b")
_CALLED = lazy_re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_FUNCTION, _ANY_KIND, _WITH_ADDRESS = (DefinitionKind.FUNCTION,), tuple(DefinitionKind), (DefinitionKind.FUNCTION, DefinitionKind.VARIABLE)
_DEEPEST_MACRO, _MOST_HEADERS = 4, 4  # macros inside each other, and headers that define one
_HARMLESS = lazy_re.compile(r"(?:EXPORT|MODULE|EXPORT_SYMBOL)_\w+\Z")
_PASTES_NO_NAME = lazy_re.compile(r"(?:(?:EXPORT|MODULE|EXPORT_SYMBOL)_|module_param)\w*\Z")  # of the file


class _LastUse(msgspec.Struct, frozen=True):
    """Where the uses of a function end."""

    runs_at: RunsAt
    fact: Fact
    table: PathNode | None = None
    is_complete: bool = True  # whether every use of the function was seen


def gate(
    functions: Sequence[tuple[str, str]], source: Source, kernel: Kernel, bounds: SearchBounds, left_out: frozenset[RunsAt] = LEFT_OUT
) -> Reach:
    """Whether `functions`, given as (path, name), run only at teardown that is `left_out`.

    NO where each of them is proved to; YES where one runs as a device is unplugged that a program emulates; else UNKNOWN, with what is
    known in the question, which is empty where a function is none of teardown, or runs with whatever device there is. Raises GitError.
    """
    walk = _walk(source, kernel, bounds)
    facts: list[Fact] = []
    assumptions: list[str] = []
    questions: list[str] = []
    for path, name in dict.fromkeys(functions):
        ends = list(_up_to_unknown(walk.ends(path, name)))
        for end in ends:
            if end.runs_at is RunsAt.HOT_UNPLUG and end.table is not None:
                reached = _plugged(name, end, walk.units, kernel)
                if reached is not None:
                    return reached
        times = {end.runs_at for end in ends}
        if times and times <= left_out:
            facts += [end.fact for end in ends]
            if RunsAt.MODULE_EXIT in times:
                assumptions.append(f"{path} is built in, not a module")
            if RunsAt.FIXED_UNBIND in times:
                assumptions.append(f"only hot-unplug or unbind through sysfs runs {name}; farms leave that out (fuzz.teardown)")
        elif not ends or times & _OPEN or times <= LEFT_OUT:
            return Reach(Answer.UNKNOWN)  # one of them runs at other times, or may: nothing is said of the change
        elif times <= _BEFORE_PROGRAMS:
            questions.append(f"{name} runs at boot alone, before user space ({ends[0].fact.claim}); programs may see what it sets up")
        else:
            questions.append(
                f"not known: whether the fuzzer gets to {name}, which runs at {' or '.join(sorted(times))} ({ends[0].fact.claim})"
            )
    if not functions or questions:
        return Reach(Answer.UNKNOWN, question="\n".join(questions))
    if why := walk.hidden_in_headers():
        return Reach(Answer.UNKNOWN, question=f"not known: whether the fuzzer gets to {functions[0][1]}; {why}")
    return Reach(Answer.NO, tuple(dict.fromkeys(facts)), assumptions=tuple(dict.fromkeys(assumptions)))


def without_device(
    functions: Sequence[tuple[str, str]], source: Source, kernel: Kernel, bounds: SearchBounds, others: Sequence[tuple[str, str]] = ()
) -> str:
    """How one of `functions`, given as (path, name), or a user of `others` (data, macros, types) runs whatever devices there are:
    at boot, as a module is unloaded; or why that cannot be told. Empty where none does. Raises GitError.
    """
    walk = _walk(source, kernel, bounds)
    kinds = {**dict.fromkeys(others, _ANY_KIND), **dict.fromkeys(functions, _FUNCTION)}
    ends = (end for (path, name), any_of in kinds.items() for end in walk.ends(path, name, any_of))
    runs = next((end.fact.claim for end in ends if end.runs_at in _WITHOUT_DEVICE or not end.is_complete), "")
    return runs or walk.hidden_in_headers()


def _walk(source: Source, kernel: Kernel, bounds: SearchBounds) -> _UseWalk:
    return _UseWalk(NameUsers(source, Units(source, bounds.files), kernel.kbuild, kernel.environment, bounds.files), kernel)


def _up_to_unknown(ends: Iterator[_LastUse]) -> Iterator[_LastUse]:
    for end in ends:
        yield end
        if end.runs_at in _OPEN:
            return


def _plugged(name: str, end: _LastUse, units: Units, kernel: Kernel) -> Reach | None:
    """YES, if a kernel for the target can have the driver, registered, and what its devices are emulated with."""
    from hook.kernel.kconfig.solver import NoSolution, solve

    assert end.table is not None
    unit = units.get(end.table.path)
    options, device = _PLUGGED[end.table.struct]
    registered = _registration(unit, end.table.name) if unit else None
    if unit is None or registered is None:
        return None
    built = kernel.built_if(unit.path)
    condition: Condition = all_of([built.condition, *map(built_in, options)])
    if open_parts(condition):
        return None
    try:
        solution = solve(kernel.options, kernel.base, condition, {})
    except NoSolution:
        return None
    reasons = {
        option: ConfigReason("reach", f"hot-unplug of a device of {end.table.name} runs {name}", end.fact.place.path, end.fact.place.line)
        for option, value in solution.settings.items()
        if value == "y"
    }
    fact = _fact(unit, f"{end.table.name} is registered", *registered)
    return Reach(Answer.YES, (fact, end.fact), devices=(device,), reasons=reasons, assumptions=tuple(solution.probes))


def _registration(unit: TranslationUnit, table: str) -> tuple[int, str] | None:
    """The line that registers a driver in its own file."""
    form = rb"\b(?:module_\w+driver\w*|usb_register\w*|hid_register_driver)\s*\(\s*&?" + table.encode() + rb"\b"
    match = re.search(form, unit.scan.code) or re.search(rb"\bmodule_usb_serial_driver\s*\(", unit.scan.code)
    return unit.line(match.start()) if match else None


class _UseWalk:
    """All uses of a function, of its callers, and so on, up to where they end."""

    def __init__(self, name_users: NameUsers, kernel: Kernel) -> None:
        self._name_users, self._kernel = name_users, kernel
        self.units = name_users.units
        self._followed: dict[tuple[str, str], None] = {}  # functions, by file and name

    def ends(self, path: str, name: str, kinds: Sequence[DefinitionKind] = _FUNCTION) -> Iterator[_LastUse]:
        """Where a function's uses end; an incomplete one among them where not all can be told."""
        unit = self.units.get(path)
        definition = unit.defined(name, *kinds) if unit else None
        if unit is None or definition is None:
            yield _incomplete(path, 0, "", f"{path} defines no function {name or 'or name for all that changed'} that could be found")
            return
        waiting = [(unit, definition)]
        seen = {(unit.path, definition.name)}
        while waiting:
            if len(seen) > _MOST_FUNCTIONS:
                yield _incomplete(path, 0, "", f"{name} has more than {_MOST_FUNCTIONS} callers")
                return
            for use in self._uses(*waiting.pop(0)):
                if isinstance(use, _LastUse):
                    yield use
                elif (use[0].path, use[1].name) not in seen:
                    seen.add((use[0].path, use[1].name))
                    waiting.append(use)

    def _uses(self, unit: TranslationUnit, definition: Definition) -> Iterator[_LastUse | tuple[TranslationUnit, Definition]]:
        head, name = unit.head(definition) if unit.has_one_head(definition) else b"", definition.name
        line, text = unit.line(definition.offset)
        if definition.kind is DefinitionKind.MACRO:
            yield from self._of_macro(unit, definition)
            return
        if _EXIT.search(head):
            yield self._exit(unit, f"{name} is __exit", line, text)
            return
        if _INIT.search(head):
            yield self._boot(unit, f"{name} is __init", line, text)
            return
        self._followed[unit.path, name] = None
        if why := self._may_be_pasted(unit, name):
            yield _incomplete(unit.path, line, text, why)
            return
        node, count = (function_node if definition.kind in _WITH_ADDRESS else macro_node)(unit, definition), 0
        for path in self._all_files(node):
            user = self.units.get(path) if path else None
            if user is None:
                yield _incomplete(unit.path, line, text, f"not every use of {name} could be read")
                return
            uses = uses_of(user, name)
            if len(uses) >= MOST_USES or pasted_names.is_named_in_text(user.data, name):
                yield _incomplete(unit.path, line, text, f"{path} uses {name} {MOST_USES} times or more, or in an alias or assembly")
                return
            for use in uses:
                if use.kind is UseKind.STATEMENT and _HARMLESS.match(use.callee):
                    continue
                if use.user is not None and use.user.kind is DefinitionKind.FUNCTION and use.user.name == name:
                    continue
                count += 1
                yield self._end_of(user, use, name)
                if use.user is not None and _is_followed(user, use, use.user):
                    yield user, use.user  # what runs the macro, or has the address, may run at boot
        if not count:
            yield _open(unit.path, line, text, f"nothing uses {name}")

    def _of_macro(self, unit: TranslationUnit, macro: Definition) -> Iterator[_LastUse | tuple[TranslationUnit, Definition]]:
        """Where the uses of a macro end that uses the function: what makes an initcall of it may run it at boot."""
        line, text = unit.line(macro.offset)
        if self._may_start(unit, macro, 0):
            yield _incomplete(unit.path, line, text, f"{macro.name} may run it at boot")
            return
        for path in self._all_files(macro_node(unit, macro)):
            user = self.units.get(path) if path else None
            if user is None:
                yield _incomplete(unit.path, line, text, f"not every use of {macro.name} could be read")
                return
            for use in uses_of(user, macro.name):
                if use.user is None or use.kind is UseKind.TABLE:
                    yield self._end_of(user, use, macro.name)
                if use.user is not None and _is_followed(user, use, use.user):
                    yield user, use.user

    def _may_start(self, unit: TranslationUnit, macro: Definition, depth: int) -> bool:
        """Whether a macro may make an initcall, itself or through others."""
        body = unit.data[macro.offset + len(macro.name) : macro.span[1]].decode("latin-1")
        if depth > _DEEPEST_MACRO or entry_points.STARTING.search(body):
            return True
        return any(self._is_starting(unit, inner, depth + 1) for inner in dict.fromkeys(_CALLED.findall(body)) if inner != macro.name)

    def _is_starting(self, unit: TranslationUnit, name: str, depth: int) -> bool:
        """Whether a name that a file uses is a macro that may make an initcall."""
        if (own := unit.defined(name, DefinitionKind.MACRO)) is not None:
            return self._may_start(unit, own, depth)
        headers = [path for path in self._name_users.defining(name) if path.endswith(".h")]
        found = ((header, header.defined(name, DefinitionKind.MACRO)) for path in headers if (header := self.units.get(path)) is not None)
        return len(headers) > _MOST_HEADERS or any(macro is not None and self._may_start(header, macro, depth) for header, macro in found)

    def _all_files(self, node: PathNode) -> Iterator[str]:
        """Every file that may use a function; the empty path where there may be others."""
        if node.local and self._name_users.together(node.path) == []:
            yield node.path
            is_open = open_parts(self._kernel.kbuild.built_if(node.path).condition)
            if node.path.endswith(".c") and (is_open or self._name_users.is_included(node.path)):
                yield ""  # another file may include it
            return
        if self._name_users.source.index is None and not self._name_users.source.is_small:
            yield ""
            return
        self._name_users.cut = False
        found = self._name_users.everywhere(node.name)
        if self._name_users.cut or any(self._is_other_code(path) for path in found):
            yield ""
            return
        yield from dict.fromkeys((node.path, *self._name_users.holding(node.name), *self._name_users.together(node.path)))

    def _is_other_code(self, path: str) -> bool:
        """Whether a file that holds the name is code of the kernel in which uses are not told apart."""
        other = path.endswith((".S", ".rs", ".inc", ".lds", ".y", ".l"))
        return other and in_kernel(path, self._name_users.environment["SRCARCH"], PROGRAMS)

    def _end_of(self, unit: TranslationUnit, use: Use, name: str) -> _LastUse | tuple[TranslationUnit, Definition]:
        if use.kind is UseKind.CALL and use.user is not None:
            return unit, use.user
        if use.kind is UseKind.OTHER and use.user is None:
            return _incomplete(unit.path, use.line, use.text, f"{name} is used at {unit.path}:{use.line}, in no function, table or macro")
        if use.kind is UseKind.STATEMENT and entry_points.AT_EXIT.match(use.callee):
            return self._exit(unit, f"{use.callee}({name})", use.line, use.text)
        if use.kind is UseKind.STATEMENT and (entry_points.AT_BOOT.match(use.callee) or entry_points.BOOT_OPTIONS.match(use.callee)):
            return self._boot(unit, f"{use.callee}({name})", use.line, use.text)
        if use.kind is UseKind.STATEMENT and (entry_points.STARTING.fullmatch(use.callee) or self._is_starting(unit, use.callee, 0)):
            return _incomplete(unit.path, use.line, use.text, f"{use.callee}({name}) may run it at boot")
        members = MEMBERS.get(use.struct) if use.kind is UseKind.TABLE else None
        if members is None or use.user is None or (members and use.member not in members):
            return _open(unit.path, use.line, use.text, f"{name} is used at {unit.path}:{use.line}")
        runs_at = members.get(use.member, RunsAt.POWER)
        table = table_node(unit, use.user, use.struct)
        if runs_at is RunsAt.FIXED_UNBIND and (why := unplugged.why(self._name_users, unit, use.struct, use.user)):
            return _open(unit.path, use.line, use.text, why)
        if runs_at is RunsAt.FIXED_UNBIND and self._may_be_module(unit):
            claim = f"{name} is .{use.member} of the {use.struct} {table.name}, and {unit.path} may be a module that is unloaded"
            return _open(unit.path, use.line, use.text, claim)  # with a device alone
        claim = f"{name} is .{use.member} of the {use.struct} {table.name}: it runs at {runs_at}"
        return _LastUse(runs_at, _fact(unit, claim, use.line, use.text), table)

    def _exit(self, unit: TranslationUnit, claim: str, line: int, text: str) -> _LastUse:
        """The exit of a module: include/linux/init.h and module.h drop it from what is built in."""
        if self._may_be_module(unit):
            return _LastUse(RunsAt.MODULE_UNLOAD, _fact(unit, f"{claim}, and {unit.path} may be a module that is unloaded", line, text))
        claim = f"{claim}: it runs at module exit, and built-in code has none"
        return _LastUse(RunsAt.MODULE_EXIT, _fact(unit, claim, line, text))

    def _boot(self, unit: TranslationUnit, claim: str, line: int, text: str) -> _LastUse:
        """What runs once: as the kernel boots, or as the module is loaded."""
        return _LastUse(RunsAt.MODULE_LOAD if self._may_be_module(unit) else RunsAt.BOOT, _fact(unit, claim, line, text))

    def _may_be_module(self, unit: TranslationUnit) -> bool:
        """Whether the base configuration has a file in a module, or may have."""
        condition = self._kernel.kbuild.built_if(unit.path).condition if unit.path.endswith(".c") else YES
        return bool(open_parts(condition)) or any(self._kernel.base.get(name) == "m" for name in names(condition))

    def _may_be_pasted(self, unit: TranslationUnit, name: str) -> str:
        """Why a macro of the file may hide a use of the name; empty if none does."""
        if (place := pasted_names.place_of_paste(unit.data, name)) >= 0:
            return f"{unit.path}:{unit.line(place)[0]} may paste the name {name}"
        for statement in unit.statements:
            if not _PASTES_NO_NAME.match(statement.macro) and any(one and name.startswith(f"{one}_") for one in statement.arguments):
                return f"{statement.macro} at {unit.path}:{unit.line(statement.offset)[0]} may paste the name {name}"
        return ""

    def hidden_in_headers(self) -> str:
        """Why a macro of a header may hide a use of one of the functions that were followed; empty if none does."""
        source = self._name_users.source
        for path in dict.fromkeys(path for path, _ in self._followed):
            headers = pasted_names.headers_that_paste(source, path)
            if headers is None:
                return f"not known: whether a macro of a header pastes a name of {path}"
            for (user, name), (header, data) in itertools.product(self._followed, headers.items()):
                if user == path and pasted_names.place_of_paste(data, name) >= 0:
                    return f"{header} may paste the name {name}"
        return ""


def _is_followed(unit: TranslationUnit, use: Use, user: Definition) -> bool:
    """Whether what uses the user of a function may run it too: all but the table of a driver that is only registered and exported."""
    if user.kind is not DefinitionKind.VARIABLE or not (use.struct.endswith("_driver") or use.struct in MEMBERS):
        return True
    name = re.escape(user.name.encode())
    passive = (
        rb"\b(?:\w*register\w*|(?:module|builtin)_\w+|platform_driver_probe|EXPORT_SYMBOL\w*)\s*\(\s*(?:&\s*)?" + name + rb"(?=\s*[,)])"
    )
    passive += rb"|\w\s+" + name + rb"\s*[=;]"
    return re.search(rb"(?<![\w.>])" + name + rb"\b(?!\s*\.\s*driver\b)", re.sub(passive, b"", unit.scan.code)) is not None


def _fact(unit: TranslationUnit, claim: str, line: int, text: str) -> Fact:
    return Fact(claim, Place(unit.path, line, unit.oid), text)


def _open(path: str, line: int, text: str, why: str, *, is_complete: bool = True) -> _LastUse:
    return _LastUse(RunsAt.UNKNOWN, Fact(why, Place(path, line, ""), text), is_complete=is_complete)


def _incomplete(path: str, line: int, text: str, why: str) -> _LastUse:
    return _open(path, line, text, why, is_complete=False)
