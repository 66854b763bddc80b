"""Reading Kconfig, and the values that come of it, without executing anything."""

from __future__ import annotations

import pathlib

import pytest

from hook.config import DEFAULTS
from hook.kernel.kconfig import base_config, parser, solver
from hook.kernel.kconfig.expressions import built_in, shown
from hook.kernel.kconfig.olddefconfig import Values
from hook.kernel.kconfig.option import Options
from hook.kernel.kconfig.toolchain import NotAToolchain, toolchain
from hook.kernel.kconfig.upper_bounds import impossible
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.conftest import Grow

X86 = {"ARCH": "x86_64", "SRCARCH": "x86"}


def read(source: Source, compiler: str = "gcc-12") -> Options:
    return parser.read(source, X86, toolchain(compiler))


def values(options: Options, **given: str) -> dict[str, str]:
    found = Values(options, given)
    return {name: found.text(name) for name in options.by_name}


def test_menus_and_ifs_come_down_to_their_options(grow: Grow) -> None:
    options = read(
        grow(
            {
                "Kconfig": """
config A
	bool "a"
menu "m"
	depends on A
	visible if B
if C
config D
	tristate "d" if E
	default y
	depends on F
	select G if H
endif
endmenu
config G
	bool
"""
            }
        )
    )
    d = options.by_name["D"]
    found = Values(options, {})
    assert not options.warnings and d.type == "tristate" and d.title == "d"
    assert "B" in shown(d.prompts[0]) and "E" in shown(d.prompts[0])
    assert "B" not in shown(d.defaults[0][1])  # visibility is of prompts alone
    assert options.by_name["G"].selected_by[0][0] == "D" and found.level("D") == 0


def test_selects_defaults_and_prompts_give_the_values_that_olddefconfig_gives(grow: Grow) -> None:
    options = read(
        grow(
            {
                "Kconfig": """
config MODULES
	bool "modules"
	modules
	default y
config BUS
	tristate "bus"
config DEV
	tristate "dev"
	depends on BUS
	select CORE
	imply EXTRA
config CORE
	tristate
config EXTRA
	bool "extra"
	depends on BUS
config AUTO
	def_bool y
	depends on DEV=y
config SIZE
	int "size"
	range 10 20
	default 40 if DEV
	default 12
choice
	prompt "one of"
	default SECOND
config FIRST
	bool "first"
config SECOND
	bool "second"
endchoice
"""
            }
        )
    )
    plain = values(options)
    assert (plain["CORE"], plain["AUTO"], plain["SIZE"], plain["FIRST"], plain["SECOND"]) == ("n", "n", "12", "n", "y")
    on = values(options, BUS="y", DEV="y", FIRST="y")
    assert (on["CORE"], on["EXTRA"], on["AUTO"], on["SIZE"], on["FIRST"], on["SECOND"]) == ("y", "y", "y", "20", "y", "n")
    half = values(options, BUS="m", DEV="y")
    assert (half["DEV"], half["CORE"], half["AUTO"]) == ("m", "m", "n")
    assert values(options, BUS="m", DEV="y", MODULES="n")["BUS"] == "y"  # there are no modules to make
    assert values(options, DEV="y")["DEV"] == "n"  # olddefconfig drops it


@pytest.mark.parametrize(
    ("parameter", "given", "chosen"),
    [
        ("struct menu *choice", {"SECOND": "n"}, "FIRST"),
        ("struct symbol *sym", {"SECOND": "n"}, "SECOND"),  # no `n` counts
        ("struct menu *choice", {"FIRST": "y", "HIDDEN": "y"}, "FIRST"),
        ("struct symbol *sym", {"FIRST": "y", "HIDDEN": "y"}, "SECOND"),  # only the last `y` counts
        ("struct symbol *sym", {"HIDDEN": "y", "FIRST": "y"}, "FIRST"),
    ],
)
def test_a_choice_is_made_as_the_kconfig_of_the_tree_makes_it(grow: Grow, parameter: str, given: dict[str, str], chosen: str) -> None:
    members = "".join(f'config {name}\n\tbool "{name}"\n' for name in ("FIRST", "SECOND", "HIDDEN"))
    kconfig = f'choice\n\tprompt "one of"\n\tdefault SECOND\n{members}\tdepends on n\nendchoice\n'
    rules = f"struct symbol *sym_calc_choice({parameter})\n{{\n}}\n"
    set_to = values(read(grow({"Kconfig": kconfig, "scripts/kconfig/symbol.c": rules})), **given)
    assert [name for name in ("FIRST", "SECOND", "HIDDEN") if set_to.get(name) == "y"] == [chosen]


