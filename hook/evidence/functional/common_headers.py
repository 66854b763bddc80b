"""Common headers: which of include/ include each other, and whether their order counts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

from hook import lazy_re
from hook.kernel import own_headers
from hook.source.tree import Source

_MOST_HEADERS = 400  # read to see what includes bring with them
_DIRECTIVE = lazy_re.compile(rb"(?m)^[ \t]*+#[ \t]*+(\w++)[ \t]*+([^\n]*+)")
_INCLUDED = lazy_re.compile(r"<(?:linux|net|uapi/linux|media|keys|crypto|drm|sound|scsi|rdma|video|acpi)/(?:[\w-]+/)*[\w-]+\.h>\Z")
_OTHER_PATHS = lazy_re.compile(r"(?:tools|scripts|usr|samples)/|arch/[^/]+/boot/")  # of files that include other headers by these names
_ALWAYS_IN_C = ((b"ifndef", b"__ASSEMBLY__"), (b"ifndef", b"__ASSEMBLER__"), (b"ifdef", b"__KERNEL__"))


def includes(source: Source, path: str, headers: Iterable[str], header: str) -> bool:
    """Whether `headers` (`<linux/list.h>`) include another one under all options, so that including it beside them does nothing."""
    if _OTHER_PATHS.match(path) or not _is_guarded(_header(source, path, header)):
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
        more = _always_included(_header(source, path, included))
        waiting += [name for name in more if name[:1] == "<"]
    return False


def depend_on_order(source: Source, path: str, headers: Iterable[str]) -> bool:
    """Whether one of some headers tests, sets or undefines a macro that another sets, itself or through what it includes.

    True too where one cannot be read.
    """
    setting: dict[bytes, set[str]] = {}
    testing: dict[bytes, set[str]] = {}
    waiting = deque(headers)
    seen: set[str] = set()
    while waiting:
        header = waiting.popleft()
        if header in seen:
            continue
        seen.add(header)
        text = own_headers.plain(_header(source, path, header))
        if len(seen) > _MOST_HEADERS or not text or not _is_guarded(text):
            return True
        for word, rest in _directives(text):
            if word in (b"define", b"undef"):
                names, places = re.findall(rb"\A\w+", rest), setting
            elif word in (b"if", b"ifdef", b"ifndef", b"elif"):
                names, places = re.findall(rb"[A-Za-z_]\w*", rest), testing
            elif word == b"include":
                waiting.append(rest.decode("utf-8", "replace"))  # under a condition too
                continue
            elif word == b"pragma":
                return True
            else:
                continue
            for name in names:
                places.setdefault(name, set()).add(header)  # a guard too: two headers may have one
    return any(len(places | testing.get(name, set())) > 1 for name, places in setting.items())


def _header(source: Source, path: str, name: str) -> bytes:
    """The text of a header by the name in its include; empty where it is not certain which file that is."""
    places = [f"include/{name[1:-1]}", f"include/uapi/{name[1:-1]}"]
    if name[:1] == '"' and "/" not in name:
        places = [f"{path.rpartition('/')[0]}/{name[1:-1]}"]
    elif not _INCLUDED.match(name):
        return b""
    for place in places:
        found = source.file(place)
        if found is not None:
            return found.data or b""
    return b""


def _directives(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    return ((match[1], match[2].strip()) for match in _DIRECTIVE.finditer(text))


def _is_guarded(data: bytes) -> bool:
    """Whether a header has an effect only the first time: all of it stands under one `#ifndef` of what it defines then."""
    text = own_headers.plain(data).strip()
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
    for number, (word, rest) in enumerate(_directives(own_headers.plain(data))):
        if word in (b"if", b"ifdef", b"ifndef"):
            open_conditions.append((guarded and number == 0) or (word, rest) in _ALWAYS_IN_C)
        elif word in (b"else", b"elif") and open_conditions:
            open_conditions[-1] = False
        elif word == b"endif" and open_conditions:
            open_conditions.pop()
        elif word == b"include" and all(open_conditions):
            out.append(rest.decode("ascii", "replace"))
    return out
