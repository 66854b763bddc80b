"""The client: asks the models of one OpenAI-compatible endpoint, whatever that endpoint's habits are.

What an endpoint refuses to take is left out and remembered for the run (`adaptations`); an overloaded one is asked again; answers are kept.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from hook.agent.endpoint import adaptations, replies
from hook.agent.endpoint.replies import Reply
from hook.agent.endpoint.stored_answers import Answers
from hook.agent.endpoint.transport import Endpoint, Transport, shown
from hook.agent.endpoint.trouble import FailedRequest, NoAnswer, Trouble
from hook.agent.endpoint.window import Window
from hook.agent.history import Message
from hook.agent.token_count import estimate
from hook.redaction import Redactor
from hook.verdict import Tokens

_ATTEMPTS = 4  # of one request to one model, counting the first
_FIRST_PAUSE_SECONDS = 0.5


class SpendingMeter(Protocol):
    """Stands before every request: hook.agent.budget has the real one."""

    def reserve(self, model: str, given: int, most: int) -> Any:
        """A ticket for a request of `given` tokens whose answer has at most `most`. Raises NoAnswer where that may not be spent."""

    def settle(self, ticket: Any, tokens: Tokens) -> None:
        """The request has cost so much."""


class Client:
    """Asks the models of one endpoint. What it learns of the endpoint it keeps for the run."""

    def __init__(self, endpoint: Endpoint, redactor: Redactor, cache: Answers | None) -> None:
        self.endpoint = endpoint
        self.learnt: list[adaptations.Adaptation] = []
        self.meter: SpendingMeter | None = None
        self._redactor = redactor
        self._cache = cache
        self._models = list(endpoint.models)
        self._transport = Transport(endpoint)
        self.begin()

    def begin(self) -> None:
        """Another conversation begins."""
        self._foreign = 0  # the number of messages with the model before: its thought signatures mean nothing to this one
        self._heard: list[str] = []  # the answers of this conversation
        self._window = Window()

    def forget(self) -> None:
        """Drop the answers of this conversation, which led to nothing: what was wrong with the endpoint may be put right.

        They are kept as they come, so that one that was paid for is there again after a crash.
        """
        for digest in self._heard:
            if self._cache:
                self._cache.drop(digest)
        self._heard = []

    @property
    def model(self) -> str:
        """The model that is asked next."""
        return self._models[0] if self._models else ""

    def request(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], force: str = "") -> Message:
        """The body of the request, with secrets cut out of what is said in it. `force` names the tool that the model is to call."""
        foreign = messages[: self._foreign]
        body: Message = {
            "model": self.model,
            "messages": [self._cleaned(message) for message in (*map(adaptations.plain, foreign), *messages[self._foreign :])],
            "tools": list(tools),
            "temperature": self.endpoint.temperature,
            "max_tokens": self.endpoint.reply_tokens,
        }
        if force:
            body["tool_choice"] = {"type": "function", "function": {"name": force}}
        for adaptation in self.learnt:
            body = adaptation.without(body) or body
        return body

    def _cleaned(self, message: Message) -> Message:
        """A message without secrets. What makes it a message stays: its role, and the ids, types and names of its calls."""
        clean: Message = {}
        for key, value in message.items():
            if key == "tool_calls":
                clean[key] = [self._cleaned_call(call) for call in value]
            elif key in ("role", "tool_call_id"):
                clean[key] = value
            else:
                clean |= self._redactor.value({key: value})
        return clean

    def _cleaned_call(self, call: Message) -> Message:
        function = call["function"]
        more = self._redactor.value({key: value for key, value in call.items() if key not in ("id", "type", "function")})
        # read first: a secret can hide behind the escapes of JSON
        arguments = json.dumps(self._redactor.value(json.loads(function["arguments"])))
        own = self._redactor.value({key: value for key, value in function.items() if key not in ("name", "arguments")})
        return {**more, "id": call["id"], "type": call["type"], "function": {**own, "name": function["name"], "arguments": arguments}}

    def ask(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str = "") -> Reply:
        """The model's answer; `deadline` is a time.monotonic(). Raises NoAnswer.

        An overloaded or unreachable model is asked again with growing pauses, then the next one is asked, which stays the one to ask.
        """
        spent = Tokens()
        while True:
            try:
                answer = self._ask_model(messages, tools, deadline, force)
                return msgspec.structs.replace(answer, tokens=spent + answer.tokens)
            except NoAnswer as wrong:
                spent += wrong.tokens
                elsewhere = wrong.trouble in (Trouble.OVERLOADED, Trouble.UNREACHABLE, Trouble.MALFORMED, Trouble.TIMEOUT)
                if not elsewhere or len(self._models) < 2 or time.monotonic() >= deadline:
                    wrong.tokens = spent
                    raise
                self._models.pop(0)
                self._foreign = len(messages)
                self._window = Window()

    def _ask_model(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str) -> Reply:
        attempt = 0
        spent = Tokens()
        while True:
            body = self.request(messages, tools, force)
            digest = hashlib.sha256(json.dumps([self.endpoint.base_url, body], sort_keys=True).encode()).hexdigest()
            known = replies.restored(self._cache.find(digest)) if self._cache else None
            if known is not None:
                self._heard.append(digest)
                return known
            try:
                answer = self._send(body, len(messages), deadline)
                self._heard.append(digest)
                if self._cache:
                    self._cache.keep(digest, msgspec.to_builtins(answer))
                return msgspec.structs.replace(answer, tokens=spent + answer.tokens)
            except FailedRequest as again:
                attempt += 1
                spent += again.tokens
                if adaptation := adaptations.adapted(again, body, self.learnt):
                    self.learnt.append(adaptation)
                    attempt -= 1
                    continue
                pause = again.pause if again.pause is not None else _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                if not again.again or attempt >= _ATTEMPTS or time.monotonic() + pause >= deadline:
                    raise NoAnswer(again.trouble, self._redactor.text(again.sentence), spent) from None
                time.sleep(pause)

    def _send(self, body: Message, count: int, deadline: float) -> Reply:
        """One request, which is counted against the caps before and after."""
        seconds = min(self.endpoint.request_seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise FailedRequest(Trouble.TIMEOUT, "the time for the model ran out", again=False)
        given = estimate(body["messages"]) + estimate(body.get("tools", []))
        ticket = self.meter.reserve(self.model, given, self.endpoint.reply_tokens) if self.meter else None
        cost = Tokens(given, 0, 0, estimated=True)  # of what was sent and got no answer, most endpoints make us pay that much
        try:
            answer = self._transport.send(body, seconds, lambda data: self._read(data, body, count))
            cost = answer.tokens
            return answer
        except FailedRequest as again:
            cost = again.tokens if again.trouble is not Trouble.TIMEOUT else cost
            raise
        finally:
            if self.meter:
                self.meter.settle(ticket, cost)

    def _read(self, data: bytes, body: Message, count: int) -> Reply:
        """The answer in the bytes of a response, without secrets."""
        try:
            document = self._redactor.without_key(replies.sendable(replies.parsed(data)))
            answer = replies.read_reply(document, body, count)
        except (ValueError, RecursionError):
            sentence = f"{self._transport.host} does not answer with JSON: {shown(data)}"
            raise FailedRequest(Trouble.MALFORMED, sentence) from None
        self._window.see_whether_it_reads_on(document.get("usage"), body, answer.tokens)
        clean = self._redactor
        calls = tuple(
            msgspec.structs.replace(call, name=clean.text(call.name), arguments=clean.value(call.arguments), wrong=clean.text(call.wrong))
            for call in answer.calls
        )
        return msgspec.structs.replace(
            answer,
            message=self._cleaned(answer.message),
            calls=calls,
            text=clean.text(answer.text),
            thoughts=clean.text(answer.thoughts),
            model=clean.text(answer.model),
        )
