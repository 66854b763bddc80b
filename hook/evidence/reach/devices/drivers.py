"""Drivers: whether a virtual machine can have a device for the object that a changed file is linked into.

Asks the solver (hook.evidence.reach.devices.device_solver, which says why a `no` holds) with all rules. docs/reachability.md has them for
people.
"""

from __future__ import annotations

import re

from hook.evidence.reach.answer import Reach, any_of, no, unknown
from hook.evidence.reach.devices.counted_texts import CountedTexts
from hook.evidence.reach.devices.device_solver import FARTHEST, Solver, Standing
from hook.evidence.reach.devices.graph import Asked, Rule
from hook.evidence.reach.devices.machine import Machine
from hook.evidence.reach.devices.object_reader import ObjectReader
from hook.evidence.reach.devices.rules import device_creators, driver_tables, exports, rc_keymaps, registrations, symbol_users
from hook.kernel.kbuild.objects import Object
from hook.kernel.kernel import Kernel
from hook.kernel.texts import TooManyFiles
from hook.source.tree import Source
from hook.source.words import is_number
from hook.verdict import Answer, Fact

FILES_OF_A_QUESTION = 1000  # that are read for one question before no further object is begun
_MOST_TO_END = 2  # times as many may be read to come to an end with those that are
_MOST_INCLUDERS = 16  # files that include a changed header
_NEAR = 3  # folders from the top that a file shares with one that includes it
_DRIVERS = ("drivers/", "sound/")

# in the order in which an answer is looked for: what one object says alone first
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
    """Answers for one tree and machine. What was read is kept for the next question; an answer is the same whatever was asked before."""

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
        """What is asked from here on has all files of a question to read; until then, the files of one change share them."""
        self.texts.begin_question()
        self._solver = Solver(self._rules, self._reader, self._most_files)

    def bus(self, obj: Object) -> str:
        """The bus that an object's drivers are mostly on; empty where it has none."""
        return self._reader.bus(obj)

    def of_file(self, path: str) -> Reach:
        """The answer for one file: that of the objects it is linked into, or of those whose files include it."""
        try:
            found = self._of_file(path)
        except TooManyFiles:
            return unknown(f"not known: which device runs {path}; too many files would have to be read")
        if found.answer is Answer.NO and self._is_indexed and self._source.index is None:
            # that nobody makes or uses something was taken from it
            return unknown(f"not known: which device runs {path}; the word index cannot be read")
        if found.answer is Answer.NO and (unread := self.texts.question_unread):
            return unknown(f"not known: what {unread[0]} does; it cannot be read as text")
        return found

    def _of_file(self, path: str) -> Reach:
        apart = self._apart(path)
        if apart is not None:
            return no(apart)
        objects = [] if path.endswith(".h") else self._reader.objects(path)
        if objects:
            objects = [*objects, *self._beside(path)]
        else:
            objects = self._including(path)
        if not objects:
            return unknown(f"not known: which object {path} is linked into")
        found = any_of([self._of_part(obj, path) for obj in objects])
        if found.answer is Answer.NO and not path.startswith(_DRIVERS):
            # system calls, linker sections and assembly lead into core code without any name that could be looked for
            return unknown(f"no call path into {path} from user space was found, and it is no driver")
        return found

    def _apart(self, path: str) -> Fact | None:
        """That a file is part of what loads and unpacks the kernel, and then is gone: neither of the kernel, nor of a program of the build.

        What a program of the build writes may be part of the kernel (vdso2c, relocs, mkcpustr): nothing is said of such a program.
        """
        if not path.endswith(".c") or not self.texts.exists(path):
            return None
        is_stub = path.startswith("drivers/firmware/efi/libstub/")
        if not is_stub and (not path.startswith(f"arch/{self._reader.srcarch}/boot/") or self._reader.objects(path)):
            return None  # arch/x86/boot/startup is linked into the kernel
        if self._kernel.kbuild.is_host_program(path):
            return None
        return self._reader.fact("it is linked into what loads and unpacks the kernel, and is gone before the kernel runs", path, 0)

    def _of_part(self, obj: Object, path: str) -> Reach:
        """The answer for one file of an object: what the initcall of a large one hands out opens the directories that it is in."""
        found = self._solver.standing(obj)
        folders = {file.rpartition("/")[0] for file in found.into}
        if not folders or path.rpartition("/")[0] in folders or path.endswith(".h"):
            return _reach(obj, found)
        names = exports.exported(self.texts, obj, (path,), False, deep=True)
        near = [file for file in obj.members if file.rpartition("/")[0] in folders]
        using = self.texts.holding([[name.lower() for name in names]]) if names else []
        if using is None or set(using) & set(near):
            return _reach(obj, found)
        assumed = f"what the initcall of {obj.path} hands out runs no more than {', '.join(sorted(folders))} and what is called from there"
        return _reach(obj, Standing(Answer.NO, found.closed, assumptions=(assumed[:240],)))

    def of_object(self, obj: Object) -> Reach:
        """The answer for one object. Raises TooManyFiles."""
        return _reach(obj, self._solver.standing(obj))

    def _beside(self, path: str) -> list[Object]:
        """The objects of other C files near it that include one which has objects of its own (sound/pci/ens1371.c)."""
        folders, _, name = path.rpartition("/")
        near = "/".join(folders.split("/")[:_NEAR]) + "/"
        words = [[word.lower()] for word in re.findall(r"\w+", name[:-2]) if not (word[0].isdigit() and is_number(word))]
        holding = self.texts.holding([*words, ["include"]]) or ()
        form = re.compile(
            rb'(?m)^[ \t]*#[ \t]*include[ \t]*["<](?:[^">\n]*/)?' + re.escape(name.encode("utf-8", "surrogateescape")) + rb'[">]'
        )
        texts = self.texts.written([file for file in holding if file.startswith(near) and file.endswith(".c") and file != path])
        return [obj for file, data in texts if form.search(data) for obj in self._reader.objects(file)]

    def _including(self, path: str) -> list[Object]:
        """The objects whose files include this one, where they are few."""
        if self._source.index is None and not self._source.is_small:
            return []
        if self._source.index is not None and self._most_files < _MOST_INCLUDERS * FARTHEST:
            self._source.safety.at_limit = True
            return []  # to find them costs as much as all of a short search
        from hook.source.lookup import Bounds, includers

        found = includers(self._source, path, Bounds(_MOST_INCLUDERS))
        if found.cut or len(found.items) > _MOST_INCLUDERS:
            return []
        objects: dict[str, Object] = {}
        for includer in found.items:
            of_file = self._reader.objects(includer.path) if includer.path.endswith(".c") else []
            if not of_file:
                return []
            objects |= {obj.path: obj for obj in of_file}
        return list(objects.values())


def _reach(obj: Object, found: Standing) -> Reach:
    """The answer about an object; a `no` without a fact that proves it is none."""
    if found.answer is Answer.NO and not found.facts:
        return unknown(f"no caller of {obj.path} was found but by objects that it makes run itself")
    return Reach(
        found.answer,
        found.facts,
        found.devices,
        found.reasons,
        assumptions=found.assumptions,
        question=found.question,
        files=found.files,
    )
