"""b4's two protocols, spoken with the real b4."""

from __future__ import annotations

import json
import pathlib
import re
import sys
from collections.abc import Callable

import pytest

from tests.agent.conftest import make_httpserver, scripted  # noqa: F401
from tests.agent.model import Model
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
SIGNED = "\n\nWhy.\n\nSigned-off-by: Jo Hacker <jo@example.org>"
B4 = str(pathlib.Path(sys.executable).parent / "b4")
REVIEW = str(pathlib.Path(__file__).parent / "b4_review.py")


def three_patches(kernel: Kernel) -> None:
    for old, new, subject in (
        ("count >= POOL_MAX", "count > POOL_MAX - 2", "mm/pool: keep one slot free"),
        ("the cache. */", "cache. */", "mm/pool: fix a comment"),
        ("count > POOL_MAX - 2", "count > POOL_MAX - 3", "mm/pool: keep two"),
    ):
        kernel.replace(POOL, old, new)
        kernel.git("commit", "-qam", subject + SIGNED)


def b4(kernel: Kernel, *arguments: str) -> list[str]:
    """What the real b4 says, without its colours."""
    _, said = kernel._run([B4, "--offline-mode", *arguments], b"", 0, {})
    return re.sub(r"\x1b\[\d+m", "", said).splitlines()


def test_b4_prep_check_warns_of_what_is_worth_fuzzing_and_passes_the_rest(kernel: Kernel) -> None:
    kernel.git("config", "b4.prep-perpatch-check-cmd", "patch-triage b4-prep-check")
    b4(kernel, "prep", "-n", "pool", "-f", "main")
    three_patches(kernel)
    said = b4(kernel, "prep", "--check", "--no-cache")
    assert said[-1] == "Success: 1, Warning: 2, Error: 0"
    assert [line for line in said if "patch-triage: " in line] == [
        "  ● patch-triage: worth fuzzing (not proved: that a fuzzer can reach it): pool_put (needs POOL)"
    ] * 2


def review(kernel: Kernel, tmp_path: pathlib.Path, *options: str, **env: str) -> dict[str, list]:
    """What b4's check runner makes of our commands on three mailed patches that b4 tracks."""
    kernel.git("config", "b4.review-perpatch-check-cmd", "patch-triage b4-review-check")
    kernel.git("config", "b4.review-series-check-cmd", "patch-triage b4-review-check --series")
    kernel.git("checkout", "-qb", "side")
    three_patches(kernel)
    (tmp_path / "mbox").write_text(kernel.git("format-patch", "--stdout", "--thread", *options, "main"))
    kernel.git("checkout", "-q", "main")
    kernel.git("branch", "-qD", "side")
    out, _ = kernel._run([sys.executable, REVIEW, str(tmp_path / "mbox"), "main"], b"", 0, env)
    return json.loads(out.splitlines()[-1])


