"""The word index on a real kernel tree: what it costs, that it answers as git grep does, and how much faster.

    python bench/lookups.py TREE [--seed 1] [--names 300] [--expressions 50] [--functions 300]

TREE is made by bench/tree.py; its index is made anew in a clone beside it. Needs universal-ctags for the definitions. Prints: time, memory
and size of the first build; what a commit and a commit of 500 files add; the answers against `git grep -w`, `git grep -E` and ctags, with
every difference; warm look-ups inside one process beside `git grep` on the same tree object.
"""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from hook import config
from hook.source import git, index, lookup
from hook.source.grep import grep
from hook.source.indexing import index_writer
from hook.source.object_store import Objects
from hook.source.tree import Source

SETTINGS = config.DEFAULTS
BOUNDS = lookup.Bounds(100_000, 600.0)
WORD = re.compile(rb"[A-Za-z_][A-Za-z0-9_]{2,}")


def run(tree: pathlib.Path, *args: str, ok: tuple[int, ...] = (0,), data: bytes = b"") -> bytes:
    done = subprocess.run(
        ["git", "-c", "user.name=b", "-c", "user.email=b@b", "-c", "core.hooksPath=/dev/null", *args],
        cwd=tree,
        input=data,
        capture_output=True,
        check=False,
    )
    if done.returncode not in ok:
        sys.exit(f"git {args[0]}: {done.stderr.decode()}")
    return done.stdout


