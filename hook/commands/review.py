"""`patch-triage review`: a series, patch by patch and as a whole.

Each patch is judged on the state before it, by several processes at once, and all of them together as one change from the first state to
the last: an early patch may add what only a later one uses. Verdicts are remembered one by one, so a review that was stopped goes on.
"""

from __future__ import annotations

import argparse
import collections
import os
import pathlib
import typing
from collections.abc import Iterator, Sequence

import msgspec

from hook import config
from hook.commands import DONE, NOT_JUDGED, STOPPED, Command, WrongUse, complain, mail, print_document, refuse_no_kernel, repository
from hook.commands.command_line import add_format, add_jobs, add_offline, add_verbose
from hook.failure import CannotJudge
from hook.source import setting_layers
from hook.source.git import Repository
from hook.source.object_store import Objects

if typing.TYPE_CHECKING:
    from hook.change import series as mailed
    from hook.commands.workers import ReviewTask, Work
    from hook.report.series_report import JudgedSeries

_WHOLE = -1  # the key of the series as one change, among the patches' places
_INTERRUPTED = 130
_B4_COVER = b"--- b4-submit-tracking ---"


def register(command: Command) -> None:
    sub = command("review", review, "judge a series: each patch on the state before it, and all of them as one change")
    what = "a range, or a mailbox with patches; - is standard input (default under pre-commit: --from-ref to --to-ref)"
    sub.add_argument("series", nargs="?", default="", metavar="A..B | FILE | -", help=what)
    sub.add_argument("--base", metavar="REV", help="apply a mailed series to REV")
    add_jobs(sub)
    add_offline(sub)
    sub.add_argument("--wait", action="store_true", help="ask the model now about the open questions")
    sub.add_argument("--no-cache", action="store_true", help="judge again, without the cache")
    sub.add_argument("--record", action="store_true", help="also record each verdict with its commit")
    what = "write a page with a row for each patch; the model's runs go into FILE.runs"
    sub.add_argument("--html", metavar="FILE", help=what)
    add_format(sub)
    add_verbose(sub)


def review(options: argparse.Namespace) -> int:
    """Judge a series and print the table."""
    from hook.report import series_report as report

    if options.jobs < 0:
        raise WrongUse("--jobs takes a number of processes")
    if options.offline and options.wait:
        raise WrongUse("--offline and --wait exclude each other")
    options.series = options.series or _of_framework()
    if not options.series:
        print("nothing to judge: no --from-ref and --to-ref")
        return DONE
    repo = repository(options)
    try:
        if ".." in options.series and not pathlib.Path(options.series).exists():
            if options.base:
                raise WrongUse("use --base with a mailed series; a range has its own base")
            judged, policy = _of_range(repo, options)
        else:
            if options.record:
                raise WrongUse("use --record with a range: a mailed patch is no commit")
            judged, policy = _of_mail(repo, options)
    except KeyboardInterrupt:
        complain("stopped; the same command continues from here" if not options.no_cache else "stopped")
        return _INTERRUPTED
    if options.html:
        name = judged.title or (options.series if options.series != "-" else "a mailed series")
        page = pathlib.Path(options.html)
        page.write_text(report.render(f"review of {name}", judged, _runs(repo, judged, page)), "utf-8", "backslashreplace")
    if options.format != "text":
        print_document(report.document(judged), options.format)
    else:
        print("\n".join(report.lines(judged, verbose=options.verbose)))
    judgements = (*judged.patches, judged.whole)
    unsettled = collections.Counter(judgement.why for judgement in judgements if judgement.verdict is not None and judgement.why)
    for why, times in unsettled.items():
        complain(f"no model answered for {times} of {len(judgements)}: {why}")
    if unsettled or any(judgement.failed for judgement in judgements):
        return NOT_JUDGED
    return _stopped(judged, policy)


def _of_framework() -> str:
    """The range that the pre-commit framework was given (its docs, "pre-commit run", --from-ref and --to-ref).

    Empty where it runs all its hooks and was given none. Raises WrongUse where no framework runs.
    """
    first, last = (os.environ.get(f"PRE_COMMIT_{name}_REF", "") for name in ("FROM", "TO"))
    if not first or not last:
        if os.environ.get("PRE_COMMIT") == "1":
            return ""
        raise WrongUse("review takes a range (main..topic), a mailbox, or - for standard input; under pre-commit --from-ref and --to-ref")
    return f"{first}..{last}"


def _stopped(judged: JudgedSeries, policy: str) -> int:
    """STOPPED, with a line that says so, where the policy stops one of the patches."""
    from hook.triage import stops

    stopping = [patch.label for patch in judged.patches if patch.verdict is not None and stops(policy, patch.verdict)]
    if stopping:
        from hook.stages.push import stopped

        for line in stopped("review", policy, stopping):
            complain(line)
    return STOPPED if stopping else DONE


