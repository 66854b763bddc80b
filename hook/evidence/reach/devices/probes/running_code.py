"""Running code: what of an object may run although none of its devices is ever bound.

A probe that always fails has run until then. What it names runs, too: functions, and through variables, macros and inline functions of
headers all that these name. It is followed by words alone, and so more may be taken for running than does. Callbacks that the probe has
given to other code are named there, and count as running from then on.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.evidence.reach.devices.probes.device_getters import RunningPart
from hook.kernel.header_users import users_in_header
from hook.kernel.held_addresses import NAMES
from hook.kernel.texts import Texts

_MOST_FILES = 40  # of an object
_PASTED = "##"
# a macro at file scope, which may paste names of functions: DEVICE_ATTR_RO(name)
_MACRO = lazy_re.compile(r"(?m)^(?:static\s+|const\s+)*(?!MODULE_|EXPORT_)([A-Z_][A-Z0-9_]*)\s*\(([^;{}]*)\)")
_END = lazy_re.compile(r"\s*;")


class RunningCode(msgspec.Struct, frozen=True):
    """The names that running code mentions, of the object and of others."""

    words: frozenset[str]
    parts: tuple[RunningPart, ...] = ()  # functions that run to that place alone

    def holds(self, texts: Texts, path: str, line: int) -> bool:
        """Whether what stands in a line may run, or be used by what runs."""
        around = [one for one in texts.scan(path) if one.first_line <= line <= one.last_line]
        cut: dict[tuple[str, str], int] = {}
        for part in self.parts:
            if part.path == path:
                key = part.function, part.path
                cut[key] = max(cut.get(key, 0), texts.line(path, part.end))
        running = [one for one in around if one.name in self.words]
        return not around or any(line <= cut.get((one.name, path), line) for one in running)

    def joined(self, other: RunningCode | None) -> RunningCode:
        """This and other running code of one object."""
        if other is None:
            return self
        kept = (*self._parts_beside(other), *other._parts_beside(self))
        return RunningCode(self.words | other.words, tuple(dict.fromkeys(kept)))

    def _parts_beside(self, other: RunningCode) -> Iterator[RunningPart]:
        """The parts of functions that other running code does not run whole."""
        cut = {(part.function, part.path) for part in other.parts}
        return (part for part in self.parts if part.function not in other.words or (part.function, part.path) in cut)


def running_code(texts: Texts, members: Sequence[str], roots: Iterable[str], parts: Sequence[RunningPart]) -> RunningCode | None:
    """What runs of an object where the code that `roots` names runs; None where that is not known.

    A function that fails early counts as a whole where anything else of what runs names it: it may not fail there.
    """
    if len(members) > _MOST_FILES:
        return None
    named = texts.once(("named spans", " ".join(members)), lambda: _named(texts, members))
    if named is None:
        return None
    spans, pasting = named
    cut = {(part.function, part.path): part for part in parts}
    names = {part.function for part in parts}
    mentions: collections.Counter[str] = collections.Counter(roots)
    words: set[str] = set()
    waiting = list(dict.fromkeys(roots))
    while waiting:
        while waiting:
            word = waiting.pop()
            if word in words:
                continue
            words.add(word)
            for path, begin, end in spans.get(word, ()):
                part = cut.get((word, path))
                text = (texts.get(path) or "")[begin : part.end if part and part.begin == begin else end]
                if _PASTED in text:
                    return None  # what it pastes is not known
                mentioned_here = NAMES.findall(text)
                mentions.update(name for name in mentioned_here if name in names and name != word)
                waiting += mentioned_here
        mentioned = " ".join(words)
        for arguments in pasting:
            if any(argument in mentioned for argument in arguments):
                joined = [name for name in spans for one in arguments if name.startswith(f"{one}_") or name.endswith(f"_{one}")]
                mentions.update(names.intersection(joined))
                waiting += [name for name in (*arguments, *joined) if name not in words]
    if any(mentions[name] > 1 for name in names):
        return running_code(texts, members, roots, ())
    return RunningCode(frozenset(words), tuple(parts))


def _named(texts: Texts, members: Sequence[str]) -> tuple[dict[str, list[tuple[str, int, int]]], list[list[str]]] | None:
    """The spans of each name that the files of an object or their headers define, and the macros at file scope with their arguments."""
    files = list(dict.fromkeys([*members, *(header for path in members for header in texts.local_headers(path))]))
    spans: dict[str, list[tuple[str, int, int]]] = {}
    pasting: list[list[str]] = []
    shared: set[str] = set()
    for path in files:
        text = texts.get(path) or ""
        for one in texts.scan(path):
            spans.setdefault(one.name, []).append((path, *one.span))
            if one.kind is DefinitionKind.FUNCTION and one.body[1] and path in members and not texts.is_static(path, one):
                shared.add(one.name)
        pasting += [list(dict.fromkeys(NAMES.findall(macro[2]))) for macro in _MACRO.finditer(text) if _END.match(text, macro.end())]
    if shared:
        holding = texts.holding([[name.lower() for name in sorted(shared)]])
        if holding is None:
            return None
        for header in (path for path in holding if path.endswith(".h") and path not in files):
            users = {user for name in shared for user in users_in_header(texts, header, name)}
            for one in texts.scan(header) if users else ():
                if one.name in users:
                    spans.setdefault(one.name, []).append((header, *one.span))
    return spans, pasting
