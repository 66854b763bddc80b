"""Call conditions: the weight of the conditions between the start of a function and each of its calls.

Told by the statements around a call: no value is followed. What is called only where something failed is not counted as called.
"""

from __future__ import annotations

from hook.c.body import Body, is_name
from hook.c.keywords import STATEMENTS

# what a statement around a call adds
IF = 2
LOOP = 1  # it mostly runs
SWITCH = 5
BEHIND_RETURN = 4  # a label leads there
_MOST_NESTED = 60  # statements in each other; deeper ones are read as if they stood side by side
_LEAVE = (b"return", b"goto", b"break", b"continue")
_LABELS = (b"case", b"default")
_RESULTS = (b"ret", b"err", b"error", b"retval", b"rc", b"res")
_FAILED = ((), (b"<", b"0"), (b"!=", b"0"))
_NOTHING_TO_DO = ((b"return",), (b"return", b"0"), (b"return", b"false"), (b"return", b"NULL"))


def of_body(body: Body) -> dict[bytes, int]:
    """The names that are called in a body, each with what the call of it that depends on least depends on."""
    reader = _Reader(body)
    reader.block(0, len(body.tokens), 0, 0)
    return reader.calls


class _Reader:
    """Reads the statements of one body."""

    def __init__(self, body: Body) -> None:
        self._tokens, self._body = body.tokens, body
        self.calls: dict[bytes, int] = {}
        self._mostly_left = False  # whether the statement just read mostly leaves the block

    def block(self, at: int, end: int, cost: int, nested: int) -> bool:
        """Read the statements from `at` to `end`. Whether the last of them leaves the block."""
        leaves = mostly_left = False
        passed = 0  # since the block is mostly left before it
        while at < end:
            label = self._label(at, end)
            if label:
                cost, leaves, passed = cost + (BEHIND_RETURN if leaves and self._tokens[at] not in _LABELS else 0), False, 0
                at = label
                continue
            self._mostly_left = False
            at, leaves = self._statement(at, end, cost + passed, nested)
            mostly_left = self._mostly_left
            passed = BEHIND_RETURN if mostly_left else passed
        self._mostly_left = mostly_left
        return leaves

    def _label(self, at: int, end: int) -> int:
        """Behind the label that stands here; 0 where there is none."""
        if self._tokens[at] in _LABELS:
            while at < end and self._tokens[at] != b":":
                at += 1
            return at + 1
        return at + 2 if is_name(self._tokens[at]) and self._body.after(at) == b":" else 0

    def _statement(self, at: int, end: int, cost: int, nested: int) -> tuple[int, bool]:
        """Read one statement: what is behind it, and whether it leaves the block around it."""
        token = self._tokens[at]
        closing = min(self._body.partner.get(at, end), end)
        if token == b"{":
            return closing + 1, nested < _MOST_NESTED and self.block(at + 1, closing, cost, nested + 1)
        if token == b"do" and at + 1 < end and nested < _MOST_NESTED:
            at, _ = self._statement(at + 1, end, cost, nested + 1)
        elif self._is_head(at, end):
            return self._controlled(at, end, cost, nested)
        behind = self._end_of_expression(at, end)
        self._expression(at, behind, cost)
        return behind + 1, token in _LEAVE

    def _is_head(self, at: int, end: int) -> bool:
        """Whether a statement follows the parentheses behind this name: of `if`, of a loop, or of a macro that stands for one."""
        if self._body.after(at) != b"(" or at + 1 not in self._body.partner:
            return False
        token, behind = self._tokens[at], self._body.partner[at + 1] + 1
        if token in (b"if", b"while", b"for", b"switch"):
            return behind < end and not (token == b"while" and self._tokens[behind] == b";")
        return is_name(token) and token not in STATEMENTS and behind < end and (self._tokens[behind] == b"{" or b"for_each" in token)

    def _controlled(self, at: int, end: int, cost: int, nested: int) -> tuple[int, bool]:
        token, closing = self._tokens[at], self._body.partner[at + 1]
        self._expression(at, closing, cost)
        if nested >= _MOST_NESTED:
            return closing + 1, False
        if token != b"if":
            more = SWITCH if token == b"switch" else LOOP
            at, _ = self._statement(closing + 1, end, cost + more, nested + 1)
            self._mostly_left = False
            return at, False
        condition = self._tokens[at + 2 : closing]
        is_failure, is_success = _outcome(condition)
        known = dict(self.calls) if is_failure else {}
        at, leaves = self._statement(closing + 1, end, cost + (0 if is_success else IF), nested + 1)
        done = tuple(token for token in self._tokens[closing + 1 : at] if token not in (b"{", b";", b"}"))
        mostly_left = (is_success and (leaves or self._mostly_left)) or (done in _NOTHING_TO_DO and _are_same(condition))
        if is_failure:
            self.calls = known  # what is called only where something failed is not
        if at < end and self._tokens[at] == b"else" and at + 1 < end:
            at, other = self._statement(at + 1, end, cost + (0 if is_failure else IF), nested + 1)
            leaves = leaves and other
        else:
            leaves = False
        self._mostly_left = mostly_left
        return at, leaves

    def _end_of_expression(self, at: int, end: int) -> int:
        """The semicolon that ends the statement here."""
        while at < end and self._tokens[at] != b";":
            at = max(at, self._body.partner.get(at, at)) + 1
        return min(at, end)

    def _expression(self, at: int, end: int, cost: int) -> None:
        for opening in range(at + 1, end):
            name = self._body.called(opening)
            if name and cost < self.calls.get(name, cost + 1):
                self.calls[name] = cost


def _outcome(condition: tuple[bytes, ...]) -> tuple[bool, bool]:
    """Whether a condition mostly holds where something failed, and whether it mostly holds."""
    if any(token.endswith(b"_and_test") for token in condition):
        return False, False  # the last reference is put: somebody has it
    if any(b"unlikely" in token or token.startswith((b"IS_ERR", b"WARN_ON", b"BUG_ON")) for token in condition):
        return True, False
    if condition[:1] and condition[0] in _RESULTS and condition[1:] in _FAILED:
        return True, False
    return False, b"likely" in condition or (len(condition) == 2 and condition[0] == b"!" and condition[1] in _RESULTS)


def _are_same(condition: tuple[bytes, ...]) -> bool:
    """Whether a condition says that two values are the same, neither of them none: mostly they are, where there is nothing to do then."""
    return b"==" in condition and b"NULL" not in condition and b"0" not in condition
