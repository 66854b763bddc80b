"""Drivers: whether a virtual machine can have a device for the object that a changed file is linked into.

An object is `yes` as soon as one of its drivers has a device, or one of the functions that it exports is used by an object that is
`yes`. It is `no` only where every way is closed: each driver's tables are read to the end and nothing of the machine is in them, its start
does nothing but register them, and whoever uses what it exports is `no` as well. Everything else is `unknown`, with the question.
docs/reachability.md has the rules.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from hook.evidence.reach.answer import MOST_FACTS, Reach, any_of
from hook.evidence.reach.devices import created_files, device_creators, initcalls, rc_keymaps, symbol_users
from hook.evidence.reach.devices.bindings import Binder, Driver, Names, bus_of, drivers
from hook.evidence.reach.devices.buses import BUSES, BY_HAND, OWN, Way
from hook.evidence.reach.devices.id_tables import announced
from hook.evidence.reach.devices.machine import Machine
from hook.evidence.reach.devices.symbol_users import DEEPEST, exported
from hook.kernel.kbuild.objects import Object
from hook.kernel.kconfig import expressions, upper_bounds
from hook.kernel.kernel import Kernel
from hook.kernel.macros import Macros
from hook.kernel.texts import Texts, TooManyFiles
from hook.source.tree import Source
from hook.verdict import Answer, Fact

_MOST_MEMBERS = 60  # files of an object that are all read; of a larger one the index says which matter
_MOST_OF_LARGE = 160
_MOST_WITH_PARTS = 4  # files of an object that are looked into for C files that they include
MOST_FILES = 400  # that are read for the answers about one change before no further object is begun
_MOST_TO_END = 2  # times as many may be read to come to an end with those that are
_MOST_INCLUDERS, _INCLUDER_SECONDS = 16, 1.0  # files that include a changed header
_MOST_CALLS = 12  # functions of other objects that the start of one calls
# a driver that is registered later than at the start of its object
_LATER = re.compile(
    r"\b(?:platform_create_bundle|platform_driver_probe|platform_driver_register|wmi_driver_register|pci_register_driver)\s*\("
)
# what calls back for each host, session or network device, and not for the driver alone
_OF_HOSTS = re.compile(r"notifier|transport")
_TABLES = ("pci", "acpi", "pnp", "virtio", "platform", "usb", "hid")  # kinds that MODULE_DEVICE_TABLE names, of which all have to be read
_DRIVERS = ("drivers/", "sound/")
_WORDS = [
    "module_init", "module_device_table", "module_pci_driver", "module_platform_driver", "pci_device_id", "of_device_id",
    "acpi_device_id", "export_symbol", "export_symbol_gpl", "subsys_initcall", "late_initcall", "device_initcall", "pci_driver",
    "platform_driver", "usb_driver", "auxiliary_driver", "i2c_driver", "arch_initcall", "fs_initcall", "core_initcall",
    "postcore_initcall", "rootfs_initcall", "module_param_cb", "module_param_call", "export_symbol_ns_gpl", "export_symbol_ns",
    "module_auxiliary_driver", "declare_pci_fixup_final", "virtio_driver",
]  # fmt: skip


def reach(paths: Sequence[str], source: Source, kernel: Kernel, vm: Machine) -> dict[str, Reach]:
    """For each changed .c file, and each header whose users are few, whether a device of `vm` can make its code run.

    What the paths of other files would say is left out of the answer. Raises nothing of the tree's own: what cannot be read is unknown.
    """
    judge = Drivers(source, kernel, vm)
    return {path: judge.of_file(path) for path in paths if path.endswith((".c", ".h"))}


class Drivers:
    """Answers for one tree and machine; what was found is kept for the next question."""

    def __init__(self, source: Source, kernel: Kernel, vm: Machine, most_files: int = MOST_FILES) -> None:
        self.texts = Texts(source, _MOST_TO_END * most_files)
        self.kernel = kernel
        self._source, self.vm = source, vm
        self._indexed = source.index is not None
        self.most_files = most_files
        self._answers: dict[str, Reach] = {}
        self._inside: set[str] = set()
        self._for_target: dict[str, bool] = {}
        # objects that have drivers without a device, and stay open only because one is bound by hand, or for what their start hands out
        self.weak: set[str] = set()
        # those of them that stay open for their start alone, with the files in which that hands something out
        self._handing: dict[str, tuple[str, ...]] = {}
        self.sideways: set[str] = set()  # objects that only drivers bound by hand use
        self.opened: set[str] = set()  # objects that are `yes` for a file of their own, from which nothing follows
        self.suites: set[str] = set()  # those of tests, from which nothing follows but for libraries
        self.hand: set[str] = set()  # objects that are `yes` since user space binds them, or one that uses them, to a chip that it plays
        self.shut: set[str] = set()  # of these, those that are taken to open nothing behind them
        self._leaned: set[str] = set()  # objects in `_inside` that an answer took for closed

    def of_file(self, path: str) -> Reach:
        """The answer for one file: that of the objects it is linked into, or of those whose files include it."""
        try:
            found = self._of_file(path)
        except TooManyFiles:
            return Reach(Answer.UNKNOWN, question=f"which device runs {path}? Too many files would have to be read for it")
        if found.answer is Answer.NO and self._indexed and self._source.index is None:
            # that nobody makes or uses something was taken from it
            return Reach(Answer.UNKNOWN, question=f"which device runs {path}? The word index cannot be read")
        return found

    def _of_file(self, path: str) -> Reach:
        apart = self._apart(path)
        if apart is not None:
            return Reach(Answer.NO, (apart,))
        objects = [] if path.endswith(".h") else self.kernel.kbuild.objects(path)
        if not objects:
            objects = self._including(path)
        if not objects:
            return Reach(Answer.UNKNOWN, question=f"which object is {path} linked into?")
        found = any_of([self._of_part(one, path) for one in objects])
        if found.answer is Answer.NO and not path.startswith(_DRIVERS):
            # system calls, linker sections and assembly lead into core code without any name that could be looked for
            return Reach(Answer.UNKNOWN, question=f"{path} is no driver: which way leads into it from user space?")
        return found

    def _apart(self, path: str) -> Fact | None:
        """That a file is part of another program than the kernel: one of the build, or what unpacks the kernel and then is gone."""
        if not path.endswith(".c") or not self.texts.exists(path):
            return None
        srcarch = self.kernel.environment["SRCARCH"]
        binder = self._binder(Object("", (), "", ("", 0), True), ())
        if path.startswith((f"arch/{srcarch}/boot/", "drivers/firmware/efi/libstub/")):
            return binder.fact("it is linked into what loads and unpacks the kernel, and is gone before the kernel runs", path, 0)
        program = self.kernel.kbuild.host_program(path)
        return None if program is None else binder.fact(f"{path} is part of a program that the build itself runs", *program)

    def _of_part(self, obj: Object, path: str) -> Reach:
        """The answer for one file of an object: what the start of a large one hands out opens the directories that it is in."""
        found = self.of_object(obj)
        handing = self._handing.get(obj.path, ())
        folders = {one.rpartition("/")[0] for one in handing}
        if not handing or path.rpartition("/")[0] in folders or path.endswith(".h"):
            return found
        names = exported(self.texts, obj, (path,), False, deep=True)
        near = [one for one in obj.members if one.rpartition("/")[0] in folders]
        using = self.texts.holding([[name.lower() for name in names]]) if names else []
        if using is None or set(using) & set(near):
            return found
        assumed = f"what the start of {obj.path} hands out runs no more than {', '.join(sorted(folders))} and what is called from there"
        return Reach(Answer.NO, found.facts or self._closed(obj), assumptions=(assumed[:240],))

    def _closed(self, obj: Object) -> tuple[Fact, ...]:
        """What says that the drivers of an object have no device."""
        members, _ = self._members(obj)
        binder = self._binder(obj, members)
        answers = [binder.answer(one)[0] for path in members for one in drivers(self.texts, path)]
        return tuple(fact for one in answers if one.answer is Answer.NO for fact in one.facts)[:MOST_FACTS]

    def of_object(self, obj: Object, depth: int = 0) -> Reach:
        """The answer for one object."""
        if obj.path in self._answers:
            return self._answers[obj.path]
        if obj.path in self._inside:
            self._leaned.add(obj.path)
            return Reach(Answer.NO)  # it leads to itself: no way in of its own
        self._inside.add(obj.path)
        try:
            found = self._judge(obj, depth)
        finally:
            self._inside.discard(obj.path)
        self._leaned.discard(obj.path)
        # what was cut short, or took another answer for granted, holds here alone
        if not self._leaned and (depth == 0 or found.answer is not Answer.UNKNOWN):
            self._answers[obj.path] = found
        return found

    def _judge(self, obj: Object, depth: int) -> Reach:
        own = self._own(obj)
        if own is not None:
            return own
        if self.texts.read_files > self.most_files:
            return Reach(Answer.UNKNOWN, question=f"{obj.path} was not looked into: too many files were read already")
        members, whole = self._members(obj)
        binder = self._binder(obj, members)
        found = [one for path in members for one in drivers(self.texts, path)]
        parts: list[Reach] = []
        named: list[Names] = []
        weak: list[str] = []  # where what keeps it open opens nothing but itself
        by_hand = 0  # of its drivers, those that stay open since they can be bound by hand
        for driver in found:
            part, names = binder.answer(driver)
            if BUSES[driver.bus].way is Way.BY_HAND and part.answer is Answer.UNKNOWN:
                weak.append(driver.path)
                by_hand += 1
            if part.answer is Answer.YES:
                if BUSES[driver.bus].way is Way.BY_HAND:
                    self.hand.add(obj.path)
                return part
            parts.append(part)
            if names is not None:
                named.append(names)
        parts += self._unclaimed(members, found)
        whole_of = obj.members if len(members) < len(obj.members) else ()
        begin = initcalls.start(self.texts, members, whole_of, self.vm.describes_by_tree or not self.vm.made_by)
        of_driver = {one.bus for one in found}
        for bus, path, line in begin.buses:
            if bus == "tree":
                parts.append(self._by_tree(binder, path, line))
            if bus in of_driver or bus == "tree":
                continue
            if bus == "rc_map":
                of_bus: Reach | None = rc_keymaps.named(self, members, path, line, depth)
            else:
                known = bus in BUSES and BUSES[bus].way in (Way.HOSTED, Way.ABSENT, Way.OPEN)
                of_bus = binder.of_bus(BUSES[bus], path, line) if known else None
            part = of_bus or Reach(Answer.UNKNOWN, question=f"it registers with {bus} at {path}:{line}: what comes to it there?")
            if part.answer is Answer.YES:
                if bus == "kunit":
                    self.suites.add(obj.path)
                return part
            parts.append(part)
        if begin.calls and not found and (of_course := self._of_course(obj, binder, members)) is not None:
            return of_course
        handed = [
            Reach(Answer.UNKNOWN, question=f"{what} ({path}:{line}): does that lead to the code without a device?")
            for what, path, line in begin.unknown
        ]
        handed += self._elsewhere(begin.calls, obj, depth, bool(found))
        parts += handed
        if any(part.answer is not Answer.NO for part in handed):
            weak += [path for _, path, _ in (*begin.calls, *begin.unknown)]
        if not whole:
            parts.append(Reach(Answer.UNKNOWN, question=f"which files {obj.path} is linked of could not be read"))
        if all(part.answer is Answer.NO for part in parts):
            for names in named:
                parts.append(device_creators.made(self, names, members, depth))
                if parts[-1].answer is not Answer.NO:
                    break
        if any(part.answer is Answer.YES for part in parts):
            return any_of(parts)
        closed = all(part.answer is Answer.NO for part in parts)
        binds = (
            bool(found)
            or any(bus != "tree" for bus, _, _ in begin.buses)
            or any(_LATER.search(self.texts.get(one) or "") for one in members)
        )
        using = symbol_users.used(self, obj, members, bool(parts), closed, depth) if closed or (depth < 2 and not binds) else None
        if using is not None and using.answer is Answer.YES and binds:
            # what another driver calls of it is not what its own device would run
            using = Reach(Answer.UNKNOWN, using.facts, question=f"{using.facts[-1].claim}: is that the changed code?")
        if using is not None:
            parts.append(using)
        if not parts:
            return Reach(Answer.UNKNOWN, question=f"nothing of {obj.path} registers with a bus: who calls it?")
        still = sum(part.answer is not Answer.NO for part in parts)
        if weak and binds and still == sum(part.answer is not Answer.NO for part in handed) + by_hand:
            self.weak.add(obj.path)
            if not by_hand:
                self._handing[obj.path] = tuple(dict.fromkeys(weak))
            still_open = [part.question for part in handed if part.answer is not Answer.NO]
            if not by_hand and all(_OF_HOSTS.search(question.partition("(")[0]) for question in still_open):
                self.shut.add(obj.path)
        elif still == 1 and using is not None and obj.path in self.sideways:
            self.weak.add(obj.path)
        return any_of(parts)

    def of_other(self, obj: Object, depth: int) -> Reach:
        """The answer for an object that another one leads to.

        What a notifier or a transport of a driver without a device runs is taken to end in the driver itself.
        """
        found = self.of_object(obj, depth)
        if obj.path in self.opened:
            return Reach(Answer.UNKNOWN, question=f"{obj.path} runs ({', '.join(found.devices)}): does that lead there?")
        return self.as_closed(obj, found) if obj.path in self.shut else found

    def as_closed(self, obj: Object, found: Reach) -> Reach:
        """The answer of an object that is taken to open nothing but itself, for those that it leads to."""
        why = found.question or next((fact.claim for fact in found.facts), "")
        assumed = f"what {obj.path} uses of others needs a device of its own ({why})"
        facts = () if found.answer is Answer.YES else found.facts
        return Reach(Answer.NO, facts or self._closed(obj), assumptions=(assumed[:240],))

    def _own(self, obj: Object) -> Reach | None:
        """That the object is one of the kernel's own virtual devices."""
        for name in expressions.names(obj.condition):
            device, question = (OWN[name], "") if name in OWN else BY_HAND.get(name, ("", ""))
            if not device or self.kernel.options.get(name) is None:
                continue
            place = self._binder(obj, ()).fact(f"{device} is a virtual device of the kernel's own ({name})", *obj.place)
            if question:
                return Reach(Answer.UNKNOWN, (place,), (device,), question=f"{device}: {question}")
            return Reach(Answer.YES, (place,), (device,))
        return None

    def _members(self, obj: Object) -> tuple[tuple[str, ...], bool]:
        """The files of an object that have to be read, and whether nothing of it stays unread."""
        members = obj.members
        if len(members) > _MOST_MEMBERS:
            holding = self.texts.holding([_WORDS])
            if holding is None:
                return members[:_MOST_MEMBERS], False
            wanted = set(holding)
            members = tuple(one for one in members if one in wanted)
            if len(members) > _MOST_OF_LARGE:
                return members[:_MOST_OF_LARGE], False
            return tuple(one for one in members if self.texts.exists(one)), obj.whole
        there = tuple(one for one in members if self.texts.exists(one))
        # a file may be put together of others (sound/pci/echoaudio)
        parts = [name for one in there[:_MOST_WITH_PARTS] for name in self.texts.local_headers(one) if name.endswith(".c")]
        whole = obj.whole and len(there) == len(members)
        return tuple(dict.fromkeys((*there, *(name for name in parts if "test" not in name)))), whole

    def fact(self, claim: str, path: str, line: int) -> Fact:
        """A claim with its place."""
        return self._binder(Object("", (), "", ("", 0), True), ()).fact(claim, path, line)

    def _binder(self, obj: Object, members: Sequence[str]) -> Binder:
        near = dict.fromkeys((*members[:_MOST_MEMBERS], *(header for one in members[:8] for header in self.texts.local_headers(one))))
        macros = Macros(self.texts, near)
        return Binder(self.texts, members, macros, self.kernel, self.vm, obj.name)

    def _of_course(self, obj: Object, binder: Binder, members: Sequence[str]) -> Reach | None:
        """That the start makes, on every machine, a file that user space opens; None where it does not."""
        for one in created_files.files(created_files.steps(self.texts, members)):
            self.opened.add(obj.path)
            return binder.of_bus(BUSES["misc"], one.path, self.texts.line(one.path, one.offset))
        return None

    def _elsewhere(self, calls: Sequence[tuple[str, str, int]], obj: Object, depth: int, binds: bool) -> list[Reach]:
        """What the start of an object calls of others: what belongs to an object that is NO leads nowhere.

        An object without drivers of its own that registers with the module beside it runs with the device of that (em28xx-dvb).
        """
        found: list[Reach] = []
        for name, path, line in calls:
            question = f"its start calls {name}() ({path}:{line}): does that lead to the code without a device?"
            unknown = Reach(Answer.UNKNOWN, question=question)
            if depth >= DEEPEST or len(found) > _MOST_CALLS or found[-1:] == [unknown]:
                return [*found, unknown]
            where = [one for one in self.texts.defining(name) if one.endswith(".c") and one not in obj.members]
            objects = [each for one in where[:3] for each in self.kernel.kbuild.objects(one)] if 0 < len(where) <= 3 else []
            if not all(one.path.startswith(_DRIVERS) and self.is_module(one) for one in objects):
                return [*found, unknown]  # a core that every machine has
            answer = any_of([self.of_other(one, depth + 1) for one in objects]) if objects else unknown
            beside = all(one.path.rpartition("/")[0] == obj.path.rpartition("/")[0] and bus_of(self.texts, one) for one in objects)
            if answer.answer is Answer.YES and not binds and beside and "_register" in name:
                return [dataclasses.replace(answer, facts=(*answer.facts[:2], self.fact(f"registers with {objects[0].path}", path, line)))]
            if answer.answer is not Answer.NO:
                return [*found, unknown]
            found.append(answer)
        return found

    def _unclaimed(self, members: Sequence[str], found: Sequence[Driver]) -> list[Reach]:
        """The tables of ids that no driver structure names: a macro has made one that was not seen, or other code looks for the devices."""
        named = " ".join(value for one in found for value in one.fields.values())
        parts = []
        for path in members:
            for kind, name, line in announced(self.texts, path):
                if kind in _TABLES and re.search(rf"\b{re.escape(name)}\b", named) is None:
                    parts.append(
                        Reach(Answer.UNKNOWN, question=f"what is the table {name} for ({path}:{line})? No driver structure names it")
                    )
        return parts

    def _by_tree(self, binder: Binder, path: str, line: int) -> Reach:
        if self.vm.made_by and not self.vm.describes_by_tree:
            return Reach(
                Answer.NO, (binder.fact(f"it starts from a device tree, which no machine of {self.vm.made_by} hands out", path, line),)
            )
        return Reach(Answer.UNKNOWN, question=f"does the machine's device tree have what {path}:{line} starts from?")

    # devices that code of the kernel makes

    # who uses what an object exports

    def is_module(self, obj: Object) -> bool:
        """Whether it can be built as a module, so that what it does not export cannot be used elsewhere."""
        names = list(expressions.names(obj.condition))
        options = [self.kernel.options.get(name) for name in names]
        return bool(options) and all(option is not None and option.type == "tristate" for option in options)

    def is_for_target(self, path: str) -> bool:
        """Whether a kernel of the target can hold what a file compiles to; a header counts as if it could."""
        if path not in self._for_target:
            known = self.kernel.options
            self._for_target[path] = not path.endswith(".c") or not upper_bounds.impossible(known, self.kernel.built_if(path).condition)
        return self._for_target[path]

    def _including(self, path: str) -> list[Object]:
        """The objects whose files include this one, where they are few."""
        if self._source.index is None and not self._source.is_small:
            return []
        if self._source.index is not None and self.most_files < _MOST_INCLUDERS * DEEPEST:
            return []  # to find them costs as much as all of a short search
        from hook.source.lookup import Bounds, includers

        found = includers(self._source, path, Bounds(_MOST_INCLUDERS, _INCLUDER_SECONDS))
        if found.cut or len(found.items) > _MOST_INCLUDERS:
            return []
        objects: dict[str, Object] = {}
        for one in found.items:
            of_one = self.kernel.kbuild.objects(one.path) if one.path.endswith(".c") else []
            if not of_one:
                return []
            objects |= {each.path: each for each in of_one}
        return list(objects.values())
