"""A chain of calls among the facts of a verdict, as one line for a person.

The ways in to changed code come as facts, a hop each, from user space down: `do_mbind() calls mbind_range()`. What one hop ends in the next
begins with; that is how a chain is known, so nothing else in the claims matters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook.verdict import Fact

_HOP = re.compile(r"(?:[^()]*: )?(?:macro (?P<macro>\w+)|(?P<start>\w+)\(\)) \S.*?\b(?P<end>\w+)\(\)\Z")
_ENTRY = re.compile(r"system call \w+\Z")


def chains(facts: Sequence[Fact]) -> tuple[list[str], list[Fact]]:
    """A line for each chain of two hops and more, and the facts that are in none."""
    lines, rest = [], list[Fact]()
    at = 0
    while at < len(facts):
        names, after = _chain(facts, at)
        if len(names) > 2:
            lines.append(" -> ".join(names))
            at = after
        else:
            rest.append(facts[at])
            at += 1
    return lines, rest


def _chain(facts: Sequence[Fact], at: int) -> tuple[list[str], int]:
    """The names along the chain that begins at a fact, and where it is over."""
    names: list[str] = []
    if _ENTRY.match(facts[at].claim):
        names.append(facts[at].claim)
        at += 1
    end = ""
    while at < len(facts) and (hop := _HOP.match(facts[at].claim)) and end in ("", start := hop["start"] or hop["macro"]):
        names += [hop["end"]] if end else [start, hop["end"]]
        end = hop["end"]
        at += 1
    return names, at