def test_macros_are_expanded_and_probes_are_answered_by_the_table(grow: Grow) -> None:
    source = grow(
        {
            "Kconfig": """
name = WORLD
greet = HELLO_$(1)_$(name)
config $(greet,BIG)
	def_bool y
config IS_GCC
	def_bool $(success,test "$(cc-name)" = GCC)
config VERSION
	int
	default $(cc-version)
config HAS_PATTERN
	def_bool $(cc-option,-ftrivial-auto-var-init=pattern)
config HAS_KMSAN
	def_bool $(cc-option,-fsanitize=kernel-memory)
source "arch/$(SRCARCH)/Kconfig"
"""
        }
    )
    found = values(read(source))
    assert found["HELLO_BIG_WORLD"] == "y" and found["X86"] == "y"
    assert (found["IS_GCC"], found["VERSION"], found["HAS_PATTERN"], found["HAS_KMSAN"]) == ("y", "120200", "y", "n")
    other = values(read(source, "clang-19"))
    assert (other["IS_GCC"], other["VERSION"], other["HAS_KMSAN"]) == ("n", "190100", "y")
    assert read(source).by_name["HAS_KMSAN"].probes == ["$(cc-option,-fsanitize=kernel-memory) = n"]
    with pytest.raises(NotAToolchain):
        toolchain("tcc")


def test_nothing_of_the_tree_is_run(grow: Grow, tmp_path: pathlib.Path) -> None:
    mark = tmp_path / "ran"
    source = grow(
        {
            "Kconfig": f"""
x := $(shell,touch {mark})
y = $(shell,touch {mark})
config A
	bool "$(y)"
	default $(success,touch {mark})
	depends on $(shell,touch {mark} && echo y)
$(shell,touch {mark})
$(error-if,$(success,touch {mark}),no)
source "$(shell,touch {mark})"
""",
            "drivers/net/Makefile": f"x := $(shell touch {mark})\nobj-$(shell touch {mark}) += tinynet.o\n!touch {mark}\n$(eval $(shell touch {mark}))\n"
            f"ifeq ($(shell touch {mark}),)\nobj-y += tinynet.o\nendif\ninclude $(shell touch {mark})\n",
        }
    )
    from hook.kernel.kbuild.objects import Kbuild

    assert read(source).by_name["A"].type == "bool"
    assert "only make can evaluate this" in shown(Kbuild(source, X86).built_if("drivers/net/tinynet.c").condition)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ('if A\nconfig IN\n\tbool "in"\n', "Kconfig:1: this if has no end in its file"),
        ('menu "m"\nif A\nendmenu\nconfig IN\n\tbool "in"\n', "Kconfig:2: this if has no end before line 3"),
        ('menu "m"\nconfig IN\n\tbool "in"\n', "Kconfig:1: this menu has no end in its file"),
        ('choice\n\tprompt "c"\nconfig IN\n\tbool "in"\n', "Kconfig:1: this choice has no end in its file"),
        ('endif\nconfig IN\n\tbool "in"\n', "Kconfig:1: `endif` without its beginning"),
        ('source "Kconfig"\nconfig IN\n\tbool "in"\n', "Kconfig:1: Kconfig sources itself"),
        ('source "../../etc/passwd"\nconfig IN\n\tbool "in"\n', "Kconfig:1: not sourced: ../../etc/passwd holds `..`"),
        ('a = $(a)$(a)\nx := $(a)\nconfig IN\n\tbool "in"\n', "Kconfig:2: the macros expand too deeply or too often"),
        ('what is this\nconfig IN\n\tbool "in"\n', "Kconfig:1: 'what is this' is no statement of Kconfig"),
    ],
)
def test_what_is_malformed_costs_a_warning_and_the_rest_is_read(grow: Grow, text: str, warning: str) -> None:
    options = read(grow({"Kconfig": text}))
    assert any(one.startswith(warning) for one in options.warnings), options.warnings
    assert "IN" in options.by_name


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("depends on A &&", "an expression that ends early"),
        ("default " + "(" * 5000, "an expression that is too long"),
        ("select OTHER when A", "'when' where an expression should end"),
        ("takes OTHER from A", "'takes OTHER from A' is no attribute of Kconfig"),
        ('boolean "in" what', "'what' after a prompt"),
        ("range 1", "a range without two ends"),
    ],
)
def test_a_line_that_cannot_be_read_concerns_its_entry_and_the_options_that_it_names(grow: Grow, line: str, why: str) -> None:
    text = f'config IN\n\tbool\n\t{line}\nconfig OTHER\n\tbool\nconfig A\n\tbool "a"\nconfig REST\n\tbool\n'
    options = read(grow({"Kconfig": text}))
    assert options.warnings == []
    assert options.by_name["IN"].unread == [f"Kconfig:3: {why}"] and options.by_name["REST"].unread == []
    assert impossible(options, built_in("IN")) == "" and impossible(options, built_in("REST")) != ""
    assert bool(impossible(options, built_in("OTHER"))) is ("OTHER" not in line)


