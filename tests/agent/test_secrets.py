"""Secrets: none gets out, and none that a patch invents keeps the judge from seeing the patch."""

from __future__ import annotations

import json
import pathlib
import re
from collections.abc import Callable

import hypothesis
import pytest

from hook import redaction
from hook.redaction import CUT, Redactor, key_lines
from tests.agent.model import Model, call, kmsan, refuses, results, says
from tests.agent.test_flow import CITED, POOL, judged
from tests.small_kernel import Kernel

KEY = "sk-planted-key-000000000000"  # of Model.environment
TOKEN = "ghp_" + "a1B2c3D4e5" * 4


def kept(kernel: Kernel) -> bytes:
    """Everything that a run has left behind."""
    files = [path.read_bytes() for path in (kernel.path / ".git/patch-triage").rglob("*") if path.is_file()]
    return b"".join(files) + kernel.note().encode()


@pytest.mark.parametrize("word", ["function", "copy_from_user", "WorthFuzzing", "set-results"])
def test_a_patch_cannot_choose_which_words_its_judge_does_not_see(kernel: Kernel, scripted: Callable[..., Model], word: str) -> None:
    kernel.commit(POOL, kernel.read(POOL) + f'/* password = "{word}" */\nlong f(void *p)\n{{\n\treturn copy_from_user(p, p, 8);\n}}\n')
    model = scripted(says(call("read-file", File=POOL)), says(results(symbols=["pool_get"], why=CITED)), says(kmsan()))
    assert judged(kernel, model)["DecidedBy"] == "agent"
    prompt, tools = model.requests[0]["messages"][1]["content"], model.requests[0]["tools"]
    assert '\t/* password = "[redacted]" */' in prompt and "\t\treturn copy_from_user(p, p, 8);" in prompt
    assert "return copy_from_user(p, p, 8);" in model.said_to_it(1) and f'"{word}"' not in model.said_to_it(1)
    assert [one["type"] for one in tools] == ["function"] * 15 and tools[-1]["function"]["name"] == "set-results"
    assert tools[-1]["function"]["parameters"]["required"] == ["WorthFuzzing", "Reasoning"]


def test_a_beginning_of_a_key_hides_no_code_behind_it() -> None:
    code = ["out: memcpy(to, from, length);", "again: unlock(one);", "done: free(one);"] * 5
    shown = Redactor().text("\n".join(["/* -----BEGIN PRIVATE KEY-----", *code, "*/"]))
    assert shown.count("memcpy") >= 3 and shown.endswith("free(one);\n*/")
    assert "break" in Redactor().text("-----BEGIN PRIVATE KEY-----\n" + "break;\n" * 4)


def test_the_endpoints_key_is_kept_nowhere_however_the_endpoint_echoes_it(changed: Kernel, scripted: Callable[..., Model]) -> None:
    escaped = f"\\u0073{KEY[1:]}"
    last = {
        "id": "a",
        "type": "function",
        "function": {"name": "set-results", "arguments": f'{{"WorthFuzzing": true, "Reasoning": "{CITED} {escaped}", "FocusSymbols": []}}'},
    }
    model = scripted(
        says(
            call("grepper", Expression="pool_get", PathPrefix=f"{KEY}"),
            {**call(f"{KEY}x"), "extra_content": {"signature": KEY}},
            reasoning_details=[{"type": "reasoning.encrypted", "data": f"..{KEY}.."}],
            thoughts=f"my key is {KEY}",
        ),
        says({**call("grepper"), "function": {"name": "grepper", "arguments": f'{{"{escaped}": ["{escaped}"]}}'}}, model=KEY),
        says(last),
        says(kmsan(why=f"as {KEY} says")),
    )
    changed.triage("agent", "enable", **model.environment)
    verdict = judged(changed, model, "--wait", "--record")
    assert verdict["Reasoning"] == f"{CITED} {CUT}" and verdict["KMSANReasoning"] == f"as {CUT} says"
    assert list((changed.path / ".git/patch-triage/answers").iterdir())
    assert KEY[1:].encode() not in kept(changed)
    assert KEY[1:] not in json.dumps([request["messages"][3:] for request in model.requests]).replace(f"{KEY}x", "")


