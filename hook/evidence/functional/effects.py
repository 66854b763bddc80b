"""Effects: whether an edited segment of C still does the same, but for what it logs.

Beyond equal tokens. Each rule brings both versions into a form in which only what cannot matter is gone, and compares these; a rule that
does not apply proves nothing. The rules, and what each leans on, are in docs/evidence.md.
"""

from __future__ import annotations

import collections
import dataclasses
import re
import typing
from collections.abc import Iterable, Sequence

from hook.c.comparison import Unreadable
from hook.c.definitions import DefinitionKind
from hook.c.keywords import BEFORE_A_VALUE, IN_STATEMENTS, NUMBERS, TAGS
from hook.c.segments import CFile, Edit, Segment

Tokens = tuple[bytes, ...]


@dataclasses.dataclass(frozen=True)
class Proof:
    """Why an edit is harmless."""

    change_class: str
    why: str
    line: int


class Surroundings(typing.Protocol):
    """How the rules ask about the rest of the tree; see hook.evidence.functional.surroundings."""

    def know(self, name: str) -> bool: ...
    def define_tracepoint(self, name: str) -> bool: ...
    def bring(self, includes: Iterable[str], header: str) -> bool: ...


_LEVELS = "emerg|alert|crit|err|warn|warning|notice|info|debug|dbg|vdbg"
_LOG = re.compile(
    (
        rf"(?:pr_(?:{_LEVELS}|cont|devel)(?:_once|_ratelimited)?|_?printk(?:_once|_ratelimited|_deferred)?|no_printk"
        rf"|(?:dev|netdev|netif|wiphy|ibdev|pci|hid|drm|v4l2|phydev|bt_dev|acpi_handle|ata_(?:dev|link|port))_(?:{_LEVELS})"
        rf"(?:_once|_ratelimited)?|net_(?:{_LEVELS})_ratelimited|(?:sdev|shost|starget|scmd)_printk"
        rf"|DRM_(?:DEV_)?(?:ERROR|INFO|WARN|NOTE|DEBUG(?:_KMS|_DRIVER|_ATOMIC)?)(?:_RATELIMITED)?|BT_(?:ERR|INFO|DBG|WARN)"
        rf"|mlx5_core_(?:err|warn|info|dbg)(?:_rl)?|btrfs_(?:err|warn|info|debug|crit)(?:_rl)?)\Z"
    ).encode()
)
# logging calls that also give a value or set something: only their text is free
_LOG_TEXT_ONLY = re.compile(rb"dev_(?:err|warn)_probe\Z")
_TRACEPOINT = re.compile(rb"trace_(\w+)\Z")
_MOST_TRACEPOINTS = 5  # looked up for one function
# include/linux/compiler_attributes.h and compiler_types.h: for warnings and for sparse. Not __user, __rcu and __percpu: BTF has these
_ANNOTATIONS = frozenset(b"__maybe_unused __always_unused __must_check __force __iomem __bitwise __nocast __private".split())
_ANNOTATION_CALLS = frozenset(b"__acquires __releases __must_hold __cond_acquires".split())
_ZEROS = frozenset((b"0", b"NULL", b"false"))
_METADATA = frozenset((b"MODULE_DESCRIPTION", b"MODULE_AUTHOR", b"MODULE_PARM_DESC"))
_NAME = re.compile(rb"[A-Za-z_]\w*\Z")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"\Z', re.DOTALL)
_OPEN_ESCAPE = re.compile(rb'\\(?:x[0-9a-fA-F]*|[0-7]{1,3})"\Z')
_NUMBER = re.compile(rb"(?:0[xX][0-9a-fA-F]+|[1-9][0-9]*|0[0-7]*)\Z")
_EFFECTS = frozenset((b"=", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"|=", b"^=", b"<<=", b">>=", b"++", b"--", b"{", b"}", b";"))
# functions and macros without an effect, whose value a log call may print
_PURE = frozenset(
    b"sizeof PTR_ERR ERR_PTR ARRAY_SIZE dev_name kobject_name pci_name netdev_name dev_driver_string"
    b" le16_to_cpu le32_to_cpu le64_to_cpu be16_to_cpu be32_to_cpu be64_to_cpu ntohs ntohl htons"
    b" htonl upper_32_bits lower_32_bits".split()
)
_CONVERSION = re.compile(rb"%[^%a-zA-Z]*(?:hh|h|ll|l|z|j|t|L)?[a-zA-Z]\w*")
_STATEMENT_ENDS = frozenset((b";", b"{", b"}"))
_TEXT = b'""'
_LOGGED = b"\x01log"
_STRINGIFIED = (b"__stringify", b"stringify", b"__ASM_STR", b"XSTR")
_CONDITION = re.compile(rb"#[ \t]*(?:if|ifdef|ifndef|elif|else|endif)\b")
_ANY_HEADER = re.compile(rb"#[ \t]*include[ \t]*([<\"][^<>\"\s]+[>\"])")
_SYSTEM_HEADER = re.compile(
    rb"#[ \t]*include[ \t]*<(?:linux|net|uapi|crypto|sound|drm|media|rdma|scsi|video|acpi|keys|misc)/[\w/.-]+\.h>\s*\Z"
)


