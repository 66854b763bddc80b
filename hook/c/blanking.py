"""Blanking: a text with everything but code replaced by blanks, so that all offsets and lines stay."""

from __future__ import annotations

import functools
import re

from hook import lazy_re

BLANK = bytes(10 if byte == 10 else 32 for byte in range(256))
# strings, character constants and comments; every alternative begins with a literal, so that `re` skips other text at full speed.
# An unclosed quote extends to the end of its line, as in gcc: after the one of "don't" in an `#if 0` no comment begins
HIDDEN = lazy_re.compile(
    rb'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?'
    rb"|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'?"
    rb"|/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/|\Z)"
    rb"|//[^\n\\]*+(?:\\.[^\n\\]*+)*+",
    re.DOTALL,
)
_NEVER = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*if[ \t]+0[ \t]*$")
_BRANCH = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*(if|ifdef|ifndef|else|elif|endif)\b")
_SPLICE, _DIGRAPH = lazy_re.compile(rb"\\[ \t]*+\r?\n"), lazy_re.compile(rb"(?m)^[ \t]*+%:")
_BLANKS = bytes.maketrans(b"\f\v", b"  ")
_DEEPEST = 20  # nested brackets that are understood
_BRACKETS = lazy_re.compile(rb"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}")


@functools.lru_cache(maxsize=4)  # a file is scanned, and then its conditionals are read
def without_literals(data: bytes) -> bytes:
    """The text without comments, strings and character constants."""
    return HIDDEN.sub(lambda match: match[0].translate(BLANK), data)


def without_comments(data: bytes) -> bytes:
    """The text without comments and without what `#if 0` hides, but with strings."""
    text = HIDDEN.sub(lambda token: token[0].translate(BLANK) if token[0][:1] == b"/" else token[0], data)
    hidden = _NEVER.search(text)
    while hidden:
        depth = 1
        end = len(text)
        for branch in _BRANCH.finditer(text, hidden.end()):
            word = branch[1]
            depth += (word in (b"if", b"ifdef", b"ifndef")) - (word == b"endif")
            if depth == 0 or (depth == 1 and word in (b"else", b"elif")):
                end = branch.start()
                break
        text = text[: hidden.start()] + text[hidden.start() : end].translate(BLANK) + text[end:]
        hidden = _NEVER.search(text)
    return text


def plain(data: bytes) -> bytes:
    """A text whose directives can be read line by line: lines joined, comments removed, and `#` for the digraph `%:`."""
    spliced = _SPLICE.sub(b"", data) if b"\\" in data else data
    text = HIDDEN.sub(lambda token: b" " if token[0][:1] == b"/" else token[0], spliced).translate(_BLANKS)
    return _DIGRAPH.sub(b"#", text) if b"%:" in text else text


def without_bracketed(text: bytes) -> bytes:
    """The text with parentheses, brackets and braces blanked, and everything inside them."""
    for _ in range(_DEEPEST):
        flatter = _BRACKETS.sub(lambda match: match[0].translate(BLANK), text)
        if flatter == text:
            break
        text = flatter
    return text
