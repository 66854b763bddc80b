"""The CI jobs of docs/ci, run as they stand on clones such as CI makes."""

from __future__ import annotations

import pathlib
import subprocess
from typing import Any

import pytest
import yaml

from tests.small_kernel import Kernel

JOBS = pathlib.Path(__file__).parent.parent / "docs/ci"
GITHUB: dict[Any, Any] = yaml.safe_load((JOBS / "github.yml").read_text())
GITLAB: dict[Any, Any] = yaml.safe_load((JOBS / "gitlab.yml").read_text())


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
    assert "permissions" not in job and "secrets." not in (JOBS / "github.yml").read_text()
    assert [step["with"]["persist-credentials"] for step in job["steps"] if "checkout" in step.get("uses", "")] == [False]
    # what a stranger can write (titles, branches) never stands in a script
    assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_githubs_job_judges_the_commits_of_the_request(request_of_two: Kernel, tmp_path: pathlib.Path) -> None:
    clone = cloned(request_of_two, tmp_path / "clone", 3)
    (job,) = GITHUB["jobs"].values()
    script = next(step["run"] for step in job["steps"] if step.get("name") == "judge")
    env = {"COMMITS": "2", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md")} | {name: "x" for name in job["env"] if name != "COMMITS"}
    done = run(clone, script, **env)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("::warning file=mm/pool.c,line=32")
    assert "2 patches: 0 worth fuzzing, 1 open, 1 not" in done.stdout and "keep one slot free" in (tmp_path / "summary.md").read_text()
    assert "<!DOCTYPE html>" in clone.read("review.html")
    stopped = run(clone, script, PATCH_TRIAGE_POLICY_BLOCK="unjudged", **env)
    assert stopped.returncode == 1 and "stopped by policy.block: unjudged" in stopped.stderr
    assert run(clone, script, PATCH_TRIAGE_POLICY_BLOCK="unjudged", **env | {"COMMITS": "1"}).returncode == 0


def test_gitlabs_job_judges_the_commits_of_the_request(request_of_two: Kernel, tmp_path: pathlib.Path) -> None:
    (job,) = GITLAB.values()
    clone = cloned(request_of_two, tmp_path / "clone", int(job["variables"]["GIT_DEPTH"]))
    env = {"CI_MERGE_REQUEST_DIFF_BASE_SHA": clone.head("HEAD~2"), "CI_COMMIT_SHA": clone.head(), **job["variables"]}
    done = run(clone, job["script"][-1], **env)
    assert (done.returncode, done.stderr) == (0, "") and "2 patches: 0 worth fuzzing, 1 open, 1 not" in done.stdout
    assert [place for place in job["artifacts"]["paths"] if not (clone.path / place).exists()] == []


@pytest.mark.parametrize(
    ("depth", "names", "said"),
    [
        (2, "HEAD~2..HEAD", "HEAD~2..HEAD names no commits here; this clone is shallow"),
        (1, "{before}..HEAD", "names no commits here; this clone is shallow"),
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
