"""The client against every habit of endpoints that others have met (docs/agent.md lists them by these numbers)."""

from __future__ import annotations

import email.utils
import json
import pathlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from werkzeug import Response

from hook.agent.endpoint import adaptations, transport
from hook.agent.endpoint import client as client_module
from hook.agent.endpoint.client import Client
from hook.agent.endpoint.replies import Reply
from hook.agent.endpoint.stored_answers import Answers
from hook.agent.endpoint.transport import Endpoint
from hook.agent.endpoint.trouble import NoAnswer, Trouble
from hook.agent.history import History
from hook.redaction import Redactor
from tests.agent.model import Model, call, hangs, refuses, says

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": "t", "description": "d", "parameters": {"type": "object", "properties": {}, "required": []}}}
]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setenv("NO_PROXY", "*")


def client(model: Model | str, *names: str, cache: Answers | None = None, seconds: float = 20.0) -> Client:
    url = model if isinstance(model, str) else model.url
    return Client(
        Endpoint(url, "sk-planted-key-000000000000", names or ("m",), 0.0, 1000, seconds), Redactor(["sk-planted-key-000000000000"]), cache
    )


def ask(one: Client, history: History | None = None, seconds: float = 20.0, force: str = "") -> Reply:
    return one.ask((history or History("i", "p")).messages, TOOLS, time.monotonic() + seconds, force)


def trouble(one: Client, seconds: float = 20.0) -> tuple[Trouble, str]:
    with pytest.raises(NoAnswer) as wrong:
        ask(one, seconds=seconds)
    return wrong.value.trouble, str(wrong.value)


def replayed(model: Model, answer: Reply) -> dict[str, Any]:
    """The assistant's message as it goes back to the endpoint in the next request."""
    history = History("i", "p")
    history.add_answer(answer.message)
    for one in answer.calls:
        history.add_result(one.id, "ok")
    history.check()
    ask(client(model), history)
    message: dict[str, Any] = model.requests[-1]["messages"][2]
    return message


# 1: the assistant's message goes back as it came
def test_thought_signatures_and_reasoning_go_back_verbatim(scripted: Callable[..., Model]) -> None:
    signed = {**call("t"), "extra_content": {"google": {"thought_signature": "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0NTY3.SflKxwRJSMeKKF2QT4"}}}
    details = [{"type": "reasoning.encrypted", "data": "opaque=="}]
    model = scripted(says(signed, reasoning_content="deep", reasoning_details=details, refusal=None, annotations=[]), says(text="x"))
    message = replayed(model, ask(client(model)))
    assert message["tool_calls"][0]["extra_content"] == signed["extra_content"]
    assert message["reasoning_details"] == details and message["reasoning_content"] == "deep"
    # what the endpoint left empty is not sent back: some refuse it
    assert "refusal" not in message and "annotations" not in message and message["content"] == ""


@pytest.mark.parametrize(
    ("fields", "thoughts"),
    [
        ({"reasoning_content": "a"}, "a"),
        ({"reasoning": "b"}, "b"),
        ({"reasoning_details": [{"text": "c"}, {"summary": "d"}, 7]}, "c\nd"),
        ({"text": "<think>e</think>done"}, "e"),
        ({}, ""),
    ],
)
def test_thoughts_are_kept_where_an_endpoint_gives_them(scripted: Callable[..., Model], fields: dict[str, Any], thoughts: str) -> None:
    assert ask(client(scripted(says(**fields)))).thoughts == thoughts


# 2: ids
@pytest.mark.parametrize("ids", [["", ""], ["same", "same"], [None, 7]])
def test_calls_get_ids_of_their_own(scripted: Callable[..., Model], ids: list[Any]) -> None:
    model = scripted(says(*[{**call("t", n=number), "id": one} for number, one in enumerate(ids)]), says(text="x"))
    answer = ask(client(model))
    assert len({one.id for one in answer.calls}) == 2 and all(one.id for one in answer.calls)
    assert [one["id"] for one in replayed(model, answer)["tool_calls"]] == [one.id for one in answer.calls]


