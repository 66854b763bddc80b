"""Makefiles as Kbuild has them: which words a variable holds, each with the condition on options under which it does.

Nothing is executed: `$(shell …)`, `$(call …)` and recipes are not looked into, and what depends on them is left open, with its line.
Options are not given values: `obj-$(CONFIG_X)` holds its words where X is y.
"""

from __future__ import annotations

import dataclasses
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

from hook.kernel.kbuild.make_syntax import arguments, closing, fits, patsubst, sides, statements, words
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import NO, YES, Condition, all_of, any_of, built_in, left_open, negated
from hook.source.tree import Source
from hook.source.treepath import NotATreePath, tree_path

OPEN = "\0"  # stands in a text for what could not be evaluated
_DEEPEST = 30  # variables inside each other
_DEEPEST_INCLUDE = 12
_MOST_INCLUDED = 200  # files, by one makefile
_MOST_STEPS = 60_000  # expansions, of one makefile
_MOST_LINE = 64 << 10  # characters of one statement
_MOST_WAYS = 81  # that a text may turn out, by the options in it
_PLAIN = re.compile(r"[ \t]*([\w./-]+)[ \t]*([:+?]?=)[ \t]*(.*)", re.DOTALL)
_OF_OPTION = re.compile(r"[ \t]*([\w./-]*)\$[({]CONFIG_(\w+)[)}]([\w./-]*)[ \t]*([:+?]?=)[ \t]*(.*)", re.DOTALL)
_DIRECTIVE = re.compile(
    r"[ \t]*(ifdef|ifndef|ifeq|ifneq|else|endif|include|-include|sinclude|define|endef|export|unexport|override|undefine)"
    r"(?![\w.-])[ \t]*(.*)",
    re.DOTALL,
)
_BY_WORD = frozenset(
    ("addprefix", "addsuffix", "patsubst", "subst", "filter", "filter-out", "sort", "strip", "notdir", "dir", "basename")
)  # functions that make of each word of a list what they make of it alone
_OPTION = re.compile(r"CONFIG_(\w+)\Z")
_MARK = re.compile(r"[()]")
_WHOLE_OPTION = re.compile(r"\$[({]CONFIG_(\w+)[)}]\Z")

Ways = list[tuple[Condition, str]]


class Unreadable(ValueError):
    """A makefile that goes past the limits; the sentence says where."""


@dataclasses.dataclass(frozen=True)
class Word:
    """A word of a variable, and when it is there."""

    text: str
    condition: Condition
    path: str
    line: int


@dataclasses.dataclass(frozen=True)
class _Piece:
    """What one line of a makefile puts into a variable."""

    text: str
    condition: Condition
    path: str
    line: int


@dataclasses.dataclass
class _Branch:
    """A conditional that is open."""

    now: Condition
    before: list[Condition]  # of the branches that came before this one
    any_way: bool = False  # every branch is taken to hold


