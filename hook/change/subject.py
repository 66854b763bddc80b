"""Subject: what the subject of a mail says: which patch of a series it is, in which version, or that it answers one.

Of the text below it, the KMSAN reports that it quotes are read.
"""

from __future__ import annotations

import re

import msgspec

from hook import lazy_re

_REPLY = lazy_re.compile(r"\s*(?:re|aw|sv)\s*:", re.IGNORECASE)
_TAG = lazy_re.compile(r"\s*\[([^\]]*)\]\s*")
_NUMBER = lazy_re.compile(r"(?<![\w/.])(\d{1,4})/(\d{1,4})(?![\w/.])")
_VERSION = lazy_re.compile(r"v(\d{1,3})\b", re.IGNORECASE)
# the kinds of report that mm/kmsan/report.c prints, as a commit message quotes them
_KMSAN_REPORT = lazy_re.compile(
    rb"\bKMSAN:\s+(?:kernel-(?:usb-)?infoleak(?:-after-free)?|uninit-value|use-after-free)\b(?:\s+in\s+[A-Za-z_]\w{0,127})?"
)
_MOST_REPORTS = 5


class Title(msgspec.Struct, frozen=True):
    """What the subject of a mail says."""

    subject: str  # without [PATCH …] and Re:
    number: int | None  # n of [PATCH n/m]
    total: int | None  # m
    version: int
    is_patch: bool  # whether it says [PATCH …]
    is_reply: bool


def title_of(subject: str) -> Title:
    """A mail's subject, read as `git format-patch` and those who answer write it."""
    untagged, tags = _untagged(subject)
    number, version = _NUMBER.search(tags), _VERSION.search(tags)
    return Title(
        untagged,
        int(number[1]) if number else None,
        int(number[2]) if number else None,
        int(version[1]) if version else 1,
        "PATCH" in tags.upper(),
        bool(_REPLY.match(subject)),
    )


def _untagged(subject: str) -> tuple[str, str]:
    """A subject without its [tags] and Re:, and the tags."""
    subject = " ".join(subject.split())
    tags = []
    while True:
        if match := _REPLY.match(subject):
            subject = subject[match.end() :].lstrip()
        elif match := _TAG.match(subject):
            # `[media] saa7134: …` names a subsystem, but no reader misses it here
            tags.append(match[1])
            subject = subject[match.end() :]
        else:
            return subject, " ".join(tags)


def kmsan_reports(message: bytes) -> tuple[str, ...]:
    """The titles of KMSAN reports that a commit message quotes: what the author says of the change, which nothing has proved."""
    if b"KMSAN:" not in message:
        return ()
    titles = (b" ".join(match.group().split()).decode("ascii") for match in _KMSAN_REPORT.finditer(message))
    return tuple(dict.fromkeys(titles))[:_MOST_REPORTS]
