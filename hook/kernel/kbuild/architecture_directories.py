"""Architecture directories outside of arch/: lib/crypto/arm/, whose files the makefile above builds for arm alone.

The makefile says so: it adds the directory of the target to the include path, `-I$(src)/$(SRCARCH)`. Which files of such a directory it
builds depends on options, as for any other file. This module answers which of two headers with the same name is included.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

import msgspec

from hook import lazy_re
from hook.kernel.kbuild.make_syntax import statements
from hook.kernel.kbuild.make_variables import OPEN, Assigned, UnreadableMakefile
from hook.kernel.kbuild.makefile import Makefile
from hook.source.tree import Source

_LISTS = ("-y", "-m", "-objs")
_OWN_INCLUDE_PATH = lazy_re.compile(rb"(?m)^[^#\n]*-I[ \t]*\$[({]src[)}]/\$[({]SRCARCH[)}](?![\w/.-])[^\n]*")
_REASSIGNED = lazy_re.compile(rb"(?m)^[^#\n]*\bSRCARCH[ \t]*[:?+!]*=")
_OTHER_USES = lazy_re.compile(r"\b(?:VPATH|vpath)\b|-I[ \t]*[^\s]*\$[({](?!(?:src|obj|srctree|objtree|SRCARCH)[)}])")
_ASSIGNED = lazy_re.compile(r"[ \t]*(?:export[ \t]+|override[ \t]+)*([^\s:=+?]+)[ \t]*(?:[:+?]?=|::=)")
_RULE = lazy_re.compile(r"([^\t=:][^=:]*):(?![=:])")
# of variables that build nothing: flags of a file, what `make clean` removes, what is instrumented or checked
_FLAGS = lazy_re.compile(
    r"(?:C|A|R|LD|CPP)FLAGS(?:_REMOVE)?_|clean-files\Z|targets\Z|OBJECT_FILES_NON_STANDARD|(?:GCOV|KCOV|KASAN|KCSAN|KMSAN|UBSAN|CONTEXT)_"
)


class ArchitectureDirectory(msgspec.Struct, frozen=True):
    """A directory outside of arch/ that belongs to one architecture, and the line that says so."""

    path: str  # lib/crypto/arm
    makefile: str  # lib/crypto/Makefile
    line: int
    text: str

    @property
    def above(self) -> str:
        """The directory of the makefile."""
        return self.path.rpartition("/")[0]

    @property
    def architecture(self) -> str:
        """The name of the architecture's directory in arch/."""
        return self.path.rpartition("/")[2]

    def is_included_by_name(self, included: str, by: str) -> bool:
        """Whether an include line in the file `by` names this directory, or means a file in it."""
        near = posixpath.normpath(posixpath.join(posixpath.dirname(by), included))
        return by.startswith(f"{self.path}/") or near.startswith(f"{self.path}/") or self.architecture in included.split("/")[:-1]


def around(source: Source, path: str) -> ArchitectureDirectory | None:
    """The architecture directory that a file is in; None if it is in none, or if the directory has a makefile of its own."""
    parts = path.split("/")[:-1]
    if len(parts) < 2 or parts[0] in ("arch", "tools", "Documentation"):
        return None
    for depth in range(len(parts), 1, -1):
        directory, name = "/".join(parts[:depth]), parts[depth - 1]
        if source.oid(f"{directory}/Makefile") or source.oid(f"{directory}/Kbuild"):
            return None
        if source.oid(f"arch/{name}/Kconfig"):
            return _belonging(source, directory)
    return None


def _belonging(source: Source, directory: str) -> ArchitectureDirectory | None:
    above = directory.rpartition("/")[0]
    makefile = next((path for path in (f"{above}/Kbuild", f"{above}/Makefile") if source.oid(path)), "")
    file = source.file(makefile) if makefile else None
    if file is None or file.data is None or _REASSIGNED.search(file.data):
        return None
    include_path = _OWN_INCLUDE_PATH.search(file.data)
    if include_path is None:
        return None
    line = file.data.count(b"\n", 0, include_path.start()) + 1
    return ArchitectureDirectory(directory, makefile, line, include_path[0].decode("utf-8", "replace").strip()[:160])


def objects(source: Source, environment: Mapping[str, str], directory: ArchitectureDirectory) -> list[Assigned] | None:
    """The words of the makefile above that name an object in the directory, in lists of objects.

    None if that makefile also names the directory in another way, which may build something of it, or if it cannot be read.
    """
    file = source.file(directory.makefile)
    if file is None or file.data is None:
        return None
    directory_name = re.compile(rf"(?<![\w.-]){re.escape(directory.architecture)}(?![\w.-])")
    for _, line in statements(file.data.decode("utf-8", "replace")):
        if _OTHER_USES.search(line) or (directory_name.search(line) and not _only_builds(line, directory_name)):
            return None
    makefile = Makefile(source, directory.above, environment)
    object_words: list[Assigned] = []
    try:
        if not makefile.read(directory.makefile) or makefile.unread:
            return None
        for name in makefile.names():
            if name.endswith(_LISTS) and "flags" not in name:
                words = makefile.words(name)
                if any(OPEN in word.text for word in words):
                    return None
                object_words += [word for word in words if directory.architecture in word.text.split("/")[:-1]]
    except UnreadableMakefile:
        return None
    return object_words


def _only_builds(line: str, directory_name: re.Pattern[str]) -> bool:
    """Whether a line of a makefile names the directory only in a list of objects, in flags, or in a rule for a file of the directory."""
    if assigned := _ASSIGNED.match(line):
        name = re.sub(r"-?\$[({]CONFIG_\w+[)}]", "-y", assigned[1])
        return _FLAGS.match(name) is not None or (name.endswith(_LISTS) and "flags" not in name)
    rule = _RULE.match(line)
    return rule is not None and directory_name.search(rule[1]) is not None
