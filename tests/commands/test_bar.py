"""How far long work has come: shown on a terminal, and nowhere else."""

from __future__ import annotations

import os
import pty
import subprocess

from tests.small_kernel import PROGRAM, Kernel


def on_a_terminal(kernel: Kernel, *args: str) -> tuple[str, str]:
    """Standard output as it is piped on, and what the terminal shows beside it."""
    master, slave = pty.openpty()
    done = subprocess.run(
        [str(PROGRAM), *args],
        cwd=kernel.path,
        env=kernel.env | {"TERM": "xterm"},
        stdout=subprocess.PIPE,
        stderr=slave,
        timeout=1500,
        check=True,
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 1 << 16)
        except OSError:  # Linux says so at the end of a terminal's output
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    return done.stdout.decode(), shown.decode("utf-8", "replace")


def test_a_review_shows_how_far_it_is(kernel: Kernel) -> None:
    for number in range(2):
        kernel.commit("mm/pool.c", kernel.read("mm/pool.c") + f"\nint more_{number};\n")
    out, shown = on_a_terminal(kernel, "review", "HEAD~2..HEAD")
    assert "3/3" in shown and "judged" in shown and "judged" not in out
    assert shown.rstrip().endswith("\x1b[2K")  # and the line is gone at the end
    assert kernel.triage_both("review", "HEAD~2..HEAD")[1] == ""


def test_an_index_shows_how_far_it_is_unless_it_is_to_be_quiet(kernel: Kernel) -> None:
    assert "files" in on_a_terminal(kernel, "index")[1]
    assert on_a_terminal(kernel, "index", "--quiet") == ("", "")
