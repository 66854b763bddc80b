"""Common headers: which headers of include/ include each other, whether their order matters, and what a structure in them is made of."""

from __future__ import annotations

import itertools
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from hook import lazy_re
from hook.c import blanking
from hook.kernel import own_headers
from hook.source.tree import Source

_MOST_HEADERS = 400  # read to see what includes bring with them
_MOST_FIRST = 800  # headers that come before, under all options
_DIRECTIVE = lazy_re.compile(rb"(?m)^[ \t]*+#[ \t]*+(\w++)[ \t]*+([^\n]*+)")
_INCLUDED = lazy_re.compile(r"<(?:linux|net|uapi/linux|media|keys|crypto|drm|sound|scsi|rdma|video|acpi)/(?:[\w-]+/)*[\w-]+\.h>\Z")
_OTHER_PATHS = lazy_re.compile(r"(?:tools|scripts|usr|samples)/|arch/[^/]+/boot/")  # of files that include other headers by these names
_OF_ARCHITECTURE = lazy_re.compile(r"<(?:uapi/)?asm(?:-generic)?/[\w./-]+\.h>\Z")
_NAME = lazy_re.compile(rb"[A-Za-z_]\w*")
_ODD = frozenset((b"pragma", b"include_next", b"import", b"embed"))
_ALWAYS_IN_C = ((b"ifndef", b"__ASSEMBLY__"), (b"ifndef", b"__ASSEMBLER__"), (b"ifdef", b"__KERNEL__"))


def guards_up_to(source: Source, path: str, headers: Iterable[str], header: str) -> list[bytes] | None:
    """The guards of the headers through which `headers` (`<linux/list.h>`) include another one under all options, and of that one; None
    where they do not.

    As long as nothing else defines or undefines one of them, including that header beside these does nothing.
    """
    if _OTHER_PATHS.match(path) or not _guard(_header(source, path, header)):
        return None
    includers = dict.fromkeys(headers, "")  # by header, the one that includes it
    waiting = deque(includers)
    read = 0
    while waiting and read < _MOST_HEADERS:
        included = waiting.popleft()
        if included == header:
            guards = []
            while included:
                guards.append(_guard(_header(source, path, included)))
                included = includers[included]
            return [guard for guard in guards if guard]
        read += 1
        # a header in quotes is looked for beside the file; what such a header quotes itself is not followed
        more = [name for name in _always_included(_header(source, path, included)) if name[:1] == "<" and name not in includers]
        includers |= dict.fromkeys(more, included)
        waiting += dict.fromkeys(more)
    return None


def is_one_place(struct: bytes, first: bytes, second: bytes) -> bool:
    """Whether an anonymous union in the definition of a structure has two members of the same type by these names, and nothing else."""
    either = re.compile(rb"\b(?:%b|%b)\b" % (re.escape(first), re.escape(second)))
    for union in re.findall(rb"\bunion\s*\{([^{}]*)\}\s*;", struct):
        members = [b" ".join(member.split()) for member in union.split(b";") if member.strip()]
        names = [either.findall(member) for member in members]
        if sorted(map(tuple, names)) == sorted([(first,), (second,)]) and either.sub(b"", members[0]) == either.sub(b"", members[1]):
            return len(either.findall(struct)) == len(members)
    return False


