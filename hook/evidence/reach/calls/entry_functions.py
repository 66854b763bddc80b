"""Entry functions: system calls, exception handlers, and what the architecture's assembly calls."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.evidence.reach.calls.nodes import Hop, PathNode, Trigger
from hook.kernel import entry_points
from hook.kernel.name_users import NameUsers

_SYSTEM_CALL = lazy_re.compile(r"(compat_)?sys_(\w+)\Z")
_Line = tuple[str, int, str]  # path, number, text


def entered(node: PathNode, trigger: Trigger, name_users: NameUsers) -> Iterator[Hop]:
    """The hop that ends a call path at a function: a program enters it, or, where anything that runs will do, it runs at boot."""
    unit = name_users.units.get(node.path)
    definition = unit.defined(node.name, DefinitionKind.FUNCTION) if unit else None
    if unit is None or definition is None:
        return
    head = unit.head(definition)
    at = (node.path, *unit.line(definition.offset))
    call = _SYSTEM_CALL.match(node.name)
    if call and b"SYSCALL" in head and b"DEFINE" in head:
        table = _in_system_call_table(node.name, name_users)
        doubt = "" if table else f"no table of system calls for {name_users.environment['ARCH']} was found to hold it"
        options = ("COMPAT",) if call[1] else ()
        yield Hop(None, Trigger.USER_SPACE, f"system call {call[2]}", *(table or at), doubt=doubt, key=f"call:{call[2]}", options=options)
    elif b"DEFINE_IDTENTRY" in head and entry_points.EXCEPTION.match(node.name):
        yield Hop(
            None, Trigger.USER_SPACE, f"{node.name} handles an exception that a program can cause, or an interrupt of every machine", *at
        )
    elif when := entry_points.ALWAYS_FUNCTIONS.get(node.path, {}).get(node.name):
        yield Hop(None, Trigger.USER_SPACE, f"{node.name}() runs {when}", *at)
    elif trigger is Trigger.ANYTHING and node.name in entry_points.AT_BOOT_FUNCTIONS.get(node.path, ()):
        yield Hop(None, Trigger.ANYTHING, f"{node.name}() runs at boot", *at)
    elif not node.local and not entry_points.NOT_ENTERED.search(node.name) and (place := _in_assembly(node.name, name_users)):
        yield Hop(None, Trigger.USER_SPACE, f"{node.name}() is called on entry to the kernel, or in every new task", *place)


def _in_assembly(name: str, name_users: NameUsers) -> _Line | None:
    """A call in the assembly with which the architecture enters the kernel."""
    prefix = f"arch/{name_users.environment['SRCARCH']}/"
    for path in name_users.everywhere(name):
        if path.startswith(prefix) and path.endswith(entry_points.ENTERED_FROM):
            found = _line_of(rb"(?m)^[^\n/*#]*\b(?:call|bl|jmp|b)\s+" + name.encode() + rb"\b[^\n]*", path, name_users)
            if found:
                return found
    return None


def _in_system_call_table(name: str, name_users: NameUsers) -> _Line | None:
    """The line of the target's table that holds a system call: its own (arch/*/entry/syscalls), or the generic one."""
    arch, wide = name_users.environment["SRCARCH"], name_users.environment["ARCH"] != "i386"
    if arch == "x86":
        tables = [f"arch/x86/entry/syscalls/syscall_{64 if wide and not name.startswith('compat_') else 32}.tbl"]
    else:
        tables = [
            f"arch/{arch}/tools/syscall_64.tbl", f"arch/{arch}/kernel/syscalls/syscall.tbl", f"arch/{arch}/tools/syscall.tbl",
            f"arch/{arch}/kernel/syscalls/syscall_n64.tbl", "scripts/syscall.tbl", "include/uapi/asm-generic/unistd.h",
        ]  # fmt: skip
    for path in tables:
        found = _line_of(rb"(?m)^(?![#/*])[^\n]*\b" + name.encode() + rb"\b[^\n]*", path, name_users)
        if found:
            return found
    return None


def _line_of(form: bytes, path: str, name_users: NameUsers) -> _Line | None:
    found = name_users.source.file(path)
    if found is None or found.data is None:
        return None
    match = re.search(form, found.data)
    if match is None:
        return None
    return path, found.data.count(b"\n", 0, match.start()) + 1, " ".join(match[0].decode("utf-8", "replace").split())
