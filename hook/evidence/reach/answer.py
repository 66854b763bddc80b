"""Reach: whether a fuzzer in a virtual machine can run the changed code, as one part of the evidence proves it.

Each kind of proof (what a driver binds to, the call paths from user space, what no kernel for the target holds) says so in this form;
hook.evidence.reach.reachability puts them together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hook.verdict import Answer, ConfigReason, Fact

MOST_FACTS = 6  # of one answer


class Reach(msgspec.Struct, frozen=True):
    """What one proof says of one part of a change."""

    answer: Answer
    facts: tuple[Fact, ...] = ()  # what proves it, each with its place; of a chain each hop, from user space down
    devices: tuple[str, ...] = ()  # that make the code run, as a person names them: "e1000e", "dummy_hcd with raw-gadget"
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)  # options that this call path needs, For: reach
    disable: tuple[str, ...] = ()  # those among `reasons` that have to be off
    assumptions: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()  # KIND:NAME, that a program drives to get there, the nearest first
    question: str = ""  # what stays open, in words, where the answer is UNKNOWN
    files: tuple[str, ...] = ()  # of YES: those that have to be built for it, beside the ones of `facts`


def yes(
    *facts: Fact, devices: tuple[str, ...] = (), reasons: Mapping[str, ConfigReason] | None = None, assumptions: tuple[str, ...] = ()
) -> Reach:
    """That a fuzzer can run it."""
    return Reach(Answer.YES, facts, devices, reasons or {}, assumptions=assumptions)


def no(fact: Fact, *more: Fact, assumptions: tuple[str, ...] = ()) -> Reach:
    """That nothing can make it run: `fact` proves it, with `more`."""
    return Reach(Answer.NO, (fact, *more), assumptions=assumptions)


def unknown(question: str, *facts: Fact, devices: tuple[str, ...] = ()) -> Reach:
    """That it is not known, and what would have to be."""
    return Reach(Answer.UNKNOWN, facts, devices, question=question)


def any_of(parts: Iterable[Reach]) -> Reach:
    """The answer of a whole that any of its parts can make run."""
    parts = list(parts)
    yes = next((part for part in parts if part.answer is Answer.YES), None)
    if yes is not None:
        return yes
    unknown = [part for part in parts if part.answer is Answer.UNKNOWN]
    if unknown or not parts:
        questions = list(dict.fromkeys(part.question for part in unknown if part.question))
        first = unknown[0] if unknown else Reach(Answer.UNKNOWN)
        devices = next((part.devices for part in unknown if part.devices), ())
        return msgspec.structs.replace(first, devices=devices, question="; ".join(questions[:2]))
    facts = list(dict.fromkeys(fact for part in parts for fact in part.facts))
    assumed = tuple(dict.fromkeys(assumption for part in parts for assumption in part.assumptions))
    return Reach(Answer.NO, tuple(facts[:MOST_FACTS]), assumptions=assumed[:MOST_FACTS])