@pytest.mark.parametrize("line", ["select $(many)", "takes $(many)"])
def test_a_line_whose_names_come_of_a_macro_that_cannot_be_read_concerns_every_option(grow: Grow, line: str) -> None:
    text = f'many = $(many)$(many)\nconfig IN\n\tbool "in"\n\t{line}\nconfig REST\n\tbool\n'
    options = read(grow({"Kconfig": text}))
    assert options.warnings and impossible(options, built_in("REST")) == ""


def test_an_unreadable_condition_of_a_menu_leaves_open_what_is_in_it_alone(grow: Grow) -> None:
    text = 'menu "m"\n\tdepends on A &&\nconfig IN\n\tbool "in"\nendmenu\nif A &&\nconfig UNDER\n\tbool "u"\nendif\nconfig REST\n\tbool\n'
    options = read(grow({"Kconfig": text}))
    assert options.warnings == []
    assert [bool(impossible(options, built_in(name))) for name in ("IN", "UNDER", "REST")] == [False, False, True]


@pytest.mark.parametrize(
    ("depends", "given", "visible"),
    [
        ("A if B", {"A": "n", "B": "n"}, 2),
        ("A if B", {"A": "n", "B": "m"}, 0),
        ("A if B", {"A": "m", "B": "m"}, 1),
        ("A if B", {"A": "y", "B": "n"}, 2),
        ("B if B", {"B": "m"}, 1),
        ("B if B", {"B": "n"}, 2),
        ("A if (B || C)", {"A": "n", "B": "n", "C": "m"}, 0),
        ("A if (B || C)", {"A": "n", "B": "n", "C": "n"}, 2),
        ("A if (B && C)", {"A": "n", "B": "n", "C": "y"}, 2),
        ("A if !B", {"A": "n", "B": "y"}, 2),
        ("A if !B", {"A": "n", "B": "n"}, 0),
        ('A if TEXT != " if "', {"A": "n"}, 0),
        ('A if TEXT = " if "', {"A": "n"}, 2),
        ('TEXT = " if " if B', {"B": "y"}, 0),
        ("A # if B", {"A": "n", "B": "n"}, 0),
    ],
)
def test_a_dependency_with_if_asks_for_nothing_where_its_condition_is_n(
    grow: Grow, depends: str, given: dict[str, str], visible: int
) -> None:
    text = f'config MODULES\n\tdef_bool y\n\tmodules\nconfig IN\n\ttristate "in"\n\tdepends on {depends}\nconfig TEXT\n\tstring\n\tdefault "x"\n'
    options = read(grow({"Kconfig": text + "".join(f'config {name}\n\ttristate "x"\n' for name in "ABC")}))
    assert options.warnings == [] and options.by_name["IN"].unread == []
    assert Values(options, given).visible("IN") == visible


