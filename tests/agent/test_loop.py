"""The loop: every way to end has a name, and nothing that a model does breaks the flow."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer
from werkzeug import Response

from hook import triage
from hook.agent import history as history_module
from hook.agent.endpoint import client as client_module
from hook.agent.history import History, Malformed
from hook.agent.profile import AgentProfile
from hook.asking import Asking
from hook.change.change import find_commit, of_commit
from hook.config import Given, resolve
from hook.source.git import find
from hook.source.object_store import Objects
from hook.trajectory import Span
from hook.verdict import DecidedBy, State
from tests.agent.model import Model, call, hangs, kmsan, refuses, results, says
from tests.small_kernel import Kernel

CITED = "mm/pool.c:22 changes."


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture(scope="module")
def open_change(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    base = tmp_path_factory.mktemp("loop")
    kernel = Kernel.create(base / "linux", base / "home")
    kernel.replace("mm/pool.c", "--pool->count]", "--pool->count & 7]")
    kernel.git("commit", "-qam", "mm/pool: take fewer")
    return kernel


def run(kernel: Kernel, model: Model, seconds: float = 30.0, profile: str = "default", **limits: Any) -> triage.Judged:
    # as many runs as there are sequences, all about one patch: what it may cost is no matter of theirs
    given = {"base_url": model.url, "model": "m", "max_patch_tokens": 0, "max_day_tokens": 0, **limits}
    chosen = resolve([[Given(f"agent.{name}", value, "test") for name, value in given.items()]])
    repo = find(kernel.path)
    with Objects(repo, 1 << 20) as objects:
        change = of_commit(objects, find_commit(objects, "HEAD"))
        asking = Asking("always", AgentProfile(profile), time.monotonic() + seconds)
        return triage.judge(change, objects, chosen, use_cache=False, asking=asking)


def agents(judged: triage.Judged) -> list[Span]:
    assert judged.trajectory is not None
    return [span for span in judged.trajectory.spans if span.type == "agent"]


def ended(judged: triage.Judged) -> str:
    return agents(judged)[0].error.partition(":")[0]


READ = call("read-file", File="mm/pool.c")


@pytest.mark.parametrize(
    ("turns", "then", "limits", "end"),
    [
        ([], None, {}, "no-tool-called"),
        ([], says(text="<tool_call>{}</tool_call>"), {}, "no-tool-called"),
        ([], says(READ), {}, "same-call-repeated"),
        ([says(call("read-file", File=f"x{number}")) for number in range(9)], None, {"max_rounds": 5}, "rounds-used-up"),
        ([], says(results(why="")), {"max_refusals": 1}, "results-refused"),
        ([says(call("read-file", File=f"x{number}")) for number in range(9)], None, {"max_tokens": 3000}, "tokens-used-up"),
        ([says(READ)], hangs(), {"max_seconds": 2}, "seconds-used-up"),
        ([says(READ)], hangs(), {"request_seconds": 1}, "endpoint-timeout"),
        ([], refuses(401), {}, "endpoint-refused"),
        ([says(READ)], refuses(503), {}, "endpoint-overloaded"),
        ([says(READ)], refuses(500), {}, "endpoint-unreachable"),
        ([says(READ)], Response("{", 200), {}, "endpoint-malformed"),
        ([says(READ)], refuses(400, "context_length_exceeded"), {}, "context-window"),
        ([says(text="word " * 3000)], None, {"window_tokens": 3000}, "context-window"),
    ],
)
def test_every_way_to_end_has_a_name(
    open_change: Kernel, scripted: Callable[..., Model], turns: list[Any], then: Any, limits: dict[str, Any], end: str
) -> None:
    judged = run(open_change, scripted(*turns, then=then), **limits)
    assert ended(judged) == end
    assert (judged.verdict.worth_fuzzing, judged.verdict.decided_by) == (True, DecidedBy.DEFAULT)
    assert end in judged.verdict.reasoning and end in judged.asked


def test_a_defect_of_ours_in_the_history_has_a_name_too(
    open_change: Kernel, scripted: Callable[..., Model], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module.History, "add_result", lambda self, call_id, text: None)
    assert ended(run(open_change, scripted(then=says(READ)))) == "history-malformed"


def test_a_kmsan_agent_that_fails_leaves_the_verdict(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    judged = run(open_change, scripted(says(results(symbols=["pool_get"], why=CITED)), then=refuses(401)))
    assert judged.verdict.focus_symbols == ("pool_get",) and not judged.verdict.needs_kmsan
    assert judged.verdict.kmsan_reasoning.startswith("not judged: endpoint-refused")


def test_calls_of_a_round_run_in_parallel_and_are_answered_in_order(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    many = [call("read-file", File="mm/pool.c", FirstLine=number, LineCount=1) for number in range(1, 13)]
    model = scripted(says(*many), says(results(why=CITED)), says(kmsan()))
    run(open_change, model)
    answers = [message for message in model.requests[1]["messages"] if message["role"] == "tool"]
    assert [message["tool_call_id"] for message in answers] == [one["id"] for one in many]
    assert "\n  10:" in answers[9]["content"] and "not run: at most 10 calls" in answers[10]["content"]


def test_the_same_call_is_warned_about_before_it_ends_the_run(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=says(READ))
    run(open_change, model)
    warned = [
        number for number, request in enumerate(model.requests) if "its answer does not change" in json.dumps(request).replace("\\n", " ")
    ]
    assert warned[0] == 4 and len(model.requests) == 7


def test_the_same_call_many_times_in_one_round_counts_once(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(*[READ] * 9), says(results(why=CITED)), says(kmsan()))
    assert run(open_change, model).verdict.decided_by is DecidedBy.AGENT


def test_on_the_last_round_it_is_asked_to_decide(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(
        *[says(call("read-file", File="mm/pool.c", FirstLine=number)) for number in range(1, 3)], says(results(why=CITED)), says(kmsan())
    )
    judged = run(open_change, model, max_rounds=3)
    assert "last round" in model.said_to_it(2) and model.requests[2]["tool_choice"]["function"]["name"] == "set-results"
    assert judged.verdict.decided_by is DecidedBy.AGENT


def strict(*turns: Any) -> Callable[[dict[str, Any]], Any]:
    """A model behind the checks that strict servers make (Anthropic, Mistral, Gemini; no one server makes them all)."""
    left = list(turns)

    def turn(body: dict[str, Any]) -> Any:
        before, used = "", set()
        for message in body["messages"]:
            role = message["role"]
            if role == "assistant" and not message["content"].strip() and not message.get("tool_calls"):
                return refuses(400, "Assistant message must have either content or tool_calls, but not none.")
            if (before, role) in (("tool", "user"), ("user", "user"), ("assistant", "assistant")):
                return refuses(400, f"Unexpected role '{role}' after role '{before}'")
            for one in message.get("tool_calls", ()):
                if (
                    one["id"] in used
                    or not re.fullmatch("[a-zA-Z0-9_-]{1,64}", one["id"])
                    or not re.fullmatch("[a-zA-Z0-9_-]{1,64}", one["function"]["name"])
                ):
                    return refuses(400, "messages: `tool_use` ids must be unique, ids and names match ^[a-zA-Z0-9_-]{1,64}$")
                used.add(one["id"])
            before = role
        return left.pop(0)

    return turn


SAME_ID = [{**call("read-file", File=file), "id": "call_0"} for file in ("mm/pool.c", "mm/Kconfig", "Kconfig", "Makefile")]


@pytest.mark.parametrize(
    ("turns", "limits"),
    [
        ([says(text=None), says(text="hm"), says(SAME_ID[0])], {}),
        ([says(SAME_ID[0]), says(SAME_ID[1]), says(SAME_ID[2], {**SAME_ID[3], "id": ""})], {}),
        ([says({**SAME_ID[0], "id": "c00002002"}, {**SAME_ID[1], "id": ""}), says(call("functions.read file", File="Kconfig"))], {}),
        ([says(SAME_ID[0])] * 4, {}),
        ([says(SAME_ID[0]), says(text="hm")], {"max_rounds": 3}),
        ([says(SAME_ID[0])], {"max_rounds": 2}),
        ([says({**SAME_ID[0], "function": {"name": "read-file", "arguments": '{"FirstLine": NaN}'}})], {}),
    ],
)
def test_a_strict_endpoint_takes_every_history(
    open_change: Kernel, scripted: Callable[..., Model], turns: list[Any], limits: dict[str, Any]
) -> None:
    judged = run(open_change, scripted(then=strict(*turns, says(results(why=CITED)), says(kmsan()))), **limits)
    assert judged.verdict.decided_by is DecidedBy.AGENT and not any(agent.error for agent in agents(judged))


def test_results_that_were_cut_off_do_not_count(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    cut = says(results(worth=False, why=CITED))
    cut["choices"][0]["finish_reason"] = "length"
    model = scripted(cut, says(results(why=CITED)), says(kmsan()))
    assert run(open_change, model).verdict.worth_fuzzing and "the answer was cut off" in model.said_to_it(1)


def test_calls_beyond_a_hundred_are_refused_in_words(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    many = [{**call("read-file", File="mm/pool.c", FirstLine=number), "id": f"i{number}"} for number in range(1, 140)]
    model = scripted(says(*many), says(results(why=CITED)), says(kmsan()))
    run(open_change, model)
    assert "39 more calls were left out: at most 100 are read of one answer" in model.said_to_it(1)
    assert sum(message["role"] == "tool" for message in model.requests[1]["messages"]) == 100


def test_an_empty_turn_is_answered_with_what_to_do(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(text="Let me think."), says(results(why=CITED)), says(kmsan()))
    assert run(open_change, model).verdict.decided_by is DecidedBy.AGENT
    assert "No tool was called" in model.said_to_it(1)


def test_a_refused_and_a_good_result_in_one_round_counts_the_good_one(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=""), results(worth=False, why=CITED)))
    assert run(open_change, model).verdict.worth_fuzzing is False


def test_older_results_are_cut_when_the_window_fills(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    turns = [says(call("read-file", File="mm/pool.c", FirstLine=number)) for number in range(1, 13)]
    model = scripted(*turns, says(results(why=CITED)), says(kmsan()))
    judged = run(open_change, model, window_tokens=5000)
    assert judged.verdict.decided_by is DecidedBy.AGENT
    last = model.requests[12]["messages"]
    assert "[cut to save room" in last[3]["content"] and "===\n  12:" in last[-1]["content"]


@pytest.mark.parametrize(
    "said", [{"reasoning_content": "y" * 16_000}, {"reasoning": "y" * 16_000}, {"reasoning_details": [{"text": "y" * 16_000}]}]
)
def test_thoughts_of_older_turns_are_cut_when_the_window_fills(
    open_change: Kernel, scripted: Callable[..., Model], said: dict[str, Any]
) -> None:
    turns = [says(call("read-file", File="mm/pool.c", FirstLine=number), **said) for number in range(1, 9)]
    model = scripted(*turns, says(results(why=CITED)), says(kmsan()))
    assert run(open_change, model, window_tokens=20_000).verdict.decided_by is DecidedBy.AGENT
    # the newest are whole: some endpoints ask for them
    last = [message for message in model.requests[8]["messages"] if message["role"] == "assistant"]
    assert "y" * 16_000 in json.dumps(last[-1]) and "yyy" not in json.dumps(last[0])


def test_a_window_that_is_smaller_than_said_is_met_by_cutting_once(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    turns = [says(call("read-file", File="mm/pool.c", FirstLine=number)) for number in range(1, 9)]
    model = scripted(*turns, refuses(400, "context_length_exceeded"), says(results(why=CITED)), says(kmsan()))
    assert run(open_change, model).verdict.decided_by is DecidedBy.AGENT


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t", "arguments": "{}"}}]}],
        [{"role": "tool", "content": "x", "tool_call_id": "a"}],
        [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t", "arguments": "{}"}}]},
            {"role": "user", "content": "x"},
        ],
        [{"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t", "arguments": "{}"}}] * 2}],
        [{"role": "assistant", "content": None}],
        [{"role": "assistant", "content": " "}],
        [{"role": "user", "content": "x"}],
        [{"role": "assistant", "content": "x"}, {"role": "assistant", "content": "x"}],
        [{"role": "assistant", "content": "x", "reasoning_details": [{"score": float("nan")}]}],
        [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "a b", "function": {"name": "t", "arguments": "{}"}}]},
            {"role": "tool", "content": "x", "tool_call_id": "a b"},
        ],
        [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t.t", "arguments": "{}"}}]},
            {"role": "tool", "content": "x", "tool_call_id": "a"},
        ],
        [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t", "arguments": "{"}}]},
            {"role": "tool", "content": "x", "tool_call_id": "a"},
        ],
        [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t", "arguments": "NaN"}}]},
            {"role": "tool", "content": "x", "tool_call_id": "a"},
        ],
        [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t", "arguments": "{}"}}]},
            {"role": "tool", "content": "x", "tool_call_id": "a"},
        ]
        * 2,
        [
            {"role": "assistant", "content": "", "tool_calls": [{"id": "a", "function": {"name": "t", "arguments": "{}"}}]},
            {"role": "tool", "content": "x", "tool_call_id": "a"},
            {"role": "tool", "content": "x", "tool_call_id": "a"},
        ],
    ],
)
def test_a_malformed_history_is_found_before_it_is_sent(messages: list[dict[str, Any]]) -> None:
    history = History("i", "p")
    history.messages += messages
    with pytest.raises(Malformed):
        history.check()


# What a model may do, one turn at a time
_NAMES = st.sampled_from(["grepper", "read-file", "codesearch-dir-index", "set-results", "grep", "", "set_results", "\x00", "x" * 500])
_VALUES = st.one_of(
    st.sampled_from(
        [
            "mm/pool.c",
            "mm",
            "",
            "../..",
            "/etc/passwd",
            ".git/config",
            "pool_get",
            "(",
            ".*",
            "POOL",
            "CONFIG_POOL",
            "mm/pool.c:3 x",
            "\ud800",
        ]
    ),
    st.integers(-5, 10**12),
    st.booleans(),
    st.none(),
    st.lists(st.sampled_from(["pool_get", "POOL", "a b", ""]), max_size=3),
    st.floats(allow_nan=False),
)
_ARGUMENT_NAMES = st.sampled_from(
    [
        "Expression",
        "PathPrefix",
        "File",
        "FirstLine",
        "LineCount",
        "Dir",
        "WorthFuzzing",
        "FocusSymbols",
        "EnableConfigs",
        "Reasoning",
        "NeedsKMSAN",
        "KMSANReasoning",
        "x",
    ]
)
_ARGUMENTS = st.one_of(
    st.dictionaries(_ARGUMENT_NAMES, _VALUES, max_size=5).map(json.dumps),
    st.dictionaries(_ARGUMENT_NAMES, _VALUES, max_size=3),
    st.sampled_from(["", "{", "null", "[]", "{}", '"x"', "NaN"]),
    st.none(),
    st.integers(),
)
_CALLS = st.one_of(
    st.builds(
        lambda name, arguments, one: {"id": one, "type": "function", "function": {"name": name, "arguments": arguments}},
        _NAMES,
        _ARGUMENTS,
        st.sampled_from(["", "a", "b", None]),
    ),
    st.sampled_from(
        [
            READ,
            results(symbols=["pool_get"], why=CITED),
            results(worth=False, why=CITED),
            results(why="nowhere"),
            kmsan(),
            {},
            {"function": None},
            7,
        ]
    ),
)
_FINISH = st.sampled_from(["stop", "tool_calls", "length", None, "error", "MALFORMED_FUNCTION_CALL", 5])


def _late(turn: Any, seconds: float) -> Callable[[dict[str, Any]], Any]:
    def late(body: dict[str, Any]) -> Any:
        time.sleep(seconds)
        return turn

    return late


@st.composite
def _turns(draw: st.DrawFn) -> Any:
    turn, seconds = draw(_prompt_turns()), draw(st.sampled_from([0] * 12 + [0.005, 0.02, 0.05]))
    return _late(turn, seconds) if seconds else turn


@st.composite
def _prompt_turns(draw: st.DrawFn) -> Any:
    kind = draw(st.sampled_from(["calls"] * 6 + ["text", "refusal", "junk", "dropped"]))
    if kind == "calls":
        answer = says(*draw(st.lists(_CALLS, max_size=4)), text=draw(st.sampled_from([None, "", "hm", "<tool_call>"])))
        answer["choices"][0]["finish_reason"] = draw(_FINISH)
        answer["usage"] = draw(
            st.sampled_from([None, {}, {"prompt_tokens": 5, "completion_tokens": 5}, {"prompt_tokens": -1}, {"prompt_tokens": "x"}, 3])
        )
        return answer
    if kind == "text":
        return says(text=draw(st.text(max_size=50)))
    if kind == "refusal":
        return refuses(
            draw(st.sampled_from([400, 401, 404, 422, 429, 500, 503])),
            draw(st.sampled_from(["temperature", "max_tokens", "context_length_exceeded", "no"])),
        )
    if kind == "junk":
        return Response(
            draw(st.sampled_from([b"", b"{", b"[]", b"null", b'{"choices":[{"message":{"tool_calls":{"a":1}}}]}', b'{"error":{}}'])), 200
        )
    return Response(b"x", 200, {"Content-Length": "100000"})


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(threaded=True) as one:
        yield one


@settings(max_examples=int(os.environ.get("SEQUENCES", "20")), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    turns=st.lists(_turns(), max_size=8),
    then=_turns(),
    profile=st.sampled_from(["default", "farm", "farm-2026-06"]),
    # now and then there is less time than an answer takes
    seconds=st.sampled_from([30.0] * 9 + [0.01]),
)
def test_whatever_a_model_does_ends_within_the_limits_in_a_valid_verdict(
    open_change: Kernel, server: HTTPServer, turns: list[Any], then: Any, profile: str, seconds: float
) -> None:
    server.clear()
    model = Model(server, turns, then)
    judged = run(open_change, model, seconds, profile, max_rounds=8, max_refusals=3)
    verdict = judged.verdict
    in_time = seconds > 1
    may_wait = not in_time or (judged.unanswered is not None and judged.unanswered.for_now)
    assert verdict.reasoning and (verdict.state is State.FINAL or (may_wait and verdict.state is State.PENDING))
    assert verdict.worth_fuzzing or (verdict.decided_by is DecidedBy.AGENT and not verdict.focus_symbols)
    assert set(verdict.enable_configs) <= {"POOL", "POOL_DEBUG"}
    if profile == "default":
        assert set(verdict.focus_symbols) <= {"pool_get", "pool_put", "pool_check"}
    for agent in agents(judged) if judged.trajectory else ():
        asked = [span for span in judged.trajectory.spans if span.type == "llm" and span.name == agent.name]  # type: ignore[union-attr]
        assert agent.error or agent.results
        assert sum(not span.error for span in asked) <= 8
        assert len(asked) <= 2 * 8  # a round asks twice where the window was fuller than thought


def test_ctrl_c_ends_the_asking_with_what_is_known(open_change: Kernel, scripted: Callable[..., Model]) -> None:
    def interrupts(request: dict[str, Any]) -> dict[str, Any]:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return says(call("read-file", File="mm/pool.c"))

    model = scripted(says(call("grepper", Expression="pool_get"), call("kbuild", File="mm/pool.c")), interrupts)
    told: list[str] = []
    chosen = resolve([[Given("agent.base_url", model.url, "test"), Given("agent.model", "m", "test")]])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        repo = find(open_change.path)
        with Objects(repo, 1 << 20) as objects:
            asking = Asking("always", deadline=time.monotonic() + 600, progress=told.append)
            commits = [open_change.head(), open_change.head("HEAD~1")]
            first, second = triage.judge_commits(repo, objects, chosen, commits, use_cache=False, asking=asking)
    finally:
        signal.signal(signal.SIGINT, before)
    assert isinstance(first, triage.Judged) and isinstance(second, triage.Judged)
    assert first.was_interrupted and first.verdict.decided_by is DecidedBy.DEFAULT and first.verdict.worth_fuzzing
    assert len(model.requests) == 2 and second.unanswered is None
    assert [line.partition(",")[0] for line in told] == ["asking m", "looking up grepper", "asking m"]
    assert "kbuild, round 1, 1030 tokens so far" in told[1]
