"""A series that was judged: as a table, as JSON, and as an HTML page with one row a patch."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

from hook.report import page
from hook.report.text import one_line, plain, table
from hook.verdict import Verdict, to_document

_TEMPLATES = pathlib.Path(__file__).parent / "templates"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What came of one patch: a verdict, or why there is none."""

    label: str
    verdict: Verdict | None
    why: str = ""
    failed: bool = False
    seconds: float = 0.0  # that judging took


@dataclasses.dataclass(frozen=True)
class Series:
    """The patches, each judged on the state before it, and all of them together as one change."""

    patches: tuple[Outcome, ...]
    whole: Outcome

    @property
    def symbols(self) -> list[str]:
        """What to aim at: of the whole first, then what only single patches name."""
        return self._union("focus_symbols")

    @property
    def options(self) -> list[str]:
        """Kernel options that the whole or a patch needs."""
        return self._union("enable_configs")

    @property
    def worth(self) -> int:
        """How many patches are worth fuzzing."""
        return sum(one.verdict is not None and one.verdict.worth_fuzzing for one in self.patches)

    def _union(self, field: str) -> list[str]:
        every = [one.verdict for one in (self.whole, *self.patches) if one.verdict is not None and one.verdict.worth_fuzzing]
        return list(dict.fromkeys(name for verdict in every for name in getattr(verdict, field)))


def lines(series: Series) -> list[str]:
    """A line a patch, then the whole."""
    found = table([(one.label, _said(one)) for one in series.patches])
    found.append("")
    found.append(f"{series.worth} of {len(series.patches)} patches worth fuzzing; all together: {plain(_said(series.whole))}")
    for title, names in (("aim at", series.symbols), ("kernel options", series.options)):
        if names:
            found.append(f"  {title}: {plain(', '.join(names))}")
    return found


def document(series: Series) -> dict[str, Any]:
    """The same as a JSON value."""
    return {
        "Patches": [_document(one) for one in series.patches],
        "Series": _document(series.whole),
        "FocusSymbols": series.symbols,
        "EnableConfigs": series.options,
    }


def render(title: str, series: Series) -> str:
    """The page."""
    style = (_TEMPLATES / "page.css").read_text("utf-8").strip()
    rows = []
    for number, one in enumerate((*series.patches, series.whole), 1):
        verdict = to_document(one.verdict) if one.verdict is not None else {}
        facts = [(fact.claim, f"{fact.place.path}:{fact.place.line}" if fact.place.line else fact.place.path, fact.text)
                 for fact in (one.verdict.evidence if one.verdict is not None else ())]
        rows.append({
            "number": number, "label": one.label, "worth": page.worth(verdict), "headline": page.headline(verdict), "verdict": verdict,
            "why": one.why, "facts": facts,
        })
    return page.environment().get_template("series.html").render(
        title=title,
        policy=f"default-src 'none'; style-src '{page.allowed(style)}'; base-uri 'none'; form-action 'none'",
        style=style, rows=rows[:-1], whole=rows[-1], worth=series.worth, symbols=series.symbols, options=series.options,
    )


def _said(one: Outcome) -> str:
    return one_line(one.verdict) if one.verdict is not None else one.why


def _document(one: Outcome) -> dict[str, Any]:
    return {"Label": one.label, **(to_document(one.verdict) if one.verdict is not None else {"NoVerdict": one.why})}
