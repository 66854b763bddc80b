"""A scheduler and workers of Dask as processes of their own on loopback addresses, and runs of `patch-triage bulk` on them."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests import forked_program
from tests.small_kernel import PROGRAM, Kernel

DASK = PROGRAM.parent / "dask"
_PATIENCE_SECONDS = 600  # a test that waits so long has hung


class Farm:
    """The processes of a cluster."""

    def __init__(self, kernel: Kernel, directory: pathlib.Path) -> None:
        self.kernel, self.directory = kernel, directory
        self.processes: list[subprocess.Popen[bytes]] = []
        directory.mkdir(exist_ok=True)

    def start(self, *command: str, **env: str) -> subprocess.Popen[bytes]:
        """A process that is ended with the test."""
        log = (self.directory / f"{len(self.processes)}.log").open("wb")
        process = subprocess.Popen(command, cwd=self.directory, env=self.kernel.env | env, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        return process

    def scheduler(self) -> subprocess.Popen[bytes]:
        """A new scheduler; the workers and runs that are started from now on are its own."""
        self.file = self.directory / f"scheduler-{len(self.processes)}.json"
        where = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        process = self.start(str(DASK), "scheduler", *where, "--scheduler-file", str(self.file))
        wait_for(lambda: self.file.exists() and self.file.read_text().endswith("}"), process)
        return process

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    def worker(self, **env: str) -> subprocess.Popen[bytes]:
        """A worker, once it has joined."""
        before = self.directory / f"{len(self.processes)}.log"
        where = ("--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--dashboard-address", "127.0.0.1:0")
        process = self.start(str(DASK), "worker", self.address, *where, "--local-directory", str(self.directory), **env)
        wait_for(lambda: b"Registered to" in before.read_bytes(), process)
        return process

    def run(self, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
        """A run of `patch-triage bulk`, under way."""
        program = forked_program.client(PROGRAM, *forked_program.OF_BULK)
        command = (str(program), "bulk", *arguments, "--repo", str(self.kernel.path), "--scheduler", self.address)
        return self.start(*command, PATCH_TRIAGE_BULK_PIECE_CHANGES="1", **env)

    def said(self, process: subprocess.Popen[bytes]) -> str:
        """What a process has printed."""
        return (self.directory / f"{self.processes.index(process)}.log").read_text("utf-8", "replace")

    def end(self) -> None:
        """End whatever runs."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                process.wait()


def ended(process: subprocess.Popen[bytes]) -> int:
    """How a process ends."""
    return process.wait(_PATIENCE_SECONDS)


def wait_for(true: Callable[[], bool], during: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is so, while a process runs."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while not true():
        assert during is None or during.poll() is None or true(), "the process has ended"
        assert time.monotonic() < until, "it does not come to pass"
        time.sleep(0.02)


def parts(out: pathlib.Path) -> int:
    """How many parts a run has kept so far."""
    return len(list((out / "json").glob("*.jsonl")))


def rows(out: pathlib.Path) -> list[dict[str, Any]]:
    """The rows of a run, without what differs from run to run."""
    found = [json.loads(line) for name in sorted((out / "json").glob("*.jsonl")) for line in name.read_text("utf-8").splitlines()]
    for row in found:
        assert row.pop("Seconds") >= 0
    return sorted(found, key=lambda row: row["Id"])


def history(kernel: Kernel, commits: int) -> str:
    """Commits on the small kernel's pool, half of them harmless; returns their range."""
    first, text = kernel.head(), kernel.read("mm/pool.c")
    for number in range(commits):
        text = text.replace("the cache", f"the cache {number}", 1) if number % 2 else text.replace("count", f"count + {number}", 1)
        kernel.commit("mm/pool.c", text + f"\n/* {number} */\n", f"mm/pool: change {number}")
    return f"{first}..{kernel.head()}"


def check(kernel: Kernel, commit: str) -> Mapping[str, Any]:
    """What `patch-triage check` says of a commit."""
    said: Mapping[str, Any] = json.loads(kernel.triage("check", commit, "--offline", "--no-cache", "--format", "json"))
    return said
