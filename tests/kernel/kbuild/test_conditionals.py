"""The conditions around a line of C."""

from __future__ import annotations

import pytest

from hook.kernel.kbuild.conditionals import Conditionals
from hook.kernel.kconfig.expressions import Unevaluated, shown

FILE = """\
#ifndef A_H
#define A_H
#if defined(CONFIG_A) && !IS_ENABLED(CONFIG_B)
int a;
#elif CONFIG_NR > 4 || BITS_PER_LONG == 64
int b;
#else
int c;
#endif
#ifdef CONFIG_SPLIT \\
	/* a comment */
int d;
#endif
#if IS_BUILTIN(CONFIG_C) || IS_REACHABLE(CONFIG_D)
#define HAVE_IT 1
#define HAVE_NOT 0
#endif
#ifdef HAVE_IT
int e;
#endif
#if HAVE_NOT
int f;
#endif
#if DEBUG_LEVEL > 3
int g;
#endif
static int f(int x)
{
	if (!IS_ENABLED(CONFIG_Q))
		return 0;
	if (IS_ENABLED(CONFIG_Z) && x) {
		g();
	} else {
		h();
	}
	if (IS_ENABLED(CONFIG_Y))
		i();
	else
		j();
	if (x || IS_ENABLED(CONFIG_W))
		k();
	return 1;
}
#endif
"""


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(FILE.splitlines(), 1) if line.strip() == text)


@pytest.mark.parametrize(
    ("line", "condition"),
    [
        ("int a;", "A && !B"),
        ("int b;", "(A!=y || B) && (NR>4 || 64BIT)"),
        ("int d;", "SPLIT"),
        ("int e;", "C || D"),
        ("int f;", "n"),
        ("int g;", "DEBUG_LEVEL > 3"),
        ("g();", "Q && Z"),
        ("h();", "Q"),
        ("i();", "Q && Y"),
        ("j();", "Q && !Y"),
        ("k();", "Q"),
        ("return 1;", "Q"),
    ],
)
def test_a_line_and_its_conditionals(line: str, condition: str) -> None:
    assert shown(Conditionals(FILE.encode(), "include/x.c").condition(line_of(line))) == condition


def test_a_conditional_names_its_line() -> None:
    conditional = Conditionals(FILE.encode(), "x.c").at(line_of("int a;"))[-1]
    assert (conditional.line, conditional.text) == (3, "#if defined(CONFIG_A) && !IS_ENABLED(CONFIG_B)")


@pytest.mark.parametrize(
    "text",
    [
        "#if " + "(" * 3000 + "1\nint a;\n#endif\n",
        "#if CONFIG_A\n" * 3000 + "int a;\n",
        "#if " + " && ".join(f"(defined(CONFIG_A{n}) || defined(CONFIG_B{n}))" for n in range(200)) + "\n#elif 1\nint a;\n#endif\n",
        "".join(f"#define A{n} A{n + 1}\n" for n in range(100)) + "#if A0\nint a;\n#endif\n",
        "#if \\\n" * 3000,
        "\xff\xfe#if\n#else\n#else\n#endif\n#endif\n",
    ],
)
def test_hostile_conditions_are_bounded(text: str) -> None:
    conditionals = Conditionals(text.encode("latin-1"), "x.c")
    assert len(shown(conditionals.condition(text.count("\n") // 2))) < 20_000


@pytest.mark.parametrize("condition", ["'a' - 97", "1 - 'a' - 1", "(1 'a')", "defined(CONFIG_A) - 'b'", '__has_include("a.h")', "!'\\0'"])
def test_a_condition_with_a_constant_in_quotes_is_left_open(condition: str) -> None:
    """Without it another expression is left, which may have a value: `(1)`."""
    assert isinstance(Conditionals(f"#if {condition}\nint a;\n#endif\n".encode(), "mm/a.c").condition(2), Unevaluated)
