"""How long we take on a real kernel tree, as ratios within one run.

    python bench/speed.py TREE [--patch FILE] [--rounds 15] [--rebase 100] [--history 200000]

TREE is made by bench/tree.py and is not changed: the work goes on in a clone beside it. `patch-triage` is the one on the PATH. Prints
`--version` against a Python that does nothing; `check --staged`, with and without the cache, and the hook of a commit against
scripts/checkpatch.pl on the same patch (FILE, or a one-file edit of ours); `git commit` with hooks against without; a rebase with hooks
against without, and how long its records take to be final; the most memory that one of our processes takes. With --history the same again
on top of so many commits. Each is the median of the time that passes, and the least user and system time of the command and its children.

What a hook leaves behind is not counted: nobody waits for it.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

FILE = "mm/mempolicy.c"
LINE = "static struct kmem_cache *policy_cache;"


def git(tree: pathlib.Path, *args: str, data: bytes = b"") -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", *args], cwd=tree, input=data, capture_output=True, check=False
    )
    if done.returncode:
        sys.exit(f"git {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout.decode()


Cost = tuple[float, float]  # of one run of a command: the seconds that pass, and user and system time, its children's too


def timed(argv: list[str], tree: pathlib.Path, **env: str) -> Cost:
    started = time.perf_counter()
    process = subprocess.Popen(argv, cwd=tree, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        sys.exit(f"{argv} ended with {process.returncode}")
    return took, usage.ru_utime + usage.ru_stime


def edit(tree: pathlib.Path, number: int) -> None:
    path = tree / FILE
    text = path.read_text()
    head, _, rest = text.partition(LINE)
    path.write_text(f"{head}{LINE}\nstatic int bench_{number};{rest}")


def milliseconds(name: str, ours: list[Cost], theirs: list[Cost], other: str) -> None:
    for kind, least, of in (("", statistics.median, 0), (" (processor)", min, 1)):
        mine, other_one = (least(cost[of] for cost in costs) for costs in (ours, theirs))
        print(f"{name + kind:40} {mine * 1000:6.0f} ms   {other:18} {other_one * 1000:6.0f} ms   ratio {mine / other_one:.2f}", flush=True)


def check_against_checkpatch(tree: pathlib.Path, rounds: int, patch: pathlib.Path | None) -> None:
    if patch is None:
        edit(tree, 0)
        git(tree, "add", "-f", FILE)
        patch = tree.parent / "bench.patch"
        patch.write_text(git(tree, "diff", "--cached"))
        git(tree, "reset", "-q", "--hard")
    start = git(tree, "rev-parse", "HEAD").strip()
    git(tree, "apply", "--index", str(patch.absolute()))
    check = ["patch-triage", "check", "--staged"]
    commands = {
        "--version": ["patch-triage", "--version"],
        "check --staged --no-cache": [*check, "--no-cache"],
        "check --staged (cached)": check,
        "checkpatch.pl": ["perl", "scripts/checkpatch.pl", "--no-signoff", str(patch.absolute())],
        "git status": ["git", "status"],
        "python -I -c pass": [sys.executable, "-I", "-c", "pass"],
    }
    for argv in commands.values():
        timed(argv, tree)
    costs: dict[str, list[Cost]] = {name: [] for name in [*commands, "hook post-commit"]}
    for _ in range(rounds):
        for name, argv in commands.items():
            costs[name].append(timed(argv, tree))
        git(tree, "-c", "core.hooksPath=/dev/null", "commit", "-qm", "bench")
        # as our hook calls it, which has asked git for its settings
        hook = ["patch-triage", "hook", "post-commit", "--no-settings"]
        costs["hook post-commit"].append(timed(hook, tree, PATCH_TRIAGE_CACHE_ENABLED="false"))
        git(tree, "reset", "-q", "--soft", start)
    milliseconds("--version", costs["--version"], costs["python -I -c pass"], "python -I -c pass")
    for name in ("check --staged --no-cache", "check --staged (cached)", "hook post-commit"):
        milliseconds(name, costs[name], costs["checkpatch.pl"], "checkpatch.pl")
    milliseconds("check --staged --no-cache", costs["check --staged --no-cache"], costs["git status"], "git status")
    git(tree, "reset", "-q", "--hard")


def commit_with_and_without(tree: pathlib.Path, rounds: int) -> None:
    with_hooks: list[Cost] = []
    without: list[Cost] = []
    commit = ["git", "-c", "user.name=b", "-c", "user.email=b@b", "commit", "-qam"]
    for number in range(rounds):
        for times, env in ((with_hooks, {}), (without, {"hooks": "off"})):
            edit(tree, number * 2 + bool(env))
            argv = [*commit[:1], "-c", "core.hooksPath=/dev/null", *commit[1:]] if env else commit
            times.append(timed([*argv, f"bench {number}"], tree))
    milliseconds("commit with hooks", with_hooks, without, "commit without")
    for kind, least, of in (("", statistics.median, 0), (" (processor)", min, 1)):
        there, away = (least(cost[of] for cost in costs) for costs in (with_hooks, without))
        print(f"{'hooks add to a commit' + kind:40} {(there - away) * 1000:6.0f} ms", flush=True)


def rebase_with_and_without(tree: pathlib.Path, commits: int, rounds: int) -> None:
    start = git(tree, "rev-parse", "HEAD").strip()
    for number in range(commits):
        edit(tree, number)
        git(tree, "-c", "core.hooksPath=/dev/null", "commit", "-qam", f"mm: bench {number}")
    tip = git(tree, "rev-parse", "HEAD").strip()
    git(tree, "checkout", "-q", "-B", "onto", start)
    # the commits have records, as if they had been made with the hooks
    subprocess.run(["patch-triage", "check", "--record", f"{start}..{tip}"], cwd=tree, stdout=subprocess.DEVNULL, check=True)
    path = tree / "kernel/fork.c"
    path.write_text(path.read_text() + "\nstatic int bench_fork;\n")
    git(tree, "-c", "core.hooksPath=/dev/null", "commit", "-qam", "fork: bench")
    with_hooks: list[Cost] = []
    without: list[Cost] = []
    identity = ["git", "-c", "user.name=b", "-c", "user.email=b@b"]
    for _ in range(rounds):
        for times, settings in ((with_hooks, []), (without, ["-c", "core.hooksPath=/dev/null"])):
            git(tree, "checkout", "-q", "-B", "work", tip)
            times.append(timed([*identity, *settings, "rebase", "-q", "onto"], tree))
            if times is with_hooks:
                final_records(tree, commits)
    milliseconds(f"rebase of {commits} with hooks", with_hooks, without, "rebase without")
    git(tree, "checkout", "-q", "-B", "work", start)


def final_records(tree: pathlib.Path, commits: int) -> None:
    """Wait until the commits of a rebase have their final records, for ten minutes at most."""
    started = time.perf_counter()
    waiting = commits
    while waiting and time.perf_counter() - started < 600:
        time.sleep(1)
        lines = subprocess.run(
            ["patch-triage", "show", "--format", "json", "onto..work"], cwd=tree, capture_output=True, text=True, check=False
        ).stdout.splitlines()
        waiting = commits - sum(json.loads(line).get("State") == "final" for line in lines)
    print(f"records after the rebase: {commits - waiting} of {commits} are final after {time.perf_counter() - started:.0f} s", flush=True)


def push_of_everything(tree: pathlib.Path) -> None:
    """A first push of the whole history to an empty repository: by the hook alone, since git's own packing is not ours to time."""
    head = git(tree, "rev-parse", "HEAD").strip()
    line = f"refs/heads/work {head} refs/heads/work {'0' * len(head)}\n"
    started = time.perf_counter()
    done = subprocess.run(
        ["patch-triage", "hook", "pre-push", "--", "there", "nowhere"], cwd=tree, input=line, capture_output=True, text=True, check=False
    )
    print(f"{'pre-push of all history':34} {(time.perf_counter() - started) * 1000:8.0f} ms   {done.stderr.splitlines()[0]}", flush=True)


