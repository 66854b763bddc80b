"""The source: a tree at one revision, or the staged index, as files by path.

What was read is remembered with its blob id, so that a cached verdict can tell whether the same question would see the same bytes.
"""

from __future__ import annotations

import dataclasses

from hook.source.objects import Found, Objects


@dataclasses.dataclass
class Source:
    """The files of one revision."""

    objects: Objects
    revision: str  # a commit or tree id; empty for the staged index
    read_blobs: dict[str, str] = dataclasses.field(default_factory=dict)  # path -> blob id, "" where there was no such file

    def file(self, path: str) -> Found | None:
        """The blob at `path`, None if there is none (or the store of a partial clone lacks it)."""
        found = self.objects.read(f"{self.revision}:{path}")
        if found is not None and found.kind != "blob":
            found = None
        self.read_blobs[path] = found.oid if found else ""
        return found
