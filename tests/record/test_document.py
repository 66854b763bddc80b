"""Documents survive the way into a note and back, and a broken one costs only itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook.record import document
from hook.verdict import Answer, DecidedBy, Fact, NotAVerdict, Place, Verdict, from_document, to_document

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc", "Co", "Cn")), max_size=40).filter(lambda text: text.isprintable())
VERDICTS = st.builds(
    Verdict,
    worth_fuzzing=st.booleans(),
    decided_by=st.sampled_from(DecidedBy),
    functional=st.sampled_from(Answer),
    reachable=st.sampled_from(Answer),
    reasoning=TEXT,
    change_id=st.text("0123456789abcdef", min_size=40, max_size=40),
    focus_symbols=st.lists(TEXT, max_size=3).map(tuple),
    enable_configs=st.lists(TEXT, max_size=3).map(tuple),
    evidence=st.lists(st.builds(Fact, TEXT, st.builds(Place, TEXT, st.integers(0, 10**6), TEXT), TEXT), max_size=3).map(tuple),
)


@given(st.lists(VERDICTS, max_size=4, unique_by=lambda verdict: verdict.change_id))
def test_verdicts_come_back_as_they_were(verdicts: list[Verdict]) -> None:
    for dump in (document.dump, document.dump_fast):
        found, broken = document.load(dump([to_document(verdict) for verdict in verdicts]))
        assert broken == 0 and [from_document(one) for one in found] == verdicts


def verdict(change_id: str, **fields: object) -> dict[str, object]:
    made = Verdict(
        worth_fuzzing=True,
        decided_by=DecidedBy.DEFAULT,
        functional=Answer.UNKNOWN,
        reachable=Answer.UNKNOWN,
        reasoning="why",
        change_id=change_id,
    )
    return {**to_document(made), **fields}


def test_a_document_replaces_the_one_of_its_kind_and_change() -> None:
    mark = {"Mark": "wrong", "ChangeId": "a"}
    documents = document.with_document([verdict("a"), verdict("b")], mark)
    documents = document.with_document(documents, verdict("a", Reasoning="newer"))
    assert [(one["ChangeId"], one.get("Mark"), one.get("Reasoning")) for one in documents] == [
        ("b", None, "why"),
        ("a", "wrong", None),
        ("a", None, "newer"),
    ]


def test_the_oldest_documents_go_first() -> None:
    documents: tuple = ()
    for number in range(20):
        documents = document.with_document(documents, verdict(str(number)))
    assert [one["ChangeId"] for one in documents] == [str(number) for number in range(12, 20)]


@pytest.mark.parametrize(
    "garbage", ["---\n[\n", "---\nplain\n", "---\nChangeId: 3\n", "---\na: &x 1\nChangeId: *x\n", "---\n!!python/name:os.system\n"]
)
def test_garbage_beside_a_document_is_counted_and_passed_over(garbage: str) -> None:
    text = document.dump([verdict("a")])
    for mixed in (garbage + text, text + garbage):
        found, broken = document.load(mixed)
        assert [one["ChangeId"] for one in found] == ["a"] and broken == 1


def test_a_note_of_a_megabyte_is_not_read() -> None:
    assert document.load("---\nChangeId: a\n" + "#" * 1_000_000) == ((), 1)


def test_control_characters_are_not_written() -> None:
    assert "\x1b" not in document.dump([verdict("a", Reasoning="red \x1b[31m\u202e text\x00")])


@pytest.mark.parametrize(
    "wrong",
    [
        {"WorthFuzzing": "no"},
        {"Functional": "maybe"},
        {"SchemaVersion": 2},
        {"Evidence": [{}]},
        {"Via": "x"},
        {"State": "\ud800"},
        {"State": None},
    ],
)
def test_a_hand_edited_verdict_is_never_half_believed(wrong: dict[str, object]) -> None:
    with pytest.raises(NotAVerdict):
        from_document(verdict("a", **wrong))


def test_a_text_or_list_of_which_nothing_is_left_is_empty() -> None:
    left = verdict("a", Reasoning=None, Via=None, Model=None)
    assert (found := from_document(left)) and (found.reasoning, found.via, found.model) == ("", (), "")
    assert from_document({name: value for name, value in left.items() if name != "ChangeId"}).change_id == ""


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "- " * 100_000, "{" * 21 + "}" * 21, "&a 1", "!!bool x", "!!timestamp x", "2026-13-13", "9" * 5000, "? [a]\n  : b"],
)
def test_what_a_stranger_writes_costs_only_its_own_document(text: str) -> None:
    good = document.dump([verdict("b")])
    found, broken = document.load(f"---\nChangeId: a\nReasoning: {text}\n{good}")
    assert [one["ChangeId"] for one in found] == ["b"] and broken == 1
