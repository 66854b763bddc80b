"""Inputs: what an archive is made of: commits, and mailed series. An input is judged as a whole, on one worker, and gives a row a patch."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from hook import lazy_re

_REVIEW = lazy_re.compile(r"^(?:Reviewed|Acked|Tested)-by:[ \t]*\S.*$", re.MULTILINE | re.IGNORECASE)
_LONGEST_REVIEW = 200  # characters


class MailPlace(msgspec.Struct, frozen=True):
    """Where the bytes of a mail are."""

    container: str  # a file; or the git directory of an archive
    name: str = ""  # COMMIT:m in an archive
    start: int = 0  # in a file
    size: int = 0  # bytes in a file; 0: to its end


class Letter(msgspec.Struct, frozen=True):
    """What is known of a mail without its diff."""

    message_id: str  # <…>; empty where it has none
    parent: str  # the Message-ID that it answers, empty if it answers none
    author: str
    date: str  # ISO 8601, empty where it cannot be read
    subject: str  # without [PATCH …] and Re:
    number: int | None  # n of [PATCH n/m]
    total: int | None  # m
    version: int
    is_patch: bool  # to be judged, even if no diff can be read in it
    is_reply: bool
    reviews: tuple[str, ...]  # the Reviewed-by: lines and their like that it gives
    place: MailPlace

    @property
    def is_cover(self) -> bool:
        return self.number == 0 and not self.is_reply


class BulkInput(msgspec.Struct, frozen=True):
    """A commit, or the mails of one version of a series."""

    id: str  # the commit, or the Message-ID of the first patch: no two inputs of a run share it
    source: str  # as the person named it
    size: int = 1  # patches
    commit: str = ""  # empty where it was mailed
    needs: tuple[str, ...] = ()  # commits that a clone must have to judge it
    letters: tuple[Letter, ...] = ()  # the cover letter, where there is one, and the patches
    reviews: tuple[str, ...] = ()  # of replies
    mails: tuple[bytes, ...] = ()  # what is in the letters; read when the input is handed out


def reviews(text: str) -> tuple[str, ...]:
    """The lines of a commit message or a mail with which somebody vouches for a patch; what a reply quotes is not among them."""
    return each_once(line.strip()[:_LONGEST_REVIEW] for line in _REVIEW.findall(text))


def each_once(lines: Iterable[str]) -> tuple[str, ...]:
    """The same lines, each the first time that it comes."""
    return tuple(dict.fromkeys(lines))
