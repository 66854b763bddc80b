"""Log arguments: whether a call that logs can evaluate an argument without a fault or an effect.

Safe are constants and what is computed from locals with a plain type. What reads memory by a pointer, divides, calls or assigns is not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

import msgspec

from hook import lazy_re
from hook.evidence.functional.logs import waiting_loops
from hook.evidence.functional.logs.local_variables import Locals, is_type, type_width
from hook.evidence.functional.logs.printk_formats import Conversion
from hook.evidence.functional.token_places import NAME, STRING, Tokens, closing

_NUMBER = lazy_re.compile(rb"(?:0[xX][0-9a-fA-F]+|[0-9]+)[uUlL]*\Z|'[^']+'\Z")
_OPERATORS = frozenset(b"+ - & | ^ ~ ! && || ? : == != < > <= >=".split())
_UNARY = frozenset(b"+ - ~ !".split())
# of include/linux: computed from their argument alone
PURE = frozenset(
    b"PTR_ERR ERR_PTR IS_ERR IS_ERR_OR_NULL le16_to_cpu le32_to_cpu le64_to_cpu be16_to_cpu be32_to_cpu be64_to_cpu cpu_to_le16 cpu_to_le32"
    b" cpu_to_be16 cpu_to_be32 ntohs ntohl htons htonl upper_32_bits lower_32_bits".split()
)
_CONSTANTS = frozenset(b"true false NULL __LINE__".split())
_NAMES_OF_FUNCTION = frozenset(b"__func__ __FUNCTION__ KBUILD_MODNAME".split())


class Scope(msgspec.Struct, frozen=True):
    """What the names in an argument can mean."""

    locals: Locals
    own_names: frozenset[bytes]  # what the file defines itself
    is_number: Callable[[bytes], bool]  # whether a name stands for a constant number in all of the tree
    is_text: Callable[[bytes], bool]  # whether it stands for a string without conversions in all of the tree
    is_array: Callable[[bytes], bool]  # whether the file has it as a constant array of characters that holds a string
    is_macro: Callable[[bytes], bool]  # whether a name may be a macro, here or in a header
    is_volatile: Callable[[bytes], bool]  # whether a name may be declared volatile
    is_opaque: Callable[[bytes], bool]  # whether no header defines a function of a name, nor declares it pure

    def is_constant(self, name: bytes) -> bool:
        if name in self.locals.declared:
            return False
        return (name in _CONSTANTS and name not in self.own_names) or self.is_number(name)

    def waits_by(self, at: int, loggers: Collection[bytes]) -> bool:
        """Whether a loop may wait by the logging statement at a place."""

        def is_opaque(name: bytes) -> bool:
            return name not in self.own_names and self.is_opaque(name)

        return waiting_loops.leans_on(self.locals.tokens, at, loggers, self.locals.declared, is_opaque)


def split(tokens: Tokens) -> list[Tokens]:
    """The tokens between the parentheses of a call, cut at the commas between its arguments."""
    arguments = []
    begin = depth = 0
    for at, token in enumerate(tokens):
        depth += (token in (b"(", b"[", b"{")) - (token in (b")", b"]", b"}"))
        if token == b"," and depth == 0:
            arguments.append(tokens[begin:at])
            begin = at + 1
    return [*arguments, tokens[begin:]] if tokens else []


def is_plain(argument: Tokens, at: int, scope: Scope) -> bool:
    """Whether an argument that is evaluated at a place of the function is computed from constants and plain locals alone."""
    place = 0
    operand = False  # whether an operand ends here
    while place < len(argument):
        token = argument[place]
        after = argument[place + 1] if place + 1 < len(argument) else b""
        if token == b"(":
            end = closing(argument, place)
            inner = argument[place + 1 : end]
            if not end or operand:
                return False
            if not (is_cast := _is_number_type(inner, scope)) and not is_plain(inner, at, scope):
                return False
            operand, place = not is_cast, end + 1
        elif NAME.match(token) and after == b"(":
            end = closing(argument, place + 1)
            inner = argument[place + 2 : end]
            if operand or not end or token in scope.own_names or token in scope.locals.declared:
                return False
            if not (_is_sized(inner, at, scope) if token == b"sizeof" else token in PURE and is_plain(inner, at, scope)):
                return False
            operand, place = True, end + 1
        elif after == b"." and scope.locals.is_structure(token, at):
            end = place + 1
            while argument[end : end + 1] == (b".",) and end + 1 < len(argument) and NAME.match(argument[end + 1]):
                end += 2
            if operand or any(scope.is_macro(name) or scope.is_volatile(name) for name in argument[place:end:2]):
                return False
            operand, place = True, end
        elif NAME.match(token) or _NUMBER.match(token):
            if operand or not (_NUMBER.match(token) or _is_value(token, at, scope)):
                return False
            operand, place = True, place + 1
        elif token == b"*" and operand and place and _is_factor(argument[place - 1], at, scope) and _is_factor(after, at, scope):
            operand, place = False, place + 1
        elif token in (b"<<", b">>") and operand and re.match(rb"(?:[12]?[0-9]|3[01])\Z", after):
            place += 2
        elif token == b"&" and not operand:
            if scope.locals.value(after, at) is None or argument[place + 2 : place + 3] == (b".",):
                return False  # what has an address is a variable
            place += 1
        elif token in _OPERATORS and (operand or token in _UNARY):
            operand, place = False, place + 1
        else:
            return False
    return operand


def is_printed_text(argument: Tokens, at: int, scope: Scope) -> bool:
    """Whether an argument is a string constant, the name of the function, or one of two string constants by a plain condition."""
    if len(argument) == 1:
        token = argument[0]
        if STRING.match(token):
            return True
        if token in scope.locals.declared:
            return False
        if token in _NAMES_OF_FUNCTION:
            return token not in scope.own_names
        return bool(NAME.match(token)) and (scope.is_text(token) or scope.is_array(token))
    chosen = len(argument) > 4 and argument[-4] == b"?" and argument[-2] == b":" and all(map(STRING.match, argument[-3::2]))
    return chosen and is_plain(argument[:-4], at, scope)


def beside_plain(
    conversions: Sequence[Conversion], arguments: Sequence[Tokens], at: int, scope: Scope
) -> list[tuple[bytes, Tokens]] | None:
    """The arguments that read memory or do more, each with its conversion; None where they do not fit the format."""
    if sum(1 + conversion.counts for conversion in conversions) != len(arguments):
        return None
    others: list[tuple[bytes, Tokens]] = []
    left = list(arguments)
    misread = False  # whether an argument could have another size than the format says
    for conversion in conversions:
        for count in left[: conversion.counts]:
            others += [] if is_plain(count, at, scope) else [(b"*", count)]
        argument = left[conversion.counts]
        left = left[conversion.counts + 1 :]
        if conversion.prints_memory and misread:
            return None
        if conversion.type == b"s" and is_printed_text(argument, at, scope):
            continue
        if conversion.prints_memory:
            others.append((conversion.text, argument))
            continue
        misread = misread or _width(argument, at, scope) != (b"wide" if conversion.size == b"ll" else b"narrow")
        is_address = argument[:1] == (b"&",) and conversion.type[:1] != b"p"  # a compiler warns of it: it is no number
        if is_address or not is_plain(argument, at, scope):
            others.append((b"", _uncast(argument, scope)))
    return others


def is_member(words: Tokens) -> bool:
    """Whether this is a variable, or a member of one: `a`, `a->b.c`."""
    return len(words) % 2 == 1 and all(NAME.match(word) if at % 2 == 0 else word in (b".", b"->") for at, word in enumerate(words))


def is_plain_number(argument: Tokens, at: int, scope: Scope) -> bool:
    """Whether an argument is plain, and contains no pointer that the callee could follow."""
    pointers = {name for name, local in scope.locals.by_name.items() if local.is_pointer} | {b"NULL", b"ERR_PTR"}
    return is_plain(argument, at, scope) and pointers.isdisjoint(argument)


def _is_value(name: bytes, at: int, scope: Scope) -> bool:
    return not scope.is_macro(name) if scope.locals.value(name, at) else scope.is_constant(name)


def _is_factor(token: bytes, at: int, scope: Scope) -> bool:
    local = scope.locals.value(token, at)
    return bool(_NUMBER.match(token)) or (local is not None and not local.is_pointer and not scope.is_macro(token))


def _is_number_type(words: Tokens, scope: Scope) -> bool:
    if not type_width(words) and words != (b"void", b"*"):
        return False
    return all(word == b"*" or (is_type(word, scope.locals.tokens) and word not in scope.own_names) or word == b"const" for word in words)


def _is_sized(inner: Tokens, at: int, scope: Scope) -> bool:
    """Whether the operand of sizeof is a number type, or a plain local or what it points to."""
    names = inner[1:] if inner[:1] == (b"*",) else inner
    return _is_number_type(inner, scope) or (len(names) == 1 and names[0] in scope.locals.by_name and not scope.is_macro(names[0]))


def _uncast(argument: Tokens, scope: Scope) -> Tokens:
    """A variable or member without casts to a number before it: what is read is the same."""
    if argument[:1] == (b"(",) and (end := closing(argument, 0)) and _is_number_type(argument[1:end], scope):
        rest = argument[end + 1 :]
        if is_member(rest):
            return rest
    return argument


def _width(argument: Tokens, at: int, scope: Scope) -> bytes:
    """How many bits an argument is passed with: `wide` 64 everywhere, `narrow` a register; empty where not known."""
    if argument[:1] == (b"(",) and (end := closing(argument, 0)) and end < len(argument) - 1 and type_width(argument[1:end]):
        simple = end == len(argument) - 2 or (argument[end + 1] == b"(" and closing(argument, end + 1) == len(argument) - 1)
        return type_width(argument[1:end]) if simple else b""
    if len(argument) != 1:
        return b""
    if local := scope.locals.value(argument[0], at):
        return b"wide" if local.is_wide else b"" if local.may_be_wide else b"narrow"
    return b"narrow" if re.match(rb"[0-9]{1,9}\Z|__LINE__\Z", argument[0]) else b""
