"""What models may cost: counted before it is spent, whoever spends it."""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import pathlib
from collections.abc import Callable

import pytest

from hook import config
from hook.agent import ledger
from hook.agent.budget import Meter
from hook.agent.endpoint.trouble import NoAnswer
from hook.agent.ledger import LedgerLine
from hook.verdict import Tokens
from tests.agent.model import Model, hangs, kmsan, refuses, results, says
from tests.agent.test_stages import asking, change
from tests.agent.test_stages import remote as remote  # a fixture
from tests.small_kernel import Kernel

CITED = "mm/pool.c:22 changes."


def meter(directory: pathlib.Path, change_id: str = "c", push: str = "", **settings: object) -> Meter:
    given = [config.Given(f"agent.{name}", value, "test") for name, value in settings.items()]
    return Meter(directory, config.resolve([given]), change_id, "", push)


def lines(directory: pathlib.Path) -> list[LedgerLine]:
    return [line for _, line in ledger.read(directory, 1)]


def test_a_request_counts_at_the_most_it_can_cost_until_it_is_settled(tmp_path: pathlib.Path) -> None:
    one = meter(tmp_path, price="1/10/20")
    ticket = one.reserve("m", 1000, 500)
    assert [(line.settled, line.tokens.total, line.money) for line in lines(tmp_path)] == [(False, 1500, pytest.approx(0.011))]
    one.settle(ticket, Tokens(900, 40, 60))
    assert [(line.settled, line.tokens.total, line.money) for line in lines(tmp_path)] == [(True, 1000, pytest.approx(0.0025))]


@pytest.mark.parametrize(
    ("setting", "most", "trouble"),
    [
        ("max_patch_tokens", 3500, "patch-cap-reached"),
        ("max_push_tokens", 3500, "push-cap-reached"),
        ("max_day_tokens", 3500, "day-cap-reached"),
        ("max_patch_money", 0.0035, "patch-cap-reached"),
        ("max_push_money", 0.0035, "push-cap-reached"),
        ("max_day_money", 0.0035, "day-cap-reached"),
    ],
)
def test_each_cap_stops_what_would_pass_it(tmp_path: pathlib.Path, setting: str, most: float, trouble: str) -> None:
    caps = {setting: most, "price": "1/1"}
    one = meter(tmp_path, push="p", **caps)
    for _ in range(3):
        one.settle(one.reserve("m", 500, 500), Tokens(500, 500))
    with pytest.raises(NoAnswer, match=rf"agent\.{setting} is (?:3,500, 3,000 are|0\.0035, 0\.0030 are) spent") as stopped:
        one.reserve("m", 500, 500)
    assert stopped.value.trouble == trouble
    one.reserve("m", 250, 250)
    if "day" not in setting:
        meter(tmp_path, change_id="other", push="other", **caps).reserve("m", 500, 500)


def test_a_price_is_for_a_model_or_for_all(tmp_path: pathlib.Path) -> None:
    one = meter(tmp_path, max_patch_tokens=0, price=["1/2", "org/big:free=0/0", "big=10/20/30"])
    for model in ("small", "org/big:free", "big"):
        one.settle(one.reserve(model, 1, 1), Tokens(1_000_000, 1_000_000, 1_000_000))
    assert {line.model: line.money for line in lines(tmp_path)} == {"small": 5.0, "org/big:free": 0.0, "big": 60.0}
    with pytest.raises(config.WrongSetting, match="INPUT/OUTPUT"):
        meter(tmp_path, price="cheap")


def spender(directory: pathlib.Path, requests: int) -> int:
    one = meter(directory, max_day_tokens=10_000)
    sent = 0
    for _ in range(requests):
        try:
            one.settle(one.reserve("m", 60, 40), Tokens(60, 40))
            sent += 1
        except NoAnswer:
            pass
    return sent


def test_the_cap_holds_with_several_processes_and_no_line_is_lost(tmp_path: pathlib.Path) -> None:
    with concurrent.futures.ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        sent = sum(pool.map(spender, [tmp_path] * 3, [60] * 3))
    assert sent == 100 and sum(line.tokens.total for line in lines(tmp_path)) == 10_000
    text = next(tmp_path.glob("*.jsonl")).read_text()
    assert len([json.loads(line) for line in text.splitlines()]) == 200


