"""Logging calls: which calls only log or trace, and tokens without them or without their text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from hook.c.definitions import DefinitionKind
from hook.c.keywords import NUMBERS
from hook.c.translation_unit import TranslationUnit
from hook.evidence.functional.token_places import NAME, STATEMENT_ENDS, STRING, Tokens, closing, is_call

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
_TRACEPOINT = re.compile(rb"trace_\w+\Z")
_MOST_TRACEPOINTS = 5  # looked up for one function
_EFFECTS = frozenset((b"=", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"|=", b"^=", b"<<=", b">>=", b"++", b"--", b"{", b"}", b";"))
# functions and macros without an effect, whose value a log call may print
PURE = frozenset(
    b"sizeof PTR_ERR ERR_PTR ARRAY_SIZE dev_name kobject_name pci_name netdev_name dev_driver_string"
    b" le16_to_cpu le32_to_cpu le64_to_cpu be16_to_cpu be32_to_cpu be64_to_cpu ntohs ntohl htons"
    b" htonl upper_32_bits lower_32_bits".split()
)
_CONVERSION = re.compile(rb"%[^%a-zA-Z]*(?:hh|h|ll|l|z|j|t|L)?[a-zA-Z]\w*")
_LOGGED = b"\x01log"  # stands for a logging statement that cannot go without another in its place


def is_logging(name: bytes) -> bool:
    """Whether a name is one of those that all of the kernel logs with."""
    return _LOG.match(name) is not None or _LOG_TEXT_ONLY.match(name) is not None


def is_trace_call(name: bytes) -> bool:
    """Whether a name is spelled like the call of a tracepoint."""
    return _TRACEPOINT.match(name) is not None


def known_loggers(tokens: Tokens, own: frozenset[bytes], is_tracepoint: Callable[[str], bool]) -> frozenset[bytes]:
    """The names among `tokens` that only log or trace in all of the kernel, without those that the file defines itself (`own`)."""
    known = {token for token in tokens if _LOG.match(token) and token not in own}
    events = [token for token in dict.fromkeys(tokens) if is_trace_call(token) and token not in own]
    if len(events) <= _MOST_TRACEPOINTS:
        known.update(token for token in events if is_tracepoint(token.removeprefix(b"trace_").decode("ascii")))
    return frozenset(known)


def own_loggers(file: TranslationUnit) -> frozenset[bytes]:
    """Macros of the file that do nothing but log: their whole body is one logging call, or such a call in do { } while (0)."""
    loggers = set()
    macros = [definition.name.encode("ascii") for definition in file.scan.definitions if definition.kind is DefinitionKind.MACRO]
    own = {definition.name.encode("ascii") for definition in file.scan.definitions}
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
            loggers.add(match.group(1))
    return frozenset(name for name in loggers if macros.count(name) == 1)


def without_text(tokens: Tokens, loggers: frozenset[bytes]) -> Tokens:
    """The tokens with only the conversions left of the strings that logging calls are given, not of those in calls inside them."""
    out = list(tokens)
    for at in range(len(out) - 1):
        if out[at + 1] != b"(" or not (out[at] in loggers or _LOG_TEXT_ONLY.match(out[at])) or not is_call(out, at):
            continue
        inner: list[bool] = []  # of each open parenthesis inside, whether it is a call's
        for place in range(at + 2, closing(out, at + 1)):
            if out[place] == b"(":
                inner.append(bool(NAME.match(out[place - 1])))
            elif out[place] == b")":
                inner.pop()
            elif not any(inner) and STRING.match(out[place]):
                out[place] = b'"' + b"".join(_CONVERSION.findall(out[place])) + b'"'
    return tuple(out)


def without_logging(tokens: Tokens, loggers: frozenset[bytes]) -> Tokens | None:
    """The tokens without the statements that only log; None where an argument of one could have an effect."""
    out: list[bytes] = []
    at = depth = 0
    while at < len(tokens):
        word = tokens[at]
        logs = at + 1 < len(tokens) and tokens[at + 1] == b"(" and word in loggers and depth == 0 and is_call(tokens, at)
        end = closing(tokens, at + 1) if logs else 0
        if not end or tokens[end + 1 : end + 2] != (b";",):
            depth += (word == b"(") - (word == b")")
            out.append(word)
            at += 1
            continue
        if not _has_no_effect(tokens[at + 2 : end]):
            return None
        if out and out[-1] in STATEMENT_ENDS:
            pass  # a statement of its own: nothing is left of it
        else:
            out += [_LOGGED, b";"]  # the body of an if, or behind a label: something has to stand there
        at = end + 2
    return tuple(out)


def _has_no_effect(arguments: Sequence[bytes]) -> bool:
    """Whether computing the arguments of a call does nothing: no call but of a pure function, no assignment, no directive."""
    for number, token in enumerate(arguments):
        if token in _EFFECTS or token.startswith(b"#"):
            return False
        called = arguments[number + 1 : number + 2] == (b"(",) and (NAME.match(token) or token in (b")", b"]"))
        if called and token not in PURE and not (token == b")" and _is_cast(arguments, number)):
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
    return bool(inside) and all(word in NUMBERS for word in inside)
