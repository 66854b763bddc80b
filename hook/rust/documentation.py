"""Documentation comments: whether an edit of them is nothing to the kernel.

A documentation comment is an attribute of what stands behind it. It reaches the kernel in three ways, and each leaves an edit open:

- *a macro sees it*: in the brackets of a macro call or of `macro_rules!`, and on or in an item with a derive, or with an attribute that is
  not the language's own. No macro can have such a name: rustc calls it ambiguous (Reference, "Attributes", "Name resolution");
- *its examples are tests*: code in the documentation of the crate `kernel` becomes KUnit tests (scripts/rustdoc_test_gen.rs). A fence, or
  a line that is indented as code is, leaves all that documents the item open, in any crate: comments with nothing but attributes between
  them. `#[doc]` may hold a fence too, and counts as no attribute of the language here;
- *the file is read as text*: `include_str!`, or a line or column that is used as a value, which the comparison of tokens asks for.

Only `///` is read. `//!` goes on where the documentation outside of the braces, or in another file, ends; `/** … */` is not read either.
"""

from __future__ import annotations

import itertools

import msgspec

from hook import lazy_re
from hook.rust.rust_brackets import Token, closing_brackets, opening_brace, tokens_of
from hook.rust.rust_tokens import PieceKind, pieces

# attributes of the language itself (Reference, "Built-in attributes index") that leave what stands behind them as it is
_OWN = frozenset(
    b"allow cfg cold deny deprecated expect forbid inline link_section must_use no_mangle non_exhaustive repr track_caller warn".split()
)
_CODE_LINE = lazy_re.compile(rb".*(?:    |\t|```|~~~)")  # also behind what opens a list, a quotation or a footnote
_ATTRIBUTES = lazy_re.compile(rb"(?:\s|#!?\s*\[(?:[^\[\]]|\[[^\[\]]*\])*\])*")


class _Comment(msgspec.Struct, frozen=True):
    begin: int
    text: bytes
    place: int  # how much code stands before it
    group: int  # of comments with nothing but attributes between them


def only_documentation(old: bytes, new: bytes) -> bool:
    """Whether two sources that differ in documentation comments, and in nothing else, are the same to the kernel. Raises Unreadable."""
    before, after = _comments(old), _comments(new)
    first = _alike(before, after)
    last = _alike(before[first:][::-1], after[first:][::-1])
    return all(_is_nothing(source, comments, comments[first : len(comments) - last]) for source, comments in ((old, before), (new, after)))


def _alike(comments: list[_Comment], others: list[_Comment]) -> int:
    """How many comments two lists begin with alike, each before the same code."""
    pairs = zip(comments, others, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: (pair[0].text, pair[0].place) == (pair[1].text, pair[1].place), pairs))


def _comments(source: bytes) -> list[_Comment]:
    code = _code(source)
    comments: list[_Comment] = []
    group = last = place = 0
    for kind, begin, end in pieces(source):
        if kind is PieceKind.CODE:
            place += sum(map(len, source[begin:end].split()))
        elif kind is PieceKind.LITERAL:
            place += 1
        elif kind is PieceKind.DOCUMENTATION:
            behind = _ATTRIBUTES.match(code, last, begin)
            behind_attributes = behind.end() if behind else last
            # attributes that are not read as such are taken for some
            group += behind_attributes < begin and code[behind_attributes : behind_attributes + 1] != b"#"
            comments.append(_Comment(begin, source[begin:end], place, group))
            last = end
    return comments


def _code(source: bytes) -> bytes:
    """The source with all that is no code blank."""
    code = bytearray(source)
    for kind, begin, end in pieces(source):
        if kind is not PieceKind.CODE:
            code[begin:end] = b" " * (end - begin)
    return bytes(code)


def _is_nothing(source: bytes, comments: list[_Comment], edited: list[_Comment]) -> bool:
    """Whether no macro sees the edited comments of a source, and none of them is code."""
    if not edited:
        return True
    groups = {comment.group for comment in edited}
    if any(
        not comment.text.startswith(b"///") or _CODE_LINE.match(comment.text) is not None for comment in comments if comment.group in groups
    ):
        return False
    seen = _seen_by_macros(source)
    return not any(begin <= comment.begin < end for comment in edited for begin, end in seen)


def _seen_by_macros(source: bytes) -> list[tuple[int, int]]:
    """The parts of a source that a macro may be given."""
    tokens = tokens_of(_code(source))
    closing = closing_brackets(tokens)
    parts: list[tuple[int, int]] = []
    item = 0  # behind the last token that is no attribute
    at = 0
    while at < len(tokens):
        if tokens[at].text == b"#":
            inner = at + 1 < len(tokens) and tokens[at + 1].text == b"!"
            end = closing.get(at + 1 + inner, at)
            if end == at or not _is_own(tokens, at + 2 + inner):
                parts.append((0, len(source)) if inner else (item, _end_of_item(tokens, end + 1, closing, len(source))))
            at = end + 1
            continue
        if tokens[at].text == b"!" and at + 1 < len(tokens):
            first = at + 2 if tokens[at + 1].text not in (b"(", b"[", b"{") else at + 1
            if first in closing:
                parts.append((tokens[at].begin, tokens[closing[first]].end))
        item = tokens[at].end
        at += 1
    return parts


def _is_own(tokens: list[Token], at: int) -> bool:
    """Whether the attribute whose name is at hand is one of the language itself."""
    return at + 1 < len(tokens) and tokens[at].text in _OWN and tokens[at + 1].text in (b"]", b"(", b"=")


def _end_of_item(tokens: list[Token], at: int, closing: dict[int, int], size: int) -> int:
    """Where the item that begins behind an attribute ends, or what it stands in."""
    opening = opening_brace(tokens, at, closing)
    if opening >= 0:
        return tokens[closing[opening]].end
    while at < len(tokens) and tokens[at].text not in (b";", b")", b"]", b"}"):
        at = closing.get(at, at) + 1
    return tokens[at].end if at < len(tokens) else size
