"""Drivers: whether a virtual machine can have a device for the object that a changed file is linked into.

An object is `yes` as soon as one of its drivers has a device, or one of the functions that it exports is used by an object that is
`yes`. It is `no` only where every way is closed: each driver's tables are read to the end and nothing of the machine is in them, its start
does nothing but register them, and whoever uses what it exports is `no` as well. Everything else is `unknown`, with the question.
docs/reachability.md has the rules.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence

from hook.evidence.linux import conditions, starts
from hook.evidence.linux.bindings import Binder, Driver, Names, drivers
from hook.evidence.linux.buses import BUSES, BY_HAND, OWN, Way
from hook.evidence.linux.cmacros import Macros
from hook.evidence.linux.configs import Configurer
from hook.evidence.linux.driversource import Texts, TooManyFiles
from hook.evidence.linux.idtables import announced
from hook.evidence.linux.kbuild import Object
from hook.evidence.linux.machine import Machine
from hook.evidence.linux.reach import Reach
from hook.evidence.linux.users import exported, first_users, makers
from hook.source.tree import Source
from hook.verdict import Answer, Fact

_MOST_MEMBERS = 60  # files of an object that are all read; of a larger one the index says which matter
_MOST_OF_LARGE = 160
MOST_FILES = 400  # that are read for the answers about one change before no further object is begun
_MOST_TO_END = 2  # times as many may be read to come to an end with those that are
_DEEPEST = 5  # objects that use each other
# objects that use what one exports, by how far from the change that one is: to be all looked into, and to be tried for a `yes`
_MOST_USERS = (24, 12, 8, 6, 4)
_MOST_YES = (6, 3, 1, 1, 1)
_MOST_INCLUDERS, _INCLUDER_SECONDS = 16, 1.0  # files that include a changed header
_MOST_MAKERS = 12  # files that may make a device by a driver's name
_MOST_CALLS = 12  # functions of other objects that the start of one calls
_MOST_FACTS = 6
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


def reach(paths: Sequence[str], source: Source, configurer: Configurer, vm: Machine) -> dict[str, Reach]:
    """For each changed .c file, and each header whose users are few, whether a device of `vm` can make its code run.

    What the paths of other files would say is left out of the answer. Raises nothing of the tree's own: what cannot be read is unknown.
    """
    judge = Drivers(source, configurer, vm)
    return {path: judge.of_file(path) for path in paths if path.endswith((".c", ".h"))}


class Drivers:
    """Answers for one tree and machine; what was found is kept for the next question."""

    def __init__(self, source: Source, configurer: Configurer, vm: Machine, most_files: int = MOST_FILES) -> None:
        self.texts = Texts(source, _MOST_TO_END * most_files)
        self._source, self._configurer, self._vm = source, configurer, vm
        self._most_files = most_files
        self._answers: dict[str, Reach] = {}
        self._inside: set[str] = set()
        # objects that have drivers without a device, and stay open only because one is bound by hand, or for what their start hands out
        self._weak: set[str] = set()
        # those of them that stay open for their start alone, with the files in which that hands something out
        self._handing: dict[str, tuple[str, ...]] = {}
        self._sideways: set[str] = set()  # objects that only drivers bound by hand use
        self._shut: set[str] = set()  # of these, those that are taken to open nothing behind them
        self._leaned: set[str] = set()  # objects in `_inside` that an answer took for closed

    def of_file(self, path: str) -> Reach:
        """The answer for one file: that of the objects it is linked into, or of those whose files include it."""
        try:
            return self._of_file(path)
        except TooManyFiles:
            return Reach(Answer.UNKNOWN, question=f"which device runs {path}? Too many files would have to be read for it")

    def _of_file(self, path: str) -> Reach:
        apart = self._apart(path)
        if apart is not None:
            return Reach(Answer.NO, (apart,))
        objects = [] if path.endswith(".h") else self._configurer.kbuild.objects(path)
        if not objects:
            objects = self._including(path)
        if not objects:
            return Reach(Answer.UNKNOWN, question=f"which object is {path} linked into?")
        found = _any([self._of_part(one, path) for one in objects])
        if found.answer is Answer.NO and not path.startswith(_DRIVERS):
            # system calls, linker sections and assembly lead into core code without any name that could be looked for
            return Reach(Answer.UNKNOWN, question=f"{path} is no driver: which way leads into it from user space?")
        return found

    def _apart(self, path: str) -> Fact | None:
        """That a file is part of another program than the kernel: one of the build, or what unpacks the kernel and then is gone."""
        if not path.endswith(".c") or not self.texts.exists(path):
            return None
        srcarch = self._configurer.environment["SRCARCH"]
        binder = self._binder(Object("", (), "", ("", 0), True), ())
        if path.startswith((f"arch/{srcarch}/boot/", "drivers/firmware/efi/libstub/")):
            return binder.fact("it is linked into what loads and unpacks the kernel, and is gone before the kernel runs", path, 0)
        program = self._configurer.kbuild.host_program(path)
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
        return tuple(fact for one in answers if one.answer is Answer.NO for fact in one.facts)[:_MOST_FACTS]

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
        if self.texts.read_files > self._most_files:
            return Reach(Answer.UNKNOWN, question=f"{obj.path} was not looked into: too many files were read already")
        members, whole = self._members(obj)
        binder = self._binder(obj, members)
        found = [one for path in members for one in drivers(self.texts, path)]
        parts: list[Reach] = []
        named: list[Names] = []
        weak: list[str] = []  # where what keeps it open opens nothing but itself
        for driver in found:
            part, names = binder.answer(driver)
            if BUSES[driver.bus].way is Way.BY_HAND and part.answer is Answer.UNKNOWN:
                weak.append(driver.path)
            if part.answer is Answer.YES:
                return part
            parts.append(part)
            if names is not None:
                named.append(names)
        parts += self._unclaimed(members, found)
        whole_of = obj.members if len(members) < len(obj.members) else ()
        begin = starts.start(self.texts, members, whole_of, self._vm.describes_by_tree or not self._vm.made_by)
        of_driver = {one.bus for one in found}
        for bus, path, line in begin.buses:
            if bus == "tree":
                parts.append(self._by_tree(binder, path, line))
            if bus in of_driver or bus == "tree":
                continue
            of_bus = (
                binder.of_bus(BUSES[bus], path, line) if bus in BUSES and BUSES[bus].way in (Way.HOSTED, Way.ABSENT, Way.OPEN) else None
            )
            part = of_bus or Reach(Answer.UNKNOWN, question=f"it registers with {bus} at {path}:{line}: what comes to it there?")
            if part.answer is Answer.YES:
                return part
            parts.append(part)
        handed = [
            Reach(Answer.UNKNOWN, question=f"{what} ({path}:{line}): does that lead to the code without a device?")
            for what, path, line in begin.unknown
        ]
        handed += self._elsewhere(begin.calls, obj, depth)
        parts += handed
        if any(part.answer is not Answer.NO for part in handed):
            weak += [path for _, path, _ in (*begin.calls, *begin.unknown)]
        if not whole:
            parts.append(Reach(Answer.UNKNOWN, question=f"which files {obj.path} is linked of could not be read"))
        if all(part.answer is Answer.NO for part in parts):
            for names in named:
                parts.append(self._made(names, members, depth))
                if parts[-1].answer is not Answer.NO:
                    break
        if any(part.answer is Answer.YES for part in parts):
            return _any(parts)
        closed = all(part.answer is Answer.NO for part in parts)
        binds = (
            bool(found)
            or any(bus != "tree" for bus, _, _ in begin.buses)
            or any(_LATER.search(self.texts.get(one) or "") for one in members)
        )
        users = self._users(obj, members, bool(parts), closed, depth) if closed or (depth < 2 and not binds) else None
        if users is not None and users.answer is Answer.YES and binds:
            # what another driver calls of it is not what its own device would run
            users = Reach(Answer.UNKNOWN, users.facts, question=f"{users.facts[-1].claim}: is that the changed code?")
        if users is not None:
            parts.append(users)
        if not parts:
            return Reach(Answer.UNKNOWN, question=f"nothing of {obj.path} registers with a bus: who calls it?")
        by_hand = sum(BUSES[one.bus].way is Way.BY_HAND for one in found)
        still = sum(part.answer is not Answer.NO for part in parts)
        if weak and binds and still == sum(part.answer is not Answer.NO for part in handed) + by_hand:
            self._weak.add(obj.path)
            if not by_hand:
                self._handing[obj.path] = tuple(dict.fromkeys(weak))
            still_open = [part.question for part in handed if part.answer is not Answer.NO]
            if not by_hand and all(_OF_HOSTS.search(question.partition("(")[0]) for question in still_open):
                self._shut.add(obj.path)
        elif still == 1 and users is not None and obj.path in self._sideways:
            self._weak.add(obj.path)
        return _any(parts)

    def _of_other(self, obj: Object, depth: int) -> Reach:
        """The answer for an object that another one leads to.

        What a notifier or a transport of a driver without a device runs is taken to end in the driver itself.
        """
        found = self.of_object(obj, depth)
        return self._as_closed(obj, found) if obj.path in self._shut else found

    def _as_closed(self, obj: Object, found: Reach) -> Reach:
        assumed = f"what {obj.path} uses of others needs a device of its own ({found.question})"
        return Reach(Answer.NO, found.facts or self._closed(obj), assumptions=(assumed[:240],))

    def _own(self, obj: Object) -> Reach | None:
        """That the object is one of the kernel's own virtual devices."""
        for name in conditions.names(obj.condition):
            device, question = (OWN[name], "") if name in OWN else BY_HAND.get(name, ("", ""))
            if not device or self._configurer.known.options.get(name) is None:
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
        return there, obj.whole and len(there) == len(members)

    def _binder(self, obj: Object, members: Sequence[str]) -> Binder:
        near = dict.fromkeys((*members[:_MOST_MEMBERS], *(header for one in members[:8] for header in self.texts.local_headers(one))))
        macros = Macros(self.texts, near)
        return Binder(self.texts, members, macros, self._configurer.known, self._vm, obj.name)

    def _elsewhere(self, calls: Sequence[tuple[str, str, int]], obj: Object, depth: int) -> list[Reach]:
        """What the start of an object calls of others: what belongs to an object that is NO leads nowhere."""
        found: list[Reach] = []
        for name, path, line in calls:
            question = f"its start calls {name}() ({path}:{line}): does that lead to the code without a device?"
            unknown = Reach(Answer.UNKNOWN, question=question)
            if depth >= _DEEPEST or len(found) > _MOST_CALLS or found[-1:] == [unknown]:
                return [*found, unknown]
            where = [one for one in self.texts.defining(name) if one.endswith(".c") and one not in obj.members]
            objects = [each for one in where[:3] for each in self._configurer.kbuild.objects(one)] if 0 < len(where) <= 3 else []
            if not all(one.path.startswith(_DRIVERS) and self._is_module(one) for one in objects):
                return [*found, unknown]  # a core that every machine has
            answer = _any([self._of_other(one, depth + 1) for one in objects]) if objects else unknown
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
        if self._vm.made_by and not self._vm.describes_by_tree:
            return Reach(
                Answer.NO, (binder.fact(f"it starts from a device tree, which no machine of {self._vm.made_by} hands out", path, line),)
            )
        return Reach(Answer.UNKNOWN, question=f"does the machine's device tree have what {path}:{line} starts from?")

    # devices that code of the kernel makes

    def _made(self, names: Names, members: Sequence[str], depth: int) -> Reach:
        """Who makes a device for a driver by its name: NO where nobody does, or all who do are NO."""
        if names.bus == "auxiliary":
            return self._auxiliary(names, depth)
        found = makers(self.texts, names, members, self._configurer.environment["SRCARCH"])
        if found is None:
            return Reach(
                Answer.UNKNOWN, question=f"does code of the kernel make a device called {names.names[0]!a}? There is no word index to tell"
            )
        if not found:
            return Reach(Answer.NO)
        if len(found) > _MOST_MAKERS or depth >= _DEEPEST:
            return Reach(
                Answer.UNKNOWN,
                question=f"{found[0].path}:{found[0].line} may make a device called {found[0].name!a}: does it in the machine?",
            )
        facts: list[Fact] = []
        for one in found:
            objects = self._configurer.kbuild.objects(one.path)
            answer = _any([self.of_object(each, depth + 1) for each in objects]) if objects else Reach(Answer.UNKNOWN)
            if answer.answer is Answer.YES and one.sure:
                fact = self._binder(Object("", (), "", ("", 0), True), ()).fact(f"makes a device called {one.name!a}", one.path, one.line)
                return Reach(Answer.YES, (*answer.facts, fact), answer.devices, answer.reasons)
            if answer.answer is not Answer.NO:
                return Reach(
                    Answer.UNKNOWN, question=f"{one.path}:{one.line} may make a device called {one.name!a}: does it in the machine?"
                )
            facts += answer.facts[:1]
        return Reach(Answer.NO, tuple(facts))

    def _auxiliary(self, names: Names, depth: int) -> Reach:
        if depth >= _DEEPEST:
            return Reach(Answer.UNKNOWN, question=f"does {names.names[0]} have a device in the machine?")
        facts: list[Fact] = []
        for name in names.names:
            objects = self._configurer.kbuild.called(name)
            if not objects:
                return Reach(Answer.UNKNOWN, question=f"which object is called {name}, and does it make a device for {names.driver.name}?")
            answer = _any([self._of_other(one, depth + 1) for one in objects])
            if answer.answer is not Answer.NO:
                return Reach(Answer.UNKNOWN, answer.facts, answer.devices, question=f"does {name} make a device for {names.driver.name}?")
            facts += answer.facts[:1]
        return Reach(Answer.NO, tuple(facts))

    # who uses what an object exports

    def _users(self, obj: Object, members: Sequence[str], binds: bool, closed: bool, depth: int) -> Reach | None:
        """What the objects that use this one's functions say; None where nothing of it can be used elsewhere."""
        names = exported(self.texts, obj, members, self._is_module(obj), deep=not binds or closed)
        if not names:
            return None
        if depth >= _DEEPEST:
            return Reach(Answer.UNKNOWN, question=f"who uses {names[0]}() of {obj.path}?")
        found = first_users(self.texts, names, obj.members, self._configurer.environment["SRCARCH"], 60 if closed else 16)
        if found is None:
            return Reach(Answer.UNKNOWN, question=f"who uses {names[0]}() of {obj.path}? There is no word index to tell")
        users, all_found = found
        answers: list[Reach] = []
        side: list[tuple[Object, Reach]] = []  # hand-bound drivers of the same directory
        folder = obj.path.rpartition("/")[0]
        on_pci = False
        seen: set[str] = set()
        tried = 0
        for user in users:
            objects = self._configurer.kbuild.objects(user.path)
            if not objects:
                answers.append(
                    Reach(
                        Answer.UNKNOWN, question=f"{user.path}:{user.line} uses {user.name}() of {obj.path}: does that run in the machine?"
                    )
                )
            for one in objects:
                if one.path in seen:
                    continue
                seen.add(one.path)
                tried += 1
                if tried > (_MOST_USERS if closed else _MOST_YES)[depth] or self.texts.read_files > self._most_files:
                    answers.append(
                        Reach(
                            Answer.UNKNOWN,
                            question=f"{user.path}:{user.line} uses {user.name}() of {obj.path}: does that run in the machine?",
                        )
                    )
                    break
                answer = self._of_other(one, depth + 1)
                if answer.answer is Answer.YES:
                    fact = self._binder(obj, ()).fact(f"{one.path} uses {user.name}() of {obj.path}", user.path, user.line)
                    return Reach(Answer.YES, (*answer.facts[:2], fact), answer.devices, answer.reasons)
                beside = one.path.rpartition("/")[0] == folder
                if beside and one.path in self._weak and answer.answer is Answer.UNKNOWN and one.path not in self._shut:
                    side.append((one, answer))
                    continue
                on_pci = on_pci or (beside and answer.answer is Answer.NO and bus_of(self, one) == "pci")
                answers.append(answer)
            if tried > (_MOST_USERS if closed else _MOST_YES)[depth]:
                break
        # the core of a PCI chip: that its management port is on I2C as well makes no other machine of it
        if side and all_found and all(one.answer is Answer.NO for one in answers):
            self._sideways.add(obj.path)
        answers += [self._as_closed(one, answer) if on_pci else answer for one, answer in side]
        if not answers and not binds:
            return Reach(Answer.UNKNOWN, question=f"nobody was found who uses {names[0]}() of {obj.path}: what leads into it?")
        if not all_found or any(one.answer is not Answer.NO for one in answers):
            first = next((one.question for one in answers if one.question), "")
            question = first or f"who uses {names[0]}()?"
            if users:
                question = f"{users[0].path}:{users[0].line} uses {users[0].name}() of {obj.path}: does that run in the machine?"
            return Reach(Answer.UNKNOWN, question=question)
        assumed = tuple(dict.fromkeys(one for each in answers for one in each.assumptions))
        return Reach(Answer.NO, tuple(fact for one in answers for fact in one.facts[:1])[:2], assumptions=assumed)

    def _is_module(self, obj: Object) -> bool:
        """Whether it can be built as a module, so that what it does not export cannot be used elsewhere."""
        names = list(conditions.names(obj.condition))
        options = [self._configurer.known.options.get(name) for name in names]
        return bool(options) and all(option is not None and option.type == "tristate" for option in options)

    def _including(self, path: str) -> list[Object]:
        """The objects whose files include this one, where they are few."""
        if self._source.index is None and not self._source.is_small:
            return []
        if self._source.index is not None and self._most_files < _MOST_INCLUDERS * len(_MOST_USERS):
            return []  # to find them costs as much as all of a short search
        from hook.source.lookup import Bounds, includers

        found = includers(self._source, path, Bounds(_MOST_INCLUDERS, _INCLUDER_SECONDS))
        if found.cut or len(found.items) > _MOST_INCLUDERS:
            return []
        objects: dict[str, Object] = {}
        for one in found.items:
            of_one = self._configurer.kbuild.objects(one.path) if one.path.endswith(".c") else []
            if not of_one:
                return []
            objects |= {each.path: each for each in of_one}
        return list(objects.values())


def _any(parts: Iterable[Reach]) -> Reach:
    """The answer of a whole that any of its parts can make run."""
    parts = list(parts)
    yes = next((part for part in parts if part.answer is Answer.YES), None)
    if yes is not None:
        return yes
    unknown = [part for part in parts if part.answer is Answer.UNKNOWN]
    if unknown or not parts:
        questions = list(dict.fromkeys(part.question for part in unknown if part.question))
        first = unknown[0] if unknown else Reach(Answer.UNKNOWN)
        devices = next((part.devices for part in unknown if part.devices), ())
        return dataclasses.replace(first, devices=devices, question="; ".join(questions[:2]))
    facts = list(dict.fromkeys(fact for part in parts for fact in part.facts))
    assumed = tuple(dict.fromkeys(one for part in parts for one in part.assumptions))
    return Reach(Answer.NO, tuple(facts[:_MOST_FACTS]), assumptions=assumed[:_MOST_FACTS])


def bus_of(judge: Drivers, obj: Object) -> str:
    """The bus that an object's drivers are mostly on, for a table of them."""
    found: list[Driver] = [one for path in obj.members[:_MOST_MEMBERS] for one in drivers(judge.texts, path)]
    return found[0].bus if found else ""
