"""The formats of coverage files: the exports of syz-manager (pkg/cover/html.go in syzkaller), lcov's .info, and llvm-cov's JSON.

A file is known by how it begins, and read from its beginning to its end, a piece at a time: it may be larger than the memory. What is not
as the format has it ends the reading, since half of a file is no measure.
"""

from __future__ import annotations

import csv
import io
import pathlib
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

import msgspec

from hook import lazy_re
from hook.coverage.observations import MOST_COUNTED, Coverage, Measured, NoCoverage, Tally

_HEAD_BYTES = 64 << 10
_PIECE_BYTES = 4 << 20
_MOST_BYTES = 32 << 30  # of a file, unpacked
_MOST_LINE_BYTES = 64 << 20  # of a program with all that it reached
_MOST_FUNCTION_BYTES = 8 << 20  # in llvm-cov's JSON
_CSV_HEAD = b"Module,Filename,Function,Covered PCs,Total PCs"
_COMMIT = lazy_re.compile(r"[0-9a-f]{12,64}\Z")
_DAY = lazy_re.compile(r"\d{4}-\d\d-\d\d")
_WORD = lazy_re.compile(r"[\w.-]{1,80}\Z")
_ADDRESS = lazy_re.compile(rb"0x[0-9a-f]+\r?\n")
_LCOV_LINE = lazy_re.compile(r"[A-Z]{2,6}:|#|end_of_record\Z|\Z")
_FUNCTIONS = b'"functions":['  # of llvm-cov: the summaries have an object under this name
_END = b'"llvm.coverage.json.export"'  # stands behind its data
_BRACKET = lazy_re.compile(rb'[{}]|"(?:[^"\\]|\\.)*+("?)', re.DOTALL)  # or a string, perhaps without its end
_NO_OBJECT = lazy_re.compile(rb"[\s,]*")
_Record = TypeVar("_Record")


class _Frame(msgspec.Struct, gc=False):
    """A line of /cover?jsonl=1: one coverage point, in one of the functions that are inlined there."""

    file_path: str
    func_name: str
    hit_count: int
    sl: int = 0
    el: int = 0


class _Origin(msgspec.Struct):
    """What syz-ci adds to each such line."""

    timestamp: str = ""
    manager: str = ""
    kernel_commit: str = ""
    arch: str = ""
    commit: str = ""  # of /coverprogs?jsonl=1


class _Block(msgspec.Struct, gc=False):
    from_line: int = 0
    to_line: int = 0


class _Function(msgspec.Struct, gc=False):
    func_name: str
    blocks: list[_Block] | None = None


class _File(msgspec.Struct, gc=False):
    file_path: str
    functions: list[_Function] | None = None


class _Program(msgspec.Struct, gc=False):
    """A line of /coverprogs?jsonl=1."""

    program: str
    coverage: list[_File] | None


class _Compiled(msgspec.Struct):
    """A function of llvm-cov's JSON."""

    name: str
    count: int
    filenames: list[str]
    regions: list[list[int]]  # first line, first column, last line, …


def read(name: str, file: BinaryIO, vmlinux: str = "") -> Coverage:
    """What the coverage file `name` says; addresses are of the kernel `vmlinux`. Raises NoCoverage where it is none, or is not whole."""
    head = file.read(_HEAD_BYTES)
    start = head.lstrip()
    pieces, tally = _Pieces(file, head), Tally()
    try:
        for has_form, reader in _READERS:
            if has_form(start):
                return tally.coverage(name, reader(pieces, tally))
        if vmlinux and _ADDRESS.match(start):
            return tally.coverage(name, _addresses(pieces, tally, vmlinux))
    except (msgspec.DecodeError, RecursionError, LookupError, ValueError, csv.Error) as wrong:
        if isinstance(wrong, NoCoverage):
            raise
        raise NoCoverage(f"{pieces.where()} is not as its format has it: {str(wrong)[:120]}") from None
    if not start:
        raise NoCoverage("it is empty")
    if _ADDRESS.match(start):
        raise NoCoverage("fuzz.coverage_vmlinux does not name the kernel of its addresses; /cover?jsonl=1 needs none")
    raise NoCoverage(
        "it is no export of syz-manager (/cover?jsonl=1, /coverprogs?jsonl=1, /funccover), no .info of lcov, no JSON of llvm-cov"
    )


