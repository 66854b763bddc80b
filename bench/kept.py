"""EnableConfigs of verdicts against olddefconfig: does a kernel keep all of them, and build what the proof goes through?

    python bench/kept.py PATCHES --tree GIT_TREE --build BUILD_TREE --out RESULTS.jsonl [--count 100] [--plain] [--verdicts FILE]

For each patch that is worth fuzzing: defconfig, kvm_guest.config and the answer, merged and brought in order as olddefconfig does.
`dropped` are options that do not survive; `unbuilt` are .c files of the proof (Evidence) that Kbuild does not build in then; `foreign` are
names of FocusSymbols and Via that neither such a file defines, nor a header, nor one that the patch changes. Nothing is compiled.

PATCHES is a directory of patches, GIT_TREE the tree that they apply to (bench/tree.py), BUILD_TREE a copy of it without .git that may be
configured. --verdicts gives the answers of an earlier run (JSON lines of `name`, `v` and `doc`) instead of asking the program; --plain asks
it as a commit does, without the full search. What is in RESULTS is not done again.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import subprocess
import sys
from typing import Any

from bench.kernelbuild import Build
from hook.source import lookup
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
Row = dict[str, Any]
_MOST_NAMES = 40  # of one patch that are looked up


def verdict_of(tree: pathlib.Path, patch: pathlib.Path, *, plain: bool) -> Row:
    """The program's verdict, from the evidence alone."""
    argv = [str(PROGRAM), "check", "--repo", str(tree), "--base", "HEAD", "--patch", str(patch), "--offline", "--no-cache"]
    argv += ["--format", "json", *([] if plain else ["-v"])]
    return dict(json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout))


def foreign(build: Build, source: Source, verdict: Row, changed: str) -> list[str]:
    """The names to aim at that are defined in no file that is built, and in none of the patch."""
    found = []
    for symbol in (*verdict["FocusSymbols"][:_MOST_NAMES], *verdict["Via"]):
        name = re.sub(r"\A__(?:x64|ia32)_(?=(?:compat_)?sys_)", "", symbol)
        paths = dict.fromkeys(one.path for one in lookup.find_definitions(source, name, lookup.Bounds(24)).items)
        built = ((path.endswith(".h") and not path.startswith("arch/")) or bool(build.folder_of(path)) for path in paths)
        if paths and not any(f" b/{path}\n" in changed for path in paths) and not any(built):
            found.append(symbol)
    return found


def checked(build: Build, source: Source, name: str, verdict: Row, changed: str) -> Row:
    """What olddefconfig makes of a verdict's options."""
    settings = {**dict.fromkeys(verdict["EnableConfigs"], "y"), **dict.fromkeys(verdict["DisableConfigs"], "n")}
    config = build.configure(settings)
    dropped = [option for option, value in settings.items() if config.get(option, "n") != value]
    row: Row = {"name": name, "reachable": verdict["Reachable"], "settings": settings, "dropped": dropped, "unbuilt": []}
    row["reach"] = [option for option, reason in verdict["ConfigReasons"].items() if reason["For"] == "reach"]
    row["devices"] = verdict["Devices"]
    row["foreign"] = foreign(build, source, verdict, changed)
    if verdict["Reachable"] == "yes":
        files = dict.fromkeys(fact["Path"] for fact in verdict["Evidence"] if fact["Path"].endswith(".c"))
        row["unbuilt"] = [path for path in files if (build.tree / path).exists() and not build.folder_of(path)]
    return row


def report(rows: list[Row]) -> bool:
    """Print what the rows come to; whether all is kept."""
    needy, reach = [row for row in rows if row["settings"]], [row for row in rows if row["reach"]]
    kept = [row for row in rows if not row["dropped"]]
    print(f"verdicts worth fuzzing     {len(rows)}, of which {len(needy)} ask for options, {len(reach)} of them for reach")
    print(f"all options kept           {len(kept)}/{len(rows)} = {len(kept) / max(1, len(rows)):.1%}")
    print(f"names that are built       {sum(not row['foreign'] for row in rows)}/{len(rows)}")
    print(f"proof built                {sum(not row['unbuilt'] for row in rows)}/{len(rows)}")
    for row in rows:
        if row["dropped"] or row["unbuilt"] or row["foreign"]:
            print(f"  {row['name']}: dropped {row['dropped']}, not built {row['unbuilt']}, foreign {row['foreign']}; {row['settings']}")
    return len(kept) == len(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=pathlib.Path)
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--verdicts", type=pathlib.Path)
    options = parser.parse_args()
    done: dict[str, Row] = {}
    if options.out.exists():
        done = {row["name"]: row for row in map(json.loads, options.out.read_text().splitlines())}
    known: dict[str, Row] = {}
    if options.verdicts:
        answers = map(json.loads, options.verdicts.read_text().splitlines())
        known = {row["name"]: row["doc"] for row in answers if row["v"] is not options.plain and "error" not in row["doc"]}
    patches = sorted(options.patches.glob("*.patch"))
    build = Build(options.build)
    with Objects(find(options.tree), 16 << 20) as objects, options.out.open("a") as out:
        source = Source(objects, "HEAD")
        for patch in patches[:: max(1, len(patches) // options.count)]:
            if patch.name in done or (options.verdicts and patch.name not in known):
                continue
            verdict = known.get(patch.name) or verdict_of(options.tree.resolve(), patch.resolve(), plain=options.plain)
            if not verdict["WorthFuzzing"]:
                continue
            done[patch.name] = checked(build, source, patch.name, verdict, patch.read_text(errors="replace"))
            out.write(json.dumps(done[patch.name]) + "\n")
            out.flush()
    return 0 if report(list(done.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
