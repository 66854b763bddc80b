"""Token places: what stands where in the tokens of a function or another segment of C."""

from __future__ import annotations

import collections
import functools
import re
from collections.abc import Sequence

from hook import lazy_re
from hook.c.keywords import IN_STATEMENTS

Tokens = tuple[bytes, ...]  # of a piece of C, without comments and white space; a directive is one token

NAME = lazy_re.compile(rb"[A-Za-z_]\w*\Z")
STRING = lazy_re.compile(rb'"(?:[^"\\]|\\.)*"\Z', re.DOTALL)
STATEMENT_ENDS = frozenset((b";", b"{", b"}"))
CONDITION = lazy_re.compile(rb"#[ \t]*(?:if|ifdef|ifndef|elif|else|endif)\b")


def closing(tokens: Sequence[bytes], opening: int) -> int:
    """Where the parenthesis at `opening` closes; 0 where it does not, or a directive stands inside."""
    depth = 0
    for at in range(opening, len(tokens)):
        if tokens[at] == b"(":
            depth += 1
        elif tokens[at] == b")":
            depth -= 1
            if depth == 0:
                return at
        elif tokens[at].startswith(b"#"):
            return 0
    return 0


@functools.lru_cache(maxsize=4)
def statement_expressions(tokens: Tokens) -> list[tuple[int, int]]:
    """Where statement expressions begin and end; to the end of the tokens where one does not close, or a directive stands behind it."""
    found, opened = [], list[tuple[int, bool]]()
    for at, token in enumerate(tokens):
        if token == b"(":
            behind = next((place for place in range(at + 1, len(tokens)) if tokens[place][:1] != b"#"), at)
            opened.append((at, tokens[behind][:1] in (b"{", b"<")))  # `<%` is a brace too
        elif token == b")" and opened:
            begin, has_statements = opened.pop()
            found += [(begin, at)] if has_statements else []
        elif token[:1] == b"#":  # what closes behind it may be of another branch
            found += [(begin, len(tokens)) for begin, has_statements in opened if has_statements]
            opened.clear()
    return found + [(begin, len(tokens)) for begin, has_statements in opened if has_statements]


def is_call(tokens: Sequence[bytes], at: int) -> bool:
    """Whether a name with a parenthesis is called, not declared or a member."""
    return at > 0 and tokens[at - 1] not in (b".", b"->") and not (NAME.match(tokens[at - 1]) and tokens[at - 1] not in IN_STATEMENTS)


def differing(old: Tokens, new: Tokens) -> list[bytes]:
    """The tokens of which one side has more than the other."""
    count = collections.Counter(new)
    count.subtract(old)
    return [token for token, more in count.items() if more]


def differing_statements(old: Tokens, new: Tokens) -> tuple[Tokens, Tokens]:
    """The tokens of both from the statement in which they first differ to where they last do."""
    start = next((at for at, (was, now) in enumerate(zip(old, new, strict=False)) if was != now), min(len(old), len(new)))
    end = next((at for at, (was, now) in enumerate(zip(old[::-1], new[::-1], strict=False)) if was != now), 0)
    end = min(end, min(len(old), len(new)) - start)
    while start and old[start - 1] not in STATEMENT_ENDS:
        start -= 1
    return old[start : len(old) - end], new[start : len(new) - end]