def prove(edits: Sequence[Edit], before: CFile, after: CFile, around: Surroundings) -> list[Proof] | None:
    """A proof for each edit, or None where one has none."""
    found = []
    for edit in edits:
        try:
            proof = _prove(edit, before, after, around)
        except Unreadable:
            return None
        if proof is None:
            return None
        found.append(proof)
    return found


def _prove(edit: Edit, before: CFile, after: CFile, around: Surroundings) -> Proof | None:
    if edit.moved:
        return None  # what a definition means can depend on what stands before it
    line = edit.either.line
    kind = edit.either.kind
    if kind is None:
        old, new = (side.tokens if side else () for side in (edit.old, edit.new))
        return _between(old, new, before, after, line, around)
    if edit.old is None or edit.new is None:
        if kind is DefinitionKind.MACRO and _is_unused(edit.either, before, after, around):
            return Proof("unused macro", f"nothing uses {edit.either.name}", line)
        return None
    old, new = edit.old.tokens, edit.new.tokens
    if kind is DefinitionKind.MACRO:
        return _macro(edit, before, after, line)
    old, new = _spelled_in_braces(old), _spelled_in_braces(new)
    if _unbraced(old) == _unbraced(new):
        return Proof("spelling", "another spelling of the same: constants, adjacent strings, parentheses or braces", line)
    own = _defined(before, after)
    if kind is DefinitionKind.VARIABLE:
        if unannotated(old, own) == unannotated(new, own):
            return Proof("annotation", "only annotations for the compiler's warnings and for sparse changed", line)
        if _without_zero(old) == _without_zero(new):
            return Proof("spelling", "what is static begins as zero", line)
        return None
    if kind is not DefinitionKind.FUNCTION:
        return None
    old, new = unannotated(old, own), unannotated(new, own)
    if _unbraced(old) == _unbraced(new):
        return Proof("annotation", "only annotations for the compiler's warnings and for sparse changed", line)
    loggers = _loggers(before, after, (*old, *new), around)
    old, new = without_text(old, loggers), without_text(new, loggers)
    if _unbraced(old) == _unbraced(new):
        return Proof("log text", "only text in logging calls changed", line)
    old_bare, new_bare = without_logging(old, loggers), without_logging(new, loggers)
    if old_bare is not None and new_bare is not None and _unbraced(old_bare) == _unbraced(new_bare):
        if any(_TRACEPOINT.match(token) for token in _differing(old, new)):
            return Proof("tracepoint call", "only calls of tracepoints changed, and nothing in their arguments has an effect", line)
        return Proof("log call", "only logging calls changed, and nothing in their arguments has an effect", line)
    renamed = _renamed(old, new, before, after, around)
    if renamed:
        return Proof("local rename", f"only the local {renamed[0].decode()} is called {renamed[1].decode()} now", line)
    return None


def is_logging(name: bytes) -> bool:
    """Whether a name is one of those that all of the kernel logs with."""
    return _LOG.match(name) is not None or _LOG_TEXT_ONLY.match(name) is not None


