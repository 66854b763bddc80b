"""The kernel of a tree, for one target: its options, its makefiles and the preprocessor conditionals of its files.

Every file is read once, and recorded as read: a verdict is valid as long as the files that it was read from stay the same.
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

_ARCHITECTURE_OPTIONS = {"i386": "X86_32", "powerpc": "PPC"}  # the option of an architecture, if it is not the name of the architecture
_DEEPEST_HEADERS = 2  # headers that include each other
_MOST_INCLUDERS = 8  # of one header, one of which must be built


class Kernel:
    """The kernel of one tree, target, toolchain and base configuration."""

    def __init__(self, source: Source, target_arch: str, toolchain_name: str, base_text: str | None) -> None:
        self.source = source
        self.toolchain_name, self.base_text = toolchain_name, base_text
        self.environment = target(target_arch)  # the variables that the top makefile gives to Kconfig and Kbuild
        self.kbuild = Kbuild(source, self.environment)
        # the Kconfig files are recorded as one digest, not as sixteen hundred files
        kconfig_source = Source(source.objects, source.revision, source.changes, base=source.base, safety=source.safety)
        self._tree_options = TreeOptions(kconfig_source, self.environment, toolchain(toolchain_name), base_text)
        self._conditionals: dict[str, Conditionals | None] = {}
        self._built: dict[str, Built] = {}
        self._flat: Values | None = None
        self._includers = Includers(source, self.environment["SRCARCH"])

    @functools.cached_property
    def options(self) -> StoredOptions | Options:
        """The options that the Kconfig files define."""
        self._record()
        return self._tree_options.options

    @property
    def has_known_options(self) -> bool:
        """Whether the options were read before: else all Kconfig files must be read, which takes seconds in a large tree."""
        return self.source.is_small or self._tree_options.is_known

    @functools.cached_property
    def base(self) -> Mapping[str, str]:
        """The base configuration: NAME -> value, as in its .config."""
        self._record()
        return self._tree_options.base

    @functools.cached_property
    def default_base(self) -> Mapping[str, str]:
        """What the base configuration would be, had the person given none."""
        self._record()
        for path in base_config.parts(self.source, self.environment["ARCH"], self.environment["SRCARCH"]):
            self.source.file(path)
        return self._tree_options.default_base

    @property
    def warnings(self) -> list[str]:
        """What could not be read in the Kconfig files and may concern any option; empty while the options have not been needed."""
        strange = self.strangeness if "options" in self.__dict__ or not self.source.oid("Kconfig") else ""
        return [*([strange] if strange else []), *self._tree_options.warnings]

    @functools.cached_property
    def strangeness(self) -> str:
        """Why the tree is no complete kernel for the target, so that what it lacks proves nothing; empty if it is one.

        A repository with the kernel below the top directory, or with a driver alone, has no Kconfig that defines the target.
        """
        if not self.source.oid("Kconfig"):
            return "there is no Kconfig at the top of the tree"
        architecture_option = _ARCHITECTURE_OPTIONS.get(self.environment["ARCH"], self.environment["ARCH"].upper())
        return "" if self.options.get(architecture_option) is not None else f"no Kconfig file of the tree defines {architecture_option}"

    def _record(self) -> None:
        self.source.read_blobs[KCONFIG + self.environment["ARCH"]] = self._tree_options.known_by

    def built_if(self, path: str) -> Built:
        """The options under which a file is compiled; for a header, those under which a file that includes it is compiled."""
        if path not in self._built:
            self._built[path] = self._included_if(path, 0) if path.endswith(".h") else self._unit_if(path)
        return self._built[path]

    def _unit_if(self, path: str) -> Built:
        built = self.kbuild.built_if(path)
        if path.endswith((".c", ".inc")) and any(part.startswith("no makefile names") for part in expressions.open_parts(built.condition)):
            included = self._included_if(path, 0)
            return included if not expressions.open_parts(included.condition) else built
        return built

    def excluded(self, path: str, conditions: Iterable[Condition] = ()) -> str:
        """Why no kernel for the target contains a file, or its lines under `conditions`; empty if one may, or if that is not known.

        Not known: the tree is no complete kernel, there is no word index, a part of the makefiles' condition is left open, or something
        other than Kconfig may set an option (hook.kernel.option_sources).
        """
        built = self.built_if(path).condition
        condition = all_of([built, *conditions])
        return "" if expressions.open_parts(built) else self.never_holds(condition, path)

    def never_holds(self, condition: Condition, path: str) -> str:
        """Why a condition on the file at `path` holds in no kernel for the target; empty if it may, or if that is not known."""
        if self.source.index is None or self.strangeness:
            return ""
        from hook.kernel.kconfig.upper_bounds import impossible
        from hook.source.index import NoIndex

        clause = impossible(self.options, condition)
        try:
            return "" if clause and self._option_sources.other(self.options, expressions.names(condition), path) else clause
        except NoIndex as error:
            self.source.index_failed(str(error))
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
        """The preprocessor conditionals of a file; None if it cannot be read."""
        if path not in self._conditionals:
            file = self.source.file(path)
            self._conditionals[path] = Conditionals(file.data, path) if file is not None and file.data is not None else None
        return self._conditionals[path]

    def _included_if(self, path: str, depth: int) -> Built:
        """When a file that includes `path` is compiled: always, if the base configuration builds one."""
        not_known = Built(left_open(f"which file includes {path}"))
        if depth > _DEEPEST_HEADERS:
            return not_known
        if not depth:
            self._includers.ask_anew()
        builds: list[Built] = []
        for includes in self._includers.of(path):
            for include in includes:
                if len(builds) >= _MOST_INCLUDERS:
                    break
                if include.path.endswith(".c"):
                    outer = self.kbuild.built_if(include.path)
                elif depth < _DEEPEST_HEADERS and not builds:
                    outer = self._included_if(include.path, depth + 1)
                else:
                    continue
                conditionals = self.conditionals(include.path)
                around = conditionals.at(include.line) if conditionals is not None else ()
                condition = all_of([outer.condition, *(conditional.condition for conditional in around)])
                if expressions.open_parts(condition):
                    continue
                if self.holds(condition):
                    return Built(YES)
                builds.append(Built(condition, ((include.path, include.line, condition), *outer.places)))
            if builds:
                return Built(any_of(built.condition for built in builds), builds[0].places)
        return not_known


class _Flat:
    """The base configuration alone, as options with these values."""

    modules = "MODULES"
    old_choices = False
    warnings: typing.ClassVar[list[str]] = []

    def __init__(self, base: Mapping[str, str]) -> None:
        self._base = base

    def get(self, name: str) -> Option | None:
        value = self._base.get(name, "n")
        return Option(name, "tristate" if value in ("y", "m", "n") else "string", prompts=[YES])

    def common(self, name: str) -> Condition:
        return YES
