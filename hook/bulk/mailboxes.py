"""Mailboxes: the mails in mbox files, maildirs and directories of patches, and the reader of a mail at its place."""

from __future__ import annotations

import contextlib
import datetime
import email.errors
import email.header
import email.message
import email.parser
import email.policy
import email.utils
import mmap
import os
import pathlib
import re
from collections.abc import Iterator
from types import TracebackType

from hook import lazy_re
from hook.bulk.inputs import Letter, MailPlace, reviews
from hook.change.mail import MAX_BYTES, holds_diff
from hook.change.subject import title_of
from hook.source.git import Repository, find
from hook.source.object_store import Objects

# git's mailsplit: a time and a year at the end of the line
_FROM_LINE = lazy_re.compile(rb"^From [^\n]*\d.\d\d:\d\d *(?:9[1-9]|\d{3,})[^:\n]*$", re.MULTILINE)
_PATCH_FILES = (".patch", ".diff", ".mbox", ".mbx", ".eml")
_HEAD_BYTES = 1 << 16
_MESSAGE_ID = lazy_re.compile(r"<[!-;=?-~]+>")  # RFC 5322, 3.6.4: ASCII


class MailReader:
    """Reads mails at their places; a context manager, since an archive is read through one git process."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._archives: dict[str, Objects] = {}

    def __enter__(self) -> MailReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def read(self, place: MailPlace) -> bytes:
        """The bytes of a mail; one more than the limit if it is too large. Raises OSError, GitError."""
        if not place.name:
            with pathlib.Path(place.container).open("rb") as file:
                file.seek(place.start)
                return file.read(min(place.size or MAX_BYTES + 1, MAX_BYTES + 1))
        if place.container not in self._archives:
            archive = Objects(find(pathlib.Path(place.container)), MAX_BYTES)
            self._archives[place.container] = self._stack.enter_context(archive)
        blob = self._archives[place.container].read(place.name)
        if blob is None:
            raise OSError(f"{place.container} no longer has {place.name}")
        return blob.data if blob.data is not None else b"\0" * (MAX_BYTES + 1)


def letters(path: pathlib.Path, oldest: float = 0.0) -> Iterator[Letter]:
    """The mails of an mbox file or a maildir, or the patches of a directory and its subdirectories, by name. Raises OSError."""
    for file in _files(path):
        with file.open("rb") as opened:
            yield from (letter for letter in _of_file(file, opened.fileno()) if _is_recent(letter, oldest))


def seconds_since(repo: Repository, since: str) -> float:
    """A date in git's notation, in seconds since the epoch; 0 if it is empty."""
    if not since:
        return 0.0
    option = repo.run("rev-parse", f"--since={since}").decode("ascii")
    return float(option.partition("=")[2])


def letter_of(mail: bytes, place: MailPlace) -> Letter:
    """The headers and kind of a mail. A diff without headers is a patch."""
    try:
        head = email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(mail[:_HEAD_BYTES].lstrip())
    except (ValueError, LookupError):
        head = email.message.Message()
    title = title_of(_text(head, "Subject"))
    has_diff = holds_diff(mail)
    answered = _MESSAGE_ID.findall(_text(head, "In-Reply-To")) or _MESSAGE_ID.findall(_text(head, "References"))[-1:]
    message_ids = _MESSAGE_ID.findall(_text(head, "Message-ID"))
    is_numbered_patch = title.is_patch and title.number != 0
    is_talk = title.is_reply or (bool(answered) and not title.is_patch)
    return Letter(
        message_ids[0] if message_ids else "",
        answered[0] if answered else "",
        _text(head, "From"),
        _date(_text(head, "Date")),
        title.subject,
        title.number,
        title.total,
        title.version,
        not is_talk and title.number != 0 and (has_diff or is_numbered_patch),
        is_talk,
        reviews(mail.decode("utf-8", "replace")),
        place,
    )


def _files(path: pathlib.Path) -> Iterator[pathlib.Path]:
    if not path.is_dir():
        yield path
        return
    folders = [path / name for name in ("cur", "new") if (path / name).is_dir()]
    if folders:
        yield from sorted((file for folder in folders for file in folder.iterdir() if file.is_file()), key=lambda file: file.name)
        return
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith("."))
        yield from (pathlib.Path(folder, name) for name in sorted(names) if name.endswith(_PATCH_FILES))


def _of_file(path: pathlib.Path, handle: int) -> Iterator[Letter]:
    size = os.fstat(handle).st_size
    if not size:
        return
    name = str(path.absolute())
    with mmap.mmap(handle, 0, access=mmap.ACCESS_READ) as data:
        starts = [match.start() for match in _FROM_LINE.finditer(data)]
        if len(starts) < 2 or data[: starts[0]].strip():
            yield letter_of(data[: MAX_BYTES + 1], MailPlace(name))
            return
        for start, end in zip(starts, [*starts[1:], size], strict=True):
            yield letter_of(data[start : min(end, start + MAX_BYTES + 1)], MailPlace(name, start=start, size=end - start))


def _is_recent(letter: Letter, oldest: float) -> bool:
    if not oldest or not letter.date:
        return True
    return datetime.datetime.fromisoformat(letter.date).timestamp() >= oldest


def _text(head: email.message.Message, name: str) -> str:
    """A header as text; empty if there is none."""
    try:
        raw = head.get(name, "")
        return " ".join(str(email.header.make_header(email.header.decode_header(raw))).split())
    except (ValueError, LookupError, email.errors.HeaderParseError):
        return " ".join(str(head.get(name, "")).encode("ascii", "replace").decode("ascii").split())


def _date(text: str) -> str:
    try:
        date = email.utils.parsedate_to_datetime(text)
        # -0000 means that the zone is not known (RFC 5322, 3.3): it is not the zone of this machine
        return (date.astimezone(datetime.UTC) if date.tzinfo else date.replace(tzinfo=datetime.UTC)).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
