"""Tokens: an estimate of the tokens of a text or a request.

Three bytes of a request as it is sent make a token, about. Of the first request of a run that a farm recorded, 2,060 tokens by its
endpoint, all but the declarations of the tools are known; with ours in their place the estimate is 1,700 (tests/agent/test_recorded.py).
English has more bytes a token, code with line numbers fewer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

BYTES_A_TOKEN = 3
_MOST_CHARACTERS_A_TOKEN = 4  # of C; of prose a little more


def estimate(value: Any) -> int:
    """About how many tokens a text, or a value as it goes into a request, has."""
    return -(-size(value) // BYTES_A_TOKEN)


def size(value: Any) -> int:
    """How many bytes a text has, or a value as JSON."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def fewest(value: Any) -> int:
    """A number of tokens that an endpoint which has read all of `value` hardly goes below."""
    return -(-_characters(value) // _MOST_CHARACTERS_A_TOKEN)


def _characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(len(str(key)) + _characters(entry) for key, entry in value.items())
    if isinstance(value, Sequence):
        return sum(map(_characters, value))
    return 4
