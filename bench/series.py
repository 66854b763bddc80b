"""How much faster `review` is with two processes than with one.

    python bench/series.py TREE PATCHES [ROUNDS]

TREE is made by bench/tree.py and indexed (`patch-triage index`); PATCHES is a directory of patches that apply to it. A hundred of those
that apply one after another become commits that no branch names, and a mailbox. Each round reviews both with one process and with two, in
turn, so that what else the machine does weighs on all alike. Prints the seconds, the processor time of all processes together, and the
ratio of the best rounds.
"""

from __future__ import annotations

import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

COUNT = 100


def git(tree: pathlib.Path, *args: str, index: pathlib.Path | None = None, data: bytes = b"") -> bytes:
    who = {f"GIT_{role}_{what}": "bench@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = os.environ | who | ({"GIT_INDEX_FILE": str(index)} if index else {})
    return subprocess.run(["git", "-C", str(tree), *args], input=data, capture_output=True, env=env, check=True).stdout


def commits(tree: pathlib.Path, patches: list[pathlib.Path], index: pathlib.Path) -> str:
    """The last of COUNT commits, one a patch."""
    tip = git(tree, "rev-parse", "HEAD").decode().strip()
    git(tree, "read-tree", tip, index=index)
    made = 0
    for patch in patches:
        try:
            git(tree, "apply", "--cached", str(patch.absolute()), index=index)
        except subprocess.CalledProcessError:
            continue
        content = git(tree, "write-tree", index=index).decode().strip()
        tip = git(tree, "commit-tree", content, "-p", tip, data=patch.name.encode()).decode().strip()
        made += 1
        if made == COUNT:
            return tip
    raise SystemExit(f"only {made} of the patches apply one after another")


def reviewed(tree: pathlib.Path, what: str, jobs: int) -> tuple[float, float]:
    """The seconds of a review, and its processor time."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = ["patch-triage", "review", what, "--repo", str(tree), "--jobs", str(jobs), "--no-cache", "--format", "json"]
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    if len(sys.argv) not in (3, 4):
        print(__doc__.strip())
        return 2
    tree, rounds = pathlib.Path(sys.argv[1]).absolute(), int(sys.argv[3]) if len(sys.argv) == 4 else 5
    patches = sorted(pathlib.Path(sys.argv[2]).glob("*.patch"))
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        tip = commits(tree, patches, place / "index")
        mailbox = place / "series.mbox"
        mailbox.write_bytes(git(tree, "format-patch", "--stdout", f"HEAD..{tip}"))
        for what, series in (("range", f"HEAD..{tip}"), ("mailbox", str(mailbox))):
            found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
            for _ in range(rounds):
                for jobs, rows in found.items():
                    rows.append(reviewed(tree, series, jobs))
            for jobs, rows in found.items():
                print(f"{what}, {jobs} process(es): " + ", ".join(f"{took:.2f} s ({used:.2f} s of processor)" for took, used in rows))
            print(f"{what}: {min(found[1])[0] / min(found[2])[0]:.2f} times as fast with two")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
