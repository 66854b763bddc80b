"""What b4 calls: `b4-prep-check` for an author's patch, `b4-review-check` for a maintainer's.

b4 hands over one mail on standard input. Of the first it takes every line for a warning, and any word on standard error for a failure; so
nothing is said where nothing needs saying. Of the second it takes a JSON list of results.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import typing
from collections.abc import Iterator, Sequence

import msgspec

from hook import config, lazy_re
from hook.asking import NOT_ASKED, Asking
from hook.commands import DONE, Command, mail, repository
from hook.commands.command_line import add_offline
from hook.failure import CannotJudge, sentence
from hook.source import setting_layers
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects

if typing.TYPE_CHECKING:
    from hook.verdict import Verdict

_MOST_TRACKING_BYTES = 16 << 20
_MOST_PATCHES = 1000  # of a tracked series
_COMMIT = lazy_re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_BRANCH = lazy_re.compile(r"[A-Za-z0-9][\w.-]{0,200}\Z", re.ASCII)
_STATUS = {"success": "pass", "warning": "warn", "pending": "warn"}


class Told(msgspec.Struct, frozen=True):
    """What is said of one patch: a verdict, or why there is none."""

    label: str
    verdict: Verdict | None
    why: str = ""


def register(command: Command) -> None:
    """Add the two commands."""
    sub = command("b4-prep-check", prep_check, "for b4.prep-perpatch-check-cmd: reads a mail, prints a line if it needs attention")
    add_offline(sub)
    sub = command("b4-review-check", review_check, "for b4.review-perpatch-check-cmd: reads a mail, prints JSON for b4")
    add_offline(sub)
    sub.add_argument("--series", action="store_true", help="for b4.review-series-check-cmd: one result for the whole tracked series")


def prep_check(options: argparse.Namespace) -> int:
    """Say one line of a patch that is worth fuzzing, or could not be judged; else nothing."""
    from hook.report.exports import Attention, attention
    from hook.report.text import one_line, plain

    try:
        for entry in _of_mail(options):
            if entry.verdict is None:
                print(plain(f"not judged: {entry.why}"))
            elif attention(entry.verdict) is not Attention.SUCCESS:
                print(one_line(entry.verdict))
    except (CannotJudge, config.WrongSetting, OSError) as wrong:
        print(plain(f"not judged: {sentence(wrong)}"))
    return DONE


def review_check(options: argparse.Namespace) -> int:
    """Print b4's JSON for one patch, or for the series that b4 tracks."""
    results: list[dict[str, str]] = []
    try:
        entries = list(_of_series(options) if options.series else _of_mail(options))
        if entries:
            results.append(_as_one(entries) if options.series else _result(entries[0]))
    except (CannotJudge, config.WrongSetting, OSError) as wrong:
        results.append(_entry("warn", f"not judged: {sentence(wrong)}", ""))
    print(json.dumps(results))
    return DONE


def _result(entry: Told) -> dict[str, str]:
    from hook.report.exports import attention
    from hook.report.text import one_line, paragraph

    if entry.verdict is None:
        return _entry("warn", f"not judged: {entry.why}", "")
    return _entry(_STATUS[attention(entry.verdict)], one_line(entry.verdict), "\n".join(paragraph(entry.verdict, verbose=True)))


def _as_one(entries: list[Told]) -> dict[str, str]:
    """One result for a series: what to aim at and to configure, of all its patches together."""
    from hook.report.exports import Attention, attention
    from hook.report.text import one_line, tally

    verdicts = [entry.verdict for entry in entries if entry.verdict is not None]
    notable = [entry for entry in verdicts if attention(entry) is not Attention.SUCCESS]
    symbols = list(dict.fromkeys(name for entry in notable for name in entry.focus_symbols))
    options = list(dict.fromkeys(name for entry in notable for name in entry.enable_configs))
    summary = tally(verdicts)
    summary += f": {', '.join(symbols)}" if symbols else ""
    summary += f" (needs {', '.join(options)})" if options else ""
    if len(verdicts) < len(entries):
        summary += f"; {len(entries) - len(verdicts)} not judged"
    details = [f"{entry.label}\n  {one_line(entry.verdict) if entry.verdict else f'not judged: {entry.why}'}" for entry in entries]
    return _entry("warn" if notable or len(verdicts) < len(entries) else "pass", summary, "\n".join(details))


def _entry(status: str, summary: str, details: str) -> dict[str, str]:
    from hook.report.text import plain

    lines = [plain(line) for line in details.split("\n")]
    return {"tool": "patch-triage", "status": status, "summary": plain(summary), "url": "", "details": "\n".join(lines)}


