"""`patch-triage report`: the run in which a commit was judged, as one HTML page."""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing
from collections.abc import Mapping, Sequence

from hook import lazy_re
from hook.commands import DONE, Command, WrongUse, repository
from hook.failure import CannotJudge
from hook.source import setting_layers
from hook.source.git import NotARepository, Repository
from hook.source.object_store import Objects

if typing.TYPE_CHECKING:
    from hook.change.change import Change
    from hook.redaction import Redactor
    from hook.report.citations import Lines
    from hook.trajectory import Span

_MOST_DIFF_BYTES = 2 << 20  # of a commit, shown
_MOST_SOURCE_BYTES = 4 << 20  # of a file that is cited
_OBJECT = lazy_re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


def register(command: Command) -> None:
    sub = command("report", report, "write an HTML page about a commit: verdict, sources, diff and each step")
    sub.add_argument("commit", nargs="?", default="", metavar="COMMIT", help="default: HEAD")
    sub.add_argument("--trajectory", metavar="FILE", help="a trajectory file instead of a commit")
    sub.add_argument("-o", "--html", default="", metavar="FILE", help="default: patch-triage-COMMIT.html; - is standard output")


def report(options: argparse.Namespace) -> int:
    """Write the page."""
    if options.commit and options.trajectory:
        raise WrongUse("report takes a COMMIT or --trajectory FILE")
    name, page = _of_file(options) if options.trajectory else _of_commit(options)
    data = page.encode("utf-8")
    if options.html == "-":
        sys.stdout.buffer.write(data)
        return DONE
    path = pathlib.Path(options.html or f"patch-triage-{name}.html")
    path.write_bytes(data)
    print(f"{path}: {len(data):,} bytes")
    return DONE


def _of_commit(options: argparse.Namespace) -> tuple[str, str]:
    """The page of a commit: with the steps of the newest run in which a model was asked about it, if there was one."""
    from hook import trajectory as spans
    from hook import triage
    from hook.change.change import NothingToJudge, find_commit, of_commit
    from hook.record import trajectories
    from hook.verdict import to_document

    repo = repository(options)
    with Objects(repo) as objects:
        commit = find_commit(objects, options.commit or "HEAD")
        settings = setting_layers.at(objects, commit.parent)
        try:
            change = of_commit(objects, commit)
        except NothingToJudge as nothing:
            raise CannotJudge(f"nothing to report: {nothing}") from None
        path = trajectories.latest(repo, change.patch.change_id)
        steps = spans.read(path) if path else []
        verdict = triage.standing_verdict(change, objects, settings)
        title = f"{commit.oid[:12]} {commit.subject}"
        return commit.oid[:12], _page(title, to_document(verdict), steps, objects, change)


def _of_file(options: argparse.Namespace) -> tuple[str, str]:
    """The page of a trajectory file; with its diff and sources where its commit is in the repository around."""
    try:
        repo: Repository | None = repository(options)
    except NotARepository:
        if options.repo:
            raise
        repo = None
    path = pathlib.Path(options.trajectory)
    return path.stem, of_trajectory(path, repo)


def of_trajectory(path: pathlib.Path, repo: Repository | None) -> str:
    """The page of a trajectory file; with its diff and sources where its commit is in `repo`.

    Raises CannotJudge where the file is no trajectory, OSError.
    """
    from hook import trajectory as spans
    from hook.change.change import NothingToJudge, find_commit, of_commit

    steps = spans.read(path)
    outer = next((span.results for span in steps if span.type == "flow" and isinstance(span.results, dict)), {})
    named = str(outer.get("Commit") or "")
    oid = named if _OBJECT.match(named) else ""  # a stranger's file must not choose what of this repository is shown
    if repo is not None and oid:
        with Objects(repo) as objects:
            try:
                commit = find_commit(objects, oid)
                setting_layers.at(objects, commit.parent)  # its limits hold for what is read
                change = of_commit(objects, commit)
            except (CannotJudge, NothingToJudge):
                pass  # another repository's; the steps tell enough
            else:
                return _page(f"{commit.oid[:12]} {commit.subject}", outer, steps, objects, change)
    return _page(f"patch triage of {oid[:12] or path.name}", outer, steps, None, None)


def _page(title: str, verdict: Mapping[str, typing.Any], steps: Sequence[Span], objects: Objects | None, change: Change | None) -> str:
    from hook import redaction
    from hook import trajectory as spans
    from hook.report import page
    from hook.report.citations import Sources, in_trajectory

    redactor = redaction.Redactor()
    diff = ""
    if change is not None:
        redactor = redaction.of(change.patch.diff)
        diff = shown_diff(change)
    elif recorded_diff := _said_diff(steps):
        diff = redactor.text(recorded_diff)
    steps = [spans.cleaned(step, redactor.value) for step in steps]  # the file may be another program's
    quoted_lines = in_trajectory(steps)
    lines = _lines_of(objects, change, redactor, quoted_lines) if objects and change else lambda path, blob: quoted_lines.get(path, {})
    return page.render(redactor.text(title), redactor.value(verdict), steps, diff, Sources(lines))


def shown_diff(change: Change, most: int = _MOST_DIFF_BYTES) -> str:
    """The diff of a change as a page shows it."""
    from hook import redaction

    return redaction.of(change.patch.diff).text(_as_text(change.patch.diff, most))


def _lines_of(objects: Objects, change: Change, redactor: Redactor, shown: Mapping[str, Mapping[int, str]]) -> Lines:
    known: dict[tuple[str, str], Mapping[int, str]] = {}

    def lines(path: str, blob: str) -> Mapping[int, str]:
        if (path, blob) not in known:
            name = blob if _OBJECT.match(blob) else f"{change.after}:{path}"
            read = objects.read(name) if "\n" not in name else None
            data = read.data if read is not None and read.kind == "blob" and read.data else b""
            text = redactor.text(_as_text(data, _MOST_SOURCE_BYTES))
            known[path, blob] = dict(enumerate(text.removesuffix("\n").split("\n"), 1)) if data else shown.get(path, {})
        return known[path, blob]

    return lines


def _said_diff(steps: Sequence[Span]) -> str:
    for span in steps:
        if span.name == "read-patch-diff" and isinstance(span.results, dict) and isinstance(span.results.get("PatchDiff"), str):
            return str(span.results["PatchDiff"])
    return ""


def _as_text(data: bytes, most: int) -> str:
    text = data[:most].decode("utf-8", "replace")
    return text if len(data) <= most else f"{text}\n[cut: {len(data) - most:,} more bytes]"
