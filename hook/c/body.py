"""The body: the code of one function as tokens, each with its offset, and the pairs of brackets.

It is no parser of C: it answers where a name is used, in which call, and which tokens are around it. Both arms of every preprocessor
conditional are in the text, one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c.keywords import BYTE_POINTERS, STATEMENTS

_TOKEN = lazy_re.compile(rb"[A-Za-z_]\w*+|\.?\d(?:[eEpP][+-]|[\w.])*+|->|\+\+|--|<<=|>>=|<<|>>|[-+*/%&|^]=|[=!<>]=|&&|\|\||\.\.\.|[^\s]")
_NAME = lazy_re.compile(rb"[A-Za-z_]\w*\Z")
_CLOSES = {b")": b"(", b"]": b"[", b"}": b"{"}


class Body(msgspec.Struct, frozen=True):
    """Tokens with their offsets in the file."""

    tokens: tuple[bytes, ...]
    offsets: tuple[int, ...]
    partner: dict[int, int]  # the matching bracket of each bracket that has one
    inside: tuple[int, ...]  # for each token, the innermost open bracket around it; -1: none

    def places(self, name: bytes) -> Iterator[int]:
        """The positions of a name that is not a member."""
        for position, token in enumerate(self.tokens):
            if token == name and self.before(position) not in (b".", b"->"):
                yield position

    def before(self, position: int) -> bytes:
        return self.tokens[position - 1] if position else b""

    def after(self, position: int) -> bytes:
        return self.tokens[position + 1] if position + 1 < len(self.tokens) else b""

    def called(self, opening: int) -> bytes:
        """The name that is called with the parenthesis at `opening`; empty if it is not one of a call."""
        name = self.before(opening)
        if self.tokens[opening] != b"(" or not _NAME.match(name) or name in STATEMENTS:
            return b""
        return name if self.before(opening - 1) not in (b".", b"->") else b""

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """The arguments of the call with the parenthesis at `opening`, each from its first token to the one after its last."""
        end = self.partner.get(opening, opening)
        if end <= opening + 1:
            return []
        spans, start, position = [], opening + 1, opening + 1
        while position < end:
            if self.tokens[position] == b",":
                spans.append((start, position))
                start = position + 1
            position = self.partner[position] + 1 if position in self.partner and self.partner[position] > position else position + 1
        return [*spans, (start, end)]

    def calls(self) -> Iterator[tuple[bytes, int]]:
        """The names that are called, each with the position of its parenthesis."""
        for position, token in enumerate(self.tokens):
            if token == b"(" and position in self.partner and (name := self.called(position)):
                yield name, position

    def text(self, start: int, end: int) -> tuple[bytes, ...]:
        return self.tokens[start:end]

    def uncast(self, start: int, end: int) -> tuple[int, int]:
        """An argument without casts to a pointer to bytes, and without parentheses around it."""
        while start < end and self.tokens[start] == b"(" and start in self.partner:
            closing = self.partner[start]
            inner = self.tokens[start + 1 : closing]
            if closing == end - 1:
                start, end = start + 1, end - 1
            elif inner and inner[-1] == b"*" and all(word in BYTE_POINTERS for word in inner):
                start = closing + 1
            else:
                break
        return start, end


def read(code: bytes, start: int, end: int) -> Body:
    """The tokens of a piece of code that has no comments, strings and directives."""
    tokens: list[bytes] = []
    offsets: list[int] = []
    inside: list[int] = []
    partner: dict[int, int] = {}
    opened: list[int] = []
    for match in _TOKEN.finditer(code, start, end):
        token, position = match.group(), len(tokens)
        if token in _CLOSES and opened and tokens[opened[-1]] == _CLOSES[token]:
            partner[opened[-1]], partner[position] = position, opened[-1]
            opened.pop()
        inside.append(opened[-1] if opened else -1)
        if token in (b"(", b"[", b"{"):
            opened.append(position)
        tokens.append(token)
        offsets.append(match.start())
    return Body(tuple(tokens), tuple(offsets), partner, tuple(inside))


def is_name(token: bytes) -> bool:
    return _NAME.match(token) is not None
