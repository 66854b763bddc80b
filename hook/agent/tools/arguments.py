"""The arguments of a tool: a typed record whose field docs are what the model reads.

A field is `name: Annotated[type, "doc"]`, the model knows it as `Name`; one with a default may be left out. The schemas hold only what
every endpoint takes: type, properties, required, items, description (Gemini refuses `additionalProperties`, `const` and others).
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Mapping
from typing import Any

import msgspec

_TYPES: dict[Any, dict[str, Any]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    tuple[str, ...]: {"type": "array", "items": {"type": "string"}},
}


class BadCall(ValueError):
    """A call that the model can put right; the sentence tells it how."""


def schema(record: type[msgspec.Struct]) -> dict[str, Any]:
    """The JSON schema of a record, as endpoints want it for a tool's parameters."""
    properties, required = {}, []
    for field, kind, doc in _fields(record):
        properties[_shown(field.name)] = {**_TYPES[kind], "description": doc}
        if field.required:
            required.append(_shown(field.name))
    return {"type": "object", "properties": properties, "required": required}


def parse(record: type[msgspec.Struct], arguments: Any) -> Any:
    """The record in a model's arguments. Raises BadCall for a name or a value that does not fit, naming what does."""
    if not isinstance(arguments, Mapping):
        raise BadCall(f"the arguments are not an object with {_names(record)}")
    fields = {_shown(field.name): (field, kind) for field, kind, _ in _fields(record)}
    given: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, 1, cutoff=0.5)
            raise BadCall(
                f"there is no argument {str(name)[:60]!r}; " + (f"did you mean {near[0]}?" if near else f"there are {_names(record)}")
            )
        field, kind = fields[name]
        if value is None and not field.required:
            continue
        given[field.name] = _value(name, kind, value)
    missing = [shown for shown, (field, _) in fields.items() if field.required and field.name not in given]
    if missing:
        raise BadCall(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    return record(**given)


def to_json(record: Any) -> dict[str, Any]:
    """A record as the model wrote it."""
    pairs = ((_shown(field), getattr(record, field)) for field in record.__struct_fields__)
    return {name: list(value) if isinstance(value, tuple) else value for name, value in pairs}


def _value(name: str, kind: Any, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if isinstance(value, bool):
            return value
        raise BadCall(f"{name} must be true or false")
    if kind is int:
        if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value.strip()):
            return int(value)
        if isinstance(value, float) and value.is_integer():
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise BadCall(f"{name} must be a whole number")
    if kind is str:
        if isinstance(value, str):
            return value
        raise BadCall(f"{name} must be text")
    if isinstance(value, str):
        value = [word for word in value.replace(",", " ").split() if word]
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    raise BadCall(f"{name} must be a list of texts")


def _fields(record: type[msgspec.Struct]) -> list[tuple[msgspec.structs.FieldInfo, Any, str]]:
    """The fields of a record, each with its type and its doc."""
    return [(field, *typing.get_args(field.type)) for field in msgspec.structs.fields(record)]


def _names(record: type[msgspec.Struct]) -> str:
    return ", ".join(_shown(field) for field in record.__struct_fields__)


def _shown(name: str) -> str:
    """`first_line` as FirstLine; KMSAN is written in capitals everywhere."""
    return "".join("KMSAN" if word == "kmsan" else word.capitalize() for word in name.split("_"))
