"""Leaks: whether a change copies uninitialised memory out of the kernel, which only KMSAN sees.

A proof sets NeedsKMSAN: an object is copied out whole and a part of it is never written, in the new version and not in the old one
(hook.evidence.memory.uninitialised). What is only likely is a signal for whoever looks further (`signals`). docs/kmsan.md has the
rules.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator

import msgspec

from hook import lazy_re, redaction
from hook.c.legible import is_legible
from hook.change.patch import FileChange, Patch
from hook.evidence.finding import Evidence, quoted
from hook.evidence.memory import sinks
from hook.kernel.kernel import Kernel
from hook.source.tree import Source
from hook.verdict import Fact

if typing.TYPE_CHECKING:
    from hook.evidence.memory import leak_search

_MOST_FILES = 200  # of one patch that are looked into; that some were not is said
_SIGNALS_SHOWN = 4  # in one reasoning
_NATURAL = frozenset(("x86_64", "s390", "arm64", "riscv", "loongarch"))  # targets with the layout of hook.c.layout
_WHY_NOT_KASAN = "KASAN does not see it: the memory is in bounds and live, but uninitialised."
# a changed line that may take zeroing away or declare a variable, wherever it stands
_MAY_MATTER = lazy_re.compile(
    r"memset|memzero|[zc]alloc|_zeroed|__GFP_ZERO|put_zero|=\s*(?:\{|0\s*[;,])|^\s*(?:[us]\d+|int|(?:un)?signed|s?size_t|long|bool)\s"
)
_LONGEST_CLAIM = 400  # characters: names of the tree stand in it, and a name may be as long as it likes
_MOST_HEADERS = 50  # of one patch, of which the old text is kept at hand


class Leaks(msgspec.Struct, frozen=True):
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
        return "\n".join(lines) or "- nothing that points at uninitialised memory"


def find(patch: Patch, evidence: Evidence, source: Source, kernel: Kernel, target_arch: str) -> Leaks:
    """What a patch may copy out of the kernel uninitialised; `source` is the tree with it applied.

    What cannot be read, or is beyond a limit, is no proof and no signal; the reasoning says that it was left out.
    """
    unread: list[str] = []
    looked_into = 0
    search: leak_search.LeakSearch | None = None
    for file, old, new in _sides(_wanted(patch, evidence), source):
        if not _may_matter(file, old, new):
            continue
        looked_into += 1
        if looked_into > _MOST_FILES:
            unread.append(file.path)
            break
        if search is None:
            from hook.evidence.memory import leak_search  # most patches pay for none of it

            headers = [one for one in _wanted(patch, evidence) if one.path.endswith(".h")]
            before = {one.old_path: text for one, text, _ in _sides(headers[:_MOST_HEADERS], source)}
            target = leak_search.LayoutTarget(kernel.environment["SRCARCH"], target_arch in _NATURAL)
            search = leak_search.LeakSearch(source, target, before, frozenset(one.path for one in patch.files))
        search.look_into(file, old, new)
        if search.is_cut:
            unread.append(file.path)
            break
    if search is None:
        return Leaks(cut=bool(unread))
    redactor = redaction.of(patch.diff)
    proved, signals = (
        tuple(msgspec.structs.replace(one, claim=redactor.text(one.claim)[:_LONGEST_CLAIM], text=redactor.text(one.text)) for one in some)
        for some in (search.facts, tuple(search.signals.values()))
    )
    skipped = f" {quoted(unread[0])} and the files after it were not looked into (limit)." if unread else ""
    if not proved:
        return Leaks(False, (_only_likely(signals) + skipped).strip(), (), signals, bool(unread))
    from hook.evidence.memory import kmsan  # what leads to the solver of options, which few changes pay for

    why = f"{proved[0].claim} ({_place(proved[0])}). {_WHY_NOT_KASAN}"
    hindrance = kmsan.hindrance(kernel, target_arch)
    if hindrance:
        return Leaks(False, f"KMSAN would be needed, but {hindrance}: {why}{skipped}", proved, signals, bool(unread))
    return Leaks(True, why + skipped, proved, signals, bool(unread))


def _only_likely(signals: tuple[Fact, ...]) -> str:
    if not signals:
        return ""
    named = "; ".join(f"{one.claim} ({_place(one)})" for one in signals[:_SIGNALS_SHOWN])
    more = f"; and {len(signals) - _SIGNALS_SHOWN} more" if len(signals) > _SIGNALS_SHOWN else ""
    return f"Not proved. What may copy uninitialised memory out: {named}{more}."


def _place(fact: Fact) -> str:
    return f"{fact.place.path}:{fact.place.line}"


def _wanted(patch: Patch, evidence: Evidence) -> list[FileChange]:
    """The C files of a patch that may change what the kernel does."""
    return [
        file
        for file, finding in zip(patch.files, evidence.findings, strict=True)
        if not finding.proof and file.path.endswith((".c", ".h")) and file.is_text_file and file.new_blob
    ]


def _sides(files: Iterable[FileChange], source: Source) -> Iterator[tuple[FileChange, bytes, bytes]]:
    """The files that can be read, with their text before and after."""
    for file in files:
        read = [found for _, found in source.objects.read_all([oid for oid in (file.old_blob, file.new_blob) if oid])]
        texts = [found.data for found in read if found is not None and found.data is not None]
        if len(texts) == len(read) and all(b"\0" not in text and is_legible(text) for text in texts):
            yield file, texts[0] if file.old_blob else b"", texts[-1]


def _may_matter(file: FileChange, old: bytes, new: bytes) -> bool:
    """Whether anything could be found for a file; what costs little to rule out is ruled out here."""
    if file.path.endswith(".h") or sinks.WORTH_READING.search(new) or sinks.WORTH_READING.search(old):
        return True
    return any(_MAY_MATTER.search(line) for hunk in file.hunks for _, line in (*hunk.added, *hunk.removed))
