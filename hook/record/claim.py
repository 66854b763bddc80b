"""The claim: at most one process at a time asks a model about a change.

One locked file per change, which ends with its holder: a push and the worker can work on the same commits without paying twice for one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from hook.source import filelock
from hook.source.git import Repository


@contextlib.contextmanager
def held(repo: Repository, change_id: str, seconds: float) -> Iterator[bool]:
    """Hold the claim on a change; yields whether another process had it before, so that its answer may now exist.

    Raises filelock.Held after `seconds`, OSError if the file cannot be made.
    """
    path = repo.state_dir / "claims" / change_id
    waited = False
    try:
        handle = filelock.take(path)
    except filelock.Held:
        waited = True
        handle = filelock.take(path, seconds)
    try:
        yield waited
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)
