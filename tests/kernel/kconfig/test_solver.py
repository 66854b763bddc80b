"""The smallest set of options that makes a condition hold."""

from __future__ import annotations

import pytest

from hook.kernel.kconfig import parser, solver, upper_bounds
from hook.kernel.kconfig.expressions import all_of, built_in, left_open, negated, parse
from hook.kernel.kconfig.toolchain import toolchain
from tests.conftest import Grow

KCONFIG = """
config MODULES
	bool "modules"
	modules
	default y
config 64BIT
	bool "64-bit" if "$(ARCH)" = "x86"
	default "$(ARCH)" != "i386"
config ARM_ONLY
	bool "arm"
	depends on ARM
config NEEDS_ARM
	tristate "needs"
	depends on ARM_ONLY && BUS
config BITS32
	def_bool y
	depends on !64BIT
config COMPILE_TEST
	bool "compile test"
config BUS
	tristate "bus"
config DEV
	tristate "dev"
	depends on BUS && (ARM || COMPILE_TEST)
	select HELPER
config HELPER
	tristate
	select DEEP_HELPER
config DEEP_HELPER
	tristate
config OTHER_USER
	tristate "other"
	depends on DEV
	select HELPER
config AUTO
	bool "auto"
	default y
	depends on BUS
config LATER
	bool "later"
	depends on AUTO && !NOISY
config NOISY
	bool "noisy"
	default y
choice
	prompt "kind"
config KIND_A
	bool "a"
config KIND_B
	bool "b"
	depends on BUS
endchoice
config ONLY_MODULE
	tristate "only a module"
	depends on m
config PROBED
	def_bool $(cc-option,-fsanitize=kernel-memory)
config NEEDS_PROBED
	bool "needs probed"
	depends on PROBED
config LEVELS
	int
	default 5 if BUS
	default 4
config USB
	tristate "usb"
config DUAL
	tristate "dual"
config DUAL_USB
	bool "dual usb"
	depends on USB=y || USB=DUAL
	depends on DUAL
config NOT_ALIKE
	bool "not alike"
	depends on USB != BUS && DUAL
config MORE
	bool "more"
	depends on USB > DUAL
config EXPERT
	bool "expert"
config PRINTK
	bool "printk" if EXPERT
	default y
config VIRT
	bool "virt"
config VENDOR_A
	tristate "a"
	depends on VIRT
config VENDOR_B
	tristate "b"
	depends on VIRT
config VIRT_CORE
	def_tristate VIRT if VENDOR_A != n || VENDOR_B != n
config LOOP_A
	bool "la" if LOOP_B
config LOOP_B
	bool "lb" if LOOP_A
"""


@pytest.fixture
def options(grow: Grow) -> parser.Options:
    return parser.read(grow({"Kconfig": KCONFIG}), {"ARCH": "x86_64", "SRCARCH": "x86"}, toolchain("gcc-12"))


@pytest.mark.parametrize(
    ("wanted", "settings"),
    [
        ("BUS", {"BUS": "y"}),
        ("DEV", {"BUS": "y", "COMPILE_TEST": "y", "DEV": "y"}),
        ("DEEP_HELPER", {"BUS": "y", "COMPILE_TEST": "y", "DEV": "y"}),  # hidden: by what selects what selects it
        ("AUTO", {"BUS": "y"}),  # comes by default
        ("LATER", {"BUS": "y", "LATER": "y", "NOISY": "n"}),
        ("KIND_B", {"BUS": "y", "KIND_B": "y"}),
        ("!NOISY", {"NOISY": "n"}),
        ("!PRINTK", {"EXPERT": "y", "PRINTK": "n"}),  # only experts are asked
        ("LEVELS>4", {"BUS": "y"}),
        ("DUAL_USB", {"USB": "y", "DUAL": "y", "DUAL_USB": "y"}),  # both are off at first, and so the same; then they have to be on
        ("NOT_ALIKE", {"USB": "y", "DUAL": "y", "NOT_ALIKE": "y"}),
        ("MORE", {"USB": "y", "MORE": "y"}),
        ("BUS && KIND_A", {"BUS": "y"}),
        ("DEV || NOISY", {}),
        ("VIRT_CORE", {"VIRT": "y", "VENDOR_A": "y"}),
        ("VIRT_CORE && !VENDOR_A", {"VIRT": "y", "VENDOR_B": "y"}),  # what has to stay off is off at first
        ("64BIT", {}),
    ],
)
def test_what_to_set(options: parser.Options, wanted: str, settings: dict[str, str]) -> None:
    found = solver.solve(
        options, {}, parse(wanted) if "!" in wanted or "|" in wanted or ">" in wanted or "&" in wanted else built_in(wanted)
    )
    assert found.settings == settings


def test_what_the_base_has_is_left_out_and_a_module_is_not_enough(options: parser.Options) -> None:
    assert solver.solve(options, {"BUS": "y", "COMPILE_TEST": "y"}, built_in("DEV")).settings == {"DEV": "y"}
    assert solver.solve(options, {"BUS": "m", "COMPILE_TEST": "y"}, built_in("DEV")).settings == {"BUS": "y", "DEV": "y"}


