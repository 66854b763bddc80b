"""Alike code: edits of a function that a compiler may well turn into the same code, so that `functional: yes` would be a guess.

Nothing here proves that an edit is harmless: the answer stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hook.c.segments import Edit, Segment
from hook.c.tokens.comparison import Unreadable
from hook.evidence.functional.normal_forms import ZEROS, spelled
from hook.evidence.functional.token_places import NAME, Tokens, closing

_HINTS = frozenset((b"likely", b"unlikely"))
_MOST_TOKENS = 20_000  # of one function


def may_be_alike(edit: Edit, renames: Mapping[bytes, bytes]) -> bool:
    """Whether both versions of a function are one but for hints to the compiler, comparisons with zero and `renames`."""
    if edit.old is None or edit.new is None:
        return False
    try:
        old, new = edit.old.tokens, edit.new.tokens
    except Unreadable:
        return False
    return max(len(old), len(new)) <= _MOST_TOKENS and plain(tuple(renames.get(token, token) for token in old)) == plain(new)


def renames(edits: Sequence[Edit]) -> dict[bytes, bytes]:
    """The definitions of the file that are the same under another name."""
    gone = [edit.old for edit in edits if edit.old is not None and (edit.new is None or edit.new.name != edit.old.name)]
    come = [edit.new for edit in edits if edit.new is not None and (edit.old is None or edit.new.name != edit.old.name)]
    found: dict[bytes, bytes] = {}
    for old in gone:
        for new in come:
            if old.kind is not None and old.kind is new.kind and _is_renamed(old, new):
                found[old.name.encode("utf-8", "surrogateescape")] = new.name.encode("utf-8", "surrogateescape")
    return found


def _is_renamed(old: Segment, new: Segment) -> bool:
    try:
        before, after = old.tokens, new.tokens
    except Unreadable:
        return False
    name, other = old.name.encode("utf-8", "surrogateescape"), new.name.encode("utf-8", "surrogateescape")
    return other not in before and tuple(other if token == name else token for token in before) == after


def plain(tokens: Tokens) -> Tokens:
    """The tokens with `likely(x)` as `x`, `x != 0` as `x` and `!x` as `x == 0`."""
    out: list[bytes] = []
    hint_ends: set[int] = set()
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token in _HINTS and tokens[at + 1 : at + 2] == (b"(",) and (end := closing(tokens, at + 1)):
            hint_ends.add(end)
            at += 2
        elif at in hint_ends or (token == b"!=" and tokens[at + 1 : at + 2] and tokens[at + 1] in ZEROS):
            at += 1 if at in hint_ends else 2
        elif token == b"!" and (end := _operand(tokens, at + 1)):
            out += [*tokens[at + 1 : end], b"==", b"0"]
            at = end
        else:
            out.append(b"0" if token in ZEROS and out and out[-1] == b"==" else token)
            at += 1
    return spelled(tuple(out))


def _operand(tokens: Tokens, at: int) -> int:
    """Where the operand of a `!` ends: a name with its members, indices and calls. 0 where it is anything else."""
    if not NAME.match(tokens[at] if at < len(tokens) else b"") or tokens[at] in _HINTS:
        return 0
    at += 1
    while at < len(tokens):
        if tokens[at] in (b".", b"->"):
            at += 2
        elif tokens[at] == b"(":
            if not (end := closing(tokens, at)):
                return 0
            at = end + 1
        elif tokens[at] == b"[":
            if b"]" not in tokens[at:]:
                return 0
            at = tokens.index(b"]", at) + 1
        else:
            break
    return at
