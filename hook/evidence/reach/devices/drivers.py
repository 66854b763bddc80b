"""Drivers: whether a virtual machine can have a device for the object that a changed file is linked into.

Asks the solver (hook.evidence.reach.devices.device_solver, which says why a `no` holds) with all rules. docs/reachability.md has them for
people.
"""

from __future__ import annotations

import functools
import re

from hook.evidence.reach.answer import Reach, any_of, no, unknown
from hook.evidence.reach.devices.counted_texts import CountedTexts
from hook.evidence.reach.devices.device_solver import FARTHEST, Solver, Standing
from hook.evidence.reach.devices.graph import Asked, Rule
from hook.evidence.reach.devices.machine import Machine
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.rules import device_creators, driver_tables, exports, rc_keymaps, registrations, symbol_users
from hook.kernel.kbuild.objects import Object
from hook.kernel.kbuild.other_makefiles import linked_elsewhere
from hook.kernel.kernel import Kernel
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.kernel.texts import TooManyFiles
from hook.source.grep import holding
from hook.source.tree import Source
from hook.source.words import words_of
from hook.verdict import Answer, Fact

FILES_OF_A_QUESTION = 1000  # of one question, after which no further object is begun
_MOST_TO_END = 2  # times that, to finish the objects that were begun
_MOST_INCLUDERS = 16  # files that include a changed header
_NEAR = 3  # leading folders that a file shares with one that includes it by its name alone
_MOST_FAR = 200  # files in other folders that have the names of a file and of its directory
_DRIVERS = ("drivers/", "sound/")

# in the order in which they are asked: first the rules that read the object alone
RULES = (
    Rule("own_devices", driver_tables.own_devices),
    Rule("driver_tables", driver_tables.driver_tables),
    Rule("registrations", registrations.registrations),
    Rule("rc_keymaps", rc_keymaps.rc_keymaps),
    Rule("own_files", registrations.own_files),
    Rule("initcall_hooks", registrations.initcall_hooks),
    Rule("initcall_calls", registrations.initcall_calls, needs_closed=True),
    Rule("device_creators", device_creators.device_creators, Asked.WHILE_CLOSED, device_creators.question, needs_closed=True),
    Rule("symbol_users", symbol_users.symbol_users, Asked.WITHOUT_DEVICE, symbol_users.question, most_sources=symbol_users.MOST_USERS),
    Rule("likely_users", symbol_users.likely_users, Asked.FOR_LIBRARIES, most_sources=symbol_users.MOST_TRIED),
)


