"""Signals: what in a changed function may let uninitialised memory be read, though nothing proves that it is.

Whoever looks further starts there: zeroing that is gone, a call that copies out what is not seen to be set, a length that changed, a
variable that is read before anything sets it. An object that is seen to be set whole gives none.
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
    """A claim about a place in the new version, or in the old one where what it names is gone."""

    claim: str
    offset: int
    is_old: bool = False


def find(old: File, was: Definition | None, new: File, function: Definition) -> Iterator[Signal]:
    """What in a function may matter; `was` is its old version, None where it is new."""
    after = new.body(function)
    before = old.body(was) if was is not None else body.read(b"", 0, 0)
    leaving = {name for name, opening in after.calls() if name in SINKS or name in LIKELY_SINKS}
    yield from _zeroing_gone(new, function, before, after)
    yield from _zeroing_come(before, after)
    yield from _uninitialised_variables(before, after)
    if leaving:
        yield from _copies(new, function, before, after)
        yield from _members_gone(new, function, before, after)
        yield from _lengths(before, after)


class _Zeroing(msgspec.Struct, frozen=True):
    """A place where all of something is set at once."""

    way: bytes  # the call, or ={ and =0 for an initialiser
    target: bytes  # empty where it has no name
    offset: int


def _zeroed(text: Body) -> list[_Zeroing]:
    """What a function sets whole."""
    found = []
    for name, opening in text.calls():
        arguments = text.arguments(opening)
        offset = text.offsets[opening - 1]
        if arguments and (name in sinks.ZEROING or (name in sinks.FILLING and b"sizeof" in text.text(*arguments[-1]))):
            target = b"".join(text.text(*text.uncast(*arguments[0])))
            found.append(_Zeroing(name, target.lstrip(b"&"), offset))
        elif name in sinks.ZEROED or any(b"__GFP_ZERO" in text.text(*one) for one in arguments):
            target = text.tokens[opening - 3] if opening >= 3 and text.tokens[opening - 2] == b"=" else b""
            found.append(_Zeroing(name, target, offset))
    for at, token in enumerate(text.tokens):
        if token != b"=" or not body.is_name(text.before(at)):
            continue
        if text.after(at) == b"{":
            empty = text.partner.get(at + 1, 0) <= at + 3
            found.append(_Zeroing(b"={}" if empty else b"={", text.before(at), text.offsets[at - 1]))
        elif text.after(at) == b"0" and _is_declared(text, at - 1):
            found.append(_Zeroing(b"=0", text.before(at), text.offsets[at - 1]))
    return found


def _is_declared(text: Body, at: int) -> bool:
    """Whether a name stands in a declaration: a type is before it."""
    before = text.before(at)
    if body.is_name(before):
        return before not in (b"return", b"else", b"goto", b"case")
    # the second name of a list
    return before == b"," and text.tokens[text.inside[at]] == b"{" and not _SCALARS.isdisjoint(text.tokens[max(0, at - 12) : at])


def _shown(one: _Zeroing) -> str:
    how = "its initialiser" if one.way.startswith(b"=") else f"{one.way.decode('ascii', 'replace')}()"
    return f"{one.target.decode('ascii', 'replace') or 'what it gives'} ({how})"


def _zeroing_gone(file: File, function: Definition, before: Body, after: Body) -> Iterator[Signal]:
    """What was set whole, and is so in fewer places now."""
    now = _zeroed(after)
    left = collections.Counter(one.target for one in now if one.target)
    ways = collections.Counter((one.way, one.target) for one in now)
    known = {one.name: one for one in uninitialised_objects(after)}
    for one in _zeroed(before):
        if ways[one.way, one.target] > 0:
            ways[one.way, one.target] -= 1
            left[one.target] -= 1
            continue
        initialised = next((other for other in now if other.way == b"={" and other.target == one.target), None)
        if initialised is not None and not one.way.startswith(b"=") and _has_padding(file, after, one.target):
            name = one.target.decode("ascii", "replace")
            yield Signal(f"{name} is set by an initialiser alone, which leaves its padding uninitialised", initialised.offset)
        if one.target and left[one.target] > 0:
            left[one.target] -= 1
            continue
        first = _FIRST_NAME.search(one.target)
        if first and first.group() not in after.tokens:
            continue  # the object itself is gone
        if one.way in sinks.ZEROED and not one.target and sinks.ZEROED[one.way] not in after.tokens:
            continue  # so is what was allocated
        if one.target in known and uninitialised.is_written(file, function, known[one.target]):
            continue
        yield Signal(f"no longer initialises all of {_shown(one)}", one.offset, is_old=True)


def _has_padding(file: File, text: Body, name: bytes) -> bool:
    """Whether a struct that is declared there has padding, or is not understood."""
    at = next(text.places(name), 0)
    if at < 2 or text.tokens[at - 2] != b"struct":
        return False
    try:
        layout = file.structs.layout(text.tokens[at - 1].decode("ascii", "replace"))
    except NotUnderstood:
        return True
    return layout.padded and (layout.size is None or any(layout.gaps()))


def _zeroing_come(before: Body, after: Body) -> Iterator[Signal]:
    """What is set whole now, and was not before: a signal for the code before the change."""
    was = {one.target for one in _zeroed(before)}
    for one in _zeroed(after):
        if one.target not in was and one.target in before.tokens and one.way != b"=0":
            yield Signal(f"initialises all of {_shown(one)}; before the change it may have been read uninitialised", one.offset)


def _calls(text: Body) -> Iterator[tuple[bytes, int, tuple[bytes, ...]]]:
    for name, opening in text.calls():
        if name in SINKS or name in LIKELY_SINKS:
            yield name, opening, text.text(opening - 1, text.partner[opening] + 1)


def _copies(file: File, function: Definition, before: Body, after: Body) -> Iterator[Signal]:
    """Calls that are new, or that say something else than before, of objects that are not seen to be set whole."""
    was = collections.Counter(words for _, _, words in _calls(before))
    known = {one.name: one for one in uninitialised_objects(after)}
    zeroed = {one.target for one in _zeroed(after)}
    for name, opening, words in _calls(after):
        if was[words] > 0:
            was[words] -= 1
            continue
        taken = _objects_in(name, after, opening)
        if taken and all(one in zeroed or _is_set(file, function, known.get(one), after, one) for one in taken):
            continue
        yield Signal(f"copies something out: {_text(words)}", after.offsets[opening - 1])


def _objects_in(name: bytes, text: Body, opening: int) -> list[bytes]:
    """The variable that a call takes the bytes from; of a call whose arguments are not known, every one that it names."""
    arguments = text.arguments(opening)
    if name in SINKS and SINKS[name].source < len(arguments):
        arguments = [arguments[SINKS[name].source]]
    found = []
    for start, end in arguments:
        start, end = text.uncast(start, end)
        found += [text.tokens[at] for at in range(start, end) if body.is_name(text.tokens[at])][:1]
    return found


def _is_set(file: File, function: Definition, one: UninitialisedObject | None, text: Body, name: bytes) -> bool:
    """Whether an object is seen to be written whole: every member, and no padding is between them."""
    if one is None:
        return any(text.after(at) == b"=" and text.after(at + 1) == b"{" for at in text.places(name))
    return uninitialised.is_written(file, function, one)


def _members_gone(file: File, function: Definition, before: Body, after: Body) -> Iterator[Signal]:
    """Members of what is copied out that are no longer assigned."""
    whole = {one.name for one in uninitialised_objects(after) if uninitialised.is_written(file, function, one)}
    whole |= {one.target for one in _zeroed(after)}  # an initialiser sets all members, those too that it does not name
    taken = {one for name, opening, _ in _calls(after) for one in _objects_in(name, after, opening)} - whole
    now = {words for _, words in _members(after)}
    for offset, words in _members(before):
        if words[0] in taken and words not in now:
            yield Signal(f"no longer sets {_text(words)}, which is copied out", offset, is_old=True)


def _members(text: Body) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """The members that are assigned: `info.flags` as its tokens."""
    for at, token in enumerate(text.tokens):
        if token in _ASSIGNMENTS:
            start = at
            while start >= 2 and text.tokens[start - 2] in (b".", b"->") and body.is_name(text.tokens[start - 1]):
                start -= 2
            if start < at and body.is_name(text.before(start)):
                yield text.offsets[start - 1], text.text(start - 1, at)


def _lengths(before: Body, after: Body) -> Iterator[Signal]:
    """How many bytes leave, where that is worked out or bounded in another way."""
    names: dict[bytes, bytes] = {}
    for name, opening, _ in _calls(after):
        arguments = after.arguments(opening)
        if name in SINKS and SINKS[name].size < len(arguments):
            words = after.text(*arguments[SINKS[name].size])
            if b"sizeof" not in words:
                names.update({word: name for word in words if body.is_name(word)})
    for is_old, (here, there) in enumerate(((after, before), (before, after))):
        other = collections.Counter(words for _, words in _statements(there))
        for offset, words in _statements(here):
            if other[words] > 0:
                other[words] -= 1
                continue
            # of a check every name in it may be bounded, of an assignment only the one that it gives a value to
            bounded = next((word for word in (words if words[0] == b"if" else words[:1]) if word in names), b"")
            if bounded:
                depends = "no longer depends" if is_old else "depends now"
                call = names[bounded].decode("ascii", "replace")
                yield Signal(f"the length that {call}() takes {depends} on {_text(words)}", offset, bool(is_old))


def _statements(text: Body) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """Assignments to a plain name, which comes first, and the conditions of every `if`."""
    for at, token in enumerate(text.tokens):
        if token in _ASSIGNMENTS and at and body.is_name(text.before(at)) and text.before(at - 1) not in (b".", b"->"):
            end = next((place for place in range(at, min(at + _LONGEST, len(text.tokens))) if text.tokens[place] == b";"), at)
            yield text.offsets[at - 1], text.text(at - 1, end)
        elif token == b"if" and at + 1 in text.partner:
            yield text.offsets[at], text.text(at, text.partner[at + 1] + 1)


def _uninitialised_variables(before: Body, after: Body) -> Iterator[Signal]:
    """Variables that are read, in the order of the text, before anything sets them."""
    was = {name for name, _ in _read_first(before)}
    for name, offset in _read_first(after):
        if name not in was:
            yield Signal(f"{name.decode('ascii', 'replace')} is read here before it is set", offset)


def _read_first(text: Body) -> Iterator[tuple[bytes, int]]:
    for at, token in enumerate(text.tokens):
        if token not in _SCALARS or text.before(at) not in (b"{", b"}", b";") or text.tokens[text.inside[at]] != b"{":
            continue
        place = at + 1
        while place < len(text.tokens) and text.tokens[place] in _SCALARS:
            place += 1
        while place + 1 < len(text.tokens) and body.is_name(text.tokens[place]) and text.after(place) in (b",", b";"):
            if (offset := _first_is_read(text, place)) is not None:
                yield text.tokens[place], offset
            if text.after(place) == b";":
                break
            place += 2


def _first_is_read(text: Body, declared: int) -> int | None:
    name = text.tokens[declared]
    used = next((at for at in text.places(name) if at > declared), None)
    if used is None:
        return None
    before, after = text.before(used), text.after(used)
    opening = text.inside[used]
    if after == b"=" or before == b"&" or (opening >= 0 and text.tokens[opening] == b"(" and text.called(opening)):
        return None  # set, or handed to what may set it
    if after not in (b";", b")", b"+", b"-", b"<", b">", b"==", b"!=", b"<=", b">=", b"&&", b"||", b"*", b"?", *_ASSIGNMENTS):
        return None
    return text.offsets[used]


def _text(words: tuple[bytes, ...]) -> str:
    text = b" ".join(words[:_MOST_WORDS]).decode("ascii", "replace") + (" …" if len(words) > _MOST_WORDS else "")
    return _TIGHT.sub(lambda match: match[1] + (" " if match[1] == "," else ""), text)
