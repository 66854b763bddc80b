"""What the answers of the agents make of the verdict that the proofs allow."""

from __future__ import annotations

import msgspec
import pytest

from hook import settlement
from hook.agent import evaluators
from hook.agent.checks.grounding import Evaluation, KmsanArguments
from hook.agent.loop import Outcome
from hook.verdict import Answer, ConfigReason, DecidedBy, Tokens, Verdict

OPEN = Verdict(
    worth_fuzzing=True,
    decided_by=DecidedBy.DEFAULT,
    functional=Answer.YES,
    reachable=Answer.UNKNOWN,
    reasoning="mm/pool.c changes.",
    change_id="c",
    focus_symbols=("pool_get",),
    enable_configs=("POOL",),
)
PROVED = msgspec.structs.replace(OPEN, decided_by=DecidedBy.EVIDENCE, reachable=Answer.YES)
HARMLESS = msgspec.structs.replace(PROVED, worth_fuzzing=False, functional=Answer.NO, focus_symbols=(), enable_configs=())
LEAKS = msgspec.structs.replace(PROVED, needs_kmsan=True, kmsan_reasoning="4 bytes of padding are uninitialised.")

WORTH = Evaluation(True, "it can loop for ever", ("pool_put",), ("NUMA",), via=("pool_ioctl",), corrections=("kfree: ubiquitous",))
NOT_WORTH = Evaluation(False, "only a log text")


def answered(verdict: Verdict, patch: Evaluation | None, kmsan: KmsanArguments | str | None = "not asked") -> Verdict:
    """The verdict after the patch evaluator, and the KMSAN evaluator where it was asked, have answered; None is a run without results."""
    outcomes = {evaluators.PATCH: _outcome(patch)}
    if not isinstance(kmsan, str):
        outcomes[evaluators.KMSAN] = _outcome(kmsan)
    return settlement.with_answers(verdict, outcomes, (), {"NUMA": ConfigReason("reach", "asked for by the model")})


def _outcome(results: object) -> Outcome:
    end, why = ("results", "") if results is not None else ("overloaded", "429 for ever")
    return Outcome(end, why, results, "a-model", Tokens(10, 1))


def test_what_is_open_is_decided_by_the_agent() -> None:
    assert answered(OPEN, NOT_WORTH).worth_fuzzing is False
    assert answered(OPEN, NOT_WORTH).enable_configs == ()
    found = answered(OPEN, WORTH)
    assert (found.worth_fuzzing, found.decided_by, found.reasoning) == (True, DecidedBy.AGENT, "it can loop for ever")
    assert (found.focus_symbols, found.enable_configs, found.via) == (("pool_put",), ("POOL", "NUMA"), ("pool_ioctl",))
    assert (found.corrections, list(found.config_reasons)) == (("kfree: ubiquitous",), ["NUMA"])


@pytest.mark.parametrize(("verdict", "answer"), [(PROVED, NOT_WORTH), (HARMLESS, WORTH)])
def test_a_proof_wins_over_the_agent(verdict: Verdict, answer: Evaluation) -> None:
    found = answered(verdict, answer)
    assert found == msgspec.structs.replace(verdict, model="a-model", tokens=Tokens(10, 1))


def test_an_agent_that_agrees_does_not_move_the_aim_of_a_proof() -> None:
    found = answered(PROVED, WORTH)
    assert (found.decided_by, found.focus_symbols) == (DecidedBy.EVIDENCE, ("pool_get",))
    assert found.reasoning == "mm/pool.c changes. The model agrees: it can loop for ever"


def test_an_agent_without_results_leaves_the_verdict_as_it_was() -> None:
    found = answered(OPEN, None)
    assert (found.worth_fuzzing, found.decided_by, found.focus_symbols) == (True, DecidedBy.DEFAULT, ("pool_get",))
    assert found.reasoning.endswith("The model gave no valid answer: overloaded: 429 for ever")


def test_the_kmsan_evaluator_decides_only_what_is_not_proved() -> None:
    assert answered(OPEN, WORTH, KmsanArguments(True, "padding")).needs_kmsan is True
    assert answered(OPEN, WORTH, None).kmsan_reasoning == "not judged: overloaded: 429 for ever"
    against = answered(LEAKS, WORTH, KmsanArguments(False, "all is set"))
    assert against.needs_kmsan is True
    assert against.disputes == ("NeedsKMSAN false, against: 4 bytes of padding are uninitialised. The model says: all is set",)
    assert answered(LEAKS, WORTH, KmsanArguments(True, "yes")).disputes == ()
    assert answered(HARMLESS, WORTH, KmsanArguments(True, "padding")).needs_kmsan is False


def test_not_worth_it_against_a_proved_leak_is_a_dispute() -> None:
    assert answered(LEAKS, NOT_WORTH).disputes == ("WorthFuzzing false, against: 4 bytes of padding are uninitialised.",)


def test_each_agent_of_the_flow_has_its_part_in_the_settlement() -> None:
    assert {agent.name for agent in evaluators.AGENTS} == set(settlement.WITH_ANSWER)
