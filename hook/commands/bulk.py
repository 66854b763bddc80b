"""`patch-triage bulk`: every change of whole archives judged, on this machine or on a cluster.

The rows are kept in a directory as they come. A run that was stopped, or killed, goes on with --resume.
"""

from __future__ import annotations

import argparse
import pathlib
import typing
import uuid
from collections.abc import Sequence

import msgspec

from hook.commands import DONE, NOT_JUDGED, Command, WrongUse, complain, print_document, repository
from hook.commands.command_line import add_format, add_jobs, add_offline, add_verbose
from hook.report.text import columns
from hook.source import setting_layers
from hook.source.git import Repository
from hook.source.object_store import Objects

if typing.TYPE_CHECKING:
    from hook.bulk.cluster import Left
    from hook.bulk.inputs import BulkInput
    from hook.bulk.piece_worker import BulkRun
    from hook.bulk.ranking import Queued
    from hook.bulk.results import BulkResults
    from hook.bulk.summary import BulkSummary
    from hook.commands.bulk_progress import BulkProgress

_INTERRUPTED = 130
_MOST_LINES = 20  # of a table


def register(command: Command) -> None:
    sub = command("bulk", bulk, "judge every change of a history or a mail archive, on one machine or a cluster")
    what = "A..B or a revision, an mbox, a maildir, a directory of patches, a public-inbox archive; or: summary DIR"
    sub.add_argument("sources", nargs="+", metavar="SOURCE", help=what)
    sub.add_argument("--out", metavar="DIR", help="the directory for the rows")
    sub.add_argument("--resume", action="store_true", help="continue the run in DIR: judge only what is missing")
    sub.add_argument("--since", default="", metavar="DATE", help="leave out older changes: 2026-01-31 or 1.week")
    sub.add_argument(
        "--scheduler", default="", metavar="ADDRESS", help="use a Dask scheduler (tcp://HOST:8786) instead of this machine alone"
    )
    add_jobs(sub)
    add_offline(sub)
    sub.add_argument("--short", action="store_true", help="make the short search for call paths, as a commit does; implies --no-cache")
    sub.add_argument("--no-cache", action="store_true", help="judge again, without the cache")
    sub.add_argument("--html", metavar="FILE", help="with summary: write a page")
    sub.add_argument("--rank", action="store_true", help="with summary: list series and commits in the order of review")
    add_format(sub)
    add_verbose(sub, "with summary: whole tables")


def bulk(options: argparse.Namespace) -> int:
    """Judge the sources, or summarise what was judged."""
    if options.sources[0] == "summary":
        return _summarise(options)
    if options.html or options.rank or options.verbose or options.format != "text":
        raise WrongUse("use --html, --rank, --format and -v with `bulk summary DIR`")
    if options.offline and options.scheduler:
        raise WrongUse("--offline and --scheduler exclude each other")
    if not options.out:
        raise WrongUse("bulk needs --out DIR for its rows")
    if options.jobs < 0:
        raise WrongUse("--jobs takes a number of processes")
    if options.jobs and options.scheduler:
        raise WrongUse("--jobs is for this machine; a scheduler has its own workers")
    return _judge(repository(options), options)


def _judge(repo: Repository, options: argparse.Namespace) -> int:
    from hook.bulk import results, sources
    from hook.bulk.cluster import NoCluster
    from hook.commands.bulk_progress import BulkProgress

    with results.opened(pathlib.Path(options.out)) as output:
        run = _run(repo, options, output.head())
        inputs = sources.listed(repo, options.sources, options.since, run.work.head)
        run = msgspec.structs.replace(run, history=sources.history(repo, options.sources, options.since), token=uuid.uuid4().hex)
        output.begin({"Sources": options.sources, "Since": options.since, **run.about()}, resume=options.resume)
        if not inputs:
            complain(f"{', '.join(options.sources)}: no changes")
        there, kinds, number = output.look()
        missing = [change for change in inputs if change.id not in there]
        progress = BulkProgress(sum(change.size for change in missing), kinds)
        try:
            unjudged = _deal(run, options, missing, number, output, progress) if missing else []
        except KeyboardInterrupt:
            complain("stopped; the same command with --resume continues from here")
            return _INTERRUPTED
        except NoCluster as wrong:
            complain(f"{wrong}; the same command with --resume continues from here")
            return NOT_JUDGED
        finally:
            progress.end()
            print(f"{options.out}: {progress.summary()}")
    if unjudged:
        size = sum(change.piece.size for change in unjudged)
        complain(f"changes that were not judged: {size} ({unjudged[-1].why}); the same command with --resume tries them again")
    return NOT_JUDGED if unjudged else DONE


