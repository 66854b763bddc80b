"""The farm's recorded run, said again by a scripted model: the same steps, the same outputs in form, the same verdict, the same sums.

The trajectories are golden files; `pytest tests/agent/test_recorded.py --remake-golden` writes them anew, for a review as a diff. Those of the
engines that `make conformance` starts are kept as they came (GOLDEN=tests/agent/golden), and gone through again with today's tools and checks.
"""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable

import pytest

from hook import trajectory, triage
from hook.agent.endpoint.recording import Recording
from hook.agent.profile import AgentProfile
from hook.agent.token_count import estimate
from hook.asking import Asking
from hook.change.change import find_commit, of_commit
from hook.config import resolve
from hook.redaction import Redactor
from hook.source.git import find
from hook.source.object_store import Objects
from hook.verdict import to_document
from tests.agent import recorded
from tests.agent.model import Model
from tests.conformance.run import make_change, not_held
from tests.small_kernel import Kernel

GOLDEN = pathlib.Path(__file__).parent / "golden"


@pytest.fixture
def mempolicy(kernel: Kernel) -> Kernel:
    recorded.tree(kernel.path, recorded.BEFORE)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "mm: policies")
    recorded.tree(kernel.path, recorded.AFTER)
    kernel.git("commit", "-qam", "mm/mempolicy: fall back to the task's policy")
    return kernel


def played(kernel: Kernel, model: Model, profile: str) -> tuple[dict[str, object], list[trajectory.Span]]:
    out = kernel.triage("check", "HEAD", "--agent", "always", "--profile", profile, "--format", "json", "--no-cache", **model.environment)
    file = max((kernel.path / ".git/patch-triage/trajectories").iterdir())
    return json.loads(out), trajectory.read(file)


def golden(name: str, spans: list[trajectory.Span], remake: bool) -> None:
    documents = [trajectory.to_document(span) | {"Started": "", "Finished": ""} for span in spans]
    text = "".join(json.dumps(document, indent=1) + "\n" for document in documents)
    path = GOLDEN / name
    if remake:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_the_farms_run_plays_through(mempolicy: Kernel, scripted: Callable[..., Model], remake_golden: bool) -> None:
    model = scripted(*recorded.say(recorded.decide(recorded.WHY)))
    verdict, spans = played(mempolicy, model, "farm-2026-06")
    # 2,060 by the endpoint, with declarations of the tools that are longer than ours
    assert 1400 < estimate(model.requests[0]["messages"]) + estimate(model.requests[0]["tools"]) < 2060
    assert (verdict["WorthFuzzing"], verdict["FocusSymbols"], verdict["EnableConfigs"], verdict["Reasoning"]) == (
        True,
        ["vma_policy_mof"],
        ["NUMA_BALANCING"],
        recorded.WHY,
    )
    assert verdict["Corrections"] == [
        "FocusSymbols: task_numa_work left out: KCOV does not instrument kernel/sched/fair.c (kernel/sched/Makefile:9 KCOV_INSTRUMENT := n)"
    ]
    evaluator = next(span for span in spans if span.name == "patch-evaluator")
    mine = [span for span in spans if span.seq > evaluator.seq and span.nesting == 2 and span.name != "kmsan-evaluator"][:40]
    assert [span.type for span in mine] == ["llm", "tool"] * 20
    names = [one["function"]["name"] for one in (*recorded.CALLS, recorded.decide(""))]
    assert [span.name for span in mine if span.type == "tool"] == names
    assert not any(span.error for span in spans)
    assert (
        sum(span.input_tokens for span in mine),
        sum(span.output_tokens for span in mine),
        sum(span.output_thoughts_tokens for span in mine),
    ) == (212182, 736, 4335)
    assert trajectory.totals(mine, "tool").keys() == {"grepper", "read-file", "set-results"}
    outputs = [span.results for span in mine if span.type == "tool"]
    assert outputs[0]["Output"].splitlines()[:5] == [
        "mm/mempolicy.c=1147=static long do_get_mempolicy(struct vm_area_struct *vma)",
        "--",
        "mm/mempolicy.c-1181-\t{",
        "mm/mempolicy.c:1182:\t\tpol = __get_vma_policy(vma, addr, &ilx);",
        "mm/mempolicy.c-1183-\t}",
    ]
    assert outputs[1]["Contents"].startswith("2018:\tstruct mempolicy *__get_vma_policy(") and outputs[4]["Contents"].startswith(
        "  77:\tstatic inline int"
    )
    golden("recorded-farm-2026-06.jsonl", spans, remake_golden)


def test_with_our_own_rules_it_is_refused_once_for_its_missing_citation(
    mempolicy: Kernel, scripted: Callable[..., Model], remake_golden: bool
) -> None:
    model = scripted(*recorded.say(recorded.decide(recorded.WHY), recorded.decide(recorded.CITED)))
    verdict, spans = played(mempolicy, model, "default")
    assert estimate(model.requests[0]["messages"]) + estimate(model.requests[0]["tools"]) < 10_000
    last = [span for span in spans if span.name == "set-results"]
    assert [bool(span.error) for span in last] == [True, False, False] and "cites no place" in last[0].error
    assert (verdict["DecidedBy"], verdict["FocusSymbols"], verdict["Reasoning"]) == (
        "agent",
        ["vma_policy_mof"],
        recorded.CITED,
    )
    golden("recorded-default.jsonl", spans, remake_golden)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("engine-*.jsonl")), ids=lambda path: path.stem)
def test_what_an_engine_said_leads_to_the_same_verdict_again(kernel: Kernel, path: pathlib.Path) -> None:
    make_change(kernel)
    spans, redactor = trajectory.read(path), Redactor()
    recorded_verdict = next(span.results for span in spans if span.type == "flow")
    with Objects(find(kernel.path), 16 << 20) as objects:
        change = of_commit(objects, find_commit(objects, "HEAD"))
        asking = Asking("always", AgentProfile.DEFAULT, time.monotonic() + 600)
        verdict, again = triage.replay(change, objects, resolve(()), asking, redactor, Recording(spans, redactor))
    document = to_document(verdict)
    fields = ("WorthFuzzing", "FocusSymbols", "EnableConfigs", "DecidedBy", "NeedsKMSAN", "Corrections")
    assert {name: document.get(name) for name in fields} == {name: recorded_verdict.get(name) for name in fields}
    assert not_held(document, "any") == []

    def calls(steps: list[trajectory.Span]) -> list[tuple[str, bool]]:
        return [(span.name, bool(span.error)) for span in steps if span.type == "tool"]

    assert calls(again.spans) == calls(spans)
