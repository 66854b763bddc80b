"""What is proved of a file and of a patch: a NO brings its proof, and the proof comes first."""

from __future__ import annotations

import json

import pytest

from hook.evidence.change_classes import ChangeClass
from hook.evidence.finding import Evidence, Finding, Judgement, No, Open, Yes, quoted
from hook.verdict import Answer, Fact, Place
from tests.small_kernel import Kernel


def fact(claim: str) -> Fact:
    return Fact(claim, Place("mm/a.c", 1, ""))


CHANGED, HARMLESS, AWAY = fact("code changed in f()"), fact("only comments changed"), fact("code of another architecture")


def finding(functional: Judgement, reachable: Judgement) -> Finding:
    change = functional.fact if isinstance(functional, No) else CHANGED
    return Finding(functional, reachable, (ChangeClass.CODE,), change)


def test_a_no_needs_its_fact() -> None:
    with pytest.raises(TypeError):
        No()  # type: ignore[call-arg]
    assert (No(AWAY).answer, Yes(()).answer, Open().answer) == (Answer.NO, Answer.YES, Answer.UNKNOWN)


@pytest.mark.parametrize(
    ("functional", "reachable", "proof"),
    [(No(HARMLESS), No(AWAY), HARMLESS), (Open(), No(AWAY), AWAY), (Yes((CHANGED,)), Open(), None), (Open(), Yes(()), None)],
)
def test_the_proof_of_a_file_is_that_of_its_no(functional: Judgement, reachable: Judgement, proof: Fact | None) -> None:
    file = finding(functional, reachable)
    assert file.proof == proof and file.fact == (proof or CHANGED)


@pytest.mark.parametrize(
    ("files", "functional", "reachable"),
    [
        ([(No(HARMLESS), Open())], Answer.NO, Answer.UNKNOWN),  # a harmless file has no say in what is reached
        ([(No(HARMLESS), Open()), (Open(), No(AWAY))], Answer.UNKNOWN, Answer.NO),
        ([(Yes((CHANGED,)), Open()), (Open(), No(AWAY))], Answer.YES, Answer.UNKNOWN),
        ([(Open(), Yes(())), (Open(), No(AWAY))], Answer.UNKNOWN, Answer.YES),
        ([], Answer.UNKNOWN, Answer.UNKNOWN),
    ],
)
def test_a_patch_is_no_only_where_each_file_is(files: list[tuple[Judgement, Judgement]], functional: Answer, reachable: Answer) -> None:
    evidence = Evidence(tuple(finding(*judgements) for judgements in files))
    assert (evidence.functional, evidence.reachable) == (functional, reachable)


def test_the_facts_begin_with_what_may_matter_and_then_the_proofs() -> None:
    away, open_one, harmless = finding(Open(), No(AWAY)), finding(Open(), Open()), finding(No(HARMLESS), Open())
    assert Evidence((harmless, away, open_one)).facts == (CHANGED, AWAY, HARMLESS, CHANGED)
    assert Evidence((away, harmless)).facts == (AWAY, HARMLESS, CHANGED)


def test_code_of_another_architecture_says_so_as_the_first_evidence(kernel: Kernel) -> None:
    kernel.replace("arch/arm64/kernel/trap.c", "vector >> 26", "(vector >> 26) & 0x3f")
    kernel.git("add", "-A", "-f")
    verdict = json.loads(kernel.triage("check", "--format", "json"))
    assert (verdict["WorthFuzzing"], verdict["Functional"], verdict["Reachable"]) == (False, "yes", "no")
    claims = [entry["Claim"] for entry in verdict["Evidence"]]
    assert claims == ["arch/arm64/ is code of another architecture: a kernel for x86_64 is built without it", "code changed in trap_nr()"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [("mm/a.c", "mm/a.c"), ("mm/ä b.c", "mm/ä b.c"), ("a\nb", '"a\\nb"'), ('a"b\\c', '"a\\"b\\\\c"'), ("caf\udce9", '"caf\\351"')],
)
def test_an_odd_path_is_shown_as_git_quotes_it(path: str, shown: str) -> None:
    assert quoted(path) == shown
