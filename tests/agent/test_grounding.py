"""Grounding: what an agent names must be there, in the kernel that is fuzzed, and where the agent may look."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from hook.agent.checks.grounding import functions
from tests.agent.model import Model, call, kmsan, results, says
from tests.agent.test_flow import CITED, POOL, judged
from tests.small_kernel import Kernel


def refused(kernel: Kernel, model: Model, **env: str) -> str:
    """What the model was told of its first results."""
    judged(kernel, model, **env)
    return model.said_to_it(1)


def again(kernel: Kernel) -> None:
    """Once more the open change, after what a test has committed."""
    kernel.commit(POOL, kernel.read(POOL) + "\nint again;\n")


def test_a_file_that_is_no_part_of_the_kernel_grounds_no_symbol_by_being_read(changed: Kernel, scripted: Callable[..., Model]) -> None:
    changed.commit("tools/testing/x.c", "int only_in_tools(int argc)\n{\n\treturn 0;\n}\n")
    changed.commit("samples/r.rs", "pub fn only_in_samples() {}\n")
    again(changed)
    look = says(call("read-file", File="tools/testing/x.c"), call("read-file", File="samples/r.rs"))
    named = results(symbols=["only_in_tools", "only_in_samples"], why=f"tools/testing/x.c:1, samples/r.rs:1, {CITED}")
    model = scripted(look, says(named), says(results(why=CITED)), says(kmsan()))
    judged(changed, model)
    assert "no function only_in_tools is defined" in model.said_to_it(2) and "no function only_in_samples" in model.said_to_it(2)


def test_a_function_in_a_comment_or_a_text_of_a_rust_file_is_none() -> None:
    rust = b"// fn never_was(\n/* fn nor_this() { /* fn nested() */ } */\nconst T: &str = \"fn in_text() {\";\nfn is_one<'a>(x: &'a u8) {}\n/// fn doc()\nfn two() {}\n"
    assert functions(rust, "rust/a.rs") == {"is_one": False, "two": False}
    assert functions(b'fn f() { "', "rust/a.rs") == {}


@pytest.mark.parametrize(
    ("symbol", "target", "good"),
    [
        ("__x64_sys_pool", "x86_64", True),
        ("__ia32_sys_pool", "x86_64", True),
        ("__riscv_sys_pool", "x86_64", False),
        ("__s390x_sys_pool", "x86_64", False),
        ("__arm64_sys_pool", "arm64", True),
        ("__x64_sys_pool", "arm64", False),
    ],
)
def test_a_system_call_has_the_entry_points_of_the_target(
    changed: Kernel, scripted: Callable[..., Model], symbol: str, target: str, good: bool
) -> None:
    changed.commit("mm/call.c", "SYSCALL_DEFINE1(pool, int, a)\n{\n\treturn a;\n}\n")
    model = scripted(says(results(symbols=[symbol], why=CITED)), says(results(why=CITED)), then=says(kmsan()))
    verdict = judged(changed, model, PATCH_TRIAGE_TARGET_ARCH=target)
    assert verdict["FocusSymbols"] == ([symbol] if good else [])
    assert "Corrections" not in verdict
    assert good or f"{symbol} is no entry point of a kernel for {target}" in model.said_to_it(1)


@pytest.mark.parametrize(
    ("cited", "told"),
    [
        ("mm/pool.c:3-9999 x", "mm/pool.c has 39 lines"),
        ("mm/pool.c:3,9999", "mm/pool.c:9999 is no place"),
        ("mm/pool.c:3 and mm/nope.c:5–9", "no file mm/nope.c"),
        ("mm/pool.c:3 and “mm/nope.c:7”", "no file mm/nope.c"),
        ("mm/pool.c:3 and mm/nope.c:12's", "no file mm/nope.c"),
        ("mm/pool.c:3 and mm/nope.c#L5", "no file mm/nope.c"),
        ("mm/pool.c:3 and mm/nope.c:12/13", "no file mm/nope.c"),
        ("mm/pool.c:3,mm/nope.c:4", "no file mm/nope.c"),
        ("mm/empty.c:1 and mm/pool.c:3", "mm/empty.c has 0 lines"),
        ("mm/big.c:1 and mm/pool.c:3", "cannot be checked: mm/big.c has 20000 bytes, too many to read"),
    ],
)
def test_a_wrong_citation_is_found_whatever_stands_around_it(
    changed: Kernel, scripted: Callable[..., Model], cited: str, told: str
) -> None:
    changed.commit("mm/empty.c", "")
    changed.commit("mm/big.c", "int x;\n\n" * 2500)
    changed.git("commit", "-q", "--allow-empty", "-m", "x")
    changed.commit("init/other.c", "int other;\n")
    model = scripted(says(results(why=f"It changes {cited}")), says(results(why=CITED)), says(kmsan()))
    assert told in refused(changed, model, PATCH_TRIAGE_LIMITS_BLOB_BYTES="10000")


@pytest.mark.parametrize(
    "cited",
    ["“mm/pool.c:7”, mm/pool.c:3–5, mm/pool.c#L12-L14, mm/pool.c:3,5,7", "https://lore.kernel.org:443/a/b.c:99999 and mm/pool.c:3's"],
)
def test_a_right_citation_holds_whatever_stands_around_it(changed: Kernel, scripted: Callable[..., Model], cited: str) -> None:
    model = scripted(says(results(why=cited)), says(kmsan()))
    assert judged(changed, model)["Reasoning"] == cited


def test_what_a_partial_clone_lacks_cannot_be_cited_and_is_named_so(
    changed: Kernel, scripted: Callable[..., Model], tmp_path: pathlib.Path
) -> None:
    changed.git("config", "uploadpack.allowFilter", "true")
    clone = changed.beside(tmp_path / "partial")
    changed.git("clone", "-q", "--filter=blob:none", f"file://{changed.path}", str(clone.path))
    # what is checked out is there, what a later commit holds is not
    changed.commit("init/late.c", "int late;\n")
    changed.commit(POOL, changed.read(POOL) + "\nint again;\n")
    clone.git("fetch", "-q")
    clone.git("cat-file", "-e", "origin/main:mm/pool.c", ok=None)
    model = scripted(says(results(why="init/late.c:1 and mm/pool.c:3")), says(results(why=CITED)), says(kmsan()))
    judged(clone, model, revision="origin/main")
    assert "cannot be checked: the content of init/late.c is not in this repository" in model.said_to_it(1)


def test_a_refusal_tells_nothing_of_what_is_kept_back(changed: Kernel, scripted: Callable[..., Model]) -> None:
    changed.commit("drivers/secret/Kconfig", 'config SECRET_CHIP_X9\n\tbool "s"\n')
    changed.commit("drivers/secret/chip.h", "static inline int secret_x9_reset(void)\n{\n\treturn 1;\n}\n")
    changed.commit("drivers/secret/chip.c", "int secret_x9_start(void)\n{\n\treturn 1;\n}\n")
    again(changed)
    named = results(options=["SECRET_CHIP"], symbols=["secret_x9_reset", "secret_x9_start"], why=f"drivers/secret/chip.h:999 {CITED}")
    model = scripted(says(named, call("read-file", File="drivers/secre")), says(results(why=CITED)), says(kmsan()))
    judged(changed, model, PATCH_TRIAGE_AGENT_NEVER_PATHS="drivers/secret")
    told = " ".join(message["content"] for message in model.requests[1]["messages"] if message["role"] == "tool")
    assert "drivers/secret/chip.h is not shown to a model" in told
    assert "there is no option SECRET_CHIP " in told and "no function secret_x9_reset" in told and "no function secret_x9_start" in told
    assert "X9" not in told and "lines" not in told and "inline" not in told and "did you mean" not in told
