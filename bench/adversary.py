"""An adversary with compilers: edits of real files that try to be called harmless though the compiled code differs.

    python bench/adversary.py TREE BUILD [--edits 10000] [--seed 1] [--first 0] [--finds DIRECTORY] [--compilers gcc,clang] [--kept FILE]

TREE is a git tree of the kernel with the word index (bench/tree.py). BUILD is a copy of the same tree without .git, configured and prepared
(`make allmodconfig prepare`, without DEBUG_INFO, KASAN, KCOV and the like).

Takes C files at random, sets scenes in some (a macro that is defined anew, that makes text of its argument, that captures a name …), and
draws many edits of each. Every edit is judged alone. Those that are called harmless are then made together, and each compiler has to make
the same assembly of both versions: with `__LINE__` left out, and with log calls, tracepoints and module metadata that do nothing but
evaluate what they are given. Where it does not, halves are compiled, down to the single edit. A format that does not fit its arguments any
more, as gcc sees it, is a find too; a version that does not compile is only counted. Prints a table by change class. Each find is written
out as two files. Exit code 1 where there is one.

The table of a run is kept in FILE, and added to by the next one; `--first` says with which file of the seed it begins.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import pathlib
import random
import sys
from collections.abc import Callable, Collection, Iterator, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from bench import compilers, hostile_edits
from bench.compilers import Compilers
from bench.hostile_edits import Edit
from hook.evidence.functional import file_edits
from hook.kernel import own_headers
from hook.source import git
from hook.source.object_store import Found, Objects
from hook.source.tree import Source
from hook.verdict import Answer

_PLACES = ("drivers/", "fs/", "net/", "mm/", "kernel/", "block/", "lib/", "sound/", "security/", "crypto/", "ipc/")
_BYTES = range(12_000, 90_000)  # of a file
_MOST_DRAWN = 3  # edits, for each that is to be judged


class Remembering(Source):
    """A source whose tree never changes, so that no question is asked twice."""

    def holding(self, groups: Sequence[Collection[str]]) -> list[str]:
        key = repr(groups)
        if key not in _held:
            _held[key] = super().holding(groups)
        return list(_held[key])

    def files(self, paths: Sequence[str]) -> list[Found | None]:
        missing = [path for path in dict.fromkeys(paths) if path not in _read]
        _read.update(zip(missing, super().files(missing), strict=True))
        return [_read[path] for path in paths]

    def file(self, path: str) -> Found | None:
        return self.files([path])[0]


_held: dict[str, list[str]] = {}
_read: dict[str, Found | None] = {}
Table = dict[str, collections.Counter[str]]  # by change classes: how many edits, by what became of them


@dataclasses.dataclass(frozen=True)
class Drawn:
    """A file, perhaps with scenes in it, and edits of it that do not meet."""

    path: str
    number: int
    text: str
    edits: tuple[Edit, ...]


@dataclasses.dataclass(frozen=True)
class Called:
    """An edit that is called harmless."""

    edit: Edit
    classes: str
    why: str


def drawn(source: Source, paths: Sequence[str], number: int, seed: int, edits: int) -> Drawn | None:
    """The file of a number with its edits; None where it is none that can be edited."""
    rng = random.Random(f"{seed} {number}")
    path = rng.choice(paths)
    found = source.file(path)
    try:
        text = found.data.decode() if found and found.data else ""
    except UnicodeDecodeError:
        return None
    if len(text) not in _BYTES or "\r" in text:
        return None
    planted: list[tuple[str, str]] = []  # what stands in the text, and what it becomes
    if rng.random() < 0.3:
        for scene in rng.sample(hostile_edits.SCENES, 3):
            if made := scene(text, rng):
                planted = [(old, new) for old, new in planted if made[0].count(old) == 1]
                edit = hostile_edits.between(*made)
                if edit is None:
                    continue
                text = made[0]
                lines = text.splitlines(keepends=True)
                begin, end = max(0, edit.span[0] - 3), edit.span[1] + 3
                inside = Edit(tuple((a - begin, b - begin, new) for a, b, new in edit.hunks))
                part = "".join(lines[begin:end])
                planted.append((part, hostile_edits.applied(part, [inside])))
    chosen: list[Edit] = []
    candidates = [text.replace(old, new) for old, new in planted if text.count(old) == 1]
    makers = rng.choices(hostile_edits.EDITS, k=edits * _MOST_DRAWN)
    for new in (*candidates, *(maker(text, rng) for maker in makers)):
        edit = hostile_edits.between(text, new) if new is not None else None
        if edit and not any(edit.meets(other) for other in chosen):
            chosen.append(edit)
        if len(chosen) == edits:
            break
    return Drawn(path, number, text, tuple(chosen))


class Trial:
    """One file before the compilers."""

    def __init__(self, build: Compilers, drawn: Drawn, called: Sequence[Called], own: frozenset[bytes]) -> None:
        self._build, self._drawn, self._called, self._own = build, drawn, called, own
        self._names = compilers.called(drawn.text) | compilers.called(self._with(called))

    def _with(self, called: Sequence[Called]) -> str:
        return hostile_edits.applied(self._drawn.text, [one.edit for one in called])

    def _without_logs(self, text: str) -> str:
        return compilers.without_logs(text, self._names, self._own)

    def _forms(self, compiler: str) -> Callable[[str], list[str] | int | None]:
        """What is compared of a version."""
        path = self._drawn.path
        if compiler == "formats":
            return lambda text: self._build.misfits(path, text)
        if compiler == "tokens":
            return lambda text: self._build.tokens(path, self._without_logs(text))
        return lambda text: self._build.assembly(compiler, path, self._without_logs(text))

    def differing(self, compiler: str) -> tuple[bool, list[Called]]:
        """Whether the old version compiles, and the edits that the compiler sees: each alone, and none of which another takes back."""
        form = self._forms(compiler)
        old = form(self._drawn.text)
        return old is not None, list(self._alone(form, old, self._called)) if old is not None else []

    def _alone(self, form: Callable[[str], list[str] | int | None], old: list[str] | int, called: Sequence[Called]) -> Iterator[Called]:
        if not called or form(self._with(called)) == old:
            return
        if len(called) == 1:
            yield called[0]
            return
        middle = len(called) // 2
        yield from self._alone(form, old, called[:middle])
        yield from self._alone(form, old, called[middle:])


def tried(build: Compilers, names: Sequence[str], source: Source, drawn: Drawn, table: Table, finds: pathlib.Path) -> None:
    """One file: its edits are judged, and those that are called harmless compiled."""
    called = []
    for edit in drawn.edits:
        new = hostile_edits.applied(drawn.text, [edit])
        answer = file_edits.compare("c", drawn.path, drawn.text.encode(), new.encode(), source)
        if answer.functional is Answer.NO:
            called.append(Called(edit, ", ".join(answer.classes), answer.why))
        else:
            table["(not called harmless)"]["edits"] += 1
    if not called:
        return
    own = own_headers.read(source, drawn.path, [drawn.text.encode()])
    trial = Trial(build, drawn, called, frozenset[bytes]().union(*map(own_headers.defined, own.texts.values())))
    wrong: dict[int, str] = {}
    compiled = []
    for name in (*names, "formats"):
        reads, seen = trial.differing(name)
        compiled += [name] if reads else []
        for one in seen:
            wrong.setdefault(called.index(one), name)
    alike: list[Called] = []
    if compiled == ["formats"]:
        reads, seen = trial.differing("tokens")
        alike = [one for one in called if one not in seen] if reads else []
    for at, one in enumerate(called):
        row = table[one.classes]
        row["edits"] += 1
        for name in names:
            row[name] += name in compiled
        row["every compiler"] += all(name in compiled for name in names)
        row["preprocessed alike"] += one in alike
        row["skipped"] += compiled == ["formats"] and one not in alike
        if at in wrong and not build.reads(drawn.path, hostile_edits.applied(drawn.text, [one.edit])):
            row["does not compile"] += 1
        elif at in wrong:
            row["WRONG"] += 1
            place = finds / f"{drawn.number}-{at}"
            place.mkdir(parents=True, exist_ok=True)
            (place / "old.c").write_text(drawn.text)
            (place / "new.c").write_text(hostile_edits.applied(drawn.text, [one.edit]))
            print(f"CALLED HARMLESS: {drawn.path} ({place}): {one.why}: {wrong[at]}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--edits", type=int, default=10_000, help="that are called harmless; the last file is finished")
    parser.add_argument("--each", type=int, default=400, help="edits of one file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first file, to go on")
    parser.add_argument("--every", type=int, default=1, help="take each n-th number, to run several beside each other")
    parser.add_argument("--finds", type=pathlib.Path, default=pathlib.Path("finds"))
    parser.add_argument("--compilers", default="gcc,clang")
    parser.add_argument("--kept", type=pathlib.Path)
    options = parser.parse_args()
    names = options.compilers.split(",")
    build = Compilers(options.build)
    table: Table = collections.defaultdict(collections.Counter)
    if options.kept and options.kept.exists():
        table.update({classes: collections.Counter(row) for classes, row in json.loads(options.kept.read_text()).items()})
    with Objects(git.find(options.tree), 1 << 25) as objects:
        source = Remembering(objects, "HEAD")
        paths = [path for path in source.glob("*.c") if path.startswith(_PLACES)]
        number = options.first
        while sum(row["every compiler"] for row in table.values()) < options.edits:
            found = drawn(source, paths, number, options.seed, options.each)
            if found and build.reads(found.path, found.text):
                tried(build, names, source, found, table, options.finds)
                _read.clear()
                if options.kept:
                    options.kept.write_text(json.dumps(table, indent=1))
                print(f"{number}: {found.path}: {sum(row['every compiler'] for row in table.values())}", flush=True)
            number += options.every
    for classes, row in sorted(table.items()):
        print(f"{classes:<40} {', '.join(f'{count} {what}' for what, count in row.items() if count)}")
    return 1 if any(row["WRONG"] for row in table.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
