"""The worker on a real kernel tree: a hundred commits in a minute beside an endpoint that is slow, and one that is killed again and again.

    python bench/worker.py TREE [--commits 100] [--seconds 60] [--answer-seconds 1] [--kills 20]

TREE is made by bench/tree.py and is not changed: the work goes on in a clone beside it, without files in its working tree. No model is
needed: a scripted server answers after --answer-seconds. Commits are spread over --seconds. Says how many workers there were at once, what
was asked and asked twice, how long a commit took at the beginning and at the end, what was spent and whether the cap held; then the same
with a worker that is killed at random moments. Exits with 1 where something was lost, asked twice, or spent beyond the cap.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from pytest_httpserver import HTTPServer

from tests.agent import background
from tests.agent.model import Model, call, kmsan, results, says
from tests.small_kernel import Kernel

FILE = "mm/mempolicy.c"
LINE = "static struct kmem_cache *policy_cache;"
CAP_TOKENS = 4_000_000


def answers(seconds: float) -> Any:
    def answer(request: dict[str, Any]) -> Any:
        time.sleep(seconds)
        if "NeedsKMSAN" in json.dumps(request["tools"]):
            return says(kmsan())
        if request["messages"][-1]["role"] != "tool":
            return says(call("read-file", File=FILE, FirstLine=1, LineCount=20))
        return says(results(why=f"{FILE}:110 changes."))

    return answer


def edit(text: str, number: int) -> str:
    head, _, rest = text.partition(LINE)
    return f"{head}{LINE}\nstatic int bench_{number};{rest}"


def run(tree: pathlib.Path, place: pathlib.Path, options: argparse.Namespace, kills: int) -> bool:
    path = place / f"linux-{kills}"
    subprocess.run(["git", "clone", "-q", "--no-tags", "--no-checkout", "--shared", str(tree), str(path)], check=True)
    env = {"GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@b", "GIT_COMMITTER_NAME": "b", "GIT_COMMITTER_EMAIL": "b@b", "NO_PROXY": "*"}
    with HTTPServer(threaded=True) as server:
        model = Model(server, [], answers(options.answer_seconds))
        jo = Kernel(path, dict(os.environ) | env | model.environment | {"PATCH_TRIAGE_AGENT_MAX_DAY_TOKENS": str(CAP_TOKENS)})
        jo.git("sparse-checkout", "set", "mm")
        jo.git("checkout", "-q", "-B", "work")
        jo.git("remote", "remove", "origin")
        jo.install()
        jo.triage("agent", "enable")
        chance, text, commits, took, most, killed = random.Random(kills), jo.read(FILE), [], [], 0, 0
        began = time.monotonic()
        for number in range(options.commits):
            text = edit(text, number)
            jo.write(FILE, text)
            started = time.monotonic()
            jo.git("commit", "-qam", f"bench {number}")
            took.append(time.monotonic() - started)
            commits.append(jo.head())
            most = max(most, background.count(jo))
            if killed < kills and chance.random() < 2 * kills / options.commits:
                killed += background.kill(jo)
            time.sleep(max(0.0, began + options.seconds * (number + 1) / options.commits - time.monotonic()))
        made = time.monotonic() - began
        while background.questions(jo) and time.monotonic() - began < 100 * options.seconds:
            jo.triage("status")
            time.sleep(chance.uniform(0.5, 5.0))
            if killed < kills:
                killed += background.kill(jo)
        background.wait(jo)
        ended = time.monotonic() - began
    asked = [json.dumps([request["messages"], request["tools"]]) for request in model.requests]
    twice = len(asked) - len(set(asked))
    open_ones = [commit for commit in commits if "DecidedBy: agent" not in jo.note(commit)]
    rows = json.loads(jo.triage("spend", "--format", "json"))
    spent = sum(row["Input"] + row["Output"] + row["Thoughts"] for row in rows)
    tenth = max(1, options.commits // 10)
    print(f"{options.commits} commits in {made:.0f} s, all judged after {ended:.0f} s; worker killed {killed} times")
    print(f"  workers at once: {most}; requests {len(asked)}, twice {twice}; commits without their answer {len(open_ones)}")
    first, last = statistics.median(took[:tenth]), statistics.median(took[-tenth:])
    print(f"  a commit: the first tenth {first * 1000:.0f} ms, the last {last * 1000:.0f} ms, ratio {last / first:.2f}")
    print(f"  spent {spent:,} of {CAP_TOKENS:,} tokens, {sum(row['Open'] for row in rows)} requests without an answer", flush=True)
    return not open_ones and twice <= killed and most <= 1 and spent <= CAP_TOKENS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--commits", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--answer-seconds", type=float, default=1.0)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(dir=options.tree.absolute().parent, prefix="bench-") as place:
        good = [run(options.tree.absolute(), pathlib.Path(place), options, kills) for kills in (0, options.kills)]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
