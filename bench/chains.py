"""Call paths on a real kernel tree, for functions drawn at random: how many are found, and what a search costs.

    python bench/chains.py TREE [--seed 1] [--count 50] [--steps 2000] [--brief]

TREE is made by bench/tree.py and has its word index (`patch-triage index`). The functions are drawn from all in the .c files of fs, net,
mm, kernel and io_uring that are not __init or __exit. Prints each chain with the place of every hop, from user space down, and the time
that the search took, as it passed and as the processors' own, git's with it (the two differ on a machine that does other things). Each
search begins with nothing read, as a `check` does.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import re
import resource
import statistics
import subprocess
import sys
import time

from hook.c.definitions import DefinitionKind, scan
from hook.evidence.reach.calls import call_paths
from hook.kernel.kernel import Kernel
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

FOLDERS = ("fs", "net", "mm", "kernel", "io_uring")
NOT_DRAWN = re.compile(rb"\b__(?:\w+_)?(?:init|exit)\b")


def functions(source: Source) -> list[tuple[str, str]]:
    """Every function of the folders, but those that run only at boot or when a module goes."""
    found = []
    for path in source.glob(*(f"{folder}/*.c" for folder in FOLDERS)):
        read = source.file(path)
        data = read.data if read and read.data else b""
        for one in scan(data).definitions:
            if one.kind is DefinitionKind.FUNCTION and one.body[1] and not NOT_DRAWN.search(data[one.span[0] : one.body[0]]):
                found.append((path, one.name))
    return list(dict.fromkeys(found))


def _processors() -> float:
    """The seconds that processors have worked for this process, and for the ones that it has started and that have ended."""
    both = (resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--callers", type=int, default=24)
    parser.add_argument("--brief", action="store_true", help="a line for each function")
    args = parser.parse_args()
    repo = find(args.tree)
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=args.tree, capture_output=True, text=True, check=True).stdout.strip()
    with Objects(repo, 64 << 20) as objects:
        drawn = random.Random(args.seed).sample(functions(Source(objects, revision)), args.count)
    bounds = call_paths.SearchBounds(24, args.files, args.callers, args.steps)
    counts = dict.fromkeys(("proved", "likely", "none"), 0)
    passed, used = [], []
    quick = [0, 0]  # chains found within a second that passed, and within one of CPU
    for file, name in drawn:
        with Objects(repo, 16 << 20) as objects:
            source = Source(objects, revision)
            kernel = Kernel(source, "x86_64", "gcc-12", None)
            if source.index is None:
                sys.exit(source.without_index)
            began, busy = time.perf_counter(), _processors()
            search = call_paths.CallPathSearch(source, kernel, bounds)
            result = search.find(file, name)
            path = result.call_path
            passed.append(time.perf_counter() - began)
        used.append(_processors() - busy)
        kind = "none" if path is None else "likely" if path.doubts else "proved"
        counts[kind] += 1
        if path is not None:
            quick[0] += passed[-1] <= 1
            quick[1] += used[-1] <= 1
        print(f"{kind:6} {passed[-1]:6.2f} s {used[-1]:6.2f} s of CPU  {search.units.read:4d} files  {file}:{name}  {result.limit}")
        if path is not None:
            print(f"       {' <- '.join(path.names)}" + (f"  with {dict(path.settings)}" if path.settings else ""))
            for hop in () if args.brief else reversed(path.hops):
                print(f"         {hop.claim}  {hop.path}:{hop.line}  {hop.text[:90]}" + (f"  [{hop.doubt}]" if hop.doubt else ""))
            for doubt in path.doubts:
                print(f"         not proved: {doubt}")
        for one in result.dead_ends[:3] if path is None else ():
            print(f"         {one.claim}  {one.path}:{one.line}")
        sys.stdout.flush()
    total = len(drawn)
    shown = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    print(f"chains for {total - counts['none']} of {total}: {shown}")
    print(f"found within a second: {quick[0]} of {total}, of CPU: {quick[1]}")
    for what, times in (("passed", passed), ("CPU", used)):
        most = sorted(times)[int(total * 0.9)]
        print(f"{what:7} median {statistics.median(times):.2f} s, 90% within {most:.2f} s, most {max(times):.2f} s")


if __name__ == "__main__":
    main()
