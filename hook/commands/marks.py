"""`patch-triage marks`: how often people found a verdict right or wrong, by who decided and by change class.

So that a team can see where to trust it. Of each person's marks on a change the last counts, however often a rebase has carried it along.
"""

from __future__ import annotations

import argparse
import pathlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hook.commands import DONE, Command, print_document, repository
from hook.commands.command_line import add_format
from hook.report.text import columns
from hook.source import setting_layers
from hook.source.git import Repository

_JUDGEMENTS = ("right", "wrong")
_MARK = "\nMark: "
_MOST_A_READ = 1000


def register(command: Command) -> None:
    sub = command("marks", marks, "count the verdicts that were marked right or wrong, by who decided and by change class")
    add_format(sub)


def marks(options: argparse.Namespace) -> int:
    """Print the counts."""
    from hook.record import store

    by: dict[str, dict[str, Counter[str]]] = {"DecidedBy": {}, "ChangeClass": {}}
    total: Counter[str] = Counter()
    last: dict[tuple[str, str], tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    repo = repository(options)
    for mark, verdict in _marked(repo, store.directory(setting_layers.load(repo))):
        whose = (str(mark.get("ChangeId")), str(mark.get("By")))
        if mark["Mark"] in _JUDGEMENTS and (whose not in last or str(last[whose][0].get("When")) <= str(mark.get("When"))):
            last[whose] = (mark, verdict)
    for mark, verdict in last.values():
        total[mark["Mark"]] += 1
        # who had decided when the mark was made; a verdict of now may be another's
        decided_by = str(mark.get("DecidedBy") or verdict.get("DecidedBy") or "unknown")
        classes = verdict.get("ChangeClasses")
        names = [str(entry) for entry in classes] if isinstance(classes, list) and classes else ["unknown"]
        for kind, name in [("DecidedBy", decided_by), *(("ChangeClass", name) for name in dict.fromkeys(names))]:
            by[kind].setdefault(name, Counter())[mark["Mark"]] += 1
    if options.format != "text":
        groups = {kind: {name: _document(entry) for name, entry in sorted(counts.items())} for kind, counts in by.items()}
        print_document({"Marks": _document(total), **groups}, options.format)
        return DONE
    if not total:
        print("no verdict is marked; use `patch-triage mark COMMIT right|wrong`")
        return DONE
    rows = [("", "right", "wrong", "wrong of all"), ("all", *_shares(total))]
    for kind, title in (("DecidedBy", "decided by"), ("ChangeClass", "change class")):
        rows.append((title, "", "", ""))
        rows += [(f"  {name}", *_shares(entry)) for name, entry in sorted(by[kind].items(), key=lambda item: (-item[1].total(), item[0]))]
    print("\n".join(columns(rows, 1)))
    return DONE


def _marked(repo: Repository, directory: pathlib.Path | None) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Every mark, with the verdict that it is on, empty if that is gone: of the notes, the files, and what waits to be written."""
    from hook.record import document, file, note, queue

    texts: dict[str, str] = {}
    commits = note.annotated(repo)
    for start in range(0, len(commits), _MOST_A_READ):
        texts |= note.read(repo, commits[start : start + _MOST_A_READ])
    waiting = dict(queue.pending(repo))
    notes: list[Sequence[Mapping[str, Any]]] = [(*document.load(texts.get(commit, ""))[0], *queued) for commit, queued in waiting.items()]
    # scanned first: reading YAML takes longer, and few are marked
    notes += [document.load(text)[0] for text in (*texts.values(), *file.every(repo, directory)) if _MARK in text]
    for documents in notes:
        verdicts = {entry["ChangeId"]: entry for entry in documents if "Mark" not in entry}
        yield from ((entry, verdicts.get(entry["ChangeId"], {})) for entry in documents if "Mark" in entry)


def _document(counts: Counter[str]) -> dict[str, int]:
    return {name.capitalize(): counts[name] for name in _JUDGEMENTS}


def _shares(counts: Counter[str]) -> tuple[str, str, str]:
    return str(counts["right"]), str(counts["wrong"]), f"{100 * counts['wrong'] / counts.total():.0f}%"
