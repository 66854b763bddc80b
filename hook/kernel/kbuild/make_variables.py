"""Values of make variables: the words of each, with the condition on options under which it has them.

Nothing is executed: what only make can evaluate is left open.
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
MOST_EXPANSIONS = 81  # of one text, by the values of the options in it
_BY_WORD = frozenset(
    ("addprefix", "addsuffix", "patsubst", "subst", "filter", "filter-out", "sort", "strip", "notdir", "dir", "basename")
)  # functions that change each word of a list on its own
_CALL = lazy_re.compile(r"([\w-]+)[ \t]+(.*)", re.DOTALL)  # of a function of make
_LIST_NAME = lazy_re.compile(r"[a-z][\w-]*-[ym]?")
OPTION = lazy_re.compile(r"CONFIG_(\w+)\Z")

Expansions = list[tuple[Condition, str]]  # what a text expands to, and when


class UnreadableMakefile(ValueError):
    """A makefile that goes past the limits; the sentence says where."""


class Assigned(msgspec.Struct, frozen=True):
    """What one line of a makefile assigns or adds to a variable, as written or one word of its expansion."""

    text: str
    condition: Condition
    path: str
    line: int


class MakeVariables:
    """The variables of the makefiles of a directory, and their expansion."""

    def __init__(self, directory: str, predefined: Mapping[str, str]) -> None:
        self.directory = directory
        self._predefined = {**predefined, "obj": directory or ".", "src": directory or ".", "srctree": ".", "objtree": "."}
        self._variables: dict[str, list[Assigned]] = {}
        self._expanded: dict[str, list[Assigned]] = {}
        self._steps = 0

    def names(self) -> list[str]:
        """The variables that a line has assigned."""
        return list(self._variables)

    def words(self, name: str) -> list[Assigned]:
        """The words of a variable, once all makefiles have been read. Raises UnreadableMakefile."""
        if name not in self._expanded:
            self._expanded[name] = list(self._of_variable(name, 0, ()))
        return self._expanded[name]

    def is_open(self, endings: tuple[str, ...]) -> bool:
        """Whether a list, whose name has one of these endings, has a word that only make can evaluate. Raises UnreadableMakefile."""
        lists = [name for name in self._variables if name.endswith(endings) and "flags" not in name]
        return any(OPEN in word.text for name in lists for word in self.words(name))

    def mentions(self, name: str, text: str) -> bool:
        """Whether a variable may have words that contain `text`: some line has the text, or a reference."""
        return any(text in assigned.text or "$" in assigned.text for assigned in self._variables.get(name, ()))

    def leading(self, goals: tuple[str, ...], directory: str) -> list[Assigned]:
        """The words of the goals by which Kbuild descends into a directory. Raises UnreadableMakefile."""
        words = (word for goal in goals if self.mentions(goal, directory) for word in self.words(goal))
        return [word for word in words if word.text.removeprefix("./").rstrip("/") == directory]

    def _step(self, depth: int) -> None:
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise UnreadableMakefile(f"{self.directory}: the variables expand too deeply or too often")

    def _of_variable(self, name: str, depth: int, inside: tuple[str, ...]) -> Iterator[Assigned]:
        self._step(depth)
        if name in inside:
            return
        for assigned in self._variables.get(name, ()):
            for condition, text in self._words(assigned.text, depth + 1, (*inside, name)):
                word_condition = all_of([assigned.condition, condition])
                if word_condition != NO:
                    yield Assigned(text, word_condition, assigned.path, assigned.line)
        if name not in self._variables and name in self._predefined:
            yield from (Assigned(word, YES, "", 0) for word in self._predefined[name].split())

    def _words(self, text: str, depth: int, inside: tuple[str, ...]) -> Iterator[tuple[Condition, str]]:
        """The words of a text. A list function expands word by word, so that a list with many options does not become many lists."""
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
                for condition, expansion in self._expansions(token, depth + 1, inside):
                    for word in expansion.split():
                        yield condition, word

    def _list(self, inner: str, depth: int, inside: tuple[str, ...]) -> Iterator[tuple[Condition, str]]:
        head = _CALL.match(inner)
        if head is None:
            name, colon, change = inner.partition(":")
            if colon and "=" in change and "$" not in name:
                mapped = self._substitution(change)
                for condition, word in self._list(name, depth, inside):
                    yield from ((condition, changed) for changed in mapped(word))
                return
            if "$" in inner:
                for condition, expansion in self._expansions(inner, depth, inside):
                    yield from ((all_of([condition, when]), word) for when, word in self._list(expansion, depth + 1, inside))
                return
            option = OPTION.match(inner)
            if option:
                yield built_in(option[1]), "y"
                return
            for variable_word in self._of_variable(inner, depth + 1, inside):
                yield variable_word.condition, variable_word.text
            return
        function, rest = head[1], arguments(head[2])
        if function in _BY_WORD:
            fixed, listed = rest[:-1], rest[-1]
            for when, texts in self._product(fixed, depth + 1, inside):
                mapped = self._mapper(function, texts)
                for condition, word in self._words(listed, depth + 1, inside):
                    yield from ((all_of([when, condition]), changed) for changed in mapped(word))
            return
        for condition, expansion in self._function(function, rest, depth + 1, inside):
            for word in expansion.split():
                yield condition, word

    def _product(self, texts: list[str], depth: int, inside: tuple[str, ...]) -> Iterator[tuple[Condition, list[str]]]:
        """The combined expansions of several arguments."""
        product: list[tuple[Condition, list[str]]] = [(YES, [])]
        for text in texts:
            choices = self._expansions(text, depth, inside)
            product = [(all_of([condition, when]), [*before, choice]) for condition, before in product for when, choice in choices]
            product = product[:MOST_EXPANSIONS]
        return iter(product)

    def _substitution(self, change: str) -> Callable[[str], list[str]]:
        """How `$(NAME:OLD=NEW)` changes one word."""
        old, _, new = change.partition("=")
        return self._mapper("patsubst", [old, new] if "%" in old else [f"%{old}", f"%{new}"])

    def _mapper(self, function: str, fixed: list[str]) -> Callable[[str], list[str]]:
        """How a list function changes one word: into a word, or into none."""
        texts = [argument.strip() if function != "subst" else argument for argument in fixed]
        if function == "addprefix" and texts:
            return lambda word: [texts[0] + word]
        if function == "addsuffix" and texts:
            return lambda word: [word + texts[0]]
        if function == "subst" and len(texts) == 2 and texts[0]:
            return lambda word: [word.replace(texts[0].strip(), texts[1])]
        if function == "patsubst" and len(texts) == 2:
            return lambda word: [patsubst(texts[0], texts[1], word)]
        if function in ("filter", "filter-out") and texts:
            patterns, keeps = texts[0].split(), function == "filter"
            return lambda word: [word] if OPEN in word or any(fits(pattern, word) for pattern in patterns) is keeps else []
        if function == "notdir":
            return lambda word: [word.rpartition("/")[2]]
        if function == "dir":
            return lambda word: [word.rpartition("/")[0] + "/" if "/" in word else "./"]
        if function == "basename":
            return lambda word: [posixpath.splitext(word)[0]]
        return lambda word: [word]

    def _expansions(self, text: str, depth: int, inside: tuple[str, ...] = ()) -> Expansions:
        """What a text expands to, by the values of the options in it."""
        self._step(depth)
        if "$" not in text:
            return [(YES, text)]
        expansions: Expansions = [(YES, "")]
        offset = 0
        while offset < len(text):
            sign = text.find("$", offset)
            if sign < 0:
                expansions = [(condition, before + text[offset:]) for condition, before in expansions]
                break
            if sign > offset:
                expansions = [(condition, before + text[offset:sign]) for condition, before in expansions]
            opening = text[sign + 1 : sign + 2]
            if opening in ("(", "{"):
                end = closing(text, sign + 1)
                if end < 0:
                    return [(YES, OPEN)]
                choices = self._reference(text[sign + 2 : end], depth + 1, inside)
                offset = end + 1
            else:
                choices = [(YES, "$" if opening == "$" else OPEN)]
                offset = sign + 2
            if len(expansions) * len(choices) > MOST_EXPANSIONS:
                return [(YES, OPEN)]
            expansions = [(all_of([condition, when]), before + after) for condition, before in expansions for when, after in choices]
        return expansions

    def _reference(self, inner: str, depth: int, inside: tuple[str, ...]) -> Expansions:
        option = OPTION.match(inner)
        if option:
            name = option[1]
            return [(expressions.equal(name, value), "" if value == "n" else value) for value in ("y", "m", "n")]
        head = _CALL.match(inner)
        if head is not None:
            return self._function(head[1], arguments(head[2]), depth, inside)
        if ":" in inner:
            name, _, change = inner.partition(":")
            if "=" not in change:
                return [(YES, OPEN)]
            mapped = self._substitution(change)
            expansions = self._reference(name, depth, inside)
            return [(when, " ".join(changed for word in expansion.split() for changed in mapped(word))) for when, expansion in expansions]
        if "$" in inner:
            expansions_of_name: Expansions = []
            for condition, name in self._expansions(inner, depth + 1, inside):
                expansions_of_name += [(all_of([condition, when]), text) for when, text in self._reference(name, depth + 1, inside)]
            return expansions_of_name[:MOST_EXPANSIONS]
        if inner in inside:
            return [(YES, "")]
        if inner not in self._variables:
            # a list that no line assigns is empty; any other variable may be exported by the makefiles above
            unknown = "" if _LIST_NAME.fullmatch(inner) else OPEN
            return [(YES, self._predefined.get(inner, unknown))]
        return self._joined(self._variables[inner], depth, (*inside, inner))

    def _joined(self, parts: list[Assigned], depth: int, inside: tuple[str, ...]) -> Expansions:
        """What the parts of a variable expand to, one after the other."""
        joined: Expansions = [(YES, "")]
        for part in parts:
            expansions = self._expansions(part.text, depth + 1, inside)
            longer: Expansions = []
            for condition, before in joined:
                longer += [(all_of([condition, part.condition, when]), f"{before} {text}".strip()) for when, text in expansions]
                if part.condition != YES:
                    longer.append((all_of([condition, negated(part.condition)]), before))
            if len(longer) > MOST_EXPANSIONS:
                return [(YES, OPEN)]
            joined = longer
        return joined

    def _function(self, function: str, texts: list[str], depth: int, inside: tuple[str, ...]) -> Expansions:
        self._step(depth)
        if function in _BY_WORD:
            expansions: Expansions = []
            for condition, expanded in self._product(texts, depth + 1, inside):
                mapped = self._mapper(function, expanded[:-1])
                expansions.append((condition, " ".join(changed for word in expanded[-1].split() for changed in mapped(word))))
            return expansions
        if function == "if" and len(texts) >= 2:
            expansions = []
            for condition, expansion in self._expansions(texts[0], depth + 1, inside):
                if OPEN in expansion:
                    return [(YES, OPEN)]
                chosen = texts[1] if expansion.strip() else ",".join(texts[2:])
                expansions += [(all_of([condition, when]), text) for when, text in self._expansions(chosen, depth + 1, inside)]
            return expansions[:MOST_EXPANSIONS]
        if function in ("or", "and"):
            expansions = []
            for condition, expanded in self._product(texts, depth + 1, inside):
                words = [text.strip() for text in expanded]
                filled = [word for word in words if word]
                expansions.append(
                    (condition, (filled[:1] or [""])[0] if function == "or" else words[-1] if len(filled) == len(words) else "")
                )
            return expansions
        if function == "findstring" and len(texts) == 2:
            return [(condition, word if word in text else "") for condition, (word, text) in self._product(texts, depth + 1, inside)]
        return [(YES, OPEN)]
