"""Rows: one per change, with the fields of its verdict, or why there is none; as a line of JSON and as a record of Parquet."""

from __future__ import annotations

import datetime
import json
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from hook import settlement
from hook.bulk.inputs import BulkInput, Letter
from hook.verdict import (
    FIELDS,
    Answer,
    ConfigReason,
    ConfigSet,
    DecidedBy,
    Fact,
    State,
    Tokens,
    Verdict,
    each_once,
    not_proved,
    to_document,
)

if typing.TYPE_CHECKING:
    import pyarrow

    from hook.change.change import Commit
    from hook.change.patch import Patch

_MOST_PATHS = 200  # in a row; FileCount counts them all

_NAMES = tuple[str, ...]

# the columns before the verdict's fields, and the type of each: text, a list of names, a number
_OWN = {
    "Id": str,  # of the row: the commit, or the input's with the number of the patch
    "Input": str,  # the commit, or the Message-ID of the series' first patch
    "Source": str,  # as the person named it
    "Subject": str,
    "Author": str,
    "Date": str,  # UTC, ISO 8601
    "MessageId": str,
    "Version": int,  # of the series; 0 for a commit
    "Number": int,  # n of [PATCH n/m]
    "Total": int,  # m
    "Reviews": _NAMES,  # Reviewed-by: and the like, in the patch and in replies to its series
    "Paths": _NAMES,  # at most 200
    "FileCount": int,
    "LineCount": int,  # added and removed
    "BaseChoice": str,  # how the base of a mailed patch was chosen
    "NoVerdict": str,  # why there is none
    "Failed": bool,  # whether that is a failure: it could not be read, or judged
    "Seconds": float,  # for judging
    "Open": str,  # what is not proved, and the open questions
}
# the kinds of rows, in the words of the progress line; the answers are always counted, all three
ANSWERS = ("worth fuzzing", "open", "not worth fuzzing")
KINDS = (*ANSWERS, "nothing to judge", "failed")
_EMPTY: dict[Any, Any] = {str: "", _NAMES: [], bool: False, int: 0, float: 0.0}


def of_input(item: BulkInput, place: int) -> dict[str, Any]:
    """The row of the `place`-th patch of an input, with only the fields of the input."""
    row = {name: _EMPTY[kind] for name, kind in _OWN.items()}
    return {**row, "Id": item.commit or f"{item.id}#{place + 1}", "Input": item.id, "Source": item.source, "Commit": item.commit}


def with_commit(row: dict[str, Any], commit: Commit, reviews: Sequence[str]) -> dict[str, Any]:
    """The row with author and date of a commit, and the reviews in its message."""
    author, _, when = commit.author.partition("> ")
    seconds = when.split(" ", 1)[0]
    try:
        date = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC).isoformat()
    except (ValueError, OverflowError, OSError):
        date = ""
    return {**row, "Subject": commit.subject, "Author": f"{author}>", "Date": date, "Reviews": list(reviews)}


def with_letter(row: dict[str, Any], letter: Letter, item: BulkInput) -> dict[str, Any]:
    """The row with the headers of a patch's mail."""
    return {
        **row,
        "Subject": letter.subject,
        "Author": letter.author,
        "Date": letter.date,
        "MessageId": letter.message_id,
        "Version": letter.version,
        "Number": letter.number or 0,
        "Total": letter.total or 0,
        "Reviews": list(each_once((letter.reviews, item.reviews))),
    }


def with_patch(row: dict[str, Any], patch: Patch) -> dict[str, Any]:
    """The row with the files and lines of a patch."""
    paths = [file.path for file in patch.files]
    lines = sum(len(hunk.removed) + len(hunk.added) for file in patch.files for hunk in file.hunks)
    return {**row, "Paths": paths[:_MOST_PATHS], "FileCount": len(paths), "LineCount": lines}


def with_verdict(row: dict[str, Any], judged: Verdict, seconds: float) -> dict[str, Any]:
    """The row with the verdict."""
    questions = [part for part in (not_proved(judged), *settlement.open_questions(judged)) if part]
    return {**row, **to_document(judged), "Seconds": round(seconds, 4), "Open": "; ".join(questions)}


def without_verdict(row: dict[str, Any], why: str, failed: bool, seconds: float = 0.0) -> dict[str, Any]:
    """The row with the reason why there is no verdict."""
    return {**row, "NoVerdict": why, "Failed": failed, "Seconds": round(seconds, 4)}


def line(row: dict[str, Any]) -> bytes:
    """A row as a line of JSON. Characters that are not valid text become `?`."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def kind(row: Mapping[str, Any]) -> str:
    """The kind of a row, one of KINDS."""
    if "WorthFuzzing" not in row or row["WorthFuzzing"] is None:
        return "failed" if row["Failed"] else "nothing to judge"
    if row["DecidedBy"] == "default":
        return "open"
    return "worth fuzzing" if row["WorthFuzzing"] else "not worth fuzzing"


def table(lines: Sequence[bytes]) -> pyarrow.Table:
    """Lines of JSON as a table with the columns of `schema`."""
    import pyarrow

    shape = schema()
    rows = [json.loads(text) for text in lines]
    for row in rows:
        if "ConfigReasons" in row:
            row["ConfigReasons"] = list(row["ConfigReasons"].items())
    return pyarrow.Table.from_pylist(rows, schema=shape)


def schema() -> pyarrow.Schema:
    """The columns of Parquet: those of the row, then those of a verdict, which are null without a verdict."""
    import pyarrow

    text, integer, flag = pyarrow.string(), pyarrow.int64(), pyarrow.bool_()
    names = pyarrow.list_(text)
    reason = pyarrow.struct([("For", text), ("Why", text), ("Path", text), ("Line", integer)])
    fact = pyarrow.struct([("Claim", text), ("Path", text), ("Line", integer), ("Blob", text), ("Text", text)])
    kinds: dict[Any, Any] = {
        **dict.fromkeys((str, Answer, DecidedBy, State), text),
        int: integer,
        float: pyarrow.float64(),
        bool: flag,
        _NAMES: names,
        tuple[_NAMES, ...]: pyarrow.list_(names),
        tuple[Fact, ...]: pyarrow.list_(fact),
        tuple[ConfigSet, ...]: pyarrow.list_(pyarrow.struct([("Enable", names), ("Disable", names), ("Lines", names)])),
        Mapping[str, ConfigReason]: pyarrow.map_(text, reason),
        Tokens: pyarrow.struct([("Input", integer), ("Output", integer), ("Thoughts", integer), ("Estimated", flag)]),
    }
    columns = [(name, kinds[kind]) for name, kind in {**_OWN, **FIELDS}.items()]
    return pyarrow.schema([*columns, ("SchemaVersion", integer)])
