"""Leaks of uninitialised memory: how many changes that make one are proved or signalled, and what is said of those that make none.

    python bench/leaks.py TREE [--patches DIRECTORY] [--compiler clang-19] [-v]

TREE is a kernel of Linux 6.12.107 as a git repository with its word index (bench/tree.py); it is not changed. Without --patches those of
bench/leaks/ are judged, by its labels.jsonl: fixes of the stable series reversed, written after the fix that each names, and controls in
the same code that leak nothing. With it every patch of DIRECTORY is, and what is proved is printed for a reader to judge.

Prints recall and false alarms, and the milliseconds of CPU for each patch beside those of the rest of the evidence. Ends with 1 where a
control is proved, or fewer leaks are found than were (docs/kmsan.md).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import statistics
import sys
import time

from hook import config
from hook.change import series
from hook.evidence.functional import file_findings
from hook.evidence.memory import leaks
from hook.failure import CannotJudge
from hook.kernel.kernel import Kernel
from hook.source import git
from hook.source.object_store import Objects
from hook.source.tree import Source

SETTINGS = config.DEFAULTS
HERE = pathlib.Path(__file__).parent / "leaks"
LEAST_PROVED, LEAST_FOUND = 10, 26  # of the leaks in bench/leaks/


@dataclasses.dataclass(frozen=True)
class Row:
    """What was said of one patch, in how many milliseconds of CPU, and those of the evidence before it."""

    found: leaks.Leaks
    own: float
    before: float


def judge(repo: git.Repository, patch: pathlib.Path, compiler: str) -> Row:
    with series.read(repo, SETTINGS, patch.read_bytes(), str(patch), "HEAD") as read:
        change = next(iter(read.changes()))
        if isinstance(change, series.Unread):
            raise CannotJudge(f"{patch.name}: {change.why}")
        with Objects(change.repo, SETTINGS.limits.blob_bytes) as objects:
            source = Source(objects, change.after)
            arch = SETTINGS.target.arch
            began = time.process_time()  # a busy machine says nothing about us
            evidence = file_findings.gather(change.patch, source, arch, SETTINGS.focus.max_symbols, SETTINGS.limits.evidence_bytes)
            middle = time.process_time()
            found = leaks.find(change.patch, evidence, source, Kernel(source, arch, compiler, None), arch)
            return Row(found, (time.process_time() - middle) * 1000, (middle - began) * 1000)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--patches", type=pathlib.Path)
    parser.add_argument("--compiler", default="clang-19")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    repo = git.find(options.tree)
    labels = {}
    if options.patches is None:
        labels = {one["patch"]: one for one in map(json.loads, (HERE / "labels.jsonl").read_text().splitlines())}
    rows: dict[str, Row] = {}
    for patch in sorted((options.patches or HERE).glob("*.patch")):
        try:
            row = rows[patch.stem] = judge(repo, patch, options.compiler)
        except CannotJudge as wrong:
            print(f"{patch.stem}: {wrong}")
            continue
        said = "proved" if row.found.proved else "signal" if row.found.signals else "nothing"
        if labels or options.verbose or row.found.proved:
            why = labels.get(patch.stem, {}).get("why", "")
            print(f"{patch.stem:12} {said:8} {row.own:6.1f} ms (evidence {row.before:.0f} ms)  {why}")
        if row.found.proved or options.verbose:
            print(f"             {row.found.reasoning}")
    times = sorted(row.own for row in rows.values())
    beside = statistics.median(row.own / max(row.before, 0.1) for row in rows.values())
    slow = times[int(len(times) * 0.95)]
    print(f"\n{len(rows)} patches; CPU ms each: median {statistics.median(times):.1f}, 95% {slow:.1f}, most {times[-1]:.1f}")
    print(f"as a part of what the rest of the evidence took: {beside:.2f}")
    if not labels:
        proved = sum(bool(row.found.proved) for row in rows.values())
        print(f"proved {proved}, with signals alone {sum(bool(row.found.signals) for row in rows.values()) - proved}")
        return 0
    leaky = [rows[name].found for name, label in labels.items() if label["leak"]]
    sound = [rows[name].found for name, label in labels.items() if not label["leak"]]
    proved, found = sum(bool(one.proved) for one in leaky), sum(bool(one.proved or one.signals) for one in leaky)
    print(f"leaks {len(leaky)}: proved {proved}, found (proved or signalled) {found}")
    wrongly = sum(bool(one.proved) for one in sound)
    print(f"controls {len(sound)}: proved {wrongly}, signalled {sum(bool(one.signals) for one in sound)}")
    return int(wrongly > 0 or proved < LEAST_PROVED or found < LEAST_FOUND)


if __name__ == "__main__":
    sys.exit(main())
