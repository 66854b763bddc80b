"""The tools: what a model may do, which is to read the tree under review. Each is a plain function of a Desk and a typed record.

Names, arguments, limits and answers are those of the flow that fuzzing farms run, so that their prompts work here.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from hook import lazy_re, redaction
from hook.agent.context.excerpt import Excerpts
from hook.agent.desk import Desk
from hook.agent.tools.arguments import BadCall, parse, schema
from hook.source.grep import RefusedExpression, grep, held_back
from hook.source.tree import Entry, TreeEntryKind
from hook.source.treepath import NotATreePath, tree_path

GREP_LINES = 500
GREP_LINE_CHARACTERS = 200
READ_LINES = 100
READ_LINE_CHARACTERS = 500
INDEX_NAMES = 2000
_REDACTED_CHARACTERS = 4096
_NUMBER = lazy_re.compile(r"([:=-])([0-9]{1,9})\1")  # of a line, after its path, as git grep prints it


class Tool(msgspec.Struct, frozen=True):
    """Something that a model may call."""

    name: str
    doc: str
    record: type
    run: Callable[[Desk, Any], dict[str, Any]]

    def declaration(self) -> dict[str, Any]:
        """As chat-completion endpoints want it."""
        return {"type": "function", "function": {"name": self.name, "description": self.doc, "parameters": schema(self.record)}}


class GrepperArguments(msgspec.Struct, frozen=True):
    expression: Annotated[str, "extended regular expression (POSIX ERE), matched against single lines"]
    path_prefix: Annotated[str, "file or directory to search, from the top of the tree; empty for the whole tree"] = ""


class ReadFileArguments(msgspec.Struct, frozen=True):
    file: Annotated[str, "path of the file, from the top of the tree"]
    first_line: Annotated[int, "first line to read, counted from 1"] = 1
    line_count: Annotated[int, f"how many lines to read, at most {READ_LINES}"] = READ_LINES


class DirectoryArguments(msgspec.Struct, frozen=True):
    dir: Annotated[str, "path of the directory, from the top of the tree; empty for the top"] = ""


def grepper(desk: Desk, arguments: GrepperArguments) -> dict[str, Any]:
    """The matching lines with the line before and after, each below the head of the function it is in, as `git grep` prints them."""
    prefix = existing(desk, arguments.path_prefix)
    try:
        lines, ended = grep(
            desk.source,
            arguments.expression,
            prefix,
            options=("--show-function", "-C1"),
            without=desk.never_paths,
            limit_bytes=GREP_LINES * GREP_LINE_CHARACTERS * 8,
            seconds=desk.seconds_left,
        )
    except RefusedExpression as refused:
        raise BadCall(str(refused)) from None
    if not lines:
        if ended == "seconds":
            raise BadCall(f"the search did not end within {desk.seconds:g} s: give a simpler expression or a narrower PathPrefix")
        raise BadCall(f"no line {f'below {prefix}' if prefix else 'of the tree'} matches {arguments.expression!r}")
    # first what is secret, then what is too long: half a secret is not known as one
    shown = [line[:_REDACTED_CHARACTERS] for line in _without_key_lines(desk, lines[:GREP_LINES])]
    clean = desk.redactor.text(_text("\n".join(shown))).split("\n")
    text = "\n".join(line[:GREP_LINE_CHARACTERS] for line in clean) + "\n"
    if ended or len(lines) > GREP_LINES:
        why = f"after {desk.seconds:g} s" if ended == "seconds" else f"at {len(shown)} lines"
        text += f"[cut {why}: give a narrower expression or PathPrefix]\n"
    return {"Output": text}


def _without_key_lines(desk: Desk, lines: Sequence[str]) -> list[str]:
    """The lines of a search without those of private keys, which the lines alone do not tell: the files do."""
    of_keys: dict[str, frozenset[int] | None] = {}
    clean = []
    for line in lines:
        for digits in _NUMBER.finditer(line):
            path, number, text = line[: digits.start()], int(digits.group(2)), line[digits.end() :]
            if not redaction.may_be_of_key(text[:_REDACTED_CHARACTERS]):
                continue
            if path not in of_keys:
                of_keys[path] = _key_lines(desk, path)
            if number in (of_keys[path] or ()):
                line = line[: digits.end()] + redaction.CUT
                break
        clean.append(line)
    return clean


def _key_lines(desk: Desk, path: str) -> frozenset[int] | None:
    quiet = msgspec.structs.replace(desk.source, read_blobs={})  # a file that says nothing is no ground of the verdict
    read = quiet.file(path)
    if read is None or read.data is None or b"PRIVATE KEY" not in read.data:
        return None
    return redaction.key_lines(read.data.decode("utf-8", "replace"))


def read_file(desk: Desk, arguments: ReadFileArguments) -> dict[str, Any]:
    """Lines of a file, each with its number."""
    if arguments.first_line < 1 or arguments.line_count < 1:
        raise BadCall("FirstLine and LineCount count from 1")
    path = existing(desk, arguments.file)
    entry = desk.source.entry(path)
    if entry is None or entry.kind is not TreeEntryKind.FILE:
        raise BadCall(f"{path or 'the top of the tree'} is a directory: codesearch-dir-index lists it")
    read = desk.source.file(path)
    if read is None or (read.data is None and not read.size):
        raise BadCall(f"the content of {path} is not in this repository (a partial clone)")
    if read.data is None:
        raise BadCall(f"{path} has {read.size} bytes, too many to read; grepper finds lines in it")
    if b"\0" in read.data[:8000]:
        raise BadCall(f"{path} is a binary file")
    lines, first = Excerpts(desk.redactor, read.data), arguments.first_line
    if first > lines.count:
        raise BadCall(f"{path} has {lines.count} lines, FirstLine {first} is past its end")
    clean = lines.run(first, min(arguments.line_count, READ_LINES), READ_LINE_CHARACTERS)
    numbered = [f"{number:4d}:\t{line}" for number, line in enumerate(clean, first)]
    text = "\n".join(numbered) + "\n"
    if arguments.line_count > READ_LINES and first - 1 + READ_LINES < lines.count:
        text += f"[cut at {READ_LINES} lines; the file has {lines.count}]\n"
    return {"Contents": text}


def directory_index(desk: Desk, arguments: DirectoryArguments) -> dict[str, Any]:
    """The names in a directory."""
    path = existing(desk, arguments.dir)
    entries = desk.source.names(path)
    if entries is None:
        raise BadCall(f"{path} is no directory: read-file reads it")
    prefix = f"{path}/" if path else ""
    entries = [entry for entry in entries if not _kept_back(desk, prefix + entry.name)]
    subdirs = [_text(entry.name) for entry in entries if entry.kind is TreeEntryKind.DIRECTORY]
    files = [
        _text(entry.name + ("" if entry.kind is TreeEntryKind.FILE else f" ({entry.kind})"))
        for entry in entries
        if entry.kind is not TreeEntryKind.DIRECTORY
    ]
    if len(subdirs) + len(files) > INDEX_NAMES:
        rest = len(subdirs) + len(files) - INDEX_NAMES
        subdirs, files = subdirs[:INDEX_NAMES], files[: max(0, INDEX_NAMES - len(subdirs))]
        return {"Subdirs": subdirs, "Files": files, "Cut": f"and {rest} more names"}
    return {"Subdirs": subdirs, "Files": files}


READING = (
    Tool("grepper", "Searches the kernel tree with git grep.", GrepperArguments, grepper),
    Tool(
        "codesearch-dir-index", "Lists the subdirectories and files of a directory of the kernel tree.", DirectoryArguments, directory_index
    ),
    Tool("read-file", "Reads lines of a file of the kernel tree.", ReadFileArguments, read_file),
)
BY_NAME: Mapping[str, Tool] = {tool.name: tool for tool in READING}


def call(tools: Mapping[str, Tool], desk: Desk, name: str, arguments: Any) -> dict[str, Any]:
    """Run a tool by its name. Raises BadCall with what the model should do instead."""
    tool = tools.get(name)
    if tool is None:
        near = difflib.get_close_matches(name, tools, 1, cutoff=0.4)
        raise BadCall(f"there is no tool {name[:60]!r}; " + (f"did you mean {near[0]}?" if near else f"there are {', '.join(tools)}"))
    return tool.run(desk, parse(tool.record, arguments))


def as_text(results: Mapping[str, Any]) -> str:
    """What the model reads of a tool's results: the text where there is only one, else JSON."""
    if len(results) == 1:
        only = next(iter(results.values()))
        if isinstance(only, str):
            return only
    return json.dumps(results, ensure_ascii=False)


