"""C tokens: whether two versions of a C or assembly file are the same after preprocessing.

Follows the translation phases as GCC and Clang do them with `-std=gnu11` and before (no trigraphs): line splices, then
comments, then tokens. Code under `#if 0` is compared like all other code.

White space only matters to a compiler where it separates tokens, begins a directive, or where the preprocessor turns an
argument into a string (`#x`). So a space that appears or goes away is proved harmless outside of parentheses, inside those of a
keyword, a cast or an expression, and next to the outer parentheses of a call. Next to a comma or an inner parenthesis of a call
it is accepted where the names called are written in lower case and are no macros of this file: such a name can stringify
several arguments at once only to log them. Everywhere else in a call it is not proved. The amount of white space, and where
lines break, is free.
"""

from __future__ import annotations

import re

import msgspec

from hook import lazy_re
from hook.c.keywords import NOT_A_MACRO
from hook.c.tokens.comparison import Comparison, Unreadable, common_prefix, common_suffix, first_line

_SPLICE = lazy_re.compile(rb"\\[ \t\f\v]*+\n")
# Every alternative begins with a literal: only so does `re` skip the text between at full speed.
_STRING = rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"'
_CHARACTER = rb"'[^'\\\n]*+(?:\\[^\n][^'\\\n]*+)*+'"
_COMMENT = rb"//[^\n]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*+\*/"
_PIECE = lazy_re.compile(rb"|".join((_STRING, _CHARACTER, _COMMENT, rb'/\*|"|' rb"'")))
_MESSAGE = rb"^[ \t\f\v]*+#[ \t\f\v]*+(?:error|warning)\b[^\n/]*+$"
_PIECE_OR_MESSAGE = lazy_re.compile(rb"(?m:" + _MESSAGE + rb")|" + _PIECE.pattern)
_RAW = lazy_re.compile(rb"(?<![\w$])(?:u8|[uUL])?R\Z")
_HEADER_WITH_COMMENT = lazy_re.compile(rb"include[^\n<]{0,200}<[^<>\n]*?/[/*]")

_WORD = (
    rb"(?:u8|[uUL])?+(?:" + _STRING + rb"|" + _CHARACTER + rb")"
    rb"|[A-Za-z_$][A-Za-z0-9_$]*+"
    rb"|\.?[0-9](?:[eEpP][+-]|[A-Za-z0-9_.])*+"
    rb"|\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-*/%+&^|]=|\#\#|<:|:>|<%|%>|%:|::"
    rb"|[^ \t\f\v\n]"
)
_C_TOKEN = lazy_re.compile(rb"(?m:^\#[^\n]*+)|[ \t\f\v]++|\n|" + _WORD)
_LINE_TOKEN = lazy_re.compile(rb"[ \t\f\v]++|\n|" + _WORD)
_C_DARK_TOKEN = lazy_re.compile(rb"(?m:^[ \t\f\v]*+\#[^\n]*+)|" + _WORD)
_BLANK_LINES = lazy_re.compile(rb"(?<![ \t\f\v])[ \t\f\v]*+\n[ \t\f\v\n]*+")
_TRAILING = lazy_re.compile(rb"(?<![ \t\f\v])[ \t\f\v]*+\n(?:[ \t\f\v]*+\n)*+")
_ODD_IN_C = frozenset((b"\\", b"@", b"`", b'"', b"'", b"%:"))
_DIRECTIVE = lazy_re.compile(rb"\#[ \t\f\v]*+([A-Za-z_]*+)")
_LOOSE = frozenset((b"if", b"ifdef", b"ifndef", b"elif", b"else", b"endif", b"undef"))
_CONDITIONAL = frozenset((b"if", b"ifdef", b"ifndef", b"elif", b"else", b"endif"))
_DEFINED = lazy_re.compile(rb"\#[ \t\f\v]*+define[ \t\f\v]++([A-Za-z_$][A-Za-z0-9_$]*+)")
_ASSEMBLY = lazy_re.compile(
    rb"__ASSEMBL(?:Y|ER)__|\n[ \t]*+\.(?:macro|endm|globa?l|p?2?b?align|section|text|data|word|long|quad|byte|if|ifdef"
    rb"|ifn?c|else|endif|set|equ|rept|irpc?|type|size|asci[iz]|string|org|pushsection|popsection)\b(?![ \t]*+[=.\[,)(])"
)
_NAME = lazy_re.compile(rb"[A-Za-z_$]")


