"""A verdict as text: one line first, then why."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterable, Sequence

from hook import lazy_re
from hook.report.chain import chains
from hook.verdict import Answer, DecidedBy, Lack, State, Verdict, headline

_FACTS_SHOWN = 5
_CHAINS_SHOWN = 3
_NAMES_SHOWN = 8  # in one line
_LACKING = {
    str(Lack.SEARCH): "only the short search was made",
    str(Lack.INDEX): "there is no complete word index (`patch-triage status` says why, `patch-triage index` builds it)",
    str(Lack.OBJECTS): "this partial clone lacks files of the change",
    str(Lack.TIME): "it took too long",
}
# a line of a log that begins like this, or holds the second anywhere, is a command to GitHub Actions, Azure Pipelines or TeamCity
_COMMAND = lazy_re.compile(r"\A(\s*):(?=:)|#(?=#\w{0,20}\[)")
# Terminals obey these: bidi overrides, isolates and marks can make text read other than it is (CVE-2021-42574)
BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def plain(text: str, *, tabs: bool = False) -> str:
    """A line as it may be printed, to a terminal or to the log of a CI job.

    Without control, format (bidi, zero-width) and unpaired surrogate characters; a line break becomes a space, and so does a tab unless
    `tabs`. What a CI job would take for a command is broken by a space.
    """
    spaces = "\n" if tabs else "\n\t"
    shown = "".join(" " if char in spaces else char if char == "\t" or not _is_control(char) else "" for char in text)
    return _COMMAND.sub(lambda match: f"{match[0]} ", shown) if "::" in shown or "##" in shown else shown


def _is_control(char: str) -> bool:
    return char in BIDI or unicodedata.category(char) in ("Cc", "Cf", "Cs", "Co")


def one_line(verdict: Verdict) -> str:
    """The verdict as one line."""
    return plain(headline(verdict))


def tally(verdicts: Iterable[Verdict]) -> str:
    """How many are worth fuzzing by proof or by a model, left open, and not worth it."""
    worth = left_open = harmless = 0
    for verdict in verdicts:
        if verdict.decided_by is DecidedBy.DEFAULT:
            left_open += 1
        elif verdict.worth_fuzzing:
            worth += 1
        else:
            harmless += 1
    return f"{worth} worth fuzzing, {left_open} open, {harmless} not"


def paragraph(verdict: Verdict, *, verbose: bool = False, colour: bool = False) -> list[str]:
    """The verdict as a person reads it: the headline, then the facts that carry it."""
    most = None if verbose else _NAMES_SHOWN
    head = one_line(verdict)
    if verdict.state is not State.FINAL:
        head = f"{head} [{verdict.state}]"
    lines = [_coloured(head, verdict) if colour else head]
    # what stays open is what a reader wants to see; the harmless rest only where nothing is open
    reached, rest = chains(verdict.evidence)
    facts = list(verdict.evidence) if verbose else rest
    shown = facts if verbose else facts[:_FACTS_SHOWN]
    for fact in shown:
        where = f"{fact.place.path}:{fact.place.line}" if fact.place.line else fact.place.path
        lines.append(f"  {plain(where)}  {plain(fact.claim)}")
    if len(shown) < len(facts):
        lines.append(f"  and {len(facts) - len(shown)} more (see -v)")
    for chain in reached[: None if verbose else _CHAINS_SHOWN]:
        lines.append(f"  reached: {plain(chain)}")
    if Answer.NO not in (verdict.functional, verdict.reachable):
        claims = "\n".join(fact.claim for fact in shown)  # what they say already is not said again
        if any(f"{name} changed" not in claims for name in verdict.change_classes):
            lines.append(f"  kind of change: {plain(_listed(verdict.change_classes, most))}")
        if any(f"{name}()" not in claims for name in verdict.changed_functions):
            lines.append(f"  changed functions: {plain(_listed(verdict.changed_functions, most))}")
        if callers := [name for name in verdict.via if name not in verdict.changed_functions]:
            lines.append(f"  callers on the call path: {plain(_listed(callers, most))}")
        if verdict.devices:
            lines.append(f"  devices that run it: {plain(_listed(verdict.devices, most))}")
        if verbose and verdict.qemu_args:
            lines.append(f"  QEMU: {plain(verdict.qemu_args)}")
        if verbose and verdict.kernel_parameters:
            lines.append(f"  kernel parameters: {plain(' '.join(verdict.kernel_parameters))}")
        for name, reason in list(verdict.config_reasons.items())[:most]:
            where = f" ({reason.path}:{reason.line})" if reason.path and reason.line else ""
            lines.append(f"  needs {plain(f'{name} to {reason.purpose} it: {reason.why}{where}')}")
    if verdict.decided_by is DecidedBy.AGENT or (verbose and verdict.decided_by is DecidedBy.DEFAULT):
        lines += [
            f"  {plain(part)}"
            for part in verdict.reasoning.replace(" Open: not known: ", " Open: ").replace(" Open: ", "\nopen: ").split("\n")
        ]
    if verdict.needs_kmsan:
        is_shown = any(fact.claim and verdict.kmsan_reasoning.startswith(fact.claim) for fact in shown)
        lines.append(f"  needs KMSAN: {plain((is_shown and verdict.kmsan_reasoning.partition('). ')[2]) or verdict.kmsan_reasoning)}")
    elif verbose and verdict.kmsan_reasoning:
        lines.append(f"  KMSAN: {plain(verdict.kmsan_reasoning)}")
    lines += [f"  the author says, which is no evidence: {plain(title)}" for title in verdict.author_says]
    if verdict.decided_by is DecidedBy.AGENT:
        lines.append(f"  {plain(_cost(verdict))}")
    lines += [f"  {plain(remark)}" for remark in _remarks(verdict)]
    if verbose:
        lines.append(f"  functional: {verdict.functional}, reachable: {verdict.reachable}, decided by: {verdict.decided_by}")
        lines.append(f"  ChangeId {verdict.change_id}")
    return lines


def _remarks(verdict: Verdict) -> list[str]:
    """What a reader should know of how far a verdict can be trusted."""
    incomplete = ", ".join(_LACKING.get(lack, lack) for lack in verdict.lacks)
    return [
        *([f"incomplete: {incomplete}"] if incomplete else []),
        *(f"the model contradicts a proof: {dispute}" for dispute in verdict.disputes),
        *(f"corrected: {correction}" for correction in verdict.corrections),
        *(f"assumed: {assumption}" for assumption in verdict.assumptions),
    ]


def _listed(names: Sequence[str], most: int | None) -> str:
    more = len(names) - len(names[:most])
    return ", ".join(names[:most]) + (f" and {more} more" if more else "")


def _cost(verdict: Verdict) -> str:
    tokens = verdict.tokens
    total = tokens.input + tokens.output + tokens.thoughts
    about = "about " if tokens.estimated else ""
    return f"decided by {verdict.model or 'a model'}" + (f", {about}{total:,} tokens" if total else ", as answered before")


def table(rows: Sequence[tuple[str, str]]) -> list[str]:
    """Several changes: (label, verdict or what is said instead of one), a line each."""
    width = min(60, max((len(plain(label)) for label, _ in rows), default=0))
    return [f"{_fitted(plain(label), width)}  {plain(sentence)}" for label, sentence in rows]


def columns(rows: Sequence[Sequence[str]], left: int) -> list[str]:
    """Rows of as many cells each, a line each; the first `left` columns begin, the others end, at the same place."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(cell.ljust(width) if at < left else cell.rjust(width) for at, (cell, width) in enumerate(cells)).rstrip())
    return lines


def coloured(setting: str) -> bool:
    """Whether to colour what goes to stdout, by the setting `output.colour`, no-color.org, force-color.org and the terminal."""
    import os

    if setting == "auto":
        if os.environ.get("NO_COLOR"):
            return False
        shown = sys.stdout.isatty() or os.environ.get("GIT_PAGER_IN_USE") == "true"
        return bool(os.environ.get("FORCE_COLOR")) or (shown and os.environ.get("TERM") != "dumb")
    return setting == "always"


def _coloured(text: str, verdict: Verdict) -> str:
    if Answer.NO in (verdict.functional, verdict.reachable):
        return f"\033[32m{text}\033[m"
    return f"\033[33m{text}\033[m"


def _fitted(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else text[: width - 1] + "…"
