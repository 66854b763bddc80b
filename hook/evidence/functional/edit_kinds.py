"""Edit kinds: the change classes of an edit of C that is not proved harmless.

They describe the edit for people and for counting, and prove nothing. An edit that is proved harmless has the class of its proof.
"""

from __future__ import annotations

import collections
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from hook import lazy_re
from hook.c.definitions import DefinitionKind
from hook.c.segments import Edit
from hook.c.tokens.comparison import Unreadable
from hook.evidence.change_classes import FUNCTIONAL, ChangeClass
from hook.evidence.functional import file_scope
from hook.evidence.functional.alike_code import may_be_alike
from hook.evidence.functional.logs import logging_calls
from hook.evidence.functional.token_places import CONDITION, NAME, STATEMENT_ENDS, Tokens, differing

_MOST_STATEMENTS = 4000  # of one function that are compared one by one; difflib is quadratic at worst
_ASSERTION = lazy_re.compile(
    rb"(?:[A-Z0-9_]*(?:WARN|BUG)(?:_ON)?(?:_ONCE|_RATELIMIT|_FUNC)?(?:_[A-Z]+)?|VM_\w*(?:WARN|BUG)_ON\w*|lockdep_assert\w*|BUILD_BUG_ON\w*"
    rb"|static_assert|\w*ASSERT\w*|assert_\w+|might_sleep|might_fault|might_lock\w*)\Z"
)
_CONSTANT = lazy_re.compile(rb"(?:[0-9]\w*|'.*'|\".*\"|[A-Z][A-Z0-9_]+|true|false|NULL)\Z", re.DOTALL)
_ANNOTATIONS = frozenset(
    b"const volatile static inline noinline __always_inline __init __exit __initdata __exitdata __initconst __maybe_unused __always_unused"
    b" __must_check __user __iomem __force __rcu __percpu __cold __hot __pure __read_mostly __ro_after_init __weak __used __visible noinstr"
    b" __sched __latent_entropy __packed __randomize_layout __noreturn fallthrough".split()
)
# macros that, between definitions, only describe a module or define data
_QUIET = lazy_re.compile(
    rb"(?:MODULE|EXPORT|DEFINE|DECLARE(?!_PCI_FIXUP)|SIMPLE|UNIVERSAL|RUNTIME)_\w+|\w*(?:ATTR|DEV_PM_OPS|LIST_HEAD)\w*|module_param(?!_c)\w*"
    rb"|module_\w+_driver|static_assert|sizeof|typeof|__printf|__scanf|__aligned|__must_hold|__acquires|__releases|__counted_by"
    rb"|__free|container_of|ARRAY_SIZE"
)
_TYPES = (DefinitionKind.STRUCT, DefinitionKind.UNION, DefinitionKind.ENUM, DefinitionKind.TYPEDEF)
_INCLUDE = lazy_re.compile(rb"#[ \t]*include\b")
Statement = Tokens


def counts_as_functional(edit: Edit, classes: Iterable[ChangeClass], renames: Mapping[bytes, bytes]) -> bool:
    """Whether an edit of a .c file with these classes, not proved harmless, counts as a change of what the kernel does.

    It does where statements of a function differ. Refactorings and assertions count, whatever the commit message says, because fuzzing
    farms count them too. Statements that only moved, declarations, types, macros and data stay open, and so does what a compiler may turn
    into the same code.
    """
    counts = edit.either.is_function and edit.old is not None and edit.new is not None and not FUNCTIONAL.isdisjoint(classes)
    return counts and not may_be_alike(edit, renames)


def of_edit(edit: Edit) -> tuple[ChangeClass, ...]:
    """The classes of one edit; at least one."""
    kind = edit.either.kind
    if edit.moved:
        return (ChangeClass.MOVED_CODE,)
    if kind is DefinitionKind.MACRO:
        return (ChangeClass.MACRO_BODY,)
    if kind in _TYPES:
        return (ChangeClass.TYPE_LAYOUT,)
    try:
        old, new = (side.tokens if side else () for side in (edit.old, edit.new))
    except Unreadable:
        return (ChangeClass.CODE,)
    if kind is DefinitionKind.FUNCTION:
        if edit.old is None or edit.new is None:
            return (ChangeClass.FUNCTION_ADDED,) if edit.old is None else (ChangeClass.FUNCTION_REMOVED,)
        return _of_statements(_statements(old), _statements(new))
    if kind is DefinitionKind.VARIABLE:
        return (ChangeClass.DATA_TABLE,) if b"{" in (*old, *new) else (ChangeClass.DATA,)
    return tuple(dict.fromkeys(_of_declaration(token) for token in differing(old, new))) or (ChangeClass.DECLARATION,)