def long_history(tree: pathlib.Path, commits: int) -> None:
    """Put `commits` small commits below the work, by git fast-import."""
    tip = git(tree, "rev-parse", "HEAD").strip()
    stream = [f"reset refs/heads/long\nfrom {tip}\n\n"]
    for number in range(commits):
        stream.append(
            f"commit refs/heads/long\ncommitter b <b@b> {1_600_000_000 + number} +0000\ndata 5\nbench\n"
            + (f"from {tip}\n" if number == 0 else "")
            + f"M 100644 inline bench/history{number % 50}.txt\ndata {len(str(number))}\n{number}\n\n"
        )
    git(tree, "fast-import", "--quiet", "--force", data="".join(stream).encode())
    git(tree, "checkout", "-q", "-B", "work", "long")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--patch", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--rebase", type=int, default=100)
    parser.add_argument("--history", type=int, default=0)
    options = parser.parse_args()
    if not shutil.which("patch-triage"):
        sys.exit("patch-triage is not on the PATH")
    with tempfile.TemporaryDirectory(dir=options.tree.absolute().parent, prefix="bench-") as place:
        tree = pathlib.Path(place) / "linux"
        print("cloning the tree", flush=True)
        subprocess.run(["git", "clone", "-q", "--no-tags", str(options.tree), str(tree)], check=True)
        git(tree, "remote", "remove", "origin")
        git(tree, "checkout", "-q", "-B", "work")
        subprocess.run(["patch-triage", "install"], cwd=tree, check=True)
        # else it would be built in the background of what is timed
        subprocess.run(["patch-triage", "index"], cwd=tree, stdout=subprocess.DEVNULL, check=True)
        for history in (0, options.history) if options.history else (0,):
            if history:
                print(f"\non top of {history} commits", flush=True)
                long_history(tree, history)
            check_against_checkpatch(tree, options.rounds, options.patch)
            commit_with_and_without(tree, options.rounds)
            rebase_with_and_without(tree, options.rebase, 5)
            push_of_everything(tree)
        # the largest of all child processes; git itself is among them on a big repository
        check = subprocess.run(
            [
                sys.executable,
                "-c",
                "import resource, subprocess; subprocess.run(['patch-triage', 'check', 'HEAD', '--no-cache'], "
                "stdout=subprocess.DEVNULL); print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)",
            ],
            cwd=tree,
            capture_output=True,
            text=True,
            check=True,
        )
        print(f"{'most memory of one process':34} {int(check.stdout) / 1024:8.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
