"""The commands, one file each. A module's `register` adds its command, with its function and one sentence of help, to what `cli` reads."""

from __future__ import annotations

import argparse
import pathlib
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hook.report.text import plain
from hook.source.git import Repository, find

if typing.TYPE_CHECKING:
    from hook.source.object_store import Objects

DONE, STOPPED, WRONG_USE, NOT_JUDGED = 0, 1, 2, 3

# Adds a command; cli has it
Command = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]


class WrongUse(Exception):
    """A command line that cannot be meant; the sentence says what to write instead, and the command's usage is shown with it."""


class CannotDo(Exception):
    """A command line that asks for what cannot be had here; the sentence says why, and another usage would not help."""


def repository(options: argparse.Namespace) -> Repository:
    """The repository that a command is about."""
    return find(pathlib.Path(options.repo) if options.repo else None)


def refuse_no_kernel(objects: Objects, revision: str = "") -> None:
    """Raise CannotDo where the tree at a revision, or at the end of a range, is none of a kernel (default: HEAD)."""
    from hook.kernel.tree_kind import NO_KERNEL, is_no_kernel
    from hook.source.tree import Source

    if is_no_kernel(Source(objects, revision.rpartition("..")[2] or "HEAD")):
        raise CannotDo(NO_KERNEL)


def mail(name: str) -> tuple[bytes, str]:
    """What is in the file, or on standard input for `-`, and what to call it; one byte past the limit shows that there is more.

    Raises OSError.
    """
    from hook.change.mail import MAX_BYTES

    if name == "-":
        return sys.stdin.buffer.read(MAX_BYTES + 1), "standard input"
    with pathlib.Path(name).open("rb") as file:
        return file.read(MAX_BYTES + 1), name


def print_document(document: Mapping[str, Any] | Sequence[Mapping[str, Any]], form: str) -> None:
    """Print what a program reads: JSON in one line, or YAML, a document for each of a list."""
    if form == "json":
        import json

        print(json.dumps(document))
        return
    from hook.record import document as documents

    print(documents.dump([document] if isinstance(document, Mapping) else document), end="")


def complain(line: str) -> None:
    """Tell the person one line beside the output."""
    print(f"patch-triage: {plain(line)}", file=sys.stderr)