@pytest.mark.parametrize(
    "key",
    ["org-planted-odd\nsecond-line-0000", "org-planted\x0bsecond", "org-planted\tsecond", "org-planted-schlüssel", "org-planted\u2028x"],
)
def test_a_key_that_no_header_takes_is_refused_and_not_shown(changed: Kernel, scripted: Callable[..., Model], key: str) -> None:
    model = scripted()
    for env in ({"OPENAI_API_KEY": key}, {"PATCH_TRIAGE_AGENT_KEY_COMMAND": f"printf '%s' '{key}'"}):
        if "\n" in key and "OPENAI_API_KEY" not in env:
            continue  # of a command only the first line counts
        out, error = changed.triage_both("check", "HEAD", "--agent", "always", "--record", ok=2, **model.environment | env)
        assert "is no key: it has a line break" in error and "org-planted" not in out + error
    assert not model.requests and b"org-planted" not in kept(changed)


def test_a_key_is_cut_in_every_form_in_which_it_is_printed(changed: Kernel, scripted: Callable[..., Model]) -> None:
    key = "org-\"planted\"-'with'-back\\slash"
    forms = (key, json.dumps(key)[1:-1], repr(key)[1:-1])
    assert len({*forms}) == 3
    model = scripted(then=refuses(401, f"bad key {forms[0]}, {forms[1]}, {forms[2]}"))
    _, error = changed.triage_both(
        "check", "HEAD", "--agent", "always", "--record", "-v", ok=3, **model.environment | {"OPENAI_API_KEY": key}
    )
    assert model.headers[0]["Authorization"] == f"Bearer {key}"
    assert b"bad key" in kept(changed) and b"planted" not in kept(changed) and "planted" not in error


def test_a_search_shows_no_line_of_a_private_key(kernel: Kernel) -> None:
    body = [f"MIIEowIBAAKCAQEAq7BFUpkGp3Plan{number:02d}dAbCdEfGhIjKlMnOpQrStUvWxYz0123456789" for number in range(12)]
    kernel.commit(
        "certs/a-1-key.pem", "one\n" + "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *body, "abcd12=", "-----END RSA PRIVATE KEY-----"])
    )
    out = kernel.triage("tool", "grepper", "--json", '{"Expression": "Plan0[5-7]|abcd12"}')
    assert "MIIE" not in out and "abcd12" not in out and out.count(CUT) == out.count("certs/a-1-key.pem") >= 5
    assert "certs/a-1-key.pem:8:[redacted]" in out


def test_a_secret_is_cut_before_the_line_is(kernel: Kernel) -> None:
    kernel.commit("mm/tok.c", "x" * 160 + f' "{TOKEN}";\n')
    out = kernel.triage("tool", "grepper", "--json", '{"Expression": "ghp_"}')
    assert "ghp_" not in out and CUT in out


