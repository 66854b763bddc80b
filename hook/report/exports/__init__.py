"""Exports: verdicts in the forms of the programs that use them. One module a program; each turns items into that program's text."""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Mapping

from hook.verdict import DecidedBy, State, Verdict

OPTION = re.compile(r"[A-Z0-9_a-z]{1,200}\Z", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Item:
    """One commit with its verdict."""

    commit: str
    subject: str
    verdict: Verdict
    symbols: tuple[str, ...] = ()  # of FocusSymbols, those with an address in instrumented code
    files: tuple[str, ...] = ()  # changed C files that are built for the target and instrumented
    includers: tuple[str, ...] = ()  # other such files, that include a changed header
    functions: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)  # that each of these files defines, where asked for


class Attention(enum.StrEnum):
    """How much a verdict asks of its reader: one scale for all programs that want a state."""

    PENDING = "pending"  # a model will be asked
    WARNING = "warning"  # worth fuzzing, or left open
    SUCCESS = "success"  # not worth fuzzing


def attention(verdict: Verdict) -> Attention:
    """The state of a verdict."""
    if verdict.state is State.PENDING:
        return Attention.PENDING
    if verdict.worth_fuzzing or verdict.decided_by is DecidedBy.DEFAULT:
        return Attention.WARNING
    return Attention.SUCCESS
