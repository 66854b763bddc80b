"""The charts of the trajectory page: how long each step took, and what each question to a model cost. Only geometry; the template draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from hook.trajectory import Span

WIDTH, HEIGHT = 1000, 100  # of the drawing, in its own units
_LEAST = 0.6  # height of a bar that stands for something


class ChartBar(msgspec.Struct, frozen=True):
    """A rectangle, its kind (for its colour) and what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    says: str


class Chart(msgspec.Struct, frozen=True):
    """Bars side by side, the kinds that occur, and one sentence for who does not see them."""

    bars: tuple[ChartBar, ...]
    kinds: tuple[str, ...]
    says: str


def durations(spans: Sequence[Span]) -> Chart | None:
    """A bar for each question to a model and each call of a tool; None where no time is known."""
    steps = [span for span in spans if span.type in ("llm", "tool")]
    longest = max(steps, key=lambda span: span.seconds, default=None)
    if longest is None or not longest.seconds:
        return None
    summary = (
        f"{len(steps)} steps took {sum(span.seconds for span in steps):.1f} s together; "
        f"the longest was step {longest.seq}, {longest.name}, with {longest.seconds:.1f} s"
    )
    return _chart(steps, lambda span: [(span.type, span.seconds, f"{span.seconds:.2f} s")], summary)


def tokens(spans: Sequence[Span]) -> Chart | None:
    """A bar for each question to a model: what went in, what came out, what was thought; None where nothing was counted."""
    steps = [span for span in spans if span.type == "llm"]
    total = [sum(getattr(span, name) for span in steps) for name in ("input_tokens", "output_tokens", "output_thoughts_tokens")]
    if not any(total):
        return None
    summary = f"{len(steps)} questions cost {total[0]:,} tokens of input, {total[1]:,} of output and {total[2]:,} of thoughts"

    def parts(span: Span) -> list[tuple[str, float, str]]:
        counts = (("input", span.input_tokens), ("output", span.output_tokens), ("thoughts", span.output_thoughts_tokens))
        return [(kind, float(count), f"{count:,} tokens of {kind}") for kind, count in counts]

    return _chart(steps, parts, summary)


def _chart(steps: Sequence[Span], parts: Callable[[Span], list[tuple[str, float, str]]], says: str) -> Chart:
    most = max(sum(max(0.0, value) for _, value, _ in parts(span)) for span in steps) or 1.0
    each = WIDTH / len(steps)
    bars = []
    for number, span in enumerate(steps):
        top = float(HEIGHT)
        for kind, value, text in parts(span):
            if value > 0:
                height = max(_LEAST, value / most * HEIGHT)
                top -= height
                bars.append(
                    ChartBar(
                        round(number * each, 2),
                        round(top, 2),
                        round(each * 0.8, 2),
                        round(height, 2),
                        kind,
                        f"step {span.seq}, {span.name}: {text}",
                    )
                )
    return Chart(tuple(bars), tuple(dict.fromkeys(bar.kind for bar in bars)), says)
