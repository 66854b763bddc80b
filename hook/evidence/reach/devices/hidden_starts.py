"""Hidden starts: what may run code of a file without a device, and without an initcall that can be followed.

A macro of the file's own that makes an initcall; assembly or attributes that put something into a linker section; a system call.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection, Iterator

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE, NOT_A_MACRO, NOT_DEFINED
from hook.kernel.entry_points import STARTING
from hook.kernel.held_addresses import NAMES, functions
from hook.kernel.no_kernel_code import NO_KERNEL_CODE
from hook.kernel.texts import Texts

_WORDS = BEFORE_A_VALUE | NOT_DEFINED | NOT_A_MACRO
_STATEMENT = lazy_re.compile(r"(?m)^[ \t]*([A-Za-z_]\w*)[ \t]*\(")
_DIRECT = lazy_re.compile(
    r"(?m)\b((?:COMPAT_)?SYSCALL(?:32|64)?_DEFINE\w*|DEFINE_STATIC_CALL\w*|__(?:init|used)_or_\w+)[ \t]*\("
    r"|\b(__section)[ \t]*\(|(?:\b__attribute__[ \t]*\(\(|\[\[)[^;{}=]{0,80}?\b(_*section_*|_*constructor_*)\b|^[ \t]*(asm|__asm|__asm__)\b"
)
# macros of kernel headers that start nothing; one that the file defines itself is read instead
_KNOWN = lazy_re.compile(
    r"(?:MODULE|EXPORT|DEFINE|DECLARE|SND|SOC|SIMPLE|UNIVERSAL|RUNTIME)_\w+|\w*(?:ATTR|EXPORT_SYMBOL|DEV_PM_OPS|LIST_HEAD|_HEAD|ENUM)\w*|module_\w+"
    r"|\w*initcall\w*|builtin_\w+|drm_module_\w+|\w+_module_drivers?|cpufreq_governor_init|static_assert|_Static_assert|BUILD_BUG_ON\w*"
    r"|PNAME|\w+_DECLARE\w*|__setup|early_param"
    r"|\w*param\w*|kunit_test\w*|if|while|for|switch|return|sizeof|defined|__\w+"
)

_OF_A_NODE = lazy_re.compile(r"(?:\b|_)(?:OF|IRQCHIP)_DECLARE")
_OF_A_BUS = lazy_re.compile(r"(?:module|builtin|drm_module)_\w+")
_PLAIN = lazy_re.compile(r"\b(?:module|builtin)_(?:\w+_)?driver\s*\(")
_WITH_STATEMENTS = (DefinitionKind.FUNCTION, DefinitionKind.MACRO)
_INSIDE = (*_WITH_STATEMENTS, DefinitionKind.VARIABLE)
_MOST_HEADERS = 8  # that may define a macro
# functions that, by their name, give other code something to call back
HANDING = lazy_re.compile(
    r"\w*register\w*|\w*notifier\w*|\w*_hook\w*|\w*subscribe\w*|request_\w*irq\w*|kthread_\w+|\w*schedule\w*|\w*queue_\w*work\w*"
    r"|\w*timer_setup\w*|(?:add|mod)_timer\w*|proc_\w+|misc_\w+|sysfs_create\w*|debugfs_create_(?!dir\b|[ux]\d+\b|bool\b|atomic)\w+|device_create\w*"
    r"|device_add\w*|cdev_\w+|\w*_attach\w*|\w*add_disk\w*|\w*install\w*|alloc_(?:disk|netdev|etherdev)\w*|platform_device_\w+"
    r"|platform_create_\w+|\w*_add|\w*_add_\w+|kobject_init\w*|kobject_create\w*|i2c_new_\w+|\w*_new_device|\w*_setup|\w*_start"
    r"|\w*_enable|\w*init_module|bus_for_each\w*|driver_for_each\w*|class_for_each\w*|parport_\w+|isa_\w+|\w*subsys\w*"
    r"|\w*_populate\w*|\w*create_(?:files?|groups?|bin_file)\w*"
)
# of these, functions that never call back into the caller's code; a name of a kind whose word says that it hands something on is none
HARMLESS = lazy_re.compile(
    r"(?!(?!uart_|led_trigger_|class_|bus_|root_device_|\w*chrdev_region|vga_switcheroo_|\w*unregister)\w*(?:register|notifier|_hook|callback|handler))(?:"
    r"printk\w*|(?:BUG|WARN)\w*|INIT_\w+|mutex_\w+|(?:raw_)?spin_\w+|list_\w+|mem(?:set|cpy|cmp)|str\w+|v?sn?printf|init_waitqueue\w*"
    # these call back for a port, a host, an instance or a controller, which only a driver with a device adds
    r"|dmi_check_system|ARRAY_SIZE|va_\w+|uart_(?:un)?register_driver|(?:fc|sas|sas_domain|spi|srp)_attach_transport|cpuhp_setup_state_multi|[exo]hci_init_driver"
    r"|led_trigger_register_simple"
    r"|"
    r"\w*unregister\w*|class_(?:create|destroy|register)|bus_register|root_device_register\w*|alloc_chrdev_region"
    r"|register_chrdev_region|\w+_region_start|vga_switcheroo_register_handler|list_add\w*|hlist_add\w*|kmem_cache_\w+"
    r"|mempool_\w+|atomic\w*_add\w*|crc\w*_populate\w*|pci_\w*_start|set_bit|xa_\w+|ida_\w+|idr_\w+|create_\w*workqueue"
    r"|alloc_\w*workqueue|init_completion|init_\w*work\w*|kthread_stop|cancel_\w+|\w*flush_\w+|of_\w+|acpi_get_\w+|sg_\w+"
    r"|bitmap_\w+|trace_\w+|pr_\w+|dev_(?:info|err|warn|dbg|name|set_\w+|get_\w+)|ktime_add\w*|debugfs_create_dir)"
)
# where these are defined; a function of such a name elsewhere is another driver's, and may call back
_CORE = lazy_re.compile(
    r"(?:include|lib|mm|kernel|fs|block|crypto|arch|init|net/core)/"
    r"|drivers/(?:base|of|acpi|pci|tty|scsi|usb/host|leds|gpu/vga|firmware|char|clk|spi)/"
)
# of the latter, functions that store what they are given where other code may find it
STORING = lazy_re.compile(
    r"h?list_(?:\w*_)?add\w*|list_(?:move|splice|replace)\w*|(?:xa|idr)_\w+|mem(?:cpy|move)|of_\w*(?:add|provider)\w*|dev_set_\w+"
)
# members of a bus or a class that create sysfs files without a device
FILES = lazy_re.compile(r"\.\s*(?:bus|drv|class)_(?:groups|attrs)\s*=")
OF_FILES = ("bus_register", "class_register")
FIRST = "init_module"  # what a module runs first, which module_init() makes another name of its function
# functions that call what they are given before they return
AT_ONCE = lazy_re.compile(r"acpi_get_\w+|dmi_check_system|of_(?:irq|clk)_init")
# functions that fill in a work or a timer with the function that it will run
PREPARING = lazy_re.compile(r"INIT_\w+|init_\w*work\w*")
_FIRST_BY_MACRO = lazy_re.compile(r"(?m)^[ \t]*#[ \t]*define[ \t][^\n]*\binit_module\b")
_DECLARED_ONLY = lazy_re.compile(r"\s*\(\s*(?:void)?\s*\)\s*[;,)]")
# the place of the type among the arguments of a macro; include/linux/moduleparam.h
_TYPE_PLACES = {
    **dict.fromkeys(("module_param", "module_param_unsafe", "module_param_array", "module_param_hw", "module_param_hw_array"), 1),
    **dict.fromkeys(
        ("module_param_named", "module_param_named_unsafe", "module_param_array_named", "module_param_hw_named", "core_param"), 2
    ),
    "module_param_string": 1,  # the buffer
}
_WITHOUT_TYPE = ("early_param", "__setup_param", "module_param_sysfs_setup", "module_param_sysfs_remove")  # what they start is read
_TYPE = lazy_re.compile(r"(?:byte|u?short|u?int|u?long|ullong|hexint|charp|bool(?:_enable_only)?|invbool|bint|string)\Z")  # of a parameter


def hidden_starts(texts: Texts, path: str) -> Iterator[tuple[str, int]]:
    """Each hidden start of a file: a sentence, and its offset."""
    text = texts.get(path) or ""
    inside = _Spans(texts, path)
    for direct in _DIRECT.finditer(text):
        if direct[4] is None or not inside.holds(direct.start()):
            yield f"{next(filter(None, direct.groups()))} runs code of this object without a device", direct.start()
    if (named := _names_first_function(texts, path)) >= 0:
        yield f"{FIRST}() may be another name of a function of this object", named
    own = _starting_macros(texts, path)
    seen: set[str] = set()
    for statement in _STATEMENT.finditer(text):
        name = statement[1]
        # an indented line may be a call, in a function whose end was not found
        is_outside = name in own or (statement.start(1) == statement.start() and name.encode() not in _WORDS)
        if name in seen or not is_outside or inside.holds(statement.start(1)):
            continue
        seen.add(name)
        if (own[name] if name in own else _may_start(texts, path, name)) and not texts.is_expanded_from(path, name):
            yield f"{name}() may run code of this object at boot", statement.start(1)
    outside = _Spans(texts, path, _WITH_STATEMENTS)
    starting = {name for file in (path, *texts.local_headers(path)) for name, starts in _starting_macros(texts, file).items() if starts}
    for name in sorted(starting - seen):  # without parentheses: alone on its line, or an attribute
        use = next((use.start() for use in re.finditer(rf"\b{name}\b", text) if not outside.holds(use.start())), -1)
        if use >= 0 and not texts.is_expanded_from(path, name):
            yield f"{name} may run code of this object at boot", use


def is_elsewhere(texts: Texts, name: str) -> bool:
    """Whether what has a harmless name is a function of another driver: it is defined, and not in the kernel's core."""
    places = texts.defining(name) if HARMLESS.fullmatch(name) and "unregister" not in name else []
    places = [place for place in places if not place.startswith(NO_KERNEL_CODE)]
    return bool(places) and not any(map(_CORE.match, places))


