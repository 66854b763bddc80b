"""A check on a patch in Patchwork: its state, and one line that says why (Patchwork's REST API, version 1.1 and later).

The token goes to the host that the settings name and to no other: a redirect is not followed, and plain http is only for this machine.
"""

from __future__ import annotations

import dataclasses
import http.client
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

from hook.redaction import Redactor
from hook.report.exports import Item, attention
from hook.report.text import one_line, plain

_MOST_ANSWER_BYTES = 4 << 20
_MOST_DESCRIPTION = 250  # characters
_CONTEXT = re.compile(r"[-a-zA-Z0-9_]{1,255}\Z")
_LINK = re.compile(r"(?m)^(?:Link|Message-ID): *(?:https?://[^/\s]+/(?:\S+/)?)?<?([^\s/<>]+@[^\s/<>]+)>?/?[ \t\r]*$", re.IGNORECASE)
_LOCAL = ("localhost", "127.0.0.1", "::1")


class PatchworkError(Exception):
    """The check could not be posted; the sentence says why."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A Patchwork, and who we are to it."""

    url: str  # without /api
    token: str
    context: str  # the name of our check
    target_url: str  # what the check links to, empty for nothing
    seconds: float  # for one request


def check(item: Item, server: Server) -> dict[str, str]:
    """The check for a commit, as it is posted. Raises PatchworkError where the context is no slug."""
    if not _CONTEXT.match(server.context):
        raise PatchworkError(f"patchwork.context: {server.context[:60]!r} is not made of at most 255 letters, digits, - and _")
    said = one_line(item.verdict)
    said = said if len(said) <= _MOST_DESCRIPTION else f"{said[: _MOST_DESCRIPTION - 1]}…"
    found = {"state": str(attention(item.verdict)), "context": server.context, "description": said}
    return found | ({"target_url": server.target_url} if server.target_url else {})


def message_id(message: bytes) -> str:
    """The Message-ID in the last Link: of a commit message, empty if none names one."""
    found = _LINK.findall(message.decode("utf-8", "replace"))
    return str(found[-1]) if found else ""


def patch_id(server: Server, wanted: str) -> int:
    """The number of the patch with a Message-ID. Raises PatchworkError."""
    found = _asked(server, "GET", f"patches/?{urllib.parse.urlencode({'msgid': wanted.strip('<>')})}")
    numbers = [one.get("id") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    if len(numbers) != 1 or not isinstance(numbers[0], int):
        raise PatchworkError(f"{_host(server)} knows {len(numbers) or 'no'} patches with Message-ID {wanted}")
    return numbers[0]


def post(server: Server, number: int, what: dict[str, str]) -> bool:
    """Post a check; False where the last one of our context says the same already. Raises PatchworkError."""
    place = f"patches/{number}/checks/"
    there = _asked(server, "GET", f"{place}?{urllib.parse.urlencode({'context': server.context})}")
    mine = [one for one in there if isinstance(one, dict) and one.get("context") == server.context] if isinstance(there, list) else []
    last = max(mine, key=lambda one: (str(one.get("date", "")), int(one.get("id") or 0)), default={})
    if all(last.get(key) == what.get(key) for key in ("state", "description")):
        return False
    _asked(server, "POST", place, what)
    return True


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> None:
        return None


def _asked(server: Server, method: str, place: str, body: dict[str, str] | None = None) -> Any:
    clean = Redactor([server.token])
    parts = urllib.parse.urlsplit(server.url)
    if not server.token or not server.token.isprintable() or " " in server.token:
        raise PatchworkError("no token for Patchwork: set the variable that patchwork.token_variable names, or patchwork.token_command")
    if parts.scheme != "https" and parts.hostname not in _LOCAL:
        raise PatchworkError(f"patchwork.url: {_host(server)} is not asked over http: the token would go there unencrypted")
    request = urllib.request.Request(
        f"{server.url.rstrip('/')}/api/{place}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": f"Token {server.token}", "Content-Type": "application/json", "Accept": "application/json"},
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=server.seconds) as answer:
            data = answer.read(_MOST_ANSWER_BYTES + 1)
    except urllib.error.HTTPError as wrong:
        said = plain(clean.text(wrong.read(2000).decode("utf-8", "replace")))[:200]
        raise PatchworkError(f"{_host(server)} answers {wrong.code} to {method} {place.split('?')[0]}: {said}") from None
    except (OSError, http.client.HTTPException) as wrong:
        why = getattr(wrong, "reason", None) or wrong
        raise PatchworkError(f"{_host(server)} cannot be asked: {plain(clean.text(str(why)))}") from None
    if len(data) > _MOST_ANSWER_BYTES:
        raise PatchworkError(f"{_host(server)} answers with more than {_MOST_ANSWER_BYTES} bytes")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise PatchworkError(f"{_host(server)} does not answer with JSON: is patchwork.url right?") from None


def _host(server: Server) -> str:
    return urllib.parse.urlsplit(server.url).hostname or "Patchwork"
