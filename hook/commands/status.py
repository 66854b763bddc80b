"""`patch-triage status`: what still waits to be recorded."""

from __future__ import annotations

import argparse

from hook.commands import DONE, Command, complain, repository
from hook.source import settings as settings_source
from hook.source.git import GitError


def register(command: Command) -> None:
    """Add the command."""
    command("status", status, "write what could not be recorded, and print what still waits")


def status(options: argparse.Namespace) -> int:
    """Write what is queued and print what still waits."""
    from hook.record import note, queue
    from hook.record.lock import Locked

    repo = repository(options)
    found = settings_source.load(repo)
    try:
        written = queue.flush(repo, found["record.lock_seconds"])
        if written:
            print(f"{written} queued {'record' if written == 1 else 'records'} written")
    except (Locked, note.NoteNotWritten, GitError, OSError) as wrong:
        complain(str(wrong))
    waiting = queue.pending(repo)
    print(f"{len(waiting)} {'record waits' if len(waiting) == 1 else 'records wait'} to be written")
    if off := settings_source.switched_off(repo):
        print(f"switched off here: {off}")
    return DONE