def starts_nothing(texts: Texts, path: str, name: str, at: int) -> bool:
    """Whether what looks like a start is a call of a function (__v4l2_ctrl_handler_setup()), or a macro of the file without initcall."""
    if name.startswith("__") and name.endswith("_setup"):
        return any(begin < at < end for begin, end in functions(texts, path).values())
    return name.endswith("_DECLARE") and not _OF_A_NODE.search(name) and not _starting_macros(texts, path).get(name, True)


class _Spans:
    """The functions, variables and macros of a file: what is inside of none of them is a file-scope statement."""

    def __init__(self, texts: Texts, path: str, kinds: Collection[DefinitionKind] = _INSIDE) -> None:
        spans = sorted(
            definition.body if definition.body[1] else definition.span
            for definition in texts.scan(path)
            if definition.kind in kinds and (definition.body[1] or definition.kind is not DefinitionKind.FUNCTION)
        )
        self._begins = [begin for begin, _ in spans]
        self._ends = [end for _, end in spans]

    def holds(self, offset: int) -> bool:
        """Whether a place is inside of one."""
        index = bisect.bisect_right(self._begins, offset) - 1
        return index >= 0 and self._begins[index] < offset < self._ends[index]


def _starting_macros(texts: Texts, path: str) -> dict[str, bool]:
    """The macros that a file defines, each with whether it may make an initcall, directly or through another macro."""
    return texts.once(("starting macros", path), lambda: _read_starting_macros(texts, path))


