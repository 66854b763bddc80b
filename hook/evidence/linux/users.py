"""Users: which files use what an object exports, and which make a device by a driver's name. Found through the word index."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence

from hook.evidence.linux.bindings import Names
from hook.evidence.linux.driversource import Texts
from hook.evidence.linux.kbuild import Object
from hook.source import definitions

_EXPORT = re.compile(
    r"\bEXPORT_(?:PER_CPU_|STATIC_CALL_)?(?:SYMBOL|DEV_PM_OPS|GPL_DEV_PM_OPS|NS_\w+)\w*\s*\(\s*(\w+)|\bEXPORT_\w*DEV_PM_OPS\s*\(\s*(\w+)"
)
_MAKING = (
    "platform_device_register", "platform_device_register_simple", "platform_device_register_full",
    "platform_device_register_data", "platform_device_register_resndata", "platform_device_alloc", "platform_device_add",
    "platform_add_devices", "platform_device", "platform_device_info", "mfd_cell", "mfd_cell_name", "mfd_add_devices",
    "devm_mfd_add_devices", "mfd_add_hotplug_devices", "spi_board_info", "spi_new_device", "spi_alloc_device", "modalias",
    "platform_create_bundle", "mfd_cell_res", "mfd_cell_basic", "mfd_cell_acpi", "mfd_cell_of", "of_mfd_cell", "of_dev_auxdata",
    "acpi_create_platform_device", "pdevinfo", "device_alloc",
)  # fmt: skip
_FEW_NAMES = 16
_MOST_NAMES = 400  # exported functions that are looked for
_MAKING_SPI = ("spi_board_info", "spi_new_device", "spi_alloc_device", "spi_add_device", "spi_register_board_info", "modalias")
_MOST_HOLDING = 150  # files that may hold a driver's name
_FORMAT = re.compile(r'"([\w-]{3,}[\w.:-]*%[^"\s]{1,40})"')
_MADE = re.compile(r"(?:\.name\s*=|MFD_CELL\w*\(|platform_device_\w+\(|\.modalias\s*=)\s*[^;{}]*\Z")
_NO_NAME = re.compile(r"(?:MODULE_ALIAS|MODULE_\w+|module_param\w*|pr_\w+|dev_\w+|\w+_driver)\s*\([^()]*\Z|\.compatible\s*=\s*\Z")
_DRIVERS_OWN = re.compile(r"struct\s+\w+(?:_driver|_id)\s+\w+\s*(?:\[\w*\]\s*)?(?:__\w+\s*)*=\s*\{[^;]*\Z")
_FAR = 4000  # characters of a table before a name in it
_MOST_ROUNDS = 4  # headers whose functions use each other
_VIRTUAL = re.compile(
    r"hwsim|netdevsim|/vkms|/vgem|vivid|vimc|net/dummy|sound/drivers/|null_blk|scsi_debug|block/(?:loop|nbd|brd|virtio)|net/(?:tun|veth|ifb)\.c|vcan|dummy_hcd"
    r"|uhid\.c|userio|uinput|usbnet\.c|usbhid/hid-core|nandsim|mtdram|rtc-test|iommufd/selftest|hci_vhci|vdpa_sim|rdma_rxe|sw/rxe|sw/siw|test_power"
    r"|nvme/(?:host/(?:tcp|pci)|target/loop)|virtio_net|e1000/|usb/usbaudio|sound/usb/card|misc/pvpanic|w1_ds2490"
)
_LIKELY = re.compile(
    r"drivers/usb/|drivers/hid/|net/usb/|media/usb/|virtio|/e1000|/igb/|vmxnet3|8139|pvscsi|megaraid|mpt|lsi|sym53|bochs|cirrus|vmwgfx|qxl|hda_intel|test"
)
_WORD = re.compile(r"[A-Za-z_]\w*")
_NOT_KERNEL = ("tools/", "samples/", "scripts/", "Documentation/", "usr/")


@dataclasses.dataclass(frozen=True)
class User:
    """A file that uses a function."""

    path: str
    line: int
    name: str


@dataclasses.dataclass(frozen=True)
class Maker:
    """A file that makes a device by its name, or may."""

    path: str
    line: int
    name: str
    sure: bool  # the name is that of a device, by what stands around it


def exported(texts: Texts, obj: Object, members: Sequence[str], is_module: bool, *, deep: bool) -> list[str]:
    """What other objects can use of this one: what it exports, and of what is built in alone (`deep`) every function that is not static."""
    found: dict[str, None] = {}
    for path in members:
        text = texts.get(path) or ""
        if "EXPORT_" in text:
            found |= dict.fromkeys(one[0] or one[1] for one in _EXPORT.findall(text))
        if not is_module and deep:
            found |= dict.fromkeys(texts.once(("not static", path), functools.partial(_names, texts, path)))
    return [one for one in found if one not in ("init_module", "cleanup_module", "main") and not one.startswith("__packed")]


def first_users(texts: Texts, names: Sequence[str], members: Iterable[str], srcarch: str, most: int) -> tuple[list[User], bool] | None:
    """Who uses the functions, the likeliest to be virtual first, and whether these are all; None without the word index."""
    own = set(members)
    users: dict[str, User] = {}
    wanted = set(names[:_MOST_NAMES])
    complete = len(names) <= _MOST_NAMES
    known = set(wanted)
    for _ in range(_MOST_ROUNDS):
        holding = texts.holding([[name.lower() for name in wanted]])
        if holding is None:
            return None
        more: set[str] = set()  # functions and macros of headers that use what is exported
        for path in sorted((path for path in holding if path not in own and in_kernel(path, srcarch)), key=_likelihood):
            if path.endswith(".rs"):
                complete = False
            if path in users or not path.endswith((".c", ".S", ".h")):
                continue
            if len(users) >= most:
                return list(users.values()), False
            text = texts.get(path) or ""
            # to look for a name is faster than to take the text apart, for as many words as a line of it has
            held = {one for one in wanted if one in text} if len(wanted) < _FEW_NAMES else wanted.intersection(_WORD.findall(text))
            if path.endswith(".h"):
                more |= {user for name in held for user in _users_in_header(texts, path, name)} - known
                continue
            line, name = next(((line, name) for name in sorted(held) if (line := _uses(texts, path, name))), (0, ""))
            if line:
                users[path] = User(path, line, name)
        if not more:
            return list(users.values()), complete
        wanted, known = more, known | more
    return list(users.values()), False


def _likelihood(path: str) -> tuple[int, str]:
    """Where to look first for a user that a virtual machine has."""
    return 0 if _VIRTUAL.search(path) else 1 if _LIKELY.search(path) else 2, path


def in_kernel(path: str, srcarch: str) -> bool:
    """Whether a file may be part of a kernel for the target."""
    return not path.startswith(_NOT_KERNEL) and (not path.startswith("arch/") or path.startswith(f"arch/{srcarch}/"))


def _uses(texts: Texts, path: str, name: str) -> int:
    """The line in which a file uses a function of another file; 0 where it has one of its own of that name, or none."""
    text = texts.get(path)
    if text is None:
        return 0
    for found in re.finditer(rf"(?<![\w.>\"]){re.escape(name)}\b(?!\")", text):
        begin = text.rfind("\n", 0, found.start()) + 1
        head = text[begin : found.start()]
        if re.match(r"\s*#\s*define\b", head) is None and head[:1] not in ("", " ", "\t", "#") and "=" not in head and "(" not in head:
            if head.startswith("static"):
                return 0  # its own
            continue  # a declaration, or the definition itself
        return text.count("\n", 0, found.start()) + 1
    return 0


def _users_in_header(texts: Texts, path: str, name: str) -> set[str]:
    """The functions and macros of a header that do more than declare a function: whoever includes it may use it through these."""
    text = texts.get(path) or ""
    bodies = texts.once(("bodies", path), lambda: _bodies(texts, path))
    found = set()
    at = text.find(name)
    while at >= 0:
        if _is_word(text, at, name):
            found |= {user for begin, end, user in bodies if begin < at < end and user != name}
        at = text.find(name, at + len(name))
    return found


def _bodies(texts: Texts, path: str) -> list[tuple[int, int, str]]:
    """The offsets of the bodies of functions and macros, with the names of these."""
    found = []
    for one in texts.scan(path):
        if one.kind is definitions.DefinitionKind.FUNCTION:
            found.append((*one.body, one.name))
        elif one.kind is definitions.DefinitionKind.MACRO:
            found.append((*one.span, one.name))
    return found


def _is_word(text: str, at: int, name: str) -> bool:
    before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
    return not (before.isalnum() or before == "_" or after.isalnum() or after == "_")


def _names(texts: Texts, path: str) -> list[str]:
    """The functions and variables of a file that are not static."""
    kinds = (definitions.DefinitionKind.FUNCTION, definitions.DefinitionKind.VARIABLE)
    text = texts.get(path) or ""
    found = []
    for one in texts.scan(path):
        if one.kind in kinds and not {"static", "extern"}.intersection(text[one.span[0] : one.offset].split()):
            found.append(one.name)
    return found


def makers(texts: Texts, names: Names, members: Sequence[str], srcarch: str) -> list[Maker] | None:
    """The files that make a device by one of the names, or may: that hold it, or a format that may print it, outside of the object.

    None without the word index, or where too many files would have to be read.
    """
    own = set(members)
    found: dict[str, Maker] = {}
    macros = [name for name in names.macros if not any(texts.macro(path, name) for path in own if path.endswith(".c"))]
    for name in names.names:
        words = list(dict.fromkeys(word.lower() for word in re.findall(r"\w+", name)))
        # a device on SPI is made from a board's description alone; one of the platform may be named in a table of any file
        making = [list(_MAKING_SPI)] if names.bus == "spi" else []
        holding = texts.holding([[word] for word in words] + making) if words else []
        # a name that is put together: by the first of its words, in files that make devices
        printing = texts.holding([[words[0]], list(_MAKING)]) if words and len(words) > 1 else []
        if holding is None or printing is None or len(holding) > _MOST_HOLDING:
            return None
        for path in dict.fromkeys((*holding, *printing)):
            if path in own or path in found or not path.endswith((".c", ".h")) or not in_kernel(path, srcarch):
                continue
            text = texts.get(path) or ""
            at = _named(text, name) if path in set(holding) else -1
            if at < 0:
                at = _printed(text, name)
            if at < 0:
                continue
            defining = re.search(r"#[ \t]*define[ \t]+(\w+)[ \t]+\Z", text[text.rfind("\n", 0, at) + 1 : at])
            if defining:
                macros.append(defining[1])
                continue
            sure = bool(_MADE.search(text[max(0, at - 120) : at])) and not _of_driver(text, at)
            found[path] = Maker(path, text.count("\n", 0, at) + 1, name, sure)
    for macro in dict.fromkeys(macros):
        for path in texts.holding([[macro.lower()]]) or ():
            if path in own or path in found or not path.endswith((".c", ".h")) or not in_kernel(path, srcarch):
                continue
            text = texts.get(path) or ""
            use = re.search(rf"(?<!define )(?<!define\t)\b{re.escape(macro)}\b", text)
            if use:
                found[path] = Maker(path, text.count("\n", 0, use.start()) + 1, macro, False)
    return list(found.values())


def _named(text: str, name: str) -> int:
    """Where a string is the name, and no driver's own nor an alias; -1 where it is nowhere."""
    at = text.find(f'"{name}"')
    while at >= 0:
        before = text[max(text.rfind(mark, 0, at) for mark in ";{}") + 1 : at]
        if not _NO_NAME.search(before) and not _of_driver(text, at):
            return at
        at = text.find(f'"{name}"', at + 1)
    return -1


def _printed(text: str, name: str) -> int:
    """Where a format may print the name, and its beginning with it; -1 where none does."""
    for found in _FORMAT.finditer(text):
        begin = found[1].partition("%")[0]
        if len(begin) > 2 and name.startswith(begin):
            form = "".join(".+" if part.startswith("%") else re.escape(part) for part in re.split(r"(%[-#0-9.lhzx*]*[a-zA-Z])", found[1]))
            if re.fullmatch(form, name):
                return found.start()
    return -1


def _of_driver(text: str, at: int) -> bool:
    """Whether a name is what a driver goes by, or looks for: it stands in a driver's structure or in a table of ids."""
    return bool(_DRIVERS_OWN.search(text[max(0, at - _FAR) : at]))
