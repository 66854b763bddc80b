"""Findings: what is proved of each file of a patch, and of the whole.

Each of the two questions, functional and reachable, has an answer with its proof. A NO cannot be built without the fact that proves it.
"""

from __future__ import annotations

import os
import typing
from typing import ClassVar

import msgspec

from hook.evidence.change_classes import ChangeClass
from hook.verdict import Answer, Fact, all_of

if typing.TYPE_CHECKING:
    from hook.evidence.focus.changed_functions import FileFunctions
    from hook.evidence.focus.focus_symbols import Focus


class Yes(msgspec.Struct, frozen=True):
    """It is so."""

    facts: tuple[Fact, ...]  # what shows it
    answer: ClassVar[Answer] = Answer.YES


class No(msgspec.Struct, frozen=True):
    """It is proved not to be so."""

    fact: Fact  # the proof
    answer: ClassVar[Answer] = Answer.NO


class Open(msgspec.Struct, frozen=True):
    """It is not known."""

    question: str = ""  # what is not known, where that can be said
    answer: ClassVar[Answer] = Answer.UNKNOWN


Judgement = Yes | No | Open


class Finding(msgspec.Struct, frozen=True):
    """What is known of one file of a patch."""

    functional: Judgement
    reachable: Judgement
    change_classes: tuple[ChangeClass, ...]  # empty where it is not known what kind of edit this is
    change: Fact  # what changed, and where; of a file that is not functional, why
    unread: bool = False  # whether a blob could not be read, so that another look may find more
    functions: FileFunctions | None = None  # of a C file that is not proved harmless
    compared: bool = False  # by its text, so that each hunk can be
    read_bytes: int = 0  # of both sides

    @property
    def proof(self) -> Fact | None:
        """The fact that settles this file: it is harmless, or out of reach. None where it is neither."""
        for judgement in (self.functional, self.reachable):
            if isinstance(judgement, No):
                return judgement.fact
        return None

    @property
    def fact(self) -> Fact:
        """What a person should read first: the proof that settles the file, else what changed."""
        return self.proof or self.change


class Evidence(msgspec.Struct, frozen=True):
    """What is known of a patch."""

    findings: tuple[Finding, ...]  # one a file, in the order of the patch
    focus: Focus | None = None  # of what may be functional, and reached

    @property
    def functional(self) -> Answer:
        return all_of(finding.functional.answer for finding in self.findings)

    @property
    def reachable(self) -> Answer:
        """Files that change nothing the kernel does have no say in it."""
        return all_of(finding.reachable.answer for finding in self.findings if not isinstance(finding.functional, No))

    @property
    def unread(self) -> int:
        """How many files could not be read whole."""
        return sum(finding.unread for finding in self.findings)

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What is known, each with its place: what may matter first, then the proof of each NO, then what changed out of reach."""
        harmless = [finding.functional.fact for finding in self.findings if isinstance(finding.functional, No)]
        others = [finding for finding in self.findings if not isinstance(finding.functional, No)]
        away = [finding for finding in others if isinstance(finding.reachable, No)]
        return (
            *(finding.change for finding in others if not isinstance(finding.reachable, No)),
            *(finding.fact for finding in away),
            *harmless,
            *(finding.change for finding in away),
        )


def quoted(path: str) -> str:
    """A tree path as git shows it: as it is, or in C quotes where it holds control characters, quotes or bytes that are not UTF-8."""
    raw = os.fsencode(path)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = ""
    if text and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    named = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 34: '"', 92: "\\"}
    return '"' + "".join(f"\\{named[byte]}" if byte in named else chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in raw) + '"'
