"""Device makers: the kernel code that creates a device by a driver's name.

That is board code, the cells of a multi-function chip, or a driver that creates the device of another. The name is a string or a format.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.evidence.reach.devices.bindings import DeviceNames
from hook.kernel.no_kernel_code import NO_KERNEL_CODE, in_kernel
from hook.kernel.texts import Texts
from hook.source.words import words_of

_MAKING = (
    "platform_device_register", "platform_device_register_simple", "platform_device_register_full",
    "platform_device_register_data", "platform_device_register_resndata", "platform_device_alloc", "platform_device_add",
    "platform_add_devices", "platform_device", "platform_device_info", "mfd_cell", "mfd_cell_name", "mfd_add_devices",
    "devm_mfd_add_devices", "mfd_add_hotplug_devices", "spi_board_info", "spi_new_device", "spi_alloc_device", "modalias",
    "platform_create_bundle", "mfd_cell_res", "mfd_cell_basic", "mfd_cell_acpi", "mfd_cell_of", "of_mfd_cell", "of_dev_auxdata",
    "acpi_create_platform_device", "pdevinfo", "device_alloc",
)  # fmt: skip
_MAKING_SPI = ("spi_board_info", "spi_new_device", "spi_alloc_device", "spi_add_device", "spi_register_board_info", "modalias")
_MOST_VERBATIM = 1500  # files that may have a driver's name as a string
_MOST_PRINTING = 5000  # files that may print a name that begins with one word; they are read once for all such names
_FORMAT = lazy_re.compile(r'"([\w.:-]*%[^"\s]{1,40})"')
_MADE = lazy_re.compile(r"(?:\.name\s*=|MFD_CELL\w*\(|platform_device_\w+\(|\.modalias\s*=)\s*[^;{}]*\Z")
_NO_NAME = lazy_re.compile(
    r"\b(?:MODULE_ALIAS|MODULE_\w+|module_param\w*|pr_\w+|dev_\w+|\w+_driver|str\w*cmp|sysfs_streq|of_\w+|request_\w+)\s*\((?:[^()]|\([^()]*\))*\Z"
    r"|\.compatible\s*=\s*\Z"
    # what is looked up by its name, a property, and the name of a pin
    r"|\b(?:(?:devm_)?(?:clk|regulator|reset_control|gpiod|phy|pwm)_get(?:_(?:optional|exclusive|shared|index|enabled|prepared))*"
    r"|extcon_get_extcon_dev|PROPERTY_ENTRY_\w+)\s*\((?:[^()]|\([^()]*\))*\Z"
    r"|\bMTK_PIN\s*\([^;{}]*\)\s*,\s*\"\w*\"\s*,\s*\Z"
)
# calls whose format is no name that a driver binds to
_NO_MAKING = lazy_re.compile(
    r"\b(?:dev_(?:set_name|err|warn|info|dbg|notice|crit)\w*|pr_\w+|printk\w*|netdev_\w+|seq_printf|sysfs_emit\w*|request_\w+|devm_request_\w+"
    r"|kthread_\w+|alloc_\w*workqueue|debugfs_\w+|proc_\w+|panic|WARN\w*)\s*\((?:[^()]|\([^()]*\))*\Z"
)
_INTO = lazy_re.compile(r"\b(?:v?sc?nprintf|v?sprintf)\s*\(\s*(\w+)((?:->|\.)[^,]*)?,(?:[^()]|\([^()]*\))*\Z")
_OTHERS = ("i2c_adapter", "mii_bus", "snd_card", "snd_soc_card", "snd_pcm", "input_dev", "v4l2_device", "video_device", "net_device")
_CONVERSION = lazy_re.compile(r"%[-#0-9.lhzx+ *]*?(?:[lhzt]*)([a-zA-Z])")
_LONGEST = 2000  # characters of a statement that are read
_LEAST = 3  # literal characters that a format needs, to count as the form of a name
# the characters that a number is printed with
_DIGITS = frozenset("0123456789")
_PRINTED = {"d": _DIGITS | {"-"}, "i": _DIGITS | {"-"}, "u": _DIGITS, "x": _DIGITS.union("abcdef"), "X": _DIGITS.union("ABCDEF")}
_ADDING = lazy_re.compile(r"\b(?:(?:devm_)?mfd_add_\w+|platform_device_\w+|platform_add_devices)\s*\(")
_DRIVERS_OWN = lazy_re.compile(
    r"struct\s+\w+(?:_driver|_id)\s+\w+\s*(?:\[\w*\]\s*)?(?:__\w+\s*)*=\s*\{[^;]*\Z"
    r"|struct\s+gpio_chip\s+\w+\s*=\s*\{[^;{}]*\.\s*label\s*=\s*\Z"
)
_FAR = 4000  # characters of a table before a name in it


class Maker(msgspec.Struct, frozen=True):
    """A file that creates a device by its name, or may."""

    path: str
    line: int
    name: str
    sure: bool  # whether the text around the name shows that it is a device's


def makers(texts: Texts, names: DeviceNames, members: Sequence[str], srcarch: str) -> list[Maker] | None:
    """The files outside of the object that create a device by one of the names, or may: they have the name, or a format that may print it.

    None without the word index, or where too many files would have to be read.
    """
    own = set(members)
    by_path: dict[str, Maker] = {}
    formats: set[str] = set()  # macros that are a format for a name
    macros = [name for name in names.macros if not any(texts.macro(path, name) for path in own if path.endswith(".c"))]
    for name in names.names:
        candidates = _candidates(texts, name, names.bus, own, srcarch)
        if candidates is None:
            return None
        holding, printing = candidates
        for path in dict.fromkeys((*holding, *printing)):
            if path in own or path in by_path or not _may_make(path, srcarch):
                continue
            text = texts.get(path) or ""
            at = _named(text, name) if path in set(holding) else -1
            printed = at < 0
            if printed:
                at = _printed(text, name)
            if at < 0:
                continue
            defining = re.search(r"#[ \t]*define[ \t]+(\w+)[ \t]+\Z", text[text.rfind("\n", 0, at) + 1 : at])
            if defining and path.endswith(".h"):
                macros.append(defining[1])
                formats |= {defining[1]} if printed else set()
                continue
            if defining:
                at = _used_as(text, defining[1])
                if at < 0:
                    continue
            sure = bool(_MADE.search(text[max(0, at - 120) : at])) and not _of_driver(text, at)
            sure = sure or (printed and _is_added(texts, path, at))
            by_path[path] = Maker(path, texts.line(path, at), name, sure)
    _add_by_macros(texts, macros, formats, own, srcarch, by_path)
    return list(by_path.values())


def _candidates(texts: Texts, name: str, bus: str, own: set[str], srcarch: str) -> tuple[list[str], list[str]] | None:
    """The files that have a name as a string, and those with a format that may print it; None where they are not known."""
    # plain numbers are no words of the index
    words = list(dict.fromkeys(words_of(name.lower())))
    if not words:
        return None
    # only a board's description creates an SPI device; a platform device may be named in a table of any file
    making = [list(_MAKING_SPI)] if bus == "spi" else []
    holding = texts.holding([[word] for word in words] + making)
    # a name that is printed: files with its first word that create devices
    printing = texts.holding([[words[0]], list(_MAKING)]) if len(words) > 1 else []
    if holding is None or printing is None or len(printing) > _MOST_PRINTING:
        return None
    if printing:
        there = [path for path in printing if _may_make(path, srcarch)]
        formats_of = texts.once(("printing", words[0]), functools.partial(_formats, texts, there))
        printing = [path for path, forms in formats_of.items() if any(_may_print(form, name) for form in forms)]
    holding = [path for path in holding if path not in own and _may_make(path, srcarch)]
    return None if len(holding) > _MOST_VERBATIM else (_verbatim(texts, holding, name), printing)


def _add_by_macros(texts: Texts, macros: Sequence[str], formats: set[str], own: set[str], srcarch: str, by_path: dict[str, Maker]) -> None:
    """Adds the files that use a macro as a name; `formats` are the macros that are a format."""
    for macro in dict.fromkeys(macros):
        for path in texts.holding([[macro.lower()]]) or ():
            if path in own or path in by_path or not _may_make(path, srcarch):
                continue
            text = texts.get(path) or ""
            use = -1 if macro in formats and _makes_none(text) else _used_as(text, macro)
            if use >= 0:
                sure = bool(_MADE.search(text[max(0, use - 120) : use]))
                by_path[path] = Maker(path, texts.line(path, use), macro, sure)
        if not any(maker.name == macro for maker in by_path.values()):
            by_path |= {maker.path: maker for maker in _pasted(texts, macro, own, srcarch)}


def _pasted(texts: Texts, macro: str, own: set[str], srcarch: str) -> Iterator[Maker]:
    """The files that paste a macro's name (LP8788_DEV_##name)."""
    prefixes = [macro[:end] for end in range(2, len(macro)) if macro[end - 1] == "_"]
    for path in (texts.holding([[prefix.lower() for prefix in prefixes]]) or ()) if prefixes else ():
        if path in own or not _may_make(path, srcarch):
            continue
        pasted = re.search(rf"\b(?:{'|'.join(map(re.escape, prefixes))})[ \t]*##", texts.get(path) or "")
        if pasted:
            yield Maker(path, texts.line(path, pasted.start()), macro, False)


