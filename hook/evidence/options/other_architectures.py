"""Code of other architectures outside of arch/, which no kernel for the target contains (lib/crypto/arm/ on x86_64)."""

from __future__ import annotations

import re

from hook import lazy_re
from hook.kernel.kbuild.architecture_directories import ArchitectureDirectory, around, objects
from hook.kernel.kernel import Kernel
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.source.index import NoIndex
from hook.source.tree import TreeEntryKind
from hook.verdict import Fact, Place

_MOST_FILES = 100  # of the directory, or that may name a file of it
_INCLUDED = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*include\w*[ \t]*[\"<](?:[^\"<>\n]*/)?([^/\"<>\n]+)[\">]")  # the last part of each path
_BY_MACRO = lazy_re.compile(rb"(?m)^[ \t]*#[ \t]*include\w*[ \t]+\w")
_MAKEFILE = lazy_re.compile(r"(?:Makefile|Kbuild)[^/]*\Z|[^/]+\.mk\Z")
# a directory of includes, or what other makefiles may make one of, by a variable that kbuild does not set itself
_BY_VARIABLE = lazy_re.compile(rb"-(?:I|i[a-z]+)[ \t]*[^\s]*\$[({](?!(?:src|obj|srctree|objtree|SRCARCH)[)}])|(?m:^[ \t]*export[ \t])")
_COMMENT = lazy_re.compile(rb"(?m)(?:^|[ \t])#[^\n]*")


def of_another(kernel: Kernel, path: str) -> Fact | None:
    """The fact that a file belongs to another architecture, and that no kernel for the target contains it; None if that is not proved.

    The makefile above shows the architecture of the directory. Excluded are: a word of that makefile that builds a file of the directory
    under options which the target may have; another makefile that names the directory; an include path with the directory, other than
    `$(SRCARCH)`, or from a variable in a makefile with the names of this directory and the one above; a file elsewhere that includes, or
    names in quotes, the file, or a header of the directory that includes it. None without the word index, and if a limit is reached.
    """
    source, srcarch = kernel.source, kernel.environment["SRCARCH"]
    directory = around(source, path) if path.endswith((".c", ".h", ".S")) else None
    if directory is None or directory.architecture == srcarch or source.index is None:
        return None
    try:
        if not _builds_nothing(kernel, directory) or _is_named_by_another_makefile(kernel, directory):
            return None
        headers = _including(kernel, directory, path)
        if headers is None or any(_is_included_from_outside(kernel, directory, name) for name in (path, *headers)):
            return None
    except NoIndex as wrong:
        source.index_failed(str(wrong))
        return None
    blob = source.file(directory.makefile)
    claim = f"{directory.path}/ is code of {directory.architecture}: make takes {directory.above}/{srcarch}/ for a kernel of the target"
    return Fact(claim, Place(directory.makefile, directory.line, blob.oid if blob is not None else ""), directory.text)


def _builds_nothing(kernel: Kernel, directory: ArchitectureDirectory) -> bool:
    """Whether no configuration of the target builds an object of the directory that the makefile above names."""
    words = objects(kernel.source, kernel.environment, directory)
    return words is not None and all(kernel.never_holds(word.condition, directory.makefile) for word in words)


def _is_named_by_another_makefile(kernel: Kernel, directory: ArchitectureDirectory) -> bool:
    """Whether another makefile than the one above names the directory, or that one adds it to the include path."""
    source, name = kernel.source, re.escape(directory.architecture.encode())
    parent_name = directory.above.rpartition("/")[2]
    path_pattern = re.compile(rb"(?<![\w.-])(?:" + re.escape(parent_name.encode()) + rb"|\.\.)/" + name + rb"(?![\w.-])")
    added = re.compile(rb"-(?:I|i[a-z]+)[ \t]*[^\s]*(?<![\w.-])" + name + rb"(?![\w.-])")
    near = [candidate for candidate in source.holding([[directory.architecture]]) if candidate.startswith(f"{directory.above}/")]
    far = source.holding([[word] for word in (directory.architecture, *re.findall(r"[a-z0-9_]+", parent_name.lower()))])
    makefiles = [
        candidate
        for candidate in (*near, *far)
        if _MAKEFILE.match(candidate.rpartition("/")[2]) and not candidate.startswith(NO_KERNEL_CODE)
    ]
    for makefile in dict.fromkeys((*makefiles, directory.makefile)):
        file = source.file(makefile)
        if file is None or file.data is None:
            return True
        text = _COMMENT.sub(b"", file.data)
        is_read = in_kernel(makefile, kernel.environment["SRCARCH"], NO_KERNEL_CODE)
        is_other = makefile != directory.makefile and (path_pattern.search(text) or (is_read and _BY_VARIABLE.search(text)))
        if added.search(text) or is_other:
            return True
    return False


def _including(kernel: Kernel, directory: ArchitectureDirectory, path: str) -> list[str] | None:
    """The files of the directory that include one of its files, directly or not; None if not all can be read, or there are too many."""
    entries = kernel.source.names(directory.path) or ()
    paths = [f"{directory.path}/{entry.name}" for entry in entries]
    if len(paths) > _MOST_FILES or any(entry.kind is not TreeEntryKind.FILE for entry in entries):
        return None
    blobs = dict(zip(paths, kernel.source.files(paths), strict=True))
    included_names = {path: _INCLUDED.findall(blob.data) for path, blob in blobs.items() if blob is not None and blob.data is not None}
    if len(included_names) < len(paths) or any(blob is not None and _BY_MACRO.search(blob.data or b"") for blob in blobs.values()):
        return None
    including_files, waiting = [path], [path]
    while waiting:
        name = waiting.pop().rpartition("/")[2].encode("utf-8", "surrogateescape")
        includers = [path for path, names in included_names.items() if name in names and path not in including_files]
        including_files += includers
        waiting += includers
    return including_files[1:]


def _is_included_from_outside(kernel: Kernel, directory: ArchitectureDirectory, path: str) -> bool:
    """Whether a file outside of the directory that may be in the target's kernel names `path`, with its directory, in quotes or <>."""
    source, srcarch = kernel.source, kernel.environment["SRCARCH"]
    name = path.rpartition("/")[2]
    words = [word.lower() for word in re.findall(r"[A-Za-z0-9_]+", name.rpartition(".")[0]) if not word[0].isdigit()]
    if not words or not name.isascii():
        return True
    users = [
        file
        for file in source.holding([[directory.architecture], *([word] for word in words)])
        if not file.startswith(f"{directory.path}/")
    ]
    users = [file for file in users if in_kernel(file, srcarch, NO_KERNEL_CODE) and not _MAKEFILE.match(file.rpartition("/")[2])]
    if len(users) > _MOST_FILES:
        return True
    quoted = re.compile(
        rb"[\"<][^\"<>\n]*(?<![\w.-])"
        + re.escape(directory.architecture.encode())
        + rb"/(?:[^\"<>\n]*/)?"
        + re.escape(name.encode())
        + rb"\\?[\">]"
    )
    return any(blob is None or blob.data is None or quoted.search(blob.data) for blob in source.files(users))
