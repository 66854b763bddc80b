"""Whether answers depend on how busy the machine is: each patch judged quietly, and again on one loaded processor; the documents compared.

    python bench/steady.py PATCHES TREE [--every 20] [--load 6]

PATCHES is a directory of patches that apply to TREE, a git tree of the kernel with the word index. Exit code 1 where a document differs.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys

PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
BUSY = "while True: sum(range(1000))"


def judged(tree: pathlib.Path, patch: pathlib.Path, *options: str) -> bytes:
    """What the program prints for a patch, as JSON."""
    command: list[str | pathlib.Path] = [
        PROGRAM,
        "check",
        "--repo",
        tree,
        "--base",
        "HEAD",
        "--patch",
        patch,
        "--offline",
        "--no-cache",
        "--format",
        "json",
        *options,
    ]
    return subprocess.run(command, capture_output=True, check=True).stdout


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("patches", type=pathlib.Path)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=20, help="take each Nth patch")
    parser.add_argument("--load", type=int, default=6, help="processes that never rest")
    args = parser.parse_args()
    asked = [(patch, options) for patch in sorted(args.patches.glob("*.patch"))[:: args.every] for options in ((), ("-v",))]
    quiet = [judged(args.tree, patch, *options) for patch, options in asked]
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    running = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(args.load)]
    try:
        different = [
            f"{patch.name} {' '.join(options)}"
            for (patch, options), before in zip(asked, quiet, strict=True)
            if judged(args.tree, patch, *options) != before
        ]
    finally:
        for process in running:
            process.kill()
    for name in different:
        print(f"differs: {name}")
    print(f"{len(asked)} answers, {len(different)} differ with {args.load} busy processes on one processor")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
