"""The context pack: what a reviewer looks up first is there, within its budget, and the rest is named."""

from __future__ import annotations

import difflib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook import triage
from hook.agent import token_count
from hook.agent.context import fence, first_message, pack
from hook.agent.context.gathering import Subject
from hook.agent.context.pack import Section
from hook.agent.context.side_by_side import Merged
from hook.agent.desk import Desk
from hook.change.change import find_commit, of_commit
from hook.change.patch import FileChange
from hook.config import Given, resolve
from hook.redaction import Redactor
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.agent import recorded
from tests.small_kernel import Kernel


def gathered(kernel: Kernel, most_tokens: int = 6000, never: tuple[str, ...] = (), most_lookups: int = 100) -> first_message.Context:
    settings = resolve([[Given("focus.max_symbols", 10, "test")]])
    with Objects(find(kernel.path), 16 << 20) as objects:
        change = of_commit(objects, find_commit(objects, "HEAD"))
        found = triage.proved(change, objects, settings)
        desk = Desk(Source(objects, change.after), Redactor(), 10.0, never, patch=change.patch)
        return first_message.gather(Subject(change.patch.files, found.proofs.evidence, found.verdict), desk, most_tokens, most_lookups)


def test_what_a_farms_run_looked_up_is_there_at_the_start(kernel: Kernel) -> None:
    recorded.tree(kernel.path, recorded.BEFORE)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "mm: policies")
    recorded.tree(kernel.path, recorded.AFTER)
    kernel.git("commit", "-qam", "mm/mempolicy: fall back to the task's policy")
    made = gathered(kernel)
    for wanted in (
        "+2063\t\tpol = __get_vma_policy(vma, vma->vm_start, &ilx);", "-2059\t\tif (own(vma))", " 2057\tbool vma_policy_mof(",
        "2018\tstruct mempolicy *__get_vma_policy(", "340\tstruct mempolicy *get_task_policy(", "static inline void mpol_cond_put(",
        "static inline int mpol_needs_cond_ref(", "kernel/sched/fair.c:4169 task_numa_work() calls it", "kernel/sched/fair.c:3950\t#ifdef CONFIG_NUMA_BALANCING",
        "4076\tstatic void task_numa_work(", "mm/Makefile:86\tobj-$(CONFIG_NUMA) += mempolicy.o", "config NUMA_BALANCING", "depends on SMP && !PREEMPT_RT",
        "#define MPOL_F_MOF", "mm/mempolicy.c sanitize_mpol_flags():", "*flags |= MPOL_F_MOF;", "init_task_work(&p->numa_work, task_numa_work);",
    ):  # fmt: skip
        assert wanted in made.pack.text, wanted
    assert made.tokens <= 6000 and not made.pack.left_out
    assert "call set-results in this round" in made.question
    assert made.pack.text == gathered(kernel).pack.text, "the same question is the same request"


@pytest.mark.parametrize(("budget", "shortened"), [(500, True), (1000, False), (3000, False)])
def test_a_large_change_stays_within_its_budget_and_says_what_is_missing(kernel: Kernel, budget: int, shortened: bool) -> None:
    for number in range(30):
        body = "".join(f"\ta += pool_get_{number}_{line}(a);\n" for line in range(60))
        kernel.write(f"mm/new{number}.c", f"int f{number}(int a)\n{{\n{body}\treturn a;\n}}\n")
    kernel.git("add", "-A")
    kernel.git("commit", "-qm", "mm: many")
    made = gathered(kernel, budget)
    assert made.tokens <= budget
    assert "in this round" not in made.question
    assert made.pack.left_out and "Left out for lack of room" in made.pack.text
    assert (bool(made.pack.shortened), "Shown in part" in made.pack.text) == (shortened, shortened)


def test_what_is_kept_back_is_in_no_pack(kernel: Kernel) -> None:
    kernel.commit("drivers/secret/chip.c", "#include <linux/pool.h>\nvoid chip(void)\n{\n\tpool_get(0);\n}\n")
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c").replace("--pool->count]", "--pool->count & 7]"))
    assert "secret" in gathered(kernel).blocks
    made = gathered(kernel, never=("drivers/secret", "include"))
    assert "in this round" in made.question
    assert "in this round" not in gathered(kernel, never=("mm/pool.c",)).question
    assert "secret" not in made.blocks and "include/linux/pool.h" not in made.blocks and "pool_get" in made.blocks


