"""Keywords: the words of C that look like names, in the sets that the readers of C ask for.

The sets are not one because the readers are not asked the same: a word too many hides a call or a variable, a word too few invents one.
Each says who uses it, and why it is not the next one. Names of the kernel stand in them only where a reader has to see through a macro.
"""

from __future__ import annotations


def _words(text: str) -> frozenset[bytes]:
    return frozenset(text.encode("ascii").split())


def _as_text(words: frozenset[bytes]) -> frozenset[str]:
    """The same words for a reader of text."""
    return frozenset(word.decode("ascii") for word in words)


# what a parenthesis follows without a call, in the body of a function
_HEADS = _words("if for while switch return")
_BRANCHES = _words("do else case")
_JUMPS = _words("goto break continue default")
_SIZES = _words("sizeof typeof")
_SCALARS = _words("void int char long short unsigned signed float double bool")
_STORAGE = _words("static const inline extern volatile register")
TAGS = _words("struct union enum")

# calls as they are shown to a person, where no preprocessor has run
NOT_CALLED = _HEADS | _BRANCHES | _SIZES | _words("__typeof__ defined _Static_assert __attribute__ __alignof__")
# calls whose definitions a model is shown
NOT_CALLED_IN_PACK = _as_text(NOT_CALLED | _words("likely unlikely"))
# calls that are followed from an initcall: assembly has operands in parentheses
NOT_CALLED_AT_START = _as_text(_HEADS | _BRANCHES | _SIZES | _words("defined __attribute__ asm"))
# calls that are followed from a probe, where any other word is looked up and not found
NOT_CALLED_IN_PROBE = _as_text(_HEADS | _SIZES)
# what a name stands in the parentheses of without being given to a function: these macros only give its value on
HANDS_NOTHING_ON = _HEADS | _BRANCHES | _SIZES | _words("__typeof__ defined likely unlikely READ_ONCE rcu_dereference")
# statements in the body of a function; `sizeof` is a call there, of which the memory readers ask the argument
STATEMENTS = _HEADS | _BRANCHES | _words("goto")
# what stands before a name that it does not declare
BEFORE_A_VALUE = _words("return goto else case sizeof")

# heads of definitions: never the name that is defined
NOT_DEFINED = _SCALARS | _STORAGE | TAGS | _HEADS | _BRANCHES | _JUMPS | _words("typedef sizeof defined")
# before a parenthesis, what is no call to the preprocessor: words that no header defines with arguments
NOT_A_MACRO = (
    (_SCALARS | _STORAGE) - _words("bool extern")
    | TAGS
    | _HEADS
    | _BRANCHES
    | _JUMPS
    | _SIZES
    | _words("typedef asm restrict __asm__ __alignof__ __inline __inline__ __typeof __typeof__ __volatile__ _Alignof _Bool _Generic")
)
# between the braces of a function: what an expression or a declaration begins with that is no name
IN_STATEMENTS = _SCALARS | _STORAGE | TAGS | _HEADS | _BRANCHES | _JUMPS | _SIZES | _words("typedef asm __asm__")
# a cast to a pointer at bytes
BYTE_POINTERS = _words("void const char unsigned u8 __u8 uint8_t struct __user __force *")
# a cast to a number
NUMBERS = _words("unsigned signed long int short char void u8 u16 u32 u64 s8 s16 s32 s64 size_t ssize_t const *")