class _Plain(msgspec.Struct, frozen=True):
    """A text without line splices and comments."""

    spliced: bytes  # without line splices
    text: bytes  # and with one space for each comment; a newline in it always ends a token, and a directive
    comments: tuple[bytes, ...]


def compare_c(old: bytes, new: bytes) -> Comparison:
    """The two versions of a C source or header. Raises Unreadable where one of them is not C as it is understood here."""
    before, after = _plain(old), _plain(new)
    start, tail = _changed_region(before.text, after.text)
    sides = [_c_tokens(side.text[start : len(side.text) - tail]) for side in (before, after)]
    if sides[0] != sides[1]:
        bare = [[token for token in side if token != b" "] for side in sides]
        if bare[0] != bare[1]:
            return Comparison(False, "", _token_line(old, before, new, after, start), "code changed")
        stringified = _spacing_matters(before.text, after.text)
        if stringified:
            return Comparison(False, "", first_line(old, new), stringified)
    if _ASSEMBLY.search(before.text) or _ASSEMBLY.search(after.text):
        # assembly files include such a header, and to them a line is a statement
        lines = [_asm_tokens(side.text[start : len(side.text) - tail]) for side in (before, after)]
        if lines[0] != lines[1]:
            return Comparison(False, "", first_line(old, new), "white space changed in what an assembler may read")
    return _same(old, before, new, after)


def tokens(text: bytes) -> tuple[bytes, ...]:
    """The tokens of some whole lines of a C source without comments and white space; a directive is one token. Raises Unreadable."""
    return tuple(token for token in _c_tokens(_plain(text).text) if token != b" ")


def spaced_tokens(text: bytes) -> list[bytes]:
    """As `tokens`, with a blank wherever there is white space, and with those of directives. Raises Unreadable."""
    return [part for token in _c_tokens(_plain(text).text) for part in (token.split(b"\0") if token[:1] == b"#" else (token,))]


def compare_asm(old: bytes, new: bytes) -> Comparison:
    """The two versions of a preprocessed assembly file, where each line is a statement and `#` or `@` may begin a comment.

    Only C comments, blank lines, and the amount of white space are proved harmless. Raises Unreadable as `compare_c` does, and
    where a lone quote, often the apostrophe in an assembler's comment, hides how the rest of the line reads.
    """
    before, after = _plain(old), _plain(new)
    start, tail = _changed_region(before.text, after.text)
    sides = [_asm_tokens(side.text[start : len(side.text) - tail]) for side in (before, after)]
    if sides[0] != sides[1]:
        return Comparison(False, "", _token_line(old, before, new, after, start), "code changed")
    return _same(old, before, new, after)


def _same(old: bytes, before: _Plain, new: bytes, after: _Plain) -> Comparison:
    if before.comments == after.comments:
        change_class, why = "white space", "only white space changed: the tokens are the same"
    elif _ordinary(before.comments) == _ordinary(after.comments):
        change_class, why = "documentation comment", "only documentation comments changed: the tokens are the same"
    else:
        change_class, why = "comment", "only comments changed: the tokens are the same"
    if old.count(b"\n") != new.count(b"\n"):
        why += "; line numbers in log text may change"
    return Comparison(True, change_class, first_line(old, new), why)


def _ordinary(comments: tuple[bytes, ...]) -> list[bytes]:
    return [comment for comment in comments if not comment.startswith(b"/**") or comment.startswith((b"/***", b"/**/"))]


