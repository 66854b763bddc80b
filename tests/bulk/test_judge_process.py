"""The process that judges: a change that takes too long or too much memory costs its own row, and a row depends on no cache."""

from __future__ import annotations

import pathlib

from tests.bulk.archive import Sent, edited, mbox, patch_body
from tests.bulk.farm import history, rows
from tests.small_kernel import Kernel

HUGE = "".join(f"int f{n}(int a)\n{{\n\treturn a + {n};\n}}\n" for n in range(60_000))  # 240,000 lines


def poisoned(kernel: Kernel) -> str:
    """Three commits, the one in the middle is huge."""
    first = kernel.head()
    for number, (path, content) in enumerate((("mm/one.c", "int one;\n"), ("mm/pool.c", HUGE), ("mm/two.c", "int two;\n"))):
        kernel.commit(path, content, f"mm: {number}")
    return f"{first}..{kernel.head()}"


def judged(kernel: Kernel, out: pathlib.Path, worker: str, source: str, **limits: str) -> list[tuple[str, str]]:
    """The subjects of the rows, in order, and why there is no verdict."""
    kernel.triage("bulk", source, "--out", str(out), "--scheduler", worker, "--no-cache", **limits)
    return sorted((row["Subject"], row["NoVerdict"]) for row in rows(out))


def test_a_change_that_takes_too_much_memory(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:
    found = judged(kernel, tmp_path / "out", worker, poisoned(kernel), PATCH_TRIAGE_BULK_CHANGE_BYTES=str(120 << 20))
    assert found == [("mm: 0", ""), ("mm: 1", "not judged with 120 MB of memory (bulk.change_bytes)"), ("mm: 2", "")]


def test_a_change_that_takes_too_long(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:
    found = judged(kernel, tmp_path / "out", worker, poisoned(kernel), PATCH_TRIAGE_BULK_CHANGE_SECONDS="1")
    assert ("mm: 1", "not judged within 1 s (bulk.change_seconds)") in found and len(found) == 3


def test_the_patches_beside_it_in_a_series_are_judged(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:
    kernel.commit("mm/huge.c", "int huge;\n")
    first, last = edited(kernel, ("the cache", "a cache"), ("count >= POOL_MAX", "count > POOL_MAX"))
    (huge,) = edited(kernel, ("int huge;\n", HUGE), path="mm/huge.c")
    sent = [Sent(f"[PATCH {n}/3] mm: {n}", patch_body(diff), str(n), "c") for n, diff in ((1, first), (2, huge), (3, last))]
    box = mbox(tmp_path / "mbox", [one.mail() for one in sent])
    limits = {"PATCH_TRIAGE_BULK_CHANGE_BYTES": str(120 << 20)}
    found = judged(kernel, tmp_path / "out", worker, str(box), **limits)
    assert found == [("mm: 1", ""), ("mm: 2", "not judged with 120 MB of memory (bulk.change_bytes)"), ("mm: 3", "")]


def test_a_short_search_says_what_it_finds_whatever_fuller_verdict_is_kept(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:
    named, least = history(kernel, 1), {"PATCH_TRIAGE_REACH_COMMIT_STEPS": "1", "PATCH_TRIAGE_REACH_COMMIT_FILES": "1"}
    kernel.triage("check", "HEAD", "--offline", **least)
    for options in ([], ["--short"]):
        out = tmp_path / "".join(options)
        kernel.triage("bulk", named, "--out", str(out), "--scheduler", worker, *options, **least)
        assert [row.get("Lacks") for row in rows(out)] == ([["search"]] if options else [None])
