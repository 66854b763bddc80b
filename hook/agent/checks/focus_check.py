"""Aims: the functions that a model names, sorted into what a fuzzer can be aimed at and what only lies on a call path.

An aim has an address in the built kernel, KCOV instruments it, and not every program gets there; the evidence can tell of each function
whether that holds (hook.evidence.focus). What is moved, and why, is said.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

import msgspec

from hook.evidence.focus import focus_symbols, kcov
from hook.source.lookup import canonical
from hook.source.tree import Source
from hook.verdict import Fact, Verdict

if typing.TYPE_CHECKING:
    from hook.coverage.observations import Coverage

_INNER = ("__do_", "__se_")  # functions of a system call that the compiler puts into the one whose address is known


class Aims(msgspec.Struct, frozen=True):
    """What comes of the symbols that a model gave."""

    symbols: tuple[str, ...]
    via: tuple[str, ...]  # those of the evidence among them
    corrections: tuple[str, ...]


def settle(
    symbols_given: Sequence[str],
    paths: Mapping[str, str],
    verdict: Verdict,
    source: Source,
    target: str,
    most: int,
    coverage: Coverage | None = None,
) -> Aims:
    """The symbols sorted; `paths` tells the file that defines each. Where none is left, those of the evidence stand in."""
    symbols: dict[str, None] = {}
    via: dict[str, None] = dict.fromkeys(verdict.via)
    corrections: list[str] = []
    for name in symbols_given:
        known = name in paths
        hit = focus_symbols.hit(canonical(name), paths[name], source, target, coverage) if known else focus_symbols.Hit(name)
        if hit.why_not is None:
            is_entry = canonical(name) != name and not name.startswith(_INNER)
            symbol_name = name if is_entry else hit.symbol
            symbols[symbol_name] = None
            if symbol_name != name:
                corrections.append(f"FocusSymbols: {name} is {symbol_name} in a kernel for {target}")
            continue
        instead = [other for other in hit.instead if other not in symbols_given][:2]
        via[name] = None
        symbols.update(dict.fromkeys(instead))
        put = f", {' and '.join(instead)} in its place" if instead else ""
        corrections.append(f"FocusSymbols: {name} moved to Via{put}: {_told(hit.why_not)}")
    if symbols_given and not symbols and verdict.focus_symbols:
        symbols = dict.fromkeys(verdict.focus_symbols)
        corrections.append(f"FocusSymbols: {', '.join(verdict.focus_symbols[:3])} instead, by the evidence")
    return Aims(tuple(symbols)[:most], tuple(other for other in via if other not in symbols), tuple(corrections))


def instrumented(symbols: Sequence[str], where: Mapping[str, str], source: Source) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The symbols whose files KCOV instruments, or of which nothing is known, and what is said of the others."""
    left_out: dict[str, str] = {}
    for name in symbols:
        fact = kcov.uncovered(source, where[name]) if name in where else None
        if fact is not None:
            left_out[name] = f"FocusSymbols: {name} left out: {_told(fact)}"
    return tuple(name for name in symbols if name not in left_out), tuple(left_out.values())


def _told(fact: Fact) -> str:
    place = f"{fact.place.path}:{fact.place.line}"
    return f"{fact.claim} ({place}{f' {fact.text}' if fact.text else ''})"
