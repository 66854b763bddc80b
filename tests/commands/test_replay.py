"""`replay`: the recorded turns of a model, run against today's tools."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable

import pytest

from hook.agent.endpoint.recording import Recording
from hook.redaction import Redactor
from hook.trajectory import Span
from tests.agent import conftest as models
from tests.agent.model import Model, call, kmsan, results, says
from tests.agent.test_flow import CITED, POOL, judged
from tests.small_kernel import Kernel

make_httpserver, scripted, changed = models.make_httpserver, models.scripted, models.changed


@pytest.fixture
def recorded(changed: Kernel, scripted: Callable[..., Model]) -> pathlib.Path:
    turns = (
        says(call("read-file", File=POOL, FirstLine=20, LineCount=8), call("callers", Name="pool_get"), text="let me see"),
        says(results(symbols=["no_such"], why=CITED)), says(results(symbols=["pool_get"], options=["POOL"], why=CITED)), says(kmsan()),
    )  # fmt: skip
    judged(changed, scripted(*turns))
    return max((changed.path / ".git/patch-triage/trajectories").iterdir())


def test_the_same_tools_on_the_same_tree_say_the_same(changed: Kernel, recorded: pathlib.Path) -> None:
    out = changed.triage("replay", str(recorded))
    assert out.count(": same") == 5 and "differs" not in out
    assert "patch-evaluator: 4 calls recorded, 4 replayed" in out and "the verdict is the same" in out


def test_what_differs_is_shown_step_by_step_and_nobody_is_asked(changed: Kernel, recorded: pathlib.Path) -> None:
    spans = [json.loads(line) for line in recorded.read_text().splitlines()]
    for span in spans:
        if span["Name"] == "callers":
            span["Results"] = {"Output": "drivers/net/gone.c:1\tpool_get();\n"}
        if span["Name"] == "set-results" and span["Error"]:
            span["Error"], span["Results"] = "", {"WorthFuzzing": True}
        if span["Type"] == "flow":
            span["Results"]["FocusSymbols"] = ["no_such"]
    recorded.write_text("".join(json.dumps(span) + "\n" for span in spans))
    out = changed.triage(
        "replay", str(recorded), PATCH_TRIAGE_AGENT_BASE_URL="http://127.0.0.1:9/v1", PATCH_TRIAGE_AGENT_KEY_COMMAND="false"
    )
    assert "-drivers/net/gone.c:1" in out and "+drivers/net/tinynet.c:12" in out
    assert "no function no_such is defined in this tree" in out and 'FocusSymbols: was ["no_such"], is ["pool_get"]' in out
    assert len(list(recorded.parent.iterdir())) == 1


def test_what_cannot_be_replayed_is_said(changed: Kernel, recorded: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert "No such file" in changed.triage_both("replay", "nowhere.jsonl", ok=2)[1]
    (tmp_path / "empty").write_text("\n")
    assert "holds no spans" in changed.triage_both("replay", str(tmp_path / "empty"), ok=3)[1]
    (tmp_path / "tool").write_text('{"Seq": 0, "Nesting": 0, "Type": "tool", "Name": "x"}\n')
    assert "give COMMIT or --patch FILE" in changed.triage_both("replay", str(tmp_path / "tool"), ok=2)[1]


def test_an_answer_keeps_its_calls_and_one_that_never_came_is_no_turn() -> None:
    spans = [
        Span(0, 1, "agent", "a"), Span(1, 2, "llm", "a", error="endpoint-timeout: no"), Span(2, 2, "llm", "a", reply="hm", input_tokens=7),
        Span(3, 2, "tool", "read-file", args={"File": "x"}), Span(4, 2, "tool", "odd name!", args=None, error="the arguments are not JSON: x"),
        Span(5, 2, "llm", "a"), Span(6, 1, "agent", "b"), Span(7, 2, "llm", "b"),
    ]  # fmt: skip
    recording = Recording(spans, Redactor())
    recording.turn_to("a")
    first = recording.ask([], [], 0.0)
    assert [(one.name, one.wrong[:27]) for one in first.calls] == [("read-file", ""), ("odd name!", "the arguments are not JSON:")]
    assert first.tokens.input == 7 and first.message["tool_calls"][1]["function"] == {"name": "odd_name_", "arguments": "{}"}
    assert recording.ask([], [], 0.0).calls == () and recording.left("a") == 0 and recording.left("b") == 1
