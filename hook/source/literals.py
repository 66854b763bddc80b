"""Literals: what every line that an extended regular expression matches must contain.

A reader of POSIX extended regular expressions (and of the GNU escapes that `git grep -E` knows) that gives up early: what it does not
understand requires nothing, and the search then looks into every file.
"""

from __future__ import annotations

import re

import msgspec

from hook import lazy_re

_SHORTEST = 3  # letters; shorter ones choose no files
_WORD = lazy_re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_MOST_ALTERNATIVES = 20
_DEEPEST = 20


class Literal(msgspec.Struct, frozen=True):
    """Letters, digits and underscores that stand in a row; `whole` if no more of them stand before or after."""

    text: str  # lower case
    whole: bool


class _NotUnderstood(Exception):
    pass


_ANYTHING = "\0"  # in a run: some text that we know nothing of
_EDGE = "\1"  # in a run: the edge of a word


def required(expression: str) -> list[list[Literal]]:
    """Alternatives, each with the literals that a line must contain if that alternative matches it; empty where nothing can be said."""
    try:
        reader = _Reader(expression)
        alternatives = reader.alternatives(0)
        if reader.at != len(expression):
            return []
    except _NotUnderstood:
        return []
    found = []
    for run in alternatives:
        literals = _literals(run)
        if not literals:
            return []
        found.append(literals)
    return found


def _literals(run: str) -> list[Literal]:
    found = []
    for match in _WORD.finditer(run):
        # what is not a word character on both sides, known to be there, bounds a word; so does an edge
        before, after = run[match.start() - 1 : match.start()], run[match.end() : match.end() + 1]
        whole = bool(before and after and _ANYTHING not in (before, after))
        if len(match.group()) >= _SHORTEST or whole:
            found.append(Literal(match.group().lower(), whole))
    return found


class _Reader:
    """Turns an expression into runs: texts that a match contains in this order, with _ANYTHING where they are not known to touch."""

    def __init__(self, expression: str) -> None:
        self.text, self.at = expression, 0

    def alternatives(self, depth: int) -> list[str]:
        if depth > _DEEPEST:
            raise _NotUnderstood
        runs = [_ANYTHING]  # what stands before the match is not known
        done: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            if char == ")":
                if depth == 0:
                    raise _NotUnderstood
                break
            if char == "|":
                self.at += 1
                done += [run + _ANYTHING for run in runs]
                runs = [_ANYTHING]
                continue
            runs = self._joined(runs, self._repeated(self._atom(depth)))
        return done + [run + _ANYTHING for run in runs]

    @staticmethod
    def _joined(runs: list[str], atoms: list[str]) -> list[str]:
        if len(runs) * len(atoms) > _MOST_ALTERNATIVES:
            return [run + _ANYTHING for run in runs]
        return [run + atom for run in runs for atom in atoms]

    def _repeated(self, atom: list[str]) -> list[str]:
        """The atom with what stands behind it: one that may be missing is not known, one that repeats stands at least once."""
        while self.at < len(self.text) and self.text[self.at] in "*+?{":
            char = self.text[self.at]
            self.at += 1
            least = 1
            if char == "{":
                found = re.match(r"(\d+)(,\d*)?\}", self.text[self.at :])
                if found is None:
                    raise _NotUnderstood
                self.at += found.end()
                least = int(found.group(1)[:9])
            # how often it stands there is not known, so nothing around touches it
            atom = [_ANYTHING] if char in "*?" or least == 0 else [f"{_ANYTHING}{one}{_ANYTHING}" for one in atom]
        return atom

    def _atom(self, depth: int) -> list[str]:
        char = self.text[self.at]
        self.at += 1
        if char == "(":
            inside = self.alternatives(depth + 1)
            if self.at >= len(self.text):
                raise _NotUnderstood
            self.at += 1
            # what stands before and after the group touches what is in it
            return [run[1:-1] for run in inside]
        if char == "[":
            return [self._bracket()]
        if char == ".":
            return [_ANYTHING]
        if char in "^$":
            return [_EDGE]
        if char in "*+?{":
            raise _NotUnderstood  # a repetition of nothing
        if char == "\\":
            return [self._escaped()]
        return [char if char not in (_ANYTHING, _EDGE) else _ANYTHING]

    def _escaped(self) -> str:
        if self.at >= len(self.text):
            raise _NotUnderstood
        char = self.text[self.at]
        self.at += 1
        if char in "<>b":
            return _EDGE
        if char == "W":
            return " "  # some character that is in no word
        if char.isalnum() or char in "`'":
            return _ANYTHING  # a back reference, \w, \s, \B and what else there may be
        return char

    def _bracket(self) -> str:
        found = re.match(r"\^?\]?(?:\[:[a-z]+:\]|\[\.[^.]*\.\]|\[=[^=]*=\]|[^]])*\]", self.text[self.at :])
        if found is None:
            raise _NotUnderstood
        inside = found.group()[:-1]
        self.at += found.end()
        if re.fullmatch(r"(?:\[:(?:space|blank|punct):\]|[^\w\[\]^\\-]|[ \t])+", inside, re.ASCII) and not inside.startswith("^"):
            return " "
        if inside in ("^A-Za-z0-9_", "^a-zA-Z0-9_", "^[:alnum:]_", "^_[:alnum:]"):
            return " "
        return _ANYTHING
