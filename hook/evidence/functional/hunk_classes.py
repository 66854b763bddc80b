"""Hunk classes: each hunk of a patch with its change class and the reason.

A hunk is judged alone, as if nothing else in its file had changed. So a hunk of a harmless file may stay open (one half of a rename): the
answer for the file is the one that counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from hook.change.patch import FileChange, Hunk, Patch
from hook.evidence.finding import quoted
from hook.evidence.functional import file_edits, path_table
from hook.evidence.functional.file_findings import of_file
from hook.source.tree import Source
from hook.verdict import Answer

_MOST_BYTES = 16 << 20  # compared, of one change; the hunks after that get no class
_NO_CLASS = "not classified"


class Classified(msgspec.Struct, frozen=True):
    """One hunk."""

    path: str  # as git shows it
    lines: tuple[int, int]  # of the new version, the first and the last; of the old one where nothing was added
    functional: Answer
    classes: tuple[str, ...]
    why: str


def classify(patch: Patch, source: Source, target_arch: str) -> Iterator[Classified]:
    """The hunks of `patch` in their order; `source` is the tree with it applied."""
    left = _MOST_BYTES
    for file in patch.files:
        finding = of_file(file, source, target_arch)
        language = path_table.language(file.path)
        sides = None
        if finding.compared and language and len(file.hunks) > 1:
            read = [found for _, found in source.objects.read_all([file.old_blob, file.new_blob])]
            if all(side is not None and side.data is not None for side in read):
                sides = tuple(side.data.splitlines(keepends=True) for side in read if side and side.data is not None)
        for hunk in file.hunks:
            lines = _lines(hunk)
            if sides is None or language is None:
                classes: tuple[str, ...] = finding.change_classes or (_NO_CLASS,)
                yield Classified(quoted(file.path), lines, finding.functional.answer, classes, finding.change.claim)
            elif left <= 0 or source.safety.is_over:
                yield Classified(quoted(file.path), lines, Answer.UNKNOWN, (_NO_CLASS,), "not judged: too much would have to be compared")
            else:
                left -= sum(len(line) for line in sides[0])
                yield _alone(file, hunk, language, sides[0], sides[1], source)


def _alone(file: FileChange, hunk: Hunk, language: str, old: list[bytes], new: list[bytes], source: Source) -> Classified:
    """One hunk, applied to the old version without the others."""
    with_it = b"".join(
        (
            *old[: _before(hunk.old_start, hunk.old_lines)],
            *new[_before(hunk.new_start, hunk.new_lines) :][: hunk.new_lines],
            *old[_before(hunk.old_start, hunk.old_lines) + hunk.old_lines :],
        )
    )
    edit = file_edits.compare(language, file.path, b"".join(old), with_it, source)
    return Classified(quoted(file.path), _lines(hunk), edit.functional, edit.classes or (_NO_CLASS,), edit.why)


def _before(start: int, count: int) -> int:
    """The number of lines before a range; git numbers an empty range by the line before it."""
    return start - 1 if count else start


def _lines(hunk: Hunk) -> tuple[int, int]:
    changed = hunk.added or hunk.removed
    return (changed[0][0], changed[-1][0]) if changed else (hunk.new_start, hunk.new_start)
