"""The replies: what is read of an endpoint's answer, as it came: text, tool calls, thoughts and tokens.

An answer goes back to the endpoint as it came, with sound ids and arguments.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from hook import lazy_re
from hook.agent.endpoint import window
from hook.agent.endpoint.trouble import FailedRequest, Trouble, is_full_window
from hook.agent.history import Message
from hook.agent.token_count import estimate
from hook.verdict import Tokens

_MOST_CALLS = 100  # of one answer
_MOST_DEPTH = 100  # of values inside each other in one answer
_NO_TEXT = "(no text)"  # an assistant's message with neither text nor calls is refused by some
_SAFE_ID = lazy_re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


class Call(msgspec.Struct, frozen=True):
    """One tool call of a model. `wrong` says why its arguments cannot be read, if so."""

    id: str
    name: str
    arguments: Any
    wrong: str = ""


class Reply(msgspec.Struct, frozen=True):
    """What a model said."""

    message: Message  # to be replayed: as it came, with sound ids and arguments
    calls: tuple[Call, ...]
    text: str
    thoughts: str
    model: str
    tokens: Tokens  # with those of the answers before it that could not be used
    cached: bool = False
    cut: bool = False  # it ran out of room, so its calls may be half said
    left_out: int = 0  # calls beyond the limit
    hint: str = ""  # what a person should know about how the endpoint is set up


def read_reply(document: Any, body: Message, count: int) -> Reply:
    """The answer in a response document; `count` messages were sent. Raises FailedRequest where there is none in it."""
    try:
        return _reply(document, body, count)
    except FailedRequest as again:
        usage = document.get("usage") if isinstance(document, dict) else None
        if isinstance(usage, dict) and window.number(usage.get("prompt_tokens")):
            again.tokens = _tokens(usage, body, {})
        raise


def _reply(document: Any, body: Message, count: int) -> Reply:
    if not isinstance(document, dict):
        raise FailedRequest(Trouble.MALFORMED, "the endpoint's answer is not an object")
    message, is_cut = _message(document)
    raw_calls = message.get("tool_calls")
    given = [raw for raw in raw_calls if isinstance(raw, dict)] if isinstance(raw_calls, list) else []
    given = [raw for raw in given if isinstance(raw.get("function"), dict)]
    ids = _Ids(body["messages"], given, count)
    pairs = [_call(raw, ids.of(raw), is_cut) for raw in given[:_MOST_CALLS]]
    calls, replayed = [call for call, _ in pairs], [raw for _, raw in pairs]
    text = _content(message.get("content"))
    replay = {key: value for key, value in message.items() if value not in (None, [], {}) and key not in ("tool_calls", "function_call")}
    replay |= {"role": "assistant", "content": (text if text.strip() else "") or ("" if replayed else _NO_TEXT)}
    if replayed:
        replay["tool_calls"] = replayed
    usage = document.get("usage")
    tokens = _tokens(usage if isinstance(usage, dict) else {}, body, message)
    window.see_whether_all_was_read(usage, body, {call.name for call in calls})
    hint = ""
    if not calls and re.search(r"<tool_call>|<function=|\[TOOL_CALLS\]", text):
        hint = "the endpoint gives tool calls as text: vLLM needs --enable-auto-tool-choice --tool-call-parser NAME"
    model = str(document.get("model") or body["model"])
    left_out = max(0, len(given) - _MOST_CALLS)
    return Reply(replay, tuple(calls), text, _thoughts(message), model, tokens, cut=is_cut, left_out=left_out, hint=hint)


def _message(document: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The assistant's message in a response, and whether it ran out of room."""
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _in_words(document)
    choice = choices[0]
    message = choice.get("message")
    reason = str(choice.get("finish_reason") or "").lower()
    if choice.get("error") or reason in ("error", "malformed_function_call", "content_filter"):
        raise FailedRequest(Trouble.MALFORMED, f"the endpoint ends its answer with {reason or choice.get('error')!r}"[:400])
    if not isinstance(message, dict):
        raise FailedRequest(Trouble.MALFORMED, "the endpoint's answer holds no message")
    return message, reason in ("length", "max_tokens")


def _call(raw: Message, call_id: str, is_cut: bool) -> tuple[Call, Message]:
    """A tool call, and how it is replayed."""
    function = raw["function"]
    arguments, wrong = _arguments(function.get("arguments"))
    # what is whole may still lack what the model was about to add
    wrong = "the answer was cut off: say it shorter, with fewer calls" if is_cut else wrong
    name = str(function.get("name") or "")
    # invalid arguments in the history make llama.cpp answer 500 for ever
    sound = {"name": re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "none", "arguments": json.dumps(arguments)}
    return Call(call_id, name, arguments, wrong), {**raw, "id": call_id, "type": "function", "function": {**function, **sound}}


