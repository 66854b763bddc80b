"""EnableConfigs of verdicts against olddefconfig: does a kernel keep all of them, and build what the proof goes through?

    python bench/kept.py PATCHES --tree GIT_TREE --build BUILD_TREE --out RESULTS.jsonl [--count 100] [--plain] [--verdicts FILE]
        [--base CONFIG] [--compile] [--modules ANSWERS.jsonl]

For each patch that is worth fuzzing: defconfig, kvm_guest.config and the answer, merged and brought in order as olddefconfig does.
`dropped` are options that do not survive; `unbuilt` are .c files of the proof (Evidence) that Kbuild does not build in then; `foreign` are
names of FocusSymbols and Via that neither such a file defines, nor a header, nor one that the patch changes. With --compile the patch is
applied; `failed` are files that are not compiled then: those that change, those of the proof, and one for each option (the bus driver,
what makes the device).

PATCHES is a directory of patches, GIT_TREE the tree that they apply to (bench/tree.py), BUILD_TREE a copy of it without .git that may be
configured. With --modules so many patches as --count says are written to PATCHES first: one statement more in a driver that
bench/modules.py answers `yes` for, each time on the next bus. --base is another configuration than defconfig, asked for and built on.
--verdicts gives the answers of an earlier run (JSON lines of `name`, `v` and `doc`) instead of asking the program; --plain asks
it as a commit does, without the full search. What is in RESULTS is not done again. Some 2 s a patch, and 3 s for each file with --compile.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import os
import pathlib
import random
import re
import subprocess
import sys
from typing import Any

from bench.builds import Patched
from bench.executed import with_statement
from bench.kernelbuild import Build
from hook.c.definitions import DefinitionKind, scan
from hook.kernel.kernel import Kernel
from hook.source import lookup
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source

PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
Row = dict[str, Any]
_MOST_NAMES = 40  # of one patch that are looked up
_MOST_COMPILED = 8  # files of one patch
_MOST_INCLUDERS = 2000  # files with the name of a .c file in them
_BUILDS = re.compile(rb"(?m)^obj-\$\(CONFIG_(\w+)\)\s*[:+]=\s*(\w[\w-]*)\.o\b")


def draw(source: Source, answers: list[Row], count: int, place: pathlib.Path) -> None:
    """Write patches of drivers that a program reaches, each with one statement more in one of its functions, a bus after the other."""
    kernel, chance = Kernel(source, "x86_64", "gcc-12", None), random.Random(1)
    buses: dict[str, list[str]] = collections.defaultdict(list)
    for row in answers:
        if row["Answer"] == "yes":
            # what registers on no bus, by its directory
            buses[row["Bus"] if row["Bus"] != "none" else "/".join(row["Object"].split("/")[:2])].append(row["Object"])
    for paths in buses.values():
        chance.shuffle(paths)
    place.mkdir(exist_ok=True)
    turns = itertools.zip_longest(*(buses[bus] for bus in sorted(buses, key=lambda bus: ("/" in bus, bus))))
    written = 0
    for path in (path for turn in turns for path in turn if path):
        member = next(one.members[0] for one in kernel.kbuild.of_directory(path.rpartition("/")[0]) if one.path == path)
        file = source.file(member)
        data = (file.data if file is not None else None) or b""
        names = [one.name for one in scan(data).definitions if one.kind is DefinitionKind.FUNCTION]
        chance.shuffle(names)
        diff = next(filter(None, (with_statement(data, name, member) for name in names)), b"")
        if diff:
            (place / f"{path.replace('/', '+')}.patch").write_bytes(diff)
            written += 1
        if written == count:
            break


def first_files(source: Source) -> dict[str, str]:
    """The first .c file that a makefile builds by each option alone: of a bus driver, or of what makes devices."""
    found: dict[str, str] = {}
    paths = [path for path in source.glob("*Makefile", "*Kbuild") if not path.startswith(("arch/", "tools/"))]
    for path, file in zip(paths, source.files(paths), strict=True):
        for name, part in _BUILDS.findall((file.data if file is not None else None) or b""):
            unit = f"{path.rpartition('/')[0]}/{part.decode()}.c"
            if name.decode() not in found and source.oid(unit):
                found[name.decode()] = unit
    return found


def verdict_of(tree: pathlib.Path, patch: pathlib.Path, *, plain: bool) -> Row:
    """The program's verdict, from the evidence alone."""
    argv = [str(PROGRAM), "check", "--repo", str(tree), "--base", "HEAD", "--patch", str(patch), "--offline", "--no-cache"]
    argv += ["--format", "json", *([] if plain else ["-v"])]
    return dict(json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout))


def is_built(build: Build, source: Source, path: str) -> bool:
    """Whether Kbuild builds a file in, or a .c file that includes it."""
    including = (one.path for one in lookup.includers(source, path, lookup.Bounds(_MOST_INCLUDERS)).items)
    return any(build.folder_of(one) for one in itertools.chain([path], (one for one in including if one.endswith(".c"))))