def _of_mail(options: argparse.Namespace) -> Iterator[Told]:
    """What is said of the patch in the mail: where b4 tracks its series, of the commit that it is there."""
    repo = repository(options)
    if setting_layers.switched_off(repo):
        return
    with Objects(repo) as objects:
        settings = setting_layers.at(objects, "HEAD", tell=_in_silence)
        data, _ = mail("-")
        commits = dict(_tracked(repo))
        mine = commits.get(_message_id(data))
        if mine and _is_in_mail(objects, mine, data):
            yield from _of_commits(repo, objects, settings, [mine], _asking(options))
            return
        yield from _of_patches(repo, settings, data, _asking(options))


def _is_in_mail(objects: Objects, commit: str, data: bytes) -> bool:
    """Whether a tracked commit makes the change of the mail: whoever sends two mails chooses their Message-IDs."""
    from hook.change import change
    from hook.change import mail as mails
    from hook.source import scratch

    try:
        with scratch.directory(objects.repo) as directory:
            sent = mails.split(data, objects.repo, directory, mails.MAX_BYTES)
        made = change.of_commit(objects, change.find_commit(objects, commit))
    except (CannotJudge, change.NothingToJudge):
        return False
    return len(sent) == 1 and mails.makes_edits_of(sent[0], made.patch.diff)


def _of_patches(repo: Repository, settings: config.Settings, data: bytes, asking: Asking) -> Iterator[Told]:
    from hook import triage
    from hook.change import series as mailed
    from hook.source.overlay import NoPatch

    try:
        with mailed.read(repo, settings, data, "the mail", None) as series:
            for patch in series.changes():
                if isinstance(patch, mailed.Unread):
                    if patch.failed:
                        yield Told(patch.label, None, patch.why)
                    continue
                with Objects(patch.repo, settings.limits.blob_bytes) as blobs:
                    yield Told(patch.label, triage.judge(patch, blobs, settings, asking=asking).verdict)
    except NoPatch:
        return  # a cover letter, or an empty commit of b4's own


def _of_series(options: argparse.Namespace) -> Iterator[Told]:
    repo = repository(options)
    if setting_layers.switched_off(repo):
        return
    with Objects(repo) as objects:
        settings = setting_layers.at(objects, "HEAD", tell=_in_silence)
        yield from _of_commits(repo, objects, settings, [commit for _, commit in _tracked(repo)], _asking(options))


def _of_commits(repo: Repository, objects: Objects, settings: config.Settings, commits: Sequence[str], asking: Asking) -> Iterator[Told]:
    from hook import triage
    from hook.change.change import find_commit

    for oid, result in zip(commits, triage.judge_commits(repo, objects, settings, commits, asking=asking), strict=True):
        label = find_commit(objects, oid).subject
        if isinstance(result, triage.Judged):
            yield Told(label, result.verdict)
        elif result.failed:
            yield Told(label, None, result.why)


def _tracked(repo: Repository) -> Iterator[tuple[str, str]]:
    """The patches of the series that b4 tracks, as (Message-ID, commit); none where b4 names no series, or its branch is gone."""
    tracking_file = os.environ.get("B4_TRACKING_FILE")
    if not tracking_file:
        return
    try:
        with pathlib.Path(tracking_file).open("rb") as file:
            tracking = json.loads(file.read(_MOST_TRACKING_BYTES))
        first, branch = str(tracking["series"]["first-patch-commit"]), str(tracking["series"]["change-id"])
        ids = [str(patch["header-info"]["msgid"]) for patch in tracking["patches"]][:_MOST_PATCHES]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return
    if not _COMMIT.match(first) or not _BRANCH.match(branch) or not ids:
        return
    try:
        out = repo.run("rev-list", "--reverse", "--topo-order", f"^{first}", f"refs/heads/b4/review/{branch}", "--")
    except GitError:
        return  # not under review here; the mail says enough
    yield from zip(ids, [first, *out.decode().split()], strict=False)


def _asking(options: argparse.Namespace) -> Asking:
    """b4 does not wait for a model: what it could settle is left pending, unless none is to be asked."""
    return NOT_ASKED if options.offline else Asking()


def _in_silence(line: str) -> None:
    """Say nothing: a word on the standard error is a failure to b4."""


def _message_id(mail: bytes) -> str:
    head = re.split(rb"\r?\n\r?\n", mail[: 1 << 16], maxsplit=1)[0]
    match = re.search(rb"(?im)^message-id:\s*<([^>\s]+)>", head)
    return match[1].decode("utf-8", "replace") if match else ""
