"""Exports: what an object exports, and the files that use it, by the word index."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence

import msgspec

from hook import lazy_re
from hook.c import definitions
from hook.kernel.header_users import users_in_header
from hook.kernel.kbuild.objects import Object
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.kernel.texts import Texts

# of a tracepoint nothing of the object runs
_EXPORT = lazy_re.compile(r"(?:\b|_)EXPORT_(?!TRACEPOINT_)\w+\s*\(\s*([A-Za-z_]\w*)")
_PASTED_EXPORT = lazy_re.compile(r"(?:\b|_)EXPORT_(?!TRACEPOINT_)\w+\s*\([^()]*##")
# another name of a function: an attribute, a name for the linker, a pragma
_ALIAS = lazy_re.compile(r"\b_*alias_*\s*\(|\)\s*(?:asm|__asm|__asm__)\s*\(|#[ \t]*pragma[ \t]+(?:weak|redefine_extname)\b")
_NAMES_AT_ONCE = 100  # in one question to the index
_FEW_NAMES = 16
_MOST_NAMES = 400  # exported functions that are searched
_MOST_ROUNDS = 4  # of headers whose functions use each other
_VIRTUAL = lazy_re.compile(
    r"hwsim|netdevsim|/vkms|/vgem|vivid|vimc|net/dummy|sound/drivers/|null_blk|scsi_debug|block/(?:loop|nbd|brd|virtio)|net/(?:tun|veth|ifb)\.c|vcan|dummy_hcd"
    r"|uhid\.c|userio|uinput|usbnet\.c|usbhid/hid-core|nandsim|mtdram|rtc-test|iommufd/selftest|hci_vhci|vdpa_sim|rdma_rxe|sw/rxe|sw/siw|test_power"
    r"|nvme/(?:host/(?:tcp|pci)|target/loop)|virtio_net|e1000/|usb/usbaudio|sound/usb/card|misc/pvpanic|w1_ds2490"
    r"|spi-ch341|i2c-tiny-usb|uss720|ds2490"  # adapters by which user space is any chip
)
_SUITE = lazy_re.compile(r"(?i)kunit|/tests?/|[/_-]tests?\.c\Z")
_LIKELY = lazy_re.compile(
    r"drivers/usb/|drivers/hid/|net/usb/|media/usb/|virtio|/e1000|/igb/|vmxnet3|8139|pvscsi|megaraid|mpt|lsi|sym53|bochs|cirrus|vmwgfx|qxl|hda_intel|test"
    r"|sdhci-pci|ata/ahci\.c|ata_piix|8250_pci|i2c-i801|tpm_tis\.c|ipmi_si|intel8x0\.c|[/_-]usb\.c\Z"
)
_PLAYED = lazy_re.compile(r"[-_](?:i2c|spi|sdio)\.c\Z")  # drivers of chips that user space can emulate
_OPENED, _CLOSED = lazy_re.compile(r"(?m)^[ \t]*#[ \t]*if"), lazy_re.compile(r"(?m)^[ \t]*#[ \t]*endif\b")
_OF_DRIVERS = ("drivers/", "sound/")
_DECLARATION = lazy_re.compile(r"(?!(?:return|else|do|case|goto)\b)[A-Za-z_][\w\s*]*")  # before the name that a line declares
_WORD = lazy_re.compile(r"[A-Za-z_]\w*")


class User(msgspec.Struct, frozen=True):
    """A file that uses a function."""

    path: str
    line: int
    name: str


def exported(texts: Texts, obj: Object, members: Sequence[str], srcarch: str, is_module: bool, *, deep: bool) -> list[str]:
    """What other objects can use: the exports, and with `deep`, every function that is not static.

    Of an object that can be a module these are the functions that code of no driver uses: if both are built in, it needs no export.
    """
    names: dict[str, None] = {}
    for path in members:
        text = texts.get(path) or ""
        if "EXPORT_" in text:
            names |= dict.fromkeys(_EXPORT.findall(text))
        if deep:
            not_static = texts.once(("not static", path), functools.partial(_names, texts, path))
            functions = [name for name, is_function in not_static.items() if is_function and name not in names]
            names |= dict.fromkeys(_used_elsewhere(texts, functions, srcarch) if is_module else not_static)
    return [name for name in names if name not in ("init_module", "cleanup_module", "main") and not name.startswith("__packed")]


def exports_by_macro(texts: Texts, members: Sequence[str]) -> bool:
    """Whether the names that others use are not all known: a macro of the files or of a header beside them exports what it names or
    defines, or a function has another name, too.
    """

    def has_macro(path: str) -> bool:
        text = texts.get(path) or ""
        if _ALIAS.search(text):
            return True
        if "EXPORT_" not in text:
            return False
        macros = (one for one in texts.scan(path) if one.kind is definitions.DefinitionKind.MACRO and "EXPORT_" not in one.name)
        return _PASTED_EXPORT.search(text) is not None or any(_EXPORT.search(text, one.offset, one.span[1]) for one in macros)

    files = dict.fromkeys(file for path in members for file in (path, *texts.local_headers(path)))
    return any(texts.once(("exports by macro", file), functools.partial(has_macro, file)) for file in files)


def _used_elsewhere(texts: Texts, names: Sequence[str], srcarch: str) -> list[str]:
    """The functions that code of no driver uses, or that another file has as weak ones; all of them without the word index.

    The index is asked for many names at once: most of a driver's functions are in no file but its own.
    """
    used: dict[str, None] = {}
    for first in range(0, len(names), _NAMES_AT_ONCE):
        asked = names[first : first + _NAMES_AT_ONCE]
        folded = [name.lower() for name in asked]
        using, weak = texts.holding([folded]), texts.holding([["__weak", "weak"], [f":{name}" for name in folded]])
        if using is None or weak is None:
            return list(names)
        core = [path for path in using if not path.startswith(_OF_DRIVERS) and in_kernel(path, srcarch, NO_KERNEL_CODE)]
        for path in (path for path in core if path.endswith((".c", ".S"))):
            used |= dict.fromkeys(name for name in asked if name in (texts.get(path) or "") and _uses(texts, path, name))
        for path in (path for path in weak if path.endswith(".c")):
            used |= dict.fromkeys(name for name in asked if name in (texts.get(path) or "") and _defines(texts, path, name, weak=True))
    return list(used)


def is_guessed(texts: Texts, members: Sequence[str], name: str) -> bool:
    """Whether a name is only the argument of a macro, which need not define a function of that name."""
    return any(name in texts.once(("guessed", path), functools.partial(_guessed, texts, path)) for path in members)


def _guessed(texts: Texts, path: str) -> frozenset[str]:
    text = texts.get(path) or ""
    announced = set(_EXPORT.findall(text))
    variables = (variable for variable in texts.scan(path) if variable.kind is definitions.DefinitionKind.VARIABLE)
    return frozenset(variable.name for variable in variables if text[variable.span[0] : variable.offset].rstrip().endswith("(")) - announced


class Users(msgspec.Struct, frozen=True):
    """The users of some functions."""

    users: list[User]  # the likeliest virtual devices first
    are_all: bool
    names: frozenset[str]  # of the functions, and of those of headers that use them


def first_users(texts: Texts, names: Sequence[str], members: Iterable[str], srcarch: str, most: int) -> Users | None:
    """The users of functions; None without the word index."""
    own = set(members)
    users: dict[str, User] = {}
    searched = set(names[:_MOST_NAMES])
    complete = len(names) <= _MOST_NAMES
    all_names = set(searched)
    for _ in range(_MOST_ROUNDS):
        holding = texts.holding([[name.lower() for name in searched]])
        if holding is None:
            return None
        in_headers: set[str] = set()  # functions and macros of headers that use the exports
        for path in sorted((path for path in holding if path not in own and in_kernel(path, srcarch, NO_KERNEL_CODE)), key=likelihood):
            if path.endswith(".rs"):
                complete = False
            if path in users or not path.endswith((".c", ".S", ".h")):
                continue
            if len(users) >= most:
                return Users(list(users.values()), False, frozenset(all_names))
            text = texts.get(path) or ""
            # for a few names, to search each is faster than to split the text into words
            in_file = {one for one in searched if one in text} if len(searched) < _FEW_NAMES else searched.intersection(_WORD.findall(text))
            if path.endswith(".h"):
                in_headers |= {user for name in in_file for user in users_in_header(texts, path, name)} - all_names
                continue
            line, name = next(((line, name) for name in sorted(in_file) if (line := _uses(texts, path, name))), (0, ""))
            if line:
                users[path] = User(path, line, name)
        if not in_headers:
            return Users(list(users.values()), complete, frozenset(all_names))
        searched, all_names = in_headers, all_names | in_headers
    return Users(list(users.values()), False, frozenset(all_names))


def likelihood(path: str) -> tuple[int, str]:
    """A sort key: files that a virtual machine likely runs come first."""
    return 0 if _VIRTUAL.search(path) else 1 if _LIKELY.search(path) else 2 if _PLAYED.search(path) else 3, path


def is_suite(path: str) -> bool:
    """Whether a file is likely part of a test suite, which only a kernel built for tests has."""
    return bool(_SUITE.search(path)) and not _VIRTUAL.search(path)


def _uses(texts: Texts, path: str, name: str) -> int:
    """The line in which a file uses a function of another file; 0 where it does not, or has its own function of that name."""
    text = texts.get(path)
    if text is None or _defines(texts, path, name, weak=False):
        return 0
    for use in re.finditer(rf"(?<![\w.>\"]){re.escape(name)}\b(?!\")", text):
        begin = text.rfind("\n", 0, use.start()) + 1
        head = text[begin : use.start()]
        if _DECLARATION.fullmatch(head):
            if head.startswith("static") and not _is_conditional(text, begin):
                return 0  # its own
            continue  # a declaration, or the definition itself
        return texts.line(path, use.start())
    return 0


def _defines(texts: Texts, path: str, name: str, *, weak: bool) -> bool:
    """Whether a file defines a function of that name itself: as a weak one, which gives way to another, or not."""
    functions = (one for one in texts.scan(path) if one.kind is definitions.DefinitionKind.FUNCTION and one.name == name)
    text = texts.get(path) or ""
    # under a condition it stands for the other one only where that is not there
    return any(
        ("weak" in text[one.span[0] : one.body[0]]) is weak and (weak or not _is_conditional(text, one.span[0])) for one in functions
    )


def _is_conditional(text: str, offset: int) -> bool:
    """Whether a place of a C file stands in a preprocessor conditional."""
    return len(_OPENED.findall(text, 0, offset)) > len(_CLOSED.findall(text, 0, offset))


def _names(texts: Texts, path: str) -> dict[str, bool]:
    """The functions and variables of a file that are not static, each with whether it is a function."""
    kinds = (definitions.DefinitionKind.FUNCTION, definitions.DefinitionKind.VARIABLE)
    text = texts.get(path) or ""
    names: dict[str, bool] = {}
    for definition in texts.scan(path):
        is_declared = "extern" in text[definition.span[0] : definition.offset].split()
        if definition.kind in kinds and not is_declared and not texts.is_static(path, definition):
            names[definition.name] = definition.kind is definitions.DefinitionKind.FUNCTION
    return names
