"""The kernel that a tree makes for one target: its options, its makefiles and the preprocessor conditionals of its files.

What is read is read once, and recorded with the source as read: a verdict that rests on it holds as long as it stays the same.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterable, Mapping

from hook.kernel.kbuild.conditionals import Conditionals
from hook.kernel.kbuild.includers import Includers
from hook.kernel.kbuild.objects import Built, Kbuild
from hook.kernel.kconfig import base_config, expressions
from hook.kernel.kconfig.expressions import YES, Condition, all_of, any_of, left_open
from hook.kernel.kconfig.olddefconfig import TooDeep, Values
from hook.kernel.kconfig.option import Option
from hook.kernel.kconfig.options_cache import KCONFIG, TreeOptions, target
from hook.kernel.kconfig.toolchain import toolchain
from hook.source.tree import Source

if typing.TYPE_CHECKING:
    from hook.kernel.kconfig.option import Options
    from hook.kernel.kconfig.options_cache import StoredOptions
    from hook.kernel.option_sources import OptionSources

_OWN = {"i386": "X86_32", "powerpc": "PPC"}  # the option of an architecture, where it is not called as the architecture is
_DEEPEST_HEADERS = 2  # headers that include each other
_MOST_INCLUDERS = 8  # files that include a header, of which one has to be built


class Kernel:
    """The kernel of one tree, target, toolchain and base configuration."""

    def __init__(self, source: Source, target_arch: str, toolchain_name: str, base_text: str | None) -> None:
        self.source = source
        self.toolchain_name, self.base_text = toolchain_name, base_text
        self.environment = target(target_arch)  # what the top makefile gives to Kconfig and Kbuild
        self.kbuild = Kbuild(source, self.environment)
        # what Kconfig was read from is known by one digest, not by its sixteen hundred files
        apart = Source(source.objects, source.revision, source.changes, base=source.base, safety=source.safety)
        self._known = TreeOptions(apart, self.environment, toolchain(toolchain_name), base_text)
        self._conditionals: dict[str, Conditionals | None] = {}
        self._built: dict[str, Built] = {}
        self._flat: Values | None = None
        self._includers = Includers(source, self.environment["SRCARCH"])

    @functools.cached_property
    def options(self) -> StoredOptions | Options:
        """The options that the Kconfig files define."""
        self._record()
        return self._known.options

    @property
    def has_known_options(self) -> bool:
        """Whether the options were read before: else to ask for one reads all Kconfig files, which takes seconds in a large tree."""
        return self.source.is_small or self._known.is_known

    @functools.cached_property
    def base(self) -> Mapping[str, str]:
        """The base configuration, as its .config says it."""
        self._record()
        return self._known.base

    @functools.cached_property
    def default_base(self) -> Mapping[str, str]:
        """What the base configuration would be, had the person given none."""
        self._record()
        for path in base_config.parts(self.environment["ARCH"], self.environment["SRCARCH"]):
            self.source.file(path)
        return self._known.default_base

    @property
    def warnings(self) -> list[str]:
        """What in the Kconfig files may concern any option and could not be read, where the options have been asked for."""
        strange = self.strangeness if "options" in self.__dict__ or not self.source.oid("Kconfig") else ""
        return [*([strange] if strange else []), *self._known.warnings]

    @functools.cached_property
    def strangeness(self) -> str:
        """Why the tree is not a whole kernel that could be built for the target, so that it proves nothing by what is absent; else empty.

        A repository with the kernel in a directory below the top, or with a driver alone, has no Kconfig that defines the target.
        """
        if not self.source.oid("Kconfig"):
            return "there is no Kconfig at the top of the tree"
        own = _OWN.get(self.environment["ARCH"], self.environment["ARCH"].upper())
        return "" if self.options.get(own) is not None else f"no Kconfig file of the tree defines {own}"

    def _record(self) -> None:
        self.source.read_blobs[KCONFIG + self.environment["ARCH"]] = self._known.known_by

    def built_if(self, path: str) -> Built:
        """The options under which a file is compiled; of a header, under which one is that includes it."""
        if path not in self._built:
            self._built[path] = self._included_if(path, 0) if path.endswith(".h") else self._unit_if(path)
        return self._built[path]

    def _unit_if(self, path: str) -> Built:
        built = self.kbuild.built_if(path)
        if path.endswith((".c", ".inc")) and any(one.startswith("no makefile names") for one in expressions.open_parts(built.condition)):
            by = self._included_if(path, 0)
            return by if not expressions.open_parts(by.condition) else built
        return built

    def excluded(self, path: str, conditions: Iterable[Condition] = ()) -> str:
        """Why no kernel for the target holds a file, or its lines under `conditions`; empty where one may, or that cannot be told.

        Says nothing of a tree that is no whole kernel, without the word index, where a part of the makefiles' condition is open, or where
        something else than Kconfig may give an option (hook.kernel.option_sources).
        """
        built = self.built_if(path).condition
        condition = all_of([built, *conditions])
        return "" if expressions.open_parts(built) else self.never_holds(condition, path)

    def never_holds(self, condition: Condition, path: str) -> str:
        """Why a condition on the file at `path` holds in no kernel for the target; empty where it may, or that cannot be told."""
        if self.source.index is None or self.strangeness:
            return ""
        from hook.kernel.kconfig.upper_bounds import impossible
        from hook.source.index import NoIndex

        clause = impossible(self.options, condition)
        try:
            return "" if clause and self._option_sources.other(self.options, expressions.names(condition), path) else clause
        except NoIndex as wrong:
            self.source.index_failed(str(wrong))
            return ""

    @functools.cached_property
    def _option_sources(self) -> OptionSources:
        from hook.kernel.option_sources import OptionSources

        return OptionSources(self.source, self.environment["SRCARCH"])

    def holds(self, condition: Condition) -> bool:
        """Whether a condition holds in the base configuration."""
        if self._flat is None:
            self._flat = Values(_Flat(self.base), self.base)
        try:
            return self._flat.holds(condition)
        except TooDeep:
            return False

    def conditionals(self, path: str) -> Conditionals | None:
        """The preprocessor conditionals of a file; None where there is none to read."""
        if path not in self._conditionals:
            found = self.source.file(path)
            self._conditionals[path] = Conditionals(found.data, path) if found is not None and found.data is not None else None
        return self._conditionals[path]

    def _included_if(self, path: str, depth: int) -> Built:
        """That one of the files that include `path` is compiled; the base's own first."""
        unknown = Built(left_open(f"which file includes {path}"))
        if depth > _DEEPEST_HEADERS:
            return unknown
        if not depth:
            self._includers.ask_anew()
        ways: list[Built] = []
        for includes in self._includers.of(path):
            for one in includes:
                if len(ways) >= _MOST_INCLUDERS:
                    break
                if one.path.endswith(".c"):
                    outer = self.kbuild.built_if(one.path)
                elif depth < _DEEPEST_HEADERS and not ways:
                    outer = self._included_if(one.path, depth + 1)
                else:
                    continue
                conditionals = self.conditionals(one.path)
                around = conditionals.at(one.line) if conditionals is not None else ()
                condition = all_of([outer.condition, *(conditional.condition for conditional in around)])
                if expressions.open_parts(condition):
                    continue
                if self.holds(condition):
                    return Built(YES)
                ways.append(Built(condition, ((one.path, one.line, condition), *outer.places)))
            if ways:
                return Built(any_of(way.condition for way in ways), ways[0].places)
        return unknown


class _Flat:
    """The base configuration alone, as options that have the values that it gives them."""

    modules = "MODULES"
    warnings: typing.ClassVar[list[str]] = []

    def __init__(self, base: Mapping[str, str]) -> None:
        self._base = base

    def get(self, name: str) -> Option | None:
        value = self._base.get(name, "n")
        return Option(name, "tristate" if value in ("y", "m", "n") else "string", prompts=[YES])

    def common(self, name: str) -> Condition:
        return YES
