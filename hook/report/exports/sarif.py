"""Verdicts as SARIF 2.1.0: a result a commit, at the places that prove it."""

from __future__ import annotations

import json
import os
import urllib.parse
from collections.abc import Sequence
from typing import Any

from hook import __version__
from hook.report.exports import Export, ExportForm, Item
from hook.report.text import one_line, plain
from hook.source.overlay import unquoted
from hook.verdict import DecidedBy, Place, Verdict, to_document

_MOST_PLACES = 50
_ROOT = "SRCROOT"
_RULES = {
    "worth-fuzzing": "The change is worth fuzzing.",
    "left-open": "It is not proved whether the change is worth fuzzing.",
    "not-worth-fuzzing": "The change is not worth fuzzing.",
}


def write(export: Export) -> None:
    """Print the log file."""
    print(json.dumps(log(export.items), indent=1))


FORM = ExportForm("sarif", "a SARIF 2.1.0 log", write)


def log(items: Sequence[Item]) -> dict[str, Any]:
    """The log file, as a JSON value."""
    rules = list(_RULES)
    driver = {
        "name": "patch-triage",
        "semanticVersion": __version__,
        "rules": [{"id": name, "shortDescription": {"text": text}} for name, text in _RULES.items()],
    }
    run = {
        "tool": {"driver": driver},
        "originalUriBaseIds": {_ROOT: {"description": {"text": "the top of the kernel tree"}}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(item, rules) for item in items],
    }
    return {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}


def _result(item: Item, rules: list[str]) -> dict[str, Any]:
    verdict = item.verdict
    rule = _rule(verdict)
    facts = verdict.evidence[:_MOST_PLACES]
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": rules.index(rule),
        # a level goes with what fails; that a change is not worth fuzzing is a test passed
        "kind": "fail" if verdict.worth_fuzzing else "pass",
        "level": "note" if verdict.worth_fuzzing else "none",
        "message": {"text": f"{plain(item.subject)}: {one_line(verdict)}"},
        "locations": [{"physicalLocation": _place(fact.place)} for fact in facts[:1]],
        "relatedLocations": [
            {"id": number, "physicalLocation": _place(fact.place), "message": {"text": plain(fact.claim)}}
            for number, fact in enumerate(facts, 1)
        ],
        "partialFingerprints": {"changeId/v1": verdict.change_id},
        "properties": {"verdict": _text(to_document(verdict)), "commit": item.commit},
    }
    return result


def _rule(verdict: Verdict) -> str:
    if verdict.decided_by is DecidedBy.DEFAULT:
        return "left-open"
    return "worth-fuzzing" if verdict.worth_fuzzing else "not-worth-fuzzing"


def _place(place: Place) -> dict[str, Any]:
    path = unquoted(os.fsencode(place.path))
    location: dict[str, Any] = {"artifactLocation": {"uri": urllib.parse.quote(path), "uriBaseId": _ROOT}}
    if place.line:
        location["region"] = {"startLine": place.line}
    return location


def _text(value: Any) -> Any:
    """`value` with bytes of names that are no UTF-8 written as escapes: half a surrogate pair is no text, and strict readers refuse it."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {key: _text(entry) for key, entry in value.items()}
    return [_text(entry) for entry in value] if isinstance(value, list) else value
