"""What a line must contain to match: never more than it does."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook.source.literals import required


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("mpol_cond", [[("mpol_cond", False)]]),
        (r"\bkfree\b", [[("kfree", True)]]),
        (r"kfree\(", [[("kfree", False)]]),
        (r"->open\(", [[("open", True)]]),
        ("CONFIG_(NUMA|SMP)", [[("config_numa", False)], [("config_smp", False)]]),
        ("struct +page", [[("struct", False), ("page", False)]]),
        ("abc?def", [[("def", False)]]),
        ("abcd*", [[("abc", False)]]),
        ("foo|b", []),
        ("[a-z]+", []),
        ("(foo", []),
        ("*foo", []),
        ("foo{", []),
        (r"(a)\1foo", [[("foo", False)]]),
    ],
)
def test_known_expressions(expression: str, expected: list[list[tuple[str, bool]]]) -> None:
    assert [[(one.text, one.whole) for one in literals] for literals in required(expression)] == expected


LETTERS = st.sampled_from("abcdeA_1 (;.")
ATOMS = st.one_of(
    st.text("abcdeA_1", min_size=1, max_size=5),
    st.sampled_from([r"\(", ".", "[abc]", "[^A-Za-z0-9_]", "[[:space:]]", "^", "$", r"\b", ";", " "]),
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({})".format, inner),
        st.builds("({}|{})".format, inner, inner),
        st.builds("({}){}".format, inner, st.sampled_from(["*", "+", "?", "{2}", "{0,1}", "{1,}"])),
        st.lists(inner, min_size=2, max_size=3).map("".join),
    )


EXPRESSIONS = st.recursive(ATOMS, _grown, max_leaves=8)


@settings(max_examples=int(os.environ.get("SEQUENCES", "300")), deadline=None)
@given(EXPRESSIONS, st.data())
def test_a_line_that_matches_holds_what_is_required(expression: str, data: st.DataObject) -> None:
    pattern = re.compile(expression.replace("[[:space:]]", r"[ \t]").replace("$", r"\Z"))
    literals = required(expression)
    pieces = st.one_of(LETTERS, st.sampled_from([one.text for some in literals for one in some] or ["a"]))
    line = "".join(data.draw(st.lists(pieces, max_size=12)))
    if not literals or not pattern.search(line):
        return

    def holds(text: str, whole: bool) -> bool:
        return re.search(rf"(?<!\w){text}(?!\w)" if whole else text, line.lower()) is not None

    assert any(all(holds(one.text, one.whole) for one in some) for some in literals), (expression, line, literals)
