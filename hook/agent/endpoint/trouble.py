"""Why an endpoint gave no answer that can be used, and whether to try again."""

from __future__ import annotations

import enum
import re

from hook import lazy_re
from hook.verdict import Tokens

_FULL_WINDOW = lazy_re.compile(
    r"context_length_exceeded|ContextWindowExceeded|exceeds? the (?:available )?context|maximum context length"
    r"|context (?:window|length|size)|prompt is too long|too many tokens|input.{0,40}too long|input token count",
    re.IGNORECASE | re.DOTALL,
)


class Trouble(enum.StrEnum):
    """Why an endpoint gave no answer that can be used."""

    UNREACHABLE = "endpoint-unreachable"
    OVERLOADED = "endpoint-overloaded"
    REFUSED = "endpoint-refused"
    TIMEOUT = "endpoint-timeout"
    MALFORMED = "endpoint-malformed"
    WINDOW = "context-window"
    # not the endpoint's: what the person allows
    FORBIDDEN = "not-allowed-any-more"
    PATCH_CAP = "patch-cap-reached"
    PUSH_CAP = "push-cap-reached"
    DAY_CAP = "day-cap-reached"
    LEDGER = "ledger-not-written"


class NoAnswer(Exception):
    """There is no answer; `trouble` names the kind, the sentence tells a person what to do."""

    def __init__(self, trouble: Trouble, sentence: str, tokens: Tokens | None = None) -> None:
        super().__init__(sentence)
        self.trouble = trouble
        self.tokens = tokens or Tokens()  # what was spent all the same


class FailedRequest(Exception):
    """A request that failed: how, and whether to try again."""

    def __init__(
        self, trouble: Trouble, sentence: str, *, again: bool = True, pause: float | None = None, status: int = 0, words: str = ""
    ) -> None:
        super().__init__(sentence)
        self.trouble, self.sentence, self.again, self.pause, self.status, self.words = trouble, sentence, again, pause, status, words
        self.tokens = Tokens()  # what was spent all the same


def is_full_window(error: str) -> bool:
    """Whether the words of an error say that the conversation is longer than the model's window."""
    return _FULL_WINDOW.search(error) is not None
