"""Statements: where each statement of a function ends, and which one leaves it."""

from __future__ import annotations

from hook import lazy_re
from hook.c.brackets import closing

HEAD = lazy_re.compile(r"\s*(if|for|while|switch|do|return|else)\b|\s*(\w+)\s*:(?!:)|\s*(\{)")
_ELSE = lazy_re.compile(r"\s*else\b")
_MARK = lazy_re.compile(r"[;({]")
# what may leave a function well, or not be compiled
_LEAVES_WELL = lazy_re.compile(r"(?m)\bgoto\b|\breturn\b(?!\s*-\s*E)|^[ \t]*#")


def statement_end(text: str, at: int, word: str, stop: int) -> int:
    """The end of the statement that begins with `word` at `at`, with its `else`; -1 where it is not found."""
    place = at
    if word in ("if", "for", "while", "switch"):
        opening = text.find("(", at)
        place = closing(text, opening) + 1
        if opening < 0 or place <= 0:
            return -1
    if word in ("if", "for", "while", "switch", "do", "else"):
        if word in ("do", "else"):
            place = text.find(word, at) + len(word)
        place = body_end(text, place, stop)
        otherwise = _ELSE.match(text, place) if place > 0 else None
        if word == "if" and otherwise:
            return statement_end(text, place, "else", stop)
        if word == "do" and place > 0:
            return _plain(text, place)
        return place
    return _plain(text, place)


def body_end(text: str, place: int, stop: int) -> int:
    """The end of what a condition at `place` governs: a block, or one statement; -1 where it is not found."""
    body = HEAD.match(text, place)
    if body and body[3]:
        end = closing(text, text.find("{", place)) + 1
        return end if end > 0 else -1
    return statement_end(text, place, body[1] if body and body[1] else "", stop)


def _plain(text: str, at: int) -> int:
    """The end of a statement without a body; -1 where it is not found."""
    while True:
        mark = _MARK.search(text, at)
        if mark is None:
            return -1
        if mark[0] == ";":
            return mark.end()
        at = closing(text, mark.start()) + 1
        if at <= 0:
            return -1


def is_passed(text: str, begin: int, at: int) -> bool:
    """Whether a function, whose body begins at `begin`, passes a place unless it returns an error first."""
    before = text[begin + 1 : at].rstrip()
    is_statement = before.count("{") == before.count("}") and before[-1:] in ("", ";", "}")
    return at > begin and is_statement and _LEAVES_WELL.search(before) is None
