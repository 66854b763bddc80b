"""What kind of edit a hunk is, by itself and in what `check` prints."""

from __future__ import annotations

import itertools
import json

import pytest

from hook.c import segments, translation_unit
from hook.evidence.functional import edit_kinds
from tests.small_kernel import Kernel

BEFORE = """
#include <linux/list.h>
#define LIMIT 4

struct box {
\tint count;
};

static int table[] = { 1, 2 };
static int plain = 1;

int decide(struct box *b, int a)
{
\tint err;

\tif (a > 4)
\t\treturn -EINVAL;
\terr = take(b, 8);
\tif (WARN_ON(b->count < 0))
\t\treturn err;
\tpr_debug("%d\\n", a);
\tput(b);
\treturn err;
}

int other(void)
{
\treturn 1;
}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("take(b, 8)", "take(b, 9)", ("constant",)),
        ("-EINVAL", "-ENOMEM", ("constant",)),
        ("a > 4", "a < 4", ("code",)),
        ("WARN_ON(b->count < 0)", "WARN_ON(b->count < 1)", ("assertion",)),
        ("\tput(b);\n", "\tput(b);\n\tWARN_ON_ONCE(a);\n", ("assertion",)),
        ('\tpr_debug("%d\\n", a);\n', "", ("log call",)),
        ("\tput(b);\n", "\tput(b);\n\ttrace_box(b);\n", ("tracepoint call",)),
        ("\tint err;\n", "\tint err __maybe_unused;\n", ("annotation",)),
        ("\tput(b);\n", "#ifdef CONFIG_X\n\tput(b);\n#endif\n", ("preprocessor condition",)),
        ("\tput(b);\n\treturn err;\n", "\treturn err;\n\tput(b);\n", ("moved code",)),
        ("#define LIMIT 4", "#define LIMIT 5", ("macro body",)),
        ("\tint count;\n", "\tlong count;\n", ("type layout",)),
        ("{ 1, 2 }", "{ 1, 3 }", ("data table",)),
        ("plain = 1", "plain = 2", ("data",)),
        ("#include <linux/list.h>\n", "#include <linux/list.h>\n#include <linux/mm.h>\n", ("include",)),
        ("int other(void)\n{\n\treturn 1;\n}\n", "", ("function removed",)),
        ("int other(void)\n", "int more(void)\n{\n\treturn 2;\n}\n\nint other(void)\n", ("function added",)),
    ],
)
def test_each_kind_of_edit_has_its_class(old: str, new: str, expected: tuple[str, ...]) -> None:
    assert BEFORE.count(old) == 1, old
    before, after = (translation_unit.of_text(text.encode()) for text in (BEFORE, BEFORE.replace(old, new)))
    edits = segments.edits(before.segments, after.segments)
    kinds = [edit_kinds.of_edit(edit) for edit in edits]
    assert tuple(dict.fromkeys(itertools.chain.from_iterable(kinds))) == expected
    # refactors and assertions count; what only describes or moves, or stands outside of functions, stays open
    assert any(edit_kinds.counts_as_functional(edit, kind, {}) for edit, kind in zip(edits, kinds, strict=True)) is bool(
        {"code", "constant", "assertion"} & set(expected)
    )


def test_check_says_the_kind_of_change_and_the_functions_once(kernel: Kernel) -> None:
    kernel.replace("mm/pool.c", "--pool->count", "pool->count--")
    kernel.git("add", "-A", "-f")
    out = kernel.triage("check")
    assert "code changed in pool_get()\n" in out and "kind of change" not in out and "changed functions" not in out
    assert json.loads(kernel.triage("check", "--format", "json"))["ChangeClasses"] == ["code"]


def test_verbose_shows_each_hunk_with_its_class_and_the_proof(kernel: Kernel) -> None:
    text = kernel.read("mm/pool.c")
    first = text.replace("--pool->count", "pool->count--")
    kernel.stage("mm/pool.c", "/* A word. */\n" + first + "\nint fresh_thing(void)\n{\n\treturn 1;\n}\n")
    kernel.stage("Documentation/mm/pool.rst", "Other words\n")
    hunks = [line.split("  hunk ")[1] for line in kernel.triage("check", "-v").splitlines() if line.startswith("  hunk ")]
    assert [line.split(":")[0] for line in hunks] == ["Documentation/mm/pool.rst", *["mm/pool.c"] * (len(hunks) - 1)]
    assert "documentation" in hunks[0]
    assert any("comment: only comments changed" in line for line in hunks)
    assert any("  code changed in " in line for line in hunks) and any("function added" in line for line in hunks)
    cached = [line for line in kernel.triage("check", "-v").splitlines() if line.startswith("  hunk ")]
    assert [line.split("  hunk ")[1] for line in cached] == hunks
