"""Line numbers as values: where `__LINE__` is used for more than a message, itself or through macros."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from hook import lazy_re
from hook.c.blanking import without_literals

_SPLICE = lazy_re.compile(rb"\\[ \t]*+\r?\n")
_MACRO = lazy_re.compile(rb"(?m)^[ \t]*+#[ \t]*+define[ \t]++([A-Za-z_]\w*+)([^\n]*+)")
_CALL = lazy_re.compile(rb"([A-Za-z_]\w*+)[ \t]*+\(|[()]")
LINE = b"__LINE__"


def line_macros(texts: Iterable[bytes], only_logs: Callable[[bytes], bool]) -> frozenset[bytes]:
    """`__LINE__` and the macros of `texts` through which it is used; none where no text has it.

    What a call of a function that `only_logs` is given is not used, unless something in that call could be more than a value.
    """
    texts = list(texts)
    if not any(LINE in text for text in texts):
        return frozenset()
    bodies = [(macro[1], macro[2]) for text in texts for macro in _MACRO.finditer(_SPLICE.sub(b" ", without_literals(text)))]
    names = {LINE}
    while more := {name for name, body in bodies if name not in names and _uses(body, names, only_logs)}:
        names |= more
    return frozenset(names)


def lines_with(text: bytes, names: frozenset[bytes], only_logs: Callable[[bytes], bool]) -> list[int]:
    """The lines of a text on which one of `names` is used for more than a message."""
    bare = without_literals(text)
    return [bare.count(b"\n", 0, at) for at in _uses(bare, names, only_logs)]


def _uses(text: bytes, names: Iterable[bytes], only_logs: Callable[[bytes], bool]) -> list[int]:
    places = [found.start() for found in re.finditer(rb"\b(?:" + b"|".join(sorted(names)) + rb")\b", text)]
    return [at for at in places if not _is_logged(text, at, only_logs)]


def _is_logged(text: bytes, at: int, only_logs: Callable[[bytes], bool]) -> bool:
    """Whether a place is in the arguments of a call that only logs, and not in those of another call or a statement inside it."""
    begin = max(text.rfind(mark, 0, at) for mark in (b";", b"{", b"}")) + 1
    open_calls: list[bytes] = []
    for mark in _CALL.finditer(text, begin, at):
        if mark[0] != b")":
            open_calls.append(mark[1] or b"")
        elif open_calls:
            open_calls.pop()
    calls = [name for name in open_calls if name]
    return bool(calls) and only_logs(calls[-1])
