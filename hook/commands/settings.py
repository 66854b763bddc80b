"""`patch-triage config`: the settings in force, and where each came from."""

from __future__ import annotations

import argparse

from hook.commands import DONE, Command, repository
from hook.report import text
from hook.source import setting_layers
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects


def register(command: Command) -> None:
    """Add the command."""
    command("config", settings, "print the settings in force and where each came from")


def settings(options: argparse.Namespace) -> int:
    """Print the settings in force and where each came from."""
    try:
        repo: Repository | None = repository(options)
    except GitError:
        repo = None
    if repo is None:
        found = setting_layers.load(None)
    else:
        with Objects(repo) as objects:
            found = setting_layers.at(objects, "HEAD")
        if off := setting_layers.switched_off(repo):
            print(f"# switched off here: {off}")
    for name, value in found.values.items():
        said = ", ".join(value) if isinstance(value, tuple) else str(value).lower() if isinstance(value, bool) else value
        print(text.plain(f"{name}: {said if said != '' else '(empty)'}    # {found.origins[name]}"))
    return DONE
