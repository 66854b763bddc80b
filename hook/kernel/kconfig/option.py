"""An option of Kconfig, from all of its definitions together; and all options of a tree."""

from __future__ import annotations

from typing import Protocol

import msgspec

from hook.kernel.kconfig.expressions import YES, Condition


class Option(msgspec.Struct, omit_defaults=True):
    """An option, or a choice (its name begins with `<`), from all of its definitions together. Empty fields are left out in a file."""

    name: str
    type: str = ""  # bool, tristate, int, hex or string; empty if no definition says
    prompts: list[Condition] = msgspec.field(default_factory=list)  # under which a person may set it
    defaults: list[tuple[Condition, Condition]] = msgspec.field(default_factory=list)  # value, condition
    depends: Condition = YES
    selected_by: list[tuple[str, Condition]] = msgspec.field(default_factory=list)  # option, condition
    implied_by: list[tuple[str, Condition]] = msgspec.field(default_factory=list)
    selects: list[tuple[str, Condition]] = msgspec.field(default_factory=list)
    ranges: list[tuple[Condition, Condition, Condition]] = msgspec.field(default_factory=list)  # lowest, highest, condition
    choice: str = ""  # that it is a member of
    members: list[str] = msgspec.field(default_factory=list)  # of a choice
    places: list[tuple[str, int]] = msgspec.field(default_factory=list)  # path, line
    title: str = ""
    probes: list[str] = msgspec.field(default_factory=list)  # of the toolchain, that its value depends on
    unread: list[str] = msgspec.field(default_factory=list)  # `PATH:LINE: why` of lines about it that could not be read
    transitional: bool = False  # its value is taken from an old .config, and never written into a new one


class OptionLookup(Protocol):
    """The options of a tree, by name."""

    @property
    def modules(self) -> str:
        """The option that allows modules."""

    @property
    def old_choices(self) -> bool:
        """Whether a choice takes its default although that is switched off, as the scripts/kconfig before Linux 6.11 do."""

    @property
    def warnings(self) -> list[str]:
        """What could not be read and may concern any option."""

    def get(self, name: str) -> Option | None:
        """An option by its name; None if nothing defines it."""

    def common(self, name: str) -> Condition:
        """The shared condition with a name such as `#12`."""


class Options(msgspec.Struct):
    """Everything that the Kconfig files of a tree define for one architecture and toolchain."""

    by_name: dict[str, Option] = msgspec.field(default_factory=dict)
    shared: dict[str, Condition] = msgspec.field(default_factory=dict)  # `#12`: a condition that many options share
    modules: str = "MODULES"
    old_choices: bool = False
    files: dict[str, str] = msgspec.field(default_factory=dict)  # path -> blob, empty if there was none
    warnings: list[str] = msgspec.field(default_factory=list)  # what may concern any option; for a single one see Option.unread

    def get(self, name: str) -> Option | None:
        """An option by its name."""
        return self.by_name.get(name)

    def common(self, name: str) -> Condition:
        """The shared condition with a name such as `#12`."""
        return self.shared[name]