def memory_of(argv: list[str], tree: pathlib.Path) -> tuple[float, float, int]:
    """Seconds, the most megabytes that all processes of a command held at once beside what files back, and its exit code."""
    started, most = time.monotonic(), 0
    process = subprocess.Popen(argv, cwd=tree, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        held = 0
        for pid in _family(process.pid):
            try:
                said = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                held += int(re.search(r"Pss_Anon:\s+(\d+)", said).group(1))  # type: ignore[union-attr]
            except (OSError, AttributeError):
                continue
        most = max(most, held)
        time.sleep(0.1)
    return time.monotonic() - started, most / 1024, process.returncode


def _family(pid: int) -> list[int]:
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += _family(int(child))
    except OSError:
        pass
    return found


def build(tree: pathlib.Path) -> None:
    seconds, megabytes, code = memory_of(["patch-triage", "index", "--quiet", "--jobs", "2"], tree)
    size = index.files(git.find(tree)).database.stat().st_size
    print(
        f"first build, 2 processes         {seconds:8.1f} s   {megabytes:6.0f} MB of memory   {size / 1e6:6.0f} MB on disk   exit {code}",
        flush=True,
    )


def add(tree: pathlib.Path, count: int) -> None:
    paths = random.sample(run(tree, "ls-files", "*.c").decode().split(), count)
    for path in paths:
        file = tree / path
        file.write_bytes(file.read_bytes() + f"\nint bench_added_{count};\n".encode())
    run(tree, "commit", "-qam", f"{count} files")
    started = time.monotonic()
    subprocess.run(["patch-triage", "index", "--quiet"], cwd=tree, check=True)
    print(f"adding a commit of {count:4d} files       {time.monotonic() - started:8.2f} s   (whole process)", flush=True)


def names(tree: pathlib.Path, count: int) -> list[str]:
    """Identifiers of every frequency: as many from each power of ten."""
    seen: collections.Counter[bytes] = collections.Counter()
    for path in random.sample(run(tree, "ls-files", "*.c", "*.h", "*.S", "Kconfig*").decode().split(), 1500):
        if "amd/include" not in path:
            seen.update(set(WORD.findall((tree / path).read_bytes())))
    classes = [[name for name, files in seen.items() if low <= files < high] for low, high in ((1, 2), (2, 4), (4, 10), (10, 40))]
    chosen = [name for some in classes for name in random.sample(sorted(some), min(len(some), count // len(classes) - 1))]
    chosen += random.sample(sorted(name for name, files in seen.items() if files >= 40), 4)  # these are in thousands of files
    return [name.decode() for name in chosen]


def same_as_grep_w(tree: pathlib.Path, source: Source, wanted: list[str]) -> None:
    different, lines = [], 0
    for start in range(0, len(wanted), 50):
        some = wanted[start : start + 50]
        patterns = [word for name in some for word in ("-e", name)]
        out = run(tree, "grep", "-n", "-z", "-I", "-F", "-w", *patterns, source.revision, "--", ok=(0, 1))
        theirs: dict[str, set[tuple[str, int]]] = {name: set() for name in some}
        for line in out.split(b"\n"):
            if line.count(b"\0") < 2:
                continue
            path, number, text = line.split(b"\0", 2)
            for word in set(re.findall(rb"\w+", text, re.ASCII)) & {name.encode() for name in some}:
                theirs[word.decode()].add((path.decode("utf-8", "surrogateescape").partition(":")[2], int(number)))
        for name in some:
            found = lookup.references(source, name, BOUNDS)
            ours = {(item.path, item.line) for item in found.items}
            lines += len(ours)
            if ours != theirs[name] or found.cut:
                different.append(f"{name}: {sorted(ours ^ theirs[name])[:3]} {found.cut}")
    print(f"references as git grep -w        {len(wanted) - len(different):5d} of {len(wanted)} names, {lines} lines", flush=True)
    for one in different:
        print(f"    {one}")


def expressions(tree: pathlib.Path, count: int, wanted: list[str]) -> list[str]:
    rare = [name for name in wanted if len(name) > 6]
    made = []
    for number in range(count):
        name = random.choice(rare)
        cut = name[random.randrange(0, 3) : len(name) - random.randrange(0, 3)]
        other = random.choice(rare)
        forms = [
            cut, rf"\b{name}\b", rf"{name}[[:space:]]*\(", rf"(struct|enum) +{cut}", rf"{cut}|{other}", rf"^#define[[:space:]]+{cut}",
            rf"->{cut[:8]}[a-z_]* *=", rf"{cut[:5]}.*{other[:6]}",
        ]  # fmt: skip
        made.append(forms[number % len(forms)])
    return made


def same_as_grep_e(source: Source, wanted: list[str]) -> None:
    plain = Source(source.objects, source.revision, index_asked=True)
    different, with_index, without = [], [], []
    for expression in wanted:
        started = time.monotonic()
        ours = grep(source, expression, limit_bytes=1 << 30, seconds=600)
        middle = time.monotonic()
        theirs = grep(plain, expression, limit_bytes=1 << 30, seconds=600)
        with_index.append(middle - started)
        without.append(time.monotonic() - middle)
        if ours != theirs:
            different.append(expression)
    print(
        f"grep as git grep -E              {len(wanted) - len(different):5d} of {len(wanted)} expressions; median "
        f"{statistics.median(with_index) * 1000:.0f} ms with the index, {statistics.median(without) * 1000:.0f} ms without",
        flush=True,
    )
    for one in different:
        print(f"    {one}")


def same_as_ctags(tree: pathlib.Path, source: Source, count: int) -> None:
    if not shutil.which("ctags"):
        print("definitions as ctags             not compared: universal-ctags is not installed")
        return
    paths = random.sample(run(tree, "ls-files", "mm/*.c", "net/*.c", "fs/*.c", "kernel/*.c", "drivers/*.c").decode().split(), count * 2)
    out = subprocess.run(
        ["ctags", "-f", "-", "-L", "-", "--kinds-C=f", "--languages=C", "--excmd=number", "--sort=no"],
        cwd=tree,
        input="\n".join(paths).encode(),
        capture_output=True,
        check=True,
    ).stdout.decode("latin-1")
    tags = [line.split("\t")[:3] for line in out.splitlines() if not line.startswith("!")]
    missed = []
    chosen = random.sample(tags, min(count, len(tags)))
    for name, path, number in chosen:
        found = {(item.path, item.definition.line) for item in lookup.find_definitions(source, name, BOUNDS).items}
        if (path, int(number.rstrip(';"'))) not in found:
            missed.append(f"{name} {path}:{number}")
    print(f"definitions as ctags             {len(chosen) - len(missed):5d} of {len(chosen)} functions", flush=True)
    for one in missed:
        print(f"    {one}")


def speed(tree: pathlib.Path, source: Source, wanted: list[str]) -> None:
    opened = source.index
    assert opened is not None
    rare = [name for name in wanted if len(opened.holding(source.revision, [[name.lower()]])) <= 3][:30]

    def median(times: list[float]) -> float:
        return statistics.median(times) * 1000

    looks, finds, greps = [], [], []
    for name in rare:
        started = time.perf_counter()
        opened.holding(source.revision, [[name.lower()]])
        looks.append(time.perf_counter() - started)
        started = time.perf_counter()
        lookup.references(source, name, BOUNDS)
        finds.append(time.perf_counter() - started)
    for name in rare[:5]:
        started = time.perf_counter()
        run(tree, "grep", "-n", "-w", "-e", name, source.revision, "--", ok=(0, 1))
        greps.append(time.perf_counter() - started)
    print(
        f"a rare word: which files         {median(looks):8.1f} ms; its lines with functions {median(finds):.1f} ms; "
        f"git grep -w {median(greps):.0f} ms, {median(greps) / median(looks):.0f} and {median(greps) / median(finds):.0f} times as long",
        flush=True,
    )
    three: list[float] = []
    literal: list[float] = []
    for name in random.sample(wanted, len(wanted)):
        if len(three) < 15:
            if len(opened.holding(source.revision, [[name.lower()]])) > 40:
                continue
            if len(lookup.callers(source, name, BOUNDS).items) == 3:
                started = time.perf_counter()
                lookup.callers(source, name, BOUNDS)
                three.append(time.perf_counter() - started)
    for name in rare[:20]:
        started = time.perf_counter()
        grep(source, rf"{name[1:]}[a-z]*\(", limit_bytes=1 << 20, seconds=60)
        literal.append(time.perf_counter() - started)
    print(f"callers, of a function with 3    {median(three):8.1f} ms (of {len(three)} functions; most {max(three, default=0) * 1000:.1f})")
    print(f"a regex with a rare literal      {median(literal):8.1f} ms (of {len(literal)}; most {max(literal) * 1000:.1f})", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--names", type=int, default=300)
    parser.add_argument("--expressions", type=int, default=50)
    parser.add_argument("--functions", type=int, default=300)
    options = parser.parse_args()
    random.seed(options.seed)
    with tempfile.TemporaryDirectory(dir=options.tree.absolute().parent, prefix="bench-") as place:
        tree = pathlib.Path(place) / "linux"
        subprocess.run(["git", "clone", "-q", "--no-tags", str(options.tree), str(tree)], check=True)
        build(tree)
        add(tree, 1)
        add(tree, 500)
        repo = git.find(tree)
        started = time.monotonic()
        made = index_writer.make(repo, "HEAD", SETTINGS)
        assert made.read == 0, "it was up to date"
        print(f"nothing to add                   {(time.monotonic() - started) * 1000:8.1f} ms")
        with Objects(repo, SETTINGS.index.blob_bytes) as objects:
            source = Source(objects, run(tree, "rev-parse", "HEAD").decode().strip())
            wanted = names(tree, options.names)
            speed(tree, source, wanted)
            same_as_ctags(tree, source, options.functions)
            same_as_grep_e(source, expressions(tree, options.expressions, wanted))
            same_as_grep_w(tree, source, wanted)
            assert source.index is not None, source.without_index
        print(f"memory of this process           {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