def test_a_transitional_option_hands_on_the_value_of_an_old_config_and_is_written_to_no_new_one(grow: Grow) -> None:
    text = 'config OLD\n\tbool\n\ttransitional\nconfig NEW\n\tbool "new"\n\tdefault OLD\nconfig USER\n\tbool "user"\n\tdepends on OLD\n'
    options = read(grow({"Kconfig": text}))
    assert base_config.configured(options, ["CONFIG_OLD=y\n"]) == {"NEW": "y", "USER": "n"}
    assert solver.solve(options, {}, built_in("NEW")).settings == {"NEW": "y"}
    assert impossible(options, built_in("USER")) == ""  # an old .config may have it
    with pytest.raises(solver.NoSolution):
        solver.solve(options, {}, built_in("USER"))


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("expr 190100 / 10000", "19"),
        ("expr $(cc-version) / 10000", "12"),
        ("expr 2 + 3", "5"),
        ("expr -7 % 4", "-3"),
        (r"expr 6 \* 7", "42"),
    ],
)
def test_expr_of_known_numbers_is_worked_out(grow: Grow, command: str, answer: str) -> None:
    options = read(grow({"Kconfig": f"config N\n\tint\n\tdefault $(shell,{command})\nconfig IS\n\tdef_bool N = $(shell,{command})\n"}))
    assert options.warnings == [] and values(options) == {"N": answer, "IS": "y"}


@pytest.mark.parametrize("command", ["expr 1 / 0", "expr 1 / $(nothing)", "expr 1 / 2 | tee x", "echo 1"])
def test_what_a_shell_would_have_to_work_out_leaves_the_option_open(grow: Grow, command: str) -> None:
    options = read(grow({"Kconfig": f'config A\n\tbool\n\tdefault y if "1" = $(shell,{command})\n'}))
    assert impossible(options, built_in("A")) == "" and options.by_name["A"].probes


@pytest.mark.parametrize(
    ("name", "clang", "linker", "rust"),
    [
        ("gcc-16", "0", "BFD 24000", "0"),
        ("clang-17", "170000", "LLD 170000", "0"),
        ("clang-20 rustc-1.88", "200100", "LLD 200100", "200100"),
        ("clang-22 rustc-1.92", "220100", "LLD 220100", "210100"),
        ("clang-18 rustc-1.78", "180100", "LLD 180100", "180100"),
    ],
)
def test_the_releases_of_llvm_and_its_linker_stand_beside_clang(grow: Grow, name: str, clang: str, linker: str, rust: str) -> None:
    text = """
config CLANG
	int
	default $(cc-version) if $(success,test "$(cc-name)" = Clang)
	default 0
config LINKER
	string
	default "$(ld-info)"
config RUST_LLVM
	int
	default $(rustc-llvm-version)
"""
    assert values(read(grow({"Kconfig": text}), name)) == {"CLANG": clang, "LINKER": linker, "RUST_LLVM": rust}


def test_the_default_toolchain_has_what_btf_and_rust_need(grow: Grow) -> None:
    text = """
config PAHOLE_VERSION
	int
	default $(shell,$(srctree)/scripts/pahole-version.sh $(PAHOLE))
config DEBUG_INFO_BTF
	def_bool PAHOLE_VERSION >= 121
config RUST_IS_AVAILABLE
	def_bool $(success,$(srctree)/scripts/rust_is_available.sh)
"""
    found = values(read(grow({"Kconfig": text}), DEFAULTS.fuzz.toolchain))
    assert (found["DEBUG_INFO_BTF"], found["RUST_IS_AVAILABLE"]) == ("y", "y")
    bare = values(read(grow({"Kconfig": text}), "gcc-12"))
    assert (bare["DEBUG_INFO_BTF"], bare["RUST_IS_AVAILABLE"]) == ("n", "n")


def test_files_that_source_each_other_are_read_once(grow: Grow) -> None:
    options = read(
        grow(
            {"Kconfig": 'source "one"\nconfig IN\n\tbool "in"\n', "one": 'config ONE\n\tbool "1"\nsource "two"\n', "two": 'source "one"\n'}
        )
    )
    assert options.warnings == ["two:1: one sources itself"] and {"IN", "ONE"} <= options.by_name.keys()


