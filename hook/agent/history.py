"""The history: what was said so far, as chat-completion messages, kept well formed and within the model's window."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hook import lazy_re
from hook.agent.token_count import BYTES_A_TOKEN, estimate, size

Message = dict[str, Any]
_CUT = "[cut to save room; call the tool again if it is needed]"
_CUT_THOUGHTS = "[cut to save room]"
_TEXTS, _SEALED = ("reasoning_content", "reasoning"), "reasoning_details"  # as endpoints give thoughts
_SHORT = 200  # characters of a text that are not worth cutting
_SAFE = lazy_re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")  # an id or a name of a tool that every endpoint takes


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
        """What we have to say. Some endpoints take no user's message after another, or after a tool's: there it goes into that one."""
        last = self.messages[-1]
        if last["role"] in ("user", "tool"):
            last["content"] = f"{last['content']}\n\n{text}"
        else:
            self.messages.append({"role": "user", "content": text})

    def tokens(self) -> int:
        """An estimate of the tokens of the whole."""
        return estimate(self.messages)

    def check(self) -> None:
        """Raise Malformed for what a strict endpoint refuses; the lenient ones do not check it themselves.

        Every call has an id of its own in the whole conversation, and exactly one answer right after the message that made it. Nobody
        speaks twice in a row, nobody says nothing, and everything is JSON.
        """
        waiting: list[str] = []
        used: set[str] = set()
        before = ""
        for number, message in enumerate(self.messages):
            role = message.get("role")
            where = f"message {number} ({role})"
            if not isinstance(message.get("content"), str):
                raise Malformed(f"{where} has no text")
            if role == "tool":
                if message["tool_call_id"] not in waiting:
                    raise Malformed(f"message {number} answers {message['tool_call_id']!r}, which nobody called or is answered already")
                waiting.remove(message["tool_call_id"])
                before = role
                continue
            if waiting:
                raise Malformed(f"{where} comes before the answers to {', '.join(waiting)}")
            if role == before or (role, before) == ("user", "tool"):
                raise Malformed(f"{where} comes right after one of {before}")
            if role == "assistant":
                waiting = _checked_calls(message, where, used)
            before = str(role)
            try:
                json.dumps(message, allow_nan=False)
            except (ValueError, TypeError, RecursionError) as wrong:
                raise Malformed(f"{where} is no JSON: {wrong}") from None
        if waiting:
            raise Malformed(f"no answer to {', '.join(waiting)}")

    def compress(self, most_tokens: int, keep_last: int = 4) -> bool:
        """Cut until the estimate is at most `most_tokens`: the oldest tool results, then the thoughts of older turns, then all results.

        False if that is not enough.
        """
        results = [message for message in self.messages if message["role"] == "tool" and len(message["content"]) > _SHORT]
        thoughts = [message for message in self.messages if message["role"] == "assistant"][:-1]
        steps = [(message, _without_result) for message in (results[:-keep_last] if keep_last else results)]
        # signed thoughts last: there are endpoints that ask for them
        steps += [(message, _with_short_thoughts) for message in thoughts] + [(message, _without_sealed) for message in thoughts]
        steps += [(message, _without_result) for message in (results[-keep_last:] if keep_last else ())]
        left = size(self.messages)
        for message, cut in steps:
            if left <= most_tokens * BYTES_A_TOKEN:
                return True
            left -= size(message)
            cut(message)
            left += size(message)
        return self.tokens() <= most_tokens


def _checked_calls(message: Message, where: str, used: set[str]) -> list[str]:
    """The ids of a message's calls, which are added to those `used`. Raises Malformed."""
    calls = message.get("tool_calls", ())
    if not calls and not message["content"].strip():
        raise Malformed(f"{where} says nothing")
    for call in calls:
        if call["id"] in used:
            raise Malformed(f"{where} makes a call under {call['id']!r}, which another has")
        used.add(call["id"])
        if not _SAFE.match(call["id"]) or not _SAFE.match(call["function"]["name"]):
            raise Malformed(f"{where} makes a call whose id or name not every endpoint takes")
        try:
            json.loads(call["function"]["arguments"], parse_constant=_refused)
        except (ValueError, RecursionError):
            raise Malformed(f"{where} makes a call whose arguments are no JSON") from None
    return [call["id"] for call in calls]


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _without_result(message: Message) -> None:
    message["content"] = _CUT


def _with_short_thoughts(message: Message) -> None:
    for name in _TEXTS:
        if isinstance(message.get(name), str) and len(message[name]) > _SHORT:
            message[name] = _CUT_THOUGHTS


def _without_sealed(message: Message) -> None:
    message.pop(_SEALED, None)
