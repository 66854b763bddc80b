"""Seeds: the test programs of a syzkaller checkout with one of the plan's calls, to start the corpus."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Collection, Iterator
from typing import NamedTuple

from hook import lazy_re
from hook.syzlang.checkout import FOLDER, plain_file

_MOST_SEEDS = 40
_MOST_FILES = 5000
_MOST_BYTES = 256 << 10  # of one
_CALL = lazy_re.compile(r"(?m)^(?:r\d+ = )?([a-z_]\w*(?:\$[\w$]+)?)\(")
_FOR_ARCH = lazy_re.compile(r"(?m)^# *requires:.*\barch=([\w,]+)")


class Seed(NamedTuple):
    """A program."""

    path: str  # in the checkout
    data: bytes
    calls: tuple[str, ...]  # those of the plan


def find(checkout: str, calls: Collection[str], arch: str) -> list[Seed]:
    """The programs for `arch` (syzkaller's name) with any of `calls`, those with the most first."""
    programs = sorted(_all(checkout, frozenset(calls), arch), key=lambda seed: (-len(seed.calls), seed.path))
    return programs[:_MOST_SEEDS]


def _all(checkout: str, calls: frozenset[str], arch: str) -> Iterator[Seed]:
    folder = pathlib.Path(checkout) / FOLDER / "test"
    try:
        names = sorted(os.listdir(folder))[:_MOST_FILES]
    except OSError:
        return
    for name in names:
        data = plain_file(folder / name, _MOST_BYTES)
        text = data.decode("utf-8", "replace")
        arches = _FOR_ARCH.search(text)
        if arches and arch not in arches[1].split(","):
            continue
        useful_calls = tuple(dict.fromkeys(call for call in _CALL.findall(text) if call in calls))
        if useful_calls:
            yield Seed(f"{FOLDER}/test/{name}", data, useful_calls)
