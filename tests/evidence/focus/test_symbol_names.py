"""The names that functions have in the symbol table of a built kernel."""

from __future__ import annotations

import pytest

from hook.evidence.focus.symbol_names import symbol
from tests.conftest import Grow


@pytest.mark.parametrize(
    ("name", "arch", "expected"),
    [
        ("sys_mbind", "x86_64", "__x64_sys_mbind"),
        ("sys_mbind", "arm64", "__arm64_sys_mbind"),
        ("compat_sys_ioctl", "x86_64", "__ia32_compat_sys_ioctl"),
        ("vma_policy_mof", "x86_64", "vma_policy_mof"),
        ("sys_mbind", "loongarch", "sys_mbind"),
    ],
)
def test_a_system_call_is_named_as_in_the_symbol_table(grow: Grow, name: str, arch: str, expected: str) -> None:
    assert symbol(name, arch, grow({"a.c": ""})) == expected


def test_an_architecture_has_a_prefix_only_with_its_wrapper(grow: Grow) -> None:
    before = grow({"include/linux/syscalls.h": "#define __SYSCALL_DEFINEx(x, name, ...)\n"})
    assert symbol("sys_mbind", "riscv", before) == "sys_mbind"
    since = grow({"arch/riscv/include/asm/syscall_wrapper.h": "#define __SYSCALL_DEFINEx(x, name, ...)\n"})
    assert symbol("sys_mbind", "riscv", since) == "__riscv_sys_mbind"
