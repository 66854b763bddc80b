"""The agent on a real kernel tree: the farm's recorded run, and what an endpoint that hangs, refuses or is gone costs.

    python bench/agent.py TREE PATCH [--rounds 5]

TREE is made by bench/tree.py, PATCH is the patch of the recorded run (mm/mempolicy.c, vma_policy_mof). No model is needed: a scripted
server says what the recorded one said. Prints the run's steps and sums; our own time outside of the tools; `git commit` with the
agent enabled, and so with a worker in the background, against the same commit without; `git push` to an endpoint that hangs.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from pytest_httpserver import HTTPServer

from bench.speed import Cost, edit, git, milliseconds, timed
from hook import trajectory, worker
from hook.agent.token_count import estimate
from hook.source.git import find
from tests.agent import recorded
from tests.agent.model import Model, call, kmsan, says

WAIT_SECONDS = 3.0


def recorded_run(tree: pathlib.Path, patch: pathlib.Path, rounds: int) -> None:
    rest = []
    for number in range(rounds):
        for profile, last in (
            ("farm-2026-06", [recorded.decide(recorded.WHY)]),
            ("default", [recorded.decide(recorded.WHY), recorded.decide(recorded.WHY + " See mm/mempolicy.c:1844.")]),
        ):
            with HTTPServer() as server:
                model = Model(server, recorded.say(*last))
                started = time.perf_counter()
                done = subprocess.run(
                    [
                        "patch-triage",
                        "check",
                        "--patch",
                        str(patch),
                        "--base",
                        "HEAD",
                        "--agent",
                        "always",
                        "--profile",
                        profile,
                        "--format",
                        "json",
                        "--no-cache",
                    ],
                    cwd=tree,
                    env=os.environ | model.environment,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                took = time.perf_counter() - started
            verdict = json.loads(done.stdout)
            spans = trajectory.read(max((tree / ".git/patch-triage/trajectories").iterdir()))
            # the scripted model answers at once: what its calls take is our own client, with its imports
            waited = sum(span.seconds for span in spans if span.type == "tool")
            rest.append(took - waited)
            if number == 0:
                tokens = sum(calls_tokens[1] for calls_tokens in trajectory.totals(spans, "llm").values())
                calls = [sum(span.type == kind for span in spans) for kind in ("llm", "tool")]
                print(f"profile {profile}: {calls[0]} calls of the model, {calls[1]} of tools, {tokens} tokens", flush=True)
                print(f"  worth fuzzing: {verdict['WorthFuzzing']}, {verdict['FocusSymbols']}, {verdict['EnableConfigs']}", flush=True)
                print(
                    f"  refused: {[span.error[:60] for span in spans if span.error]}; {took:.1f} s, of them {waited:.1f} s for the tools",
                    flush=True,
                )
    print(f"{'our own time in such a run':34} {statistics.median(rest) * 1000:8.0f} ms   most {max(rest) * 1000:.0f} ms", flush=True)


def end_worker(tree: pathlib.Path) -> None:
    """End the worker of a tree, if there is one; its questions stay."""
    doing = worker.doing(find(tree))
    if doing is not None and doing.process:
        os.kill(doing.process, signal.SIGKILL)


def from_the_pack(tree: pathlib.Path, patch: pathlib.Path) -> None:
    """A model that decides from the context pack after one look at something, by our own estimate of what it would be billed."""

    def billed(*calls: dict[str, object]) -> Callable[[dict[str, object]], dict[str, object]]:
        return lambda request: says(
            *calls,
            usage={"prompt_tokens": estimate(request["messages"]) + estimate(request["tools"]), "completion_tokens": estimate(list(calls))},
        )

    with HTTPServer() as server:
        look = [call("callers", Name="task_numa_work"), call("kconfig", Option="NUMA_BALANCING")]
        answers = [billed(*look), billed(recorded.decide(recorded.WHY + " See mm/mempolicy.c:1844.")), billed(kmsan())]
        model = Model(server, answers)
        options = ["--patch", str(patch), "--base", "HEAD", "--agent", "always", "--format", "json", "--no-cache"]
        # with a compiler that has no KMSAN the second question is not asked
        env = os.environ | model.environment | {"PATCH_TRIAGE_FUZZ_TOOLCHAIN": "clang-19"}
        done = subprocess.run(["patch-triage", "check", *options], cwd=tree, env=env, capture_output=True, text=True, check=True)
    verdict = json.loads(done.stdout)
    spans = trajectory.read(max((tree / ".git/patch-triage/trajectories").iterdir(), key=lambda path: path.stat().st_mtime))
    for name in ("patch-evaluator", "kmsan-evaluator"):
        asked = [span for span in spans if span.type == "llm" and span.name == name]
        spent = [span.input_tokens + span.output_tokens for span in asked]
        print(f"from the pack, {name}: {len(asked)} rounds, {sum(spent)} tokens, the first request {asked[0].input_tokens}", flush=True)
    print(f"  {verdict['FocusSymbols']}, via {verdict['Via']}, {verdict['EnableConfigs']}, put right: {verdict['Corrections']}", flush=True)


def commits(tree: pathlib.Path, rounds: int) -> None:
    """`git commit` with the agent enabled, at an endpoint that is of no use, against the same commit with no agent set up."""
    hanging = socket.create_server(("127.0.0.1", 0))
    gone = socket.create_server(("127.0.0.1", 0))
    port = gone.getsockname()[1]
    gone.close()
    with HTTPServer() as server:
        server.expect_request("/v1/chat/completions").respond_with_data("{}", 401)
        endpoints = {
            "hanging": f"http://127.0.0.1:{hanging.getsockname()[1]}/v1",
            "refusing": server.url_for("/v1"),
            "gone": f"http://127.0.0.1:{port}/v1",
        }
        number = 1000
        for name, url in endpoints.items():
            env = {"PATCH_TRIAGE_AGENT_BASE_URL": url, "PATCH_TRIAGE_AGENT_MODEL": "m", "PATCH_TRIAGE_PUSH_WAIT_SECONDS": str(WAIT_SECONDS)}
            subprocess.run(["patch-triage", "agent", "enable"], cwd=tree, env=os.environ | env, stdout=subprocess.DEVNULL, check=True)
            ours: list[Cost] = []
            without: list[Cost] = []
            for turn in range(rounds):
                both: list[tuple[list[Cost], dict[str, str]]] = [(ours, env), (without, {})]
                for times, more in both if turn % 2 else reversed(both):
                    number += 1
                    edit(tree, number)
                    times.append(
                        timed(["git", "-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qam", f"bench {number}"], tree, **more)
                    )
            milliseconds(f"commit, endpoint {name}", ours, without, "commit, no agent")
            end_worker(tree)
            if name == "hanging":
                remote = tree.parent / "remote.git"
                git(tree, "init", "-q", "--bare", str(remote))
                git(tree, "-c", "core.hooksPath=/dev/null", "push", "-q", str(remote), "HEAD~1:refs/heads/work")
                git(tree, "remote", "add", "there", str(remote))
                git(tree, "fetch", "-q", "there")
                took, _ = timed(["git", "push", "-q", "there", "HEAD:refs/heads/work"], tree, **env)
                print(f"{'push, endpoint hanging':34} {took * 1000:8.0f} ms   push.wait_seconds is {WAIT_SECONDS:g}", flush=True)
                end_worker(tree)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("patch", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ["NO_PROXY"] = "*"
    with tempfile.TemporaryDirectory(dir=options.tree.absolute().parent, prefix="bench-") as place:
        tree = pathlib.Path(place) / "linux"
        subprocess.run(["git", "clone", "-q", "--no-tags", str(options.tree), str(tree)], check=True)
        git(tree, "remote", "remove", "origin")
        git(tree, "checkout", "-q", "-B", "work")
        subprocess.run(["patch-triage", "install"], cwd=tree, check=True, stdout=subprocess.DEVNULL)
        from_the_pack(tree, options.patch.absolute())
        recorded_run(tree, options.patch.absolute(), options.rounds)
        commits(tree, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
