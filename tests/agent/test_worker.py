"""The worker: commits never wait, and every question is asked once, whatever happens to who asks."""

from __future__ import annotations

import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.agent import background
from tests.agent.background import ask, kill, questions, wait
from tests.agent.model import Model, call, hangs, kmsan, refuses, results, says
from tests.small_kernel import PROGRAM, Kernel

POOL = "mm/pool.c"
CITED = "mm/pool.c:22 changes."


@pytest.fixture
def working(hooked: Kernel) -> Iterator[Kernel]:
    yield hooked
    while kill(hooked):
        pass


def answers(request: dict[str, Any]) -> Any:
    """What a model says that decides at once."""
    decides_kmsan = "NeedsKMSAN" in json.dumps(request["tools"])
    return says(kmsan() if decides_kmsan else results(symbols=["pool_get"], why=CITED))


def slowly(seconds: float) -> Callable[[dict[str, Any]], Any]:
    def turn(request: dict[str, Any]) -> Any:
        time.sleep(seconds)
        return answers(request)

    return turn


def change(kernel: Kernel, number: int = 1, *options: str) -> str:
    return kernel.commit(POOL, kernel.read(POOL) + f"\nint extra_{number};\n", f"mm: {number}", *options)


def asked_about(model: Model) -> list[str]:
    """Which commit each request was about, by the number in its change, with the evaluator's name's first letter."""
    found = []
    for request in model.requests:
        numbers = re.findall(r"\+\d+\\tint extra_(\d+);", json.dumps(request["messages"]))
        found.append(f"{numbers[0]}{'k' if 'NeedsKMSAN' in json.dumps(request['tools']) else 'p'}")
    return found


def test_a_commit_hands_its_question_to_the_worker(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=slowly(0.3))
    jo = background.person(working, model)
    change(jo)
    assert "State: pending" in jo.note()
    wait(jo)
    assert "DecidedBy: agent" in jo.note() and "State: final" in jo.note() and f"Commit: {jo.head()}" in jo.note()
    assert len(model.requests) == 2 and not questions(jo)
    assert "record" in jo.triage("trajectory")


def test_a_commit_does_not_wait_and_the_worker_holds_nothing_of_it(working: Kernel, scripted: Callable[..., Model]) -> None:
    jo = background.person(working, scripted(then=hangs()))
    change(jo)  # whose output is read to its end: a worker that held it would keep us here
    one = background.process(jo)
    while not any(path.name != str(one) for path in pathlib.Path(f"/proc/{one}/task").iterdir()):
        time.sleep(0.02)
    # what reads and asks is nice; what writes the notes, with the lock that a commit may wait for, is not
    others = {
        os.getpriority(os.PRIO_PROCESS, int(path.name)) for path in pathlib.Path(f"/proc/{one}/task").iterdir() if path.name != str(one)
    }
    assert os.getsid(one) == one and others == {10} and os.getpriority(os.PRIO_PROCESS, one) == os.getpriority(os.PRIO_PROCESS, 0)
    assert {os.readlink(f"/proc/{one}/fd/{number}") for number in range(3)} == {"/dev/null"}
    assert background.kill(jo)


def test_many_commits_have_one_worker_and_none_is_asked_about_twice(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=slowly(0.02))
    jo = background.person(working, model, PATCH_TRIAGE_AGENT_SETTLE_SECONDS="1")
    commits, most = [], 0
    for number in range(12):
        commits.append(change(jo, number, "--no-verify"))
        most = max(most, background.count(jo))
    wait(jo)
    assert sorted(asked_about(model)) == sorted(f"{number}{which}" for number in range(12) for which in "pk")
    assert [commit for commit in commits if "DecidedBy: agent" not in jo.note(commit)] == [] and not questions(jo)
    assert most == 1


