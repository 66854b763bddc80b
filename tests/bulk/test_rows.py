"""Rows: what a verdict says is in the line and in the columns, whatever it holds."""

from __future__ import annotations

import json

from hook.bulk import rows
from hook.bulk.inputs import BulkInput
from hook.verdict import (
    Answer,
    ConfigReason,
    ConfigSet,
    DecidedBy,
    Fact,
    Place,
    State,
    Tokens,
    Verdict,
    to_document,
)

NAMES = ("a", "b\udcff", "ü")
FULL = Verdict(
    worth_fuzzing=True,
    focus_symbols=NAMES,
    focus_groups=(("a", "b"), ("c",)),
    enable_configs=NAMES,
    needs_kmsan=True,
    kmsan_reasoning="why",
    author_says=("KMSAN: uninit-value in f",),
    reasoning="x.c changes. Open: is it so?",
    decided_by=DecidedBy.DEFAULT,
    state=State.PENDING,
    functional=Answer.YES,
    reachable=Answer.UNKNOWN,
    config_sets=(ConfigSet(("A",), ("B",), ("x.c:1",)),),
    config_reasons={"A": ConfigReason("build", "why", "Kconfig", 3)},
    evidence=(Fact("claim", Place("x.c", 1, "ab"), "text"),),
    lacks=("search",),
    qemu_args="-cpu host",
    kernel_parameters=NAMES,
    interfaces=NAMES,
    corrections=NAMES,
    tokens=Tokens(1, 2, 3, estimated=True),
    change_id="c",
)


def test_every_field_of_a_verdict_has_a_column_that_holds_it() -> None:
    row = rows.with_verdict(rows.of_input(BulkInput("i", "x", commit="i"), 0), FULL, 1.5)
    line = rows.line(row)
    (columns,) = rows.table([line]).to_pylist(maps_as_pydicts="strict")
    said = json.loads(line)
    assert said == columns and set(to_document(FULL)) <= set(said)
    assert said["FocusSymbols"] == ["a", "b?", "ü"] and said["FocusGroups"] == [["a", "b"], ["c"]]
    assert said["Open"] == "that a fuzzer can reach it; is it so?" and said["Seconds"] == 1.5
