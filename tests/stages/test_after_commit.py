"""What a commit pays for, and what is done behind it."""

from __future__ import annotations

import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess

from hook import installation
from hook.source import filelock
from hook.source.git import find
from tests.small_kernel import PROGRAM, Kernel
from tests.test_failures import kill_ours

POOL = "mm/pool.c"
COMMENT = "patch-triage: not worth fuzzing: no functional change: comment (1 file)\n"
INTERRUPTED = "patch-triage: interrupted; `patch-triage check` prints the verdict later\n"


def stage_comment(kernel: Kernel) -> None:
    kernel.replace(POOL, "the cache. */", "the cache! */")
    kernel.git("add", "-f", POOL)


def started(trace: pathlib.Path) -> collections.Counter[str]:
    """The git commands of ours that were started, out of git's own trace."""
    words = [event["argv"][1:] for event in map(json.loads, trace.read_text().splitlines()) if event["event"] == "start"]
    ours = [line for line in words if line[0] not in ("commit", "maintenance")]
    verbs = (next(word for word in line if not word.startswith("-") and "=" not in word) for line in ours)
    return collections.Counter(verb for verb in verbs if verb != "grep")  # a small tree is searched, others have their index


def test_a_commit_starts_python_once_and_git_as_often_as_it_must(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    starts, trace, program = tmp_path / "starts", tmp_path / "trace", tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$2" >>{starts}\nexec {PROGRAM} "$@"\n')
    program.chmod(0o755)
    installation.install(find(kernel.path), program, trailers=False, here=False)
    stage_comment(kernel)
    kernel.git("config", "--global", "trace2.eventTarget", str(trace))
    assert kernel.git_both("commit", "-qm", "mm: a comment")[1] == COMMENT
    assert starts.read_text() == "post-commit\n"
    before = {"config": 1, "rev-parse": 1, "cat-file": 1, "diff-tree": 1}
    behind = {"cat-file": 1, "hash-object": 1, "mktree": 2, "commit-tree": 1, "update-ref": 1}
    assert started(trace) == collections.Counter(before) + collections.Counter(behind)


def commit_while_locked(kernel: Kernel) -> tuple[int, int]:
    """Commit while another process of ours writes notes; gives its lock, and a pipe that ends with what the hook has left behind."""
    stage_comment(kernel)
    lock = filelock.take(kernel.path / ".git/patch-triage/lock")
    behind, held = os.pipe()
    done = subprocess.run(["git", "commit", "-qm", "x"], cwd=kernel.path, env=kernel.env, capture_output=True, check=True, pass_fds=(held,))
    os.close(held)
    assert done.stderr.decode() == COMMENT
    return lock, behind


def test_a_commit_waits_for_no_note_and_its_verdict_is_known_at_once(starting: Kernel) -> None:
    starting.env["PATCH_TRIAGE_RECORD_LOCK_SECONDS"] = "60"
    lock, behind = commit_while_locked(starting)
    assert starting.note() == "" and json.loads(starting.triage("show", "--format", "json"))["State"] == "final"
    os.close(lock)
    assert os.read(behind, 1) == b""
    assert "WorthFuzzing: false" in starting.note() and "0 records wait to be written" in starting.triage("status")
    os.close(behind)


def test_a_note_whose_writer_was_killed_is_written_by_the_next_call(starting: Kernel) -> None:
    starting.env["PATCH_TRIAGE_RECORD_LOCK_SECONDS"] = "60"
    lock, behind = commit_while_locked(starting)
    assert kill_ours(starting) == 1 and os.read(behind, 1) == b""
    os.close(lock)
    os.close(behind)
    assert starting.note() == "" and "1 queued record written" in starting.triage("status")
    assert "WorthFuzzing: false" in starting.note()


def test_a_mark_is_carried_along_by_the_next_commit_where_an_amend_was_killed(starting: Kernel) -> None:
    stage_comment(starting)
    starting.git("commit", "-qm", "x")
    starting.triage("mark", "HEAD", "right")
    starting.env["PATCH_TRIAGE_RECORD_LOCK_SECONDS"] = "5"  # the second amend waits so long, and what is left behind ten times that
    lock = filelock.take(starting.path / ".git/patch-triage/lock")
    for words in ("a", "b"):
        subprocess.run(
            ["git", "commit", "-q", "--amend", "-m", words], cwd=starting.path, env=starting.env, capture_output=True, check=True
        )
        assert kill_ours(starting) == 1
    os.close(lock)
    starting.git("commit", "-q", "--allow-empty", "-m", "y")
    assert "Mark: right" in starting.note("HEAD~1") and list((starting.path / ".git/patch-triage/replaced").iterdir()) == []


def test_a_mark_is_carried_along_by_the_next_commit_where_that_failed(starting: Kernel, tmp_path: pathlib.Path) -> None:
    stage_comment(starting)
    starting.git("commit", "-qm", "x")
    starting.triage("mark", "HEAD", "right")
    starting.git("commit", "-q", "--amend", "-m", "a", PATCH_TRIAGE="0")
    git, real = tmp_path / "bin" / "git", shutil.which("git", path=starting.env["PATH"])
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\nfor word; do [ "$word" = diff-tree ] && exit 1; done\nexec {real} "$@"\n')
    git.chmod(0o755)
    behind, held = os.pipe()
    env = starting.env | {"PATH": f"{git.parent}{os.pathsep}{starting.env['PATH']}"}
    hook = starting.path / ".git/hooks/post-commit"
    subprocess.run([hook], cwd=starting.path, env=env, capture_output=True, check=True, pass_fds=(held,))
    os.close(held)
    assert os.read(behind, 1) == b""
    os.close(behind)
    waiting = starting.path / ".git/patch-triage/replaced"
    assert [file.name for file in waiting.iterdir()] == [starting.head()]
    starting.git("commit", "-q", "--allow-empty", "-m", "y")
    assert "Mark: right" in starting.note("HEAD~1") and list(waiting.iterdir()) == []


def test_an_interrupt_ends_a_hook_with_one_line(starting: Kernel, tmp_path: pathlib.Path) -> None:
    stage_comment(starting)
    starting.git("commit", "-qm", "x", PATCH_TRIAGE="0")
    real, fifo, git = shutil.which("git", path=starting.env["PATH"]), tmp_path / "asked", tmp_path / "bin" / "git"
    os.mkfifo(fifo)
    git.parent.mkdir()
    git.write_text(f'#!/bin/sh\nfor word; do [ "$word" = diff-tree ] && {{ echo >{fifo}; exec sleep 36000; }}; done\nexec {real} "$@"\n')
    git.chmod(0o755)
    hook = subprocess.Popen(
        [starting.path / ".git/hooks/post-commit"],
        cwd=starting.path,
        env=starting.env | {"PATH": f"{git.parent}{os.pathsep}{starting.env['PATH']}"},
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    fifo.read_text()
    os.killpg(hook.pid, signal.SIGINT)
    assert hook.communicate()[1].decode() == INTERRUPTED and hook.returncode == 0