def test_whenever_the_worker_is_killed_nothing_is_lost_or_paid_for_twice(working: Kernel, scripted: Callable[..., Model]) -> None:
    def in_three_rounds(request: dict[str, Any]) -> Any:
        time.sleep(0.15)
        if "NeedsKMSAN" in json.dumps(request["tools"]) or request["messages"][-1]["role"] == "tool":
            return answers(request)
        return says(call("read-file", File=POOL, FirstLine=1, LineCount=20))

    model = scripted(then=in_three_rounds)
    jo = background.person(working, model, **background.RESTING)
    commits = [change(jo, number, "--no-verify") for number in range(4)]
    for commit in commits:
        background.rewrite(jo, commit, NotBefore=0)
    chance, killed = random.Random(7), 0
    for _ in range(40):
        if not questions(jo):
            break
        jo.triage("status")
        asked = len(model.requests)
        while background.process(jo) and len(model.requests) == asked:
            time.sleep(0.01)
        time.sleep(chance.uniform(0.0, 0.4))
        if killed < 4:
            killed += kill(jo)
        else:
            wait(jo)
    assert killed == 4 and not questions(jo)
    assert [commit for commit in commits if "DecidedBy: agent" not in jo.note(commit)] == []
    requests = [json.dumps([request["messages"], request["tools"]]) for request in model.requests]
    assert len(set(requests)) == 12 and len(requests) - 12 <= killed  # only what was under way is asked again


def test_a_commit_that_was_amended_away_is_not_asked_about(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=answers)
    jo = background.person(working, model, **background.RESTING)
    old = change(jo, 1)
    jo.amend(POOL, jo.read(POOL).replace("extra_1", "extra_2"))
    assert set(questions(jo)) == {jo.head()} != {old}
    ask(jo)
    assert asked_about(model) == ["2p", "2k"] and "DecidedBy: agent" in jo.note()


def test_a_commit_that_was_reset_away_is_dropped(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=answers)
    jo = background.person(working, model, **background.RESTING)
    change(jo, 1)
    jo.git("reset", "-q", "--hard", "HEAD~1")
    ask(jo)
    assert not model.requests and not questions(jo)


def test_questions_move_along_in_a_rebase(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=answers)
    jo = background.person(working, model, **background.RESTING)
    jo.git("branch", "-q", "onto")
    commits = [change(jo, number) for number in (1, 2)]
    since = questions(jo)[commits[0]]["Since"]
    jo.git("checkout", "-q", "onto", PATCH_TRIAGE="0")
    jo.git("commit", "-q", "--allow-empty", "-m", "elsewhere", PATCH_TRIAGE="0")
    jo.git("rebase", "-q", "onto", "main")
    assert sorted(questions(jo)) == sorted(jo.git("rev-list", "onto..main").split()) and questions(jo)[jo.head("HEAD~1")]["Since"] == since
    ask(jo)
    assert (
        sorted(asked_about(model)) == ["1k", "1p", "2k", "2p"]
        and "DecidedBy: agent" in jo.note()
        and "DecidedBy: agent" in jo.note("HEAD~1")
    )


def test_what_may_not_be_sent_when_its_turn_comes_is_not_sent(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=answers)
    jo = background.person(working, model, **background.RESTING)
    jo.git("config", "patchtriage.agent.neverBranches", "embargo/*")
    commit = change(jo, 1, "--no-verify")
    jo.git("checkout", "-qb", "embargo/1")
    ask(jo)
    assert "embargo/1 is never sent" in questions(jo)[commit]["Why"] and not questions(jo)[commit]["GivenUp"]
    background.rewrite(jo, commit, Since=0)
    ask(jo)
    assert questions(jo)[commit]["GivenUp"] and "no answer for 7 days; work on embargo/1" in questions(jo)[commit]["Why"]
    jo.git("checkout", "-q", "main")
    commit = change(jo, 2, "--no-verify")
    jo.git("config", "patchtriage.agent.neverPaths", "mm")
    jo.git("branch", "-qD", "embargo/1")
    ask(jo)
    assert "mm/pool.c is never sent" in questions(jo)[commit]["Why"]
    jo.git("config", "--unset", "patchtriage.agent.neverPaths")
    commit = change(jo, 3, "--no-verify")
    jo.triage("agent", "disable")
    ask(jo)
    assert "sending code of this repository to " in questions(jo)[commit]["Why"] and "sending code of this repository to " in jo.triage(
        "status"
    )
    assert not model.requests


