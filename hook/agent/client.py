"""The client: one chat-completion request to an OpenAI-compatible endpoint, whatever that endpoint's habits are.

The only place that imports `openai`. Requests are not streamed. What an endpoint refuses to take is left out and remembered for the run
(ADAPTATIONS); what it answers is read as it came, since it must go back as it came.
"""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import enum
import hashlib
import json
import queue
import random
import re
import threading
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hook.agent import answers
from hook.agent.history import Message, estimate
from hook.redaction import Redactor

_ATTEMPTS = 4  # of one request to one model, counting the first
_FIRST_PAUSE_SECONDS = 0.5
_MOST_BYTES = 32 << 20  # of one answer
_WINDOW_OF_OLLAMA = 4200  # its default context is 4096 tokens, and it drops what is beyond without a word


class Trouble(enum.StrEnum):
    """Why an endpoint gave no answer that can be used."""

    UNREACHABLE = "endpoint-unreachable"
    OVERLOADED = "endpoint-overloaded"
    REFUSED = "endpoint-refused"
    TIMEOUT = "endpoint-timeout"
    MALFORMED = "endpoint-malformed"
    WINDOW = "context-window"


class NoAnswer(Exception):
    """There is no answer; `trouble` names the kind, the sentence tells a person what to do."""

    def __init__(self, trouble: Trouble, sentence: str) -> None:
        super().__init__(sentence)
        self.trouble = trouble


@dataclasses.dataclass(frozen=True)
class Endpoint:
    """Where a model is asked, and how."""

    base_url: str
    key: str = dataclasses.field(repr=False)
    models: tuple[str, ...]  # in the order to try them
    temperature: float
    reply_tokens: int
    request_seconds: float


