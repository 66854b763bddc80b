"""Waiting loops: loops that may end by what an interrupt or another thread writes to memory.

A compiler reads memory anew behind a call that it cannot see into, such as that of printk(). In a loop without any, it may read once and
wait for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from hook import lazy_re
from hook.c.keywords import IN_STATEMENTS
from hook.evidence.functional.token_places import NAME, Tokens, closing, is_call

_READS = frozenset((b"->", b".", b"[", b"*"))
_LOOPS = frozenset((b"while", b"for", b"do"))
# functions of which a compiler knows what they read and write, though no header defines them
_BUILTIN = lazy_re.compile(rb"(?:(?:str|mem)[a-z]+|bcmp|l*abs|ff?sl*|v?s?n?c?printf|__builtin_\w+)\Z")


def leans_on(tokens: Tokens, at: int, loggers: Collection[bytes], locals_: Collection[bytes], is_opaque: Callable[[bytes], bool]) -> bool:
    """Whether a loop round a logging statement reads memory, and calls nothing else that makes a compiler read it anew.

    `is_opaque` says of a name that is called that the compiler cannot see into it: no macro, and no function of the file or of a header.
    """
    for begin, end in _round(tokens, at):
        rest = list(_without(tokens, begin, end, loggers))
        called = {tokens[place] for place in rest if _is_name(tokens[place]) and is_call(tokens, place) and tokens[place + 1] == b"("}
        if any(not _BUILTIN.match(name) and is_opaque(name) for name in called - set(locals_)):
            continue
        if any(tokens[place] in _READS or (_is_name(tokens[place]) and tokens[place] not in locals_) for place in rest):
            return True
    return False


def _is_name(token: bytes) -> bool:
    return bool(NAME.match(token)) and token not in IN_STATEMENTS


def _without(tokens: Tokens, begin: int, end: int, loggers: Collection[bytes]) -> Iterator[int]:
    """The places of a loop without those of its logging calls."""
    place = begin
    while place < end:
        if tokens[place] in loggers and tokens[place + 1 : place + 2] == (b"(",):
            place = max(closing(tokens, place + 1), place)
        else:
            yield place
        place += 1


def _round(tokens: Tokens, at: int) -> Iterator[tuple[int, int]]:
    """Where each loop round a place begins and ends: of a keyword, or from a label to a jump back to it."""
    for place, token in enumerate(tokens):
        if token in _LOOPS and place < at:
            head = closing(tokens, place + 1) if token != b"do" else place
            end = _body_end(tokens, head + 1)
            if token == b"do":
                end = next((late for late in range(end, len(tokens)) if tokens[late] == b";"), len(tokens))
            if end > at:
                yield place, end
        elif token == b"goto" and place > at:
            label = next((early for early in range(at) if tokens[early : early + 2] == (tokens[place + 1], b":")), -1)
            if label >= 0:
                yield label, place


def _body_end(tokens: Tokens, begin: int) -> int:
    """The end of a block, or of one statement; that of the tokens where it is not found."""
    depth = 0
    for place in range(begin, len(tokens)):
        depth += (tokens[place] in (b"{", b"(")) - (tokens[place] in (b"}", b")"))
        if depth == 0 and tokens[place] in (b"}", b";") and tokens[place + 1 : place + 2] != (b"else",):
            return place + 1
    return len(tokens)
