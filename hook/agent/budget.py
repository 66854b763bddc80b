"""The budget: what models may cost, for one patch, one push and one day, and the meter that stands before every request.

A request is sent only if what was sent already, by whomever, and the most that this one can cost fit under every cap.
"""

from __future__ import annotations

import datetime
import os
import pathlib
import re
from collections.abc import Callable, Sequence

import msgspec

from hook.agent.endpoint.trouble import NoAnswer, Trouble
from hook.agent.ledger import Day, Ledger, LedgerLine
from hook.config import AgentSettings, Settings
from hook.setting_checks import PRICE
from hook.source import filelock
from hook.verdict import Tokens

_MILLION = 1_000_000


class Price(msgspec.Struct, frozen=True):
    """Money for a million tokens."""

    input: float = 0.0
    output: float = 0.0
    thoughts: float = 0.0

    def of(self, tokens: Tokens) -> float:
        return (tokens.input * self.input + tokens.output * self.output + tokens.thoughts * self.thoughts) / _MILLION

    @property
    def at_worst(self) -> Price:
        """The same, where nobody knows yet how much of an answer is thoughts."""
        most = max(self.output, self.thoughts)
        return Price(self.input, most, most)


class Cap(msgspec.Struct, frozen=True):
    """One limit, and what counts towards it."""

    setting: str
    limit: float  # 0: none
    trouble: Trouble
    counts: Callable[[LedgerLine], bool]
    spent: Callable[[LedgerLine], float]


class Ticket(msgspec.Struct, frozen=True):
    """A request that is written down and not settled yet."""

    path: pathlib.Path
    line: LedgerLine


def prices(settings: Settings) -> dict[str, Price]:
    """What `agent.price` says, by model; the empty name is any other."""
    by_model = {}
    for word in settings.agent.price:
        match = re.match(PRICE, word)
        assert match, word
        output = float(match["output"])
        by_model[match["model"] or ""] = Price(float(match["input"]), output, float(match["thoughts"] or output))
    return by_model


class Meter:
    """Counts and caps the requests about one change. Safe beside any number of others.

    `refusal` says why nothing may be sent about it any more, empty while it may: a run takes minutes, in which a consent can be withdrawn.
    """

    def __init__(
        self, directory: pathlib.Path, settings: Settings, change_id: str, commit: str, push: str, refusal: Callable[[], str] = lambda: ""
    ) -> None:
        self._ledger = Ledger(directory)
        self._prices = prices(settings)
        self._change_id, self._commit, self._push = change_id, commit, push
        self._refusal = refusal
        self._is_first = True  # and was decided on a moment ago
        self._caps = _caps(settings.agent, change_id, push)

    def reserve(self, model: str, given: int, most: int) -> Ticket:
        """Write down a request of `given` tokens whose answer has at most `most`. Raises NoAnswer where a cap would not hold."""
        if not self._is_first and (why := self._refusal()):
            raise NoAnswer(Trouble.FORBIDDEN, why)
        self._is_first = False
        tokens = Tokens(given, most, 0, estimated=True)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        money = self._price(model).at_worst.of(tokens)
        line = LedgerLine(os.urandom(8).hex(), now, False, model, self._change_id, self._commit, self._push, tokens, money)
        try:
            with self._ledger.today() as day:
                self._check(day, line)
                day.add(line)
                return Ticket(day.path, line)
        except (filelock.Held, OSError) as wrong:
            why = getattr(wrong, "strerror", None) or str(wrong)
            raise NoAnswer(Trouble.LEDGER, f"the ledger cannot be written: {why}") from None

    def settle(self, ticket: Ticket, tokens: Tokens) -> None:
        """Write down what a request did cost. Where that cannot be written, the most it could cost stays counted."""
        line = msgspec.structs.replace(ticket.line, settled=True, tokens=tokens, money=self._price(ticket.line.model).of(tokens))
        try:
            self._ledger.settle(ticket.path, line)
        except (filelock.Held, OSError):
            pass

    def _price(self, model: str) -> Price:
        return self._prices.get(model) or self._prices.get("") or Price()

    def _check(self, day: Day, new: LedgerLine) -> None:
        for cap in self._caps:
            most = cap.limit
            if not most:
                continue
            spent, addition = sum(cap.spent(line) for line in day.lines.values() if cap.counts(line)), cap.spent(new)
            if spent + addition > most:
                amounts = [f"{amount:,}" if isinstance(most, int) else f"{amount:,.4f}" for amount in (most, spent, addition)]
                raise NoAnswer(
                    cap.trouble, f"{cap.setting} is {amounts[0]}, {amounts[1]} are spent and the next request may take {amounts[2]}"
                )


def _caps(agent: AgentSettings, change_id: str, push: str) -> Sequence[Cap]:
    def any_line(line: LedgerLine) -> bool:
        return True

    def of_patch(line: LedgerLine) -> bool:
        return line.change_id == change_id

    def of_push(line: LedgerLine) -> bool:
        return line.push == push

    caps = [
        Cap("agent.max_patch_tokens", agent.max_patch_tokens, Trouble.PATCH_CAP, of_patch, _tokens),
        Cap("agent.max_patch_money", agent.max_patch_money, Trouble.PATCH_CAP, of_patch, _money),
        Cap("agent.max_push_tokens", agent.max_push_tokens, Trouble.PUSH_CAP, of_push, _tokens),
        Cap("agent.max_push_money", agent.max_push_money, Trouble.PUSH_CAP, of_push, _money),
        Cap("agent.max_day_tokens", agent.max_day_tokens, Trouble.DAY_CAP, any_line, _tokens),
        Cap("agent.max_day_money", agent.max_day_money, Trouble.DAY_CAP, any_line, _money),
    ]
    return [cap for cap in caps if push or cap.trouble is not Trouble.PUSH_CAP]


def _tokens(line: LedgerLine) -> float:
    return line.tokens.total


def _money(line: LedgerLine) -> float:
    return line.money
