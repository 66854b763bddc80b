"""`patch-triage spend`: what was spent on models, by day, model and repository."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

import msgspec

from hook.commands import DONE, Command, WrongUse, print_document, repository
from hook.commands.command_line import add_format
from hook.report.text import columns
from hook.source.git import find
from hook.verdict import Tokens


def register(command: Command) -> None:
    sub = command("spend", spend, "print what models have cost, by day, model and repository")
    sub.add_argument("directory", nargs="*", metavar="DIR", help="repositories (default: that of the current directory)")
    sub.add_argument("--days", type=int, default=30, metavar="N", help="the last N days on which a model was asked (30)")
    add_format(sub)


class SpendRow(msgspec.Struct, frozen=True):
    """What one model has cost on one day in one repository."""

    day: str  # UTC
    repo: str
    model: str
    requests: int = 0
    changes: frozenset[str] = frozenset()  # ChangeIds
    tokens: Tokens = msgspec.field(default_factory=Tokens)
    money: float = 0.0
    open: int = 0  # requests whose answer never came to be counted: at the most that they can have cost


def spend(options: argparse.Namespace) -> int:
    """Print the table."""
    if options.days < 1:
        raise WrongUse("--days takes a number from 1 on")
    if options.directory and options.repo:
        raise WrongUse("spend takes directories or --repo DIR")
    places = [find(pathlib.Path(name)) for name in options.directory] or [repository(options)]
    rows = [row for repo in dict.fromkeys(place.common_dir for place in places) for row in _rows(repo, options.days)]
    if options.format != "text":
        print_document([_document(row) for row in rows], options.format)
        return DONE
    if not rows:
        print("no model was asked here")
        return DONE
    print("\n".join(_table(rows)))
    return DONE


def _rows(common_dir: pathlib.Path, days: int) -> list[SpendRow]:
    from hook.agent import ledger

    name = str(common_dir.parent if common_dir.name == ".git" else common_dir)
    rows: dict[tuple[str, str], SpendRow] = {}
    for day, line in ledger.read(common_dir / "patch-triage" / "ledger", days):
        row = rows.get((day, line.model), SpendRow(day, name, line.model))
        rows[day, line.model] = msgspec.structs.replace(
            row,
            requests=row.requests + 1,
            changes=row.changes | {line.change_id},
            tokens=row.tokens + line.tokens,
            money=row.money + line.money,
            open=row.open + (not line.settled),
        )
    return [rows[key] for key in sorted(rows)]


def _document(row: SpendRow) -> dict[str, object]:
    return {
        "Day": row.day,
        "Repo": row.repo,
        "Model": row.model,
        "Requests": row.requests,
        "Changes": len(row.changes),
        "Input": row.tokens.input,
        "Output": row.tokens.output,
        "Thoughts": row.tokens.thoughts,
        "Estimated": row.tokens.estimated,
        "Money": round(row.money, 6),
        "Open": row.open,
    }


def _table(rows: Sequence[SpendRow]) -> list[str]:
    head = ("day (UTC)", "model", "repository", "changes", "requests", "input", "output", "thoughts", "money")
    total = SpendRow("all", "", "")
    for row in rows:
        total = msgspec.structs.replace(
            total, requests=total.requests + row.requests, changes=total.changes | row.changes, tokens=total.tokens + row.tokens,
            money=total.money + row.money, open=total.open + row.open,
        )  # fmt: skip
    lines = columns([head, *(_cells(row) for row in (*rows, *([total] if len(rows) > 1 else [])))], 3)
    if total.tokens.estimated:
        lines.append("~ holds estimates: an endpoint that does not say, or did not answer")
    if total.open:
        lines.append(f"{total.open} without an answer that was counted, at the most that they can have cost")
    return lines


def _cells(row: SpendRow) -> tuple[str, ...]:
    mark = "~" if row.tokens.estimated else ""
    numbers = (f"{len(row.changes):,}", f"{row.requests:,}", f"{mark}{row.tokens.input:,}", f"{row.tokens.output:,}")
    return (row.day, row.model, row.repo, *numbers, f"{row.tokens.thoughts:,}", f"{row.money:,.4f}" if row.money else "-")