class _Pieces:
    """A file in pieces of whole lines, or of whole objects."""

    def __init__(self, file: BinaryIO, head: bytes) -> None:
        self._file, self._rest = file, head
        self._bytes = len(head)

    def where(self) -> str:
        """The place that is being read."""
        return f"what stands about {self._bytes >> 10} KB after its beginning"

    def whole_lines(self) -> Iterator[bytes]:
        """Some lines at a time, each with its newline. Raises NoCoverage where one is too long, or the last is cut off."""
        while piece := self._more(_PIECE_BYTES):
            end = piece.rfind(b"\n") + 1
            if end:
                yield self._rest + piece[:end]
                self._rest = piece[end:]
            else:
                self._rest += piece
            if len(self._rest) > _MOST_LINE_BYTES:
                raise NoCoverage(f"a line has more than {_MOST_LINE_BYTES} bytes")
        if self._rest and not self._rest.endswith(b"\n"):
            raise NoCoverage("its last line is cut off: it is not whole")
        if self._rest:
            yield self._rest

    def goes_on_behind(self, *marks: bytes) -> bytes:
        """Go on behind the next of some marks, and tell which one it is; empty where none is left."""
        any_mark = re.compile(b"|".join(map(re.escape, marks)))
        while (mark := any_mark.search(self._rest)) is None:
            piece = self._more(_PIECE_BYTES)
            if not piece:
                return b""
            self._rest = self._rest[-max(map(len, marks)) :] + piece
        self._rest = self._rest[mark.end() :]
        return mark[0]

    def objects(self) -> Iterator[bytes]:
        """The objects of a JSON array that has just begun. Raises NoCoverage where it holds something else, or has no end."""
        position = 0
        while True:
            position = _NO_OBJECT.match(self._rest, position).end()  # type: ignore[union-attr]
            if end := _object_end(self._rest, position):
                yield self._rest[position:end]
                position = end
                continue
            if self._rest[position : position + 1] not in (b"{", b""):
                self._rest = self._rest[position:]
                if not self._rest.startswith(b"]"):
                    raise NoCoverage("its list of functions holds something else")
                return
            self._rest, position = self._rest[position:], 0
            if len(self._rest) > _MOST_FUNCTION_BYTES:
                raise NoCoverage(f"a function has more than {_MOST_FUNCTION_BYTES} bytes")
            piece = self._more(max(_PIECE_BYTES, len(self._rest)))
            if not piece:
                raise NoCoverage("its list of functions is cut off: it is not whole")
            self._rest += piece

    def _more(self, most: int) -> bytes:
        piece = self._file.read(most)
        self._bytes += len(piece)
        if self._bytes > _MOST_BYTES:
            raise NoCoverage(f"it has more than {_MOST_BYTES} bytes")
        return piece


def _object_end(text: bytes, start: int) -> int:
    """Where the JSON object ends that begins at `start`; 0 where that is not in `text`."""
    depth = 0
    if text.startswith(b"{", start):
        for token in _BRACKET.finditer(text, start):
            if token[1] == b"":
                return 0
            depth += {b"{": 1, b"}": -1}.get(token[0], 0)
            if not depth:
                return token.end()
    return 0


def _frames(pieces: _Pieces, tally: Tally) -> Measured:
    info = None
    for frame, first in _decoded(pieces, _Frame):
        info = info or _origin(first)
        reached = frame.hit_count
        if not 0 <= reached <= MOST_COUNTED:
            raise NoCoverage(f"{str(reached)[:40]} is no count of programs")
        tally.programs = max(tally.programs, reached)
        tally.add(frame.file_path, frame.func_name, reached, frame.sl, frame.el)
    return info or Measured("syz-manager")


def _programs(pieces: _Pieces, tally: Tally) -> Measured:
    info = None
    for program, first in _decoded(pieces, _Program):
        info = info or _origin(first)
        tally.programs += 1
        for file in program.coverage or ():
            for function in file.functions or ():
                blocks = function.blocks or ()
                begins = [block.from_line for block in blocks if block.from_line > 0]
                last = max((block.to_line for block in blocks), default=0)
                tally.add_program(file.file_path, function.func_name, min(begins, default=0), last)
    return info or Measured("syz-manager")


