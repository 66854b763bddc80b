"""Other makefiles: the objects into which makefiles of other directories link a file.

A makefile names a file of another directory by a path (`../x.o`), by a wildcard or a function that puts its path together, by a rule that
makes its own objects of sources elsewhere (`$(obj)/far/%.o: $(srctree)/near/%.c`), or by one that copies it.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from hook import lazy_re
from hook.kernel.kbuild.make_syntax import leads_elsewhere
from hook.kernel.kbuild.make_variables import OPEN, UnreadableMakefile
from hook.kernel.kbuild.makefile import Makefile
from hook.kernel.kbuild.objects import Kbuild, Object, object_from
from hook.kernel.no_kernel_code import PROGRAMS, in_kernel
from hook.source.grep import holding
from hook.source.tree import Source
from hook.source.words import words_of

_MAKEFILE = lazy_re.compile(r"Makefile|Kbuild")
_FINDING = ("wildcard", "shell", "addsuffix", "addprefix", "join")  # functions of make that list files, or put their names together
_NOT_LINKED = ("always-y", "always-m", "extra-y", "extra-m", "subdir-y", "subdir-m", "dtb-y", "targets-y", "clean-y", "hostprogs-y")
_LISTS = ("-y", "-m", "-objs")
_SOURCES = (".c", ".S", ".rs")
_RULE = lazy_re.compile(rb"(?m)^[^\n#=]*\.o[ \t)]*:[^\n=]*\.c\b")
_ANY_RULE = lazy_re.compile(r"(?m)^([^\s#=:][^\n#=:]*):(?![=:])([^\n=#]*)")


def linked_elsewhere(source: Source, kbuild: Kbuild, path: str, srcarch: str) -> list[Object] | None:
    """The objects into which the makefiles of other directories link a file; None if that is not known."""
    directory, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    naming = holding(source, *words_of(stem), "o")
    listing = [holding(source, *words_of(directory.rpartition("/")[2]), function) for function in _FINDING]
    copying = holding(source, *words_of(name))
    if naming is None or copying is None or None in listing:
        return None
    holders = dict.fromkeys((*naming, *copying, *(file for files in listing for file in files or ())))
    makefiles = [file for file in holders if _is_other_makefile(file, directory) and in_kernel(file, srcarch, PROGRAMS)]
    named = re.compile(
        rb"(?<![\w.-])" + re.escape(stem.encode("utf-8", "surrogateescape")) + rb"(?![\w-])|\b(?:" + "|".join(_FINDING).encode() + rb")\b"
    )
    objects: dict[str, Object] = {}
    for file, blob in zip(makefiles, source.files(makefiles), strict=True):
        if blob is None or blob.data is None or _copies(blob.data, path):
            return None
        folder = file.rpartition("/")[0]
        if named.search(blob.data) and (path.startswith(f"{folder}/") or leads_elsewhere(blob.data)):
            try:
                objects |= {linked.path: linked for linked in _linked(source, kbuild, folder, path, bool(_RULE.search(blob.data)))}
            except UnreadableMakefile:
                return None
    return list(objects.values())


def _is_other_makefile(file: str, directory: str) -> bool:
    folder, _, name = file.rpartition("/")
    return _MAKEFILE.match(name) is not None and folder != directory


def _copies(makefile: bytes, path: str) -> bool:
    """Whether a rule of another directory's makefile may make something else of a file than the object of its name."""
    directory, _, name = path.rpartition("/")
    places = (directory.rpartition("/")[2], ".", "..")
    for target, sources in _ANY_RULE.findall(makefile.replace(b"\\\n", b" ").decode("utf-8", "replace")):
        for word in sources.split():
            folder = word.removesuffix(f"/{name}").rpartition("/")[2]
            is_another = re.fullmatch(r"[\w.-]+|\$[({](?:src|obj)[)}]", folder) and folder not in places
            if word.endswith(f"/{name}") and not is_another and target.rpartition("/")[2].strip() != f"{name.rpartition('.')[0]}.o":
                return True
    return False


def _linked(source: Source, kbuild: Kbuild, directory: str, path: str, has_rules: bool) -> Iterator[Object]:
    """The objects that the makefile of a directory links a file into. Raises UnreadableMakefile where only make knows what is linked."""
    makefile = kbuild.makefile(directory)
    if makefile is None:
        return
    own = object_from(directory, path)
    base = own.rpartition("/")[2]
    names = {own: None}
    for goal in makefile.names():
        for word in makefile.words(goal) if goal.endswith(_LISTS) and "flags" not in goal and goal not in _NOT_LINKED else ():
            tail = word.text.rpartition("/")[2]
            if tail.endswith(OPEN) or (OPEN in tail and tail.endswith(".o")):
                raise UnreadableMakefile(f"{word.path}:{word.line}: only make knows which objects are linked")
            if has_rules and tail == base and not _has_source(source, makefile, word.text):
                names[word.text] = None
    for name in names:
        yield from kbuild.linked(directory, name)


def _has_source(source: Source, makefile: Makefile, word: str) -> bool:
    """Whether an object of a makefile is linked from a list of its own, or compiled from a file at its place."""
    path = posixpath.normpath(f"{makefile.directory}/{word[:-2]}")
    return any(makefile.words(word[:-2] + part) for part in _LISTS) or any(source.oid(path + end) for end in _SOURCES)
