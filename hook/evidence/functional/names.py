"""Names: edits of a C file that only give something another name, or define a name that nothing uses."""

from __future__ import annotations

import re

from hook.c.definitions import DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE, IN_STATEMENTS, TAGS
from hook.c.segments import Segment
from hook.c.translation_unit import TranslationUnit
from hook.evidence.functional.token_places import NAME, Tokens, macro_arguments


def renamed_local(old: Tokens, new: Tokens, before: TranslationUnit) -> tuple[str, str] | None:
    """The old and the new name of a local variable or parameter, where nothing else differs and the new name is nowhere in the old file."""
    if len(old) != len(new):
        return None
    pairs = {(was, now) for was, now in zip(old, new, strict=True) if was != now}
    if len(pairs) != 1:
        return None
    was, now = pairs.pop()
    if not NAME.match(was) or not NAME.match(now) or was in IN_STATEMENTS or now in IN_STATEMENTS:
        return None
    if was in new or now in old or now in set(re.findall(rb"\w+", before.data)):
        return None  # not everywhere, or a name that means something already
    places = [at for at, token in enumerate(old) if token == was]
    if not _is_declared(old, places[0]) or any(old[at - 1] in (b".", b"->") for at in places):
        return None
    if any(token.startswith(b"#") for token in old) or macro_arguments(old).intersection(places):
        return None
    return was.decode("ascii"), now.decode("ascii")


def _is_declared(tokens: Tokens, at: int) -> bool:
    """Whether a variable or parameter is declared at its first place: a type before it, and behind it what ends a declarator."""
    if at < 3 or tokens[at + 1] not in (b";", b",", b"=", b"[", b")"):
        return False
    before = tokens[at - 1]
    if before == b"*":
        typed, begins = tokens[at - 2], tokens[at - 3] in (b";", b"{", b"(", b",", b"}", b"struct", b"const", b"union")
        return bool(NAME.match(typed)) and begins
    return bool(NAME.match(before)) and before not in BEFORE_A_VALUE | TAGS


def is_unused(macro: Segment, side: TranslationUnit) -> bool:
    """Whether nothing in a version of the file can tell that a macro is there: no use of its name, nor what can put the name together."""
    name = macro.name.encode("ascii")
    if macro in side.segments and side.data.find(b"#include", macro.start) >= 0:
        return False  # what is included then can ask for it
    words = set(re.findall(rb"[A-Za-z_0-9]+", side.data))
    count = len(re.findall(rb"(?<!\w)" + name + rb"(?!\w)", side.data))
    definitions = sum(other.name == macro.name and other.kind is DefinitionKind.MACRO for other in side.scan.definitions)
    if count > definitions:
        return False  # in a comment perhaps; rather say that it is used
    if b"##" in side.data and any(name.startswith(word) or name.endswith(word) for word in words if word != name and len(word) > 1):
        return False
    # a header's macro could put it together
    return not any(name.endswith(word) and word != name and len(word) > 2 and not word.isdigit() for word in words)
