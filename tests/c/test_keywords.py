"""Keywords: which word belongs to which set, where two readers differ."""

from __future__ import annotations

import pytest

from hook.c import keywords


@pytest.mark.parametrize("word", [b"if", b"for", b"while", b"switch", b"return", b"do", b"else", b"case"])
def test_a_word_that_begins_a_statement_is_neither_called_nor_defined(word: bytes) -> None:
    for words in (keywords.NOT_CALLED, keywords.HANDS_NOTHING_ON, keywords.STATEMENTS, keywords.NOT_DEFINED, keywords.NOT_A_MACRO):
        assert word in words
    assert word.decode() in keywords.NOT_CALLED_AT_START


@pytest.mark.parametrize(
    ("word", "inside", "outside"),
    [
        (b"READ_ONCE", keywords.HANDS_NOTHING_ON, keywords.NOT_CALLED),  # it is called, and gives the value on
        (b"bool", keywords.NOT_DEFINED, keywords.NOT_A_MACRO),  # a typedef of the kernel
        (b"sizeof", keywords.NOT_CALLED, keywords.STATEMENTS),  # its argument is asked for
        (b"_Generic", keywords.NOT_A_MACRO, keywords.IN_STATEMENTS),
    ],
)
def test_the_sets_differ_where_the_readers_do(word: bytes, inside: frozenset[bytes], outside: frozenset[bytes]) -> None:
    assert word in inside and word not in outside
