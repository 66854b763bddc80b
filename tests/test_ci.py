"""The CI jobs of docs/ci, run as they stand on clones such as CI makes."""

from __future__ import annotations

import pathlib
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.small_kernel import Kernel

JOBS = pathlib.Path(__file__).parent.parent / "docs/ci"
GITHUB: dict[Any, Any] = yaml.safe_load((JOBS / "github.yml").read_text())
ACTION: dict[Any, Any] = yaml.safe_load((JOBS / "action.yml").read_text())
SPEC, _, TEMPLATE = (JOBS / "gitlab.yml").read_text().partition("\n---\n")
INPUTS: dict[str, dict[str, Any]] = yaml.safe_load(SPEC)["spec"]["inputs"]


@pytest.fixture
def request_of_two(kernel: Kernel) -> Kernel:
    """A tree with some history and a request of two commits on top."""
    kernel.commit("Documentation/mm/a.rst", "A\n", "docs: a")
    kernel.commit("Documentation/mm/b.rst", "B\n", "docs: b")
    kernel.replace("mm/pool.c", "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    kernel.commit("Documentation/mm/pool.rst", "Pool\n", "docs: pool")
    return kernel


def cloned(kernel: Kernel, place: pathlib.Path, depth: int) -> Kernel:
    kernel.git("clone", "-q", f"--depth={depth}", f"file://{kernel.path}", str(place))
    return kernel.beside(place)


def run(kernel: Kernel, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-e", "-c", script], cwd=kernel.path, env=kernel.env | env, capture_output=True, text=True, check=False)


def test_githubs_job_may_only_read_and_keeps_to_what_forks_can_do() -> None:
    assert GITHUB["permissions"] == {"contents": "read"} and GITHUB[True] == "pull_request"
    (job,) = GITHUB["jobs"].values()
    assert "permissions" not in job and [step["uses"].partition("@")[0] for step in job["steps"]] == ["OWNER/patch-triage/docs/ci"]
    assert not any("secrets." in (JOBS / name).read_text() for name in ("github.yml", "action.yml"))
    steps = ACTION["runs"]["steps"]
    assert [step["with"]["persist-credentials"] for step in steps if "checkout" in step.get("uses", "")] == [False]
    assert all(re.search(r"@[0-9a-f]{40}\Z", step["uses"]) for step in steps if "uses" in step)
    # what a stranger can write (titles, branches) never stands in a script
    assert not any("${{" in step.get("run", "") for step in steps)
    (install,) = (step for step in steps if step.get("name") == "install")
    assert install["env"]["PROGRAM"] == "${{ github.action_path }}/../.." and (JOBS / "../../pyproject.toml").exists()


def test_who_looks_for_holes_in_actions_finds_none(tmp_path: pathlib.Path) -> None:
    for name, place in (("github.yml", ".github/workflows"), ("action.yml", "docs/ci")):
        (tmp_path / place).mkdir(parents=True)
        shutil.copy(JOBS / name, tmp_path / place)
    program = pathlib.Path(sys.executable).parent / "zizmor"
    done = subprocess.run(
        [program, "--offline", "--persona=pedantic", "--color=never", tmp_path], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "No findings to report. Good job!"), done.stdout + done.stderr
    if actionlint := shutil.which("actionlint"):
        subprocess.run([actionlint, tmp_path / ".github/workflows/github.yml"], check=True)


def test_githubs_job_judges_the_commits_of_the_request(request_of_two: Kernel, tmp_path: pathlib.Path) -> None:
    clone = cloned(request_of_two, tmp_path / "clone", 3)
    depth, judge = (
        next(step["run"] for step in ACTION["runs"]["steps"] if name in (step.get("id"), step.get("name"))) for name in ("range", "judge")
    )
    env = {"COMMITS": "2", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    run(clone, depth, **env)
    assert (tmp_path / "output").read_text() == "depth=3\n"
    env["PATCH_TRIAGE_POLICY_BLOCK"] = ACTION["inputs"]["policy"]["default"]
    done = run(clone, judge, **env)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("::warning file=mm/pool.c,line=32")
    assert "2 patches: 0 worth fuzzing, 1 open, 1 not" in done.stdout and "keep one slot free" in (tmp_path / "summary.md").read_text()
    assert "<!DOCTYPE html>" in clone.read("review.html")
    stopped = run(clone, judge, **env | {"PATCH_TRIAGE_POLICY_BLOCK": "unjudged"})
    assert stopped.returncode == 1 and "stopped by policy.block: unjudged" in stopped.stderr
    assert run(clone, judge, **env | {"PATCH_TRIAGE_POLICY_BLOCK": "unjudged", "COMMITS": "1"}).returncode == 0


def test_gitlabs_job_judges_the_commits_of_the_request(request_of_two: Kernel, tmp_path: pathlib.Path) -> None:
    given = {name: value.get("default", "x") for name, value in INPUTS.items()}
    (job,) = yaml.safe_load(re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda name: given[name[1]], TEMPLATE)).values()
    clone = cloned(request_of_two, tmp_path / "clone", int(job["variables"]["GIT_DEPTH"]))
    env = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": clone.head("HEAD~2"), "CI_COMMIT_SHA": clone.head()} | {
        name: str(value) for name, value in job["variables"].items()
    }
    done = run(clone, job["script"][-1], **env)
    assert (done.returncode, done.stderr) == (0, "") and "2 patches: 0 worth fuzzing, 1 open, 1 not" in done.stdout
    assert [place for place in job["artifacts"]["paths"] if not (clone.path / place).exists()] == []


@pytest.mark.parametrize(
    ("depth", "names", "said"),
    [
        (2, "HEAD~2..HEAD", "HEAD~2..HEAD names no commits in this repository; this clone is shallow"),
        (1, "{before}..HEAD", "names no commits in this repository; this clone is shallow"),
        (3, "{fetched}..HEAD", "where this shallow clone ends"),
    ],
)
def test_a_clone_that_is_too_shallow_is_told(request_of_two: Kernel, tmp_path: pathlib.Path, depth: int, names: str, said: str) -> None:
    before, fetched = request_of_two.head("HEAD~2"), request_of_two.head("HEAD~4")
    clone = cloned(request_of_two, tmp_path / "clone", depth)
    if "fetched" in names:  # the base is there, and nothing between it and the clone's end
        clone.git("fetch", "-q", "--depth=1", "origin", fetched)
    out, error = clone.triage_both("review", names.format(before=before, fetched=fetched), ok=3)
    assert out == "" and said in error and "git fetch --deepen=N" in error and len(error.splitlines()) == 1


def test_review_without_a_series_says_what_to_write(kernel: Kernel) -> None:
    assert "review takes a range" in kernel.triage_both("review", ok=2)[1]


def test_a_request_cannot_set_what_it_is_judged_by(request_of_two: Kernel) -> None:
    request_of_two.commit(".patch-triage.yaml", "policy:\n  block: never\n", "triage: let me through")
    out = request_of_two.triage("review", "HEAD~2..HEAD", PATCH_TRIAGE_POLICY_BLOCK="never")
    assert "2 patches: " in out
    request_of_two.stage("mm/pool.c", "int a;\n")
    _, error = request_of_two.triage_both("check", "--staged", ok=1, PATCH_TRIAGE_POLICY_BLOCK="worth-fuzzing")
    assert "policy.block cannot be set by a tree" in error
