"""Brackets: where one is closed, and what stands between commas."""

from __future__ import annotations

import pytest

from hook.c import brackets
from hook.c.brackets import BRACES, PARENTHESES, Brackets


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("(a)", 2),
        ("(a(b)c)d", 6),
        ("({)}", 3),  # kinds are not told apart
        ("(a[)", 3),  # a subscript does not count
        ('(")")', 4),
        ("(')')", 4),
        (r'("\")")', 6),
        ("(a", -1),
        ("", -1),
    ],
)
def test_a_bracket_is_closed_outside_of_strings(text: str, closed: int) -> None:
    assert brackets.closing(text, 0) == closed


def test_nothing_is_closed_where_nothing_opens() -> None:
    assert brackets.closing("(a)", -1) == -1


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a, b", [("a", 0), (" b", 2)]),
        ("a, b, ", [("a", 0), (" b", 2)]),
        ("", []),
        ("{ 1, 2 }, [3, 4]", [("{ 1, 2 }", 0), (" [3, 4]", 9)]),
        ('"a, b", c', [('"a, b"', 0), (" c", 7)]),
        ("','", [("','", 0)]),
    ],
)
def test_a_list_is_split_at_its_own_commas(text: str, parts: list[tuple[str, int]]) -> None:
    assert brackets.elements(text) == parts


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (b"(a, b)", [b"a", b"b"]),
        (b"(f(a, b), c[d, e])", [b"f(a, b)", b"c[d, e]"]),
        (b"()", [b""]),
        (b"(a", []),
        (b"(" + b" " * brackets.LONGEST_ARGUMENTS + b")", []),
    ],
)
def test_the_arguments_of_a_call(code: bytes, arguments: list[bytes]) -> None:
    assert brackets.arguments(code, 0) == arguments


def test_each_grammar_counts_its_own_brackets() -> None:
    assert PARENTHESES.closing(b"({)", 0) == 2
    assert BRACES.closing(b"{(}", 0) == 2
    assert BRACES.closing(b"{  }", 0, 3) == -1
    assert [part for part, _ in Brackets("(", ")").split("a{b,c}(d,e),")] == ["a{b", "c}(d,e)", ""]


@pytest.mark.parametrize(
    ("text", "pairs"),
    [(b"(a(b))(c)", [(0, 5), (6, 8)]), (b"a", []), (b"(a", []), (b")(", [])],
)
def test_the_outermost_parentheses(text: bytes, pairs: list[tuple[int, int]]) -> None:
    assert brackets.outermost(text) == pairs


@pytest.mark.parametrize(
    ("before", "around"),
    [
        (b"f(a, b, ", [(b"(", 1, 2)]),
        (b"x; f(a, g(b)[1], ", [(b"(", 4, 2), (b";", 1, 0)]),
        (b"t = { { 1, ", [(b"{", 6, 1), (b"{", 4, 0)]),
        (b"(" * 20, [(b"(", 19 - level, 0) for level in range(12)]),
        (b"f(a)", []),
    ],
)
def test_the_brackets_around_a_place(before: bytes, around: list[tuple[bytes, int, int]]) -> None:
    assert list(brackets.outwards(before, 0, len(before))) == around


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (b"f(a)", [(1, 3)]),
        (b"f(a) g(b)", [(1, 3), (6, 8)]),
        (b"f(a(b))", [(1, 6)]),
        (b")a(", []),
        (b"f(a", []),
        (b"a)", []),
        (b"f(a)(", []),
        (b"a", []),
    ],
)
def test_the_outermost_parentheses_of_a_text_that_balances(text: bytes, pairs: list[tuple[int, int]]) -> None:
    assert brackets.outermost(text) == pairs
