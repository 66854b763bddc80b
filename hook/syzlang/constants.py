"""Constants: which names of the descriptions have no value on an architecture, by the `.const` files beside them.

`NAME = 5, arm64:7, 386:amd64:???` gives arm64 the value 7 and 386 and amd64 none. syzkaller leaves out a call that needs such a name.
"""

from __future__ import annotations

from collections.abc import Iterator

_NO_VALUE = "???"


def values(text: str, arch: str) -> Iterator[tuple[str, bool]]:
    """Each name in a `.const` file, and whether it has a value on `arch`."""
    of_file = True  # whether the file is for this architecture at all
    for line in text.split("\n"):
        name, equals, given = line.partition(" = ")
        if name == "arches":
            of_file = arch in given.replace(",", " ").split()
        elif equals and not line.startswith("#"):
            yield name.strip(), of_file and _value(given, arch) != _NO_VALUE


def _value(given: str, arch: str) -> str:
    common = _NO_VALUE
    for part in given.split(", "):
        *arches, value = part.strip().split(":")
        if arch in arches:
            return value
        if not arches:
            common = value
    return common