def _kept_back(desk: Desk, path: str) -> bool:
    return bool(held_back([path], desk.never_paths))


def existing(desk: Desk, text: str) -> str:
    """The tree path that a model means. Raises BadCall in words for one that is none, leads through a link, or does not exist."""
    try:
        path = tree_path(text)
    except NotATreePath as wrong:
        raise BadCall(str(wrong)) from None
    if _kept_back(desk, path):
        raise BadCall(f"{path} is not shown to a model (agent.never_paths)")
    at = ""
    for part in path.split("/") if path else ():
        entries = desk.source.names(at) or []
        entry = next((candidate for candidate in entries if candidate.name == part), None)
        full_path = f"{at}/{part}" if at else part
        if entry is None:
            prefix = f"{at}/" if at else ""
            visible = [candidate for candidate in entries if not _kept_back(desk, prefix + candidate.name)]
            raise BadCall(f"there is no {full_path}{_nearest(at, part, visible)}")
        if entry.kind is TreeEntryKind.LINK:
            read = desk.source.objects.read(entry.oid)
            target = _text(os.fsdecode(read.data)) if read and read.data else "somewhere"
            raise BadCall(f"{full_path} is a symbolic link to {target[:200]}; links are not followed")
        if entry.kind is TreeEntryKind.SUBMODULE:
            raise BadCall(f"{full_path} is a submodule, whose content is not part of the tree")
        at = full_path
    return path


def _nearest(directory: str, name: str, entries: Sequence[Entry]) -> str:
    near = difflib.get_close_matches(name, [entry.name for entry in entries], 1)
    return f"; did you mean {directory}/{near[0]}?".replace(" /", " ") if near else ""


def _text(text: str) -> str:
    """Text that can be sent: bytes that are not UTF-8 are shown as such."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
