"""Tracepoints: whether an event does nothing, where it is enabled, but record numbers that its call is given, and print them later."""

from __future__ import annotations

import re

from hook import lazy_re
from hook.c.brackets import Brackets

_PARENTHESES = Brackets(b"(", b")", skips_literals=True)
_TOKEN = lazy_re.compile(rb'"(?:[^"\\\n]|\\.)*"|[A-Za-z_]\w*|[0-9]\w*|->|\+\+|--|<<|>>|[=!<>]=|&&|\|\||[^\s]')
_NUMBER, _NAME = lazy_re.compile(rb"[0-9]\w*\Z"), lazy_re.compile(rb"[A-Za-z_]\w*\Z")
# an address, a product and a division are none: what they are of is not looked at
_OPERATORS = frozenset(b"+ - & | ^ ~ ! && || ? : == != < > <= >= << >> ( )".split())
_PRINTED_BY = frozenset((b"__print_symbolic", b"__print_flags"))
_FIELD = lazy_re.compile(rb"\s*(?:__field\s*\(\s*[\w ]+,\s*\w+\s*\)\s*)*\Z")
_BEFORE_A_BODY = rb"\b(?:TRACE_EVENT|DECLARE_EVENT_CLASS)\s*\(\s*%b\s*,"


def only_records(text: bytes, name: bytes) -> bool:
    """Whether a header, without comments, defines an event once, by TRACE_EVENT or in a class of the header, and that only records.

    Not an event that calls anything but printers of numbers, reads by a pointer or an index, divides, assigns to what is not of the record,
    has a condition, or has a string or an array in its record.
    """
    event = re.escape(name)
    of_class = re.findall(rb"\bDEFINE_EVENT\s*\(\s*(\w+)\s*,\s*" + event + rb"\s*,", text)
    names = [*([name] if re.search(_BEFORE_A_BODY % event, text) else []), *of_class]
    found = [begin for one in names for begin in re.finditer(_BEFORE_A_BODY % re.escape(one), text)]
    return len(names) == 1 and len(found) == 1 and _is_plain(text, text.index(b"(", found[0].start()))


def _is_plain(text: bytes, opening: int) -> bool:
    end = _PARENTHESES.closing(text, opening)
    body = text[opening:end]
    parts = {word: _part(body, word) for word in (b"TP_PROTO", b"TP_STRUCT__entry", b"TP_fast_assign", b"TP_printk")}
    if end < 0 or None in parts.values() or b"#" in body.replace(b"##", b""):
        return False
    parameters = frozenset(re.findall(rb"(\w+)\s*(?:,|\Z)", parts[b"TP_PROTO"] or b""))
    statements = [_TOKEN.findall(statement) for statement in (parts[b"TP_fast_assign"] or b"").split(b";")]
    return (
        _FIELD.match(parts[b"TP_STRUCT__entry"] or b"") is not None
        and all(not tokens or _is_recorded(tokens, parameters) for tokens in statements)
        and _is_printed(_TOKEN.findall(parts[b"TP_printk"] or b""))
    )


def _part(body: bytes, word: bytes) -> bytes | None:
    """What stands in the parentheses of a part of an event; empty where there is no such part, None where it cannot be told."""
    found = list(re.finditer(rb"\b" + word + rb"\s*\(", body))
    if not found:
        return b""
    end = _PARENTHESES.closing(body, found[0].end() - 1)
    return body[found[0].end() : end] if len(found) == 1 and end >= 0 else None


def _is_recorded(tokens: list[bytes], parameters: frozenset[bytes]) -> bool:
    """`__entry->member = …`, of parameters and numbers."""
    if tokens[:2] != [b"__entry", b"->"] or tokens[3:4] != [b"="] or len(tokens) < 5:
        return False
    return all(token in parameters or token in _OPERATORS or _NUMBER.match(token) for token in tokens[4:]) and not _calls(tokens[4:])


def _is_printed(tokens: list[bytes]) -> bool:
    """A format, and members of the record, some in the arguments of a printer of names."""
    if _calls([token for token in tokens if token not in _PRINTED_BY]):
        return False
    members = {
        place
        for at, token in enumerate(tokens)
        if token == b"__entry" and tokens[at + 1 : at + 2] == [b"->"]
        for place in (at, at + 1, at + 2)
    }
    return all(
        at in members
        or token in _OPERATORS
        or token in _PRINTED_BY
        or token in (b",", b"{", b"}")
        or token[:1] in b'"0123456789'
        or token.isupper()
        for at, token in enumerate(tokens)
    )


def _calls(tokens: list[bytes]) -> bool:
    return any(_NAME.match(token) and tokens[at + 1 : at + 2] == [b"("] for at, token in enumerate(tokens))
