"""Local variables: which parameters and variables of a function hold a plain value, and where it is certain to be set."""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator, Sequence

import msgspec

from hook.c.keywords import IN_STATEMENTS, TAGS
from hook.evidence.functional.token_places import NAME, STATEMENT_ENDS, Tokens, closing

_WIDE = frozenset(b"u64 s64 __u64 __s64 loff_t sector_t".split())  # 64 bits on every architecture
_NUMBERS = _WIDE | frozenset(
    b"unsigned signed int long short char bool u8 u16 u32 s8 s16 s32 __u8 __u16 __u32 __s8 __s16 __s32 size_t ssize_t uint8_t uint16_t"
    b" uint32_t int8_t int16_t int32_t uint unchar ushort ulong gfp_t pid_t umode_t dev_t irqreturn_t netdev_tx_t".split()
)
_CHANGING_SIZE = frozenset(b"dma_addr_t phys_addr_t resource_size_t".split())  # 32 or 64 bits, as the architecture has it
_QUALIFIERS = frozenset(b"const register __user __rcu __iomem __percpu __force __maybe_unused".split())
_KEYWORD_TYPES = frozenset(b"unsigned signed int long short char void".split())
_DECLARING = frozenset(b"float double bool static const inline extern volatile register typedef".split())
_MOST_ASSIGNED = 8  # places where one local is set, the nearest ones, that are looked at
_BEFORE_A_USE = IN_STATEMENTS - _KEYWORD_TYPES - TAGS - _DECLARING


class Local(msgspec.Struct, frozen=True):
    """A parameter or variable that is declared once, with a plain type, or a structure of its own."""

    is_structure: bool  # members can be read of it; of what type is not known
    is_pointer: bool
    is_wide: bool  # 64 bits on every architecture
    may_be_wide: bool
    at: int  # its name, in its declaration
    is_parameter: bool
    is_set: bool  # by its declaration


class Locals(msgspec.Struct, frozen=True):
    """The plain locals of one version of a function."""

    tokens: Tokens
    by_name: dict[bytes, Local]
    declared: frozenset[bytes]  # all that seems to be declared, plain or not

    def value(self, name: bytes, at: int) -> Local | None:
        """The local of a plain type that a name stands for at a place where it is certain to be set; else None."""
        local = self._set(name, at)
        return local if local and not local.is_structure else None

    def is_structure(self, name: bytes, at: int) -> bool:
        """Whether a name stands for a structure, no pointer to one, that is certain to be set."""
        local = self._set(name, at)
        return local is not None and local.is_structure

    def _set(self, name: bytes, at: int) -> Local | None:
        local = self.by_name.get(name)
        if local is None or local.at > at or not (local.is_parameter or _encloses(self.tokens, local.at, at)):
            return None
        if local.is_parameter or (local.is_set and _is_passed(self.tokens, local.at, at)):
            return local
        assigned = [
            place
            for place in range(local.at + 1, at)
            if self.tokens[place] == name and self.tokens[place + 1] == b"=" and self.tokens[place - 1] in STATEMENT_ENDS
        ]
        for place in assigned[-_MOST_ASSIGNED:]:
            if self._is_statement(place) and _encloses(self.tokens, place, at) and _is_passed(self.tokens, place, at):
                return local
        return None

    def _is_statement(self, place: int) -> bool:
        """Whether a place is in no parentheses, as those of `for (;;)` are."""
        before = self.tokens[:place]
        return before.count(b"(") == before.count(b")")


def of_function(tokens: Tokens) -> Locals:
    """The locals of a function by its tokens. Of one with a `#define` or an `#include` inside none is plain."""
    found: dict[bytes, list[Local | None]] = {}
    if not any(re.match(rb"#[ \t]*(?:define|undef|include|import|pragma)", token) for token in tokens):
        places = set()
        for name, at, local in _declarations(tokens):
            found.setdefault(name, []).append(local)
            places.add(at)
        for at, token in enumerate(tokens):
            if at and at not in places and NAME.match(token) and _may_declare(tokens, at):
                found.setdefault(token, []).append(None)
    plain = {name: locals_[0] for name, locals_ in found.items() if len(locals_) == 1 and locals_[0] is not None}
    return Locals(tokens, plain, frozenset(found))


def type_width(words: Sequence[bytes]) -> bytes:
    """What a cast to a number converts to: `wide`, `narrow`, or `either`; empty where the words are no such type."""
    words = [word for word in words if word not in _QUALIFIERS]
    if not words or not all(word in _NUMBERS or word in _CHANGING_SIZE for word in words):
        return b""
    if any(word in _WIDE for word in words) or words.count(b"long") == 2:
        return b"wide"
    return b"either" if any(word in _CHANGING_SIZE for word in words) else b"narrow"


def is_type(name: bytes, tokens: Tokens) -> bool:
    """Whether a name of a number type means the type everywhere in a function, and no variable of that name."""
    if name in _KEYWORD_TYPES:
        return True
    if name not in _NUMBERS and name not in _CHANGING_SIZE:
        return False
    before, after = (b"(", b",", b";", b"{", b"}", b"const", b"static", b"register", b"unsigned"), (b"*", b")")
    return all(
        tokens[at - 1] in before and (tokens[at + 1] in after or NAME.match(tokens[at + 1]))
        for at, token in enumerate(tokens)
        if token == name and at
    )


