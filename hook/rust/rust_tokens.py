"""Rust tokens: whether two versions of a Rust file are the same to rustc.

Documentation comments are tokens here: they are attributes that macros see, and their examples become KUnit tests. White space may grow,
shrink and break lines; where it appears or goes away between two tokens, a macro can tell, so that is not proved.

Taken for granted: no other file gives the line or the text of this one to the kernel by a macro (`line!`, `include_str!`), but where
hook.kernel.outside_users finds one.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.tokens.comparison import Comparison, Unreadable, first_line

_PIECE = lazy_re.compile(
    rb"(?P<raw>(?<![\w])(?:b|c)?r(?P<hashes>\#*)\")"
    rb'|(?P<string>"[^"\\]*+(?:\\[\s\S][^"\\]*+)*+")'
    rb"|(?P<character>'(?:[^'\\\n\x80-\xff]|[\xc2-\xf4][\x80-\xbf]{1,3}|\\x[0-9A-Fa-f]{2}|\\u\{[0-9A-Fa-f_]*\}|\\[^xu\n])')"
    rb"|(?P<lifetime>'[A-Za-z_]\w*+(?!'))"
    rb"|(?P<line>//[^\n]*+)|(?P<block>/\*)|(?P<odd>[\"'\r])"
)
_SUFFIX = lazy_re.compile(rb"\w")
_COMMENT_EDGE = lazy_re.compile(rb"/\*|\*/")
_PLACES = frozenset((b"line", b"column", b"Location"))  # what may give the place of a token
_AS_TEXT = frozenset((b"include_str", b"include_bytes"))  # what may read this very file
_CODE = lazy_re.compile(rb"\s+|\w+|[^\w\s]")


class PieceKind(enum.Enum):
    """What a piece of a source is."""

    CODE = enum.auto()
    LITERAL = enum.auto()  # a string, a character or a lifetime
    COMMENT = enum.auto()
    DOCUMENTATION = enum.auto()  # a comment that is an attribute


def compare(old: bytes, new: bytes) -> Comparison:
    """The two versions of a Rust source. Raises Unreadable where one is not Rust as it is understood here, or may read its own text."""
    old_tokens, old_comments = _read(old)
    new_tokens, new_comments = _read(new)
    line = first_line(old, new)
    if old_tokens != new_tokens:
        return Comparison(False, "", line, "code or a documentation comment changed")
    if not _AS_TEXT.isdisjoint(new_tokens) or b"incbin" in new:
        raise Unreadable("a file that is included as text")
    # a macro may give the line of where it is used
    if not _PLACES.isdisjoint(new_tokens) and _places(old, old_comments) != _places(new, new_comments):
        return Comparison(False, "", line, "a line or a column that is used as a value may move")
    if [old[begin:end] for begin, end in old_comments] == [new[begin:end] for begin, end in new_comments]:
        return Comparison(True, "white space", line, "only white space changed: the tokens are the same")
    return Comparison(True, "comment", line, "only comments changed: the tokens are the same")


def _places(source: bytes, comments: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The line and the column at which each piece of code begins."""
    bare, at = "", 0  # columns count characters, not bytes
    for begin, end in comments:
        bare += source[at:begin].decode("utf-8", "replace") + re.sub(r"[^\n]", " ", source[begin:end].decode("utf-8", "replace"))
        at = end
    bare += source[at:].decode("utf-8", "replace")
    return [(number, piece.start()) for number, text in enumerate(bare.split("\n")) for piece in re.finditer(r"\S+", text)]


def code(source: bytes) -> bytes:
    """The source without its comments and texts. Raises Unreadable."""
    tokens, _ = _read(source)
    return b" ".join(token for token in tokens if not token.startswith((b"//", b"/*")) and not _PIECE.match(token))


def _read(source: bytes) -> tuple[list[bytes], list[tuple[int, int]]]:
    """The tokens, with b" " wherever there is white space or an ordinary comment, and where the ordinary comments begin and end."""
    tokens: list[bytes] = [b" "]
    comments: list[tuple[int, int]] = []
    for kind, begin, end in pieces(source):
        if kind in (PieceKind.DOCUMENTATION, PieceKind.LITERAL):
            tokens.append(source[begin:end])
            continue
        if kind is PieceKind.COMMENT:
            comments.append((begin, end))
        for token in _CODE.findall(source[begin:end] if kind is PieceKind.CODE else b" "):
            if not token.isspace():
                if token[0] >= 0x80:
                    raise Unreadable("a byte outside of ASCII in code")
                tokens.append(token)
            elif tokens[-1] != b" ":
                tokens.append(b" ")
    while tokens[-1:] == [b" "]:
        tokens.pop()
    return tokens, comments


def pieces(source: bytes) -> Iterator[tuple[PieceKind, int, int]]:
    """The source in pieces that follow each other: what each is, and where it begins and ends. Raises Unreadable."""
    if source.startswith(b"#!") and not source.startswith(b"#!["):
        raise Unreadable("a first line that rustc leaves out")  # and with it what would be a quote
    if source.lstrip().startswith(b"---"):
        raise Unreadable("frontmatter, which is no Rust")
    at = 0
    while piece := _PIECE.search(source, at):
        yield PieceKind.CODE, at, piece.start()
        kind, end = piece.lastgroup, piece.end()
        if kind == "odd":
            raise Unreadable("a string, character or carriage return that does not read as Rust")
        if piece["raw"] is not None:
            end = source.find(b'"' + piece["hashes"], end) + 1 + len(piece["hashes"])
            if end <= piece.end():
                raise Unreadable("a raw string without an end")
        elif kind == "block":
            end = _end_of_block(source, end)
        if kind not in ("line", "block"):
            if kind != "lifetime" and _SUFFIX.match(source, end):
                raise Unreadable("a literal with a suffix")  # it may take the `r` of what would be a raw string
            yield PieceKind.LITERAL, piece.start(), end
        elif _is_documentation(source[piece.start() : end]):
            yield PieceKind.DOCUMENTATION, piece.start(), end
        else:
            yield PieceKind.COMMENT, piece.start(), end
        at = end
    yield PieceKind.CODE, at, len(source)


def _end_of_block(source: bytes, at: int) -> int:
    """Where the block comment whose inside begins at `at` ends: block comments nest."""
    depth = 1
    while depth:
        edge = _COMMENT_EDGE.search(source, at)
        if edge is None:
            raise Unreadable("a comment without an end")
        depth += 1 if edge[0] == b"/*" else -1
        at = edge.end()
    return at


def _is_documentation(comment: bytes) -> bool:
    if comment.startswith((b"//!", b"/*!")):
        return True
    if comment.startswith(b"///"):
        return not comment.startswith(b"////")
    return comment.startswith(b"/**") and not comment.startswith((b"/***", b"/**/"))
