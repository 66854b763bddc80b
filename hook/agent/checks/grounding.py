"""Grounding: what an agent says is found again in the tree before it counts.

Citations, options and symbols exist, and nothing is said against a proved fact. What is wrong goes back to the model with the nearest
valid name; what it insists on against a fact becomes a dispute, and the fact wins. What is there, but is no aim or not needed, is put right
by the evidence (hook.agent.checks.focus_check, hook.agent.checks.options_check), and the verdict says so.
"""

from __future__ import annotations

import difflib
import re
import time
import typing
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec

from hook import lazy_re
from hook.agent.checks import focus_check, options_check
from hook.agent.desk import Desk
from hook.agent.profile import AgentProfile
from hook.agent.tools.arguments import BadCall
from hook.c.definitions import DefinitionKind, definitions
from hook.c.tokens.comparison import Unreadable
from hook.evidence.finding import Evidence
from hook.failure import CannotJudge
from hook.kernel.no_kernel_code import NO_KERNEL_CODE
from hook.rust import rust_tokens
from hook.source.grep import grep, held_back
from hook.source.lookup import canonical
from hook.source.tree import Source, TreeEntryKind
from hook.source.treepath import NotATreePath, tree_path
from hook.verdict import Answer, ConfigReason, Verdict

if typing.TYPE_CHECKING:
    from hook.coverage.observations import Coverage

_OPTION = lazy_re.compile(r"(?:CONFIG_)?([A-Za-z0-9_]+)\Z")
_SYMBOL = lazy_re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLACE = lazy_re.compile(r"([\w.+,@=#%~/-]{1,300}?)(?::|#L)([0-9]{1,20}(?:[-\u2013\u2014,/]L?[0-9]{1,20})*)")
_URL = lazy_re.compile(r"\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://\S+")
_SOURCE = lazy_re.compile(r"\.(?:c|h|S|rs|dtsi?|ya?ml|rst|txt|lds|py|sh|pl)\Z|(?:\A|/)(?:Makefile|Kconfig|Kbuild|MAINTAINERS)[\w.-]*\Z")
_MOST_OPTIONS = 40
_LONGEST_NAME = 128
_MOST_NEAREST = 5  # wrong options for which the nearest right one is looked for: each costs as much as reading all of them
# where a function of that name is none of the kernel that is fuzzed
_LEFT_OUT = tuple(prefix.rstrip("/") for prefix in NO_KERNEL_CODE)
_MOST_FACTS = 40
_MOST_REASONING = 8000  # characters
_GREP_BYTES = 4 << 20
_RUST_FUNCTION = lazy_re.compile(rb"\bfn\s+([A-Za-z_]\w*)")
_ENTRY = lazy_re.compile(r"__(\w+?)_(?:compat_)?sys_\w+\Z")
# the architectures whose system calls have entry points of their own name, and that name; `do` and `se` are inside all of these
_ENTRIES = {
    "x86_64": ("x64", "ia32"),
    "i386": ("ia32",),
    "arm64": ("arm64",),
    "s390": ("s390x", "s390"),
    "riscv": ("riscv",),
    "powerpc": ("powerpc",),
}


class EvaluationArguments(msgspec.Struct, frozen=True):
    worth_fuzzing: Annotated[bool, "whether the change should be fuzzed"]
    reasoning: Annotated[str, "why, in a few sentences"]
    focus_symbols: Annotated[tuple[str, ...], "functions to aim the fuzzer at; empty if the change is not worth fuzzing"] = ()
    enable_configs: Annotated[tuple[str, ...], "kernel options that the changed code needs, without CONFIG_"] = ()


class Evaluation(EvaluationArguments, frozen=True):
    """Results as they were put right by the evidence."""

    via: tuple[str, ...] = ()
    corrections: tuple[str, ...] = ()  # what was changed in them, and why


