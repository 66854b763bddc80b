"""Functions that a traced kernel ran, each changed by one statement: none of them is out of reach, and few stay open.

    python bench/executed.py TREE EXECUTED [--count 300] [--seed 1] [--out ROWS.jsonl] [FUNCTION…]

TREE is made by bench/tree.py and has its index. EXECUTED (may be .xz) has a line a function: its name and its file. Each drawn function
gets a statement more at its beginning, and the change is judged as `check --patch` does. Prints what is open or out of reach, and why.
What is proved to run at boot alone is counted apart: the traced kernel loaded it as a module, a fuzzed one has it built in.
Red where more is open than was, or where a function is out of reach (exit code of what is built in is: rmmod ran some).
"""

from __future__ import annotations

import argparse
import collections
import difflib
import json
import lzma
import pathlib
import random
import re
import sys
import time

from hook import config, triage
from hook.asking import NOT_ASKED
from hook.c.definitions import DefinitionKind, scan
from hook.change import series
from hook.change.change import Change
from hook.source.git import Repository, find
from hook.source.object_store import Objects
from hook.verdict import Verdict

MOST_OPEN = 0.1  # of the drawn functions; reached on 6.12: docs/call-paths.md
AT_BOOT = "runs at boot alone"  # in the reasoning: hook.evidence.reach.calls.teardown
STATEMENT = b" WRITE_ONCE(jiffies, 1);"


def read(path: pathlib.Path) -> list[tuple[str, str]]:
    """The functions, each as its name and its file."""
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [(row[0], row[1]) for row in rows if len(row) > 1 and row[1].endswith(".c")]


def with_statement(data: bytes, name: str, path: str) -> bytes:
    """A diff that adds a statement at the beginning of a function; empty where the file does not define it once."""
    functions = [one for one in scan(data).definitions if one.kind is DefinitionKind.FUNCTION and one.name == name and one.body[1]]
    if len(functions) != 1:
        return b""
    at = functions[0].body[0] + 1
    old, new = (re.findall(r"[^\n]*\n|[^\n]+", text.decode("latin-1")) for text in (data, data[:at] + STATEMENT + data[at:]))
    return "".join(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")).encode("latin-1")


def judged(repo: Repository, settings: config.Settings, diff: bytes) -> Verdict:
    """The verdict on a diff against HEAD, from the evidence alone."""
    with series.read(repo, settings, diff, "drawn", "HEAD") as mailed:
        [change] = mailed.changes()
        assert isinstance(change, Change), change
        with Objects(change.repo, 16 << 20) as objects:
            return triage.judge(change, objects, settings, use_cache=False, asking=NOT_ASKED).verdict


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("executed", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("functions", nargs="*", help="only these")
    options = parser.parse_args()
    rows = read(options.executed)
    drawn = random.Random(options.seed).sample(rows, min(options.count, len(rows)))
    if options.functions:
        drawn = [row for row in rows if row[0] in options.functions]
    repo = find(options.tree)
    counts: collections.Counter[str] = collections.Counter()
    times, exits = [], 0
    for name, path in drawn:
        diff = with_statement((options.tree / path).read_bytes(), name, path)
        if not diff:
            counts["not defined once"] += 1
            continue
        begun = time.process_time()
        verdict = judged(repo, config.DEFAULTS, diff)
        times.append(time.process_time() - begun)
        reachable = str(verdict.reachable)
        counts["at boot" if reachable == "unknown" and AT_BOOT in verdict.reasoning else reachable] += 1
        exits += reachable == "no" and any("__exit" in fact.claim or "module exit" in fact.claim for fact in verdict.evidence)
        proof = [f"{fact.place.path}:{fact.place.line} {fact.claim}" for fact in verdict.evidence]
        if reachable != "yes":
            print(f"{reachable:8}{path}:{name}: {verdict.reasoning if reachable == 'unknown' else proof}", flush=True)
        if options.out:
            row = {"name": name, "path": path, "reachable": reachable, "why": verdict.reasoning, "proof": proof, "seconds": times[-1]}
            with options.out.open("a") as file:
                file.write(json.dumps(row) + "\n")
    times.sort()
    total = max(1, len(times))
    print(
        f"{dict(counts)}; open {counts['unknown'] / total:.1%}; median {times[total // 2]:.2f} s of CPU, 90% {times[total * 9 // 10]:.2f} s"
    )
    return 1 if counts["no"] > exits or counts["unknown"] > MOST_OPEN * total else 0


if __name__ == "__main__":
    sys.exit(main())
