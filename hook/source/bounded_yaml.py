"""Untrusted YAML: read event by event, within limits, before any value is built from it.

A settings file comes with a tree, and a note with a fetch. The parser needs quadratic time for nested brackets; tags and anchors can make
a short text large or build any object.
"""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    import yaml

_MOST_DEPTH = 20
_MOST_EVENTS = 50_000


class Refused(Exception):
    """A text that is no YAML, or that goes past a limit; the sentence says which."""

    def __init__(self, why: str, line: int = 0) -> None:
        super().__init__(why)
        self.line = line  # counted from 1; 0: not known


def compose(text: str) -> yaml.Node | None:
    """The nodes of the one document in `text`; None if there is none. Raises Refused."""
    import yaml

    try:
        _check(text)
        return yaml.compose(text, Loader=_loader())
    except yaml.YAMLError as wrong:
        raise _refusal(wrong) from None


def load(text: str) -> object:
    """The value of the one document in `text`. Raises Refused."""
    import yaml

    try:
        _check(text)
        return yaml.load(text, Loader=_loader())
    except yaml.YAMLError as wrong:
        raise _refusal(wrong) from None
    except (ValueError, ArithmeticError):
        raise Refused("not YAML: a malformed number or date") from None


def plain(node: yaml.Node) -> object:
    """The value of a composed node. Raises Refused."""
    import yaml

    try:
        return typing.cast(object, yaml.constructor.SafeConstructor().construct_document(node))
    except (yaml.YAMLError, ValueError, ArithmeticError):
        raise Refused("a value that is not plain YAML", node.start_mark.line + 1) from None


def _check(text: str) -> None:
    """Raise Refused as soon as the text goes past a limit."""
    import yaml

    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=_loader()), 1):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if getattr(event, "anchor", None):
            raise Refused("YAML anchors and aliases are not read here; write the value out", line)
        if getattr(event, "tag", None):
            raise Refused("a value that is not plain YAML", line)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MOST_DEPTH:
            raise Refused(f"not YAML that is read here: nested more than {_MOST_DEPTH} deep", line)
        if number > _MOST_EVENTS:
            raise Refused(f"not YAML that is read here: more than {_MOST_EVENTS} values", line)


def _loader() -> type[yaml.SafeLoader]:
    import yaml

    # the loader in C is ten times as fast, but not always installed
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _refusal(wrong: Exception) -> Refused:
    mark = getattr(wrong, "problem_mark", None)
    return Refused(f"not YAML: {getattr(wrong, 'problem', None) or 'it cannot be read'}", mark.line + 1 if mark else 0)
