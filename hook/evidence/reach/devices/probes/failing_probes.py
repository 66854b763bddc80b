"""Failing probes: probes that return an error for every device that user space has made, and what they run until then.

Such a device (new_device of an I2C adapter, a device of an emulated SPI adapter) has no node, no platform data and no interrupt, and no
table of a board names it. A probe is read statement by statement, as it runs for such a device. It fails if it is certain to get to an
error: every statement before that only leaves the function with an error, too. What is not understood (a jump backwards, a preprocessor
directive, a return of anything that is not known) ends the reading, and the probe is not known to fail.

The ways that are excluded: an object that gives the device what it lacks (a node, a lookup table, an interrupt of its own); an interrupt
that is requested without a test, since line 0 may be free; a name that the object or one of its headers defines itself; a macro of theirs
that does more than give a value; a function of another file that assigns an interrupt or a node to some device; and what
hook.evidence.reach.devices.probes.device_getters leaves out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import closing, elements
from hook.c.definitions import Definition, DefinitionKind
from hook.evidence.reach.devices.probes.certain_values import PATH, CertainValues, changes, is_error_number, plain
from hook.evidence.reach.devices.probes.device_getters import GETTERS, Known, RunningPart, Value
from hook.evidence.reach.devices.probes.statements import HEAD, body_end, statement_end
from hook.kernel.held_addresses import NAMES
from hook.kernel.texts import Texts

_MOST_LEVELS = 4  # of functions that call each other
_MOST_STATEMENTS = 200  # of a function
_IF = lazy_re.compile(r"\bif\s*\(")
_DIRECTIVE = lazy_re.compile(r"(?m)^[ \t]*#")
_LEAVING = lazy_re.compile(r"\b(?:return|goto)\b")
# of the body of a macro: what may leave the function, or change something
_ACTS = lazy_re.compile(r"\b(?:return|goto|break|continue|asm)\b|[{;#]|(?<![=!<>])=(?!=)|\+\+|--")
_ADDRESS = lazy_re.compile(r"(?<!&)&(?!&)")
_CALL = lazy_re.compile(r"\b([A-Za-z_]\w*)\s*\(")
# files whose functions give a device nothing but by the calls of _GIVING
_CORE = lazy_re.compile(r"(?:kernel|lib|mm|arch|drivers/(?:base|of|acpi))/|drivers/(?:i2c/i2c-core|spi/spi\.c|gpio/gpiolib)")
_TESTED = lazy_re.compile(rf"({PATH})(?:(<|!=)0)?\Z")
_CONDITIONAL = lazy_re.compile(r"(?:\)|\b(?:else|do))\s*\Z")  # the text before a statement without a block
_CHOSEN = lazy_re.compile(r"(\w+)<0\?\1:(-E[A-Z0-9]+)\Z")
_ON_BUS = lazy_re.compile(r"\bstruct\s+(?:i2c_client|spi_device)\s*\*\s*(?:const\s+)?(\w+)")
# calls and assignments by which an object may give the device what it lacks
_GIVING = lazy_re.compile(
    r"\b(?:device_set_node|set_(?:primary|secondary)_fwnode|device_add_software_node|device_create_managed_software_node|device_add_properties"
    r"|device_set_of_node_from_dev|ACPI_COMPANION_SET|gpiod_add_\w+|pwm_add_table|reset_controller_add_lookup|phy_create_lookup"
    r"|nvmem_add_cell_lookups|acpi_bind_one)\s*\(|(?:\bdev->|->dev\.|->dev->)(?:of_node|fwnode|platform_data)\s*=(?!=)"
)
_OF_DEVICE = lazy_re.compile(r"\bstruct\s+device\s*\*\s*(?:const\s+)?(\w+)")


class FailingProbe(msgspec.Struct, frozen=True):
    """A probe that fails."""

    requirement: str  # "a GPIO line"
    path: str
    line: int
    parts: tuple[RunningPart, ...]  # of the probe, and of the functions that fail for it; the innermost first


class _Leaves(Exception):
    """What follows is not certain to run, or is not understood."""


def failing_probe(texts: Texts, probe: str, members: Sequence[str]) -> FailingProbe | None:
    """How a probe of an I2C or SPI driver fails; None where it is not certain to."""

    def read() -> FailingProbe | None:
        if any(_gives(texts.get(file) or "") for path in members for file in (path, *texts.local_headers(path))):
            return None
        failed = _ProbeReader(texts, members).fails(probe, None, None, 0)
        if failed is None or not failed.requirement:
            return None
        innermost = failed.parts[0]
        line = texts.line(innermost.path, max(innermost.begin, innermost.end - 1))
        return FailingProbe(failed.requirement, innermost.path, line, failed.parts)

    return texts.once(("failing probe", f"{members[0] if members else ''}:{probe}"), read)


def _gives(text: str) -> bool:
    """Whether a file may give the device what it lacks."""
    forms = [(_ON_BUS, r"\b(?:{names})->irq\s*(?:[-+*/|&^%]|<<|>>)?=(?!=)|(?<!&)&\s*(?:{names})->irq\b")]
    forms.append((_OF_DEVICE, r"\b(?:{names})->(?:of_node|fwnode|platform_data)\s*=(?!=)"))
    for declared, given in forms:
        names = "|".join(sorted(set(declared.findall(text))))
        if names and re.search(given.format(names=names), text):
            return True
    return _GIVING.search(text) is not None


class _ProbeReader:
    """Reads the functions of one probe."""

    def __init__(self, texts: Texts, members: Sequence[str]) -> None:
        self._texts, self._members = texts, tuple(dict.fromkeys(members))
        self._calling: set[str] = set()

    def fails(self, name: str, arguments: Sequence[str] | None, caller: CertainValues | None, level: int) -> Known | None:
        """How a function fails that is called with these arguments (None: as a probe); None where it is not certain to."""
        place = self._definition(name)
        if place is None or name in self._calling or level > _MOST_LEVELS:
            return None
        path, function = place
        text = self._texts.get(path) or ""
        head = text[function.span[0] : function.body[0]]
        opening = head.find("(", function.offset - function.span[0])
        parameters = [NAMES.findall(part)[-1:] for part, _ in elements(head[opening + 1 : closing(head, opening)])] if opening >= 0 else []
        if not re.search(rf"\bint\s+{re.escape(name)}\s*\(", head) or not all(parameters) or not parameters:
            return None
        frame = _Frame(self, text, path, function, level)
        if arguments is None or caller is None:
            frame.values.add_client(parameters[0][0])
        elif len(parameters) != len(arguments):
            return None
        else:
            for (parameter,), argument in zip(parameters, arguments, strict=True):
                frame.values.take(parameter, argument, caller)
        self._calling.add(name)
        try:
            return frame.failure()
        finally:
            self._calling.discard(name)

    def _definition(self, name: str) -> tuple[str, Definition] | None:
        """The one function of this name that the object can mean."""
        if name.removeprefix("devm_") in GETTERS and not any(self._functions(path, name) for path in self._members):
            return None
        if any(self.is_own_macro(path, name) or self._is_stub(path, name) for path in self._members):
            return None
        places = [(path, one) for path in self._members for one in self._functions(path, name)]
        if not places:
            near = self._members[0].rpartition("/")[0] if self._members else ""
            others = self._texts.defining(name)
            beside = len(others) == 1 and others[0].endswith(".c") and others[0].rpartition("/")[0] == near
            is_plain = beside and not _gives(self._texts.get(others[0]) or "")
            places = [(others[0], one) for one in self._functions(others[0], name)] if is_plain else []
        return places[0] if len(places) == 1 and places[0][1].body[1] else None

    def _functions(self, path: str, name: str) -> list[Definition]:
        return [one for one in self._texts.scan(path) if one.name == name and one.kind is DefinitionKind.FUNCTION]

    def _is_stub(self, path: str, name: str) -> bool:
        """Whether a header beside a file has a function of this name, too: under other options that one is called."""
        return any(one.body[1] for header in self._texts.local_headers(path) for one in self._functions(header, name))

    def is_variable(self, name: str) -> bool:
        """Whether the object has a variable of this name outside of functions."""
        files = (file for path in self._members for file in (path, *self._texts.local_headers(path)))
        return any(
            one.name == name and one.kind is DefinitionKind.VARIABLE for file in dict.fromkeys(files) for one in self._texts.scan(file)
        )

    def is_own_macro(self, path: str, name: str) -> bool:
        """Whether a file or a header beside it defines a macro of this name."""
        return any(self._texts.macro(file, name) for file in (path, *self._texts.local_headers(path)))

    def is_understood(self, path: str, statement: str) -> bool:
        """Whether nothing in a statement acts unseen: a macro of the object, or a function elsewhere that gives devices what they lack."""
        headers = self._texts.local_headers(path)
        waiting, seen = NAMES.findall(statement), set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for parameters, body in (macro for file in (path, *headers) for macro in self._texts.macro(file, name)):
                if _ACTS.search(body) or (parameters is not None and _ADDRESS.search(body)):
                    return False
                waiting += NAMES.findall(body)
        for name in dict.fromkeys(_CALL.findall(statement)):
            if name.removeprefix("devm_") in GETTERS or any(self._functions(file, name) for file in (*self._members, *headers)):
                continue
            others = [file for file in self._texts.defining(name) if file.endswith(".c") and not _CORE.match(file)]
            if any(_gives(self._texts.get(file) or "") for file in others):
                return False
        return True

    def is_own(self, path: str, name: str) -> bool:
        """Whether the object has a macro or a function of this name, whatever it is in the rest of the kernel."""
        files = (*self._members, *self._texts.local_headers(path))
        return self.is_own_macro(path, name) or any(self._functions(file, name) for file in files)


class _Frame:
    """One call of a function, followed statement by statement."""

    def __init__(self, reader: _ProbeReader, text: str, path: str, function: Definition, level: int) -> None:
        self._reader, self._text, self._path, self._function, self._level = reader, text, path, function, level
        self.values = CertainValues(self._called, reader.is_variable)
        self._cause: Known | None = None  # what the last certain condition has tested
        self._statements = 0
        self._is_weak = False  # whether it may fail with a number above 0
        self._has_jumped = False  # whether it may have left for a label, which stands behind where it fails

    def _called(self, name: str, arguments: Sequence[str], values: CertainValues) -> Known | None:
        """How a function fails; a getter's name that the object defines itself is unknown, unless that fails."""
        failed = self._reader.fails(name, arguments, values, self._level + 1)
        if failed is None and self._reader.is_own(self._path, name):
            return Known(Value.UNKNOWN, "")
        return failed

    def failure(self) -> Known | None:
        """How the function fails."""
        begin, end = self._function.body
        directive = _DIRECTIVE.search(self._text, begin, end)
        try:
            return self._block(begin + 1, directive.start() if directive else end - 1)
        except _Leaves:
            return None

    def _block(self, at: int, stop: int) -> Known | None:
        """How a list of statements fails; None where it is certain to get to its end. Raises _Leaves."""
        while self._text[at:stop].strip():
            head = HEAD.match(self._text, at)
            word = (head[1] or "") if head else ""
            self._statements += 1
            if (head and (head[2] or head[3])) or word == "else" or self._statements > _MOST_STATEMENTS:
                raise _Leaves
            after = statement_end(self._text, at, word, stop)
            if after < 0 or after > stop or not self._reader.is_understood(self._path, self._text[at:after]):
                raise _Leaves
            failed = self._statement(at, after, word, stop)
            if failed is not None:
                return failed
            at = after
        return None

    def _statement(self, at: int, after: int, word: str, stop: int) -> Known | None:
        statement = self._text[at:after].strip()
        if word == "if":
            return self._if(at, after, stop)
        is_jump = statement.startswith("goto ")
        if word == "return" or is_jump:
            value = self.values.value(
                self._result_at(statement[len("goto") : -1].strip()) if is_jump else plain(statement[len("return") : -1])
            )
            if value is None or value.value not in (Value.NEGATIVE, Value.FAILED):
                raise _Leaves
            return self._failed(value, self._function.body[1] if is_jump else after)
        if word or "{" in statement or _LEAVING.search(statement):  # a loop
            self._only_errors(at, after)
            self.values.forget_changed(statement)
        else:
            self.values.assign(statement[:-1])
        return None

    def _if(self, at: int, after: int, stop: int) -> Known | None:
        opening = self._text.find("(", at)
        ends = closing(self._text, opening)
        self.values.forget_assigned(self._text[opening + 1 : ends])
        is_true, why = self.values.truth(self._text[opening + 1 : ends])
        self.values.forget_changed(self._text[opening + 1 : ends])
        then = body_end(self._text, ends + 1, stop)
        if then < 0:
            raise _Leaves
        otherwise = self._text.find("else", then, after)
        if is_true is None:
            if otherwise >= 0 and (failed := self._both((ends + 1, then), (otherwise + len("else"), after))) is not None:
                return failed
            self._only_errors(at, after)
            self.values.forget_changed(self._text[at:after])
            return None
        if not is_true and otherwise < 0:
            return None
        before, self._cause = self._cause, why or self._cause
        outer = self.values.copy()
        failed = self._body(ends + 1, then) if is_true else self._body(otherwise + len("else"), after)
        self.values.keep(outer)  # a name of the block is another one behind it
        self._cause = before
        return failed

    def _both(self, *bodies: tuple[int, int]) -> Known | None:
        """How the function fails in either of two bodies."""
        outer = self.values
        failures = []
        for begin, end in bodies:
            self.values = outer.copy()
            try:
                failures.append(self._body(begin, end))
            except _Leaves:
                failures.append(None)
        self.values = outer
        if failures[0] is None or failures[1] is None:
            return None
        part = self._part(bodies[1][1])
        return msgspec.structs.replace(failures[0], parts=(part,))

    def _body(self, begin: int, end: int) -> Known | None:
        body = HEAD.match(self._text, begin)
        if body and body[3]:
            begin, end = self._text.find("{", begin) + 1, end - 1
        return self._block(begin, end)

    def _failed(self, value: Known, end: int) -> Known:
        parts, requirement = value.parts, value.requirement
        if self._cause is not None and not requirement:
            parts, requirement = self._cause.parts, self._cause.requirement
        part = self._part(end)
        is_weak = self._is_weak or value.value is Value.FAILED
        return Known(Value.FAILED if is_weak else Value.NEGATIVE, requirement, (*parts, part))

    def _part(self, end: int) -> RunningPart:
        """What runs of the function that fails at a place: with its labels, where it may have left for one."""
        return RunningPart(self._function.name, self._path, self._function.span[0], self._function.body[1] if self._has_jumped else end)

    def _result_at(self, label: str) -> str:
        """The variable that is returned after a label, which what stands there leaves as it is; empty where that is not so."""
        text = self._text[: self._function.body[1] - 1]
        at = re.compile(rf"^[ \t]*{re.escape(label)}\s*:", re.MULTILINE).search(text, self._function.body[0])
        tail = text[at.end() :] if at else ""
        returned = re.search(r"\breturn\s+(\w+)\s*;\s*\Z", tail)
        if returned is None or len(_LEAVING.findall(tail)) > 1 or changes(tail, returned[1]):
            return ""
        return returned[1]

    def _only_errors(self, begin: int, end: int) -> None:
        """Raises _Leaves where a statement may leave the function without an error."""
        for leaving in _LEAVING.finditer(self._text, begin, end):
            stop = self._text.find(";", leaving.start())
            words = self._text[leaving.end() : stop].split()
            is_jump = leaving[0] == "goto"
            result = self._result_at(words[0] if words else "") if is_jump else plain(self._text[leaving.end() : stop])
            self._has_jumped = self._has_jumped or is_jump
            condition, since = self._governing(begin, leaving.start(), end)
            before = self._text[begin : leaving.start()]
            if not result or not self._is_error(result, condition, self._text[since : leaving.start()], before):
                raise _Leaves

    def _governing(self, begin: int, at: int, end: int) -> tuple[str, int]:
        """The innermost condition of a statement under which a place runs, and its end; empty where there is none."""
        for condition in reversed(list(_IF.finditer(self._text, begin, at))):
            closed = closing(self._text, condition.end() - 1)
            if closed < at < body_end(self._text, closed + 1, end):
                return plain(self._text[condition.end() : closed]), closed
        return "", begin

    def _is_error(self, result: str, condition: str, since: str, before: str) -> bool:
        """Whether what is returned under a condition is an error: written so, tested by it and the same `since`, or assigned `before`."""
        if result.startswith("dev_err_probe("):
            given = [plain(argument) for argument, _ in elements(result[len("dev_err_probe(") : -1])]
            result = given[1] if len(given) > 1 else ""
        tested = _TESTED.match(condition)
        if tested is not None and tested[1] == result and not changes(since, result):
            self._is_weak = self._is_weak or tested[2] != "<"
            return True
        if result.startswith("PTR_ERR("):
            return re.search(rf"(?<!!)\bIS_ERR\({re.escape(result[8:-1])}\)", condition) is not None and "||" not in condition
        if is_error_number(result):
            return True
        assigned = list(re.finditer(rf"(?<![\w.>]){re.escape(result)}\s*=(?!=)([^;]*);", before)) if result.isidentifier() else []
        if assigned:
            value = plain(assigned[-1][1])
            if not _is_certain(before, assigned[-1]) or changes(before[assigned[-1].end() :], result):
                return False
            return _CHOSEN.match(value) is not None or (value != result and self._is_error(value, condition, since, ""))
        known = self.values.value(result)
        return known is not None and known.value is Value.NEGATIVE and not changes(before, result)


def _is_certain(text: str, statement: re.Match[str]) -> bool:
    """Whether an assignment has run where the text ends: it is under no condition of its own."""
    if _CONDITIONAL.search(text, 0, statement.start()):
        return False
    depths = itertools.accumulate((mark == "{") - (mark == "}") for mark in text[statement.end() :])
    return min(depths, default=0) >= 0
