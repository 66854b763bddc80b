"""Lookup text: the result of a look-up, as lines for a person and as a document for a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hook.c.definitions import Definition
from hook.source.lookup import Defined, FunctionUse, FunctionUseKind, Include, LookupResult, Reference

_CUT = {
    "files": "[cut: too many files contain the name]",
    "index": "[cut: there is no word index; `patch-triage index` builds it]",
    "seconds": "[cut: limits.lookup_seconds are over]",
    "bytes": "[cut: too many results]",
}


def lines(result: LookupResult[Any], path: str = "") -> Iterator[str]:
    """One line for each item, `path:line:` first, as compilers and editors write places."""
    for item in result.items:
        yield _line(item, path)
    if result.cut:
        yield _CUT[result.cut]


def document(result: LookupResult[Any], path: str = "") -> dict[str, Any]:
    """The same as a JSON value."""
    return {"Items": [_document(item, path) for item in result.items], "Cut": result.cut}


def _line(item: Any, path: str) -> str:
    if isinstance(item, Definition):
        return f"{path}:{item.line}: {item.kind} {item.name}" + (f" (to line {item.last_line})" if item.last_line > item.line else "")
    if isinstance(item, Defined):
        return f"{item.path}:{item.definition.line}: {item.text.strip()}  [{item.definition.kind}]"
    if isinstance(item, Reference):
        return f"{item.path}:{item.line}: {item.text.strip()}" + (f"  [{item.function}]" if item.function else "")
    if isinstance(item, FunctionUse):
        return f"{item.path}:{item.line}: {item.text.strip()}  [{item.user}{'' if item.kind is FunctionUseKind.CALL else f': {item.kind}'}]"
    assert isinstance(item, Include)
    return f"{item.path}:{item.line}: {item.text.strip()}"


def _document(item: Any, path: str) -> dict[str, Any]:
    if isinstance(item, Definition):
        return _definition(item, path)
    if isinstance(item, Defined):
        return {**_definition(item.definition, item.path), "Text": item.text}
    if isinstance(item, Reference):
        return {"Path": item.path, "Line": item.line, "Text": item.text, "Function": item.function}
    if isinstance(item, FunctionUse):
        return {"Path": item.path, "Line": item.line, "Text": item.text, "User": item.user, "Kind": str(item.kind)}
    assert isinstance(item, Include)
    return {"Path": item.path, "Line": item.line, "Text": item.text}


def _definition(definition: Definition, path: str) -> dict[str, Any]:
    return {
        "Name": definition.name,
        "Kind": str(definition.kind),
        "Path": path,
        "Line": definition.line,
        "FirstLine": definition.first_line,
        "LastLine": definition.last_line,
    }
