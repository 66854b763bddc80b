"""EnableConfigs of labelled patches against the kernel's own build: do they build the changed lines, and is none of them too much?

    python bench/builds.py LABELLED --tree GIT_TREE --build BUILD_TREE --out RESULTS.jsonl [--count 70] [--minimal 40]

For each patch that is worth fuzzing and changes a .c file: what olddefconfig makes of defconfig, kvm_guest.config and the answer, with
nothing dropped; the patch applied; Kbuild asked whether it descends to each changed file and builds it in; the file compiled; and whether
each hunk is left after the preprocessor. For so many answers as --minimal says, each option is taken out again: one `For: build` must stop
the build of a hunk, one `For: reach` that of the line which its reason names, or come back by itself.

LABELLED is a directory with `labels.jsonl` and `patches/`, GIT_TREE the tree that they apply to (bench/tree.py), BUILD_TREE a copy of it
without .git that may be built in. What is in RESULTS is not done again. Some 4 s a patch, and 1 s for each option taken out.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import subprocess
import sys
import time
from typing import Any

from bench.kernelbuild import Build

PROGRAM = pathlib.Path(sys.executable).parent / "patch-triage"
_BUILT_BY = re.compile(r"builds (\S+\.[chS])\b")
Row = dict[str, Any]
Hunks = dict[str, list[set[int]]]  # path -> of each hunk the lines that hold added code


def verdict_of(tree: pathlib.Path, patch: pathlib.Path) -> Row:
    """The program's verdict, from the evidence alone."""
    argv = [str(PROGRAM), "check", "--repo", str(tree), "--base", "HEAD", "--patch", str(patch), "--offline", "--no-cache"]
    return dict(json.loads(subprocess.run([*argv, "--format", "json"], capture_output=True, text=True, check=True).stdout))


def hunks_of(text: str) -> Hunks:
    """The lines that a patch adds, as far as a preprocessor leaves them."""
    found: Hunks = {}
    path, at = "", 0
    for line in text.splitlines():
        if line.startswith("+++ "):
            path = line[4:].split("\t")[0].removeprefix("b/")
        elif head := re.match(r"@@ -\S+ \+(\d+)", line):
            at = int(head[1])
            found.setdefault(path, []).append(set())
        elif path in found and line[:1] in ("+", " "):
            body = line[1:].strip()
            if line[0] == "+" and body and not body.startswith(("#", "/*", "*", "//")) and not body.endswith("\\"):
                found[path][-1].add(at)
            at += 1
    return found


class Patched:
    """The build tree while a patch is applied to it."""

    def __init__(self, build: Build, patch: pathlib.Path) -> None:
        self._tree, self._patch = build.tree, patch

    def __enter__(self) -> None:
        self._run([], check=True)

    def __exit__(self, *_: object) -> None:
        self._run(["-R"], check=True)

    def _run(self, how: list[str], *, check: bool) -> None:
        with self._patch.open() as text:
            subprocess.run(["patch", "-p1", "-s", "-d", str(self._tree), *how], stdin=text, capture_output=True, check=check)


def not_built(build: Build, files: dict[str, str], hunks: Hunks, *, compiling: bool) -> tuple[str, Hunks]:
    """What of a patch is not built as the tree is configured now, and its hunks of which no line is left; empty where all is.

    `files`: path -> the .c that is compiled for it.
    """
    lost: Hunks = {}
    why = ""
    for path, unit in files.items():
        folder = build.folder_of(unit)
        left: set[int] = build.lines_left(unit, folder, path) if folder else set()
        if gone := [lines for lines in hunks.get(path, []) if lines and not lines & left]:
            lost[path] = gone
            why = why or f"{path}:{min(gone[0])}: the hunk is built without its lines"
        if not folder:
            return f"Kbuild does not build {unit} in", {path: hunks[path] for path in files if path in hunks}
        if compiling and (wrong := build.compiled(unit, folder)):
            return f"{unit} is not compiled: {wrong}", lost
    return why, lost


def settings_of(verdict: Row) -> dict[str, str]:
    return {**dict.fromkeys(verdict.get("EnableConfigs", []), "y"), **dict.fromkeys(verdict.get("DisableConfigs", []), "n")}


def reached(build: Build, reasons: Row, reason: Row) -> bool:
    """Whether the caller that a `reach` option is for is still in the kernel."""
    suffix = reason["Why"].partition(": ")[2]
    for one in [reason, *(other for other in reasons.values() if other["For"] == "reach" and other["Why"].endswith(suffix))]:
        if named := _BUILT_BY.search(one["Why"]):
            return bool(build.folder_of(named[1]))
        if one["Path"].endswith(".c"):
            folder = build.folder_of(one["Path"])
            after = {one["Line"] + more for more in range(1, 20)}
            return bool(folder) and bool(after & build.lines_left(one["Path"], folder, one["Path"]))
    raise ValueError(f"no reason says where the caller stands: {reason}")


