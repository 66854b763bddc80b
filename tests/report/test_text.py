"""A verdict as text: one line first, then why."""

from __future__ import annotations

import msgspec
import pytest

from hook.report.chain import call_paths, chains
from hook.report.text import paragraph, plain
from hook.verdict import Answer, DecidedBy, Fact, Place, Verdict

CHANGED = "code changed in queue_pages(), walk_one()"
HOPS = (
    "system call mbind",
    "__x64_sys_mbind() calls kernel_mbind()",
    "kernel_mbind() calls do_mbind()",
    "do_mbind() calls .walk of a struct mm_walk_ops; that of queue_ops is queue_pages()",
)
TABLE = (
    "ext4_init_fs() runs at boot",
    "ext4_init_fs() passes ext4_fs_type to register_filesystem()",
    "mount, statfs, sync: ext4_get_tree() is .get_tree of struct fs_context_operations ext4_context_ops",
    "mount: ext4_get_tree() passes ext4_fill_super() to get_tree_bdev()",
    "ext4_fill_super() calls __ext4_fill_super()",
)


def facts(*claims: str) -> tuple[Fact, ...]:
    return tuple(Fact(claim, Place("mm/mempolicy.c", number, "")) for number, claim in enumerate(claims, 1))


def verdict(*claims: str, **fields: object) -> Verdict:
    made = Verdict(
        worth_fuzzing=True,
        decided_by=DecidedBy.EVIDENCE,
        functional=Answer.YES,
        reachable=Answer.YES,
        reasoning="mm/mempolicy.c changes.",
        change_id="",
        evidence=facts(*claims),
        focus_symbols=("queue_pages",),
    )
    return msgspec.structs.replace(made, **fields)  # type: ignore[arg-type]


def test_a_chain_of_hops_is_one_line_and_each_hop_a_line_on_demand() -> None:
    short = paragraph(verdict(CHANGED, *HOPS))
    assert short[1:3] == [
        f"  mm/mempolicy.c:1  {CHANGED}",
        "  reached: system call mbind -> __x64_sys_mbind -> kernel_mbind -> do_mbind -> queue_pages",
    ]
    assert not any("calls" in line for line in short)
    long = paragraph(verdict(CHANGED, *HOPS), verbose=True)
    assert [f"  mm/mempolicy.c:{number}  {hop}" for number, hop in enumerate(HOPS, 2)] == long[2:6] and long[6].startswith("  reached: ")


def test_what_a_fact_says_is_not_said_again() -> None:
    names = ("queue_pages", "walk_one")
    assert paragraph(verdict(CHANGED, change_classes=("code",), changed_functions=names))[2:] == []
    assert paragraph(verdict(CHANGED, change_classes=("code", "constant"), changed_functions=(*names, "do_mbind"), via=("sys_mbind",)))[
        2:
    ] == [
        "  kind of change: code, constant",
        "  changed functions: queue_pages, walk_one, do_mbind",
        "  callers on the call path: sys_mbind",
    ]
    leak = "f() copies x (struct tell) to user space; flags is uninitialised"
    why = f"{leak} (mm/mempolicy.c:1). KASAN does not see it."
    assert paragraph(verdict(leak, needs_kmsan=True, kmsan_reasoning=why))[2:] == ["  needs KMSAN: KASAN does not see it."]
    assert paragraph(verdict(CHANGED, needs_kmsan=True, kmsan_reasoning=why))[2:] == [f"  needs KMSAN: {why}"]


def test_each_open_question_has_a_line() -> None:
    reasoning = "mm/mempolicy.c changed. Not proved harmless. Open: not known: who calls it Open: likely: a <- b; not proved: c"
    open_verdict = verdict(CHANGED, decided_by=DecidedBy.DEFAULT, reasoning=reasoning)
    assert paragraph(open_verdict, verbose=True)[2:5] == [
        "  mm/mempolicy.c changed. Not proved harmless.",
        "  open: who calls it",
        "  open: likely: a <- b; not proved: c",
    ]


def test_what_is_no_chain_stays_as_it_is() -> None:
    for claims in (
        (CHANGED, "walk_one() calls pool_get()"),
        HOPS[:1],
        HOPS[1:],
        ("a() calls b()", "b() calls d()"),
        TABLE[:2],
        ("only comments changed: the tokens are the same",),
    ):
        lines, rest = chains(facts(*claims))
        assert lines == [] and rest == list(facts(*claims))


def test_a_table_is_an_entry_and_what_registers_it_is_left_to_the_long_form() -> None:
    lines, rest = chains(facts(CHANGED, *TABLE, "only comments changed: the tokens are the same"))
    assert lines == ["mount, statfs, sync -> ext4_context_ops.get_tree -> ext4_get_tree -> ext4_fill_super -> __ext4_fill_super"]
    assert [fact.claim for fact in rest] == [CHANGED, "only comments changed: the tokens are the same"]
    (path,), _ = call_paths(facts(CHANGED, *TABLE))
    assert [hop.fact.place.line for hop in path] == [4, 4, 4, 5, 6]  # the fact that says so of each
    (path,), _ = call_paths(facts(*HOPS))
    assert [hop.fact.place.line for hop in path] == [1, 2, 2, 3, 4][: len(path)]


def test_a_function_that_is_given_away_goes_on_by_its_own_name() -> None:
    lines, _ = chains(facts(*TABLE[:3], "ext4_get_tree() passes ext4_fill_super() to get_tree_bdev(), which calls it"))
    assert lines == ["mount, statfs, sync -> ext4_context_ops.get_tree -> ext4_get_tree -> ext4_fill_super"]


def test_a_hop_that_begins_elsewhere_ends_the_chain() -> None:
    lines, rest = chains(facts(*HOPS[:2], "someone() calls else_one()"))
    assert lines == ["system call mbind -> __x64_sys_mbind -> kernel_mbind"] and [fact.claim for fact in rest] == [
        "someone() calls else_one()"
    ]


def test_devices_are_named() -> None:
    assert "  devices that run it: e1000e, dummy_hcd with raw-gadget" in paragraph(
        verdict(CHANGED, devices=("e1000e", "dummy_hcd with raw-gadget"))
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("::error file=a.c::wrong", ": :error file=a.c::wrong"),
        (" \t::stop-commands::x", "  : :stop-commands::x"),
        ("\u200b::error::x", ": :error::x"),
        ("a.c ##[error]x", "a.c # #[error]x"),
        ("##vso[task.setvariable variable=PATH]x", "# #vso[task.setvariable variable=PATH]x"),
        ("##teamcity[x]", "# #teamcity[x]"),
        ("std::vector", "std::vector"),
        ("a##b", "a##b"),
        ("\ufeffa\u00adb\u2060c\x1b[31m", "abc[31m"),
    ],
)
def test_no_text_of_a_tree_is_a_command_to_a_terminal_or_a_ci_job(name: str, shown: str) -> None:
    assert plain(name) == shown


@pytest.mark.parametrize(
    ("claims", "line"),
    [
        (
            (
                "init() runs at boot",
                "groups is .default_groups of ktype",
                "attr is in groups",
                "files of sysfs: show() is in attr, a struct kobj_attribute",
            ),
            "files of sysfs -> show",
        ),
        (
            ("BPF programs: free_pages() is a kfunc of the set kfuncs", "free_pages() calls free_all()"),
            "BPF programs -> free_pages -> free_all",
        ),
    ],
)
def test_what_a_program_enters_comes_first(claims: tuple[str, ...], line: str) -> None:
    assert chains(facts(*claims)) == ([line], [])
