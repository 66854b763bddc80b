"""Edits that look harmless and are not, and those that are: what the rules beyond equal tokens prove."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hook.c import segments
from hook.evidence.functional import harmless_rules

FILE = """
#include <linux/kernel.h>
#include <linux/slab.h>
#include "local.h"
#define LIMIT 8
#define DBG(fmt, ...) pr_debug(fmt, ##__VA_ARGS__)
#define TRACE(fmt, ...) do { pr_debug(fmt, next_id()); } while (0)

static int seen = 0;
static const struct ops *table __maybe_unused;
static int helper(struct box *b);

static int helper(struct box *b)
{
	trace_box_open(b->name, sizeof(*b));
	trace_box_hit(b);
	switch (b->open) {
	case 1:
		b->open = 2;
		fallthrough;
	case 2:
		b->open = 3;
	}
	return copy_in((void __iomem *)b->regs, EXPR((void __force *)b));
}

static int f(struct box *b, int count)
{
	int err;

	pr_err("cannot open %s: %d\\n", b->name, count);
	dev_dbg(b->dev, "opened\\n");
	DBG("own %d\\n", count);
	TRACE("calls\\n");
	if (count > 4) {
		b->count = count;
	}
	if (b->open)
		pr_info("open\\n");
	else
		b->open = 1;
	err = take(b, "text", 16);
	if (err)
		return dev_err_probe(b->dev, err, "no way\\n");
	WARN_ON(count < 0);
	set(b, REG(8));
	BUILD(b, count);
	for (err = 0; pr_debug("x"), err < 3; err++)
		b->count += 2;
	return (0);
}

