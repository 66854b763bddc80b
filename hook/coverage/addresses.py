"""Addresses: the coverage points that /rawcover of syz-manager lists, as functions of the kernel that was measured.

A list of addresses means something for one build alone. So each has to be a coverage point of that kernel, or of a module; one that is none
shows that the kernel is another one. A symbol table knows the file of a function that is local to it, without its directory, and of others
nothing: whether such a function is the one of a changed file is for the evidence to say (hook.evidence.reach.observed).
"""

from __future__ import annotations

import bisect
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence

from hook.coverage.elf import Symbols
from hook.coverage.observations import UNKNOWN_PLACE, NoCoverage, Tally

_CALL_BYTES = 5  # of x86_64: KCOV gives the address behind the call


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


def _points(addresses: Iterable[int], points: Sequence[int], code: Sequence[range]) -> set[int]:
    """The coverage points that some addresses stand for. Raises NoCoverage."""
    reached = set()
    for address in addresses:
        point = next((place for place in (address - _CALL_BYTES, address) if _has(points, place)), None)
        if point is not None:
            reached.add(point)
        elif any(address in addresses_of_code for addresses_of_code in code):
            raise NoCoverage(f"{address:#x} is no coverage point of the kernel of fuzz.coverage_vmlinux: that is another build")
    return reached


def _has(points: Sequence[int], address: int) -> bool:
    at = bisect.bisect_left(points, address)
    return at < len(points) and points[at] == address