class Makefile:
    """A makefile of a directory, with what it includes."""

    def __init__(self, source: Source, directory: str, given: Mapping[str, str]) -> None:
        self.directory = directory
        self.unread: list[str] = []  # PATH:LINE of what was included and could not be read
        self._source = source
        self._given = {**given, "obj": directory or ".", "src": directory or ".", "srctree": ".", "objtree": "."}
        self._variables: dict[str, list[_Piece]] = {}
        self._expanded: dict[str, list[Word]] = {}
        self._steps = 0
        self._included = 0

    def read(self, path: str, *, only_options: bool = False) -> bool:
        """Read a file of the tree; whether it is there. With `only_options`, includes are left out, and a condition that
        does not speak of options is taken to hold.

        Raises Unreadable.
        """
        return self._read(path, YES, 0, only_options)

    def names(self) -> list[str]:
        """The variables that have been given something."""
        return list(self._variables)

    def words(self, name: str) -> list[Word]:
        """The words of a variable, once everything has been read. Raises Unreadable."""
        if name not in self._expanded:
            self._expanded[name] = list(self._of_variable(name, 0, ()))
        return self._expanded[name]

    def mentions(self, name: str, text: str) -> bool:
        """Whether a variable may hold a word, by how it is written."""
        return any(text in piece.text or "$" in piece.text for piece in self._variables.get(name, ()))

    # reading

    def _read(self, path: str, given: Condition, depth: int, only_options: bool) -> bool:
        if depth > _DEEPEST_INCLUDE or self._included > _MOST_INCLUDED:
            raise Unreadable(f"{path}: too many files that include each other")
        self._included += 1
        found = self._source.file(path)
        if found is None or found.data is None:
            return False
        branches: list[_Branch] = []
        inside_define, recipe = 0, False
        for number, line in statements(found.data.decode("utf-8", "replace")):
            if len(line) > _MOST_LINE:
                raise Unreadable(f"{path}:{number}: a line of {len(line)} characters")
            directive = _DIRECTIVE.match(line)
            word = directive[1] if directive else ""
            if inside_define:
                inside_define += {"define": 1, "endef": -1}.get(word, 0)
                continue
            if line[:1] == "\t" and recipe and not word.startswith(("if", "else", "endif")):
                continue
            if directive and word not in ("export", "override"):
                rest = directive[2]
                if word == "define":
                    inside_define = 1
                    self._variables[rest.split("=")[0].strip()[:200]] = [_Piece(OPEN, YES, path, number)]
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
        piece = _Piece(text, condition, path, line)
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
                known.append(dataclasses.replace(piece, text=text.replace(f"$({name})", " ")))
                return
            other = negated(condition)
            self._variables[name] = [dataclasses.replace(one, condition=all_of([one.condition, other])) for one in known[-200:]] + [piece]

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
            branch.before.append(branch.now)
            inner = _DIRECTIVE.match(rest)
            condition = self._tested(inner[1], inner[2], place) if inner else YES
            branch.now = all_of([*(negated(one) for one in branch.before), condition])
            return
        condition = self._tested(word, rest, place)
        any_way = only_options and (condition in (YES, NO) or bool(expressions.open_parts(condition)))
        branches.append(_Branch(YES if any_way else condition, [], any_way))

    def _tested(self, word: str, rest: str, place: str) -> Condition:
        rest = rest.strip()
        try:
            if word in ("ifdef", "ifndef"):
                option = _OPTION.match(rest)
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
            if isinstance(wrong, Unreadable):
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
        if len(left) * len(right) > _MOST_WAYS * 4:
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

    # expanding

    def _step(self, depth: int) -> None:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise Unreadable(f"{self.directory}: variables that expand without end")

    def _of_variable(self, name: str, depth: int, inside: tuple[str, ...]) -> Iterator[Word]:
        self._step(depth)
        if name in inside:
            return
        for piece in self._variables.get(name, ()):
            for condition, text in self._words(piece.text, depth + 1, (*inside, name)):
                whole = all_of([piece.condition, condition])
                if whole != NO:
                    yield Word(text, whole, piece.path, piece.line)
        if name not in self._variables and name in self._given:
            yield from (Word(word, YES, "", 0) for word in self._given[name].split())

    def _words(self, text: str, depth: int, inside: tuple[str, ...]) -> Iterator[tuple[Condition, str]]:
        """The words of a text: list functions go word by word, so that a list of many options does not become many lists."""
        self._step(depth)
        if "$" not in text:
            for word in text.split():
                yield YES, word
            return
        for token in words(text):
            if "$" not in token:
                yield YES, token
            elif token[:2] in ("$(", "${") and closing(token, 1) == len(token) - 1:
                yield from self._list(token[2:-1], depth + 1, inside)
            else:
                for condition, way in self._ways(token, depth + 1, inside):
                    for word in way.split():
                        yield condition, word

    def _list(self, inner: str, depth: int, inside: tuple[str, ...]) -> Iterator[tuple[Condition, str]]:
        head = re.match(r"([\w-]+)[ \t]+(.*)", inner, re.DOTALL)
        if head is None:
            name, colon, change = inner.partition(":")
            if colon and "=" in change and "$" not in name:
                mapped = self._substitution(change)
                for condition, word in self._list(name, depth, inside):
                    yield from ((condition, one) for one in mapped(word))
                return
            if "$" in inner:
                for condition, way in self._ways(inner, depth, inside):
                    yield from ((all_of([condition, when]), word) for when, word in self._list(way, depth + 1, inside))
                return
            option = _OPTION.match(inner)
            if option:
                yield built_in(option[1]), "y"
                return
            for one in self._of_variable(inner, depth + 1, inside):
                yield one.condition, one.text
            return
        function, rest = head[1], arguments(head[2])
        if function in _BY_WORD:
            fixed, listed = rest[:-1], rest[-1]
            for when, texts in self._product(fixed, depth + 1, inside):
                mapped = self._mapper(function, texts)
                for condition, word in self._words(listed, depth + 1, inside):
                    yield from ((all_of([when, condition]), one) for one in mapped(word))
            return
        for condition, way in self._function(function, rest, depth + 1, inside):
            for word in way.split():
                yield condition, word

    def _product(self, texts: list[str], depth: int, inside: tuple[str, ...]) -> Iterator[tuple[Condition, list[str]]]:
        found: list[tuple[Condition, list[str]]] = [(YES, [])]
        for text in texts:
            ways = self._ways(text, depth, inside)
            found = [(all_of([condition, when]), [*before, way]) for condition, before in found for when, way in ways][:_MOST_WAYS]
        return iter(found)

    def _substitution(self, change: str) -> Callable[[str], list[str]]:
        """What `$(NAME:OLD=NEW)` makes of one word."""
        old, _, new = change.partition("=")
        return self._mapper("patsubst", [old, new] if "%" in old else [f"%{old}", f"%{new}"])

    def _mapper(self, function: str, fixed: list[str]) -> Callable[[str], list[str]]:
        """What a list function makes of one word."""
        texts = [one.strip() if function != "subst" else one for one in fixed]
        if function == "addprefix" and texts:
            return lambda word: [texts[0] + word]
        if function == "addsuffix" and texts:
            return lambda word: [word + texts[0]]
        if function == "subst" and len(texts) == 2 and texts[0]:
            return lambda word: [word.replace(texts[0].strip(), texts[1])]
        if function == "patsubst" and len(texts) == 2:
            return lambda word: [patsubst(texts[0], texts[1], word)]
        if function in ("filter", "filter-out") and texts:
            patterns, wanted = texts[0].split(), function == "filter"
            return lambda word: [word] if OPEN in word or any(fits(pattern, word) for pattern in patterns) is wanted else []
        if function == "notdir":
            return lambda word: [word.rpartition("/")[2]]
        if function == "dir":
            return lambda word: [word.rpartition("/")[0] + "/" if "/" in word else "./"]
        if function == "basename":
            return lambda word: [posixpath.splitext(word)[0]]
        return lambda word: [word]

    def _ways(self, text: str, depth: int, inside: tuple[str, ...] = ()) -> Ways:
        """How a text may turn out, by the options in it."""
        self._step(depth)
        if "$" not in text:
            return [(YES, text)]
        found: Ways = [(YES, "")]
        at = 0
        while at < len(text):
            sign = text.find("$", at)
            if sign < 0:
                found = [(condition, way + text[at:]) for condition, way in found]
                break
            if sign > at:
                found = [(condition, way + text[at:sign]) for condition, way in found]
            opening = text[sign + 1 : sign + 2]
            if opening in ("(", "{"):
                end = closing(text, sign + 1)
                if end < 0:
                    return [(YES, OPEN)]
                ways = self._reference(text[sign + 2 : end], depth + 1, inside)
                at = end + 1
            else:
                ways = [(YES, "$" if opening == "$" else OPEN)]
                at = sign + 2
            if len(found) * len(ways) > _MOST_WAYS:
                return [(YES, OPEN)]
            found = [(all_of([condition, when]), way + more) for condition, way in found for when, more in ways]
        return found

    def _reference(self, inner: str, depth: int, inside: tuple[str, ...]) -> Ways:
        option = _OPTION.match(inner)
        if option:
            name = option[1]
            return [(expressions.equal(name, value), "" if value == "n" else value) for value in ("y", "m", "n")]
        head = re.match(r"([\w-]+)[ \t]+(.*)", inner, re.DOTALL)
        if head is not None:
            return self._function(head[1], arguments(head[2]), depth, inside)
        if ":" in inner:
            name, _, change = inner.partition(":")
            if "=" not in change:
                return [(YES, OPEN)]
            mapped = self._substitution(change)
            ways = self._reference(name, depth, inside)
            return [(when, " ".join(one for word in way.split() for one in mapped(word))) for when, way in ways]
        if "$" in inner:
            found: Ways = []
            for condition, way in self._ways(inner, depth + 1, inside):
                found += [(all_of([condition, when]), text) for when, text in self._reference(way, depth + 1, inside)]
            return found[:_MOST_WAYS]
        if inner in inside:
            return [(YES, "")]
        if inner not in self._variables:
            # a list that nothing was put into is empty; any other name may come from the makefiles above
            unknown = "" if re.fullmatch(r"[a-z][\w-]*-[ym]?", inner) else OPEN
            return [(YES, self._given.get(inner, unknown))]
        found = [(YES, "")]
        for piece in self._variables[inner]:
            ways = self._ways(piece.text, depth + 1, (*inside, inner))
            more: Ways = []
            for condition, text in found:
                for when, way in ways:
                    more.append((all_of([condition, piece.condition, when]), f"{text} {way}".strip()))
                if piece.condition != YES:
                    more.append((all_of([condition, negated(piece.condition)]), text))
            if len(more) > _MOST_WAYS:
                return [(YES, OPEN)]
            found = more
        return found

    def _function(self, function: str, texts: list[str], depth: int, inside: tuple[str, ...]) -> Ways:
        self._step(depth)
        if function in _BY_WORD:
            found: Ways = []
            for condition, given in self._product(texts, depth + 1, inside):
                mapped = self._mapper(function, given[:-1])
                found.append((condition, " ".join(one for word in given[-1].split() for one in mapped(word))))
            return found
        if function == "if" and len(texts) >= 2:
            found = []
            for condition, way in self._ways(texts[0], depth + 1, inside):
                if OPEN in way:
                    return [(YES, OPEN)]
                chosen = texts[1] if way.strip() else ",".join(texts[2:])
                found += [(all_of([condition, when]), text) for when, text in self._ways(chosen, depth + 1, inside)]
            return found[:_MOST_WAYS]
        if function in ("or", "and"):
            found = []
            for condition, given in self._product(texts, depth + 1, inside):
                words = [one.strip() for one in given]
                filled = [one for one in words if one]
                found.append((condition, (filled[:1] or [""])[0] if function == "or" else words[-1] if len(filled) == len(words) else ""))
            return found
        if function == "findstring" and len(texts) == 2:
            return [(condition, given[0] if given[0] in given[1] else "") for condition, given in self._product(texts, depth + 1, inside)]
        return [(YES, OPEN)]
