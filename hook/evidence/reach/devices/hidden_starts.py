"""Hidden starts: what may run code of a file without a device, and without an initcall that can be followed.

A macro of the file's own that makes an initcall; assembly or attributes that put something into a linker section; a system call.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE, NOT_A_MACRO, NOT_DEFINED
from hook.kernel.entry_points import STARTING
from hook.kernel.texts import Texts

_WORDS = BEFORE_A_VALUE | NOT_DEFINED | NOT_A_MACRO
_STATEMENT = lazy_re.compile(r"(?m)^[ \t]*([A-Za-z_]\w*)[ \t]*\(")
_DIRECT = lazy_re.compile(
    r"(?m)\b((?:COMPAT_)?SYSCALL(?:32|64)?_DEFINE\w*|DEFINE_STATIC_CALL\w*|__(?:init|used)_or_\w+)[ \t]*\("
    r"|\b(__section)[ \t]*\(|\b__attribute__[ \t]*\(\([^;{}=]{0,80}?\b(_*section_*|_*constructor_*)\b|^[ \t]*(asm|__asm|__asm__)\b"
)
# macros of kernel headers that start nothing; one that the file defines itself is read instead
_KNOWN = lazy_re.compile(
    r"(?:MODULE|EXPORT|DEFINE|DECLARE|SND|SOC|SIMPLE|UNIVERSAL|RUNTIME)_\w+|\w*(?:ATTR|EXPORT_SYMBOL|DEV_PM_OPS|LIST_HEAD|_HEAD|ENUM)\w*|module_\w+"
    r"|\w*initcall\w*|builtin_\w+|drm_module_\w+|\w+_module_drivers?|cpufreq_governor_init|static_assert|_Static_assert|BUILD_BUG_ON\w*"
    r"|PNAME|\w+_DECLARE\w*|__setup|early_param"
    r"|\w*param\w*|kunit_test\w*|if|while|for|switch|return|sizeof|defined|__\w+"
)

_OF_A_BUS = lazy_re.compile(r"(?:module|builtin|drm_module)_\w+")
_PLAIN = lazy_re.compile(r"\b(?:module|builtin)_(?:\w+_)?driver\s*\(")
_MOST_HEADERS = 8  # that may define a macro


def hidden_starts(texts: Texts, path: str) -> Iterator[tuple[str, int]]:
    """Each hidden start of a file: a sentence, and its offset."""
    text = texts.get(path) or ""
    inside = _Spans(texts, path)
    for direct in _DIRECT.finditer(text):
        if direct[4] is None or not inside.holds(direct.start()):
            yield f"{next(filter(None, direct.groups()))} runs code of this object without a device", direct.start()
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
    for name in own:
        if own[name] and name not in seen and (alone := re.search(rf"(?m)^[ \t]*{name}[ \t]*;?[ \t]*$", text)):
            yield f"{name} may run code of this object at boot", alone.start()


class _Spans:
    """The functions, variables and macros of a file: what is inside of none of them is a file-scope statement."""

    def __init__(self, texts: Texts, path: str) -> None:
        kinds = (DefinitionKind.FUNCTION, DefinitionKind.MACRO, DefinitionKind.VARIABLE)
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
        # the definition in a header of the driver's own directory counts before the kernel's
        headers = [header for header in texts.defining(name) if header.endswith(".h")]
        headers = [
            header
            for header in headers
            if header.startswith(f"{folder}/") or (not is_known and ("include/" in header or header.split("/")[:3] == path.split("/")[:3]))
        ]
    return len(headers) > _MOST_HEADERS or any(_starting_macros(texts, header).get(name, False) for header in headers)
