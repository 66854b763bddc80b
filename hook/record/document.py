"""The documents of a record: whole YAML documents, each with its ChangeId; a verdict, or a person's mark on one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_MAX_BYTES = 256 * 1024
_MAX_DOCUMENTS = 8


def dump(documents: Sequence[Mapping[str, Any]]) -> str:
    """The documents as YAML text that `git log --notes` shows readably."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return "".join(
        yaml.dump(_clean(dict(one)), Dumper=dumper, explicit_start=True, sort_keys=False, allow_unicode=True, width=100)
        for one in documents
    )


def dump_fast(documents: Sequence[Mapping[str, Any]]) -> str:
    """The documents as JSON, which is YAML too: for a file that nobody reads but us, written while a commit waits."""
    return "".join(f"---\n{json.dumps(_clean(dict(one)), ensure_ascii=False)}\n" for one in documents)


def load(text: str) -> tuple[tuple[dict[str, Any], ...], int]:
    """The documents in `text`, and how many could not be read; one that a hand has broken does not cost the others.

    A fetched note can come from anybody: see hook.source.bounded_yaml for what is refused.
    """
    if not text.strip():
        return (), 0
    from hook.source import bounded_yaml

    if len(text.encode("utf-8", "replace")) > _MAX_BYTES:
        return (), 1
    found, broken = [], 0
    for piece in ("\n" + text).split("\n---\n"):
        if not piece.strip():
            continue
        try:
            one = bounded_yaml.load(piece)
        except bounded_yaml.Refused:
            broken += 1
            continue
        if isinstance(one, dict) and isinstance(one.get("ChangeId"), str):
            found.append(one)
        else:
            broken += 1
    return tuple(found), broken


def with_document(documents: Sequence[Mapping[str, Any]], new: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """`documents` with `new` in place of the one of its kind and ChangeId; the oldest beyond eight are dropped."""
    kept = [one for one in documents if one.get("ChangeId") != new.get("ChangeId") or ("Mark" in one) != ("Mark" in new)]
    return (*kept, new)[-_MAX_DOCUMENTS:]


def _clean(value: Any) -> Any:
    """Without the control characters and lone surrogates that YAML cannot hold."""
    if isinstance(value, str):
        return "".join(char for char in value if char.isprintable() or char in "\n\t")
    if isinstance(value, dict):
        return {key: _clean(one) for key, one in value.items()}
    return [_clean(one) for one in value] if isinstance(value, (list, tuple)) else value