MODULE_DESCRIPTION("A box");
MODULE_PARM_DESC(limit, "How many");
MODULE_LICENSE("GPL");
"""


@dataclasses.dataclass(frozen=True)
class Around:
    """What the rest of the tree is said to hold."""

    names: bool = False  # whether it knows any name
    tracepoints: frozenset[str] = frozenset({"box_open"})
    brought: frozenset[str] = frozenset({"<linux/types.h>"})

    def knows(self, name: str) -> bool:
        return self.names

    def is_tracepoint(self, name: str) -> bool:
        return name in self.tracepoints

    def includes(self, headers: Iterable[str], header: str) -> bool:
        return header in self.brought and "<linux/kernel.h>" in headers


def proved(old: str, new: str, text: str = FILE, known: bool = False) -> str:
    assert text.count(old) == 1, (old, text.count(old))
    before, after = segments.read(text.encode()), segments.read(text.replace(old, new).encode())
    proofs = harmless_rules.prove(segments.edits(before, after), before, after, Around(names=known))
    return ", ".join(proof.change_class for proof in proofs or ())


HARMLESS = [
    ('"cannot open %s: %d\\n"', '"could not open %s: %d\\n"', "log text"),
    ("pr_err(", "pr_warn_ratelimited(", "log call"),
    ('dev_dbg(b->dev, "opened\\n");', "", "log call"),
    ('dev_dbg(b->dev, "opened\\n");', 'dev_dbg(b->dev, "opened %d\\n", count);', "log call"),
    ('DBG("own %d\\n", count);', 'DBG("mine %d\\n", count);', "log text"),
    ('DBG("own %d\\n", count);', "", "log call"),
    ('pr_info("open\\n")', 'pr_debug("open %p\\n", b)', "log call"),
    ('"no way\\n"', '"no way at all\\n"', "log text"),
    ("\tint err;\n", '\tint err;\n\n\tpr_debug("in %s, %d of %zu\\n", __func__, count, sizeof(*b));\n', "log call"),
    ("{\n\t\tb->count = count;\n\t}", "b->count = count;", "spelling"),
    ("return (0);", "return 0;", "spelling"),
    ("count > 4", "count > 0x4", "spelling"),
    ('"text"', '"te" "xt"', "spelling"),
    ("#define LIMIT 8", "#define LIMIT 0x8", "spelling"),
    ("#define LIMIT 8", "#define LIMIT 8\n#define BRAND_NEW 3", "unused macro"),
    ('MODULE_DESCRIPTION("A box")', 'MODULE_DESCRIPTION("Another box")', "module metadata"),
    ('"How many"', '"How many boxes"', "module metadata"),
    ("static int seen = 0;", "static int seen;", "spelling"),
    ("table __maybe_unused;", "table;", "annotation"),
    ("static int helper(struct box *b);\n", "", "declaration"),
    ("static int helper(struct box *b)\n{", "static int __must_check helper(struct box *b)\n{", "annotation"),
    ("\t\tfallthrough;\n", "", "annotation"),
    ("(void __iomem *)", "(void *)", "annotation"),
    ("\ttrace_box_open(b->name, sizeof(*b));\n", "", "tracepoint call"),
    ("#include <linux/slab.h>\n", "#include <linux/slab.h>\n#include <linux/types.h>\n", "include"),
    ("#include <linux/kernel.h>\n", "#include <linux/types.h>\n#include <linux/kernel.h>\n", "include"),
    ("#include <linux/kernel.h>\n#include <linux/slab.h>", "#include <linux/slab.h>\n#include <linux/kernel.h>", "include order"),
]

NOT_PROVED = [
    ('pr_err("cannot open %s: %d\\n", b->name, count);', 'pr_err("cannot open %s: %d\\n", b->name, ++count);'),
    ('pr_err("cannot open %s: %d\\n", b->name, count);', 'pr_err("cannot open %s: %d\\n", b->name, take(b, "x", 1));'),
    ('dev_dbg(b->dev, "opened\\n");', 'dev_dbg(b->dev, "opened %d\\n", b->count = 1);'),
    ('dev_dbg(b->dev, "opened\\n");', 'dev_dbg(b->dev, "opened %d\\n", b->next(b));'),
    ('TRACE("calls\\n");', ""),  # its own macro calls something
    ('"no way\\n"', '"no way %s\\n"'),  # another conversion, and the call is not only a log call
    ('err, "no way', '-ENODEV, "no way'),
    ('"text"', '"texts"'),
    ("{\n\t\tb->count = count;\n\t}", "{\n\t\tb->count = count;\n\t\tb->open = 0;\n\t}"),
    ("count > 4", "count > 5"),
    ("count > 4", "count >= 4"),
    ("REG(8)", "REG(0x8)"),  # a macro may make a name of it
    ("#define LIMIT 8", "#define LIMIT 08"),
    ("#define LIMIT 8", "#define LIMIT 8u"),
    ("#define LIMIT 8", "#define LIMIT (8)"),
    ("#define LIMIT 8", "#define LIMIT 9"),
    ("#define LIMIT 8", "#define LIMIT 8\n#define count 3"),
    ('MODULE_LICENSE("GPL")', 'MODULE_LICENSE("Proprietary")'),
    ("MODULE_PARM_DESC(limit,", "MODULE_PARM_DESC(other,"),
    ('#include <linux/slab.h>\n#include "local.h"', '#include "local.h"\n#include <linux/slab.h>'),
    ("#include <linux/slab.h>\n", "#include <linux/slab.h>\n#include <linux/mm.h>\n"),
    ('pr_debug("x"), err < 3;', "err < 3;"),
    ('\t\tpr_info("open\\n");\n\telse\n', '\t\tpr_info("open\\n");\n'),
    ('if (b->open)\n\t\tpr_info("open\\n");\n\telse\n\t\tb->open = 1;', "b->open = 1;"),
    ("WARN_ON(count < 0);", ""),
    ("WARN_ON(count < 0);", "WARN_ON(count < 1);"),
    ("b->count += 2;", "b->count += 3;"),
    ("BUILD(b, count);", "BUILD(b, (count));"),
    ("\tint err;\n", "\tint err = 0;\n"),
    ("static int f(", "int f("),
    ("static int seen = 0;", "static int seen = 1;"),
    ("static int seen = 0;", "int seen;"),
    ("table __maybe_unused;", "table __ro_after_init;"),
    ("static int helper(struct box *b);\n", "int helper(struct box *b);\n"),
    ("static int helper(struct box *b);\n", "static int other(struct box *b);\n"),
    ("static int helper(struct box *b)\n{", "static int __cold helper(struct box *b)\n{"),
    ("fallthrough;", "break;"),
    ("(void __iomem *)", "(void __user *)"),  # BTF knows it
    ("EXPR((void __force *)b)", "EXPR((void *)b)"),  # a macro may make a string of it
    ("trace_box_open(b->name, sizeof(*b));", "trace_box_open(b->name, b->open++);"),
    ("\ttrace_box_hit(b);\n", ""),  # no tracepoint of that name
    ("#include <linux/slab.h>\n", "#include <linux/slab.h>\n#include <linux/list.h>\n"),
    ('#include "local.h"\n', '#include "local.h"\n#define LATE 1\n#include <linux/types.h>\n'),
    ("#include <linux/slab.h>\n", "#ifdef CONFIG_X\n#include <linux/types.h>\n#endif\n#include <linux/slab.h>\n"),
]


@pytest.mark.parametrize(("old", "new", "expected"), HARMLESS)
def test_what_is_proved(old: str, new: str, expected: str) -> None:
    assert proved(old, new) == expected
    assert proved(new, old, FILE.replace(old, new)) == expected if new and FILE.replace(old, new).count(new) == 1 else True


@pytest.mark.parametrize(("old", "new"), NOT_PROVED)
def test_what_only_looks_harmless(old: str, new: str) -> None:
    assert proved(old, new) == ""


RENAMED = "int f(int value)\n{\n\tint msg = 1;\n\n\tmsg += value;\n\treturn g(msg);\n}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RENAMED.replace("msg", "note"), "local rename"),
        (RENAMED.replace("value", "v"), "local rename"),
        (RENAMED.replace("msg", "value"), ""),  # captures
        (RENAMED.replace("g(msg)", "g(note)"), ""),  # not everywhere
        (RENAMED.replace("g(", "h("), ""),  # another function
        (RENAMED.replace("msg", "return"), ""),
    ],
)
def test_a_local_rename(text: str, expected: str) -> None:
    before, after = segments.read(RENAMED.encode()), segments.read(text.encode())
    proofs = harmless_rules.prove(segments.edits(before, after), before, after, Around())
    assert ", ".join(one.change_class for one in proofs or ()) == expected


def test_a_rename_to_what_a_header_knows_is_not_proved() -> None:
    before, after = segments.read(RENAMED.encode()), segments.read(RENAMED.replace("msg", "current").encode())
    assert harmless_rules.prove(segments.edits(before, after), before, after, Around(names=True)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("return p->msg;", "return p->note;"),  # a member
        ("msg: return 1;", "note: return 1;"),
        ("return BUG_ON(msg);", "return BUG_ON(note);"),
    ],
)
def test_what_is_no_local_variable_is_not_renamed(old: str, new: str) -> None:
    before, after = (segments.read(f"int f(struct x *p)\n{{\n\t{one}\n}}\n".encode()) for one in (old, new))
    assert harmless_rules.prove(segments.edits(before, after), before, after, Around()) is None


def test_a_macro_that_something_could_put_together_is_used() -> None:
    pasting = FILE.replace("#define LIMIT 8", "#define LIMIT 8\n#define MAKE(x) PREFIX_##x\nint PREFIX_;\n")
    assert proved("#define LIMIT 8", "#define LIMIT 8\n#define PREFIX_NEW 1", pasting) == ""
    assert proved("#define LIMIT 8", "#define LIMIT 8\n#define BRAND_NEW 1", known=True) == ""


def test_a_macro_before_an_include_may_be_meant_for_the_header() -> None:
    assert proved("#include <linux/slab.h>\n", "#define BRAND_NEW 1\n#include <linux/slab.h>\n") == ""


def test_a_file_that_makes_a_logger_of_its_own_is_not_trusted() -> None:
    own = FILE.replace("#define LIMIT 8", "#define LIMIT 8\n#define dev_dbg(dev, fmt) count_up(dev)")
    assert proved('dev_dbg(b->dev, "opened\\n");', "", own) == ""


def test_what_goes_and_leaves_nothing_behind_is_seen() -> None:
    text = 'int a(void)\n{\n\tpr_info("one");\n\treturn 1;\n}\nEXPORT_SYMBOL(a);\n\nint b(void)\n{\n\treturn 2;\n}\n'
    before = segments.read(text.encode())
    both = segments.read(text.replace("one", "two").replace("EXPORT_SYMBOL(a);\n", "").encode())
    assert harmless_rules.prove(segments.edits(before, both), before, both, Around()) is None
    assert len(segments.edits(before, both)) == 2


def test_what_changed_places_and_its_comment_too_is_seen() -> None:
    function = "static int f(void)\n{\n\treturn X;\n}\n"
    logging = 'int g(void)\n{\n\tpr_info("WORD");\n\treturn 1;\n}\n'
    old, new = [function.replace("X", f"X /* {word} */") for word in ("one", "two")]
    old = f"#define X 2 /* one */\n/* one */\n{old}/* one */\n{logging.replace('WORD', 'one')}"
    new = f"{new}/* two */\n#define X 2 /* two */\n/* two */\n{logging.replace('WORD', 'two')}"
    before, after = segments.read(old.encode()), segments.read(new.encode())
    assert harmless_rules.prove(segments.edits(before, after), before, after, Around()) is None


def test_moved_code_is_not_proved() -> None:
    text = "int a(void)\n{\n\treturn 1;\n}\n\nint b(void)\n{\n\treturn 2;\n}\n"
    other = "int b(void)\n{\n\treturn 2;\n}\n\nint a(void)\n{\n\treturn 1;\n}\n"
    before, after = segments.read(text.encode()), segments.read(other.encode())
    assert not harmless_rules.prove(segments.edits(before, after), before, after, Around())


# one effective place each: whatever else is edited with it, the whole must not be proved
MUTATIONS = st.sampled_from(
    [("count > 4", "count < 4"), ("b->open = 1", "b->open = 2"), ("16)", "17)"), ("+= 2", "-= 2"), ("LIMIT 8", "LIMIT 7")]
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from([(old, new) for old, new, _ in HARMLESS]), max_size=4, unique=True), st.none() | MUTATIONS)
def test_harmless_edits_together_are_harmless_and_one_effect_among_them_is_not(
    chosen: list[tuple[str, str]], mutation: tuple[str, str] | None
) -> None:
    text = FILE
    for old, new in [*chosen, *([mutation] if mutation else [])]:
        if text.count(old) == 1:
            text = text.replace(old, new)
    before, after = segments.read(FILE.encode()), segments.read(text.encode())
    proofs = harmless_rules.prove(segments.edits(before, after), before, after, Around())
    if mutation and mutation[1] in text and mutation[0] not in text:
        assert not proofs
