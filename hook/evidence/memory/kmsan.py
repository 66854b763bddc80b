"""KMSAN: whether a kernel for the target can be built with it, by the tree's own Kconfig.

lib/Kconfig.kmsan: it depends on HAVE_ARCH_KMSAN, which the architecture selects, and on HAVE_KMSAN_COMPILER, which is Clang 14 or later;
KASAN and KCSAN must be off, which a configuration can do.
"""

from __future__ import annotations

from hook.kernel.kconfig.expressions import built_in
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.toolchain import toolchain
from hook.kernel.kconfig.upper_bounds import impossible
from hook.kernel.kernel import Kernel

TARGETS = ("x86_64", "s390")  # Documentation/dev-tools/kmsan.rst


def hindrance(kernel: Kernel, target_arch: str) -> str:
    """Why KMSAN cannot be set for the target and the toolchain of `kernel`, as a sentence; empty if it can."""
    options = kernel.options
    if options.get("KMSAN") is None:
        return "this tree has no KMSAN option for the target"
    values = Values(options, kernel.base)
    try:
        if options.get("HAVE_ARCH_KMSAN") is not None and not values.level("HAVE_ARCH_KMSAN"):
            return f"there is no KMSAN for {target_arch}"
        if options.get("HAVE_KMSAN_COMPILER") is not None and not values.level("HAVE_KMSAN_COMPILER"):
            return f"KMSAN needs clang 14 or later (fuzz.toolchain is {toolchain(kernel.toolchain_name).name})"
    except TooDeep:
        return ""  # not known to be impossible
    return impossible(options, built_in("KMSAN"))
