"""A web service that verdicts are posted to: one request, and its answer as JSON.

The secret goes to the host that the settings name and to no other: a redirect is not followed, and plain http is only for this machine.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from typing import IO, Any

import msgspec

from hook.failure import CannotJudge
from hook.redaction import Redactor
from hook.report.text import plain

_MOST_ANSWER_BYTES = 4 << 20
_SECONDS = 30.0  # for one request, or for the command that prints the token
_LOCAL = ("localhost", "127.0.0.1", "::1")
_NO_SCRIPT = b")]}'"  # Gerrit's first line, so that no browser runs the rest


class ServiceFailed(CannotJudge):
    """The service did not do what it was asked; the sentence says why."""


class WebService(msgspec.Struct, frozen=True):
    """A service, and who we are to it."""

    name: str  # for a person
    group: str  # of the settings that name it
    url: str  # what every request begins with
    token: str
    authorization: str = ""  # the header that holds the token

    @property
    def host(self) -> str:
        """As errors call it."""
        return urllib.parse.urlsplit(self.url).hostname or self.name


def token(command: str, setting: str, origin: str, variable: str) -> str:
    """The token that a command prints, which `setting` names, else that of a variable; empty if there is none."""
    from hook.processes.secret_command import secret_of

    return secret_of(command, setting, origin, _SECONDS) if command else os.environ.get(variable, "").strip()


def ask(service: WebService, method: str, place: str, body: object = None) -> Any:
    """What the service answers. Raises ServiceFailed."""
    clean = Redactor([service.token, service.authorization.rpartition(" ")[2]])
    parts = urllib.parse.urlsplit(service.url)
    if not service.token or not service.token.isprintable() or " " in service.token:
        raise ServiceFailed(
            f"no token for {service.name}: set the variable that {service.group}.token_variable names, or {service.group}.token_command"
        )
    if parts.scheme != "https" and parts.hostname not in _LOCAL:
        raise ServiceFailed(f"{service.group}.url: {service.host} is http: the token would be sent unencrypted")
    request = urllib.request.Request(
        f"{service.url.rstrip('/')}/{place}",
        method=method,
        data=json.dumps(body).encode() if body is not None else None,
        headers={"Authorization": service.authorization, "Content-Type": "application/json", "Accept": "application/json"},
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=_SECONDS) as answer:
            data = answer.read(_MOST_ANSWER_BYTES + 1)
    except urllib.error.HTTPError as wrong:
        reply = plain(clean.text(wrong.read(2000).decode("utf-8", "replace")))[:200]
        raise ServiceFailed(f"{service.host} answers {wrong.code} to {method} {place.split('?')[0]}: {reply}") from None
    except (OSError, http.client.HTTPException) as wrong:
        why = getattr(wrong, "reason", None) or wrong
        raise ServiceFailed(f"{service.host} cannot be asked: {plain(clean.text(str(why)))}") from None
    if len(data) > _MOST_ANSWER_BYTES:
        raise ServiceFailed(f"{service.host} answers with more than {_MOST_ANSWER_BYTES} bytes")
    try:
        return json.loads(data.removeprefix(_NO_SCRIPT))
    except (ValueError, RecursionError):
        raise ServiceFailed(f"{service.host} does not answer with JSON: is {service.group}.url right?") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: http.client.HTTPMessage, newurl: str
    ) -> None:
        return None
