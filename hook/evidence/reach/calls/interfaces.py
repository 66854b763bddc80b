"""Interfaces: what descriptions of system calls name a call path by: the system call, the file system, the netlink family."""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.evidence.reach.calls.nodes import CallPath, Hop, NodeKind, PathNode
from hook.kernel.callback_tables import EntryKind
from hook.kernel.name_users import NameUsers

if typing.TYPE_CHECKING:
    from hook.syzlang.checkout import Descriptions

_KINDS = {
    "call": "system call", "device": "device", "mount": "file system", "genl": "netlink family", "family": "socket family",
    "ioctl": "ioctl", "rtnl": "rtnetlink message", "op": "io_uring operation",
}  # fmt: skip
ENTRY = "entry:"  # what a program does, where the interface has no name of its own
_ENTRY_KINDS = frozenset(EntryKind)
_NAMED = {"file_system_type": ("mount", rb"name"), "genl_family": ("genl", rb"name"), "net_proto_family": ("family", rb"family")}
_RTNETLINK = lazy_re.compile(r"\brtnl_register\w*\(\s*(?:\w+,\s*)?\w+,\s*(RTM_\w+)")
_IO_URING = lazy_re.compile(r"\bio_(?:issue|cold|op)_def\b")
_LITERAL = rb'\.\s*%s\s*=\s*(?:"([^"\n]+)"|([A-Za-z_]\w*))'


def named(call_path: CallPath, name_users: NameUsers) -> list[str]:
    """The interfaces that a call path leads through, as `KIND:NAME`, the nearest to the changed function first, what is entered last."""
    return list(dict.fromkeys(_named(call_path, name_users)))


def described(call_path: CallPath, name_users: NameUsers, descriptions: Descriptions) -> str:
    """A sentence on whether syzkaller describes the interface of a call path; empty where the interface has no name of its own."""
    from hook.syzlang import reaching_calls  # only who names a checkout of syzkaller pays for it

    names = [name for name in named(call_path, name_users) if not name.startswith(ENTRY)]
    for name in names:
        if call := reaching_calls.first(name, descriptions):
            facts = descriptions.calls[call]
            return f"syzkaller describes {shown(name)}: {facts.path}:{facts.line}"
    if not names:
        return ""
    return f"no description of syzkaller reaches {shown(names[0])} yet: fuzzing it needs one first"


def shown(interface: str) -> str:
    """An interface as a person reads it."""
    kind, _, name = interface.partition(":")
    return f"the {_KINDS.get(kind, kind)} {name}"


def _named(call_path: CallPath, name_users: NameUsers) -> Iterator[str]:
    for node, hop in zip(call_path.nodes, call_path.hops, strict=True):
        unit = name_users.units.get(hop.path)
        if unit is not None:
            yield from _of_hop(hop, unit)
        if node.kind is NodeKind.TABLE:
            yield from _of_table(node, name_users)
    entry = call_path.hops[-1]
    if entry.key:
        yield entry.key
    else:
        kinds = (hop.claim.partition(": ")[0] for hop in call_path.hops)
        yield from (f"{ENTRY}{kind}" for kind in kinds if kind in _ENTRY_KINDS)


def _of_hop(hop: Hop, unit: TranslationUnit) -> Iterator[str]:
    if message := _RTNETLINK.search(hop.text):
        yield f"rtnl:{message[1]}"
    offset = unit.offset(hop.line)
    function = unit.function_at(offset)
    if function is not None and "ioctl" in function.name:
        cases = re.findall(rb"\bcase\s+([A-Z_][A-Z0-9_]+)\s*:", unit.scan.code[function.body[0] : unit.offset(hop.line + 1)])
        if cases:
            yield f"ioctl:{cases[-1].decode('ascii')}"
    if _IO_URING.search(hop.claim):
        ops = re.findall(rb"\[(IORING_OP_\w+)\]", unit.scan.code[:offset])
        if ops:
            yield f"op:{ops[-1].decode('ascii')}"


def _of_table(node: PathNode, name_users: NameUsers) -> Iterator[str]:
    unit = name_users.units.get(node.path)
    table = unit.defined(node.name, DefinitionKind.VARIABLE) if unit else None
    if unit is None or table is None:
        return
    text = unit.data[table.span[0] : table.span[1]]
    if node.struct == "miscdevice":
        found = _value(text, rb"nodename", unit, name_users) or _value(text, rb"name", unit, name_users)
        if found:
            yield f"device:/dev/{found}"
    elif node.struct in _NAMED:
        kind, member = _NAMED[node.struct]
        if found := _value(text, member, unit, name_users):
            yield f"{kind}:{found}"


def _value(text: bytes, member: bytes, unit: TranslationUnit, name_users: NameUsers) -> str:
    """What a member of a table is set to: a string, or a constant; of a macro that is defined as a string that string."""
    match = re.search(_LITERAL % member, text)
    if match is None:
        return ""
    if match[1]:
        return match[1].decode("utf-8", "replace")
    word = match[2].decode("ascii")
    for path in (unit.path, *name_users.defining(word)[:3]):
        other = name_users.units.get(path)
        defined = re.search(rb"(?m)^[ \t]*#[ \t]*define[ \t]+" + match[2] + rb'[ \t]+"([^"\n]+)"', other.data) if other else None
        if defined:
            return defined[1].decode("utf-8", "replace")
    return word
