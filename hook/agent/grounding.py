"""Grounding: what an agent says is found again in the tree before it counts.

The first form: citations, options and symbols exist, and nothing is said against a proved fact. What is wrong goes back to the model with
the nearest valid name; what it insists on against a fact becomes a dispute, and the fact wins.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Sequence
from typing import Annotated

from hook.agent.arguments import BadCall
from hook.agent.tools import Desk
from hook.evidence.harmless import Evidence
from hook.source.definitions import DefinitionKind, definitions
from hook.source.git import GitError
from hook.source.grep import grep
from hook.source.lookup import canonical
from hook.source.tree import Kind, Source
from hook.source.treepath import NotATreePath, tree_path
from hook.verdict import Answer

DEFAULT, FARM = "default", "farm"

_OPTION = re.compile(r"(?:CONFIG_)?([A-Za-z0-9_]+)\Z")
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_CITATION = re.compile(r"(?<![\w/.-])((?:[\w.+-]+/)*[\w.+-]+\.?[\w+-]*):(\d{1,7})\b")
_MOST_REASONING = 8000  # characters
_GREP_BYTES = 4 << 20
_RUST_FUNCTION = re.compile(rb"\bfn\s+([A-Za-z_]\w*)")


@dataclasses.dataclass(frozen=True)
class EvaluationArguments:
    worth_fuzzing: Annotated[bool, "whether the change should be fuzzed"]
    reasoning: Annotated[str, "why, in a few sentences"]
    focus_symbols: Annotated[tuple[str, ...], "functions to aim the fuzzer at; empty if the change is not worth fuzzing"] = ()
    enable_configs: Annotated[tuple[str, ...], "kernel options that the changed code needs, without CONFIG_"] = ()


@dataclasses.dataclass(frozen=True)
class KmsanArguments:
    needs_kmsan: Annotated[bool, "whether the change should be fuzzed with KMSAN"]
    kmsan_reasoning: Annotated[str, "why, in one or two sentences"]


@dataclasses.dataclass
class Grounding:
    """Checks an evaluator's results against the tree with the change applied, and against what is proved of the change."""

    source: Source
    evidence: Evidence
    changed: tuple[str, ...]  # paths of the change
    profile: str
    max_symbols: int
    desk: Desk  # for how long a search of the tree may take
    disputes: list[str] = dataclasses.field(default_factory=list)
    _warned: set[str] = dataclasses.field(default_factory=set)
    _options: frozenset[str] | None = None

    def evaluation(self, said: EvaluationArguments) -> EvaluationArguments:
        """What is accepted of the results. Raises BadCall with everything that is wrong with them."""
        wrong: list[str] = []
        reasoning = said.reasoning.strip()
        if not reasoning:
            wrong.append("Reasoning is empty")
        if len(reasoning) > _MOST_REASONING:
            wrong.append(f"Reasoning has {len(reasoning)} characters, at most {_MOST_REASONING} are kept: say it shorter")
        if not said.worth_fuzzing and said.focus_symbols:
            wrong.append("WorthFuzzing is false, so FocusSymbols must be empty")
        options = tuple(dict.fromkeys(one.strip().removeprefix("CONFIG_") for one in said.enable_configs if one.strip()))
        wrong += self._wrong_options(options)
        symbols = tuple(dict.fromkeys(one.strip().removesuffix("()") for one in said.focus_symbols if one.strip()))
        if self.profile == DEFAULT:
            if reasoning:
                wrong += self._wrong_citations(reasoning)
            if said.worth_fuzzing:
                wrong += self._wrong_symbols(symbols)
                if len(symbols) > self.max_symbols:
                    wrong.append(f"FocusSymbols holds {len(symbols)} names, at most {self.max_symbols} are used: name the best")
        if wrong:
            raise BadCall("; ".join(wrong))
        self._against_facts(said)
        return EvaluationArguments(said.worth_fuzzing, reasoning, symbols, options)

    def kmsan(self, said: KmsanArguments) -> KmsanArguments:
        """What is accepted of the KMSAN agent's results. Raises BadCall."""
        reasoning = said.kmsan_reasoning.strip()
        if not reasoning:
            raise BadCall("KMSANReasoning is empty")
        if len(reasoning) > _MOST_REASONING:
            raise BadCall(f"KMSANReasoning has {len(reasoning)} characters, at most {_MOST_REASONING} are kept: say it shorter")
        return KmsanArguments(said.needs_kmsan, reasoning)

    def _against_facts(self, said: EvaluationArguments) -> None:
        """Refuse once what is said against a fact; the second time it is a dispute."""
        proved = {Answer.NO in (self.evidence.functional, self.evidence.reachable): False}
        if self.evidence.functional is self.evidence.reachable is Answer.YES:
            proved = {True: True}
        for holds, worth in proved.items():
            if not holds or said.worth_fuzzing is worth:
                continue
            fact = next(
                (one.fact for one in self.evidence.findings if Answer.NO in (one.functional, one.reachable) or worth),
                self.evidence.findings[0].fact,
            )
            claim = f"{fact.place.path}: {fact.claim}"
            if claim not in self._warned:
                self._warned.add(claim)
                raise BadCall(
                    f"WorthFuzzing is {str(said.worth_fuzzing).lower()} against a proved fact ({claim}); set it to {str(worth).lower()}"
                )
            self.disputes.append(f"WorthFuzzing {str(said.worth_fuzzing).lower()}, against: {claim}")

    def _wrong_citations(self, reasoning: str) -> list[str]:
        good, wrong = 0, []
        for text, number in dict.fromkeys(_CITATION.findall(reasoning)):
            if "/" not in text and "." not in text and text not in ("Makefile", "Kconfig", "Kbuild"):
                continue  # a time, a ratio, a label
            why = self._wrong_place(text, int(number))
            if why:
                wrong.append(why)
            else:
                good += 1
        if wrong:
            return wrong
        return [] if good else ["Reasoning cites no place in the tree: name at least one that you read, as path:line (mm/slub.c:123)"]

    def _wrong_place(self, text: str, line: int) -> str:
        try:
            path = tree_path(text)
        except NotATreePath as wrong:
            return f"{text}:{line} is no place in the tree: {wrong}"
        entry = self.source.entry(path)
        if entry is None or entry.kind is not Kind.FILE:
            near = [one for one in self.changed if one.rpartition("/")[2] == path.rpartition("/")[2]]
            return f"{text}:{line} is no place in the tree: there is no file {path}" + (f"; did you mean {near[0]}:{line}?" if near else "")
        found = self.source.file(path)
        lines = (found.data or b"").count(b"\n") + 1 if found else 0
        if not 1 <= line <= lines:
            return f"{text}:{line} is no place in the tree: {path} has {lines} lines"
        return ""

    def _wrong_options(self, options: Sequence[str]) -> list[str]:
        wrong = []
        for option in options:
            if not _OPTION.match(option):
                wrong.append(f"{option[:60]!r} is no name of an option")
            elif option not in self._all_options():
                near = difflib.get_close_matches(option, self._all_options(), 1, cutoff=0.7)
                wrong.append(
                    f"there is no option {option} in the Kconfig files of this tree" + (f"; did you mean {near[0]}?" if near else "")
                )
        return wrong

    def _all_options(self) -> frozenset[str]:
        if self._options is None:
            lines, ended = grep(
                self.source,
                r"^[[:space:]]*(menu)?config[[:space:]]+[A-Za-z0-9_]+",
                options=("-h",),
                globs=("*Kconfig*",),
                limit_bytes=_GREP_BYTES,
                seconds=self.desk.seconds_left,
            )
            if ended:
                raise GitError(f"the Kconfig files could not be read whole ({ended})")
            names = (re.search(r"config\s+(\w+)", line) for line in lines)
            self._options = frozenset(found.group(1) for found in names if found)
        return self._options

    def _wrong_symbols(self, symbols: Sequence[str]) -> list[str]:
        wrong = [f"{one[:60]!r} is no name of a function" for one in symbols if not _SYMBOL.match(one)]
        names = [one for one in symbols if _SYMBOL.match(one)]
        missing = names
        # most are near the change or in a file that the model has read; only what is not there is looked for in the whole tree
        read = [path for path in self.source.read_blobs if path.endswith((".c", ".h", ".S", ".rs"))]
        missing = self._not_in(read, missing)
        for where in (*dict.fromkeys(path.rpartition("/")[0] for path in self.changed), ""):
            missing = self._undefined(missing, where)
            if not missing:
                return wrong
        known = self._functions_of_change()
        for name in missing:
            near = difflib.get_close_matches(name, known, 1, cutoff=0.5)
            wrong.append(f"no function {name} is defined in this tree" + (f"; did you mean {near[0]}?" if near else ""))
        return wrong

    def _undefined(self, names: Sequence[str], directory: str) -> list[str]:
        if not names:
            return []
        # a system call is defined by its bare name, as an argument of a macro
        words = "|".join(dict.fromkeys([*names, *(canonical(name).removeprefix("compat_").removeprefix("sys_") for name in names)]))
        expression = rf"(^|[^A-Za-z0-9_])({words})[[:space:]]*[(,)<]"
        lines, _ = grep(
            self.source,
            expression,
            directory,
            options=("--files-with-matches",),
            globs=() if directory else ("*.c", "*.h", "*.S", "*.rs"),
            limit_bytes=_GREP_BYTES,
            seconds=self.desk.seconds_left,
        )
        return self._not_in(lines, names)

    def _not_in(self, paths: Sequence[str], names: Sequence[str]) -> list[str]:
        """Those of `names` that no file of `paths` defines."""
        left = list(names)
        for path in paths:
            if not left:
                break
            found = self.source.file(path)
            there = functions(found.data or b"", path) if found else set()
            left = [name for name in left if canonical(name) not in there]
        return left

    def _functions_of_change(self) -> list[str]:
        found: dict[str, None] = {}
        for path in self.changed:
            blob = self.source.file(path)
            found.update(dict.fromkeys(sorted(functions(blob.data or b"", path)) if blob else ()))
        return list(found)


def functions(data: bytes, path: str) -> set[str]:
    """The functions that a source file defines; a system call as `sys_NAME`."""
    if path.endswith(".rs"):
        return {match.group(1).decode("ascii") for match in _RUST_FUNCTION.finditer(data)}
    return {one.name for one in definitions(data, path).definitions if one.kind is DefinitionKind.FUNCTION}


def facts(evidence: Evidence, most: int = 40) -> str:
    """What is proved of a change, as lines for a prompt."""
    lines = [f"- functional: {evidence.functional}, reachable: {evidence.reachable}"]
    lines += [f"- {one.fact.place.path}: {one.fact.claim}" for one in evidence.findings[:most]]
    if len(evidence.findings) > most:
        lines.append(f"- and {len(evidence.findings) - most} more files")
    return "\n".join(lines)