def unannotated(tokens: Tokens, own: frozenset[bytes]) -> Tokens:
    """The tokens without what only a compiler's warnings or sparse read; `own` are names that the file defines itself."""
    out: list[bytes] = []
    at = 0
    shouted = _shouted(tokens)
    while at < len(tokens):
        token = tokens[at]
        if token in own or at in shouted:
            out.append(token)
            at += 1
        elif token in _ANNOTATIONS:
            at += 1
        elif token in _ANNOTATION_CALLS and tokens[at + 1 : at + 2] == (b"(",) and (end := _closing(tokens, at + 1)):
            at = end + 1
        elif token == b"fallthrough" and tokens[at + 1 : at + 2] == (b";",) and out and out[-1] in _STATEMENT_ENDS:
            at += 2
        else:
            out.append(token)
            at += 1
    return tuple(out)


def _without_zero(tokens: Tokens) -> Tokens:
    """`static int x = 0;` as `static int x;` (C11 6.7.9, paragraph 10)."""
    if len(tokens) > 3 and tokens[-3] == b"=" and tokens[-2] in _ZEROS and b"static" in tokens and b"," not in tokens:
        return (*tokens[:-3], b";")
    return tokens


def _defined(before: CFile, after: CFile) -> frozenset[bytes]:
    return frozenset(one.name.encode("ascii") for side in (before, after) for one in side.scan.definitions)


def _differing(old: Tokens, new: Tokens) -> list[bytes]:
    """The tokens of which one side has more than the other."""
    count = collections.Counter(new)
    count.subtract(old)
    return [token for token, more in count.items() if more]


def spelled(tokens: Tokens) -> Tokens:
    """The tokens with what only differs in spelling brought into one form, except where a macro could make a string or a name of it."""
    return _unbraced(_spelled_in_braces(tokens))


def _spelled_in_braces(tokens: Tokens) -> Tokens:
    shouted = _shouted(tokens)
    numbers = [token if at in shouted else _number(token) for at, token in enumerate(tokens)]
    return tuple(_unparenthesised(_joined_strings(numbers, shouted)))


def without_text(tokens: Tokens, loggers: frozenset[bytes]) -> Tokens:
    """The tokens with only the conversions left of the strings that logging calls are given, not of those in calls inside them."""
    out = list(tokens)
    for at in range(len(out) - 1):
        if out[at + 1] != b"(" or not (out[at] in loggers or _LOG_TEXT_ONLY.match(out[at])) or not _is_call(out, at):
            continue
        inner: list[bool] = []  # of each open parenthesis inside, whether it is a call's
        for place in range(at + 2, _closing(out, at + 1)):
            if out[place] == b"(":
                inner.append(bool(_NAME.match(out[place - 1])))
            elif out[place] == b")":
                inner.pop()
            elif not any(inner) and _STRING.match(out[place]):
                out[place] = b'"' + b"".join(_CONVERSION.findall(out[place])) + b'"'
    return tuple(out)


def without_logging(tokens: Tokens, loggers: frozenset[bytes]) -> Tokens | None:
    """The tokens without the statements that only log; None where an argument of one could have an effect."""
    out: list[bytes] = []
    at = depth = 0
    while at < len(tokens):
        word = tokens[at]
        is_logging = at + 1 < len(tokens) and tokens[at + 1] == b"(" and word in loggers and depth == 0 and _is_call(tokens, at)
        end = _closing(tokens, at + 1) if is_logging else 0
        if not end or tokens[end + 1 : end + 2] != (b";",):
            depth += (word == b"(") - (word == b")")
            out.append(word)
            at += 1
            continue
        if not _has_no_effect(tokens[at + 2 : end]):
            return None
        if out and out[-1] in _STATEMENT_ENDS:
            pass  # a statement of its own: nothing is left of it
        else:
            out += [_LOGGED, b";"]  # the body of an if, or behind a label: something has to stand there
        at = end + 2
    return tuple(out)


def _has_no_effect(arguments: Sequence[bytes]) -> bool:
    for number, token in enumerate(arguments):
        if token in _EFFECTS or token.startswith(b"#"):
            return False
        called = arguments[number + 1 : number + 2] == (b"(",) and (_NAME.match(token) or token in (b")", b"]"))
        if called and token not in _PURE and not (token == b")" and _is_cast(arguments, number)):
            return False
    return True


def _is_cast(arguments: Sequence[bytes], closing: int) -> bool:
    """Whether the parenthesis that closes here closes a type: `(unsigned long)(...)`."""
    depth, at = 0, closing
    while at >= 0:
        depth += (arguments[at] == b")") - (arguments[at] == b"(")
        if depth == 0:
            break
        at -= 1
    inside = arguments[at + 1 : closing]
    return bool(inside) and all(one in NUMBERS for one in inside)


