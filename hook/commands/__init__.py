"""The larger commands, one file each: what `cli` hands over to. A module's `register` adds its command and imports nothing that costs."""

from __future__ import annotations

import argparse
import pathlib
import sys
from collections.abc import Callable

from hook.config import Settings
from hook.report.text import plain
from hook.source import settings as settings_source
from hook.source.git import Repository, find
from hook.source.objects import Objects
from hook.source.tree import Source

DONE, STOPPED, WRONG_USE, NOT_JUDGED = 0, 1, 2, 3

# Adds a command with its function and one sentence of help; cli has it
Command = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


class WrongUse(Exception):
    """A command line that cannot be meant; the sentence says what to write instead."""


def repository(options: argparse.Namespace) -> Repository:
    """The repository that a command is about."""
    return find(pathlib.Path(options.repo) if options.repo else None)


def settings_at(repo: Repository, objects: Objects, base: str) -> Settings:
    """The settings in force for what is judged against `base`."""
    found = settings_source.load(repo, Source(objects, base))
    objects.limit_bytes = found["limits.blob_bytes"]
    return found


def complain(line: str) -> None:
    """Tell the person one line beside the output."""
    print(f"patch-triage: {plain(line)}", file=sys.stderr)
