"""`patch-triage index`: build the word index of a revision, or update it."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import time
import typing
from collections.abc import Callable

from hook.change.change import find_commit
from hook.commands import DONE, Command, complain, repository
from hook.commands.bar import ProgressBar
from hook.commands.command_line import add_jobs
from hook.config import Settings
from hook.source import setting_layers
from hook.source.git import GitError, Repository
from hook.source.object_store import Objects

if typing.TYPE_CHECKING:
    from hook.source.indexing.index_writer import Made

_LOOK_AGAIN_SECONDS = 0.2
_INTERRUPTED = 130


def register(command: Command) -> None:
    sub = command("index", index, "build the word index of a revision, or update it")
    sub.add_argument("--rev", default="HEAD", metavar="REV", help="the tree to index (default: HEAD)")
    help_text = "also read the files of all commits of a range, so that each of them can be judged at once (may be given again)"
    sub.add_argument("--history", action="append", default=[], metavar="A..B", help=help_text)
    add_jobs(sub)
    sub.add_argument("--fetch", action="store_true", help="in a partial clone, fetch missing files")
    sub.add_argument("--quiet", action="store_true", help="say nothing")
    sub.add_argument("--background", action="store_true", help="at the lowest priority, and only if no other process builds it")


def index(options: argparse.Namespace) -> int:
    """Make the word index of a revision, or bring it up to date."""
    from hook.source.indexing import blob_reader, index_writer

    repo = repository(options)
    settings = setting_layers.load(repo)
    with Objects(repo) as objects:
        revision = find_commit(objects, options.rev).oid
    if options.background:
        os.nice(19)
        if index_writer.is_made_now(repo):
            return DONE
    if options.fetch:
        missing = blob_reader.missing(repo, revision)
        if missing:
            if not options.quiet:
                complain(f"fetching {len(missing)} files")
            repo.fetch(missing)
    given = {"jobs": options.jobs, "fetched": options.fetch, "history": options.history}
    return make(repo, settings, functools.partial(index_writer.make, repo, revision, settings, **given), quiet=options.quiet)


def make(repo: Repository, settings: Settings, write: Callable[..., Made] | None = None, *, quiet: bool = False) -> int:
    """Make the index with a bar, or wait for who makes it; gives the exit code. `write` makes it otherwise than for HEAD alone."""
    from hook.source.indexing import index_writer

    started = time.monotonic()
    bar = ProgressBar("files", wanted=not quiet)
    try:
        made = _made(repo, write or functools.partial(index_writer.make, repo, "HEAD", settings), bar)
    except KeyboardInterrupt:
        complain("stopped; `patch-triage index` continues from here")
        return _INTERRUPTED
    finally:
        bar.clear()
    _keep_ubiquitous(repo, made, settings, quiet)
    _resume_worker(repo, settings)
    if not quiet:
        took = time.monotonic() - started
        print(f"{made.files} files are indexed, {made.read} of them read in {took:.1f} s; the index has {made.size_bytes / 1e6:.0f} MB")
        if made.unread:
            print(f"{made.unread} files are read at each look-up: too large (index.blob_bytes), or missing (`--fetch` gets them)")
    return DONE


def _made(repo: Repository, write: Callable[..., Made], bar: ProgressBar) -> Made:
    """What was made, after another process that makes the index has ended; its progress is shown until then."""
    from hook.source.indexing import background, index_writer

    while True:
        try:
            return write(progress=bar)
        except index_writer.Busy:
            while (other := background.progress(repo)) is not None:
                if other.total:
                    bar(other.done, other.total)
                time.sleep(_LOOK_AGAIN_SECONDS)


def _keep_ubiquitous(repo: Repository, made: Made, settings: Settings, quiet: bool) -> None:
    """Find the functions that nearly every program runs, where this has not been done for the tree."""
    from hook.evidence.focus import ubiquity
    from hook.evidence.functional import path_table
    from hook.source import index as word_index
    from hook.source.indexing import ubiquitous_names
    from hook.source.tree import Source

    if not made.read and ubiquitous_names.are_kept(repo):
        return
    try:
        with Objects(repo, settings.index.blob_bytes) as objects:
            source = Source(objects, made.tree)
            if source.index is None:  # another process writes it, and keeps them when it is done
                raise word_index.NoIndex(source.without_index)
            ubiquitous_names.keep(repo, ubiquity.find(source, path_table.directory_of(settings.target.arch)))
    except (word_index.NoIndex, GitError, OSError) as wrong:
        if not quiet:
            complain(f"not known: which functions nearly every program runs: {wrong}")


def _resume_worker(repo: Repository, settings: Settings) -> None:
    """Have the commits looked at again that were judged without the index."""
    from hook.record import pending

    if pending.is_any(repo) and not setting_layers.switched_off(repo):
        from hook import worker

        with contextlib.suppress(OSError):  # the next commit tries again
            worker.resume(repo, settings)
