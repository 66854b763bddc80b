"""Flavours: options that change the whole kernel and do not just add a part: how it schedules, locks, boots, or is checked.

Nobody builds another flavour to reach one function, so the search for a call path may not switch one. If the change itself is under
such an option, the option is needed as any other. Checked on Linux 6.12.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from hook.kernel.kconfig.option import OptionLookup

FLAVOURS = (
    # kernel/Kconfig.preempt, and the kind of processor
    "PREEMPT_RT", "PREEMPT_NONE", "PREEMPT_VOLUNTARY", "PREEMPT", "PREEMPT_LAZY", "SMP", "NUMA", "MMU", "64BIT", "X86_32",
    "NO_HZ_FULL", "HZ_PERIODIC", "CONTEXT_TRACKING_USER_FORCE", "TINY_RCU", "SLAB", "SLOB", "SLUB_TINY", "BASE_SMALL", "MAXSMP", "MODULES",
    # checks of locks and memory: they change functions everywhere
    "DEBUG_LOCK_ALLOC", "PROVE_LOCKING", "LOCKDEP", "LOCK_STAT", "DEBUG_SPINLOCK", "DEBUG_MUTEXES", "DEBUG_RWSEMS", "DEBUG_RT_MUTEXES",
    "DEBUG_WW_MUTEX_SLOWPATH", "PROVE_RCU", "DEBUG_KMEMLEAK", "DEBUG_PAGEALLOC", "KASAN", "KMSAN", "KCSAN", "UBSAN", "GCOV_KERNEL",
    # other ways to leave or to boot the kernel
    "KEXEC_JUMP", "XEN_PV", "XEN_PVH", "PVH", "PARAVIRT_XXL", "HIBERNATION", "AMD_MEM_ENCRYPT", "INTEL_TDX_GUEST", "INTEL_TDX_HOST",
)  # fmt: skip


def as_in_base(options: OptionLookup, base: Mapping[str, str], *, but: Container[str] = ()) -> dict[str, str]:
    """The flavour of the base configuration, as settings that a solution may not change."""
    values = ((name, base.get(name, "n")) for name in FLAVOURS if name not in but and options.get(name) is not None)
    return {name: value for name, value in values if value in ("y", "n")}
