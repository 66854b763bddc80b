"""The context pack: what a reviewer would look up first about a change, gathered before a model is asked.

A pack is made of sections, each with the places its lines are from, so that the model can cite them. It has a budget of tokens: first
every section is put in as short as it goes, in the order of their use, then they are filled up in that order while there is room. What does
not fit is named, so that the model can ask for it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hook.agent.token_count import BYTES_A_TOKEN, size

_FEWEST_NAMES, _NAMES_PART = 250, 12  # tokens for the names of what does not fit, and the part of the budget
_HEADING = "## "


class Section(msgspec.Struct, frozen=True):
    """One thing that a reviewer would look at."""

    title: str  # a line: the place it is from, and what it is
    text: str
    short: str = ""  # what is most important of it; empty where it is all or nothing
    hint: str = ""  # how a model gets it where it is left out: a tool's name and arguments
    is_gap: bool = False  # whether it says that something is missing


class Pack(msgspec.Struct, frozen=True):
    """What is shown to the model."""

    text: str
    left_out: tuple[str, ...] = ()
    shortened: tuple[str, ...] = ()
    is_whole: bool = False  # whether all that was looked for is shown


def fitted(sections: Sequence[Section], most_tokens: int) -> Pack:
    """The sections within a budget."""
    room = most_tokens * BYTES_A_TOKEN
    for_names = max(_FEWEST_NAMES, most_tokens // _NAMES_PART) * BYTES_A_TOKEN
    if sum(map(_bytes, sections)) > room:
        room -= for_names
    shown: list[str] = []  # of each section, nothing where it does not fit
    for section in sections:
        text = min((form for form in (section.short, section.text) if form), key=size, default="")
        fits = size(text) + _frame(section) <= room
        shown.append(text if fits else "")
        room -= size(text) + _frame(section) if fits else 0
    for number, section in enumerate(sections):
        more = size(section.text) - size(shown[number])
        if shown[number] and 0 < more <= room:
            shown[number] = section.text
            room -= more
    parts = [f"{_HEADING}{section.title}\n{text}\n" for section, text in zip(sections, shown, strict=True) if text]
    pairs = list(zip(sections, shown, strict=True))
    left_out = tuple(section.title + (f" ({section.hint})" if section.hint else "") for section, text in pairs if not text)
    shortened = tuple(section.title for section, text in pairs if text and text != section.text)
    for title, names in (("Left out for lack of room", left_out), ("Shown in part", shortened)):
        if names:
            parts.append(f"{_HEADING}{title}\n{_listed(names, for_names // 2)}\n")
    is_whole = not left_out and not shortened and not any(section.is_gap for section in sections)
    return Pack("\n".join(parts), left_out, shortened, is_whole)


def _listed(names: Sequence[str], most_bytes: int) -> str:
    """The names, a line each, and how many more there are where they do not fit."""
    lines: list[str] = []
    left = most_bytes - 60
    for number, name in enumerate(names):
        left -= size(name) + 1
        if left < 0:
            lines.append(f"and {len(names) - number} more")
            break
        lines.append(name)
    return "\n".join(lines)


def _bytes(section: Section) -> int:
    return size(section.text) + _frame(section)


def _frame(section: Section) -> int:
    """The bytes around the text of a section."""
    return size(section.title) + len(_HEADING) + 3
