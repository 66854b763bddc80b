"""Compilers: what gcc and clang make of a file of a prepared kernel tree, without what a log call prints."""

from __future__ import annotations

import pathlib
import re
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence

from bench.hostile_edits import end_of_includes
from hook.evidence.functional.logs import logging_calls

_MISFIT = re.compile(r"expects (?:a matching|argument of type .char \*.).*\[-Wformat")
_LEFT_OUT = re.compile(r"^\s*(?:#|\.(?:file|ident|loc)\b)")
_NUMBERED = re.compile(r"\.L[\w.]+|\bCSWTCH\.\d+|(?<=[a-zA-Z_]\.)\d+\b|\b\d+(?=:(?:\s|$)|[bf]\b)")
_BEGINS = re.compile(r"(?:[A-Za-z_][\w.$]*|\.LC\d+|\.L\.str[.\d]*):")
_WITHOUT_NAME = re.compile(r"\.LC\d+$|\.L\.str[.\d]*$|CSWTCH\.\d+$")
_DATA = re.compile(r"(?m)^\s*\.(?:string|ascii|asciz|byte|value|short|long|quad|zero)\b.*")
_DIRECTIVE = re.compile(r"\s*(?:\.(?:section|text|data|bss|previous|align|p2align|type|size|globl|weak|local|comm|hidden)\b.*)?$")
_SIZE = re.compile(r"\s*(?:\.(?:size|type)\b.*)?$")
_SECTION = re.compile(r"\s*\.(?:section|text|data|bss)\b")
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

    def assembly(self, compiler: str, path: str, text: str) -> list[str] | None:
        """Its functions and objects, in any order, with what says where a line stood left out; None where it does not compile."""
        done = self._run(compiler, path, text, "-w", "-S")
        if done is None or done.returncode:
            return None
        lines = [line.partition("#")[0].rstrip() for line in done.stdout.splitlines() if not _LEFT_OUT.match(line)]
        parts = list(_parts(lines))
        contents = {label: "".join(_DATA.findall(text)) for label, text in parts if _WITHOUT_NAME.match(label)}
        return [*sorted(_renumbered(part, contents) for _, part in parts if part), *_initcalls(lines)]

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


def _parts(lines: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The label and the text of each function and each object, with the section that it is in."""
    label, body = "", list[str]()
    ahead: list[str] = []  # directives that may belong to what comes next
    section = ""
    for line in lines:
        if _DIRECTIVE.match(line):
            ahead.append(line)
            section = line if _SECTION.match(line) else section
        elif _BEGINS.match(line):
            yield from _ended(label, body, ahead)
            label, body, ahead = line.removesuffix(":"), [section, line], []
        else:
            body += [*ahead, line]
            ahead = []
    yield from _ended(label, body, ahead)


def _ended(label: str, body: Sequence[str], ahead: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A part, and what stands behind it: of data that the compiler has named, only the data belong to it."""
    end = next((at for at in range(2, len(body)) if not _DATA.match(body[at])), len(body)) if _WITHOUT_NAME.match(label) else len(body)
    yield label, "\n".join(body[:end])
    yield "", "\n".join(body[end:])
    yield from (("", directive) for directive in ahead if not _SIZE.match(directive))


def _initcalls(lines: Sequence[str]) -> list[str]:
    """What runs at boot, in its order."""
    return [line for line in lines if line.startswith("__initcall")]


def _renumbered(text: str, contents: Mapping[str, str]) -> str:
    """With their contents in place of what the compiler has named (strings, tables), and its other numbers counted anew."""
    labels: dict[str, str] = {}

    def instead(found: re.Match[str]) -> str:
        content = contents.get(found[0])
        return labels.setdefault(found[0], f".L{len(labels)}") if content is None else content

    return _NUMBERED.sub(instead, text)


def called(text: str) -> frozenset[str]:
    """The names that are followed by a parenthesis."""
    return frozenset(_NAME.findall(text))


def without_logs(text: str, called: frozenset[str], own: frozenset[bytes]) -> str:
    """A text in which log calls, tracepoints and module metadata only evaluate what they are given, in its order.

    All versions of a file have to be given the same names that are `called`. The names that the file or its headers define (`own`) are left
    as they are, and so is what is called for its value.
    """
    lines = ["int zq_text(int, ...);\n"]
    for name in sorted({*called, *_METADATA}):
        found = logging_calls.logger(name.encode())
        if name.encode() in own or re.search(rf"(?m)^[ \t]*#[ \t]*(?:define|undef)[ \t]+{name}\b", text):
            continue
        if name in _METADATA:  # a NUL in it begins another field
            body = _METADATA[name] + ' _Static_assert(sizeof(x) - 1 == __builtin_strlen(x), "a NUL")'
        elif found and found.format >= 0 and not found.only_text:
            before = "".join(f"a{at}, " for at in range(found.format))
            body = f"({before}f, ...) ((void)({before}0, ##__VA_ARGS__))"
        elif found and found.only_text:  # what it does beside that is kept, and its value
            before = "".join(f"a{at}, " for at in range(found.format))
            body = f"({before}f, ...) zq_text(0, {before}##__VA_ARGS__)"
        elif logging_calls.is_trace_call(name.encode()):
            body = "(...) ((void)(0, ##__VA_ARGS__))"
        else:
            continue
        lines.append(f"#undef {name}\n#define {name}{body}\n")
    end = end_of_includes(text)
    return text[:end] + "".join(lines) + text[end:]
