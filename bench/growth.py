"""How the time of `check` grows with the patch: nothing may grow faster than the patch itself.

    python bench/growth.py TREE

TREE is made by bench/tree.py and is not changed. Prints the seconds of the whole process for patches of ever more files and for files of
ever more lines, half of whose functions change, and the exponent between each two: 1 is linear, 2 would be quadratic.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import random
import subprocess
import sys
import tempfile
import time

FUNCTION = """static int step_{0}(struct box *b, int value)
{{
	int err = take(b, value + {1});

	if (err < 0)
		return err;
	pr_debug("step {0}\\n");
	b->count += err;
	return step_{2}(b, err);
}}

"""


def git(tree: pathlib.Path, *args: str, data: bytes = b"") -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", *args], cwd=tree, input=data, capture_output=True, check=True
    )
    return done.stdout.decode()


def seconds(tree: pathlib.Path, patch: str, place: pathlib.Path) -> float:
    file = place / "change.patch"
    file.write_text(patch)
    took = []
    for _ in range(2):
        started = time.perf_counter()
        where = ["--repo", str(tree), "--base", "HEAD", "--patch", str(file)]
        subprocess.run(["patch-triage", "check", *where, "--no-cache", "--offline", "--format", "json"], check=True, capture_output=True)
        took.append(time.perf_counter() - started)
    return min(took)


def of_files(tree: pathlib.Path, count: int, place: pathlib.Path) -> str:
    """A patch that adds a statement to the first function of so many files."""
    paths = sorted(path for path in git(tree, "ls-files", "*.c").split("\n") if path.startswith(("drivers/net/", "fs/", "net/", "sound/")))
    scratch = place / "scratch"
    if not scratch.exists():
        git(tree, "worktree", "add", "-q", "--no-checkout", str(scratch))
        git(scratch, "read-tree", "HEAD")
    changed = []
    for path in random.Random(5).sample(paths, count):
        text = git(tree, "show", f"HEAD:{path}")
        at = text.find("\n{\n")
        if at > 0:
            changed.append((path, text[: at + 3] + "\tbarrier();\n" + text[at + 3 :]))
    lines = [f"100644 {git(scratch, 'hash-object', '-w', '--stdin', data=text.encode()).strip()}\t{path}\n" for path, text in changed]
    git(scratch, "read-tree", "HEAD")
    git(scratch, "update-index", "--index-info", data="".join(lines).encode())
    return git(scratch, "diff-index", "--cached", "-p", "HEAD")


def of_lines(functions: int) -> tuple[str, str]:
    """Two versions of a file of so many functions, every second of which differs."""
    old = "".join(FUNCTION.format(number, 1, number // 2) for number in range(functions))
    new = "".join(FUNCTION.format(number, 1 + number % 2, number // 2) for number in range(functions))
    return old, new


def table(name: str, rows: list[tuple[int, float]]) -> None:
    print(f"{name:>9}  seconds  exponent")
    last: tuple[int, float] | None = None
    for size, took in rows:
        grew = f"{math.log(took / last[1]) / math.log(size / last[0]):8.2f}" if last else ""
        print(f"{size:>9}  {took:7.2f}  {grew}")
        last = size, took


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = pathlib.Path(directory)
        try:
            table("files", [(count, seconds(options.tree, of_files(options.tree, count, place), place)) for count in (10, 100, 300, 1000)])
        finally:
            git(options.tree, "worktree", "remove", "--force", str(place / "scratch"))
        small = place / "small"
        small.mkdir()
        git(small, "init", "-q", ".")
        rows = []
        for functions in (100, 400, 1600, 4000):
            old, new = of_lines(functions)
            (small / "long.c").write_text(old)
            git(small, "add", "-A")
            git(small, "commit", "-qm", "old")
            (small / "long.c").write_text(new)
            rows.append((old.count("\n"), seconds(small, git(small, "diff-files", "-p"), place)))
            git(small, "checkout", "-q", "--", ".")
        table("lines", rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