def _read_starting_macros(texts: Texts, path: str) -> dict[str, bool]:
    text = texts.get(path) or ""
    bodies: dict[str, str] = {}
    for definition in texts.scan(path):
        if definition.kind is DefinitionKind.MACRO:
            bodies[definition.name] = (
                f"{bodies.get(definition.name, '')} {text[definition.offset + len(definition.name) : definition.span[1]]}"
            )
    # module_foo_driver() of the file's own, which only calls module_driver() or the like, is read with the initcalls
    starting = {name for name, body in bodies.items() if STARTING.search(body) and not (_OF_A_BUS.fullmatch(name) and _PLAIN.search(body))}
    latest = starting
    while latest:
        words = re.compile(rf"\b(?:{'|'.join(map(re.escape, latest))})\b")
        latest = {name for name, body in bodies.items() if name not in starting and words.search(body)}
        starting = starting | latest
    return {name: name in starting for name in bodies}


def _may_start(texts: Texts, path: str, name: str) -> bool:
    """Whether a macro of a header may make an initcall. Where it is not known which header defines it, it may."""
    is_known = _KNOWN.fullmatch(name) is not None
    folder = path.rpartition("/")[0]
    if texts.source.index is None:
        headers = [header for header in texts.local_headers(path) if texts.macro(header, name)]
        if not headers:
            return not is_known and not texts.source.is_small
    else:
        # a definition in the driver's own directory, or in any place that a makefile may lead to, counts before the kernel's
        headers = [header for header in texts.defining(name) if header.endswith(".h") and not header.startswith(NO_KERNEL_CODE)]
        included = texts.raw(path) or b""
        headers = [
            header
            for header in headers
            if header.startswith(f"{folder}/")
            or (not header.startswith(("include/", "arch/")) and (is_known or header.rpartition("/")[2].encode() in included))
            or (not is_known and ("include/" in header or header.split("/")[:3] == path.split("/")[:3]))
        ]
    return len(headers) > _MOST_HEADERS or any(_starting_macros(texts, header).get(name, False) for header in headers)


