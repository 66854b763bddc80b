"""An option of Kconfig, from all of its definitions together, also as a row of JSON; and all options of a tree."""

from __future__ import annotations

from typing import Protocol, TypedDict, cast

import msgspec

from hook.kernel.kconfig.expressions import YES, Condition, Json, from_json, to_json


class Option(msgspec.Struct):
    """An option, or a choice (its name begins with `<`), from all of its definitions together."""

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


_FIELDS = Option.__struct_fields__[1:]
_EMPTY = {field: getattr(Option(""), field) for field in _FIELDS}


class OptionRow(TypedDict, total=False):
    """An option as a row of JSON: the fields that are not empty."""

    type: str
    prompts: list[Json]
    defaults: list[tuple[Json, Json]]
    depends: Json
    selected_by: list[tuple[str, Json]]
    implied_by: list[tuple[str, Json]]
    selects: list[tuple[str, Json]]
    ranges: list[tuple[Json, Json, Json]]
    choice: str
    members: list[str]
    places: list[tuple[str, int]]
    title: str
    probes: list[str]
    unread: list[str]
    transitional: bool


def to_row(option: Option) -> dict[str, object]:
    """An option as a row of JSON: the fields that are not empty."""
    document: dict[str, object] = {}
    for field in _FIELDS:
        value = getattr(option, field)
        if value != _EMPTY[field]:
            document[field] = _plain(value)
    return document


def _plain(value: object) -> object:
    """A value with each condition in it in its form for JSON."""
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value if isinstance(value, str | int) else to_json(cast(Condition, value))


def from_row(name: str, document: OptionRow) -> Option:
    """The option in a row. Raises ValueError, TypeError, LookupError if the row is malformed."""
    return Option(
        name,
        type=str(document.get("type", "")),
        prompts=[from_json(prompt) for prompt in document.get("prompts", ())],
        defaults=[(from_json(value), from_json(condition)) for value, condition in document.get("defaults", ())],
        depends=from_json(document["depends"]) if "depends" in document else YES,
        selected_by=[(str(selector), from_json(condition)) for selector, condition in document.get("selected_by", ())],
        implied_by=[(str(implier), from_json(condition)) for implier, condition in document.get("implied_by", ())],
        selects=[(str(selected), from_json(condition)) for selected, condition in document.get("selects", ())],
        ranges=[(from_json(low), from_json(high), from_json(condition)) for low, high, condition in document.get("ranges", ())],
        choice=str(document.get("choice", "")),
        members=[str(member) for member in document.get("members", ())],
        places=[(str(path), int(line)) for path, line in document.get("places", ())],
        title=str(document.get("title", "")),
        probes=[str(probe) for probe in document.get("probes", ())],
        unread=[str(line) for line in document.get("unread", ())],
        transitional=bool(document.get("transitional")),
    )
