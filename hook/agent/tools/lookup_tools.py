"""Look-ups for a model: where a name is defined, used and called, what an option needs, what builds a file, and more of the change.

Beside the tools that farms have (hook.agent.tools), with the same rules for paths and what is kept back; each answer is a text of places,
`path:line`, and bounded.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import msgspec

from hook.agent.context.shown_files import Sheet, Sheets, entry_lines, extent
from hook.agent.context.side_by_side import Merged
from hook.agent.desk import Desk
from hook.agent.tools import history_tools, tree_tools
from hook.agent.tools.arguments import BadCall
from hook.agent.tools.tree_tools import Tool, existing
from hook.evidence.options.explanation import explain
from hook.kernel.kconfig import expressions
from hook.kernel.kernel import Kernel
from hook.source import lookup
from hook.source.grep import held_back
from hook.source.lookup import Bounds, FunctionUseKind, NotAName
from hook.source.tree import SafetyNet
from hook.source.words import is_binary

LINES = 200  # of an answer
CONDITION_CHARACTERS = 500
DEFINITION_LINES = 80  # of one definition
_DEFINITIONS = 6
_FILES = 20_000  # that are looked into
_DIFF_LINES = 400  # of a function, before only what is near a change is shown
_DIFF_CHARACTERS = 24_000
_WAY_SECONDS = 20.0  # after which a search for call paths ends all the same
_NAME = "the name alone, without parentheses"


class DefinitionArguments(msgspec.Struct, frozen=True):
    name: Annotated[str, f"function, macro, type, constant or variable; {_NAME}"]


class ReferencesArguments(msgspec.Struct, frozen=True):
    name: Annotated[str, f"any name; {_NAME}"]
    path_prefix: Annotated[str, "file or directory to look in, from the top of the tree; empty for the whole tree"] = ""


class CallersArguments(msgspec.Struct, frozen=True):
    name: Annotated[str, f"function or macro; {_NAME}"]


class CalleesArguments(msgspec.Struct, frozen=True):
    name: Annotated[str, f"function; {_NAME}"]


class KconfigArguments(msgspec.Struct, frozen=True):
    option: Annotated[str, "kernel option, with or without CONFIG_"]


class KbuildArguments(msgspec.Struct, frozen=True):
    file: Annotated[str, "path of a source file, from the top of the tree"]
    line: Annotated[int, "a line of it, to be told the conditionals around it; 0 for none"] = 0


class ReachArguments(msgspec.Struct, frozen=True):
    file: Annotated[str, "path of the source file that defines the function, from the top of the tree"]
    function: Annotated[str, _NAME]


class DiffArguments(msgspec.Struct, frozen=True):
    file: Annotated[str, "path of a changed file; empty for a list of all changed files"] = ""
    first_line: Annotated[int, "leave out what changed before this line of the new file"] = 1


def definition(desk: Desk, arguments: DefinitionArguments) -> dict[str, Any]:
    """The definitions of a name, whole where they are short."""
    name = arguments.name.strip()
    answer = _asked(lookup.find_definitions, desk, name)
    sheets = Sheets(desk)
    lines: list[str] = []
    shown = 0
    for place in answer.items:
        sheet = sheets.get(place.path)
        if sheet is None:
            continue
        if shown >= _DEFINITIONS:
            lines.append("[more definitions: references lists them]")
            break
        shown += 1
        defined = place.definition
        rest = (
            "" if defined.last_line - defined.first_line < DEFINITION_LINES else f", {DEFINITION_LINES} lines of it: read-file has the rest"
        )
        lines.append(f"{place.path}:{defined.first_line}-{defined.last_line} {defined.kind}{rest}")
        lines += [*_conditionals(sheet, defined.line), *sheet.lines(extent(defined, DEFINITION_LINES)), ""]
    return _answer(lines, answer.cut, f"nothing in this tree defines {name!r}")


def references(desk: Desk, arguments: ReferencesArguments) -> dict[str, Any]:
    """The lines that hold a name, each with the function it is in."""
    name = arguments.name.strip()
    prefix = existing(desk, arguments.path_prefix)
    answer = _asked(lookup.references, desk, name)
    below = [reference for reference in answer.items if not prefix or reference.path == prefix or reference.path.startswith(f"{prefix}/")]
    return _places(
        desk, [(reference.path, reference.line, reference.function) for reference in below], answer.cut, f"no line holds {name!r}"
    )


def callers(desk: Desk, arguments: CallersArguments) -> dict[str, Any]:
    """What calls a function or takes its address."""
    name = arguments.name.strip().removesuffix("()")
    answer = _asked(lookup.callers, desk, name)
    how = {
        FunctionUseKind.CALL: "",
        FunctionUseKind.ADDRESS: "address taken in ",
        FunctionUseKind.TABLE: "in the table ",
        FunctionUseKind.MACRO: "in the macro ",
    }
    return _places(desk, [(use.path, use.line, how[use.kind] + use.user) for use in answer.items], answer.cut, f"nothing uses {name!r}")


def callees(desk: Desk, arguments: CalleesArguments) -> dict[str, Any]:
    """What a function calls, each where it is called first."""
    name = arguments.name.strip().removesuffix("()")
    answer = _asked(lookup.callees, desk, name)
    calls = [(callee.path, callee.line, f"calls {callee.user}") for callee in answer.items]
    return _places(desk, calls, answer.cut, f"no function {name!r} calls anything")


def kconfig(desk: Desk, arguments: KconfigArguments) -> dict[str, Any]:
    """An option: its entry, what it needs, what provides it, and what to set to have it."""
    name = arguments.option.strip().removeprefix("CONFIG_")
    kernel = desk.kernel()
    option = kernel.options.get(name)
    sheets = Sheets(desk)
    places = [(str(path), int(str(line))) for path, line in (option.places if option else ())]
    lines: list[str] = []
    for path, line in places[:_DEFINITIONS]:
        if (sheet := sheets.get(path)) is not None:
            lines += [f"{path}:{line}", *sheet.lines(entry_lines(sheet, line)), ""]
    if lines:
        lines += [_without_hidden(desk, kernel, text) for text in explain(kernel, name)]
    return _answer(lines, "", f"no Kconfig file that is read for {desk.target.arch} has an option {name[:60]!r}")


def kbuild(desk: Desk, arguments: KbuildArguments) -> dict[str, Any]:
    """The makefile lines that build a file, the options they ask for, and the conditionals around a line of it."""
    path = existing(desk, arguments.file)
    sheets = Sheets(desk)
    sheet = sheets.get(path)
    if sheet is None:
        raise BadCall(f"{path or 'the top of the tree'} is no source file that can be read")
    kernel = desk.kernel()
    built = kernel.built_if(path)
    lines = [_without_hidden(desk, kernel, f"{path} is built if {expressions.shown(built.condition)}"[:CONDITION_CHARACTERS])]
    for makefile, line, _ in built.places:
        if (place := sheets.get(makefile)) is not None:
            lines.append(f"{makefile}:{line}\t{place.line(line)}")
    if arguments.line:
        around = _conditionals(sheet, arguments.line)
        lines += around or [f"{path}:{arguments.line} is under no conditional"]
    return _answer(lines, "", "")


def reach(desk: Desk, arguments: ReachArguments) -> dict[str, Any]:
    """How a program gets to a function, as far as that is proved: each hop, from user space down; and what stays open."""
    from hook.evidence.reach.calls import call_paths
    from hook.evidence.reach.devices import drivers, machine

    path = existing(desk, arguments.file)
    name = arguments.function.strip().removesuffix("()")
    kernel = desk.kernel()
    source = msgspec.structs.replace(desk.source, safety=SafetyNet(min(desk.seconds_left, _WAY_SECONDS), time.monotonic))
    search = call_paths.CallPathSearch(source, kernel, call_paths.SearchBounds(hops=24, files=1000, callers=24, steps=2000))
    parts = [("call paths", call_paths.reach([(path, name)], search))]
    if path.startswith(("drivers/", "sound/")):
        try:
            vm = machine.machine(desk.target.arch, desk.target.machines, desk.target.catalogue)
        except machine.NoSuchDevice as wrong:
            raise BadCall(f"fuzz.vm: {wrong}") from None
        parts.append(("devices", drivers.Drivers(source, kernel, vm).of_file(path)))
    lines: list[str] = []
    for part, part_reach in parts:
        lines.append(f"{part}: {part_reach.answer}" + (f" ({', '.join(part_reach.devices)})" if part_reach.devices else ""))
        for fact in part_reach.facts:
            hidden = held_back([fact.place.path], desk.never_paths)
            lines.append("[not shown]" if hidden else f"{fact.place.path}:{fact.place.line}\t{fact.claim}")
        lines += [f"open: {_without_hidden(desk, kernel, question)}" for question in part_reach.question.splitlines()]
        if part_reach.reasons:
            lines.append(f"needs: {', '.join(_without_hidden(desk, kernel, reason) for reason in part_reach.reasons)}")
    return _answer([desk.redactor.text(line) for line in lines], "", "")


def diff(desk: Desk, arguments: DiffArguments) -> dict[str, Any]:
    """What changed in a file, function by function; or the names of all changed files."""
    if desk.patch is None:
        raise BadCall("there is no change here to show")
    visible = [file for file in desk.patch.files if not held_back([file.path, file.old_path], desk.never_paths)]
    if not arguments.file.strip():
        return _answer([f"{file.status} {file.path}" for file in visible], "", "no file of the change may be shown")
    requested = arguments.file.strip().removeprefix("./")
    file = next((candidate for candidate in visible if requested in (candidate.path, candidate.old_path)), None)
    if file is None:
        raise BadCall(f"{requested[:200]} is not among the changed files that may be shown: diff without File lists them")
    sides = [desk.source.objects.read(oid) if oid else None for oid in (file.old_blob, file.new_blob)]
    unseen = any(side is not None and (side.data is None or is_binary(side.data)) for side in sides)
    if unseen or not file.is_text_file or not file.hunks:
        raise BadCall(f"{file.path} has no text to show: binary, too large, a link, a mode, or not in this repository")
    old, new = (side.data or b"" if side is not None else b"" for side in sides)
    lines: list[str] = []
    room = _DIFF_CHARACTERS
    for piece in Merged(file, old, new, desk.redactor).pieces(_DIFF_LINES):
        if piece.last < arguments.first_line:
            continue
        text = piece.text if len(piece.text) <= room else piece.short
        if lines and len(text) > room:
            lines.append(f"[cut: go on with FirstLine={piece.first}]")
            break
        lines += [f"{file.path}:{piece.first}-{piece.last} {piece.name}", *text[:room].split("\n"), ""]
        room -= len(text)
    return {"Output": "\n".join(lines) + "\n"} if lines else _answer([], "", f"nothing changed in {file.path} from that line on")


TOOLS = (
    Tool("definition", "Shows the definitions of a function, macro, type, constant or variable.", DefinitionArguments, definition),
    Tool("references", "Lists all lines that hold a name, each with the function it is in.", ReferencesArguments, references),
    Tool("callers", "Lists what calls a function or macro, or takes its address.", CallersArguments, callers),
    Tool("callees", "Lists what a function calls.", CalleesArguments, callees),
    Tool("kconfig", "Explains a kernel option: its entry, what it depends on, and what must be set to have it.", KconfigArguments, kconfig),
    Tool("kbuild", "Tells under which options a source file, and a line of it, is compiled.", KbuildArguments, kbuild),
    Tool("reach", "Tells how a program gets to a function, hop by hop, as far as that is proved.", ReachArguments, reach),
    Tool("diff", "Shows the change again, or what there was no room for: both sides of a changed file.", DiffArguments, diff),
    *history_tools.TOOLS,
)
BY_NAME = {**tree_tools.BY_NAME, **{tool.name: tool for tool in TOOLS}}


def _without_hidden(desk: Desk, kernel: Kernel, line: str) -> str:
    """A line about options without the names of those, and of files, that are kept back."""

    def shown(match: re.Match[str]) -> str:
        word = match.group()
        option = kernel.options.get(word)
        places = [str(path) for path, _ in option.places] if option is not None else [word]
        return "[not shown]" if places and all(held_back([path], desk.never_paths) for path in places) else word

    return re.sub(r"[\w./+-]+", shown, line) if desk.never_paths else line


def _asked(question: Callable[..., lookup.LookupResult[Any]], desk: Desk, name: str) -> lookup.LookupResult[Any]:
    try:
        return question(desk.source, name, Bounds(_FILES, desk.seconds_left, searches_all=True))
    except NotAName as wrong:
        raise BadCall(str(wrong)) from None


def _conditionals(sheet: Sheet, line: int) -> list[str]:
    return [f"{sheet.path}:{conditional.line}\t{sheet.line(conditional.line)}" for conditional in sheet.conditionals(line)]


def _places(desk: Desk, places: Iterable[tuple[str, int, str]], cut: str, none: str) -> dict[str, Any]:
    """Lines of the tree with a word about each, those of one file together."""
    sheets = Sheets(desk)
    lines: list[str] = []
    total = 0
    for path, number, about in places:
        sheet = sheets.get(path)
        if sheet is None:
            continue
        total += 1
        if total <= LINES:
            lines.append(f"{path}:{number}\t{sheet.line(number)}" + (f"\t[{about}]" if about else ""))
    if total > LINES:
        lines.append(f"[{LINES} of {total} lines: grepper with a PathPrefix finds the others]")
    return _answer(lines, cut, none)


def _answer(lines: Sequence[str], cut: str, none: str) -> dict[str, Any]:
    if not lines:
        raise BadCall(none + (f"; the search was cut short ({cut})" if cut else ""))
    kept = list(lines[: LINES * 4])
    if len(lines) > len(kept) or cut:
        kept.append(f"[cut: {cut or 'too long'}]")
    return {"Output": "\n".join(kept).rstrip("\n") + "\n"}