def test_a_file_over_the_limit_is_named_and_the_rest_is_read(grow: Grow) -> None:
    source = grow(
        {"Kconfig": 'config A\n\tbool "a"\nsource "big"\nconfig IN\n\tbool "in"\n', "big": "config B\n\thelp\n" + "\t  words\n" * 20_000}
    )
    with Objects(source.repo, 100 << 10) as objects:
        options = read(Source(objects, source.revision))
    assert options.warnings == ["Kconfig:3: big is not read: it is too large (limits.blob_bytes), or a partial clone lacks it"]
    assert {"A", "IN"} <= options.by_name.keys()


def test_a_huge_help_text_and_deep_nesting_are_read(grow: Grow) -> None:
    deep = "if A\n" * 300 + 'config IN\n\tbool "in"\n' + "endif\n" * 300
    options = read(
        grow({"Kconfig": 'config BIG\n\tbool "big"\n\thelp\n' + "\t  words and words\n" * 600_000 + 'source "deep"\n', "deep": deep})
    )
    assert {"BIG", "IN"} <= options.by_name.keys()
    assert any("deep:" in one and "nested" in one for one in options.warnings)


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("config A\n\tdef_bool B\nconfig B\n\tdef_bool A\n", "Kconfig:1: A depends on itself, through B"),
        ('config A\n\tbool "a" if A\n', "Kconfig:1: A depends on itself"),
        (
            'config A\n\tbool "a"\n\tdepends on !B\nconfig B\n\tbool\n\tdefault y if C\nconfig C\n\tbool "c"\n\tdepends on A\n',
            "Kconfig:1: A depends on itself, through B, C",
        ),
        ('if B\nconfig A\n\tbool "a"\nendif\nconfig B\n\tbool "b"\n\tdepends on A\n', "Kconfig:2: A depends on itself, through B"),
        ('config A\n\tbool "a"\n\tselect B\nconfig B\n\tbool "b"\n\timply A\n', "Kconfig:1: A depends on itself, through B"),
    ],
)
def test_an_option_that_depends_on_itself_is_named_with_its_line_and_the_rest_is_read(grow: Grow, text: str, warning: str) -> None:
    options = read(grow({"Kconfig": text + "config REST\n\tdef_bool y\n"}))
    assert options.warnings == [] and options.by_name["REST"].unread == []
    assert warning in options.by_name["A"].unread[0]
    assert base_config.configured(options, [""])["REST"] == "y"


def test_what_only_looks_like_a_cycle_is_none(grow: Grow) -> None:
    many = "".join(f'config N{n}\n\tbool "n"\n\tdepends on N{n + 1}\n\tselect S{n}\nconfig S{n}\n\tbool\n' for n in range(3000))
    options = read(
        grow({"Kconfig": f'{many}choice\n\tprompt "one"\n\tdefault TWO\nconfig ONE\n\tbool "1"\nconfig TWO\n\tbool "2"\nendchoice\n'})
    )
    assert not options.warnings and not any(option.unread for option in options.by_name.values())


def test_a_tree_of_android_has_its_own_base(grow: Grow) -> None:
    plain, android = grow({"Kconfig": ""}), grow({"Kconfig": "", "arch/x86/configs/gki_defconfig": ""})
    for source, path, target in (
        (plain, "arch/x86/configs/x86_64_defconfig", "defconfig"),
        (android, "arch/x86/configs/gki_defconfig", "gki_defconfig"),
    ):
        assert base_config.parts(source, "x86_64", "x86") == (path, "kernel/configs/kvm_guest.config")
        assert base_config.make_target(source, "x86") == target
    assert base_config.parts(android, "arm64", "arm64")[0] == "arch/arm64/configs/defconfig"


def test_sources_may_be_relative_optional_or_globs(grow: Grow) -> None:
    options = read(
        grow(
            {
                "Kconfig": 'source "sub/Kconfig"\nosource "nowhere"\nsource "more/*/Kconfig"\n',
                "sub/Kconfig": 'rsource "deeper/Kconfig"\n',
                "sub/deeper/Kconfig": 'config DEEP\n\tbool "deep"\n',
                "more/one/Kconfig": 'config ONE\n\tbool "1"\n',
                "more/two/Kconfig": 'config TWO\n\tbool "2"\n',
            }
        )
    )
    assert {"DEEP", "ONE", "TWO"} <= options.by_name.keys() and not options.warnings
