"""Events that only record numbers, and the nearest that do more where they are enabled."""

from __future__ import annotations

import pytest

from hook.evidence.functional.logs import tracepoints

EVENT = """TRACE_EVENT(pool_hit,
	TP_PROTO(int slot, unsigned long size),
	TP_ARGS(slot, size),
	TP_STRUCT__entry(
		__field(int, slot)
		__field(unsigned long, size)
	),
	TP_fast_assign(
		__entry->slot = slot;
		__entry->size = (size << 2) + 1;
	),
	TP_printk("slot=%d size=%lu (%s)", __entry->slot, __entry->size,
		__print_symbolic(__entry->slot & 1, { 0, "free" }, { SLOT_USED, "used" }))
);
"""
CLASS = EVENT.replace("TRACE_EVENT(pool_hit,", "DECLARE_EVENT_CLASS(pool,") + "DEFINE_EVENT(pool, pool_hit,\n\tTP_PROTO(int slot));\n"


def only_records(text: str) -> bool:
    return tracepoints.only_records(text.encode(), b"pool_hit")


@pytest.mark.parametrize(
    "text", [EVENT, CLASS, "TRACE_EVENT(pool_hit,\n\tTP_PROTO(int a), TP_ARGS(a));\n", EVENT + EVENT.replace("pool_hit", "pool_miss")]
)
def test_an_event_that_only_records(text: str) -> None:
    assert only_records(text)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ("= slot;", "= names[slot];"),
        ("= slot;", "= *slot;"),
        ("= slot;", "= slot->id;"),
        ("= slot;", "= 8 / slot;"),
        ("= slot;", "= count(slot);"),
        ("= slot;", "= slot++;"),
        ("= slot;", "= limit;"),
        ("= slot;", "= (total = slot);"),
        ("__entry->slot = slot;", "total = slot;"),
        ("__entry->slot = slot;", "memcpy(__entry->slot, slot, 4);"),
        ("__entry->slot = slot;", "if (slot) total++;"),
        ("__field(int, slot)", "__string(slot, slot)"),
        ("__field(int, slot)", "__array(char, slot, 8)"),
        ("__entry->slot, __entry->size", "count(__entry->slot), __entry->size"),
        ("__entry->slot, __entry->size", "names[__entry->slot], __entry->size"),
        ("__entry->slot, __entry->size", "__entry->slot->id, __entry->size"),
        ("__entry->slot, __entry->size", "total, __entry->size"),
        ("TRACE_EVENT(", "TRACE_EVENT_CONDITION("),
        ("TRACE_EVENT(", "TRACE_EVENT_FN("),
        ("	TP_fast_assign(", "#ifdef X\n	TP_fast_assign("),
        ("	TP_fast_assign(", "	TP_fast_assign(),\n	TP_fast_assign("),
    ],
)
def test_one_that_does_more(was: str, now: str) -> None:
    assert was in EVENT
    assert not only_records(EVENT.replace(was, now))


@pytest.mark.parametrize("text", [EVENT + EVENT, CLASS + EVENT, "DEFINE_EVENT(pool, pool_hit,\n\tTP_PROTO(int slot));\n", "", EVENT[:-200]])
def test_one_that_is_defined_twice_or_elsewhere(text: str) -> None:
    assert not only_records(text)
