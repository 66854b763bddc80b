"""A scripted model: an OpenAI-compatible server that says what a test has written down, and remembers what it was asked."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

# A place of its own for each model: a question to the last one, left hanging, must not be answered by the next.
_places = itertools.count(1)

Turn = Any  # a dict of the response, a Response, or a function of the request that gives one of the two


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """A tool call as models make it."""
    return {
        "id": f"{name}-{abs(hash(json.dumps(arguments, sort_keys=True))) % 10**8}",
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def says(
    *calls: dict[str, Any], text: str | None = None, thoughts: str = "", usage: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    """A response with tool calls, text, or both. `more` goes into the message."""
    message: dict[str, Any] = {"role": "assistant", "content": text, **more}
    if calls:
        message["tool_calls"] = list(calls)
    if thoughts:
        message["reasoning_content"] = thoughts
    counted = {"prompt_tokens": 1000, "completion_tokens": 30, "total_tokens": 1030} if usage is None else usage
    return {
        "id": "r",
        "object": "chat.completion",
        "model": "scripted",
        "usage": counted,
        "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls" if calls else "stop"}],
    }


def results(
    worth: bool = True, symbols: list[str] | None = None, options: list[str] | None = None, why: str = "mm/pool.c:1 changes."
) -> dict[str, Any]:
    """The evaluator's last call."""
    return call("set-results", WorthFuzzing=worth, FocusSymbols=symbols or [], EnableConfigs=options or [], Reasoning=why)


def kmsan(needs: bool = False, why: str = "nothing uninitialised") -> dict[str, Any]:
    return call("set-results", NeedsKMSAN=needs, KMSANReasoning=why)


def refuses(status: int, message: str = "no", **headers: str) -> Response:
    """An error as OpenAI-compatible endpoints give it."""
    return Response(json.dumps({"error": {"message": message, "code": status}}), status, {"Content-Type": "application/json", **headers})


def hangs() -> Callable[[dict[str, Any]], Turn]:
    """No answer within the time that a test may take: whoever waits for it to the end is found out by that limit."""

    def turn(request: dict[str, Any]) -> Turn:
        time.sleep(36_000)
        return says(text="late")

    return turn


class Model:
    """The server. After the last turn it goes on saying `then`."""

    def __init__(self, server: HTTPServer, turns: list[Turn], then: Turn = None) -> None:
        self.turns = list(turns)
        self.then = says(text="I have nothing more to say.") if then is None else then
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        place = f"/{next(_places)}/v1"
        self.url = server.url_for(place)
        server.expect_request(f"{place}/chat/completions", method="POST").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        self.requests.append(body)
        self.headers.append(dict(request.headers))
        turn = self.turns.pop(0) if self.turns else self.then
        while callable(turn) and not isinstance(turn, Response):
            turn = turn(body)
        return turn if isinstance(turn, Response) else Response(json.dumps(turn), 200, {"Content-Type": "application/json"})

    @property
    def environment(self) -> dict[str, str]:
        """What makes the program ask this model."""
        return {
            "PATCH_TRIAGE_AGENT_BASE_URL": self.url,
            "PATCH_TRIAGE_AGENT_MODEL": "scripted",
            "OPENAI_API_KEY": "sk-planted-key-000000000000",
            "NO_PROXY": "*",
        }

    def said_to_it(self, number: int = -1) -> str:
        """The text of the last message of a request."""
        return str(self.requests[number]["messages"][-1]["content"])
