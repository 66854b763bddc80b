"""Header users: the functions and macros of a header that use a function."""

from __future__ import annotations

from hook.c import definitions
from hook.kernel.texts import Texts


def users_in_header(texts: Texts, path: str, name: str) -> set[str]:
    """The functions and macros of a header that use a function: files that include the header may call it through these."""
    text = texts.get(path) or ""
    bodies = texts.once(("bodies", path), lambda: _bodies(texts, path))
    users = set()
    at = text.find(name)
    while at >= 0:
        if _is_word(text, at, name):
            users |= {user for begin, end, user in bodies if begin < at < end and user != name}
        at = text.find(name, at + len(name))
    return users


def _bodies(texts: Texts, path: str) -> list[tuple[int, int, str]]:
    """The bodies of the functions and macros of a file: begin, end, name."""
    bodies = []
    for definition in texts.scan(path):
        if definition.kind is definitions.DefinitionKind.FUNCTION:
            bodies.append((*definition.body, definition.name))
        elif definition.kind is definitions.DefinitionKind.MACRO:
            bodies.append((*definition.span, definition.name))
    return bodies


def _is_word(text: str, at: int, name: str) -> bool:
    before, after = text[at - 1 : at], text[at + len(name) : at + len(name) + 1]
    return not (before.isalnum() or before == "_" or after.isalnum() or after == "_")