def _used_as(text: str, macro: str) -> int:
    """The offset at which a macro is used as a device name; -1 where it is not."""
    for use in re.finditer(rf"(?<!define )(?<!define\t)\b{re.escape(macro)}\b", text):
        if not _NO_NAME.search(_statement(text, use.start())) and not _of_driver(text, use.start()):
            return use.start()
    return -1


def _may_make(path: str, srcarch: str) -> bool:
    return path.endswith((".c", ".h")) and in_kernel(path, srcarch, NO_KERNEL_CODE)


def _verbatim(texts: Texts, paths: Sequence[str], name: str) -> list[str]:
    """The files that have a name as a string, or a format that may print it."""
    quoted = f'"{name}"'.encode()
    forms = re.compile(rb'"(?:' + re.escape(name[:1].encode()) + rb'[\w.:-]*%|%\w+[^"\s%]{3,})')
    return [path for path, data in texts.written(paths) if quoted in data or forms.search(data)]


def _formats(texts: Texts, paths: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The formats of many files that may print a name."""
    texts_with_formats = {path: data.decode("latin-1") for path, data in texts.written(paths) if b"%" in data}
    return {path: forms for path, text in texts_with_formats.items() if (forms := tuple(dict.fromkeys(_FORMAT.findall(text))))}


def _statement(text: str, at: int) -> str:
    """The text of a statement before a place."""
    begin = max(0, at - _LONGEST)
    return text[max(begin, *(text.rfind(mark, begin, at) + 1 for mark in ";{}")) : at]


def _is_added(texts: Texts, path: str, at: int) -> bool:
    """Whether the function that prints a name creates a device, too."""
    bodies = (definition.body for definition in texts.scan(path) if definition.body[0] < at < definition.body[1])
    return any(_ADDING.search(texts.get(path) or "", begin, end) for begin, end in bodies)


def _named(text: str, name: str) -> int:
    """The offset of the name as a string that is no driver's own and no alias; -1 where there is none."""
    at = text.find(f'"{name}"')
    while at >= 0:
        if not _NO_NAME.search(_statement(text, at)) and not _of_driver(text, at):
            return at
        at = text.find(f'"{name}"', at + 1)
    return -1


def _printed(text: str, name: str) -> int:
    """The offset of a format that may print the name; -1 where there is none."""
    for form in _FORMAT.finditer(text):
        if _may_print(form[1], name) and not _is_other_name(text, form.start()):
            return form.start()
    return -1


def _may_print(form: str, name: str) -> bool:
    """Whether a format may be meant for a name: it can print it, with enough literal characters."""
    if not name.startswith(form.partition("%")[0]) or len(_CONVERSION.sub("", form).strip("-_.")) < _LEAST:
        return False
    return _prints(form, name)


def _prints(form: str, name: str) -> bool:
    """Whether a format can print a name. `ends` are the places in the name where the parts so far may end."""
    ends = {0}
    for index, part in enumerate(_CONVERSION.split(form)):
        if index % 2 == 0:
            ends = {end + len(part) for end in ends if name.startswith(part, end)}
        elif part == "c":
            ends = {end + 1 for end in ends}
        else:
            allowed = _PRINTED.get(part)
            ends = {
                end for begin in ends for end in range(begin + 1, len(name) + 1) if allowed is None or allowed.issuperset(name[begin:end])
            }
    return len(name) in ends


def _is_other_name(text: str, at: int) -> bool:
    """Whether a format prints a message, or the name of something that no driver binds to."""
    before = _statement(text, at)
    into = _INTO.search(before)
    if into is None:
        return bool(_NO_MAKING.search(before))
    if not (into[2] or "").strip().endswith("name"):  # an array of the file
        return _makes_none(text)
    if re.search(r"(?:codec|card|adap|bus|dai|irq)\w*(?:_|->|\.)name\s*\Z", into[0].partition(",")[0]) and _makes_none(text):
        return True
    declared = re.compile(rf"\bstruct\s+(\w+)\s*\*?\s*(?:const\s+)?{into[1]}\b").findall(text, 0, at)
    return bool(declared) and declared[-1] in _OTHERS


def _makes_none(text: str) -> bool:
    """Whether no code of a file creates a device."""
    return _ADDING.search(text) is None and "mfd_cell" not in text and "platform_device_info" not in text


def _of_driver(text: str, at: int) -> bool:
    """Whether a name belongs to a driver: it is in a driver structure or in a table of ids, or it is the label of a GPIO chip."""
    return bool(_DRIVERS_OWN.search(text[max(0, at - _FAR) : at]))
