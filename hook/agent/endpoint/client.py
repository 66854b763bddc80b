"""The client: one chat-completion request to an OpenAI-compatible endpoint, whatever that endpoint's habits are.

The only place that imports `openai`. Requests are not streamed. What an endpoint refuses to take is left out and remembered for the run
(ADAPTATIONS); what it answers is read as it came, since it must go back as it came.
"""

from __future__ import annotations

import dataclasses
import email.utils
import enum
import hashlib
import json
import math
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, Protocol

from hook.agent.endpoint import stored_answers
from hook.agent.history import Message
from hook.agent.token_count import estimate, fewest
from hook.redaction import Redactor
from hook.verdict import Tokens

_ATTEMPTS = 4  # of one request to one model, counting the first
_FIRST_PAUSE_SECONDS = 0.5
_MOST_BYTES = 2 << 20  # of one answer
_MOST_CALLS = 100  # of one answer
_MOST_DEPTH = 100  # of values inside each other in one answer
# Ollama drops what is beyond its window without a word. Its default is 4096 tokens, and people set a power of two.
_WINDOW_OF_OLLAMA = 4200
_USUAL_WINDOWS = (2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072)
_NO_TEXT = "(no text)"  # an assistant's message with neither text nor calls is refused by some
_SAFE_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}\Z")


class Trouble(enum.StrEnum):
    """Why an endpoint gave no answer that can be used."""

    UNREACHABLE = "endpoint-unreachable"
    OVERLOADED = "endpoint-overloaded"
    REFUSED = "endpoint-refused"
    TIMEOUT = "endpoint-timeout"
    MALFORMED = "endpoint-malformed"
    WINDOW = "context-window"
    # not the endpoint's: what the person allows
    FORBIDDEN = "not-allowed-any-more"
    PATCH_CAP = "patch-cap-reached"
    PUSH_CAP = "push-cap-reached"
    DAY_CAP = "day-cap-reached"
    LEDGER = "ledger-not-written"


class NoAnswer(Exception):
    """There is no answer; `trouble` names the kind, the sentence tells a person what to do."""

    def __init__(self, trouble: Trouble, sentence: str, tokens: Tokens | None = None) -> None:
        super().__init__(sentence)
        self.trouble = trouble
        self.tokens = tokens or Tokens()  # what was spent all the same


class Meter(Protocol):
    """Stands before every request: hook.agent.budget has the real one."""

    def reserve(self, model: str, given: int, most: int) -> Any:
        """A ticket for a request of `given` tokens whose answer has at most `most`. Raises NoAnswer where that may not be spent."""

    def settle(self, ticket: Any, tokens: Tokens) -> None:
        """The request has cost so much."""


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
    tokens: Tokens  # with those of the answers before it that could not be used
    cached: bool = False
    cut: bool = False  # it ran out of room, so its calls may be half said
    left_out: int = 0  # calls beyond the first so many
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


def _plain(message: Message) -> Message:
    """A message without what only the endpoint that said it knows the meaning of."""
    plain: Message = {key: message[key] for key in ("role", "content", "tool_call_id") if key in message}
    if "tool_calls" in message:
        plain["tool_calls"] = [
            {"id": call["id"], "type": call["type"], "function": {key: call["function"][key] for key in ("name", "arguments")}}
            for call in message["tool_calls"]
        ]
    return plain


def _without_replayed(request: Message) -> Message | None:
    messages = [_plain(message) for message in request["messages"]]
    return {**request, "messages": messages} if messages != request["messages"] else None


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
# Asked for more room for the answer than the window has: vLLM says so in the words of a full window.
_TOO_LARGE_A_LIMIT = Adaptation(
    "no limit on the answer beyond the window",
    _said(r"max_(?:completion_)?tokens|in the completion"),
    _dropping("max_tokens", "max_completion_tokens"),
)
_WINDOW = _said(
    r"context_length_exceeded|ContextWindowExceeded|exceeds? the (?:available )?context|maximum context length"
    r"|context (?:window|length|size)|prompt is too long|too many tokens|input.{0,40}too long|input token count"
)
_RETRY_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})


