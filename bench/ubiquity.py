"""Which functions are named as run by nearly every program, held against how many kinds of load ran them in a traced kernel.

    python bench/ubiquity.py TREE HITS [--seed 1] [--list]

TREE is made by bench/tree.py and has its index. HITS (may be .xz) has a line a function: its name, its file, and the share of the loads
that ran it. Prints, for the functions that nearly all loads ran and for those that hardly any did, how many can be aimed at: of all, and of
60 that are drawn. Red where that is worse than it was.
"""

from __future__ import annotations

import argparse
import collections
import lzma
import pathlib
import random
import sys

from hook import config
from hook.evidence.focus import focus_symbols
from hook.source import git
from hook.source.object_store import Objects
from hook.source.tree import Source

NEARLY_ALL, HARDLY_ANY = 0.97, 0.01
DRAWN = 60
MOST_LISTED, LEAST_KEPT = 0.09, 0.94  # of the first kind, and of the second; reached on 6.12: docs/evidence.md


def read(path: pathlib.Path) -> list[tuple[str, str, float]]:
    """The functions, each with its file and its share."""
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return [(name, place, float(share)) for name, place, share in rows if share[:1].isdigit()]


def judge(source: Source, functions: list[tuple[str, str, float]]) -> dict[tuple[str, str], str]:
    """For each function: `ubiquitous`, `aim`, or `other`, where it cannot be aimed at for another reason."""
    found = {}
    for name, path, _ in functions:
        hit = focus_symbols.hit(name, path, source, config.DEFAULTS.target.arch)
        found[path, name] = "aim" if hit.why_not is None else "ubiquitous" if focus_symbols.is_ubiquitous(source, path, name) else "other"
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("hits", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the functions that are named wrongly")
    options = parser.parse_args()
    rows = read(options.hits)
    everywhere = [row for row in rows if row[2] >= NEARLY_ALL]
    hardly = [row for row in rows if row[2] < HARDLY_ANY]
    repo = git.find(options.tree)
    with Objects(repo) as objects:
        answers = judge(Source(objects, repo.run("rev-parse", "HEAD").decode().strip()), [*everywhere, *hardly])
    shares = []
    for title, group, wrong in (("run by nearly all", everywhere, "aim"), ("run by hardly any", hardly, "ubiquitous")):
        counts = collections.Counter(answers[path, name] for name, path, _ in group)
        drawn = random.Random(options.seed).sample(group, min(DRAWN, len(group)))
        of_drawn = collections.Counter(answers[path, name] for name, path, _ in drawn)
        print(f"{title}: {len(group)}: {dict(counts)}; of {len(drawn)} drawn {dict(of_drawn)}")
        shares.append(counts[wrong] / max(1, len(group)))
        for name, path, share in group if options.list else ():
            if answers[path, name] == wrong:
                print(f"  {share:.4f} {path} {name}")
    return 1 if shares[0] > MOST_LISTED or 1 - shares[1] < LEAST_KEPT else 0


if __name__ == "__main__":
    sys.exit(main())
