"""Inputs: the commits and mailed series of an archive. One worker judges an input, with one row per patch."""

from __future__ import annotations

import re

import msgspec

from hook import lazy_re

_REVIEW = lazy_re.compile(r"^(?:Reviewed|Acked|Tested)-by:[ \t]*\S.*$", re.MULTILINE | re.IGNORECASE)
_LONGEST_REVIEW = 200  # characters


class MailPlace(msgspec.Struct, frozen=True):
    """The place of a mail's bytes."""

    container: str  # a file; or the git directory of an archive
    name: str = ""  # COMMIT:m in an archive
    start: int = 0  # in a file
    size: int = 0  # bytes in a file; 0: to its end


class Letter(msgspec.Struct, frozen=True):
    """A mail without its diff."""

    message_id: str  # <…>; empty if it has none
    parent: str  # the Message-ID that it answers, empty if it answers none
    author: str
    date: str  # ISO 8601, empty if it cannot be read
    subject: str  # without [PATCH …] and Re:
    number: int | None  # n of [PATCH n/m]
    total: int | None  # m
    version: int
    is_patch: bool  # to be judged, even if it has no readable diff
    is_reply: bool
    reviews: tuple[str, ...]  # its Reviewed-by: lines and similar ones
    place: MailPlace

    @property
    def is_cover(self) -> bool:
        return self.number == 0 and not self.is_reply


class BulkInput(msgspec.Struct, frozen=True):
    """A commit, or the mails of one version of a series."""

    id: str  # the commit, or the Message-ID of the first patch: unique in a run
    source: str  # as the person named it
    size: int = 1  # patches
    commit: str = ""  # empty for a mailed series
    needs: tuple[str, ...] = ()  # commits that a clone must have to judge it
    letters: tuple[Letter, ...] = ()  # the cover letter, if there is one, and the patches
    reviews: tuple[str, ...] = ()  # from replies
    mails: tuple[bytes, ...] = ()  # the bytes of the letters; read when the input is handed out


def reviews(text: str) -> tuple[str, ...]:
    """The Reviewed-by:, Acked-by: and Tested-by: lines of a commit message or a mail, without quoted ones."""
    return tuple(dict.fromkeys(line.strip()[:_LONGEST_REVIEW] for line in _REVIEW.findall(text)))
