"""Addresses: the coverage points that /rawcover of syz-manager lists, as functions of the kernel that was measured.

A list of addresses means something for one build alone. So each has to be a coverage point of that kernel, or of a module. Where a function
jumps to KCOV at its end, KCOV sees the place behind the call of the function: some 5% of all addresses, which count for nothing. Any other
address shows that the kernel is another one. A symbol table knows the base name of a file at most, and that for functions local to it.
Whether such a function is the one of a changed file is for the evidence to say (hook.evidence.reach.observed).
"""

from __future__ import annotations

import bisect
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from hook import lazy_re
from hook.coverage.elf import Code, Symbols
from hook.coverage.observations import UNKNOWN_PLACE, NoCoverage, Tally

_CALL_BYTES = 5  # of x86_64: KCOV gives the address behind the call
# a call of x86_64 that ends here: near, or indirect with what it needs for its address
_CALL = lazy_re.compile(rb"(?s)(?:\xe8.{4}|\xff(?:[\x10-\x17\xd0-\xd7]|[\x14\x50-\x57].|\x54..|[\x15\x90-\x97].{4}|[\x14\x94].{5}))\Z")
_LONGEST_CALL = 7


def count(addresses: Iterable[int], kernel: Symbols, tally: Tally) -> None:
    """Add the functions of a kernel, reached or not. Raises NoCoverage where the addresses are of another kernel."""
    if kernel.points is None:
        raise NoCoverage("the kernel of fuzz.coverage_vmlinux is not of x86_64, or has no coverage points")
    reached = array("Q", sorted(_points(addresses, kernel.points, kernel.code)))
    at_place = Counter(function.address for function in kernel.functions)
    named = Counter((function.name, function.source) for function in kernel.functions)
    for function in kernel.functions:
        # of functions that the compiler has merged, or with the same name in files of the same name, none is certain
        if at_place[function.address] == 1 == named[function.name, function.source] and function.holds_any(kernel.points):
            tally.add(UNKNOWN_PLACE + function.source, function.name, int(function.holds_any(reached)))


def _points(addresses: Iterable[int], points: Sequence[int], code: Sequence[Code]) -> set[int]:
    """The coverage points that some addresses stand for. Raises NoCoverage."""
    reached = set()
    for address in addresses:
        point = next((place for place in (address - _CALL_BYTES, address) if _has(points, place)), None)
        if point is not None:
            reached.add(point)
        elif any(_is_other_code(address, section) for section in code):
            raise NoCoverage(f"{address:#x} is no coverage point of the kernel of fuzz.coverage_vmlinux: that is another build")
    return reached


def _is_other_code(address: int, section: Code) -> bool:
    """Whether an address is in a section, and not behind a call."""
    at = address - section.address
    return 0 <= at < len(section.data) and not _CALL.search(section.data[max(0, at - _LONGEST_CALL) : at])


def _has(points: Sequence[int], address: int) -> bool:
    at = bisect.bisect_left(points, address)
    return at < len(points) and points[at] == address
