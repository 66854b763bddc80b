"""How right the evidence is, on kernel patches whose effect was found out by compiling them; red where it is worse than it was.

    python bench/accuracy.py LABELLED [--tree TREE]

LABELLED is a directory with `score.py`, `labels.jsonl`, `patches/` and `slim.tar.xz`, the tree of the files that the patches touch. Without
--tree the patches are judged on that, which takes some two minutes.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
# what was reached on the slim tree, in percent (docs/evidence.md), less what one patch counts
LEAST = {
    "harmless recognised": 81.0,
    "changed functions found": 99.5,
    "changed functions named right": 98.0,
    "focus hits changed code": 94.0,
    "log changes recognised": 90.0,
    "focus is changed code": 95.5,
    "syscalls named as in vmlinux": 100.0,
}
MOST = {"focus without an address": 3.0}


def git(tree: pathlib.Path, *args: str) -> None:
    subprocess.run(["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", *args], cwd=tree, check=True)


def slim(labelled: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """The slim tree as a git repository."""
    with tarfile.open(labelled / "slim.tar.xz") as archive:
        archive.extractall(place, filter="data")
    tree = place / "slim"
    git(tree, "init", "-q", ".")
    git(tree, "add", "-A", "-f", ".")
    git(tree, "commit", "-qm", "slim")
    return tree


def judge(said: str) -> list[str]:
    """What is worse than it was."""
    wrong = []
    totals = re.search(r"^patches +(\d+), judged (\d+), errors (\d+)", said, re.MULTILINE)
    if not totals or totals[1] != totals[2] or totals[3] != "0":
        wrong.append("not every patch was judged")
    if not re.search(r"^functional called harmless +0 of [1-9]", said, re.MULTILINE):
        wrong.append("a functional patch is called harmless")
    for name, bound in (LEAST | MOST).items():
        share = re.search(rf"^{name} +(\d+)/(\d+) =", said, re.MULTILINE)
        value = 100 * int(share[1]) / int(share[2]) if share else -1.0
        if share is None or (value < bound if name in LEAST else value > bound):
            wrong.append(f"{name}: {value:.1f}%, and was {'at least' if name in LEAST else 'at most'} {bound}%")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=pathlib.Path)
    parser.add_argument("--tree", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tree = options.tree or slim(options.labelled, pathlib.Path(place))
        argv = [sys.executable, str(options.labelled / "score.py"), "--tree", str(tree), "--command", str(PROGRAM)]
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False)
    print(done.stdout)
    wrong = judge(done.stdout) if done.returncode == 0 else [f"score.py ended with {done.returncode}"]
    for line in wrong:
        print(f"worse: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
