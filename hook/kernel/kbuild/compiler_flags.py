"""Compiler flags: the `-DNAME`, `-UNAME`, `-include FILE` and `-I DIRECTORY` that the makefiles of a directory add for C files.

Nothing is evaluated: every name after such a flag counts, for any options and any file. If only make can evaluate a flag, the flags are
not known, and nothing is proved from them.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from hook import lazy_re
from hook.kernel.kbuild.make_syntax import words
from hook.kernel.no_kernel_code import NO_KERNEL_CODE
from hook.source.grep import holding
from hook.source.tree import Source, TreeEntryKind
from hook.source.words import words_of

_FLAG = rb"(?<![\w/-])-"
_NAMED = lazy_re.compile(rb"-[DU](?<![\w/-]..)[ \t]*[\"']?([A-Za-z_]\w*+)")
_NAMED_BY_VARIABLE = lazy_re.compile(rb"-[DU](?<![\w/-]..)\$")
_HEADER = lazy_re.compile(rb"-i(?<![\w/-]..)(?:nclude|macros)(?:[ \t]+|(?=\$))(\S+)")
# a name from a variable, completely or at its end; a flag without its name or file; a file of flags
_NOT_KNOWN = lazy_re.compile(
    _FLAG
    + rb"(?:[DU][ \t]*(?:[\"']?\w*\$[({]|[^\w\s\"'\\]|\Z)|(?:include|imacros)[ \t]*\Z)|(?:=|[ \t])@\$?[({\w./]|\$[({](?:shell|file)[ \t]"
)
# an assignment, also one for a target, and the other statements that may add flags
_ASSIGNMENT = lazy_re.compile(
    rb"[ \t]*(?:[^\t:=]+:(?![=:])[ \t]*(?=[^=]*(?i:flags)))?(?:(?:export|override|private|unexport)[ \t]+)*"
    rb"[-\w.$(){}/]+[ \t]*(?:[+?!]|:{1,3})?=|[ \t]*define\b|\$\((?:foreach|call|eval)\b"
)
# assignments to variables with which no C file is compiled
_INNOCENT = lazy_re.compile(
    rb"[ \t]*(?:(?:always|obj|extra)-|targets\b|clean-files\b|CHECKFLAGS|(?:KBUILD_)?HOST|CPPFLAGS_\w+\.lds|(?:KBUILD_)?(?:A|RUST|LD)FLAGS"
    rb"|(?:quiet_)?cmd_)[-\w.$(){}]*[ \t]*[:+?]?="
)
_OWN_HEADERS_OF_COMPILER = lazy_re.compile(rb"\$\(shell[ \t]+\$\(\w+\)[ \t]+-print-file-name=[^()]*\)")
_COMMENT = lazy_re.compile(rb"#(?<!\\#)[^\n]*")
_INCLUDED = lazy_re.compile(rb"(?m)^[ ]*(?:-|s)?include[ \t]+([^\n]+)")
_SEARCHED = lazy_re.compile(rb"(?<![\w/-])-(?:I|iquote|isystem|idirafter)[ \t]*([^\s]+)")
_BRINGS = lazy_re.compile(rb"(?m)^[ \t]*[-s]?include\b|-i(?:nclude|macros|quote|system|dirafter)\b|-I(?!dentifier)|__LINE__|[ \t=]@[^\w\s]")
_RULE = lazy_re.compile(rb"(?m)^[^\n#=]*\.o[ \t)]*:[^\n=]*\.c\b[^\n]*|\$\((?:addprefix|join|patsubst)\b[^\n]*")
_MAKEFILE = lazy_re.compile(r"(?:Makefile|Kbuild)|[^/]+\.mk\Z")
_COMMAND = lazy_re.compile(rb"(?m)^[ \t]*(?:quiet_)?cmd_\w+[ \t]*[:?]?=[^\n]*")
_PLACES = (b"srctree", b"src", b"obj")
_ASSIGNED = rb"(?m)^[ \t]*(?:export[ \t]+)?%b[ \t]*[:?]?=[ \t]*([^\s]+(?:[ \t]+[^\s]+)*)[ \t]*$"
_VARIABLE = lazy_re.compile(rb"\$[({](\w+)[)}]")
_MOST_MAKEFILES = 200  # of one directory, with those above it and those that they include
_MOST_VARIABLES = 8  # in the name of one file
_MOST_NAMING = 20  # makefiles that name a variable
_ABOVE_ALL = lazy_re.compile(r"Makefile\.(?!clean|help|headersinst|package|dtbs|asm-headers|modfinal|modpost|vmlinux)|Kbuild\.include\Z")
_OF_KBUILD = lazy_re.compile(rb"_*KBUILD_\w+\Z")  # names that kbuild defines for every file, with a value for each


class CompilerFlags(msgspec.Struct, frozen=True):
    """The flags of a C file that act as lines before its text."""

    names: frozenset[bytes]  # defined by -D or undefined by -U
    headers: tuple[str, ...]  # included by -include, as paths of the tree
    places: tuple[str, ...] = ()  # searched for headers by -I, as paths of the tree; a `$` in one that only make knows


def read(source: Source, directory: str) -> CompilerFlags | None:
    """The flags of a directory: from its makefiles and all above it, from those that these include, and from those for the whole kernel.

    None if a makefile cannot be read, or if only make can evaluate a flag, or if a macro of one has the line of its use.
    """
    of_all = _of_all(source)
    if of_all is None:
        return None
    names, headers, places = set(of_all.names), list(of_all.headers), list[str]()
    waiting = deque((path, False) for path in makefiles_above(directory))
    read_makefiles: set[str] = set()
    while waiting:
        path, must_exist = waiting.popleft()
        if path in read_makefiles:
            continue
        read_makefiles.add(path)
        blob = source.file(path)
        if blob is None:
            if must_exist or source.oid(path):
                return None
            continue
        if blob.data is None or len(read_makefiles) > _MOST_MAKEFILES:
            return None
        text = _joined(blob.data)
        if any(_may_add_unknown_flag(line) for line in text.split(b"\n")) or b"__LINE__" in text:
            return None
        names.update(_NAMED.findall(text))
        headers += _headers(text, posixpath.dirname(path))
        places += _searched(text, posixpath.dirname(path))
        included = _includes(source, text, posixpath.dirname(path))
        if included is None:
            return None
        waiting += [(name, True) for name in included]
    return CompilerFlags(frozenset(names), tuple(dict.fromkeys(headers)), tuple(dict.fromkeys(places)))


def may_search(makefile: bytes, its_directory: str, directory: str) -> bool:
    """Whether a makefile may add a directory to the include path (-I). After a variable, the end of the path decides."""
    for place in _SEARCHED.findall(_joined(makefile)):
        path = _path(place, its_directory)
        end = re.split(r"[)}]", path)[-1].rstrip("/")
        if f"/{directory}".endswith(end) if "$" in path else path == directory:
            return True
    return False


def may_bring_headers(source: Source, directories: Iterable[str]) -> bool:
    """Whether the makefiles of directories and above may add a header, or a place of headers, or a macro with a line number."""
    blobs = source.files([path for directory in directories for path in makefiles_above(directory)])
    return any(blob is not None and (blob.data is None or _BRINGS.search(blob.data)) for blob in blobs)


def has_name(source: Source, directories: Iterable[str], names: Iterable[bytes]) -> bool:
    """Whether the makefiles of directories and above may have one of some names."""
    blobs = source.files([path for directory in directories for path in makefiles_above(directory)])
    return any(blob is not None and (blob.data is None or any(name in blob.data for name in names)) for blob in blobs)


def resolved(source: Source, places: Iterable[str]) -> list[str] | None:
    """The places of headers with the variables that one makefile of the tree sets, once; None where there are others."""
    values: dict[bytes, str | None] = {}
    paths = []
    for place in places:
        for variable in _VARIABLE.findall(place.encode()):
            if variable not in values:
                values[variable] = _value(source, variable)
            value = values[variable]
            if value is None:
                return None
            for spelled in (f"$({variable.decode()})", f"${{{variable.decode()}}}"):
                place = place.replace(spelled, value)
        paths.append(posixpath.normpath(place))
    return None if any("$" in path for path in paths) else list(dict.fromkeys(paths))


def _value(source: Source, variable: bytes) -> str | None:
    """What the one makefile that sets a variable sets it to, as a path of the tree; None where there are more, or none."""
    makefiles = _makefiles_naming(source, variable) or []
    values = []
    for makefile, blob in zip(makefiles, source.files(makefiles) if len(makefiles) <= _MOST_NAMING else (), strict=False):
        if blob is None or blob.data is None:
            return None
        text = _joined(blob.data)
        values += [_path(_with_values(value, text)[0], posixpath.dirname(makefile)) for value in re.findall(_ASSIGNED % variable, text)]
    return values[0] if len(values) == 1 else None


def elsewhere(source: Source, path: str) -> list[str] | None:
    """The directories whose makefiles compile the file at `path` too, as their own object or by a rule: its flags are theirs there.

    None where that is not known.
    """
    directory, _, name = path.rpartition("/")
    parent, stem = directory.rpartition("/")[2], words_of(name.rpartition(".")[0])
    holders = holding(source, *stem, "o", *words_of(parent))
    # of the staged index a list costs more than the question
    entries = source.names(directory) if source.revision else None
    has_more = entries is None or any(entry.kind is TreeEntryKind.DIRECTORY for entry in entries)
    below = holding(source, *stem, "o") if has_more else []  # `../x.o` says no more
    if holders is None or below is None:
        return None
    return compiling(source, path, [*holders, *(file for file in below if file.startswith(f"{directory}/"))])


def compiling(source: Source, path: str, holders: Iterable[str]) -> list[str] | None:
    """As `elsewhere`, by the makefiles among some files, which are all that may name the object."""
    directory, _, name = path.rpartition("/")
    stem, parent = (text.encode("utf-8", "surrogateescape") for text in (name.rpartition(".")[0], directory.rpartition("/")[2]))
    above = makefiles_above(directory)
    makefiles = [file for file in dict.fromkeys(holders) if _MAKEFILE.match(file.rpartition("/")[2]) and file not in above]
    makefiles = [file for file in makefiles if not file.startswith(NO_KERNEL_CODE)]
    named = re.compile(rb"(?<![\w.])" + re.escape(stem) + rb"\.[co]\b")
    places = []
    for makefile, blob in zip(makefiles, source.files(makefiles), strict=True):
        if blob is None or blob.data is None:
            return None
        if not named.search(blob.data):
            continue
        text, place = _joined(blob.data), posixpath.dirname(makefile)
        objects = {
            _path(word, "" if word.startswith(b"$(") else place)
            if b"$" in word
            else posixpath.normpath(f"{place}/{word.decode('utf-8', 'replace')}")
            for word in re.split(rb"[\s:=]+", text)
            if named.search(word)
        }
        is_made = any(parent in rule for rule in _RULE.findall(text))  # of a source elsewhere, or of a name that is put together
        if objects and (is_made or any("$" in one or one.rpartition(".")[0] == path.rpartition(".")[0] for one in objects)):
            places.append(place)
    return list(dict.fromkeys(places))


def makefiles_above(directory: str) -> list[str]:
    """The paths of the makefiles that a directory and those above it may have."""
    places = []
    while directory:
        places += [f"{directory}/Makefile", f"{directory}/Kbuild"]
        directory = posixpath.dirname(directory)
    return places


def _of_all(source: Source) -> CompilerFlags | None:
    """The flags for the whole kernel: from the top makefile, scripts/Makefile.* and every architecture."""
    scripts = [f"scripts/{entry.name}" for entry in source.names("scripts") or () if _ABOVE_ALL.match(entry.name)]
    paths = ["Makefile", *scripts, *(f"arch/{entry.name}/Makefile" for entry in source.names("arch") or ())]
    names: set[bytes] = set()
    headers: list[str] = []
    for blob in source.files(paths):
        if blob is None:
            continue
        if blob.data is None:
            return None
        text = blob.data
        names.update(name for name in _NAMED.findall(text) if not _OF_KBUILD.match(name))
        if any(not _INNOCENT.match(text, text.rfind(b"\n", 0, flag.start()) + 1) for flag in _NAMED_BY_VARIABLE.finditer(text)):
            return None
        if b"-include" in text or b"-imacros" in text:
            headers += [header for header in _headers(_joined(text), "") if header.startswith(("include/", "arch/"))]
    return CompilerFlags(frozenset(names), tuple(headers))


def _joined(data: bytes) -> bytes:
    return _COMMENT.sub(b"", data.replace(b"\\\n", b" "))


def _may_add_unknown_flag(line: bytes) -> bool:
    """Whether a statement may add a flag that cannot be read here. A recipe adds none."""
    assignment = _ASSIGNMENT.match(line)
    return assignment is not None and not _INNOCENT.match(line) and _NOT_KNOWN.search(_OWN_HEADERS_OF_COMPILER.sub(b"", line)) is not None


def _headers(text: bytes, directory: str) -> list[str]:
    """The files after -include, except in a directive of make and in a command; a name with another variable is no path of the tree."""
    bare = _COMMAND.sub(b"", _INCLUDED.sub(b"", text))
    return [_path(name, directory) for name in _HEADER.findall(bare)]


def _includes(source: Source, text: bytes, directory: str) -> list[str] | None:
    """The makefiles that a makefile includes; for a name with a variable of another makefile, all makefiles with that variable.

    None if that is not known. The files that kbuild generates add no flags.
    """
    makefiles_included: list[str] = []
    for line in _INCLUDED.findall(text):
        for name in map(str.encode, words(line.decode("utf-8", "replace"))):
            name, unknown = _with_values(name, text)
            path = _path(name, directory)
            if "$" in path:
                candidates = [_makefiles_naming(source, variable) for variable in unknown]
                if not candidates or any(makefiles is None for makefiles in candidates):
                    return None
                makefiles_included += [makefile for makefiles in candidates for makefile in makefiles or ()]
            elif not path.startswith("include/config/"):
                makefiles_included.append(_nearest(source, path, name, directory))
    return makefiles_included


def _searched(text: bytes, directory: str) -> Iterator[str]:
    """The directories after -I in a makefile, without those of the compiler and those below the tree of what is built."""
    for place in _SEARCHED.findall(_OWN_HEADERS_OF_COMPILER.sub(b"", text)):
        bare = place.strip(b"\"'") if b"(" in place else place.strip(b"\"')")  # the end of a call of make
        path = _path(_with_values(bare, text)[0], directory)
        if not path.startswith(("$(objtree)", "${objtree}", "/")):
            yield path


def _with_values(name: bytes, text: bytes) -> tuple[bytes, list[bytes]]:
    """A name with the values of the variables that a makefile sets once, and the variables that are left."""
    unknown: list[bytes] = []
    for _ in range(_MOST_VARIABLES):
        variables = [variable for variable in _VARIABLE.findall(name) if variable not in _PLACES and variable not in unknown]
        if not variables:
            break
        values = re.findall(_ASSIGNED % re.escape(variables[0]), text)
        name = name.replace(b"$(%b)" % variables[0], values[0]) if len(values) == 1 else name
        unknown += [variables[0]] if len(values) != 1 else []
    return name, unknown


def _makefiles_naming(source: Source, variable: bytes) -> list[str] | None:
    holders = holding(source, variable.decode("ascii"))
    return None if holders is None else [path for path in holders if _MAKEFILE.match(path.rpartition("/")[2])]


def _nearest(source: Source, path: str, name: bytes, directory: str) -> str:
    """A makefile included by $(src), the directory of the makefile that kbuild reads: this directory, or one above it."""
    while b"$(src)" in name and not source.oid(path) and directory:
        directory = posixpath.dirname(directory)
        path = _path(name, directory)
    return path


def _path(name: bytes, directory: str) -> str:
    text = re.sub(r"\$[({]srctree[)}]/", "", name.decode("utf-8", "replace").strip("\"'"))
    return posixpath.normpath(re.sub(r"\$[({](?:src|obj)[)}]", directory, text))
