"""Macro expansion: what text stands for, one line a case."""

from __future__ import annotations

import pytest

from hook.c.macro_expansion import Expansion, ExpansionTooLarge, Macro, agreed

MACROS = {
    "ID": Macro(None, "0x8086"),
    "SHIFTED": Macro(None, "(ID << 16) | 1U"),
    "NAME": Macro(None, '"in" "tel"'),
    "PCI": Macro(("v", "d"), ".vendor = (v), .device = (d)"),
    "TEXT": Macro(("word",), "#word"),
    "JOIN": Macro(("left", "right"), "left ## right"),
    "ALL": Macro(("first", "..."), "f(first, __VA_ARGS__)"),
    "SELF": Macro(None, "SELF + 1"),
    "GROWS": Macro(None, " ".join(f"GROWS{number}" for number in range(40))),
    **{f"GROWS{number}": Macro(None, " ".join(["ID"] * 400)) for number in range(40)},
}


@pytest.fixture
def expansion() -> Expansion:
    return Expansion(MACROS.get)


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("ID", "0x8086"),
        ("other", "other"),
        ('"ID"', '"ID"'),  # a string is no use
        (".ID = 1", ".ID = 1"),  # nor is a member
        ("PCI(ID, 1)", ".vendor = (0x8086), .device = (1)"),
        ("PCI", "PCI"),  # without its arguments it stands for nothing
        ("PCI (f(1, 2), 3)", ".vendor = (f(1, 2)), .device = (3)"),
        ("TEXT(ID)", '"ID"'),
        ("JOIN(I, D)", "0x8086"),
        ("ALL(1, 2, 3)", "f(1,  2,  3)"),
        ("SELF", "SELF + 1"),
        ("PCI(1, 2", "PCI(1, 2"),
    ],
)
def test_a_text_is_expanded(expansion: Expansion, text: str, expanded: str) -> None:
    assert expansion.expand(text) == expanded


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ID", 0x8086),
        ("SHIFTED", 0x80860001),
        ("~0", 0xFFFFFFFF),
        ("(u16)3 + 4UL", 7),
        ("unknown", None),
        ("1 << 80", None),
        ("f(1)", None),
        ("__import__('os')", None),
        ("", None),
        ("GROWS", None),
    ],
)
def test_a_constant_expression_has_a_value(expansion: Expansion, text: str, value: int | None) -> None:
    assert expansion.number(text) == value


@pytest.mark.parametrize(("text", "string"), [("NAME", "intel"), ('("a")', "a"), ("ID", None), ("", None), ('"a" + 1', None)])
def test_adjacent_strings_are_one(expansion: Expansion, text: str, string: str | None) -> None:
    assert expansion.string(text) == string


def test_an_expansion_past_the_limits_is_refused(expansion: Expansion) -> None:
    with pytest.raises(ExpansionTooLarge):
        expansion.expand("GROWS")


def test_a_name_with_two_definitions_is_no_macro() -> None:
    assert agreed([(None, "1"), (None, "1")]) == Macro(None, "1")
    assert agreed([("a, b", "a")]) == Macro(("a", "b"), "a")
    assert agreed([(None, "1"), (None, "2")]) is None
    assert agreed([]) is None