def _declarations(tokens: Tokens) -> Iterator[tuple[bytes, int, Local | None]]:
    """The names that a function declares, each with where it stands and, if its type is plain, what it is."""
    body = tokens.index(b"{") if b"{" in tokens else 0
    opening = next((at for at in range(body) if tokens[at] == b"(" and closing(tokens, at) == body - 1), 0)
    if opening > 1:
        begin = opening + 1
        depth = 0
        for at in range(opening + 1, body):
            depth += (tokens[at] in b"([") - (tokens[at] in b")]")
            if depth < 0 or (tokens[at] == b"," and depth == 0):
                yield from _declarators(tokens, begin, at, is_parameter=True)
                begin = at + 1
    depth = 0
    ends = [at for at in range(body, len(tokens)) if tokens[at] == b";" or tokens[at][:1] == b"#"]
    for at in range(body, len(tokens) - 1):
        depth += (tokens[at] == b"(") - (tokens[at] == b")")
        if depth == 0 and (tokens[at] in (b";", b"{", b"}", b":") or tokens[at][:1] == b"#"):
            following = bisect.bisect_right(ends, at)
            yield from _declarators(tokens, at + 1, ends[following] if following < len(ends) else at, is_parameter=False)


def _declarators(tokens: Tokens, begin: int, end: int, *, is_parameter: bool) -> Iterator[tuple[bytes, int, Local | None]]:
    """The names of one declaration; none where it is no declaration."""
    at = begin
    words = []
    is_known = True
    while at < end and NAME.match(tokens[at]):
        if tokens[at] in TAGS and at + 1 < end:
            words.append(b"struct" if tokens[at] != b"enum" else b"int")
            at += 2
        elif tokens[at] in _NUMBERS | _CHANGING_SIZE | _QUALIFIERS or tokens[at] in (b"void", b"static"):
            words.append(tokens[at])
            at += 1
        elif not [word for word in words if word not in _QUALIFIERS and word != b"static"] and tokens[at] not in _BEFORE_A_USE:
            words.append(tokens[at])  # a name that is not known: a typedef perhaps
            is_known = False
            at += 1
        else:
            break
    if at == begin:
        return
    while at < end:
        stars = 0
        while at < end and (tokens[at] == b"*" or tokens[at] in _QUALIFIERS):
            stars += tokens[at] == b"*"
            at += 1
        if at >= end or not NAME.match(tokens[at]) or tokens[at] in IN_STATEMENTS:
            return
        after = tokens[at + 1]
        is_plain = after in (b"=", b",", b";", b")") and b"volatile" not in words
        width = type_width([word for word in words if word != b"static"]) if is_known else b""
        # of a type that is not known only a parameter: elsewhere that name could be a macro, and this no declaration
        is_structure = not stars and not width and (is_parameter or b"struct" in words)
        local = None
        if is_plain and (is_structure or (is_known and (stars or width))):
            is_wide, may_be = not stars and width == b"wide", not stars and width != b"narrow"
            is_set = is_parameter or after == b"=" or b"static" in words
            local = Local(is_structure, stars > 0, is_wide, may_be, at, is_parameter, is_set)
        yield tokens[at], at, local
        depth = 0
        while at < end and (depth or tokens[at] != b","):
            depth += (tokens[at] in (b"(", b"[", b"{")) - (tokens[at] in (b")", b"]", b"}"))
            at += 1
        at += 1


def _may_declare(tokens: Tokens, at: int) -> bool:
    """Whether a name could be declared here in a way that is not read: behind another name or typeof(), or in `(*f)(`."""
    before = tokens[at - 1]
    if NAME.match(before):
        return before not in _BEFORE_A_USE and before not in TAGS and tokens[at] not in IN_STATEMENTS
    if before == b"*" and tokens[at - 2] == b"(" and tokens[at + 1 : at + 3] in ((b")", b"("), (b")", b"[")):
        return True
    if before in (b")", b"*"):
        end = at - 1
        while end > 0 and tokens[end] == b"*":
            end -= 1
        depth = 0
        for place in range(end, 0, -1):
            depth += (tokens[place] == b")") - (tokens[place] == b"(")
            if depth == 0:
                return tokens[place] == b"(" and tokens[place - 1] in (b"typeof", b"__typeof__", b"__typeof", b"typeof_member")
    # a macro in capitals declares what it is given: DECLARE_BITMAP(name, n);
    return before == b"(" and at > 2 and tokens[at - 3] in STATEMENT_ENDS and tokens[at - 2].isupper() and bool(NAME.match(tokens[at - 2]))


def _encloses(tokens: Tokens, place: int, at: int) -> bool:
    """Whether the block around a place is still open at a later one, with no directive between."""
    depth = 0
    for token in tokens[place:at]:
        depth += (token == b"{") - (token == b"}")
        if depth < 0 or token[:1] == b"#":
            return False
    return True


def _is_passed(tokens: Tokens, place: int, at: int) -> bool:
    """Whether no jump leads from before a place to a later one without passing it. A call before it may be a macro that jumps."""
    body = tokens.index(b"{")
    before = range(body, place)
    jumps = any(tokens[p] in (b"goto", b"switch") or (tokens[p] == b"(" and NAME.match(tokens[p - 1])) for p in before)
    return not jumps or b":" not in tokens[place:at]