def test_a_mail_that_bears_the_name_of_another_is_judged_itself(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    three_patches(kernel)
    kernel.git("branch", "b4/review/x")
    commits = kernel.git("rev-list", "--reverse", "HEAD~3..HEAD").split()
    tracking = {"series": {"first-patch-commit": commits[0], "change-id": "x"}, "patches": [{"header-info": {"msgid": "1@x"}}] * 2}
    (tmp_path / "tracking").write_text(json.dumps(tracking))
    kernel.git("checkout", "-q", "HEAD~3")
    for commit, status in zip(commits[:2], ("warn", "pass"), strict=True):
        mail = kernel.git("format-patch", "--stdout", "-1", commit).replace("Subject:", "Message-ID: <1@x>\nSubject:", 1)
        (found,) = json.loads(kernel.triage("b4-review-check", data=mail, B4_TRACKING_FILE=str(tmp_path / "tracking")))
        assert found["status"] == status, found


@pytest.mark.parametrize("options", [(), ("--cover-letter",)])
def test_b4s_check_runner_takes_our_results(kernel: Kernel, tmp_path: pathlib.Path, options: tuple[str, ...]) -> None:
    found = review(kernel, tmp_path, *options)
    assert [[one["status"] for one in results] for results in found["patches"]] == [["warn"], ["pass"], ["warn"]]
    first = found["patches"][0][0]
    assert (first["tool"], first["summary"]) == (
        "patch-triage",
        "worth fuzzing (not proved: that a fuzzer can reach it): pool_put (needs POOL)",
    )
    assert f"{POOL}:32  code changed in pool_put()" in first["details"]
    (whole,) = found["series"]
    assert (whole["status"], whole["summary"]) == ("warn", "0 worth fuzzing, 2 open, 1 not: pool_put (needs POOL)")
    assert "mm/pool: fix a comment\n  not worth fuzzing" in whole["details"]


def test_a_series_that_b4_does_not_track_is_judged_from_its_mails(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    found = review(kernel, tmp_path, WITHOUT_TRACKING="1")
    assert [[one["status"] for one in results] for results in found["patches"]] == [["warn"], ["pass"], ["warn"]]
    assert found["series"] == []


def test_no_model_is_waited_for(kernel: Kernel, scripted: Callable[..., Model]) -> None:  # noqa: F811
    three_patches(kernel)
    mail = kernel.git("format-patch", "--stdout", "-1", "HEAD")
    model = scripted()
    kernel.triage("agent", "enable", **model.environment)
    (found,) = json.loads(kernel.triage("b4-review-check", data=mail, **model.environment))
    assert found["status"] == "warn" and "[pending]" in found["details"]
    (found,) = json.loads(kernel.triage("b4-review-check", "--offline", data=mail, **model.environment))
    assert found["status"] == "warn" and "[pending]" not in found["details"] and model.requests == []


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        ("Subject: [PATCH 0/3] a cover letter\nFrom: jo@example.org\n\nJust words.\n", ""),
        ("", ""),
        (
            "Subject: [PATCH] x\nFrom: jo@example.org\n\n---\ndiff --git a/mm/none.c b/mm/none.c\n--- a/mm/none.c\n+++ b/mm/none.c\n@@ -1 +1 @@\n-a\n+b\n",
            "not judged",
        ),
    ],
)
def test_nothing_goes_to_standard_error(kernel: Kernel, mail: str, said: str) -> None:
    out, error = kernel.triage_both("b4-prep-check", data=mail)
    assert error == "" and said in out and len(out.splitlines()) == bool(said) and "ERROR:" not in out
    out, error = kernel.triage_both("b4-review-check", data=mail)
    assert error == "" and [one["status"] for one in json.loads(out)] == (["warn"] if said else [])


def test_a_wrong_setting_is_a_warning_and_a_switched_off_check_says_nothing(kernel: Kernel) -> None:
    three_patches(kernel)
    mail = kernel.git("format-patch", "--stdout", "-1", "HEAD")
    out, error = kernel.triage_both("b4-prep-check", data=mail, PATCH_TRIAGE_TARGET_ARCH="vax")
    assert error == "" and out.startswith("not judged: ") and len(out.splitlines()) == 1
    assert kernel.triage_both("b4-prep-check", data=mail, PATCH_TRIAGE="0") == ("", "")
    assert kernel.triage_both("b4-review-check", data=mail, PATCH_TRIAGE="0") == ("[]\n", "")


@pytest.mark.parametrize(
    "tracking",
    [
        "",
        "[]",
        "{}",
        '{"series": {"first-patch-commit": "--all", "change-id": "x"}, "patches": [{"header-info": {"msgid": "a"}}]}',
        '{"series": {"first-patch-commit": "' + "0" * 40 + '", "change-id": "../x"}, "patches": [{"header-info": {"msgid": "a"}}]}',
    ],
)
def test_a_broken_tracking_file_leaves_the_mail(kernel: Kernel, tmp_path: pathlib.Path, tracking: str) -> None:
    three_patches(kernel)
    mail = kernel.git("format-patch", "--stdout", "-1", "HEAD")
    (tmp_path / "tracking").write_text(tracking)
    out, error = kernel.triage_both("b4-review-check", data=mail, B4_TRACKING_FILE=str(tmp_path / "tracking"))
    assert error == "" and json.loads(out)[0]["status"] == "warn"
    assert kernel.triage_both("b4-review-check", "--series", data=mail, B4_TRACKING_FILE=str(tmp_path / "tracking")) == ("[]\n", "")
