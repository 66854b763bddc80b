"""File scope: the text between the definitions of a C file, such as includes, prototypes and module metadata."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.translation_unit import TranslationUnit
from hook.evidence.functional.normal_forms import joined_strings
from hook.evidence.functional.token_places import CONDITION, NAME, Tokens, closing, differing

METADATA = frozenset((b"MODULE_DESCRIPTION", b"MODULE_AUTHOR", b"MODULE_PARM_DESC"))
_PLAIN_TEXT = lazy_re.compile(rb'"(?:[^"\\\x00-\x1f\x7f]|\\["\\nt])*"\Z')  # its escapes are those of one character that stays in the text
_UNDEFINES, _INCLUDES = lazy_re.compile(rb"#[ \t]*undef\b"), lazy_re.compile(rb"#[ \t]*(?:include|import)\b")
_ANY_HEADER = lazy_re.compile(rb"#include[ \t]*([<\"][^<>\"\s]+[>\"])")
_SYSTEM_HEADER = lazy_re.compile(
    rb"#include[ \t]*<(?:linux|net|uapi|crypto|sound|drm|media|rdma|scsi|video|acpi|keys|misc)/[\w/.-]+\.h>\s*\Z"
)


def without_metadata(tokens: Tokens, own: frozenset[bytes]) -> Tokens:
    """The tokens without the plain text of MODULE_DESCRIPTION and its kin; `own` are names that the file or its headers define.

    A string with an escape stays: a NUL in it ends the entry, and what follows is read as another one (`alias=`, `softdep=`). So does
    one inside another call.
    """
    out = list(tokens)
    for at, word in enumerate(tokens):
        begins = at == 0 or tokens[at - 1] in (b";", b"}") or tokens[at - 1][:1] == b"#"
        if word in METADATA - own and begins and tokens[at + 1 : at + 2] == (b"(",):
            end = closing(tokens, at + 1)
            depth = 0
            for place in range(at + 2, end):
                depth += (tokens[place] == b"(") - (tokens[place] == b")")
                if depth == 0 and _PLAIN_TEXT.match(tokens[place]):
                    out[place] = b'""'
    return tuple(joined_strings(out))


def with_sorted_includes(tokens: Tokens) -> Tokens:
    """The tokens with each run of includes of common headers sorted."""
    out: list[bytes] = []
    run: list[bytes] = []
    for token in (*tokens, b""):
        if _SYSTEM_HEADER.match(token):
            run.append(token)
            continue
        out += sorted(run)
        run = []
        out.append(token)
    return tuple(out)


def reordered_includes(old: Tokens, new: Tokens) -> tuple[list[str], list[str], list[str]] | None:
    """The headers that stand before a run of includes, under the same conditions, and those of the run in either order; None where anything
    else differs.
    """
    if with_sorted_includes(old) != with_sorted_includes(new) or len(old) != len(new):
        return None
    places = [at for at, (was, now) in enumerate(zip(old, new, strict=True)) if was != now]
    if not places:
        return None
    begin = max((at + 1 for at in range(places[0]) if CONDITION.match(old[at])), default=0)
    return _included(old[begin : places[0]]), _included(old[places[0] : places[-1] + 1]), _included(new[places[0] : places[-1] + 1])


def _included(tokens: Tokens) -> list[str]:
    return [header for token in tokens if (header := included(token))]


def without_prototypes(tokens: Tokens, before: TranslationUnit, after: TranslationUnit) -> Tokens:
    """The tokens without prototypes of static functions, where they say the same as the head of the definition in both versions.

    Not where a function before the definition has the name, and no prototype stands before that.
    """
    out: list[bytes] = []
    begin = 0
    for at, token in enumerate(tokens):
        if token[:1] == b"#":
            out += tokens[begin : at + 1]
            begin = at + 1
        elif token == b";":
            statement = tokens[begin:at]
            if not (b"static" in statement and all(_has_head(side, statement) for side in (before, after))):
                out += tokens[begin : at + 1]
            begin = at + 1
    return (*out, *tokens[begin:])


def _has_head(side: TranslationUnit, head: Tokens) -> bool:
    """Whether a file defines one function with exactly this head, outside of any condition that the prototype does not share."""
    if b"(" not in head or not NAME.match(head[head.index(b"(") - 1]):
        return False
    name = head[head.index(b"(") - 1]
    functions = side.segments_of(DefinitionKind.FUNCTION).get(name.decode("ascii"), [])
    if len(functions) != 1 or functions[0].tokens[: len(head) + 1] != (*head, b"{"):
        return False
    mentions = (segment for segment in side.segments if name in segment.text and segment.kind is not DefinitionKind.MACRO)
    first = next(segment for segment in mentions if name in segment.tokens)
    return first is functions[0] or (first.kind is None and head in _statements(first.tokens))


def _statements(tokens: Tokens) -> list[Tokens]:
    """The declarations between definitions, without their ends."""
    ends = [-1, *(at for at, token in enumerate(tokens) if token == b";" or token[:1] == b"#")]
    return [tokens[begin + 1 : end] for begin, end in itertools.pairwise(ends)]


def redundant_include(
    old: Tokens,
    new: Tokens,
    includes: Callable[[Iterable[str], str], bool],
    depend_on_order: Callable[[list[str], list[str], list[str]], bool],
) -> str:
    """A header whose include came or went, where all that differs are includes of headers that are included beside it in any case.

    `includes` says whether headers include another one whatever the options are. Where only a later one does, it must not count that the
    header comes later (`depend_on_order`). Empty where anything else differs.
    """
    changed = set(differing(old, new))
    headers = [header for token in sorted(changed) if (header := included(token))]
    if not headers or len(headers) != len(changed):
        return ""
    if tuple(token for token in old if token not in changed) != tuple(token for token in new if token not in changed):
        return ""
    for side in (old, new):
        for at, token in enumerate(side):
            if token not in changed:
                continue
            before, after = _beside(side, at, changed)
            header = included(token)
            if includes(before, header):
                continue
            passed = after[: next((number for number, late in enumerate(after, 1) if includes([late], header)), 0)]
            if not passed or depend_on_order(before, [header, *passed], [*passed, header]):
                return ""
    return headers[0]


def is_text_of(name: bytes, *versions: bytes) -> bool:
    """Whether each version of a file has a name once, as `static const char NAME[] = "…";`."""
    form = re.compile(rb"(?m)^static const char " + re.escape(name) + rb'\[\] = "[^"\\\n]*";$')
    return all(len(form.findall(data)) == 1 for data in versions)


def undefines_before_an_include(data: bytes) -> bool:
    """Whether a file undefines something before its last include: it may be the include guard of a header."""
    first = _UNDEFINES.search(data)
    return first is not None and _INCLUDES.search(data, first.end()) is not None


def _beside(tokens: Tokens, at: int, changed: set[bytes]) -> tuple[list[str], list[str]]:
    """The headers that are included under the same conditions as the one at a place: before it, and behind it with nothing else between."""
    begin = max((number + 1 for number in range(at) if CONDITION.match(tokens[number])), default=0)
    end = at + 1
    while end < len(tokens) and _SYSTEM_HEADER.match(tokens[end]):
        end += 1
    sides = (tokens[begin:at], tokens[at:end])
    before, after = ([match for token in side if token not in changed and (match := _ANY_HEADER.match(token))] for side in sides)
    return [match[1].decode("utf-8", "replace") for match in before], [match[1].decode("utf-8", "replace") for match in after]


def included(token: bytes) -> str:
    """The header that a directive includes, with its brackets; empty for any other token."""
    return token[token.index(b"<") :].strip().decode("ascii") if _SYSTEM_HEADER.match(token) else ""
