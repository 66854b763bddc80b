"""Includers: the files that include a header, or a .c file that is no translation unit of its own; the likeliest come first.

The include path of the compiler is not followed; only a header of the same name beside the includer comes before others.
The word index gives the files that hold all words of a path. The number of files read bounds the search, not the time, so that an
answer is the same on a busy machine.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterable, Iterator

from hook import lazy_re
from hook.c.blanking import plain
from hook.kernel.kbuild.architecture_directories import around
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, PROGRAMS, in_kernel
from hook.source.grep import holding
from hook.source.lookup import Bounds, Include, includers
from hook.source.tree import Source
from hook.source.treepath import shared_directories
from hook.source.words import is_number, words_of

_MOST_READ = 200  # files, for one question: the includers of a header, and their includers
_MOST_READ_IN_ALL = 1000  # for one change
_MOST_BESIDE = 64  # files of the same directory, those with the most similar names first
_MOST_FAR = 200  # files of other directories that have the names of a file and of its directory
_MOST_BY_NAME = 60  # files that are looked into for an include of another one, by its name alone
_MOST_NAMING = 2000  # files that have its name in them and may be meant
_SMALL_TREE = Bounds(24)
_INCLUDE = lazy_re.compile(rb'(?m)^[ \t]*+#[ \t]*+include[ \t]*+["<]([^">\n]+)[">]')
_MAKEFILE = lazy_re.compile(r"(?:Makefile|Kbuild)|[^/]+\.mk\Z")
_UNDER_INCLUDE = lazy_re.compile(r"\A(?:arch/\w+/)?include/(?:uapi/)?")


class Includers:
    """The includers of files, in one tree and for one architecture."""

    def __init__(self, source: Source, source_arch: str) -> None:
        self._source = source
        self._arch = source_arch
        self._in_all = _MOST_READ_IN_ALL
        self._left = 0

    def ask_anew(self) -> None:
        """Begin another question, with a new limit on the files read."""
        self._left = min(_MOST_READ, self._in_all)

    def of(self, path: str) -> Iterator[Iterable[Include]]:
        """The lines that include `path`, by two searches: if the first finds any, the second is not needed."""
        # a .c file is seldom included from another directory, and a search beside it needs no index
        searches = (self._anywhere, self._beside) if path.endswith(".h") else (self._beside, self._anywhere)
        for search in searches:
            yield search(path)

    def _anywhere(self, path: str) -> Iterator[Include]:
        if self._source.index is None:
            if self._source.is_small:
                includes = [include for include in includers(self._source, path, _SMALL_TREE).items if self._may_be_built(include.path)]
                yield from sorted(includes, key=lambda include: (include.path.endswith(".h"), _distance(include.path, path)))
            return
        below_include = _UNDER_INCLUDE.sub("", path, count=1)
        is_global = below_include != path
        known_as = below_include if is_global else path.rpartition("/")[2]
        words = [[word.lower()] for word in {*re.findall(r"\w+", known_as), "include"} if not is_number(word)]
        holding = self._source.files_holding(words) or []
        candidates = [file for file in holding if file.endswith((".c", ".h")) and file != path and self._may_be_built(file)]
        directory = around(self._source, path)
        # a global header is most likely included by what is always built, and that is high in the tree
        far = (lambda file: file.count("/")) if is_global else (lambda file: _distance(file, path))
        candidates.sort(key=lambda file: (file.endswith(".h"), -len(_parts(known_as) & _parts(file)), far(file)))
        for includer in candidates:
            data = self._read(includer)
            if data is None:
                return
            for match in _INCLUDE.finditer(data):
                text = match[1].decode("utf-8", "replace")
                near = posixpath.normpath(posixpath.join(posixpath.dirname(includer), text))
                if directory and directory.architecture != self._arch and not directory.is_included_by_name(text, includer):
                    continue  # the include path has the target's own directory
                # a header of that name beside the includer comes first
                if path == near or (path.endswith(f"/{text}") and not text.startswith(".") and not self._source.oid(near)):
                    yield _include(includer, match)
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
        """The text of a file, empty if it cannot be read; None once the limit on files is reached."""
        if self._left <= 0:
            return None
        self._left -= 1
        self._in_all -= 1
        file = self._source.file(path)
        return file.data if file is not None and file.data is not None else b""

    def _may_be_built(self, path: str) -> bool:
        """Whether a file belongs neither to a program in the tree nor to another architecture."""
        return in_kernel(path, self._arch, PROGRAMS)


def may_be_included(source: Source, path: str) -> bool:
    """Whether another C file may include this one, or has its name in a macro: of its directory or below, or elsewhere by the name of that.

    By its name alone below a makefile that adds the directory to the places of includes. True where that is not known.
    """
    directory, _, name = path.rpartition("/")
    parent = directory.rpartition("/")[2]
    holders = holding(source, *words_of(name))
    naming = holding(source, *words_of(parent), *words_of(name))
    of_parent = _naming(source, parent, directory.partition("/")[0])
    if holders is None or naming is None or of_parent is None:
        return True
    places = (f"{directory}/", *_searching(source, of_parent, directory))
    near = [file for file in holders if file.startswith(places) and file.endswith((".c", ".h")) and file != path]
    far = [file for file in naming if file.endswith((".c", ".h")) and not file.startswith(places)]
    if len(far) > _MOST_FAR:
        return True
    base, last = (re.escape(text.encode("utf-8", "surrogateescape")) for text in (name, parent))
    ends = (rb"(?<![\w-])" + base, rb"\b" + last + rb"/(?:\.?/|[\w-]+/\.\./)*" + base)
    forms = [re.compile(rb"(?m)^[ \t]*#[ \t]*(?:include(?:_next)?|import|define)\b[^\n]*" + end + rb"(?![\w.])") for end in ends]
    return any(
        blob is None or blob.data is None or form.search(plain(blob.data))
        for files, form in zip((near, far), forms, strict=True)
        for blob in source.files(files)
    )


def may_be_text_of_another(source: Source, path: str) -> bool:
    """Whether another file includes one, so that what it defines before counts here, and what is defined here counts there.

    Looked for in the files that have its name in them. Where these are many, in those that have its directory's name too, those of
    directories above and below, and those below a makefile that adds the directory to the places of includes. True where that is not
    known.
    """
    directory, _, name = path.rpartition("/")
    words, last = re.findall(r"\w+", name), re.findall(r"\w+", directory.rpartition("/")[2])
    holders = holding(source, *words)
    source.rests_on_all = True
    if holders is not None and len(holders) > _MOST_BY_NAME and last:
        by_path, by_directory = holding(source, *words, *last), holding(source, *last)
        if by_path is None or by_directory is None:
            return True
        places = (f"{directory}/", *_searching(source, by_directory, directory))
        near = [file for file in holders if file.startswith(places) or f"{directory}/".startswith(f"{file.rpartition('/')[0]}/")]
        holders = list(dict.fromkeys((*by_path, *near)))
    found = [file for file in holders or () if file != path and file.endswith((".c", ".h", ".S")) and not file.startswith(NO_KERNEL_CODE)]
    if holders is None or len(found) > _MOST_NAMING:
        return True
    included = re.compile(rb'#[^\n]*["<](?:[^">\n]*/)?' + re.escape(name.encode()) + rb'[">]')
    return any(blob is None or blob.data is None or included.search(blob.data) for blob in source.files(found))


def _naming(source: Source, parent: str, top: str) -> list[str] | None:
    """The files that may add a directory of this name to the places of includes; None if that is not known.

    `-I` before a variable or a dot is a word of the index, and so is `-Idrivers`; a number is none.
    """
    if source.index is None:
        return holding(source, *(words_of(parent) or ("I",)))
    options = ("i", "iquote", "isystem", "idirafter", *(f"{option}{top}".lower() for option in ("i", "iquote", "isystem", "idirafter")))
    return source.files_holding([*([word.lower()] for word in words_of(parent)), options])


def _searching(source: Source, holders: Iterable[str], directory: str) -> list[str]:
    """The directories of makefiles that may add a directory to the places of includes."""
    from hook.kernel.kbuild.compiler_flags import may_search  # few headers need it

    makefiles = [file for file in holders if _MAKEFILE.match(file.rpartition("/")[2])]
    pairs = zip(makefiles, source.files(makefiles), strict=True)
    above = [
        posixpath.dirname(file)
        for file, blob in pairs
        if blob is None or blob.data is None or may_search(blob.data, posixpath.dirname(file), directory)
    ]
    return [f"{folder}/" for folder in above if folder]


def _include(path: str, match: re.Match[bytes]) -> Include:
    line = match.string.count(b"\n", 0, match.start()) + 1
    return Include(path, line, match[0].decode("utf-8", "replace").strip())


def _parts(path: str) -> set[str]:
    """The words of a path that distinguish it from others."""
    return set(re.findall(r"[a-z0-9]+", path.lower())) - {"c", "h", "include", "linux", "asm", "net", "drivers"}


def _distance(first: str, second: str) -> int:
    """How far two files are apart in the tree."""
    return first.count("/") + second.count("/") - 2 * shared_directories(first, second)