@dataclasses.dataclass(frozen=True)
class Call:
    """One tool call of a model. `wrong` says why its arguments cannot be read, if so."""

    id: str
    name: str
    arguments: Any
    wrong: str = ""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a model said."""

    message: Message  # to be replayed: as it came, with sound ids and arguments
    calls: tuple[Call, ...]
    text: str
    thoughts: str
    model: str
    input_tokens: int
    output_tokens: int  # without the thoughts
    thought_tokens: int
    estimated: bool  # the endpoint did not count; these are our estimates
    cached: bool = False
    cut: bool = False  # it ran out of room, so its calls may be half said
    hint: str = ""  # what a person should know about how the endpoint is set up


@dataclasses.dataclass(frozen=True)
class Adaptation:
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


def _without_replayed(request: Message) -> Message | None:
    known = {"role", "content", "tool_calls", "tool_call_id", "name"}
    if not any(set(message) - known for message in request["messages"]):
        return None
    return {**request, "messages": [{key: value for key, value in message.items() if key in known} for message in request["messages"]]}


def _without_system(request: Message) -> Message | None:
    first, *rest = request["messages"]
    if first["role"] != "system" or not rest or rest[0]["role"] != "user":
        return None
    return {**request, "messages": [{"role": "user", "content": f"{first['content']}\n\n{rest[0]['content']}"}, *rest[1:]]}


def _plain_schemas(request: Message) -> Message | None:
    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items() if key not in ("additionalProperties", "$schema", "const", "strict")}
        return [plain(one) for one in value] if isinstance(value, list) else value

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
_WINDOW = _said(
    r"context_length_exceeded|ContextWindowExceeded|exceeds? the (?:available )?context|maximum context length"
    r"|context (?:window|length|size)|prompt is too long|too many tokens|input.{0,40}too long|input token count"
)
_RETRY_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})


class Client:
    """Asks the models of one endpoint. What it learns of the endpoint it keeps for the run."""

    def __init__(self, endpoint: Endpoint, redactor: Redactor, cache: answers.Answers | None) -> None:
        self.endpoint = endpoint
        self.learnt: list[Adaptation] = []
        self._redactor = redactor
        self._cache = cache
        self._models = list(endpoint.models)
        self._foreign = 0  # so many messages were said with a model before: its thought signatures mean nothing to this one
        self._openai: Any = None

    @property
    def model(self) -> str:
        """The model that is asked next."""
        return self._models[0] if self._models else ""

    def request(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], force: str = "") -> Message:
        """The body of the request, with secrets cut out. `force` names the tool that the model is to call."""
        body: Message = {
            "model": self.model,
            "messages": [*map(_foreign, messages[: self._foreign]), *messages[self._foreign :]],
            "tools": list(tools),
            "temperature": self.endpoint.temperature,
            "max_tokens": self.endpoint.reply_tokens,
        }
        if force:
            body["tool_choice"] = {"type": "function", "function": {"name": force}}
        for adaptation in self.learnt:
            body = adaptation.without(body) or body
        return typing.cast(Message, self._redactor.value(body))

    def ask(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str = "") -> Answer:
        """The model's answer; `deadline` is a time.monotonic(). Raises NoAnswer.

        An overloaded or unreachable model is asked again with growing pauses, then the next one is asked, which stays the one to ask.
        """
        while True:
            try:
                return self._ask_model(messages, tools, deadline, force)
            except NoAnswer as wrong:
                elsewhere = wrong.trouble in (Trouble.OVERLOADED, Trouble.UNREACHABLE, Trouble.MALFORMED, Trouble.TIMEOUT)
                if not elsewhere or len(self._models) < 2 or time.monotonic() >= deadline:
                    raise
                self._models.pop(0)
                self._foreign = len(messages)

    def _ask_model(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str) -> Answer:
        attempt = 0
        while True:
            body = self.request(messages, tools, force)
            digest = hashlib.sha256(json.dumps([self.endpoint.base_url, body], sort_keys=True).encode()).hexdigest()
            known = self._cache.find(digest) if self._cache else None
            if known is not None:
                with contextlib.suppress(_Again):
                    return dataclasses.replace(read_answer(known, body, len(messages)), cached=True)
            try:
                document = self._redactor.value(self._send(body, deadline))
                answer = read_answer(document, body, len(messages))
                if self._cache and not answer.cut:
                    self._cache.keep(digest, document)
                return answer
            except _Again as again:
                attempt += 1
                if adaptation := self._adapted(again, body):
                    self.learnt.append(adaptation)
                    attempt -= 1
                    continue
                pause = again.pause if again.pause is not None else _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                if not again.again or attempt >= _ATTEMPTS or time.monotonic() + pause >= deadline:
                    raise NoAnswer(again.trouble, self._redactor.text(again.sentence)) from None
                time.sleep(pause)

    def _adapted(self, again: _Again, body: Message) -> Adaptation | None:
        if again.status not in (400, 404, 422, 500):
            return None
        for adaptation in ADAPTATIONS:
            if adaptation not in self.learnt and adaptation.refusal.search(again.words) and adaptation.without(body) is not None:
                return adaptation
        return None

    def _send(self, body: Message, deadline: float) -> Any:
        """One request, in a thread of its own: no name server and no server that drips bytes can hold us past the deadline."""
        seconds = min(self.endpoint.request_seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise _Again(Trouble.TIMEOUT, "the time for the model is up", again=False)
        answered: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def send() -> None:
            try:
                answered.put((self._exchange(body, seconds), None))
            except BaseException as wrong:
                answered.put((None, wrong))

        threading.Thread(target=send, daemon=True).start()
        try:
            document, wrong = answered.get(timeout=seconds)
        except queue.Empty:
            raise _Again(Trouble.TIMEOUT, f"{self._host} gave no answer within {seconds:.0f} s", again=False) from None
        if wrong is not None:
            raise wrong
        return document

    def _exchange(self, body: Message, seconds: float) -> Any:
        import openai

        if self._openai is None:
            # a redirect could take the code to a host that nobody has consented to
            http = openai.DefaultHttpxClient(follow_redirects=False)
            self._openai = openai.OpenAI(
                api_key=self.endpoint.key or "none", base_url=self.endpoint.base_url, max_retries=0, timeout=seconds, http_client=http
            )
        client = self._openai.with_options(timeout=seconds)
        try:
            with client.chat.completions.with_streaming_response.create(**body) as response:
                data = b""
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise _Again(Trouble.MALFORMED, f"{self._host} sends more than {_MOST_BYTES} bytes", again=False)
        except openai.APIStatusError as wrong:
            words = f"{wrong.message}\n{json.dumps(wrong.body, default=str)}"
            raise self._status(wrong.status_code, wrong.response.headers, words) from None
        except openai.APITimeoutError:
            raise _Again(Trouble.TIMEOUT, f"{self._host} gave no answer within {seconds:.0f} s", again=False) from None
        except openai.APIConnectionError as wrong:
            why = wrong.__cause__ or wrong
            raise _Again(Trouble.UNREACHABLE, f"{self._host} cannot be reached: {why}; is agent.base_url right?") from None
        except openai.OpenAIError as wrong:
            raise _Again(Trouble.MALFORMED, f"{self._host}: {wrong}") from None
        try:
            return _sendable(json.loads(data))
        except (ValueError, RecursionError):
            raise _Again(Trouble.MALFORMED, f"{self._host} answers with something that is not JSON: {_shown(data)}") from None

    @property
    def _host(self) -> str:
        return host(self.endpoint.base_url)

    def _status(self, status: int, headers: Mapping[str, str], words: str) -> _Again:
        words = words[:4000]
        short = _shown(_gist(words).encode())
        if 300 <= status < 400:
            return _Again(
                Trouble.REFUSED,
                f"{self._host} redirects to {headers.get('location', 'elsewhere')}; set agent.base_url to where it is",
                again=False,
            )
        if status in (400, 413, 422, 500) and _WINDOW.search(words):
            return _Again(Trouble.WINDOW, f"{self._host}: the conversation is longer than the model's window: {short}", again=False)
        if status in (401, 403):
            return _Again(Trouble.REFUSED, f"{self._host} refuses the key ({status}): {short}", again=False)
        if status == 404:
            return _Again(
                Trouble.REFUSED,
                f"{self._host} has no such model or path (404), are agent.base_url and agent.model right? {short}",
                again=False,
                status=404,
                words=words,
            )
        if "enable-auto-tool-choice" in words or "tool-call-parser" in words:
            return _Again(
                Trouble.REFUSED,
                f"{self._host} runs without tools: start vLLM with --enable-auto-tool-choice --tool-call-parser NAME",
                again=False,
            )
        if status in _RETRY_STATUS:
            trouble = Trouble.OVERLOADED if status in (429, 503, 529) else Trouble.UNREACHABLE
            return _Again(trouble, f"{self._host} answers {status}: {short}", pause=_retry_after(headers), status=status, words=words)
        return _Again(Trouble.REFUSED, f"{self._host} answers {status}: {short}", again=False, status=status, words=words)


class _Again(Exception):
    """A request that failed: how, and whether to try again."""

    def __init__(
        self, trouble: Trouble, sentence: str, *, again: bool = True, pause: float | None = None, status: int = 0, words: str = ""
    ) -> None:
        super().__init__(sentence)
        self.trouble, self.sentence, self.again, self.pause, self.status, self.words = trouble, sentence, again, pause, status, words


def host(base_url: str) -> str:
    """The host and port that a base URL names, without any user name or password in it."""
    import urllib.parse

    return urllib.parse.urlsplit(base_url).netloc.rpartition("@")[2] or base_url


def is_local(base_url: str) -> bool:
    """Whether a base URL names this machine."""
    name = host(base_url).rpartition(":")[0] or host(base_url)
    return name in ("localhost", "[::1]") or name.startswith("127.")


def read_answer(document: Any, body: Message, count: int) -> Answer:
    """The answer in a response document; `count` messages were sent. Raises _Again where there is none in it."""
    if not isinstance(document, dict):
        raise _Again(Trouble.MALFORMED, "the endpoint's answer is not an object")
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _in_words(document)
    choice = choices[0]
    message = choice.get("message")
    reason = str(choice.get("finish_reason") or "")
    if choice.get("error") or reason.lower() in ("error", "malformed_function_call", "content_filter"):
        raise _Again(Trouble.MALFORMED, f"the endpoint ends its answer with {reason or choice.get('error')!r}"[:400])
    if not isinstance(message, dict):
        raise _Again(Trouble.MALFORMED, "the endpoint's answer holds no message")
    cut = reason == "length"
    raw_calls = message.get("tool_calls")
    calls: list[Call] = []
    kept = []
    for number, raw in enumerate(raw_calls if isinstance(raw_calls, list) else ()):
        function = raw.get("function") if isinstance(raw, dict) else None
        if not isinstance(function, dict):
            continue
        ids = {call.id for call in calls}
        given = raw.get("id")
        call_id = given if isinstance(given, str) and given and given not in ids else f"call_{count}_{number}"
        arguments, wrong = _arguments(function.get("arguments"), cut)
        name = str(function.get("name") or "")
        calls.append(Call(call_id, name, arguments, wrong))
        # invalid arguments in the history make llama.cpp answer 500 for ever
        kept.append(
            {**raw, "id": call_id, "type": "function", "function": {**function, "name": name or "none", "arguments": json.dumps(arguments)}}
        )
    text = _content(message.get("content"))
    replay = {key: value for key, value in message.items() if value not in (None, [], {}) and key not in ("tool_calls", "function_call")}
    replay |= {"role": "assistant", "content": text}
    if kept:
        replay["tool_calls"] = kept
    usage = document.get("usage")
    tokens = _tokens(usage if isinstance(usage, dict) else {}, body, message)
    hint = ""
    sent = estimate(body["messages"])
    if not tokens[3] and 0 < tokens[0] <= _WINDOW_OF_OLLAMA and sent > 2 * tokens[0] and sent > 6000:
        raise _Again(
            Trouble.WINDOW,
            f"the endpoint read {tokens[0]} tokens of about {sent}: it drops the rest; with Ollama, raise num_ctx",
            again=False,
        )
    if not calls and re.search(r"<tool_call>|<function=|\[TOOL_CALLS\]", text):
        hint = "the endpoint gives tool calls as text: vLLM needs --enable-auto-tool-choice --tool-call-parser NAME"
    return Answer(replay, tuple(calls), text, _thoughts(message), str(document.get("model") or body["model"]), *tokens, cut=cut, hint=hint)


def _sendable(value: Any) -> Any:
    """A JSON value without what no file or request takes: half a character (as models make of emoji), NUL."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "") if not value.isascii() or "\0" in value else value
    if isinstance(value, dict):
        return {_sendable(key): _sendable(one) for key, one in value.items()}
    return [_sendable(one) for one in value] if isinstance(value, list) else value


