"""The recording: a client that repeats the answers of a recorded run, without a model.

A trajectory holds what a model called, not the message it came in: calls that follow an answer belong to it. So a run can be gone through
once more with today's tools, prompts and checks, without an endpoint and for nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hook.agent.endpoint.client import Client
from hook.agent.endpoint.replies import Call, Reply
from hook.agent.endpoint.transport import Endpoint
from hook.agent.endpoint.trouble import NoAnswer, Trouble
from hook.agent.history import Message
from hook.redaction import Redactor
from hook.trajectory import Span
from hook.verdict import Tokens


class Recording(Client):
    """The turns of one trajectory, agent by agent."""

    def __init__(self, spans: Sequence[Span], redactor: Redactor) -> None:
        turns = list(_turns(spans))
        models = tuple(dict.fromkeys(span.model for span, _ in turns if span.model)) or ("recorded",)
        super().__init__(Endpoint("", "", models[:1], 0.0, 0, 0.0), redactor, None)
        self._turns: dict[str, list[tuple[Span, list[Span]]]] = {}
        for span, calls in turns:
            self._turns.setdefault(span.name, []).append((span, calls))
        self._agent = ""
        self._said = 0

    def turn_to(self, agent: str) -> None:
        """Say what was said to this agent from now on."""
        self._agent = agent

    def left(self, agent: str) -> int:
        """How many of an agent's turns have not been said."""
        return len(self._turns.get(agent, ()))

    def ask(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str = "") -> Reply:
        """The next recorded turn. Raises NoAnswer where there is none."""
        waiting = self._turns.get(self._agent, [])
        if not waiting:
            raise NoAnswer(Trouble.UNREACHABLE, "the recording has no more turns", Tokens())
        span, spans = waiting.pop(0)
        calls = []
        for step in spans:
            self._said += 1
            unread = step.error if step.error.startswith("the arguments are not") else ""
            calls.append(Call(f"recorded{self._said}", step.name, step.args, unread))
        message: Message = {"role": "assistant", "content": span.reply or ("" if calls else "(no text)")}
        if calls:
            message["tool_calls"] = [
                {"id": call.id, "type": "function", "function": {"name": _name(call.name), "arguments": _arguments(call.arguments)}}
                for call in calls
            ]
        tokens = Tokens(span.input_tokens, span.output_tokens, span.output_thoughts_tokens)
        return Reply(message, tuple(calls), span.reply, span.thoughts, span.model or "recorded", tokens)


def _turns(spans: Sequence[Span]) -> Iterator[tuple[Span, list[Span]]]:
    """Each answer of a model with the calls that it made."""
    answer: Span | None = None
    calls: list[Span] = []
    for span in spans:
        if span.type == "tool" and answer is not None:
            calls.append(span)
            continue
        if answer is not None:
            yield answer, calls
        # an answer that never came is no turn
        answer, calls = (span, []) if span.type == "llm" and not span.error else (None, [])
    if answer is not None:
        yield answer, calls


def _name(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in name)[:64] or "_"


def _arguments(arguments: Any) -> str:
    return json.dumps(arguments if isinstance(arguments, dict) else {})
