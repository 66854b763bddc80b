"""Reading Kconfig, and the values that come of it, without executing anything."""

from __future__ import annotations

import pathlib

import pytest

from hook.kernel.kconfig import base_config, parser
from hook.kernel.kconfig.expressions import shown
from hook.kernel.kconfig.olddefconfig import Values
from hook.kernel.kconfig.option import Options
from hook.kernel.kconfig.toolchain import NotAToolchain, toolchain
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
    assert (other["IS_GCC"], other["VERSION"], other["HAS_KMSAN"]) == ("n", "190000", "y")
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
    assert "cannot be evaluated" in shown(Kbuild(source, X86).built_if("drivers/net/tinynet.c").condition)
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
        ('config IN\n\tbool "in"\n\tdepends on A &&\n', "Kconfig:3: an expression that ends early"),
        ('config IN\n\tbool "in"\n\tdefault ' + "(" * 5000 + "\n", "Kconfig:3: an expression that is too long"),
        ('a = $(a)$(a)\nx := $(a)\nconfig IN\n\tbool "in"\n', "Kconfig:2: macros that expand without end"),
        ('what is this\nconfig IN\n\tbool "in"\n', "Kconfig:1: 'what is this' is no statement of Kconfig"),
    ],
)
def test_what_is_malformed_costs_a_warning_and_the_rest_is_read(grow: Grow, text: str, warning: str) -> None:
    options = read(grow({"Kconfig": text}))
    assert any(one.startswith(warning) for one in options.warnings), options.warnings
    assert "IN" in options.by_name


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
    assert options.warnings == ["Kconfig:3: big is not read: it is too large (limits.blob_bytes)"]
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
    assert len(options.warnings) == 1 and warning in options.warnings[0]
    assert base_config.configured(options, [""])["REST"] == "y"


def test_what_only_looks_like_a_cycle_is_none(grow: Grow) -> None:
    many = "".join(f'config N{n}\n\tbool "n"\n\tdepends on N{n + 1}\n\tselect S{n}\nconfig S{n}\n\tbool\n' for n in range(3000))
    options = read(
        grow({"Kconfig": f'{many}choice\n\tprompt "one"\n\tdefault TWO\nconfig ONE\n\tbool "1"\nconfig TWO\n\tbool "2"\nendchoice\n'})
    )
    assert options.warnings == []


def test_sources_may_be_relative_optional_or_globs(grow: Grow) -> None:
    options = read(
        grow(
            {
                "Kconfig": 'source "sub/Kconfig"\nosource "nowhere"\nsource "more/*/Kconfig"\n',
                "sub/Kconfig": 'rsource "deeper/Kconfig"\n',
                "sub/deeper/Kconfig": 'config DEEP\n\tbool "deep"\n\ttransitional\n',
                "more/one/Kconfig": 'config ONE\n\tbool "1"\n',
                "more/two/Kconfig": 'config TWO\n\tbool "2"\n',
            }
        )
    )
    assert {"DEEP", "ONE", "TWO"} <= options.by_name.keys() and not options.warnings
