"""A check on a patch in Patchwork: its state, and one line that says why (Patchwork's REST API, version 1.1 and later).

Without --post nothing is asked of any server.
"""

from __future__ import annotations

import argparse
import json
import re
import urllib.parse

from hook import lazy_re
from hook.change import patch
from hook.change.change import find_commit, of_commit
from hook.config import PatchworkSettings
from hook.report.exports import CannotExport, Export, ExportForm, Item, attention
from hook.report.text import one_line
from hook.report.web_service import ServiceFailed, WebService, ask, token
from hook.source.git import Repository
from hook.source.object_store import Objects

_MOST_DESCRIPTION = 250  # characters
_CONTEXT = lazy_re.compile(r"[-a-zA-Z0-9_]{1,255}\Z")
_LINK = lazy_re.compile(r"(?m)^(?:Link|Message-ID): *(?:https?://[^/\s]+/(?:\S+/)?)?<?([^\s/<>]+@[^\s/<>]+)>?/?[ \t\r]*$", re.IGNORECASE)


class OtherPatch(ServiceFailed):
    """The patch that a commit's Link: names is not the commit's; the sentence says which."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this form."""
    parser.add_argument("--post", action="store_true", help="post it, unless it repeats the last one")
    named = parser.add_mutually_exclusive_group()
    named.add_argument("--id", type=int, metavar="N", help="the patch's number in Patchwork")
    named.add_argument(
        "--message-id", metavar="ID", help="its Message-ID (default: from the commit's last Link:, if that patch is the commit's)"
    )


def write(export: Export) -> None:
    """Print or post a check for each commit."""
    options = export.options
    if len(export.items) != 1 and (options.id or options.message_id):
        raise CannotExport("--id and --message-id name one patch: name one commit")
    server = _server(export) if options.post else None
    refused = []
    for item in export.items:
        content = check(item, export.settings.patchwork)
        if server is None:
            print(json.dumps(content))
            continue
        try:
            number = _number(server, export.repo, item.commit, options)
        except OtherPatch as wrong:  # it does not cost the other commits their checks
            refused.append(wrong)
            continue
        posted = post(server, number, content)
        print(f"{item.commit[:12]} patch {number}: {content['state']}" + ("" if posted else ", as it says already"))
    if refused:
        for other in refused[:-1]:
            export.complain(str(other))
        raise refused[-1]


FORM = ExportForm("patchwork", "a check on the patch in Patchwork; without --post, what would be posted", write, arguments)


def _number(server: WebService, repo: Repository, oid: str, options: argparse.Namespace) -> int:
    """The number of the patch that the person names, else of the one that the commit itself names.

    Who writes a commit message can link to the patch of anybody: the link counts only if Patchwork holds the commit's own diff there, by
    `git patch-id`. Raises CannotExport, OtherPatch, ServiceFailed.
    """
    if options.id or options.message_id:
        return options.id or patch_number(server, options.message_id)
    with Objects(repo) as objects:
        commit = find_commit(objects, oid)
        if not (identity := message_id(commit.message)):
            raise CannotExport(f"{oid[:12]} has no Link: with a Message-ID: name its patch with --id or --message-id")
        made = of_commit(objects, commit).patch
    number = patch_number(server, identity)
    held = ask(server, "GET", f"patches/{number}/")
    text = held.get("diff") if isinstance(held, dict) else None
    mailed = patch.patch_id_of_diff(repo, text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else ""
    # the sender's git may have looked for renames or not
    if not mailed or mailed not in (patch.patch_id(repo, made), patch.patch_id_of_diff(repo, made.diff)):
        raise OtherPatch(f"{oid[:12]} is not posted: patch {number}, which its Link: names, has another diff; name its patch with --id")
    return number


def _server(export: Export) -> WebService:
    settings = export.settings
    if not settings.patchwork.url:
        raise CannotExport("first set patchwork.url in ~/.config/patch-triage.yaml")
    command = "patchwork.token_command"
    secret = token(settings.patchwork.token_command, command, settings.origins[command], settings.patchwork.token_variable)
    return WebService("Patchwork", "patchwork", f"{settings.patchwork.url.rstrip('/')}/api", secret, f"Token {secret}")


def check(item: Item, patchwork: PatchworkSettings) -> dict[str, str]:
    """The check for a commit, as it is posted. Raises ServiceFailed where the context is no slug."""
    if not _CONTEXT.match(patchwork.context):
        raise ServiceFailed(f"patchwork.context: {patchwork.context[:60]!r} is not made of at most 255 letters, digits, - and _")
    description = one_line(item.verdict)
    description = description if len(description) <= _MOST_DESCRIPTION else f"{description[: _MOST_DESCRIPTION - 1]}…"
    result = {"state": str(attention(item.verdict)), "context": patchwork.context, "description": description}
    return result | ({"target_url": patchwork.target_url} if patchwork.target_url else {})


def message_id(message: bytes) -> str:
    """The Message-ID in the last Link: of a commit message, empty if none names one."""
    links = _LINK.findall(message.decode("utf-8", "replace"))
    return str(links[-1]) if links else ""


def patch_number(server: WebService, identity: str) -> int:
    """The number of the patch with a Message-ID. Raises ServiceFailed."""
    matches = ask(server, "GET", f"patches/?{urllib.parse.urlencode({'msgid': identity.strip('<>')})}")
    numbers = [entry.get("id") for entry in matches if isinstance(entry, dict)] if isinstance(matches, list) else []
    if len(numbers) != 1 or not isinstance(numbers[0], int):
        raise ServiceFailed(f"{server.host} knows {len(numbers) or 'no'} patches with Message-ID {identity}")
    return numbers[0]


def post(server: WebService, number: int, content: dict[str, str]) -> bool:
    """Post a check; False where the last one of our context says the same already. Raises ServiceFailed."""
    place = f"patches/{number}/checks/"
    there = ask(server, "GET", f"{place}?{urllib.parse.urlencode({'context': content['context']})}")
    ours = (
        [entry for entry in there if isinstance(entry, dict) and entry.get("context") == content["context"]]
        if isinstance(there, list)
        else []
    )
    last = max(ours, key=lambda entry: (str(entry.get("date", "")), entry["id"] if isinstance(entry.get("id"), int) else 0), default={})
    if all(last.get(key) == content.get(key) for key in ("state", "description")):
        return False
    ask(server, "POST", place, content)
    return True
