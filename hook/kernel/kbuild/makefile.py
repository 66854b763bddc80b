"""Makefiles as Kbuild has them: which words a variable holds, each with the condition on options under which it does.

Nothing is executed: `$(shell …)`, `$(call …)` and recipes are not looked into, and what depends on them is left open, with its line.
Options are not given values: `obj-$(CONFIG_X)` holds its words where X is y.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping

import msgspec

from hook import lazy_re
from hook.kernel.kbuild.make_syntax import sides, statements
from hook.kernel.kbuild.make_variables import MOST_WAYS, OPEN, OPTION, MakeVariables, UnreadableMakefile, VariablePart, Ways
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
_WHOLE_OPTION = lazy_re.compile(r"\$[({]CONFIG_(\w+)[)}]\Z")


class _Branch(msgspec.Struct):
    """A conditional that is open."""

    now: Condition
    asked: list[Condition]  # what this branch and those before it ask for
    any_way: bool = False  # every branch is taken to hold


class Makefile(MakeVariables):
    """A makefile of a directory, with what it includes."""

    def __init__(self, source: Source, directory: str, given: Mapping[str, str]) -> None:
        super().__init__(directory, given)
        self.unread: list[str] = []  # PATH:LINE of what was included and could not be read
        self._source = source
        self._included = 0

    def read(self, path: str, *, only_options: bool = False) -> bool:
        """Read a file of the tree; whether it is there. With `only_options`, includes are left out, and a condition that
        does not speak of options is taken to hold.

        Raises UnreadableMakefile.
        """
        return self._read(path, YES, 0, only_options)

    def _read(self, path: str, given: Condition, depth: int, only_options: bool) -> bool:
        if depth > _DEEPEST_INCLUDE or self._included > _MOST_INCLUDED:
            raise UnreadableMakefile(f"{path}: too many files that include each other")
        self._included += 1
        found = self._source.file(path)
        if found is None or found.data is None:
            return False
        branches: list[_Branch] = []
        inside_define, recipe = 0, False
        for number, line in statements(found.data.decode("utf-8", "replace")):
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
                    self._variables[rest.split("=")[0].strip()[:200]] = [VariablePart(OPEN, YES, path, number)]
                elif word.startswith("if") or word in ("else", "endif"):
                    self._conditional(word, rest, branches, f"{path}:{number}", only_options)
                elif word.endswith("include") and not only_options:
                    self._include(rest, all_of([given, *(one.now for one in branches)]), path, number, depth)
                continue
            if directive:
                line = directive[2]
            condition = all_of([given, *(one.now for one in branches)]) if branches else given
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
        for at, char in enumerate(line):
            if char in "({":
                depth += 1
            elif char in ")}":
                depth -= 1
            elif depth == 0 and char in ":=":
                if char == ":" and line[at + 1 : at + 2] != "=" and line[at + 1 : at + 3] != ":=":
                    return False
                break
        else:
            return False
        name = line[:at].strip()
        operator = "+=" if name.endswith("+") else "="
        text = line[at:].lstrip(":=").strip()
        for when, way in self._ways(name.rstrip("+?:! \t"), 0):
            if OPEN not in way and way:
                self._give(way, operator, text, all_of([condition, when]), path, number)
        return True

    def _give(self, name: str, operator: str, text: str, condition: Condition, path: str, line: int) -> None:
        if name in self._given or condition == NO:
            return
        known = self._variables.get(name)
        piece = VariablePart(text, condition, path, line)
        if known is None:
            self._variables[name] = [piece]
        elif operator in ("+=", "?="):
            if operator == "+=":
                known.append(piece)
        else:
            itself = f"$({name})" in text
            if condition == YES and not itself:
                self._variables[name] = [piece]
                return
            if itself:
                known.append(msgspec.structs.replace(piece, text=text.replace(f"$({name})", " ")))
                return
            other = negated(condition)
            self._variables[name] = [msgspec.structs.replace(one, condition=all_of([one.condition, other])) for one in known[-200:]] + [
                piece
            ]

    def _conditional(self, word: str, rest: str, branches: list[_Branch], place: str, only_options: bool) -> None:
        if word == "endif":
            if branches:
                branches.pop()
            return
        if word == "else":
            if not branches:
                return
            branch = branches[-1]
            if branch.any_way:
                return
            if len(branch.asked) > _MOST_BRANCHES:
                raise UnreadableMakefile(f"{place}: a conditional with more than {_MOST_BRANCHES} branches")
            inner = _DIRECTIVE.match(rest)
            condition = self._tested(inner[1], inner[2], place) if inner else YES
            branch.now = all_of([*(negated(one) for one in branch.asked), condition])
            branch.asked.append(condition)
            return
        if len(branches) >= _MOST_NESTED:
            raise UnreadableMakefile(f"{place}: more than {_MOST_NESTED} conditionals inside each other")
        condition = self._tested(word, rest, place)
        any_way = only_options and (condition in (YES, NO) or bool(expressions.open_parts(condition)))
        branches.append(_Branch(YES if any_way else condition, [condition], any_way))

    def _tested(self, word: str, rest: str, place: str) -> Condition:
        rest = rest.strip()
        try:
            if word in ("ifdef", "ifndef"):
                option = OPTION.match(rest)
                if option:
                    found: Condition = expressions.switched_on(option[1])
                elif rest in self._given:
                    found = YES if self._given[rest] else NO
                elif rest in self._variables:
                    found = self._compared(self._ways(f"$({rest})", 0), [(YES, "")], place)
                    found = negated(found)
                else:
                    found = left_open(f"{place}: {word} {rest[:60]}")
            else:
                left, right = sides(rest)
                found = self._equal(left.strip(), right.strip(), place)
        except ValueError as wrong:
            if isinstance(wrong, UnreadableMakefile):
                raise
            return left_open(f"{place}: {word} {rest[:60]}")
        return negated(found) if word in ("ifndef", "ifneq") else found

    def _equal(self, left: str, right: str, place: str) -> Condition:
        for one, other in ((left, right), (right, left)):
            option = _WHOLE_OPTION.match(one)
            if option and "$" not in other:
                return expressions.equal(option[1], other or "n")
        return self._compared(self._ways(left, 0), self._ways(right, 0), place)

    def _compared(self, left: Ways, right: Ways, place: str) -> Condition:
        if len(left) * len(right) > MOST_WAYS * 4:
            return left_open(f"{place}: a comparison with too many cases")
        same: list[Condition] = []
        for condition, text in left:
            for other, word in right:
                both = all_of([condition, other])
                if OPEN in text or OPEN in word:
                    same.append(all_of([both, left_open(f"{place}: what cannot be evaluated without make")]))
                elif text.strip() == word.strip():
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
