"""The answers: what an endpoint said to a request, kept by the hash of the whole request.

They hold what the model said and nothing that was sent; secrets were cut out of the request before the model saw it.
"""

from __future__ import annotations

import json
import pathlib
from typing import Any

from hook.source import own_files

_MOST = 5000
_MOST_BYTES = 8 << 20


class Answers:
    """The answers in one directory."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory

    def find(self, digest: str) -> Any:
        """The document that answered this request before, None if there is none."""
        try:
            data = own_files.read(self._path(digest), _MOST_BYTES)
            return None if data is None else json.loads(data)
        except (OSError, ValueError, RecursionError):
            return None

    def keep(self, digest: str, document: Any) -> None:
        """Remember an answer; a disk that does not let us costs only the memory."""
        path = self._path(digest)
        text = json.dumps(document)
        if len(text) > _MOST_BYTES:
            return
        try:
            own_files.write(path, text.encode())
            own_files.remove_oldest(self._directory, _MOST, _MOST * 9 // 10)
        except OSError:
            pass

    def drop(self, digest: str) -> None:
        """Forget an answer."""
        try:
            own_files.remove(self._path(digest))
        except OSError:
            pass  # it could not be kept, either

    def _path(self, digest: str) -> pathlib.Path:
        return self._directory / f"{digest}.json"