@pytest.mark.parametrize("wanted", ["NEEDS_ARM", "ONLY_MODULE", "NOWHERE", "BITS32", "LOOP_A", "NEEDS_PROBED"])
def test_where_there_is_no_way_nothing_is_set(options: parser.Options, wanted: str) -> None:
    with pytest.raises(solver.NoSolution):
        solver.solve(options, {}, built_in(wanted))


def test_what_can_only_be_a_module_is_said_to_be_one(options: parser.Options) -> None:
    with pytest.raises(solver.NoSolution, match="ONLY_MODULE, which can only be a module"):
        solver.solve(options, {}, built_in("ONLY_MODULE"))


def test_contradictions_have_no_solution(options: parser.Options) -> None:
    with pytest.raises(solver.NoSolution):
        solver.solve(options, {}, all_of([built_in("BUS"), negated(built_in("BUS"))]))


@pytest.mark.parametrize(
    ("wanted", "clause"),
    [
        ("NEEDS_ARM", "ARM"),
        ("BITS32", "BITS32 cannot be on"),
        ("NOWHERE", "NOWHERE is not there for this architecture"),
    ],
)
def test_what_no_kernel_of_the_architecture_can_have(options: parser.Options, wanted: str, clause: str) -> None:
    assert clause in upper_bounds.impossible(options, built_in(wanted))


@pytest.mark.parametrize("wanted", ["DEV", "ONLY_MODULE", "NEEDS_PROBED", "PROBED", "LOOP_A", "KIND_B"])
def test_what_only_this_toolchain_or_this_search_cannot_have_is_not_called_impossible(options: parser.Options, wanted: str) -> None:
    assert upper_bounds.impossible(options, built_in(wanted)) == ""


def test_what_is_left_open_is_never_impossible(options: parser.Options) -> None:
    assert upper_bounds.impossible(options, left_open("what")) == "" and upper_bounds.impossible(options, negated(left_open("what"))) == ""


def test_the_answers_of_the_toolchain_are_named(grow: Grow) -> None:
    options = parser.read(grow({"Kconfig": KCONFIG}), {"ARCH": "x86_64", "SRCARCH": "x86"}, toolchain("clang-19"))
    found = solver.solve(options, {}, built_in("NEEDS_PROBED"))
    assert found.settings == {"NEEDS_PROBED": "y"} and found.probes == ("PROBED: $(cc-option,-fsanitize=kernel-memory) = y",)


def test_a_reason_names_an_option_that_is_on(grow: Grow) -> None:
    text = """
config BUS
	bool "bus"
config HELP
	bool
config FAR
	bool "far"
	depends on BUS && COSTLY
	select HELP
config COSTLY
	bool "costly"
config NEAR
	bool "near"
	select HELP
if BUS
config CHIP
	bool "chip"
	depends on HELP
endif
"""
    found = solver.solve(
        parser.read(grow({"Kconfig": text}), {"ARCH": "x86_64", "SRCARCH": "x86"}, toolchain("gcc-12")), {}, parse("HELP && CHIP")
    )
    assert found.settings == {"NEAR": "y", "BUS": "y", "CHIP": "y"}
    # FAR was tried before, which depends on it as well
    assert (found.reasons["BUS"].why, found.reasons["BUS"].line) == ("CHIP depends on it", 16)
    assert found.reasons["NEAR"].why == "it selects HELP"


def test_what_selects_an_option_is_rather_a_driver_without_hardware(grow: Grow) -> None:
    text = "config LINK\n\tbool\n" + "".join(
        f'config {name}\n\tbool "{name}"\n\tdepends on {depends}\n\tselect LINK\n'
        for name, depends in (("SWITCH", "y"), ("NETDEVSIM", "BUS"), ("VETH", "y"))
    )
    options = parser.read(grow({"Kconfig": f'config BUS\n\tbool "bus"\n{text}'}), {"ARCH": "x86_64", "SRCARCH": "x86"}, toolchain("gcc-12"))
    assert solver.solve(options, {}, built_in("LINK")).settings == {"VETH": "y"}
    # not where it needs more than the others
    assert solver.solve(options, {}, built_in("LINK"), {"VETH": "n"}).settings == {"SWITCH": "y"}
    assert solver.solve(options, {"BUS": "y"}, built_in("LINK"), {"VETH": "n"}).settings == {"NETDEVSIM": "y"}


def test_a_search_without_end_is_given_up(grow: Grow) -> None:
    many = "".join(f'config A{n}\n\tbool "a"\n\tdepends on (A{n + 1} || A{n + 2}) && (A{n + 3} || !A{n + 4})\n' for n in range(3000))
    options = parser.read(grow({"Kconfig": many}), {"ARCH": "x86_64", "SRCARCH": "x86"}, toolchain("gcc-12"))
    with pytest.raises(solver.NoSolution):
        solver.solve(options, {}, built_in("A0"))
    assert upper_bounds.impossible(options, built_in("A0")) == ""


def test_a_clause_blames_no_dependency_that_can_hold(grow: Grow) -> None:
    text = 'config BUS\n\tbool "bus"\nconfig CHIP\n\tbool\n\tdepends on BUS\n'
    known = parser.read(grow({"Kconfig": text}), {"ARCH": "x86_64", "SRCARCH": "x86"}, toolchain("gcc-12"))
    assert upper_bounds.impossible(known, built_in("CHIP")) == "CHIP cannot be on: nothing that can be on selects it"
