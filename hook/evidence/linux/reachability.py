"""Reachability: whether a fuzzer can run what changes, as all proofs together say.

The rules are those that farms give to whoever judges, in this order: hardware that no virtual machine has is out of reach, and so is
teardown that user space cannot ask for; code of a device that the machine or the kernel itself provides is in reach; so is code with a
proved way in from user space. The rest stays open, with the question in words. docs/reachability.md and docs/ways-in.md have the proofs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping

from hook.evidence.linux.reach import Reach
from hook.verdict import Answer, ConfigReason, Fact, all_of

_NOTHING = Reach(Answer.UNKNOWN)


@dataclasses.dataclass(frozen=True)
class Reached:
    """What is known of a whole change."""

    answers: Mapping[str, Reach]  # path -> what is said of that file
    facts: tuple[Fact, ...] = ()  # of the file that is reached, from user space down
    devices: tuple[str, ...] = ()
    reasons: Mapping[str, ConfigReason] = dataclasses.field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()  # what stays open, where nothing is reached

    @property
    def answer(self) -> Answer:
        return all_of(one.answer for one in self.answers.values())


def of_file(hardware: Reach, ending: Reach, way_in: Callable[[], Reach]) -> Reach:
    """What the proofs about one changed file say together.

    `hardware` is about what its drivers bind to, `ending` about functions that run only when something begins or ends; either says nothing
    where it is UNKNOWN without a question. `way_in`, the dear one, is asked only where these leave it open.
    """
    for one in (hardware, ending):
        if one.answer is Answer.NO:
            return one
    if ending.answer is Answer.YES or ending.question:
        return _with(ending, hardware) if ending.answer is Answer.YES else ending
    if hardware.answer is Answer.YES:
        return hardware
    found = way_in()
    if found.answer is Answer.YES:
        return found
    question = "; ".join(one.question for one in (hardware, found) if one.question)
    return dataclasses.replace(_NOTHING, question=question)


def together(answers: Mapping[str, Reach]) -> Reached:
    """What is known of a change, by what is known of each of its files: one that is reached is enough to fuzz it."""
    yes = [one for one in answers.values() if one.answer is Answer.YES]
    if not yes:
        open_ones = (one.question for one in answers.values() if one.answer is Answer.UNKNOWN and one.question)
        return Reached(answers, questions=tuple(dict.fromkeys(open_ones)))
    return Reached(
        answers,
        facts=yes[0].facts,
        devices=_each(one.devices for one in yes),
        reasons={name: reason for one in reversed(yes) for name, reason in one.reasons.items()},
        assumptions=_each(one.assumptions for one in yes),
    )


def _with(one: Reach, other: Reach) -> Reach:
    """The first, with what makes the second hold beside it."""
    if other.answer is not Answer.YES:
        return one
    return Reach(
        one.answer, (*other.facts, *one.facts), _each((one.devices, other.devices)), {**other.reasons, **one.reasons},
        _each((one.assumptions, other.assumptions)),
    )


def _each(names: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for some in names for name in some))