def foreign(build: Build, source: Source, verdict: Row, changed: str) -> list[str]:
    """The names to aim at that are defined in no file that is built, and in none of the patch."""
    found = []
    for symbol in (*verdict["FocusSymbols"][:_MOST_NAMES], *verdict["Via"]):
        name = re.sub(r"\A__(?:x64|ia32)_(?=(?:compat_)?sys_)|.*::", "", symbol)
        paths = dict.fromkeys(one.path for one in lookup.find_definitions(source, name, lookup.Bounds(100)).items)
        built = ((path.endswith(".h") and not path.startswith("arch/")) or is_built(build, source, path) for path in paths)
        if paths and not any(f" b/{path}\n" in changed for path in paths) and not any(built):
            found.append(symbol)
    return found


def failed(build: Build, files: list[str], before: set[str]) -> dict[str, str]:
    """The files that are not compiled as the tree is configured now, each with the reason; of those compiled before Kbuild is asked."""
    why: dict[str, str] = {}
    for path in files:
        folder = build.folder_of(path)
        reason = "" if folder and path in before else build.compiled(path, folder) if folder else "Kbuild does not build it in"
        before |= {path} if not reason else set()
        why |= {path: reason} if reason else {}
    return why


def checked(build: Build, source: Source, name: str, verdict: Row, changed: str, base: str = "") -> Row:
    """What olddefconfig makes of a verdict's options."""
    settings = {**dict.fromkeys(verdict["EnableConfigs"], "y"), **dict.fromkeys(verdict["DisableConfigs"], "n")}
    config = build.configure(settings, base=base)
    dropped = [option for option, value in settings.items() if config.get(option, "n") != value]
    row: Row = {"name": name, "reachable": verdict["Reachable"], "settings": settings, "dropped": dropped, "unbuilt": []}
    row["reach"] = [option for option, reason in verdict["ConfigReasons"].items() if reason["For"] == "reach"]
    row["devices"] = verdict["Devices"]
    row["foreign"] = foreign(build, source, verdict, changed)
    if verdict["Reachable"] == "yes":
        files = dict.fromkeys(fact["Path"] for fact in verdict["Evidence"] if fact["Path"].endswith(".c"))
        row["unbuilt"] = [path for path in files if (build.tree / path).exists() and not is_built(build, source, path)]
    return row


def report(rows: list[Row]) -> bool:
    """Print what the rows come to; whether all is kept."""
    needy, reach = [row for row in rows if row["settings"]], [row for row in rows if row["reach"]]
    kept = [row for row in rows if not row["dropped"]]
    print(f"verdicts worth fuzzing     {len(rows)}, of which {len(needy)} ask for options, {len(reach)} of them for reach")
    print(f"all options kept           {len(kept)}/{len(rows)} = {len(kept) / max(1, len(rows)):.1%}")
    print(f"names that are built       {sum(not row['foreign'] for row in rows)}/{len(rows)}")
    print(f"proof built                {sum(not row['unbuilt'] for row in rows)}/{len(rows)}")
    compiled = [row for row in rows if "failed" in row]
    print(f"compiled                   {sum(not row['failed'] for row in compiled)}/{len(compiled)}")
    for row in rows:
        wrong = {part: row[part] for part in ("dropped", "unbuilt", "foreign", "failed") if row.get(part)}
        if wrong or "failed" in row:
            print(f"  {row['name']}: {row['reachable']} {', '.join(row['devices'])}; {row['settings']} {wrong or ''}")
    return len(kept) == len(rows) and not any(row["failed"] for row in compiled)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("patches", type=pathlib.Path)
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--verdicts", type=pathlib.Path)
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--modules", type=pathlib.Path)
    options = parser.parse_args()
    done: dict[str, Row] = {}
    if options.out.exists():
        done = {row["name"]: row for row in map(json.loads, options.out.read_text().splitlines())}
    known: dict[str, Row] = {}
    if options.verdicts:
        answers = map(json.loads, options.verdicts.read_text().splitlines())
        known = {row["name"]: row["doc"] for row in answers if row["v"] is not options.plain and "error" not in row["doc"]}
    if options.base:
        os.environ["PATCH_TRIAGE_FUZZ_BASE_CONFIG"] = str(options.base.resolve())
    build = Build(options.build)
    base = options.base.read_text() if options.base else ""
    with Objects(find(options.tree), 16 << 20) as objects, options.out.open("a") as out:
        source = Source(objects, "HEAD")
        if options.modules:
            draw(source, list(map(json.loads, options.modules.read_text().splitlines())), options.count, options.patches)
        named, compiled = first_files(source) if options.compile else {}, set[str]()
        patches = sorted(options.patches.glob("*.patch"))
        for patch in patches[:: max(1, len(patches) // options.count)]:
            if patch.name in done or (options.verdicts and patch.name not in known):
                continue
            verdict = known.get(patch.name) or verdict_of(options.tree.resolve(), patch.resolve(), plain=options.plain)
            if not verdict["WorthFuzzing"]:
                continue
            changed = patch.read_text(errors="replace")
            row = done[patch.name] = checked(build, source, patch.name, verdict, changed, base)
            if options.compile:
                files = [*re.findall(r"(?m)^\+\+\+ b/(\S+\.c)$", changed), *(fact["Path"] for fact in verdict["Evidence"])]
                files += [named[option] for option in verdict["EnableConfigs"] if option in named]
                with Patched(build, patch):
                    row["failed"] = failed(build, [path for path in dict.fromkeys(files) if path.endswith(".c")][:_MOST_COMPILED], compiled)
            out.write(json.dumps(done[patch.name]) + "\n")
            out.flush()
    return 0 if report(list(done.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