class KmsanArguments(msgspec.Struct, frozen=True):
    needs_kmsan: Annotated[bool, "whether the change should be fuzzed with KMSAN"]
    kmsan_reasoning: Annotated[str, "why, in one or two sentences"]


class Grounding(msgspec.Struct):
    """Checks an evaluator's results against the tree with the change applied, and against what is proved of the change."""

    source: Source
    evidence: Evidence
    verdict: Verdict  # that the evidence allows
    changed: tuple[str, ...]  # paths of the change
    profile: AgentProfile
    max_symbols: int
    desk: Desk  # for how long a search of the tree may take, and what is not shown
    target: str  # the architecture that is fuzzed
    coverage: Coverage | None = None  # what the person's fuzzer has reached
    disputes: list[str] = msgspec.field(default_factory=list)
    reasons: dict[str, ConfigReason] = msgspec.field(default_factory=dict)  # of options that the evidence did not know of
    _warned: set[str] = msgspec.field(default_factory=set)
    _options: frozenset[str] | None = None
    _inline: dict[str, str] = msgspec.field(default_factory=dict)  # names that only headers define, as inline functions
    _where: dict[str, str] = msgspec.field(default_factory=dict)  # the file that defines a symbol

    def evaluation(self, given: EvaluationArguments) -> EvaluationArguments:
        """What is accepted of the results. Raises BadCall with everything that is wrong with them."""
        wrong: list[str] = []
        reasoning = given.reasoning.strip()
        if not reasoning:
            wrong.append("Reasoning is empty")
        if len(reasoning) > _MOST_REASONING:
            wrong.append(f"Reasoning has {len(reasoning)} characters, at most {_MOST_REASONING} are kept: say it shorter")
        if not given.worth_fuzzing and given.focus_symbols:
            wrong.append("WorthFuzzing is false, so FocusSymbols must be empty")
        options = tuple(dict.fromkeys(name.strip().removeprefix("CONFIG_") for name in given.enable_configs if name.strip()))
        if len(options) > _MOST_OPTIONS:
            wrong.append(f"EnableConfigs holds {len(options)} names, at most {_MOST_OPTIONS} are used: name those that are needed")
        else:
            wrong += self._wrong_options(options)
        symbols = tuple(dict.fromkeys(name.strip().removesuffix("()") for name in given.focus_symbols if name.strip()))
        if not self.profile.is_a_farms:
            if 0 < len(reasoning) <= _MOST_REASONING:
                wrong += self._wrong_citations(reasoning)
            if given.worth_fuzzing:
                if len(symbols) > self.max_symbols:
                    wrong.append(f"FocusSymbols holds {len(symbols)} names, at most {self.max_symbols} are used: name the best")
                else:
                    wrong += self._wrong_symbols(symbols)
        if wrong:
            raise BadCall("; ".join(wrong))
        self._against_facts(given)
        if not given.worth_fuzzing:
            return EvaluationArguments(given.worth_fuzzing, reasoning, symbols, options)
        if self.profile.is_a_farms:
            return self._without_uninstrumented(reasoning, symbols, options)
        return self._put_right(reasoning, symbols, options)

    def _without_uninstrumented(self, reasoning: str, symbols: Sequence[str], options: Sequence[str]) -> Evaluation:
        """A farm's results, without the symbols that KCOV does not instrument: a fuzzer that is aimed at them never hits anything."""
        self._locate([name for name in symbols if _is_name(name)], time.monotonic() + self.desk.seconds_left)
        kept, corrections = focus_check.instrumented(symbols, self._where, self.source)
        return Evaluation(True, reasoning, kept, tuple(options), (), corrections)

    def _put_right(self, reasoning: str, symbols: Sequence[str], options: Sequence[str]) -> Evaluation:
        """Results that hold, with the symbols and options that the evidence bears out."""
        where = {**self._inline, **self._where}
        aims_found = focus_check.settle(symbols, where, self.verdict, self.source, self.target, self.max_symbols, self.coverage)
        places = tuple((tree_path(text), line) for text, lines in _citations(reasoning) for line in lines)
        pointers = options_check.Pointers({name: where[name] for name in symbols if name in where}, places)
        needs = options_check.settle(options, pointers, self.verdict, self.desk)
        self.reasons.update(needs.reasons)
        corrections = (*aims_found.corrections, *needs.corrections)
        return Evaluation(True, reasoning, aims_found.symbols, needs.options, aims_found.via, corrections)

    def kmsan(self, given: KmsanArguments) -> KmsanArguments:
        """What is accepted of the KMSAN agent's results. Raises BadCall."""
        reasoning = given.kmsan_reasoning.strip()
        if not reasoning:
            raise BadCall("KMSANReasoning is empty")
        if len(reasoning) > _MOST_REASONING:
            raise BadCall(f"KMSANReasoning has {len(reasoning)} characters, at most {_MOST_REASONING} are kept: say it shorter")
        return KmsanArguments(given.needs_kmsan, reasoning)

    def _against_facts(self, given: EvaluationArguments) -> None:
        """Refuse once what is said against a fact; the second time it is a dispute."""
        proved = {Answer.NO in (self.evidence.functional, self.evidence.reachable): False}
        if self.evidence.functional is self.evidence.reachable is Answer.YES:
            proved = {True: True}
        for holds, worth in proved.items():
            if not holds or given.worth_fuzzing is worth:
                continue
            fact = next(
                (finding.fact for finding in self.evidence.findings if finding.proof or worth),
                self.evidence.findings[0].fact,
            )
            claim = f"{fact.place.path}: {fact.claim}"
            if claim not in self._warned:
                self._warned.add(claim)
                raise BadCall(
                    f"WorthFuzzing is {str(given.worth_fuzzing).lower()} against a proved fact ({claim}); set it to {str(worth).lower()}"
                )
            self.disputes.append(f"WorthFuzzing {str(given.worth_fuzzing).lower()}, against: {claim}")

    def _wrong_citations(self, reasoning: str) -> list[str]:
        good, wrong = 0, []
        for text, numbers in dict.fromkeys(_citations(reasoning)):
            if why := self._wrong_place(text, numbers):
                wrong.append(why)
            else:
                good += 1
        if wrong:
            return wrong
        return [] if good else ["Reasoning cites no place in the tree: name at least one that you read, as path:line (mm/slub.c:123)"]

    def _wrong_place(self, text: str, lines: tuple[int, ...]) -> str:
        """What is wrong with a citation of lines of a file; empty if they are there."""
        cited = f"{text}:{lines[0]}"
        try:
            path = tree_path(text)
        except NotATreePath as wrong:
            return f"{cited} is no place in the tree: {wrong}"
        if self._is_held_back(path):
            return f"{cited} cannot be cited: {path} is not shown to a model (agent.never_paths)"
        entry = self.source.entry(path)
        if entry is None or entry.kind is not TreeEntryKind.FILE:
            near = [other for other in self.changed if other.rpartition("/")[2] == path.rpartition("/")[2]]
            return f"{cited} is no place in the tree: there is no file {path}" + (f"; did you mean {near[0]}:{lines[0]}?" if near else "")
        file = self.source.file(path)
        if file is None or (file.data is None and not file.size):
            return f"{cited} cannot be checked: the content of {path} is not in this repository (a partial clone); cite another file"
        if file.data is None:
            return f"{cited} cannot be checked: {path} has {file.size} bytes, too many to read; cite another file"
        count = file.data.count(b"\n") + (file.data[-1:] not in (b"", b"\n"))
        if wrong_line := next((line for line in lines if not 1 <= line <= count), None):
            return f"{text}:{wrong_line} is no place in the tree: {path} has {count} lines"
        return ""

    def _is_held_back(self, path: str) -> bool:
        return bool(held_back([path], self.desk.never_paths))

    def _wrong_options(self, options: Sequence[str]) -> list[str]:
        wrong = []
        for number, option in enumerate(options):
            if not _OPTION.match(option) or len(option) > _LONGEST_NAME:
                wrong.append(f"{option[:60]!r} is no name of an option")
            elif option not in self._all_options():
                near = difflib.get_close_matches(option, self._all_options(), 1, cutoff=0.7) if number < _MOST_NEAREST else []
                wrong.append(
                    f"there is no option {option} in the Kconfig files of this tree" + (f"; did you mean {near[0]}?" if near else "")
                )
        return wrong

    def _all_options(self) -> frozenset[str]:
        if self._options is None:
            lines, ended = grep(
                self.source,
                r"^[[:space:]]*(menu)?config[[:space:]]+[A-Za-z0-9_]+[[:space:]]*(#|$)",
                options=("-h", "--only-matching"),
                globs=("*Kconfig*",),
                without=("scripts/kconfig/tests", "Documentation", "tools", *self.desk.never_paths),
                limit_bytes=_GREP_BYTES,
                seconds=self.desk.seconds_left,
            )
            if ended:
                raise CannotJudge(f"the Kconfig files could not be read whole ({ended})")
            names = (re.search(r"config\s+(\w+)", line) for line in lines)
            self._options = frozenset(name.group(1) for name in names if name)
        return self._options

    def _wrong_symbols(self, symbols: Sequence[str]) -> list[str]:
        wrong = [f"{symbol[:60]!r} is no name of a function" for symbol in symbols if not _is_name(symbol)]
        elsewhere = [symbol for symbol in symbols if _is_name(symbol) and not self._is_targets(symbol)]
        wrong += [f"{symbol} is no entry point of a kernel for {self.target}" for symbol in elsewhere]
        until = time.monotonic() + self.desk.seconds_left
        missing = self._locate([symbol for symbol in symbols if _is_name(symbol) and symbol not in elsewhere], until)
        if missing and time.monotonic() > until:
            return [
                *wrong,
                f"it took too long to find out where {', '.join(missing)} {'is' if len(missing) == 1 else 'are'} defined; "
                "name functions of the changed files",
            ]
        of_change = self._functions_of_change()
        for name in missing:
            if name in self._inline:
                continue  # there, and no aim
            near = difflib.get_close_matches(name, of_change, 1, cutoff=0.5)
            wrong.append(f"no function {name} is defined in this tree" + (f"; did you mean {near[0]}?" if near else ""))
        return wrong

    def _locate(self, names: Sequence[str], until: float) -> list[str]:
        """Learn which file defines each of `names`; gives those that no file was seen to define before `until`."""
        # most are near the change or in a file that the model has read; only what is not there is looked for in the whole tree
        with self.source.lock:
            read = [path for path in self.source.read_blobs if path.endswith((".c", ".h", ".S", ".rs")) and self._is_kernels(path)]
        missing = self._not_in(read, names, until)
        for where in dict.fromkeys(path.rpartition("/")[0] for path in self.changed if self._is_kernels(path)):
            missing = self._undefined(missing, where, until)
        return self._undefined(missing, "", until)

    def _undefined(self, names: Sequence[str], directory: str, until: float) -> list[str]:
        """Those of `names` that no file below a directory defines; of the whole tree ("") only what a kernel for the target is made of."""
        undefined = list(names)
        for searched in names:
            # a system call is defined by its bare name, as an argument of a macro
            words = "|".join(dict.fromkeys((searched, canonical(searched).removeprefix("compat_").removeprefix("sys_"))))
            seconds = until - time.monotonic()
            if seconds <= 0:
                break
            # the head of a function begins in the first column, or the line before does
            expression = rf"^([A-Za-z_].*[^A-Za-z0-9_]|[[:space:]]+)?({words})[[:space:]]*([(,)<]|$)"
            lines, _ = grep(
                self.source,
                expression,
                directory,
                options=("--files-with-matches",),
                globs=() if directory else ("*.c", "*.h", "*.S"),
                without=(*(() if directory else _LEFT_OUT), *self.desk.never_paths),
                limit_bytes=_GREP_BYTES,
                seconds=seconds,
            )
            undefined = [name for name in undefined if name != searched or self._not_in(lines, [name], until)]
        return undefined

    def _not_in(self, paths: Sequence[str], names: Sequence[str], until: float) -> list[str]:
        """Those of `names` that no file of `paths` defines, as far as there is time to look."""
        left = list(names)
        quiet = msgspec.structs.replace(self.source, read_blobs={})  # a file that says nothing is no ground of the verdict
        for path in paths:
            if not left or time.monotonic() > until:
                break
            file = quiet.file(path)
            if file is None or file.data is None or not any(_bare(name) in file.data for name in left):
                continue
            there = functions(file.data, path)
            for name in list(left):
                if canonical(name) not in there:
                    continue
                if path.endswith(".h") and there[canonical(name)]:
                    self._inline[name] = path
                    continue
                left.remove(name)
                self._where[name] = path
                with self.source.lock:
                    self.source.read_blobs[path] = file.oid
        return left

    def _is_kernels(self, path: str) -> bool:
        """Whether the functions of a file are the kernel's, and may be named."""
        return not path.startswith(NO_KERNEL_CODE) and not self._is_held_back(path)

    def _is_targets(self, name: str) -> bool:
        """Whether a name is none of the entry points that system calls have on other architectures than the target."""
        entry = _ENTRY.match(name)
        return entry is None or entry.group(1) in ("do", "se", *_ENTRIES.get(self.target, ())) or canonical(name) == name

    def _functions_of_change(self) -> list[str]:
        in_change: dict[str, None] = {}
        for path in self.changed:
            blob = self.source.file(path)
            in_change.update(dict.fromkeys(sorted(functions(blob.data or b"", path)) if blob else ()))
        return list(in_change)