def _run(repo: Repository, options: argparse.Namespace, head: str) -> BulkRun:
    """What all workers are told; `head` is that of the run that is gone on with, if it is one."""
    from hook.bulk import sources
    from hook.bulk.judge_process import JudgeWork
    from hook.bulk.piece_worker import BulkRun
    from hook.record import cache

    head = head or sources.head(repo)
    with Objects(repo) as objects:
        settings = setting_layers.at(objects, head)
    # a cache may have more than the short search finds, and on each worker something else
    work = JudgeWork(str(repo.git_dir), head, settings, options.short, use_cache=not (options.no_cache or options.short))
    return BulkRun(work, cache.program_hash())


def _deal(
    run: BulkRun, options: argparse.Namespace, missing: Sequence[BulkInput], number: int, kept: BulkResults, progress: BulkProgress
) -> list[Left]:
    """Have the inputs judged, and keep their rows as they come. Raises NoCluster, OSError."""
    from hook.bulk import cluster, pieces

    with cluster.connected(options.scheduler, options.jobs) as client:
        complain(f"dashboard: {client.dashboard_link}")
        if not client.nthreads():
            complain(f"no worker has joined: `dask worker {options.scheduler}` starts one; this run waits for it")
        dealer = cluster.Dealer(client, run, pieces.cut(missing, run.work.settings.bulk.piece_changes, number), complain)
        for piece, lines in dealer.judged():
            kept.put(piece.number, lines)
            progress.add(piece.size, lines)
    return dealer.left


def _summarise(options: argparse.Namespace) -> int:
    """Print the totals of a run, or its queue; the page has both."""
    from hook.bulk import ranking, summary, summary_page

    if len(options.sources) != 2 or options.out or options.resume or options.scheduler or options.jobs:
        raise WrongUse("bulk summary takes the directory of one run, and --html, --rank, --format or -v")
    directory = pathlib.Path(options.sources[1])
    totals = summary.BulkSummary()
    for row in summary.read(directory):
        summary.add(totals, row)
    queued = ranking.queue(summary.read(directory)) if options.rank or options.html else []
    if options.html:
        pathlib.Path(options.html).write_text(summary_page.render(f"summary of {directory}", totals, queued), "utf-8", "backslashreplace")
    if options.format != "text":
        print_document([series.document() for series in queued] if options.rank else totals.document(), options.format)
    else:
        print("\n".join(_queue_lines(queued) if options.rank else _summary_lines(totals, None if options.verbose else _MOST_LINES)))
    return DONE


def _queue_lines(queued: Sequence[Queued]) -> list[str]:
    head = ("says", "patches", "lines", "reviews", "series")
    cells = [(series.says, str(series.patches), str(series.lines), str(len(series.reviews)), _series_name(series)) for series in queued]
    return columns([head, *cells], 1) if cells else ["no changes"]


def _series_name(series: Queued) -> str:
    version = f" (v{series.version})" if series.version > 1 else ""
    return f"{series.subject}{version}" + (f": {', '.join(series.focus)}" if series.focus else "")


def _summary_lines(totals: BulkSummary, most: int | None) -> list[str]:
    from hook.bulk import rows, summary

    lines = [f"{totals.rows} changes, {totals.seconds:.0f} seconds of judging"]
    for title, groups in (("subsystems", {"all": totals.kinds, **totals.subsystems}), ("change classes", totals.classes)):
        table: list[tuple[str, ...]] = [(title, *rows.KINDS)]
        table += [(name, *(str(kinds[kind]) for kind in rows.KINDS)) for name, kinds in summary.largest(groups)[:most]]
        lines += ["", *columns(table, 1)]
    for title, counts in (("open", totals.open), ("no verdict", totals.failed), ("kernel options", totals.options)):
        if counts:
            lines += ["", f"{title}:", *columns([(f"  {name}", str(times)) for name, times in counts.most_common(most)], 1)]
    return [
        *lines,
        "",
        "slowest:",
        *columns([(f"  {change.seconds:.1f} s", change.id[:40], change.subject) for change in totals.slowest], 3),
    ]
