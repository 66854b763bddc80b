"""The crash log: the traceback of a defect of ours, so that it can be reported, and nothing of it appears on the terminal.

One file in the common git directory, `patch-triage/crash.log`, the newest crash last. Secrets are cut out, and only its owner can read it.
"""

from __future__ import annotations

import datetime
import pathlib
import sys
import traceback

from hook import __version__
from hook.source import own_files
from hook.source.git import GitError, Repository, find

_NAME = "crash.log"
_MOST_BYTES = 256 << 10  # of the file: older crashes are dropped
_MOST_OF_ONE = 32 << 10  # bytes of one crash


def sentence(crash: BaseException, repo: Repository | None = None) -> str:
    """The one line that a person reads about a defect of ours. It names the log, if that could be written."""
    defect = f"a bug in patch-triage ({type(crash).__name__})"
    try:
        path = _append((repo or find()).state_dir / _NAME, _entry(crash))
    except Exception as wrong:  # after the last boundary: no error of ours may escape
        why = str(wrong) if isinstance(wrong, GitError) else getattr(wrong, "strerror", None) or type(wrong).__name__
        return f"{defect}, please report it; no log was written: {why}"
    return f"{defect}, please report it with {path}"


def _entry(crash: BaseException) -> str:
    from hook.redaction import Redactor

    when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    head = f"== {when} patch-triage {__version__}, Python {sys.version.split()[0]}: {' '.join(sys.argv[:2])}"
    text = "".join(traceback.format_exception(crash))
    return f"{Redactor().text(head)}\n{Redactor().text(text)[-_MOST_OF_ONE:]}\n"


def _append(path: pathlib.Path, entry: str) -> pathlib.Path:
    """Append an entry, and drop the oldest ones beyond the limit. Raises OSError."""
    before = own_files.read(path, _MOST_BYTES) or b""
    own_files.write(path, (before + entry.encode("utf-8", "replace"))[-_MOST_BYTES:])
    return path
