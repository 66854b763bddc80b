"""Option sources: what else than the target's Kconfig may give an option a value for one file.

`CONFIG_BAND_CBAND` is no option: drivers/media/dvb-frontends/dib0090.c defines it itself. A makefile passes `-DCONFIG_CAAM_QI`, sets
`CONFIG_X := y`, or stands in a directory whose Kconfig nobody sources and whose options a person gives to make. For such a name it proves
nothing that the Kconfig of the target does not define it, or that it cannot be on there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hook.kernel.kconfig.option import OptionLookup
from hook.source.lookup import Bounds, includers
from hook.source.tree import Source

_MOST_INCLUDERS = Bounds(64)  # of a header that defines such a name
_PROGRAMS = "tools/testing/selftests/"


class OptionSources:
    """Answers for one tree and architecture. Raises NoIndex where the word index cannot be read."""

    def __init__(self, source: Source, source_arch: str) -> None:
        self._source, self._arch = source, source_arch
        self._elsewhere: dict[str, bool] = {}

    def other(self, options: OptionLookup, names: Iterable[str], path: str) -> str:
        """Why one of the options may be on for the file at `path` whatever Kconfig says; empty where nothing but Kconfig gives them.

        There has to be a word index. What no Kconfig of the target defines must be an option of another architecture.
        """
        for name in dict.fromkeys(names):
            if options.get(name) is None and not self._is_of_another_architecture(name):
                return f"no Kconfig file of another architecture defines {name}"
            if by := self._given(name, path):
                return f"{by} gives CONFIG_{name} a value"
        return ""

    def _is_of_another_architecture(self, name: str) -> bool:
        """Whether the Kconfig files that define an option are all of other architectures."""
        if name not in self._elsewhere:
            holding = self._source.holding([[f":{name.lower()}"]])
            defining = [path for path in holding if path.rpartition("/")[2].startswith("Kconfig")]
            others = [path for path in defining if path.startswith("arch/") and path.split("/")[1] != self._arch]
            self._elsewhere[name] = bool(others) and others == defining
        return self._elsewhere[name]

    def _given(self, name: str, path: str) -> str:
        """The file that defines, undefines or passes an option for the file at `path`; empty where none does."""
        word = f"config_{name.lower()}"
        for by in self._source.holding([[f":{word}", f"d{word}", f"u{word}"]]) + self._source.holding([[word], ["undef"]]):
            if self._reaches(by, path) and self._gives(by, name):
                return by
        makefiles = [by for by in self._source.holding([[word]]) if _is_makefile(by) and _is_above(by, path)]
        return next((by for by in makefiles if self._gives(by, name)), "")

    def _reaches(self, by: str, path: str) -> bool:
        """Whether what a file gives counts for another: a makefile above it, itself, or a header that it may include.

        A header of the selftests stands in for the kernel's of that name, in programs.
        """
        if _is_makefile(by):
            return _is_above(by, path)
        if not by.endswith(".h"):
            return by == path
        if by.startswith(_PROGRAMS) and not path.startswith(_PROGRAMS):
            return False
        found = includers(self._source, by, _MOST_INCLUDERS)
        return bool(found.cut) or any(include.path == path or include.path.endswith(".h") for include in found.items)

    def _gives(self, by: str, name: str) -> bool:
        """Whether a file has a line that gives an option; one that cannot be read may have."""
        file = self._source.file(by)
        return file is None or file.data is None or _giving(name, by).search(file.data) is not None


def _is_makefile(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(("Makefile", "Kbuild")) or name.endswith(".mk")


def _is_above(makefile: str, path: str) -> bool:
    """Whether a makefile stands in the directory of a file or above it, or is one that all others lean on."""
    directory = makefile.rpartition("/")[0]
    return not directory or directory == "scripts" or path.startswith(f"{directory}/")


def _giving(name: str, path: str) -> re.Pattern[bytes]:
    """What gives an option in a makefile, or in C."""
    if _is_makefile(path):
        return re.compile(rf"(?m)-[DU]\s*CONFIG_{name}\b|^[ \t]*(?:export[ \t]+|override[ \t]+)*CONFIG_{name}[ \t]*[:+?]*=".encode())
    return re.compile(rf"(?m)^[ \t]*#[ \t]*(?:define|undef)[ \t]+CONFIG_{name}\b".encode())
