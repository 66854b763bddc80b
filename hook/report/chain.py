"""A call path to changed code as one line for a person: `system call munlock -> sys_munlock -> mlock_fixup`.

A call path comes as facts, a hop each, from user space down: first what registers its tables at boot, then the entry point, a
system call or a member of a table, and what it calls. A hop begins with a function that the claim before it names; that is how they are
known to belong together.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hook import lazy_re
from hook.verdict import Fact

_CALLED = lazy_re.compile(r"system call \w+\Z")
_MEMBER = lazy_re.compile(r"(?P<what>[^()]*): (?P<name>\w+)\(\) is \.(?P<member>\w+) of struct \w+ (?P<table>\w+)\Z")
_WORD = lazy_re.compile(r"\w+")
_LISTED = lazy_re.compile(r"(?P<what>[^():]*): (?P<name>\w+)\(\) is (?:in|a kfunc of) [^()]*\Z")
_READY = lazy_re.compile(r"(?:[^()]*: )?\w+\(\) (?:runs at boot|passes \w+ to \w+\(\)|sets \w+ to \w+)\Z|\w+ is (?:\.\w+ of|in) [\w. ]+\Z")
_HOP = lazy_re.compile(
    r"(?:[^()]*: )?(?:macro )?(?P<start>\w+)(?:\(\)| stands for) "
    r"(?:passes (?P<given>\w+)\(\) to \w+\(\)(?:, which calls it)?|(?:\S.*?)?\b(?P<end>\w+)(?:\(\))?)\Z"
)


class ChainHop(msgspec.Struct, frozen=True):
    """What a call path passes: an entry point, a member of a table or a function; and the fact that says so."""

    name: str
    fact: Fact


def chains(facts: Sequence[Fact]) -> tuple[list[str], list[Fact]]:
    """A line for each call path, and the facts that are part of none."""
    paths, rest = call_paths(facts)
    return [" -> ".join(hop.name for hop in path) for path in paths], rest


def call_paths(facts: Sequence[Fact]) -> tuple[list[tuple[ChainHop, ...]], list[Fact]]:
    """Each call path, from user space down, and the facts that are part of none."""
    paths, rest = [], list[Fact]()
    at = 0
    while at < len(facts):
        path, after = _call_path(facts, at)
        if path:
            paths.append(path)
            at = after
        else:
            rest.append(facts[at])
            at += 1
    return paths, rest


def _call_path(facts: Sequence[Fact], at: int) -> tuple[tuple[ChainHop, ...], int]:
    """The call path that begins at a fact, empty where none does, and where it ends."""
    entry, names, before = list[str](), list[str](), ""
    passed: list[Fact] = []  # the fact of each entry and name
    while at < len(facts):
        claim = facts[at].claim
        if _CALLED.match(claim):
            entry, names, passed = [claim], [], []
        elif member := _MEMBER.match(claim):
            entry, names, passed = [member["what"], f"{member['table']}.{member['member']}"], [member["name"]], []
        elif listed := _LISTED.match(claim):
            entry, names, passed = [listed["what"]], [listed["name"]], []
        elif _READY.match(claim):
            entry, names, passed = [], [], []
        elif (hop := _HOP.match(claim)) and (names or entry) and (not names or hop["start"] in _WORD.findall(before)):
            names += [hop["given"] or hop["end"]] if names and names[-1] == hop["start"] else [hop["start"], hop["given"] or hop["end"]]
        else:
            break
        passed += [facts[at]] * (len(entry) + len(names) - len(passed))
        before = claim
        at += 1
    hops = tuple(map(ChainHop, (*entry, *names), passed))
    return (hops, at) if entry and names else ((), at)
