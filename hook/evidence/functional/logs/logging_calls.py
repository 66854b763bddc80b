"""Logging calls: which calls only log or trace, and whether two versions of a function differ in nothing else."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.keywords import IN_STATEMENTS
from hook.c.translation_unit import TranslationUnit
from hook.evidence.functional.logs import log_arguments
from hook.evidence.functional.logs.log_arguments import Scope
from hook.evidence.functional.logs.printk_formats import conversions
from hook.evidence.functional.token_places import NAME, STATEMENT_ENDS, STRING, Tokens, closing, is_call, statement_expressions


class Logger(msgspec.Struct, frozen=True):
    """A function or macro that only logs or traces."""

    family: str  # the loggers that read the same of the same device
    format: int  # which argument is the format; -1: none
    device: int = -1  # which argument is read for the name of a device; -1: none
    always: bool = False  # whether it evaluates its arguments whenever it is reached
    only_text: bool = False  # whether it does more, so that only its text is free


_LEVELS = "emerg|alert|crit|err|warn|warning|notice|info"
_ANY_LEVEL = rf"(?:{_LEVELS}|debug|dbg|vdbg)"
_OFTEN = r"(?:_once|_ratelimited)?"
# the name, the family, and which argument is the format and which the device
_LOGGERS = [
    (lazy_re.compile(rf"(?:{pattern})\Z".encode()), family, form, device)
    for pattern, family, form, device in (
        (rf"pr_(?:{_ANY_LEVEL}|cont|devel){_OFTEN}|_?printk(?:_once|_ratelimited)?|no_printk", "printk", 0, -1),
        (rf"net_{_ANY_LEVEL}_ratelimited|BT_(?:ERR|INFO|DBG|WARN)", "printk", 0, -1),
        (r"DRM_(?:ERROR|INFO|WARN|NOTE|DEBUG(?:_KMS|_DRIVER|_ATOMIC)?)(?:_RATELIMITED)?", "printk", 0, -1),
        (r"DRM_DEV_(?:ERROR|INFO|WARN|NOTE|DEBUG(?:_KMS|_DRIVER|_ATOMIC)?)(?:_RATELIMITED)?", "dev", 1, 0),
        (rf"v4l2_(?:{_LEVELS})", "v4l2", 1, 0),
        (r"mlx5_core_(?:err|warn|info|dbg)(?:_rl)?", "mlx5", 1, 0),
        (r"btrfs_(?:err|warn|info|debug|crit)(?:_rl)?", "btrfs", 1, 0),
        (r"(?:sdev|shost|starget|scmd)_printk", "scsi", 2, 1),
        *(
            (rf"{family}_{_ANY_LEVEL}{_OFTEN}", family, 1, 0)
            for family in ("dev", "netdev", "wiphy", "ibdev", "pci", "hid", "drm", "phydev", "bt_dev", "ata_dev", "ata_link", "ata_port")
        ),
    )
]
# these also give a value, set something or read more than a name, or may be called where others may not
_TEXT_ONLY = [
    (lazy_re.compile(rf"(?:{pattern})\Z".encode()), form)
    for pattern, form in (
        (r"printk_deferred(?:_once)?", 0),
        (r"dev_(?:err|warn)_probe", 2),
        (rf"netif_{_ANY_LEVEL}{_OFTEN}", 3),
        (rf"acpi_handle_{_ANY_LEVEL}{_OFTEN}", 1),
    )
]
# what the macros of include/linux/{printk,dev_printk,dynamic_debug,ratelimit,once}.h and the like call
_INSIDE = lazy_re.compile(
    rb"(?:_*v?printk(?:_\w+)?|no_printk|KERN_[A-Z]+|_+(?:pr|v?dev|netdev|drm|hid|pci|phydev|ibdev|wiphy|btrfs|bt|mlx5_core|v4l2)_(?:"
    + f"{_LEVELS}|debug|dbg|vdbg|printk".encode()
    + rb")\w*|(?:dev|netdev|drm|v4l2|btrfs|ata_\w+)_printk\w*|_*dynamic_\w*(?:dbg|debug|call)\w*|DEFINE_(?:DYNAMIC_DEBUG|RATELIMIT)\w*"
    rb"|(?:net)?_*ratelimit|bt_dev_name|DO_ONCE\w*"
    rb"|(?:bt|netdev|acpi_handle|sdev|scmd|__?drm)_(?:\w+_)?(?:printk|" + _ANY_LEVEL.encode() + rb")(?:_once|_ratelimited)?)\Z"
)
_MAY_BE_INSIDE = lazy_re.compile(rb"(?:bt|netdev|acpi_handle|sdev|scmd|__?drm)_\w+\Z")
_ALWAYS = lazy_re.compile(rf"(?:\w+_(?:{_LEVELS})|_?printk|pr_cont)\Z".encode())
_TRACEPOINT = lazy_re.compile(rb"trace_\w+\Z")
# in a statement expression, what begins a statement that does not vanish: a word, and what follows a name
_STATEMENTS = frozenset((b"if", b"else", b"for", b"switch", b"return", b"goto", b"break", b"continue"))
_BEHIND_A_NAME = frozenset((b"(", b"->", b".", b"[", b"=", b"+=", b"-=", b"|=", b"&=", b"++", b"--"))
_MOST_TRACEPOINTS = 5  # looked up for one function
_MOST_CHANGED = 40  # places of a function in which logging calls came, went or were changed
_PREFIX = lazy_re.compile(rb"(?:KERN_[A-Z]+|FW_(?:BUG|WARN|INFO)|HW_ERR|DEPRECATED)\Z")
_IN_DECLARATORS = frozenset(b"( * const volatile restrict __restrict __user".split())
_BEFORE_A_CALL = frozenset((b"else", b"do", b"return"))
_LOGGED = b"\x01log"  # stands for a logging statement that cannot go without another in its place
Loggers = Mapping[bytes, Logger]


@functools.cache
def logger(name: bytes) -> Logger | None:
    """What is known of a name that all of the kernel logs with."""
    for pattern, family, form, device in _LOGGERS:
        if pattern.match(name):
            return Logger(family, form, device, always=_ALWAYS.match(name) is not None and not name.startswith((b"net_", b"btrfs_")))
    return next((Logger("", form, only_text=True) for pattern, form in _TEXT_ONLY if pattern.match(name)), None)


def is_prefix(name: bytes) -> bool:
    """Whether a name is one of those that all of the kernel begins a format with."""
    return _PREFIX.match(name) is not None


def is_trace_call(name: bytes) -> bool:
    """Whether a name is spelled like the call of a tracepoint."""
    return _TRACEPOINT.match(name) is not None


def may_log(name: bytes) -> bool:
    """Whether a name may be one of `known_loggers`."""
    return is_trace_call(name) or logger(name) is not None


def known_loggers(tokens: Tokens, own: frozenset[bytes], is_tracepoint: Callable[[str], bool]) -> dict[bytes, Logger]:
    """The names among `tokens` that only log or trace in all of the kernel, without those that the file defines itself (`own`)."""
    # what is declared here, perhaps a pointer to a function, is no logger
    others = {
        token
        for at, token in enumerate(tokens)
        if tokens[at + 1 : at + 2] != (b"(",) or (at and NAME.match(tokens[at - 1]) and tokens[at - 1] not in _BEFORE_A_CALL)
    }
    if any(_INSIDE.match(name) and (name in own or not is_prefix(name)) for name in own | others):
        return {}  # what the loggers are made of means something else, in the file or in this function
    if any(logger(name) or _INSIDE.match(name) or _MAY_BE_INSIDE.match(name) for name in _functions(tokens)):
        return {}
    names = [token for token in dict.fromkeys(tokens) if NAME.match(token) and token not in own and token not in others]
    known = {name: found for name in names if (found := logger(name))}
    events = [name for name in names if is_trace_call(name)]
    if len(events) <= _MOST_TRACEPOINTS:
        known.update({name: Logger("trace", -1) for name in events if is_tracepoint(name.removeprefix(b"trace_").decode("ascii"))})
    return known


def _functions(tokens: Tokens) -> set[bytes]:
    """The names that a function declares as pointers to functions, as `(*NAME)(`, or as functions inside it, as `* NAME(...) {`."""
    head = tokens.index(b"{") if b"{" in tokens else len(tokens)
    found = set()
    for at, token in enumerate(tokens):
        if not at or not NAME.match(token) or token in IN_STATEMENTS:
            continue
        behind = tokens[at + 1 : at + 2]
        if behind == (b"(",):
            if at > head and (tokens[at - 1] == b"*" or NAME.match(tokens[at - 1])):
                end = closing(tokens, at + 1)
                after = tokens[end + 1 : end + 2]
                found |= {token} if after == (b"{",) or any(map(NAME.match, after)) else set()
        elif behind in ((b")",), (b"[",)):
            begin = at
            while begin and tokens[begin - 1] in _IN_DECLARATORS:
                begin -= 1
            if {b"(", b"*"}.issubset(tokens[begin:at]):
                end = next((place for place in range(at + 1, len(tokens)) if tokens[place] == b")"), at)
                while tokens[end + 1 : end + 2] == (b")",):
                    end += 1
                if tokens[end + 1 : end + 2] == (b"(",):
                    found.add(token)
    return found


_WRAPPER = lazy_re.compile(
    rb"#\s*define\s+(?P<name>\w+)\(\s*(?P<format>\w+)\s*,\s*(?P<rest>\.\.\.|\w+\s*\.\.\.)\s*\)\s*(?:do\s*\{\s*)?(?P<logger>\w+)\s*\("
    rb'\s*(?P<prefix>(?:KERN_[A-Z]+\s*)?(?:"[^"%\\]*"\s*)?)(?P=format)\s*(?:"(?:\\n)?"\s*)?,\s*##\s*(?P<arguments>\w+)\s*\)'
    rb"\s*;?\s*(?:\}\s*while\s*\(\s*0\s*\))?\s*\Z"
)
_SPLICE = lazy_re.compile(rb"\\\s*\n")
_FORMATS = lazy_re.compile(rb"\w*_fmt\Z")
_PLAIN_FORMAT = lazy_re.compile(
    rb'#\s*define\s+\w+\(\s*(?P<format>\w+)\s*\)\s*(?:(?:KBUILD_MODNAME|KBUILD_BASENAME|"[^"%\\]*(?:%s[^"%\\]+)*")\s*)*(?P=format)'
    rb'\s*(?:"[^"%\\\w]*(?:\\n)?")?(?:\s*,\s*(?:__func__|KBUILD_MODNAME))*\s*\Z'
)


def own_loggers(file: TranslationUnit) -> dict[bytes, Logger]:
    """Macros of the file that do nothing but log: one definition, whose whole body is one such call with the arguments passed on."""
    loggers = {}
    names = [definition.name.encode("ascii") for definition in file.scan.definitions]
    for segment in file.segments:
        if segment.kind is not DefinitionKind.MACRO:
            continue
        match = _WRAPPER.match(_SPLICE.sub(b" ", segment.text))
        if match is None or names.count(match["name"]) != 1 or match["logger"] in names:
            continue
        rest = b"__VA_ARGS__" if match["rest"] == b"..." else match["rest"][:-3].strip()
        found = logger(match["logger"])
        if found and found.family == "printk" and match["arguments"] == rest and not re.search(rb"#\s*undef\s+" + match["name"], file.data):
            loggers[match["name"]] = found
    return loggers


def has_odd_format(file: TranslationUnit) -> bool:
    """Whether a file defines a `pr_fmt` or `dev_fmt` that is not known to do no more than to print a prefix."""
    for segment in file.segments:
        if segment.kind is DefinitionKind.MACRO and _FORMATS.match(segment.name.encode("ascii")):
            text = re.sub(rb"\\\s*\n|/\*.*?\*/|//[^\n]*", b" ", segment.text)
            if not _PLAIN_FORMAT.match(text) or text.count(b"%") != len(re.findall(rb",\s*(?:__func__|KBUILD_MODNAME)", text)):
                return True
    return False


def without_text(tokens: Tokens, loggers: Loggers, is_text: Callable[[bytes], bool], is_macro: Callable[[bytes], bool]) -> Tokens:
    """The tokens with only the conversions left of the formats that logging calls print, where the value of the call is not used."""
    out = list(tokens)
    open_calls: list[bool] = []  # of each open parenthesis, whether it is a call's
    inside = 0  # so many calls
    for at, token in enumerate(tokens):
        if token == b"(":
            found = loggers.get(tokens[at - 1]) if at and not inside and is_call(tokens, at - 1) else None
            open_calls.append(at > 0 and _is_called(tokens[at - 1]))
            inside += open_calls[-1]
            end = closing(tokens, at) if found and found.format >= 0 else 0
            if found and end and (found.family == "" or _is_statement(tokens, at - 1, end, loggers, is_macro)):
                begin, behind = _argument(tokens, at + 1, end, found.format)
                out[begin:behind] = _without_words(tokens[begin:behind], is_text)
        elif token == b")" and open_calls:
            inside -= open_calls.pop()
    return tuple(token for token in out if token)


def _is_called(name: bytes) -> bool:
    return bool(NAME.match(name)) and name not in (b"if", b"while", b"for", b"switch", b"return")


def _argument(tokens: Tokens, begin: int, end: int, number: int) -> tuple[int, int]:
    """Where an argument of a call begins, and what stands behind it; an empty range where there is none."""
    at = begin
    for count, argument in enumerate(log_arguments.split(tokens[begin:end])):
        if count == number:
            return at, at + len(argument)
        at += len(argument) + 1
    return end, end


def _without_words(form: Tokens, is_text: Callable[[bytes], bool]) -> list[bytes]:
    """A format with its conversions alone, as many tokens as before; the same where more than strings with a known prefix stands in it."""
    strings = _strings(form, is_text)
    found = conversions(strings) if strings else None
    if found is None:
        return list(form)
    kept = [*form[: len(form) - len(strings)], b'"' + b"".join(conversion.text for conversion in found) + b'"']
    return [*kept, *([b""] * (len(form) - len(kept)))]


def _strings(form: Tokens, is_text: Callable[[bytes], bool]) -> Tokens:
    """The strings of a format behind macros that stand for plain strings; none where there is anything else."""
    first = next((at for at, token in enumerate(form) if STRING.match(token)), len(form))
    prefixes = all(NAME.match(token) and is_text(token) for token in form[:first])
    return form[first:] if prefixes and all(map(STRING.match, form[first:])) else ()


def _has_statement(tokens: Tokens, at: int, loggers: Loggers, is_macro: Callable[[bytes], bool]) -> bool:
    """Whether a statement begins here that is there under all options: no macro, which may be empty, and no declaration."""
    while tokens[at : at + 1] == (b";",):
        at += 1
    name = tokens[at] if at + 1 < len(tokens) else b""
    if name in _STATEMENTS:
        return True
    if not NAME.match(name) or name in IN_STATEMENTS or name[:1] == b"_" or tokens[at + 1] not in _BEHIND_A_NAME:
        return False
    return name in loggers or not is_macro(name)


def _is_statement(tokens: Tokens, at: int, end: int, loggers: Loggers, is_macro: Callable[[bytes], bool]) -> bool:
    """Whether a call is a statement of its own, so that nothing takes its value."""
    if tokens[end + 1 : end + 2] != (b";",):
        return False
    behind = (token for token in itertools.islice(tokens, end + 2, None) if token[:1] != b"#" and token != b";")
    if b"".join(itertools.islice(behind, 3)).startswith((b"})", b"%>)")):
        return False  # the last of a statement expression, which has its value
    is_inside = any(begin < at < close for begin, close in statement_expressions(tokens))
    if is_inside and not _has_statement(tokens, end + 2, loggers, is_macro):
        return False
    before = tokens[at - 1]
    if before in STATEMENT_ENDS or before in (b"else", b"do") or before[:1] == b"#":
        return True
    if before == b":":
        begin = next((place for place in range(at - 2, 0, -1) if tokens[place] in STATEMENT_ENDS), 0)
        return not {b"?", b"=", b"return"}.intersection(tokens[begin:at])
    if before != b")":
        return False
    depth = 0
    for place in range(at - 1, 1, -1):
        depth += (tokens[place] == b")") - (tokens[place] == b"(")
        if depth == 0:
            head = tokens[place - 1]
            return head in (b"if", b"for", b"while") or bool(NAME.match(head) and tokens[place - 2] in STATEMENT_ENDS)
    return False


class _Call(msgspec.Struct, frozen=True, eq=False):
    """A statement that only logs."""

    text: Tokens
    name: bytes
    at: int  # in the tokens of its version

    def __eq__(self, other: object) -> bool:
        """The same statement, wherever it stands."""
        return isinstance(other, _Call) and (self.text, self.name) == (other.text, other.name)

    def __hash__(self) -> int:
        return hash((self.text, self.name))


Place = tuple[int, Tokens]  # of a call: how many other tokens stand before it, and the braces that stand between


def _cut(tokens: Tokens, loggers: Loggers, is_macro: Callable[[bytes], bool]) -> tuple[Tokens, dict[Place, list[_Call]]]:
    """The tokens without the statements that only log, and these by their places."""
    rest: list[bytes] = []
    calls: dict[Place, list[_Call]] = {}
    at = depth = count = 0
    braces: Tokens = ()
    while at < len(tokens):
        word = tokens[at]
        found = loggers.get(word) if depth == 0 and at and tokens[at + 1 : at + 2] == (b"(",) and is_call(tokens, at) else None
        end = closing(tokens, at + 1) if found and not found.only_text else 0
        if end and _is_statement(tokens, at, end, loggers, is_macro):
            calls.setdefault((count, braces), []).append(_Call(tokens[at : end + 1], word, at))
            following = next((token for token in tokens[end + 2 :] if token[:1] != b"#"), b"")
            if not (rest and rest[-1] in STATEMENT_ENDS) or following == b"else":
                rest += [_LOGGED, b";"]  # the body of an if, or behind a label: something has to stand there
            at = end + 2
            continue
        depth += (word == b"(") - (word == b")")
        rest.append(word)
        is_brace = word in (b"{", b"}")
        count, braces = (count, (*braces, word)) if is_brace else (count + 1, ())
        at += 1
    return tuple(rest), calls


def same_but_for_logging(
    old: Tokens, new: Tokens, loggers: Loggers, scopes: tuple[Scope, Scope], are_equal: Callable[[tuple[Tokens, Tokens]], bool]
) -> bool:
    """Whether two versions of a function differ only in logging statements, and each of these can be evaluated or left out alike.

    A statement that came, went or changed evaluates nothing but plain values, or reads what one in the very same place reads as often.
    It is not all that a loop waits by.
    """
    old_rest, old_calls = _cut(old, loggers, scopes[0].is_macro)
    new_rest, new_calls = _cut(new, loggers, scopes[1].is_macro)
    if not are_equal((old_rest, new_rest)):
        return False
    changed = [place for place in {**old_calls, **new_calls} if old_calls.get(place) != new_calls.get(place)]
    if len(changed) > _MOST_CHANGED:
        return False
    for place in changed:
        before, after = old_calls.get(place, []), new_calls.get(place, [])
        texts = [call.text for call in after]
        kept = [call for call in before if call.text in texts]
        if [call.text for call in kept] != [text for text in texts if text in {call.text for call in kept}]:
            return False  # they changed places, or one is there twice
        if len(before) == len(after) and all(_read_alike(was, now, loggers, scopes) for was, now in zip(before, after, strict=True)):
            continue
        seen = [_device(call, loggers) for call in kept if loggers[call.name].always]
        for calls, scope in ((before, scopes[0]), (after, scopes[1])):
            for call in calls:
                if scope.waits_by(call.at, loggers):
                    return False
                others = () if call.text in {one.text for one in kept} else _others(call, loggers, scope)
                if others is None or any(other not in seen for other in others):
                    return False
    return True


def _read_alike(was: _Call, now: _Call, loggers: Loggers, scopes: tuple[Scope, Scope]) -> bool:
    """Whether a statement that replaces another evaluates as much, as often, in the same order.

    Where it does so more or less often (`pr_err_ratelimited` for `pr_err`) only if nothing that it evaluates can fault: a read that went
    away may have been of what was freed.
    """
    if was.text == now.text:
        return True
    others = _others(was, loggers, scopes[0])
    if others is None or others != _others(now, loggers, scopes[1]):
        return False
    if was.name == now.name or (loggers[was.name].always and loggers[now.name].always):
        return True
    return not others and not scopes[0].waits_by(was.at, loggers)


def _device(call: _Call, loggers: Loggers) -> tuple[bytes, Tokens]:
    """The device whose name a logging statement prints, where it is a variable or a member."""
    found = loggers[call.name]
    arguments = log_arguments.split(call.text[2:-1])
    device = arguments[found.device] if 0 <= found.device < len(arguments) else ()
    return found.family.encode(), device if log_arguments.is_member(device[device[:1] == (b"&",) :]) else ()


def _others(call: _Call, loggers: Loggers, scope: Scope) -> Sequence[tuple[bytes, Tokens]] | None:
    """What a logging statement evaluates beside plain values, each with how it is printed; None where it is not known how."""
    found = loggers[call.name]
    arguments = log_arguments.split(call.text[2:-1])
    if found.family == "trace":
        return None if not all(log_arguments.is_plain_number(argument, call.at, scope) for argument in arguments) else ()
    strings = _strings(arguments[found.format], scope.is_text) if found.format < len(arguments) else ()
    form = conversions(strings) if strings else None
    others = log_arguments.beside_plain(form, arguments[found.format + 1 :], call.at, scope) if form is not None else None
    return others if others is None or found.device < 0 else [(found.family.encode(), arguments[found.device]), *others]
