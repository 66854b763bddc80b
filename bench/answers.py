"""How long EnableConfigs take: reading all Kconfig cold and from the cache, and one answer.

    python bench/answers.py --tree GIT_TREE [--files 200] [--seed 1] [--against SECONDS]

GIT_TREE is a kernel as git repository (bench/tree.py); what is kept of it in .git/patch-triage/kconfig is made anew. Seconds of the clock,
and of the processor, git's with ours, which say more on a machine that does other things. An answer is everything from a path to its
options, by objects that nothing was asked of before. --against is what another program takes for one answer: klocalizer (kmax 4.10) took
26 s for drivers/usb/storage/alauda.o of Linux 6.12 from its cache, on two cores.
"""

from __future__ import annotations

import argparse
import pathlib
import random
import resource
import shutil
import sys
import time
from collections.abc import Callable, Sequence

from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.solver import NoSolution, solve
from hook.kernel.kernel import Kernel
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

Times = tuple[float, float]  # of the clock, of the processor
FOLDERS = ("drivers", "net", "fs", "sound", "crypto", "mm", "kernel", "lib")


def timed(work: Callable[[], object]) -> Times:
    clock, ours, gits = time.perf_counter(), time.process_time(), _of_children()
    work()
    return time.perf_counter() - clock, time.process_time() - ours + _of_children() - gits


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def answer(source: Source, path: str) -> None:
    """Everything from a path to its options."""
    kernel = Kernel(source, "x86_64", "gcc-12", None)
    goal = expressions.taken_to_hold(kernel.built_if(path).condition)
    if not kernel.holds(goal):
        try:
            solve(kernel.options, kernel.base, goal)
        except NoSolution:
            return


def said(name: str, times: Sequence[Times], most: float) -> None:
    """One line: the median and the most, and how often the bound goes into it."""
    for kind, values in zip(("clock", "processor"), zip(*times, strict=True), strict=True):
        ordered = sorted(values)
        median, worst = ordered[len(ordered) // 2], ordered[-1]
        print(f"{name:26} {kind:9}  median {median:8.4f} s, most {worst:8.4f} s: {median / most:.0%} and {worst / most:.0%} of {most} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--against", type=float, default=26.0)
    options = parser.parse_args()
    repo = find(options.tree)

    def reading() -> None:
        """The options of the tree and its base configuration, as a first question finds them."""
        with Objects(repo, 16 << 20) as objects:
            known = Kernel(Source(objects, "HEAD"), "x86_64", "gcc-12", None)
            known.options.get("NET")

    def reading_base() -> None:
        with Objects(repo, 16 << 20) as objects:
            Kernel(Source(objects, "HEAD"), "x86_64", "gcc-12", None).base.get("NET")

    def reading_both() -> None:
        reading()
        reading_base()

    # first, before so much has been read and thrown away that looking for garbage takes time
    with Objects(repo, 16 << 20) as objects:
        source = Source(objects, "HEAD")
        files = source.glob(*(f"{folder}/*.c" for folder in FOLDERS))
        random.Random(options.seed).shuffle(files)
        answer(source, files[0])
        answers = [timed(lambda path=path: answer(source, path)) for path in files[: options.files]]  # type: ignore[misc]
    said(f"an answer, of {len(answers)}", answers, 0.3)
    slow = sorted(zip((processor for _, processor in answers), files, strict=False), reverse=True)[:3]
    print("the slowest: " + ", ".join(f"{path} ({seconds:.3f} s)" for seconds, path in slow))
    ordered = sorted(clock for clock, _ in answers)
    print(
        f"klocalizer's {options.against:g} s are {options.against / ordered[len(ordered) // 2]:.0f} times the median answer, "
        f"{options.against / ordered[-1]:.0f} times the slowest"
    )
    cold, based, warm = [], [], []
    for _ in range(options.rounds):
        shutil.rmtree(repo.state_dir / "kconfig", ignore_errors=True)
        cold.append(timed(reading))
        based.append(timed(reading_base))
        warm.append(timed(reading_both))
    said("all Kconfig, cold", cold, 1.5)
    said("the default base, once", based, 1.5)
    said("both from the cache", warm, 0.05)
    return 0


if __name__ == "__main__":
    sys.exit(main())
