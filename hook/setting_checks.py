"""What a setting accepts: each check gives the value as it is used, or raises ValueError with what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

PRICE = r"(?:(?P<model>\S+)=)?(?P<input>\d+(?:\.\d+)?)/(?P<output>\d+(?:\.\d+)?)(?:/(?P<thoughts>\d+(?:\.\d+)?))?\Z"
TOOLCHAIN = r"(gcc|clang)-(\d{1,3})((?:[ ,+](?:pahole|rustc)-\d{1,3}(?:\.\d{1,3}){0,2})*)\Z"

Value = TypeVar("Value")
Check = Callable[[object], Value]


def number(low: float, high: float, of: str = "") -> Check[float]:
    def check(value: object) -> float:
        try:
            number = float(value) if isinstance(value, (int, float, str)) else float("nan")
        except (ValueError, OverflowError):
            number = float("nan")
        if isinstance(value, bool) or not low <= number <= high:
            raise ValueError(f"a number{of} from {low:g} to {high:g}")
        return number

    return check


def seconds(low: float, high: float) -> Check[float]:
    return number(low, high, " of seconds")


def whole(low: int, high: int) -> Check[int]:
    def check(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def one_of(*allowed: str) -> Check[str]:
    def check(value: object) -> str:
        if value is False and "never" in allowed:  # YAML 1.1 reads a bare `off` or `no` so
            value = "never"
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return str(value)

    return check


def some_of(*allowed: str) -> Check[tuple[str, ...]]:
    def check(value: object) -> tuple[str, ...]:
        words = value.replace(",", " ").split() if isinstance(value, str) else value
        if not isinstance(words, (list, tuple)) or not words or not all(word in allowed for word in words):
            raise ValueError(f"one or more of {', '.join(allowed)}")
        return tuple(dict.fromkeys(words))

    return check


def matching(form: str, allowed: str) -> Check[str]:
    def check(value: object) -> str:
        if not isinstance(value, str) or not re.match(form, value):
            raise ValueError(allowed)
        return value

    return check


def words(value: object) -> tuple[str, ...]:
    words = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) and word for word in words):
        raise ValueError("a list of words")
    return tuple(dict.fromkeys(words))


def tree_patterns(value: object) -> tuple[str, ...]:
    """Patterns of tree paths, without `./` and a slash or `/*` at the end; one that could match nothing is refused."""
    patterns = []
    for word in words(value):
        pattern = word.removeprefix("./")
        while pattern.endswith(("/", "/*")):
            pattern = pattern.removesuffix("*").removesuffix("/")
        if not pattern or pattern.startswith(("/", ":")) or ".." in pattern.split("/"):
            raise ValueError('a list of paths or patterns from the top of the tree, such as "drivers/secret"')
        patterns.append(pattern)
    return tuple(dict.fromkeys(patterns))


def prices(value: object) -> tuple[str, ...]:
    entries = words(value)
    if not all(re.match(PRICE, word) for word in entries):
        raise ValueError("a list of INPUT/OUTPUT or INPUT/OUTPUT/THOUGHTS, each for MODEL=, such as 1.25/10 or big=3/15/15")
    return entries


def machine(value: object) -> tuple[str, ...]:
    """`qemu-any` or `gce`, or the devices that there are; whether QEMU has a device of that name is checked where its catalogue is read."""
    entries = words(value)
    if not entries or (len(entries) > 1 and {"qemu-any", "gce"} & set(entries)):
        raise ValueError("qemu-any, gce, or a list of devices as QEMU names them, such as e1000e")
    return entries


def url(value: object) -> str:
    import urllib.parse

    try:
        parts = urllib.parse.urlsplit(value) if isinstance(value, str) else None
        good = parts is not None and (not value or (parts.scheme in ("http", "https") and bool(parts.hostname)))
    except ValueError:
        good = False
    if not good or not str(value).isprintable():
        raise ValueError("a URL such as http://127.0.0.1:8000/v1")
    return str(value)


def flag(value: object) -> bool:
    if isinstance(value, str):
        value = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}.get(value.lower())
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise ValueError("true or false")


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("text")
    return value


def nearest(name: str, names: Iterable[str]) -> str:
    """What a name that is no setting was most likely meant to be, behind an error."""
    import difflib

    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {near[0]}?" if near else "; `patch-triage config` lists them"


def shown(value: object) -> str:
    """A value as an error quotes it: one line, cut, without control characters."""
    try:
        quoted = value if isinstance(value, str) else repr(value)
    except ValueError:  # a number of more digits than Python prints
        quoted = "a number"
    quoted = "".join(char for char in quoted[:60] if char.isprintable())
    return f'"{quoted}"'
