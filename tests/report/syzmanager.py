"""What syz-manager takes as focus areas (pkg/mgrconfig and pkg/cover of syzkaller): a schema of ours, and the rules that a schema cannot tell."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema

_FILTERS = {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
_AREA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["weight"],
    "properties": {
        "name": {"type": "string"},
        "weight": {"type": "number", "exclusiveMinimum": 0},
        "filter": {
            "type": "object",
            "additionalProperties": False,
            "minProperties": 1,
            "properties": {"files": _FILTERS, "functions": _FILTERS, "pcs": _FILTERS},
        },
    },
}
SCHEMA = {
    "type": "object",
    "properties": {
        "experimental": {
            "type": "object",
            "properties": {
                "focus_areas": {
                    "type": "array",
                    "items": _AREA,
                    # without an area for the rest all other code would not count; two of them are refused
                    "if": {"minItems": 1},
                    "then": {"contains": {"not": {"required": ["filter"]}}, "minContains": 1, "maxContains": 1},
                }
            },
        }
    },
    "not": {
        "required": ["cover_filter", "experimental"],
        "properties": {"experimental": {"required": ["focus_areas"], "properties": {"focus_areas": {"minItems": 1}}}},
    },
}


def faults(config: dict[str, Any], symbols: list[str], files: list[str]) -> list[str]:
    """Why syz-manager would not start with `config`, on a kernel with these functions and sources; empty if it would."""
    found = [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(config)]
    if found:
        return found
    areas = config["experimental"]["focus_areas"]
    names = [area["name"] for area in areas if area.get("name")]
    found += [f"duplicate name: {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    for area in areas:
        for kind, known in (("functions", symbols), ("files", files)):
            filters = area.get("filter", {}).get(kind, [])
            try:
                json.dumps(filters, ensure_ascii=False).encode()
                # a name counts for the first filter that matches it, and for no other (covFilterAddFilter)
                used = {next((one for one in filters if re.search(one, name)), "") for name in known}
                found += [f"some filters don't match anything: {one}" for one in filters if one not in used]
            except (re.error, UnicodeEncodeError) as wrong:
                found.append(f"{filters!r}: {wrong}")
    return found
