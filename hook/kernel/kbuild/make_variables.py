"""Values of make variables: the words that each holds, by the conditions on options under which its lines count.

Nothing is executed: what cannot be evaluated without make is left open.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from hook import lazy_re
from hook.kernel.kbuild.make_syntax import arguments, closing, fits, patsubst, words
from hook.kernel.kconfig import expressions
from hook.kernel.kconfig.expressions import NO, YES, Condition, all_of, built_in, negated

OPEN = "\0"  # stands in a text for what could not be evaluated
_DEEPEST = 30  # variables inside each other
_MOST_STEPS = 60_000  # expansions, of one makefile
MOST_WAYS = 81  # that a text may turn out, by the options in it
_BY_WORD = frozenset(
    ("addprefix", "addsuffix", "patsubst", "subst", "filter", "filter-out", "sort", "strip", "notdir", "dir", "basename")
)  # functions that make of each word of a list what they make of it alone
OPTION = lazy_re.compile(r"CONFIG_(\w+)\Z")

Ways = list[tuple[Condition, str]]


class UnreadableMakefile(ValueError):
    """A makefile that goes past the limits; the sentence says where."""


class Word(msgspec.Struct, frozen=True):
    """A word of a variable, and when it is there."""

    text: str
    condition: Condition
    path: str
    line: int


class VariablePart(msgspec.Struct, frozen=True):
    """What one line of a makefile puts into a variable."""

    text: str
    condition: Condition
    path: str
    line: int


class MakeVariables:
    """What the makefiles of a directory have put into variables, and what comes out of them."""

    def __init__(self, directory: str, given: Mapping[str, str]) -> None:
        self.directory = directory
        self._given = {**given, "obj": directory or ".", "src": directory or ".", "srctree": ".", "objtree": "."}
        self._variables: dict[str, list[VariablePart]] = {}
        self._expanded: dict[str, list[Word]] = {}
        self._steps = 0

    def names(self) -> list[str]:
        """The variables that have been given something."""
        return list(self._variables)

    def words(self, name: str) -> list[Word]:
        """The words of a variable, once everything has been read. Raises UnreadableMakefile."""
        if name not in self._expanded:
            self._expanded[name] = list(self._of_variable(name, 0, ()))
        return self._expanded[name]

    def mentions(self, name: str, text: str) -> bool:
        """Whether a variable may hold a word, by how it is written."""
        return any(text in piece.text or "$" in piece.text for piece in self._variables.get(name, ()))

    def leading(self, goals: tuple[str, ...], directory: str) -> list[Word]:
        """The words of some goals by which Kbuild goes down to a directory. Raises UnreadableMakefile."""
        words = (word for goal in goals if self.mentions(goal, directory) for word in self.words(goal))
        return [word for word in words if word.text.removeprefix("./").rstrip("/") == directory]

    def _step(self, depth: int) -> None:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise UnreadableMakefile(f"{self.directory}: variables that expand without end")

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
            option = OPTION.match(inner)
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
            found = [(all_of([condition, when]), [*before, way]) for condition, before in found for when, way in ways][:MOST_WAYS]
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
            if len(found) * len(ways) > MOST_WAYS:
                return [(YES, OPEN)]
            found = [(all_of([condition, when]), way + more) for condition, way in found for when, more in ways]
        return found

    def _reference(self, inner: str, depth: int, inside: tuple[str, ...]) -> Ways:
        option = OPTION.match(inner)
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
            return found[:MOST_WAYS]
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
            if len(more) > MOST_WAYS:
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
            return found[:MOST_WAYS]
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
