"""Conditionals: the conditions on options under which a line of a C or assembly file is compiled.

Those of the preprocessor (`#ifdef`, `#if IS_ENABLED(…)`, `#elif`, `#else`), and inside functions `if (IS_ENABLED(…))`, whose
dead arm the compiler drops. A macro that the file defines means the condition under which it is defined. What only a compiler could
evaluate is left open.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterator

import msgspec

from hook import lazy_re
from hook.c import integers, translation_unit
from hook.c.blanking import HIDDEN, without_literals
from hook.kernel.kbuild import option_tests
from hook.kernel.kconfig.expressions import (
    NO,
    YES,
    Comparison,
    Condition,
    Constant,
    Relation,
    Symbol,
    all_of,
    any_of,
    built_in,
    equal,
    left_open,
    negated,
    operands,
    switched_on,
)

_DEEPEST = 40  # parentheses inside each other
_MOST_NESTED = 24  # conditionals inside each other
_MOST_BRANCHES = 20  # of one conditional
_MOST_TOKENS = 400  # of one condition
_MOST_PARTS = 60  # of the condition of one branch
# in a text that begins with a line break: `re` finds it ten times as fast as with `(?m)^`
_DIRECTIVE = lazy_re.compile(
    rb"\n[ \t]*+#[ \t]*+(if|ifdef|ifndef|elif|elifdef|elifndef|else|endif|define|undef)(?!\w)([^\n\\]*+(?:\\(?s:.)[^\n\\]*+)*+)"
)
_NAME = lazy_re.compile(r"[A-Za-z_]\w*")
_TOKEN = lazy_re.compile(r"[A-Za-z_]\w*|0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*|&&|\|\||[=!<>]=|<<|>>|\S")
_IS = {"IS_ENABLED": switched_on, "IS_REACHABLE": switched_on, "IS_BUILTIN": built_in}
# macros that are no options, and their values in a kernel build
_KNOWN: dict[str, Condition] = {
    "__KERNEL__": YES, "__ASSEMBLY__": NO, "__ASSEMBLER__": NO, "__CHECKER__": NO, "__cplusplus": NO, "__GENKSYMS__": NO, "__GNUC__": YES,
    "__x86_64__": built_in("X86_64"), "__i386__": built_in("X86_32"), "__aarch64__": built_in("ARM64"), "__arm__": built_in("ARM"),
    "__clang__": built_in("CC_IS_CLANG"), "MODULE": left_open("MODULE"), "__BIG_ENDIAN": built_in("CPU_BIG_ENDIAN"),
    "__LP64__": built_in("64BIT"),
}  # fmt: skip
_COMPARED: dict[str, Comparison] = {"==": "=", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class Conditional(msgspec.Struct, frozen=True):
    """A condition around some lines, and the line that says it."""

    condition: Condition
    line: int
    text: str


class _Open(msgspec.Struct):
    """A conditional that is open."""

    now: Conditional
    conditions: list[Condition]  # of this branch and of those before it, as written


class Conditionals:
    """The conditionals of one file."""

    def __init__(self, data: bytes, path: str, *, proving: bool = False) -> None:
        """Unless `proving`, two likely things are assumed: a macro that the file defines is defined nowhere else, and nothing jumps into
        the dead arm of an `if`.
        """
        self._proving = proving
        self._data = data
        self._path = path
        self._has_option_tests = not proving and b"CONFIG_" in data and path.endswith(".c")  # `if (IS_ENABLED(…))` in functions
        self._starts: list[int] = []  # the line from which the stack of the same position is valid
        self._stacks: list[tuple[Conditional, ...]] = []
        self._macros: dict[str, list[tuple[Condition, str]]] = {}
        self._arms: dict[int, list[option_tests.Arm]] = {}  # of the functions that were asked about, by their offset
        self.directives: set[int] = set()  # the lines of conditionals
        self._read()

    def at(self, line: int) -> tuple[Conditional, ...]:
        """The conditionals around a line, the outermost first."""
        position = bisect.bisect_right(self._starts, line) - 1
        stack = self._stacks[position] if position >= 0 else ()
        if self._has_option_tests:
            return (*stack, *self._in_function(line))
        return stack

    def condition(self, line: int) -> Condition:
        """All conditionals around a line as one condition."""
        return all_of(conditional.condition for conditional in self.at(line))

    def _read(self) -> None:
        plain = without_literals(self._data) if b"#" in self._data else b""
        stack: list[_Open] = []
        too_deep = 0  # conditionals that are open beyond those of the stack
        line, last = 1, 0
        directives = list(_DIRECTIVE.finditer(b"\n" + plain))
        self._starts.append(1)
        self._stacks.append(())
        for number, match in enumerate(directives):
            line += plain.count(b"\n", last, match.start())
            last = match.start()
            word = match[1].decode()
            raw = self._data[match.start(2) - 1 : match.end(2) - 1]  # with its constants, which count in an expression
            raw = HIDDEN.sub(_blanked, raw) if b"'" in raw or b'"' in raw else match[2]
            rest = " ".join(raw.replace(b"\\\n", b" ").decode("utf-8", "replace").split())
            if word in ("define", "undef"):
                self._define(word, rest, stack)
                continue
            end = line + match[2].count(b"\n")
            self.directives.update(range(line, end + 1))
            text = f"#{word} {rest}".strip()[:120]
            if word in ("if", "ifdef", "ifndef"):
                if len(stack) > _MOST_NESTED:
                    too_deep += 1
                    continue  # the innermost condition on the stack is left open
                guard = self._is_include_guard(word, rest, directives, number)
                condition = YES if guard else left_open(text) if len(stack) == _MOST_NESTED else self._evaluated(word, rest)
                stack.append(_Open(Conditional(condition, line, text), [condition]))
            elif too_deep:
                too_deep -= word == "endif"
                continue
            elif stack:
                top = stack[-1]
                if word == "endif":
                    stack.pop()
                else:
                    text = text if word != "else" else f"#else of {top.now.text}"[:120]
                    top.now = Conditional(self._branch(top.conditions, word, rest, text), line, text)
            self._starts.append(end + 1)
            self._stacks.append(tuple(conditional.now for conditional in stack if conditional.now.condition != YES))

    def _branch(self, earlier: list[Condition], word: str, rest: str, text: str) -> Condition:
        """The condition of an `#elif` or `#else` after branches with the conditions `earlier`, to which its own is added."""
        if len(earlier) > _MOST_BRANCHES:
            return left_open(text)
        now = YES if word == "else" else self._evaluated(word.removeprefix("el"), rest)
        condition = all_of([*(negated(condition_before) for condition_before in earlier), now])
        earlier.append(now)
        return condition if _size(condition) <= _MOST_PARTS else left_open(text)

    def _is_include_guard(self, word: str, rest: str, directives: list[re.Match[bytes]], number: int) -> bool:
        """Whether `#ifndef NAME` and `#define NAME` are the first two directives."""
        if word == "if" and rest.startswith("!defined"):
            rest = rest.removeprefix("!defined").strip(" ()")
        elif word != "ifndef":
            return False
        following = directives[number + 1] if number + 1 < len(directives) else None
        return (
            number <= 1
            and following is not None
            and following[1] == b"define"
            and following[2].split()[:1] == [rest.encode()]
            and not rest.startswith("CONFIG_")
        )

    def _define(self, word: str, rest: str, stack: list[_Open]) -> None:
        name = _NAME.match(rest)
        if name is None:
            return
        definitions = self._macros.setdefault(name[0], [])
        if word == "undef":
            definitions.clear()
        elif len(definitions) < 8:
            condition = all_of(conditional.now.condition for conditional in stack)
            definitions.append((condition if _size(condition) <= _MOST_PARTS else left_open(name[0]), rest[name.end() :].strip()))

    def _evaluated(self, word: str, rest: str) -> Condition:
        if word in ("ifdef", "ifndef"):
            name = rest.split()[0] if rest.split() else ""
            defined = self._defined(name)
            return negated(defined) if word == "ifndef" else defined
        tokens = _TOKEN.findall(rest)
        if len(tokens) > _MOST_TOKENS:
            return left_open(f"#if {rest[:80]}")
        return _Expression(tokens, self, f"#{word} {rest}").parsed()

    def _defined(self, name: str) -> Condition:
        if name.startswith("CONFIG_"):
            option = name.removeprefix("CONFIG_")
            return equal(option.removesuffix("_MODULE"), "m") if option.endswith("_MODULE") else built_in(option)
        if name in self._macros and not self._proving:
            return any_of(condition for condition, _ in self._macros[name])
        return _KNOWN.get(name, left_open(f"defined({name})"))

    def _value(self, name: str, depth: int) -> Condition:
        """Whether a macro is something other than 0."""
        if name.startswith("CONFIG_"):
            return built_in(name.removeprefix("CONFIG_"))
        if name in self._macros and depth < 4 and not self._proving:
            values = []
            for condition, text in self._macros[name]:
                tokens = _TOKEN.findall(text)
                inner = _Expression(tokens, self, name, depth + 1).parsed() if 0 < len(tokens) < 40 else left_open(name)
                values.append(all_of([condition, inner]))
            return any_of(values)
        return _KNOWN.get(name, left_open(name))

    def _in_function(self, line: int) -> Iterator[Conditional]:
        """The `if (IS_ENABLED(…))` around a line, and those before it that return."""
        unit = translation_unit.of_text(self._data)
        function = unit.function_at_line(line)
        if function is None:
            return
        if function.offset not in self._arms:
            self._arms[function.offset] = list(option_tests.arms(unit.scan.code, function, self._condition_of))
        code, begin = unit.scan.code, unit.offset(line)
        text = code[begin : max(code.find(b"\n", begin), begin)]
        begin += len(text) - len(text.lstrip())
        for arm in self._arms[function.offset]:
            if arm.begin <= begin < arm.end:
                yield Conditional(arm.condition, arm.line, arm.text)

    def _condition_of(self, words: str) -> Condition:
        """The condition of an `if`."""
        tokens = _TOKEN.findall(words)
        return _Expression(tokens, self, f"if ({words[:60]})").parsed() if len(tokens) <= _MOST_TOKENS else YES


class _Expression:
    """The condition of an `#if`, or of an `if` in the code."""

    def __init__(self, tokens: list[str], conditionals: Conditionals, text: str, depth: int = 0) -> None:
        self._tokens = tokens
        self._conditionals = conditionals
        self._text = text[:100]
        self._at = 0
        self._depth = depth

    def parsed(self) -> Condition:
        try:
            condition = self._either(0)
        except (IndexError, RecursionError):
            return left_open(self._text)
        return condition if self._at == len(self._tokens) and _size(condition) <= _MOST_PARTS else left_open(self._text)

    def _either(self, depth: int) -> Condition:
        terms = [self._both(depth)]
        while self._peek() == "||":
            self._at += 1
            terms.append(self._both(depth))
        return any_of(terms)

    def _both(self, depth: int) -> Condition:
        terms = [self._comparison(depth)]
        while self._peek() == "&&":
            self._at += 1
            terms.append(self._comparison(depth))
        return all_of(terms)

    def _comparison(self, depth: int) -> Condition:
        start = self._at
        condition = self._term(depth)
        if self._peek() in ("&&", "||", ")", ""):
            return condition
        # of operators, only the comparison of an option or of a known word with a number is understood
        level = 0
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            level += {"(": 1, ")": -1}.get(token, 0)
            if level < 0 or (level == 0 and token in ("&&", "||")):
                break
            self._at += 1
        piece = self._tokens[start : self._at]
        if len(piece) == 3 and piece[1] in _COMPARED:
            name, relation, value = piece
            if value.rstrip("uUlL").isdigit():
                number = value.rstrip("uUlL")
                if name.startswith("CONFIG_"):
                    return Relation(_COMPARED[relation], Symbol(name.removeprefix("CONFIG_")), Constant(number))
                if name in ("BITS_PER_LONG", "__BITS_PER_LONG", "__SIZEOF_LONG__") and relation in ("==", "!="):
                    wide = built_in("64BIT") if number in ("64", "8") else negated(built_in("64BIT"))
                    return wide if relation == "==" else negated(wide)
        return left_open(" ".join(piece)[:100])

    def _term(self, depth: int) -> Condition:
        if depth > _DEEPEST:
            raise RecursionError
        token = self._tokens[self._at]
        self._at += 1
        if token == "!":
            return negated(self._term(depth + 1))
        if token == "(":
            inner_condition = self._either(depth + 1)
            if self._tokens[self._at] != ")":
                raise IndexError
            self._at += 1
            return inner_condition
        if token == "defined":
            bracket = self._peek() == "("
            self._at += bracket
            name = self._tokens[self._at]
            self._at += 1 + bracket
            return self._conditionals._defined(name)
        if token[0].isdigit():
            value = integers.value(token.encode())
            if value is None:
                raise IndexError
            return NO if value == 0 else YES
        if not (token[0].isalpha() or token[0] == "_"):
            raise IndexError
        if self._peek() == "(":
            inner = self._call()
            if token in _IS and len(inner) == 1 and inner[0].startswith("CONFIG_"):
                return _IS[token](inner[0].removeprefix("CONFIG_"))
            if token == "IS_MODULE" and len(inner) == 1:
                return equal(inner[0].removeprefix("CONFIG_"), "m")
            if token in ("likely", "unlikely") and inner:
                return _Expression(inner, self._conditionals, self._text, self._depth + 1).parsed()
            return left_open(f"{token}({' '.join(inner)[:80]})")
        return self._conditionals._value(token, self._depth)

    def _call(self) -> list[str]:
        level, start = 0, self._at + 1
        while True:
            token = self._tokens[self._at]
            self._at += 1
            level += {"(": 1, ")": -1}.get(token, 0)
            if level == 0:
                return self._tokens[start : self._at - 1]

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""


def _size(condition: Condition) -> int:
    return 1 + sum(map(_size, operands(condition)))


def _blanked(match: re.Match[bytes]) -> bytes:
    text = match[0]
    return b" " + b"\n" * text.count(b"\n") if text[:1] == b"/" else text
