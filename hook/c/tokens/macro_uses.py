"""Macro uses: the calls in a piece of C as written, and what a macro does with its arguments.

A macro can make a string (`#x`) or a name (`a##b`) of an argument. Then white space, the spelling of a number and the name of a variable
are part of what the program does.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AnySet

from hook import lazy_re
from hook.c.keywords import IN_STATEMENTS, NOT_A_MACRO
from hook.c.tokens import c_tokens

Use = tuple[bytes, tuple[bytes, ...]]  # the name that is called, and the tokens of its arguments with white space
_NAME = lazy_re.compile(rb"[A-Za-z_]\w*\Z")
_TOKEN = lazy_re.compile(rb"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|[A-Za-z_]\w*|##|->|\.\.\.|[^\s]")
_DEFINITION = lazy_re.compile(rb"(?m)^[ \t]*+#[ \t]*+define[ \t]++([A-Za-z_]\w*+)(\([^()\n]*\))?([^\n]*)")
_LITERAL = lazy_re.compile(rb"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
_COMMA_PASTE = lazy_re.compile(rb",\s*##\s*(?=[A-Za-z_])")
_STRINGIFIED = lazy_re.compile(rb"(?<!#)#(?!#)\s*(\w+)")
_PASTED = lazy_re.compile(rb"\w+(?:\s*##\s*\w+)+")
# tokens that use an argument as the name of a member or of a type
_NAMES_A_MEMBER = frozenset((b".", b"->", b"struct", b"union", b"enum", b"goto"))
_MEMBER_CALLS = frozenset((b"offsetof", b"__builtin_offsetof"))
UNKNOWN = b")"  # called by an expression, which could expand to the name of a macro


def uses(texts: Iterable[bytes]) -> collections.Counter[Use]:
    """All calls in some pieces of C, those in macros and those inside others too. Raises Unreadable."""
    calls: collections.Counter[Use] = collections.Counter()
    for text in texts:
        calls.update(_uses(c_tokens.spaced_tokens(text)))
    return calls


def _uses(tokens: list[bytes]) -> Iterator[Use]:
    opened: list[tuple[bytes, int]] = []  # of each open parenthesis, the name before it and the place behind it
    closed = before = b""
    for at, token in enumerate(tokens):
        if token == b"(":
            called = UNKNOWN if before == b")" and closed else before if _NAME.match(before) and before not in NOT_A_MACRO else b""
            opened.append((called, at + 1))
        elif token == b")" and opened:
            closed, begin = opened.pop()
            if closed:
                arguments = tokens[begin:at]
                while arguments and arguments[0] == b" ":
                    del arguments[0]
                while arguments and arguments[-1] == b" ":
                    del arguments[-1]
                yield closed, tuple(arguments)
        if token != b" ":
            before = token


def differing_calls(old: Iterable[bytes], new: Iterable[bytes]) -> set[bytes]:
    """The names that are called with other text in one of two versions. Raises Unreadable."""
    before, after = uses(old), uses(new)
    return {name for name, _ in (before - after) + (after - before)}


def definitions(text: bytes, name: bytes) -> list[tuple[tuple[bytes, ...] | None, bytes]]:
    """The macros of a name in a text without comments and spliced lines: the parameters, None where there are none, and the body."""
    form = rb"(?m)^[ \t]*+#[ \t]*+define[ \t]++" + re.escape(name) + rb"(?!\w)(\([^()\n]*\))?([^\n]*)"
    macros = []
    for macro in re.finditer(form, text):
        parameters = (
            None if macro[1] is None else tuple(re.sub(rb"\.\.\.\Z", b"", parameter.strip()) for parameter in macro[1][1:-1].split(b","))
        )
        macros.append((parameters, macro[2]))
    return macros


def values(texts: Iterable[bytes]) -> frozenset[bytes]:
    """The macros without parameters that some texts define, in which there are no comments and no spliced lines."""
    return frozenset(macro[1] for text in texts for macro in _DEFINITION.finditer(text) if macro[2] is None)


def makes(text: bytes, name: bytes, pieces: Iterable[bytes], used: Iterable[bytes]) -> bool:
    """Whether a macro of a text, one of those `used` or one behind them, has a name in its body, or puts it together of `pieces`, or has
    all pieces of it in their bodies, from where a macro may get them that pastes its parameters.

    The text is one without comments and spliced lines.
    """
    pasted = rb"|".join(map(re.escape, sorted(pieces)))
    form = re.compile(rb"(?<!\w)" + re.escape(name) + rb"(?!\w)|(?<!\w)(?:" + pasted + rb")[ \t]*##|##[ \t]*(?:" + pasted + rb")(?!\w)")
    bodies: dict[bytes, list[tuple[frozenset[bytes], bytes]]] = {}
    for macro in _DEFINITION.finditer(text):
        bodies.setdefault(macro[1], []).append((frozenset(re.findall(rb"\w+", macro[2] or b"")), macro[3]))
    waiting, seen, words = set(used) & bodies.keys(), set[bytes](), set(used)
    while waiting:
        macro_name = waiting.pop()
        seen.add(macro_name)
        for parameters, body in bodies[macro_name]:
            if any(match[0] not in parameters for match in form.finditer(body)):
                return True
            names = set(re.findall(rb"\w+", body))
            words |= names - parameters
            waiting |= (names & bodies.keys()) - seen
    return is_joined(name, words)


def is_uneven(texts: Iterable[bytes], used: Iterable[bytes]) -> bool:
    """Whether a macro, one of those `used` or one behind them, opens a brace or parenthesis that it does not close, or closes another's."""
    bodies: dict[bytes, list[bytes]] = {}
    for text in texts:
        for macro in _DEFINITION.finditer(text):
            bodies.setdefault(macro[1], []).append(_LITERAL.sub(b" ", macro[3]).replace(b"<%", b"{").replace(b"%>", b"}"))
    waiting, seen = set(used) & bodies.keys(), set[bytes]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for body in bodies[name]:
            depth = 0
            for mark in re.findall(rb"[{}()]", body):
                depth += 1 if mark in b"{(" else -1
                if depth < 0:
                    return True
            if depth or body.count(b"{") != body.count(b"}"):
                return True
            waiting |= (set(re.findall(rb"\w+", body)) & bodies.keys()) - seen
    return False


