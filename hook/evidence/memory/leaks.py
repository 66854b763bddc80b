"""Leaks: whether a change copies uninitialised memory out of the kernel, which only KMSAN sees.

A proof sets NeedsKMSAN: a complete object is copied out and a part of it is never written, in the new version and not in the old one
(hook.evidence.memory.uninitialised). What is only likely is a signal, for a person or the agent (`signals`). docs/kmsan.md has the rules.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator

import msgspec

from hook import lazy_re, redaction
from hook.c import segments, translation_unit
from hook.c.definitions import DefinitionKind
from hook.c.legible import is_legible
from hook.change.patch import FileChange, Patch
from hook.evidence.finding import Evidence, quoted
from hook.evidence.memory import sinks
from hook.kernel.kernel import Kernel
from hook.source.tree import Source
from hook.verdict import Fact

if typing.TYPE_CHECKING:
    from hook.evidence.memory import leak_search

_MOST_FILES = 200  # of one patch that are searched; the reasoning says if some were not
_SIGNALS_SHOWN = 4  # in one reasoning
_NATURAL = frozenset(("x86_64", "s390", "arm64", "riscv", "loongarch"))  # targets with the layout of hook.c.layout
_WHY_NOT_KASAN = "KASAN does not see it: the memory is in bounds and live, but uninitialised."
# a changed line that may remove zeroing or declare a variable
_MAY_MATTER = lazy_re.compile(
    r"memset|memzero|[zc]alloc|_zeroed|__GFP_ZERO|put_zero|=\s*(?:\{|0\s*[;,])|^\s*(?:[us]\d+|int|(?:un)?signed|s?size_t|long|bool)\s"
)
_LONGEST_CLAIM = 400  # characters: a claim has names of the tree in it, and these may have any length
_MOST_HEADERS = 50  # of one patch, whose old text is kept in memory


class Leaks(msgspec.Struct, frozen=True):
    """Whether a change needs KMSAN, and why."""

    needs: bool = False
    reasoning: str = ""
    proved: tuple[Fact, ...] = ()
    signals: tuple[Fact, ...] = ()
    cut: bool = False  # whether a limit ended the search, so that a longer one may find more

    @property
    def facts(self) -> str:
        """The proofs and signals, as lines for the agent."""
        lines = [f"- proved: {fact.claim} ({_place(fact)})" for fact in self.proved]
        lines += [f"- {fact.claim} ({_place(fact)})" for fact in self.signals]
        return "\n".join(lines) or "- no sign of uninitialised memory"


def find(patch: Patch, evidence: Evidence, source: Source, kernel: Kernel, target_arch: str) -> Leaks:
    """The uninitialised memory that a patch may copy out of the kernel; `source` is the tree with the patch applied.

    A file that cannot be read, or that is past a limit, gives no proof and no signal; for a limit, the reasoning says so.
    """
    skipped_files: list[str] = []
    searched = 0
    search: leak_search.LeakSearch | None = None
    for file, old, new in _sides(_wanted(patch, evidence), source):
        if not _may_matter(file, old, new):
            continue
        searched += 1
        if searched > _MOST_FILES:
            skipped_files.append(file.path)
            break
        if not _edits_function_or_struct(old, new):
            continue  # nothing copies out more, or less
        if search is None:
            from hook.evidence.memory import leak_search  # most patches do not need it

            headers = [changed for changed in _wanted(patch, evidence) if changed.path.endswith(".h")]
            before = {changed.old_path: text for changed, text, _ in _sides(headers[:_MOST_HEADERS], source)}
            target = leak_search.LayoutTarget(kernel.environment["SRCARCH"], target_arch in _NATURAL)
            search = leak_search.LeakSearch(source, target, before, frozenset(changed.path for changed in patch.files))
        search.search(file, old, new)
        if search.is_cut:
            skipped_files.append(file.path)
            break
    if search is None:
        return Leaks(cut=bool(skipped_files))
    redactor = redaction.of(patch.diff)
    proved, signals = (
        tuple(
            msgspec.structs.replace(fact, claim=redactor.text(fact.claim)[:_LONGEST_CLAIM], text=redactor.text(fact.text)) for fact in facts
        )
        for facts in (search.facts, tuple(search.signals.values()))
    )
    skipped = f" {quoted(skipped_files[0])} and the files after it were not searched (limit)." if skipped_files else ""
    if not proved:
        return Leaks(False, (_only_likely(signals) + skipped).strip(), (), signals, bool(skipped_files))
    from hook.evidence.memory import kmsan  # it imports the solver of options, which few changes need

    reason = f"{proved[0].claim} ({_place(proved[0])}). {_WHY_NOT_KASAN}"
    hindrance = kmsan.hindrance(kernel, target_arch)
    if hindrance:
        return Leaks(False, f"KMSAN would find it, but {hindrance}: {reason}{skipped}", proved, signals, bool(skipped_files))
    return Leaks(True, reason + skipped, proved, signals, bool(skipped_files))


def _only_likely(signals: tuple[Fact, ...]) -> str:
    if not signals:
        return ""
    listed = "; ".join(f"{fact.claim} ({_place(fact)})" for fact in signals[:_SIGNALS_SHOWN])
    rest = f"; and {len(signals) - _SIGNALS_SHOWN} more" if len(signals) > _SIGNALS_SHOWN else ""
    return f"Not proved. Places that may copy out uninitialised memory: {listed}{rest}."


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
        blobs = [blob for _, blob in source.objects.read_all([oid for oid in (file.old_blob, file.new_blob) if oid])]
        texts = [blob.data for blob in blobs if blob is not None and blob.data is not None]
        if len(texts) == len(blobs) and all(b"\0" not in text and is_legible(text) for text in texts):
            yield file, texts[0] if file.old_blob else b"", texts[-1]


def _edits_function_or_struct(old: bytes, new: bytes) -> bool:
    """Whether a function or a struct is not what it was, or is new: only such, and what uses them, is searched."""
    edits = segments.edits(translation_unit.of_text(old).segments, translation_unit.of_text(new).segments)
    return any(edit.new and not edit.moved and (edit.new.is_function or edit.either.kind is DefinitionKind.STRUCT) for edit in edits)


def _may_matter(file: FileChange, old: bytes, new: bytes) -> bool:
    """Whether a search of a file could find anything: a cheap test."""
    if file.path.endswith(".h") or sinks.is_worth_reading(new) or sinks.is_worth_reading(old):
        return True
    return any(_MAY_MATTER.search(line) for hunk in file.hunks for _, line in (*hunk.added, *hunk.removed))
