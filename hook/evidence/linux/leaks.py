"""Leaks: whether a change lets memory that nobody has set leave the kernel, which only KMSAN sees.

What is proved sets NeedsKMSAN: an object leaves whole and a part of it is never written, in the new version and not in the old one
(hook.evidence.linux.unset). What is only likely is a signal for whoever looks further (hook.evidence.linux.hints). docs/kmsan.md has the
rules.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator, Mapping

from hook import redaction
from hook.change.patch import FileChange, Patch
from hook.evidence import segments
from hook.evidence.harmless import Evidence, quoted
from hook.evidence.linux import hints, kmsan, unset
from hook.evidence.linux.configs import Configurer
from hook.evidence.linux.sinks import SINKS, WORTH_READING
from hook.evidence.linux.structs import Structs
from hook.evidence.linux.unset import File, Unset
from hook.source.definitions import Definition, DefinitionKind, scan
from hook.source.index import NoIndex
from hook.source.tree import Source
from hook.verdict import Answer, Fact, Place

_MOST_SECONDS = 0.5  # for one patch; what is not looked at by then is said
_MOST_FUNCTIONS = 120  # of one file
_MOST_USERS = 16  # files that are looked into for who copies out a struct of a header
_MOST_SIGNALS = 12
_SIGNALS_SHOWN = 4  # in one reasoning
_DEEPEST_CALLERS = 2  # functions of the file that lead to a changed one
_LONGEST_TEXT = 200
_WHY_NOT_KASAN = "KASAN would not see it: the memory is in bounds and live, it only was never set."


@dataclasses.dataclass(frozen=True)
class Leaks:
    """Whether a change needs KMSAN, and what says so."""

    needs: bool = False
    reasoning: str = ""
    proved: tuple[Fact, ...] = ()
    signals: tuple[Fact, ...] = ()
    cut: bool = False  # whether a limit was met, so that another look may find more

    @property
    def facts(self) -> str:
        """What was found, as lines for whoever looks further."""
        lines = [f"- proved: {one.claim} ({_place(one)})" for one in self.proved]
        lines += [f"- {one.claim} ({_place(one)})" for one in self.signals]
        return "\n".join(lines) or "- nothing that points at unset memory"


@dataclasses.dataclass
class _Found:
    proofs: list[tuple[Unset, str, str, bytes]] = dataclasses.field(default_factory=list)  # of which file: path, blob, text
    signals: dict[tuple[str, str], Fact] = dataclasses.field(default_factory=dict)  # by path and claim

    def signal(self, claim: str, path: str, line: int, blob: str, text: str) -> None:
        if len(self.signals) < _MOST_SIGNALS:
            self.signals.setdefault((path, claim), Fact(claim, Place(quoted(path), line, blob), text))


def find(patch: Patch, evidence: Evidence, source: Source, configurer: Configurer, target_arch: str) -> Leaks:
    """What a patch may leave unset of what leaves the kernel; `source` is the tree with it applied.

    What cannot be read, or not in time, is no proof and no signal; the reasoning says that it was left out.
    """
    until = time.monotonic() + _MOST_SECONDS
    arch = configurer.environment["SRCARCH"]
    found = _Found()
    late: list[str] = []
    sides = _sides(patch, evidence, source)
    before = {file.old_path: old for file, old, _ in sides}
    for file, old, new in sides:
        if time.monotonic() < until:
            _look_into(file, old, new, source, arch, before, found, until)
        if time.monotonic() > until:
            late.append(file.path)
    redactor = redaction.of(patch.diff)
    facts = tuple(_facts(found.proofs))
    proved, signals = (
        tuple(dataclasses.replace(one, claim=redactor.text(one.claim), text=redactor.text(one.text)) for one in some)
        for some in (facts, tuple(found.signals.values()))
    )
    skipped = f" {late[0]} and what follows it were not looked into whole within {_MOST_SECONDS:g} s." if late else ""
    if not proved:
        return Leaks(False, (_only_likely(signals) + skipped).strip(), (), signals, bool(late))
    why = f"{proved[0].claim} ({_place(proved[0])}). {_WHY_NOT_KASAN}"
    hindrance = kmsan.hindrance(configurer, target_arch)
    if hindrance:
        return Leaks(False, f"KMSAN would be needed, but {hindrance}: {why}{skipped}", proved, signals, bool(late))
    return Leaks(True, why + skipped, proved, signals, bool(late))


def _only_likely(signals: tuple[Fact, ...]) -> str:
    if not signals:
        return ""
    named = "; ".join(f"{one.claim} ({_place(one)})" for one in signals[:_SIGNALS_SHOWN])
    more = f"; and {len(signals) - _SIGNALS_SHOWN} more" if len(signals) > _SIGNALS_SHOWN else ""
    return f"Not proved. What may let unset memory out: {named}{more}."


def _place(fact: Fact) -> str:
    return f"{fact.place.path}:{fact.place.line}"


def _sides(patch: Patch, evidence: Evidence, source: Source) -> list[tuple[FileChange, bytes, bytes]]:
    """The C files of a patch that may matter, with their text before and after."""
    wanted = [
        file
        for file, finding in zip(patch.files, evidence.findings, strict=True)
        if finding.functional is not Answer.NO and finding.reachable is not Answer.NO
        and file.path.endswith((".c", ".h")) and file.is_text_file and file.new_blob
    ]
    oids = [oid for file in wanted for oid in (file.old_blob, file.new_blob) if oid]
    texts = {oid: found.data for oid, found in source.objects.read_all(oids) if found is not None and found.data is not None}
    return [
        (file, texts.get(file.old_blob, b""), texts[file.new_blob])
        for file in wanted
        if file.new_blob in texts and (not file.old_blob or file.old_blob in texts) and b"\0" not in texts[file.new_blob]
    ]


def _look_into(
    file: FileChange, old: bytes, new: bytes, source: Source, arch: str, before: Mapping[str, bytes], found: _Found, until: float
) -> None:
    is_header = file.path.endswith(".h")
    if not is_header and not WORTH_READING.search(new) and not WORTH_READING.search(old):
        return
    sides = segments.read(old), segments.read(new)
    edits = [edit for edit in segments.edits(*sides) if not edit.moved]
    then = File(old, sides[0].scan, Structs(source, file.path, old, sides[0].scan, arch, before))
    now = File(new, sides[1].scan, Structs(source, file.path, new, sides[1].scan, arch))
    structs = {edit.new.name for edit in edits if edit.new and edit.either.kind is DefinitionKind.STRUCT}
    changed = {edit.new.name for edit in edits if edit.new and edit.new.is_function}
    for function in _concerned(now, changed, structs)[:_MOST_FUNCTIONS]:
        if time.monotonic() > until:
            return
        was = then.definition(function.name.encode())
        _prove(file.path, file.new_blob, then, was, now, function, found)
        if function.name in changed:
            for hint in hints.find(then, was, now, function):
                side, blob = (old, file.old_blob) if hint.is_old else (new, file.new_blob)
                found.signal(hint.claim, file.path if not hint.is_old else file.old_path, *_line(side, hint.offset, blob))
        elif structs:
            _struct_signal(file.path, file.new_blob, now, function, structs, found)
    if is_header and structs:
        _users(file, structs, source, arch, before, found, until)


def _prove(path: str, blob: str, then: File, was: Definition | None, now: File, function: Definition, found: _Found) -> None:
    """Add what is unset in the new version of a function, and was not in the old one."""
    proofs = list(unset.find(now, function))
    if not proofs:
        return
    known = {one.key: one for one in unset.find(then, was)} if was is not None else {}
    for one in proofs:
        rest = one.without(known[one.key]) if one.key in known else one
        if rest is not None:
            found.proofs.append((rest, path, blob, now.data))
        else:
            found.signal(f"{_claim(one)}, as before the change", path, *_line(now.data, one.leaving.offset, blob))


def _concerned(file: File, changed: set[str], structs: set[str]) -> list[Definition]:
    """The changed functions of a file, those that lead to them, and those that name a changed struct."""
    functions = [one for one in file.scanned.definitions if one.kind is DefinitionKind.FUNCTION and one.body[1]]
    wanted = set(changed)
    calling = [(one, {name.decode("ascii", "replace") for name, _ in file.body(one).calls()}) for one in functions] if changed else []
    near = set(changed)
    for _ in range(_DEEPEST_CALLERS):
        near = {one.name for one, called in calling if called & near} - wanted
        wanted |= near
    names = {name.encode() for name in structs}
    return [
        one for one in functions if one.name in wanted or (names and not names.isdisjoint(file.body(one).tokens))
    ]


def _struct_signal(path: str, blob: str, file: File, function: Definition, structs: set[str], found: _Found) -> None:
    """A function that copies out a struct that changed."""
    text = file.body(function)
    for one in unset.objects(text):
        if one.struct not in structs or unset.is_written(file, function, one):
            continue
        for name, opening in text.calls():
            if name in SINKS and one.name in text.tokens[opening : text.partner[opening]]:
                claim = f"struct {one.struct} changed, and {function.name}() puts one out by {name.decode()}()"
                found.signal(claim, path, *_line(file.data, text.offsets[opening - 1], blob))
                break


def _users(
    file: FileChange, structs: set[str], source: Source, arch: str, before: Mapping[str, bytes], found: _Found, until: float
) -> None:
    """The functions that put out a struct of a header that changed."""
    if source.index is None:
        return
    sinks = [name.decode().lower() for name in SINKS]
    for struct in sorted(structs):
        try:
            paths = source.holding([[struct.lower()], sinks])
        except NoIndex as wrong:
            source.index_failed(str(wrong))
            return
        for path in [one for one in paths if one.endswith(".c") and one not in before][:_MOST_USERS]:
            read = source.file(path)
            if time.monotonic() > until or read is None or read.data is None:
                continue
            scanned = scan(read.data)
            now = File(read.data, scanned, Structs(source, path, read.data, scanned, arch))
            then = File(read.data, scanned, Structs(source, path, read.data, scanned, arch, before))
            for function in _concerned(now, set(), {struct}):
                _prove(path, read.oid, then, function, now, function, found)
                _struct_signal(path, read.oid, now, function, {struct}, found)


def _claim(one: Unset) -> str:
    name, to = one.item.name.decode("ascii", "replace"), one.leaving.sink.to
    return (
        f"{one.function}() puts all of {name} (struct {one.item.struct}) out to {to} by {one.leaving.sink.name.decode()}(), "
        f"and nothing writes {one.what}"
    )


def _facts(proofs: list[tuple[Unset, str, str, bytes]]) -> Iterator[Fact]:
    for one, path, blob, data in proofs:
        line, _, text = _line(data, one.leaving.offset, blob)
        yield Fact(_claim(one), Place(quoted(path), line, blob), text)
        line, _, text = _line(data, one.item.offset, blob)
        how = "is allocated unset" if one.item.on_heap else "is declared without an initialiser"
        yield Fact(f"{one.item.name.decode('ascii', 'replace')} {how}", Place(quoted(path), line, blob), text)
        layout = one.layout
        yield Fact(f"struct {layout.name} is defined here", Place(quoted(layout.path), layout.line, layout.blob))


def _line(data: bytes, offset: int, blob: str) -> tuple[int, str, str]:
    """The number of the line at an offset, the blob it is in, and its text."""
    begin = data.rfind(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    text = data[begin : end if end >= 0 else len(data)].strip()[:_LONGEST_TEXT]
    return data.count(b"\n", 0, begin) + 1, blob, os.fsdecode(text).encode("utf-8", "replace").decode("utf-8", "replace")