def has_own_setter(texts: Texts, path: str, macro: str, arguments: str) -> bool:
    """Whether a module parameter may have a setter of the driver's own, which user space can call.

    It has none where it has a type of the kernel's own, and no header of the driver's defines that name, nor the macro, nor what the
    macro makes of the type.
    """
    place = _TYPE_PLACES.get(macro)
    given = [argument.strip() for argument in arguments.split(",")]
    if place is None or place >= len(given):
        return macro not in _WITHOUT_TYPE
    is_plain = macro == "module_param_string" or _TYPE.match(given[place]) is not None
    return not is_plain or any(_is_own_macro(texts, path, name) for name in (macro, given[place], f"param_ops_{given[place]}"))


def _is_own_macro(texts: Texts, path: str, name: str) -> bool:
    """Whether a file may mean a macro of the driver's by a name: its own, or one of a header that is no common one."""
    if NAMES.fullmatch(name) is None:
        return False
    headers = texts.local_headers(path)
    if texts.source.index is not None:
        included = texts.raw(path) or b""
        headers = tuple(
            header
            for header in texts.defining(name)
            if header.endswith(".h")
            and not header.startswith(("include/", "arch/", *NO_KERNEL_CODE))
            and (header.rpartition("/")[0] == path.rpartition("/")[0] or header.rpartition("/")[2].encode() in included)
        )
    return any(texts.macro(header, name) for header in (path, *headers))


def _names_first_function(texts: Texts, path: str) -> int:
    """Where a file names what a module runs first other than by a definition or a declaration: an alias, or a macro of its own or of its
    headers; -1 where it does not.
    """
    text = texts.get(path) or ""
    uses = [use.end() for use in re.finditer(rf"\b{FIRST}\b", text)] if FIRST not in functions(texts, path) else []
    by_macro = any(_FIRST_BY_MACRO.search((texts.get(header) or "").replace("\\\n", " ")) for header in texts.local_headers(path))
    return next((end for end in uses if _DECLARED_ONLY.match(text, end) is None), 0 if by_macro else -1)
