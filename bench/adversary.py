"""An adversary with compilers: edits of real files that try to be called harmless though the compiled code differs.

    python bench/adversary.py TREE BUILD [--edits 10000] [--seed 1] [--finds DIRECTORY] [--compilers gcc,clang]

TREE is a git tree of the kernel with the word index (bench/tree.py). BUILD is a copy of the same tree without .git, configured and prepared
(`make allmodconfig prepare`, without DEBUG_INFO, KASAN, KCOV and the like). Takes C files at random, sets a scene in some (a macro that is
defined anew, that makes text of its argument, that captures a name …), edits each, and asks for each edit that is called harmless whether
the compilers make the same assembly of both versions, `__LINE__` and the text of log calls left out. What adds or takes away a log call
differs of itself and is only counted. Prints a table by change class; each find is written out as two files, with its seed. Exit code 1
where there is one.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import dataclasses
import itertools
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))

from hook.evidence.change_classes import ChangeClass
from hook.evidence.functional import file_edits
from hook.source import git
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
from tests.evidence.functional import edits

_PLACES = ("drivers/", "fs/", "net/", "mm/", "kernel/", "block/", "lib/", "sound/", "security/", "crypto/", "ipc/")
_CODE = re.compile(r"(?m)^[^#\n]*\n")
_NUMBER = re.compile(r"(?<![\w.\"])(0x[0-9a-fA-F]+|[1-9]\d*)(?![\w.\"])")
_INCLUDE = re.compile(r"(?m)^#include [<\"].*\n")
_DEFINE = re.compile(r"(?m)^#define \w+.*(?:\\\n.*)*\n")
_ONE_STATEMENT = re.compile(r"(?m)^(\t+)((?:if|while|for) \([^\n;{}]*\)) \{\n(\t+[^\n{}]*;\n)\1\}\n")
_FUNCTION = re.compile(r"(?m)^static (?!inline)(?=[^;=\n]*\()")
_STRING = re.compile(r'"(?:[^"\\\n%]){3,}"')
_METADATA = re.compile(r'(?m)^MODULE_(?:AUTHOR|DESCRIPTION)\("[^"\n]*"\);\n')
_INT = re.compile(r"(?m)^\tint (\w+);$")
_MIN = re.compile(r"\bmin\((?=\w+, \w+\))")
_OWN_SECTION = '#define __maybe_unused __attribute__((section(".zq")))'
_GAP = re.compile(r"(?<=[\w)]) ?([+*/<>=&|?:,-]{1,2}) ?(?=[\w(])")
_ANNOTATIONS = ("__maybe_unused ", "__init ", "__must_check ", "noinline ", "__cold ", "__always_inline ", "notrace ")
# compared without: what shows where a line stands, and how a log call reads
_STRINGS = re.compile(r"^\s*(?:#|\.(?:string|ascii|asciz|zero|file|ident|size|loc)\b)")
# of Kbuild's flags for gcc, those that clang knows too
_FLAGS_OF_CLANG = re.compile(
    r"(?:-[IDU]|-std=|-O|-m64|-mcmodel|-mno-(?:sse|mmx|avx|3dnow|80387|red-zone)|-f(?:short-wchar|unsigned-char|no-common|no-strict-aliasing"
    r"|no-delete-null-pointer-checks|no-strict-overflow)|-nostdinc|-include$|-isystem$|[^-])"
)
Edit = Callable[[str, random.Random], str | None]
Scene = Callable[[str, random.Random], tuple[str, str] | None]


def _at_random(pattern: re.Pattern[str], new: Callable[[re.Match[str], random.Random], str]) -> Edit:
    """One match of a pattern, written another way."""

    def edit(text: str, rng: random.Random) -> str | None:
        found = list(pattern.finditer(text))
        if not found:
            return None
        match = rng.choice(found)
        return text[: match.start()] + new(match, rng) + text[match.end() :]

    return edit


def _spelled(match: re.Match[str], _: random.Random) -> str:
    value = int(match[1], 0)
    return str(value) if match[1].startswith("0x") else hex(value)


def _token_lost(text: str, rng: random.Random) -> str | None:
    lines = [match for match in _CODE.finditer(text) if re.search(r"\w", match[0])]
    if not lines:
        return None
    line = rng.choice(lines)
    words = list(re.finditer(r"\w+|[^\w\s]", line[0]))
    word = rng.choice(words)
    other = rng.choice(["", rng.choice(words)[0], f"{word[0]} {word[0]}"])
    return text[: line.start() + word.start()] + other + text[line.start() + word.end() :]


def _includes_swapped(text: str, rng: random.Random) -> str | None:
    found = list(_INCLUDE.finditer(text))
    pairs = [(one, two) for one, two in itertools.pairwise(found) if one.end() == two.start()]
    if not pairs:
        return None
    one, two = rng.choice(pairs)
    return text[: one.start()] + two[0] + one[0] + text[two.end() :]


def _harmless(text: str, rng: random.Random) -> str | None:
    made = edits.harmless(text, rng)
    return made[0] if made else None


def _by(match: re.Match[str], _: random.Random) -> str:
    return match[0].replace('("', '("By ')


EDITS: Sequence[Edit] = (
    _harmless,
    _harmless,
    edits.effective,
    _token_lost,
    _at_random(_GAP, lambda match, rng: rng.choice(["", " "]) + match[1] + rng.choice(["", " "])),
    _at_random(_NUMBER, _spelled),
    _includes_swapped,
    _at_random(_INCLUDE, lambda match, rng: rng.choice(["", match[0] * 2])),
    _at_random(_DEFINE, lambda match, rng: ""),
    _at_random(_ONE_STATEMENT, lambda match, rng: f"{match[1]}{match[2]}\n{match[3]}"),
    _at_random(_FUNCTION, lambda match, rng: match[0] + rng.choice(_ANNOTATIONS)),
    _at_random(_STRING, lambda match, rng: match[0][:2] + "q" + match[0][2:]),
    _at_random(_METADATA, _by),
)


def _after_includes(text: str, more: str) -> str:
    last = max((match.end() for match in _INCLUDE.finditer(text)), default=0)
    return text[:last] + more + text[last:]


def _planted(before: str, after: str, scene: str) -> Scene:
    """A scene that holds `before`, edited to `after`; in all three `@` stands for a name that the file has not."""

    def plant(text: str, rng: random.Random) -> tuple[str, str] | None:
        name = f"zq{rng.randrange(10_000)}"
        old = _after_includes(text, scene.replace("@", name).replace("BEFORE", before.replace("@", name)))
        new = _after_includes(text, scene.replace("@", name).replace("BEFORE", after.replace("@", name)))
        return old, new

    return plant


def _redefined(pattern: re.Pattern[str], macro: str, scene: str, new: Callable[[re.Match[str], random.Random], str]) -> Scene:
    """A macro that the file uses, defined anew by the file itself, and an edit of one of its uses."""
    edit = _at_random(pattern, new)

    def plant(text: str, rng: random.Random) -> tuple[str, str] | None:
        old = _after_includes(text, f"#undef {macro}\n{scene}\n")
        made = edit(old, rng)
        return (old, made) if made is not None and made != old else None

    return plant


_TEXT = "#define @_text(x) #x\nconst char *@_is(void);\nconst char *@_is(void)\n{\n\treturn @_text(BEFORE);\n}\n"
_PASTED = """#define @_n BEFORE
#define @_two(a, b) a##b
#define @_name(a, b) @_two(a, b)
int @_f1(void);
int @_f0x1(void);
int @_g(void);
int @_g(void)
{
	return @_name(@_f, @_n)();
}
"""
_PREFIX = """BEFORE#define @_get(n) (@_p_##n)
extern int @_p_x;
int @_v(void);
int @_v(void)
{
	return @_get(x);
}
"""
_CAPTURED = """#define @_now() (n)
int m, n;
int @_f(int);
int @_f(int k)
{
	BEFORE = k;

	return @_now();
}
"""
_TWO_STATEMENTS = """#define @_two @_a(); @_a()
void @_a(void);
void @_f(int);
void @_f(int x)
{
	if (x)
		BEFORE
}
"""
_FORCED = """#undef __force
#define __force *(volatile int *)&
int @_f(int);
int @_f(int x)
{
	return BEFORE x + BEFORE x;
}
"""
SCENES: Sequence[Scene] = (
    _planted("a+b", "a + b", _TEXT),
    _planted("16", "0x10", _TEXT),
    _planted("a", "/* b */ a", _TEXT.replace("@_text(x) #x", "@_more(x) #x\n#define @_text(x) @_more(x)")),
    _planted("1", "0x1", _PASTED),
    _planted("#define @_p_x 5\n", "", _PREFIX),
    _planted("int n", "int m", _CAPTURED),
    _planted("{ @_two; }", "@_two;", _TWO_STATEMENTS),
    _planted("__force", "", _FORCED),
    _redefined(_METADATA, "MODULE_AUTHOR", "#define MODULE_AUTHOR(x) const char zq_author[] __attribute__((used)) = x", _by),
    _redefined(_FUNCTION, "__maybe_unused", _OWN_SECTION, lambda match, rng: match[0] + "__maybe_unused "),
    _redefined(_INT, "__maybe_unused", "#define __maybe_unused = 0, zq_other = 1", lambda match, rng: match[0][:-1] + " __maybe_unused;"),
    _redefined(_MIN, "min", "#define min(a, b) (a ## _t)", lambda match, rng: match[0] + " "),
)


@dataclasses.dataclass(frozen=True)
class Called:
    """An edit that is called harmless."""

    path: str
    number: int
    old: str
    new: str
    classes: tuple[ChangeClass, ...]
    why: str


class Compilers:
    """What the compilers make of a file of the build tree, as it is compiled there."""

    def __init__(self, build: pathlib.Path, names: Sequence[str]) -> None:
        self._build, self._names = build, names
        self._flags: dict[str, list[str]] = {}

    def flags(self, path: str) -> list[str]:
        """The arguments with which Kbuild compiles a file; empty where it does not."""
        if path not in self._flags:
            target = path.removesuffix(".c") + ".o"
            argv = ["make", "-n", "V=1", "--no-print-directory", target]
            printed = subprocess.run(argv, cwd=self._build, capture_output=True, text=True, check=False).stdout
            found = re.findall(rf";\s+gcc ([^;\n]*?) -c -o {re.escape(target)} ", printed)
            self._flags[path] = shlex.split(found[-1]) if found else []
        return self._flags[path]

    def made(self, path: str, text: str, compiler: str) -> str | None:
        """The assembly, without what says where a line stood; None where it does not compile."""
        flags = [flag for flag in self.flags(path) if not flag.startswith("-Wp,")]
        if not flags:
            return None
        if compiler == "clang":
            flags = ["--target=x86_64-linux-gnu", *(flag for flag in flags if _FLAGS_OF_CLANG.match(flag)), "-mstack-alignment=8"]
        with tempfile.TemporaryDirectory() as place:
            # beside the original, by -I: what it includes with quotes lies there
            file, out = pathlib.Path(place, pathlib.Path(path).name), pathlib.Path(place, "out.s")
            file.write_text(text)
            beside = ["-iquote", str(pathlib.Path(path).parent)]
            argv = [
                compiler,
                *flags,
                *beside,
                "-w",
                "-g0",
                "-D__LINE__=0",
                '-D__FILE__="file"',
                "-frandom-seed=1",
                "-S",
                "-o",
                str(out),
                str(file),
            ]
            done = subprocess.run(argv, cwd=self._build, capture_output=True, text=True, check=False)
            return out.read_text() if done.returncode == 0 else None

    def differ(self, called: Called) -> str:
        """The compilers whose code differs, and how; empty where it does not, `skipped` where the old version does not compile."""
        said = []
        skipped = 0
        for compiler in self._names:
            old = self.made(called.path, called.old, compiler)
            if old is None:
                skipped += 1
                continue
            new = self.made(called.path, called.new, compiler)
            if new is None:
                said.append(f"{compiler}: the new version does not compile")
            elif _compared(old, called.classes) != _compared(new, called.classes):
                said.append(f"{compiler}: other code")
        return "; ".join(said) or ("skipped" if skipped == len(self._names) else "")


def _compared(assembly: str, classes: tuple[ChangeClass, ...]) -> list[str]:
    is_text = ChangeClass.LOG_TEXT in classes or ChangeClass.MODULE_METADATA in classes
    dropped = _STRINGS if is_text else re.compile(r"^\s*(?:#|\.(?:file|ident|loc)\b)")
    return [line for line in assembly.splitlines() if not dropped.match(line)]


def drawn(source: Source, paths: Sequence[str], number: int, seed: int) -> tuple[str, str, str] | None:
    """The path and both versions of one edit."""
    rng = random.Random(f"{seed} {number}")
    path = rng.choice(paths)
    found = source.file(path)
    try:
        text = found.data.decode() if found and found.data else ""
    except UnicodeDecodeError:
        return None
    if rng.random() < 0.25:
        planted = rng.choice(SCENES)(text, rng)
        return (path, *planted) if planted else None
    new = rng.choice(EDITS)(text, rng)
    return (path, text, new) if new is not None and new != text else None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=pathlib.Path)
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--edits", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first edit, to go on")
    parser.add_argument("--finds", type=pathlib.Path, default=pathlib.Path("finds"))
    parser.add_argument("--compilers", default="gcc,clang")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    compilers = Compilers(options.build, options.compilers.split(","))
    table: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    asked = 0
    with Objects(git.find(options.tree), 1 << 25) as objects, concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        source = Source(objects, "HEAD")
        paths = [path for path in source.glob("*.c") if path.startswith(_PLACES)]

        def tried(called: Called) -> tuple[Called, str]:
            return called, compilers.differ(called)

        running = []
        for number in range(options.first, options.first + options.edits):
            edit = drawn(source, paths, number, options.seed)
            if edit is None:
                continue
            path, old, new = edit
            asked += 1
            answer = file_edits.compare("c", path, old.encode(), new.encode(), source)
            if answer.functional is not Answer.NO:
                continue
            called = Called(path, number, old, new, answer.classes, answer.why)
            if {ChangeClass.LOG_CALL, ChangeClass.TRACEPOINT_CALL} & {*answer.classes}:
                table[", ".join(answer.classes)]["not compared"] += 1
                continue
            running.append(pool.submit(tried, called))
        for done in concurrent.futures.as_completed(running):
            called, said = done.result()
            row = table[", ".join(called.classes)]
            row["skipped" if said == "skipped" else "compiled"] += 1
            if said not in ("", "skipped"):
                row["WRONG"] += 1
                place = options.finds / f"{options.seed}-{called.number}"
                place.mkdir(parents=True, exist_ok=True)
                (place / "old.c").write_text(called.old)
                (place / "new.c").write_text(called.new)
                print(f"CALLED HARMLESS: {called.path} ({place}): {called.why}: {said}", flush=True)
    print(f"{asked} edits asked")
    for classes, row in sorted(table.items()):
        print(f"{classes:<40} {', '.join(f'{count} {what}' for what, count in row.items())}")
    return 1 if any(row["WRONG"] for row in table.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
