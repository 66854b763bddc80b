"""Initcalls: what the initcalls of an object do, and what may run its code without any device.

A driver whose initcalls only register with a bus runs when a device is there, and only then. Another part of the kernel can call back into
the object only if an initcall has given it something to call: by a call whose name says so (register, add, create, …), or by a call that is
given the address of a function, or of a variable that may hold one. The functions that its initcalls call or take the address of are
followed, and where anything calls a pointer, those in variables; but not what they give to a bus.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import closing
from hook.c.keywords import NOT_CALLED_AT_START
from hook.evidence.reach.devices.buses import BUS_OF_SPELLING, BUSES, bus_of
from hook.evidence.reach.devices.hidden_starts import (
    AT_ONCE,
    FILES,
    FIRST,
    HANDING,
    HARMLESS,
    OF_FILES,
    PREPARING,
    STORING,
    has_own_setter,
    hidden_starts,
    is_elsewhere,
    starts_nothing,
)
from hook.evidence.reach.devices.probes.missing_nodes import left_without_node
from hook.kernel.held_addresses import (
    ALONE,
    ASSIGNED,
    DECLARATOR,
    INNER_CALL,
    NAMES,
    address_in,
    bodies,
    callbacks,
    calls_by_pointer,
    declares,
    defined,
    functions,
    holders,
    initialisers,
    is_of_own,
    is_own_store,
    own_variables,
    passed_by_value,
    shared_functions,
)
from hook.kernel.texts import Texts

_MOST_FUNCTIONS = 400  # of one object that are followed
_NEAR_FOLDERS = 3  # from the top, that a file shares with a header of its driver
_MOST_MACROS = 4  # that stand for each other
_START = lazy_re.compile(
    r"(?m)(?:^|(?<=[;}]))[ \t]*((?:module|builtin|drm_module|__)\w*|\w*initcall\w*|\w+_DECLARE\w*|\w*DECLARE_PCI_FIXUP\w*|\w*_ENTRY"
    r"|\w*SETUP\w*|__setup|early_param|\w*_param_cb|core_param|\w+_module_drivers?|cpufreq_governor_init|kunit_test_\w*suites?|DECLARE_USB_FUNCTION\w*)"
    r"[ \t]*\(([^;]*?)\)\s*;?",
    re.ASCII,
)
_CALL = lazy_re.compile(r"(?<![\w.>\"])([A-Za-z_]\w*)\s*\(")
_DECLARED = lazy_re.compile(r"\b(?!(?:else|do|return|case|goto)\b)[A-Za-z_]\w*[\s*]+\Z")  # the text before a declared name
_TABLE = lazy_re.compile(r"(?:\.|->)\s*(?:id_table|ids|\w*match_table|groups)\s*\Z")  # the ids that a driver binds to, or its sysfs files
_GIVEN = lazy_re.compile(r"\s*&?\s*([A-Za-z_]\w*)\s*(?:[,)]|\Z)")  # the driver that is registered
_IN_OWN = lazy_re.compile(r"(\w+)\s*(\[[^\]]*\])?(?:\s*\.\s*\w+)*")  # a variable, an element, or a member of one: what no pointer leads to
_BEHIND = lazy_re.compile(r"(?:\.|->|\*|\*\s*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\))\Z")  # a pointer, before what is assigned
_NAMED = lazy_re.compile(r"(\w+)\s*=")
_NEAR = 80  # characters before it
_STRING = lazy_re.compile(r'"(?:[^"\\\n]|\\.)*"')
_ADDRESS = lazy_re.compile(r"&\s*([A-Za-z_]\w*)|(?<![\w.>])([A-Za-z_]\w*)\b(?!\s*(?:->|\.|\())")
_BY_MACRO = lazy_re.compile(
    r"(?:(?:module|builtin|drm_module)_(\w+?)(?:_driver(?:_probe|s)?(?:_\w+)?)?|(\w+?)_(?:module_drivers?|governor_init))\Z"
)
_PLAIN = ("module_exit", "module_put", "module_name", "module_layout", "module_refcount", "module_bug_finalize", "module_init_type")
# macros that only a device tree triggers
_BY_TREE = lazy_re.compile(
    r"(?:IRQCHIP|TIMER_OF|CLK_OF|CLOCKSOURCE_OF|RESERVEDMEM_OF|CPUIDLE_METHOD_OF|PSCI_\w+|IRQCHIP_OF|CPU_METHOD_OF)_DECLARE\w*\Z"
    r"|OF_DECLARE\w*\Z|CLK_OF_DECLARE_DRIVER\Z"
)
_BEHIND_A_PREFIX = ("_cb", "_call", "initcall", "setup", "setup_param")
_INITCALL = lazy_re.compile(r"(?:module_init|\w*initcall\w*)\Z")


class InitcallEffects(msgspec.Struct, frozen=True):
    """What the initcalls of an object do."""

    buses: tuple[tuple[str, str, int], ...]  # on which they register drivers, each with path and line
    calls: tuple[tuple[str, str, int], ...]  # of functions of other objects that may call back
    unknown: tuple[tuple[str, str, int], ...]  # anything else, as a sentence, with path and line
    drivers: tuple[tuple[str, str, str, int], ...] = ()  # registered: bus, name of the structure or array, path, line


def effects(texts: Texts, members: Sequence[str], all_files: Sequence[str], nodes: Collection[str] | None) -> InitcallEffects:
    """What the initcalls of an object do. `members` are the files that may have one; calls are followed into all of `all_files`.

    A function that returns because the device tree has none of its `nodes` (missing_nodes.py) is not followed further.
    """
    reader = _InitcallReader(texts, members, all_files, nodes)
    for path in members:
        for statement in _START.finditer(texts.get(path) or ""):
            if not starts_nothing(texts, path, statement[1], statement.start(1)):
                reader.statement(path, statement)
        if defined(texts, FIRST, (path,)):
            reader.waiting.append((path, FIRST))
        for hidden, offset in hidden_starts(texts, path):
            reader.unknown.setdefault(hidden, (hidden, path, texts.line(path, offset)))
    reader.follow()
    return InitcallEffects(tuple(reader.buses.values()), tuple(reader.calls.values()), tuple(reader.unknown.values()), (*reader.drivers,))


class _InitcallReader:
    """Collects what the initcalls of one object do."""

    def __init__(self, texts: Texts, members: Sequence[str], all_files: Sequence[str], nodes: Collection[str] | None) -> None:
        self._texts, self._members, self._all_files, self._nodes = texts, members, all_files, nodes
        self.buses: dict[str, tuple[str, str, int]] = {}
        self.calls: dict[str, tuple[str, str, int]] = {}
        self.unknown: dict[str, tuple[str, str, int]] = {}
        self.drivers: dict[tuple[str, str, str, int], None] = {}
        self.waiting: list[tuple[str, str]] = []  # functions to be followed, each with its file
        self._seen: set[tuple[str, str]] = set()  # what was followed: by the file that defines it, and its name
        self._words, self._called = set[str](), set[str]()  # the names in the functions that are followed, and those that are called
        self._by_pointer = False  # whether one of them calls a pointer
        self._given: set[tuple[str, str]] = set()  # those that get the address of a function, or of what may hold one

    def _registers(self, bus: str, path: str, offset: int, given: str = "") -> None:
        line = self._texts.line(path, offset)
        self.buses.setdefault(bus, (bus, path, line))
        if driver := _GIVEN.match(given):
            self.drivers.setdefault((bus, driver[1], path, line))

    def statement(self, path: str, statement: re.Match[str]) -> None:
        """Reads one macro call at file scope."""
        name, arguments, at = statement[1], statement[2], statement.start(1)
        if name.startswith(("module_param", "core_param")) and has_own_setter(self._texts, path, name, arguments):
            self.unknown.setdefault(name, (f"{name}() has its own setter, which user space may call", path, self._texts.line(path, at)))
        if name in _PLAIN or (name.startswith(("__", "module_param", "core_param")) and not name.endswith(_BEHIND_A_PREFIX)):
            return
        if _BY_TREE.match(name):  # each counts: it has a node of its own
            self.buses.setdefault(f"tree {path}:{at}", ("tree", path, self._texts.line(path, at)))
        elif arguments.startswith("void") or "{" in arguments or (name.endswith("EARLYCON_DECLARE") and not _INITCALL.match(name)):
            return  # a definition, or a console whose address the command line gives
        elif _INITCALL.match(name):
            self.waiting.append((path, arguments.split(",")[0].strip()))
        elif name == "module_dm":
            self._registers("dm", path, at)
        elif name.startswith(("kunit_test", "DECLARE_USB_FUNCTION")):
            self._registers("kunit" if name.startswith("kunit") else "usb_function", path, at)
        elif not name.endswith(("_cb", "_call")) and (macro := _BY_MACRO.match(name)):
            self._registers(BUS_OF_SPELLING.get(macro[1] or macro[2], macro[1] or macro[2]), path, at, arguments)
        elif name.endswith(("_DECLARE", "_param_cb", "_call", "setup", "early_param", "setup_param")) or "FIXUP" in name:
            self.unknown.setdefault(name, (f"{name}() runs code of this object without a device", path, self._texts.line(path, at)))

    def follow(self) -> None:
        """Follows the initcalls through the functions of the object."""
        while self.waiting or self._through_pointers():
            path, function = self.waiting.pop(0)
            if (place := self._place(function, path)) in self._seen:
                continue
            self._seen.add(place)
            if len(self._seen) > _MOST_FUNCTIONS:
                self.unknown.setdefault("", (f"its initcalls call more than {_MOST_FUNCTIONS} functions of the object", path, 1))
                break
            if not place[0]:
                self.unknown.setdefault(function, (f"its initcalls call {function}(), which was not found in the object", path, 1))
                continue
            for begin, end in bodies(self._texts, *place):
                self._function(place[0], begin, end, function)

    @functools.cached_property
    def _functions(self) -> dict[str, tuple[str, int, int]]:
        """Where each function of the members is defined, by the first file that does. A dictionary, since large objects have many."""
        places: dict[str, tuple[str, int, int]] = {}
        for path in self._members:
            for name, body in functions(self._texts, path).items():
                places.setdefault(name, (path, *body))
        return places

    def _defined(self, function: str, path: str) -> tuple[str, int, int] | None:
        """Where a function that a file of the object calls is defined in the object."""
        place = defined(self._texts, function, (path,)) or self._functions.get(function)
        return place or defined(self._texts, function, _others(self._texts, function, self._all_files))

    def _place(self, function: str, path: str) -> tuple[str, str]:
        """The file that defines what a file calls by this name, empty where none of the object does; and the name."""
        place = self._defined(function, path)
        return (place[0] if place else "", function)

    def _function(self, path: str, begin: int, end: int, function: str) -> None:
        text = self._texts.get(path) or ""
        left = left_without_node(self._texts, path, (begin, end), self._nodes)
        if left >= 0:
            self._registers("no node", path, left)
            end = left
        head = max(text.rfind(f"{function}(", 0, begin), 0)
        local = self._assigned(path, head, begin, end, function)
        registered, prepared = list[tuple[int, int]](), list[tuple[int, int]]()  # calls: what is given is for a bus, or for a work
        for call in _CALL.finditer(text, begin, end):
            name = call[1]
            if name in NOT_CALLED_AT_START:
                continue
            if (place := self._place(name, path))[0]:
                if place not in self._given and self._gives(path, call, local):
                    self._given.add(place)
                    self._seen.discard(place)  # read again, now with these arguments
                self.waiting.append((path, name))
                continue
            if header := self._header(name, path):
                self._of_header(name, header, path, call.start(), 0)
            after_call, span = text[call.end() : call.end() + _NEAR], (call.start(), closing(text, call.end() - 1))
            gives = self._gives(path, call, local)
            is_known = self._is_known(name, path, call.start(), after_call, gives)
            if STORING.fullmatch(name):
                is_known = not gives or is_own_store(self._texts, (path, *self._members), name, after_call, (head, end))
            elif PREPARING.fullmatch(name):
                is_known = not gives or is_of_own(self._texts, path, after_call)
                prepared.append(span)
            elif AT_ONCE.fullmatch(name):
                self._by_pointer = True
            elif is_known and not self._texts.macro(path, name):
                registered.append(span)
            if not is_known and self._hands_out(path, call, local):
                self.calls.setdefault(name, (name, path, self._texts.line(path, call.start())))
        self._by_pointer = self._by_pointer or calls_by_pointer(text, head, begin, end)
        for word in NAMES.finditer(text, begin, end):
            if self._texts.macro(path, word[0]):
                self._of_header(word[0], path, path, word.start(), 0)
            if not any(first < word.start() < last for first, last in registered):
                self._mention(path, text, word, is_prepared=any(first < word.start() < last for first, last in prepared))

    def _mention(self, path: str, text: str, word: re.Match[str], *, is_prepared: bool = False) -> None:
        """Follows a function whose address is taken. Variables, and what a work is prepared with, wait for a call through a pointer."""
        if text[max(0, word.start() - 1) : word.start()] in (".", ">"):
            return  # a member
        self._words.add(word[0])
        if text[word.end() : word.end() + _NEAR].lstrip().startswith("("):
            self._called.add(word[0])
        elif not is_prepared and self._is_function(path, word[0]):
            self.waiting.append((path, word[0]))

    def _through_pointers(self) -> bool:
        """Takes in the functions of variables that were mentioned, where one of them is called, or any pointer; whether there are more."""
        holding = {(path, name) for path in self._members for name in callbacks(self._texts, path)}
        waiting = [key for key in sorted(holding) if key[1] in (self._words if self._by_pointer else self._called)]
        words = self._words if self._by_pointer else set[str]()
        named = [(path, name) for path in self._members for name in functions(self._texts, path) if name in words]
        seen = set(waiting)
        while waiting:
            path, variable = waiting.pop()
            for word in initialisers(self._texts, path)[variable]:
                if (path, word) not in holding and self._defined(word, path) is not None:
                    named.append((path, word))
                elif (path, word) in holding - seen:
                    seen.add((path, word))
                    waiting.append((path, word))
        self.waiting = [(path, name) for path, name in named if self._place(name, path) not in self._seen]
        return bool(self.waiting)

    def _assigned(self, path: str, head: int, begin: int, end: int, function: str) -> set[str]:
        """Records assignments of callbacks to data of others; gives the local variables and parameters that hold a callback."""
        text, local = self._texts.get(path) or "", set[str]()
        if (path, function) in self._given:
            local |= {*NAMES.findall(text, head, begin)} - {function}
        for assigned in ASSIGNED.finditer(text, begin, end):
            if _TABLE.search(assigned[1]):
                question = f"its initcall sets {' '.join(assigned[1].split())}"
                self.unknown.setdefault(question, (question, path, self._texts.line(path, assigned.start())))
            elif assigned[1] == ")" and (pointer := DECLARATOR.search(text, max(begin, assigned.start() - _NEAR), assigned.start())):
                local.add(pointer[1])
            elif address := self._given_away(path, assigned, (head, end), local):
                if _DECLARED.search(text, max(begin, assigned.start() - _NEAR), assigned.start()):
                    local.update((assigned[1].strip("* "), *_NAMED.findall(assigned[2])))
                    continue
                question = f"an initcall assigns {address} to {' '.join(assigned[1].split())}"
                self.unknown.setdefault(question, (question, path, self._texts.line(path, assigned.start())))
        return local

    def _is_known(self, name: str, path: str, offset: int, after_call: str, gives: bool) -> bool:
        """Whether a function registers with a bus, which is recorded, or never calls back. `gives` is whether it is given a callback."""
        bus = bus_of(name)
        if bus in BUSES:
            self._registers(bus, path, offset, after_call)
        elif name in OF_FILES:
            return FILES.search(self._texts.get(path) or "") is None
        elif HARMLESS.fullmatch(name) is None or (gives and is_elsewhere(self._texts, name)):
            if bus:
                self.calls.setdefault(name, (name, path, self._texts.line(path, offset)))
            return bool(bus)
        return True

    def _header(self, name: str, path: str) -> str:
        """A header nearby that defines the function or macro; empty where there is none, or the file defines the macro itself."""
        if HARMLESS.fullmatch(name) or bus_of(name):
            return ""
        if self._texts.macro(path, name):
            return ""  # macros of the file itself are read at each use
        near, included = "/".join(path.split("/")[:-1][:_NEAR_FOLDERS]), self._texts.raw(path) or b""
        headers = (header for header in self._texts.defining(name) if header.endswith(".h") and header.startswith(f"{near}/"))
        return next(
            (
                header
                for header in headers
                if header.rpartition("/")[0] == path.rpartition("/")[0] or header.rpartition("/")[2].encode() in included
            ),
            "",
        )

    def _of_header(self, name: str, header: str, path: str, offset: int, depth: int) -> None:
        """Reads an inline function or a macro of a header that a file uses at `offset`."""
        if defined(self._texts, name, (header,)) is not None:
            self.waiting.append((header, name))
            return
        for _, body in self._texts.macro(header, name):
            self._by_pointer = self._by_pointer or calls_by_pointer(body, 0, 0, len(body))
            for word in NAMES.finditer(body):
                self._mention(path, body, word)
            for call in _CALL.finditer(body):
                inner = call[1]
                if inner in NOT_CALLED_AT_START or inner == name:
                    continue
                if self._defined(inner, path) is not None:
                    self.waiting.append((path, inner))
                elif depth < _MOST_MACROS and (further := self._header(inner, header) or self._header(inner, path)):
                    self._of_header(inner, further, path, offset, depth + 1)
                elif not self._is_known(inner, path, offset, body[call.end() :], "&" in body) and (HANDING.fullmatch(inner) or "&" in body):
                    self.calls.setdefault(inner, (inner, path, self._texts.line(path, offset)))

    def _given_away(self, path: str, assigned: re.Match[str], body: tuple[int, int], local: set[str]) -> str:
        """The function, or variable that may hold one, whose address an assignment stores in data of others; empty where none."""
        text, own = self._texts.get(path) or "", own_variables(self._texts, path)
        root = _IN_OWN.fullmatch(assigned[1])
        is_chain = "{" not in assigned[2] and ASSIGNED.search(assigned[2]) is not None
        if root is not None and root[1] in own and (not root[2] or own[root[1]]) and not is_chain:
            before = text[max(body[0], assigned.start() - _NEAR) : assigned.start()].rstrip()
            if not _BEHIND.search(before) and not declares(text, *body, root[1]):
                return ""
        value, variables = INNER_CALL.sub(" ", assigned[2]), holders(self._texts, path)
        for word in ALONE.findall(value):
            if word in local or word in variables or self._is_function(path, word):
                return str(word)
        more = address_in(self._texts, path, assigned[2])
        if more and root is not None and not root[2] and root[0] == root[1] and declares(text, *body, root[1]):
            local.add(root[1])
            return ""
        return more

    def _is_function(self, path: str, word: str) -> bool:
        """Whether a file names a function of the object by this word."""
        if word in functions(self._texts, path):
            return True
        others = [self._functions[word][0]] if word in self._functions else _others(self._texts, word, self._all_files)
        return any(word in shared_functions(self._texts, other) for other in others)

    def _hands_out(self, path: str, call: re.Match[str], local: set[str]) -> bool:
        """Whether a call may give other code a callback: by its name, or by an address in the arguments, perhaps in a `local` variable."""
        return HANDING.fullmatch(call[1]) is not None or self._gives(path, call, local)

    def _gives(self, path: str, call: re.Match[str], local: set[str]) -> bool:
        """Whether such an address is among the arguments of a call."""
        text = self._texts.get(path) or ""
        end = closing(text, call.end() - 1)
        if end < 0:
            return True  # the end of the structure was not found, so its arguments are not known
        # calls among the arguments are read on their own
        arguments = INNER_CALL.sub(" ", _STRING.sub(" ", text[call.end() : end]))
        variables, values = holders(self._texts, path), passed_by_value(self._texts, path)
        for match in _ADDRESS.finditer(arguments):
            word = match[1] or match[2]
            if word in local or (match[1] and word in variables) or word in values:
                return True
            if self._is_function(path, word) or any(
                self._is_function(path, name) for name in initialisers(self._texts, path).get(word, ())
            ):
                return True
        return bool(address_in(self._texts, path, text[call.end() : end]))


def initial(texts: Texts, members: Sequence[str]) -> list[tuple[str, str]]:
    """The initcalls of an object, each with its file."""
    initcalls = []
    for path in members:
        for statement in _START.finditer(texts.get(path) or ""):
            if _INITCALL.match(statement[1]) and not statement[2].startswith("void") and "{" not in statement[2]:
                initcalls.append((path, statement[2].split(",")[0].strip()))
        initcalls += [(path, FIRST)] * bool(defined(texts, FIRST, (path,)))
    return initcalls


def _others(texts: Texts, name: str, all_files: Sequence[str]) -> list[str]:
    """The first files of a large object that define a function."""
    with_name = set(texts.defining(name)) if all_files and name not in NOT_CALLED_AT_START else set()
    return [path for path in all_files if path in with_name][:4]
