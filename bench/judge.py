"""What a model decides where the evidence leaves a patch open, held against patches whose effect is known.

    python bench/judge.py TREE LABELLED [--count 50] [--seed 1] [--profile default] [--keep DIR | --replay DIR | --baseline]
        [--docs docs/agent.md]

TREE is made by bench/tree.py and indexed (`patch-triage index`). LABELLED has `labels.jsonl` and `patches/`, as for bench/accuracy.py, or
a directory for each case with its `change.patch`, and a `base.patch` where a scene has to be set; a case is functional unless its name
begins with `ctl-`. Of these `count` that stay open are taken at random. The model is the one of the settings (agent.base_url and
agent.model, or their variables); this command is the consent to ask it. With --keep the trajectories stay in DIR. With --replay the runs
in DIR are gone through once more, with today's prompts, pack, tools and checks: nobody is asked, and what a change of these does is seen
before it lands. With --baseline the answer is always that it is worth fuzzing, at once where the request says that all is there, else after
one look: what any model has to be better than, and what the requests cost. With --docs the table takes the place of the one in that file.

A model is right where it calls a functional patch worth fuzzing, or one that compiles to the same not worth it. A functional patch that no
virtual machine reaches is rightly not worth it too: those that a model calls so are listed, to be looked at.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import random
import re
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from bench.pack import changes
from hook import trajectory, triage
from hook.agent import budget, evaluators
from hook.agent.context.first_message import AT_ONCE
from hook.agent.endpoint.recording import Recording
from hook.agent.endpoint.replies import Call, Reply
from hook.agent.history import Message
from hook.agent.profile import AgentProfile
from hook.agent.token_count import estimate
from hook.asking import Asking
from hook.change.change import Change
from hook.config import Settings
from hook.redaction import Redactor
from hook.source import setting_layers
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.trajectory import Span
from hook.verdict import DecidedBy, Tokens, Verdict

SECONDS = 600.0  # for one patch
_TABLE = re.compile(r"(?s)(?<=<!-- bench/judge.py -->\n).*?(?=<!-- end -->)")


class Run(msgspec.Struct, frozen=True):
    """One patch about which a model was asked."""

    name: str
    is_functional: bool
    verdict: Verdict
    spans: tuple[Span, ...]
    seconds: float

    @property
    def is_decided(self) -> bool:
        return self.verdict.decided_by is DecidedBy.AGENT

    @property
    def is_right(self) -> bool:
        return self.is_decided and self.verdict.worth_fuzzing is self.is_functional

    @property
    def is_missed(self) -> bool:
        return self.is_decided and self.is_functional and not self.verdict.worth_fuzzing

    @property
    def refusals(self) -> int:
        """How often its results were refused."""
        return sum(span.type == "tool" and span.name == "set-results" and bool(span.error) for span in self.spans)

    @property
    def rounds(self) -> int:
        """Of the first question; that about KMSAN is another."""
        return sum(span.type == "llm" and span.name == evaluators.PATCH for span in self.spans)

    def tokens(self, *agents: str) -> Tokens:
        """What the questions of some agents took."""
        spans = [span for span in self.spans if span.type == "llm" and span.name in agents]
        return Tokens(
            sum(span.input_tokens for span in spans),
            sum(span.output_tokens for span in spans),
            sum(span.output_thoughts_tokens for span in spans),
        )


class Labelled(msgspec.Struct, frozen=True):
    """A patch whose effect is known: whether it changes what is compiled."""

    is_functional: bool
    patches: tuple[pathlib.Path, ...]  # the last one is judged, on the state after the others

    @property
    def mails(self) -> bytes:
        """The patches as a mailbox."""
        if len(self.patches) == 1:
            return self.patches[0].read_bytes()
        head = (
            b"From 0 Mon Sep 17 00:00:00 2001\nFrom: a <a@example.org>\nMessage-ID: <%d@example.org>\nSubject: [PATCH %d/%d] a\n\na\n---\n"
        )
        return b"".join(head % (at, at, len(self.patches)) + path.read_bytes() for at, path in enumerate(self.patches, 1))


def labelled(place: pathlib.Path) -> dict[str, Labelled]:
    """The patches whose effect is known, by their names."""
    if (labels := place / "labels.jsonl").exists():
        rows = [row for row in map(json.loads, labels.read_text().splitlines()) if row["functional"] is not None]
        return {row["id"]: Labelled(row["functional"], (place / "patches" / f"{row['id']}.patch",)) for row in rows}
    cases = {path.parent: [file for file in (path.parent / "base.patch", path) if file.exists()] for path in place.rglob("change.patch")}
    return {case.name: Labelled(not case.name.startswith("ctl-"), tuple(files)) for case, files in cases.items()}


def judged(name: str, is_functional: bool, change: Change, objects: Objects, settings: Settings, options: argparse.Namespace) -> Run | None:
    """What a model makes of a patch; None where nothing is open, or the replay has no run of it."""
    if triage.proved(change, objects, settings).verdict.decided_by is not DecidedBy.DEFAULT:
        return None
    asking = Asking("always", options.profile, time.monotonic() + SECONDS)
    started = time.monotonic()
    if options.replay:
        path = options.replay / f"{name}.jsonl"
        if not path.exists():
            return None
        redactor = Redactor()
        before = trajectory.read(path)
        verdict, after = triage.replay(change, objects, settings, asking, redactor, Recording(before, redactor))
        return Run(name, is_functional, verdict, tuple(after.spans), time.monotonic() - started)
    if options.baseline:
        redactor = Redactor()
        recording = Baseline(change, redactor)
        verdict, after = triage.replay(change, objects, settings, asking, redactor, recording)
        return Run(name, is_functional, verdict, tuple(after.spans), time.monotonic() - started)
    found = triage.judge(change, objects, settings, use_cache=False, asking=asking)
    spans = found.trajectory.spans if found.trajectory is not None else []
    if options.keep:
        documents = [json.dumps(trajectory.to_document(span)) + "\n" for span in spans]
        (options.keep / f"{name}.jsonl").write_text("".join(documents))
    return Run(name, is_functional, found.verdict, tuple(spans), time.monotonic() - started)


class Baseline(Recording):
    """A model for which every change is worth fuzzing. It looks at something first unless the request says that all is there."""

    def __init__(self, change: Change, redactor: Redactor) -> None:
        super().__init__((), redactor)
        places = ((file.path, file.hunks[0].new_start) for file in change.patch.files if file.new_blob and file.hunks)
        self._place = next(places, ("Makefile", 1))

    def ask(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], deadline: float, force: str = "") -> Reply:
        """Results that cite the change, or a look at it."""
        path, line = self._place
        why = f"It changes {path}:{max(line, 1)}."
        results = {"WorthFuzzing": True, "FocusSymbols": [], "EnableConfigs": [], "Reasoning": why}
        call = Call(f"call{len(messages)}", "set-results", results)
        if self._agent == evaluators.KMSAN:
            call = Call(call.id, "set-results", {"NeedsKMSAN": False, "KMSANReasoning": why})
        elif not any(message["role"] == "tool" or AT_ONCE in str(message["content"]) for message in messages):
            call = Call(call.id, "read-file", {"File": path, "FirstLine": max(line, 1)})
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        said: Message = {"role": "assistant", "content": "", "tool_calls": [{"id": call.id, "type": "function", "function": function}]}
        tokens = Tokens(estimate(messages) + estimate(tools), estimate(function), 0)
        return Reply(said, (call,), "", "", "always worth fuzzing", tokens)


def table(runs: list[Run], settings: Settings, profile: str) -> list[str]:
    """The figures, as a table of Markdown."""

    def share(count: int) -> str:
        return f"{count} of {len(runs)}"

    def median(values: list[float]) -> str:
        return f"{statistics.median(values):,.0f} (at most {max(values):,.0f})"

    models = sorted({span.model for run in runs for span in run.spans if span.type == "llm" and span.model})
    prices = budget.prices(settings)
    price = prices.get(settings.agent.model) or prices.get("")
    cost = f"{sum(price.of(run.tokens(evaluators.PATCH, evaluators.KMSAN)) for run in runs):.2f}" if price else "no price is set"
    rows = [
        ("model, profile", f"{', '.join(models) or 'none'}, {profile}"),
        ("decided by the model, else by default", share(sum(run.is_decided for run in runs))),
        ("right", share(sum(run.is_right for run in runs))),
        ("functional, and called not worth it", share(sum(run.is_missed for run in runs))),
        ("corrected by what the tree says", share(sum(bool(run.verdict.corrections) for run in runs))),
        ("results refused at least once", share(sum(run.refusals > 0 for run in runs))),
        ("disputes with what is proved", share(sum(bool(run.verdict.disputes) for run in runs))),
        ("rounds of the first question, median", median([float(run.rounds) for run in runs])),
        ("its tokens, median", median([float(run.tokens(evaluators.PATCH).total) for run in runs])),
        ("tokens of the question about KMSAN, median", median([float(run.tokens(evaluators.KMSAN).total) for run in runs])),
        ("seconds of a patch, median", median([run.seconds for run in runs])),
        ("cost of all", cost),
    ]
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("labelled", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile", type=AgentProfile, choices=tuple(AgentProfile), default=AgentProfile.DEFAULT)
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--keep", type=pathlib.Path)
    kept.add_argument("--replay", type=pathlib.Path)
    kept.add_argument("--baseline", action="store_true")
    parser.add_argument("--docs", type=pathlib.Path)
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
    repo = find(options.tree)
    with Objects(repo, 16 << 20) as objects:
        settings = setting_layers.load(repo, Source(objects, "HEAD"))
    if not (options.replay or options.baseline) and not settings.agent.base_url:
        parser.error("set agent.base_url and agent.model, name runs with --replay, or ask for the --baseline")
    labels = labelled(options.labelled)
    names = sorted(labels)
    random.Random(options.seed).shuffle(names)
    runs: list[Run] = []
    for name in names:
        if len(runs) >= options.count:
            break
        label = labels[name]
        for number, (change, blobs) in enumerate(changes(repo, settings, label.mails, name), 1):
            run = judged(name, label.is_functional, change, blobs, settings, options) if number == len(label.patches) else None
            if run is None:
                continue
            runs.append(run)
            kind = "right" if run.is_right else "MISSED" if run.is_missed else "wrong" if run.is_decided else "default"
            tokens = run.tokens(evaluators.PATCH, evaluators.KMSAN).total
            print(f"{name:24} {kind:8} {run.rounds:3} rounds {tokens:7} tokens {run.seconds:6.1f} s", flush=True)
    if not runs:
        parser.error("no patch with a known effect is open")
    lines = table(runs, settings, options.profile)
    print("\n".join(lines))
    if options.docs:
        text = options.docs.read_text()
        options.docs.write_text(_TABLE.sub(lambda _: "\n".join(lines) + "\n", text))
    return 0


if __name__ == "__main__":
    sys.exit(main())
