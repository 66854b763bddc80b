"""Conditions: expressions over options, as Kconfig, Kbuild and the preprocessor write them.

One form for all three, of plain lists and strings, so that they can be kept as JSON: `"NUMA"` is the value of an option, `"'y"` a constant,
`["&", a, b]`, `["|", a, b]`, `["!", a]` and `["=", a, b]` (also `!=`, `<`, `<=`, `>`, `>=`) what they say, `"#12"` a condition that many
options share, and `["?", text]` what only a compiler or make could evaluate; `["?", text, "nowhere"]` is what nothing was found to ask for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

Condition: TypeAlias = Any  # str | list[Condition]; mypy cannot follow what JSON gives back

YES, MODULE, NO = "'y", "'m", "'n"
COMPARISONS = frozenset(("=", "!=", "<", "<=", ">", ">="))
_DEEPEST = 60  # parentheses and negations inside each other
_MOST_TOKENS = 4000
_TOKEN = re.compile(r"\s*+(\|\||&&|!=|<=|>=|[=<>!()]|\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|[\w$-]++|\S)")
_NAME = re.compile(r"[\w-]+\Z")
_OPPOSITE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


class BadExpression(ValueError):
    """An expression that cannot be read; the sentence says why."""


def parse(text: str) -> Condition:
    """A Kconfig expression, without macros. Raises BadExpression.

    Follows Documentation/kbuild/kconfig-language.rst, "Menu dependencies": comparisons bind tighter than `&&`, `&&` than `||`.
    """
    tokens = _TOKEN.findall(text)
    if not tokens or len(tokens) > _MOST_TOKENS:
        raise BadExpression("an expression without terms" if not tokens else "an expression that is too long")
    condition, at = _either(tokens, 0, 0)
    if at != len(tokens):
        raise BadExpression(f"{tokens[at][:40]!a} where an expression should end")
    return condition


def _either(tokens: list[str], at: int, depth: int) -> tuple[Condition, int]:
    if depth > _DEEPEST:
        raise BadExpression("an expression that is nested too deep")
    terms = []
    while True:
        term, at = _both(tokens, at, depth)
        terms.append(term)
        if at >= len(tokens) or tokens[at] != "||":
            return (terms[0] if len(terms) == 1 else any_of(terms)), at
        at += 1


def _both(tokens: list[str], at: int, depth: int) -> tuple[Condition, int]:
    terms = []
    while True:
        term, at = _term(tokens, at, depth)
        terms.append(term)
        if at >= len(tokens) or tokens[at] != "&&":
            return (terms[0] if len(terms) == 1 else all_of(terms)), at
        at += 1


def _term(tokens: list[str], at: int, depth: int) -> tuple[Condition, int]:
    negations = 0
    while at < len(tokens) and tokens[at] == "!":
        negations += 1
        at += 1
    if at >= len(tokens):
        raise BadExpression("an expression that ends early")
    if tokens[at] == "(":
        found, at = _either(tokens, at + 1, depth + 1)
        if at >= len(tokens) or tokens[at] != ")":
            raise BadExpression("a parenthesis without its end")
        at += 1
    else:
        found = atom(tokens[at])
        at += 1
        if at + 1 < len(tokens) and tokens[at] in COMPARISONS:
            found = [tokens[at], found, atom(tokens[at + 1])]
            at += 2
    return (["!", found] if negations % 2 else found), at


def atom(token: str) -> str:
    """A name or a constant, by the token that stands for it. Raises BadExpression."""
    if token[0] in "\"'":
        return "'" + re.sub(r"\\(.)", r"\1", token[1:-1])
    if token in ("y", "m", "n"):
        return "'" + token
    if not (token.isidentifier() or _NAME.match(token)):
        raise BadExpression(f"{token[:40]!a} where a name should stand")
    return token


def all_of(conditions: Iterable[Condition]) -> Condition:
    """What holds where each of `conditions` does."""
    kept: list[Condition] = []
    for one in conditions:
        if one == YES:
            continue
        if one == NO:
            return NO
        for part in one[1:] if isinstance(one, list) and one[0] == "&" else (one,):
            if part not in kept and not (isinstance(part, list) and part[0] == "|" and any(one in kept for one in part[1:])):
                kept.append(part)
    return YES if not kept else kept[0] if len(kept) == 1 else ["&", *kept]


def both(one: Condition, other: Condition) -> Condition:
    """As `all_of`, for two."""
    if one in (YES, other):
        return other
    return one if other == YES else all_of((one, other))


def any_of(conditions: Iterable[Condition]) -> Condition:
    """What holds where one of `conditions` does."""
    kept: list[Condition] = []
    for one in conditions:
        if one == NO:
            continue
        if one == YES:
            return YES
        for part in one[1:] if isinstance(one, list) and one[0] == "|" else (one,):
            if part not in kept and not (isinstance(part, list) and part[0] == "&" and any(one in kept for one in part[1:])):
                kept.append(part)
    return NO if not kept else kept[0] if len(kept) == 1 else ["|", *kept]


def negated(condition: Condition) -> Condition:
    """What holds where `condition`, which is no tristate but yes or no, does not."""
    if condition in (YES, NO):
        return NO if condition == YES else YES
    if isinstance(condition, list):
        if condition[0] == "!":
            return condition[1]
        if condition[0] in _OPPOSITE:
            return [_OPPOSITE[condition[0]], *condition[1:]]
        if condition[0] == "&":
            return any_of(negated(one) for one in condition[1:])
        if condition[0] == "|":
            return all_of(negated(one) for one in condition[1:])
    return ["!", condition]


def built_in(option: str) -> Condition:
    """That an option is `y`."""
    return ["=", option, YES]


def switched_on(option: str) -> Condition:
    """That an option is `y` or `m`."""
    return ["!=", option, NO]


def left_open(text: str) -> Condition:
    """What nobody but a compiler or make could evaluate."""
    return ["?", text]


def nowhere(text: str) -> Condition:
    """What is left open because nothing was found that asks for it: where there is another way, that one is meant."""
    return ["?", text, "nowhere"]


def names(condition: Condition) -> Iterator[str]:
    """The options that a condition speaks of, each once."""
    seen: dict[str, None] = {}
    waiting = [condition]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            if one[:1] not in ("'", "#", ""):
                seen[one] = None
        elif one[0] != "?":
            waiting += one[1:]
    return iter(seen)


def open_parts(condition: Condition) -> list[str]:
    """The texts in a condition that nobody here can evaluate."""
    seen: dict[str, None] = {}
    waiting = [condition]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            if one[0] == "?":
                seen[one[1]] = None
            else:
                waiting += one[1:]
    return list(seen)


def taken_to_hold(condition: Condition) -> Condition:
    """The condition where everything that cannot be evaluated turns out as it has to: what is left is needed in any case."""
    if not isinstance(condition, list):
        return condition
    if condition[0] == "?":
        return YES
    if condition[0] == "&":
        return all_of(taken_to_hold(one) for one in condition[1:])
    if condition[0] == "|":
        return any_of(taken_to_hold(one) for one in [one for one in condition[1:] if not _leads_nowhere(one)] or condition[1:])
    if condition[0] == "!":
        inner = condition[1]
        if isinstance(inner, list) and inner[0] in ("&", "|", "!"):
            return taken_to_hold(negated(inner))
        return YES if open_parts(inner) else condition
    return YES if open_parts(condition) else condition


def _leads_nowhere(condition: Condition) -> bool:
    """Whether a condition holds only where something does that nothing was found to ask for."""
    if not isinstance(condition, list):
        return False
    if condition[0] == "?":
        return len(condition) > 2
    if condition[0] == "|":
        return all(_leads_nowhere(one) for one in condition[1:])
    return condition[0] == "&" and any(_leads_nowhere(one) for one in condition[1:])


def shown(condition: Condition) -> str:
    """The condition as a person reads it."""
    if isinstance(condition, str):
        return condition[1:] if condition[:1] == "'" else condition
    kind = condition[0]
    if kind == "?":
        return str(condition[1])
    if kind == "!":
        return f"!{_inner(condition[1])}"
    if kind in ("&", "|"):
        return f" {kind}{kind} ".join(_inner(one) for one in condition[1:])
    if condition[2] == YES and kind == "=":
        return shown(condition[1])
    if condition[2] == NO and kind == "!=":
        return shown(condition[1])
    if condition[2] == NO and kind == "=":
        return f"!{shown(condition[1])}"
    return f"{shown(condition[1])}{kind}{shown(condition[2])}"


def _inner(condition: Condition) -> str:
    text = shown(condition)
    return f"({text})" if isinstance(condition, list) and condition[0] in ("&", "|") else text
