"""The worker of a test's repository: waited for, killed, and never left behind."""

from __future__ import annotations

import functools
import json
import os
import pathlib
import signal
import time
from typing import Any

from hook.source import filelock
from tests.agent.model import Model
from tests.small_kernel import Kernel

RESTING = {"PATCH_TRIAGE_AGENT_SETTLE_SECONDS": "300"}  # nothing is asked before `ask`
QUICK = {
    "PATCH_TRIAGE_AGENT_BACKGROUND": "true",
    "PATCH_TRIAGE_AGENT_SETTLE_SECONDS": "0",
    "PATCH_TRIAGE_AGENT_BACKGROUND_PAUSE_SECONDS": "0.05",
    # beside fifteen compilers the worker may not run for minutes
    "PATCH_TRIAGE_AGENT_REQUEST_SECONDS": "3600",
    "PATCH_TRIAGE_AGENT_MAX_SECONDS": "86400",
}


def person(kernel: Kernel, model: Model, **more: str) -> Kernel:
    """The same person with a model set up and allowed, and a worker that does not rest."""
    found = Kernel(kernel.path, kernel.env | QUICK | model.environment | more)
    found.triage("agent", "enable")
    return found


@functools.cache  # who waits asks for it a hundred times a second, and it is a git process each
def state(kernel: Kernel) -> pathlib.Path:
    return pathlib.Path(kernel.git("rev-parse", "--path-format=absolute", "--git-common-dir").strip()) / "patch-triage"


def process(kernel: Kernel) -> int:
    """The worker that runs now, 0 if there is none."""
    path = state(kernel) / "worker"
    while path.exists():
        try:
            os.close(filelock.take(path))
            return 0
        except filelock.Held:
            pass
        try:
            return int(json.loads(path.read_bytes())["Process"])
        except ValueError:  # it has not said so yet
            time.sleep(0.02)
    return 0


def count(kernel: Kernel) -> int:
    """How many workers of this repository there are, with the lock in hand; not the gits that one is just starting."""
    found, lock = 0, str(state(kernel) / "worker")
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            ours = b"hook.worker" in (path / "cmdline").read_bytes() and os.getsid(int(path.name)) == int(path.name)
            found += ours and any(os.readlink(one) == lock for one in (path / "fd").iterdir())
        except OSError:
            continue
    return found


def questions(kernel: Kernel) -> dict[str, dict[str, Any]]:
    """What waits, by commit."""
    found = {}
    for path in (state(kernel) / "pending").glob("*.json"):
        try:
            found[path.stem] = json.loads(path.read_text())
        except FileNotFoundError:
            continue
    return found


def ask(kernel: Kernel) -> None:
    """Let what rests be asked about now, and wait until that is done."""
    for commit in questions(kernel):
        rewrite(kernel, commit, NotBefore=0)
    kernel.triage("status")
    wait(kernel)


def rewrite(kernel: Kernel, commit: str, **fields: object) -> None:
    """Change a question on disk."""
    path = state(kernel) / "pending" / f"{commit}.json"
    new = path.with_suffix(".new")
    new.write_text(json.dumps(json.loads(path.read_text()) | fields))
    new.replace(path)


def wait(kernel: Kernel, seconds: float = 1500) -> None:
    """Wait until the worker has ended by itself."""
    deadline = time.monotonic() + seconds
    path = state(kernel) / "worker"
    while path.exists():
        try:
            os.close(filelock.take(path))
            return
        except filelock.Held:
            assert time.monotonic() < deadline, f"the worker still runs after {seconds} s: {path.read_text().strip()}"
            time.sleep(0.02)


def kill(kernel: Kernel) -> bool:
    """End the worker as a crash does; gives whether there was one."""
    one = process(kernel)
    if one <= 0:
        return False
    try:
        os.kill(one, signal.SIGKILL)
    except ProcessLookupError:
        return False
    wait(kernel)
    return True
