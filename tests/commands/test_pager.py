"""The pager: which one, and that what a terminal shows has gone through it."""

from __future__ import annotations

import argparse
import os
import pty
import subprocess

import pytest

from hook.commands import pager
from tests.small_kernel import PROGRAM, Kernel


def on_a_terminal(kernel: Kernel, *args: str, typing: bool = True, **env: str) -> tuple[int, str]:
    """The exit code, and what the terminal shows."""
    master, slave = pty.openpty()
    stdin = slave if typing else subprocess.DEVNULL
    environment = kernel.env | {"TERM": "xterm"} | env
    done = subprocess.run([str(PROGRAM), *args], cwd=kernel.path, env=environment, stdin=stdin, stdout=slave, stderr=slave, check=False)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 1 << 16):
            shown += piece
    except OSError:  # Linux says so at the end of a terminal's output
        pass
    os.close(master)
    return done.returncode, shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("env", "configured", "command"),
    [
        ({"GIT_PAGER": "sort", "PAGER": "head"}, "tail", "sort"),
        ({"PAGER": "head"}, "tail -n 3", "tail -n 3"),
        ({"PAGER": "head"}, "", "head"),
        ({"PAGER": "A=1 head"}, "", "A=1 head"),
        ({"GIT_PAGER": "cat"}, "tail", ""),
        ({"GIT_PAGER": ""}, "tail", ""),
        ({"PAGER": "no-such-program-is-there"}, "", ""),
    ],
)
def test_the_pager_is_the_one_that_git_takes(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, env: dict[str, str], configured: str, command: str
) -> None:
    for name in ("GIT_PAGER", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", kernel.env["HOME"])
    kernel.git("config", "core.pager", "more")  # of a repository that somebody else may have packed
    if configured:
        kernel.git("config", "--global", "core.pager", configured)
    assert pager.chosen(argparse.Namespace(repo=str(kernel.path))) == command


def test_what_a_terminal_shows_goes_through_the_pager_in_colour(kernel: Kernel) -> None:
    kernel.replace("mm/pool.c", "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    kernel.git("config", "patchtriage.policy.block", "unjudged")
    code, shown = on_a_terminal(kernel, "check", "HEAD", GIT_PAGER="sed 's/^/paged: /'")
    assert code == 1 and shown.startswith("paged: \033[33mworth fuzzing (not proved")
    assert on_a_terminal(kernel, "check", "HEAD", GIT_PAGER="head -n 0")[1] == ""  # who leaves it early has seen enough
    assert "paged" not in kernel.triage("show", GIT_PAGER="sed 's/^/paged: /'")
    # hook managers give a hook a terminal, at which nobody sits
    assert "paged" not in on_a_terminal(kernel, "show", GIT_PAGER="sed 's/^/paged: /'", typing=False)[1]
    assert "paged" not in on_a_terminal(kernel, "show", GIT_PAGER="sed 's/^/paged: /'", PRE_COMMIT="1")[1]
    assert on_a_terminal(kernel, "status", GIT_PAGER="sed 's/^/paged: /'")[1].startswith("0 records")
