"""`patch-triage config`: the settings in force, and where each came from."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence

from hook import config
from hook.commands import DONE, CannotDo, Command, repository
from hook.report import text
from hook.source import setting_layers
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects

# what most people set, and enough to begin with
_FIRST = ("target.arch", "fuzz.base_config", "policy.block", "agent.base_url", "agent.model")


def register(command: Command) -> None:
    sub = command("config", settings, "print the settings in force and where each comes from")
    sub.add_argument("--init", action="store_true", help="write a first ~/.config/patch-triage.yaml of ten lines")


def settings(options: argparse.Namespace) -> int:
    """Print the settings in force and where each came from, or write a first file of them."""
    if options.init:
        _write_starter()
        return DONE
    try:
        repo: Repository | None = repository(options)
    except GitError:
        repo = None
    if repo is None:
        in_force = setting_layers.load(None)
    else:
        with Objects(repo) as objects:
            in_force = setting_layers.at(objects, "HEAD")
        if off := setting_layers.switched_off(repo):
            print(text.plain(f"# patch-triage is off: {off}"))
    first = [*_FIRST, *(name for name in sorted(in_force.values) if name not in _FIRST and in_force.origins[name] != "default")]
    for line in _lines(in_force, first):
        print(line)
    print("# advanced")
    for line in _lines(in_force, [name for name in sorted(in_force.values) if name not in first]):
        print(line)
    return DONE


def _lines(in_force: config.Settings, names: Sequence[str]) -> Iterator[str]:
    for name in names:
        value = in_force.values[name]
        shown = ", ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else value
        yield text.plain(f"{name}: {shown if shown != '' else '(empty)'}    # {in_force.origins[name]}")


def _write_starter() -> None:
    """Write the person's own file with the settings that people begin with, at their defaults. Raises CannotDo, OSError."""
    path = setting_layers.user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(starter())
    except FileExistsError:
        raise CannotDo(f"{path} exists already; `patch-triage config` prints the settings in force") from None
    print(text.plain(f"{path}: written, with the default values; `patch-triage config` lists all settings"))


def starter() -> str:
    """The text of a first settings file."""
    lines = ["# `patch-triage config` prints every setting with its value in force; docs/settings.md explains them"]
    for name in _FIRST:
        section, _, key = name.partition(".")
        if f"{section}:" not in lines:
            lines.append(f"{section}:")
        field = config.BY_NAME[name]
        default = field.default or '""'
        lines.append(f"  {key}: {default}  # {field.doc}")
    return "\n".join([*lines, ""])