# 3: schemas
def test_ids_are_kept_where_they_are_sound_and_nobody_elses(scripted: Callable[..., Model]) -> None:
    history = History("i", "p")
    for number, given in enumerate((["a", "c00004001"], ["a", "", "c00006002", "has space", "x" * 65, "c00006002"])):
        model = scripted(says(*[{**call("t", n=one), "id": one} for one in given]))
        answer = ask(client(model), history)
        history.add_answer(answer.message)
        for one in answer.calls:
            history.add_result(one.id, f"round {number}")
        history.check()
    ids = [one["id"] for message in history.messages for one in message.get("tool_calls", ())]
    assert ids[:2] == ["a", "c00004001"] and ids[4] == "c00006002" and len(set(ids)) == 8
    assert all(len(one) == 9 and one.isalnum() for one in ids[1:])


def test_names_of_tools_go_back_as_every_endpoint_takes_them(scripted: Callable[..., Model]) -> None:
    answer = ask(client(scripted(says(call("functions.read file"), call("x" * 100), call("")))))
    assert [one["function"]["name"] for one in answer.message["tool_calls"]] == ["functions_read_file", "x" * 64, "none"]
    assert answer.calls[0].name == "functions.read file"


def test_an_answer_with_nothing_in_it_goes_back_with_something(scripted: Callable[..., Model]) -> None:
    for text in (None, "", " \n"):
        model = scripted(says(text=text), says(text="x"))
        assert replayed(model, ask(client(model)))["content"] == "(no text)"


def test_more_calls_than_anybody_needs_cost_little_and_are_left_out(scripted: Callable[..., Model]) -> None:
    model = scripted(
        says(*[{"id": f"i{number}", "type": "function", "function": {"name": "t", "arguments": "{}"}} for number in range(15_000)])
    )
    answer = ask(client(model))
    assert (len(answer.calls), len(answer.message["tool_calls"]), answer.left_out) == (100, 100, 14_900)


def test_schemas_are_made_plainer_where_an_endpoint_refuses_them(scripted: Callable[..., Model]) -> None:
    model = scripted(refuses(400, 'Unknown name "additionalProperties" in schema'), says(text="ok"))
    tools = [
        {"type": "function", "function": {"name": "t", "parameters": {"type": "object", "additionalProperties": False, "properties": {}}}}
    ]
    client(model).ask(History("i", "p").messages, tools, time.monotonic() + 20)
    assert "additionalProperties" in json.dumps(model.requests[0]) and "additionalProperties" not in json.dumps(model.requests[1])


