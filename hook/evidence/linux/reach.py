"""Reach: whether a fuzzer in a virtual machine can run the changed code, as one part of the evidence proves it.

Each kind of proof (what a driver binds to, the ways in from user space, what no kernel for the target holds) says so in this form;
hook.evidence.linux.reachability puts them together.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hook.verdict import Answer, ConfigReason, Fact


@dataclasses.dataclass(frozen=True)
class Reach:
    """What one proof says of one part of a change."""

    answer: Answer
    facts: tuple[Fact, ...] = ()  # what proves it, each with its place; of a chain each hop, from user space down
    devices: tuple[str, ...] = ()  # that make the code run, as a person names them: "e1000e", "dummy_hcd with raw-gadget"
    reasons: Mapping[str, ConfigReason] = dataclasses.field(default_factory=dict)  # options that this way in needs, For: reach
    disable: tuple[str, ...] = ()  # those among `reasons` that have to be off
    assumptions: tuple[str, ...] = ()
    question: str = ""  # what stays open, in words, where the answer is UNKNOWN
