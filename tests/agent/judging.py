"""A commit judged in the test's own process: for tests of the agent that need no command line."""

from __future__ import annotations

import time
from typing import Any

from hook import triage
from hook.agent.profile import AgentProfile
from hook.asking import Asking
from hook.change.change import find_commit, of_commit
from hook.config import Given, resolve
from hook.source.git import find
from hook.source.object_store import Objects
from tests.agent.model import Model
from tests.small_kernel import Kernel


def judge(kernel: Kernel, model: Model | None, profile: str = "default", **settings: Any) -> triage.Judged:
    """HEAD with its verdict; without a model nobody is asked. `settings` as `target_arch="s390"`."""
    given = [Given(name.replace("_", ".", 1), value, "test") for name, value in settings.items()]
    if model is not None:
        given += [Given("agent.base_url", model.url, "test"), Given("agent.model", "m", "test")]
    chosen = resolve([given])
    repo = find(kernel.path)
    with Objects(repo, 16 << 20) as objects:
        change = of_commit(objects, find_commit(objects, "HEAD"))
        asking = Asking("always" if model else "never", AgentProfile(profile), time.monotonic() + 60)
        return triage.judge(change, objects, chosen, use_cache=False, asking=asking)