class Client:
    """Asks the models of one endpoint. What it learns of the endpoint it keeps for the run."""

    def __init__(self, endpoint: Endpoint, redactor: Redactor, cache: stored_answers.Answers | None) -> None:
        self.endpoint = endpoint
        self.learnt: list[Adaptation] = []
        self.meter: Meter | None = None
        self._redactor = redactor
        self._cache = cache
        self._models = list(endpoint.models)
        self._openai: Any = None
        self.begin()

    def begin(self) -> None:
        """Another conversation begins."""
        self._foreign = 0  # so many messages were said with a model before: its thought signatures mean nothing to this one
        self._heard: list[str] = []  # the answers of this conversation
        self._last = (0, 0)  # what was sent last, and what the endpoint has read of it, in tokens

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
        body: Message = {
            "model": self.model,
            "messages": [self._cleaned(_plain(message) if number < self._foreign else message) for number, message in enumerate(messages)],
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

    def ask(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str = "") -> Answer:
        """The model's answer; `deadline` is a time.monotonic(). Raises NoAnswer.

        An overloaded or unreachable model is asked again with growing pauses, then the next one is asked, which stays the one to ask.
        """
        spent = Tokens()
        while True:
            try:
                answer = self._ask_model(messages, tools, deadline, force)
                return dataclasses.replace(answer, tokens=spent + answer.tokens)
            except NoAnswer as wrong:
                spent += wrong.tokens
                elsewhere = wrong.trouble in (Trouble.OVERLOADED, Trouble.UNREACHABLE, Trouble.MALFORMED, Trouble.TIMEOUT)
                if not elsewhere or len(self._models) < 2 or time.monotonic() >= deadline:
                    wrong.tokens = spent
                    raise
                self._models.pop(0)
                self._foreign = len(messages)
                self._last = (0, 0)

    def _ask_model(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str) -> Answer:
        attempt = 0
        spent = Tokens()
        while True:
            body = self.request(messages, tools, force)
            digest = hashlib.sha256(json.dumps([self.endpoint.base_url, body], sort_keys=True).encode()).hexdigest()
            known = _restored(self._cache.find(digest)) if self._cache else None
            if known is not None:
                self._heard.append(digest)
                return known
            try:
                answer = self._send(body, len(messages), deadline)
                self._heard.append(digest)
                if self._cache:
                    self._cache.keep(digest, dataclasses.asdict(answer))
                return dataclasses.replace(answer, tokens=spent + answer.tokens)
            except _Again as again:
                attempt += 1
                spent += again.tokens
                if adaptation := self._adapted(again, body):
                    self.learnt.append(adaptation)
                    attempt -= 1
                    continue
                pause = again.pause if again.pause is not None else _FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5)
                if not again.again or attempt >= _ATTEMPTS or time.monotonic() + pause >= deadline:
                    raise NoAnswer(again.trouble, self._redactor.text(again.sentence), spent) from None
                time.sleep(pause)

    def _adapted(self, again: _Again, body: Message) -> Adaptation | None:
        if again.trouble is Trouble.WINDOW:
            only = _TOO_LARGE_A_LIMIT
            return only if only.refusal.search(again.words) and only.without(body) is not None else None
        if again.status not in (400, 404, 422, 500):
            return None
        for adaptation in ADAPTATIONS:
            if adaptation not in self.learnt and adaptation.refusal.search(again.words) and adaptation.without(body) is not None:
                return adaptation
        return None

    def _send(self, body: Message, count: int, deadline: float) -> Answer:
        """One request, in a thread of its own: no name server and no server that drips bytes can hold us past the deadline."""
        seconds = min(self.endpoint.request_seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise _Again(Trouble.TIMEOUT, "the time for the model is up", again=False)
        given = estimate(body["messages"]) + estimate(body.get("tools", []))
        ticket = self.meter.reserve(self.model, given, self.endpoint.reply_tokens) if self.meter else None
        cost = Tokens(given, 0, 0, estimated=True)  # of what was sent and got no answer, most endpoints make us pay that much
        try:
            answer = self._answer_of(body, count, seconds)
            cost = answer.tokens
            return answer
        except _Again as again:
            cost = again.tokens if again.trouble is not Trouble.TIMEOUT else cost
            raise
        finally:
            if self.meter:
                self.meter.settle(ticket, cost)

    def _answer_of(self, body: Message, count: int, seconds: float) -> Answer:
        answered: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()

        def send() -> None:
            try:
                answered.put(self._read(self._exchange(body, seconds), body, count))
            except BaseException as wrong:
                answered.put(wrong)

        threading.Thread(target=send, daemon=True).start()
        try:
            answer = answered.get(timeout=seconds)
        except queue.Empty:
            raise _Again(Trouble.TIMEOUT, f"{self._host} gave no answer within {seconds:.0f} s", again=False) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _read(self, data: bytes, body: Message, count: int) -> Answer:
        """The answer in the bytes of a response, without secrets."""
        try:
            document = self._redactor.without_key(_sendable(_parsed(data)))
            answer = read_answer(document, body, count)
        except (ValueError, RecursionError):
            raise _Again(Trouble.MALFORMED, f"{self._host} answers with something that is not JSON: {_shown(data)}") from None
        self._see_whether_it_reads_on(document.get("usage"), body, answer.tokens)
        clean = self._redactor
        calls = tuple(
            dataclasses.replace(call, name=clean.text(call.name), arguments=clean.value(call.arguments), wrong=clean.text(call.wrong))
            for call in answer.calls
        )
        return dataclasses.replace(
            answer,
            message=self._cleaned(answer.message),
            calls=calls,
            text=clean.text(answer.text),
            thoughts=clean.text(answer.thoughts),
            model=clean.text(answer.model),
        )

    def _see_whether_it_reads_on(self, usage: Any, body: Message, tokens: Tokens) -> None:
        """Raise _Again where the endpoint reads no more than before of a conversation that has grown: it drops the rest."""
        (sent_before, read_before), (sent, read) = self._last, (_sent(body), _read_of_it(usage))
        self._last = (sent, read)
        stands_still = sent - sent_before > max(1000, 10 * (read - read_before))
        # where an endpoint counts only what it does not hold in a cache, that is less than the smallest window
        if stands_still and read < sent and min(read, read_before) >= _USUAL_WINDOWS[0] * 3 // 4:
            raise _dropped(read, sent, tokens)

    def _exchange(self, body: Message, seconds: float) -> bytes:
        import openai

        try:
            if self._openai is None:
                # a redirect could take the code to a host that nobody has consented to
                http = openai.DefaultHttpxClient(follow_redirects=False)
                self._openai = openai.OpenAI(
                    api_key=self.endpoint.key or "none", base_url=self.endpoint.base_url, max_retries=0, timeout=seconds, http_client=http
                )
            client = self._openai.with_options(timeout=seconds)
            with client.chat.completions.with_streaming_response.create(**body) as response:
                data = b""
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise _Again(Trouble.MALFORMED, f"{self._host} sends more than {_MOST_BYTES} bytes", again=False)
                return data
        except _Again:
            raise
        except openai.APIStatusError as wrong:
            words = f"{wrong.message}\n{json.dumps(wrong.body, default=str)}"
            raise self._status(wrong.status_code, wrong.response.headers, words) from None
        except openai.APITimeoutError:
            raise _Again(Trouble.TIMEOUT, f"{self._host} gave no answer within {seconds:.0f} s", again=False) from None
        except openai.APIConnectionError as wrong:
            raise self._unreachable(wrong.__cause__ or wrong) from None
        except openai.OpenAIError as wrong:
            raise _Again(Trouble.MALFORMED, f"{self._host}: {wrong}") from None
        except Exception as wrong:  # the boundary to the libraries below: proxies, certificates, connections
            raise self._unreachable(wrong) from None

    def _unreachable(self, wrong: BaseException) -> _Again:
        # by their names: `openai` makes its connections with httpx or with httpx2, as old as it is
        kinds = {kind.__name__ for kind in type(wrong).__mro__}
        if "TimeoutException" in kinds:
            return _Again(Trouble.TIMEOUT, f"{self._host} gave no answer in time", again=False)
        if "DecodingError" in kinds:
            return _Again(Trouble.MALFORMED, f"{self._host} answers with something that cannot be unpacked")
        if kinds & {"NetworkError", "RemoteProtocolError"}:
            return _Again(Trouble.UNREACHABLE, f"{self._host} cannot be reached: {wrong}; is agent.base_url right?")
        # what is wrong with a header is not told: it would show the key
        why = "the request cannot be made" if kinds & {"LocalProtocolError", "UnicodeError"} else str(wrong).rstrip(".")
        return _Again(
            Trouble.UNREACHABLE,
            f"{self._host} cannot be reached: {why}; are agent.base_url and the variables for proxies and certificates "
            "(ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, SSL_CERT_FILE, SSL_CERT_DIR) right?",
            again=False,
        )

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
            sentence = f"{self._host}: the conversation is longer than the model's window: {short}"
            return _Again(Trouble.WINDOW, sentence, again=False, words=words)
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
        self.tokens = Tokens()  # what was spent all the same


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
    try:
        return _answer(document, body, count)
    except _Again as again:
        usage = document.get("usage") if isinstance(document, dict) else None
        if isinstance(usage, dict) and _number(usage.get("prompt_tokens")):
            again.tokens = _tokens(usage, body, {})
        raise


def _answer(document: Any, body: Message, count: int) -> Answer:
    if not isinstance(document, dict):
        raise _Again(Trouble.MALFORMED, "the endpoint's answer is not an object")
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _in_words(document)
    choice = choices[0]
    message = choice.get("message")
    reason = str(choice.get("finish_reason") or "").lower()
    if choice.get("error") or reason in ("error", "malformed_function_call", "content_filter"):
        raise _Again(Trouble.MALFORMED, f"the endpoint ends its answer with {reason or choice.get('error')!r}"[:400])
    if not isinstance(message, dict):
        raise _Again(Trouble.MALFORMED, "the endpoint's answer holds no message")
    cut = reason in ("length", "max_tokens")
    raw_calls = message.get("tool_calls")
    given = [raw for raw in raw_calls if isinstance(raw, dict)] if isinstance(raw_calls, list) else []
    given = [raw for raw in given if isinstance(raw.get("function"), dict)]
    calls: list[Call] = []
    kept = []
    ids = _Ids(body["messages"], given, count)
    for raw in given[:_MOST_CALLS]:
        function = raw["function"]
        call_id = ids.of(raw)
        arguments, wrong = _arguments(function.get("arguments"))
        # what is whole may still lack what the model was about to add
        wrong = "the answer was cut off: say it shorter, with fewer calls" if cut else wrong
        name = str(function.get("name") or "")
        calls.append(Call(call_id, name, arguments, wrong))
        # invalid arguments in the history make llama.cpp answer 500 for ever
        sound = {"name": re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64] or "none", "arguments": json.dumps(arguments)}
        kept.append({**raw, "id": call_id, "type": "function", "function": {**function, **sound}})
    text = _content(message.get("content"))
    replay = {key: value for key, value in message.items() if value not in (None, [], {}) and key not in ("tool_calls", "function_call")}
    replay |= {"role": "assistant", "content": (text if text.strip() else "") or ("" if kept else _NO_TEXT)}
    if kept:
        replay["tool_calls"] = kept
    usage = document.get("usage")
    tokens = _tokens(usage if isinstance(usage, dict) else {}, body, message)
    _see_whether_all_was_read(usage, body, {call.name for call in calls})
    hint = ""
    if not calls and re.search(r"<tool_call>|<function=|\[TOOL_CALLS\]", text):
        hint = "the endpoint gives tool calls as text: vLLM needs --enable-auto-tool-choice --tool-call-parser NAME"
    model = str(document.get("model") or body["model"])
    left_out = max(0, len(given) - _MOST_CALLS)
    return Answer(replay, tuple(calls), text, _thoughts(message), model, tokens, cut=cut, left_out=left_out, hint=hint)


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


