"""EnableConfigs against the kernel's own build: do the answers build what they are for, and is nothing in them too much?

    python bench/configs.py --tree GIT_TREE --build BUILD_TREE --out RESULTS.jsonl [--count 300] [--minimal 40] [--compile 0] [--seed 1]

For random .c files of drivers, net, fs, sound, crypto and mm that the default base does not build: `make olddefconfig` over defconfig,
kvm_guest.config and the answer, nothing dropped, and Kbuild asked whether it would make the object (`make -n DIRECTORY/`); with --compile N
the first N are made. What allmodconfig builds is the yardstick: BUILD_TREE/.allmod holds the objects, one a line, and is made
first where it is missing. With --minimal, for so many answers: each option taken out again must stop the object, or come back by itself.

GIT_TREE is a kernel as git repository (bench/tree.py), BUILD_TREE a copy of it without .git that may be built in. What is in RESULTS is not
done again, so that a stopped run goes on. 3 s a file, 12 with --compile.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import pathlib
import posixpath
import random
import re
import subprocess
import sys
import time

from hook.evidence.linux import conditions
from hook.evidence.linux.configs import Configurer
from hook.evidence.linux.solver import NoSolution, impossible, solve
from hook.source.git import find
from hook.source.objects import Objects
from hook.source.tree import Source

FOLDERS = ("drivers", "net", "fs", "sound", "crypto", "mm")


def make(tree: pathlib.Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-s", "-C", str(tree), "ARCH=x86_64", "WERROR=0", *args], capture_output=True, text=True, check=False)


def configure(tree: pathlib.Path, settings: dict[str, str]) -> dict[str, str]:
    """The .config that comes of the default base with `settings` over it."""
    base = tree / ".base-config"
    if not base.exists():
        make(tree, "defconfig", "kvm_guest.config")
        base.write_text((tree / ".config").read_text())
    lines = [f"CONFIG_{name}=y\n" if value == "y" else f"# CONFIG_{name} is not set\n" for name, value in settings.items()]
    (tree / ".config").write_text(base.read_text() + "".join(lines))
    # the program itself, and what syncconfig would write of it: make would run both through the shell, for three times as long
    tools = dict(CC="gcc", LD="ld", AR="ar", NM="nm", OBJCOPY="objcopy", RUSTC="rustc", BINDGEN="bindgen", PAHOLE="pahole")
    env = {**os.environ, **tools, "ARCH": "x86_64", "SRCARCH": "x86", "srctree": ".", "KERNELVERSION": "6", "PYTHON3": "python3"}
    conf = ["scripts/kconfig/conf", "-s", "--olddefconfig", "Kconfig"]
    subprocess.run(conf, cwd=tree, env=env, capture_output=True, check=True)
    config = (tree / ".config").read_text()
    (tree / "include/config/auto.conf").write_text("".join(re.findall(r"(?m)^CONFIG_\w+=.*\n", config)))
    return dict(re.findall(r"(?m)^CONFIG_(\w+)=(.*)$", (tree / ".config").read_text()))


def named_in(tree: pathlib.Path, path: str, folders: list[str]) -> str:
    """The directory of `folders` for which Kbuild makes the object of a source file; empty where there is none.

    Kbuild is asked for a directory: a single object it would make whatever the configuration says.
    """
    wanted = path[:-2] + ".o"
    (tree / wanted).unlink(missing_ok=True)
    for folder in folders:
        done = subprocess.run(["make", "-n", "-C", str(tree), "ARCH=x86_64", f"{folder}/"], capture_output=True, text=True, check=False)
        if wanted in made(done.stdout):
            return folder
    return ""


def above(path: str) -> list[str]:
    """The directory of a file and those above it, of which a makefile may name it."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[:depth]) for depth in range(len(parts), max(1, len(parts) - 4), -1)]


def compiled(tree: pathlib.Path, path: str) -> str:
    """Why the object of a source file cannot be compiled; empty where it is."""
    wanted = path[:-2] + ".o"
    failed = make(tree, wanted)
    return "" if (tree / wanted).exists() else (failed.stderr.strip() or "nothing was made")[-200:]


def made(output: str) -> set[str]:
    """The objects that the commands of `make -n` would write."""
    return {posixpath.normpath(name) for name in re.findall(r"-o (\S+\.o)[\s;]", output)}


