"""Option tests: the code of a function that runs only under a condition on options, as in `if (IS_ENABLED(CONFIG_X))`.

The compiler drops the dead arm.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator

import msgspec

from hook import lazy_re
from hook.c.brackets import BRACES, PARENTHESES
from hook.c.definitions import Definition
from hook.kernel.kconfig.expressions import Condition, negated, open_parts, taken_to_hold

# bounds on what a file that was written to be slow can cost
_MOST_TESTS = 100  # of one function
_LONGEST_CONDITION = 2000  # bytes of an `if (…)`
_LONGEST_STATEMENT = 16 << 10  # bytes of what it decides on
_IF = lazy_re.compile(rb"\bif\s*\(")
_OPTION = lazy_re.compile(rb"CONFIG_")
_RETURN = lazy_re.compile(rb"\{?\s*return\b[^;{}]*;\s*\}?\s*")
_ELSE = lazy_re.compile(rb"\s*+else\b")
_BLANKS = lazy_re.compile(rb"\s*+")
_BRACE, _STATEMENT_MARK = lazy_re.compile(rb"[{}]"), lazy_re.compile(rb"[(){};]")


class Arm(msgspec.Struct, frozen=True):
    """Offsets between which a condition holds, and the line that says so."""

    begin: int
    end: int
    condition: Condition
    line: int
    text: str


def arms(code: bytes, function: Definition, condition_of: Callable[[str], Condition]) -> Iterator[Arm]:
    """The arms of a function's `if (IS_ENABLED(…))`, and the rest of a block after an arm that returns."""
    body, end = function.body
    for match in itertools.islice(_tests(code, body, end), _MOST_TESTS):
        closed = PARENTHESES.closing(code, match.end() - 1, min(end + 1, match.end() + _LONGEST_CONDITION))
        text = code[match.end() : closed]
        if closed < 0 or b"CONFIG_" not in text:
            continue
        words = " ".join(text.decode("utf-8", "replace").split())
        condition = condition_of(words)
        line = code.count(b"\n", 0, match.start()) + 1
        then = _statement(code, closed + 1, end)
        yield Arm(*then, taken_to_hold(condition), line, f"if ({words})"[:120])
        if open_parts(condition):
            continue
        otherwise = _ELSE.match(code, then[1])
        if otherwise:
            yield Arm(*_statement(code, otherwise.end(), end), negated(condition), line, f"else of if ({words})"[:120])
        elif _RETURN.fullmatch(code, then[0], then[1]):
            yield Arm(then[1], _end_of_block(code, then[1], end), negated(condition), line, f"after if ({words}) return"[:120])


def _tests(code: bytes, begin: int, end: int) -> Iterator[re.Match[bytes]]:
    """Each `if (` of a function whose condition may test an option."""
    last = -1
    for option in _OPTION.finditer(code, begin, end):
        earliest = max(begin, option.start() - _LONGEST_CONDITION)
        earliest = max(earliest, last + 1, *(code.rfind(mark, earliest, option.start()) for mark in (b";", b"{", b"}")))
        for match in _IF.finditer(code, earliest, option.start()):
            last = match.start()
            yield match


def _statement(code: bytes, start: int, end: int) -> tuple[int, int]:
    """The offsets of the statement that begins at or after `start`; of a statement past the limit, an empty range."""
    begin = _BLANKS.match(code, start, end).end()  # type: ignore[union-attr]
    most = min(end + 1, begin + _LONGEST_STATEMENT)
    if code[begin : begin + 1] == b"{":
        closed = BRACES.closing(code, begin, most)
        return begin, closed + 1 if closed >= 0 else begin
    depth = 0
    for match in _STATEMENT_MARK.finditer(code, begin, most):
        if match[0] in b"({":
            depth += 1
        elif match[0] in b")}":
            depth -= 1
            if depth == 0 and match[0] == b"}":
                return begin, match.end()
        elif depth == 0:
            return begin, match.end()
    return begin, begin


def _end_of_block(code: bytes, start: int, end: int) -> int:
    """The offset after the brace that closes the block around `start`, or after `end`."""
    depth = 0
    for match in _BRACE.finditer(code, start, min(end, start + _LONGEST_STATEMENT)):
        depth += 1 if match[0] == b"{" else -1
        if depth < 0:
            return match.end()
    return end + 1
