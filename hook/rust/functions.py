"""Rust functions: the functions of a source, and which of them an edit changes.

Names are for a person to read, and nothing is proved by them: a function that a macro makes is not seen, and where braces do not match
the rest of the file has none.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Iterable, Iterator

import msgspec

from hook import lazy_re
from hook.c.tokens.comparison import Unreadable
from hook.rust.rust_tokens import PieceKind, pieces

_DEEPEST = 100  # modules and types in each other
_NAME = lazy_re.compile(rb"[A-Za-z_]\w*+")
_TOKEN = lazy_re.compile(rb"\w+|->|=>|[^\w\s]")
_OPENING, _CLOSING = (b"(", b"[", b"{"), (b")", b"]", b"}")
_TEST = lazy_re.compile(rb"#\s*\[\s*(?:test|cfg\s*\(\s*test\s*\)|kunit_tests\b)")


class RustFunction(msgspec.Struct, frozen=True):
    """A function with a body."""

    name: str  # with the modules, the type or the trait that it is defined in: `ProcessInner::push_work`
    line: int
    text: tuple[bytes, ...]  # the tokens of its attributes, head and body, then its literals
    is_test: bool  # or in a module of tests


class _Token(msgspec.Struct, frozen=True):
    """A word or a mark of a source."""

    text: bytes
    begin: int
    end: int


class ChangedFunction(msgspec.Struct, frozen=True):
    """A function that an edit changes."""

    name: str
    line: int  # of the new version, or of the old one where it is gone
    is_new: bool = False
    is_gone: bool = False


def changed(old: bytes, new: bytes) -> list[ChangedFunction]:
    """The functions whose text differs between two versions, but for tests; none where a version cannot be read."""
    try:
        before, after = _by_name(functions(old)), _by_name(functions(new))
    except Unreadable:
        return []
    differing = [
        ChangedFunction(name, following[0].line, is_new=name not in before)
        for name, following in after.items()
        if [function.text for function in following] != [function.text for function in before.get(name, ())]
    ]
    gone = [ChangedFunction(name, preceding[0].line, is_gone=True) for name, preceding in before.items() if name not in after]
    return differing + gone


def _by_name(found: Iterable[RustFunction]) -> dict[str, list[RustFunction]]:
    by_name: dict[str, list[RustFunction]] = collections.defaultdict(list)
    for function in found:
        if not function.is_test:
            by_name[function.name].append(function)
    return dict(by_name)


class _Scope(msgspec.Struct, frozen=True):
    """A pair of braces around items."""

    label: str  # of a module, type or trait; empty for other braces
    is_test: bool


def functions(source: bytes) -> Iterator[RustFunction]:
    """The functions of a source, in order. Raises Unreadable."""
    literals: list[tuple[int, bytes]] = []
    bare = bytearray(source)
    for kind, begin, end in pieces(source):
        if kind is not PieceKind.CODE:
            bare[begin:end] = b" " * (end - begin)
        if kind is PieceKind.LITERAL:
            literals.append((begin, source[begin:end]))
    code = bytes(bare)
    tokens = [_Token(match[0], match.start(), match.end()) for match in _TOKEN.finditer(code)]
    closing = _closing_brackets(tokens)
    scopes: list[tuple[int, _Scope]] = []  # each with the token that closes it
    item, at = 0, 0  # the first token of the item at hand, and the token at hand
    line, counted = 1, 0  # the line of the last function, and where it stands
    while at < len(tokens):
        token = tokens[at]
        while scopes and at >= scopes[-1][0]:
            scopes.pop()
        label, opening = _opens(tokens, at, closing)
        if opening < 0:
            if token.text == b"!" and at + 1 < len(tokens):
                at = _behind_macro(tokens, at, closing)
            elif token.text in (b"#", b"(", b"["):
                at = closing.get(at + 1 if token.text == b"#" else at, at) + 1
            else:
                at += 1
            if token.text in (b";", b"{", b"}") or tokens[at - 1].text == b"}":
                item = at
            continue
        end = closing[opening]
        is_test = _TEST.search(code, tokens[item].begin, tokens[opening].begin) is not None or any(
            scope.is_test for _, scope in scopes[-1:]
        )
        if token.text == b"fn":
            line += source.count(b"\n", counted, token.begin)
            counted = token.begin
            name = "::".join([*(scope.label for _, scope in scopes if scope.label), label])
            own = literals[bisect.bisect(literals, (tokens[item].begin, b"")) : bisect.bisect(literals, (tokens[end].end, b""))]
            text = (*(inner.text for inner in tokens[item : end + 1]), *(literal for _, literal in own))
            yield RustFunction(name, line, text, is_test)
            at = item = end + 1
        else:
            if len(scopes) > _DEEPEST:
                raise Unreadable("modules too deep in each other")
            scopes.append((end, _Scope(label, is_test)))
            at = item = opening + 1


def _behind_macro(tokens: list[_Token], at: int, closing: dict[int, int]) -> int:
    """The token behind a macro call, whose `!` is at hand: what stands in it is not read. `macro_rules! name` has a name before."""
    first = at + 2 if _NAME.fullmatch(tokens[at + 1].text) else at + 1
    return closing.get(first, at) + 1


def _opens(tokens: list[_Token], at: int, closing: dict[int, int]) -> tuple[str, int]:
    """The label of a module, implementation, trait or function, and the brace that opens it; -1 where none begins here."""
    word = tokens[at].text
    if word not in (b"mod", b"impl", b"trait", b"fn"):
        return "", -1
    opening = _opening_brace(tokens, at + 1, closing)
    if opening < 0:
        return "", -1
    if word == b"impl":
        return _type_name(tokens[at + 1 : opening]), opening
    name = tokens[at + 1].text
    return (name.decode("ascii"), opening) if _NAME.fullmatch(name) else ("", -1)


def _type_name(head: list[_Token]) -> str:
    """The name of the type that an implementation is for: the last one of its path, without what it is made of."""
    depth, names = 0, list[bytes]()
    for token in head:
        if token.text in (b"<", b">"):
            depth += 1 if token.text == b"<" else -1
        elif not depth and token.text == b"for":
            names = []
        elif not depth and token.text == b"where":
            break
        elif not depth and _NAME.fullmatch(token.text):
            names.append(token.text)
    return names[-1].decode("ascii") if names else ""


def _closing_brackets(tokens: list[_Token]) -> dict[int, int]:
    """The closing bracket of each opening one, by their places. Raises Unreadable where they do not match."""
    opened: list[int] = []
    closing: dict[int, int] = {}
    for at, token in enumerate(tokens):
        if token.text in _OPENING:
            opened.append(at)
        elif token.text in _CLOSING:
            if not opened or _OPENING.index(tokens[opened[-1]].text) != _CLOSING.index(token.text):
                raise Unreadable("brackets that do not match")
            closing[opened.pop()] = at
    if opened:
        raise Unreadable("a bracket without an end")
    return closing


def _opening_brace(tokens: list[_Token], at: int, closing: dict[int, int]) -> int:
    """The brace that ends the head of an item; -1 where a `;` does. Braces in `<…>` belong to the head."""
    depth = 0
    while at < len(tokens):
        text = tokens[at].text
        if text == b"{" and not depth:
            return at
        if text == b";" or text in _CLOSING:
            return -1
        depth += (text == b"<") - (text == b">")
        at = closing.get(at, at) + 1
    return -1
