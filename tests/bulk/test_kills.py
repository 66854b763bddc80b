"""Everything killed at once, at random moments: no row is lost, none is there twice, no part is torn."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import subprocess
import time

import pyarrow.parquet

from tests.bulk.farm import history, parts, rows
from tests.small_kernel import PROGRAM, Kernel

KILLS = int(os.environ.get("KILLS", "2"))


def test_a_run_that_is_killed_again_and_again_comes_to_its_end(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    named, out, whole = history(kernel, 8 * KILLS), tmp_path / "out", tmp_path / "whole"
    moments = random.Random(KILLS)

    def run(directory: pathlib.Path, *options: str) -> subprocess.Popen[bytes]:
        command = [str(PROGRAM), "bulk", named, "--out", str(directory), "--jobs", "2", "--no-cache", *options]
        env = kernel.env | {"PATCH_TRIAGE_BULK_PIECE_CHANGES": "1"}
        return subprocess.Popen(command, cwd=kernel.path, env=env, stderr=subprocess.DEVNULL, start_new_session=True)

    for kill in range(KILLS):
        under_way = run(out, *(["--resume"] if kill else []))
        before, wanted = parts(out), moments.randrange(3)  # 0: while it starts
        while under_way.poll() is None and parts(out) < before + wanted:
            time.sleep(0.01)
        time.sleep(moments.random() / 10)
        os.killpg(under_way.pid, signal.SIGKILL)
        under_way.wait()
        assert len({row["Id"] for row in rows(out)}) == len(rows(out))
    assert run(out, "--resume").wait() == run(whole).wait() == 0
    assert rows(out) == rows(whole) and len(rows(out)) == 8 * KILLS
    assert pyarrow.parquet.read_table(out / "parquet").num_rows == 8 * KILLS


def test_ctrl_c_ends_a_run_with_one_line(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    named, out, log = history(kernel, 40), tmp_path / "out", tmp_path / "log"
    command = [str(PROGRAM), "bulk", named, "--out", str(out), "--jobs", "2", "--no-cache"]
    # a shell ignores Ctrl-C for what it runs in the background, the tests perhaps: what a process ignores, its children ignore
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with log.open("wb") as said:
        env = kernel.env | {"PATCH_TRIAGE_BULK_PIECE_CHANGES": "1"}
        run = subprocess.Popen(command, cwd=kernel.path, env=env, stdout=said, stderr=said, start_new_session=True)
    signal.signal(signal.SIGINT, before)
    while run.poll() is None and not parts(out):
        time.sleep(0.01)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait() == 130
    assert "patch-triage: stopped; the same command with --resume continues from here" in log.read_text()
    assert "Traceback" not in log.read_text()
