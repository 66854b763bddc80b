"""Names: edits of a C file that only give something another name, or define a name that nothing uses."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet

from hook import lazy_re
from hook.c import blanking
from hook.c.definitions import DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE, IN_STATEMENTS, TAGS
from hook.c.segments import Segment
from hook.c.tokens import macro_uses
from hook.c.translation_unit import TranslationUnit
from hook.evidence.functional.token_places import NAME, STATEMENT_ENDS, Tokens

_MACRO = lazy_re.compile(rb"#[ \t]*define[ \t]+\w+(\([^()\n]*\))?")
_WORD = lazy_re.compile(rb"\w")
_INCLUDE = lazy_re.compile(rb"#[ \t]*(?:include|import)\b")


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
    if not _is_declared(old, places[0]) or any(old[at - 1] in (b".", b"->") or old[at - 1] in TAGS for at in places):
        return None
    if any(token.startswith(b"#") or (token.startswith(b'"') and b"[" + was + b"]" in token) for token in old):
        return None  # a condition; an operand of inline assembly
    if is_in_another_macro(was.decode("ascii"), before) or (places[0] < old.index(b"{") and _are_read(was, now, before.data)):
        return None
    return was.decode("ascii"), now.decode("ascii")


def _are_read(was: bytes, now: bytes, text: bytes) -> bool:
    """Whether the BPF verifier may read the names of a parameter: of a kfunc, or with a mark behind it (`mem__sz`, `prev__nullable`)."""
    return b"__bpf_kfunc" in text or b"BTF_ID" in text or b"__" in was.strip(b"_") or b"__" in now.strip(b"_")


def _is_declared(tokens: Tokens, at: int) -> bool:
    """Whether a variable or parameter is declared at its first place: a type before it, and behind it what ends a declarator.

    A declaration begins a statement, or stands in the head of the function: anywhere else `n * NAME` is a product, and `NOT NAME` may
    be a macro and a value. What is `extern` is a variable of another file.
    """
    if at < 3 or at + 1 >= len(tokens) or tokens[at + 1] not in (b";", b",", b"=", b"[", b")"):
        return False
    begin = at - 1
    while begin >= 0 and tokens[begin] == b"*":
        begin -= 1
    is_pointer = begin < at - 1
    words = 0
    while begin >= 0 and NAME.match(tokens[begin]) and tokens[begin] not in BEFORE_A_VALUE:
        begin, words = begin - 1, words + 1
    head = tokens.index(b"{") if b"{" in tokens else 0
    if begin < 0 or not words or (words == 1 and tokens[at - 1] in TAGS) or b"extern" in tokens[begin:at]:
        return False
    if at < head:
        return tokens[begin] in (b"(", b",")
    if tokens[begin] == b"{" and begin > head and tokens[begin - 1] not in (b";", b"{", b"}", b"else", b"do"):
        return False  # `= { NOT NAME, }`; a block behind a condition is not told from that
    return tokens[begin] in STATEMENT_ENDS and not (is_pointer and tokens[at + 1] == b")")


def words_of_type(tokens: Tokens, name: str) -> set[bytes]:
    """The words before a local in its declaration, without keywords: any but a type may be a macro, and make it a variable elsewhere."""
    behind = begin = tokens.index(name.encode("ascii"))
    while begin and (tokens[begin - 1] == b"*" or NAME.match(tokens[begin - 1])):
        begin -= 1
    return set(tokens[begin:behind]) - {b"*"} - IN_STATEMENTS


def is_in_another_macro(name: str, side: TranslationUnit) -> bool:
    """Whether a macro of a version of the file has a name in its body, not as a parameter."""
    word = name.encode("ascii")
    for segment in side.segments_of(DefinitionKind.MACRO).values():
        for macro in segment:
            found = _MACRO.match(macro.text)
            parameters = re.findall(rb"\w+", found[1] or b"") if found else []
            if macro.name != name and word not in parameters and re.search(rb"\b" + word + rb"\b", macro.text):
                return True
    return False


def is_unused(macro: Segment, side: TranslationUnit) -> bool:
    """Whether nothing in a version of the file can tell that a macro is there: no use of its name, nor what can put the name together."""
    name = macro.name.encode("ascii")
    if macro in side.segments and _INCLUDE.search(side.data, macro.start):
        return False  # what is included then can ask for it
    words = set(re.findall(rb"[A-Za-z_0-9]+", side.data))
    count = len(re.findall(rb"(?<!\w)" + name + rb"(?!\w)", side.data))
    definitions = sum(other.name == macro.name and other.kind is DefinitionKind.MACRO for other in side.scan.definitions)
    if count > definitions:
        return False  # in a comment perhaps; rather say that it is used
    ends = any(name.startswith(word) or name.endswith(word) for word in words if word != name and len(word) > 1)
    if b"##" in side.data and ends and macro_uses.may_paste(blanking.plain(side.data), name):
        return False
    # a header's macro could put it together of what it is given
    calls = [{token for token in arguments if NAME.match(token)} for _, arguments in macro_uses.uses([side.data])]
    if any(_is_part(word, name) for word in set[bytes]().union(*calls)) or any(_are_ends(given, name) for given in calls):
        return False
    return not any(name.endswith(word) and word != name and len(word) > 2 and not word.isdigit() for word in words)


def _are_ends(given: AbstractSet[bytes], name: bytes) -> bool:
    """Whether one call is given both ends of a name, or all of it but a letter: a macro may have what is between."""
    first, last = ([word for word in given if fits(word)] for fits in (name.startswith, name.endswith))
    return any(len(word) == len(name) - 1 for word in (*first, *last)) or any(
        len(one) + len(other) < len(name) for one in first for other in last
    )


def may_be_pasted_to(name: str, values: Callable[[Iterable[bytes]], frozenset[bytes] | None], *sides: TranslationUnit) -> frozenset[bytes]:
    """The names that a version of the file calls with nothing, or with what may be a part of a name behind a `##`: a piece of it, as a
    number is, or a macro of the file or of a header; `values` says which of some names are macros of headers, None where that is not known.
    """
    word = name.encode("ascii")
    macros = {macro.encode("ascii") for side in sides for macro in side.segments_of(DefinitionKind.MACRO)}
    calls = list(macro_uses.uses([side.data for side in sides]))
    given = {token for _, arguments in calls for token in arguments if NAME.match(token)}
    of_headers = values(given - macros - IN_STATEMENTS)
    calling = set[bytes]()
    for called, arguments in calls:
        pieces = (token for token in arguments if _WORD.match(token))
        ends = itertools.pairwise((b",", *(token for token in arguments if token != b" "), b","))
        is_value = of_headers is None or not of_headers.isdisjoint(arguments)
        if is_value or any(token in word or token in macros or token.isupper() for token in pieces) or (b",", b",") in ends:
            calling.add(called)
    return frozenset(calling - {macro_uses.UNKNOWN})


def _is_part(word: bytes, name: bytes) -> bool:
    """Whether a name could be made by pasting something to a word: a short one counts only where an underscore sets it apart."""
    return word in name if len(word) > 3 else re.search(rb"(?:\A|_)" + word + rb"(?:_|\Z)", name) is not None
