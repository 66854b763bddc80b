"""Line numbers as values: where `__LINE__` is used for more than a message, itself or through macros."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from hook import lazy_re
from hook.c.blanking import plain, without_literals

_SPLICE = lazy_re.compile(rb"\\[ \t]*+\r?\n")
_MACRO = lazy_re.compile(rb"(?m)^[ \t]*+#[ \t]*+define[ \t]++([A-Za-z_]\w*+)([^\n]*+)")
_MARK = lazy_re.compile(rb"([A-Za-z_]\w*+)[ \t]*+\(|[(),]")
_NAME = lazy_re.compile(rb"\w+")
_LAST_WORD = lazy_re.compile(rb"\w+\Z")
_BEFORE_A_CALL = frozenset((b"return", b"else", b"do"))
_DIRECTIVE = lazy_re.compile(rb"(?m)^[ \t]*#[^\n]*+")
_DEFINES = lazy_re.compile(rb"[ \t]*#[ \t]*define\b")
_TOKEN = lazy_re.compile(rb"\w++|[^\w\s]")
_NEAR = 100  # bytes on either side of a name
LINE = b"__LINE__"


def line_macros(texts: Iterable[bytes], only_logs: Callable[[bytes, int], bool], others: Iterable[bytes] = ()) -> frozenset[bytes]:
    """`__LINE__`, `others` that use it, and the macros of `texts` through which these are used; none where no text has one.

    Where `only_logs` is true of an argument of a call, that use does not count, unless something in the call could be more than a value.
    """
    texts = list(texts)
    names = {LINE, *others}
    if not any(name in text for text in texts for name in names):
        return frozenset()
    bodies = [(macro[1], macro[2]) for text in texts for macro in _MACRO.finditer(_SPLICE.sub(b" ", without_literals(text)))]
    while more := {name for name, body in bodies if name not in names and uses(body, names, only_logs)}:
        names |= more
    return frozenset(names)


def moved(old: bytes, new: bytes) -> bool:
    """Whether code stands on another line in one of two versions that differ in no more than the spelling of tokens."""
    return _tokens_by_line(old) != _tokens_by_line(new)


def _tokens_by_line(text: bytes) -> list[tuple[int, int]]:
    """The lines that have tokens, and how many."""
    counts = enumerate(len(_TOKEN.findall(line)) for line in without_literals(text).split(b"\n"))
    return [(line, count) for line, count in counts if count]


def macros_with(names: Iterable[bytes], texts: Iterable[bytes]) -> frozenset[bytes]:
    """The macros of some texts without comments and spliced lines that have one of `names` in their bodies."""
    used = re.compile(rb"\b(?:" + b"|".join(sorted(names)) + rb")\b")
    return frozenset(macro[1] for text in texts for macro in _MACRO.finditer(text) if used.search(macro[2]))


def texts_with_lines(texts: Iterable[bytes]) -> list[bytes]:
    """Those of some texts that have a macro which uses `__LINE__`, itself or through others of them, in plain text."""
    waiting, found, names = list(texts), list[bytes](), {LINE}
    latest = names
    while more := [text for text in waiting if any(name in text for name in latest)]:
        waiting = [text for text in waiting if text not in more]
        found += map(plain, more)
        latest = set(macros_with(names, found)) - names
        names = names | latest
    return found


def lines_with(text: bytes, names: frozenset[bytes], only_logs: Callable[[bytes, int], bool]) -> list[int]:
    """The lines of a text on which one of `names` is used for more than a message."""
    bare = without_literals(text)
    return [bare.count(b"\n", 0, at) for at in uses(bare, names, only_logs)]


def uses(text: bytes, names: Iterable[bytes], only_logs: Callable[[bytes, int], bool]) -> list[int]:
    """Where one of `names` is used for more than a message in a text without literals."""
    places = [match.start() for match in re.finditer(rb"\b(?:" + b"|".join(sorted(names)) + rb")\b", text)]
    return [at for at in places if not _is_logged(text, at, only_logs)]


def _is_logged(text: bytes, at: int, only_logs: Callable[[bytes, int], bool]) -> bool:
    """Whether a place is an argument of a call that only logs, whole and by itself."""
    if not _is_argument(text, at):
        return False
    begin = max(text.rfind(mark, 0, at) for mark in (b";", b"{", b"}")) + 1
    open_calls: list[tuple[bytes, int]] = []  # of each open parenthesis, the name before it and the commas behind it
    for mark in _MARK.finditer(text, begin, at):
        if mark[0] == b",":
            open_calls[-1:] = [(name, commas + 1) for name, commas in open_calls[-1:]]
        elif mark[0] != b")":
            open_calls.append((mark[1] or b"", 0))
        elif open_calls:
            open_calls.pop()
    calls = [call for call in open_calls if call[0]]
    return bool(calls) and _is_only_called(text, calls[-1][0]) and only_logs(*calls[-1])


def _is_only_called(text: bytes, name: bytes) -> bool:
    """Whether each use of a name in a text is a call of the function or macro that the tree knows by it.

    A member, a pointer, a parameter or a variable of the name may be any function.
    """
    for use in re.finditer(rb"\b" + name + rb"\b", text):
        begin = text.rfind(b"\n", 0, use.start()) + 1
        before = text[begin : use.start()].rstrip() or _DIRECTIVE.sub(b"", text[max(0, begin - _NEAR) : begin]).rstrip()
        word = _LAST_WORD.search(before)
        declares = word is not None and word[0] not in _BEFORE_A_CALL and not _DEFINES.match(text, begin)
        is_called = text[use.end() : use.end() + _NEAR].lstrip().startswith(b"(")
        if declares or not is_called or before.endswith((b".", b"->", b"*")):
            return False
    return True


def _is_argument(text: bytes, at: int) -> bool:
    """Whether a name is a whole argument of a call, perhaps in parentheses of its own."""
    name = _NAME.match(text, at)
    end = name.end() if name else at
    before, behind = text[max(0, at - _NEAR) : at].rstrip(), text[end : end + _NEAR].lstrip()
    while before.endswith(b"(") and behind.startswith(b")") and not _NAME.match(before[:-1].rstrip()[-1:]):
        before, behind = before[:-1].rstrip(), behind[1:].lstrip()
    return before.endswith((b",", b"(")) and behind.startswith((b",", b")"))
