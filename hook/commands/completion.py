"""`patch-triage completion`: a completion script for a shell, made from the parser. Completing starts nothing of ours."""

from __future__ import annotations

import argparse

from hook.commands import DONE, CannotDo, Command

_SHELLS = ("bash", "zsh", "fish", "tcsh")


def register(command: Command) -> None:
    sub = command("completion", completion, "print a completion script for your shell")
    sub.add_argument("shell", choices=_SHELLS)


def completion(options: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ImportError:
        raise CannotDo(
            "the package shtab is missing: `pipx install 'patch-triage[completion]'`, or `pip install shtab` into the same environment"
        ) from None
    print(shtab.complete(options.whole(), shell=options.shell))
    return DONE
