"""Alike code: edits of a function that a compiler may well turn into the same code, so that `functional: yes` would be a guess.

Nothing here proves that an edit is harmless: the answer stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hook.c.segments import Edit, Segment
from hook.c.tokens.comparison import Unreadable
from hook.evidence.functional.normal_forms import ZEROS, spelled
from hook.evidence.functional.token_places import NAME, Tokens

_HINTS = frozenset((b"likely", b"unlikely"))
_CLOSING = {b"(": b")", b"[": b"]"}
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
    by_text: dict[object, list[bytes]] = {}
    for segment in come:
        if (text := _without_name(segment)) is not None:
            by_text.setdefault(text, []).append(_name(segment))
    found: dict[bytes, bytes] = {}
    for segment in gone:
        text = _without_name(segment)
        # the last of several that are alike; a name that stands in the old text already means something else there
        same = next((name for name in reversed(by_text.get(text, ())) if name not in segment.tokens), None) if text is not None else None
        if same is not None:
            found[_name(segment)] = same
    return found


def _without_name(segment: Segment) -> object | None:
    """A key that is equal for two definitions that differ in their name alone; None if there is no such key."""
    try:
        tokens, name = segment.tokens, _name(segment)
    except Unreadable:
        return None
    return (segment.kind, tuple(b"" if token == name else token for token in tokens)) if segment.kind is not None else None


def _name(segment: Segment) -> bytes:
    return segment.name.encode("utf-8", "surrogateescape")


def plain(tokens: Tokens) -> Tokens:
    """The tokens with `likely(x)` as `x`, `x != 0` as `x` and `!x` as `x == 0`."""
    out: list[bytes] = []
    ends = _ends(tokens)
    hint_ends: set[int] = set()
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token in _HINTS and tokens[at + 1 : at + 2] == (b"(",) and (end := ends.get(at + 1)):
            hint_ends.add(end)
            at += 2
        elif at in hint_ends or (token == b"!=" and tokens[at + 1 : at + 2] and tokens[at + 1] in ZEROS):
            at += 1 if at in hint_ends else 2
        elif token == b"!" and (end := _operand(tokens, at + 1, ends)):
            out += [*tokens[at + 1 : end], b"==", b"0"]
            at = end
        else:
            out.append(b"0" if token in ZEROS and out and out[-1] == b"==" else token)
            at += 1
    return spelled(tuple(out))


def _ends(tokens: Tokens) -> dict[int, int]:
    """The closing position of each parenthesis and index; those with a directive inside are left out."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token in _CLOSING:
            opened.append(at)
        elif token.startswith(b"#"):
            opened.clear()
        elif opened and token == _CLOSING[tokens[opened[-1]]]:
            ends[opened.pop()] = at
    return ends


def _operand(tokens: Tokens, at: int, ends: Mapping[int, int]) -> int:
    """The end of the operand of a `!`: a name with its members, indices and calls. 0 for any other operand."""
    if not NAME.match(tokens[at] if at < len(tokens) else b"") or tokens[at] in _HINTS:
        return 0
    at += 1
    while at < len(tokens):
        if tokens[at] in (b".", b"->"):
            at += 2
        elif tokens[at] in _CLOSING:
            if at not in ends:
                return 0
            at = ends[at] + 1
        else:
            break
    return at