# 4: parameters
@pytest.mark.parametrize(
    ("words", "gone", "come"),
    [
        ("Unsupported value: 'temperature' does not support 0.0 with this model.", "temperature", ""),
        (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            "max_tokens",
            "max_completion_tokens",
        ),
        ("max_tokens is too large: this model supports at most 100", "max_tokens", ""),
        ("tool_choice is not supported", "tool_choice", ""),
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_parameter_that_a_refusal_names_is_left_out_and_that_is_remembered(
    scripted: Callable[..., Model], words: str, gone: str, come: str, status: int
) -> None:
    model = scripted(refuses(status, words), then=says(text="ok"))
    one = client(model)
    ask(one, force="t")
    ask(one, force="t")
    assert [gone in request for request in model.requests] == [True, False, False]
    assert not come or all(come in request for request in model.requests[1:])


def test_a_refusal_that_names_nothing_known_ends(scripted: Callable[..., Model]) -> None:
    model = scripted(then=refuses(400, "I do not like your face"))
    kind, words = trouble(client(model))
    assert kind is Trouble.REFUSED and "your face" in words and len(model.requests) == 1


def test_each_adaptation_is_tried_once(scripted: Callable[..., Model]) -> None:
    model = scripted(then=refuses(400, "temperature max_tokens max_completion_tokens tool_choice schema reasoning system role"))
    assert trouble(client(model))[0] is Trouble.REFUSED
    assert len(model.requests) <= len(adaptations.ADAPTATIONS) + 1


def test_an_endpoint_without_a_system_role(scripted: Callable[..., Model]) -> None:
    model = scripted(refuses(400, "System role not supported"), says(text="ok"))
    ask(client(model))
    assert [message["role"] for message in model.requests[1]["messages"]] == ["user"]
    assert model.requests[1]["messages"][0]["content"] == "i\n\np"


def test_an_endpoint_that_takes_no_signatures_of_calls_back(scripted: Callable[..., Model]) -> None:
    signed = {**call("t"), "extra_content": {"google": {"thought_signature": "x"}}}
    model = scripted(says(signed), refuses(400, "messages.2.tool_calls.0.extra_content: Extra inputs are not permitted"), says(text="ok"))
    assert set(replayed(model, ask(client(model)))["tool_calls"][0]) == {"id", "type", "function"}


def test_an_endpoint_that_takes_no_thoughts_back(scripted: Callable[..., Model]) -> None:
    model = scripted(
        says(call("t"), reasoning_content="deep"), refuses(400, "property 'reasoning_content' is unsupported"), says(text="ok")
    )
    message = replayed(model, ask(client(model)))
    assert "reasoning_content" not in message and message["tool_calls"]


# 5: arguments
@pytest.mark.parametrize(
    ("arguments", "read", "wrong"),
    [
        ('{"a": 1}', {"a": 1}, ""),
        ({"a": 1}, {"a": 1}, ""),
        ("", {}, ""),
        (None, {}, ""),
        ('{"a": ', {}, "not JSON"),
        ("[1]", {}, "not an object"),
        ('{"a": NaN}', {}, "not JSON"),
        ('{"a": [-Infinity]}', {}, "not JSON"),
        ('{"a": 1e999}', {}, "not JSON"),
        ("[" * 200 + "]" * 200, {}, "not JSON"),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}, ""),
        ("[" * 100_000, {}, "not JSON"),
        (7, {}, "not"),
    ],
)
def test_arguments_of_any_kind_are_read_and_go_back_as_json(scripted: Callable[..., Model], arguments: Any, read: Any, wrong: str) -> None:
    model = scripted(says({"id": "x", "type": "function", "function": {"name": "t", "arguments": arguments}}), says(text="x"))
    answer = ask(client(model))
    assert answer.calls[0].arguments == read and wrong in answer.calls[0].wrong and bool(wrong) == bool(answer.calls[0].wrong)
    assert json.loads(replayed(model, answer)["tool_calls"][0]["function"]["arguments"]) == read


# 6: finish reasons and empty messages
@pytest.mark.parametrize("reason", ["stop", None, "", "tool_calls", "function_call"])
def test_tool_calls_count_whatever_the_finish_reason(scripted: Callable[..., Model], reason: str | None) -> None:
    answer = says(call("t"))
    answer["choices"][0]["finish_reason"] = reason
    assert ask(client(scripted(answer))).calls[0].name == "t"


@pytest.mark.parametrize("reason", ["length", "max_tokens", "MAX_TOKENS"])
def test_an_answer_that_was_cut_has_calls_that_are_not_trusted(scripted: Callable[..., Model], reason: str) -> None:
    answer = says(call("t", a=1), {"id": "x", "type": "function", "function": {"name": "t", "arguments": '{"a": "ha'}})
    answer["choices"][0]["finish_reason"] = reason
    found = ask(client(scripted(answer)))
    assert found.cut and all("the answer was cut off" in one.wrong for one in found.calls) and len(found.calls) == 2


@pytest.mark.parametrize("reason", ["error", "MALFORMED_FUNCTION_CALL", "malformed_function_call", "content_filter"])
def test_a_failed_generation_is_tried_again_a_few_times_and_never_taken_for_an_answer(scripted: Callable[..., Model], reason: str) -> None:
    bad = says(text="half")
    bad["choices"][0]["finish_reason"] = reason
    assert ask(client(scripted(bad, bad, says(text="good")))).text == "good"
    model = scripted(then=bad)
    assert trouble(client(model))[0] is Trouble.MALFORMED and len(model.requests) == 4