def test_a_consent_that_is_taken_back_ends_the_conversation_under_way(working: Kernel, scripted: Callable[..., Model]) -> None:
    def while_it_answers(request: dict[str, Any]) -> Any:
        working.triage("agent", "disable")
        return says(call("read-file", File=POOL, FirstLine=1, LineCount=20))

    model = scripted(while_it_answers, then=answers)
    jo = background.person(working, model)
    commit = change(jo, 1, "--no-verify")
    wait(jo)
    assert len(model.requests) == 1 and "not-allowed-any-more: sending code of this repository to" in questions(jo)[commit]["Why"]
    jo.triage("agent", "enable")
    jo.triage("check", "--wait", "--record", "HEAD")
    assert len(model.requests) == 3 and "DecidedBy: agent" in jo.note()  # what was answered is not asked again


def test_who_has_switched_it_off_has_no_worker(working: Kernel, scripted: Callable[..., Model]) -> None:
    jo = background.person(working, scripted(then=answers))
    for variable, value in (("PATCH_TRIAGE_AGENT_BACKGROUND", "no"), ("PATCH_TRIAGE_AGENT_BASE_URL", ""), ("PATCH_TRIAGE", "0")):
        commit = change(Kernel(jo.path, jo.env | {variable: value}), 1, "--no-verify")
        assert not (background.state(jo) / "pending").exists()
    (background.state(jo) / "pending").mkdir()
    (background.state(jo) / "pending" / f"{commit}.json").write_text("{}")
    jo.triage("status", PATCH_TRIAGE="0")
    jo.triage("check", "--offline", "HEAD")
    jo.git("config", "patchtriage.enabled", "false")
    change(jo, 2)
    jo.triage("check", "HEAD")
    assert not (background.state(jo) / "worker").exists()


def test_a_question_without_an_answer_is_given_up_with_the_reason(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=says(text="hm"))
    jo = background.person(working, model, PATCH_TRIAGE_AGENT_BACKGROUND_TRIES="2")
    commit = change(jo)
    wait(jo)
    assert len(model.requests) == 6 and questions(jo)[commit]["GivenUp"]
    assert "no-tool-called" in jo.note() and "State: final" in jo.note() and "DecidedBy: default" in jo.note()
    assert "given up: asked 2 times; no-tool-called" in jo.triage("status")


def test_an_endpoint_that_is_away_is_asked_when_it_is_back(working: Kernel, scripted: Callable[..., Model]) -> None:
    away = refuses(503, "busy", **{"Retry-After": "0"})
    model = scripted(*[away] * 8, then=answers)
    jo = background.person(working, model)
    change(jo)
    wait(jo)
    assert len(model.requests) == 10 and "DecidedBy: agent" in jo.note()


