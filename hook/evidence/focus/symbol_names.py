"""Symbol names: the name of a function in the symbol table of a built kernel."""

from __future__ import annotations

from hook import lazy_re
from hook.source.tree import Source

_SYSTEM_CALL = lazy_re.compile(r"(?:compat_)?sys_\w+\Z")
# target -> its directory of arch/, and the prefix that its system calls may have
_PREFIXES = {
    "x86_64": ("x86", "__x64_"),
    "i386": ("x86", "__ia32_"),
    "arm64": ("arm64", "__arm64_"),
    "s390": ("s390", "__s390x_"),
    "riscv": ("riscv", "__riscv_"),
}
_WRAPPED = lazy_re.compile(r"\A__(?:x64|ia32|arm64|s390x|riscv)_(?=(?:compat_)?sys_)")
_GENERIC = "include/linux/syscalls.h"


def is_system_call(name: str) -> bool:
    """Whether a function is the entry of a system call."""
    return _SYSTEM_CALL.match(name) is not None


def definition_name(symbol_name: str) -> str:
    """The name by which a function is defined, of that in the symbol table."""
    return _WRAPPED.sub("", symbol_name)


def symbol(name: str, target_arch: str, source: Source) -> str:
    """The name under which a function stands in the symbol table.

    A system call has a prefix where the architecture has a wrapper for it (CONFIG_ARCH_HAS_SYSCALL_WRAPPER: asm/syscall_wrapper.h); riscv
    has one since 6.6. In a tree without the generic header, which is no whole kernel, the wrapper is taken for granted.
    """
    if not is_system_call(name) or target_arch not in _PREFIXES:
        return name
    directory, prefix = _PREFIXES[target_arch]
    if not source.oid(f"arch/{directory}/include/asm/syscall_wrapper.h") and source.oid(_GENERIC):
        return name
    return f"__ia32_{name}" if name.startswith("compat_sys_") and target_arch == "x86_64" else prefix + name
