"""Literals: what every line that an extended regular expression matches must contain.

A parser of POSIX extended regular expressions (with the GNU escapes of `git grep -E`) that gives up early: an expression that it does
not understand requires nothing, and then every file is searched.
"""

from __future__ import annotations

import re

import msgspec

from hook import lazy_re

_SHORTEST = 3  # letters; shorter ones choose no files
_BRACKET = lazy_re.compile(r"\^?\]?(?:\[:[a-z]+:\]|\[\.[^.]*\.\]|\[=[^=]*=\]|[^]])*\]")
_EDGES = lazy_re.compile(r"(?:\[:(?:space|blank|punct):\]|[^\w\[\]^\\-]|[ \t])+", re.ASCII)
_WORD = lazy_re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_MOST_ALTERNATIVES = 20
_DEEPEST = 20


class Literal(msgspec.Struct, frozen=True):
    """Consecutive letters, digits and underscores; `whole` if none more precede or follow."""

    text: str  # lower case
    whole: bool


class _NotUnderstood(Exception):
    pass


_ANYTHING = "\0"  # in a run: some unknown text
_EDGE = "\1"  # in a run: the edge of a word


def required(expression: str) -> list[list[Literal]]:
    """Alternatives, each with the literals that a line must contain if that alternative matches it; empty if that is not known."""
    try:
        reader = _Reader(expression)
        alternatives = reader.alternatives(0)
        if reader.at != len(expression):
            return []
    except _NotUnderstood:
        return []
    required_literals = []
    for run in alternatives:
        literals = _literals(run)
        if not literals:
            return []
        required_literals.append(literals)
    return required_literals


def _literals(run: str) -> list[Literal]:
    literals = []
    for match in _WORD.finditer(run):
        # a word is bounded by a known character, which is then no word character, or by an edge
        before, after = run[match.start() - 1 : match.start()], run[match.end() : match.end() + 1]
        is_whole_word = bool(before and after and _ANYTHING not in (before, after))
        if len(match.group()) >= _SHORTEST or is_whole_word:
            literals.append(Literal(match.group().lower(), is_whole_word))
    return literals


class _Reader:
    """Turns an expression into runs: texts that a match contains in this order, with _ANYTHING if they may not be adjacent."""

    def __init__(self, expression: str) -> None:
        self.text, self.at = expression, 0

    def alternatives(self, depth: int) -> list[str]:
        if depth > _DEEPEST:
            raise _NotUnderstood
        runs = [_ANYTHING]  # the text before the match is not known
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
        """The atom with its repetitions: one that may be absent is unknown, one that repeats is there at least once."""
        while self.at < len(self.text) and self.text[self.at] in "*+?{":
            char = self.text[self.at]
            self.at += 1
            least = 1
            if char == "{":
                braces = re.match(r"(\d+)(,\d*)?\}", self.text[self.at :])
                if braces is None:
                    raise _NotUnderstood
                self.at += braces.end()
                least = int(braces.group(1)[:9])
            # the number of repetitions is not known, so the text around is not adjacent
            atom = [_ANYTHING] if char in "*?" or least == 0 else [f"{_ANYTHING}{alternative}{_ANYTHING}" for alternative in atom]
        return atom

    def _atom(self, depth: int) -> list[str]:
        char = self.text[self.at]
        self.at += 1
        if char == "(":
            inside = self.alternatives(depth + 1)
            if self.at >= len(self.text):
                raise _NotUnderstood
            self.at += 1
            # the text before and after the group is adjacent to it
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
            return " "  # some character that is no word character
        if char.isalnum() or char in "`'":
            return _ANYTHING  # a back reference, \w, \s, \B or another escape
        return char

    def _bracket(self) -> str:
        bracket = _BRACKET.match(self.text[self.at :])
        if bracket is None:
            raise _NotUnderstood
        inside = bracket.group()[:-1]
        self.at += bracket.end()
        if _EDGES.fullmatch(inside) and not inside.startswith("^"):
            return " "
        if inside in ("^A-Za-z0-9_", "^a-zA-Z0-9_", "^[:alnum:]_", "^_[:alnum:]"):
            return " "
        return _ANYTHING
