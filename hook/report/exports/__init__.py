"""Exports: verdicts in the forms of the programs that use them. One module a program, found by its FORM.

A module turns items into that program's text, and its FORM says under which name `patch-triage export` offers it.
"""

from __future__ import annotations

import argparse
import enum
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from hook import lazy_re
from hook.config import Settings
from hook.source.git import Repository
from hook.verdict import DecidedBy, State, Verdict

OPTION = lazy_re.compile(r"[A-Z0-9_a-z]{1,200}\Z", re.ASCII)


class Item(msgspec.Struct, frozen=True):
    """One commit with its verdict."""

    commit: str
    subject: str
    verdict: Verdict
    symbols: tuple[str, ...] = ()  # of FocusSymbols, those with an address in instrumented code
    files: tuple[str, ...] = ()  # changed C files that are built for the target and instrumented
    includers: tuple[str, ...] = ()  # other such files, that include a changed header
    functions: Mapping[str, frozenset[str]] = msgspec.field(default_factory=dict)  # that each of these files defines, where asked for


class CannotExport(Exception):
    """What the command line asks for cannot be exported; the sentence says what to write instead."""


class Export(msgspec.Struct, frozen=True):
    """One run of `patch-triage export`, as a form gets it."""

    options: argparse.Namespace
    repo: Repository
    settings: Settings
    items: Sequence[Item]
    complain: Callable[[str], None]  # tells the person one line beside the output


class ExportForm(msgspec.Struct, frozen=True):
    """What `patch-triage export NAME` writes. Its `write` may raise CannotExport, CannotJudge, OSError."""

    name: str
    about: str  # for --help
    write: Callable[[Export], None]
    arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None  # adds the options of its own
    reads_functions: Callable[[argparse.Namespace], bool] = lambda options: False  # whether it wants Item.functions


def forms() -> Iterator[ExportForm]:
    """The form of each module of this package, by the names of the modules."""
    for module in pkgutil.iter_modules(__path__):
        yield importlib.import_module(f"{__name__}.{module.name}").FORM


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
