"""The steps of a trajectory as text: a table with totals, or everything."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from hook.report.text import plain
from hook.trajectory import Span, totals

_WIDEST_NAME = 40


def table(spans: Sequence[Span]) -> Iterator[str]:
    """A line a span, then the totals of models and tools."""
    yield f"{'Seq':>7}  {'Type':6}  {'Seconds':>8}  {'Tokens':>8}  Name"
    for span in spans:
        tokens = span.input_tokens + span.output_tokens + span.output_thoughts_tokens
        name = plain(f"{'  ' * span.nesting}{span.name}")[:_WIDEST_NAME]
        took = f"{span.seconds:8.2f}" if span.finished else "  not over"
        yield f"{f'{span.seq}/{span.nesting}':>7}  {span.type:6}  {took}  {tokens or '':>8}  {name}{_gist(span)}"
    for kind, title in (("llm", "models"), ("tool", "tools")):
        found = totals(spans, kind)
        if found:
            yield ""
            yield f"{title:40}  {'calls':>6}  {'tokens':>9}  {'each':>7}  {'seconds':>8}  {'each':>7}"
        for name, (calls, tokens, seconds) in sorted(found.items()):
            yield f"{plain(name)[:40]:40}  {calls:6}  {tokens or '':>9}  {tokens // calls or '':>7}  {seconds:8.2f}  {seconds / calls:7.2f}"


def full(spans: Sequence[Span]) -> Iterator[str]:
    """Every field of every span."""
    for span in spans:
        took = f"{span.seconds:.3f} s" if span.finished else "not over"
        yield f"=== {span.seq}/{span.nesting} {span.type} {plain(span.name)} {span.started} {took}"
        for title, value in (
            ("Model", span.model),
            ("Error", span.error),
            ("Instruction", span.instruction),
            ("Prompt", span.prompt),
            ("Args", span.args),
            ("Results", span.results),
            ("Thoughts", span.thoughts),
            ("Reply", span.reply),
        ):
            if value not in (None, ""):
                yield f"{title}:"
                yield from (f"    {plain(line, tabs=True)}" for line in _lines(value))
        if span.input_tokens:
            yield f"Tokens: input {span.input_tokens}, output {span.output_tokens}, thoughts {span.output_thoughts_tokens}"
    yield ""
    yield from table(spans)


def _gist(span: Span) -> str:
    """What a reader in a hurry wants of a span: what went wrong, else what was asked."""
    if span.error:
        return f"  ! {plain(span.error)[:90]}"
    if span.type == "tool" and isinstance(span.args, dict):
        return f"  {plain(json.dumps(span.args, ensure_ascii=False))[:90]}"
    return f"  {plain(span.model)[:40]}" if span.model else ""


def _lines(value: Any) -> list[str]:
    """A value as lines; texts in a JSON value keep theirs."""
    if isinstance(value, str):
        return value.split("\n")
    if isinstance(value, dict):
        return [line for key, one in value.items() for line in (f"{key}:", *(f"    {line}" for line in _lines(one)))]
    return json.dumps(value, indent=1, ensure_ascii=False).split("\n")
