"""Declarations: the system calls, resources and types of a description, from its text.

The syntax is in docs/syscall_descriptions_syntax.md of syzkaller. A line that is not understood declares nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hook import lazy_re

_MOST_DEPTH = 40  # of brackets inside each other
_MOST_TOKENS = 4000  # of one line
_TOKEN = lazy_re.compile(r'"(?:[^"\\\n]|\\.)*"|`[^`\n]*`|\'[^\'\n]*\'|[\w$.-]+|[\[\]():,]')
_COMMENT = lazy_re.compile(r'^((?:[^#"`\'\n]|"(?:[^"\\\n]|\\.)*"|`[^`\n]*`|\'[^\'\n]*\')*)#.*')
_CALL = lazy_re.compile(r"[a-z_]\w*(?:\$[\w$]+)?\(")
_OPENING = lazy_re.compile(r"(?:type\s+)?([\w$]+)(?:\[([\w$,\s]+)\])?\s*([{\[])\s*\Z")
_ALIAS = lazy_re.compile(r"type\s+([\w$]+)(?:\[([\w$,\s]+)\])?\s+(.+)")
_RESOURCE = lazy_re.compile(r"resource\s+([\w$]+)\[(.+?)\]\s*(?::|\Z)")
_SET = lazy_re.compile(r"([\w$]+)\s*=\s*(.+)")
_META = lazy_re.compile(r"meta\s+(\w+)(?:\[(.*)\])?")


class Type(NamedTuple):
    """A type as written: `ptr[in, array[int8]]`; also a number, a constant or a literal in its place."""

    name: str
    arguments: tuple[Type, ...] = ()


class NamedType(NamedTuple):
    """An argument of a call, or a field of a structure or union."""

    name: str
    type: Type
    attributes: frozenset[str] = frozenset()


class TypeGroup(NamedTuple):
    """A structure or a union, perhaps a template."""

    parameters: tuple[str, ...]
    is_union: bool
    fields: tuple[NamedType, ...]


class TypeAlias(NamedTuple):
    """`type name[PARAMETERS] TYPE`."""

    parameters: tuple[str, ...]
    type: Type


class SystemCall(NamedTuple):
    """A call, or one variant of it: `ioctl$KVM_RUN`."""

    name: str
    arguments: tuple[NamedType, ...]
    result: str  # the resource that it returns; empty if none
    attributes: frozenset[str]
    path: str  # of the description, in the checkout
    line: int

    @property
    def base(self) -> str:
        """The system call itself, without the variant."""
        return self.name.partition("$")[0]


class Declarations:
    """The declarations of some descriptions."""

    def __init__(self) -> None:
        self.calls: dict[str, SystemCall] = {}
        self.resources: dict[str, str] = {}  # name -> its base resource or type
        self.groups: dict[str, TypeGroup] = {}
        self.aliases: dict[str, TypeAlias] = {}
        self.sets: dict[str, tuple[str, ...]] = {}  # of constants, or of strings, without their quotes

    def add(self, text: str, path: str, arch: str) -> None:
        """Add the declarations of one file; none if it is for other architectures, or generated (`meta automatic`)."""
        lines = [(number, _COMMENT.sub(r"\1", line).strip()) for number, line in enumerate(text.split("\n"), 1)]
        for _, line in lines:
            if (meta := _META.match(line)) is None:
                continue
            if meta[1] == "automatic" or (meta[1] == "arches" and f'"{arch}"' not in (meta[2] or "")):
                return
        waiting = iter(lines)
        for number, line in waiting:
            if opening := _OPENING.match(line):
                parameters = _parameters(opening[2])
                self.groups.setdefault(opening[1], TypeGroup(parameters, opening[3] == "[", tuple(_fields(waiting))))
            elif _CALL.match(line):
                if call := _call(line, path, number):
                    self.calls.setdefault(call.name, call)
            elif alias := _ALIAS.match(line):
                self.aliases.setdefault(alias[1], TypeAlias(_parameters(alias[2]), _type(_tokens(alias[3]))))
            elif resource := _RESOURCE.match(line):
                self.resources.setdefault(resource[1], resource[2].strip())
            elif (definition := _SET.match(line)) and definition[1] != "_":
                self.sets.setdefault(definition[1], tuple(_plain(token) for token in _tokens(definition[2]) if token != ","))


def _tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)[:_MOST_TOKENS]


def _plain(token: str) -> str:
    """A literal without its quotes."""
    return token[1:-1] if token[:1] in ('"', "`") else token


def _parameters(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",")) if text else ()


def _type(tokens: Sequence[str]) -> Type:
    return _Reader(tokens).type() if tokens else Type("void")


def _fields(lines: Iterator[tuple[int, str]]) -> Iterator[NamedType]:
    """The fields up to the line that closes the group."""
    for _, line in lines:
        if line[:1] in ("}", "]"):
            return
        tokens = _tokens(line)
        if len(tokens) > 1:
            reader = _Reader(tokens[1:])
            kind = reader.type()
            yield NamedType(tokens[0], kind, reader.attributes())


def _call(line: str, path: str, number: int) -> SystemCall | None:
    tokens = _tokens(line)
    if len(tokens) < 3 or tokens[1] != "(":
        return None
    reader = _Reader(tokens[2:])
    arguments = []
    while reader.next not in (")", ""):
        name = reader.take()
        if name == ",":
            continue
        arguments.append(NamedType(name, reader.type()))
    if reader.take() != ")":
        return None
    result = reader.take() if reader.next not in ("(", "") else ""
    return SystemCall(tokens[0], tuple(arguments), result, reader.attributes(), path, number)


class _Reader:
    """Reads types from the tokens of a line."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens, self._at = tokens, 0

    @property
    def next(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def take(self) -> str:
        token = self.next
        self._at += 1
        return token

    def type(self, depth: int = 0) -> Type:
        name = self.take()
        if self.next == ":":  # a range, the width of a bit field, a path to a field
            while self.next == ":":
                self._at += 2
        if self.next != "[" or depth > _MOST_DEPTH:
            return Type(name)
        self.take()
        arguments = []
        while self.next not in ("]", ""):
            if self.next in (",", "(", ")", ":"):
                self.take()
                continue
            arguments.append(self.type(depth + 1))
        self.take()
        if self.next == ":":
            self._at += 2
        return Type(name, tuple(arguments))

    def attributes(self) -> frozenset[str]:
        """The words in the parentheses after a field or call, without those of a condition."""
        words, depth = set(), 0
        while token := self.take():
            depth += (token == "[") - (token == "]")
            if depth == 0 and token not in ("(", ")", ",", "]"):
                words.add(token)
        return frozenset(words)
