"""Edits of Rust files that are called harmless: rustc has to make the same tokens of both versions.

    python bench/rust_edits.py TREE [--later TREE] [--edits 2000] [--seed 1] [--rustc rustc]

TREE is a git tree of the kernel (bench/tree.py). The edits are random ones of its files and of hostile texts; with --later each hunk of
what changed in its files up to a later tree, as an edit of its own. rustc is asked what `stringify!` makes of the whole file: it tells
tokens apart, and white space between them. Exit code 1 where the two differ.
"""

from __future__ import annotations

import argparse
import difflib
import os
import pathlib
import random
import re
import subprocess
import sys
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from hook.evidence.functional import token_comparison
from hook.source import git
from hook.source.object_store import Objects
from hook.source.tree import Source

Edits = Iterator[tuple[str, str]]
_LEXICAL = r"""/* a */ /*/**/*/ /** d */ /***/ /*!i*/ // /// //// //! " ' 'a 'a' '"' '\'' '\\' b'"' "// "/*" "\"" r"\" r#""/*"# br##""#"##
    c"//"     r#type 'r# x y + += = == & && -> => .. ..= :: : # ! #! #[a] $ 1.0 1 .0 1..2 0x1f 1e5 <'a> '{' '/' '*' \ @ ~ ? ; ,"""
_PIECES = _LEXICAL.split()
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BETWEEN = ("", " ", "\n", "\t", "  ", " /* c */ ", "/**/", " // c\n", " //// c\n", '/* " */', "/* ' */", "\r\n")


def _hostile(rng: random.Random) -> str:
    return "".join(rng.choice(_PIECES) + rng.choice(_BETWEEN) for _ in range(rng.randrange(3, 30)))


def _edited(text: str, rng: random.Random) -> str:
    for _ in range(rng.choice([1, 1, 2, 3])):
        at = rng.randrange(len(text) + 1)
        if rng.random() < 0.5:  # where white space is already, an edit is more often harmless
            at = next((place for place in range(at, len(text)) if text[place].isspace()), at)
        end = at + rng.choice([0, 0, 0, 1, 1, 2])
        text = text[:at] + rng.choice([*_BETWEEN, *_BETWEEN, rng.choice(_PIECES)]) + text[end:]
    return text


def _files(tree: pathlib.Path) -> dict[str, str]:
    with Objects(git.find(tree), 1 << 25) as objects:
        source = Source(objects, "HEAD")
        return {path: found.data.decode() for path in source.glob("*.rs") if (found := source.file(path)) and found.data}


def _random_edits(files: list[str], rng: random.Random) -> Edits:
    while True:
        old = _hostile(rng) if rng.random() < 0.7 else rng.choice(files)
        yield old, _edited(old, rng)


def _real_edits(before: dict[str, str], after: dict[str, str]) -> Edits:
    for path in sorted(before.keys() & after.keys()):
        old, new = before[path].splitlines(keepends=True), after[path].splitlines(keepends=True)
        for kind, begin, end, new_begin, new_end in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            if kind != "equal":
                yield before[path], "".join((*old[:begin], *new[new_begin:new_end], *old[end:]))


def _expanded(rustc: str, text: str) -> str | None:
    """What rustc prints for a file's tokens; None where they are none."""
    wrapped = f"const S: &str = stringify!{{\n{text}\n}};\n"
    argv = [rustc, "--edition=2021", "--crate-type=lib", "-Zunpretty=expanded", "-"]
    done = subprocess.run(argv, input=wrapped, capture_output=True, text=True, env={**os.environ, "RUSTC_BOOTSTRAP": "1"}, check=False)
    printed = _STRING.search(done.stdout)  # it prints comments too
    return printed[0] if done.returncode == 0 and printed else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--edits", type=int, default=2000, help="that are called harmless and that rustc reads")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rustc", default="rustc")
    parser.add_argument("--later", type=pathlib.Path)
    options = parser.parse_args()
    files = _files(options.tree)
    edits = _real_edits(files, _files(options.later)) if options.later else _random_edits([*files.values()], random.Random(options.seed))
    compared = wrong = asked = 0
    for old, new in edits:
        asked += 1
        if old == new or not token_comparison.compare("rust", old.encode(), new.encode()).same:
            continue
        before, after = _expanded(options.rustc, old), _expanded(options.rustc, new)
        if before is None and after is None:
            continue
        compared += 1
        if before != after:
            wrong += 1
            print(f"CALLED HARMLESS:\n{old!r}\n{new!r}", flush=True)
        if compared == options.edits:
            break
    print(f"{asked} edits, {compared} called harmless and read by rustc, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