# 7: errors with status 200, and no usage
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "upstream", "code": 502}, "choices": None},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"message": None}]},
        [],
        "x",
        None,
        7,
        {"error": "words"},
        {"choices": [{"message": "text"}]},
        {"choices": [{"error": {"code": 1}, "message": {}}]},
    ],
)
def test_a_body_without_an_answer_is_tried_again(scripted: Callable[..., Model], body: Any) -> None:
    assert ask(client(scripted(Response(json.dumps(body), 200, content_type="application/json"), says(text="good")))).text == "good"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"<html>",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"choices": [{"message": {"content": "x", "score": NaN}}]}',
        b'{"usage": 1e999}',
        b'{"a":' * 500 + b"1" + b"}" * 500,
    ],
)
def test_a_body_that_is_not_json_is_tried_again_and_named(scripted: Callable[..., Model], body: bytes) -> None:
    bad = Response(body, 200, content_type="application/json")
    assert ask(client(scripted(bad, says(text="good")))).text == "good"
    kind, words = trouble(client(scripted(then=bad)))
    assert kind is Trouble.MALFORMED and "does not answer with JSON" in words


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 30, "completion_tokens_details": {"reasoning_tokens": 20}}, (100, 10, 20, False)),
        ({"prompt_tokens": 100, "completion_tokens": 30, "total_tokens": 180}, (100, 30, 50, False)),
        ({"prompt_tokens": 100, "completion_tokens": 30}, (100, 30, 0, False)),
        ({"prompt_tokens": "many"}, None),
        ({}, None),
        # what is not said is estimated, and marked
        ({"prompt_tokens": 100}, (100, 146, 0, True)),
        ({"prompt_tokens": 100, "completion_tokens": None, "total_tokens": 140}, (100, 40, 0, False)),
    ],
)
def test_tokens_are_counted_or_estimated(
    scripted: Callable[..., Model], usage: dict[str, Any], counted: tuple[int, int, int, bool] | None
) -> None:
    answer = ask(client(scripted(says(text="x" * 400, usage=usage))))
    found = msgspec.structs.astuple(answer.tokens)
    if counted is None:
        assert found[0] > 0 and 134 <= found[1] < 150 and found[3]
    else:
        assert found == counted


# 8: silent truncation, and tool calls as text
def test_an_endpoint_that_drops_what_does_not_fit_is_found_out(scripted: Callable[..., Model]) -> None:
    model = scripted(says(text="x", usage={"prompt_tokens": 4096, "completion_tokens": 5}))
    with pytest.raises(NoAnswer, match="num_ctx"):
        ask(client(model), History("i", "word " * 20_000))


