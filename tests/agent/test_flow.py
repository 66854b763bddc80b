"""The flow with a model: asked or not, accepted or refused, recorded and read back."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable

import pytest
from pytest_httpserver import HTTPServer

from tests.agent.model import Model, call, hangs, kmsan, refuses, results, says
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
CITED = "mm/pool.c:22 takes one page fewer."


def judged(kernel: Kernel, model: Model, *options: str, revision: str = "HEAD", **env: str) -> dict[str, object]:
    out = kernel.triage("check", revision, "--format", "json", *(options or ("--agent", "always")), ok=None, **{**model.environment, **env})
    document: dict[str, object] = json.loads(out)
    return document


def test_a_grounded_answer_becomes_the_verdict(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(
        says(call("grepper", Expression="pool_get"), call("read-file", File=POOL, FirstLine=20, LineCount=8), thoughts="who calls it?"),
        says(results(symbols=["pool_get"], options=["CONFIG_POOL"], why=CITED)),
        says(kmsan()),
    )
    verdict = judged(changed, model)
    assert (verdict["WorthFuzzing"], verdict["DecidedBy"], verdict["State"]) == (True, "agent", "final")
    assert (verdict["FocusSymbols"], verdict["EnableConfigs"]) == (["pool_get"], ["POOL"])
    assert (verdict["Reasoning"], verdict["Model"]) == (CITED, "scripted")
    assert (verdict["NeedsKMSAN"], verdict["KMSANReasoning"]) == (False, "nothing uninitialised")
    assert verdict["Tokens"] == {"Input": 3000, "Output": 90, "Thoughts": 0, "Estimated": False}
    answers = [message["content"] for message in model.requests[1]["messages"] if message["role"] == "tool"]
    assert "pool_get" in answers[0] and "  20:" in answers[1]


def test_a_change_not_worth_it_asks_no_second_question(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(worth=False, why=CITED)))
    verdict = judged(changed, model)
    assert (verdict["WorthFuzzing"], verdict["DecidedBy"], len(model.requests)) == (False, "agent", 1)


@pytest.mark.parametrize(
    ("last", "told"),
    [
        (results(why=" "), "Reasoning is empty"),
        (results(why="It changes something."), "cites no place"),
        (results(why="See mm/pool.c:9999."), "mm/pool.c has 39 lines"),
        (results(why="See kernel/pool.c:1."), "did you mean mm/pool.c:1?"),
        (results(why="See ../../etc/passwd:1."), "`..`"),
        (results(worth=False, symbols=["pool_get"], why=CITED), "FocusSymbols must be empty"),
        (results(options=["POOL_DEBUGG"], why=CITED), "did you mean POOL_DEBUG?"),
        (results(options=["a b"], why=CITED), "no name of an option"),
        (results(symbols=["pool_gets"], why=CITED), "did you mean pool_get?"),
        (results(symbols=["POOL_MAX"], why=CITED), "no function POOL_MAX is defined"),
        (results(symbols=["pool get"], why=CITED), "no name of a function"),
        (call("set-results", WorthFuzzing="perhaps", Reasoning="x"), "WorthFuzzing must be true or false"),
        (call("set-results", WorthFuzzing=True), "Reasoning is missing"),
    ],
)
def test_what_does_not_hold_is_refused_with_what_does(
    changed: Kernel, scripted: Callable[..., Model], last: dict[str, object], told: str
) -> None:
    model = scripted(says(last), says(results(symbols=["pool_get"], why=CITED)), says(kmsan()))
    verdict = judged(changed, model)
    assert told in str(model.requests[1]["messages"][-1]["content"])
    assert verdict["FocusSymbols"] == ["pool_get"]


def test_the_farm_profile_takes_symbols_and_reasons_as_they_come(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(
        says(results(symbols=["whatever"], options=["NO_SUCH"], why="Because.")),
        says(results(symbols=["whatever"], why="Because.")),
        says(kmsan()),
    )
    verdict = judged(changed, model, "--agent", "always", "--profile", "farm")
    assert (verdict["FocusSymbols"], verdict["Reasoning"], len(model.requests)) == (["whatever"], "Because.", 3)


def test_a_farms_agents_are_asked_the_same_and_the_second_sees_nothing_of_the_first(
    changed: Kernel, scripted: Callable[..., Model]
) -> None:
    model = scripted(says(results(symbols=["pool_get"], why="Only the first one knows this.")), says(kmsan()))
    judged(changed, model, "--agent", "always", "--profile", "farm")
    first, second = (next(one["content"] for one in request["messages"] if one["role"] == "user") for request in model.requests)
    assert first == second and first.startswith("Target architecture: x86_64\n") and "diff --git" in first
    assert "Only the first one" not in str(model.requests[1])


def test_a_model_that_denies_a_proved_fact_is_told_and_then_overruled(kernel: Kernel, scripted: Callable[..., Model]) -> None:
    kernel.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    insists = says(results(why="Documentation/mm/pool.rst:1 matters."))
    verdict = judged(kernel, scripted(insists, insists, says(kmsan())))
    assert (verdict["WorthFuzzing"], verdict["DecidedBy"]) == (False, "evidence")
    assert verdict["Disputes"] == [
        "WorthFuzzing true, against: Documentation/mm/pool.rst: nothing under Documentation/ is built into the kernel"
    ]


def test_refused_for_ever_the_evidence_decides(changed: Kernel, scripted: Callable[..., Model]) -> None:
    verdict = judged(changed, scripted(then=says(results(why="no place", symbols=["x1"]))), PATCH_TRIAGE_AGENT_MAX_REFUSALS="2")
    assert (verdict["WorthFuzzing"], verdict["DecidedBy"], verdict["FocusSymbols"]) == (True, "default", ["pool_get"])
    assert "results-refused" in str(verdict["Reasoning"])


def test_the_model_is_asked_only_what_is_open_and_only_with_consent(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan()))
    _, error = changed.triage_both("check", "HEAD", "--wait", "--explain", **model.environment, ok=3)
    assert "not asked: sending code of this repository to localhost" in error and not model.requests
    out = changed.triage("agent", "enable", **model.environment)
    assert f"may now go to {model.url.split('/')[2]} (scripted)" in out
    _, error = changed.triage_both("check", "HEAD", "--wait", "--explain", **model.environment)
    assert "asked: the evidence leaves it open" in error and len(model.requests) == 2
    changed.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    _, error = changed.triage_both("check", "HEAD", "--wait", "--explain", **model.environment)
    assert "not asked: the evidence has decided" in error and len(model.requests) == 2
    elsewhere = model.environment | {"PATCH_TRIAGE_AGENT_BASE_URL": "http://127.0.0.1:9/v1"}
    _, error = changed.triage_both("check", "HEAD~1", "--wait", "--explain", "--no-cache", **elsewhere, ok=3)
    assert "is not allowed: `patch-triage agent enable`" in error
    changed.triage("agent", "disable")
    assert "nobody" in changed.triage("agent", "status", **model.environment)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({}, "no model is set up (agent.base_url)"),
        ({"BASE_URL": "http://127.0.0.1:9/v1", "MODEL": "m"}, "127.0.0.1:9"),
    ],
)
def test_a_model_that_cannot_be_asked_is_told_in_one_line(changed: Kernel, given: dict[str, str], why: str) -> None:
    settings = {f"PATCH_TRIAGE_AGENT_{name}": value for name, value in given.items()}
    if given:
        changed.triage("agent", "enable", **settings)
    out, error = changed.triage_both("check", "HEAD", "--wait", **settings, ok=3)
    assert out.startswith("worth fuzzing (not proved") and len(error.splitlines()) == 1
    assert "no model answered: " in error and why in error
    changed.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    assert changed.triage_both("check", "HEAD", "--wait", **settings)[1] == "", "nothing is open"


@pytest.mark.parametrize("status", [401, 404])
def test_an_endpoint_that_refuses_is_told_in_one_line(changed: Kernel, httpserver: HTTPServer, status: int) -> None:
    httpserver.clear()
    httpserver.expect_request("/v1/chat/completions").respond_with_json({"error": {"message": "no such model"}}, status)
    settings = {"PATCH_TRIAGE_AGENT_BASE_URL": httpserver.url_for("/v1"), "PATCH_TRIAGE_AGENT_MODEL": "m"}
    changed.triage("agent", "enable", **settings)
    _, error = changed.triage_both("check", "HEAD", "--wait", **settings, NO_PROXY="*", ok=3)
    assert len(error.splitlines()) == 1 and "no model answered: " in error and str(status) in error


def test_explain_speaks_of_a_model_only_where_one_is_set_up(changed: Kernel) -> None:
    _, error = changed.triage_both("check", "HEAD", "--explain")
    assert "functional change in " in error and "model" not in error and "asked" not in error


def test_offline_asks_nobody(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted()
    changed.triage("agent", "enable", **model.environment)
    for options in (("--offline",), ("--agent", "never", "--wait")):
        verdict = judged(changed, model, *options)
        assert (verdict["DecidedBy"], verdict["State"], model.requests) == ("default", "final", [])


@pytest.mark.parametrize(("setting", "value"), [("NEVER_PATHS", "mm/*"), ("NEVER_PATHS", "mm/pool.c"), ("NEVER_BRANCHES", "embargo/*")])
def test_embargoed_work_is_never_sent(changed: Kernel, scripted: Callable[..., Model], setting: str, value: str) -> None:
    model = scripted()
    changed.git("checkout", "-qb", "embargo/fix")
    _, error = changed.triage_both(
        "check", "HEAD", "--agent", "always", "--explain", ok=3, **model.environment, **{f"PATCH_TRIAGE_AGENT_{setting}": value}
    )
    assert "is never sent" in error and not model.requests
    changed.git("checkout", "-q", "--detach")
    judged(changed, model, **{f"PATCH_TRIAGE_AGENT_{setting}": value})
    assert not model.requests


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan()))
    out, error = changed.triage_both("check", "HEAD", "--dry-run", **model.environment)
    assert not model.requests and "nothing was sent" in error and "tokens" in error
    judged(changed, model)
    assert json.loads(out) == model.requests[0]


def test_staged_and_mailed_changes_are_read_with_the_change_applied(kernel: Kernel, scripted: Callable[..., Model]) -> None:
    kernel.stage("mm/extra.c", "int extra_thing(void)\n{\n\treturn 1;\n}\n")
    turns = (says(call("read-file", File="mm/extra.c")), says(results(symbols=["extra_thing"], why="mm/extra.c:1 is new")), says(kmsan()))
    model = scripted(*turns)
    out = kernel.triage("check", "--agent", "always", "--format", "json", **model.environment)
    assert json.loads(out)["FocusSymbols"] == ["extra_thing"] and "return 1;" in model.said_to_it(1)
    patch = kernel.git("diff", "--cached")
    kernel.git("reset", "-q", "--hard")
    model = scripted(*turns)
    out = kernel.triage("check", "--patch", "-", "--agent", "always", "--format", "json", "--no-cache", data=patch, **model.environment)
    assert json.loads(out)["FocusSymbols"] == ["extra_thing"] and "return 1;" in model.said_to_it(1)


def test_an_answer_is_not_asked_for_twice(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(symbols=["pool_get"], why=CITED)), says(kmsan()))
    changed.triage("agent", "enable", **model.environment)
    first = judged(changed, model, "--wait")
    changed.git("commit", "-q", "--amend", "-m", "other words")
    again = judged(changed, model, "--wait")
    assert again["Reasoning"] == first["Reasoning"] and len(model.requests) == 2
    changed.git("checkout", "-qb", "side", "HEAD~1")
    changed.commit("init/other.c", "int other;\n", "elsewhere")
    changed.git("cherry-pick", "main")
    # the tree is another now: the flow runs again, and the same requests have the same answers
    moved = judged(changed, model, "--wait")
    assert moved["Reasoning"] == first["Reasoning"] and len(model.requests) == 2


@pytest.mark.parametrize("turn", [says(text='<tool_call>{"name": "set-results"}</tool_call>'), refuses(401)])
def test_a_failure_is_not_remembered(changed: Kernel, scripted: Callable[..., Model], turn: object) -> None:
    model = scripted(then=turn)
    changed.triage("agent", "enable", **model.environment)
    assert judged(changed, model, "--wait")["DecidedBy"] == "default"
    # whoever runs the endpoint has put it right
    model.turns = [says(results(why=CITED)), says(kmsan())]
    assert judged(changed, model, "--wait")["DecidedBy"] == "agent"


def test_a_question_about_kmsan_that_failed_is_asked_again(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), then=refuses(401))
    changed.triage("agent", "enable", **model.environment)
    assert str(judged(changed, model, "--wait")["KMSANReasoning"]).startswith("not judged: endpoint-refused")
    model.turns = [says(kmsan(True, "unset padding"))]
    verdict = judged(changed, model, "--wait")
    assert (verdict["NeedsKMSAN"], verdict["KMSANReasoning"], len(model.requests)) == (True, "unset padding", 3)


def test_kmsan_is_a_question_only_where_there_is_kmsan(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan(True)))
    verdict = judged(changed, model, PATCH_TRIAGE_TARGET_ARCH="arm64")
    assert (verdict["WorthFuzzing"], verdict["NeedsKMSAN"], len(model.requests)) == (True, False, 1)
    assert verdict["KMSANReasoning"] == "not asked: there is KMSAN for x86_64 and s390 only, and the target is arm64"


def test_a_proof_speaks_for_itself_where_the_model_agrees(kernel: Kernel, scripted: Callable[..., Model]) -> None:
    kernel.commit("Documentation/mm/pool.rst", "Pool\n", "doc")
    verdict = judged(kernel, scripted(says(results(worth=False, options=["POOL"], why="Documentation/mm/pool.rst:1 is by a spy."))))
    assert (verdict["DecidedBy"], verdict["EnableConfigs"]) == ("evidence", [])
    assert verdict["Reasoning"] == (
        "no functional change: documentation (1 file). The model agrees: Documentation/mm/pool.rst:1 is by a spy."
    )


def test_a_run_can_be_read_back(changed: Kernel, scripted: Callable[..., Model]) -> None:
    judged(changed, scripted(says(call("read-file", File="nowhere.c")), says(results(why=CITED), thoughts="hm"), says(kmsan())))
    table = changed.triage("trajectory")
    rows = [line.split() for line in table.splitlines()]
    steps = [f"{number}/1" for number in range(1, 8)]  # evidence … read-patch-diff
    assert [(row[0], row[1]) for row in rows[1:20] if len(row) > 1 and "/" in row[0]] == [
        ("0/0", "flow"),
        *((step, "action") for step in steps),
        ("8/1", "agent"),
        ("9/2", "llm"),
        ("10/2", "tool"),
        ("11/2", "llm"),
        ("12/2", "tool"),
        ("13/1", "agent"),
        ("14/2", "llm"),
        ("15/2", "tool"),
        ("16/1", "action"),
    ]
    assert "there is no nowhere.c" in table and "models" in table and "set-results" in table
    full = changed.triage("trajectory", "--full")
    assert "Thoughts:\n    hm" in full and "WorthFuzzing is false only if" in full
    assert "no model was asked" in changed.triage_both("trajectory", "HEAD~1", ok=3)[1]


def test_a_run_that_was_killed_leaves_a_readable_trajectory(changed: Kernel, scripted: Callable[..., Model]) -> None:
    import signal
    import subprocess

    from tests.small_kernel import PROGRAM

    model = scripted(says(call("read-file", File=POOL)), hangs())
    process = subprocess.Popen([PROGRAM, "check", "HEAD", "--agent", "always"], cwd=changed.path, env=changed.env | model.environment)
    while len(model.requests) < 2:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    table = changed.triage("trajectory")
    assert "not over" in table and "read-file" in table


def test_prompts_of_the_persons_own(changed: Kernel, scripted: Callable[..., Model], tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "prompts" / "default" / "patch-evaluator.md"
    mine.parent.mkdir(parents=True)
    mine.write_text("---\nversion: 7\nvariables: [diff]\n---\n# Instruction\nSay no.\n# Prompt\n{{ diff }}\n")
    model = scripted(says(results(why=CITED)), says(kmsan()))
    judged(changed, model, PATCH_TRIAGE_AGENT_PROMPTS=str(tmp_path / "prompts"))
    assert model.requests[0]["messages"][0]["content"] == "Say no."
    for text, why in (
        ("no front matter", "no front matter"),
        ("---\nversion: 1\nvariables: [dif]\n---\n# Instruction\n# Prompt\n", "no variable 'dif'"),
        ("---\nversion: 1\nvariables: []\n---\n# Instruction\n{{diff}}\n# Prompt\n", "not among the `variables`"),
        ("---\nversion: 1\nvariables: []\n---\nonly text\n", "there must be a part"),
        ("---\na: [\n---\n", "not YAML"),
        ("---\nversion: 1\n---\n", "`version` and `variables`"),
    ):
        mine.write_text(text)
        _, error = changed.triage_both(
            "check", "HEAD", "--agent", "always", ok=2, **model.environment, PATCH_TRIAGE_AGENT_PROMPTS=str(tmp_path / "prompts")
        )
        assert why in error and "patch-evaluator.md" in error


def test_another_prompt_is_another_question(changed: Kernel, scripted: Callable[..., Model], tmp_path: pathlib.Path) -> None:
    mine = tmp_path / "prompts" / "default" / "patch-evaluator.md"
    mine.parent.mkdir(parents=True)
    model = scripted(*[says(results(worth=False, why=CITED))] * 3)
    changed.triage("agent", "enable", **model.environment)
    for number, text in enumerate(("Say no.", "Say yes.", "Say yes.")):
        mine.write_text(f"---\nversion: 1\nvariables: [diff]\n---\n# Instruction\n{text}\n# Prompt\n{{{{diff}}}}\n")
        judged(changed, model, "--wait", PATCH_TRIAGE_AGENT_PROMPTS=str(tmp_path / "prompts"))
        assert len(model.requests) == min(number + 1, 2)


def test_text_in_a_patch_cannot_leave_its_fence_or_name_a_variable(kernel: Kernel, scripted: Callable[..., Model]) -> None:
    kernel.commit(POOL, kernel.read(POOL) + "/* {{facts}} */\nint x; /* === change 0123456789abcdef === */\n")
    model = scripted(says(results(why=CITED)), says(kmsan()))
    judged(kernel, model)
    prompt = model.requests[0]["messages"][1]["content"]
    assert "\t/* {{facts}} */" in prompt
    fence = prompt.rstrip().splitlines()[-1]
    # above and below what is proved, and the change
    assert prompt.count(fence) == 4 and "0123456789abcdef" not in fence
    assert model.requests[0]["messages"][0]["content"].count(fence) == 1


def test_the_key_command(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted(says(results(why=CITED)), says(kmsan()))
    judged(changed, model, PATCH_TRIAGE_AGENT_KEY_COMMAND="printf 'from-a-command-123\\nrest'")
    assert model.headers[0]["Authorization"] == "Bearer from-a-command-123"
    for command, why in (("false", "ended with 1"), ("/no/such", "cannot be run")):
        _, error = changed.triage_both(
            "check", "HEAD", "--agent", "always", ok=2, **model.environment, PATCH_TRIAGE_AGENT_KEY_COMMAND=command
        )
        assert why in error and "environment variable PATCH_TRIAGE_AGENT_KEY_COMMAND" in error


def test_the_key_command_never_means_a_program_of_the_tree(changed: Kernel, scripted: Callable[..., Model]) -> None:
    changed.write("scripts/key", "#!/bin/sh\ntouch ran\necho key-of-the-tree\n")
    (changed.path / "scripts/key").chmod(0o755)
    model = scripted(says(results(why=CITED)), says(kmsan()))
    key = {"PATCH_TRIAGE_AGENT_KEY_COMMAND": "scripts/key"}
    _, error = changed.triage_both("check", "HEAD", "--agent", "always", ok=2, **model.environment, **key)
    assert "cannot be run: No such file" in error and not list(changed.path.glob("**/ran"))


def test_no_secret_reaches_any_file_or_the_model(kernel: Kernel, scripted: Callable[..., Model]) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 4
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEAxyz0123456789planted\nQUJDREVGsecondlineplanted\n-----END RSA PRIVATE KEY-----"
    kernel.install()
    kernel.triage("agent", "enable", **scripted().environment)
    model = scripted(
        says(call("read-file", File="mm/secret.c"), call("grepper", Expression="planted|ghp_"), text="I saw sk-planted-key-000000000000"),
        says(results(symbols=["pool_get"], why=f"mm/secret.c:1 holds {token} and QUJDREVGsecondlineplanted")),
        says(kmsan()),
        refuses(401, "bad key sk-planted-key-000000000000"),
    )
    kernel.stage("mm/secret.c", f'char *token = "{token}";\n/*\n{key}\n*/\n')
    kernel.git("commit", "-qm", "secret", **model.environment)
    judged(kernel, model, "--wait", "--record")
    kernel.commit("mm/secret2.c", "int x;\n")
    _, error = kernel.triage_both("check", "HEAD", "--wait", "--record", "-v", ok=3, **model.environment)
    sent = json.dumps(model.requests)
    kept = b"".join(path.read_bytes() for path in (kernel.path / ".git/patch-triage").rglob("*") if path.is_file())
    for secret in (token, "MIIEowIBAAKCAQEAxyz0123456789planted", "QUJDREVGsecondlineplanted", "sk-planted-key-000000000000"):
        assert secret not in sent
        assert secret.encode() not in kept, secret
        assert secret not in error
        for revision in ("HEAD", "HEAD~1"):
            assert secret not in kernel.note(revision)
    assert "401" in kernel.triage("show", "-v")
    assert "refuses the key" in kernel.note()


@pytest.mark.parametrize(
    ("cited", "good"),
    [
        ("`mm/pool.c`:3", False),
        ("`mm/pool.c:3`", True),
        ("(mm/pool.c:3-5)", True),
        ("mm/pool.c:3, at 127.0.0.1:8000, in 6.12:3 at 10.30:45", True),
        ("skb.pkt_type:3 and mm/pool.c:3", True),
        ("Documentation/a,b.yaml:1.", True),
        ("mm/pool.c:41", True),
        ("mm/pool.c:42", False),
        ("/mm/pool.c:3", False),
        ("a+" * 3500, False),
        ("no place", False),
    ],
)
def test_what_counts_as_a_citation(changed: Kernel, scripted: Callable[..., Model], cited: str, good: bool) -> None:
    changed.commit("Documentation/a,b.yaml", "a: b\n")
    changed.commit(POOL, changed.read(POOL) + "\nint again;\n", "again")
    again = () if good else (says(results(why=CITED)),)
    model = scripted(says(results(why=f"It changes code, see {cited}")), *again, says(kmsan()))
    judged(changed, model)
    assert len(model.requests) == (2 if good else 3), model.said_to_it(1)


@pytest.mark.parametrize(
    ("symbols", "options", "told"),
    [
        ([f"name_{number}" for number in range(45)], [], "at most 10 are used"),
        (["a" * 1100], [], "no name of a function"),
        (["printk", "if", "main"], [], "no function printk is defined"),
        (["pool_get"], [f"OPTION_{number}" for number in range(1500)], "at most 40 are used"),
        (["\ud83dpool"], [], "no name of a function"),
    ],
)
def test_names_that_cannot_be_aimed_at_are_refused_quickly(
    changed: Kernel, scripted: Callable[..., Model], symbols: list[str], options: list[str], told: str
) -> None:
    changed.commit(
        "include/linux/pool.h", changed.read("include/linux/pool.h") + "static inline int pool_is_empty(void)\n{\n\treturn 0;\n}\n"
    )
    changed.commit("tools/testing/x.c", "int main(void)\n{\n}\n")
    changed.commit(POOL, changed.read(POOL) + "\nint again;\n", "again")
    model = scripted(says(results(symbols=symbols, options=options, why=CITED)), says(results(why=CITED)), says(kmsan()))
    judged(changed, model)
    assert told in model.said_to_it(1)


def test_half_a_character_in_an_answer_breaks_nothing(changed: Kernel, scripted: Callable[..., Model]) -> None:
    odd = says(call("grepper\ud83d", Expression="\ud83d\0pool"), call("grepper", Expression="\ud83d"), text="\ud83d", thoughts="\udc00")
    verdict = judged(changed, scripted(odd, says(results(why=f"\ud83d {CITED}")), says(kmsan(why="\ud83d"))))
    assert verdict["DecidedBy"] == "agent"


def test_a_dry_run_without_a_model_says_so(changed: Kernel, scripted: Callable[..., Model]) -> None:
    model = scripted()
    environment = {key: value for key, value in model.environment.items() if key != "PATCH_TRIAGE_AGENT_MODEL"}
    _, error = changed.triage_both("check", "HEAD", "--dry-run", **environment)
    assert "no model is named" in error
