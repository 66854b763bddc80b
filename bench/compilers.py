"""Compilers: what gcc and clang make of a file of a prepared kernel tree, without what a log call prints."""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

from bench.hostile_edits import end_of_includes
from hook.evidence.functional.logs import logging_calls

_MISFIT = re.compile(r"expects (?:a matching|argument of type .char \*.).*\[-Wformat")
_LEFT_OUT = re.compile(r"^\s*(?:#|\.(?:file|ident|loc)\b)")
_LABEL = re.compile(r"\.L[\w.]+")
_NAME = re.compile(r"\b([A-Za-z_]\w*)\(")
_METADATA = {"MODULE_AUTHOR": "(x)", "MODULE_DESCRIPTION": "(x)", "MODULE_PARM_DESC": "(name, x)"}
# of Kbuild's flags for gcc, those that clang knows too
_FLAGS_OF_CLANG = re.compile(
    r"(?:-[IDU]|-std=|-O|-m64|-mcmodel|-mno-(?:sse|mmx|avx|3dnow|80387|red-zone)|-f(?:short-wchar|unsigned-char|no-common|no-strict-aliasing"
    r"|no-delete-null-pointer-checks|no-strict-overflow|no-PIE|no-pie)|-nostdinc|-include$|-isystem$|[^-])"
)
# -fno-pie: without it clang refuses the static branches of arch/x86/include/asm/jump_label.h
_FOR_CLANG = ("--target=x86_64-linux-gnu", "-mstack-alignment=8", "-fno-pie", "-fno-pic")


class Compilers:
    """The compilers of a build tree."""

    def __init__(self, build: pathlib.Path) -> None:
        self._build = build
        self._flags: dict[str, list[str]] = {}

    def flags(self, path: str) -> list[str]:
        """The arguments with which Kbuild compiles a file; empty where it does not."""
        if path not in self._flags:
            target = path.removesuffix(".c") + ".o"
            argv = ["make", "-n", "V=1", "--no-print-directory", target]
            printed = subprocess.run(argv, cwd=self._build, capture_output=True, text=True, check=False).stdout
            found = re.findall(rf";\s+gcc ([^;\n]*?) -c -o {re.escape(target)} ", printed)
            given = shlex.split(found[-1]) if found else []
            self._flags = {path: [flag for flag in given if not flag.startswith(("-Wp,", "-W"))]}
        return self._flags[path]

    def _run(self, compiler: str, path: str, text: str, *more: str) -> subprocess.CompletedProcess[str] | None:
        flags = self.flags(path)
        if not flags:
            return None
        if compiler == "clang":
            flags = [*_FOR_CLANG, *(flag for flag in flags if _FLAGS_OF_CLANG.match(flag))]
        with tempfile.TemporaryDirectory() as place:
            file = pathlib.Path(place, pathlib.Path(path).name)
            file.write_text(text)
            # what it includes with quotes lies beside the original
            beside = ["-iquote", str(pathlib.Path(path).parent)]
            lines = ["-D__LINE__=0", '-D__FILE__="file"', "-frandom-seed=1", "-g0"]
            argv = [compiler, *flags, *beside, *lines, *more, "-o", "-", str(file)]
            return subprocess.run(argv, cwd=self._build, capture_output=True, text=True, errors="replace", check=False)

    def assembly(self, compiler: str, path: str, text: str, *, in_order: bool = True) -> list[str] | None:
        """The assembly, without what says where a line stood; None where it does not compile. Unless `in_order`, functions are sorted."""
        done = self._run(compiler, path, text, "-w", "-S")
        lines = [line for line in done.stdout.splitlines() if not _LEFT_OUT.match(line)] if done and done.returncode == 0 else None
        return lines if lines is None or in_order else sorted(_functions(lines))

    def tokens(self, path: str, text: str) -> list[str] | None:
        """What the preprocessor makes of it, word by word."""
        done = self._run("gcc", path, text, "-w", "-E", "-P")
        return done.stdout.split() if done and done.returncode == 0 else None

    def reads(self, path: str, text: str) -> bool:
        """Whether it compiles at all."""
        done = self._run("gcc", path, text, "-w", "-fsyntax-only")
        return done is not None and done.returncode == 0

    def misfits(self, path: str, text: str) -> int:
        """How many formats read memory by an argument that is none, or lack an argument."""
        done = self._run("gcc", path, text, "-Wformat", "-fsyntax-only")
        return len(_MISFIT.findall(done.stderr)) if done else 0


def _functions(lines: Sequence[str]) -> Iterator[str]:
    """Each function, with its labels numbered anew and no order of the strings, and each line outside of them."""
    body: list[str] = []
    inside = False
    for line in lines:
        inside = inside or re.match(r"\s*\.type\s.*@function", line) is not None
        bare = line.partition("#")[0].rstrip()
        if not inside:
            yield _LABEL.sub(".L", bare)
            continue
        body.append(bare)
        if re.match(r"\s*\.size\s", line):
            yield _renumbered("\n".join(body))
            body, inside = [], False
    yield _renumbered("\n".join(body))


def _renumbered(text: str) -> str:
    labels: dict[str, str] = {}
    return _LABEL.sub(lambda found: labels.setdefault(found[0], f".L{len(labels)}"), text)


def called(text: str) -> frozenset[str]:
    """The names that are followed by a parenthesis."""
    return frozenset(_NAME.findall(text))


def without_logs(text: str, called: frozenset[str], own: frozenset[bytes]) -> str:
    """A text in which log calls, tracepoints and module metadata only evaluate what they are given, in its order.

    All versions of a file have to be given the same names that are `called`. The names that the file or its headers define (`own`) are left
    as they are, and so is what is called for its value.
    """
    lines = []
    for name in sorted({*called, *_METADATA}):
        found = logging_calls.logger(name.encode())
        if name.encode() in own or re.search(rf"(?m)^[ \t]*#[ \t]*(?:define|undef)[ \t]+{name}\b", text):
            continue
        if name in _METADATA:  # a NUL in it begins another field
            body = _METADATA[name] + ' _Static_assert(sizeof(x) - 1 == __builtin_strlen(x), "a NUL")'
        elif found and found.format >= 0 and not found.only_text:
            before = "".join(f"a{at}, " for at in range(found.format))
            body = f"({before}f, ...) ((void)({before}0, ##__VA_ARGS__))"
        elif logging_calls.is_trace_call(name.encode()):
            body = "(...) ((void)(0, ##__VA_ARGS__))"
        else:
            continue
        lines.append(f"#undef {name}\n#define {name}{body}\n")
    end = end_of_includes(text)
    return text[:end] + "".join(lines) + text[end:]
