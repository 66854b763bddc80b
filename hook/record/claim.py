"""The claim: who asks a model about a change at the moment. Nobody else asks about the same change meanwhile.

One locked file a change, gone with its holder: a push and the worker can work on the same commits without paying for one twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from hook.source import filelock
from hook.source.git import Repository


@contextlib.contextmanager
def held(repo: Repository, change_id: str, seconds: float) -> Iterator[bool]:
    """Hold the claim on a change; gives whether another had it before, so that its answer may be there now.

    Raises filelock.Held after `seconds`, OSError where the file cannot be made.
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
