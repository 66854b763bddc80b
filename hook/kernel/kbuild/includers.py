"""Includers: the files that include a header, or a .c file that is no unit of its own; the likeliest come first.

Which directories a compiler would search is not looked at, but that a header of the same name beside the one who includes it comes first.
The word index names the files that hold all words of a path. What bounds the search is how many are read, and not the time: an answer is
the same on a busy machine.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator

from hook import lazy_re
from hook.kernel.kbuild.architecture_directories import around
from hook.kernel.no_kernel_code import PROGRAMS, in_kernel
from hook.source.lookup import Bounds, Include, includers
from hook.source.tree import Source
from hook.source.words import is_number

_MOST_READ = 200  # files, for one question: who includes a header, and who includes that one
_MOST_READ_IN_ALL = 1000  # for one change
_MOST_BESIDE = 64  # files of the same directory, those with the most similar names first
_SMALL_TREE = Bounds(24)
_INCLUDE = lazy_re.compile(rb'(?m)^[ \t]*+#[ \t]*+include[ \t]*+["<]([^">\n]+)[">]')
_UNDER_INCLUDE = lazy_re.compile(r"\A(?:arch/\w+/)?include/(?:uapi/)?")


class Includers:
    """Who includes what, in one tree and for one architecture."""

    def __init__(self, source: Source, source_arch: str) -> None:
        self._source = source
        self._arch = source_arch
        self._in_all = _MOST_READ_IN_ALL
        self._left = 0

    def ask_anew(self) -> None:
        """Begin another question: so many files may be read for it as for the one before."""
        self._left = min(_MOST_READ, self._in_all)

    def of(self, path: str) -> Iterator[Iterable[Include]]:
        """The lines that include `path`, in two parts: where the first one has any, the second need not be asked."""
        # a .c file is hardly included from elsewhere, and looking beside it needs no index
        looks = (self._anywhere, self._beside) if path.endswith(".h") else (self._beside, self._anywhere)
        for look in looks:
            yield look(path)

    def _anywhere(self, path: str) -> Iterator[Include]:
        if self._source.index is None:
            if self._source.is_small:
                found = [one for one in includers(self._source, path, _SMALL_TREE).items if self._may_be_built(one.path)]
                yield from sorted(found, key=lambda one: (one.path.endswith(".h"), _distance(one.path, path)))
            return
        named = _UNDER_INCLUDE.sub("", path, count=1)
        known_as = named if named != path else path.rpartition("/")[2]
        holding = self._holding([[word.lower()] for word in {*re.findall(r"\w+", known_as), "include"} if not is_number(word)])
        candidates = [one for one in holding if one.endswith((".c", ".h")) and one != path and self._may_be_built(one)]
        directory = around(self._source, path)
        # what everybody may include is most likely included by what is always built, and that stands high in the tree
        far = (lambda one: one.count("/")) if named != path else (lambda one: _distance(one, path))
        candidates.sort(key=lambda one: (one.endswith(".h"), -len(_parts(known_as) & _parts(one)), far(one)))
        for one in candidates:
            data = self._read(one)
            if data is None:
                return
            for match in _INCLUDE.finditer(data):
                text = match[1].decode("utf-8", "replace")
                near = posixpath.normpath(posixpath.join(posixpath.dirname(one), text))
                if directory and directory.architecture != self._arch and not directory.is_included_by_name(text, one):
                    continue  # make takes the target's own
                # a header of that name beside the one who asks comes first
                if path == near or (path.endswith(f"/{text}") and not text.startswith(".") and not self._source.oid(near)):
                    yield _include(one, match)
                    break

    def _beside(self, path: str) -> Iterator[Include]:
        """Among the .c files of the same directory."""
        directory, _, base = path.rpartition("/")
        directive = re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]*"(?:\./)?' + re.escape(base.encode("utf-8", "surrogateescape")) + b'"')
        names = [entry.name for entry in self._source.names(directory) or () if entry.name.endswith(".c") and entry.name != base]
        names.sort(key=lambda name: sum(1 for _ in itertools.takewhile(bool, map(str.__eq__, name, base))), reverse=True)
        for name in names[:_MOST_BESIDE]:
            beside = f"{directory}/{name}" if directory else name
            data = self._read(beside)
            if data is None:
                return
            match = directive.search(data)
            if match is not None:
                yield _include(beside, match)

    def _read(self, path: str) -> bytes | None:
        """A file, empty where it cannot be read; None where enough has been read."""
        if self._left <= 0:
            return None
        self._left -= 1
        self._in_all -= 1
        file = self._source.file(path)
        return file.data if file is not None and file.data is not None else b""

    def _may_be_built(self, path: str) -> bool:
        """Whether a file is no program of the tree's own, nor another architecture's."""
        return in_kernel(path, self._arch, PROGRAMS)

    def _holding(self, groups: list[list[str]]) -> list[str]:
        from hook.source.index import NoIndex

        try:
            return self._source.holding(groups)
        except NoIndex as wrong:
            self._source.index_failed(str(wrong))
            return []


def _include(path: str, match: re.Match[bytes]) -> Include:
    line = match.string.count(b"\n", 0, match.start()) + 1
    return Include(path, line, match[0].decode("utf-8", "replace").strip())


def _parts(path: str) -> set[str]:
    """The words in the name of a file that tell it from others."""
    return set(re.findall(r"[a-z0-9]+", path.lower())) - {"c", "h", "include", "linux", "asm", "net", "drivers"}


def _distance(path: str, other: str) -> int:
    """How far two files are apart in the tree."""
    one, two = path.split("/")[:-1], other.split("/")[:-1]
    same = 0
    while same < min(len(one), len(two)) and one[same] == two[same]:
        same += 1
    return len(one) + len(two) - 2 * same