def _plain(source: bytes) -> _Plain:
    """`source` after the translation phases before tokens."""
    if b"\r" in source:
        if re.search(rb"\\[ \t\f\v]*+\r", source):
            raise Unreadable("a line continuation before a carriage return")
        source = source.replace(b"\r\n", b"\n")
        if b"\r" in source:
            raise Unreadable("a carriage return inside a line")
    if b"??/" in source:
        raise Unreadable("a trigraph")
    if source.rstrip().endswith(b"\\"):
        raise Unreadable("a line continuation at the end of the file")
    if b"__has_include" in source or b"__has_embed" in source:
        raise Unreadable("a header name inside a condition")
    spliced = _SPLICE.sub(b"", source) if b"\\" in source else source
    if _HEADER_WITH_COMMENT.search(spliced):
        raise Unreadable("a header name that holds the start of a comment")
    try:
        return _without_comments(spliced, _PIECE)
    except Unreadable:
        # `#error Can't do that` is one message to GCC and Clang; the slower pattern knows
        if re.search(rb"(?m)" + _MESSAGE, spliced):
            return _without_comments(spliced, _PIECE_OR_MESSAGE)
        raise


def _without_comments(spliced: bytes, pieces: re.Pattern[bytes]) -> _Plain:
    comments: list[bytes] = []

    def replaced(piece: re.Match[bytes]) -> bytes:
        text = piece[0]
        if text[0] == 0x2F:  # a slash
            if len(text) == 2 and text[1] == 0x2A:
                raise Unreadable("a comment without an end")
            comments.append(text)
            return b" "
        if len(text) == 1:
            raise Unreadable("a string or character constant without an end")
        start = piece.start()
        if start and spliced[start - 1] == 0x52 and _RAW.search(spliced, max(0, start - 4), start):
            raise Unreadable("a raw string")
        return text

    return _Plain(spliced, pieces.sub(replaced, spliced), tuple(comments))


def _changed_region(old: bytes, new: bytes) -> tuple[int, int]:
    """Where the lines that differ begin, and how many bytes follow them: a newline in comment-free text is a safe place to cut."""
    start = old.rfind(b"\n", 0, common_prefix(old, new)) + 1
    tail = common_suffix(old[start:], new[start:])
    newline = old.find(b"\n", len(old) - tail)
    return start, len(old) - newline - 1 if tail and newline >= 0 else 0


def _c_tokens(text: bytes) -> list[bytes]:
    """The tokens of some whole lines of comment-free text, with b" " wherever there is white space, and each directive as one
    token.
    """
    lines = _BLANK_LINES.sub(b"\n", b"\n" + text + b"\n")
    if b"\n#\n" in lines:
        raise Unreadable("a directive without a name")
    tokens = _C_TOKEN.findall(lines)
    for token in set(tokens):
        if token in _ODD_IN_C or token[0] >= 0x80:
            raise Unreadable(f"a stray {token[:1]!r}"[:40])
    return [b" " if token.isspace() else token if token[0] != 0x23 or token in (b"#", b"##") else _directive(token) for token in tokens]


def _directive(line: bytes) -> bytes:
    """A directive with white space kept, as one space, where it may matter; `#` alone stays what it is."""
    name = _DIRECTIVE.match(line)
    assert name is not None
    if name[1].startswith((b"include", b"import")):
        return line  # white space inside <> is part of the name
    rest = _LINE_TOKEN.findall(line[name.end() :].strip(b" \t\f\v"))
    loose = name[1] in _LOOSE
    spaced = [b" " if token.isspace() else token for token in rest if not (loose and token.isspace())]
    # joined by a byte that is in no token, so that `a b` and `ab` still differ
    first_blank = b" " if line[name.end() : name.end() + 1].isspace() and not loose else b""
    return b"#" + name[1] + b"\0" + first_blank + b"\0".join(spaced)


def _asm_tokens(text: bytes) -> list[bytes]:
    tokens = _LINE_TOKEN.findall(_TRAILING.sub(b"\n", b"\n" + text + b"\n"))
    if any(token[0] >= 0x80 or token in (b'"', b"'") for token in set(tokens)):
        raise Unreadable("a byte outside of ASCII, or a lone quote")
    return [b" " if token[0] != 0x0A and token.isspace() else token for token in tokens]


