"""The same answer everywhere: on a busy machine, on one processor, and whatever the clock says."""

from __future__ import annotations

import contextlib
import itertools
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from hook import config, triage
from hook.change import change
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import SafetyNet
from hook.verdict import to_document
from tests.small_kernel import Kernel

BUSY = "while True: sum(range(1000))"


@pytest.fixture
def changed(kernel: Kernel) -> Kernel:
    """A tree with an index whose last commit adds code that several rules look at: a system call, a driver, a leak, an option."""
    kernel.write(
        "mm/added.c",
        "#include <linux/pool.h>\nstatic int deep(int n)\n{\n\treturn n + 1;\n}\n\n"
        "SYSCALL_DEFINE1(pool_added, int, n)\n{\n\treturn deep(n);\n}\n",
    )
    kernel.write("drivers/added.c", 'static int __init added(void)\n{\n\tpr_info("added\\n");\n\treturn 0;\n}\nmodule_init(added);\n')
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "add")
    kernel.triage("index")
    return kernel


@contextlib.contextmanager
def load() -> Iterator[None]:
    """Four processes that never rest, on the processor that the program gets too."""
    whole = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(whole)})
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(4)]
    try:
        yield
    finally:
        os.sched_setaffinity(0, whole)
        for process in running:
            process.kill()
            process.wait()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="only Linux gives a process to one processor")
@pytest.mark.parametrize("options", [(), ("-v",)])
def test_a_busy_machine_with_one_processor_gives_the_same_document(changed: Kernel, options: tuple[str, ...]) -> None:
    check = ("check", "HEAD", "--offline", "--no-cache", "--format", "json", *options)
    quiet = changed.triage(*check)
    with load():
        assert changed.triage(*check) == quiet


def test_a_clock_that_jumps_gives_the_same_verdict(changed: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config.Settings({**config.DEFAULTS.values, "limits.safety_seconds": 86_400.0}, config.DEFAULTS.origins)

    def judged() -> object:
        repo = find(changed.path)
        repo.in_force.seconds = 86_400.0
        with Objects(repo, settings.limits.blob_bytes) as objects:
            commit = change.of_commit(objects, change.find_commit(objects, "HEAD"))
            return to_document(triage.judge(commit, objects, settings, use_cache=False).verdict)

    first = judged()
    steps = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: 20.0 * next(steps))
    monkeypatch.setattr(time, "time", lambda: 1e9 if next(steps) % 2 else 0.0)
    assert judged() == first


def test_what_the_safety_net_cuts_is_said_and_never_kept(changed: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SafetyNet, "is_over", property(lambda self: bool(self.__setattr__("cut", "stopped after 0 s") or True)))
    settings = config.DEFAULTS
    repo = find(changed.path)
    with Objects(repo, settings.limits.blob_bytes) as objects:
        commit = change.of_commit(objects, change.find_commit(objects, "HEAD"))
        verdict = triage.judge(commit, objects, settings).verdict
    assert verdict.worth_fuzzing
    assert "Incomplete: stopped after 0 s" in verdict.reasoning
    assert not list(pathlib.Path(repo.state_dir, "cache").rglob("*.json"))
