"""How right the evidence is, on kernel patches whose effect was found out by compiling them; red where it is worse than it was.

    python bench/accuracy.py LABELLED [--tree TREE]

LABELLED is a directory with `score.py`, `labels.jsonl`, `patches/` and `slim.tar.xz`, the tree of the files that the patches touch. Without
--tree the patches are judged on that, which takes some two minutes.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from tests import forked_program

PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
# what was reached on the slim tree, in percent (docs/evidence.md), less what one patch counts
LEAST = {
    "harmless recognised": 78.7,  # 85.9 on the whole tree: the slim one lacks the headers that an order of includes is proved by
    "changed functions found": 99.5,
    "changed functions named right": 98.0,
    "focus hits changed code": 97.3,  # 95.3 on the whole tree: what nearly every program runs is no aim
    "focus is changed code": 92.6,  # a caller that is in one filter with what may be inlined counts as not changed
    "syscalls named as in vmlinux": 100.0,
}
MOST = {"focus without an address": 3.0}


def git(tree: pathlib.Path, *args: str) -> None:
    subprocess.run(["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", *args], cwd=tree, check=True)


def slim(labelled: pathlib.Path, place: pathlib.Path) -> pathlib.Path:
    """The slim tree as a git repository with its word index, as a kernel developer has one."""
    with tarfile.open(labelled / "slim.tar.xz") as archive:
        archive.extractall(place, filter="data")
    tree = place / "slim"
    git(tree, "init", "-q", ".")
    git(tree, "add", "-A", "-f", ".")
    git(tree, "commit", "-qm", "slim")
    subprocess.run([PROGRAM, "index", "--repo", tree, "--quiet"], check=True)
    return tree


def score(labelled: pathlib.Path, tree: pathlib.Path, place: pathlib.Path) -> list[str]:
    """What score.py prints of each share of the labels: one share a processor."""
    rows = (labelled / "labels.jsonl").read_text().splitlines(keepends=True)
    jobs = os.cpu_count() or 1
    program = forked_program.client(PROGRAM)  # hundreds of starts would take a third of the time
    running = []
    for number in range(jobs):
        labels = place / f"labels{number}.jsonl"
        labels.write_text("".join(rows[number::jobs]))
        argv = [sys.executable, str(labelled / "score.py"), "--tree", str(tree), "--labels", str(labels), "--command", str(program)]
        running.append(subprocess.Popen([*argv, "--patches", str(labelled / "patches")], stdout=subprocess.PIPE, text=True))
    said = [one.communicate()[0] for one in running]
    return said if all(one.returncode == 0 for one in running) else []


def judge(said: list[str]) -> list[str]:
    """What is worse than it was."""

    def total(pattern: str) -> tuple[int, ...]:
        found = [re.search(pattern, one, re.MULTILINE) for one in said]
        return tuple(map(sum, zip(*((int(group) for group in match.groups()) for match in found if match), strict=True)))

    wrong = []
    patches = total(r"^patches +(\d+), judged (\d+), errors (\d+)")
    print(f"patches, judged, errors: {patches}")
    if not patches or patches[0] != patches[1] or patches[2] or not patches[0]:
        wrong.append("not every patch was judged")
    harmless = total(r"^functional called harmless +(\d+) of (\d+)")
    print(f"functional called harmless: {harmless}")
    if not harmless or harmless[0] or not harmless[1]:
        wrong.append("a functional patch is called harmless")
    for name, bound in (LEAST | MOST).items():
        share = total(rf"^{name} +(\d+)/(\d+)")
        value = 100 * share[0] / share[1] if share and share[1] else -1.0
        print(f"{name}: {share} {value:.1f}%")
        if value < 0 or (value < bound if name in LEAST else value > bound):
            wrong.append(f"{name}: {value:.1f}%, and was {'at least' if name in LEAST else 'at most'} {bound}%")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=pathlib.Path)
    parser.add_argument("--tree", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tree = options.tree or slim(options.labelled, pathlib.Path(place))
        said = score(options.labelled, tree, pathlib.Path(place))
    print("\n".join(said))
    wrong = judge(said) if said else ["score.py did not end well"]
    for line in wrong:
        print(f"worse: {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
