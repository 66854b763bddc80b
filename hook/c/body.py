"""The body: the code of one function as tokens, each with its offset, and which bracket belongs to which.

No grammar of C: what is asked here is where a name stands, in which call, and what is done with it there. Both arms of every conditional of
the preprocessor are there one after the other.
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
    partner: dict[int, int]  # of each bracket that has one
    inside: tuple[int, ...]  # for each token the bracket that is open around it, -1 at the top

    def places(self, name: bytes) -> Iterator[int]:
        """Where a name stands that is no member of something."""
        for at, token in enumerate(self.tokens):
            if token == name and self.before(at) not in (b".", b"->"):
                yield at

    def before(self, at: int) -> bytes:
        return self.tokens[at - 1] if at else b""

    def after(self, at: int) -> bytes:
        return self.tokens[at + 1] if at + 1 < len(self.tokens) else b""

    def called(self, opening: int) -> bytes:
        """The name that is called by the parenthesis that opens here; empty where it is none of a call."""
        name = self.before(opening)
        if self.tokens[opening] != b"(" or not _NAME.match(name) or name in STATEMENTS:
            return b""
        return name if self.before(opening - 1) not in (b".", b"->") else b""

    def arguments(self, opening: int) -> list[tuple[int, int]]:
        """The arguments of the call that opens here, each from its first token to behind its last."""
        end = self.partner.get(opening, opening)
        if end <= opening + 1:
            return []
        found, start, at = [], opening + 1, opening + 1
        while at < end:
            if self.tokens[at] == b",":
                found.append((start, at))
                start = at + 1
            at = self.partner[at] + 1 if at in self.partner and self.partner[at] > at else at + 1
        return [*found, (start, end)]

    def calls(self) -> Iterator[tuple[bytes, int]]:
        """The names that are called, each with where its parenthesis opens."""
        for at, token in enumerate(self.tokens):
            if token == b"(" and at in self.partner and (name := self.called(at)):
                yield name, at

    def text(self, start: int, end: int) -> tuple[bytes, ...]:
        return self.tokens[start:end]

    def uncast(self, start: int, end: int) -> tuple[int, int]:
        """An argument without casts to a pointer at bytes, and without parentheses around all of it."""
        while start < end and self.tokens[start] == b"(" and start in self.partner:
            closing = self.partner[start]
            inner = self.tokens[start + 1 : closing]
            if closing == end - 1:
                start, end = start + 1, end - 1
            elif inner and inner[-1] == b"*" and all(one in BYTE_POINTERS for one in inner):
                start = closing + 1
            else:
                break
        return start, end


def read(code: bytes, start: int, end: int) -> Body:
    """The tokens of a piece of code without comments, strings and directives."""
    tokens: list[bytes] = []
    offsets: list[int] = []
    inside: list[int] = []
    partner: dict[int, int] = {}
    opened: list[int] = []
    for match in _TOKEN.finditer(code, start, end):
        token, at = match.group(), len(tokens)
        if token in _CLOSES and opened and tokens[opened[-1]] == _CLOSES[token]:
            partner[opened[-1]], partner[at] = at, opened[-1]
            opened.pop()
        inside.append(opened[-1] if opened else -1)
        if token in (b"(", b"[", b"{"):
            opened.append(at)
        tokens.append(token)
        offsets.append(match.start())
    return Body(tuple(tokens), tuple(offsets), partner, tuple(inside))


def is_name(token: bytes) -> bool:
    return _NAME.match(token) is not None
