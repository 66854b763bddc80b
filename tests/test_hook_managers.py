"""The stages under hook managers other than pre-commit: the real programs, with the lines of docs/hook-managers.md."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
import time

import pytest

from tests.small_kernel import Kernel

PROJECT = pathlib.Path(__file__).parent.parent
PAGE = (PROJECT / "docs/hook-managers.md").read_text()
PROGRAMS = pathlib.Path(sys.executable).parent


def copied(file: str) -> str:
    """The lines of the page that go into a file."""
    found = re.search(rf"(?ms)^```(?:yaml|sh)\n# {re.escape(file)}\n(.*?)^```", PAGE)
    assert found, file
    return found[1]


def ran(kernel: Kernel, program: str, *args: str) -> str:
    if not (PROGRAMS / program).exists():
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([PROGRAMS / program, *args], cwd=kernel.path, env=kernel.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def wait_for_note(kernel: Kernel) -> None:
    """Wait for the note on HEAD: a manager that closes what it inherits hides from us when the process behind a hook has ended."""
    while f"Commit: {kernel.head()}" not in kernel.note():
        time.sleep(0.05)


def commits_and_pushes(kernel: Kernel, remote: pathlib.Path) -> None:
    """A commit gets its note, a rebase carries it on, and the policy stops a push."""
    kernel.git("init", "-q", "--bare", str(remote))
    kernel.git("remote", "add", "origin", str(remote))
    kernel.git("push", "-q", "--no-verify", "origin", "main")
    kernel.replace("mm/pool.c", "count >= POOL_MAX", "count > POOL_MAX - 2")
    _, error = kernel.git_both("commit", "-qam", "mm/pool: keep one slot free")
    assert "worth fuzzing (not proved" in error
    wait_for_note(kernel)
    kernel.git("commit", "-q", "--amend", "-m", "mm/pool: keep one more slot free")
    wait_for_note(kernel)
    kernel.git("config", "patchtriage.policy.block", "unjudged")
    out, error = kernel.git_both("push", "-q", "origin", "main", ok=1)
    assert "push stopped by policy.block: unjudged" in out + error
    kernel.git("config", "--unset", "patchtriage.policy.block")
    kernel.git("push", "-q", "origin", "main")


@pytest.mark.parametrize(("program", "file"), [("lefthook", "lefthook.yml"), ("prek", ".pre-commit-config.yaml")])
def test_a_hook_manager_runs_the_stages(kernel: Kernel, tmp_path: pathlib.Path, program: str, file: str) -> None:
    kernel.env["PREK_HOME"] = str(tmp_path / "prek")
    kernel.commit(file, copied(file), "use patch-triage")
    ran(kernel, program, "install")
    commits_and_pushes(kernel, tmp_path / "remote.git")


def test_a_directory_of_hooks_runs_the_stages(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    for stage in ("pre-commit", "post-commit", "post-rewrite", "pre-push"):
        kernel.stage(f".husky/{stage}", "#!/bin/sh\n" + copied(".husky/STAGE").replace("STAGE", stage))
        (kernel.path / ".husky" / stage).chmod(0o755)
    kernel.git("commit", "-qm", "hooks")
    kernel.git("config", "core.hooksPath", ".husky")
    commits_and_pushes(kernel, tmp_path / "remote.git")


def test_jj_names_the_commit_in_its_own_way(kernel: Kernel) -> None:
    kernel.replace("mm/pool.c", "count >= POOL_MAX", "count > POOL_MAX - 2")
    assert kernel.triage_both("check", "@-", ok=3)[1] == "patch-triage: @- names no commit in this repository\n"
    if jj := shutil.which("jj"):
        for words in (("git", "init", "--colocate"), ("commit", "-m", "mm/pool: keep one slot free")):
            subprocess.run(
                [jj, "--config=user.name=Jo", "--config=user.email=jo@example.org", *words], cwd=kernel.path, env=kernel.env, check=True
            )
    else:
        (kernel.path / ".jj").mkdir()
        kernel.git("checkout", "-q", "--detach")
        kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    assert kernel.triage("check", "@-", "--record").startswith("worth fuzzing (not proved")
    assert f"Commit: {kernel.head()}" in kernel.note() and "1 patch: " in kernel.triage("review", "main..@-")
