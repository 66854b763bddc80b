"""Surroundings: what the rest of the tree says about the names and headers of a file.

Where a question cannot be answered quickly, the answer is the one that proves nothing.
"""

from __future__ import annotations

import dataclasses
import re
from collections import deque
from collections.abc import Iterable, Iterator

from hook.c.blanking import HIDDEN
from hook.c.definitions import defined_names
from hook.source.tree import Source

_MOST_HEADERS = 400  # read to see what includes bring with them
_MOST_FILES = 20  # looked into for the definition of a tracepoint
_DIRECTIVE = re.compile(rb"(?m)^[ \t]*+#[ \t]*+(\w++)[ \t]*+([^\n]*+)")
_INCLUDED = re.compile(r"<(?:linux|net|uapi/linux|media|keys|crypto|drm|sound|scsi|rdma|video|acpi)/(?:[\w-]+/)*[\w-]+\.h>\Z")
_OTHER_PATHS = re.compile(r"(?:tools|scripts|usr|samples)/|arch/[^/]+/boot/")  # of headers, than the kernel's own
_ALWAYS_IN_C = ((b"ifndef", b"__ASSEMBLY__"), (b"ifndef", b"__ASSEMBLER__"), (b"ifdef", b"__KERNEL__"))


@dataclasses.dataclass(frozen=True)
class Surroundings:
    """A file in the tree with the patch applied."""

    source: Source
    path: str

    def knows(self, name: str) -> bool:
        """Whether a header, or another file of the directory, has a name; True too where that is not known."""
        found = self._files_with(name)
        directory = self.path.rpartition("/")[0]
        return found is None or any(path != self.path and (path.endswith(".h") or path.rpartition("/")[0] == directory) for path in found)

    def is_tracepoint(self, name: str) -> bool:
        """Whether `name` is a tracepoint (Documentation/trace/tracepoints.rst): a header defines it as one, and none as anything else."""
        found = self._files_with(name)
        calls = self._files_with(f"trace_{name}")
        if found is None or calls is None or len(found) > _MOST_FILES or len(calls) > _MOST_FILES:
            return False
        spelled = re.escape(name.encode())
        event = re.compile(rb"\b(?:TRACE_EVENT(?:_CONDITION|_FN)?\s*\(|DEFINE_EVENT\s*\(\s*\w+\s*,)\s*" + spelled + rb"\s*,")
        seen = False
        for path in dict.fromkeys((*found, *calls)):
            read = self.source.file(path)
            if read is None or read.data is None or f"trace_{name}".encode() in defined_names(read.data, path):
                return False
            seen = seen or (path.endswith(".h") and event.search(read.data) is not None)
        return seen

    def includes(self, headers: Iterable[str], header: str) -> bool:
        """Whether `headers` (`<linux/list.h>`) include another one under all options, so that including it beside them does nothing."""
        if _OTHER_PATHS.match(self.path) or not _is_guarded(self._header(header)):
            return False
        waiting = deque(headers)
        seen: set[str] = set()
        while waiting and len(seen) < _MOST_HEADERS:
            included = waiting.popleft()
            if included == header:
                return True
            if included in seen:
                continue
            seen.add(included)
            # a header in quotes is looked for beside the file; what such a header quotes itself is not followed
            more = _always_included(self._header(included))
            waiting += [name for name in more if name[:1] == "<"]
        return False

    def _header(self, name: str) -> bytes:
        """The text of a header by the name in its include; empty where it is not certain which file that is."""
        places = [f"include/{name[1:-1]}", f"include/uapi/{name[1:-1]}"]
        if name[:1] == '"' and "/" not in name:
            places = [f"{self.path.rpartition('/')[0]}/{name[1:-1]}"]
        elif not _INCLUDED.match(name):
            return b""
        for place in places:
            found = self.source.file(place)
            if found is not None:
                return found.data or b""
        return b""

    def _files_with(self, name: str) -> list[str] | None:
        """The files that may have a name; None where that cannot be found quickly."""
        self.source.rests_on_all = True
        from hook.source.grep import paths_matching
        from hook.source.index import NoIndex

        if self.source.index is not None:
            try:
                return self.source.holding([[name.lower()]])
            except NoIndex as wrong:
                self.source.index_failed(str(wrong))
                return None
        if not self.source.is_small:
            return None
        found, cut = paths_matching(self.source, rf"\b{name}\b", limit_bytes=1 << 20, seconds=2.0)
        return None if cut else found


def _bare(data: bytes) -> bytes:
    """A header without its comments and spliced lines."""
    return HIDDEN.sub(lambda match: b" " if match[0][:1] == b"/" else match[0], data.replace(b"\\\n", b"  "))


def _directives(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    return ((match[1], match[2].strip()) for match in _DIRECTIVE.finditer(text))


def _is_guarded(data: bytes) -> bool:
    """Whether a header has an effect only the first time: all of it stands under one `#ifndef` of what it defines then."""
    text = _bare(data).strip()
    found = list(_directives(text))
    if len(found) < 3 or not re.match(rb"#[ \t]*ifndef\b", text) or not re.search(rb"#[ \t]*endif\Z", text):
        return False
    if found[1][0] != b"define" or found[1][1].split()[:1] != found[0][1].split():
        return False
    depth = 0
    for number, (word, _) in enumerate(found):
        depth += (word in (b"if", b"ifdef", b"ifndef")) - (word == b"endif")
        if (depth == 0 and number < len(found) - 1) or (depth == 1 and word in (b"else", b"elif")):
            return False
    return depth == 0


def _always_included(data: bytes) -> list[str]:
    """The headers that a header includes in C under all options."""
    guarded = _is_guarded(data)
    out: list[str] = []
    open_conditions: list[bool] = []  # whether each is always met
    for number, (word, rest) in enumerate(_directives(_bare(data))):
        if word in (b"if", b"ifdef", b"ifndef"):
            open_conditions.append((guarded and number == 0) or (word, rest) in _ALWAYS_IN_C)
        elif word in (b"else", b"elif") and open_conditions:
            open_conditions[-1] = False
        elif word == b"endif" and open_conditions:
            open_conditions.pop()
        elif word == b"include" and all(open_conditions):
            out.append(rest.decode("ascii", "replace"))
    return out
