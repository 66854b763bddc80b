"""Keywords: the words of C that look like names, in one set for each use.

The sets differ because the uses differ: a word too many hides a call or a variable, a word too few invents one. Each says what it is used
for. Names of the kernel are in them only if a macro must be seen through.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[bytes]:
    return frozenset(text.encode("ascii").split())


def _as_text(words: frozenset[bytes]) -> frozenset[str]:
    """The same words as text."""
    return frozenset(word.decode("ascii") for word in words)


# words before a parenthesis that is no call, in the body of a function
_HEADS = _words("if for while switch return")
_BRANCHES = _words("do else case")
_JUMPS = _words("goto break continue default")
_SIZES = _words("sizeof typeof")
_SCALARS = _words("void int char long short unsigned signed float double bool")
_STORAGE = _words("static const inline extern volatile register")
TAGS = _words("struct union enum")

# not shown to a person as calls, in code that is not preprocessed
NOT_CALLED = _HEADS | _BRANCHES | _SIZES | _words("__typeof__ defined _Static_assert __attribute__ __alignof__")
# not calls whose definitions a model is shown
NOT_CALLED_IN_PACK = _as_text(NOT_CALLED | _words("likely unlikely"))
# not followed as calls from an initcall: assembly has operands in parentheses
NOT_CALLED_AT_START = _as_text(_HEADS | _BRANCHES | _SIZES | _words("defined __attribute__ asm"))
# not followed as calls from a probe, where any other word is looked up and not found
NOT_CALLED_IN_PROBE = _as_text(_HEADS | _SIZES)
# a name in their parentheses is not passed to a function: these macros only return its value
HANDS_NOTHING_ON = _HEADS | _BRANCHES | _SIZES | _words("__typeof__ defined likely unlikely READ_ONCE rcu_dereference")
# statements in the body of a function; `sizeof` counts as a call, since its argument matters for uninitialised memory
STATEMENTS = _HEADS | _BRANCHES | _words("goto")
# a name after one of these words is not declared there
BEFORE_A_VALUE = _words("return goto else case sizeof")

# in heads of definitions: never the defined name
NOT_DEFINED = _SCALARS | _STORAGE | TAGS | _HEADS | _BRANCHES | _JUMPS | _words("typedef sizeof defined")
# before a parenthesis, but no macro: words that no header defines with arguments
NOT_A_MACRO = (
    (_SCALARS | _STORAGE) - _words("bool extern")
    | TAGS
    | _HEADS
    | _BRANCHES
    | _JUMPS
    | _SIZES
    | _words("typedef asm restrict __asm__ __alignof__ __inline __inline__ __typeof __typeof__ __volatile__ _Alignof _Bool _Generic")
)
# in the body of a function: words that are no names, and may begin an expression or a declaration
IN_STATEMENTS = _SCALARS | _STORAGE | TAGS | _HEADS | _BRANCHES | _JUMPS | _SIZES | _words("typedef asm __asm__")
# a cast to a pointer to bytes
BYTE_POINTERS = _words("void const char unsigned u8 __u8 uint8_t struct __user __force *")
