"""Inlining: whether GCC at -O2 puts a function of a file into its callers, predicted from its source.

docs/evidence.md has the rules, and how often they are right.
"""

from __future__ import annotations

import re

from hook import lazy_re
from hook.c.callgraph import Node
from hook.c.definitions import Definition, DefinitionKind
from hook.c.translation_unit import TranslationUnit

# tokens of a static function with several callers, below which GCC at -O2 mostly inlines it; of 25 to 41 it keeps four of five
_SMALL = 25
_SURE = 75  # from which on it mostly keeps it; between the two it is not sure
_LONG = 120  # from which on it is kept where its only caller is itself put into several
_LARGE = 200  # tokens of a static function that is called once, from which on GCC may keep it for its objects on the stack
# a structure or an array that is declared in a function, and stands on its stack
_ON_STACK = lazy_re.compile(
    rb"^[ \t]++(?:const[ \t]++)?(?:(?:struct|union)[ \t]++\w++[ \t]++\w++[ \t]*+[;,=\[]"
    rb"|(?!(?:static|extern|return|case|goto|else)\b)(?:\w++[ \t]++)++\**+\w++\[[^\]\n]++\][ \t]*+[;,=])",
    re.MULTILINE,
)
_CONDITIONAL = lazy_re.compile(rb"^[ \t]*+#[ \t]*+(if|ifdef|ifndef|elif|else|endif)\b", re.MULTILINE)
_TOKEN = lazy_re.compile(rb"\w+|[^\w\s]")


def inlined(node: Node, after: TranslationUnit) -> str:
    """Why the compiler will most likely inline a function; empty where it most likely keeps it."""
    head = after.head(node.definition)
    if not _is_plain_static(node, head):
        return ""
    if b"inline" in head:
        return "inline"
    if len(node.callers) == 1:
        return "" if _is_kept_for_its_stack(node, after) or _has_caller_put_into_many(node, after) else "called once"
    return "small" if node.callers and _size(node, after) < _SMALL else ""


def may_be_inlined(node: Node, after: TranslationUnit) -> bool:
    """Whether the compiler may inline a function that it most likely keeps."""
    if not node.callers or not _is_plain_static(node, after.head(node.definition)):
        return False
    return _certain_calls(node, after) <= 1 or _size(node, after) < _SURE


def _certain_calls(node: Node, after: TranslationUnit) -> int:
    """How many calls of a function there are wherever it is compiled itself: a caller in a conditional of its own may not be there."""
    around = _conditionals(node.definition, after)
    callers = (caller for name in node.callers if (caller := after.callgraph.get(name)) is not None)
    return sum(_conditionals(caller.definition, after) <= around for caller in callers)


def _conditionals(definition: Definition, after: TranslationUnit) -> frozenset[int]:
    """Where the preprocessor conditionals begin that a definition stands in, each branch of its own."""
    opened: list[int] = []
    for match in _CONDITIONAL.finditer(after.data, 0, definition.offset):
        if match[1] in (b"endif", b"else", b"elif") and opened:
            opened.pop()
        if match[1] != b"endif":
            opened.append(match.start())
    return frozenset(opened)


def _is_kept_for_its_stack(node: Node, after: TranslationUnit) -> bool:
    """Whether GCC may keep a function that is called once: by -fconserve-stack, no large frame goes into one without objects."""
    caller = after.callgraph.get(node.callers[0])
    if caller is None or caller.definition.kind is not DefinitionKind.FUNCTION or _has_objects(caller.definition, after):
        return False
    return _size(node, after) >= _LARGE and _has_objects(node.definition, after)


def _has_caller_put_into_many(node: Node, after: TranslationUnit) -> bool:
    """Whether the only caller of a function may be put into several others first, so that the function is not called once any more."""
    caller = after.callgraph.get(node.callers[0])
    if caller is None or caller.definition.kind is not DefinitionKind.FUNCTION or len(caller.callers) < 2:
        return False
    return _size(node, after) >= _LONG and _is_plain_static(caller, after.head(caller.definition)) and _size(caller, after) < _SURE


def _has_objects(function: Definition, after: TranslationUnit) -> bool:
    return _ON_STACK.search(after.scan.code, *function.body) is not None


def _is_plain_static(node: Node, head: bytes) -> bool:
    """Whether the compiler is free to inline each call of a function, and then keeps none of it."""
    return b"static" in head and not node.address_taken and not any(word in head for word in (b"noinline", b"...", b"__used"))


def _size(node: Node, after: TranslationUnit) -> int:
    """The tokens of a function."""
    body = after.scan.code[node.definition.body[0] : node.definition.body[1]]
    return len(_TOKEN.findall(body)) + len(_TOKEN.findall(after.head(node.definition)))
