"""Certain values: what the expressions of a function are certain to be, where it runs for a device that nothing describes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from hook import lazy_re
from hook.c.brackets import closing, elements
from hook.evidence.reach.devices.probes.device_getters import GETTERS, Known, Value
from hook.kernel.held_addresses import NAMES

PATH = r"[A-Za-z_]\w*(?:(?:->|\.)\w+)*"
_ASSIGNMENT = lazy_re.compile(rf"(?:[A-Za-z_][\w\s]*?[\s*]\**)?({PATH})\s*=(?!=)(.*)\Z", re.DOTALL)
_CALLED = lazy_re.compile(r"([A-Za-z_]\w*)\((.*)\)\Z", re.DOTALL)
_CHANGED = r"(?:&\s*|\+\+\s*|--\s*){name}\b(?!\s*(?:->|\.|\[))|(?<![\w.>]){name}\s*(?:(?:[-+*/|&^%]|<<|>>)?=(?!=)|\+\+|--)"
_TEST = lazy_re.compile(r"(.*?)(<=|>=|==|!=|<|>)(0|NULL)\Z")
_ASSIGNS = lazy_re.compile(r"\A[^()]*[^()=!<>]=(?!=)")  # outside of brackets
_ERROR = lazy_re.compile(r"-E[A-Z0-9]+\Z")
# calls that change nothing of the driver's own
_HARMLESS = lazy_re.compile(
    r"\b(?:dev_(?:err|warn|info|dbg)\w*|pr_\w+|(?:of_node|fwnode_handle)_put|PTR_ERR|IS_ERR\w*|dev_name|if|return|sizeof)\s*\("
)
_ANY_CALL = lazy_re.compile(r"\w\s*\(")
_LACKED = {"of_node": "a node", "fwnode": "a node", "platform_data": "platform data"}  # by the member of the device


class CertainValues:
    """The certain values at one place of a function.

    `called` says how a function of the object fails, if it is certain to; `is_shared` whether other functions may change a name, too.
    """

    def __init__(self, called: Callable[[str, Sequence[str], CertainValues], Known | None], is_shared: Callable[[str], bool]) -> None:
        self._called, self._is_shared = called, is_shared
        self._clients: set[str] = set()  # expressions that are the i2c_client or spi_device
        self._devices: set[str] = set()  # those that are its struct device
        self._values: dict[str, Known] = {}

    def copy(self) -> CertainValues:
        """The same, to go on from here in another way."""
        other = CertainValues(self._called, self._is_shared)
        other._clients, other._devices, other._values = set(self._clients), set(self._devices), dict(self._values)
        return other

    def keep(self, other: CertainValues) -> None:
        """Keeps only what another place has, too."""
        self._clients &= other._clients
        self._devices &= other._devices
        self._values = {name: value for name, value in self._values.items() if other._values.get(name) == value}

    def add_client(self, name: str) -> None:
        """Takes in the parameter of a probe."""
        self._clients.add(name)

    def take(self, parameter: str, argument: str, caller: CertainValues) -> None:
        """Takes in an argument of a call."""
        argument = plain(argument)
        if caller._is_device(argument):
            self._devices.add(parameter)
        if argument in caller._clients:
            self._clients.add(parameter)
        value = caller.value(argument)
        if value is not None:
            self._values[parameter] = value
        for prefix in (f"{argument}->", f"{argument[1:]}." if argument.startswith("&") else ""):
            for of_caller, own in ((caller._devices, self._devices), (caller._clients, self._clients)) if prefix else ():
                own |= {f"{parameter}->{one[len(prefix) :]}" for one in of_caller if one.startswith(prefix)}

    def forget_changed(self, text: str) -> None:
        """Forgets what a text may change."""
        calls = _ANY_CALL.search(_HARMLESS.sub(" ", text)) is not None
        for name in {*self._values, *self._devices, *self._clients}:
            is_member = not name.isidentifier()
            if re.search(_CHANGED.format(name=re.escape(name)), text) or (is_member and name in self._values and calls):
                self._forget(name)

    def forget_assigned(self, text: str) -> None:
        """Forgets what a text assigns, or gives the address of."""
        for name in {*self._values, *self._devices, *self._clients}:
            if changes(text, name):
                self._forget(name)

    def _forget_others(self, member: str) -> None:
        """Forgets a member of every structure: two pointers may be to one."""
        for name in {*self._values, *self._devices, *self._clients}:
            if re.search(rf"(?:->|\.){member}\b", name):
                self._forget(name)

    def _forget(self, name: str) -> None:
        for kept in (self._values, self._devices, self._clients):
            for key in [key for key in kept if key == name or key.startswith((f"{name}->", f"{name}."))]:
                kept.pop(key) if isinstance(kept, dict) else kept.discard(key)

    def assign(self, statement: str) -> None:
        """Takes in a declaration or an expression."""
        for part, _ in elements(statement):
            assigned = _ASSIGNMENT.match(part.strip())
            target, right = (assigned[1], plain(assigned[2])) if assigned else ("", "")
            value = self.value(right) if right else None
            is_device, is_client = bool(right) and self._is_device(right), right in self._clients
            self.forget_changed(part)
            if target:
                self._forget(target)
                if not target.isidentifier():
                    self._forget_others(NAMES.findall(target)[-1])
                if self._is_shared(NAMES.findall(target)[0]):
                    continue
            if value is not None:
                self._values[target] = value
            elif is_device:
                self._devices.add(target)
            elif is_client:
                self._clients.add(target)

    def _is_device(self, expression: str) -> bool:
        return expression in self._devices or any(expression == f"&{client}->dev" for client in self._clients)

    def value(self, expression: str) -> Known | None:
        """What an expression without blanks is certain to be."""
        if expression in self._values:
            return self._values[expression]
        if _ERROR.match(expression):
            return Known(Value.NEGATIVE, "")
        if lacked := self._lacked(expression):
            return Known(Value.NOTHING, lacked)
        called = _CALLED.match(expression)
        if called is None or closing(expression, len(called[1])) != len(expression) - 1:
            return None
        return self._of_call(called[1], [plain(argument) for argument, _ in elements(called[2])])

    def _lacked(self, expression: str) -> str:
        """What the device lacks, where an expression is that; empty where it is not."""
        if any(expression == f"{client}->irq" for client in self._clients):
            return "an interrupt"
        for owner in (*(f"{device}->" for device in self._devices), *(f"{client}->dev." for client in self._clients)):
            if expression.startswith(owner):
                return _LACKED.get(expression[len(owner) :], "")
        return ""

    def _of_call(self, name: str, arguments: list[str]) -> Known | None:
        failed = self._called(name, arguments, self)
        if failed is not None or not arguments:
            return None if failed is None or failed.value is Value.UNKNOWN else failed
        first = arguments[0]
        if name == "PTR_ERR":
            value = self.value(first)
            return Known(Value.NEGATIVE, value.requirement, value.parts) if value is not None and value.value is Value.ERROR else None
        if name == "dev_err_probe" and len(arguments) > 1:
            value = self.value(arguments[1])
            return value if value is not None and value.value in (Value.NEGATIVE, Value.FAILED) else None
        if name in ("dev_get_platdata", "dev_of_node", "dev_fwnode") and self._is_device(first):
            return Known(Value.NOTHING, "platform data" if name == "dev_get_platdata" else "a node")
        if name in ("of_node_get", "of_fwnode_handle", "fwnode_handle_get"):
            return self._node(first)
        given = GETTERS.get(name.removeprefix("devm_"))
        if given is None or given.argument >= len(arguments):
            return None
        asked = arguments[given.argument]
        is_met = self._node(asked) is not None if given.of_node else self._is_device(asked)
        return Known(given.value, f"{given.what} ({name}())") if is_met else None

    def _node(self, expression: str) -> Known | None:
        """The node of the device, which is none."""
        value = self.value(expression)
        return value if value is not None and value.value is Value.NOTHING and value.requirement == "a node" else None

    def truth(self, condition: str) -> tuple[bool | None, Known | None]:
        """Whether a condition is certain to hold, or not to; and the value that says so."""
        condition = plain(condition)
        if any(next(iter(_parts(condition, mark))) != condition for mark in ("?", ",")) or _ASSIGNS.search(condition):
            return None, None
        for operator, decides in (("||", True), ("&&", False)):
            parts = list(_parts(condition, operator))
            if len(parts) > 1:
                truths = [self.truth(part) for part in parts]
                deciding = next((truth for truth in truths if truth[0] is decides), None)
                if deciding is not None:
                    return deciding
                return (not decides, truths[0][1]) if all(truth is not None for truth, _ in truths) else (None, None)
        for called in ("IS_ERR", "IS_ERR_OR_NULL"):
            if condition.startswith(f"{called}(") and closing(condition, len(called)) == len(condition) - 1:
                value = self.value(condition[len(called) + 1 : -1])
                if value is None or value.value not in (Value.ERROR, Value.NOTHING):
                    return None, None
                return value.value is Value.ERROR or called == "IS_ERR_OR_NULL", value
        is_negated = condition.startswith("!")
        value = self.value(condition[is_negated:])
        if value is not None:
            return (value.value is Value.NOTHING) is is_negated, value
        test = _TEST.match(condition)
        value = self.value(test[1]) if test else None
        if test is None or value is None or value.value is Value.ERROR:
            return None, None
        if value.value is Value.FAILED:
            return {"==": False, "!=": True}.get(test[2]), value
        sign = 0 if value.value is Value.NOTHING else -1
        return {"<": sign < 0, "<=": True, "==": sign == 0, "!=": sign != 0, ">": False, ">=": sign == 0}[test[2]], value


def is_error_number(expression: str) -> bool:
    """Whether an expression is written as an error, such as -EINVAL."""
    return _ERROR.match(expression) is not None


def changes(text: str, name: str) -> bool:
    """Whether a text may change a variable."""
    return re.search(_CHANGED.format(name=re.escape(name)), text) is not None


def plain(expression: str) -> str:
    """An expression without blanks, and without brackets or a hint round all of it."""
    expression = re.sub(r"\s+", "", expression)
    for opening in ("(", "unlikely(", "likely("):
        if expression.startswith(opening) and closing(expression, len(opening) - 1) == len(expression) - 1:
            return plain(expression[len(opening) : -1])
    return expression


def _parts(condition: str, operator: str) -> Iterator[str]:
    """The parts of a condition between an operator outside of brackets."""
    depth = begin = at = 0
    while at < len(condition):
        if condition[at] in "([{":
            depth += 1
        elif condition[at] in ")]}":
            depth -= 1
        elif depth == 0 and condition.startswith(operator, at):
            yield condition[begin:at]
            at = begin = at + len(operator)
            continue
        at += 1
    yield condition[begin:]
