"""Plans against the kernel's own build: does a kernel keep all options of the fragment, and does every focus filter match a symbol in it?

    python bench/plans.py PATCHES --tree GIT_TREE --gcc BUILD_TREE --clang BUILD_TREE --out RESULTS.jsonl [--count 40] [--seconds S]
        [--verdicts FILE]

For each patch that is `yes` by evidence: its plan is written; defconfig, kvm_guest.config and kernel.config are merged and brought in order
as olddefconfig does; the patch is applied, and the files that change and those that define what is aimed at are compiled, with the KCOV and
KASAN of the fragment. `dropped` are lines of the fragment that do not survive, `failed` are files that are not built, and `unmatched` are
filters of manager.cfg that match no symbol of the objects (nm), or no file that is built.

GIT_TREE is the tree that the patches apply to (bench/tree.py); each BUILD_TREE is a copy of it without .git that may be built in.
--verdicts gives the answers of an earlier run, as for bench/kept.py. What is in RESULTS is not done again. Some 20 s for each file and
compiler.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from bench.builds import Patched
from bench.kept import PROGRAM, Row, verdict_of
from bench.kernelbuild import Build
from hook.source import lookup
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

_MOST_FILES = 4  # beside those that change, in which names to aim at are defined
_LINE = re.compile(r"(?m)^(?:CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set)$")
_POINT = "__sanitizer_cov_trace_pc"


def planned(tree: pathlib.Path, patch: pathlib.Path, place: pathlib.Path) -> tuple[str, Row]:
    """The fragment of a plan, and its manager.cfg."""
    argv = [str(PROGRAM), "plan", "--repo", str(tree), "--base", "HEAD", "--patch", str(patch), "--out", str(place / "plan")]
    subprocess.run(argv, capture_output=True, text=True, check=True)
    return (place / "plan/kernel.config").read_text(), dict(json.loads((place / "plan/manager.cfg").read_text()))


def wanted(fragment: str) -> dict[str, str]:
    """What a fragment sets: the value of each option, n where it is off."""
    return {name or off: value if name else "n" for name, value, off in _LINE.findall(fragment)}


def files_of(source: Source, verdict: Row, patch: str) -> list[str]:
    """The .c files that a patch changes, and those that define what to aim at."""
    found = dict.fromkeys(re.findall(r"(?m)^\+\+\+ b/(\S+\.c)$", patch))
    most = len(found) + _MOST_FILES
    for symbol in verdict["FocusSymbols"]:
        name = re.sub(r"\A__(?:x64|ia32)_(?=(?:compat_)?sys_)", "", symbol)
        paths = [one.path for one in lookup.find_definitions(source, name, lookup.Bounds(24)).items if one.path.endswith(".c")]
        if not set(paths) & set(found):
            found |= dict.fromkeys(paths[:2])
    return list(found)[:most]


def checked(build: Build, compiler: str, fragment: str, config: Row, files: list[str]) -> Row:
    """What a kernel makes of a plan."""
    settings = wanted(fragment)
    after = build.configure({}, base=build.base + fragment)
    row: Row = {f"{compiler}_dropped": [name for name, value in settings.items() if after.get(name, "n") != value]}
    built: dict[str, frozenset[str]] = {}
    failed: dict[str, str] = {}
    for path in files:
        folder = build.folder_of(path)
        symbols = build.symbols(path, folder) if folder else "Kbuild does not build it"
        if isinstance(symbols, str):
            failed[path] = symbols
        else:
            built[path] = symbols
    names = sorted({name for symbols in built.values() for name in symbols})
    filters = [area["filter"] for area in config.get("experimental", {}).get("focus_areas", []) if "filter" in area]
    listed = {re.sub(r"\\(.)", r"\1", one[1:-1]) for each in filters for one in each.get("files", ())}
    # a file of no focus symbol is only asked of Kbuild: to compile all of them takes too long
    covered = [path for path in sorted(listed) if (_POINT in built[path] if path in built else build.folder_of(path))]
    unmatched = [one for each in filters for one in unused(each.get("functions", ()), names)]
    unmatched += [one for each in filters for one in unused(each.get("files", ()), covered)]
    return row | {
        f"{compiler}_filters": sum(len(names) for each in filters for names in each.values()),
        f"{compiler}_built": list(built),
        f"{compiler}_failed": failed,
        f"{compiler}_unmatched": unmatched,
    }


def unused(filters: list[str], names: list[str]) -> list[str]:
    """The filters that are left without a name, each of which counts for the first that matches it (covFilterAddFilter in syzkaller)."""
    used = {next((one for one in filters if re.search(one, name)), "") for name in names}
    return [one for one in filters if one not in used]


def report(rows: list[Row]) -> bool:
    """Print what the rows come to; whether all holds."""
    good = True
    for compiler in ("gcc", "clang"):
        mine = [row for row in rows if f"{compiler}_dropped" in row]
        filters, lost = (sum(row[f"{compiler}_filters"] for row in mine), sum(len(row[f"{compiler}_unmatched"]) for row in mine))
        subsystems = {row["subsystem"] for row in mine}
        print(f"{compiler}: {len(mine)} plans, {len(subsystems)} subsystems; filters that match {filters - lost}/{filters}")
        for row in mine:
            wrong = {part: found for part in ("dropped", "failed", "unmatched") if (found := row[f"{compiler}_{part}"])}
            if wrong:
                good = False
                print(f"  {row['name']}: {wrong}")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=pathlib.Path)
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--gcc", type=pathlib.Path)
    parser.add_argument("--clang", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--verdicts", type=pathlib.Path)
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    done: dict[str, Row] = {}
    if options.out.exists():
        done = {row["name"]: row for row in map(json.loads, options.out.read_text().splitlines())}
    known: dict[str, Row] = {}
    if options.verdicts:
        known = {row["name"]: row["doc"] for row in map(json.loads, options.verdicts.read_text().splitlines()) if row["v"]}
    builds = {name: Build(tree, compiler=name) for name in ("gcc", "clang") if (tree := getattr(options, name))}
    patches = sorted(options.patches.glob("*.patch"))
    with Objects(find(options.tree), 16 << 20) as objects, options.out.open("a") as out:
        source = Source(objects, "HEAD")
        for patch in patches:
            if patch.name in done or (known and patch.name not in known) or len(done) >= options.count or time.monotonic() > until:
                continue
            verdict = known.get(patch.name) or verdict_of(options.tree.resolve(), patch.resolve(), plain=False)
            if verdict.get("Reachable") != "yes" or not verdict["WorthFuzzing"]:
                continue
            text = patch.read_text(errors="replace")
            files = files_of(source, verdict, text)
            row: Row = {"name": patch.name, "subsystem": "/".join(files[0].split("/")[:2]) if files else ""}
            with tempfile.TemporaryDirectory() as place:
                fragment, config = planned(options.tree.resolve(), patch.resolve(), pathlib.Path(place))
            for compiler, build in builds.items():
                with Patched(build, patch):
                    row |= checked(build, compiler, fragment, config, files)
            out.write(json.dumps(row) + "\n")
            out.flush()
            done[patch.name] = row
    return 0 if report(list(done.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
