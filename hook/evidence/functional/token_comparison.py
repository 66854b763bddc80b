"""Token comparison: whether two versions of a file are the same to the compiler.

`same` is a proof, and it means: nothing the kernel does changes but what it logs or traces. What may differ are line numbers
(`__LINE__` in a warning, the name that `__UNIQUE_ID` makes of it), and the text of a prompt or a help. Whatever a reader does
not fully understand leaves the question open; there is no way from a failure to `same`.
"""

from __future__ import annotations

from collections.abc import Callable

from hook.c.tokens import c_tokens
from hook.c.tokens.comparison import Comparison, Unreadable, first_line
from hook.evidence.functional import build_files

__all__ = ["Comparison", "compare"]


def _compare_rust(old: bytes, new: bytes) -> Comparison:
    from hook.rust import rust_tokens  # only a change to Rust pays for it

    return rust_tokens.compare(old, new)


_COMPARE: dict[str, Callable[[bytes, bytes], Comparison]] = {
    "c": c_tokens.compare_c,
    "asm": c_tokens.compare_asm,
    "rust": _compare_rust,
    "make": build_files.compare_make,
    "kconfig": build_files.compare_kconfig,
}


def compare(language: str, old: bytes, new: bytes) -> Comparison:
    """The two versions of a file in `language`, one of those that `path_table.language` names; in any other nothing is proved."""
    if old == new:
        return Comparison(True, "white space", 1, "the same bytes")
    if language not in _COMPARE:
        return Comparison(False, "", first_line(old, new), "this language is not compared")
    for side in (old, new):
        if b"\0" in side:
            return Comparison(False, "", first_line(old, new), "not compared: it has a NUL byte")
    try:
        return _COMPARE[language](old, new)
    except Unreadable as odd:
        return Comparison(False, "", first_line(old, new), f"not compared: {odd}", read=False)