def _restored(kept: Any) -> Answer | None:
    """An answer that was kept, None where it was not, or by another version."""
    try:
        parts = {"calls": tuple(Call(**call) for call in kept["calls"]), "tokens": Tokens(**kept["tokens"]), "cached": True}
        answer = Answer(**{**kept, **parts})
        ids = [call["id"] for call in answer.message.get("tool_calls", ())]
    except (TypeError, KeyError, AttributeError):
        return None
    return answer if ids == [call.id for call in answer.calls] else None


def _sent(body: Message) -> int:
    """How many tokens of a request any endpoint counts at least: not what it sealed, nor thoughts, which most drop again."""
    return fewest([_plain(message) for message in body["messages"]]) + fewest(body.get("tools", []))


def _read_of_it(usage: Any) -> int:
    """How many tokens of a request the endpoint says it read; 0 where it does not say, or not clearly."""
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = _number(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return 0 if cached or not isinstance(usage, dict) else _number(usage.get("prompt_tokens"))


def _see_whether_all_was_read(usage: Any, body: Message, called: Set[str]) -> None:
    """Raise _Again where the endpoint has read much less than was sent.

    One that has read of the tools, since it calls one, and counts what the messages have, counts no tools.
    `fewest` takes four characters for a token, which is too many for code, but for prose it can be a fifth too few. So less than that
    says something only together with a number that a window would give.
    """
    read, sent = _read_of_it(usage), _sent(body)
    if not 0 < read < sent:
        return
    if called & {tool["function"]["name"] for tool in body.get("tools", [])} and read >= 0.9 * fewest(body["messages"]):
        return
    at_a_window = any(size - 1 <= read <= size for size in _USUAL_WINDOWS)
    below_a_window = any(size * 9 // 10 <= read <= size for size in _USUAL_WINDOWS) and read < 0.75 * sent
    far_less = read <= _WINDOW_OF_OLLAMA and sent > max(6000, 2 * read)
    if at_a_window or below_a_window or far_less:
        raise _dropped(read, sent, Tokens())


def _dropped(read: int, sent: int, tokens: Tokens) -> _Again:
    again = _Again(
        Trouble.WINDOW, f"the endpoint read {read} tokens of about {sent}: it drops the rest; with Ollama, raise num_ctx", again=False
    )
    again.tokens = tokens
    return again


def _parsed(text: bytes | str) -> Any:
    """A JSON value. Raises ValueError; also for NaN and infinity, which are none, and which nobody takes back."""

    def number(digits: str) -> float:
        value = float(digits)
        if not math.isfinite(value):
            raise ValueError(f"{digits[:20]} is no number")
        return value

    return json.loads(text, strict=False, parse_constant=number, parse_float=number)


def _sendable(value: Any, depth: int = 0) -> Any:
    """A JSON value without what no file or request takes: half a character (as models make of emoji), NUL. Raises ValueError."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "") if not value.isascii() or "\0" in value else value
    if depth > _MOST_DEPTH:
        raise ValueError(f"more than {_MOST_DEPTH} values inside each other")
    if isinstance(value, dict):
        return {_sendable(key): _sendable(one, depth + 1) for key, one in value.items()}
    return [_sendable(one, depth + 1) for one in value] if isinstance(value, list) else value


def _in_words(document: dict[str, Any]) -> _Again:
    """The failure in a response without choices: some endpoints report errors with status 200."""
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    words = str(error.get("message") if isinstance(error, dict) else error or "no choices in it")
    if _WINDOW.search(words):
        return _Again(Trouble.WINDOW, f"the conversation is longer than the model's window: {words[:300]}", again=False, words=words)
    status = int(str(code)) if str(code).isdigit() else 0
    if status in (401, 402, 403, 404):
        return _Again(Trouble.REFUSED, f"the endpoint refuses ({code}): {words[:300]}", again=False)
    trouble = Trouble.OVERLOADED if status in (429, 502, 503, 529) else Trouble.MALFORMED
    return _Again(trouble, f"the endpoint answers with an error: {words[:300]}", status=status, words=words)


def _arguments(raw: Any) -> tuple[Any, str]:
    if isinstance(raw, dict):
        return raw, ""
    if raw in (None, ""):
        return {}, ""
    try:
        if not isinstance(raw, str):
            raise TypeError("not a text")
        arguments = _sendable(_parsed(raw))
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
        pieces = (one.get("text") or one.get("summary") for one in details if isinstance(one, dict))
        return "\n".join(piece for piece in pieces if isinstance(piece, str))
    found = re.match(r"\s*<think>(.*?)</think>", _content(message.get("content")), re.DOTALL)
    return found.group(1).strip() if found else ""


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _tokens(usage: Mapping[str, Any], body: Message, message: dict[str, Any]) -> Tokens:
    given, out, total = (_number(usage.get(name)) for name in ("prompt_tokens", "completion_tokens", "total_tokens"))
    if not given:
        return Tokens(estimate(body["messages"]) + estimate(body.get("tools", [])), estimate(message), 0, True)
    if not out and total <= given:
        return Tokens(given, estimate(message), 0, bool(message))
    details = usage.get("completion_tokens_details")
    thoughts = _number(details.get("reasoning_tokens")) if isinstance(details, dict) else 0
    # some count the thoughts among the completion tokens, some only in the total
    if not out:
        out = total - given
    elif not thoughts and total > given + out:
        return Tokens(given, out, total - given - out)
    return Tokens(given, out - thoughts if thoughts <= out else out, thoughts)


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
