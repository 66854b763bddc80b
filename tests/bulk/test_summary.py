"""What is made of rows: counts, the maintainer's queue, and the page."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from hook.bulk import ranking, rows, summary, summary_page
from hook.bulk.inputs import BulkInput
from hook.bulk.results import BulkResults
from tests.report.test_page import sound
from tests.small_kernel import Kernel

NOTHING = {"WorthFuzzing": None, "DecidedBy": None, "Functional": None, "Reachable": None}


def row(name: str, says: str = "open", **given: Any) -> dict[str, Any]:
    """A row of an input called `name`; `says` is one of rows.KINDS."""
    made = rows.of_input(BulkInput(name, "x", commit=name), 0)
    worth = {
        "worth fuzzing": ("yes", "yes", "evidence"),
        "open": ("yes", "unknown", "default"),
        "not worth fuzzing": ("no", "yes", "evidence"),
    }
    lists = {"FocusSymbols": [], "EnableConfigs": [], "ChangeClasses": ["code"]}
    if says in worth:
        functional, reachable, decided = worth[says]
        answers = {"WorthFuzzing": functional != "no", "DecidedBy": decided, "Functional": functional, "Reachable": reachable}
        return {**made, **lists, **answers, "Subject": name, **given}
    return {**made, **lists, **NOTHING, "Subject": name, "Failed": says == "failed", "NoVerdict": "why", **given}


def test_each_kind_is_counted_by_subsystem_and_class() -> None:
    found = summary.BulkSummary()
    for one in (
        row("a", Paths=["drivers/net/tun.c", "drivers/net/tap.c", "mm/slub.c"], EnableConfigs=["TUN"], Seconds=3.0),
        row("b", "worth fuzzing", Paths=["mm/slub.c"], Seconds=1.0, EnableConfigs=["TUN", "NET"]),
        row("c", "failed", NoVerdict="the patch does not apply to 0123456789ab: mm/a.c, line 7, looks different there"),
        row("d", "failed", NoVerdict="the patch does not apply to ba9876543210: net/b.c, line 9, looks different there"),
    ):
        summary.add(found, one)
    said = found.document()
    assert said["Kinds"] == {"failed": 2, "open": 1, "worth fuzzing": 1}
    assert said["Subsystems"] == {"none": {"failed": 2}, "drivers/net": {"open": 1}, "mm": {"worth fuzzing": 1}}
    assert said["NoVerdict"] == {"the patch does not apply to ID: FILE, looks different there": 2}
    assert list(said["EnableConfigs"].items()) == [("TUN", 2), ("NET", 1)]
    assert [one["Id"] for one in said["Slowest"]][:2] == ["a", "b"]


def test_a_reason_is_counted_without_the_names_in_it() -> None:
    assert summary.general("no caller of foo_bar() (net/core/dev.c) was found") == "no caller of f() (FILE) was found"


def test_the_queue_begins_with_what_is_proved_and_ends_with_what_is_harmless() -> None:
    kinds = {"c": "not worth fuzzing", "f": "failed", "e": "nothing to judge", "p": "worth fuzzing", "o": "open"}
    found = ranking.queue([*(row(name, says) for name, says in kinds.items()), row("u", Functional="unknown")])
    assert "".join(one.id for one in found) == "poufce"


def test_among_equals_the_unreviewed_and_the_larger_come_first() -> None:
    found = ranking.queue([row("a", LineCount=9, Reviews=["Acked-by: Al"]), row("b", LineCount=1), row("c", LineCount=5)])
    assert "".join(one.id for one in found) == "cba"


def test_a_series_stands_where_its_weightiest_patch_does_and_only_its_newest_version() -> None:
    one = [
        row("s1", "not worth fuzzing", LineCount=1, Subject="p"),
        row("s1", "worth fuzzing", LineCount=2, Subject="q", FocusSymbols=["f"]),
    ]
    two = [row("s2", Subject="p", Version=2)]
    other = [row("s3", Subject="p", Version=1, Author="Al")]
    queued = ranking.queue(one)[0]
    assert (queued.says, queued.patches, queued.lines, queued.focus) == ("proved worth fuzzing", 2, 3, ("f",))
    assert [item.id for item in ranking.queue([*one, *two, *other])] == ["s2", "s3"]


def test_nothing_in_a_name_gets_into_the_page_as_more_than_text() -> None:
    evil = '</title><script>alert(1)</script><b onclick="x">\x1b[31m\u202e'
    found = summary.BulkSummary()
    given = [
        row("a", Subject=evil, Author=evil, Paths=[f"{evil}/x"], Open=evil, FocusSymbols=[evil], EnableConfigs=[evil], ChangeClasses=[evil])
    ]
    given.append(row(evil, "failed", NoVerdict=evil))
    for one in given:
        summary.add(found, one)
    text = summary_page.render(f"summary of {evil}", found, ranking.queue(given))
    sound(text, scripts=0)
    assert "<script" not in text and "<b " not in text and "\x1b" not in text and "\u202e" not in text


def test_the_command_prints_the_summary_the_queue_and_the_page(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    for part in ("json", "parquet"):
        (tmp_path / "out" / part).mkdir(parents=True)
    results = BulkResults(tmp_path / "out")
    bare = [{name: value for name, value in one.items() if value is not None} for one in (row("a", "worth fuzzing"), row("b", "failed"))]
    results.put(1, [rows.line(one) for one in bare])
    out = kernel.triage("bulk", "summary", str(tmp_path / "out"), "--html", str(tmp_path / "page.html"))
    assert out.startswith("2 changes, 0 seconds of judging\n") and "\nno verdict:\n  why  1\n" in out
    sound((tmp_path / "page.html").read_text(), scripts=0)
    assert kernel.triage("bulk", "summary", str(tmp_path / "out"), "--rank").splitlines()[1].split() == [
        "proved",
        "worth",
        "fuzzing",
        "1",
        "0",
        "0",
        "a",
    ]
    assert json.loads(kernel.triage("bulk", "summary", str(tmp_path / "out"), "--format", "json"))["Rows"] == 2
    assert "has no rows" in kernel.triage_both("bulk", "summary", str(tmp_path), ok=3)[1]
    assert "takes the directory of one run" in kernel.triage_both("bulk", "summary", ok=2)[1]
    assert "with `bulk summary DIR`" in kernel.triage_both("bulk", "HEAD", "--rank", ok=2)[1]