def _is_call(tokens: Sequence[bytes], at: int) -> bool:
    """Whether a name with a parenthesis is called, not declared or a member."""
    return at > 0 and tokens[at - 1] not in (b".", b"->") and not (_NAME.match(tokens[at - 1]) and tokens[at - 1] not in IN_STATEMENTS)


def _closing(tokens: Sequence[bytes], opening: int) -> int:
    """Where the parenthesis at `opening` closes; 0 where it does not, or a directive stands inside."""
    depth = 0
    for at in range(opening, len(tokens)):
        if tokens[at] == b"(":
            depth += 1
        elif tokens[at] == b")":
            depth -= 1
            if depth == 0:
                return at
        elif tokens[at].startswith(b"#"):
            return 0
    return 0


def _number(token: bytes) -> bytes:
    """A constant of type int in decimal; any other token as it is."""
    if not _NUMBER.match(token):
        return token
    value = int(token, 0) if not re.match(rb"0[0-7]+\Z", token) else int(token, 8)
    return str(value).encode() if value <= 0x7FFFFFFF else token


def _joined_strings(tokens: Sequence[bytes], shouted: frozenset[int] = frozenset()) -> list[bytes]:
    """Adjacent string constants as one, unless an escape at the seam could take in what follows."""
    out: list[bytes] = []
    for at, token in enumerate(tokens):
        strings = out and at not in shouted and _STRING.match(token) and _STRING.match(out[-1])
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
            end = _closing(tokens, at + 1)
            if end and tokens[end + 1 : end + 2] == [b";"] and end > at + 2:
                out += [b"return", *tokens[at + 2 : end]]
                at = end + 1
                continue
        out.append(tokens[at])
        at += 1
    return out