def test_a_refused_key_ends_the_worker_and_the_next_call_brings_another(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(refuses(401), then=answers)
    jo = background.person(working, model)
    commit = change(jo)
    wait(jo)
    assert len(model.requests) == 1 and "refuses the key" in questions(jo)[commit]["Why"] and "State: pending" in jo.note()
    jo.triage("check", "HEAD")
    wait(jo)
    assert "DecidedBy: agent" in jo.note()


def test_a_file_that_a_crash_has_emptied_and_a_long_absence_lose_no_question(working: Kernel, scripted: Callable[..., Model]) -> None:
    jo = background.person(working, scripted(then=answers), **background.RESTING)
    crashed, old = change(jo, 1, "--no-verify"), change(jo, 2, "--no-verify")
    assert kill(jo)
    directory = background.state(jo) / "pending"
    background.rewrite(jo, old, Since=0, NotBefore=0)
    (directory / f"{crashed}.json").write_text("")
    (directory / "junk.json").write_text("{}")
    jo.triage("status", PATCH_TRIAGE_AGENT_SETTLE_SECONDS="0")
    wait(jo)
    assert "DecidedBy: agent" in jo.note(crashed) and "DecidedBy: agent" in jo.note(old)


def test_a_push_beside_the_worker_asks_nothing_twice(working: Kernel, scripted: Callable[..., Model], tmp_path: pathlib.Path) -> None:
    working.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    working.git("push", "-q", str(tmp_path / "remote.git"), "main", PATCH_TRIAGE="0")
    working.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    working.git("fetch", "-q", "origin")
    model = scripted(then=slowly(0.4))
    jo = background.person(working, model, PATCH_TRIAGE_POLICY_BLOCK="unjudged")
    commits = [change(jo, number, "--no-verify") for number in range(3)]
    jo.git("push", "-q", "origin", "main")
    assert all("DecidedBy: agent" in jo.note(commit) for commit in commits)
    wait(jo)
    assert sorted(asked_about(model)) == sorted(f"{number}{which}" for number in range(3) for which in "pk") and not questions(jo)


def test_the_days_cap_holds_for_the_worker_and_a_push_together(
    working: Kernel, scripted: Callable[..., Model], tmp_path: pathlib.Path
) -> None:
    def dear(request: dict[str, Any]) -> Any:
        return answers(request) | {"usage": {"prompt_tokens": 1000, "completion_tokens": 15_000, "total_tokens": 16_000}}

    working.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    jo = background.person(working, scripted(then=dear), PATCH_TRIAGE_AGENT_MAX_DAY_TOKENS="90000", **background.RESTING)
    commits = [change(jo, number, "--no-verify") for number in range(4)]
    with subprocess.Popen(
        ["git", "push", "-q", str(tmp_path / "remote.git"), "main"], cwd=jo.path, env=jo.env, stderr=subprocess.DEVNULL
    ) as push:
        ask(jo)
    assert push.returncode == 0
    wait(jo)
    rows = json.loads(jo.triage("spend", "--format", "json"))
    assert 48_000 <= sum(row["Input"] + row["Output"] for row in rows) <= 90_000
    left = [commit for commit in commits if "State: pending" in jo.note(commit)]
    assert left and all("day-cap-reached: agent.max_day_tokens is 90,000" in " ".join(jo.note(commit).split()) for commit in left)
    assert set(left) <= set(questions(jo)) and all(
        one["NotBefore"] % 86_400 == 0 for one in questions(jo).values() if "day-cap" in one["Why"]
    )


def test_a_linked_worktree_shares_the_worker_and_goes_away(working: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(then=answers)
    jo = background.person(working, model, **background.RESTING)
    jo.git("worktree", "add", "-q", "-b", "other", "../other")
    other = jo.beside(jo.path.parent / "other")
    commits = [change(other, 1), change(jo, 2)]
    jo.git("worktree", "remove", "--force", "../other")
    ask(jo)
    assert all("DecidedBy: agent" in jo.note(commit) for commit in commits)


def test_status_watches_until_the_worker_has_ended(working: Kernel, scripted: Callable[..., Model]) -> None:
    seen = threading.Event()

    def once_seen(request: dict[str, Any]) -> Any:
        seen.wait()
        return answers(request)

    jo = background.person(working, scripted(then=once_seen), PATCH_TRIAGE_AGENT_PRICE="1/10")
    commit, said = change(jo), ""
    with subprocess.Popen([PROGRAM, "status", "--watch"], cwd=jo.path, env=jo.env, stdout=subprocess.PIPE, text=True) as status:
        for line in status.stdout or ():
            said += line
            if "asking scripted, round 1" in line:
                seen.set()
    assert status.returncode == 0
    assert "1 question waits for a model" in said and f"{commit[:12]}  the model is being asked" in said
    assert "0 questions wait for a model" in said
    assert "spent today (UTC): 2,060 tokens of 20,000,000 (agent.max_day_tokens), 0.0026 in money" in said
