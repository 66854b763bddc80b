"""History tools for a model: which commits changed a path or a function, what a commit did, and which commit a line is from.

They read objects alone, and of these only the history that the change stands on: a commit is named by its id, never by a ref, and one that
is no ancestor of the desk's `history` is refused, be it on another branch of this repository. Authors are not shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec

from hook import lazy_re
from hook.agent.context.shown_files import Sheets, is_function
from hook.agent.desk import Desk
from hook.agent.tools.arguments import BadCall
from hook.agent.tools.tree_tools import Tool, existing
from hook.change.change import Commit, UnknownRevision, find_commit
from hook.source.grep import held_back
from hook.source.tree import Source

COMMITS = 20  # of a log
BLAMED_LINES = 60
_MESSAGE_LINES = 60
_DIFF_LINES = 400
_LINE_CHARACTERS = 200
_FILES = 100  # of a commit that are shown
_BYTES = 256 << 10  # of git's answer that are read
_COMMIT = lazy_re.compile(r"[0-9a-f]{7,64}\Z")
_BLAMED = lazy_re.compile(r"([0-9a-f]{40,64}) \d+ (\d+)(?: \d+)?\Z")
_WORD = lazy_re.compile(r"[\w./+-]+")
_AS_IT_IS = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=none")
_ENDED = {"bytes": "the answer is too long", "seconds": "git did not end in time"}


class LogArguments(msgspec.Struct, frozen=True):
    path: Annotated[str, "file or directory; empty for all"] = ""
    function: Annotated[str, "follow this function of it alone"] = ""


class ShowArguments(msgspec.Struct, frozen=True):
    id: Annotated[str, "of the commit, 7 digits or more"]
    path: Annotated[str, "file or directory; empty for all"] = ""


class BlameArguments(msgspec.Struct, frozen=True):
    file: Annotated[str, "path of the file"]
    first_line: Annotated[int, "as the file was before the change"]
    line_count: Annotated[int, f"at most {BLAMED_LINES}"] = 10


def log(desk: Desk, arguments: LogArguments) -> dict[str, Any]:
    """The newest commits that changed a path or a function."""
    before = _before(desk)
    path = existing(before, arguments.path)
    words = ["log", f"--max-count={COMMITS}", "--format=%h %as %s", "--encoding=UTF-8", "--no-mailmap", "--no-notes", "--no-color"]
    if arguments.function.strip():
        first, last = _extent(before, path, arguments.function.strip().removesuffix("()"))
        words += [f"-L{first},{last}:{path}", "--no-patch", desk.history, "--"]
    else:
        words += ["--end-of-options", desk.history, "--", *([f":(top,literal){path}"] if path else [])]
    lines, ended = _git(desk, *words)
    if desk.last_commit and not path:
        patches, _ = _git(desk, "rev-list", "--reverse", f"--max-count={COMMITS}", desk.last_commit, f"^{desk.history}", "--")
        lines = [*(f"{oid[:12]} patch {number} of this series" for number, oid in enumerate(patches, 1) if len(patches) > 1), *lines]
    return _answer(desk, lines, ended, f"no commit of this history changed {path or 'anything'}")


def show(desk: Desk, arguments: ShowArguments) -> dict[str, Any]:
    """The message of a commit and what it changed, without the files that are kept back."""
    commit, is_before = _commit(desk, arguments.id.strip())
    below = arguments.path.strip().strip("/")
    records, ended = _git(desk, "diff-tree", "-r", "--root", "--no-commit-id", "--name-only", "--no-renames", *_AS_IT_IS, commit.oid)
    # git quotes a path with odd bytes: such a one is not shown
    paths = [path for path in records if not path.startswith('"') and not held_back([path], desk.never_paths)]
    wanted = [path for path in paths if not below or path == below or path.startswith(f"{below}/")]
    head = [f"commit {commit.oid}"]
    if is_before:
        message = commit.message.decode("utf-8", "replace").strip("\n").split("\n")
        head += [f"    {line}" for line in message[:_MESSAGE_LINES]]
    head += ["", f"{len(paths)} files: {', '.join(paths[:_FILES])}"]
    text: list[str] = []
    if wanted:
        specs = [f":(top,literal){path}" for path in wanted[:_FILES]]
        shape = ("-p", "-r", "--root", "--no-commit-id", "--no-renames", "--no-color", *_AS_IT_IS)
        text, ended = _git(desk, "diff-tree", *shape, commit.oid, "--", *specs)
    elif below:
        head.append(f"it changed nothing in {below[:_LINE_CHARACTERS]}")
    if len(commit.parents) > 1:
        head.append("a merge: it changed what its parents did")
    cut = len(text) > _DIFF_LINES or len(wanted) > _FILES
    return _answer(desk, [*head, *text[:_DIFF_LINES]], ended or ("lines" if cut else ""), "")


def blame(desk: Desk, arguments: BlameArguments) -> dict[str, Any]:
    """The commit that each line is from, with its subject, as the file was before the change."""
    before = _before(desk)
    path = existing(before, arguments.file)
    sheet = Sheets(before).get(path)
    if sheet is None:
        raise BadCall(f"{path or 'the top of the tree'} is no file that can be read")
    count = sheet.data.count(b"\n") + (not sheet.data.endswith(b"\n"))
    first, last = arguments.first_line, min(arguments.first_line + arguments.line_count - 1, count)
    if first < 1 or last < first:
        raise BadCall(f"{path} has {count} lines before the change; FirstLine and LineCount count from 1")
    last = min(last, first + BLAMED_LINES - 1)
    blamed, ended = _git(
        desk, "blame", "--porcelain", "--no-textconv", "--no-ignore-revs-file", f"-L{first},{last}", desk.history, "--", path
    )
    if ended:
        raise BadCall(f"{_ENDED[ended]}: `log` of the function asks for less")
    lines, subjects = [], dict[str, str]()
    oid = number = ""
    for line in blamed:
        if line.startswith("\t"):
            lines.append(f"{oid[:12]} {number}:\t{sheet.line(int(number))}")
        elif match := _BLAMED.match(line):
            oid, number = match[1], match[2]
        elif line.startswith("summary "):
            subjects[oid] = line.removeprefix("summary ")
    return _answer(desk, [*lines, "", *(f"{oid[:12]} {subject}" for oid, subject in subjects.items())], "", "")


TOOLS = (
    Tool("log", "Lists the newest commits before this change to a path or a function.", LogArguments, log),
    Tool("show", "Shows an earlier commit.", ShowArguments, show),
    Tool("blame", "Tells from which commit lines of a file are.", BlameArguments, blame),
)


def _before(desk: Desk) -> Desk:
    """The desk of the tree that the history ends with. Raises BadCall where there is none."""
    if not desk.history:
        raise BadCall("no history is shown here")
    desk.source.names("")  # an answer that history is part of holds for this tree alone
    return msgspec.structs.replace(desk, source=Source(desk.source.objects, desk.history))


def _commit(desk: Desk, name: str) -> tuple[Commit, bool]:
    """A commit by its id, and whether it is before the change, not a patch of it. Raises BadCall for one outside of this history."""
    _before(desk)
    if not _COMMIT.match(name):
        raise BadCall("Id is the id of a commit, at least 7 of its digits; `log` lists some")
    try:
        commit = find_commit(desk.source.objects, name)
    except UnknownRevision:
        raise BadCall(f"there is no commit {name}") from None
    repo = desk.source.repo
    for tip in dict.fromkeys((desk.history, desk.last_commit)):
        if tip and repo.outcome("merge-base", "--is-ancestor", commit.oid, tip, ok=(0, 1)).returncode == 0:
            return commit, tip == desk.history
    raise BadCall(f"commit {name} is not in the history that this change stands on")


def _extent(before: Desk, path: str, name: str) -> tuple[int, int]:
    """The lines of a function of a file. Raises BadCall."""
    sheet = Sheets(before).get(path)
    definitions = [definition for definition in sheet.named(name) if is_function(definition)] if sheet is not None else []
    if not definitions:
        raise BadCall(f"before the change {path or 'the top of the tree'} defined no function {name[:60]!r}")
    return definitions[0].first_line, definitions[0].last_line


def _git(desk: Desk, *words: str) -> tuple[list[str], str]:
    """The lines that git prints, and which limit has ended it. Raises CannotJudge."""
    settings = ("log.follow=false", "blame.markUnblamableLines=false", "blame.markIgnoredLines=false")
    out, ended = desk.source.repo.run_cut(*words, limit_bytes=_BYTES, seconds=desk.seconds_left, settings=settings)
    lines = out.decode("utf-8", "replace").split("\n")
    return lines[:-1], ended  # nothing, or half a line


def _answer(desk: Desk, lines: Sequence[str], ended: str, none: str) -> dict[str, Any]:
    if not lines:
        raise BadCall(none + (f"; {_ENDED.get(ended, ended)}" if ended else ""))
    clean = desk.redactor.text("\n".join(_shown(desk, lines))).split("\n")
    kept = [line[:_LINE_CHARACTERS] for line in clean]
    if ended:
        kept.append(f"[cut: {_ENDED.get(ended, 'the rest is left out')}; name a Path]")
    return {"Output": "\n".join(kept).rstrip("\n") + "\n"}


def _shown(desk: Desk, lines: Sequence[str]) -> Iterator[str]:
    """The lines without the names of files that are kept back."""

    def word(match: re.Match[str]) -> str:
        return "[not shown]" if held_back([match.group().rstrip(".")], desk.never_paths) else match.group()

    for line in lines:
        yield _WORD.sub(word, line) if desk.never_paths else line
