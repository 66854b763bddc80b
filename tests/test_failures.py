"""Whatever fails, the commit goes through, one line says why, and the next run repairs what is left."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hook.source.git import GitError, find
from hook.source.object_store import Objects
from tests.small_kernel import PROGRAM, Kernel

POOL = "mm/pool.c"
COMMITS = int(os.environ.get("COMMITS", "16"))  # made while our processes are killed


def ours(error: str) -> list[str]:
    return [line for line in error.splitlines() if line.startswith("patch-triage:")]


def test_broken_settings(hooked: Kernel) -> None:
    hooked.write("../home/.config/patch-triage.yaml", "push:\n  max_commits: ten\n")
    hooked.stage(POOL, "int a;\n")
    _, error = hooked.git_both("commit", "-qm", "x")
    assert set(ours(error)) == {
        'patch-triage: no verdict: ~/.config/patch-triage.yaml:2: push.max_commits: "ten" is not a whole number from 1 to 100000; '
        "the commit goes through"
    }
    assert hooked.git("log", "--format=%s", "-1") == "x\n"


def test_no_git_identity_for_the_note(hooked: Kernel) -> None:
    (pathlib.Path(hooked.env["HOME"]) / ".gitconfig").write_text("[user]\n\tuseConfigOnly = true\n")
    hooked.stage(POOL, "int a;\n")
    identity = {"GIT_AUTHOR_NAME": "x", "GIT_AUTHOR_EMAIL": "x@x", "GIT_COMMITTER_NAME": "x", "GIT_COMMITTER_EMAIL": "x@x"}
    hooked.git("commit", "-qm", "x", **identity)
    assert "WorthFuzzing: true" in hooked.note()


def test_a_leftover_ref_lock_queues_the_record_and_status_writes_it(hooked: Kernel) -> None:
    hooked.commit(POOL, "int a;\n")
    lock = hooked.path / ".git/refs/notes/patch-triage.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    hooked.stage(POOL, "int b;\n")
    _, error = hooked.git_both("commit", "-qm", "x")
    assert any("not recorded" in line and "queued" in line and "`patch-triage status` shows it" in line for line in ours(error))
    assert json.loads(hooked.triage("show", "--format", "json"))["State"] == "final"
    lock.unlink()
    assert "1 queued record written" in hooked.triage("status")
    assert "WorthFuzzing: true" in hooked.note()


def test_an_object_that_is_not_there(hooked: Kernel) -> None:
    hooked.commit(POOL, "int a;\n")
    blob = hooked.git("rev-parse", f"HEAD:{POOL}").strip()
    (hooked.path / ".git/objects" / blob[:2] / blob[2:]).unlink()
    hooked.stage(POOL, "int b;\n")
    hooked.git("commit", "-qm", "x")
    assert hooked.git("log", "--format=%s", "-1") == "x\n"


def namespace(script: str) -> list[str] | None:
    """A command line that runs `script` where it may mount; None where the system does not let us."""
    become_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    argv = ["unshare", *become_root, "--mount", "sh", "-ec", script]
    probe = [*argv[:-1], "mount -t tmpfs none /mnt"]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode:
        return None
    return argv


def test_a_full_disk_for_everything_of_ours(starting: Kernel) -> None:
    starting.commit(POOL, "int a;\n")
    state = starting.path / ".git/patch-triage"
    notes = starting.path / ".git/refs/notes"
    script = (
        f"mount -t tmpfs -o size=4k none '{state}'; dd if=/dev/zero of='{state}/fill' bs=4k 2>/dev/null || true; "
        f"mount -t tmpfs -o size=4k none '{notes}'; dd if=/dev/zero of='{notes}/fill' bs=4k 2>/dev/null || true; "
        "git commit -qm full"
    )
    argv = namespace(script)
    if argv is None:
        pytest.skip("this system does not let a test mount a file system")
    starting.stage(POOL, "int b;\n")
    done = subprocess.run(argv, cwd=starting.path, env=starting.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert any("No space left" in line for line in ours(done.stderr)), done.stderr
    assert starting.git("log", "--format=%s", "-1") == "full\n"
    assert "WorthFuzzing: true" in starting.note("HEAD~1")


def test_a_read_only_git_directory_can_be_checked(hooked: Kernel) -> None:
    hooked.commit(POOL, "int a;\n")
    mail = hooked.git("format-patch", "-1", "--stdout")
    hooked.git("reset", "-q", "--hard", "HEAD~1")
    script = f"mount --bind .git .git; mount -o remount,bind,ro .git; '{PROGRAM}' check HEAD; '{PROGRAM}' check --patch -"
    argv = namespace(script)
    if argv is None:
        pytest.skip("this system does not let a test mount a file system")
    done = subprocess.run(argv, cwd=hooked.path, env=hooked.env, input=mail, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("worth fuzzing (not proved: ") == 2


def test_eight_processes_lose_no_note(hooked: Kernel) -> None:
    commits = [hooked.commit(POOL, f"int a{number};\n", "x", "--no-verify") for number in range(16)]
    hooked.git("update-ref", "-d", "refs/notes/patch-triage")
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(
            pool.map(lambda commit: hooked.triage_both("check", "--record", commit, PATCH_TRIAGE_RECORD_LOCK_SECONDS="60"), commits)
        )
    assert not any(ours(error) for _, error in outcomes)
    assert all(f"Commit: {commit}" in hooked.note(commit) for commit in commits)
    assert hooked.git("fsck", "--strict", "--no-dangling").strip() == ""


def test_killed_at_random_moments_nothing_is_left_broken(starting: Kernel) -> None:
    """Our processes are killed while commits are made; the seed makes a failure repeatable."""
    choice = random.Random(6)
    killed = 0
    for number in range(COMMITS):
        starting.stage(POOL, f"int a{number};\n")
        commit = subprocess.Popen(
            ["git", "commit", "-qm", str(number)], cwd=starting.path, env=starting.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        # both of our processes take some 100 ms each: most of these moments are inside one of them
        time.sleep(choice.uniform(0.0, 0.25))
        if number % 2:
            killed += kill_ours(starting)
        assert commit.wait(60) == 0, f"commit {number} was stopped"
    assert killed > COMMITS // 10
    assert starting.git("rev-list", "--count", "HEAD").strip() == str(COMMITS + 1)
    assert starting.git("fsck", "--strict", "--no-dangling").strip() == ""
    last = starting.commit(POOL, "int last;\n")
    assert f"Commit: {last}" in starting.note()
    starting.triage("status")
    commits = starting.git("rev-list", f"HEAD~{COMMITS}..HEAD").split()
    starting.triage("check", "--record", f"HEAD~{COMMITS}..HEAD")
    assert all(f"Commit: {commit}" in starting.note(commit) for commit in commits[::10])
    left = [str(path) for path in (starting.path / ".git").rglob("*.lock")]
    assert left == []


def kill_ours(kernel: Kernel) -> int:
    """Kill -9 every process of ours that works in this tree, as one group with what it has started."""
    count = 0
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            where = os.readlink(entry / "cwd")
        except OSError:
            continue
        if b"patch-triage\0hook\0" in command and where.startswith(str(kernel.path)):
            try:
                os.kill(int(entry.name), signal.SIGKILL)
                count += 1
            except ProcessLookupError:
                pass
    return count


def a_git_that_hangs(kernel: Kernel, word: str) -> dict[str, str]:
    """The environment in which a git whose arguments hold `word` never answers, and every other does."""
    real = shutil.which("git", path=kernel.env["PATH"])
    script = kernel.path.parent / "hanging" / "git"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f'#!/bin/sh\nfor word; do [ "$word" = {word} ] && exec sleep 36000; done\nexec {real} "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{script.parent}{os.pathsep}{kernel.env['PATH']}", "PATCH_TRIAGE_LIMITS_GIT_SECONDS": "1"}


@pytest.mark.parametrize(("word", "why"), [("rev-parse", "end"), ("config", "end"), ("cat-file", "answer"), ("diff-index", "end")])
def test_a_git_that_hangs_costs_a_bounded_wait_and_no_commit(kernel: Kernel, word: str, why: str) -> None:
    kernel.stage(POOL, "int a;\n")
    _, error = kernel.triage_both("hook", "pre-commit", **a_git_that_hangs(kernel, word))
    assert ours(error) == [f"patch-triage: no verdict: git {word} did not {why} within 1 s (limits.git_seconds); the commit goes through"]


def test_a_git_that_hangs_while_it_reads_is_asked_once(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in a_git_that_hangs(kernel, "cat-file").items():
        monkeypatch.setenv(name, value)
    with Objects(find(kernel.path), 1 << 20) as objects:
        for _ in range(30):  # each with its own deadline, they would take half a minute
            with pytest.raises(GitError, match="did not answer within 1 s"):
                objects.read("HEAD")


@pytest.mark.parametrize("free", [0, 4, 12, 20, 28, 36, 44, 60, 200, 1000, 1040, 1100])
def test_on_a_disk_with_little_room_every_commit_is_made_that_git_alone_can_make(hooked: Kernel, free: int) -> None:
    hooked.git("config", "patchtriage.record.format", "note,trailer")
    hooked.install()
    hooked.stage(POOL, "int b;\n")
    script = (
        "for hooks in 0 1; do mount -t tmpfs -o size=16m none /mnt; cp -a . /mnt/tree; dd if=/dev/zero of=/mnt/fill bs=4k 2>&- || true; "
        f"truncate -s -{free}k /mnt/fill; ( cd /mnt/tree && PATCH_TRIAGE=$hooks git commit -qm full && echo made || echo lost ); "
        "umount /mnt; done"
    )
    argv = namespace(script)
    if argv is None:
        pytest.skip("this system does not let a test mount a file system")
    done = subprocess.run(argv, cwd=hooked.path, env=hooked.env, capture_output=True, text=True, check=False)
    alone, with_hooks = done.stdout.split()
    assert with_hooks == alone, done.stderr
    assert "defect" not in done.stderr and "Traceback" not in done.stderr
    if alone == "made" and free <= 1000:
        assert "less than 1 MB is free" in done.stderr


def test_four_worktrees_commit_at_once_while_git_collects_garbage(hooked: Kernel, tmp_path: pathlib.Path) -> None:
    trees = []
    for number in range(4):
        hooked.git("worktree", "add", "-q", "-b", f"side{number}", str(tmp_path / f"tree{number}"))
        trees.append(hooked.beside(tmp_path / f"tree{number}"))
    made = 3

    def work(tree: Kernel) -> list[str]:
        return [tree.commit(POOL, f"int a{number}; /* {tree.path.name} */\n") for number in range(made)]

    with ThreadPoolExecutor(5) as pool:
        commits = pool.map(work, trees)
        for _ in range(made):
            hooked.git("gc", "--quiet", "--prune=2.weeks.ago", ok=None)
        found = [commit for several in commits for commit in several]
    assert len(set(found)) == 4 * made
    hooked.triage("status")  # writes what had to be queued
    assert all(f"Commit: {commit}" in hooked.note(commit) for commit in found)
    assert hooked.git("fsck", "--strict", "--no-dangling").strip() == ""


def test_without_a_home_under_a_narrow_umask_and_with_a_clock_that_goes_backwards(hooked: Kernel) -> None:
    narrow = {"GIT_COMMITTER_DATE": "2001-01-01T00:00:00+0000", "XDG_CONFIG_HOME": "/no/such/home/.config"}
    env = {key: value for key, value in (hooked.env | narrow).items() if key != "HOME"}
    for path in (hooked.path / ".git/patch-triage").rglob("*"):
        os.utime(path, (4e9, 4e9))  # as if written in 2096
    hooked.stage(POOL, "int b;\n")
    done = subprocess.run(
        ["sh", "-c", "umask 077; git commit -qm x"], cwd=hooked.path, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "no verdict" not in done.stderr, done.stderr
    while f"Commit: {hooked.head()}" not in hooked.note():  # it is written behind the commit
        time.sleep(0.02)
