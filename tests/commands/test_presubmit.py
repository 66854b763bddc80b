"""The hooks of `repo upload`: what they show and stop, with the real program of AOSP where a checkout of it is named."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from tests.small_kernel import Kernel

POOL = "mm/pool.c"


@pytest.fixture
def uploaded(kernel: Kernel, tmp_path: pathlib.Path) -> Kernel:
    """A branch with a harmless commit and one worth fuzzing, over what the remote has."""
    kernel.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    kernel.git("remote", "add", "aosp", str(tmp_path / "remote.git"))
    kernel.git("push", "-q", "-u", "aosp", "main")
    kernel.replace(POOL, "the cache. */", "cache. */")
    kernel.git("commit", "-qam", "mm/pool: fix a comment")
    kernel.replace(POOL, "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: keep one slot free")
    return kernel


def block(kernel: Kernel, policy: str) -> None:
    kernel.git("config", "patchtriage.policy.block", policy)


def test_a_harmless_commit_is_one_line(uploaded: Kernel) -> None:
    for policy in ("never", "unjudged", "worth-fuzzing"):
        block(uploaded, policy)
        out = uploaded.triage("presubmit", uploaded.head("HEAD^"), "--warn")
        assert out == "not worth fuzzing: no functional change: comment (1 file)\n"


def test_the_policy_stops_an_upload_as_it_stops_a_push(uploaded: Kernel) -> None:
    assert "pool_put" in uploaded.triage("presubmit", "HEAD")
    assert "pool_put" in uploaded.triage("presubmit", "HEAD", "--warn", ok=77)
    for policy in ("unjudged", "worth-fuzzing"):
        block(uploaded, policy)
        error = uploaded.triage_both("presubmit", "HEAD", "--warn", ok=1)[1]
        assert f"upload stopped by policy.block: {policy}" in error and "PATCH_TRIAGE=0 repo upload" in error
    assert "patch-triage is off" in uploaded.triage("presubmit", "HEAD", PATCH_TRIAGE="0")


def test_a_policy_that_is_not_known_and_a_commit_that_cannot_be_judged(uploaded: Kernel) -> None:
    assert "no verdict: no-such names no commit in this repository" in uploaded.triage("presubmit", "no-such")
    assert "no verdict" in uploaded.triage("presubmit", "no-such", "--warn", ok=77)
    block(uploaded, "unjudged")
    assert "upload stopped" in uploaded.triage_both("presubmit", "no-such", ok=1)[1]
    block(uploaded, "wroth-fuzzing")
    assert "the policy is not known" in uploaded.triage_both("presubmit", "HEAD^", ok=2)[1]


def test_what_is_staged_is_judged_before_it_is_a_commit(uploaded: Kernel) -> None:
    assert uploaded.triage("presubmit", "pre-submit") == "nothing to judge: nothing is staged\n"
    uploaded.stage("mm/new.c", "int x;\n")
    assert "worth fuzzing" in uploaded.triage("presubmit", "pre-submit")


CHANGE_ID = "Change-Id: I0123456789abcdef0123456789abcdef01234567"


def test_a_change_id_stays_where_gerrits_hook_puts_it(kernel: Kernel) -> None:
    hook = kernel.path / ".git/hooks/commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f'#!/bin/sh\ngrep -q ^Change-Id: "$1" || git interpret-trailers --in-place --trailer "{CHANGE_ID}" "$1"\n')
    hook.chmod(0o755)
    kernel.git("config", "patchtriage.record.format", "trailer")
    kernel.install()
    for message in ("mm/pool: keep one slot free", "mm/pool: keep one slot free\n\nSigned-off-by: Jo Hacker <jo@example.org>"):
        kernel.replace(POOL, "pool->count >= POOL_MAX", "pool->count >= POOL_MAX - 1")
        kernel.git("commit", "-qam", message)
        first = kernel.git("log", "-1", "--format=%(trailers:only)")
        assert first.count(CHANGE_ID) == 1 and "Worth-Fuzzing:" in first
        kernel.git("commit", "-q", "--amend", "--no-edit")
        assert kernel.git("log", "-1", "--format=%(trailers:only)") == first
        kernel.git("reset", "-q", "--hard", "HEAD^")


def test_git_repohooks_shows_a_warning_and_stops_by_the_policy(uploaded: Kernel, tmp_path: pathlib.Path) -> None:
    program = pathlib.Path(os.environ.get("REPOHOOKS", ""), "pre-upload.py")
    if not program.is_file():
        pytest.skip("REPOHOOKS names no checkout of https://android.googlesource.com/platform/tools/repohooks")
    (tmp_path / ".repo").mkdir()
    (uploaded.path / "PREUPLOAD.cfg").write_text("[Hook Scripts]\npatch-triage = patch-triage presubmit --warn ${PREUPLOAD_COMMIT}\n")

    def upload() -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, str(program), "--project", "kernel/common", "--dir", str(uploaded.path)],
            cwd=uploaded.path, env=uploaded.env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stderr

    code, shown = upload()
    assert code == 0 and "worth fuzzing" in shown and "WARNING" in shown and shown.count("pool_put") >= 1
    block(uploaded, "worth-fuzzing")
    code, shown = upload()
    assert code == 1 and "upload stopped by policy.block: worth-fuzzing" in shown
