"""Units: the C files that a call path leads through, each read once, as far as the bounds go."""

from __future__ import annotations

from collections.abc import Sequence

from hook.c.legible import is_legible
from hook.c.translation_unit import TranslationUnit
from hook.source.tree import Source
from hook.source.words import is_binary


class Units:
    """The C files of a tree, each read once, as far as the bounds go."""

    def __init__(self, source: Source, most_files: int) -> None:
        self.source = source
        self._most = most_files
        self._read: dict[str, TranslationUnit | None] = {}

    @property
    def read(self) -> int:
        """How many files were read."""
        return len(self._read)

    @property
    def is_full(self) -> bool:
        """Whether as many files were read as may be."""
        return len(self._read) >= self._most

    def get(self, path: str) -> TranslationUnit | None:
        """The file at `path`; None where there is none, or no more may be read."""
        if path not in self._read:
            self.fetch([path])
        return self._read.get(path)

    def fetch(self, paths: Sequence[str]) -> None:
        """Read files that will be asked for, together, as many as may be."""
        new = [path for path in dict.fromkeys(paths) if path not in self._read][: max(0, self._most - len(self._read))]
        for path, found in zip(new, self.source.files(new), strict=True):
            is_text = found is not None and found.data is not None and not is_binary(found.data) and is_legible(found.data)
            self._read[path] = TranslationUnit(path, found.data or b"", found.oid) if found is not None and is_text else None
        if self.is_full:
            self.source.safety.at_limit = True
