"""Kbuild: the options under which a file of the tree is compiled, from the top makefile down.

Follows Documentation/kbuild/makefiles.rst, "Goal definitions", "Composite objects" and "Descending down in directories". A file that no
makefile names, or of which one names something that only make can evaluate, is left open: it is never said to be unbuilt.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

import msgspec

from hook.kernel.kbuild.make_syntax import leads_elsewhere
from hook.kernel.kbuild.make_variables import OPEN, UnreadableMakefile, Word
from hook.kernel.kbuild.makefile import Makefile
from hook.kernel.kbuild.rust_modules import Declaration, declarations, library
from hook.kernel.kconfig.expressions import YES, Condition, all_of, any_of, left_open, nowhere, open_parts
from hook.source.tree import Source, TreeEntryKind
from hook.source.words import is_number

_GOALS = ("obj-y", "lib-y", "extra-y", "always-y", "core-y", "drivers-y", "net-y", "libs-y", "virt-y", "head-y", "init-y")
_DESCENTS = (*_GOALS, "subdir-y")
_HOST_PROGRAMS = ("hostprogs", "hostprogs-y", "hostprogs-always-y", "userprogs", "userprogs-always-y")
_TOP = "/"  # the top makefile with the architecture's, which give what the top Kbuild leads to, or in older trees stands for it
_LISTS = ("-y", "-objs", "-m")
_MOST_LEVELS = 5  # directories above a file whose makefiles may name it
_MOST_OBJECTS = 64  # that one file may be part of, by one makefile
_DEEPEST = 24  # directories
_DEEPEST_BESIDE = 4  # levels at which a makefile may include one of a directory beside it (drivers/gpu/drm/amd)
_MOST_NAMING = 8  # directories whose makefiles name a part of one
_MOST_NEAR = 40  # directories whose makefiles may include one


class Built(msgspec.Struct, frozen=True):
    """When a file is built, and the lines that say so."""

    condition: Condition
    places: tuple[tuple[str, int, Condition], ...] = ()  # path and line of a makefile, and what it asks for


class Object(msgspec.Struct, frozen=True):
    """What Kbuild links of one or more source files: a module, or the same built in."""

    path: str  # of the object, without its end: drivers/net/ethernet/intel/e1000e/e1000e
    members: tuple[str, ...]  # the source files, as .c; another language may stand there
    condition: Condition  # under which it is built, without that of the directories
    place: tuple[str, int]  # the line of the makefile that asks for it
    whole: bool  # whether the makefile could be read so far that there are no other members

    @property
    def name(self) -> str:
        """The name that modules and drivers go by (KBUILD_MODNAME)."""
        return self.path.rpartition("/")[2].replace("-", "_")


class Kbuild:
    """The makefiles of a tree, read as they are asked for."""

    def __init__(self, source: Source, environment: Mapping[str, str]) -> None:
        self._source = source
        self._environment = dict(environment)
        self._makefiles: dict[str, Makefile | None] = {}
        self._directories: dict[str, Built] = {}
        self._near: dict[str, list[str]] = {}
        self._built: dict[str, Built] = {}

    def built_if(self, path: str) -> Built:
        """The options under which the source file at `path` is compiled into the kernel; left open where no makefile says."""
        if path not in self._built:
            self._built[path] = self._built_if(path)
        return self._built[path]

    def _built_if(self, path: str) -> Built:
        directory, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        wanted = f"{stem}.o"
        ways: list[Built] = []
        try:
            for _ in range(_MOST_LEVELS):
                found = self._object(directory, wanted)
                if found is not None:
                    ways.append(found)
                    if not open_parts(found.condition):
                        break
                if not directory:
                    break
                directory, _, last = directory.rpartition("/")
                wanted = f"{last}/{wanted}"
            if ways:
                return _one_of(ways)
            elsewhere = self._of_crate(path) or self._by_name(path, stem)
            if elsewhere is not None:
                return elsewhere
        except UnreadableMakefile as wrong:
            return Built(left_open(str(wrong)))
        return Built(nowhere(f"no makefile names {path}"))

    def objects(self, path: str) -> list[Object]:
        """The objects that the source file at `path` is linked into; none where no makefile says, or it cannot be read."""
        directory, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        wanted = f"{stem}.o"
        try:
            for _ in range(_MOST_LEVELS):
                found = self._linked(directory, wanted)
                if found or not directory:
                    break
                directory, _, last = directory.rpartition("/")
                wanted = f"{last}/{wanted}"
            return found or next((one for place, name in self._elsewhere(path, stem) if (one := self._linked(place, name))), [])
        except UnreadableMakefile:
            return []

    def is_host_program(self, path: str) -> bool:
        """Whether a makefile makes a file part of a program of the build itself (makefiles.rst, "Host Program support"), or may."""
        directory, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        try:
            while directory:
                makefile = self._makefile(directory)
                programs = [word.text for goal in _HOST_PROGRAMS for word in makefile.words(goal)] if makefile is not None else []
                for program in programs:
                    lists = (f"{program}-objs", f"{program.rpartition('/')[2]}-objs")
                    if program == stem or (makefile is not None and self._named(makefile, lists, f"{stem}.o")):
                        return True
                directory, _, last = directory.rpartition("/")
                stem = f"{last}/{stem}"
        except UnreadableMakefile:
            return True
        return False

    def called(self, name: str) -> list[Object]:
        """The objects that go by a name as modules do, by the word index; none without it."""
        found: list[Object] = []
        for spelling in dict.fromkeys((name, name.replace("_", "-"))):
            for one in self._holding(spelling) or ():
                directory, _, base = one.rpartition("/")
                makefile = self._makefile(directory) if base in ("Makefile", "Kbuild") and directory else None
                for word in self._named(makefile, _GOALS, f"{spelling}.o") if makefile is not None else ():
                    found.append(self._goal(directory, spelling, word))
        return found

    def of_directory(self, directory: str) -> list[Object]:
        """The objects that the makefile of a directory asks for itself. Raises UnreadableMakefile."""
        makefile = self._makefile(directory)
        words = [word for goal in _GOALS for word in makefile.words(goal)] if makefile is not None else []
        return [self._goal(directory, word.text[:-2], word) for word in words if word.text.endswith(".o") and OPEN not in word.text]

    def _goal(self, directory: str, stem: str, word: Word) -> Object:
        """The object that a word of a makefile asks for: of the files that are listed for it, or of the one of its name."""
        makefile = self._makefile(directory)
        assert makefile is not None
        path = posixpath.normpath(f"{directory}/{stem}")
        words = [one.text for part in _LISTS for one in makefile.words(stem + part)]
        files = [posixpath.normpath(f"{directory}/{one}") for one in words if OPEN not in one and one.endswith(".o")]
        members = tuple(dict.fromkeys(f"{file[:-2]}.c" for file in files)) or (f"{path}.c",)
        return Object(path, members, word.condition, (word.path, word.line), not makefile.unread and all(OPEN not in one for one in words))

    def _linked(self, directory: str, wanted: str) -> list[Object]:
        makefile = self._makefile(directory)
        if makefile is None:
            return []
        found: dict[str, Object] = {}
        for word in self._named(makefile, _GOALS, wanted):
            one = self._goal(directory, wanted[:-2], word)
            found.setdefault(one.path, one)
        for name in makefile.names():
            base, dash, _ = name.rpartition("-")
            if not dash or not name.endswith(_LISTS) or name in _GOALS or not self._named(makefile, (name,), wanted):
                continue
            _bound(len(found), directory, wanted)
            for outer in self._named(makefile, _GOALS, f"{base}.o"):
                one = self._goal(directory, base, outer)
                found[one.path] = one
        return list(found.values())

    def is_only_here(self, path: str) -> bool:
        """Whether no makefile but the nearest one above a file may name it, and nothing in that is beyond us; only with the word index.

        A makefile that stands beside the way to the file names it by a path that leads up, or from the top.
        """
        directory, _, name = path.rpartition("/")
        while directory and self._makefile(directory) is None:
            directory = directory.rpartition("/")[0]
        makefile = self._makefile(directory)
        if makefile is None or makefile.unread or self._source.index is None:
            return False
        stem = name.rpartition(".")[0]
        if any(OPEN in word.text for goal in _GOALS for word in makefile.words(goal)):
            return False
        holding = self._holding(stem)
        others = [one for one in holding or () if _is_makefile(one) and one.rpartition("/")[0] != directory]
        if holding is None or len(others) > _MOST_NEAR or any(path.startswith(f"{one.rpartition('/')[0]}/") for one in others):
            return False
        return not any(blob is None or blob.data is None or leads_elsewhere(blob.data) for blob in self._source.files(others))

    def _holding(self, stem: str) -> list[str] | None:
        """The files that hold all words of a name, by the word index; None where it cannot be asked."""
        groups = [[word.lower()] for word in re.split(r"\W+", stem) if word and not (word[0].isdigit() and is_number(word))]
        if self._source.index is None or not groups:
            return None
        from hook.source.index import NoIndex

        try:
            return self._source.holding(groups)
        except NoIndex as wrong:
            self._source.index_failed(str(wrong))
            return None

    def directory_if(self, directory: str) -> Built:
        """The options under which Kbuild descends into a directory."""
        known = self._directories.get(directory)
        if known is not None:
            return known
        self._directories[directory] = Built(left_open(f"{directory} leads to itself"))
        try:
            found = self._descends(directory)
        except UnreadableMakefile as wrong:
            found = Built(left_open(str(wrong)))
        self._directories[directory] = found
        return found

    def _descends(self, directory: str) -> Built:
        if not directory:
            return Built(YES)
        if directory.count("/") > _DEEPEST:
            raise UnreadableMakefile(f"{directory}: too deep")
        parent, wanted = directory, ""
        ways: list[Built] = []
        modules: list[Built] = []
        # a makefile that leads here may itself be one that none leads to: the one above then goes past it (drivers/media/platform/st/sti)
        while parent and all(open_parts(way.condition) for way in ways):
            parent, _, last = parent.rpartition("/")
            wanted = f"{last}/{wanted}" if wanted else last
            for place in (parent,) if parent else ("", _TOP):
                makefile = self._makefile(place)
                if makefile is not None and (found := [self._below(word, parent) for word in makefile.leading(_DESCENTS, wanted)]):
                    ways += found
                    break
                if makefile is not None and not modules:
                    modules = [self._module(word, directory, parent) for word in makefile.leading(("obj-m",), wanted)]
        ways = ways or modules
        return _one_of(ways) if ways else Built(nowhere(f"no makefile leads to {directory}"))

    def _module(self, word: Word, what: str, directory: str) -> Built:
        """What is never built in, whatever the options are."""
        only = self._below(word, directory)
        why = left_open(f"no makefile builds {what} in: {word.path}:{word.line} makes a module of it")
        return Built(all_of([why, only.condition]), only.places)

    def _object(self, directory: str, wanted: str) -> Built | None:
        makefile = self._makefile(directory)
        if makefile is None:
            return None
        ways = [self._below(word, directory) for word in self._named(makefile, _GOALS, wanted)]
        loose: list[Built] = []
        for name in makefile.names():
            base, dash, _ = name.rpartition("-")
            if not dash or not name.endswith(_LISTS) or name in _GOALS or base in ("obj", "lib", "subdir", "targets", "ccflags", "asflags"):
                continue
            for word in self._named(makefile, (name,), wanted):
                _bound(len(ways) + len(loose), directory, wanted)
                whole = self._named(makefile, _GOALS, f"{base}.o")
                ways += [_both(word, self._below(outer, directory)) for outer in whole]
                if not whole:
                    loose.append(self._below(word, directory))
        # a list that makes no object by the rules of Kbuild: some recipe does (vdso, purgatory, boot)
        found = ways or loose
        if not found:
            found = [self._module(word, f"{directory}/{wanted}", directory) for word in self._named(makefile, ("obj-m",), wanted)]
        return _one_of(found) if found else None

    def _named(self, makefile: Makefile, lists: tuple[str, ...], wanted: str) -> list[Word]:
        found = []
        for name in lists:
            if makefile.mentions(name, wanted):
                found += [word for word in makefile.words(name) if _same(word.text, wanted, makefile.directory)]
        return found

    def _below(self, word: Word, directory: str) -> Built:
        above = self.directory_if(directory)
        return Built(all_of([word.condition, above.condition]), ((word.path, word.line, word.condition), *above.places))

    def _by_name(self, path: str, stem: str) -> Built | None:
        """When a makefile of another directory that names the file builds it (amdgpu's lists of `../display/…`)."""
        return next((one for place, wanted in self._elsewhere(path, stem) if (one := self._object(place, wanted))), None)

    def _of_crate(self, path: str) -> Built | None:
        """When the crate is built that a file of Rust is part of: by `mod name;` up to its root, or D/lib.rs as D.o (rust/Makefile)."""
        if not path.endswith(".rs"):
            return None
        self._built[path] = Built(left_open(f"{path} takes itself in"))
        ways = [way for one in declarations(self._source, path) if not open_parts((way := self._taken_in(one, path)).condition)]
        if ways:
            return _one_of(ways)
        directory = library(self._source, path)
        above, _, name = directory.rpartition("/")
        return self._object(above, f"{name}.o") if directory else None

    def _taken_in(self, one: Declaration, path: str) -> Built:
        outer = self.built_if(one.path)
        if one.only_as_root and any(place.endswith(".rs") for place, _, _ in outer.places):
            return Built(left_open(f"{one.path} takes in what is in a directory of its own name, not {path}"))
        return Built(all_of([one.condition, outer.condition]), ((one.path, one.line, one.condition), *outer.places))

    def _elsewhere(self, path: str, stem: str) -> Iterator[tuple[str, str]]:
        """The directories whose makefile may name the file, by the word index, and the name that it would have there."""
        near = path.split("/")[:-1][:3]
        holding = self._holding(stem) or ()
        makefiles = [one for one in holding if _is_makefile(one) and one.split("/")[:-1][:3] == near]
        tried: dict[str, None] = {}
        for one in makefiles[:6]:
            # it may be included by the makefile of a directory above, or beside it
            folder = one.rpartition("/")[0]
            for place in (folder, *self._including(folder), *self._naming(one)):
                tried[place] = None
        for place in tried:
            ups = "../" * (place.count("/") + 1) + path
            for shared in range(place.count("/") + 1, 0, -1):
                head = "/".join(place.split("/")[:shared])
                if path.startswith(f"{head}/"):
                    ups = "../" * (place.count("/") + 1 - shared) + path[len(head) + 1 :]
                    break
            yield place, ups.rpartition(".")[0] + ".o"

    def _naming(self, fragment: str) -> list[str]:
        """The directories of the target's makefiles that may include a part of one by its own name (virt/kvm/Makefile.kvm)."""
        name = fragment.rpartition("/")[2]
        if name in ("Makefile", "Kbuild"):
            return []
        others = f"arch/{self._environment.get('SRCARCH', '')}/"
        users = [one for one in self._holding(name) or () if _is_makefile(one) and (not one.startswith("arch/") or one.startswith(others))]
        return [user.rpartition("/")[0] for user in users if user.rpartition("/")[2] in ("Makefile", "Kbuild")][:_MOST_NAMING]

    def _including(self, folder: str) -> list[str]:
        """Directories below the third level whose makefile may include one of `folder`: those above it, and those beside these."""
        if folder not in self._near:
            parts = folder.split("/")
            found: list[str] = []
            for depth in range(len(parts), 2, -1):
                above = "/".join(parts[:depth])
                names = self._source.names(above) or ()
                found += [above for entry in names if entry.name in ("Makefile", "Kbuild")]
                if depth <= _DEEPEST_BESIDE:
                    inside = [f"{above}/{entry.name}" for entry in names if entry.kind is TreeEntryKind.DIRECTORY]
                    found += [one for one in inside if self._source.oid(f"{one}/Makefile")]
                if len(found) > _MOST_NEAR:
                    break
            self._near[folder] = found
        return self._near[folder]

    def _makefile(self, directory: str) -> Makefile | None:
        """The makefile of a directory: Kbuild before Makefile (scripts/Kbuild.include, kbuild-file)."""
        if directory in self._makefiles:
            return self._makefiles[directory]
        prefix = f"{directory}/" if directory else ""
        makefile = Makefile(self._source, directory.strip(_TOP), self._environment)
        there = True
        if directory == _TOP:
            makefile.read("Makefile", only_options=True)
            makefile.read(f"arch/{self._environment.get('SRCARCH', '')}/Makefile")
            makefile.read("Kbuild")
        else:
            there = makefile.read(f"{prefix}Kbuild") or (bool(directory) and makefile.read(f"{prefix}Makefile"))
        self._makefiles[directory] = makefile if there else None
        return self._makefiles[directory]


def _bound(ways: int, directory: str, wanted: str) -> None:
    if ways > _MOST_OBJECTS:
        raise UnreadableMakefile(f"{directory}: more than {_MOST_OBJECTS} objects that {wanted} is part of")


def _is_makefile(path: str) -> bool:
    return path.rpartition("/")[2].startswith(("Makefile", "Kbuild"))


def _same(word: str, wanted: str, directory: str) -> bool:
    if OPEN in word:
        return False
    word = word.removeprefix("./")
    return word == wanted or word == f"{directory}/{wanted}"


def _both(word: Word, outer: Built) -> Built:
    return Built(all_of([word.condition, outer.condition]), ((word.path, word.line, word.condition), *outer.places))


def _one_of(ways: list[Built]) -> Built:
    if len(ways) == 1:
        return ways[0]
    sure = next((one for one in ways if not open_parts(one.condition)), ways[0])
    return Built(any_of(one.condition for one in ways), sure.places)
