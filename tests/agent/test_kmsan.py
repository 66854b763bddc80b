"""What a model says about KMSAN, beside what the tree proves."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.agent.model import Model, kmsan, results, says
from tests.evidence.memory.padded_structs import CLANG, TELL, tell
from tests.small_kernel import Kernel

CITED = "It copies a struct out (mm/tell.c:7)."


@pytest.fixture
def leaking(kernel: Kernel) -> Kernel:
    """A tree whose last commit leaves padding unset that is copied out."""
    tell(kernel)
    kernel.triage("index", "--quiet")
    kernel.commit("mm/tell.c", TELL.replace("\tmemset(&x, 0, sizeof(x));\n", ""))
    return kernel


def judged(kernel: Kernel, model: Model) -> dict[str, Any]:
    return dict(json.loads(kernel.triage("check", "--format", "json", "--agent", "always", "HEAD", ok=None, **model.environment, **CLANG)))


def test_a_proved_need_is_not_overruled_and_the_agent_is_told_of_it(leaking: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan(needs=False, why="all is set")))
    verdict = judged(leaking, model)
    assert verdict["NeedsKMSAN"] and "3 bytes of padding after kind" in verdict["KMSANReasoning"]
    (dispute,) = verdict["Disputes"]
    assert dispute.startswith("NeedsKMSAN false, against: f() copies x") and dispute.endswith("The model says: all is set")
    asked = model.requests[1]["messages"][-1]["content"]
    assert "- proved: f() copies x (struct tell) to user space with copy_to_user()" in asked and "(mm/tell.c:7)" in asked


def test_a_proved_need_stays_where_the_model_finds_nothing_worth_fuzzing(leaking: Kernel, scripted: Callable[..., Model]) -> None:
    verdict = judged(leaking, scripted(says(results(worth=False, why=CITED))))
    assert verdict["NeedsKMSAN"] and verdict["Disputes"][0].startswith("WorthFuzzing false, against: f() copies x")
