"""`patch-triage install` and `uninstall`: the hooks, put into a repository or taken out."""

from __future__ import annotations

import argparse
import pathlib
import sys

from hook.commands import DONE, WRONG_USE, Command, WrongUse, complain, repository
from hook.source import setting_layers


def register(command: Command) -> None:
    """Add the command."""
    sub = command("install", install, "put the hooks into a repository; hooks that are there are kept and called first")
    sub.add_argument("--here", action="store_true", help="write into a core.hooksPath that is shared or tracked, too")
    command("uninstall", uninstall, "take the hooks out and put back what was there")


def install(options: argparse.Namespace) -> int:
    """Put the hooks into a repository."""
    from hook import installation

    repo = repository(options)
    settings = setting_layers.load(repo)
    try:
        lines = installation.install(
            repo,
            _program(),
            trailers="trailer" in settings.record.format,
            here=options.here,
        )
    except installation.CannotInstall as wrong:
        complain(str(wrong))
        return WRONG_USE
    print("\n".join(lines))
    return DONE


def uninstall(options: argparse.Namespace) -> int:
    """Take the hooks out again."""
    from hook import installation

    try:
        lines = installation.uninstall(repository(options))
    except installation.CannotInstall as wrong:
        complain(str(wrong))
        return WRONG_USE
    print("\n".join(lines))
    return DONE


def _program() -> pathlib.Path:
    """The program that the hooks are to call: the one that runs now."""
    import shutil

    here = pathlib.Path(sys.argv[0])
    if here.name.startswith(("patch-triage", "git-patch-triage")) and here.exists():
        return here.absolute()
    beside = pathlib.Path(sys.executable).parent / "patch-triage"
    found = str(beside) if beside.exists() else shutil.which("patch-triage")
    if found is None:
        raise WrongUse("install the package first (`pipx install .`): the hooks call the program `patch-triage`, and there is none")
    return pathlib.Path(found).absolute()
