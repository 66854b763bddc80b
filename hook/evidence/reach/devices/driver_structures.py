"""Driver structures: the `struct foo_driver` and `struct foo_family` definitions of a file, with their fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from hook import lazy_re
from hook.c.brackets import closing, elements
from hook.evidence.reach.devices import id_tables
from hook.evidence.reach.devices.buses import BUS_OF_SPELLING, BUSES
from hook.kernel.texts import Texts

_DRIVER = lazy_re.compile(r"\bstruct\s+(\w+?)(?:_driver|_family)\s+(\w+)\s*(?:\[\s*\w*\s*\])?\s*(?:__\w+\s*(?:\([^()]*\)\s*)?)*=\s*\{")
_INNER = lazy_re.compile(
    r"(?:(?:mdiodrv|spidrv)(?:\.|\Z))?(?:driver|drv)?(?:\.|\Z)(\w*)\Z"
)  # structures inside every driver, or every MDIO or SPI-MEM driver
BY_MACRO = "?"  # the key for an element without a designator: a macro that may set any field


class Driver(msgspec.Struct, frozen=True):
    """A driver structure."""

    bus: str
    name: str
    path: str
    line: int
    fields: Mapping[str, str]  # those of `.driver` among them
    is_whole: bool = True  # whether its end was found


def drivers(texts: Texts, path: str) -> list[Driver]:
    """The driver structures that a file defines."""
    return texts.once(("drivers", path), lambda: list(_drivers(texts, path)))


def _drivers(texts: Texts, path: str) -> Iterator[Driver]:
    text = texts.get(path) or ""
    structures = (
        structure
        for mark in ("_driver ", "_driver\t", "_family ", "_family\t")
        for structure in id_tables.matches(_DRIVER, text, mark, "struct")
    )
    starts: set[int] = set()  # one structure can match twice, when its name ends as its type does
    for structure in structures:
        bus = BUS_OF_SPELLING.get(structure[1], structure[1])
        if bus not in BUSES or structure.start() in starts:
            continue
        starts.add(structure.start())
        end = closing(text, structure.end() - 1)
        body = text[structure.end() : end if end > 0 else structure.end() + 2000]
        yield Driver(bus, structure[2], path, texts.line(path, structure.start()), _fields(body), end > 0)


def _fields(body: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part, _ in elements(re.sub(r"(?m)^[ \t]*#.*$", "", body)):
        assignment = re.match(r"\s*\.\s*([\w.]+)\s*=\s*(.*)\Z", part, re.DOTALL)
        if assignment is None:
            if part.strip():
                fields[BY_MACRO] = " ".join(part.split())
            continue
        name, value = assignment[1], assignment[2].strip()
        inner = _INNER.match(name)
        if inner and not inner[1] and value.startswith("{"):
            fields |= {key: text for key, text in _fields(value[1:-1]).items() if key not in fields}
        elif inner and inner[1]:
            fields[inner[1]] = value
        else:
            # set in two branches of a preprocessor conditional: either may count
            fields[name] = value if fields.get(name, value) == value else f"{fields[name]} or {value}"
    return fields