class _Ids:
    """The ids of the calls in an answer: as they came where they are sound and of their own in the whole conversation, else ours.

    Ours have the one form that every endpoint takes: nine letters and digits (Mistral refuses any other).
    """

    def __init__(self, messages: Sequence[Message], given: Sequence[Message], count: int) -> None:
        self._count, self._number = count, 0
        self._used = {call["id"] for message in messages for call in message.get("tool_calls", ())}
        self._theirs = {raw["id"] for raw in given if isinstance(raw.get("id"), str)}

    def of(self, raw: Message) -> str:
        own = str(raw.get("id"))
        if own != raw.get("id") or own in self._used or not _SAFE_ID.match(own):
            own = self._next()
            while own in self._used or own in self._theirs:
                own = self._next()
        self._used.add(own)
        return own

    def _next(self) -> str:
        self._number += 1
        return f"c{self._count:05d}{self._number:03d}"


def restored(kept: Any) -> Reply | None:
    """An answer that was kept, None where it was not, or by another version."""
    try:
        document = {**kept, "cached": True}
        answer = msgspec.convert(document, Reply)
        ids = [call["id"] for call in answer.message.get("tool_calls", ())]
    except (TypeError, KeyError, AttributeError, msgspec.ValidationError):
        return None
    is_whole = json.loads(msgspec.json.encode(answer)) == document
    return answer if is_whole and ids == [call.id for call in answer.calls] else None


def parsed(text: bytes | str) -> Any:
    """A JSON value. Raises ValueError; also for NaN and infinity, which are none, and which nobody takes back."""

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise ValueError(f"{digits[:20]} is no number")
        return value

    return json.loads(text, strict=False, parse_constant=number, parse_float=number)


def sendable(value: Any, depth: int = 0) -> Any:
    """A JSON value without what no file or request takes: half a character (as models make of emoji), NUL. Raises ValueError."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "") if not value.isascii() or "\0" in value else value
    if depth > _MOST_DEPTH:
        raise ValueError(f"more than {_MOST_DEPTH} values inside each other")
    if isinstance(value, dict):
        return {sendable(key): sendable(entry, depth + 1) for key, entry in value.items()}
    return [sendable(entry, depth + 1) for entry in value] if isinstance(value, list) else value


def _in_words(document: dict[str, Any]) -> FailedRequest:
    """The failure in a response without choices: some endpoints report errors with status 200."""
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    words = str(error.get("message") if isinstance(error, dict) else error or "no choices in it")
    if is_full_window(words):
        return FailedRequest(Trouble.WINDOW, f"the conversation is longer than the model's window: {words[:300]}", again=False, words=words)
    status = int(str(code)) if str(code).isdigit() else 0
    if status in (401, 402, 403, 404):
        return FailedRequest(Trouble.REFUSED, f"the endpoint refuses ({code}): {words[:300]}", again=False)
    trouble = Trouble.OVERLOADED if status in (429, 502, 503, 529) else Trouble.MALFORMED
    return FailedRequest(trouble, f"the endpoint answers with an error: {words[:300]}", status=status, words=words)


def _arguments(raw: Any) -> tuple[Any, str]:
    if isinstance(raw, dict):
        return raw, ""
    if raw in (None, ""):
        return {}, ""
    try:
        if not isinstance(raw, str):
            raise TypeError("not a text")
        arguments = sendable(parsed(raw))
    except (ValueError, TypeError, RecursionError) as wrong:
        return {}, f"the arguments are not JSON: {str(wrong)[:100]}"
    return (arguments, "") if isinstance(arguments, dict) else ({}, "the arguments are not an object")


def _content(content: Any) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list):  # parts
        return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))
    return ""


def _thoughts(message: dict[str, Any]) -> str:
    for name in ("reasoning_content", "reasoning"):
        if isinstance(message.get(name), str) and message[name]:
            return str(message[name])
    details = message.get("reasoning_details")
    if isinstance(details, list):
        pieces = (detail.get("text") or detail.get("summary") for detail in details if isinstance(detail, dict))
        return "\n".join(piece for piece in pieces if isinstance(piece, str))
    tagged = re.match(r"\s*<think>(.*?)</think>", _content(message.get("content")), re.DOTALL)
    return tagged.group(1).strip() if tagged else ""


def _tokens(usage: Mapping[str, Any], body: Message, message: dict[str, Any]) -> Tokens:
    given, out, total = (window.number(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if not given:
        return Tokens(estimate(body["messages"]) + estimate(body.get("tools", [])), estimate(message), 0, True)
    if not out and total <= given:
        return Tokens(given, estimate(message), 0, bool(message))
    details = usage.get("completion_tokens_details")
    thoughts = window.number(details.get("reasoning_tokens")) if isinstance(details, dict) else 0
    # some count the thoughts among the completion tokens, some only in the total
    if not out:
        out = total - given
    elif not thoughts and total > given + out:
        return Tokens(given, out, total - given - out)
    return Tokens(given, out - thoughts if thoughts <= out else out, thoughts)
