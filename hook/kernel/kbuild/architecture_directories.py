"""Architecture directories outside of arch/: lib/crypto/arm/, whose files a makefile above builds for arm, and takes for no other target.

The makefile says so: it adds the target's own of them to the include path, `-I$(src)/$(SRCARCH)`. Which files of such a directory it
builds is a question about options as for any other; which of two headers of one name is included is answered here.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

import msgspec

from hook import lazy_re
from hook.kernel.kbuild.make_syntax import statements
from hook.kernel.kbuild.make_variables import OPEN, UnreadableMakefile, Word
from hook.kernel.kbuild.makefile import Makefile
from hook.source.tree import Source

_LISTS = ("-y", "-m", "-objs")
_OWN = lazy_re.compile(rb"(?m)^[^#\n]*-I[ \t]*\$[({]src[)}]/\$[({]SRCARCH[)}](?![\w/.-])[^\n]*")
_REASSIGNED = lazy_re.compile(rb"(?m)^[^#\n]*\bSRCARCH[ \t]*[:?+!]*=")
_OTHER_WAYS = lazy_re.compile(r"\b(?:VPATH|vpath)\b|-I[ \t]*[^\s]*\$[({](?!(?:src|obj|srctree|objtree|SRCARCH)[)}])")
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
        """As the directories of arch/ are named."""
        return self.path.rpartition("/")[2]

    def is_included_by_name(self, included: str, by: str) -> bool:
        """Whether what an include line in the file `by` names leads into the directory by the name of the directory itself."""
        near = posixpath.normpath(posixpath.join(posixpath.dirname(by), included))
        return by.startswith(f"{self.path}/") or near.startswith(f"{self.path}/") or self.architecture in included.split("/")[:-1]


def around(source: Source, path: str) -> ArchitectureDirectory | None:
    """The architecture directory that a file is in; None where it is in none, or a makefile of its own says how it is built."""
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
    own = _OWN.search(file.data)
    if own is None:
        return None
    line = file.data.count(b"\n", 0, own.start()) + 1
    return ArchitectureDirectory(directory, makefile, line, own[0].decode("utf-8", "replace").strip()[:160])


def objects(source: Source, environment: Mapping[str, str], directory: ArchitectureDirectory) -> list[Word] | None:
    """The words of the makefile above that name something in the directory, in lists of objects.

    None where that makefile names the directory in any other way that may take something of it, or cannot be read.
    """
    file = source.file(directory.makefile)
    if file is None or file.data is None:
        return None
    named = re.compile(rf"(?<![\w.-]){re.escape(directory.architecture)}(?![\w.-])")
    for _, line in statements(file.data.decode("utf-8", "replace")):
        if _OTHER_WAYS.search(line) or (named.search(line) and not _only_builds(line, named)):
            return None
    makefile = Makefile(source, directory.above, environment)
    found: list[Word] = []
    try:
        if not makefile.read(directory.makefile) or makefile.unread:
            return None
        for name in makefile.names():
            if name.endswith(_LISTS) and "flags" not in name:
                words = makefile.words(name)
                if any(OPEN in word.text for word in words):
                    return None
                found += [word for word in words if directory.architecture in word.text.split("/")[:-1]]
    except UnreadableMakefile:
        return None
    return found


def _only_builds(line: str, named: re.Pattern[str]) -> bool:
    """Whether a line of a makefile names the directory in a list of objects, in flags, or in a rule that makes a file of the directory."""
    if assigned := _ASSIGNED.match(line):
        name = re.sub(r"-?\$[({]CONFIG_\w+[)}]", "-y", assigned[1])
        return _FLAGS.match(name) is not None or (name.endswith(_LISTS) and "flags" not in name)
    rule = _RULE.match(line)
    return rule is not None and named.search(rule[1]) is not None