def _decoded(pieces: _Pieces, record: type[_Record]) -> Iterator[tuple[_Record, bytes]]:
    """The records of a file, each with the beginning of the file."""
    decoder = msgspec.json.Decoder(record)
    first = b""
    for text in pieces.whole_lines():
        first = first or text[: text.find(b"\n") + 1]
        for item in decoder.decode_lines(text):
            yield item, first


def _origin(line: bytes) -> Measured:
    origin = msgspec.json.decode(line, type=_Origin)
    commit, day = origin.kernel_commit or origin.commit, _DAY.match(origin.timestamp)
    return Measured(
        observer=f"syz-manager {origin.manager}" if _WORD.match(origin.manager) else "syz-manager",
        counts_programs=True,
        commit=commit if _COMMIT.match(commit) else "",
        day=day[0] if day else "",
        arch=origin.arch if _WORD.match(origin.arch) else "",
    )


def _table(pieces: _Pieces, tally: Tally) -> Measured:
    for text in pieces.whole_lines():
        for row in csv.reader(io.StringIO(text.decode(), newline=""), strict=True):
            _, path, name, covered, points = row
            if points != "Total PCs":
                tally.add(path, name, min(_count(covered), 1))
    return Measured("syz-manager", counts_programs=True)


def _addresses(pieces: _Pieces, tally: Tally, vmlinux: str) -> Measured:
    from hook.coverage import addresses, elf

    path = pathlib.Path(vmlinux).expanduser()
    if not path.is_file():
        raise NoCoverage("fuzz.coverage_vmlinux names no file")
    try:
        kernel = elf.read(path)
    except (elf.NotAKernel, OSError) as wrong:
        raise NoCoverage(f"fuzz.coverage_vmlinux: {wrong}") from None
    addresses.count((int(line, 16) for text in pieces.whole_lines() for line in text.split()), kernel, tally)
    return Measured("syz-manager", counts_programs=True)


def _lcov(pieces: _Pieces, tally: Tally) -> Measured:
    path = ""
    first_lines: dict[str, int] = {}  # by the number that the file gives a function, from lcov 2.2 on
    for text in pieces.whole_lines():
        for line in text.decode().splitlines():
            if not _LCOV_LINE.match(line):
                raise NoCoverage(f"{line[:40]!r} is no line of lcov's")
            kind, _, value = line.partition(":")
            words = value.split(",")
            if kind == "SF":
                path = value
                first_lines.clear()
            elif kind == "FN":
                tally.add(path, words[-1], 0, _count(words[0]))
            elif kind == "FNDA":
                tally.add(path, words[-1], _count(words[0]))
            elif kind == "FNL":
                first_lines[words[0]] = _count(words[1])
            elif kind == "FNA":
                tally.add(path, words[-1], _count(words[1]), first_lines.get(words[0], 0))
            elif kind == "end_of_record":
                path = ""
    if path:
        raise NoCoverage("its last record is cut off: it is not whole")
    return Measured("lcov")


def _llvm(pieces: _Pieces, tally: Tally) -> Measured:
    decoder = msgspec.json.Decoder(_Compiled)
    while (mark := pieces.goes_on_behind(_FUNCTIONS, _END)) == _FUNCTIONS:
        for text in pieces.objects():
            function = decoder.decode(text)
            regions = [region for region in function.regions if len(region) > 5 and region[5] == 0]  # of no macro's body
            first, last = min((region[0] for region in regions), default=0), max((region[2] for region in regions), default=0)
            name = function.name.replace(";", ":").rpartition(":")[2]  # of a static function, behind its file
            tally.add(function.filenames[0] if function.filenames else "", name, function.count, first, last)
    if not mark:
        raise NoCoverage("its end is cut off: it is not whole")
    return Measured("llvm-cov")


def _count(text: str) -> int:
    if not text.isdecimal():
        raise NoCoverage(f"{text[:40]!r} is no count")
    return int(text[:18])


def _has_keys(*keys: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(b"{") and all(key in head.partition(b"\n")[0] for key in keys)


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[_Pieces, Tally], Measured]], ...] = (
    (_has_keys(b'"file_path"', b'"func_name"', b'"hit_count"', b'"pc"'), _frames),
    (lambda head: head.startswith(b'{"data":['), _llvm),
    (lambda head: head.startswith(b'{"') and b'"program":' in head[:4096], _programs),
    (lambda head: head.startswith(_CSV_HEAD), _table),
    (lambda head: head.startswith((b"TN:", b"SF:")), _lcov),
)
