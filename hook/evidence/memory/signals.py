"""Signals: places in a changed function that may read uninitialised memory, without a proof.

They are where a person or the agent starts: zeroing that was removed, a call that copies out memory not known to be written, a length that
changed, a variable that is read before it is written. An object of which every part is known to be written gives no signal.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c import body
from hook.c.body import Body
from hook.c.definitions import Definition
from hook.c.struct_parser import NotUnderstood
from hook.evidence.memory import sinks, uninitialised
from hook.evidence.memory.allocations import UninitialisedObject, uninitialised_objects
from hook.evidence.memory.sinks import LIKELY_SINKS, SINKS
from hook.evidence.memory.source_file import File

_ASSIGNMENTS = frozenset(b"= += -= *= /= %= &= |= ^= <<= >>=".split())
_SCALARS = frozenset(
    b"int long short char unsigned signed bool u8 u16 u32 u64 s8 s16 s32 s64 __u8 __u16 __u32 __u64 __s32 __s64 size_t ssize_t loff_t"
    b" __le16 __le32 __le64 __be16 __be32 __be64".split()
)
_MOST_WORDS = 12  # of a call, in a claim
_LONGEST = 60  # tokens of an assignment
_FIRST_NAME = lazy_re.compile(rb"[A-Za-z_]\w*")
_TIGHT = lazy_re.compile(r" ?(\(|\)|\[|\]|->|\.|,|&|;) ?")


class Signal(msgspec.Struct, frozen=True):
    """A claim about a place in the new version, or in the old one if the code was removed."""

    claim: str
    offset: int
    is_old: bool = False


def find(old: File, old_function: Definition | None, new: File, function: Definition) -> Iterator[Signal]:
    """The signals of a function; `old_function` is its old version, None if it is new."""
    after = new.body(function)
    before = old.body(old_function) if old_function is not None else body.read(b"", 0, 0)
    leaving = {name for name, opening in after.calls() if name in SINKS or name in LIKELY_SINKS}
    yield from _zeroing_removed(new, function, before, after)
    yield from _zeroing_added(before, after)
    yield from _uninitialised_variables(before, after)
    if leaving:
        yield from _copies(new, function, before, after)
        yield from _members_removed(new, function, before, after)
        yield from _lengths(before, after)


class _Zeroing(msgspec.Struct, frozen=True):
    """A place that writes all of an object at once."""

    method: bytes  # the call, or ={ and =0 for an initialiser
    target: bytes  # empty if it has no name
    offset: int


def _zeroed(text: Body) -> list[_Zeroing]:
    """The places of a function that write all of an object."""
    zeroings = []
    for name, opening in text.calls():
        arguments = text.arguments(opening)
        offset = text.offsets[opening - 1]
        if arguments and (name in sinks.ZEROING or (name in sinks.FILLING and b"sizeof" in text.text(*arguments[-1]))):
            target = b"".join(text.text(*text.uncast(*arguments[0])))
            zeroings.append(_Zeroing(name, target.lstrip(b"&"), offset))
        elif name in sinks.ZEROED or any(b"__GFP_ZERO" in text.text(*argument) for argument in arguments):
            target = text.tokens[opening - 3] if opening >= 3 and text.tokens[opening - 2] == b"=" else b""
            zeroings.append(_Zeroing(name, target, offset))
    for position, token in enumerate(text.tokens):
        if token != b"=" or not body.is_name(text.before(position)):
            continue
        if text.after(position) == b"{":
            empty = text.partner.get(position + 1, 0) <= position + 3
            zeroings.append(_Zeroing(b"={}" if empty else b"={", text.before(position), text.offsets[position - 1]))
        elif text.after(position) == b"0" and _is_declared(text, position - 1):
            zeroings.append(_Zeroing(b"=0", text.before(position), text.offsets[position - 1]))
    return zeroings


def _is_declared(text: Body, position: int) -> bool:
    """Whether a name is in a declaration: after a type."""
    before = text.before(position)
    if body.is_name(before):
        return before not in (b"return", b"else", b"goto", b"case")
    # a later name of a list
    return (
        before == b","
        and text.tokens[text.inside[position]] == b"{"
        and not _SCALARS.isdisjoint(text.tokens[max(0, position - 12) : position])
    )


def _shown(zeroing: _Zeroing) -> str:
    how = "its initialiser" if zeroing.method.startswith(b"=") else f"{zeroing.method.decode('ascii', 'replace')}()"
    return f"{zeroing.target.decode('ascii', 'replace') or 'what it returns'} ({how})"


def _zeroing_removed(file: File, function: Definition, before: Body, after: Body) -> Iterator[Signal]:
    """Objects that were written completely, and now are in fewer places."""
    zeroed_now = _zeroed(after)
    remaining = collections.Counter(zeroing.target for zeroing in zeroed_now if zeroing.target)
    methods = collections.Counter((zeroing.method, zeroing.target) for zeroing in zeroed_now)
    objects = {item.name: item for item in uninitialised_objects(after)}
    for old in _zeroed(before):
        if methods[old.method, old.target] > 0:
            methods[old.method, old.target] -= 1
            remaining[old.target] -= 1
            continue
        initialised = next((zeroing for zeroing in zeroed_now if zeroing.method == b"={" and zeroing.target == old.target), None)
        if initialised is not None and not old.method.startswith(b"=") and _has_padding(file, after, old.target):
            name = old.target.decode("ascii", "replace")
            yield Signal(f"{name} is set by an initialiser alone, which leaves its padding uninitialised", initialised.offset)
        if old.target and remaining[old.target] > 0:
            remaining[old.target] -= 1
            continue
        first = _FIRST_NAME.search(old.target)
        if first and first.group() not in after.tokens:
            continue  # the object itself was removed
        if old.method in sinks.ZEROED and not old.target and sinks.ZEROED[old.method] not in after.tokens:
            continue  # so was the allocation
        if old.target in objects and uninitialised.is_written(file, function, objects[old.target]):
            continue
        yield Signal(f"no longer initialises all of {_shown(old)}", old.offset, is_old=True)


def _has_padding(file: File, text: Body, name: bytes) -> bool:
    """Whether the struct of a variable has padding, or is not understood."""
    position = next(text.places(name), 0)
    if position < 2 or text.tokens[position - 2] != b"struct":
        return False
    try:
        layout = file.structs.layout(text.tokens[position - 1].decode("ascii", "replace"))
    except NotUnderstood:
        return True
    return layout.padded and (layout.size is None or any(layout.gaps()))


def _zeroing_added(before: Body, after: Body) -> Iterator[Signal]:
    """Objects that are now written completely, and were not before: a signal about the old code."""
    zeroed_before = {zeroing.target for zeroing in _zeroed(before)}
    for added in _zeroed(after):
        if added.target not in zeroed_before and added.target in before.tokens and added.method != b"=0":
            yield Signal(f"initialises all of {_shown(added)}; before the change it may have been read uninitialised", added.offset)


def _calls(text: Body) -> Iterator[tuple[bytes, int, tuple[bytes, ...]]]:
    for name, opening in text.calls():
        if name in SINKS or name in LIKELY_SINKS:
            yield name, opening, text.text(opening - 1, text.partner[opening] + 1)


def _copies(file: File, function: Definition, before: Body, after: Body) -> Iterator[Signal]:
    """New or edited calls that copy out objects of which not every part is known to be written."""
    calls_before = collections.Counter(words for _, _, words in _calls(before))
    objects = {item.name: item for item in uninitialised_objects(after)}
    zeroed = {zeroing.target for zeroing in _zeroed(after)}
    for name, opening, words in _calls(after):
        if calls_before[words] > 0:
            calls_before[words] -= 1
            continue
        copied = _objects_in(name, after, opening)
        if copied and all(variable in zeroed or _is_set(file, function, objects.get(variable), after, variable) for variable in copied):
            continue
        yield Signal(f"copies something out: {_text(words)}", after.offsets[opening - 1])


def _objects_in(name: bytes, text: Body, opening: int) -> list[bytes]:
    """The variable from which a call copies; for a call whose arguments are not known, the first of each argument."""
    arguments = text.arguments(opening)
    if name in SINKS and SINKS[name].source < len(arguments):
        arguments = [arguments[SINKS[name].source]]
    names = []
    for start, end in arguments:
        start, end = text.uncast(start, end)
        names += [text.tokens[position] for position in range(start, end) if body.is_name(text.tokens[position])][:1]
    return names


def _is_set(file: File, function: Definition, item: UninitialisedObject | None, text: Body, name: bytes) -> bool:
    """Whether all of an object is known to be written: every member, and there is no padding."""
    if item is None:
        return any(text.after(position) == b"=" and text.after(position + 1) == b"{" for position in text.places(name))
    return uninitialised.is_written(file, function, item)


def _members_removed(file: File, function: Definition, before: Body, after: Body) -> Iterator[Signal]:
    """Members of a copied object that are no longer assigned."""
    complete = {item.name for item in uninitialised_objects(after) if uninitialised.is_written(file, function, item)}
    complete |= {zeroing.target for zeroing in _zeroed(after)}  # an initialiser writes all members, named or not
    copied = {variable for name, opening, _ in _calls(after) for variable in _objects_in(name, after, opening)} - complete
    assigned_now = {words for _, words in _members(after)}
    for offset, words in _members(before):
        if words[0] in copied and words not in assigned_now:
            yield Signal(f"no longer sets {_text(words)}, which is copied out", offset, is_old=True)


def _members(text: Body) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """The members that are assigned: `info.flags` as its tokens."""
    for position, token in enumerate(text.tokens):
        if token in _ASSIGNMENTS:
            start = position
            while start >= 2 and text.tokens[start - 2] in (b".", b"->") and body.is_name(text.tokens[start - 1]):
                start -= 2
            if start < position and body.is_name(text.before(start)):
                yield text.offsets[start - 1], text.text(start - 1, position)


def _lengths(before: Body, after: Body) -> Iterator[Signal]:
    """Changed assignments and checks of the length of a copy."""
    names: dict[bytes, bytes] = {}
    for name, opening, _ in _calls(after):
        arguments = after.arguments(opening)
        if name in SINKS and SINKS[name].size < len(arguments):
            words = after.text(*arguments[SINKS[name].size])
            if b"sizeof" not in words:
                names.update({word: name for word in words if body.is_name(word)})
    for is_old, (here, there) in enumerate(((after, before), (before, after))):
        remaining = collections.Counter(words for _, words in _statements(there))
        for offset, words in _statements(here):
            if remaining[words] > 0:
                remaining[words] -= 1
                continue
            # a check may bound every name in it, an assignment only its left side
            bounded = next((word for word in (words if words[0] == b"if" else words[:1]) if word in names), b"")
            if bounded:
                depends = "no longer depends" if is_old else "depends now"
                call = names[bounded].decode("ascii", "replace")
                yield Signal(f"the length that {call}() takes {depends} on {_text(words)}", offset, bool(is_old))


def _statements(text: Body) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """The assignments to a plain name, and the conditions of every `if`, each as its tokens."""
    for position, token in enumerate(text.tokens):
        if token in _ASSIGNMENTS and position and body.is_name(text.before(position)) and text.before(position - 1) not in (b".", b"->"):
            end = next(
                (place for place in range(position, min(position + _LONGEST, len(text.tokens))) if text.tokens[place] == b";"),
                position,
            )
            yield text.offsets[position - 1], text.text(position - 1, end)
        elif token == b"if" and position + 1 in text.partner:
            yield text.offsets[position], text.text(position, text.partner[position + 1] + 1)


def _uninitialised_variables(before: Body, after: Body) -> Iterator[Signal]:
    """Variables that are now read, in the order of the text, before anything writes them."""
    read_before = {name for name, _ in _read_first(before)}
    for name, offset in _read_first(after):
        if name not in read_before:
            yield Signal(f"{name.decode('ascii', 'replace')} is read here before it is set", offset)


def _read_first(text: Body) -> Iterator[tuple[bytes, int]]:
    for position, token in enumerate(text.tokens):
        if token not in _SCALARS or text.before(position) not in (b"{", b"}", b";") or text.tokens[text.inside[position]] != b"{":
            continue
        declarator = position + 1
        while declarator < len(text.tokens) and text.tokens[declarator] in _SCALARS:
            declarator += 1
        while declarator + 1 < len(text.tokens) and body.is_name(text.tokens[declarator]) and text.after(declarator) in (b",", b";"):
            if (offset := _first_read(text, declarator)) is not None:
                yield text.tokens[declarator], offset
            if text.after(declarator) == b";":
                break
            declarator += 2


def _first_read(text: Body, declared: int) -> int | None:
    name = text.tokens[declared]
    used = next((position for position in text.places(name) if position > declared), None)
    if used is None:
        return None
    before, after = text.before(used), text.after(used)
    opening = text.inside[used]
    if after == b"=" or before == b"&" or (opening >= 0 and text.tokens[opening] == b"(" and text.called(opening)):
        return None  # written, or passed to a call that may write it
    if after not in (b";", b")", b"+", b"-", b"<", b">", b"==", b"!=", b"<=", b">=", b"&&", b"||", b"*", b"?", *_ASSIGNMENTS):
        return None
    return text.offsets[used]


def _text(words: tuple[bytes, ...]) -> str:
    text = b" ".join(words[:_MOST_WORDS]).decode("ascii", "replace") + (" …" if len(words) > _MOST_WORDS else "")
    return _TIGHT.sub(lambda match: match[1] + (" " if match[1] == "," else ""), text)
