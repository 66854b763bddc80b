"""`patch-triage replay`: a recorded run once more, with today's tools, prompts and checks, and what differs.

The model's turns come from the trajectory; nobody is asked and nothing is recorded. So a change of the tools, or of the tree, can be held
against what models have asked before.
"""

from __future__ import annotations

import argparse
import difflib
import json
import pathlib
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hook import config
from hook.agent.profile import AgentProfile
from hook.asking import Asking
from hook.commands import DONE, CannotDo, Command, WrongUse, mail, repository
from hook.report.text import plain
from hook.source import setting_layers
from hook.source.git import Repository
from hook.source.object_store import Objects
from hook.trajectory import Span

_SECONDS = 600.0  # for a whole replay
_MOST_LINES = 12  # of the difference of one step
_VERDICT = ("WorthFuzzing", "FocusSymbols", "Via", "EnableConfigs", "NeedsKMSAN", "DecidedBy", "Disputes", "Corrections")


def register(command: Command) -> None:
    sub = command("replay", replay, "repeat a recorded run of the model with today's tools, and print what differs")
    sub.add_argument("trajectory", metavar="TRAJECTORY", help="a file of patch-triage/trajectories in the git directory, or a farm's")
    sub.add_argument("revision", nargs="?", metavar="COMMIT", help="the commit of the run (default: that of the trajectory)")
    sub.add_argument("--patch", metavar="FILE", help="the patch of the run, instead of a commit")
    sub.add_argument("--base", metavar="REV", help="apply the patch to REV")
    sub.add_argument(
        "--profile", type=AgentProfile, choices=tuple(AgentProfile), default=AgentProfile.DEFAULT, help="rules for the model's answer"
    )


def replay(options: argparse.Namespace) -> int:
    """Print what differs between a recorded run and the same turns today."""
    from hook import trajectory
    from hook.change.change import find_commit, of_commit

    if options.patch and options.revision:
        raise WrongUse("replay takes a COMMIT or --patch FILE")
    try:
        spans = trajectory.read(pathlib.Path(options.trajectory))
    except OSError as wrong:
        raise CannotDo(f"{options.trajectory}: {wrong.strerror}") from None
    repo = repository(options)
    if options.patch:
        return _mailed(repo, options, spans)
    flow = next((span.results for span in spans if span.type == "flow" and isinstance(span.results, dict)), {})
    name = options.revision or str(flow.get("Commit") or "")
    if not name:
        raise WrongUse("the run has no commit: give COMMIT or --patch FILE")
    with Objects(repo) as objects:
        commit = find_commit(objects, name)
        settings = setting_layers.at(objects, commit.parent)
        _print(of_commit(objects, commit), objects, settings, spans, options.profile)
    return DONE


def _mailed(repo: Repository, options: argparse.Namespace, spans: Sequence[Span]) -> int:
    from hook.change import series
    from hook.change.change import Change

    with Objects(repo) as objects:
        settings = setting_layers.at(objects, "HEAD")
    data, name = mail(options.patch)
    with series.read(repo, settings, data, name, options.base) as mailed:
        changes = list(mailed.changes())
        if len(changes) != 1 or not isinstance(changes[0], Change):
            raise CannotDo(f"{options.patch}: it must be one patch that applies")
        with Objects(changes[0].repo, settings.limits.blob_bytes) as blobs:
            _print(changes[0], blobs, settings, spans, options.profile)
    return DONE


def _print(change: object, objects: Objects, settings: config.Settings, spans: Sequence[Span], profile: AgentProfile) -> None:
    from hook import triage
    from hook.agent.endpoint.recording import Recording
    from hook.change.change import Change
    from hook.redaction import Redactor
    from hook.verdict import to_document

    assert isinstance(change, Change)
    redactor = Redactor()
    recording = Recording(spans, redactor)
    asking = Asking("always", profile, time.monotonic() + _SECONDS)
    verdict, trajectory = triage.replay(change, objects, settings, asking, redactor, recording)
    for line in _steps(spans, trajectory.spans):
        print(line)
    flow = next((span.results for span in spans if span.type == "flow" and isinstance(span.results, dict)), {})
    lines = list(_verdicts(flow, to_document(verdict)))
    print("the verdict is the same" if not lines else "the verdict:")
    for line in lines:
        print(plain(line))


def _steps(before: Sequence[Span], after: Sequence[Span]) -> Iterator[str]:
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


def _verdicts(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
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
