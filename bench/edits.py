"""Random edits of real kernel files: those that cannot matter must be proved harmless, those that must matter never.

    python bench/edits.py TREE [--files 500] [--seed 1]

Takes C files of TREE (bench/tree.py makes it; an index there makes it faster and proves renames) at random, and edits each twice.
"""

from __future__ import annotations

import argparse
import collections
import pathlib
import random
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from hook.evidence.functional import file_edits
from hook.source import git
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
from tests.evidence.functional import edits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    made: collections.Counter[str] = collections.Counter()
    proved: collections.Counter[str] = collections.Counter()
    wrong = 0
    with Objects(git.find(options.tree), 1 << 25) as objects:
        source = Source(objects, "HEAD")
        paths = [path for path in source.glob("*.c") if not path.startswith(("tools/", "scripts/", "samples/"))]
        for path in rng.sample(paths, options.files):
            found = source.file(path)
            data = found.data if found and found.data else b""
            try:
                text = data.decode()
            except UnicodeDecodeError:
                continue
            if (edit := edits.harmless(text, rng)) is not None:
                made[edit[1]] += 1
                answer = file_edits.compare("c", path, data, edit[0].encode(), source)
                proved[edit[1]] += answer.functional is Answer.NO
                if answer.functional is not Answer.NO:
                    print(f"open: {path}:{answer.line} {edit[1]}: {answer.why}")
            if (mutated := edits.effective(text, rng)) is not None:
                made["effective"] += 1
                answer = file_edits.compare("c", path, data, mutated.encode(), source)
                if answer.functional is Answer.NO:
                    wrong += 1
                    print(f"CALLED HARMLESS: {path}:{answer.line} {answer.classes} {answer.why}")
    for kind, count in sorted(made.items()):
        if kind != "effective":
            print(f"{kind:<14} {proved[kind]}/{count} proved harmless")
    print(f"{'effective':<14} {wrong}/{made['effective']} called harmless")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