def acts(edit: Edit) -> bool:
    """Whether text between definitions, as it changed, may do more than declare something: a macro that makes an initcall or puts code
    into a section, an attribute, assembly, a header of the driver's own, a directive, a variable of another file.
    """
    if edit.either.kind is not None:
        return False
    try:
        old, new = (collections.Counter(_statements(side.tokens)) if side else collections.Counter() for side in (edit.old, edit.new))
    except Unreadable:
        return True
    return any(map(_acts, (old - new) + (new - old) or old + new))  # in another order, each of them


def _acts(statement: Statement) -> bool:
    if statement[0][:1] == b"#":
        return not file_scope.included(statement[0])
    if b"asm" in statement or b"__asm__" in statement or (b"extern" in statement and b"(" not in statement):
        return True
    pairs = zip((b"", *statement), statement, (*statement[1:], b""), strict=False)
    # a word or a star before it: a prototype
    calls = [name for before, name, behind in pairs if behind == b"(" and NAME.match(name) and not (NAME.match(before) or before == b"*")]
    return not all(map(_QUIET.fullmatch, calls))


def _of_declaration(token: bytes) -> ChangeClass:
    """The class of a token between definitions."""
    if CONDITION.match(token):
        return ChangeClass.PREPROCESSOR_CONDITION
    return ChangeClass.INCLUDE if _INCLUDE.match(token) else ChangeClass.DECLARATION


def _statements(tokens: Statement) -> list[Statement]:
    """The tokens, cut after each `;`, `{` and `}` outside of parentheses; each directive is a piece of its own."""
    out: list[Statement] = []
    begin = depth = 0
    for at, token in enumerate(tokens):
        depth = max(0, depth + (token == b"(") - (token == b")"))
        is_directive = token[:1] == b"#"
        if is_directive and begin < at:
            out.append(tokens[begin:at])
            begin = at
        if is_directive or (token in STATEMENT_ENDS and depth == 0):
            out.append(tokens[begin : at + 1])
            begin = at + 1
    if begin < len(tokens):
        out.append(tokens[begin:])
    return out


def _of_statements(old: Sequence[Statement], new: Sequence[Statement]) -> tuple[ChangeClass, ...]:
    if len(old) + len(new) > _MOST_STATEMENTS:
        return (ChangeClass.CODE,)
    if collections.Counter(old) == collections.Counter(new):
        return (ChangeClass.MOVED_CODE,)
    classes: dict[ChangeClass, None] = {}
    for operation, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if operation != "equal":
            classes.update(dict.fromkeys(_of_pair(old[a:b], new[c:d])))
    return tuple(classes)


def _of_pair(old: Sequence[Statement], new: Sequence[Statement]) -> Iterable[ChangeClass]:
    """The classes of statements that replace others."""
    if len(old) == len(new):
        for before, after in zip(old, new, strict=True):
            if before != after:
                yield _of_replaced(before, after)
        return
    for statement in (*old, *new):
        if statement != (b"}",):
            yield _of_statement(statement)


def _of_replaced(old: Statement, new: Statement) -> ChangeClass:
    kind = _of_statement(old)
    if kind != ChangeClass.CODE and kind == _of_statement(new):
        return kind
    if tuple(token for token in old if token not in _ANNOTATIONS) == tuple(token for token in new if token not in _ANNOTATIONS):
        return ChangeClass.ANNOTATION
    if len(old) == len(new):
        differences = [(before, after) for before, after in zip(old, new, strict=True) if before != after]
        if all(_CONSTANT.match(before) and _CONSTANT.match(after) for before, after in differences):
            return ChangeClass.CONSTANT
    return ChangeClass.CODE


def _of_statement(statement: Statement) -> ChangeClass:
    first = statement[0]
    if CONDITION.match(first):
        return ChangeClass.PREPROCESSOR_CONDITION
    if any(_ASSERTION.match(token) for token in statement):
        return ChangeClass.ASSERTION
    if len(statement) > 1 and statement[1] == b"(":
        if logging_calls.logger(first):
            return ChangeClass.LOG_CALL
        if logging_calls.is_trace_call(first):
            return ChangeClass.TRACEPOINT_CALL
    if statement[0] == b"fallthrough":
        return ChangeClass.ANNOTATION
    return ChangeClass.CODE
