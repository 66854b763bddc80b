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
        yield f"{f'{span.seq}/{span.nesting}':>7}  {span.type:6}  {took}  {tokens or '':>8}  {name}{_short(span)}"
    for kind, title in (("llm", "models"), ("tool", "tools")):
        sums = totals(spans, kind)
        if sums:
            yield ""
            yield f"{title:40}  {'calls':>6}  {'tokens':>9}  {'each':>7}  {'seconds':>8}  {'each':>7}"
        for name, (calls, tokens, seconds) in sorted(sums.items()):
            yield f"{plain(name)[:40]:40}  {calls:6}  {tokens or '':>9}  {tokens // calls or '':>7}  {seconds:8.2f}  {seconds / calls:7.2f}"


def _short(span: Span) -> str:
    text = f"! {gist(span)}" if span.error else gist(span) if span.type == "tool" else span.model
    return f"  {plain(text)[:90]}" if text else ""


def full(spans: Sequence[Span]) -> Iterator[str]:
    """Every field of every span."""
    for span in spans:
        took = f"{span.seconds:.3f} s" if span.finished else "not over"
        yield f"=== {span.seq}/{span.nesting} {span.type} {plain(span.name)} {span.started} {took}"
        for title, text in parts(span):
            yield f"{title}:"
            yield from (f"    {plain(line, tabs=True)}" for line in text.split("\n"))
    yield ""
    yield from table(spans)


def parts(span: Span) -> Iterator[tuple[str, str]]:
    """The fields of a span that hold something, each with its title."""
    spent = f"input {span.input_tokens:,}, output {span.output_tokens:,}, thoughts {span.output_thoughts_tokens:,}"
    for title, value in (
        ("Error", span.error),
        ("Model", span.model),
        ("Args", span.args),
        ("Results", span.results),
        ("Instruction", span.instruction),
        ("Prompt", span.prompt),
        ("Reply", span.reply),
        ("Tokens", spent if span.input_tokens or span.output_tokens else ""),
        ("Thoughts", span.thoughts),
    ):
        if value not in (None, "", {}, []):
            yield title, readable(value)


def gist(span: Span) -> str:
    """What a reader in a hurry wants of a span: what went wrong, else what was asked or answered."""
    text = span.error or span.reply or span.thoughts
    if not span.error and span.type == "tool" and isinstance(span.args, dict):
        text = ", ".join(str(value) for value in span.args.values() if isinstance(value, (str, int)) and value != "")
    return text.split("\n")[0][:160]


def readable(value: Any) -> str:
    """A value of a step as text: the texts in it keep their lines."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value:
        return "\n".join(
            f"{key}:{chr(10) if isinstance(entry, str) and chr(10) in entry else ' '}{_inner(entry)}" for key, entry in value.items()
        )
    return json.dumps(value, ensure_ascii=False)


def _inner(value: Any) -> str:
    if isinstance(value, list) and value and all(isinstance(entry, str) for entry in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
