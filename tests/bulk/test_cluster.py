"""The cluster: a real scheduler and real workers, which are killed, late, slow, or lack something; the rows are those of one process."""

from __future__ import annotations

import pathlib
import shutil
import signal

import hook
from hook.source import index, setting_layers
from hook.source.git import find
from tests.bulk.farm import Farm, check, ended, history, parts, rows, wait_for
from tests.small_kernel import Kernel


def test_a_worker_that_is_killed_costs_nothing(farm: Farm, kernel: Kernel, tmp_path: pathlib.Path) -> None:
    named, out = history(kernel, 12), tmp_path / "out"
    workers = [farm.worker() for _ in range(2)]
    run = farm.run(named, "--out", str(out), "--no-cache")
    wait_for(lambda: parts(out) > 0, run)
    workers[0].send_signal(signal.SIGKILL)
    assert ended(run) == 0, farm.said(run)
    found = rows(out)
    commits = kernel.git("rev-list", named).split()
    assert [row["Id"] for row in found] == sorted(commits)
    for row in found[:3]:
        said = check(kernel, row["Id"])
        assert said.items() <= row.items()


def test_what_a_slow_worker_holds_comes_late_and_a_late_worker_does_the_rest(farm: Farm, kernel: Kernel, tmp_path: pathlib.Path) -> None:
    named, out, alone = history(kernel, 12), tmp_path / "out", tmp_path / "alone"
    slow = farm.worker()
    slow.send_signal(signal.SIGSTOP)
    run = farm.run(named, "--out", str(out), "--no-cache")
    wait_for(lambda: "dashboard" in farm.said(run), run)
    farm.worker()
    wait_for(lambda: parts(out) > 0, run)
    slow.send_signal(signal.SIGCONT)
    assert ended(run) == 0, farm.said(run)
    assert ended(farm.run(named, "--out", str(alone), "--no-cache")) == 0
    assert rows(out) == rows(alone) and len(rows(out)) == 12


def test_a_scheduler_that_goes_away_ends_the_run_and_another_one_goes_on(farm: Farm, kernel: Kernel, tmp_path: pathlib.Path) -> None:
    named, out = history(kernel, 24), tmp_path / "out"
    scheduler = farm.processes[0]
    for _ in range(2):
        farm.worker()
    run = farm.run(named, "--out", str(out), "--no-cache")
    wait_for(lambda: parts(out) > 0, run)
    scheduler.send_signal(signal.SIGKILL)
    assert ended(run) == 3
    assert "is gone; the same command with --resume continues from here" in farm.said(run)
    before = rows(out)
    farm.scheduler()
    run = farm.run(named, "--out", str(out), "--no-cache", "--resume")
    wait_for(lambda: f"no worker has joined: `dask worker {farm.address}` starts one" in farm.said(run), run)
    farm.worker()
    assert ended(run) == 0, farm.said(run)
    after = rows(out)
    assert len(before) < len(after) == 24 == len({row["Id"] for row in after})
    assert all(row in after for row in before)


def test_what_a_worker_lacks_goes_to_another_which_indexes_its_clone(farm: Farm, kernel: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(kernel.path, tmp_path / "old")
    named, out, large = history(kernel, 8), tmp_path / "out", tmp_path / "large"  # without a staged index, it may be large
    kernel.git("clone", "-q", "--bare", str(kernel.path), str(large))
    kernel.beside(large).git("config", "patchtriage.index.directory", str(tmp_path / "index"))
    (large / "patch-triage").mkdir()
    (large / "patch-triage" / "kconfig").symlink_to("/proc")  # no options can be kept here: each change has to read them
    for clone in ("old", "large"):
        farm.worker(PATCH_TRIAGE_BULK_CLONE=str(tmp_path / clone))
    run = farm.run(named, "--out", str(out), "--no-cache", "--short")
    assert ended(run) == 0, farm.said(run)
    assert "its clone lacks commit" in farm.said(run) and [row.get("Lacks") for row in rows(out)] == [None] * 8
    repo, ends = find(large), named.split("..")
    setting_layers.load(repo)
    opened = index.open_index(repo)
    assert opened.history() == f"{ends[1]} ^{ends[0]}" and all(opened.unread(commit) == {} for commit in ends)


def test_what_no_worker_can_judge_is_said_and_is_judged_later(farm: Farm, kernel: Kernel, tmp_path: pathlib.Path) -> None:
    shutil.copytree(kernel.path, tmp_path / "old")
    named, out = history(kernel, 4), tmp_path / "out"
    farm.worker(PATCH_TRIAGE_BULK_CLONE=str(tmp_path / "old"))
    run = farm.run(named, "--out", str(out), "--no-cache")
    assert ended(run) == 3
    assert "changes that were not judged: 4 (no worker can judge it: its clone lacks commit" in farm.said(run)
    kernel.beside(tmp_path / "old").git("fetch", "-q", str(kernel.path), "main")
    assert ended(farm.run(named, "--out", str(out), "--no-cache", "--resume")) == 0
    assert len(rows(out)) == 4


def test_a_worker_of_another_version_is_refused_before_it_reads_its_work(farm: Farm, kernel: Kernel, tmp_path: pathlib.Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(pathlib.Path(hook.__file__).parent, other / "hook")
    records = other / "hook" / "bulk" / "judge_process.py"
    records.write_text(records.read_text("utf-8").replace("    use_cache: bool\n", ""), "utf-8")
    farm.worker(PYTHONPATH=str(other))
    run = farm.run(history(kernel, 1), "--out", str(tmp_path / "out"))
    assert ended(run) == 3
    refusal = "has another version of patch-triage"
    assert f": {refusal}; what it cannot judge goes to the others" in farm.said(run)
    assert f"changes that were not judged: 1 (no worker can judge it: {refusal})" in farm.said(run)
