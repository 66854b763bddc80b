"""Rust brackets: the words and marks of a source, and which brackets belong together."""

from __future__ import annotations

import msgspec

from hook import lazy_re
from hook.c.tokens.comparison import Unreadable

_TOKEN = lazy_re.compile(rb"\w+|->|=>|[^\w\s]")
_OPENING, _CLOSING = (b"(", b"[", b"{"), (b")", b"]", b"}")


class Token(msgspec.Struct, frozen=True):
    """A word or a mark of a source."""

    text: bytes
    begin: int
    end: int


def tokens_of(code: bytes) -> list[Token]:
    """The words and marks of a source whose comments and literals are blank."""
    return [Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(code)]


def closing_brackets(tokens: list[Token]) -> dict[int, int]:
    """The closing bracket of each opening one, by their places. Raises Unreadable where they do not match."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for at, token in enumerate(tokens):
        if token.text in _OPENING:
            opened.append(at)
        elif token.text in _CLOSING:
            if not opened or _OPENING.index(tokens[opened[-1]].text) != _CLOSING.index(token.text):
                raise Unreadable("brackets that do not match")
            closing[opened.pop()] = at
    if opened:
        raise Unreadable("a bracket without an end")
    return closing


def opening_brace(tokens: list[Token], at: int, closing: dict[int, int]) -> int:
    """The brace that ends the head of an item; -1 where a `;` does. Braces in `<…>` belong to the head."""
    depth = 0
    while at < len(tokens):
        text = tokens[at].text
        if text == b"{" and not depth:
            return at
        if text == b";" or text in _CLOSING:
            return -1
        depth += (text == b"<") - (text == b">")
        at = closing.get(at, at) + 1
    return -1
