"""Seeds: the programs of a syzkaller checkout that make a call which matters, to start the corpus with."""

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
    calls: tuple[str, ...]  # those that matter


def find(checkout: str, calls: Collection[str], arch: str) -> list[Seed]:
    """The programs for `arch` (as syzkaller names it) that make most of `calls`, the best first."""
    found = sorted(_all(checkout, frozenset(calls), arch), key=lambda seed: (-len(seed.calls), seed.path))
    return found[:_MOST_SEEDS]


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
        made = tuple(dict.fromkeys(call for call in _CALL.findall(text) if call in calls))
        if made:
            yield Seed(f"{FOLDER}/test/{name}", data, made)