def test_lines_of_a_key_keep_their_numbers() -> None:
    text = "one\n-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIPlantedPlantedPlanted012345\n-----END EC PRIVATE KEY-----\nfive\n"
    assert key_lines(text) == {2, 3, 4} and Redactor().text(text).split("\n")[4] == "five"


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ-",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n",
        "a://",
        "password",
        "a_",
        "ghp_",
        "passwd='",
        "api_key= ",
    ],
)
def test_long_hostile_texts_are_redacted(piece: str) -> None:
    """With the square of the length none of them would end within the time that a test may take."""
    assert Redactor().text("one\n" + piece * (1_000_000 // len(piece))).startswith("one\n")
    assert Redactor().text("one\n-----BEGIN PRIVATE KEY-----\n" + "/" * 200_000 + "!").startswith("one\n")


def test_the_key_command_is_run_once_and_not_past_the_deadline(
    hooked: Kernel, scripted: Callable[..., Model], tmp_path: pathlib.Path
) -> None:
    hooked.git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    hooked.git("remote", "add", "origin", str(tmp_path / "remote.git"))
    hooked.git("push", "-q", "origin", "main", PATCH_TRIAGE="0")
    model = scripted(*[says(results(why=CITED)), says(kmsan())] * 2)
    runs = tmp_path / "runs"
    env = model.environment | {
        "PATCH_TRIAGE_PUSH_WAIT_SECONDS": "20",
        "PATCH_TRIAGE_AGENT_KEY_COMMAND": f"sh -c 'echo >>{runs}; echo a-key-000'",
    }
    hooked.triage("agent", "enable", **env)
    for number in range(2):
        hooked.commit(POOL, hooked.read(POOL) + f"\nint extra_{number};\n")
    hooked.git("push", "-q", "origin", "main", **env)
    assert len(model.requests) == 4 and runs.read_text() == "\n"
    hooked.commit(POOL, hooked.read(POOL) + "\nint last;\n")
    hooked.git(
        "push", "-q", "origin", "main", **env | {"PATCH_TRIAGE_PUSH_WAIT_SECONDS": "1", "PATCH_TRIAGE_AGENT_KEY_COMMAND": "sleep 36000"}
    )


B64 = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzEXAMPLE01"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"aws_secret_access_key = {B64}", B64),
        (f'AWS_SECRET="{B64}"', B64),
        ('#define WIFI_PASSWORD "open-sesame-1"', "open-sesame-1"),
        ('#define MY_API_KEY   "abcdefgh12345"', "abcdefgh12345"),
        ('#define WIFI_PASSWORD "open" "sesame"', "sesame"),
        ('#define WIFI_PASSWORD "open" \\\n\t"sesame"', "sesame"),
        ("sk_live_" + "a1B2c3D4e5" * 3, "a1B2c3D4e5"),
        ("github_pat_" + "a1B2c3D4e5" * 3, "a1B2c3D4e5"),
        ("password=hunter22long", "hunter22long"),
        ("export DB_PASSWORD=hunter22long", "hunter22long"),
        ('password = "open" "sesame";', '"open" "sesame"'),
        ('token = "abcd" + "efgh"', '"abcd" + "efgh"'),
        ("session_key: 0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"),
        ("SG." + "a1B2c3D4e5F6g7H8i9J0k1" + "." + "a1B2c3D4e5" * 4 + "abc", "a1B2c3D4e5F6g7H8i9J0k1"),
        ("SK" + "0123456789abcdef" * 2, "0123456789abcdef" * 2),
        ("12345678:AA" + "a1B2c3D4e5-" * 3, "AA" + "a1B2c3D4e5-" * 3),
        ("https://discord.com/api/webhooks/123456789012345678/" + "a1B2c3D4e5" * 6, "a1B2c3D4e5" * 6),
        ("DefaultEndpointsProtocol=https;AccountKey=" + "a1B2c3D4e5" * 8 + "abcdef==", "a1B2c3D4e5" * 8),
        ("https://x.blob.core.windows.net/a?sv=1&sig=" + "a1B2c3D4e5" * 4 + "%3D", "a1B2c3D4e5" * 4),
        ("abc8Q~" + "a1B2c3D4e5" * 3 + "abcd", "a1B2c3D4e5" * 3),
    ],
)
def test_known_forms_of_secrets_are_cut(text: str, secret: str) -> None:
    shown = Redactor().text(text)
    assert secret not in shown and CUT in shown


@pytest.mark.parametrize("form", (*redaction._FORMS, *redaction._HERE))
@hypothesis.settings(max_examples=10, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(hypothesis.strategies.data())
def test_no_form_is_passed_over_by_the_hint(form: str, data: hypothesis.strategies.DataObject) -> None:
    assert redaction._HINT.search(data.draw(hypothesis.strategies.from_regex(re.compile(form, re.ASCII))))


@pytest.mark.parametrize(
    "text",
    [
        "commit 0123456789abcdef0123456789abcdef01234567",
        'static const u8 sha256_key[] = "\\x01\\x02";',
        "password = get_password_2(dev);",
        "token = parse_token(&buf[1]);",
        "#define TOKEN_LENGTH 32",
        "secret: the size of the buffer",
        "key = 0x0123456789abcdef;",
        'MODULE_PARM_DESC(token, "a token of the bus");',
        '#define DRV_TOKEN_FMT "%s-%d-%x"',
    ],
)
def test_ordinary_code_is_no_secret(text: str) -> None:
    assert Redactor().text(text) == text