def makes_a_string(texts: Iterable[bytes], used: Iterable[bytes]) -> bool:
    """Whether a macro of some texts, one of those `used` or one behind them, may make a string of what it is given."""
    bodies: dict[bytes, list[tuple[frozenset[bytes], bytes]]] = {}
    for text in texts:
        for macro in _DEFINITION.finditer(text):
            bodies.setdefault(macro[1], []).append((frozenset((b"__VA_ARGS__", *re.findall(rb"\w+", macro[2] or b""))), macro[3]))
    waiting, seen = set(used) & bodies.keys(), set[bytes]()
    while waiting:
        name = waiting.pop()
        seen.add(name)
        for parameters, body in bodies[name]:
            if any(word in parameters for word in _STRINGIFIED.findall(body)) or b"__VA_OPT__" in body or b"%:" in body:
                return True
            words = set(re.findall(rb"\w+", body))
            if any(b"stringify" in word.lower() for word in words):
                return True
            waiting |= (words & bodies.keys()) - seen
    return False


def is_joined(name: bytes, words: AnySet[bytes]) -> bool:
    """Whether a name is two or more of some words, one behind the other, as `##` joins them."""
    ends = [0]  # where a row of words ends that begins with the name
    for end in range(1, len(name) + 1):
        if any(name[begin:end] in words for begin in ends if end - begin < len(name)):
            ends.append(end)
    return ends[-1] == len(name)


def may_paste(text: bytes, name: bytes) -> bool:
    """Whether a macro of a text may put a name together by `##`, by the words that it pastes to its parameters.

    The text is one without comments and spliced lines. Parameters alone may make any name.
    """
    if b"__VA_OPT__" in text or b"%:" in text:
        return True
    for macro in _DEFINITION.finditer(text):
        parameters = {b"__VA_ARGS__", *re.findall(rb"\w+", macro[2] or b"")}
        for chain in _PASTED.findall(macro[3]):
            operands = [b"" if word in parameters else word for word in map(bytes.strip, chain.split(b"##"))]
            fits = name.startswith(operands[0]) and name.endswith(operands[-1])
            if fits and all(word in name for word in operands):
                return True
    return False


def keeps_spelling(parameters: tuple[bytes, ...] | None, body: bytes, asks: Callable[[bytes], bool]) -> bool:
    """Whether a macro uses its arguments as expressions alone. `asks` says whether another macro, to which it may give them, does.

    Not where it makes a string or a name of one, names a member by one, calls one, or gives one to the expansion of another macro.
    """
    given = {name or b"__VA_ARGS__" for name in parameters or ()} | ({b"__VA_ARGS__"} if parameters else set())
    tokens = _TOKEN.findall(_COMMA_PASTE.sub(b", ", body))
    if parameters is None:
        last = tokens[-1] if tokens else b""
        return not _NAME.match(last) or last in IN_STATEMENTS or asks(last)  # `#define f g`
    opened: list[bytes] = []  # of each open parenthesis, the name before it
    closed = b""  # that name, of the parenthesis closed last: it may expand to the name of a macro (`PICK(x, f)(x)`)
    called: set[bytes] = set()
    for at, token in enumerate(tokens):
        before, behind = tokens[at - 1] if at else b"", tokens[at + 1] if at + 1 < len(tokens) else b""
        if token == b"(":
            by_result = before == b")" and closed
            opened.append(UNKNOWN if by_result else before if _NAME.match(before) and before not in NOT_A_MACRO else b"")
        elif token == b")":
            closed = opened.pop() if opened else UNKNOWN  # the rest of a call that begins outside of the macro
        elif token in given:
            if before in (b"#", b"##") or behind in (b"##", b"(") or before in _NAMES_A_MEMBER:
                return False
            called.update(name for name in opened if name)
            if _NAME.match(before) and before not in NOT_A_MACRO and before not in given:
                called.add(before)  # the argument could begin with a parenthesis
    if tokens and _NAME.match(tokens[-1]) and tokens[-1] not in given | IN_STATEMENTS:
        called.add(tokens[-1])
    return called.isdisjoint(_MEMBER_CALLS) and all(map(asks, sorted(called)))
