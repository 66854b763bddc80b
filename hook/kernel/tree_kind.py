"""The kind of a tree: whether it may be a Linux kernel, a part of one, or modules for one; nothing is judged of any other."""

from __future__ import annotations

from hook import lazy_re
from hook.source.tree import Source, TreeEntryKind

NO_KERNEL = "this is not a Linux kernel tree: nothing is judged"
# directories of a kernel, as a repository may have only some of them, and files beside external modules
_OF_A_KERNEL = frozenset(("Kconfig", "Kbuild", "arch", "drivers", "fs", "kernel", "mm", "sound", "dkms.conf"))
_MODULES = lazy_re.compile(rb"\bobj-[my$]|\bKERNELRELEASE\b|\bKBUILD_EXTMOD\b|/lib/modules/|\bM=")
_MOST_DIRECTORIES = 400  # that are read


def is_no_kernel(source: Source) -> bool:
    """Whether a tree has nothing of a kernel: no Kconfig, no directory with a name of the kernel's, no makefile that builds modules.

    The kernel, or the source of a module, may be in a directory below the top or in a submodule. False too for a tree that cannot be
    read, is empty or has too many directories.
    """
    if source.oid("Kconfig"):
        return False
    waiting, directories_read = [""], 0
    while waiting:
        directory = waiting.pop()
        entries = source.names(directory)
        directories_read += 1
        if entries is None or directories_read > _MOST_DIRECTORIES or (not entries and not directory):
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