def test_a_line_that_a_crash_has_cut_short_costs_no_other(tmp_path: pathlib.Path) -> None:
    one = meter(tmp_path)
    one.settle(one.reserve("m", 1, 1), Tokens(10, 1))
    path = next(tmp_path.glob("*.jsonl"))
    path.write_text(path.read_text() + '{"Id": "half')
    one.settle(one.reserve("m", 1, 1), Tokens(20, 2))
    assert sum(line.tokens.total for line in lines(tmp_path)) == 33
    other = meter(tmp_path, max_day_tokens=35)
    other.reserve("m", 1, 1)
    with pytest.raises(NoAnswer):
        other.reserve("m", 1, 0)


def test_nothing_is_spent_that_cannot_be_written_down(tmp_path: pathlib.Path) -> None:
    (tmp_path / "ledger").write_text("in the way")
    with pytest.raises(NoAnswer, match="the ledger cannot be written") as stopped:
        meter(tmp_path / "ledger").reserve("m", 1, 1)
    assert stopped.value.trouble == "ledger-not-written"


def test_a_push_that_reaches_a_cap_leaves_the_rest_pending_with_the_reason(
    hooked: Kernel, remote: str, scripted: Callable[..., Model]
) -> None:
    def answer(request: dict[str, object]) -> object:
        decision = kmsan() if "NeedsKMSAN" in json.dumps(request["tools"]) else results(why=CITED)
        return says(decision, usage={"prompt_tokens": 1000, "completion_tokens": 15_000, "total_tokens": 16_000})

    jo = asking(hooked, scripted(then=answer), PATCH_TRIAGE_AGENT_MAX_PUSH_TOKENS="60000")
    commits = [change(jo, number) for number in range(3)]
    _, error = jo.git_both("push", "-q", remote, "main")
    assert "3 commits: 2 worth fuzzing, 1 open, 0 not" in error
    assert "DecidedBy: agent" in jo.note(commits[2])  # the newest is asked about first
    assert "State: pending" in jo.note(commits[0]) and "push-cap-reached: agent.max_push_tokens is 60,000" in " ".join(
        jo.note(commits[0]).split()
    )
    assert sum(row["Input"] + row["Output"] for row in json.loads(jo.triage("spend", "--format", "json"))) <= 60_000


def test_a_run_that_is_repeated_costs_nothing(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan()))
    jo = asking(changed, model, PATCH_TRIAGE_AGENT_PRICE="1/10")
    jo.triage("check", "--wait", "HEAD")
    spent = jo.triage("spend")
    assert spent.splitlines()[1].split()[1:] == ["scripted", str(jo.path), "1", "2", "2,000", "60", "0", "0.0026"]
    jo.triage("check", "--wait", "HEAD")
    jo.git("commit", "-q", "--amend", "-m", "other words")
    jo.triage("check", "--wait", "HEAD", PATCH_TRIAGE_AGENT_MAX_ROUNDS="39")  # other settings, so the verdict is worked out anew
    assert jo.triage("spend") == spent and len(model.requests) == 2


def test_what_was_sent_counts_though_no_answer_came_but_not_what_was_refused(changed: Kernel, scripted: Callable[..., Model]) -> None:
    jo = asking(changed, scripted(refuses(401), hangs()))
    counted = []
    for seconds in ("60", "1"):
        jo.triage("check", "--wait", "HEAD", PATCH_TRIAGE_AGENT_REQUEST_SECONDS=seconds, ok=3)
        (row,) = json.loads(jo.triage("spend", "--format", "json"))
        counted.append((row["Requests"], row["Input"] > 1000, row["Output"], row["Estimated"], row["Open"]))
    assert counted == [(1, False, 0, False, 0), (2, True, 0, True, 0)]


def test_spend_adds_up_days_models_and_repositories(kernel: Kernel, tmp_path: pathlib.Path) -> None:
    assert kernel.triage("spend") == "no model was asked here\n"
    directory = kernel.path / ".git/patch-triage/ledger"
    for model, tokens in (("a", 10), ("a", 20), ("b", 5)):
        one = meter(directory)
        one.settle(one.reserve(model, 1, 1), Tokens(tokens))
    (path,) = directory.glob("*.jsonl")
    (directory / "2026-01-01.jsonl").write_bytes(path.read_bytes())
    rows = json.loads(kernel.triage("spend", "--format", "json"))
    assert [(row["Model"], row["Input"]) for row in rows] == [("a", 30), ("b", 5)] * 2 and rows[0]["Day"] == "2026-01-01"
    assert len(json.loads(kernel.triage("spend", "--days", "1", "--format", "json"))) == 2
    kernel.git("clone", "-q", ".", "../again")
    assert len(json.loads(kernel.triage("spend", ".", "../again", "--format", "json"))) == 4
    assert kernel.triage("spend").splitlines()[-1].split() == ["all", "1", "6", "70", "0", "0", "-"]