def _in_words(document: dict[str, Any]) -> _Again:
    """The failure in a response without choices: some endpoints report errors with status 200."""
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    words = str(error.get("message") if isinstance(error, dict) else error or "no choices in it")
    if _WINDOW.search(words):
        return _Again(Trouble.WINDOW, f"the conversation is longer than the model's window: {words[:300]}", again=False)
    status = int(str(code)) if str(code).isdigit() else 0
    if status in (401, 402, 403, 404):
        return _Again(Trouble.REFUSED, f"the endpoint refuses ({code}): {words[:300]}", again=False)
    trouble = Trouble.OVERLOADED if status in (429, 502, 503, 529) else Trouble.MALFORMED
    return _Again(trouble, f"the endpoint answers with an error: {words[:300]}", status=status, words=words)


def _arguments(raw: Any, cut: bool) -> tuple[Any, str]:
    if isinstance(raw, dict):
        return raw, ""
    if raw in (None, ""):
        return {}, "the arguments were cut off" if cut else ""
    try:
        arguments = _sendable(json.loads(raw, strict=False))
    except (ValueError, TypeError, RecursionError) as wrong:
        return {}, "the arguments were cut off: say it shorter" if cut else f"the arguments are not JSON: {str(wrong)[:100]}"
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
        pieces = (one.get("text") or one.get("summary") for one in details if isinstance(one, dict))
        return "\n".join(piece for piece in pieces if isinstance(piece, str))
    found = re.match(r"\s*<think>(.*?)</think>", _content(message.get("content")), re.DOTALL)
    return found.group(1).strip() if found else ""


