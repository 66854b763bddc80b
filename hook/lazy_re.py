"""`re.compile`, put off to the first use: the program has some four hundred patterns, and a commit uses a part of them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, AnyStr

_USED = ("findall", "finditer", "flags", "fullmatch", "groups", "match", "pattern", "search", "split", "sub", "subn")


compiler: Callable[[Any, int], re.Pattern[Any]] | None = None  # in the place of re.compile


def compile(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` returns, but for its type and hash: it compiles itself when it is first used.

    Raises re.error only then, so tests compile them all.
    """
    return _Pattern(pattern, flags)  # type: ignore[return-value]


class _Pattern:
    __slots__ = ("_flags", "_pattern", *_USED)

    def __init__(self, pattern: Any, flags: int) -> None:
        self._pattern, self._flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        """Called for what is not set yet: the first use sets all, and nobody comes here again."""
        if name not in _USED:
            raise AttributeError(name)
        compiled: re.Pattern[Any] = (compiler or re.compile)(self._pattern, self._flags)
        for used in _USED:
            setattr(self, used, getattr(compiled, used))
        return getattr(compiled, name)
