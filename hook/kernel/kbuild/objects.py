"""Kbuild: the options under which a file of the tree is compiled, from the top makefile down.

Follows Documentation/kbuild/makefiles.rst, "Goal definitions", "Composite objects" and "Descending down in directories". A file that no
makefile names, or that depends on something only make can evaluate, is left open: no file is ever called unbuilt.
"""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterator, Mapping

import msgspec

from hook.kernel.kbuild.make_syntax import leads_elsewhere
from hook.kernel.kbuild.make_variables import OPEN, Assigned, UnreadableMakefile
from hook.kernel.kbuild.makefile import Makefile
from hook.kernel.kbuild.rust_modules import Declaration, declarations, library
from hook.kernel.kconfig.expressions import YES, Condition, all_of, any_of, left_open, nowhere, open_parts
from hook.source.tree import Source, TreeEntryKind
from hook.source.words import is_number

_GOALS = ("obj-y", "lib-y", "extra-y", "always-y", "core-y", "drivers-y", "net-y", "libs-y", "virt-y", "head-y", "init-y")
_DESCENTS = (*_GOALS, "subdir-y")
_HOST_PROGRAMS = ("hostprogs", "hostprogs-y", "hostprogs-always-y", "userprogs", "userprogs-always-y")
_TOP = "/"  # the top makefile together with the architecture's: they name the directories that the top Kbuild descends into
_SET_BY_ARCHITECTURE = {"x86_64": {"BITS": "64"}, "i386": {"BITS": "32"}}  # arch/x86/Makefile, for `process_$(BITS).o`
_LISTS = ("-y", "-objs", "-m")
_MOST_LEVELS = 5  # directories above a file whose makefiles may name it
_MOST_OBJECTS = 64  # that one file may be part of, in one makefile
_DEEPEST = 24  # directories
_DEEPEST_BESIDE = 4  # levels at which a makefile may include one of a neighbouring directory (drivers/gpu/drm/amd)
_MOST_NAMING = 8  # directories whose makefiles name a makefile fragment
_MOST_NEAR = 40  # directories whose makefiles may include one


class Built(msgspec.Struct, frozen=True):
    """When a file is built, and the makefile lines that say so."""

    condition: Condition
    places: tuple[tuple[str, int, Condition], ...] = ()  # path and line of a makefile, and the condition there


class Object(msgspec.Struct, frozen=True):
    """What Kbuild links from one or more source files: a module, or the same built in."""

    path: str  # of the object, without .o: drivers/net/ethernet/intel/e1000e/e1000e
    members: tuple[str, ...]  # the source files, as .c, also for a file in another language
    condition: Condition  # under which it is built, without that of the directories
    place: tuple[str, int]  # the line of the makefile that builds it
    whole: bool  # whether all members are known

    @property
    def name(self) -> str:
        """The name that modules and drivers go by (KBUILD_MODNAME)."""
        return self.path.rpartition("/")[2].replace("-", "_")


