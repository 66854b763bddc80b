"""Id tables: the device ids of a driver, as numbers and strings.

Follows include/linux/mod_devicetable.h. A line that cannot be read is named; then the table must not be taken for complete.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

import msgspec

from hook import lazy_re
from hook.c.brackets import closing, elements
from hook.c.macro_expansion import ExpansionTooLarge
from hook.evidence.reach.devices.machine import PciId
from hook.kernel.texts import Macros, Texts

_TABLE = lazy_re.compile(
    r"\bstruct\s+(\w+_device_id|x86_cpu_id|amba_id)\s+(?:(?:const|__maybe_unused|__initdata|__initconst)\s+)*(\w+)\s*\[[^\]]*\]\s*(?:__\w+\s*(?:\([^()]*\)\s*)?)*=\s*\{"
)
_LIST = lazy_re.compile(r"(?<!\w)(?:static\s+)?(?:DEFINE_PCI_DEVICE_TABLE)\s*\(\s*(\w+)\s*\)\s*=\s*\{")
_ANNOUNCED = lazy_re.compile(r"(?m)^\s*MODULE_DEVICE_TABLE\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)")
_CALL = lazy_re.compile(r"\s*([A-Za-z_]\w*)\s*(?=\()")
_FIELD = lazy_re.compile(r"\s*\.\s*(\w+)\s*=\s*(.*)\Z", re.DOTALL)
_DIRECTIVE = lazy_re.compile(r"(?m)^[ \t]*#(?:[^\n\\]|\\[^\n]|\\\n)*$")
_INCLUDES = lazy_re.compile(r"(?m)^[ \t]*#[ \t]*(?:include|import)\b")
_MOST_LINES = 6000  # of a table
_MOST_LEVELS = 12  # of macros that expand to macros
_PCI_FIELDS = ("vendor", "device", "subvendor", "subdevice", "class", "class_mask", "driver_data", "override_only")


class Table(msgspec.Struct, frozen=True):
    """An array of ids."""

    kind: str  # pci_device_id, acpi_device_id, …
    name: str
    path: str
    line: int
    body: str  # between the braces
    offset: int  # of the body in its file
    is_whole: bool  # whether `body` is all of it: no file is included between the braces, and no macro opens them

    def joined(self, other: Table) -> Table:
        """The lines of both, as of one."""
        return msgspec.structs.replace(self, body=f"{self.body},\n{other.body}", is_whole=self.is_whole and other.is_whole)


class IdRow(msgspec.Struct, frozen=True):
    """A line of a table: the source text of each field that it sets."""

    fields: dict[str, str]
    line: int


def tables(texts: Texts, path: str) -> list[Table]:
    """The tables that a file defines."""
    return texts.once(("tables", path), lambda: list(_tables(texts, path)))


def _tables(texts: Texts, path: str) -> Iterator[Table]:
    text = texts.get(path) or ""
    if "_id " not in text and "PCI_DEVICE_TABLE" not in text:
        return
    for form, mark in ((_TABLE, "_id "), (_TABLE, "_id\t"), (_LIST, "DEFINE_PCI_DEVICE_TABLE")):
        for match in matches(form, text, mark, "struct" if form is _TABLE else ""):
            opening = match.end() - 1
            closed = closing(text, opening)
            end = closed if closed >= 0 else text.find("};", opening)
            kind = match[1] if form is _TABLE else "pci_device_id"
            name = match[2] if form is _TABLE else match[1]
            source = text[opening + 1 : end]
            body = _DIRECTIVE.sub(lambda directive: re.sub(r"[^\n]", " ", directive[0]), source)
            is_whole = closed >= 0 and _INCLUDES.search(source) is None and not _is_in_directive(text, match.start())
            yield Table(kind, name, path, texts.line(path, match.start()), body, opening + 1, is_whole)


def _is_in_directive(text: str, at: int) -> bool:
    """Whether a place is in the body of a macro."""
    begin = text.rfind("\n", 0, at) + 1
    while begin > 1 and text[begin - 2] == "\\":
        begin = text.rfind("\n", 0, begin - 1) + 1
    return text[begin:at].lstrip()[:1] == "#"


def matches(form: re.Pattern[str], text: str, mark: str, begin: str) -> Iterator[re.Match[str]]:
    """The matches of a form that begins with `begin` and has `mark` soon after: to find these first is ten times as fast."""
    place = text.find(mark)
    while place >= 0:
        start = text.rfind(begin, max(0, place - 80), place) if begin else place
        form_match = form.match(text, start) if start >= 0 else None
        if form_match is not None and form_match.end() > place:
            yield form_match
        place = text.find(mark, place + len(mark))


def known_as(text: str, kind: str, ids: Collection[str]) -> str:
    """The id among `ids` that an id of a table matches, as the bus of that kind of table compares them; empty where there is none.

    PNP compares the number in either case, with X for any digit (drivers/pnp/driver.c); ACPI and device trees compare the whole.
    """
    if kind != "pnp_device_id" or text in ids:
        return text if text in ids else ""
    number = text[3:].upper()
    return next((known for known in ids if known[:3] == text[:3] and len(known) == len(text) and _is_alike(known[3:].upper(), number)), "")


def _is_alike(number: str, other: str) -> bool:
    return all(ours == its or "X" in (ours, its) for ours, its in zip(number, other, strict=True))


def announced(texts: Texts, path: str) -> list[tuple[str, str, int]]:
    """What MODULE_DEVICE_TABLE names in a file: the kind of bus, the table, the line."""
    text = texts.get(path) or ""
    if "MODULE_DEVICE_TABLE" not in text:
        return []
    return [(match[1], match[2], texts.line(path, match.start(1))) for match in _ANNOUNCED.finditer(text)]


def rows(table: Table, names: Sequence[str], macros: Macros, texts: Texts) -> tuple[list[IdRow], str]:
    """The lines of a table whose structure has the fields `names`, in this order; and what could not be read, empty where all was."""
    id_rows: list[IdRow] = []
    parts = elements(table.body)
    if len(parts) > _MOST_LINES:
        return [], f"{table.name} has more than {_MOST_LINES} lines"
    line, counted = texts.line(table.path, table.offset), 0
    for part, offset in parts:
        line += table.body.count("\n", counted, offset + len(part) - len(part.lstrip()))
        counted = offset + len(part) - len(part.lstrip())
        for inner in _unfolded(part, macros, 0):
            if inner is None:
                return id_rows, f"{table.name}, line {line}: {' '.join(part.split())[:60]}"
            fields = _fields(inner, names, macros, 0)
            if fields is None:
                return id_rows, f"{table.name}, line {line}: {' '.join(part.split())[:60]}"
            id_rows.append(IdRow(fields, line))
    return id_rows, "" if table.is_whole else f"{table.name}, line {table.line}, continues in another file"


def pci_ids(id_rows: Sequence[IdRow], macros: Macros, name: str) -> tuple[list[tuple[PciId, int]], str]:
    """The lines of a PCI table as numbers, each with its line; and what could not be read."""
    ids: list[tuple[PciId, int]] = []
    for row in id_rows:
        values: dict[str, int] = {}
        for field in ("vendor", "device", "subvendor", "subdevice", "class", "class_mask", "override_only"):
            text = row.fields.get(field)
            value = 0 if text is None else macros.number(text)
            if value is None and field == "override_only":
                value = 1  # an enumerator that is not known; 0 is never written there
            if value is None:
                return ids, f"{name}, line {row.line}: {' '.join((text or '').split())[:60]}"
            values[field] = value
        if not (values["vendor"] or values["subvendor"] or values["class_mask"]):
            continue  # the end
        # a field that is left out is 0, as in C
        ids.append(
            (
                PciId(*(values[field] for field in ("vendor", "device", "subvendor", "subdevice", "class", "class_mask", "override_only"))),
                row.line,
            )
        )
    return ids, ""


def pci_fields() -> tuple[str, ...]:
    """The fields of struct pci_device_id, in their order."""
    return _PCI_FIELDS


def _unfolded(part: str, macros: Macros, depth: int) -> Iterator[str | None]:
    """The text between the braces of each line that `part` expands to; None for one that is not understood."""
    text = part.strip()
    if not text:
        return
    if text.startswith("["):
        _, equals, text = text.partition("=")  # [INDEX] = { … }
        text = text.strip()
        if not equals:
            yield None
            return
    if text.startswith("{"):
        end = closing(text, 0)
        yield text[1:end] if end > 0 and not text[end + 1 :].strip() else None
        return
    if depth > _MOST_LEVELS:
        yield None
        return
    if re.fullmatch(r"0|NULL", text):
        return
    try:
        wider = macros.expand(text)
    except ExpansionTooLarge:
        yield None
        return
    if wider == text:
        yield None
        return
    for inner, _ in elements(wider):
        yield from _unfolded(inner, macros, depth + 1)


def _fields(text: str, names: Sequence[str], macros: Macros, depth: int) -> dict[str, str] | None:
    """The fields of one line (C, 6.7.9: what follows a named field goes on after it)."""
    values: dict[str, str] = {}
    position = 0
    waiting = [part for part, _ in elements(text)]
    steps = 0
    while waiting:
        part = waiting.pop(0)
        steps += 1
        if not part.strip():
            continue
        if steps > 400:
            return None
        designated = _FIELD.match(part)
        if designated:
            name = designated[1]
            values[name] = designated[2]
            position = names.index(name) + 1 if name in names else len(names)
            continue
        call = _CALL.match(part)
        macro = macros.get(call[1]) if call else None
        if macro is None and re.fullmatch(r"\s*[A-Za-z_]\w*\s*", part):
            # a macro counts only if it expands to several fields
            macro = macros.get(part.strip()) if position < 4 else None
            if macro is not None and "," not in macro.body and "." not in macro.body:
                macro = None
        if macro is not None and ("," in macro.body or "." in macro.body):
            wider = macros.once(part.strip(), macro)
            if wider is None:
                return None
            waiting[:0] = [inner for inner, _ in elements(wider)]
            continue
        if part.strip().startswith("{") and position < len(names):
            values[names[position]] = part.strip()[1:-1]
        elif position < len(names):
            values[names[position]] = part
        position += 1
    return values
