"""Compiled patterns, kept from one run to the next: to compile them takes a sixth of the time of a commit's hook.

A file of one build of Python has what `re` compiles each pattern to. A file with a wrong hash is not used, and the engine checks each
program before it takes it. Whatever is wrong, the pattern is compiled from its text.
"""

from __future__ import annotations

import contextlib
import re
import sys
from typing import Any

import msgspec

from hook import lazy_re
from hook.digest import sha256
from hook.source import own_files
from hook.source.git import Repository

_MOST_BYTES = 4 << 20
_MOST = 1500  # patterns; with more of them, those of earlier versions of the program are forgotten


class _Program(msgspec.Struct, frozen=True, array_like=True):
    """What a pattern is compiled to."""

    flags: int
    code: bytes  # the words of the engine
    groups: int
    names: dict[str, int]  # of groups, with their numbers


class KeptPatterns:
    """The patterns that are kept in a repository, and those that were compiled since they were read."""

    def __init__(self, repo: Repository) -> None:
        self._path = repo.state_dir / "patterns"
        self._kept: dict[str, _Program] = {}
        self._new: dict[str, _Program] = {}
        with contextlib.suppress(OSError, msgspec.DecodeError):
            data = own_files.read(self._path, _MOST_BYTES) or b""
            if data[:32] == _hash(data[32:]):
                self._kept = msgspec.msgpack.decode(data[32:], type=dict[str, _Program])

    def compile(self, pattern: Any, flags: int) -> re.Pattern[Any]:
        """What `re.compile` returns."""
        key = f"{int(flags)}{pattern!r}"
        try:
            program = self._kept.get(key)
            if program is None:
                program = self._new[key] = _compiled(pattern, int(flags))
            return _loaded(pattern, program)
        except Exception:  # another Python may have changed what lies beneath `re`
            return re.compile(pattern, flags)

    def write(self) -> None:
        """Keep what was compiled since they were read."""
        if self._new and self._path.parent.is_dir():
            kept = self._new if len(self._kept) + len(self._new) > _MOST else {**self._kept, **self._new}
            data = msgspec.msgpack.encode(kept)
            with contextlib.suppress(OSError):
                own_files.write(self._path, _hash(data) + data)


_in_use: KeptPatterns | None = None


def use(repo: Repository) -> None:
    """From now on take the program's patterns from those that are kept in a repository."""
    global _in_use
    _in_use = KeptPatterns(repo)
    lazy_re.compiler = _in_use.compile


def keep() -> None:
    """Write down what was compiled since `use`. A disk that cannot be written to costs the next run the time alone."""
    if _in_use is not None:
        _in_use.write()


def _hash(data: bytes) -> bytes:
    """A hash that is right only for what this build of Python has written, as it was written."""
    return sha256(f"{sys.version} {sys.byteorder} {_engine().MAGIC}\n".encode() + data).digest()


def _compiled(pattern: Any, flags: int) -> _Program:
    """The steps of re._compiler.compile, but for the last. Raises re.error."""
    import array
    from re import _compiler, _parser  # type: ignore[attr-defined]

    parsed = _parser.parse(pattern, flags)
    code = array.array("I", _compiler._code(parsed, flags))
    assert code.itemsize == _engine().CODESIZE
    return _Program(flags | parsed.state.flags, code.tobytes(), parsed.state.groups - 1, parsed.state.groupdict)


def _loaded(pattern: Any, program: _Program) -> re.Pattern[Any]:
    """The last step of re._compiler.compile. Raises RuntimeError for a program that the engine does not take."""
    names: list[str | None] = [None] * (program.groups + 1)
    for name, number in program.names.items():
        names[number] = name
    words = memoryview(program.code).cast("I").tolist()
    loaded: re.Pattern[Any] = _engine().compile(pattern, program.flags, words, program.groups, program.names, tuple(names))
    return loaded


def _engine() -> Any:
    import _sre  # type: ignore[import-not-found]

    return _sre
