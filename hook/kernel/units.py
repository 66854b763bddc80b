"""Translation units: the C files of a call path, each read once, within a limit."""

from __future__ import annotations

from collections.abc import Sequence

from hook.c.legible import is_legible
from hook.c.translation_unit import TranslationUnit
from hook.source.tree import Source
from hook.source.words import is_binary


class Units:
    """The C files of a tree, each read once, up to a limit."""

    def __init__(self, source: Source, most_files: int) -> None:
        self.source = source
        self._most = most_files
        self._read: dict[str, TranslationUnit | None] = {}

    @property
    def read(self) -> int:
        """The number of files that were read."""
        return len(self._read)

    @property
    def is_full(self) -> bool:
        """Whether the limit on files is reached."""
        return len(self._read) >= self._most

    def get(self, path: str) -> TranslationUnit | None:
        """The file at `path`; None if there is none, or if the limit is reached."""
        if path not in self._read:
            self.fetch([path])
        return self._read.get(path)

    def fetch(self, paths: Sequence[str]) -> None:
        """Read files that will be needed, together, up to the limit."""
        new = [path for path in dict.fromkeys(paths) if path not in self._read][: max(0, self._most - len(self._read))]
        for path, blob in zip(new, self.source.files(new), strict=True):
            is_text = blob is not None and blob.data is not None and not is_binary(blob.data) and is_legible(blob.data)
            self._read[path] = TranslationUnit(path, blob.data or b"", blob.oid) if blob is not None and is_text else None
        if self.is_full:
            self.source.safety.at_limit = True
