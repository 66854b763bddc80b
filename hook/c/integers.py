"""Integer constants of C (C11 6.4.4.1)."""

from __future__ import annotations

from hook import lazy_re

# longer than any type; Python refuses to convert very long ones
_INTEGER = lazy_re.compile(rb"(?:(0[0-7]{0,50})|([1-9][0-9]{0,40})|0[xX]([0-9a-fA-F]{1,40}))[uUlL]{0,3}\Z")


def value(text: bytes) -> int | None:
    """The value of an integer constant; None if the text is none."""
    constant = _INTEGER.match(text)
    if constant is None:
        return None
    octal, decimal, hexadecimal = constant.groups()
    return int(octal, 8) if octal else int(decimal) if decimal else int(hexadecimal, 16)