class Kbuild:
    """The makefiles of a tree, each read when it is needed."""

    def __init__(self, source: Source, environment: Mapping[str, str]) -> None:
        self._source = source
        self._environment = {**_SET_BY_ARCHITECTURE.get(environment.get("ARCH", ""), {}), **environment}
        self._makefiles: dict[str, Makefile | None] = {}
        self._directories: dict[str, Built] = {}
        self._near: dict[str, list[str]] = {}
        self._built: dict[str, Built] = {}

    def built_if(self, path: str) -> Built:
        """The options under which the source file at `path` is compiled into the kernel; left open if no makefile names it."""
        if path not in self._built:
            self._built[path] = self._built_if(path)
        return self._built[path]

    def _built_if(self, path: str) -> Built:
        builds: list[Built] = []
        try:
            for directory, object_name in _object_names(path):
                built = self._object(directory, object_name)
                if built is not None:
                    builds.append(built)
                    if not open_parts(built.condition):
                        break
            if builds:
                return _one_of(builds)
            if elsewhere := self._of_crate(path) or self._by_name(path) or self._of_another_architecture(path):
                return elsewhere
        except UnreadableMakefile as wrong:
            return Built(left_open(str(wrong)))
        return Built(nowhere(f"no makefile names {path}"))

    def _of_another_architecture(self, path: str) -> Built | None:
        """That the makefile beside a file builds it for other architectures alone (`ifeq ($(ARCH),arm64)`), where no list may name it."""
        makefile = self.makefile(path.rpartition("/")[0])
        words = [word for word in makefile.of_others if word.text == next(_object_names(path))[1]] if makefile is not None else []
        built = [Built(word.condition, ((word.path, word.line, word.condition),)) for word in words]
        return _one_of(built) if built and makefile is not None and not makefile.is_open(_LISTS) else None

    def objects(self, path: str) -> list[Object]:
        """The objects that the source file at `path` is linked into; none if no makefile names it or a makefile cannot be read."""
        try:
            places = itertools.chain(_object_names(path), self._elsewhere(path))
            return next((objects for directory, name in places if (objects := self.linked(directory, name))), [])
        except UnreadableMakefile:
            return []

    def is_host_program(self, path: str) -> bool:
        """Whether a makefile links a file into a program that the build itself runs (makefiles.rst, "Host Program support"), or may."""
        directory, _, name = path.rpartition("/")
        stem = name.rpartition(".")[0]
        try:
            while directory:
                makefile = self.makefile(directory)
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
        """The objects with a module name, by the word index; none without it."""
        objects: list[Object] = []
        for spelling in dict.fromkeys((name, name.replace("_", "-"))):
            for file in self._holding(spelling) or ():
                directory, _, base = file.rpartition("/")
                makefile = self.makefile(directory) if base in ("Makefile", "Kbuild") and directory else None
                for word in self._named(makefile, _GOALS, f"{spelling}.o") if makefile is not None else ():
                    objects.append(self._goal(directory, spelling, word))
        return objects

    def of_directory(self, directory: str) -> list[Object]:
        """The objects that the makefile of a directory builds itself. Raises UnreadableMakefile."""
        makefile = self.makefile(directory)
        words = [word for goal in _GOALS for word in makefile.words(goal)] if makefile is not None else []
        return [self._goal(directory, word.text[:-2], word) for word in words if word.text.endswith(".o") and OPEN not in word.text]

    def _goal(self, directory: str, stem: str, word: Assigned) -> Object:
        """The object that a word of a makefile names: of the files in its list, or else of the file with its name."""
        makefile = self.makefile(directory)
        assert makefile is not None
        path = posixpath.normpath(f"{directory}/{stem}")
        words = [word_text.text for part in _LISTS for word_text in makefile.words(stem + part)]
        files = [
            posixpath.normpath(f"{directory}/{word_text}") for word_text in words if OPEN not in word_text and word_text.endswith(".o")
        ]
        members = tuple(dict.fromkeys(f"{file[:-2]}.c" for file in files)) or (f"{path}.c",)
        return Object(
            path, members, word.condition, (word.path, word.line), not makefile.unread and all(OPEN not in word_text for word_text in words)
        )

    def linked(self, directory: str, object_name: str) -> list[Object]:
        """The objects that the makefile of a directory links an object into. Raises UnreadableMakefile."""
        makefile = self.makefile(directory)
        if makefile is None:
            return []
        objects: dict[str, Object] = {}
        for word in self._named(makefile, _GOALS, object_name):
            linked = self._goal(directory, object_name[:-2], word)
            objects.setdefault(linked.path, linked)
        for name in makefile.names():
            base, dash, _ = name.rpartition("-")
            if not dash or not name.endswith(_LISTS) or name in _GOALS or not self._named(makefile, (name,), object_name):
                continue
            _bound(len(objects), directory, object_name)
            for outer in self._named(makefile, _GOALS, f"{base}.o"):
                linked = self._goal(directory, base, outer)
                objects[linked.path] = linked
        return list(objects.values())

    def is_only_here(self, path: str) -> bool:
        """Whether only the nearest makefile above a file may name it, and that makefile could be read in full; only with the word index.

        A makefile that is not above the file can name it only by a path with `..`, or from the top.
        """
        directory, _, name = path.rpartition("/")
        while directory and self.makefile(directory) is None:
            directory = directory.rpartition("/")[0]
        makefile = self.makefile(directory)
        if makefile is None or makefile.unread or self._source.index is None:
            return False
        stem = name.rpartition(".")[0]
        if any(OPEN in word.text for goal in _GOALS for word in makefile.words(goal)):
            return False
        holding = self._holding(stem)
        others = [other for other in holding or () if _is_makefile(other) and other.rpartition("/")[0] != directory]
        if holding is None or len(others) > _MOST_NEAR or any(path.startswith(f"{other.rpartition('/')[0]}/") for other in others):
            return False
        return not any(blob is None or blob.data is None or leads_elsewhere(blob.data) for blob in self._source.files(others))

    def _holding(self, stem: str) -> list[str] | None:
        """The files that hold all words of a name, by the word index; None if there is no index."""
        groups = [[word.lower()] for word in re.split(r"\W+", stem) if word and not (word[0].isdigit() and is_number(word))]
        return self._source.files_holding(groups) if groups else None

    def directory_if(self, directory: str) -> Built:
        """The options under which Kbuild descends into a directory."""
        cached = self._directories.get(directory)
        if cached is not None:
            return cached
        self._directories[directory] = Built(left_open(f"{directory} leads to itself"))
        try:
            descent = self._descends(directory)
        except UnreadableMakefile as wrong:
            descent = Built(left_open(str(wrong)))
        self._directories[directory] = descent
        return descent

    def _descends(self, directory: str) -> Built:
        if not directory:
            return Built(YES)
        if directory.count("/") > _DEEPEST:
            raise UnreadableMakefile(f"{directory}: too deep")
        parent, directory_name = directory, ""
        descents: list[Built] = []
        modules: list[Built] = []
        # no other makefile may descend to the one that names this directory: a higher one may skip it (drivers/media/platform/st/sti)
        while parent and all(open_parts(descent.condition) for descent in descents):
            parent, _, last = parent.rpartition("/")
            directory_name = f"{last}/{directory_name}" if directory_name else last
            for place in (parent,) if parent else ("", _TOP):
                makefile = self.makefile(place)
                if makefile is not None and (words := [self._below(word, parent) for word in makefile.leading(_DESCENTS, directory_name)]):
                    descents += words
                    break
                if makefile is not None and not modules:
                    modules = [self._module(word, directory, parent) for word in makefile.leading(("obj-m",), directory_name)]
        descents = descents or modules
        return _one_of(descents) if descents else Built(nowhere(f"no makefile leads to {directory}"))

    def _module(self, word: Assigned, target: str, directory: str) -> Built:
        """The condition of what is only ever built as a module (`obj-m`): never built in, whatever the options are."""
        only = self._below(word, directory)
        why = left_open(f"no makefile builds {target} in: {word.path}:{word.line} makes a module of it")
        return Built(all_of([why, only.condition]), only.places)

    def _object(self, directory: str, object_name: str) -> Built | None:
        makefile = self.makefile(directory)
        if makefile is None:
            return None
        linked = [self._below(word, directory) for word in self._named(makefile, _GOALS, object_name)]
        unlinked: list[Built] = []
        for name in makefile.names():
            base, dash, _ = name.rpartition("-")
            if not dash or not name.endswith(_LISTS) or name in _GOALS or base in ("obj", "lib", "subdir", "targets", "ccflags", "asflags"):
                continue
            for word in self._named(makefile, (name,), object_name):
                _bound(len(linked) + len(unlinked), directory, object_name)
                composites = self._named(makefile, _GOALS, f"{base}.o")
                linked += [_both(word, self._below(outer, directory)) for outer in composites]
                if not composites:
                    unlinked.append(self._below(word, directory))
        # a list for which Kbuild links no object: some recipe does (vdso, purgatory, boot)
        builds = linked or unlinked
        if not builds:
            builds = [
                self._module(word, f"{directory}/{object_name}", directory) for word in self._named(makefile, ("obj-m",), object_name)
            ]
        return _one_of(builds) if builds else None

    def _named(self, makefile: Makefile, lists: tuple[str, ...], object_name: str) -> list[Assigned]:
        words = []
        for name in lists:
            if makefile.mentions(name, object_name):
                words += [word for word in makefile.words(name) if _same(word.text, object_name, makefile.directory)]
        return words

    def _below(self, word: Assigned, directory: str) -> Built:
        return _both(word, self.directory_if(directory))

    def _by_name(self, path: str) -> Built | None:
        """When a makefile of another directory builds the file, as amdgpu's lists of `../display/…`."""
        return next((built for directory, name in self._elsewhere(path) if (built := self._object(directory, name))), None)

    def _of_crate(self, path: str) -> Built | None:
        """When the crate of a Rust file is built: by `mod name;` up to its root, or D/lib.rs as D.o (rust/Makefile)."""
        if not path.endswith(".rs"):
            return None
        self._built[path] = Built(left_open(f"{path} declares itself as a module"))
        builds = [self._declared(declaration, path) for declaration in declarations(self._source, path)]
        sure = [built for built in builds if not open_parts(built.condition)]
        if sure:
            return _one_of(sure)
        directory = library(self._source, path)
        above, _, name = directory.rpartition("/")
        return self._object(above, f"{name}.o") if directory else None

    def _declared(self, declaration: Declaration, path: str) -> Built:
        """When the file that declares `path` as a module is built, and the declaration is in force."""
        outer = self.built_if(declaration.path)
        if declaration.only_as_root and any(place.endswith(".rs") for place, _, _ in outer.places):
            return Built(left_open(f"{declaration.path} declares a module in the directory of its own name, not {path}"))
        return _both(declaration, outer)

    def _elsewhere(self, path: str) -> Iterator[tuple[str, str]]:
        """The directories whose makefile may name the file, by the word index, and the name of its object there."""
        near = path.split("/")[:-1][:3]
        holding = self._holding(path.rpartition("/")[2].rpartition(".")[0]) or ()
        makefiles = [file for file in holding if _is_makefile(file) and file.split("/")[:-1][:3] == near]
        directories: dict[str, None] = {}
        for makefile in makefiles[:6]:
            # the makefile of a directory above, or beside it, may include it
            folder = makefile.rpartition("/")[0]
            directories.update(dict.fromkeys((folder, *self._including(folder), *self._naming(makefile))))
        for directory in directories:
            yield directory, object_from(directory, path)

    def _naming(self, fragment: str) -> list[str]:
        """The directories whose makefile may include a fragment by its own name (virt/kvm/Makefile.kvm), of the target or common code."""
        name = fragment.rpartition("/")[2]
        if name in ("Makefile", "Kbuild"):
            return []
        others = f"arch/{self._environment.get('SRCARCH', '')}/"
        users = [
            path for path in self._holding(name) or () if _is_makefile(path) and (not path.startswith("arch/") or path.startswith(others))
        ]
        return [user.rpartition("/")[0] for user in users if user.rpartition("/")[2] in ("Makefile", "Kbuild")][:_MOST_NAMING]

    def _including(self, folder: str) -> list[str]:
        """Directories from the third level down whose makefile may include one of `folder`: those above it, and their neighbours."""
        if folder not in self._near:
            parts = folder.split("/")
            directories: list[str] = []
            for depth in range(len(parts), 2, -1):
                above = "/".join(parts[:depth])
                names = self._source.names(above) or ()
                directories += [above for entry in names if entry.name in ("Makefile", "Kbuild")]
                if depth <= _DEEPEST_BESIDE:
                    inside = [f"{above}/{entry.name}" for entry in names if entry.kind is TreeEntryKind.DIRECTORY]
                    directories += [neighbour for neighbour in inside if self._source.oid(f"{neighbour}/Makefile")]
                if len(directories) > _MOST_NEAR:
                    break
            self._near[folder] = directories
        return self._near[folder]

    def makefile(self, directory: str) -> Makefile | None:
        """The makefile of a directory: Kbuild before Makefile (scripts/Kbuild.include, kbuild-file)."""
        if directory in self._makefiles:
            return self._makefiles[directory]
        prefix = f"{directory}/" if directory else ""
        makefile = Makefile(self._source, directory.strip(_TOP), self._environment)
        exists = True
        if directory == _TOP:
            makefile.read("Makefile", only_options=True)
            makefile.read(f"arch/{self._environment.get('SRCARCH', '')}/Makefile")
            makefile.read("Kbuild")
        else:
            exists = makefile.read(f"{prefix}Kbuild") or (bool(directory) and makefile.read(f"{prefix}Makefile"))
        self._makefiles[directory] = makefile if exists else None
        return self._makefiles[directory]


