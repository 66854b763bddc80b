"""EnableConfigs against the kernel's own build: is a file that the default base does not build, built with the answer?

    python bench/configs.py --tree GIT_TREE --build BUILD_TREE --out RESULTS.jsonl [--count 300] [--compile 300] [--seed 1]

For random .c files of drivers, net, fs, sound, crypto and mm: what olddefconfig makes of defconfig, kvm_guest.config and the answer, with
nothing dropped, and Kbuild asked whether it goes down to the file and builds it in; the first --compile of these are compiled. What
allmodconfig builds is the yardstick; BUILD_TREE/.allmod and .base-built hold the objects of the two, one a line; made where missing.

GIT_TREE is a kernel as git repository (bench/tree.py), BUILD_TREE a copy of it without .git that may be built in. What is in RESULTS is not
done again, so that a stopped run goes on; --seconds stops one. Some 3 s a file, 7 with its compilation.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pathlib
import posixpath
import random
import sys
import time
from typing import Any

from bench.kernelbuild import Build
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.solver import NoSolution, solve
from hook.kernel.kconfig.upper_bounds import impossible
from hook.kernel.kernel import Kernel
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

FOLDERS = ("drivers", "net", "fs", "sound", "crypto", "mm")
Row = dict[str, Any]


def built_by(build: Build, name: str, *, modules: bool) -> set[str]:
    """The sources that Kbuild builds as the tree is configured now; what was found before is in the file `name` of the tree."""
    known = build.tree / name
    if not known.exists():
        known.write_text("\n".join(sorted(build.walked(FOLDERS, modules=modules))) + "\n")
    return {posixpath.splitext(one)[0] + ".c" for one in known.read_text().split()}


def built_by_allmodconfig(build: Build) -> set[str]:
    """The sources that allmodconfig builds, in the kernel or as modules."""
    if not (build.tree / ".allmod").exists():
        build.make("allmodconfig")
        build.make("syncconfig")
    return built_by(build, ".allmod", modules=True)


def answered(source: Source, toolchain: str, path: str) -> Row:
    """What the program says of a file, and how long that took once Kconfig has been read."""
    started = time.perf_counter()
    kernel = Kernel(source, "x86_64", toolchain, None)
    built = kernel.built_if(path)
    row: Row = {"path": path, "condition": expressions.shown(built.condition)[:300], "why": ""}
    row["makefiles"] = list(dict.fromkeys(place for place, _, _ in built.places))
    row["impossible"] = impossible(kernel.options, built.condition)
    try:
        row["settings"] = solve(kernel.options, kernel.base, expressions.taken_to_hold(built.condition)).settings
    except NoSolution as wrong:
        row["settings"], row["why"] = {}, f"no answer: {wrong}"
    row["seconds"] = round(time.perf_counter() - started, 4)
    return row


def checked(build: Build, row: Row, *, compiling: bool) -> Row:
    """The row, with what the tree's own programs say of its settings."""
    row["builds"], row["dropped"] = False, []
    if row["why"]:
        return row
    config = build.configure(row["settings"])
    row["dropped"] = [name for name, value in row["settings"].items() if config.get(name, "n") != value]
    folders = tuple(posixpath.dirname(one) for one in row["makefiles"] if "/" in one)
    folder = build.folder_of(row["path"], folders)
    if not folder:
        row["why"] = "Kbuild does not build it in"
    elif compiling:
        row["why"] = build.compiled(row["path"], folder)
        row["compiled"] = not row["why"]
    row["builds"] = not row["why"]
    return row


def report(rows: list[Row]) -> None:
    """Print what the rows come to."""
    wanted = [row for row in rows if row["allmod"]]
    seconds = sorted(row["seconds"] for row in rows)
    good, impossible_ones = sum(row["builds"] for row in wanted), [row for row in rows if row["impossible"]]
    print(f"files                          {len(rows)}, of which allmodconfig builds {len(wanted)}")
    print(
        f"answer builds the file         {good}/{len(wanted)} = {good / max(1, len(wanted)):.1%}"
        f"   (compiled: {sum(row.get('compiled', False) for row in wanted)})"
        f"   beyond allmodconfig: {sum(row['builds'] for row in rows if not row['allmod'])}"
    )
    print(f"options dropped                {sum(len(row['dropped']) for row in rows)}")
    print(f"called impossible and built    {sum(row['allmod'] for row in impossible_ones)}   (called impossible: {len(impossible_ones)})")
    if seconds:
        print(f"seconds an answer              median {seconds[len(seconds) // 2]:.3f}, most {seconds[-1]:.3f}")
    for row in wanted:
        if not row["builds"] or row["dropped"] or row["impossible"]:
            print(f"  {row['path']}: {row['why']} dropped {row['dropped']} {row['settings']} {row['impossible']}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--compile", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--toolchain", default="gcc-12")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    done: dict[str, Row] = {}
    if options.out.exists():
        done = {row["path"]: row for row in map(json.loads, options.out.read_text().splitlines())}
    build = Build(options.build)
    yardstick = built_by_allmodconfig(build)
    build.configure({})
    built_already = built_by(build, ".base-built", modules=False)

    with Objects(find(options.tree), 16 << 20) as objects, options.out.open("a") as out:
        source = Source(objects, "HEAD")
        files = source.glob(*(f"{folder}/*.c" for folder in FOLDERS))
        random.Random(options.seed).shuffle(files)
        needy = (path for path in files if path not in built_already)
        for number, path in enumerate(itertools.islice(needy, options.count)):
            if path in done or time.monotonic() > until:
                continue
            row = checked(build, answered(source, options.toolchain, path), compiling=number < options.compile)
            row["allmod"] = path in yardstick
            out.write(json.dumps(row) + "\n")
            out.flush()
            done[path] = row
    report(list(done.values()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