def _spacing_matters(old: bytes, new: bytes) -> str:
    """Why a space that appeared or went away may matter, or nothing. The tokens of both sides are the same but for white space."""
    before, after = _spaced(old), _spaced(new)
    defined = set(_DEFINED.findall(old)) | set(_DEFINED.findall(new))
    open_calls: list[bytes] = []  # for each open parenthesis the name before it, or nothing
    closed = previous = b""
    branches = False
    for (token, spaced_before), (_, spaced_after) in zip(before, after, strict=True):
        if spaced_before != spaced_after:
            if branches:
                return "white space between tokens changed after a condition inside parentheses"
            calls = [name for name in open_calls if name]
            problem = _space_in_call(calls, bool(open_calls and open_calls[-1]), previous, token, defined)
            if problem:
                return problem
        if token == b"(":
            if previous == b")":
                # `name(...)(`: what the first call expands to may be the name of a macro
                open_calls.append(b"A" if closed else b"")
            else:
                open_calls.append(previous if _NAME.match(previous) and previous not in NOT_A_MACRO else b"")
        elif token == b")":
            closed = open_calls.pop() if open_calls else b"A"
        elif token[0] == 0x23 and open_calls and token[1:].split(b"\0")[0] in _CONDITIONAL:
            branches = True
        previous = token
    return ""


def _space_in_call(calls: list[bytes], innermost: bool, previous: bytes, token: bytes, defined: set[bytes]) -> str:
    if not calls:
        return ""
    if len(calls) == 1 and innermost and (previous == b"(" or token == b")"):
        return ""  # the preprocessor trims an argument
    edge = previous in (b"(", b",") or token in (b")", b",") or (token == b"(" and _NAME.match(previous) is not None)
    for name in calls:
        shown = name.decode("ascii", "replace")
        if not edge:
            return f"white space between tokens changed inside {shown}(...), which could make a string of it"
        if name == name.upper() or name in defined or any(word in name.lower() for word in (b"stringify", b"section", b"attr")):
            return f"white space changed inside {shown}(...), which could make a string of its arguments"
    return ""


def _spaced(text: bytes) -> list[tuple[bytes, bool]]:
    spaced: list[tuple[bytes, bool]] = []
    blank = True
    for token in _c_tokens(text):
        if token == b" ":
            blank = True
        else:
            spaced.append((token, blank))
            blank = False
    return spaced


def _token_line(old: bytes, before: _Plain, new: bytes, after: _Plain, start: int) -> int:
    """The new line of the first token that differs, for the reader; where only a newline does, that of the first character."""
    old_tokens, new_tokens = _C_DARK_TOKEN.finditer(before.text, start), _C_DARK_TOKEN.finditer(after.text, start)
    while True:
        token, other = next(old_tokens, None), next(new_tokens, None)
        if token is None and other is None:
            return first_line(old, new)
        if token is None or other is None or token[0].split() != other[0].split():
            return _line(new, after, other)


def _line(source: bytes, plain: _Plain, token: re.Match[bytes] | None) -> int:
    """The line in `source` of a token in the comment-free text."""
    if token is None:
        return source.count(b"\n", 0, len(source) - 1) + 1
    place = token.start() + len(token[0]) - len(token[0].lstrip())
    gone = 0  # bytes that comments took from the text so far
    for piece in _PIECE_OR_MESSAGE.finditer(plain.spliced):
        if piece.start() - gone >= place:
            break
        if piece[0].startswith((b"//", b"/*")):
            gone += len(piece[0]) - 1
    place += gone
    line = plain.spliced.count(b"\n", 0, place) + 1
    gone = 0
    for splice in _SPLICE.finditer(source.replace(b"\r\n", b"\n")):
        if splice.start() - gone > place:
            break
        gone += len(splice[0])
        line += 1
    return line
