"""`patch-triage install` and `uninstall`: the hooks, put into a repository or taken out."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
import sys

from hook.commands import DONE, WRONG_USE, CannotDo, Command, complain, repository
from hook.config import Settings, WrongSetting
from hook.failure import CannotJudge, sentence
from hook.source import setting_layers
from hook.source.git import Repository


def register(command: Command) -> None:
    sub = command("install", install, "install the hooks; existing hooks are kept and run first")
    sub.add_argument("--here", action="store_true", help="also write into a core.hooksPath that is shared or tracked")
    sub.add_argument("--no-index", action="store_true", help="do not build the word index of a large tree now")
    sub = command("uninstall", uninstall, "remove the hooks and restore what was there before")
    sub.add_argument("--purge", action="store_true", help="also remove all our data: records and marks, index, cache, runs")


def install(options: argparse.Namespace) -> int:
    """Put the hooks into a repository."""
    from hook import installation

    repo = repository(options)
    settings = setting_layers.load(repo)
    try:
        lines = installation.install(
            repo,
            _program(),
            trailers="trailer" in settings.record.format,
            here=options.here,
        )
    except installation.CannotInstall as wrong:
        complain(str(wrong))
        return WRONG_USE
    print("\n".join(lines), flush=True)
    return DONE if options.no_index else _index(repo, settings)


def _index(repo: Repository, settings: Settings) -> int:
    """Make the word index where the tree is large and has none. That the hooks are in does not hang on it."""
    from hook.source.indexing import background

    if not background.is_missing(repo):
        return DONE
    print(
        f"building the word index in {repo.index_directory}: look-ups then take milliseconds. This takes about a minute and 120 MB, "
        "once; Ctrl-C leaves it to the background",
        flush=True,
    )
    from hook.commands import index

    try:
        index.make(repo, settings)
    except (CannotJudge, OSError) as wrong:
        complain(f"no index: {sentence(wrong)}")
    return DONE


def uninstall(options: argparse.Namespace) -> int:
    """Take the hooks out again."""
    from hook import installation

    try:
        repo = repository(options)
        with contextlib.suppress(WrongSetting):  # which keeps nobody from taking us out
            setting_layers.load(repo)
        lines = installation.uninstall(repo)
        lines += installation.purge(repo) if options.purge else installation.left(repo)
    except installation.CannotInstall as wrong:
        complain(str(wrong))
        return WRONG_USE
    print("\n".join(lines))
    return DONE


def _program() -> pathlib.Path:
    """The program that the hooks are to call: the one that runs now."""
    import shutil

    here = pathlib.Path(sys.argv[0])
    if here.name.startswith(("patch-triage", "git-patch-triage")) and here.exists():
        return here.absolute()
    beside = pathlib.Path(sys.executable).parent / "patch-triage"
    program = str(beside) if beside.exists() else shutil.which("patch-triage")
    if program is None:
        raise CannotDo("the hooks call the program `patch-triage`, which is not installed: `pipx install .` first")
    return pathlib.Path(program).absolute()
