"""The same stages under the real pre-commit framework."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from tests.small_kernel import Kernel

PROJECT = pathlib.Path(__file__).parent.parent
PRE_COMMIT = pathlib.Path(sys.executable).parent / "pre-commit"
CONFIG = """\
default_install_hook_types: [pre-commit, prepare-commit-msg, commit-msg, post-commit, post-rewrite, pre-push]
repos:
  - repo: {place}
    rev: {rev}
    hooks:
      - id: patch-triage
      - id: patch-triage-prepare-commit-msg
      - id: patch-triage-commit-msg
      - id: patch-triage-post-commit
      - id: patch-triage-post-rewrite
      - id: patch-triage-pre-push
      - id: patch-triage-check
      - id: patch-triage-series
"""


@pytest.fixture
def published(tmp_path: pathlib.Path) -> pathlib.Path:
    """This project as a repository of one commit, as the framework would clone it."""
    place = tmp_path / "published" / "patch-triage"
    place.mkdir(parents=True)
    for name in (".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, place)
    for folder in ("hook", "bin", "docs"):
        shutil.copytree(PROJECT / folder, place / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-C", str(place), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "published"], check=True)
    return place


def framework(kernel: Kernel, *args: str, ok: int = 0) -> str:
    done = subprocess.run([str(PRE_COMMIT), *args], cwd=kernel.path, env=kernel.env, capture_output=True, text=True, check=False)
    assert done.returncode == ok, done.stdout + done.stderr
    return done.stdout


def test_an_installed_config_prints_the_verdict_and_makes_records(kernel: Kernel, published: pathlib.Path, tmp_path: pathlib.Path) -> None:
    kernel.env["PRE_COMMIT_HOME"] = str(tmp_path / "pre-commit-home")
    rev = subprocess.run(["git", "-C", str(published), "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    kernel.stage(".pre-commit-config.yaml", CONFIG.format(place=published, rev=rev))
    kernel.git("config", "patchtriage.record.format", "note,trailer")
    framework(kernel, "install")
    verdict = "patch-triage: not worth fuzzing: no functional change: git and editor settings (1 file)"
    assert verdict in framework(kernel, "run", "patch-triage", "--verbose")
    _, error = kernel.git_both("commit", "-qm", "use patch-triage")
    assert "patch-triage: not worth fuzzing: no functional change: git and editor settings" in error
    assert "Worth-Fuzzing: no" in kernel.git("log", "-1", "--format=%B")
    assert "WorthFuzzing: false" in kernel.note()

    _, error = kernel.git_both("commit", "-q", "--allow-empty", "-m", "nothing")
    assert re.findall("hook id: (.*)", error) == ["patch-triage", "patch-triage-post-commit"]  # the others have nothing to say
    assert "no --from-ref and --to-ref" in framework(kernel, "run", "--hook-stage", "manual")
    kernel.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    assert "Worth-Fuzzing: no" in kernel.git("log", "-1", "--format=%B")
    kernel.commit("mm/pool.c", "int a;\n", "fixup! doc")
    kernel.git("rebase", "-q", "-i", "--autosquash", "HEAD~2", GIT_SEQUENCE_EDITOR="true")
    assert "WorthFuzzing: true" in kernel.note() and f"Commit: {kernel.head()}" in kernel.note()

    kernel.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    kernel.git("config", "patchtriage.policy.block", "unjudged")
    out, error = kernel.git_both("push", "-q", str(tmp_path / "remote.git"), "main", ok=1)
    assert "push stopped by policy.block" in out + error

    series = ("run", "--hook-stage", "manual", "patch-triage-series", "--from-ref", "HEAD~1", "--to-ref", "HEAD")
    out = framework(kernel, *series, ok=1)
    assert "1 patch: 0 worth fuzzing, 1 open, 0 not" in out and "stopped by policy.block: unjudged" in out
    kernel.git("config", "--unset", "patchtriage.policy.block")
    assert "Passed" in framework(kernel, *series)
