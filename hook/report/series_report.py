"""A series that was judged: as a table, as JSON, and as an HTML page with one row a patch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hook.report import page
from hook.report.text import one_line, paragraph, plain, table, tally
from hook.verdict import Verdict, to_document


class JudgedPatch(msgspec.Struct, frozen=True):
    """What came of one patch: a verdict, or why there is none."""

    label: str
    verdict: Verdict | None
    why: str = ""
    failed: bool = False
    seconds: float = 0.0  # that judging took


class JudgedSeries(msgspec.Struct, frozen=True):
    """The patches, each judged on the state before it, and all of them together as one change."""

    patches: tuple[JudgedPatch, ...]
    whole: JudgedPatch

    @property
    def symbols(self) -> list[str]:
        """What to aim at: of the whole first, then what only single patches name."""
        return self._union("focus_symbols")

    @property
    def options(self) -> list[str]:
        """Kernel options that the whole or a patch needs."""
        return self._union("enable_configs")

    @property
    def devices(self) -> list[str]:
        """What makes the changed code run."""
        return self._union("devices")

    @property
    def tally(self) -> str:
        """How many patches are worth fuzzing, open, and not."""
        missing = sum(one.failed for one in self.patches)
        more = f", {missing} not judged" if missing else ""
        count = len(self.patches)
        return f"{count} {'patch' if count == 1 else 'patches'}: {tally(one.verdict for one in self.patches if one.verdict)}{more}"

    def _union(self, field: str) -> list[str]:
        every = [one.verdict for one in (self.whole, *self.patches) if one.verdict is not None and one.verdict.worth_fuzzing]
        return list(dict.fromkeys(name for verdict in every for name in getattr(verdict, field)))


def lines(series: JudgedSeries, *, verbose: bool = False) -> list[str]:
    """A line a patch, or every fact on each; then the whole."""
    if verbose:
        found = [line for one in (*series.patches, series.whole) for line in _facts(one)]
    else:
        found = table([(one.label, _said(one)) for one in series.patches])
    found.append("")
    found.append(f"{series.tally}; all together: {plain(_said(series.whole))}")
    for title, names in (("aim at", series.symbols), ("kernel options", series.options), ("devices", series.devices)):
        if names:
            found.append(f"  {title}: {plain(', '.join(names))}")
    return found


def document(series: JudgedSeries) -> dict[str, Any]:
    """The same as a JSON value."""
    return {
        "Patches": [_document(one) for one in series.patches],
        "Series": _document(series.whole),
        "FocusSymbols": series.symbols,
        "EnableConfigs": series.options,
        "Devices": series.devices,
    }


def render(title: str, series: JudgedSeries, runs: Mapping[int, str]) -> str:
    """The page. `runs` are addresses, relative to it, of pages on how a model judged a patch, by the patch's place."""
    rows = [_row(number, one, runs.get(number - 1, "")) for number, one in enumerate((*series.patches, series.whole), 1)]
    patches = rows[:-1]
    return page.written(
        "series.html",
        title=title,
        rows=patches,
        whole=rows[-1],
        tally=series.tally,
        union=[("Aim at, of all", series.symbols), ("Kernel options, of all", series.options), ("Devices, of all", series.devices)],
        open=[row for row in patches if row["worth"] == "open" or row["failed"]],
        tokens=sum(row["tokens"] for row in rows),
        seconds=sum(row["seconds"] for row in rows),
    )


def _row(number: int, one: JudgedPatch, run: str) -> dict[str, Any]:
    verdict = to_document(one.verdict) if one.verdict is not None else {}
    facts = [
        (fact.claim, f"{fact.place.path}:{fact.place.line}" if fact.place.line else fact.place.path, fact.text)
        for fact in (one.verdict.evidence if one.verdict is not None else ())
    ]
    return {
        "number": number,
        "label": one.label,
        "worth": page.worth(verdict),
        "headline": page.headline(verdict),
        "verdict": verdict,
        "why": one.why,
        "failed": one.failed,
        "facts": facts,
        "tokens": one.verdict.tokens.total if one.verdict is not None else 0,
        "seconds": one.seconds,
        "run": run,
    }


def _facts(one: JudgedPatch) -> list[str]:
    said = paragraph(one.verdict, verbose=True) if one.verdict is not None else [plain(one.why)]
    return [plain(one.label), *(f"  {line}" for line in said)]


def _said(one: JudgedPatch) -> str:
    return one_line(one.verdict) if one.verdict is not None else one.why


def _document(one: JudgedPatch) -> dict[str, Any]:
    return {"Label": one.label, **(to_document(one.verdict) if one.verdict is not None else {"NoVerdict": one.why})}
