"""Scope: what a name means inside of one function, or one file, by its text."""

from __future__ import annotations

import re

from hook.c.definitions import Definition, DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE
from hook.evidence.reach.calls.nodes import WEAK
from hook.kernel.units import Unit, Use
from hook.source.lookup import places

_POINTS = re.compile(rb"\(\s*\*\s*(?:const\s+)?\Z")
_DECLARES = re.compile(
    rb"(?:^|[;{(,])\s*(?:const\s+|unsigned\s+)*(?:struct\s+|enum\s+|union\s+)?(\w+)[\s*]+(?:\w+[^;(){}]*,\s*\**)?\Z", re.MULTILINE
)


def defines(unit: Unit, name: str) -> bool:
    """Whether a name means something of the file's own in it: a weak function gives way to the one that is not."""
    kinds = (DefinitionKind.FUNCTION, DefinitionKind.MACRO, DefinitionKind.VARIABLE)
    return any(one.kind in kinds and not WEAK.search(unit.head(one)) for one in unit.by_name.get(name, ()))


def shadows(unit: Unit, use: Use, name: str) -> bool:
    """Whether the function around a use has a parameter or variable of that name."""
    user = use.user
    if user is None or user.kind is not DefinitionKind.FUNCTION:
        return False
    code = unit.scan.code
    for offset in places(code, name, user.span[0], user.body[1]):
        before, after = code[max(user.span[0], offset - 80) : offset], code[offset + len(name) : offset + len(name) + 8].lstrip()
        if after[:1] == b")" and _POINTS.search(before):
            return True
        declares = _DECLARES.search(before) if after[:1] in (b";", b",", b"=", b")", b"[") and after[:2] != b"==" else None
        if declares and declares[1] not in BEFORE_A_VALUE:
            return True
    return False


def is_about(given: bytes, held: bytes, before: bytes) -> bool:
    """Whether the arguments of a call name what holds a work item or timer, or a variable that points to it."""
    words = re.findall(rb"\w+", given)
    pointers = [word for word in dict.fromkeys(words) if not word[:1].isdigit()]
    return held in words or any(re.search(rb"\b" + one + rb"\s*=\s*&[\w>.-]*\b" + held + rb"\s*;", before) for one in pointers)


def hands_on(unit: Unit, user: Definition, name: str) -> bool:
    """Whether a function hands a variable of its own to another one, or sets something to it."""
    return re.search(rb"[(,=]\s*" + name.encode() + rb"\s*[,);]", unit.scan.code[user.body[0] : user.body[1]]) is not None


def calls_variable(unit: Unit, user: Definition, name: str) -> bool:
    """Whether a function calls a variable of its own."""
    return re.search(rb"(?<![\w.>])\(?\*?\s*" + name.encode() + rb"\s*\)?\s*\(", unit.scan.code[user.body[0] : user.body[1]]) is not None