def grown(history: History, tokens: int) -> History:
    history.add_answer({"role": "assistant", "content": "x"})
    history.add_prompt("int x; " * (tokens * 4 // 7))
    return history


@pytest.mark.parametrize(
    ("sent", "read", "dropped"),
    [
        (6000, 4096, True),
        (4800, 4096, True),
        (4800, 4095, True),
        (6000, 3900, True),
        (9000, 4000, True),
        (12_000, 8000, True),
        (25_000, 16_384, True),
        # tokenizers that make more, or somewhat less, of a text than we estimate; and counts that say nothing of a window
        (3000, 4096, False),
        (4800, 4000, False),
        (12_000, 10_000, False),
        (30_000, 26_000, False),
        (5000, 12, False),
        (40_000, 21_000, False),
    ],
)
def test_less_read_than_sent_is_told_by_the_sizes_that_windows_have(
    scripted: Callable[..., Model], sent: int, read: int, dropped: bool
) -> None:
    model = scripted(says(text="x", usage={"prompt_tokens": read, "completion_tokens": 5}))
    history = History("i", "int x; " * (sent * 4 // 7))
    if dropped:
        with pytest.raises(NoAnswer, match=f"read {read} tokens of about {sent // 1000}") as wrong:
            ask(client(model), history)
        assert wrong.value.trouble is Trouble.WINDOW and wrong.value.tokens.input == read
    else:
        assert ask(client(model), history).text == "x"


def test_tools_count_among_what_was_sent_but_not_what_an_endpoint_has_sealed(scripted: Callable[..., Model]) -> None:
    tools = [
        {"type": "function", "function": {"name": "t", "description": "word " * 3000, "parameters": {"type": "object", "properties": {}}}}
    ]
    usage = {"prompt_tokens": 2048, "completion_tokens": 5}
    with pytest.raises(NoAnswer, match="num_ctx"):
        client(scripted(says(text="x", usage=usage))).ask(History("i", "p").messages, tools, time.monotonic() + 20)
    history = History("i", "p")
    history.add_answer(
        {"role": "assistant", "content": "x", "reasoning_details": [{"data": "x" * 60_000}], "reasoning_content": "y" * 60_000}
    )
    history.add_prompt("go on")
    assert ask(client(scripted(says(text="fine", usage=usage))), history).text == "fine"


def test_an_endpoint_that_counts_no_tools_but_calls_one_has_read_all(scripted: Callable[..., Model]) -> None:
    tools = [
        {"type": "function", "function": {"name": "t", "description": "word " * 900, "parameters": {"type": "object", "properties": {}}}}
    ]
    history = History("i", "int x; " * 1130)
    usage = {"prompt_tokens": 1980, "completion_tokens": 5}
    answer = client(scripted(says(call("t"), usage=usage))).ask(history.messages, tools, time.monotonic() + 20)
    assert [one.name for one in answer.calls] == ["t"]
    with pytest.raises(NoAnswer, match="num_ctx"):
        client(scripted(says(text="x", usage=usage))).ask(history.messages, tools, time.monotonic() + 20)


def test_a_count_that_stands_still_while_the_conversation_grows_is_found_out(scripted: Callable[..., Model]) -> None:
    def reads(tokens: int, **more: Any) -> dict[str, Any]:
        return says(text="x", usage={"prompt_tokens": tokens, "completion_tokens": 5, **more})

    one, history = client(scripted(reads(5000), reads(7000), reads(7010))), grown(History("i", "p"), 5000)
    ask(one, history)
    ask(one, grown(history, 1900))
    with pytest.raises(NoAnswer, match="it drops the rest"):
        ask(one, grown(history, 1900))
    # fewer than before, where something was cut to save room, or where only what is not in a cache is counted
    cached = {"prompt_tokens_details": {"cached_tokens": 4000}}
    one, history = (
        client(scripted(reads(5000), reads(3000), reads(5000), reads(5000, **cached), reads(5000))),
        grown(History("i", "p"), 5000),
    )
    for sent in (history, History("i", "p"), history, grown(history, 1500), grown(history, 1500)):
        ask(one, sent)


def test_a_limit_on_the_answer_that_the_window_does_not_hold_is_left_out_first(scripted: Callable[..., Model]) -> None:
    words = (
        "'max_tokens' or 'max_completion_tokens' is too large: 16384. This model's maximum context length is 8192 tokens and your request has 1616 "
        "input tokens (16384 > 8192 - 1616).",
        "This model's maximum context length is 8192 tokens. However, you requested 18000 tokens (1616 in the "
        "messages, 16384 in the completion).",
    )
    for one in words:
        model = scripted(refuses(400, one), says(text="ok"))
        assert ask(client(model)).text == "ok" and ["max_tokens" in request for request in model.requests] == [True, False]
        assert trouble(client(scripted(then=refuses(400, one))))[0] is Trouble.WINDOW


def test_a_server_without_tools_is_told_from_a_wrong_request(scripted: Callable[..., Model]) -> None:
    words = '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'
    assert "start vLLM with" in trouble(client(scripted(then=refuses(400, words))))[1]
    assert "vLLM" in ask(client(scripted(says(text='<tool_call>{"name": "t"}</tool_call>')))).hint


# 9: time, retries, redirects, size
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
def test_what_passes_is_tried_again(scripted: Callable[..., Model], status: int) -> None:
    model = scripted(refuses(status, "busy"), refuses(status, "busy"), says(text="good"))
    assert ask(client(model)).text == "good" and len(model.requests) == 3


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refuses the key"), (403, "refuses the key"), (404, "no such model or path"), (402, "answers 402")]
)
def test_what_does_not_pass_ends_at_once(scripted: Callable[..., Model], status: int, words: str) -> None:
    model = scripted(then=refuses(status, "no: sk-planted-key-000000000000"))
    kind, sentence = trouble(client(model))
    assert kind is Trouble.REFUSED and words in sentence and len(model.requests) == 1
    assert "sk-planted-key" not in sentence


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_kept(scripted: Callable[..., Model], as_date: bool) -> None:
    wait = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    model = scripted(refuses(429, "slow", **{"Retry-After": wait}), says(text="good"))
    before = time.monotonic()
    ask(client(model))
    assert time.monotonic() - before > 0.5


def test_a_pause_longer_than_the_time_left_ends_at_once(scripted: Callable[..., Model]) -> None:
    assert trouble(client(scripted(then=refuses(429, "slow", **{"Retry-After": "3600"}))), seconds=5)[0] is Trouble.OVERLOADED


def test_another_model_is_asked_where_the_first_is_overloaded(scripted: Callable[..., Model]) -> None:
    history = History("i", "p")
    history.add_answer(
        {
            "role": "assistant",
            "content": "",
            "reasoning_details": ["of m1"],
            "tool_calls": [{**call("t"), "id": "1", "extra_content": "of m1"}],
        }
    )
    history.add_result("1", "ok")
    model = scripted(*[refuses(429, "busy")] * 4, then=says(text="good"))
    one = client(model, "m1", "m2")
    assert ask(one, history).text == "good" and one.model == "m2"
    assert [request["model"] for request in model.requests] == ["m1"] * 4 + ["m2"]
    assert "of m1" in json.dumps(model.requests[0]) and "of m1" not in json.dumps(model.requests[4])
    ask(one, history)
    assert model.requests[5]["model"] == "m2" and "of m1" not in json.dumps(model.requests[5])


def test_another_conversation_keeps_the_signatures_of_its_own_model(scripted: Callable[..., Model]) -> None:
    model = scripted(*[refuses(429, "busy")] * 4, then=says(text="good"))
    one = client(model, "m1", "m2")
    ask(one, grown(grown(History("i", "p"), 1), 1))
    one.begin()
    history = History("i", "p")
    history.add_answer({"role": "assistant", "content": "", "tool_calls": [{**call("t"), "id": "1", "extra_content": "of m2"}]})
    history.add_result("1", "ok")
    ask(one, history)
    assert model.requests[-1]["model"] == "m2" and "of m2" in json.dumps(model.requests[-1])


def test_answers_that_could_not_be_used_cost_tokens_too(scripted: Callable[..., Model]) -> None:
    bad = says(text="half")
    bad["choices"][0]["finish_reason"] = "error"
    assert ask(client(scripted(bad, bad, says(text="good")))).tokens.input == 3000
    with pytest.raises(NoAnswer) as wrong:
        ask(client(scripted(then=bad), "m1", "m2"))
    assert wrong.value.tokens.input == 8000


@pytest.mark.parametrize(
    ("variable", "value"), [("ALL_PROXY", "socks5://127.0.0.1:9"), ("HTTP_PROXY", "ftp://x"), ("SSL_CERT_FILE", "/no/such.pem")]
)
def test_an_environment_that_no_request_can_be_made_in_has_a_name(
    scripted: Callable[..., Model], monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.delenv("NO_PROXY")
    model = scripted()
    kind, words = trouble(client(model))
    assert kind is Trouble.UNREACHABLE and "cannot be reached" in words and variable in words and not model.requests


def test_a_header_that_cannot_be_sent_is_not_shown(scripted: Callable[..., Model]) -> None:
    for key in ("org-planted-odd\nsecond-line-0000", "org-planted-schlüssel"):
        one = Client(Endpoint(scripted().url, key, ("m",), 0.0, 1000, 20.0), Redactor(), None)
        kind, words = trouble(one)
        assert kind is Trouble.UNREACHABLE and "the request cannot be made" in words and "planted" not in words


def test_a_server_that_hangs_up_in_the_middle_is_asked_again(scripted: Callable[..., Model]) -> None:
    half = Response(b"{", 200, {"Content-Length": "100000"})
    assert ask(client(scripted(half, says(text="good")))).text == "good"


def test_a_server_that_hangs_is_left_at_the_deadline(scripted: Callable[..., Model]) -> None:
    assert trouble(client(scripted(then=hangs())), seconds=1)[0] is Trouble.TIMEOUT


def test_a_server_that_drips_is_left_at_the_deadline() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def drip() -> None:
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(360_000):
                connection.sendall(b"1\r\n \r\n")
                time.sleep(0.1)
        except OSError:
            pass

    threading.Thread(target=drip, daemon=True).start()
    assert trouble(client(f"http://127.0.0.1:{listener.getsockname()[1]}/v1"), seconds=1)[0] is Trouble.TIMEOUT
    listener.close()


def test_a_server_that_hangs_up_or_is_not_there() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def hang_up() -> None:
        for _ in range(4):
            listener.accept()[0].close()

    threading.Thread(target=hang_up, daemon=True).start()
    kind, words = trouble(client(f"http://127.0.0.1:{port}/v1"))
    assert kind is Trouble.UNREACHABLE and f"127.0.0.1:{port} cannot be reached" in words
    listener.close()
    assert trouble(client(f"http://127.0.0.1:{port}/v1"))[0] is Trouble.UNREACHABLE


def test_a_redirect_is_not_followed(scripted: Callable[..., Model]) -> None:
    model = scripted(then=Response("", 307, {"Location": "http://elsewhere.example/v1/chat/completions"}))
    kind, words = trouble(client(model))
    assert kind is Trouble.REFUSED and "redirects to http://elsewhere.example" in words and len(model.requests) == 1


def test_an_answer_without_end_is_cut(scripted: Callable[..., Model], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_MOST_BYTES", 100_000)
    assert trouble(client(scripted(then=says(text="x" * 200_000))))[0] is Trouble.MALFORMED


@pytest.mark.parametrize(
    "words",
    [
        "context_length_exceeded",
        "litellm.ContextWindowExceededError: x",
        "the request exceeds the available context size",
        "This model's maximum context length is 8192",
        "prompt is too long: 9 > 8",
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_conversation_that_is_too_long_is_named(scripted: Callable[..., Model], words: str, status: int) -> None:
    assert trouble(client(scripted(then=refuses(status, words))))[0] is Trouble.WINDOW


def test_answers_are_remembered_by_their_whole_request(scripted: Callable[..., Model], tmp_path: pathlib.Path) -> None:
    model = scripted(says(text="one"), says(text="two"))
    one = client(model, cache=Answers(tmp_path))
    first = ask(one)
    again = ask(one)
    assert not first.cached and again == msgspec.structs.replace(first, cached=True) and again.text == "one"
    assert ask(one, History("i", "other")).text == "two" and len(model.requests) == 2
    for junk in ("[]", "{}", '{"message": 7, "calls": [], "tokens": {}}', '{"calls": [7]}'):
        for path in tmp_path.iterdir():
            path.write_text(junk)
        assert not ask(client(scripted(says(text="three")), cache=Answers(tmp_path))).cached
    for path in tmp_path.iterdir():
        path.write_text("{half")
    assert not ask(client(scripted(says(text="three")), cache=Answers(tmp_path))).cached


def test_answers_are_there_after_a_crash_and_forgotten_where_the_conversation_led_to_nothing(
    scripted: Callable[..., Model], tmp_path: pathlib.Path
) -> None:
    one = client(scripted(says(text="one"), says(text="two")), cache=Answers(tmp_path))
    ask(one)
    one.begin()
    ask(one, History("i", "other"))
    one.forget()
    assert len(list(tmp_path.iterdir())) == 1
    one.begin()
    assert ask(one).cached
    one.forget()
    assert not list(tmp_path.iterdir())


def test_bad_answers_are_not_remembered(scripted: Callable[..., Model], tmp_path: pathlib.Path) -> None:
    trouble(client(scripted(then=says(text="x") | {"choices": []}), cache=Answers(tmp_path)))
    assert not list(tmp_path.iterdir())
