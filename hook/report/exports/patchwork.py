"""A check on a patch in Patchwork: its state, and one line that says why (Patchwork's REST API, version 1.1 and later).

The token goes to the host that the settings name and to no other: a redirect is not followed, and plain http is only for this machine.
"""

from __future__ import annotations

import argparse
import dataclasses
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

from hook.config import Settings
from hook.redaction import Redactor
from hook.report.exports import CannotExport, Export, ExportFailed, ExportForm, Item, attention
from hook.report.text import one_line, plain

_MOST_ANSWER_BYTES = 4 << 20
_SECONDS = 30.0  # for one request, or for the command that prints the token
_MOST_DESCRIPTION = 250  # characters
_CONTEXT = re.compile(r"[-a-zA-Z0-9_]{1,255}\Z")
_LINK = re.compile(r"(?m)^(?:Link|Message-ID): *(?:https?://[^/\s]+/(?:\S+/)?)?<?([^\s/<>]+@[^\s/<>]+)>?/?[ \t\r]*$", re.IGNORECASE)
_LOCAL = ("localhost", "127.0.0.1", "::1")


class PatchworkError(ExportFailed):
    """The check could not be posted; the sentence says why."""


@dataclasses.dataclass(frozen=True)
class Server:
    """A Patchwork, and who we are to it."""

    url: str  # without /api
    token: str
    context: str  # the name of our check
    target_url: str  # what the check links to, empty for nothing
    seconds: float  # for one request


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this form."""
    parser.add_argument("--post", action="store_true", help="post it, unless the last one says the same")
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--id", type=int, metavar="N", help="the patch's number in Patchwork")
    named.add_argument("--message-id", metavar="ID", help="the patch's Message-ID (default: from the commit's last Link:)")


def write(export: Export) -> None:
    """Print or post a check for each commit."""
    options = export.options
    if len(export.items) != 1 and (options.id or options.message_id):
        raise CannotExport("--id and --message-id name one patch: name one commit")
    server = _server(export.settings, needs_token=options.post)
    for item in export.items:
        content = check(item, server)
        if not options.post:
            print(json.dumps(content))
            continue
        number = options.id or patch_id(server, options.message_id or _linked(export, item.commit))
        posted = post(server, number, content)
        print(f"{item.commit[:12]} patch {number}: {content['state']}" + ("" if posted else ", as it says already"))


FORM = ExportForm("patchwork", "a check on the patch in Patchwork; without --post, what would be posted", write, arguments)


def _linked(export: Export, commit: str) -> str:
    """The Message-ID that the commit itself names. Raises CannotExport."""
    message = export.repo.run("log", "-1", "--format=%B", "--encoding=UTF-8", commit)
    if not (found := message_id(message)):
        raise CannotExport(f"{commit[:12]} has no Link: with a Message-ID: name its patch with --id or --message-id")
    return found


def _server(settings: Settings, needs_token: bool) -> Server:
    if needs_token and not settings.patchwork.url:
        raise CannotExport("first name the server: patchwork.url in ~/.config/patch-triage.yaml")
    token = _token(settings) if needs_token else ""
    return Server(settings.patchwork.url, token, settings.patchwork.context, settings.patchwork.target_url, _SECONDS)


def _token(settings: Settings) -> str:
    from hook.secret_command import secret_of

    command, origin = settings.patchwork.token_command, settings.origins["patchwork.token_command"]
    if not command:
        return os.environ.get(settings.patchwork.token_variable, "").strip()
    return secret_of(command, "patchwork.token_command", origin, _SECONDS)


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
    last = max(mine, key=lambda one: (str(one.get("date", "")), one["id"] if isinstance(one.get("id"), int) else 0), default={})
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