def _of_range(repo: Repository, options: argparse.Namespace) -> tuple[JudgedSeries, str]:
    """The commits of a range, and the policy in force."""
    from hook.change.change import cut_off, find_commit, revisions
    from hook.commands.workers import Ends, ReviewTask
    from hook.record import store

    with Objects(repo) as objects:
        oids = revisions(repo, options.series)
        if not oids:
            raise CannotJudge(f"{options.series} contains no commits")
        if cut := cut_off(repo, oids):
            raise CannotJudge(f"{options.series} goes back to {cut[:12]}, where this shallow clone ends: `git fetch --deepen=N` gets more")
        refuse_no_kernel(objects, oids[-1])
        base = find_commit(objects, oids[0]).parent
        # of the state before: in CI all that comes after is a stranger's
        work = _work(repo, setting_layers.at(objects, base), options)
        title = _cover_title(objects, oids)
    whole_series = ReviewTask(_WHOLE, Ends(repo, base, oids[-1]), first=True)
    series = _series(work, iter([whole_series, *(ReviewTask(number, oid) for number, oid in enumerate(oids))]), len(oids), options)
    if options.record:
        for line in store.keep(repo, work.settings, [patch.verdict for patch in series.patches if patch.verdict is not None]):
            complain(line)
    return msgspec.structs.replace(series, title=title), work.settings.policy.block


def _cover_title(objects: Objects, oids: Sequence[str]) -> str:
    """What the author calls the series: in b4's cover letter, its first or last commit, or in git's description of the branch."""
    from hook.change.change import find_commit, head_commit

    ends = [find_commit(objects, oid) for oid in (oids[0], oids[-1])]
    covers = [commit.subject for commit in ends if len(oids) == 1 or _B4_COVER in commit.message]
    if covers or head_commit(objects) != ends[-1]:
        return covers[0] if covers else ""
    branch = objects.repo.run("symbolic-ref", "--quiet", "--short", "HEAD", ok=(0, 1)).decode("utf-8", "surrogateescape").strip()
    described = objects.repo.run("config", f"branch.{branch}.description", ok=(0, 1)).decode("utf-8", "replace")
    return described.strip().partition("\n")[0]


def _of_mail(repo: Repository, options: argparse.Namespace) -> tuple[JudgedSeries, str]:
    from hook.change import series as mailed

    with Objects(repo) as objects:
        refuse_no_kernel(objects, options.base or "")
        work = _work(repo, setting_layers.at(objects, "HEAD"), options)
    data, name = mail(options.series)
    with mailed.read(repo, work.settings, data, name, options.base) as series:
        if series.why and options.format == "text":
            complain(f"base: {series.why}")
        judged = _series(work, _mailed(series), len(series.patches), options)
        return msgspec.structs.replace(judged, title=series.patches[0].cover), work.settings.policy.block


def _mailed(series: mailed.Series) -> Iterator[ReviewTask]:
    """The patches as they are applied, and then everything between the two ends, if all applied."""
    from hook.change.series import Unread
    from hook.commands.workers import Ends, ReviewTask
    from hook.report.series_report import JudgedPatch

    last, failed = None, False
    for number, patch in enumerate(series.changes()):
        if isinstance(patch, Unread):
            failed = failed or patch.failed
            yield ReviewTask(number, JudgedPatch(patch.label, None, patch.why, patch.failed))
        else:
            last = patch
            yield ReviewTask(number, patch)
    if failed:
        why = "not judged as a whole: a patch could not be applied"
        yield ReviewTask(_WHOLE, JudgedPatch("the series", None, why, failed=True))
    elif last is None:
        yield ReviewTask(_WHOLE, JudgedPatch("the series", None, "its patches change nothing"))
    else:
        yield ReviewTask(_WHOLE, Ends(last.repo, last.base, last.after), first=True)


def _work(repo: Repository, settings: config.Settings, options: argparse.Namespace) -> Work:
    from hook.commands.workers import Work

    return Work(repo, settings, options.wait, options.offline, not options.no_cache, bool(options.html))


def _series(work: Work, tasks: Iterator[ReviewTask], patches: int, options: argparse.Namespace) -> JudgedSeries:
    from hook.commands import workers
    from hook.commands.bar import ProgressBar
    from hook.report.series_report import JudgedSeries

    bar = ProgressBar("judged")
    try:
        outcomes = workers.judge_all(work, tasks, patches + 1, options.jobs, bar)
    finally:
        bar.clear()
    return JudgedSeries(tuple(outcomes[number] for number in range(patches)), outcomes[_WHOLE])


def _runs(repo: Repository, judged: JudgedSeries, page: pathlib.Path) -> dict[int, str]:
    """Write a page of each patch about which a model was asked, into PAGE.runs; their addresses, by the patch's place."""
    import urllib.parse

    from hook.commands.report import of_trajectory
    from hook.record import trajectories

    addresses = {}
    for number, patch in enumerate(judged.patches):
        path = trajectories.latest(repo, patch.verdict.change_id) if patch.verdict is not None and patch.verdict.model else None
        if path is None:
            continue
        try:
            text = of_trajectory(path, repo)
        except CannotJudge as wrong:
            complain(str(wrong))
            continue
        directory = page.with_suffix(".runs")
        directory.mkdir(exist_ok=True)
        (directory / f"{number + 1}.html").write_text(text, "utf-8")
        addresses[number] = f"{urllib.parse.quote(os.fsencode(directory.name))}/{number + 1}.html"
    return addresses
