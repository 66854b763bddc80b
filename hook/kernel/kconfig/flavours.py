"""Flavours: options that make another kernel of all of it, not a part more: how it schedules, locks, boots, or is checked.

Nobody builds another flavour to get to one function: no search for a path may switch one. Where the change itself stands under such an
option, it is asked for as any other. Checked on Linux 6.12.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

from hook.kernel.kconfig.option import OptionLookup

FLAVOURS = (
    # kernel/Kconfig.preempt, and what the processors are
    "PREEMPT_RT", "PREEMPT_NONE", "PREEMPT_VOLUNTARY", "PREEMPT", "PREEMPT_LAZY", "SMP", "NUMA", "MMU", "64BIT", "X86_32",
    "NO_HZ_FULL", "HZ_PERIODIC", "CONTEXT_TRACKING_USER_FORCE", "TINY_RCU", "SLUB_TINY", "BASE_SMALL", "MAXSMP", "MODULES",
    # that check locks and memory: they change the functions of every kernel part
    "DEBUG_LOCK_ALLOC", "PROVE_LOCKING", "LOCKDEP", "LOCK_STAT", "DEBUG_SPINLOCK", "DEBUG_MUTEXES", "DEBUG_RWSEMS", "DEBUG_RT_MUTEXES",
    "DEBUG_WW_MUTEX_SLOWPATH", "PROVE_RCU", "DEBUG_KMEMLEAK", "DEBUG_PAGEALLOC", "KASAN", "KMSAN", "KCSAN", "UBSAN", "GCOV_KERNEL",
    # that leave the kernel, or begin it in another way
    "KEXEC_JUMP", "XEN_PV", "XEN_PVH", "PVH", "PARAVIRT_XXL", "HIBERNATION", "AMD_MEM_ENCRYPT", "INTEL_TDX_GUEST", "INTEL_TDX_HOST",
)  # fmt: skip


def as_in_base(known: OptionLookup, base: Mapping[str, str], *, but: Container[str] = ()) -> dict[str, str]:
    """The flavour that the base configuration has, as settings that a solution may not change."""
    values = ((name, base.get(name, "n")) for name in FLAVOURS if name not in but and known.get(name) is not None)
    return {name: value for name, value in values if value in ("y", "n")}
