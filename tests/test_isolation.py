"""Nothing that lies in the tree is run, whatever the person's PYTHONPATH and PATH let Python and the shell find: for each way in."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
import yaml

from hook.processes import own_python
from tests.agent import background
from tests.agent.conftest import make_httpserver, scripted  # noqa: F401
from tests.agent.model import Model
from tests.small_kernel import PROGRAM, Kernel

PROJECT = pathlib.Path(__file__).parent.parent
POOL = "mm/pool.c"
MODULES = (
    "sitecustomize", "usercustomize", "hook", "argparse", "ast", "concurrent", "dataclasses", "email", "difflib", "enum", "git",
    "hashlib", "importlib", "jinja2", "json", "openai", "os", "pathlib", "re", "site", "sqlite3", "subprocess", "tempfile", "threading",
    "typing", "unidiff", "yaml",
)  # fmt: skip
PROGRAMS = ("cat", "git", "grep", "mv", "python3", "readlink", "rm")


@pytest.fixture(params=[":", "."])
def planted(hooked: Kernel, request: pytest.FixtureRequest) -> Kernel:
    """A tree that holds modules and programs of names that are asked for, at its top and in its git directory."""
    return plant(hooked, request.param)


def plant(kernel: Kernel, python_path: str) -> Kernel:
    log = kernel.path.parent / "ran"
    for place in (kernel.path, kernel.path / ".git"):
        for name in MODULES:
            (place / f"{name}.py").write_text(f"with open({str(log)!r}, 'a') as log:\n    print('module {name}', file=log)\n")
        for name in PROGRAMS:
            (place / name).write_text(f"#!/bin/sh\necho program {name} >>'{log}'\n")
            (place / name).chmod(0o755)
    kernel.git("config", "patchtriage.record.format", "note,trailer")
    kernel.install()
    return Kernel(kernel.path, kernel.env | {"PYTHONPATH": python_path})


def ran(kernel: Kernel) -> list[str]:
    """What of the planted was run."""
    log = kernel.path.parent / "ran"
    return sorted(set(log.read_text().splitlines())) if log.exists() else []


def test_what_is_planted_runs_where_python_is_started_as_usual(planted: Kernel) -> None:
    subprocess.run([sys.executable, "-c", "pass"], cwd=planted.path, env=planted.env, capture_output=True, check=False)
    assert ran(planted)


def test_the_hooks(planted: Kernel, tmp_path: pathlib.Path) -> None:
    planted.git("clone", "-q", "--bare", ".", str(tmp_path / "remote"))
    planted.commit(POOL, "int a;\n")
    assert "Worth-Fuzzing" in planted.git("log", "-1", "--format=%B") and "WorthFuzzing" in planted.note()
    planted.amend(POOL, "int b;\n")
    _, error = planted.git_both("push", "-q", str(tmp_path / "remote"), "HEAD:refs/heads/new")
    assert "2 commits: 0 worth fuzzing, 2 open, 0 not" in error
    mail = planted.git("format-patch", "-1", "--stdout")
    planted.git("reset", "-q", "--hard", "HEAD~1")
    planted.git("am", "-q", data=mail)
    assert "WorthFuzzing" in planted.note()
    assert ran(planted) == []


@pytest.mark.parametrize("program", ["patch-triage", "git-patch-triage", "link"])
def test_the_programs(planted: Kernel, tmp_path: pathlib.Path, program: str) -> None:
    (tmp_path / "link").symlink_to(PROGRAM)  # as pipx makes it
    path = tmp_path / "link" if program == "link" else PROGRAM.with_name(program)
    done = subprocess.run([path, "check", "HEAD"], cwd=planted.path, env=planted.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ran(planted) == []


@pytest.mark.parametrize("path", [".:{}", "{}:.", ":{}", "{}::", "sub:{}"])
def test_a_path_that_means_the_current_directory(planted: Kernel, path: str) -> None:
    there = planted.env["PATH"]
    planted.stage(POOL, "int a;\n")
    planted.git("commit", "-qm", "a", PATCH_TRIAGE="0")
    planted.env["PATH"] = path.format(there)
    done = subprocess.run(
        [planted.path / ".git/hooks/post-commit"], cwd=planted.path, env=planted.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "worth fuzzing" in done.stderr
    done = subprocess.run([PROGRAM, "check", "HEAD"], cwd=planted.path, env=planted.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert ran(planted) == []


def test_the_entries_of_the_pre_commit_framework(planted: Kernel) -> None:
    entries = {one["entry"] for one in yaml.safe_load((PROJECT / ".pre-commit-hooks.yaml").read_text())}
    assert all(entry.startswith("patch-triage ") for entry in entries)
    planted.stage(POOL, "int a;\n")
    for entry in sorted(entries):
        subprocess.run(["/bin/sh", "-c", entry], cwd=planted.path, env=planted.env, input=b"", capture_output=True, check=False)
    assert ran(planted) == []


@pytest.mark.parametrize("command", ["b4-prep-check", "b4-review-check"])
def test_the_checks_of_b4(planted: Kernel, command: str) -> None:
    planted.replace(POOL, "count >= POOL_MAX", "count > POOL_MAX - 2")
    planted.git("commit", "-qam", "mm/pool: keep one slot free", PATCH_TRIAGE="0")
    mail = planted.git("format-patch", "-1", "--stdout")
    assert "worth fuzzing" in planted.triage(command, data=mail)
    assert ran(planted) == []


def test_a_python_of_ours_started_once_more(planted: Kernel) -> None:
    subprocess.run(own_python.command("-m", "hook", "--version"), cwd=planted.path, env=planted.env, capture_output=True, check=True)
    assert ran(planted) == []


def test_the_worker(hooked: Kernel, scripted: Callable[..., Model]) -> None:  # noqa: F811
    planted = background.person(plant(hooked, ":"), scripted())
    planted.commit(POOL, planted.read(POOL) + "\nint more;\n")
    background.wait(planted)
    assert (background.state(planted) / "worker").exists()
    assert ran(planted) == []


def test_the_index_that_is_made_in_the_background(hooked: Kernel) -> None:
    planted = plant(hooked, ":")
    planted.stage_unwritten({f"lib/more{number}.h": f"#define MORE_{number}\n" for number in range(2000)})
    planted.triage("check")
    while not (planted.path / ".git/patch-triage/index/seal").exists():
        time.sleep(0.1)
    assert ran(planted) == []
