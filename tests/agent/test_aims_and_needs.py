"""What a model names is put right by the evidence: symbols that can be hit, options that are needed and can be had; and the verdict says so."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator

import pytest

from hook.verdict import DecidedBy, Verdict
from tests.agent.judging import judge
from tests.agent.model import Model, kmsan, results, says
from tests.small_kernel import Kernel

POOL = "mm/pool.c"
CITED = "mm/pool.c:22 takes one page fewer."
Scripted = Callable[..., Model]

KCONFIG = """\
config POOL
	bool "Page pool"
	depends on POOL_BASE

config POOL_BASE
	bool "What pools stand on"

config POOL_DEBUG
	bool "Debug the page pool"
	depends on POOL && EXPERT

config POOL_WARN
	bool "Warn about pools"

config POOL_SIZE
	int "Size"
	default 4

config POOL_AUTO
	def_bool POOL

config POOL_S390
	bool "Pools of s390"
	depends on S390

config ON
	def_bool y

config OTHER
	bool "Something else"
"""
CODE = """
#ifdef CONFIG_POOL_DEBUG
int pool_audit(struct pool *pool)
{
	return pool->count;
}
#endif

static int pool_once(struct pool *pool)
{
	return pool->count + 1;
}

int pool_caller(struct pool *pool)
{
	return pool_once(pool) * 2;
}

noinstr int pool_quiet(struct pool *pool)
{
	POOL_WARN_ON(pool->count > 3);
	return 1;
}
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    base = tmp_path_factory.mktemp("needs")
    kernel = Kernel.create(base / "linux", base / "home")
    kernel.write("mm/Kconfig", KCONFIG)
    kernel.write("mm/Makefile", "KCOV_INSTRUMENT_dark.o := n\nobj-$(CONFIG_POOL) += pool.o dark.o\nobj-$(CONFIG_OTHER) += other.o\n")
    kernel.write("mm/dark.c", "int pool_dark(void)\n{\n\treturn 1;\n}\n")
    kernel.write("mm/call.c", "SYSCALL_DEFINE1(pool, int, a)\n{\n\treturn a;\n}\n")
    kernel.write("mm/other.c", "int other_thing(void)\n{\n\treturn 1;\n}\n")
    head = kernel.read("include/linux/pool.h")
    kernel.write("include/linux/pool.h", head + "#ifdef CONFIG_POOL_WARN\n#define POOL_WARN_ON(x) warn(x)\n#endif\n")
    kernel.write(POOL, kernel.read(POOL) + CODE)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "mm: more")
    kernel.replace(POOL, "POOL_WARN_ON(pool->count > 3);", "POOL_WARN_ON(pool->count > 4);")
    kernel.replace(POOL, "--pool->count]", "--pool->count & 7]")
    kernel.git("commit", "-qam", "mm/pool: take fewer")
    return kernel


@pytest.fixture
def said(first: Kernel, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Verdict]]:
    """The verdict after a model has given these results."""
    monkeypatch.setenv("NO_PROXY", "*")

    def judged(
        symbols: list[str] | None = None, options: list[str] | None = None, why: str = CITED, profile: str = "default", coverage: str = ""
    ) -> Verdict:
        last = says(results(symbols=["pool_get"] if symbols is None else symbols, options=options, why=why))
        verdict = judge(first, scripted(last, says(kmsan())), profile, fuzz_coverage=coverage).verdict
        assert verdict.decided_by is DecidedBy.AGENT, verdict.reasoning
        return verdict

    yield judged


@pytest.mark.parametrize(
    ("named", "symbols", "via", "why"),
    [
        ("pool_get", ("pool_get",), (), ""),
        ("pool_dark", ("pool_get",), ("pool_dark",), "mm/Makefile:1 KCOV_INSTRUMENT_dark.o := n"),
        ("pool_quiet", ("pool_get",), ("pool_quiet",), "marked as code that KCOV does not instrument"),
        ("pool_once", ("pool_caller",), ("pool_once",), "most likely inlined by the compiler (called once)"),
        ("pool_empty", ("pool_get",), ("pool_empty",), "pool_empty is an inline function (include/linux/pool.h:"),
    ],
)
def test_what_cannot_be_hit_moves_to_via(
    said: Callable[..., Verdict], named: str, symbols: tuple[str, ...], via: tuple[str, ...], why: str
) -> None:
    verdict = said([named], ["POOL"])
    assert (verdict.focus_symbols, set(verdict.via) >= set(via)) == (symbols, True)
    told = [one for one in verdict.corrections if one.startswith(f"FocusSymbols: {named} moved to Via")]
    assert len(told) == bool(why) and all(why in line for line in told)


@pytest.mark.parametrize(("reached", "symbols"), [(600, ("pool_get",)), (100, ("pool_caller",))])
def test_what_more_than_a_tenth_of_the_programs_reach_moves_to_via(
    said: Callable[..., Verdict], tmp_path: pathlib.Path, reached: int, symbols: tuple[str, ...]
) -> None:
    frame = '{"file_path":"mm/pool.c","func_name":"%s","sl":1,"sc":0,"el":2,"ec":-1,"hit_count":%d,"inline":false,"pc":1}\n'
    (tmp_path / "cover.jsonl").write_text(frame % ("pool_caller", reached) + frame % ("pool_put", 1000))
    verdict = said(["pool_caller"], ["POOL"], coverage=str(tmp_path / "cover.jsonl"))
    assert verdict.focus_symbols == symbols
    told = "FocusSymbols: pool_caller moved to Via: 60% of the programs in cover.jsonl run pool_caller (mm/pool.c:"
    assert any(line.startswith(told) for line in verdict.corrections) == (reached == 600)


