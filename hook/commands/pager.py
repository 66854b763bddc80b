"""The pager: what a command prints on a terminal goes through it, as git's output does (git-config(1), core.pager)."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator

from hook.commands import repository
from hook.source.git import GitError

# as git has them: `less` ends by itself where one screen holds all, keeps colours, and leaves the text on the screen
_DEFAULTS = {"LESS": "FRX", "LV": "-c"}


@contextlib.contextmanager
def paged(options: argparse.Namespace) -> Iterator[None]:
    """Send standard output through the person's pager, and wait until they have left it."""
    command = chosen(options) if _is_called_by_a_person() else ""
    if not command:
        yield
        return
    pager = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, env=_DEFAULTS | os.environ)
    assert pager.stdin is not None
    sys.stdout.flush()
    terminal = os.dup(1)
    os.dup2(pager.stdin.fileno(), 1)
    pager.stdin.close()
    os.environ["GIT_PAGER_IN_USE"] = "true"
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    finally:
        os.dup2(terminal, 1)  # the pager comes to the end of its input
        _wait(pager)


def _is_called_by_a_person() -> bool:
    """Whether somebody can leave the pager: hook managers (pre-commit, lefthook) give a hook a terminal at which nobody sits."""
    return sys.stdin.isatty() and sys.stdout.isatty() and not {"PRE_COMMIT", "GIT_INDEX_FILE"} & os.environ.keys()


def chosen(options: argparse.Namespace) -> str:
    """The pager: of GIT_PAGER, core.pager of the person or the system, PAGER, else less; empty where that is none or is not there."""
    command = os.environ.get("GIT_PAGER")
    if command is None:
        with contextlib.suppress(GitError):  # the command itself says what is wrong
            out = repository(options).run("config", "-z", "--show-scope", "--get-all", "core.pager", ok=(0, 1))
            words = os.fsdecode(out).split("\0")
            # not that of the repository, which may have been unpacked from an archive
            configured = [value for scope, value in zip(words[::2], words[1::2], strict=False) if scope not in ("local", "worktree")]
            command = configured[-1] if configured else None
    if command is None:
        command = os.environ.get("PAGER", "less")
    try:
        program = shlex.split(command)[:1]
    except ValueError:
        return command  # sh says what is wrong with it
    if not program or command == "cat" or ("=" not in program[0] and shutil.which(program[0]) is None):
        return ""
    return command


def _wait(pager: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            pager.wait()
            return
        except KeyboardInterrupt:
            continue  # it is the pager's: `less` stops searching
