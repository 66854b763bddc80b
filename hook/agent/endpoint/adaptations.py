"""The adaptations: what some endpoints do not take, how their refusal is known, and the request without it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from hook.agent.endpoint.trouble import FailedRequest, Trouble
from hook.agent.history import Message


class Adaptation(msgspec.Struct, frozen=True):
    """Something that some endpoints do not take: how their refusal is known, and the request without it."""

    name: str
    refusal: re.Pattern[str]
    without: Callable[[Message], Message | None]  # None where the request does not hold it


def _dropping(*names: str) -> Callable[[Message], Message | None]:
    def without(request: Message) -> Message | None:
        return {key: value for key, value in request.items() if key not in names} if set(names) & set(request) else None

    return without


def _renaming(old: str, new: str) -> Callable[[Message], Message | None]:
    def without(request: Message) -> Message | None:
        return {new if key == old else key: value for key, value in request.items()} if old in request else None

    return without


def plain(message: Message) -> Message:
    """A message without what only the endpoint that said it knows the meaning of."""
    plain: Message = {key: message[key] for key in ("role", "content", "tool_call_id") if key in message}
    if "tool_calls" in message:
        plain["tool_calls"] = [
            {"id": call["id"], "type": call["type"], "function": {key: call["function"][key] for key in ("name", "arguments")}}
            for call in message["tool_calls"]
        ]
    return plain


def _without_replayed(request: Message) -> Message | None:
    messages = [plain(message) for message in request["messages"]]
    return {**request, "messages": messages} if messages != request["messages"] else None


def _without_system(request: Message) -> Message | None:
    first, *rest = request["messages"]
    if first["role"] != "system" or not rest or rest[0]["role"] != "user":
        return None
    return {**request, "messages": [{"role": "user", "content": f"{first['content']}\n\n{rest[0]['content']}"}, *rest[1:]]}


def _plain_schemas(request: Message) -> Message | None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items() if key not in ("additionalProperties", "$schema", "const", "strict")}
        return [plain(entry) for entry in value] if isinstance(value, list) else value

    tools = plain(request.get("tools"))
    return {**request, "tools": tools} if tools != request.get("tools") else None


def _said(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


# Tried in this order against the words of a 400 or 422, each at most once an endpoint.
ADAPTATIONS = (
    Adaptation(
        "the limit is called max_completion_tokens", _said(r"max_completion_tokens"), _renaming("max_tokens", "max_completion_tokens")
    ),
    Adaptation("the limit is called max_tokens", _said(r"max_completion_tokens"), _renaming("max_completion_tokens", "max_tokens")),
    Adaptation("no limit on the answer", _said(r"max_(?:completion_)?tokens"), _dropping("max_tokens", "max_completion_tokens")),
    Adaptation("no temperature", _said(r"temperature"), _dropping("temperature")),
    Adaptation("no parallel_tool_calls", _said(r"parallel[_ ]tool[_ ]calls?"), _dropping("parallel_tool_calls")),
    Adaptation("no forced tool", _said(r"tool_choice|tool choice"), _dropping("tool_choice")),
    Adaptation("plain schemas", _said(r"\$schema|additionalProperties|const\b|strict|schema"), _plain_schemas),
    Adaptation(
        "no thoughts in the history",
        _said(r"reasoning|thinking|extra_content|unsupported.*messages|messages.*(?:extra|unsupported)"),
        _without_replayed,
    ),
    Adaptation(
        "no system role", _said(r"system (?:role|message|prompt|instruction)|developer instruction|role.{0,40}system"), _without_system
    ),
)
# Asked for more room for the answer than the window has: vLLM says so in the words of a full window.
_TOO_LARGE_A_LIMIT = Adaptation(
    "no limit on the answer beyond the window",
    _said(r"max_(?:completion_)?tokens|in the completion"),
    _dropping("max_tokens", "max_completion_tokens"),
)


def adapted(failed: FailedRequest, request: Message, known: Sequence[Adaptation]) -> Adaptation | None:
    """What the endpoint does not take, by the words of its refusal, if that is not among the adaptations `known` already."""
    if failed.trouble is Trouble.WINDOW:
        only = _TOO_LARGE_A_LIMIT
        return only if only.refusal.search(failed.words) and only.without(request) is not None else None
    if failed.status not in (400, 404, 422, 500):
        return None
    for adaptation in ADAPTATIONS:
        if adaptation not in known and adaptation.refusal.search(failed.words) and adaptation.without(request) is not None:
            return adaptation
    return None
