"""Texts that nobody writes by hand: whoever makes them gets no proof out of it, and no hour of anybody's time."""

from __future__ import annotations

import json

import pytest

from hook.c.legible import is_legible
from tests.small_kernel import Kernel

BEFORE = "#include <linux/pci.h>\n#define X(a) a##_b\nint helper(int a)\n{\n\treturn a;\n}\n"


@pytest.mark.parametrize(
    "run",
    [
        "a" * 1_000_000,
        " " * 1_000_000,
        "(" * 200_000,
        "{}" * 200_000,
        "##" * 100_000,
        ("a" * 1000 + " ") * 300,
        "&a," * 100_000,
        "f(a);" * 50_000,
        "()" * 200_000,
        "\\\n" * 100_000,
        'pr_info("x");' + "{}" * 100_000,
        "a = 1;" * 50_000 + 'pr_info("%d", a);',
        'pr_info("x");' * 20_000,
    ],
    ids=[
        "name",
        "blanks",
        "parentheses",
        "braces",
        "pastes",
        "long names",
        "addresses",
        "calls",
        "pairs",
        "spliced lines",
        "braces behind a log call",
        "values",
        "log calls",
    ],
)
@pytest.mark.parametrize("inside", [True, False], ids=["in a function", "outside"])
def test_a_hostile_text_costs_seconds_and_proves_nothing(kernel: Kernel, run: str, inside: bool) -> None:
    kernel.commit("drivers/net/adv.c", BEFORE)
    kernel.stage(
        "drivers/net/adv.c", BEFORE.replace("return a;", f"return a + 1; {run}" if inside else "return a + 1;") + ("" if inside else run)
    )
    # a second or two; what grows with the square of it does not end before the fixture gives up
    verdict = json.loads(kernel.triage("check", "--format", "json"))
    assert verdict["WorthFuzzing"] is True and "no" not in (verdict["Functional"], verdict["Reachable"])


def test_what_people_write_is_legible() -> None:
    assert is_legible(BEFORE.encode() * 1000) and is_legible(("a" * 152 + " " * 200 + "(" * 101).encode())
    assert not is_legible(b"a" * 2000) and not is_legible(b" " * 5000) and not is_legible(b"(" * 5000)
