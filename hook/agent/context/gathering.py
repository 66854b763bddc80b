"""Gathering: the sections of a context pack, most useful first, from the change, the evidence and the word index.

The change itself with the functions it is in; what builds it; who calls it; what it calls and uses; the options; who calls the callers.
Look-ups are counted; where they were not enough the pack says so, and leaves the rest to the tools.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.agent.context.neighbours import SHOWN_CALLS, Neighbours
from hook.agent.context.pack import Section
from hook.agent.context.shown_files import Sheet, Sheets, entry_lines, extent, is_function
from hook.agent.context.side_by_side import Merged
from hook.agent.desk import Desk
from hook.c.definitions import Definition
from hook.c.keywords import NOT_CALLED_IN_PACK
from hook.change.patch import FileChange
from hook.evidence.finding import Evidence, Finding
from hook.evidence.focus.changed_functions import Changed
from hook.failure import CannotJudge
from hook.kernel.kconfig import expressions
from hook.source.grep import held_back
from hook.source.lookup import FunctionUseKind, NotAName
from hook.source.words import is_binary
from hook.verdict import Verdict

_MOST_LINES = 200_000  # of both sides of a file, whose change is shown
_FUNCTION_LINES = 120  # of a changed function that is shown whole
_DEFINITION_LINES = 40
_SMALL_LINES = 12  # of a helper that is shown with what uses it
_CALLER_LINES = 4  # before and after a call
CHANGED = 6  # functions whose callers are looked up
_NAMES = 24  # that changed lines use, and are looked up
_OPTIONS = 6
_CALL = lazy_re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(", re.ASCII)
_CONSTANT = lazy_re.compile(r"\b([A-Z][A-Z0-9_]{3,})\b(?!\s*\()", re.ASCII)
_TYPE = lazy_re.compile(r"\b(?:struct|union|enum)\s+([a-z_]\w*)", re.ASCII)
_COMMENT = lazy_re.compile(r"/\*.*?\*/|//[^\n]*|^\s*\*\s[^\n]*", re.DOTALL | re.MULTILINE)


class Subject(msgspec.Struct, frozen=True):
    """What a pack is about: the change, and what is proved of it."""

    files: tuple[FileChange, ...]
    evidence: Evidence
    verdict: Verdict


def sections(subject: Subject, desk: Desk, most_lookups: int, most_bytes: int) -> list[Section]:
    """The sections of the pack for a change; the number of names to look up is bounded.

    Files of the change that do not fit into the bytes left are only named.

    A tree that cannot be read costs the sections from there on, not the run: the model has tools.
    """
    gathered: list[Section] = []
    try:
        for section in _Gatherer(subject, desk, most_lookups).all(most_bytes):
            gathered.append(section)  # one by one: what there is already stays
    except (CannotJudge, NotAName, RecursionError) as wrong:
        gathered.append(Section("Not all was looked up", f"{type(wrong).__name__}: {wrong}"[:200], is_gap=True))
    return gathered


class _Gatherer:
    """One pack in the making."""

    def __init__(self, subject: Subject, desk: Desk, most_lookups: int) -> None:
        self._subject, self._desk = subject, desk
        self._sheets = Sheets(desk)
        self._source = desk.source
        self._kernel = desk.kernel()
        self._code: list[tuple[FileChange, Finding]] = []
        self._changed_lines: list[str] = []
        self._options: dict[str, None] = {}
        self._callers: dict[str, None] = {}
        self._told: set[str] = set()  # names whose definition is shown
        self._near = Neighbours(desk, self._sheets, self._kernel, subject.evidence.focus, most_lookups)

    def all(self, most_bytes: int) -> Iterator[Section]:
        """Every section, in the order of their use."""
        pairs = list(zip(self._subject.files, self._subject.evidence.findings, strict=True))
        open_ones = [pair for pair in pairs if not pair[1].proof]
        self._code = [pair for pair in open_ones if pair[0].path.endswith((".c", ".h", ".S", ".rs", ".inc"))]
        shown: list[FileChange] = []
        for file, _ in self._ordered(open_ones):
            if most_bytes <= 0:
                break
            shown.append(file)
            pieces = self._change(file)
            for section in pieces:
                most_bytes -= len(section.short or section.text)
                yield section
                if most_bytes <= 0 and next(pieces, None) is not None:
                    path = named(file.path)
                    yield Section(
                        f"{path}: what else changed in it", f"not shown, for lack of room: diff File={path} shows it", is_gap=True
                    )
                    break
        yield from self._others(pairs, shown)
        yield from self._build()
        calls = list(self._calls())
        used = _COMMENT.sub(" ", "\n".join(self._changed_lines))
        yield from calls
        yield from self._definitions(_CALL.findall(used), "called by what changed")
        yield from self._constants(used)
        yield from self._kconfig()
        around = "\n".join(self._bodies())
        yield from self._definitions(_CALL.findall(around), "called nearby")
        yield from self._definitions(_TYPE.findall(used), "a type of what changed")
        yield from self._next_callers()
        if self._near.is_cut:
            yield Section(
                "Not looked up: too many names, or no word index", "more callers and definitions: the tools find them", is_gap=True
            )

    def _ordered(self, pairs: Sequence[tuple[FileChange, Finding]]) -> list[tuple[FileChange, Finding]]:
        """Code before all else: what no compiler sees is seldom what a verdict turns on."""
        return sorted(pairs, key=lambda pair: pair not in self._code)

    # the change

    def _change(self, file: FileChange) -> Iterator[Section]:
        path = named(file.path)
        if held_back([file.path, file.old_path], self._desk.never_paths):
            return
        kind = {"A": "new file", "D": "removed", "R": f"renamed from {named(file.old_path)}"}.get(file.status, "changed")
        hint = f"diff File={path}"
        old, new = (self._side(oid) for oid in (file.old_blob, file.new_blob))
        if old is None or new is None or is_binary(old) or is_binary(new) or not file.is_text_file or not file.hunks:
            yield Section(
                f"{path} {kind}", "no text is shown of it: binary, too large, a link, a mode, or not in this repository", is_gap=True
            )
            return
        if (lines := old.count(b"\n") + new.count(b"\n")) > _MOST_LINES:
            yield Section(
                f"{path} {kind}", f"both sides have {lines} lines, too many to show what changed: read-file has the new one", is_gap=True
            )
            return
        merged = Merged(file, old, new, self._desk.redactor)
        self._changed_lines += merged.changed
        for piece in merged.pieces(_FUNCTION_LINES):
            name = f" {piece.name}()" if piece.name else ""
            self._told.add(piece.name)
            yield Section(f"{path}:{piece.first}-{piece.last}{name} {kind}: + new, - gone", piece.text, piece.short, hint)

    def _side(self, oid: str) -> bytes | None:
        if not oid:
            return b""
        blob = self._source.objects.read(oid)
        return blob.data if blob is not None else None

    def _others(self, pairs: Iterable[tuple[FileChange, Finding]], shown: Sequence[FileChange]) -> Iterator[Section]:
        """The files of the change whose text is not shown."""
        lines = []
        for file, finding in pairs:
            if file not in shown and not held_back([file.path, file.old_path], self._desk.never_paths):
                proved = f": {finding.proof.claim}" if finding.proof else ""
                lines.append(f"{file.status} {named(file.path)}{proved}"[:200])
        if lines:
            more = [f"and {len(lines) - 12} more: diff without File lists them"] if len(lines) > 12 else []
            yield Section("Other files of the change, not shown", "\n".join([*lines[:12], *more]), "\n".join([*lines[:3], *more]))

    # what builds it

    def _build(self) -> Iterator[Section]:
        lines: dict[str, None] = {}
        short: dict[str, None] = {}
        for file, _ in self._code[:CHANGED]:
            sheet = self._sheets.get(file.path)
            if sheet is None:
                continue
            for makefile in self._kbuild(file.path):
                short[makefile] = None
                lines[makefile] = None
            numbers = [number for hunk in file.hunks for number, _ in hunk.added] or [hunk.new_start for hunk in file.hunks]
            for number in numbers[:200]:
                for conditional in self._conditionals(sheet, number):
                    lines[conditional] = None
        for name, reason in self._subject.verdict.config_reasons.items():
            if reason.path and held_back([reason.path], self._desk.never_paths):
                continue
            place = f" ({named(reason.path)}:{reason.line})" if reason.path else ""
            line = f"{name}: to {reason.purpose}: {reason.why}{place}"[:240]
            lines[line] = short[line] = None
            self._options[name] = None
        if lines:
            yield Section("What builds it: makefiles, conditionals, options", "\n".join(lines), "\n".join(list(short)[:8]))

    def _kbuild(self, path: str) -> Iterator[str]:
        """The lines of makefiles that ask for an option to build a file."""
        try:
            built = self._kernel.built_if(path)
        except RecursionError:
            return
        for makefile, line, condition in built.places:
            sheet = self._sheets.get(makefile)
            text = " ".join(sheet.line(line).split()) if sheet is not None else ""
            if "$(" in text:
                self._options.update(dict.fromkeys(expressions.names(condition)))
                yield f"{makefile}:{line}\t{text}"

    def _conditionals(self, sheet: Sheet, number: int) -> Iterator[str]:
        for conditional in sheet.conditionals(number):
            if names := list(expressions.names(conditional.condition)):
                self._options.update(dict.fromkeys(names))
                yield f"{sheet.path}:{conditional.line}\t{sheet.line(conditional.line)}"

    # who calls it

    def _changed_functions(self) -> list[tuple[str, Changed]]:
        """The functions that the change is about, each with its file: those whose code changed, or few that use a type that did."""
        pairs = [
            (file.path, function)
            for file, finding in self._code
            if finding.functions and not file.path.endswith(".rs")
            for function in finding.functions.changed
            if not function.gone
        ]
        direct = [pair for pair in pairs if not pair[1].by_data]
        return direct or (pairs if len(pairs) <= CHANGED else [])

    def _calls(self) -> Iterator[Section]:
        for path, changed in self._changed_functions()[:CHANGED]:
            uses = self._near.uses(changed.name, path)
            if uses is None:
                continue
            name = changed.name
            if not uses:
                yield Section(f"Callers of {name}(): none found", "no C code calls it by its name or takes its address")
                continue
            more = f", {SHOWN_CALLS} of {len(uses)}" if len(uses) > SHOWN_CALLS else ""
            text: list[str] = []
            short: list[str] = []
            for use in uses[:SHOWN_CALLS]:
                sheet = self._sheets.get(use.path)
                if sheet is None:
                    continue
                how = f"{use.user}() calls it" if use.kind is FunctionUseKind.CALL else f"{use.user} uses its address ({use.kind})"
                head = f"{use.path}:{use.line} {how}"
                outer = [*self._conditionals(sheet, use.line)]
                if use.path != path:
                    outer += self._kbuild(use.path)
                text += [head, *outer, *sheet.lines(self._around(sheet, use.line)), ""]
                short += [head, f"{use.line}\t{sheet.line(use.line)}"]
                if use.user and use.user != name:
                    self._callers[use.user] = None
            if text:
                yield Section(
                    f"Callers of {name}(){more}", "\n".join(text).rstrip("\n"), "\n".join(short), f"callers Name={name}", bool(more)
                )

    def _around(self, sheet: Sheet, line: int) -> list[int]:
        """The lines around a call, with the head of the function it is in."""
        function = sheet.function_at(line)
        first, last = line - _CALLER_LINES, line + _CALLER_LINES
        if function is None:
            return list(range(max(1, first), last + 1))
        head = range(function.first_line, min(function.line + 1, first))
        return [*head, *range(max(function.first_line, first), min(function.last_line, last) + 1)]

    def _next_callers(self) -> Iterator[Section]:
        for name in list(self._callers)[:3]:
            uses = self._near.uses(name, "")
            if not uses:
                continue
            lines = []
            for use in uses[:4]:
                sheet = self._sheets.get(use.path)
                if sheet is not None:
                    lines.append(f"{use.path}:{use.line}\t{sheet.line(use.line)}\t[in {use.user}]")
            if lines:
                more = f", 4 of {len(uses)}" if len(uses) > 4 else ""
                yield Section(f"Users of {name}(){more}", "\n".join(lines), lines[0] if len(lines) > 1 else "", f"callers Name={name}")

    # what it uses

    def _bodies(self) -> Iterator[str]:
        """The code of the changed functions."""
        for path, changed in self._changed_functions()[:CHANGED]:
            sheet = self._sheets.get(path)
            for definition in sheet.named(changed.name) if sheet is not None else ():
                if is_function(definition):
                    assert sheet is not None
                    yield sheet.scan.code[definition.body[0] : definition.body[1]].decode("utf-8", "replace")

    def _definitions(self, names: Sequence[str], why: str) -> Iterator[Section]:
        known: list[str] = []
        for name in list(dict.fromkeys(names))[:_NAMES]:
            if name in self._told or name in NOT_CALLED_IN_PACK:
                continue
            self._told.add(name)
            defined = self._near.defined(name, [file.path for file, _ in self._code])
            if defined is None:
                known.append(name)
            for sheet, definition in defined or ():
                yield self._definition(sheet, definition, why)
        if known:
            yield Section(f"{why}, and used all over the kernel", ", ".join(known))

    def _definition(self, sheet: Sheet, entry: Definition, why: str) -> Section:
        conditionals = [*self._conditionals(sheet, entry.line)]
        lines = sheet.lines(extent(entry, _DEFINITION_LINES))
        if is_function(entry) and entry.last_line - entry.first_line < _SMALL_LINES:
            for inner in self._helpers(sheet, entry):
                lines += ["...", *sheet.lines(extent(inner, _SMALL_LINES))]
        more = "" if entry.last_line - entry.first_line < _DEFINITION_LINES else f", {_DEFINITION_LINES} lines of it"
        title = f"{sheet.path}:{entry.first_line}-{entry.last_line} {entry.kind} {entry.name}, {why}{more}"
        return Section(
            title, "\n".join([*conditionals, *lines]), f"{entry.line}\t{sheet.line(entry.line)}", f"definition Name={entry.name}"
        )

    def _helpers(self, sheet: Sheet, definition: Definition) -> Iterator[Definition]:
        """The small functions of the same file that a small one calls."""
        for name in dict.fromkeys(_CALL.findall(sheet.scan.code[definition.body[0] : definition.body[1]].decode("utf-8", "replace"))):
            for inner in sheet.named(name):
                if name not in self._told and is_function(inner) and inner.last_line - inner.first_line < _SMALL_LINES:
                    self._told.add(name)
                    yield inner

    def _constants(self, used: str) -> Iterator[Section]:
        for name in list(dict.fromkeys(_CONSTANT.findall(used)))[:_NAMES]:
            if name in self._told or name.startswith("CONFIG_"):
                continue
            self._told.add(name)
            defined = self._near.defined(name, [file.path for file, _ in self._code])
            if not defined:
                continue
            lines = [f"{sheet.path}:{definition.line}\t{sheet.line(definition.line)}" for sheet, definition in defined]
            setters = self._near.setters(name)
            text = [*lines, *(["set at:", *setters] if setters else [])]
            yield Section(f"{name}: what it is, and where it is set", "\n".join(text), "\n".join(lines), f"references Name={name}")

    # the options

    def _kconfig(self) -> Iterator[Section]:
        known = self._kernel
        first = [*self._subject.verdict.enable_configs, *self._subject.verdict.config_reasons, *self._options]
        for name in list(dict.fromkeys(first))[:_OPTIONS]:
            option = known.options.get(name)
            if option is None or not option.places:
                continue
            path, line = option.places[0]
            sheet = self._sheets.get(path)
            if sheet is None:
                continue
            value = known.base.get(name, "n") or "n"
            lines = sheet.lines(entry_lines(sheet, line))
            yield Section(
                f"{path}:{line} config {name}, in the base configuration: {value[:40]}", "\n".join(lines), "", f"kconfig Option={name}"
            )


def named(path: str) -> str:
    """A path as it is shown: quoted where it holds what could be mistaken for something else."""
    return path if re.fullmatch(r"[\w./+,@~-]{1,200}", path, re.ASCII) else ascii(path[:200])
