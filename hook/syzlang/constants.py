"""Constants: the names in descriptions that have no value on an architecture, by the `.const` files beside them.

With `NAME = 5, arm64:7, 386:amd64:???` arm64 has the value 7, 386 and amd64 have none. syzkaller disables a call that needs such a name.
"""

from __future__ import annotations

from collections.abc import Iterator

_NO_VALUE = "???"


def values(text: str, arch: str) -> Iterator[tuple[str, bool]]:
    """Each name in a `.const` file, and whether it has a value on `arch`."""
    of_file = True  # whether the file is for this architecture
    for line in text.split("\n"):
        name, equals, value = line.partition(" = ")
        if name == "arches":
            of_file = arch in value.replace(",", " ").split()
        elif equals and not line.startswith("#"):
            yield name.strip(), of_file and _value(value, arch) != _NO_VALUE


def _value(text: str, arch: str) -> str:
    common = _NO_VALUE
    for part in text.split(", "):
        *arches, value = part.strip().split(":")
        if arch in arches:
            return value
        if not arches:
            common = value
    return common
