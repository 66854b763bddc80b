"""KCIDB's JSON (kcidb-io, schema 5.3): a checkout for each commit, and the verdict as the outcome of a test on it.

The status is DONE, "had not reported the status of the tested code": a change that is worth fuzzing is not a faulty one. A test of KCIDB's
is of a build, so there is one, without a status: nothing was built.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from hook import lazy_re
from hook.report.exports import CannotExport, Export, ExportForm, Item
from hook.report.text import one_line, paragraph, plain
from hook.verdict import to_document

_VERSION = {"major": 5, "minor": 3}
_ORIGIN = lazy_re.compile(r"[a-z0-9_]{1,100}\Z")
_SHA1_DIGITS = 40
_MOST_CHARACTERS = 16_384  # of an excerpt; the schema takes no more


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this form."""
    parser.add_argument("--origin", default="patch_triage", metavar="NAME", help="the name of your CI system in KCIDB (patch_triage)")


def write(export: Export) -> None:
    """Print the report."""
    origin = export.options.origin
    if not _ORIGIN.match(origin):
        raise CannotExport("--origin takes small letters, digits and _: the name of your CI system in KCIDB")
    print(json.dumps(report(export.items, origin, export.settings.target.arch)))


FORM = ExportForm("kcidb", "a report for KCIDB, the database of kernel CI systems", write, arguments)


def report(items: Sequence[Item], origin: str, arch: str) -> dict[str, Any]:
    """The report, as a JSON value."""
    checkouts, builds, tests = [], [], []
    for item in items:
        checkout, build = f"{origin}:{item.commit}", f"{origin}:{item.commit}:{arch}"
        # a hash of SHA-256 has no place in the schema
        known = {"git_commit_hash": item.commit} if len(item.commit) == _SHA1_DIGITS else {}
        checkouts.append({"id": checkout, "origin": origin, **known, "comment": plain(item.subject), "valid": True})
        builds.append({"id": build, "checkout_id": checkout, "origin": origin, "architecture": arch, "comment": "judged, not built"})
        tests.append(
            {
                "id": f"{build}:{item.verdict.change_id}",
                "build_id": build,
                "origin": origin,
                "path": "patch_triage",
                "comment": one_line(item.verdict),
                "status": "DONE",
                "log_excerpt": "\n".join(paragraph(item.verdict, verbose=True))[:_MOST_CHARACTERS],
                "misc": {"verdict": to_document(item.verdict)},
            }
        )
    return {"version": _VERSION, "checkouts": checkouts, "builds": builds, "tests": tests}
