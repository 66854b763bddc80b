"""Our own Python, started once more: isolated from the directory it starts in and from PYTHON* variables, as `bin/patch-triage` does it."""

from __future__ import annotations

import sys


def command(*arguments: str) -> list[str]:
    """The command line of this Python with `arguments`. A package of one person's own (`pip install --user`) stays to be found."""
    return [sys.executable, *(["-I"] if sys.flags.isolated else ["-E", "-P"]), *arguments]
