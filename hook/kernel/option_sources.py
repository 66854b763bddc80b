"""Option sources: what other than the Kconfig of the target may give an option a value in one file.

`CONFIG_BAND_CBAND` is no option: drivers/media/dvb-frontends/dib0090.c defines it itself. A makefile passes `-DCONFIG_CAAM_QI`, sets
`CONFIG_X := y`, or is in a directory whose Kconfig no file sources and whose options a person gives to make. For such a name it proves
nothing that Kconfig does not define it, or that it cannot be on in Kconfig.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from hook.kernel.kconfig.option import OptionLookup
from hook.source.lookup import Bounds, includers
from hook.source.tree import Source

_MOST_INCLUDERS = Bounds(64)  # of a header that defines an option
_PROGRAMS = "tools/testing/selftests/"


class OptionSources:
    """Answers for one tree and architecture. Raises NoIndex if the word index cannot be read."""

    def __init__(self, source: Source, source_arch: str) -> None:
        self._source, self._arch = source, source_arch
        self._elsewhere: dict[str, bool] = {}

    def other(self, options: OptionLookup, names: Iterable[str], path: str) -> str:
        """Why one of the options may be on for the file at `path` whatever Kconfig says; empty if only Kconfig sets them.

        It needs the word index. An option that no Kconfig of the target defines must be one of another architecture.
        """
        for name in dict.fromkeys(names):
            if options.get(name) is None and not self._is_of_another_architecture(name):
                return f"no Kconfig file of another architecture defines {name}"
            if setter := self._set_by(name, path):
                return f"{setter} gives CONFIG_{name} a value"
        return ""

    def _is_of_another_architecture(self, name: str) -> bool:
        """Whether the Kconfig files that define an option are all of other architectures."""
        if name not in self._elsewhere:
            holding = self._source.holding([[f":{name.lower()}"]])
            defining = [path for path in holding if path.rpartition("/")[2].startswith("Kconfig")]
            others = [path for path in defining if path.startswith("arch/") and path.split("/")[1] != self._arch]
            self._elsewhere[name] = bool(others) and others == defining
        return self._elsewhere[name]

    def _set_by(self, name: str, path: str) -> str:
        """The file that defines, undefines or passes an option for the file at `path`; empty if none does."""
        word = f"config_{name.lower()}"
        for setter in self._source.holding([[f":{word}", f"d{word}", f"u{word}"]]) + self._source.holding([[word], ["undef"]]):
            if self._applies(setter, path) and self._sets(setter, name):
                return setter
        makefiles = [file for file in self._source.holding([[word]]) if _is_makefile(file) and _is_above(file, path)]
        return next((makefile for makefile in makefiles if self._sets(makefile, name)), "")

    def _applies(self, setter: str, path: str) -> bool:
        """Whether a setting in one file applies to another: a makefile above it, itself, or a header that it may include.

        A header of the selftests replaces the kernel's header of that name in programs only.
        """
        if _is_makefile(setter):
            return _is_above(setter, path)
        if not setter.endswith(".h"):
            return setter == path
        if setter.startswith(_PROGRAMS) and not path.startswith(_PROGRAMS):
            return False
        includes = includers(self._source, setter, _MOST_INCLUDERS)
        return bool(includes.cut) or any(include.path == path or include.path.endswith(".h") for include in includes.items)

    def _sets(self, setter: str, name: str) -> bool:
        """Whether a file has a line that sets an option; a file that cannot be read may have one."""
        file = self._source.file(setter)
        return file is None or file.data is None or _setting(name, setter).search(file.data) is not None


def _is_makefile(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name.startswith(("Makefile", "Kbuild")) or name.endswith(".mk")


def _is_above(makefile: str, path: str) -> bool:
    """Whether a makefile is in the directory of a file or above it, or in scripts/, which all makefiles use."""
    directory = makefile.rpartition("/")[0]
    return not directory or directory == "scripts" or path.startswith(f"{directory}/")


def _setting(name: str, path: str) -> re.Pattern[bytes]:
    """A line that sets an option in a makefile, or in C."""
    if _is_makefile(path):
        return re.compile(rf"(?m)-[DU]\s*CONFIG_{name}\b|^[ \t]*(?:export[ \t]+|override[ \t]+)*CONFIG_{name}[ \t]*[:+?]*=".encode())
    return re.compile(rf"(?m)^[ \t]*#[ \t]*(?:define|undef)[ \t]+CONFIG_{name}\b".encode())
