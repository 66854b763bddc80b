"""What is read of one object: its files, its drivers, what its initcalls do, and whether a kernel of the target can hold it.

Everything here is the tree's own and the same for every question; what it costs is charged to each question that uses it.
"""

from __future__ import annotations

import msgspec

from hook import lazy_re
from hook.evidence.reach.devices import initcalls
from hook.evidence.reach.devices.bindings import Binder
from hook.evidence.reach.devices.buses import BUS_OF_SPELLING, BUSES
from hook.evidence.reach.devices.counted_texts import CountedTexts
from hook.evidence.reach.devices.driver_structures import Driver, drivers
from hook.evidence.reach.devices.machine import Machine
from hook.kernel.kbuild.objects import Object
from hook.kernel.kconfig import expressions
from hook.kernel.kernel import Kernel
from hook.kernel.texts import Macros

_MOST_MEMBERS = 60  # files of an object that are all read; of a larger object, those that the word index picks
_MOST_OF_LARGE = 160
_MOST_WITH_PARTS = 4  # files of an object that are looked into for C files that their headers include
_MOST_WITH_HEADERS = 8  # files of an object whose own headers are looked into for macros
_MOST_WITH_BUS = 40  # files of an object that are looked into for its bus
_PART = lazy_re.compile(rb'(?m)^[ \t]*#[ \t]*include[ \t]+"[^"\n]+\.c"')
# registrations that need not be made by an initcall
_LATER = lazy_re.compile(
    r"\b(?:platform_create_bundle|platform_driver_probe|platform_driver_register|wmi_driver_register|pci_register_driver)\s*\("
)
_LEVELS = ("early", "pure", "core", "postcore", "arch", "subsys", "fs", "rootfs", "device", "late", "console", "security")
_WORDS = [
    "module_init", "init_module", "module_device_table", "pci_device_id", "of_device_id", "acpi_device_id", "kunit_test_suite",
    "kunit_test_suites", "module_param_cb", "module_param_call", "core_param_cb", "device_param_cb", "early_param", "__setup",
    "declare_usb_function", "declare_usb_function_init", "irqchip_declare",
    *(f"{level}_initcall{suffix}" for level in _LEVELS for suffix in ("", "_sync")),
    *(f"{kind}_of_declare" for kind in ("clk", "timer", "reservedmem", "cpu_method", "cpuidle_method")), "clk_of_declare_driver",
    *(f"declare_pci_fixup_{kind}{stage}" for kind in ("", "class_")
      for stage in ("early", "header", "final", "enable", "resume", "resume_early", "suspend", "suspend_late")),
    *(f"{before}{name}{kind}" for before in ("", "module_") for name in (*BUSES, *BUS_OF_SPELLING) for kind in ("_driver", "_family")),
    *(f"export_{kind}{license}" for license in ("", "_gpl")
      for kind in ("symbol", "symbol_ns", "tracepoint_symbol", "per_cpu_symbol", "static_call", "static_call_tramp")),
    *(f"export_symbol_{whom}" for whom in ("for_modules", "for_kvm", "for_kvm_internal", "for_tests_only", "if_kunit")),
    "acpi_export_symbol", *(f"export_{namespace}{license}dev_pm_ops" for namespace in ("", "ns_") for license in ("", "gpl_")),
]  # fmt: skip


class Profile(msgspec.Struct, frozen=True):
    """The files of an object, its drivers, and what its initcalls do."""

    members: tuple[str, ...]  # the files that have to be read
    whole: bool  # whether no file stays unread
    drivers: tuple[Driver, ...]
    effects: initcalls.InitcallEffects  # of its initcalls
    registers: bool  # whether it registers drivers with a bus, by its initcalls or later


class ObjectReader:
    """Reads the objects of one tree, for one machine."""

    def __init__(self, texts: CountedTexts, kernel: Kernel, vm: Machine) -> None:
        self.texts, self.kernel, self.vm = texts, kernel, vm
        self._objects: dict[str, list[Object]] = {}
        self._for_target: dict[str, bool] = {}

    @property
    def srcarch(self) -> str:
        """The directory of the target's architecture below arch/."""
        return self.kernel.environment["SRCARCH"]

    def objects(self, path: str) -> list[Object]:
        """The objects that a source file is linked into."""
        if path not in self._objects:
            self._objects[path] = self.kernel.kbuild.objects(path)
        return self._objects[path]

    def profile(self, obj: Object) -> Profile:
        """The files of an object, its drivers, and what its initcalls do."""
        return self.texts.once(("profile", obj.path), lambda: self._profile(obj))

    def _profile(self, obj: Object) -> Profile:
        members, whole = self._members(obj)
        registered = tuple(driver for path in members for driver in drivers(self.texts, path))
        rest = obj.members if len(members) < len(obj.members) else ()
        effects = initcalls.effects(self.texts, members, rest, self.vm.compatible if self.vm.made_by else None)
        registers = (
            bool(registered)
            or any(bus not in ("tree", "no node") for bus, _, _ in effects.buses)
            or any(_LATER.search(self.texts.get(path) or "") for path in members)
        )
        return Profile(members, whole, registered, effects, registers)

    def _members(self, obj: Object) -> tuple[tuple[str, ...], bool]:
        members = obj.members
        if len(members) > _MOST_MEMBERS:
            holding = self.texts.holding([_WORDS])
            if holding is None:
                return members[:_MOST_MEMBERS], False
            starting = set(holding)
            members = tuple(path for path in members if path in starting)
            if len(members) > _MOST_OF_LARGE:
                return members[:_MOST_OF_LARGE], False
            return tuple(path for path in members if self.texts.exists(path)), obj.whole
        there = tuple(path for path in members if self.texts.exists(path))
        # a file may include other C files (sound/pci/echoaudio)
        with_parts = [path for index, path in enumerate(there) if index < _MOST_WITH_PARTS or _PART.search(self.texts.raw(path) or b"")]
        parts = [name for path in with_parts for name in self.texts.local_headers(path) if name.endswith(".c")]
        whole = obj.whole and len(there) == len(members)
        return tuple(dict.fromkeys((*there, *(name for name in parts if "test" not in name)))), whole

    def binder(self, obj: Object) -> Binder:
        """The binder for the drivers of an object. It is made anew each time, so that every question counts the files that it needs."""
        members = self.profile(obj).members
        headers = (header for path in members[:_MOST_WITH_HEADERS] for header in self.texts.local_headers(path))
        near = dict.fromkeys((*members[:_MOST_MEMBERS], *headers))
        return Binder(self.texts, members, Macros(self.texts, near), self.kernel, self.vm, obj.name)

    def bus(self, obj: Object) -> str:
        """The bus of an object's first driver; empty where it has none."""
        buses = (driver.bus for path in obj.members[:_MOST_WITH_BUS] for driver in drivers(self.texts, path))
        return next(buses, "")

    def is_module(self, obj: Object) -> bool:
        """Whether it can be a module, so that other objects can use only what it exports."""
        options = [self.kernel.options.get(name) for name in expressions.names(obj.condition)]
        return bool(options) and all(option is not None and option.type == "tristate" for option in options)

    def is_for_target(self, path: str) -> bool:
        """Whether a kernel of the target can have a file built in; always true of a header."""
        if path not in self._for_target:
            self._for_target[path] = not path.endswith(".c") or not self.kernel.excluded(path)
        return self._for_target[path]


def beside(source: Object | str, target: Object) -> bool:
    """Whether an object, or a file, is in the directory of another object."""
    path = source if isinstance(source, str) else source.path
    return path.rpartition("/")[0] == target.path.rpartition("/")[0]