def _tokens(usage: dict[str, Any], body: Message, message: dict[str, Any]) -> tuple[int, int, int, bool]:
    def number(value: Any) -> int:
        return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0

    given, out = number(usage.get("prompt_tokens")), number(usage.get("completion_tokens"))
    if not given:
        return estimate(body["messages"]) + estimate(body.get("tools", [])), estimate(message), 0, True
    details = usage.get("completion_tokens_details")
    thoughts = number(details.get("reasoning_tokens")) if isinstance(details, dict) else 0
    # some count the thoughts among the completion tokens, some only in the total
    total = number(usage.get("total_tokens"))
    if not thoughts and total > given + out:
        thoughts = total - given - out
    elif thoughts <= out:
        out -= thoughts
    return given, out, thoughts, False


def _foreign(message: Message) -> Message:
    if message.get("role") != "assistant":
        return message
    plain: Message = {key: message[key] for key in ("role", "content") if key in message}
    if "tool_calls" in message:
        plain["tool_calls"] = [{key: call[key] for key in ("id", "type", "function")} for call in message["tool_calls"]]
    return plain


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """The pause that the endpoint asks for, in seconds (RFC 9110, Retry-After: a number or a date)."""
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _gist(words: str) -> str:
    """What an error says, without the code and the JSON around it."""
    try:
        body = json.loads(words.rpartition("\n")[2])
    except ValueError:
        return words
    message = body.get("message") if isinstance(body, dict) else body
    return message if isinstance(message, str) and message else words.rpartition("\n")[0]


def _shown(data: bytes) -> str:
    text = data[:300].decode("utf-8", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
