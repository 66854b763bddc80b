"""The history: what was said so far, as chat-completion messages, kept well formed and within the model's window."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Message = dict[str, Any]
_CUT = "[cut to save room; call the tool again if it is needed]"
_SHORT = 200  # characters of a result that are not worth cutting
_CHARACTERS_A_TOKEN = 4  # of English; C has fewer, so an estimate from this is low


class Malformed(Exception):
    """A history that an endpoint may refuse or misread; the sentence says where. A defect of ours, not of the model."""


class History:
    """The messages of one conversation."""

    def __init__(self, instruction: str, prompt: str) -> None:
        self.messages: list[Message] = [{"role": "system", "content": instruction}, {"role": "user", "content": prompt}]

    def add_answer(self, message: Mapping[str, Any]) -> None:
        """The model's own message, as it came: some endpoints refuse the next request if a thought signature is missing from it."""
        self.messages.append(dict(message))

    def add_result(self, call_id: str, text: str) -> None:
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def add_prompt(self, text: str) -> None:
        self.messages.append({"role": "user", "content": text})

    def tokens(self) -> int:
        """An estimate of the tokens of the whole."""
        return estimate(self.messages)

    def check(self) -> None:
        """Raise Malformed unless every call has exactly one answer, right after the message that made it. No server checks this itself."""
        waiting: list[str] = []
        for number, message in enumerate(self.messages):
            role = message.get("role")
            if not isinstance(message.get("content"), str):
                raise Malformed(f"message {number} ({role}) has no text")
            if role == "tool":
                if message["tool_call_id"] not in waiting:
                    raise Malformed(f"message {number} answers {message['tool_call_id']!r}, which nobody called or is answered already")
                waiting.remove(message["tool_call_id"])
                continue
            if waiting:
                raise Malformed(f"message {number} ({role}) comes before the answers to {', '.join(waiting)}")
            if role == "assistant":
                waiting = [call["id"] for call in message.get("tool_calls", ())]
                if len(set(waiting)) != len(waiting) or not all(waiting):
                    raise Malformed(f"message {number} makes two calls under one id")
                for call in message.get("tool_calls", ()):
                    json.loads(call["function"]["arguments"])
        if waiting:
            raise Malformed(f"no answer to {', '.join(waiting)}")

    def compress(self, most_tokens: int, keep_last: int = 4) -> bool:
        """Cut the oldest tool results until the estimate is at most `most_tokens`; the last few stay if they can.

        False if that is not enough.
        """
        results = [message for message in self.messages if message["role"] == "tool" and len(message["content"]) > _SHORT]
        for group in (results[:-keep_last] if keep_last else results, results[-keep_last:] if keep_last else ()):
            for message in group:
                if self.tokens() <= most_tokens:
                    return True
                message["content"] = _CUT
        return self.tokens() <= most_tokens


def estimate(value: Any) -> int:
    """About how many tokens a text or a list of messages has."""
    return -(-_characters(value) // _CHARACTERS_A_TOKEN)


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _characters(one) for key, one in value.items())
    if isinstance(value, Sequence):
        return sum(map(_characters, value))
    return 4