def _unbraced(tokens: Tokens) -> Tokens:
    """A block of one simple statement behind `if (…)`, `else`, `for (…)` or `while (…)` without its braces.

    Only such a statement that no macro can be: without a call of a plain name.
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
            end = _simple_block(tokens, at)
            if end:
                out += tokens[at + 1 : end]
                at = end + 1
                continue
        out.append(token)
        at += 1
    return tuple(out)


def _simple_block(tokens: Tokens, at: int) -> int:
    """Where the block that opens here closes, if one simple statement is all it holds; else 0."""
    for end in range(at + 1, min(len(tokens), at + 80)):
        token = tokens[end]
        if token == b"}":
            return end if _is_simple(tokens[at + 1 : end]) else 0
        if token in (b"{",) or token.startswith(b"#"):
            return 0
    return 0


def _is_simple(statement: Tokens) -> bool:
    if statement.count(b";") != 1 or statement[-1] != b";" or len(statement) < 2:
        return False
    first, second = statement[:2]
    if first in IN_STATEMENTS and first not in (b"return", b"goto", b"break", b"continue"):
        return False
    if _NAME.match(first) and first not in IN_STATEMENTS and (_NAME.match(second) or second == b"*" or second == b";"):
        return False  # a declaration, which needs its block, or a macro
    for number, token in enumerate(statement):
        called = statement[number + 1 : number + 2] == (b"(",) and _NAME.match(token) and token not in IN_STATEMENTS
        if called and (number == 0 or statement[number - 1] not in (b"->", b".")):
            return False
    return True


def _between(old: Tokens, new: Tokens, before: CFile, after: CFile, line: int, around: Surroundings) -> Proof | None:
    """What stands between definitions: module metadata, includes, prototypes."""
    if _without_metadata(old) == _without_metadata(new):
        return Proof("module metadata", "only the text of a module's description changed", line)
    if _ordered_includes(old) == _ordered_includes(new):
        return Proof("include order", "the same headers in another order, with nothing but includes between", line)
    own = _defined(before, after)
    old, new = unannotated(old, own), unannotated(new, own)
    if old == new:
        return Proof("annotation", "only annotations for the compiler's warnings and for sparse changed", line)
    if _without_prototypes(old, before, after) == _without_prototypes(new, before, after):
        return Proof("declaration", "only prototypes of functions that the file itself defines alike came, went or moved", line)
    return _include(old, new, line, around)


def _without_prototypes(tokens: Tokens, before: CFile, after: CFile) -> Tokens:
    """The tokens without prototypes of static functions, where they say the same as the head of the definition in both versions."""
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


def _has_head(side: CFile, head: Tokens) -> bool:
    """Whether a file defines one function with exactly this head, outside of any condition that the prototype does not share."""
    if b"(" not in head or not _NAME.match(head[head.index(b"(") - 1]):
        return False
    found = side.named(DefinitionKind.FUNCTION).get(head[head.index(b"(") - 1].decode("ascii"), [])
    return len(found) == 1 and found[0].tokens[: len(head)] == head and found[0].tokens[len(head) : len(head) + 1] == (b"{",)


def _include(old: Tokens, new: Tokens, line: int, around: Surroundings) -> Proof | None:
    """An include that came or went, of a header that is included beside it in any case."""
    differing = set(_differing(old, new))
    names = [name for token in sorted(differing) if (name := _included(token))]
    if not names or len(names) != len(differing):
        return None
    if tuple(one for one in old if one not in differing) != tuple(one for one in new if one not in differing):
        return None
    for side in (old, new):
        for at, token in enumerate(side):
            if token in differing and not around.bring(_beside(side, at, differing), _included(token)):
                return None
    return Proof("include", f"{names[0]} is included by what the file includes beside it", line)


def _beside(tokens: Tokens, at: int, differing: set[bytes]) -> list[str]:
    """The headers that are included under the same conditions as the one at a place, before it or with nothing but includes between."""
    begin = max((number + 1 for number in range(at) if _CONDITION.match(tokens[number])), default=0)
    end = at + 1
    while end < len(tokens) and _SYSTEM_HEADER.match(tokens[end]):
        end += 1
    return [match[1].decode("utf-8", "replace") for one in tokens[begin:end] if one not in differing and (match := _ANY_HEADER.match(one))]


def _included(token: bytes) -> str:
    """The header that a directive includes, with its brackets; empty for any other token."""
    return token[token.index(b"<") :].strip().decode("ascii") if _SYSTEM_HEADER.match(token) else ""


def _without_metadata(tokens: Tokens) -> Tokens:
    out = list(tokens)
    for at, word in enumerate(tokens):
        begins = at == 0 or tokens[at - 1] in (b";", b"}") or tokens[at - 1][:1] == b"#"
        if word in _METADATA and begins and tokens[at + 1 : at + 2] == (b"(",):
            end = _closing(tokens, at + 1)
            if end:
                out[at + 2 : end] = [_TEXT if one[:1] == b'"' else one for one in out[at + 2 : end]]
    return tuple(_joined_strings(out))


def _ordered_includes(tokens: Tokens) -> Tokens:
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


def _macro(edit: Edit, before: CFile, after: CFile, line: int) -> Proof | None:
    """A macro whose body is spelled otherwise."""
    assert edit.old is not None and edit.new is not None
    if any(word in side.data for side in (before, after) for word in _STRINGIFIED):
        return None
    old, new = (re.split(rb"\0", side.tokens[0]) if len(side.tokens) == 1 else None for side in (edit.old, edit.new))
    if old is None or new is None or spelled(tuple(old)) != spelled(tuple(new)):
        return None
    if old[:2] != new[:2]:
        return None  # the space that tells an object from a function
    return Proof("spelling", "another spelling of the same constant", line)


def _is_unused(macro: Segment, before: CFile, after: CFile, around: Surroundings) -> bool:
    """Whether no text can tell that a macro is there: no other file has the name, and nothing in this one can put it together."""
    name = macro.name.encode("ascii")
    for side in (before, after):
        if macro in side.segments and side.data.find(b"#include", macro.start) >= 0:
            return False  # what is included then can ask for it
        words = set(re.findall(rb"[A-Za-z_0-9]+", side.data))
        count = len(re.findall(rb"(?<!\w)" + name + rb"(?!\w)", side.data))
        defined = sum(one.name == macro.name and one.kind is DefinitionKind.MACRO for one in side.scan.definitions)
        if count > defined:
            return False  # in a comment perhaps; rather say that it is used
        if b"##" in side.data and any(name.startswith(word) or name.endswith(word) for word in words if word != name and len(word) > 1):
            return False
        if any(name.endswith(word) and word != name and len(word) > 2 and not word.isdigit() for word in words):
            return False  # a header's macro could put it together
    return not around.know(macro.name)


def _loggers(before: CFile, after: CFile, tokens: Tokens, around: Surroundings) -> frozenset[bytes]:
    """The names among `tokens` that only log: well known ones that the file does not define itself, and its own macros that call these."""
    own = _defined(before, after)
    known = {token for token in tokens if _LOG.match(token) and token not in own}
    events = [token for token in dict.fromkeys(tokens) if _TRACEPOINT.match(token) and token not in own]
    if len(events) <= _MOST_TRACEPOINTS:
        known.update(token for token in events if around.define_tracepoint(token.removeprefix(b"trace_").decode("ascii")))
    return frozenset(known) | (_own_loggers(before) & _own_loggers(after))


def _own_loggers(file: CFile) -> frozenset[bytes]:
    """Macros of the file that do nothing but log: their whole body is one logging call, or such a call in do { } while (0)."""
    found = set()
    own = {one.name.encode("ascii") for one in file.scan.definitions}
    for segment in file.segments:
        if segment.kind is not DefinitionKind.MACRO:
            continue
        body = re.sub(rb"\\\s*\n", b" ", segment.text)
        match = re.match(
            rb"#\s*define\s+(\w+)\([^()]*\)\s*(?:do\s*\{\s*)?(\w+)\s*\((?P<arguments>[^;{}]*)\)\s*(?:;?\s*\}\s*while\s*\(\s*0\s*\))?\s*\Z",
            body,
        )
        plain = match and _LOG.match(match.group(2)) and match.group(2) not in own
        # neither a call nor an assignment among its own arguments
        if match and plain and not re.search(rb"\(|(?<![=!<>])=(?!=)|\+\+|--", re.sub(rb'"[^"]*"', b"", match.group("arguments"))):
            found.add(match.group(1))
    same_name = [one.name.encode("ascii") for one in file.scan.definitions if one.kind is DefinitionKind.MACRO]
    return frozenset(name for name in found if same_name.count(name) == 1)


def _renamed(old: Tokens, new: Tokens, before: CFile, after: CFile, around: Surroundings) -> tuple[bytes, bytes] | None:
    """The local variable or parameter that is the only thing that has another name, with that name."""
    if len(old) != len(new):
        return None
    pairs = {(one, other) for one, other in zip(old, new, strict=True) if one != other}
    if len(pairs) != 1:
        return None
    was, now = pairs.pop()
    if not _NAME.match(was) or not _NAME.match(now) or was in IN_STATEMENTS or now in IN_STATEMENTS:
        return None
    if was in new or now in old or now in set(re.findall(rb"\w+", before.data)):
        return None  # not everywhere, or a name that means something already
    places = [at for at, token in enumerate(old) if token == was]
    if not _is_declared(old, places[0]) or any(old[at - 1] in (b".", b"->") for at in places):
        return None
    if any(token.startswith(b"#") for token in old) or _shouted(old).intersection(places):
        return None
    return None if around.know(now.decode("ascii")) else (was, now)


def _is_declared(tokens: Tokens, at: int) -> bool:
    """Whether a variable or parameter is declared at its first place: a type before it, and behind it what ends a declarator."""
    if at < 3 or tokens[at + 1] not in (b";", b",", b"=", b"[", b")"):
        return False
    before = tokens[at - 1]
    if before == b"*":
        typed, begins = tokens[at - 2], tokens[at - 3] in (b";", b"{", b"(", b",", b"}", b"struct", b"const", b"union")
        return bool(_NAME.match(typed)) and begins
    return bool(_NAME.match(before)) and before not in BEFORE_A_VALUE | TAGS


def _shouted(tokens: Sequence[bytes]) -> frozenset[int]:
    """The places inside the arguments of what looks like a macro, which could make a string or a name of them."""
    found = set()
    open_calls: list[bool] = []
    for at, token in enumerate(tokens):
        if token == b"(":
            before = tokens[at - 1] if at else b""
            open_calls.append(bool(_NAME.match(before)) and before.upper() == before)
        elif token == b")" and open_calls:
            open_calls.pop()
        elif any(open_calls):
            found.add(at)
    return frozenset(found)