def too_much(build: Build, verdict: Row, files: dict[str, str], hunks: Hunks) -> dict[str, str]:
    """Of each option of an answer what happens without it; those that begin with `nothing` are too much."""
    found: dict[str, str] = {}
    settings, reasons = settings_of(verdict), verdict["ConfigReasons"]
    for name, value in settings.items():
        config = build.configure({one: other for one, other in settings.items() if one != name})
        if config.get(name, "n") == value:
            found[name] = "comes back"
        elif reasons[name]["For"] == "build":
            found[name] = not_built(build, files, hunks, compiling=False)[0] or "nothing is lost"
        else:
            found[name] = "nothing is out of reach" if reached(build, reasons, reasons[name]) else "the caller is gone"
    return found


def checked(build: Build, label: Row, verdict: Row, patch: pathlib.Path, *, minimal: bool) -> Row:
    settings = settings_of(verdict)
    row: Row = {"id": label["id"], "settings": settings, "reasons": verdict["ConfigReasons"], "assumptions": verdict["Assumptions"]}
    with Patched(build, patch):
        config = build.configure(settings)
        row["dropped"] = [name for name, value in settings.items() if config.get(name, "n") != value]
        files = {path: label.get("included_by") or path for path in label["files"] if path.endswith(".c") and (build.tree / path).exists()}
        hunks = hunks_of(patch.read_text(errors="replace"))
        row["why"], lost = not_built(build, files, hunks, compiling=True)
        for one in verdict["ConfigSets"][1:] if lost else ():
            # what excludes the other lines (both arms of an #ifdef) has a configuration of its own
            build.configure({**dict.fromkeys(one["Enable"], "y"), **dict.fromkeys(one["Disable"], "n")})
            row["why"], lost = not_built(build, {path: files[path] for path in lost}, lost, compiling=False)
        row["sets"] = len(verdict["ConfigSets"]) or 1
        if minimal and not row["why"]:
            row["without"] = too_much(build, verdict, files, hunks)
    return row


def report(rows: list[Row]) -> bool:
    """Print what the rows come to; whether all is as it should be."""
    good = [row for row in rows if not row["why"]]
    needy = [row for row in rows if row["settings"]]
    answers = [row for row in rows if "without" in row]
    said = [(row["id"], name, what) for row in answers for name, what in row["without"].items()]
    back, much = sum(what == "comes back" for *_, what in said), sum(what.startswith("nothing") for *_, what in said)
    reach = sum("caller" in what or "reach" in what for *_, what in said)
    several = sum(row.get("sets", 1) > 1 for row in rows)
    print(f"patches                        {len(rows)}, of which {len(needy)} ask for options; {several} with more than one set")
    print(
        f"built, compiled, no hunk lost  {len(good)}/{len(rows)} = {len(good) / max(1, len(rows)):.1%}"
        f"   (that ask for options: {sum(not row['why'] for row in needy)}/{len(needy)})"
    )
    print(f"options dropped                {sum(len(row['dropped']) for row in rows)}")
    print(f"options taken out again        {len(said)} of {len(answers)} answers: {back} come back, {much} too much; for reach {reach}")
    for row in rows:
        if row["why"] or row["dropped"]:
            print(f"  {row['id']}: {row['why']} dropped {row['dropped']} {row['settings']} {row['assumptions']}")
    for number, name, what in said:
        if what.startswith("nothing"):
            print(f"  {number}: without {name} {what}")
    return len(good) == len(rows) and not any(what.startswith("nothing") for *_, what in said)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labelled", type=pathlib.Path)
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=70)
    parser.add_argument("--minimal", type=int, default=40)
    parser.add_argument("--first", type=int, default=0, help="leave out so many, for another sample")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    done: dict[str, Row] = {}
    if options.out.exists():
        done = {row["id"]: row for row in map(json.loads, options.out.read_text().splitlines())}
    labels = list(map(json.loads, (options.labelled / "labels.jsonl").read_text().splitlines()))
    sample = [row for row in labels if row["functional"] and row["trust"] != "low" and any(name.endswith(".c") for name in row["files"])]
    sample = sample[options.first :: max(1, len(sample) // options.count)][: options.count]
    build = Build(options.build)
    answers = sum("without" in row for row in done.values())
    with options.out.open("a") as out:
        for label in sample:
            if label["id"] in done or time.monotonic() > until:
                continue
            patch = options.labelled.resolve() / "patches" / f"{label['id']}.patch"
            verdict = verdict_of(options.tree.resolve(), patch)
            if not verdict["WorthFuzzing"]:
                continue
            row = checked(build, label, verdict, patch, minimal=bool(settings_of(verdict)) and answers < options.minimal)
            answers += "without" in row
            out.write(json.dumps(row) + "\n")
            out.flush()
            done[row["id"]] = row
    return 0 if report(list(done.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