def functions(data: bytes, path: str) -> dict[str, bool]:
    """The functions that a source file defines, each with whether it is inline; a system call as `sys_NAME`."""
    if path.endswith(".rs"):
        try:
            code = rust_tokens.code(data)
        except Unreadable:
            return {}
        return {match.group(1).decode("ascii"): False for match in _RUST_FUNCTION.finditer(code)}
    return {
        function.name: b"inline" in data[function.span[0] : function.body[0]]
        for function in definitions(data, path).definitions
        if function.kind is DefinitionKind.FUNCTION
    }


def _citations(reasoning: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The places that a text cites, as path and lines: `mm/slub.c:123`, `Makefile:7-9`, whatever stands around them."""
    for citation in _PLACE.finditer(_URL.sub(" ", reasoning)):
        path = citation.group(1).lstrip(",+=@#~-")
        if _SOURCE.search(path) or ("/" in path and re.search(r"[A-Za-z]", path)):
            yield path, tuple(int(number) for number in re.findall(r"[0-9]+", citation.group(2)))


def _is_name(text: str) -> bool:
    return len(text) <= _LONGEST_NAME and _SYMBOL.match(text) is not None


def _bare(name: str) -> bytes:
    return canonical(name).removeprefix("compat_").removeprefix("sys_").encode("ascii")


def facts(evidence: Evidence) -> str:
    """What is proved of a change, as lines for a prompt."""
    lines = [f"- functional: {evidence.functional}, reachable: {evidence.reachable}"]
    lines += [f"- {finding.fact.place.path}: {finding.fact.claim}" for finding in evidence.findings[:_MOST_FACTS]]
    if len(evidence.findings) > _MOST_FACTS:
        lines.append(f"- and {len(evidence.findings) - _MOST_FACTS} more files")
    return "\n".join(lines)
