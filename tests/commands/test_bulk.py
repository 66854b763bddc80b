"""`patch-triage bulk`: rows as they come, kept for good, and gone on with."""

from __future__ import annotations

import json
import pathlib
import subprocess

import pyarrow.parquet
import pytest

from tests.bulk.archive import Sent, edited, patch_body, public_inbox
from tests.bulk.conftest import worker  # noqa: F401
from tests.bulk.farm import check, history, parts, rows
from tests.small_kernel import PROGRAM, Kernel

EDITS = (("the cache", "a cache"), ("count >= POOL_MAX", "count > POOL_MAX"))


def test_a_range_on_this_machine_alone(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    named, out = history(kernel, 6), tmp_path / "out"
    command = [str(PROGRAM), "bulk", named, "--out", str(out), "--jobs", "2"]
    done = subprocess.run(command, cwd=kernel.path, env=kernel.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("patch-triage: dashboard: http://127.0.0.1:") and done.stderr.count("\n") == 1
    assert done.stdout.startswith(f"{out}: 6 rows: 0 worth fuzzing, 3 open, 3 not worth fuzzing (6 judged in ")
    for row in rows(out):
        assert check(kernel, row["Id"]).items() <= row.items()
        assert (row["Paths"], row["FileCount"], row["Author"], row["Failed"]) == (["mm/pool.c"], 1, "Jo Hacker <jo@example.org>", False)


def test_parquet_holds_what_the_lines_hold(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:  # noqa: F811
    named, out = history(kernel, 4), tmp_path / "out"
    kernel.git("commit", "-q", "--allow-empty", "-m", "nothing")
    named = f"{named.partition('..')[0]}..HEAD"
    kernel.triage("bulk", named, "--out", str(out), "--scheduler", worker)
    table = pyarrow.parquet.read_table(out / "parquet")
    lines = rows(out)
    columns = table.drop_columns(["Seconds"]).to_pylist(maps_as_pydicts="strict")
    assert len(columns) == 5
    for row, line in zip(sorted(columns, key=lambda row: row["Id"]), lines, strict=True):
        assert line == {name: value for name, value in row.items() if name in line}
        assert all(value is None for name, value in row.items() if name not in line)
    assert [row["NoVerdict"].partition(" ")[2] for row in lines if row["NoVerdict"]] == ["is an empty commit"]
    assert table.schema.field("WorthFuzzing").type == "bool" and table.schema.field("Evidence").type.value_type.num_fields == 5


def test_what_is_there_is_not_judged_again_and_what_came_since_is(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:  # noqa: F811
    named, out = history(kernel, 3), tmp_path / "out"
    first = named.partition("..")[0]
    command = ("bulk", f"{first}..main", "--out", str(out), "--scheduler", worker)
    kernel.triage(*command)
    before = {name.name: name.read_bytes() for name in (out / "json").iterdir()}
    assert "continue it with --resume" in kernel.triage_both(*command, ok=3)[1]
    assert kernel.triage(*command, "--resume") == f"{out}: 3 rows: 0 worth fuzzing, 2 open, 1 not worth fuzzing\n"
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c") + "/* new */\n")
    assert kernel.triage(*command, "--resume").startswith(f"{out}: 4 rows: 0 worth fuzzing, 2 open, 2 not worth fuzzing (1 judged in ")
    after = {name.name: name.read_bytes() for name in (out / "json").iterdir()}
    assert before.items() <= after.items() and len(after) == len(before) + 1


def test_what_a_killed_run_left_half_done_is_made_good(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:  # noqa: F811
    named, out = history(kernel, 4), tmp_path / "out"
    command = ("bulk", named, "--out", str(out), "--scheduler", worker)
    kernel.triage(*command)
    whole = rows(out)
    last = sorted((out / "json").iterdir())[-1]
    last.rename(last.with_name(last.name + ".new"))  # killed before the rename
    (out / "parquet" / "000001.parquet").unlink()  # and between the two forms of another part
    kernel.triage(*command, "--resume")
    assert rows(out) == whole and parts(out) == len(list((out / "parquet").iterdir()))
    assert not list(out.glob("*/*.new")) and pyarrow.parquet.read_table(out / "parquet").num_rows == 4


def test_a_directory_with_other_rows_is_refused(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:  # noqa: F811
    named, out = history(kernel, 1), tmp_path / "out"
    command = ("bulk", named, "--out", str(out), "--scheduler", worker)
    kernel.triage(*command)
    for other, what in (({"PATCH_TRIAGE_TARGET_ARCH": "arm64"}, "with other settings"), ({}, "with another search")):
        said = kernel.triage_both(*command, "--resume", *([] if other else ["--short"]), ok=3, **other)[1]
        assert what in said
    (out / "run.json").unlink()
    assert "no run.json says of what" in kernel.triage_both(*command, "--resume", ok=3)[1]


def test_an_archive_of_mails(kernel: Kernel, tmp_path: pathlib.Path, worker: str) -> None:  # noqa: F811
    comment, code = edited(kernel, *EDITS)
    (late,) = edited(kernel, EDITS[1])
    sent = [
        Sent("[PATCH 0/2] mm/pool: two", "What for.", "c"),
        Sent("[PATCH 1/2] mm/pool: comment", patch_body(comment, trailers="Acked-by: Al <al@example.org>"), "1", "c"),
        Sent("[PATCH 2/2] mm/pool: limit", patch_body(code), "2", "c"),
        Sent("Re: [PATCH 2/2] mm/pool: limit", "Reviewed-by: Bo <bo@example.org>\n" + patch_body(comment), "r", "2"),
        Sent("[PATCH v2] mm/pool: =?utf-8?q?f=C3=BCr?= all", patch_body(late), "v2", encoding="base64"),
        Sent("[PATCH] mm/pool: attached", "see below", "a", attached=late),
        Sent("[PATCH] mm/pool: of another tree", patch_body(late.replace("POOL_MAX", "POOL_LIMIT")), "b"),
        Sent("[PATCH] mm/pool: cut off", patch_body(late)[:-60], "d"),
        Sent("[PATCH] mm/pool: forgotten", "the patch is not here", "e"),
    ]
    inbox = public_inbox(tmp_path / "inbox.git", [one.mail(number) for number, one in enumerate(sent)])
    kernel.triage("bulk", str(inbox), "--out", str(tmp_path / "out"), "--scheduler", worker)
    found = {row["Id"].partition("@")[0][1:]: row for row in rows(tmp_path / "out") if row["Input"] != "<1@example.org>"}
    first, second = (row for row in rows(tmp_path / "out") if row["Input"] == "<1@example.org>")
    assert (first["Functional"], first["MessageId"], first["Number"], first["Total"]) == ("no", "<1@example.org>", 1, 2)
    assert (second["Functional"], second["FocusSymbols"], second["Subject"]) == ("yes", ["pool_put"], "mm/pool: limit")
    assert first["Reviews"] == ["Acked-by: Al <al@example.org>", "Reviewed-by: Bo <bo@example.org>"]
    assert second["Reviews"] == ["Reviewed-by: Bo <bo@example.org>"] and second["Base"] == kernel.head()
    assert second["BaseChoice"].startswith("HEAD, whose blobs match")
    assert set(found) == {"v2", "a", "b", "d", "e"}
    assert (found["v2"]["Version"], found["v2"]["Subject"], found["v2"]["Functional"]) == (2, "mm/pool: für all", "yes")
    assert found["a"]["ChangeId"] == found["v2"]["ChangeId"]
    assert "does not apply" in found["b"]["NoVerdict"] and found["b"]["Failed"]
    assert found["d"]["NoVerdict"] and found["d"]["Failed"]
    assert found["e"]["NoVerdict"] == "the mail has no patch: the mail has no diff"
    check_mail = json.loads(kernel.triage("check", "--patch", "-", "--format", "json", "--offline", data=sent[4].mail()))
    assert check_mail.items() <= found["v2"].items()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("HEAD",), "bulk needs --out DIR"),
        (("HEAD", "--out", "x", "--jobs", "-1"), "--jobs takes a number"),
        (("HEAD", "--out", "x", "--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"), "a scheduler has its own workers"),
    ],
)
def test_what_cannot_be_meant_is_refused(kernel: Kernel, options: tuple[str, ...], said: str) -> None:
    assert said in kernel.triage_both("bulk", *options, ok=2)[1]


def test_what_is_no_source_is_said(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    assert (
        "nothing-here is not a revision, range, file or directory"
        in kernel.triage_both("bulk", "nothing-here", "--out", str(tmp_path / "x"), ok=3)[1]
    )
