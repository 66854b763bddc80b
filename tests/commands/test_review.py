"""`patch-triage review`: a series patch by patch, and as one change."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.agent.conftest import make_httpserver, scripted  # noqa: F401
from tests.agent.model import Model, kmsan, results, says
from tests.report.test_page import sound
from tests.small_kernel import PROGRAM, Kernel

POOL = "mm/pool.c"


@pytest.fixture
def series(kernel: Kernel) -> Kernel:
    """Five commits: one open, two harmless, and two that undo each other."""
    for old, new, subject in (
        ("count >= POOL_MAX", "count > POOL_MAX - 2", "mm/pool: keep one slot free"),
        ("the cache. */", "cache. */", "mm/pool: fix a comment"),
        ("return pool->pages[--pool->count];", "return pool->pages[pool->count--];", "mm/pool: break it"),
        ("return pool->pages[pool->count--];", "return pool->pages[--pool->count];", "mm/pool: mend it </title><b>"),
    ):
        kernel.replace(POOL, old, new)
        kernel.git("commit", "-qam", subject)
    kernel.commit("Documentation/mm/pool.rst", "Pool\n", "docs: pool")
    return kernel


MBOX_LINE = f"From {'0' * 40} Mon Sep 17 00:00:00 2001\n"


def test_every_patch_and_the_whole_are_judged(series: Kernel) -> None:
    rows = series.triage("review", "HEAD~5..HEAD", "--jobs", "2").splitlines()
    assert len(rows) == 8 and [("not worth fuzzing" in row) for row in rows[:5]] == [False, True, False, False, True]
    assert (
        rows[6]
        == "5 patches: 0 worth fuzzing, 3 open, 2 not; all together: worth fuzzing (not proved: that a fuzzer can reach it): pool_put (needs POOL)"
    )
    assert rows[7] == "  focus symbols: pool_put, pool_get"
    found = json.loads(series.triage("review", "HEAD~5..HEAD", "--format", "json"))
    assert found["Series"]["ChangedFunctions"] == ["pool_put"] and found["FocusSymbols"] == ["pool_put", "pool_get"]
    single = [json.loads(series.triage("check", f"HEAD~{number}", "--format", "json")) for number in range(4, -1, -1)]
    assert [one["ChangeId"] for one in found["Patches"]] == [one["ChangeId"] for one in single]
    assert [one["Base"] for one in found["Patches"]] == [series.head(f"HEAD~{number}") for number in range(5, 0, -1)]


def test_one_process_or_four_say_the_same(series: Kernel) -> None:
    assert series.triage("review", "HEAD~5..HEAD", "--jobs", "1", "--no-cache") == series.triage(
        "review", "HEAD~5..HEAD", "--jobs", "4", "--no-cache"
    )


def test_what_undoes_itself_is_nothing_as_a_whole(series: Kernel) -> None:
    out = series.triage("review", "HEAD~3..HEAD~1")
    assert "2 patches: 0 worth fuzzing, 2 open, 0 not; all together: nothing is left of what its patches change" in out


def test_a_mailed_series_is_reviewed_without_a_trace(series: Kernel, tmp_path: pathlib.Path) -> None:
    mbox = tmp_path / "mbox"
    mbox.write_text(series.git("format-patch", "--stdout", "HEAD~5"))
    ranged = json.loads(series.triage("review", "HEAD~5..HEAD", "--format", "json"))
    series.git("reset", "-q", "--hard", "HEAD~5")
    before = series.git("count-objects", "-v"), series.git("status", "--short")
    cover = "From: Jo Hacker <jo@example.org>\nSubject: [PATCH 0/5] mm/pool: <b>many things\nMessage-ID: <c@x>\n\nHello.\n"
    with_cover = f"{MBOX_LINE}{cover}\n{mbox.read_text()}"
    series.triage("review", "-", "--html", str(tmp_path / "page.html"), data=with_cover)
    page = sound((tmp_path / "page.html").read_text(), scripts=0)
    assert page.texts["h1"] == ["review of mm/pool: <b>many things"] and "ins" in page.tags
    mailed = json.loads(series.triage("review", str(mbox), "--format", "json", "--jobs", "2"))
    assert [one["ChangeId"] for one in mailed["Patches"]] == [one["ChangeId"] for one in ranged["Patches"]]
    assert mailed["Series"]["ChangeId"] == ranged["Series"]["ChangeId"] and mailed["FocusSymbols"] == ranged["FocusSymbols"]
    assert series.triage("review", "-", data=mbox.read_text()).splitlines()[-1] == "  focus symbols: pool_put, pool_get"
    assert (series.git("count-objects", "-v"), series.git("status", "--short")) == before


def test_a_patch_that_does_not_apply_costs_the_whole_and_not_the_others(series: Kernel, tmp_path: pathlib.Path) -> None:
    whole = series.git("format-patch", "--stdout", "HEAD~5")
    out = series.triage("review", "-", "--base", "HEAD", data=whole, ok=3)
    assert "the series is in its base already; --base REV" in out and "\n0 of 5 judged; all together: not judged" in out
    series.git("reset", "-q", "--hard", "HEAD~5")
    out = series.triage("review", "-", data=whole.replace("return pool->pages[--pool->count];", "return nothing;"), ok=3)
    assert "not judged as a whole" in out and "keep one slot free   worth fuzzing (not proved" in out and out.count("not tried") == 2
    assert "\n2 of 5 judged: 0 worth fuzzing, " in out


def test_verdicts_are_recorded_on_wish(series: Kernel) -> None:
    series.triage("review", "HEAD~5..HEAD")
    assert series.note() == ""
    series.triage("review", "HEAD~5..HEAD", "--record", "--no-cache")
    assert all("WorthFuzzing" in series.note(f"HEAD~{number}") for number in range(5)) and series.note("HEAD~5") == ""


def test_a_range_is_called_what_its_author_calls_it(series: Kernel) -> None:
    def title(names: str) -> str:
        series.triage("review", names, "--html", "review.html")
        (heading,) = sound(series.read("review.html"), scripts=0).texts["h1"]
        return heading.removeprefix("review of ")

    assert title("HEAD~4..HEAD~3") == "mm/pool: fix a comment" and title("HEAD~4..HEAD") == "HEAD~4..HEAD"
    series.git("config", "branch.main.description", "mm/pool: <b>mend it\n\nAt last.\n")
    assert title("HEAD~4..HEAD") == "mm/pool: <b>mend it" and title("HEAD~4..HEAD~1") == "HEAD~4..HEAD~1"
    series.git("commit", "-q", "--allow-empty", "-m", 'mm/pool: b4\'s title\n\n--- b4-submit-tracking ---\n{"series": {}}\n')
    assert title("HEAD~4..HEAD") == "mm/pool: b4's title"


def test_the_page_has_a_row_a_patch(series: Kernel) -> None:
    series.triage("review", "HEAD~5..HEAD", "--html", "review.html")
    page = sound(series.read("review.html"), scripts=0)
    assert page.tags.count("details") == 5 + 5 and any("mend it </title><b>" in text for text in page.texts["summary"])
    assert "+\tif (pool->count > POOL_MAX - 2)\n" in page.texts["ins"]  # each patch has its diff, whoever judged it
    assert list(page.texts["dt"]).count("Focus symbols") == 1 + 3  # of the whole, and of each patch that is open
    assert "5 patches: 0 worth fuzzing, 3 open, 2 not" in " ".join(page.texts["p"]) and "pool_put" in page.texts["code"]


def test_a_stopped_review_goes_on_from_there(kernel: Kernel) -> None:
    for number in range(60):
        kernel.write(POOL, kernel.read(POOL) + f"int pool_{number}(struct pool *pool)\n{{\n\treturn pool->count + {number};\n}}\n")
        kernel.git("commit", "-qam", f"mm/pool: {number}")
    running = subprocess.Popen(
        [str(PROGRAM), "review", "HEAD~60..HEAD", "--jobs", "2"],
        cwd=kernel.path,
        env=kernel.env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    cache = kernel.path / ".git/patch-triage/cache"
    while len(list(cache.rglob("*.json"))) < 5 and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)
    out, error = running.communicate(timeout=1500)
    if running.returncode != 0:  # it may have been faster than we
        assert (running.returncode, out, error) == (130, "", "patch-triage: stopped; the same command continues from here\n")
    kept = {path: path.stat().st_mtime_ns for path in cache.rglob("*.json")}
    assert len(kept) >= 5
    assert len(kernel.triage("review", "HEAD~60..HEAD").splitlines()) > 60
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nonsense..HEAD"], 3, "nonsense..HEAD names no commits in this repository"),
        (["HEAD..HEAD"], 3, "HEAD..HEAD contains no commits"),
        (["/nowhere"], 3, "/nowhere: No such file or directory"),
        (["MAINTAINERS", "--record"], 2, "a mailed patch is no commit"),
        (["MAINTAINERS"], 3, "has no patch"),
        (["HEAD~1..HEAD", "--base", "HEAD"], 2, "use --base with a mailed series"),
        (["HEAD~1..HEAD", "--jobs", "-1"], 2, "--jobs takes a number"),
    ],
)
def test_wrong_use_ends_in_one_line_below_the_usage(kernel: Kernel, arguments: list[str], code: int, sentence: str) -> None:
    out, error = kernel.triage_both("review", *arguments, ok=code)
    usage, line = error.splitlines()[:-1], error.splitlines()[-1]
    assert out == "" and sentence in line and bool(usage) is (code == 2)


def test_the_page_leads_to_how_a_model_judged(series: Kernel, scripted: Callable[..., Model]) -> None:  # noqa: F811
    answers = [says(results(True, ["pool_put"], ["POOL"], "mm/pool.c:31 keeps a slot.")), says(kmsan())]
    model = scripted(*answers, *answers)  # for the whole, and for the one patch that is open
    series.triage("agent", "enable", **model.environment)
    series.triage("review", "HEAD~5..HEAD~3", "--wait", "--html", "my review.html", **model.environment)
    text = series.read("my review.html")
    assert text.count('href="my%20review.runs/1.html"') == 1 and ">Open questions<" not in text
    page = sound(text.replace("my%20review.runs/1.html", "#patch-1"), scripts=0)
    assert re.fullmatch(r"1worth fuzzing[^\n]*\n code; focus pool_put; needs POOL[\d,]+\d\.\d\d", page.texts["summary"][0])
    run = sound(series.read("my review.runs/1.html"))
    assert "mm/pool.c:31" in run.texts["a"] and "keep one slot free" in run.texts["title"][0]
    series.triage("review", "HEAD~5..HEAD~3", "--no-cache", "--html", "open.html")
    assert ">Open questions<" in series.read("open.html") and not (series.path / "open.runs").exists()


def test_a_patch_that_changes_options_is_not_judged_twice(kernel: Kernel) -> None:
    kernel.replace("mm/Kconfig", "config POOL_DEBUG", 'config POOL_MORE\n\tbool "more"\n\nconfig POOL_DEBUG')
    kernel.replace(POOL, "count >= POOL_MAX", "count > POOL_MAX - 2")
    kernel.git("commit", "-qam", "mm/pool: an option")
    kernel.triage("review", "HEAD~1..HEAD")
    (entry,) = (kernel.path / ".git/patch-triage/cache").rglob("*.json")
    written = entry.stat().st_mtime_ns
    kernel.triage("review", "HEAD~1..HEAD")
    assert entry.stat().st_mtime_ns == written
    kernel.git("checkout", "-q", "HEAD~1")
    kernel.commit("mm/Kconfig", kernel.read("mm/Kconfig") + '\nconfig OTHER\n\tbool "other"\n', "mm: other options below")
    kernel.git("cherry-pick", "main")
    kernel.triage("review", "HEAD~1..HEAD")
    assert entry.stat().st_mtime_ns == written and len(list(entry.parent.parent.rglob("*.json"))) == 2
