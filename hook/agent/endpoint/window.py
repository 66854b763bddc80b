"""The window: whether an endpoint has read all that was sent to it, by the tokens that it counts.

Some servers drop the oldest part of a conversation that is longer than their window, and do not say so.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from hook.agent.endpoint.adaptations import plain
from hook.agent.endpoint.trouble import FailedRequest, Trouble
from hook.agent.history import Message
from hook.agent.token_count import fewest
from hook.verdict import Tokens

# Ollama drops what is beyond its window without a word. Its default is 4096 tokens, and people set a power of two.
_WINDOW_OF_OLLAMA = 4200
_USUAL_WINDOWS = (2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072)


class Window:
    """The window of the model that is asked, over one conversation."""

    def __init__(self) -> None:
        self._last = (0, 0)  # what was sent last, and what the endpoint has read of it, in tokens

    def see_whether_it_reads_on(self, usage: Any, body: Message, tokens: Tokens) -> None:
        """Raise FailedRequest where the endpoint reads no more than before of a conversation that has grown: it drops the rest."""
        (sent_before, read_before), (sent, read) = self._last, (_sent(body), _read_of_it(usage))
        self._last = (sent, read)
        stands_still = sent - sent_before > max(1000, 10 * (read - read_before))
        # where an endpoint counts only what it does not hold in a cache, that is less than the smallest window
        if stands_still and read < sent and min(read, read_before) >= _USUAL_WINDOWS[0] * 3 // 4:
            raise _dropped(read, sent, tokens)


def see_whether_all_was_read(usage: Any, body: Message, called: Set[str]) -> None:
    """Raise FailedRequest where the endpoint has read much less than was sent.

    One that has read of the tools, since it calls one, and counts what the messages have, counts no tools.
    `fewest` takes four characters for a token, which is too many for code, but for prose it can be a fifth too few. So less than that
    says something only together with a number that a window would give.
    """
    read, sent = _read_of_it(usage), _sent(body)
    if not 0 < read < sent:
        return
    if called & {tool["function"]["name"] for tool in body.get("tools", [])} and read >= 0.9 * fewest(body["messages"]):
        return
    at_a_window = any(size - 1 <= read <= size for size in _USUAL_WINDOWS)
    below_a_window = any(size * 9 // 10 <= read <= size for size in _USUAL_WINDOWS) and read < 0.75 * sent
    far_less = read <= _WINDOW_OF_OLLAMA and sent > max(6000, 2 * read)
    if at_a_window or below_a_window or far_less:
        raise _dropped(read, sent, Tokens())


def _sent(body: Message) -> int:
    """How many tokens of a request any endpoint counts at least: not what it sealed, nor thoughts, which most drop again."""
    return fewest([plain(message) for message in body["messages"]]) + fewest(body.get("tools", []))


def _read_of_it(usage: Any) -> int:
    """How many tokens of a request the endpoint says it read; 0 where it does not say, or not clearly."""
    details = usage.get("prompt_tokens_details") if isinstance(usage, dict) else None
    cached = number(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return 0 if cached or not isinstance(usage, dict) else number(usage.get("prompt_tokens"))


def _dropped(read: int, sent: int, tokens: Tokens) -> FailedRequest:
    again = FailedRequest(
        Trouble.WINDOW, f"the endpoint read {read} tokens of about {sent}: it drops the rest; with Ollama, raise num_ctx", again=False
    )
    again.tokens = tokens
    return again


def number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
