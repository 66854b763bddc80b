"""Reach: the answer of one proof to whether a fuzzer in a virtual machine can run the changed code.

hook.evidence.reach.reachability puts the answers together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hook.verdict import Answer, ConfigReason, Fact

MOST_FACTS = 6  # of one answer


class Reach(msgspec.Struct, frozen=True):
    """The answer of one proof for one part of a change."""

    answer: Answer
    facts: tuple[Fact, ...] = ()  # the proof; of a call path each hop, from user space down
    devices: tuple[str, ...] = ()  # that the code needs, as a person reads them: "e1000e", "dummy_hcd with raw-gadget"
    reasons: Mapping[str, ConfigReason] = msgspec.field(default_factory=dict)  # options that this path needs, For: reach
    disable: tuple[str, ...] = ()  # those among `reasons` that have to be off
    assumptions: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ()  # KIND:NAME, through which a program gets there, the nearest first
    question: str = ""  # of UNKNOWN: what is not known, a line a question
    running: frozenset[str] = frozenset()  # of NO: names that are mentioned by what of the code runs all the same
    files: tuple[str, ...] = ()  # of YES: files that must be built, beside those of `facts`


def yes(
    *facts: Fact, devices: tuple[str, ...] = (), reasons: Mapping[str, ConfigReason] | None = None, assumptions: tuple[str, ...] = ()
) -> Reach:
    """That a fuzzer can run it."""
    return Reach(Answer.YES, facts, devices, reasons or {}, assumptions=assumptions)


def no(fact: Fact, *more: Fact, assumptions: tuple[str, ...] = ()) -> Reach:
    """That nothing can make it run: `fact` and `more` prove it."""
    return Reach(Answer.NO, (fact, *more), assumptions=assumptions)


def unknown(question: str, *facts: Fact, devices: tuple[str, ...] = ()) -> Reach:
    """That it is not known, and why."""
    return Reach(Answer.UNKNOWN, facts, devices, question=question)


def any_of(parts: Iterable[Reach]) -> Reach:
    """The answer for code that runs where any of its parts runs."""
    parts = list(parts)
    yes = next((part for part in parts if part.answer is Answer.YES), None)
    if yes is not None:
        return yes
    unknown = [part for part in parts if part.answer is Answer.UNKNOWN]
    if unknown or not parts:
        questions = list(dict.fromkeys(part.question for part in unknown if part.question))
        first = unknown[0] if unknown else Reach(Answer.UNKNOWN)
        devices = next((part.devices for part in unknown if part.devices), ())
        return msgspec.structs.replace(first, devices=devices, question="\n".join(questions[:2]))
    facts = list(dict.fromkeys(fact for part in parts for fact in part.facts))
    assumed = tuple(dict.fromkeys(assumption for part in parts for assumption in part.assumptions))
    running = frozenset[str]().union(*(part.running for part in parts))
    return Reach(Answer.NO, tuple(facts[:MOST_FACTS]), assumptions=assumed[:MOST_FACTS], running=running)
