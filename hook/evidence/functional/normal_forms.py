"""Normal forms: tokens without what cannot matter, so that two versions that do the same become equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hook import lazy_re
from hook.c import integers
from hook.c.keywords import IN_STATEMENTS
from hook.evidence.functional.token_places import NAME, STATEMENT_ENDS, STRING, Tokens, closing

# include/linux/compiler_attributes.h and compiler_types.h: for warnings and for sparse. Not __user, __rcu and __percpu: BTF has these
_WORDS = frozenset(b"__maybe_unused __always_unused __must_check __force __iomem __bitwise __nocast __private".split())
_ANNOTATION_CALLS = frozenset(b"__acquires __releases __must_hold __cond_acquires".split())
ANNOTATIONS = _WORDS | _ANNOTATION_CALLS | {b"fallthrough"}
ZEROS = frozenset((b"0", b"NULL", b"false"))
_OPEN_ESCAPE = lazy_re.compile(rb'\\(?:x[0-9a-fA-F]*|[0-7]{1,3})"\Z')


def unannotated(tokens: Tokens, own: frozenset[bytes]) -> Tokens:
    """The tokens without what only a compiler's warnings or sparse read; `own` are names that the file defines itself."""
    out: list[bytes] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token in own:
            out.append(token)
            at += 1
        elif token in _WORDS:
            at += 1
        elif token in _ANNOTATION_CALLS and tokens[at + 1 : at + 2] == (b"(",) and (end := closing(tokens, at + 1)):
            at = end + 1
        elif token == b"fallthrough" and tokens[at + 1 : at + 2] == (b";",) and out and out[-1] in STATEMENT_ENDS:
            at += 2
        else:
            out.append(token)
            at += 1
    return tuple(out)


def without_zero(tokens: Tokens, own: frozenset[bytes]) -> Tokens:
    """`static int x = 0;` as `static int x;` (C11 6.7.9, paragraph 10); `own` are names that the file defines itself."""
    if len(tokens) > 3 and tokens[-3] == b"=" and tokens[-2] in ZEROS - own and b"static" in tokens and b"," not in tokens:
        return (*tokens[:-3], b";")
    return tokens


def renamed_member(old: Tokens, new: Tokens) -> tuple[bytes, bytes, bytes] | None:
    """The structure, and the old and the new name, where all that differs is by which name its initialiser sets one member.

    Not inside of another initialiser in it, which may be of another structure, nor in parentheses, nor beside a directive; and not where
    a version has the other name as well.
    """
    places = [at for at, (was, now) in enumerate(zip(old, new, strict=False)) if was != now]
    opening = old.index(b"{") if b"{" in old else 0
    if len(old) != len(new) or len(places) != 1 or opening < 4 or any(token[:1] == b"#" for token in old):
        return None
    [at] = places
    before, first, second = old[opening:at], old[at], new[at]
    is_outermost = before.count(b"{") == before.count(b"}") + 1 and before.count(b"(") == before.count(b")")
    is_set = old[at - 2 : at] in ((b"{", b"."), (b",", b".")) and old[at + 1 : at + 2] == (b"=",)
    declares = old[opening - 4] == b"struct" and all(map(NAME.match, old[opening - 3 : opening - 1])) and old[opening - 1] == b"="
    if not (is_outermost and is_set and declares and NAME.match(first) and NAME.match(second)) or second in old or first in new:
        return None
    return old[opening - 3], first, second


def spelled(tokens: Tokens) -> Tokens:
    """The tokens with constants, adjacent strings and `return (x)` in one spelling."""
    return tuple(_unparenthesised(joined_strings([_number(token) for token in tokens])))


def _number(token: bytes) -> bytes:
    """A constant of type int in decimal; any other token as it is."""
    value = integers.value(token) if token[-1:] not in b"uUlL" else None
    return str(value).encode() if value is not None and value <= 0x7FFFFFFF else token


def joined_strings(tokens: Sequence[bytes]) -> list[bytes]:
    """Adjacent string constants as one, unless an escape at the seam could take in what follows."""
    out: list[bytes] = []
    for token in tokens:
        strings = out and STRING.match(token) and STRING.match(out[-1])
        if strings and not _OPEN_ESCAPE.search(out[-1]):
            out[-1] = out[-1][:-1] + token[1:]
        else:
            out.append(token)
    return out


def _unparenthesised(tokens: list[bytes]) -> list[bytes]:
    """`return (x);` as `return x;`."""
    out: list[bytes] = []
    at = 0
    while at < len(tokens):
        if tokens[at] == b"return" and tokens[at + 1 : at + 2] == [b"("]:
            end = closing(tokens, at + 1)
            if end and tokens[end + 1 : end + 2] == [b";"] and end > at + 2:
                out += [b"return", *tokens[at + 2 : end]]
                at = end + 1
                continue
        out.append(tokens[at])
        at += 1
    return out


def without_braces(tokens: Tokens, is_plain: Callable[[bytes], bool], is_macro: Callable[[bytes], bool]) -> Tokens:
    """A block of one simple statement behind `if (…)`, `else`, `for (…)` or `while (…)` without its braces.

    Only a statement that no macro can be: without a call of a plain name, and of names alone that `is_plain` says are no macros
    of more than a value, and members and labels of which `is_macro` says the same.
    """
    out: list[bytes] = []
    at = 0
    opened: list[bytes] = []  # what stands before each open parenthesis
    closed_head = -1  # where in `out` such parentheses closed last
    while at < len(tokens):
        token = tokens[at]
        if token == b"(":
            opened.append(out[-1] if out else b"")
        elif token == b")" and opened:
            if opened.pop() in (b"if", b"for", b"while"):
                closed_head = len(out)
        elif token == b"{" and out and (closed_head == len(out) - 1 or out[-1] == b"else"):
            end = _simple_block(tokens, at, is_plain, is_macro)
            if end:
                out += tokens[at + 1 : end]
                at = end + 1
                continue
        out.append(token)
        at += 1
    return tuple(out)


def _simple_block(tokens: Tokens, at: int, is_plain: Callable[[bytes], bool], is_macro: Callable[[bytes], bool]) -> int:
    """Where the block that opens here closes, if one simple statement is all it holds; else 0."""
    for end in range(at + 1, min(len(tokens), at + 80)):
        token = tokens[end]
        if token == b"}":
            return end if _is_simple(tokens[at + 1 : end], is_plain, is_macro) else 0
        if token == b"{" or token.startswith(b"#"):
            return 0
    return 0


def _is_simple(statement: Tokens, is_plain: Callable[[bytes], bool], is_macro: Callable[[bytes], bool]) -> bool:
    """Whether this is one statement that needs no block: no declaration, no statement with a body, and no macro."""
    if statement.count(b";") != 1 or statement[-1] != b";" or len(statement) < 2:
        return False
    first, second = statement[:2]
    if first in IN_STATEMENTS and first not in (b"return", b"goto", b"break", b"continue"):
        return False
    if NAME.match(first) and first not in IN_STATEMENTS and (NAME.match(second) or second == b"*" or second == b";"):
        return False  # a declaration, which needs its block, or a macro
    for number, token in enumerate(statement):
        before = statement[number - 1] if number else b""
        is_other = before in (b"->", b".", b"goto")  # a member or a label
        if NAME.match(token) and token not in IN_STATEMENTS and (is_macro(token) if is_other else not is_plain(token)):
            return False
        called = statement[number + 1 : number + 2] == (b"(",) and NAME.match(token) and token not in IN_STATEMENTS
        if called and before not in (b"->", b"."):
            return False
    return True