def test_a_system_call_is_aimed_at_where_it_has_an_address(said: Callable[..., Verdict]) -> None:
    verdict = said(["__do_sys_pool", "__ia32_sys_pool"], ["POOL", "POOL_BASE"])
    assert verdict.focus_symbols == ("__x64_sys_pool", "__ia32_sys_pool")
    assert verdict.corrections == ("FocusSymbols: __do_sys_pool is __x64_sys_pool in a kernel for x86_64",)


@pytest.mark.parametrize(
    ("option", "kept", "why"),
    [
        ("OTHER", False, "nothing that changed, that the change uses or that was cited is built by it"),
        ("ON", False, "the base configuration has it"),
        ("POOL_S390", False, "cannot be on for x86_64"),
        ("POOL_SIZE", False, "no switch but a value"),
        ("POOL_AUTO", False, ""),
        ("POOL_WARN", True, ""),  # what POOL_WARN_ON is, is defined under it
    ],
)
def test_an_option_stays_if_the_target_can_have_it_and_the_change_has_to_do_with_it(
    said: Callable[..., Verdict], option: str, kept: bool, why: str
) -> None:
    verdict = said(options=["POOL", "POOL_BASE", option])
    assert (option in verdict.enable_configs) is kept, verdict.corrections
    assert {"POOL", "POOL_BASE"} <= set(verdict.enable_configs)
    told = [one for one in verdict.corrections if one.startswith(f"EnableConfigs: {option} dropped: ")]
    assert len(told) == (not kept) and why in "".join(told)
    if kept:
        reason = verdict.config_reasons[option]
        assert (reason.path, reason.purpose) == ("include/linux/pool.h", "build")


def test_what_the_evidence_knows_to_be_needed_is_added_with_its_reason(said: Callable[..., Verdict]) -> None:
    verdict = said(options=[])
    assert set(verdict.enable_configs) == {"POOL", "POOL_BASE"}
    assert any(one.startswith("EnableConfigs: POOL added, to build: ") and "mm/Makefile:2" in one for one in verdict.corrections), (
        verdict.corrections
    )


def test_an_option_of_a_function_that_is_aimed_at_comes_with_what_it_depends_on(said: Callable[..., Verdict]) -> None:
    verdict = said(["pool_audit"], ["POOL", "POOL_BASE", "POOL_DEBUG"])
    assert set(verdict.enable_configs) == {"POOL", "POOL_BASE", "POOL_DEBUG", "EXPERT"}
    assert verdict.config_reasons["POOL_DEBUG"].why == "#ifdef CONFIG_POOL_DEBUG"
    assert any(one.startswith("EnableConfigs: EXPERT added, to reach: ") for one in verdict.corrections), verdict.corrections


def test_an_option_of_a_caller_stays_where_its_code_is_cited(said: Callable[..., Verdict]) -> None:
    assert "OTHER" in said(options=["OTHER"], why=f"{CITED} mm/other.c:1 drives it.").enable_configs


def test_a_right_answer_is_not_put_right(said: Callable[..., Verdict]) -> None:
    assert said(options=["POOL", "POOL_BASE"]).corrections == ()


@pytest.mark.parametrize("profile", ["farm", "farm-2026-06"])
def test_a_farms_answer_loses_only_what_kcov_does_not_instrument(said: Callable[..., Verdict], profile: str) -> None:
    verdict = said(["pool_dark", "pool_once"], ["OTHER"], profile=profile)
    assert verdict.focus_symbols == ("pool_once",) and "OTHER" in verdict.enable_configs and not verdict.via
    assert verdict.corrections == (
        "FocusSymbols: pool_dark left out: KCOV does not instrument mm/dark.c (mm/Makefile:1 KCOV_INSTRUMENT_dark.o := n)",
    )


def test_kmsan_is_no_question_where_no_kernel_can_have_it(kernel: Kernel, scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    options = "config HAVE_ARCH_KMSAN\n\tbool\nconfig HAVE_KMSAN_COMPILER\n\tdef_bool CC_IS_CLANG\n"
    options += 'config CC_IS_CLANG\n\tdef_bool $(success,test "$(CC_VERSION_TEXT)" = clang)\n'
    kernel.stage(
        "mm/Kconfig",
        options + 'config KMSAN\n\tbool "KMSAN"\n\tdepends on HAVE_ARCH_KMSAN && HAVE_KMSAN_COMPILER\n' + kernel.read("mm/Kconfig"),
    )
    kernel.commit(POOL, kernel.read(POOL).replace("--pool->count]", "--pool->count & 7]"))
    turns = (says(results(why=CITED)), says(kmsan(True, "unset padding")))

    def of(model: Model) -> tuple[bool, str, int]:
        verdict = judge(kernel, model).verdict
        return verdict.needs_kmsan, verdict.kmsan_reasoning, len(model.requests)

    assert of(scripted(*turns)) == (False, "not asked: there is no KMSAN for x86_64", 1)
    kernel.commit("arch/x86/Kconfig", kernel.read("arch/x86/Kconfig").replace("def_bool y\n", "def_bool y\n\tselect HAVE_ARCH_KMSAN\n", 1))
    kernel.commit(POOL, kernel.read(POOL).replace("& 7]", "& 3]"))
    assert of(scripted(*turns)) == (False, "not asked: KMSAN needs clang 14 or later (fuzz.toolchain is gcc-12)", 1)
    kernel.commit("mm/Kconfig", kernel.read("mm/Kconfig").replace("def_bool CC_IS_CLANG", "def_bool y"))
    kernel.commit(POOL, kernel.read(POOL).replace("& 3]", "& 1]"))
    assert of(scripted(*turns)) == (True, "unset padding", 2)
