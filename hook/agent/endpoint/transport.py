"""The transport: one chat-completion request over HTTP, within its time, and what kind of failure it was.

The only place that imports `openai`. Requests are not streamed.
"""

from __future__ import annotations

import email.utils
import json
import queue
import threading
import time
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from hook.agent.endpoint.trouble import FailedRequest, Trouble, is_full_window
from hook.agent.history import Message

_MOST_BYTES = 2 << 20  # of one answer
# who allows a host of this machine allows nobody else, whatever the variables for proxies say
_DIRECTLY: Mapping[str, Any] = {"mounts": {"http://": None, "https://": None, "all://": None}}
_RETRY_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
Read = TypeVar("Read")


class Endpoint(msgspec.Struct, frozen=True):
    """Where a model is asked, and how."""

    base_url: str
    key: str
    models: tuple[str, ...]  # in the order to try them
    temperature: float
    reply_tokens: int
    request_seconds: float

    def __repr__(self) -> str:
        """Without the key, wherever it may be printed."""
        return f"Endpoint({self.base_url!r}, models={self.models!r})"


class Transport:
    """Sends requests to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.host = host(endpoint.base_url)
        self._endpoint = endpoint
        self._openai: Any = None

    def send(self, body: Message, seconds: float, read: Callable[[bytes], Read]) -> Read:
        """What `read` makes of the response, in a thread of its own: no name server and no slow server can hold us past the deadline."""
        answered: queue.SimpleQueue[Read | BaseException] = queue.SimpleQueue()

        def exchange() -> None:
            try:
                answered.put(read(self._exchange(body, seconds)))
            except BaseException as wrong:
                answered.put(wrong)

        threading.Thread(target=exchange, daemon=True).start()
        try:
            answer = answered.get(timeout=seconds)
        except queue.Empty:
            raise FailedRequest(Trouble.TIMEOUT, f"{self.host} gave no answer within {seconds:.0f} s", again=False) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _exchange(self, body: Message, seconds: float) -> bytes:
        import openai

        try:
            if self._openai is None:
                # a redirect could take the code to a host that nobody has consented to
                http = openai.DefaultHttpxClient(follow_redirects=False, **_DIRECTLY if is_local(self._endpoint.base_url) else {})
                self._openai = openai.OpenAI(
                    api_key=self._endpoint.key or "none", base_url=self._endpoint.base_url, max_retries=0, timeout=seconds, http_client=http
                )
            client = self._openai.with_options(timeout=seconds)
            with client.chat.completions.with_streaming_response.create(**body) as response:
                data = b""
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > _MOST_BYTES:
                        raise FailedRequest(Trouble.MALFORMED, f"{self.host} sends more than {_MOST_BYTES} bytes", again=False)
                return data
        except FailedRequest:
            raise
        except openai.APIStatusError as wrong:
            words = f"{wrong.message}\n{json.dumps(wrong.body, default=str)}"
            raise self._status(wrong.status_code, wrong.response.headers, words) from None
        except openai.APITimeoutError:
            raise FailedRequest(Trouble.TIMEOUT, f"{self.host} gave no answer within {seconds:.0f} s", again=False) from None
        except openai.APIConnectionError as wrong:
            raise self._unreachable(wrong.__cause__ or wrong) from None
        except openai.OpenAIError as wrong:
            raise FailedRequest(Trouble.MALFORMED, f"{self.host}: {wrong}") from None
        except Exception as wrong:  # the boundary to the libraries below: proxies, certificates, connections
            raise self._unreachable(wrong) from None

    def _unreachable(self, wrong: BaseException) -> FailedRequest:
        # by their names: `openai` makes its connections with httpx or with httpx2, as old as it is
        kinds = {kind.__name__ for kind in type(wrong).__mro__}
        if "TimeoutException" in kinds:
            return FailedRequest(Trouble.TIMEOUT, f"{self.host} gave no answer in time", again=False)
        if "DecodingError" in kinds:
            return FailedRequest(Trouble.MALFORMED, f"{self.host} sends a reply that cannot be unpacked")
        if kinds & {"NetworkError", "RemoteProtocolError"}:
            return FailedRequest(Trouble.UNREACHABLE, f"{self.host} cannot be reached: {wrong}; check agent.base_url")
        # what is wrong with a header is not told: it would show the key
        why = "the request cannot be made" if kinds & {"LocalProtocolError", "UnicodeError"} else str(wrong).rstrip(".")
        return FailedRequest(
            Trouble.UNREACHABLE,
            f"{self.host} cannot be reached: {why}; are agent.base_url and the variables for proxies and certificates "
            "(ALL_PROXY, HTTP_PROXY, HTTPS_PROXY, SSL_CERT_FILE, SSL_CERT_DIR) right?",
            again=False,
        )

    def _status(self, status: int, headers: Mapping[str, str], words: str) -> FailedRequest:
        words = words[:4000]
        short = shown(_gist(words).encode())
        if 300 <= status < 400:
            return FailedRequest(
                Trouble.REFUSED,
                f"{self.host} redirects to {headers.get('location', 'elsewhere')}; set agent.base_url to where it is",
                again=False,
            )
        if status in (400, 413, 422, 500) and is_full_window(words):
            sentence = f"{self.host}: the conversation is longer than the model's window: {short}"
            return FailedRequest(Trouble.WINDOW, sentence, again=False, words=words)
        if status in (401, 403):
            return FailedRequest(Trouble.REFUSED, f"{self.host} refuses the key ({status}): {short}", again=False)
        if status == 404:
            return FailedRequest(
                Trouble.REFUSED,
                f"{self.host} has no such model or path (404), check agent.base_url and agent.model: {short}",
                again=False,
                status=404,
                words=words,
            )
        if "enable-auto-tool-choice" in words or "tool-call-parser" in words:
            return FailedRequest(
                Trouble.REFUSED,
                f"{self.host} runs without tools: start vLLM with --enable-auto-tool-choice --tool-call-parser NAME",
                again=False,
            )
        if status in _RETRY_STATUS:
            trouble = Trouble.OVERLOADED if status in (429, 503, 529) else Trouble.UNREACHABLE
            return FailedRequest(trouble, f"{self.host} answers {status}: {short}", pause=_retry_after(headers), status=status, words=words)
        return FailedRequest(Trouble.REFUSED, f"{self.host} answers {status}: {short}", again=False, status=status, words=words)


def host(base_url: str) -> str:
    """The host and port that a base URL names, without any user name or password in it."""
    return urllib.parse.urlsplit(base_url).netloc.rpartition("@")[2] or base_url


def is_local(base_url: str) -> bool:
    """Whether a base URL names this machine."""
    name = host(base_url).rpartition(":")[0] or host(base_url)
    return name in ("localhost", "[::1]") or name.startswith("127.")


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


def shown(data: bytes) -> str:
    text = data[:300].decode("utf-8", "replace")
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