def built_by_allmodconfig(tree: pathlib.Path) -> set[str]:
    """The sources that allmodconfig builds."""
    known = tree / ".allmod"
    if not known.exists():
        make(tree, "allmodconfig")
        make(tree, "prepare")
        done = subprocess.run(
            ["make", "-n", "-k", "-C", str(tree), "ARCH=x86_64", *(f"{folder}/" for folder in FOLDERS)],
            capture_output=True, text=True, check=False,
        )
        known.write_text("\n".join(sorted(made(done.stdout))) + "\n")
    return {posixpath.normpath(name)[:-2] + ".c" for name in known.read_text().split()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--minimal", type=int, default=40)
    parser.add_argument("--compile", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    done = {}
    if options.out.exists():
        done = {row["path"]: row for row in map(json.loads, options.out.read_text().splitlines())}
    yardstick = built_by_allmodconfig(options.build)

    with Objects(find(options.tree), 16 << 20) as objects, options.out.open("a") as out:
        source = Source(objects, "HEAD")
        configurer = Configurer(source, "x86_64", "gcc-12", None)
        files = source.glob(*(f"{folder}/*.c" for folder in FOLDERS))
        random.Random(options.seed).shuffle(files)
        needy = (path for path in files if not configurer.holds(conditions.taken_to_hold(configurer.built_if(path).condition)))
        for number, path in enumerate(itertools.islice(needy, options.count)):
            if path in done:
                continue
            started = time.perf_counter()
            fresh = Configurer(source, "x86_64", "gcc-12", None)
            condition = fresh.built_if(path).condition
            goal = conditions.taken_to_hold(condition)
            row = {"path": path, "condition": conditions.shown(condition)[:300], "allmod": path in yardstick}
            row["impossible"] = impossible(fresh.known.options, condition)
            try:
                settings = solve(fresh.known.options, fresh.known.base, goal).settings
                row["why"] = ""
            except NoSolution as wrong:
                settings, row["why"] = {}, f"no answer: {wrong}"
            row["seconds"] = round(time.perf_counter() - started, 4)
            row["settings"] = settings
            if row["why"]:
                row["builds"], row["dropped"] = False, []
            else:
                config = configure(options.build, settings)
                row["dropped"] = [name for name, value in settings.items() if config.get(name, "n") != value]
                folder = named_in(options.build, path, above(path))
                row["why"] = "" if folder else "Kbuild does not name it"
                if folder and number < options.compile:
                    row["why"] = compiled(options.build, path)
                row["builds"] = not row["why"]
                if number < options.minimal and row["builds"]:
                    row["too_much"] = []
                    for name in settings:
                        config = configure(options.build, {one: value for one, value in settings.items() if one != name})
                        if config.get(name, "n") != settings[name] and named_in(options.build, path, [folder]):
                            row["too_much"].append(name)
            out.write(json.dumps(row) + "\n")
            out.flush()
            done[path] = row

    rows = list(done.values())
    wanted = [row for row in rows if row["allmod"]]
    checked = [row for row in rows if "too_much" in row]
    seconds = sorted(row["seconds"] for row in rows)
    print(f"files                          {len(rows)}, of which allmodconfig builds {len(wanted)}")
    print(f"answer builds the file         {sum(row['builds'] for row in wanted)}/{len(wanted)}"
          f"   beyond allmodconfig: {sum(row['builds'] for row in rows if not row['allmod'])}")
    print(f"options dropped                {sum(len(row['dropped']) for row in rows)}")
    print(f"called impossible and built    {sum(bool(row['impossible']) and row['allmod'] for row in rows)}"
          f"   (called impossible: {sum(bool(row['impossible']) for row in rows)})")
    print(f"answers with an option too much {sum(bool(row['too_much']) for row in checked)}/{len(checked)}")
    if seconds:
        print(f"seconds an answer              median {seconds[len(seconds) // 2]:.3f}, most {seconds[-1]:.3f}")
    for row in wanted:
        if not row["builds"] or row["dropped"] or row.get("too_much"):
            print(f"  {row['path']}: {row['why']} dropped {row['dropped']} too much {row.get('too_much', [])} {row['settings']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