def test_without_look_ups_the_change_itself_is_there_and_the_pack_says_so(kernel: Kernel) -> None:
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c").replace("--pool->count]", "--pool->count & 7]"))
    made = gathered(kernel, most_lookups=0)
    assert "--pool->count & 7]" in made.pack.text and "Not looked up: too many names" in made.pack.text
    assert "in this round" not in made.question


def test_a_tree_that_cannot_be_read_costs_no_more_than_its_sections(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel.commit("mm/pool.c", kernel.read("mm/pool.c").replace("--pool->count]", "--pool->count & 7]"))
    git = kernel.path.parent / "bin" / "git"
    git.parent.mkdir()
    git.write_text('#!/bin/sh\ncase "$*" in *grep*) exit 128;; esac\nPATH="$REAL_PATH" exec git "$@"\n')
    git.chmod(0o755)
    monkeypatch.setenv("REAL_PATH", kernel.env["PATH"])
    monkeypatch.setenv("PATH", f"{git.parent}:{kernel.env['PATH']}")
    made = gathered(kernel)
    assert "--pool->count & 7]" in made.pack.text and "## Not all was looked up" in made.pack.text


def test_sections_are_filled_up_in_the_order_of_their_use() -> None:
    sections = [Section(f"s{number}", f"{number}" * 900, f"{number}" * 90) for number in range(8)]
    made = pack.fitted(sections, 1300)
    assert token_count.estimate(made.text) <= 1300
    assert "0" * 900 in made.text and "7" * 90 in made.text and "7" * 900 not in made.text
    assert made.shortened[-1] == "s7" and not made.left_out
    assert pack.fitted(sections, 20_000).text.count("\n## ") == 7 and not pack.fitted(sections, 20_000).shortened
    tight = pack.fitted(sections, 400)
    assert token_count.estimate(tight.text) <= 400 and tight.left_out and f"## {tight.left_out[0]}" not in tight.text


def test_a_fence_is_made_of_the_data_and_is_in_none_of_it() -> None:
    assert fence.fence("a", "b") == fence.fence("a", "b") != fence.fence("ab", "")
    line = fence.fence("x")
    assert fence.fenced(line, f"one\n{line}\ntwo").count(line) == 2
    assert fence.fence(f"x {line}", "x") not in f"x {line}"


LINES = st.lists(st.sampled_from(["int a;", "", "}", "{", "void f(void)", "\treturn 0;", "/* c */", "#if 0", "#endif"]), max_size=30)


@given(LINES, LINES)
def test_both_sides_of_a_change_are_shown_line_by_line(old: list[str], new: list[str]) -> None:
    if old == new:
        return
    codes = [code for code in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if code[0] != "equal"]
    section = "--- a.c\n+++ a.c\n"
    for _, a, b, c, d in codes:
        lines = [f"-{line}\n" for line in old[a:b]] + [f"+{line}\n" for line in new[c:d]]
        section += f"@@ -{a + (b > a)},{b - a} +{c + (d > c)},{d - c} @@\n{''.join(lines)}"
    sides = ["".join(f"{line}\n" for line in side).encode() for side in (old, new)]
    merged = Merged(FileChange("M", "a.c", "a.c", "100644", "100644", "1", "2", (section.encode(),)), *sides, Redactor())
    for most in (3, 1000):  # of which the first comes in several pieces
        shown = "\n".join(piece.text for piece in merged.pieces(most))
        for mark, side, numbers in (
            ("-", old, [n for _, a, b, _, _ in codes for n in range(a, b)]),
            ("+", new, [n for *_, c, d in codes for n in range(c, d)]),
        ):
            found = dict(re.findall(rf"(?m)^\{mark}(\d+)\t(.*)$", shown))
            assert {int(number) - 1: text for number, text in found.items()} == {n: side[n].rstrip() for n in numbers}
        for number, text in re.findall(r"(?m)^ (\d+)\t(.*)$", shown):
            assert new[int(number) - 1].rstrip() == text
