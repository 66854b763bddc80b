"""The model in the hooks: a commit never waits for it unless the person wants that, a push waits as long as it may."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from tests.agent.model import Model, call, hangs, kmsan, refuses, results, says
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
CITED = "mm/pool.c:22 changes."


@pytest.fixture
def remote(hooked: Kernel, tmp_path: pathlib.Path) -> str:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    hooked.git("push", "-q", "origin", "main", PATCH_TRIAGE="0")
    return "origin"


def asking(kernel: Kernel, model: Model, **more: str) -> Kernel:
    """The same person with a model set up and allowed."""
    person = Kernel(kernel.path, kernel.env | model.environment | more)
    person.triage("agent", "enable")
    return person


def change(kernel: Kernel, number: int = 1) -> str:
    return kernel.commit(POOL, kernel.read(POOL) + f"\nint extra_{number};\n", f"mm: {number}")


def test_a_commit_asks_nobody_and_records_the_question(hooked: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted()
    person = asking(hooked, model)
    change(person)
    assert not model.requests and "State: pending" in person.note()
    assert "[pending]" in person.triage("show")


def test_without_a_model_or_consent_nothing_is_pending(hooked: Kernel, scripted: Callable[..., Model]) -> None:
    change(hooked)
    assert "State: final" in hooked.note()
    person = Kernel(hooked.path, hooked.env | scripted().environment)
    change(person, 2)
    assert "State: final" in person.note()


def test_a_push_asks_and_records_the_answer(hooked: Kernel, remote: str, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(symbols=["pool_get"], why=CITED)), says(kmsan()))
    person = asking(hooked, model, PATCH_TRIAGE_POLICY_BLOCK="unjudged")
    change(person)
    _, error = person.git_both("push", "-q", remote, "main")
    assert "worth fuzzing: pool_get" in error and len(model.requests) == 2
    assert "DecidedBy: agent" in person.note() and "State: final" in person.note()
    table = person.triage("trajectory")
    assert "  patch-evaluator  scripted\n" in table and "  record\n" in table


def test_what_the_model_has_settled_is_not_asked_again_at_the_next_push(
    hooked: Kernel, remote: str, scripted: Callable[..., Model]
) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan()))
    person = asking(hooked, model)
    change(person)
    person.git("push", "-q", remote, "main")
    person.git("checkout", "-qb", "again")
    person.git("push", "-q", "--force", remote, "main~1:refs/heads/main", PATCH_TRIAGE="0")
    person.git("push", "-q", remote, "again")
    assert len(model.requests) == 2


def test_the_models_verdict_moves_along_in_a_rebase(hooked: Kernel, remote: str, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(symbols=["pool_get"], why=CITED)), says(kmsan()))
    person = asking(hooked, model)
    change(person)
    person.git("push", "-q", remote, "main:refs/heads/topic")
    person.git("branch", "-q", "onto", "HEAD~1")
    person.git("checkout", "-q", "onto")
    person.commit("init/other.c", "int other;\n", "elsewhere")
    person.git("checkout", "-q", "main")
    person.git("rebase", "-q", "onto")
    assert "DecidedBy: agent" in person.note() and f"Commit: {person.head()}" in person.note()
    person.amend(POOL, person.read(POOL) + "\nint now_it_differs;\n")
    assert "DecidedBy: default" in person.note().split("---")[-1]


def test_a_slow_search_does_not_hold_a_push(hooked: Kernel, remote: str, scripted: Callable[..., Model]) -> None:
    hooked.commit("mm/evil.c", "x" * 200_000 + "\n")
    slow = says(call("grepper", Expression=r"(.*)(.*)(.*)(.*)(.*)\1\2\3\4y", PathPrefix="mm/evil.c"))
    person = asking(hooked, scripted(then=slow), PATCH_TRIAGE_PUSH_WAIT_SECONDS="2")
    change(person)
    person.git("push", "-q", remote, "main")


def test_a_push_to_a_hanging_model_goes_on_in_time(hooked: Kernel, remote: str, scripted: Callable[..., Model]) -> None:
    person = asking(hooked, scripted(then=hangs()), PATCH_TRIAGE_PUSH_WAIT_SECONDS="2")
    for number in range(3):
        change(person, number)
    person.git("push", "-q", remote, "main")
    assert "State: pending" in person.note() and person.git("rev-parse", f"{remote}/main").strip() == person.head()


def test_a_push_that_may_not_wait_asks_nobody(hooked: Kernel, remote: str, scripted: Callable[..., Model]) -> None:
    model = scripted()
    person = asking(hooked, model, PATCH_TRIAGE_PUSH_WAIT_SECONDS="0")
    change(person)
    person.git("push", "-q", remote, "main")
    assert not model.requests


@pytest.mark.parametrize("turn", [refuses(401, "no"), refuses(503, "busy"), says(text="hm")])
def test_the_policy_stops_what_the_model_could_not_settle(
    hooked: Kernel, remote: str, scripted: Callable[..., Model], turn: object
) -> None:
    person = asking(hooked, scripted(then=turn), PATCH_TRIAGE_POLICY_BLOCK="unjudged", PATCH_TRIAGE_PUSH_WAIT_SECONDS="4")
    change(person)
    _, error = person.git_both("push", "-q", remote, "main", ok=1)
    assert "push stopped by policy.block: unjudged" in error


@pytest.mark.parametrize(
    ("variable", "value"), [("SSL_CERT_FILE", "/no/such.pem"), ("ALL_PROXY", "socks5://127.0.0.1:9"), ("OPENAI_API_KEY", "schlüssel-000")]
)
def test_a_policy_holds_whatever_is_wrong_with_the_environment(
    hooked: Kernel, remote: str, scripted: Callable[..., Model], variable: str, value: str
) -> None:
    person = asking(hooked, scripted(), PATCH_TRIAGE_POLICY_BLOCK="unjudged", PATCH_TRIAGE_PUSH_WAIT_SECONDS="4")
    change(person)
    _, error = person.git_both("push", "-q", remote, "main", ok=1, **{variable: value, "NO_PROXY": ""})
    assert "push stopped by policy.block: unjudged" in error


def test_a_commit_waits_for_the_model_where_the_person_wants_it(hooked: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(symbols=["pool_put"], why=CITED)), says(kmsan()))
    person = asking(hooked, model, PATCH_TRIAGE_AGENT_AT_COMMIT="wait")
    person.stage(POOL, person.read(POOL) + "\nint more;\n")
    _, error = person.git_both("commit", "-qm", "more")
    assert "DecidedBy: agent" in person.note() and "worth fuzzing: pool_put" in error


def test_a_commit_does_not_wait_longer_than_it_may(hooked: Kernel, scripted: Callable[..., Model]) -> None:
    person = asking(hooked, scripted(then=hangs()), PATCH_TRIAGE_AGENT_AT_COMMIT="wait", PATCH_TRIAGE_AGENT_COMMIT_SECONDS="1")
    change(person)
    assert "DecidedBy: default" in person.note()


def test_a_wrong_prompt_or_key_command_costs_no_push(hooked: Kernel, remote: str, scripted: Callable[..., Model]) -> None:
    person = asking(hooked, scripted(), PATCH_TRIAGE_AGENT_KEY_COMMAND="false")
    change(person)
    person.git("push", "-q", remote, "main")
    assert "DecidedBy: default" in person.note()
