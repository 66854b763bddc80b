"""The files that may use a name: the C files of a kernel for the target that contain it, the nearest first."""

from __future__ import annotations

from collections.abc import Mapping

from hook import lazy_re
from hook.kernel.kbuild.conditionals import Conditionals
from hook.kernel.kbuild.includers import may_be_included
from hook.kernel.kbuild.objects import Kbuild
from hook.kernel.kconfig.expressions import open_parts
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, OtherCode, in_kernel, left_out
from hook.kernel.units import Units
from hook.source.grep import holding
from hook.source.tree import Source
from hook.source.treepath import shared_directories

_LEFT_OUT = NO_KERNEL_CODE + left_out(OtherCode.RUST, OtherCode.TEST)
_CORE = ("fs", "kernel", "mm", "ipc", "io_uring", "net", "net/core", "block", "security")  # close to system calls
_MOST_SEARCHES = 200  # of a small tree without a word index, each of which is a git grep
_INCLUDED = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"([\w.-]+\.c)"')


class NameUsers:
    """The files of one tree, for one target."""

    def __init__(self, source: Source, units: Units, kbuild: Kbuild, environment: Mapping[str, str], most_files: int) -> None:
        self.source, self.units, self.environment = source, units, environment
        self._kbuild = kbuild
        self._most = most_files  # that are searched for the callers of one name
        self._everywhere: dict[str, list[str] | None] = {}  # None: not known
        self._holding: dict[str, list[str]] = {}
        self._together: dict[str, list[str]] = {}
        self._included: dict[str, bool] = {}
        self._conditionals: dict[str, Conditionals] = {}
        self.cut = False  # whether some file was left out

    def files(self, name: str, defined_in: str, *, local: bool) -> list[str]:
        """The files that may use a name that one file defines: the nearest first, at most as many as may be searched."""
        if local:
            return [defined_in, *self.together(defined_in)]
        paths = {defined_in, *self.holding(name)}
        nearest_first = sorted(
            paths,
            key=lambda path: (path != defined_in, -shared_directories(path, defined_in), not _is_core(path), path.endswith(".h"), path),
        )
        if len(nearest_first) > self._most:
            self.cut = self.source.safety.at_limit = True
        return nearest_first[: self._most]

    def holding(self, name: str) -> list[str]:
        """The C files of the kernel for the target that may contain a name."""
        paths = self.everywhere(name)  # each time: it says whether that is all
        if name not in self._holding:
            self._holding[name] = [path for path in paths if self.is_of_the_kernel(path)]
        return self._holding[name]

    def naming_header(self, stem: str) -> list[str]:
        """The C files and makefiles of the kernel for the target that may name a header, by its name without `.h`."""
        makefiles = [path for path in self.everywhere(stem) if path.rpartition("/")[2].startswith(("Makefile", "Kbuild"))]
        return [*self.holding(stem), *(path for path in makefiles if in_kernel(path, self.environment["SRCARCH"], _LEFT_OUT))]

    def is_of_the_kernel(self, path: str) -> bool:
        """Whether a C file may be built for the target, by its path."""
        return path.endswith((".c", ".h")) and in_kernel(path, self.environment["SRCARCH"], _LEFT_OUT)

    def everywhere(self, name: str) -> list[str]:
        """The files of any kind that may contain a name."""
        if name not in self._everywhere:
            self._everywhere[name] = self._look_up(name)
        paths = self._everywhere[name]
        self.cut = self.cut or paths is None
        return paths or []

    def _look_up(self, name: str) -> list[str] | None:
        """As `everywhere`; None if it is not known."""
        if len(self._everywhere) >= _MOST_SEARCHES and self.source.index is None and self.source.is_small:
            self.source.safety.at_limit = True
            return None
        return holding(self.source, name)

    def together(self, path: str) -> list[str]:
        """The files in the translation unit of a .c file that no makefile names: another one includes it (kernel/sched/rt.c)."""
        directory, _, name = path.rpartition("/")
        if not path.endswith(".c") or not open_parts(self._kbuild.built_if(path).condition):
            return []
        if path not in self._together:
            paths: list[str] = []
            for entry in self.source.names(directory) or ():
                includer = f"{directory}/{entry.name}"
                if not entry.name.endswith(".c") or entry.name == name or open_parts(self._kbuild.built_if(includer).condition):
                    continue
                unit = self.units.get(includer)
                included = [match.decode() for match in _INCLUDED.findall(unit.data)] if unit else []
                if name in included:
                    paths += [includer, *(f"{directory}/{beside}" for beside in included if beside != name)]
            self._together[path] = list(dict.fromkeys(paths))
        return self._together[path]

    def is_included(self, path: str) -> bool:
        """Whether another C file may include this one, and may use what is static in it; True where that is not known."""
        if path not in self._included:
            self._included[path] = may_be_included(self.source, path)
        return self._included[path]

    def conditionals(self, path: str) -> Conditionals:
        """The conditionals of a file, read once; none where it cannot be read."""
        if path not in self._conditionals:
            unit = self.units.get(path)
            self._conditionals[path] = Conditionals(unit.data if unit else b"", path)
        return self._conditionals[path]

    def defining(self, name: str) -> list[str]:
        """The C files of the kernel for the target that may define a name."""
        paths = holding(self.source, f":{name}")
        return self.holding(name) if paths is None else [path for path in paths if self.is_of_the_kernel(path)]


def _is_core(path: str) -> bool:
    return path.rpartition("/")[0] in _CORE
