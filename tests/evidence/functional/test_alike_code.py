"""Edits that a compiler may turn into the same code, each beside the nearest that it cannot."""

from __future__ import annotations

import pytest

from hook.c import segments, translation_unit
from hook.evidence.functional import alike_code

BEFORE = """
static int take(struct box *b)
{
\treturn b->count;
}

int decide(struct box *b, int a, bool c)
{
\tif (a != 0 && b->next)
\t\treturn take(b);
\tif (!b->list[a].head)
\t\treturn c;
\treturn 0;
}
"""


def alike(*replaced: str) -> bool:
    text = BEFORE
    for old, new in zip(replaced[::2], replaced[1::2], strict=True):
        assert old in text, old
        text = text.replace(old, new)
    before, after = (translation_unit.of_text(side.encode()) for side in (BEFORE, text))
    edits = segments.edits(before.segments, after.segments)
    renames = alike_code.renames(edits)
    decide = next(edit for edit in edits if edit.either.name == "decide")
    return alike_code.may_be_alike(decide, renames)


@pytest.mark.parametrize(
    ("old", "new", "near"),
    [
        ("(a != 0 && b->next)", "(a && b->next)", "(b->next)"),
        ("(a != 0 && b->next)", "(unlikely(a != 0) && b->next)", "(unlikely(a != 1) && b->next)"),
        ("(a != 0 && b->next)", "(likely(a && b->next))", "(likely(a || b->next))"),
        ("b->next)", "b->next != NULL)", "b->next == NULL)"),
        ("!b->list[a].head", "b->list[a].head == NULL", "b->list[a].head"),
        ("!b->list[a].head", "unlikely(!b->list[a].head)", "unlikely(!b->list[c].head)"),
        ("return c;", "return c != false;", "return !c;"),
        ("return c;", "return (c);", "return (a);"),
    ],
)
def test_a_hint_or_a_comparison_with_zero_may_be_the_same_code(old: str, new: str, near: str) -> None:
    assert alike(old, new)
    assert not alike(old, near)


def test_a_function_of_the_file_under_another_name_may_be_the_same_code() -> None:
    assert alike("take(", "take_one(")
    assert not alike("return take(b)", "return take_one(b)"), "another function is called"
    assert not alike("take(", "take_one(", "b->count", "b->count - 1"), "it is another function"


def test_a_file_of_which_every_function_has_another_name() -> None:
    """With the square of their number this does not end within the time that a test may take."""
    before, after = (
        translation_unit.of_text(b"".join(b"static int %c%d(int a)\n{\n\treturn a + %d;\n}\n" % (letter, n, n) for n in range(20_000)))
        for letter in b"fg"
    )
    found = alike_code.renames(segments.edits(before.segments, after.segments))
    assert len(found) == 20_000 and found[b"f7"] == b"g7"


@pytest.mark.parametrize("piece", [(b"!", b"a", b"("), (b"likely", b"("), (b"!", b"a", b"[")])
def test_what_never_closes_stays_as_it_is(piece: tuple[bytes, ...]) -> None:
    tokens = piece * 200_000
    assert alike_code.plain(tokens) == tokens
