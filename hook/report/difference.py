"""The difference between two runs: what a recorded trajectory and its replay have in common, step by step."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hook.report.text import plain
from hook.trajectory import Span

_MOST_LINES = 12  # of the difference of one step
_VERDICT = ("WorthFuzzing", "FocusSymbols", "Via", "EnableConfigs", "NeedsKMSAN", "DecidedBy", "Disputes", "Corrections")


def steps(before: Sequence[Span], after: Sequence[Span]) -> Iterator[str]:
    """A line for each call of a tool, and below it what differs; the calls of each agent are paired in their order."""
    for agent in dict.fromkeys(name for name, _ in _calls(before)):
        old = [span for name, span in _calls(before) if name == agent]
        new = [span for name, span in _calls(after) if name == agent]
        yield f"{agent}: {len(old)} calls recorded, {len(new)} replayed"
        for number, span in enumerate(old, 1):
            head = f"  {number:3} {plain(span.name)} {plain(json.dumps(span.args, ensure_ascii=False, sort_keys=True))[:80]}"
            if number > len(new):
                yield f"{head}: not replayed"
                continue
            lines = list(_between(span, new[number - 1]))
            yield f"{head}: {'differs' if lines else 'same'}"
            yield from (f"      {line}" for line in lines)


def verdicts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The fields of two verdicts that are not the same."""
    for name in _VERDICT:
        if name in before and before[name] != after.get(name):
            yield f"  {name}: was {plain(json.dumps(before[name]))[:200]}, is {plain(json.dumps(after.get(name)))[:200]}"


def _calls(spans: Sequence[Span]) -> Iterator[tuple[str, Span]]:
    """The calls of tools, each with the agent that made it."""
    agent = ""
    for span in spans:
        if span.type == "agent":
            agent = span.name
        elif span.type == "tool":
            yield agent, span


def _between(before: Span, after: Span) -> Iterator[str]:
    if before.error != after.error:
        yield f"error: was {plain(before.error)[:200] or 'none'}"
        yield f"       is  {plain(after.error)[:200] or 'none'}"
    if before.results == after.results:
        return
    old, new = (_lines(span.results) for span in (before, after))
    changes = [line for line in difflib.unified_diff(old, new, lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))]
    yield from (plain(line, tabs=True)[:200] for line in changes[:_MOST_LINES])
    if len(changes) > _MOST_LINES:
        yield f"and {len(changes) - _MOST_LINES} more lines"


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict) and len(value) == 1 and isinstance(only := next(iter(value.values())), str):
        return only.split("\n")
    return json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True).split("\n")
