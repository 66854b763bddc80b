"""The documents of a record: whole YAML documents, each with its ChangeId; a verdict, or a person's mark on one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

_MAX_BYTES = 256 * 1024
_MAX_DOCUMENTS = 8


def dump(documents: Sequence[Mapping[str, Any]]) -> str:
    """The documents as YAML text, readable in `git log --notes`."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return "".join(
        yaml.dump(_clean(dict(document)), Dumper=dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=100)
        for document in documents
    )


def dump_fast(documents: Sequence[Mapping[str, Any]]) -> str:
    """The documents as JSON, which is YAML too: for a file that only we read, written while a commit waits."""
    return "".join(f"---\n{msgspec.json.encode(_clean(dict(document))).decode()}\n" for document in documents)


def load(text: str) -> tuple[tuple[dict[str, Any], ...], int]:
    """The documents in `text`, and the number of those that could not be read; a damaged one does not affect the others.

    A fetched note is untrusted: see hook.source.bounded_yaml for what is refused.
    """
    if not text.strip():
        return (), 0
    from hook.source import bounded_yaml

    if len(text.encode("utf-8", "replace")) > _MAX_BYTES:
        return (), 1
    documents, broken = [], 0
    for piece in ("\n" + text).split("\n---\n"):
        if not piece.strip():
            continue
        try:
            parsed = bounded_yaml.load(piece)
        except bounded_yaml.Refused:
            broken += 1
            continue
        if isinstance(parsed, dict) and isinstance(parsed.get("ChangeId"), str):
            documents.append(parsed)
        else:
            broken += 1
    return tuple(documents), broken


def with_document(documents: Sequence[Mapping[str, Any]], new: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """`documents` with `new` in place of the one with its kind and ChangeId; the oldest beyond eight are dropped."""
    others = [old for old in documents if old.get("ChangeId") != new.get("ChangeId") or ("Mark" in old) != ("Mark" in new)]
    return (*others, new)[-_MAX_DOCUMENTS:]


def _clean(value: Any) -> Any:
    """The value without control characters and lone surrogates, which YAML does not allow."""
    if isinstance(value, str):
        return "".join(char for char in value if char.isprintable() or char in "\n\t")
    if isinstance(value, dict):
        return {key: _clean(element) for key, element in value.items()}
    return [_clean(element) for element in value] if isinstance(value, (list, tuple)) else value