class Drivers:
    """Answers for one tree and machine. Files are kept for the next question; an answer never depends on earlier questions."""

    def __init__(
        self, source: Source, kernel: Kernel, vm: Machine, most_files: int = FILES_OF_A_QUESTION, rules: tuple[Rule, ...] = RULES
    ) -> None:
        self.texts = CountedTexts(source, _MOST_TO_END * most_files)
        self._source, self._kernel = source, kernel
        self._reader = ObjectReader(self.texts, kernel, vm)
        self._rules = rules
        self._is_indexed = source.index is not None
        self._most_files = most_files
        self.begin_question()

    def begin_question(self) -> None:
        """Starts a question with its own limit of files. The files of one change are one question."""
        self.texts.begin_question()
        self._solver = Solver(self._rules, self._reader, self._most_files)

    def bus(self, obj: Object) -> str:
        """The bus that an object's drivers are mostly on; empty where it has none."""
        return self._reader.bus(obj)

    def of_file(self, path: str) -> Reach:
        """The answer for one file: that of the objects it is linked into, or of those whose files include it."""
        try:
            reach = self._of_file(path)
        except TooManyFiles:
            return unknown(f"not known: which device runs {path}; too many files would have to be read")
        if reach.answer is not Answer.YES and self._is_indexed and self._source.index is None:
            # it was lost on the way: an empty answer from it may be wrong
            return unknown(f"not known: which device runs {path}; the word index cannot be read")
        if reach.answer is Answer.NO and (unread := self.texts.question_unread):
            return unknown(f"not known: what {unread[0]} does; it cannot be read as text")
        return reach

    def _of_file(self, path: str) -> Reach:
        before_boot = self._before_boot(path)
        if before_boot is not None:
            return no(before_boot)
        objects = [] if path.endswith(".h") else self._reader.objects(path)
        beside = self._beside(path, is_part=not objects) if objects or path.endswith(".c") else []
        objects = [*objects, *(beside or ())] or self._including(path)
        if not objects:
            return unknown(f"not known: which object {path} is linked into")
        reach = any_of([self._of_part(obj, path) for obj in objects])
        if reach.answer is Answer.NO and not path.endswith(".h"):
            elsewhere = self._elsewhere(path) if beside is not None else None
            if elsewhere is None:
                return unknown(f"not known: which file of another directory includes {path}, or which makefile adds it")
            reach = any_of([reach, *(self._of_part(obj, path) for obj in elsewhere if obj not in objects)])
        if reach.answer is Answer.NO and not path.startswith(_DRIVERS):
            # system calls, linker sections and assembly lead into core code without a name that could be searched
            return unknown(f"no call path into {path} from user space was found, and it is no driver")
        return reach

    def _before_boot(self, path: str) -> Fact | None:
        """The proof that a file is part of the boot loader stub, which is gone when the kernel runs; None where there is none.

        A program of the build may write parts of the kernel (vdso2c, relocs, mkcpustr): it gets no such proof.
        """
        if not path.endswith(".c") or not self.texts.exists(path):
            return None
        is_stub = path.startswith("drivers/firmware/efi/libstub/")
        if not is_stub and (not path.startswith(f"arch/{self._reader.srcarch}/boot/") or self._reader.objects(path)):
            return None  # arch/x86/boot/startup is linked into the kernel
        if self._kernel.kbuild.is_host_program(path) or self._beside(path, is_part=False) != [] or self._elsewhere(path) != []:
            return None
        return self._reader.texts.fact("it is linked into the boot loader stub or decompressor, which ends before the kernel runs", path, 0)

    def _of_part(self, obj: Object, path: str) -> Reach:
        """The answer for one file of an object. In a large object, callbacks given away by initcalls open only their own directories."""
        standing = self._solver.standing(obj)
        folders = {file.rpartition("/")[0] for file in standing.into}
        if not folders or path.rpartition("/")[0] in folders or path.endswith(".h"):
            return _reach(obj, standing)
        names = exports.exported(self.texts, obj, (path,), self._reader.srcarch, False, deep=True)
        near = [file for file in obj.members if file.rpartition("/")[0] in folders]
        using = self.texts.holding([[name.lower() for name in names]]) if names else []
        if using is None or set(using) & set(near):
            return _reach(obj, standing)
        assumed = f"callbacks that the initcalls of {obj.path} register run only {', '.join(sorted(folders))} and what is called from there"
        return _reach(obj, Standing(Answer.NO, standing.closed, assumptions=(assumed[:240],), running=standing.running))

    def of_object(self, obj: Object) -> Reach:
        """The answer for one object. Raises TooManyFiles."""
        return _reach(obj, self._solver.standing(obj))

    def _beside(self, path: str, *, is_part: bool) -> list[Object] | None:
        """The objects of other C files that include one, which has objects of its own (sound/pci/ens1371.c) or is only a part of theirs
        (drivers/usb/host/uhci-hub.c); none of a part that a header includes, since those that include the header are others.

        None if it is not known which files include it.
        """
        folders, _, name = path.rpartition("/")
        holders = holding(self._source, *words_of(name), "include")
        if holders is None:
            return None
        is_kernel = functools.partial(in_kernel, srcarch=self._reader.srcarch, without=NO_KERNEL_CODE)
        # one in another folder includes it by a path that names its directory
        named = holding(self._source, *words_of(folders.rpartition("/")[2]), *words_of(name), "include")
        far = [file for file in named or () if file.endswith(".c") and not file.startswith(_near(folders)) and is_kernel(file)]
        if named is None or len(far) > _MOST_FAR:
            return None
        # by a macro that has the name, too
        spelled = re.escape(name.encode("utf-8", "surrogateescape"))
        form = re.compile(rb'(?m)^[ \t]*#[ \t]*(?:include|define)\b[^\n]*["<](?:[^">\n]*/)?' + spelled + rb'[">]')
        kinds = (".c", ".h") if is_part else (".c",)
        near = [file for file in holders if file.startswith(_near(folders)) and file.endswith(kinds) and file != path]
        including = [file for file, data in self.texts.written([*near, *far]) if form.search(data)]
        objects = {file: self._reader.objects(file) for file in including}
        if is_part and not all(objects.values()):
            return []
        return [obj for of_file in objects.values() for obj in of_file]

    def _elsewhere(self, path: str) -> list[Object] | None:
        return linked_elsewhere(self._source, self._kernel.kbuild, path, self._reader.srcarch)

    def _including(self, path: str) -> list[Object]:
        """The objects whose files include this one, where they are few."""
        if self._source.index is None and not self._source.is_small:
            return []
        if self._source.index is not None and self._most_files < _MOST_INCLUDERS * FARTHEST:
            self._source.safety.at_limit = True
            return []  # finding them costs as much as a whole short search
        from hook.source.lookup import Bounds, includers

        including = includers(self._source, path, Bounds(_MOST_INCLUDERS))
        if including.cut or len(including.items) > _MOST_INCLUDERS:
            return []
        objects: dict[str, Object] = {}
        for includer in including.items:
            of_file = self._reader.objects(includer.path) if includer.path.endswith(".c") else []
            if not of_file:
                return []
            objects |= {obj.path: obj for obj in of_file}
        return list(objects.values())


def _near(folders: str) -> str:
    return "/".join(folders.split("/")[:_NEAR]) + "/"


def _reach(obj: Object, standing: Standing) -> Reach:
    """The standing as an answer. A `no` without a fact that proves it becomes `unknown`."""
    if standing.answer is Answer.NO and not standing.facts:
        return unknown(f"no caller of {obj.path} was found, except in objects that it starts itself")
    return Reach(
        standing.answer,
        standing.facts,
        standing.devices,
        standing.reasons,
        assumptions=standing.assumptions,
        question=standing.question,
        files=standing.files,
        running=standing.running.words if standing.answer is Answer.NO and standing.running is not None else frozenset(),
    )
