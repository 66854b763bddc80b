"""The kind of a tree: whether it may be a Linux kernel, a part of one, or modules for one; nothing is judged of any other."""

from __future__ import annotations

from hook import lazy_re
from hook.source.tree import Source, TreeEntryKind

NO_KERNEL = "this is not a Linux kernel tree: nothing is judged"
# directories of a kernel, of which somebody may keep a part alone, and files that stand beside modules of their own
_OF_A_KERNEL = frozenset(("Kconfig", "Kbuild", "arch", "drivers", "fs", "kernel", "mm", "sound", "dkms.conf"))
_MODULES = lazy_re.compile(rb"\bobj-[my$]|\bKERNELRELEASE\b|\bKBUILD_EXTMOD\b|/lib/modules/|\bM=")
_MOST_DIRECTORIES = 400  # that are looked into


def is_no_kernel(source: Source) -> bool:
    """Whether a tree has nothing of a kernel: no Kconfig, no directory called like the kernel's, no makefile that builds modules.

    The kernel may be in a directory below the top, or in a submodule, and so may the sources of a module. Of a tree that cannot be read, is
    empty or has too many directories this is not said.
    """
    if source.oid("Kconfig"):
        return False
    waiting, looked_into = [""], 0
    while waiting:
        directory = waiting.pop()
        entries = source.names(directory)
        looked_into += 1
        if entries is None or looked_into > _MOST_DIRECTORIES or (not entries and not directory):
            return False
        for entry in entries:
            path = f"{directory}/{entry.name}" if directory else entry.name
            if entry.name in _OF_A_KERNEL or entry.kind is TreeEntryKind.SUBMODULE or path.endswith("include/linux"):
                return False
            if entry.kind is TreeEntryKind.DIRECTORY:
                waiting.append(path)
            elif entry.name.lower().startswith(("makefile", "gnumakefile", "kconfig", "kbuild")) or entry.name.endswith(".mk"):
                file = source.file(path)
                if file is None or file.data is None or _MODULES.search(file.data):
                    return False
    return True
