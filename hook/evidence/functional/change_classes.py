"""Change classes: what kind of edit a piece of C has had, in the words of docs/evidence.md.

They describe an edit for people and for counting; none of them proves one harmless. What is has its class from its proof
(hook.evidence.functional.effects).
"""

from __future__ import annotations

import collections
import difflib
import re
from collections.abc import Iterable, Sequence

from hook.c.comparison import Unreadable
from hook.c.definitions import DefinitionKind
from hook.c.segments import Edit
from hook.evidence.functional import effects

_MOST_STATEMENTS = 4000  # of one function that are compared one by one; difflib is quadratic at worst
_ASSERTION = re.compile(
    rb"(?:[A-Z0-9_]*(?:WARN|BUG)(?:_ON)?(?:_ONCE|_RATELIMIT|_FUNC)?(?:_[A-Z]+)?|VM_\w*(?:WARN|BUG)_ON\w*|lockdep_assert\w*|BUILD_BUG_ON\w*"
    rb"|static_assert|\w*ASSERT\w*|assert_\w+|might_sleep|might_fault|might_lock\w*)\Z"
)
_TRACEPOINT = re.compile(rb"trace_\w+\Z")
_CONSTANT = re.compile(rb"(?:[0-9]\w*|'.*'|\".*\"|[A-Z][A-Z0-9_]+|true|false|NULL)\Z", re.DOTALL)
_ANNOTATIONS = frozenset(
    b"const volatile static inline noinline __always_inline __init __exit __initdata __exitdata __initconst __maybe_unused __always_unused"
    b" __must_check __user __iomem __force __rcu __percpu __cold __hot __pure __read_mostly __ro_after_init __weak __used __visible noinstr"
    b" __sched __latent_entropy __packed __randomize_layout __noreturn fallthrough".split()
)
_TYPES = (DefinitionKind.STRUCT, DefinitionKind.UNION, DefinitionKind.ENUM, DefinitionKind.TYPEDEF)
_CONDITION = re.compile(rb"#[ \t]*(?:if|ifdef|ifndef|elif|else|endif)\b")
_INCLUDE = re.compile(rb"#[ \t]*include\b")
_COUNTING = frozenset(("assertion", "code", "constant"))
_STATEMENT_ENDS = frozenset((b";", b"{", b"}"))

Statement = tuple[bytes, ...]


def counts_as_functional(edit: Edit, names: Iterable[str]) -> bool:
    """Whether an edit of a .c file with these classes, not proved harmless, counts as a change of what the kernel does.

    That is so where statements of a function differ: refactors and assertions count, whatever their author says of them, as farms count
    them too. Statements that only changed places, declarations, types, macros and data stay open.
    """
    return edit.either.is_function and edit.old is not None and edit.new is not None and not _COUNTING.isdisjoint(names)


def of_edit(edit: Edit) -> tuple[str, ...]:
    """The classes of one edit; at least one."""
    one = edit.either
    if edit.moved:
        return ("moved code",)
    if one.kind is DefinitionKind.MACRO:
        return ("macro body",)
    if one.kind in _TYPES:
        return ("type layout",)
    try:
        old, new = (side.tokens if side else () for side in (edit.old, edit.new))
    except Unreadable:
        return ("code",)
    if one.kind is DefinitionKind.FUNCTION:
        if edit.old is None or edit.new is None:
            return ("function added",) if edit.old is None else ("function removed",)
        return _of_statements(_statements(old), _statements(new))
    if one.kind is DefinitionKind.VARIABLE:
        return ("data table",) if b"{" in (*old, *new) else ("data",)
    return tuple(dict.fromkeys(_of_loose(token) for token in _differing(old, new))) or ("declaration",)


def _of_loose(token: bytes) -> str:
    """Of a token between definitions."""
    if _CONDITION.match(token):
        return "preprocessor condition"
    return "include" if _INCLUDE.match(token) else "declaration"


def _differing(old: Statement, new: Statement) -> list[bytes]:
    rest = collections.Counter(new)
    rest.subtract(old)
    return [token for token, count in rest.items() if count]


def _statements(tokens: Statement) -> list[Statement]:
    """The tokens cut behind each `;`, `{` and `}` outside of parentheses, directives on their own."""
    out: list[Statement] = []
    begin = depth = 0
    for at, token in enumerate(tokens):
        depth = max(0, depth + (token == b"(") - (token == b")"))
        is_directive = token[:1] == b"#"
        if is_directive and begin < at:
            out.append(tokens[begin:at])
            begin = at
        if is_directive or (token in _STATEMENT_ENDS and depth == 0):
            out.append(tokens[begin : at + 1])
            begin = at + 1
    if begin < len(tokens):
        out.append(tokens[begin:])
    return out


def _of_statements(old: Sequence[Statement], new: Sequence[Statement]) -> tuple[str, ...]:
    if len(old) + len(new) > _MOST_STATEMENTS:
        return ("code",)
    if collections.Counter(old) == collections.Counter(new):
        return ("moved code",)
    found: dict[str, None] = {}
    for what, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if what != "equal":
            found.update(dict.fromkeys(_of_pair(old[a:b], new[c:d])))
    return tuple(found)


def _of_pair(old: Sequence[Statement], new: Sequence[Statement]) -> Iterable[str]:
    """Of statements that stand where others stood."""
    if len(old) == len(new):
        for one, other in zip(old, new, strict=True):
            if one != other:
                yield _of_replaced(one, other)
        return
    for statement in (*old, *new):
        if statement != (b"}",):
            yield _of_statement(statement)


def _of_replaced(old: Statement, new: Statement) -> str:
    kind = _of_statement(old)
    if kind != "code" and kind == _of_statement(new):
        return kind
    if tuple(token for token in old if token not in _ANNOTATIONS) == tuple(token for token in new if token not in _ANNOTATIONS):
        return "annotation"
    if len(old) == len(new):
        pairs = [(one, other) for one, other in zip(old, new, strict=True) if one != other]
        if all(_CONSTANT.match(one) and _CONSTANT.match(other) for one, other in pairs):
            return "constant"
    return "code"


def _of_statement(statement: Statement) -> str:
    first = statement[0]
    if _CONDITION.match(first):
        return "preprocessor condition"
    if any(_ASSERTION.match(token) for token in statement):
        return "assertion"
    if len(statement) > 1 and statement[1] == b"(":
        if effects.is_logging(first):
            return "log call"
        if _TRACEPOINT.match(first):
            return "tracepoint call"
    if statement[0] == b"fallthrough":
        return "annotation"
    return "code"
