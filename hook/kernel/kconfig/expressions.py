"""Conditions: expressions over options, as Kconfig, Kbuild and the preprocessor write them.

One closed set of types for all three, to be used with `match`. In a file each is an array of its tag and its fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal, TypeAlias, cast, get_args

import msgspec

from hook import lazy_re

Comparison = Literal["=", "!=", "<", "<=", ">", ">="]
_COMPARISONS = frozenset(get_args(Comparison))
_DEEPEST = 60  # parentheses and negations inside each other
_MOST_TOKENS = 4000
_TOKEN = lazy_re.compile(r"\s*+(\|\||&&|!=|<=|>=|[=<>!()]|\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'|[\w$-]++|\S)")
_NAME = lazy_re.compile(r"[\w-]+\Z")
_OPPOSITE: dict[Comparison, Comparison] = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


class Symbol(msgspec.Struct, frozen=True, array_like=True, tag="$"):
    """The value of an option."""

    name: str


class Constant(msgspec.Struct, frozen=True, array_like=True, tag="'"):
    """y, m, n, a number or a text."""

    value: str


class SharedCondition(msgspec.Struct, frozen=True, array_like=True, tag="#"):
    """A condition that many options share, by the name under which it is kept (`#12`)."""

    name: str


class Negation(msgspec.Struct, frozen=True, array_like=True, tag="!"):
    """`!operand`."""

    operand: Condition


class Conjunction(msgspec.Struct, frozen=True, array_like=True, tag="&"):
    """`a && b`; at least two parts, none of which is a conjunction."""

    parts: tuple[Condition, ...]


class Disjunction(msgspec.Struct, frozen=True, array_like=True, tag="|"):
    """`a || b`; at least two parts, none of which is a disjunction."""

    parts: tuple[Condition, ...]


class Relation(msgspec.Struct, frozen=True, array_like=True, tag="="):
    """`left = right`, or with another comparison."""

    operator: Comparison
    left: Condition
    right: Condition


class Unevaluated(msgspec.Struct, frozen=True, array_like=True, tag="?"):
    """A condition that only a compiler or make could evaluate."""

    text: str
    nowhere: bool = False  # nothing was found that builds it: of several ways to build, another one is taken


Condition: TypeAlias = Symbol | Constant | SharedCondition | Negation | Conjunction | Disjunction | Relation | Unevaluated
YES, MODULE, NO = Constant("y"), Constant("m"), Constant("n")


class BadExpression(ValueError):
    """An expression that cannot be read; the sentence says why."""


def parse(text: str) -> Condition:
    """A Kconfig expression, without macros. Raises BadExpression.

    Follows Documentation/kbuild/kconfig-language.rst, "Menu dependencies": comparisons bind tighter than `&&`, `&&` than `||`.
    """
    tokens = _TOKEN.findall(text)
    if not tokens or len(tokens) > _MOST_TOKENS:
        raise BadExpression("an expression without terms" if not tokens else "an expression that is too long")
    condition, position = _either(tokens, 0, 0)
    if position != len(tokens):
        raise BadExpression(f"{tokens[position][:40]!a} where an expression should end")
    return condition


def _either(tokens: list[str], position: int, depth: int) -> tuple[Condition, int]:
    if depth > _DEEPEST:
        raise BadExpression("an expression that is nested too deep")
    terms = []
    while True:
        term, position = _both(tokens, position, depth)
        terms.append(term)
        if position >= len(tokens) or tokens[position] != "||":
            return (terms[0] if len(terms) == 1 else any_of(terms)), position
        position += 1


def _both(tokens: list[str], position: int, depth: int) -> tuple[Condition, int]:
    terms = []
    while True:
        term, position = _term(tokens, position, depth)
        terms.append(term)
        if position >= len(tokens) or tokens[position] != "&&":
            return (terms[0] if len(terms) == 1 else all_of(terms)), position
        position += 1


def _term(tokens: list[str], position: int, depth: int) -> tuple[Condition, int]:
    negations = 0
    while position < len(tokens) and tokens[position] == "!":
        negations += 1
        position += 1
    if position >= len(tokens):
        raise BadExpression("an expression that ends early")
    if tokens[position] == "(":
        term: Condition
        term, position = _either(tokens, position + 1, depth + 1)
        if position >= len(tokens) or tokens[position] != ")":
            raise BadExpression("a parenthesis without its end")
        position += 1
    else:
        term = atom(tokens[position])
        position += 1
        if position + 1 < len(tokens) and tokens[position] in _COMPARISONS:
            term = Relation(cast(Comparison, tokens[position]), term, atom(tokens[position + 1]))
            position += 2
    return (Negation(term) if negations % 2 else term), position


def atom(token: str) -> Symbol | Constant:
    """The name or the constant that a token is. Raises BadExpression."""
    if token[0] in "\"'":
        return Constant(re.sub(r"\\(.)", r"\1", token[1:-1]))
    if token in ("y", "m", "n"):
        return Constant(token)
    if not (token.isidentifier() or _NAME.match(token)):
        raise BadExpression(f"{token[:40]!a} where a name is expected")
    return Symbol(token)


def all_of(conditions: Iterable[Condition]) -> Condition:
    """The conjunction of `conditions`, with what is redundant left out."""
    return _joined(conditions, Conjunction, Disjunction, YES, NO)


def any_of(conditions: Iterable[Condition]) -> Condition:
    """The disjunction of `conditions`, with what is redundant left out."""
    return _joined(conditions, Disjunction, Conjunction, NO, YES)


def _joined(
    conditions: Iterable[Condition],
    kind: type[Conjunction | Disjunction],
    inner_kind: type[Conjunction | Disjunction],
    neutral: Constant,
    absorbing: Constant,
) -> Condition:
    distinct: dict[Condition, None] = {}
    for condition in conditions:
        if condition == absorbing:
            return absorbing
        if condition == neutral:
            continue
        for part in condition.parts if isinstance(condition, kind) else (condition,):
            if part not in distinct and not (isinstance(part, inner_kind) and any(operand in distinct for operand in part.parts)):
                distinct[part] = None
    return neutral if not distinct else next(iter(distinct)) if len(distinct) == 1 else kind(tuple(distinct))


def both(first: Condition, second: Condition) -> Condition:
    """As `all_of`, for two."""
    if first in (YES, second):
        return second
    return first if second == YES else all_of((first, second))


def negated(condition: Condition) -> Condition:
    """The opposite of `condition`, which must be yes or no, not a tristate."""
    match condition:
        case Constant("y") | Constant("n"):
            return NO if condition == YES else YES
        case Negation(operand):
            return operand
        case Relation(operator, left, right):
            return Relation(_OPPOSITE[operator], left, right)
        case Conjunction(parts):
            return any_of(map(negated, parts))
        case Disjunction(parts):
            return all_of(map(negated, parts))
        case _:
            return Negation(condition)


def equals_no(condition: Condition) -> Condition:
    """That a condition is `n`, as scripts/kconfig/expr.c transforms it (expr_trans_compare with `= n`)."""
    match condition:
        case Constant("y") | Constant("m") | Constant("n"):
            return YES if condition == NO else NO
        case Conjunction(parts):
            return any_of(map(equals_no, parts))
        case Disjunction(parts):
            return all_of(map(equals_no, parts))
        case Negation(operand):
            return negated(equals_no(operand))
        case Relation():
            return negated(condition)
        case _:
            return Relation("=", condition, NO)


def equal(option: str, value: str) -> Condition:
    """That an option has a value."""
    return Relation("=", Symbol(option), Constant(value))


def built_in(option: str) -> Condition:
    """That an option is `y`."""
    return equal(option, "y")


def switched_on(option: str) -> Condition:
    """That an option is `y` or `m`."""
    return Relation("!=", Symbol(option), NO)


def left_open(text: str) -> Condition:
    """What only a compiler or make could evaluate."""
    return Unevaluated(text)


def nowhere(text: str) -> Condition:
    """What is left open because nothing was found that builds it; in a disjunction, the other parts are taken."""
    return Unevaluated(text, nowhere=True)


def operands(condition: Condition) -> tuple[Condition, ...]:
    """The direct operands of a condition."""
    match condition:
        case Conjunction(parts) | Disjunction(parts):
            return parts
        case Negation(operand):
            return (operand,)
        case Relation(_, left, right):
            return left, right
        case _:
            return ()


def names(condition: Condition) -> Iterator[str]:
    """The options in a condition, each once."""
    return iter(dict.fromkeys(leaf.name for leaf in _leaves(condition) if isinstance(leaf, Symbol)))


def open_parts(condition: Condition) -> list[str]:
    """The texts in a condition that only a compiler or make could evaluate."""
    return list(dict.fromkeys(leaf.text for leaf in _leaves(condition) if isinstance(leaf, Unevaluated)))


def _leaves(condition: Condition) -> Iterator[Condition]:
    """The parts of a condition that have no operands."""
    waiting = [condition]
    while waiting:
        part = waiting.pop()
        if parts := operands(part):
            waiting += parts
        else:
            yield part


def taken_to_hold(condition: Condition) -> Condition:
    """The condition with each unevaluated part taken to be true: the rest is needed in any case."""
    match condition:
        case Unevaluated():
            return YES
        case Conjunction(parts):
            return all_of(map(taken_to_hold, parts))
        case Disjunction(parts):
            return any_of(taken_to_hold(part) for part in [part for part in parts if not _leads_nowhere(part)] or parts)
        case Negation(Conjunction() | Disjunction() | Negation() as operand):
            return taken_to_hold(negated(operand))
        case _:
            return YES if open_parts(condition) else condition


def _leads_nowhere(condition: Condition) -> bool:
    """Whether a condition can only hold if something holds that nothing was found to build."""
    match condition:
        case Unevaluated():
            return condition.nowhere
        case Disjunction(parts):
            return all(map(_leads_nowhere, parts))
        case Conjunction(parts):
            return any(map(_leads_nowhere, parts))
        case _:
            return False


def shown(condition: Condition) -> str:
    """The condition as a person reads it."""
    match condition:
        case Symbol(text) | Constant(text) | SharedCondition(text) | Unevaluated(text):
            return text
        case Negation(operand):
            return f"!{_inner(operand)}"
        case Conjunction(parts):
            return " && ".join(map(_inner, parts))
        case Disjunction(parts):
            return " || ".join(map(_inner, parts))
        case Relation("=", left, Constant("y")) | Relation("!=", left, Constant("n")):
            return shown(left)
        case Relation("=", left, Constant("n")):
            return f"!{shown(left)}"
        case Relation(operator, left, right):
            return f"{shown(left)}{operator}{shown(right)}"


def _inner(condition: Condition) -> str:
    text = shown(condition)
    return f"({text})" if isinstance(condition, Conjunction | Disjunction) else text
