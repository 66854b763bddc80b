"""For GitHub's workflows: an annotation a commit, and a summary of the job.

Escaped by the rules for workflow commands, so that no text of a patch becomes a command of its own, and for the summary as Markdown.
"""

from __future__ import annotations

import argparse
import os
import pathlib
from collections.abc import Sequence

from hook import lazy_re
from hook.report.exports import Attention, Export, ExportForm, Item, attention
from hook.report.text import one_line, plain
from hook.source.overlay import unquoted
from hook.verdict import Place

_LEVEL = {Attention.WARNING: "warning", Attention.PENDING: "notice", Attention.SUCCESS: "notice"}
_MOST_SUMMARY_BYTES = 1 << 20  # GitHub drops a larger one whole
_MARKDOWN = lazy_re.compile(r"([\\`*_{}\[\]()#+.!|~@:-])")
_MOST_FACTS = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this form."""
    parser.add_argument("--summary", metavar="FILE", help="append the summary to FILE (default: where GITHUB_STEP_SUMMARY says)")


def write(export: Export) -> None:
    """Print annotations, and append the job's summary to its file."""
    for line in notices(export.items):
        print(line)
    if path := export.options.summary or os.environ.get("GITHUB_STEP_SUMMARY", ""):
        with pathlib.Path(path).open("a", encoding="utf-8") as file:
            file.write(summary(export.items))


FORM = ExportForm("github", "annotations for a GitHub workflow, and the summary of its job", write, arguments)


def notices(items: Sequence[Item]) -> list[str]:
    """One workflow command a commit, at the place of its first fact."""
    lines = []
    for item in items:
        places = [fact.place for fact in item.verdict.evidence[:1]]
        where = "".join(f"file={_property(_path(place))}," + (f"line={place.line}," if place.line else "") for place in places)
        title = _property(f"{item.commit[:12]} {item.subject}")
        lines.append(f"::{_LEVEL[attention(item.verdict)]} {where}title={title}::{_data(one_line(item.verdict))}")
    return lines


def summary(items: Sequence[Item]) -> str:
    """The job's summary: a table, a row a commit."""
    text = "| commit | verdict | where |\n|---|---|---|\n"
    for number, item in enumerate(items):
        facts = item.verdict.evidence[:_MOST_FACTS]
        where = "<br>".join(_cell(f"{fact.place.path}:{fact.place.line}" if fact.place.line else fact.place.path) for fact in facts)
        row = f"| {_cell(f'{item.commit[:12]} {item.subject}')} | {_cell(one_line(item.verdict))} | {where} |\n"
        if len((text + row).encode()) > _MOST_SUMMARY_BYTES - 100:
            return text + f"\nand {len(items) - number} more\n"
        text += row
    return text


def _path(place: Place) -> str:
    return unquoted(os.fsencode(place.path)).decode("utf-8", "replace")


def _data(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _cell(text: str) -> str:
    escaped = _MARKDOWN.sub(r"\\\1", plain(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