def depend_on_order(source: Source, path: str, before: Sequence[str], old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether it may count that some headers are included in another order: one changes places with another that sets, tests or uses a
    macro which it sets, itself or through what it includes.

    What the headers `before` bring in under all options comes first in both orders, and so does what a header always includes itself.
    True too where a header cannot be read, or has a `#pragma`.
    """
    first = _always(source, path, before)
    texts: dict[str, bytes] = {}
    brought: dict[str, set[str]] = {}  # by header, the headers of `old` that include it
    for top in old:
        waiting, seen = deque([top]), set[str]()
        while waiting:
            header = waiting.popleft()
            if header in seen:
                continue
            seen.add(header)
            if header in first and _text(source, path, header):
                continue
            brought.setdefault(header, set()).add(top)
            text = texts[header] = texts[header] if header in texts else _text(source, path, header)
            if len(texts) > _MOST_HEADERS or not text or b"_Pragma" in text or any(word in _ODD for word, _ in _directives(text)):
                return True
            more = [rest.decode("utf-8", "replace") for word, rest in _directives(text) if word == b"include"]
            if not all(name.startswith("<") for name in more):
                return True  # of a macro, or beside that header
            waiting += more
    places = [{header: sorted(map(order.index, tops)) for header, tops in brought.items()} for order in (old, new)]

    def change_places(one: str, other: str) -> bool:
        if brought[one] == brought[other] and len(brought[one]) == 1:
            return False
        return not any(all(at[ahead][-1] < at[behind][0] for at in places) for ahead, behind in ((one, other), (other, one)))

    names = {header: frozenset(_NAME.findall(text)) for header, text in texts.items()}
    macros = {header: own_headers.macros(text) for header, text in texts.items()}
    for header, other in itertools.permutations(texts, 2):
        if macros[header].isdisjoint(names[other]) or not change_places(header, other):
            continue
        by_header = _always(source, path, [header])
        # if the search ended early, other headers may be included too
        includes_it = header in _always(source, path, [other]) and other not in by_header and len(by_header) < _MOST_FIRST
        if not includes_it or not macros[header].isdisjoint(macros[other]):
            return True
    return False


def _always(source: Source, path: str, headers: Iterable[str]) -> set[str]:
    """Some headers, and what they include under all options."""
    waiting, seen = deque(headers), set[str]()
    while waiting and len(seen) < _MOST_FIRST:
        header = waiting.popleft()
        if header not in seen and ((text := _header(source, path, header)) or _OF_ARCHITECTURE.match(header)):
            seen.add(header)
            waiting += [name for name in _always_included(text) if name[:1] == "<"]
    return seen


def _text(source: Source, path: str, header: str) -> bytes:
    """The text of a header; for one of an architecture, those of all architectures and the generic one. Empty if it cannot be read, or if
    including it a second time has an effect.
    """
    if not _OF_ARCHITECTURE.match(header):
        texts = [blanking.plain(_header(source, path, header))]
    else:
        name = header[1:-1].removeprefix("uapi/")
        spellings = dict.fromkeys((name, name.replace("asm/", "asm-generic/", 1)))
        arches = [f"arch/{entry.name}/include" for entry in source.names("arch") or ()]
        places = [f"{above}{uapi}/{spelled}" for above in ("include", *arches) for uapi in ("", "/uapi") for spelled in spellings]
        texts = [blanking.plain(blob.data or b"") for blob in source.files(places) if blob is not None]
    return b"\n".join(texts) if all(map(_counts_once, texts)) else b""


def _counts_once(text: bytes) -> bool:
    """Whether including a header again has no effect: it is guarded, or it only includes others."""
    return bool(_guard(text)) or (bool(text.strip()) and not re.sub(rb"(?m)^[ \t]*#[ \t]*include[^\n]*$", b"", text).strip())


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


def _guard(data: bytes) -> bytes:
    """The name of the include guard around all of a header; empty if it has none."""
    text = blanking.plain(data).strip()
    found = list(_directives(text))
    if len(found) < 3 or not re.match(rb"#[ \t]*ifndef\b", text) or not re.search(rb"#[ \t]*endif\Z", text):
        return b""
    if found[1][0] != b"define" or found[1][1].split()[:1] != found[0][1].split():
        return b""
    depth = 0
    for number, (word, _) in enumerate(found):
        depth += (word in (b"if", b"ifdef", b"ifndef")) - (word == b"endif")
        if (depth == 0 and number < len(found) - 1) or (depth == 1 and word in (b"else", b"elif")):
            return b""
    return found[0][1] if depth == 0 else b""


def _always_included(data: bytes) -> list[str]:
    """The headers that a header includes in C under all options."""
    guarded = bool(_guard(data))
    out: list[str] = []
    open_conditions: list[bool] = []  # whether each is always met
    for number, (word, rest) in enumerate(_directives(blanking.plain(data))):
        if word in (b"if", b"ifdef", b"ifndef"):
            open_conditions.append((guarded and number == 0) or (word, rest) in _ALWAYS_IN_C)
        elif word in (b"else", b"elif") and open_conditions:
            open_conditions[-1] = False
        elif word == b"endif" and open_conditions:
            open_conditions.pop()
        elif word == b"include" and all(open_conditions):
            out.append(rest.decode("ascii", "replace"))
    return out
