"""Makefiles of Kbuild: the words of each variable, with the condition on options under which it has them.

Nothing is executed: `$(shell …)`, `$(call …)` and recipes are not evaluated, and what depends on them is left open, with its line.
Options have no fixed values: `obj-$(CONFIG_X)` adds its words to `obj-y` under the condition X=y.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

import msgspec

from hook import lazy_re
from hook.kernel.kbuild.make_syntax import sides, statements
from hook.kernel.kbuild.make_variables import MOST_EXPANSIONS, OPEN, OPTION, Assigned, Expansions, MakeVariables, UnreadableMakefile
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import NO, YES, Condition, all_of, any_of, built_in, left_open, negated
from hook.source.tree import Source
from hook.source.treepath import NotATreePath, tree_path

_DEEPEST_INCLUDE = 12
_MOST_INCLUDED = 200  # files, by one makefile
_MOST_BRANCHES = 40  # of one conditional
_MOST_NESTED = 24  # conditionals inside each other
_MOST_LINE = 64 << 10  # characters of one statement
_PLAIN = lazy_re.compile(r"[ \t]*([\w./-]+)[ \t]*([:+?]?=)[ \t]*(.*)", re.DOTALL)
_OF_OPTION = lazy_re.compile(r"[ \t]*([\w./-]*)\$[({]CONFIG_(\w+)[)}]([\w./-]*)[ \t]*([:+?]?=)[ \t]*(.*)", re.DOTALL)
_DIRECTIVE = lazy_re.compile(
    r"[ \t]*(ifdef|ifndef|ifeq|ifneq|else|endif|include|-include|sinclude|define|endef|export|unexport|override|undefine)"
    r"(?![\w.-])[ \t]*(.*)",
    re.DOTALL,
)
_FOR_ARCHITECTURE = lazy_re.compile(r"ifeq\s*\(\s*\$[({](?:SRC)?ARCH[)}]\s*,\s*(\w+)\s*\)\Z")
_OBJECT_LIST = lazy_re.compile(r"(?!.*flags)[\w./-]*-(?:y|m|objs)\Z")
_WHOLE_OPTION = lazy_re.compile(r"\$[({]CONFIG_(\w+)[)}]\Z")


class _Branch(msgspec.Struct):
    """A conditional that is open."""

    now: Condition
    conditions: list[Condition]  # of this branch and of those before it, as written
    takes_all: bool = False  # every branch is read as if its condition were true
    architecture: str = ""  # another than the target's, for which alone this branch is read


class Makefile(MakeVariables):
    """A makefile of a directory, with what it includes."""

    def __init__(self, source: Source, directory: str, predefined: Mapping[str, str]) -> None:
        super().__init__(directory, predefined)
        self.unread: list[str] = []  # what could not be read: files, and the PATH:LINE of includes
        self.of_others: list[Assigned] = []  # words of lists of objects, each under its architecture, which is not the target's
        self._source = source
        self._included = 0

    def read(self, path: str, *, only_options: bool = False) -> bool:
        """Read a file of the tree; whether it exists. With `only_options`, includes are not read, and a condition that
        is not about options is read as true.

        Raises UnreadableMakefile.
        """
        return self._read(path, YES, 0, only_options)

    def _read(self, path: str, included_if: Condition, depth: int, only_options: bool) -> bool:
        if depth > _DEEPEST_INCLUDE or self._included > _MOST_INCLUDED:
            raise UnreadableMakefile(f"{path}: too many files that include each other")
        self._included += 1
        file = self._source.file(path)
        if file is None:
            return False
        if file.data is None:
            self.unread.append(f"{path}: it is too large, or a partial clone lacks it")
            return True
        branches: list[_Branch] = []
        inside_define, recipe = 0, False
        for number, line in statements(file.data.decode("utf-8", "replace")):
            if len(line) > _MOST_LINE:
                raise UnreadableMakefile(f"{path}:{number}: a line of {len(line)} characters")
            directive = _DIRECTIVE.match(line)
            word = directive[1] if directive else ""
            if inside_define:
                if line[:1] != "\t":
                    inside_define += {"define": 1, "endef": -1}.get(word, 0)
                continue
            if line[:1] == "\t" and recipe and not word.startswith(("if", "else", "endif")):
                continue
            if directive and word not in ("export", "override"):
                rest = directive[2]
                if word == "define":
                    inside_define = 1
                    self._variables[rest.split("=")[0].strip()[:200]] = [Assigned(OPEN, YES, path, number)]
                elif word.startswith("if") or word in ("else", "endif"):
                    self._conditional(word, rest, branches, f"{path}:{number}", only_options)
                elif word.endswith("include") and not only_options:
                    self._include(rest, all_of([included_if, *(branch.now for branch in branches)]), path, number, depth)
                continue
            if directive:
                line = directive[2]
            condition = all_of([included_if, *(branch.now for branch in branches)]) if branches else included_if
            if condition == NO and any(branch.architecture for branch in branches):
                self._of_another(line, next(branch.architecture for branch in branches if branch.architecture), path, number)
            assigned = self._assign(line, condition, path, number)
            if assigned or ":" in line:
                recipe = not assigned
        return True

    def _assign(self, line: str, condition: Condition, path: str, number: int) -> bool:
        if "=" not in line:
            return False
        plain = _PLAIN.match(line)
        if plain:
            self._give(plain[1], plain[2], plain[3], condition, path, number)
            return True
        of_option = _OF_OPTION.match(line)
        if of_option:
            before, option, after, operator, text = of_option.groups()
            self._give(f"{before}y{after}", operator, text, all_of([condition, built_in(option)]), path, number)
            return True
        depth = 0
        for offset, char in enumerate(line):
            if char in "({":
                depth += 1
            elif char in ")}":
                depth -= 1
            elif depth == 0 and char in ":=":
                if char == ":" and line[offset + 1 : offset + 2] != "=" and line[offset + 1 : offset + 3] != ":=":
                    return False
                break
        else:
            return False
        name = line[:offset].strip()
        operator = "+=" if name.endswith("+") else "="
        text = line[offset:].lstrip(":=").strip()
        for when, expanded_name in self._expansions(name.rstrip("+?:! \t"), 0):
            if OPEN not in expanded_name and expanded_name:
                self._give(expanded_name, operator, text, all_of([condition, when]), path, number)
        return True

    def _of_another(self, line: str, architecture: str, path: str, number: int) -> None:
        """Keeps the objects that a line lists for another architecture than the target."""
        assigned = _PLAIN.match(line) or _OF_OPTION.match(line)
        if assigned is not None and _OBJECT_LIST.match(re.sub(r"\$[({]CONFIG_\w+[)}]", "y", line.partition("=")[0].rstrip(" \t:+?"))):
            condition = expressions.switched_on(architecture.upper())  # its own option, as its Kconfig has it
            self.of_others += [Assigned(word, condition, path, number) for word in assigned[assigned.lastindex or 0].split()]

    def _give(self, name: str, operator: str, text: str, condition: Condition, path: str, line: int) -> None:
        if name in self._predefined or condition == NO:
            return
        parts = self._variables.get(name)
        part = Assigned(text, condition, path, line)
        if parts is None:
            self._variables[name] = [part]
        elif operator in ("+=", "?="):
            if operator == "+=":
                parts.append(part)
        else:
            itself = f"$({name})" in text
            if condition == YES and not itself:
                self._variables[name] = [part]
                return
            if itself:
                parts.append(msgspec.structs.replace(part, text=text.replace(f"$({name})", " ")))
                return
            unless = negated(condition)
            earlier = [msgspec.structs.replace(old, condition=all_of([old.condition, unless])) for old in parts[-200:]]
            self._variables[name] = [*earlier, part]

    def _conditional(self, word: str, rest: str, branches: list[_Branch], place: str, only_options: bool) -> None:
        if word == "endif":
            if branches:
                branches.pop()
            return
        if word == "else":
            if not branches:
                return
            branch = branches[-1]
            if branch.takes_all:
                return
            if len(branch.conditions) > _MOST_BRANCHES:
                raise UnreadableMakefile(f"{place}: a conditional with more than {_MOST_BRANCHES} branches")
            inner = _DIRECTIVE.match(rest)
            condition = self._tested(inner[1], inner[2], place) if inner else YES
            branch.architecture = ""
            branch.now = all_of([*(negated(earlier) for earlier in branch.conditions), condition])
            branch.conditions.append(condition)
            return
        if len(branches) >= _MOST_NESTED:
            raise UnreadableMakefile(f"{place}: more than {_MOST_NESTED} conditionals inside each other")
        condition = self._tested(word, rest, place)
        takes_all = only_options and (condition in (YES, NO) or bool(expressions.open_parts(condition)))
        architecture = self._architecture(f"{word} {rest.strip()}") if condition == NO else ""
        branches.append(_Branch(YES if takes_all else condition, [condition], takes_all, architecture))

    def _architecture(self, test: str) -> str:
        """The architecture, other than the target's, for which alone `test` holds (`ifeq ($(ARCH),arm64)`); empty if it is another test."""
        tested = _FOR_ARCHITECTURE.match(test)
        is_another = tested is not None and tested[1] != self._predefined.get("SRCARCH")
        return tested[1] if tested is not None and is_another and self._source.oid(f"arch/{tested[1]}/Kconfig") else ""

    def _tested(self, word: str, rest: str, place: str) -> Condition:
        rest = rest.strip()
        try:
            if word in ("ifdef", "ifndef"):
                option = OPTION.match(rest)
                if option:
                    condition: Condition = expressions.switched_on(option[1])
                elif rest in self._predefined:
                    condition = YES if self._predefined[rest] else NO
                elif rest in self._variables:
                    condition = negated(self._compared(self._expansions(f"$({rest})", 0), [(YES, "")], place))
                else:
                    condition = left_open(f"{place}: {word} {rest[:60]}")
            else:
                first, second = sides(rest)
                condition = self._equal(first.strip(), second.strip(), place)
        except ValueError as wrong:
            if isinstance(wrong, UnreadableMakefile):
                raise
            return left_open(f"{place}: {word} {rest[:60]}")
        return negated(condition) if word in ("ifndef", "ifneq") else condition

    def _equal(self, first: str, second: str, place: str) -> Condition:
        for reference, value in ((first, second), (second, first)):
            option = _WHOLE_OPTION.match(reference)
            if option and "$" not in value:
                return expressions.equal(option[1], value or "n")
        return self._compared(self._expansions(first, 0), self._expansions(second, 0), place)

    def _compared(self, first: Expansions, second: Expansions, place: str) -> Condition:
        """The condition under which two texts expand to the same."""
        if len(first) * len(second) > MOST_EXPANSIONS * 4:
            return left_open(f"{place}: a comparison with too many cases")
        same: list[Condition] = []
        for first_if, first_text in first:
            for second_if, second_text in second:
                both = all_of([first_if, second_if])
                if OPEN in first_text or OPEN in second_text:
                    same.append(all_of([both, left_open(f"{place}: only make can evaluate this")]))
                elif first_text.strip() == second_text.strip():
                    same.append(both)
        return any_of(same)

    def _include(self, rest: str, condition: Condition, path: str, number: int, depth: int) -> None:
        for when, name in self._words(rest, 0, ()):
            if OPEN in name:
                self.unread.append(f"{path}:{number}")
                continue
            try:
                inner = tree_path(posixpath.normpath(name))
            except NotATreePath:
                self.unread.append(f"{path}:{number}")
                continue
            self._read(inner, all_of([condition, when]), depth + 1, False)