def object_from(directory: str, path: str) -> str:
    """The name of the object of a source file in the makefile of a directory."""
    return posixpath.relpath(f"/{path}", f"/{directory}").rpartition(".")[0] + ".o"


def _object_names(path: str) -> Iterator[tuple[str, str]]:
    """The directories above a source file, the nearest first, with the name of its object in the makefile there."""
    directory, _, name = path.rpartition("/")
    object_name = f"{name.rpartition('.')[0]}.o"
    for _ in range(_MOST_LEVELS):
        yield directory, object_name
        if not directory:
            return
        directory, _, last = directory.rpartition("/")
        object_name = f"{last}/{object_name}"


def _bound(ways: int, directory: str, object_name: str) -> None:
    if ways > _MOST_OBJECTS:
        raise UnreadableMakefile(f"{directory}: more than {_MOST_OBJECTS} objects that {object_name} is part of")


def _is_makefile(path: str) -> bool:
    return path.rpartition("/")[2].startswith(("Makefile", "Kbuild"))


def _same(word: str, object_name: str, directory: str) -> bool:
    if OPEN in word:
        return False
    word = word.removeprefix("./")
    return word == object_name or word == f"{directory}/{object_name}"


def _both(word: Assigned | Declaration, outer: Built) -> Built:
    return Built(all_of([word.condition, outer.condition]), ((word.path, word.line, word.condition), *outer.places))


def _one_of(builds: list[Built]) -> Built:
    if len(builds) == 1:
        return builds[0]
    sure = next((built for built in builds if not open_parts(built.condition)), builds[0])
    return Built(any_of(built.condition for built in builds), sure.places)
