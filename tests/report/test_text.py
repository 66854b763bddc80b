"""A verdict as text: one line first, then why."""

from __future__ import annotations

import dataclasses

from hook.report.chain import chains
from hook.report.text import paragraph
from hook.verdict import Answer, DecidedBy, Fact, Place, Verdict

CHANGED = "code changed in queue_pages(), walk_one()"
HOPS = (
    "system call mbind",
    "__x64_sys_mbind() calls kernel_mbind()",
    "kernel_mbind() calls do_mbind()",
    "do_mbind() calls .walk of a struct mm_walk_ops; that of queue_ops is queue_pages()",
)


def facts(*claims: str) -> tuple[Fact, ...]:
    return tuple(Fact(claim, Place("mm/mempolicy.c", number, "")) for number, claim in enumerate(claims, 1))


def verdict(*claims: str, **fields: object) -> Verdict:
    made = Verdict(True, DecidedBy.EVIDENCE, Answer.YES, Answer.YES, "mm/mempolicy.c changes.", "", evidence=facts(*claims), focus_symbols=("queue_pages",))
    return dataclasses.replace(made, **fields)  # type: ignore[arg-type]


def test_a_chain_of_hops_is_one_line_and_each_hop_a_line_on_demand() -> None:
    short = paragraph(verdict(CHANGED, *HOPS))
    assert short[1:3] == [f"  mm/mempolicy.c:1  {CHANGED}", "  reached: system call mbind -> __x64_sys_mbind -> kernel_mbind -> do_mbind -> queue_pages"]
    assert not any("calls" in line for line in short)
    long = paragraph(verdict(CHANGED, *HOPS), verbose=True)
    assert [f"  mm/mempolicy.c:{number}  {hop}" for number, hop in enumerate(HOPS, 2)] == long[2:6] and long[6].startswith("  reached: ")


def test_what_is_no_chain_stays_as_it_is() -> None:
    for claims in ((CHANGED, "walk_one() calls pool_get()"), HOPS[:1], ("a() calls b()", "c() calls d()"), ("only comments changed: the tokens are the same",)):
        lines, rest = chains(facts(*claims))
        assert lines == [] and rest == list(facts(*claims))


def test_two_chains_are_two_lines() -> None:
    lines, rest = chains(facts("init() calls register()", "register() gives ops() to core()", *HOPS, CHANGED))
    assert lines == ["init -> register -> core", "system call mbind -> __x64_sys_mbind -> kernel_mbind -> do_mbind -> queue_pages"]
    assert [fact.claim for fact in rest] == [CHANGED]


def test_devices_are_named() -> None:
    assert "  devices that make it run: e1000e, dummy_hcd with raw-gadget" in paragraph(verdict(CHANGED, devices=("e1000e", "dummy_hcd with raw-gadget")))
