"""A call path to changed code as one line for a person: `system call munlock -> sys_munlock -> mlock_fixup`.

A call path comes as facts, a hop each, from user space down: first what registers its tables at boot, then the entry point, a
system call or a member of a table, and what it calls. A hop begins with a function that the claim before it names; that is how they are
known to belong together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hook import lazy_re
from hook.verdict import Fact

_CALLED = lazy_re.compile(r"system call \w+\Z")
_MEMBER = lazy_re.compile(r"(?P<what>[^()]*): (?P<name>\w+)\(\) is \.(?P<member>\w+) of struct \w+ (?P<table>\w+)\Z")
_LISTED = lazy_re.compile(r"(?P<what>[^():]*): (?P<name>\w+)\(\) is (?:in|a kfunc of) [^()]*\Z")
_READY = lazy_re.compile(r"(?:[^()]*: )?\w+\(\) (?:runs at boot|passes \w+ to \w+\(\)|sets \w+ to \w+)\Z|\w+ is (?:\.\w+ of|in) [\w. ]+\Z")
_HOP = lazy_re.compile(
    r"(?:[^()]*: )?(?:macro )?(?P<start>\w+)(?:\(\)| stands for) "
    r"(?:passes (?P<given>\w+)\(\) to \w+\(\)(?:, which calls it)?|(?:\S.*?)?\b(?P<end>\w+)(?:\(\))?)\Z"
)


def chains(facts: Sequence[Fact]) -> tuple[list[str], list[Fact]]:
    """A line for each call path, and the facts that are part of none."""
    lines, rest = [], list[Fact]()
    at = 0
    while at < len(facts):
        line, after = _call_path(facts, at)
        if line:
            lines.append(line)
            at = after
        else:
            rest.append(facts[at])
            at += 1
    return lines, rest


def _call_path(facts: Sequence[Fact], at: int) -> tuple[str, int]:
    """The line of the call path that begins at a fact, empty where none does, and where it ends."""
    entry, names, before = "", list[str](), ""
    while at < len(facts):
        claim = facts[at].claim
        if _CALLED.match(claim):
            entry, names = claim, []
        elif member := _MEMBER.match(claim):
            entry, names = f"{member['what']} -> {member['table']}.{member['member']}", [member["name"]]
        elif listed := _LISTED.match(claim):
            entry, names = listed["what"], [listed["name"]]
        elif _READY.match(claim):
            entry, names = "", []
        elif (hop := _HOP.match(claim)) and (names or entry) and (not names or hop["start"] in re.findall(r"\w+", before)):
            names += [hop["given"] or hop["end"]] if names and names[-1] == hop["start"] else [hop["start"], hop["given"] or hop["end"]]
        else:
            break
        before = claim
        at += 1
    return (" -> ".join((entry, *names)), at) if entry and names else ("", at)
