"""A series that was judged: as a table, as JSON, and as an HTML page with one row a patch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hook.report import page
from hook.report.text import one_line, paragraph, plain, table, tally
from hook.verdict import Verdict, each_once, to_document


class JudgedPatch(msgspec.Struct, frozen=True):
    """What came of one patch: a verdict, or why there is none."""

    label: str
    verdict: Verdict | None
    why: str = ""
    failed: bool = False
    seconds: float = 0.0  # that judging took
    diff: str = ""  # for a page


class JudgedSeries(msgspec.Struct, frozen=True):
    """The patches, each judged on the state before it, and all of them together as one change."""

    patches: tuple[JudgedPatch, ...]
    whole: JudgedPatch
    title: str = ""  # of its cover letter

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
        """How many patches are worth fuzzing, open, and not; of those that were judged."""
        count, judged = len(self.patches), sum(not patch.failed for patch in self.patches)
        if not judged:
            return f"0 of {count} judged"
        title = f"{judged} of {count} judged" if judged < count else f"{count} {'patch' if count == 1 else 'patches'}"
        return f"{title}: {tally(patch.verdict for patch in self.patches if patch.verdict)}"

    def _union(self, field: str) -> list[str]:
        every = [patch.verdict for patch in (self.whole, *self.patches) if patch.verdict is not None and patch.verdict.worth_fuzzing]
        return list(each_once(getattr(verdict, field) for verdict in every))


def lines(series: JudgedSeries, *, verbose: bool = False) -> list[str]:
    """A line a patch, or every fact on each; then the whole."""
    if verbose:
        rows = [line for patch in (*series.patches, series.whole) for line in _facts(patch)]
    else:
        rows = table([(patch.label, _sentence(patch)) for patch in series.patches])
    rows.append("")
    rows.append(f"{series.tally}; all together: {plain(_sentence(series.whole))}")
    whole = series.whole.verdict
    shown = [list(whole.focus_symbols), list(whole.enable_configs)] if whole is not None and whole.focus_symbols else []
    for title, names in (("focus symbols", series.symbols), ("kernel options", series.options), ("devices", series.devices)):
        if names and names not in shown:
            rows.append(f"  {title}: {plain(', '.join(names))}")
    return rows


def document(series: JudgedSeries) -> dict[str, Any]:
    """The same as a JSON value."""
    return {
        "Patches": [_document(patch) for patch in series.patches],
        "Series": _document(series.whole),
        "FocusSymbols": series.symbols,
        "EnableConfigs": series.options,
        "Devices": series.devices,
    }


def render(title: str, series: JudgedSeries, runs: Mapping[int, str]) -> str:
    """The page. `runs` are addresses, relative to it, of pages on how a model judged a patch, by the patch's place."""
    rows = [_row(number, patch, runs.get(number - 1, "")) for number, patch in enumerate((*series.patches, series.whole), 1)]
    patches = rows[:-1]
    return page.written(
        "series.html",
        title=title,
        rows=patches,
        whole=rows[-1],
        tally=series.tally,
        union=[("Focus symbols", series.symbols), ("Kernel options", series.options), ("Devices", series.devices)],
        copies=page.copies(series.symbols, series.options),
        open=[row for row in patches if row["worth"] == "open" or row["failed"]],
        tokens=sum(row["tokens"] for row in rows),
        seconds=sum(row["seconds"] for row in rows),
    )


def _row(number: int, patch: JudgedPatch, run: str) -> dict[str, Any]:
    verdict = to_document(patch.verdict) if patch.verdict is not None else {}
    facts = [
        (fact.claim, f"{fact.place.path}:{fact.place.line}" if fact.place.line else fact.place.path, fact.text)
        for fact in (patch.verdict.evidence if patch.verdict is not None else ())
    ]
    return {
        "number": number,
        "label": patch.label,
        "worth": page.worth(verdict),
        "headline": page.headline(verdict),
        "verdict": verdict,
        "why": patch.why,
        "failed": patch.failed,
        "facts": facts,
        "tokens": patch.verdict.tokens.total if patch.verdict is not None else 0,
        "seconds": patch.seconds,
        "run": run,
        "files": list(page.files(patch.diff, verdict)),
    }


def _facts(patch: JudgedPatch) -> list[str]:
    lines = paragraph(patch.verdict, verbose=True) if patch.verdict is not None else [plain(patch.why)]
    return [plain(patch.label), *(f"  {line}" for line in lines)]


def _sentence(patch: JudgedPatch) -> str:
    return one_line(patch.verdict) if patch.verdict is not None else patch.why


def _document(patch: JudgedPatch) -> dict[str, Any]:
    return {"Label": patch.label, **(to_document(patch.verdict) if patch.verdict is not None else {"NoVerdict": patch.why})}
