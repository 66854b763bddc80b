"""The files that may use a name: the C files of a kernel for the target that hold it, the nearest first."""

from __future__ import annotations

from collections.abc import Mapping

from hook import lazy_re
from hook.kernel.kbuild.objects import Kbuild
from hook.kernel.kconfig.expressions import open_parts
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, OtherCode, in_kernel, left_out
from hook.kernel.units import Units
from hook.source.grep import holding
from hook.source.tree import Source

_LEFT_OUT = NO_KERNEL_CODE + left_out(OtherCode.RUST, OtherCode.TEST)
_CORE = ("fs", "kernel", "mm", "ipc", "io_uring", "net", "net/core", "block", "security")  # where system calls are near
_MOST_SEARCHES = 200  # of a small tree without a word index, each of which is a git grep
_INCLUDED = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"([\w.-]+\.c)"')


class NameUsers:
    """The files of one tree, for one target."""

    def __init__(self, source: Source, units: Units, kbuild: Kbuild, environment: Mapping[str, str], most_files: int) -> None:
        self.source, self.units, self.environment = source, units, environment
        self._kbuild = kbuild
        self._most = most_files  # in which the callers of one name are looked for
        self._everywhere: dict[str, list[str] | None] = {}  # None: not known
        self._holding: dict[str, list[str]] = {}
        self._together: dict[str, list[str]] = {}
        self.cut = False  # whether some file was left out

    def files(self, name: str, defined_in: str, *, local: bool) -> list[str]:
        """The files that may use a name that one file defines: the nearest first, as many as may be looked into."""
        if local:
            return [defined_in, *self.together(defined_in)]
        found = self.holding(name)
        if defined_in not in found:
            found = [defined_in, *found]
        near = sorted(found, key=lambda one: (one != defined_in, -_shared(one, defined_in), not _is_core(one), one.endswith(".h"), one))
        if len(near) > self._most:
            self.cut = self.source.safety.at_limit = True
        return near[: self._most]

    def holding(self, name: str) -> list[str]:
        """The C files of the kernel for the target that may hold a name."""
        found = self.everywhere(name)  # each time: it says whether that is all
        if name not in self._holding:
            self._holding[name] = [path for path in found if self.is_of_the_kernel(path)]
        return self._holding[name]

    def is_of_the_kernel(self, path: str) -> bool:
        """Whether a C file may be built for the target, by its path."""
        return path.endswith((".c", ".h")) and in_kernel(path, self.environment["SRCARCH"], _LEFT_OUT)

    def everywhere(self, name: str) -> list[str]:
        """The files of any kind that may hold a name."""
        if name not in self._everywhere:
            self._everywhere[name] = self._look_up(name)
        found = self._everywhere[name]
        self.cut = self.cut or found is None
        return found or []

    def _look_up(self, name: str) -> list[str] | None:
        """As `everywhere`, None where it is not known."""
        if len(self._everywhere) >= _MOST_SEARCHES and self.source.index is None and self.source.is_small:
            self.source.safety.at_limit = True
            return None
        return holding(self.source, name)

    def together(self, path: str) -> list[str]:
        """The files that are compiled together with a .c file that no makefile names: another one includes it (kernel/sched/rt.c)."""
        directory, _, name = path.rpartition("/")
        if not path.endswith(".c") or not open_parts(self._kbuild.built_if(path).condition):
            return []
        if path not in self._together:
            found: list[str] = []
            for entry in self.source.names(directory) or ():
                other = f"{directory}/{entry.name}"
                if not entry.name.endswith(".c") or entry.name == name or open_parts(self._kbuild.built_if(other).condition):
                    continue
                unit = self.units.get(other)
                included = [match.decode() for match in _INCLUDED.findall(unit.data)] if unit else []
                if name in included:
                    found += [other, *(f"{directory}/{one}" for one in included if one != name)]
            self._together[path] = list(dict.fromkeys(found))
        return self._together[path]

    def defining(self, name: str) -> list[str]:
        """The C files of the kernel for the target that may define a name."""
        found = holding(self.source, f":{name}")
        return self.holding(name) if found is None else [path for path in found if self.is_of_the_kernel(path)]


def _is_core(path: str) -> bool:
    return path.rpartition("/")[0] in _CORE


def _shared(path: str, other: str) -> int:
    """How many directories two files share."""
    same = 0
    for one, two in zip(path.split("/")[:-1], other.split("/")[:-1], strict=False):
        if one != two:
            break
        same += 1
    return same
