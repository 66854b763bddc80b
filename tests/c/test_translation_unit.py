"""The translation unit: what is where in a file."""

from __future__ import annotations

import pytest

from hook.c.definitions import DefinitionKind
from hook.c.translation_unit import SourceFile, TranslationUnit

CODE = b"""static int one(void)
{
	return 1;
}

DEFINE_LSM(two) = {
	.name = "two",
};

module_init(one);
"""


def test_a_place_is_in_its_function_or_its_table() -> None:
    unit = TranslationUnit("a.c", CODE)
    function, table = unit.function_at(CODE.index(b"return")), unit.table_at(CODE.index(b".name"))
    assert function is not None and function.name == "one" and unit.is_static(function)
    assert table is not None and table.name == "two"
    assert unit.function_at(CODE.index(b".name")) is None and unit.table_at(CODE.index(b"return")) is None
    assert [(one.macro, one.arguments) for one in unit.statements][1:] == [("module_init", ("one",))]
    assert unit.defined("one", DefinitionKind.MACRO) is None and unit.defined("one", DefinitionKind.FUNCTION) is function


@pytest.mark.parametrize(
    ("before", "macros"),
    [
        ("module_init(one)\nmodule_exit(two)\n\n", ["module_init", "module_exit"]),
        ("module_init(one);\n", ["module_init"]),
        ("__printf(1, 2)\n", []),
        ("static noinline\n", []),
        ("int\n", []),
    ],
)
def test_a_macro_before_a_function_needs_no_semicolon(before: str, macros: list[str]) -> None:
    unit = TranslationUnit("a.c", f"{before}static int late(int x)\n{{\n\treturn x;\n}}\n".encode())
    assert [statement.macro for statement in unit.statements] == macros
    assert [function.name for function in unit.functions] == ["late"]


@pytest.mark.parametrize(
    ("head", "is_static"),
    [
        ("static int f(void)", True),
        ("int /* no longer static */ f(void)", False),
        ("#ifdef MODULE\nstatic\n#endif\nint f(void)", False),
        ("#ifdef MODULE\nstatic int f(void)\n#else\nint f(void)\n#endif", False),
    ],
)
def test_a_function_is_static_under_all_options_or_it_is_not(head: str, is_static: bool) -> None:
    unit = TranslationUnit("a.c", f"{head}\n{{\n\treturn 0;\n}}\n".encode())
    assert unit.is_static(unit.functions[0]) is is_static


@pytest.mark.parametrize("head", ["SYSCALL_DEFINE1(frob, int, x)", "DEFINE_IDTENTRY(exc_debug)", "late(int x)"])
def test_the_head_of_a_function_is_no_macro_before_it(head: str) -> None:
    assert TranslationUnit("a.c", f"{head}\n{{\n\treturn 0;\n}}\n".encode()).statements == []


def test_the_first_line_is_read_as_any_other() -> None:
    unit = TranslationUnit("a.c", b"module_init(one);\n\tmodule_exit(two);\n")
    assert [(one.macro, one.arguments, one.offset, one.opening, one.end) for one in unit.statements] == [
        ("module_init", ("one",), 0, 11, 15)
    ]
    (table,) = TranslationUnit("a.c", b"DEFINE_LSM(two) = {\n};\n").variables
    assert (table.name, table.first_line, table.last_line, table.offset, table.span) == ("two", 1, 2, 11, (0, 20))


def test_lines_are_counted_from_one_in_any_order() -> None:
    unit = TranslationUnit("a.c", CODE)
    assert unit.line(CODE.index(b"module_init")) == (10, "module_init(one);")
    assert unit.line(CODE.index(b"return")) == (3, "return 1;")
    assert unit.whole_line(CODE.index(b"return")) == (3, "\treturn 1;")
    assert unit.offset(3) == CODE.index(b"\treturn") and unit.offset(99) == len(CODE)


def test_the_segments_hold_every_byte_once() -> None:
    unit = TranslationUnit("a.c", CODE)
    assert b"".join(segment.text for segment in unit.segments) == CODE
    assert list(unit.segments_of(DefinitionKind.FUNCTION)) == ["one"]


def test_the_language_of_a_source_file_is_told_by_its_name() -> None:
    text = b"config FOO\n\tbool\nint one(void)\n{\n}\n"
    assert [one.kind for one in SourceFile("mm/Kconfig", text).scan.definitions] == [DefinitionKind.OPTION]
    assert [one.kind for one in SourceFile("mm/a.c", text).scan.definitions] == [DefinitionKind.FUNCTION]
    assert SourceFile("mm/a.txt", text).scan.definitions == ()
    assert [one.name for one in TranslationUnit("mm/a.inc", text).functions] == ["one"]
