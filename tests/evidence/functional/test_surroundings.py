"""What the rest of a tree says about the names and headers of a file."""

from __future__ import annotations

import json

import pytest

import hook.source.tree
from hook.evidence.functional import file_edits
from hook.evidence.functional.surroundings import Surroundings
from hook.kernel import own_headers
from hook.kernel.kbuild import includers
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from hook.verdict import Answer
from tests.conftest import Grow
from tests.small_kernel import Kernel

FILE = """#include <linux/outer.h>
#include <linux/slab.h>
#include "near.h"

int f(int a)
{
\ttrace_pool_hit(a);
\treturn a;
}
"""


@pytest.fixture
def tree(kernel: Kernel) -> Kernel:
    headers = {
        "outer": "#ifndef _OUTER\n#define _OUTER\n#include <linux/inner.h>\n#ifdef CONFIG_X\n#include <linux/sometimes.h>\n#endif\n"
        "/* #include <linux/hidden.h> */\n#ifndef __ASSEMBLY__\n#include <linux/in_c.h>\n#endif\n#endif\n",
        "inner": "#ifndef _INNER\n#define _INNER\n#include <linux/deep.h>\n#include <linux/twice.h>\n#endif /* _INNER */\n",
        "twice": "#ifndef _TWICE\n#define _TWICE\n#endif\nextern int again;\n",
    }
    for name in ("deep", "sometimes", "hidden", "in_c", "near_only"):
        headers[name] = f"#ifndef _{name}\n#define _{name}\nint {name}(void);\n#endif\n"
    for name, text in headers.items():
        kernel.write(f"include/linux/{name}.h", text)
    kernel.write("mm/near.h", "#include <linux/near_only.h>\n")
    kernel.write("include/trace/events/pool.h", "TRACE_EVENT(pool_hit,\n\tTP_PROTO(int a), TP_ARGS(a));\n")
    kernel.write("mm/user.c", FILE)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "headers")
    return kernel


def functional(tree: Kernel, text: str) -> str:
    tree.stage("mm/user.c", text)
    return str(json.loads(tree.triage("check", "--format", "json"))["Functional"])


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("header", "answer"),
    [
        ("inner", "no"),
        ("deep", "no"),
        ("in_c", "no"),
        ("near_only", "unknown"),  # what a header in quotes brings is known only behind it
        ("sometimes", "unknown"),
        ("hidden", "unknown"),
        ("twice", "unknown"),  # it has an effect a second time
        ("no_such", "unknown"),
    ],
)
def test_an_include_of_what_is_included_anyway(tree: Kernel, header: str, answer: str, indexed: bool) -> None:
    if indexed:
        tree.triage("index")
    assert functional(tree, FILE.replace("#include <linux/slab.h>\n", f"#include <linux/slab.h>\n#include <linux/{header}.h>\n")) == answer


@pytest.mark.parametrize(("box", "answer"), [("int box;\n", "no"), ("#ifndef LIMIT\n#define LIMIT 2\n#endif\n", "unknown")])
def test_an_include_that_only_a_later_header_brings_in(tree: Kernel, box: str, answer: str) -> None:
    for path, text in _guarded({"level": "#define LIMIT 3\n", "box": box, "late": "#include <linux/level.h>\n"}).items():
        tree.write(path, text)
    late = "#include <linux/box.h>\n#include <linux/late.h>\n"
    tree.git("add", "-A", "-f")
    tree.commit("mm/user.c", late + FILE)
    assert functional(tree, f"#include <linux/level.h>\n{late}{FILE}") == answer
    assert functional(tree, f"{late}#include <linux/level.h>\n{FILE}") == "no"


@pytest.mark.parametrize("guard", ["#undef _deep", "#define _INNER", "/* #undef _deep */"])
def test_an_include_of_a_header_whose_guard_something_else_defines(tree: Kernel, guard: str) -> None:
    tree.commit("include/linux/other.h", f"{guard}\n")
    once = FILE.replace("#include <linux/slab.h>\n", "#include <linux/slab.h>\n#include <linux/deep.h>\n")
    assert functional(tree, once) == ("no" if guard.startswith("/*") else "unknown")


def test_an_include_behind_a_header_of_the_file_s_own(tree: Kernel) -> None:
    assert functional(tree, FILE.replace('"near.h"\n', '"near.h"\n#include <linux/near_only.h>\n')) == "no"
    assert functional(tree, FILE.replace('"near.h"\n', '"near.h"\n#include <linux/sometimes.h>\n')) == "unknown"


UNION = "\tunion {\n\t\tvoid (*remove)(int);\n\t\tvoid (*remove_new)(int); /* the same */\n\t};\n"


@pytest.mark.parametrize(
    ("body", "more", "answer"),
    [
        (UNION, "", "no"),
        (UNION.replace("void (*remove)", "int (*remove)"), "", "unknown"),
        (UNION.replace("\t};", "\t\tlong x;\n\t};"), "", "unknown"),  # a static structure is zero behind a smaller member, or is not
        (UNION.replace("union", "struct"), "", "unknown"),
        (UNION.replace("};", "} u;"), "", "unknown"),
        ("#ifdef CONFIG_X\n" + UNION + "#else\n\tint remove, remove_new;\n#endif\n", "", "unknown"),
        (UNION, "#define remove probe\n", "unknown"),
        (UNION, "struct ops {\n\tint remove, remove_new;\n};\n", "unknown"),
    ],
)
def test_the_names_of_one_member(tree: Kernel, body: str, more: str, answer: str) -> None:
    tree.write("include/linux/ops.h", "struct ops {\n\tvoid (*probe)(int);\n" + body + "};\n")
    tree.write("include/linux/more.h", more)
    table = "static struct ops table = {\n\t.remove_new = stop,\n};\n"
    text = "#include <linux/ops.h>\n#include <linux/more.h>\n" + FILE + table
    tree.git("add", "-A", "-f")
    tree.commit("mm/user.c", text)
    tree.triage("index")
    assert functional(tree, text.replace("remove_new", "remove")) == answer


def test_a_call_of_a_tracepoint_and_of_what_only_has_such_a_name(tree: Kernel) -> None:
    without = FILE.replace("\ttrace_pool_hit(a);\n", "")
    assert functional(tree, without) == "no"
    tree.git("reset", "-q", "--hard")
    tree.commit("include/linux/other.h", "static inline u64 trace_pool_hit(int a)\n{\n\treturn count(a);\n}\n")
    assert functional(tree, without) == "unknown"


@pytest.mark.parametrize("indexed", [False, True])
def test_a_tracepoint_with_a_probe_in_the_tree(tree: Kernel, indexed: bool) -> None:
    tree.commit("mm/probe.c", "int start(void)\n{\n\treturn register_trace_pool_hit(probe, NULL);\n}\n")
    if indexed:
        tree.triage("index")
    assert functional(tree, FILE.replace("\ttrace_pool_hit(a);\n", "")) == "unknown"


@pytest.mark.parametrize("indexed", [False, True])
def test_a_log_call_and_the_headers_that_say_what_it_is(tree: Kernel, indexed: bool) -> None:
    logging = FILE.replace("\treturn a;", '\tpr_info("%d of %d\\n", a, POOL_SIZE);\n\treturn a;')
    near = "#include <linux/near_only.h>\n"
    for header, answer in (
        ('#define POOL_SIZE 8\n#define pr_fmt(fmt) "pool: " fmt\n', "no"),
        ("#define POOL_SIZE (count++)\n", "unknown"),
        ("#ifdef A\n#define POOL_SIZE 8\n#else\nextern volatile int POOL_SIZE;\n#endif\n", "unknown"),
        ("#define POOL_SIZE 8\n#undef pr_info\n#define pr_info(fmt, ...) count++\n", "unknown"),
        ("#define POOL_SIZE 8\n#define pr_fmt(fmt) fmt, count++\n", "unknown"),
    ):
        tree.commit("mm/near.h", near + header)
        if indexed:
            tree.triage("index")
        assert functional(tree, logging) == answer, header
        tree.git("reset", "-q", "--hard")


def test_what_is_not_known_or_not_read_may_be_redefined(grow: Grow, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '#include "own.h"\nint f(void);\n'
    source = grow({"mm/one.c": text, "mm/own.h": "int own;\n", "mm/Makefile": "obj-y += one.o\n"})
    assert not Surroundings(source, "mm/one.c", (text.encode(),)).is_redefined([b"pr_info"])
    with monkeypatch.context() as large:
        large.setattr(hook.source.tree, "SMALL_FILES", 0)
        assert Surroundings(source, "mm/one.c", (text.encode(),)).is_redefined([b"pr_info"])
    # a partial clone that lacks the header
    oid = source.oid("mm/own.h")
    (kernel.path / ".git/objects" / oid[:2] / oid[2:]).unlink()
    (kernel.path / ".git/objects/pack/pack-1.promisor").touch()
    fresh = Source(Objects(find(kernel.path), 1 << 20), source.revision)
    with fresh.objects:
        assert Surroundings(fresh, "mm/one.c", (text.encode(),)).is_redefined([b"pr_info"])


def test_what_a_link_leads_to_may_be_redefined(grow: Grow, kernel: Kernel) -> None:
    text = '#include "own.h"\nint f(void);\n'
    (kernel.path / "mm").mkdir(exist_ok=True)
    (kernel.path / "mm/own.h").symlink_to("../vendor/other.h")
    kernel.git("add", "-A", "-f")
    source = grow({"mm/one.c": text, "mm/Makefile": "obj-y += one.o\n", "vendor/other.h": "#define pr_info(...) save(__VA_ARGS__)\n"})
    assert Surroundings(source, "mm/one.c", (text.encode(),)).is_redefined([b"pr_info"])


def test_headers_that_cannot_be_read_do_not_stand_in_any_order(grow: Grow) -> None:
    source = grow({"mm/one.c": "int f(void);\n"})
    assert Surroundings(source, "mm/one.c").depend_on_order([], ["<linux/a.h>", "<linux/b.h>"], ["<linux/b.h>", "<linux/a.h>"])


@pytest.mark.parametrize(
    ("macros", "keeps"),
    [
        ("#define take(a) __take(a)\n#define __take take\n", True),  # powerpc's memset
        ("#define take(a) __take(a)\n#define __take(a) (take(a), #a)\n", False),
        ("#define take(a) (__take(a), named(a))\n#define __take(a) take(a)\n#define named(a) #a\n", False),
    ],
)
def test_macros_that_stand_for_each_other(grow: Grow, macros: str, keeps: bool) -> None:
    text = f"{macros}int f(int n)\n{{\n\treturn take(n);\n}}\n"
    around = Surroundings(grow({"mm/one.c": text}), "mm/one.c", (text.encode(),))
    for name in (b"__take", b"take", b"__take"):
        assert around.keeps_spelling(name) is keeps


def test_a_macro_of_a_makefile_may_make_a_string(grow: Grow) -> None:
    around = Surroundings(grow({**TREE, "mm/Makefile": "ccflags-y += '-Dtake(x)=\\#x'\n"}), "mm/user.c", (USER.encode(),))
    assert not around.keeps_spelling(b"take")
    assert around.keeps_spelling(b"give")
    assert around.may_be_captured(b"count", frozenset({b"take"}))
    assert not around.may_be_captured(b"count", frozenset({b"give"}))


@pytest.mark.parametrize(
    ("macros", "keeps"),
    [
        ("#define take(a) pick(a, plain)(a)\n#define pick(a, f, ...) f\n#define plain(a) a\n", False),  # what `pick` comes to is not known
        ("#define take(a...) pick(a, named, plain)(, ##a)\n#define pick(a, f, ...) f\n#define named(x, a) #a\n", False),  # nouveau's PUSH
        ("#define take(a) 1)(a\n", False),  # of a call that begins outside
        ("#define take(a) ((unsigned int)(a) + sizeof(a))\n", True),  # a cast is no call
        ("#define take(a) ({ if (check(1)) (a); })\n", True),
    ],
)
def test_arguments_of_what_another_macro_comes_to(grow: Grow, macros: str, keeps: bool) -> None:
    text = f"{macros}int f(int n)\n{{\n\treturn take(n);\n}}\n"
    around = Surroundings(grow({"mm/one.c": text}), "mm/one.c", (text.encode(),))
    assert around.keeps_spelling(b"take") is keeps


USER = '#include <linux/near.h>\n#include "own.h"\nint f(struct box *b);\n'
FAR = {
    "mm/own.h": "#include <far.h>\n",
    "mm/Makefile": "ccflags-y += -I $(srctree)/drivers/box\n",
    "drivers/box/far.h": '/* a */ #include "deep.h"\n',
}
TREE = {"mm/user.c": USER, "mm/own.h": "int own;\n", "include/linux/near.h": "int near;\n", "mm/Makefile": "obj-y += user.o\n"}


@pytest.mark.parametrize(
    ("files", "macro", "volatile"),
    [
        ({}, False, False),
        ({"include/linux/far.h": "#define count (*counter())\n"}, True, False),  # a common header may be included by another
        ({"include/linux/far.h": "# define \\\ncount (*counter())\n"}, True, False),
        ({"mm/own.h": "#define count (*counter())\n"}, True, False),
        ({"drivers/own.h": "#define count (*counter())\n"}, True, False),  # make may look for it there
        ({"drivers/other.h": "#define count (*counter())\nvolatile int count;\n"}, False, False),
        ({"mm/own.h": "#define count(n) (n)\n/* volatile int count; */\n"}, True, False),
        ({"mm/own.h": "#define counts(n) (n)\n/* volatile int count; */\n"}, False, False),
        ({**FAR, "drivers/box/deep.h": "#define count (*counter())\n"}, True, False),  # a header that -I finds includes it
        (
            {**FAR, "mm/Makefile": "TOP := $(srctree)/drivers\nccflags-y += -I$(TOP)/box\n", "drivers/box/deep.h": "#define count 1\n"},
            True,
            False,
        ),
        ({**FAR, "mm/Makefile": "ccflags-y += -I$(TOP)/box\n", "drivers/box/deep.h": "#define count 1\n"}, True, False),  # only make knows
        ({**FAR, "drivers/box/other.h": "#define count (*counter())\n"}, False, False),
        ({**FAR, "drivers/deep.h": "#define count 1\n", "drivers/box/far.h": '#include "../deep.h"\n'}, True, False),
        ({**FAR, "drivers/deep.h": "#define count 1\n", "drivers/box/far.h": "#include DEEP\n"}, True, False),
        ({**FAR, "mm/Makefile": "", "drivers/box/deep.h": "#define count (*counter())\n"}, False, False),  # make looks nowhere else
        ({"mm/Makefile": "ccflags-y += -Dcount=total\n"}, True, False),
        ({"Kbuild": "", "mm/Makefile": "ccflags-y += -include $(src)/forced.h\n", "mm/forced.h": "#define count total\n"}, True, False),
        ({"mm/Makefile": "CFLAGS_user.o = -include $(srctree)/x/forced.h\n", "x/forced.h": "#define count total\n"}, True, False),
        ({"mm/Makefile": "ccflags-y += -include $(obj)/made.h\n"}, True, True),
        ({"mm/own.h": "struct box {\n\tvolatile u32 count;\n};\n"}, False, True),
        ({"mm/own.h": "struct box {\n\tu32 volatile sum, count;\n};\n"}, False, True),
        ({"include/linux/box.h": "struct box {\n\tvolatile u32 count;\n};\n"}, False, True),
        ({"include/linux/box.h": "struct box {\n\tvolatile u32 sum, count[2], other;\n};\n"}, False, True),
        ({"include/linux/box.h": "void set(volatile u32 *at, u32 count);\n"}, False, False),
        ({"mm/own.h": "void set(volatile u32 *count);\n"}, False, True),
        ({"mm/own.h": "typedef volatile u32 reg_t;\nstruct box {\n\treg_t count;\n};\n"}, False, True),
        ({"mm/own.h": "#define REG volatile u32\nstruct box {\n\tREG count;\n};\n"}, False, True),
        ({"mm/own.h": 'static inline void count(void)\n{\n\tasm volatile("nop");\n}\n'}, False, False),
    ],
)
def test_a_name_that_is_a_macro_or_volatile_somewhere(grow: Grow, files: dict[str, str], macro: bool, volatile: bool) -> None:
    around = Surroundings(grow({**TREE, **files}), "mm/user.c", (USER.encode(),))
    assert (around.is_macro(b"count"), around.is_volatile(b"count")) == (macro, volatile)


@pytest.mark.parametrize(
    ("files", "is_opaque"),
    [
        ({}, True),
        ({"include/linux/far.h": "int count(void);\n"}, True),
        ({"include/linux/far.h": "int __pure count(void);\n"}, False),
        ({"include/linux/far.h": "static inline int count(void)\n{\n\treturn 1;\n}\n"}, False),
        ({"include/linux/far.h": "#define count() 1\n"}, False),
        ({"mm/own.h": "static inline int count(void)\n{\n\treturn 1;\n}\n"}, False),
        ({"mm/Makefile": "ccflags-y += -Dcount=total\n"}, False),
        ({"mm/other.c": "int count(void)\n{\n\treturn 1;\n}\n"}, True),
    ],
)
def test_a_call_that_a_compiler_cannot_see_into(grow: Grow, kernel: Kernel, files: dict[str, str], is_opaque: bool) -> None:
    source = grow({**TREE, **files})
    kernel.triage("index", "--quiet")
    assert Surroundings(source, "mm/user.c", (USER.encode(),)).is_opaque(b"count") is is_opaque


@pytest.mark.parametrize(
    ("files", "redefined"),
    [
        ({}, False),
        ({"include/linux/magic.h": "#define pr_info(...) count()\n"}, False),  # nothing here includes it
        ({"include/linux/magic.h": "#define pr_info(...) count()\n", "drivers/one.c": "#include <linux/magic.h>\n"}, False),
        ({"include/linux/magic.h": "#define pr_info(...) count()\n", "mm/own.h": "#include <linux/magic.h>\n"}, True),
        ({"include/linux/magic.h": "#define pr_info(...) count()\n", "include/linux/near.h": "#include <linux/magic.h>\n"}, True),
        ({"include/linux/magic.h": "#define pr_info(...) count()\n", "mm/own.h": "#define H <linux/magic.h>\n#include H\n"}, True),
        ({"include/linux/magic-1.h": "#define pr_info(...) count()\n"}, True),  # its name is no word
        ({**FAR, "drivers/box/deep.h": "#define pr_info(...) count()\n"}, True),
        ({**FAR, "drivers/box/far.h": "#include <linux/magic.h>\n", "include/linux/magic.h": "#define pr_info(...) count()\n"}, True),
        ({"mm/Makefile": "ccflags-y += '-Dpr_info(x)='\n"}, True),
        ({"drivers/box/Makefile": "ccflags-y += -Dpr_info=count\nobj-y += ../../mm/user.o\n"}, True),  # it is compiled there, too
        ({"drivers/box/Makefile": "ccflags-y += -Dpr_info=count\nobj-y += user.o\n"}, False),
        ({"drivers/box/Makefile": "ccflags-y += -Dcount=total\nobj-y += ../../mm/user.o\n"}, False),
    ],
)
def test_a_common_header_that_redefines_a_name(grow: Grow, files: dict[str, str], redefined: bool) -> None:
    assert Surroundings(grow({**TREE, **files}), "mm/user.c", (USER.encode(),)).is_redefined([b"pr_info"]) is redefined


def test_what_stands_behind_a_label_is_not_defined_there(grow: Grow) -> None:
    text = 'int f(void)\n{\nout:\n\tpr_info("a");\n\treturn 1;\n}\n'
    assert b"pr_info" not in own_headers.defined(text.encode())
    assert b"pr_info" in own_headers.defined(b"static inline void pr_info(const char *form)\n{\n}\n")


@pytest.mark.parametrize(
    ("include", "header"),
    [
        ('#define OWN "other.h"\n#include OWN\n', "#define pr_info(...) count()\n"),
        ('#include_next "other.h"\n', "#define pr_info(...) count()\n"),
        ('/* a */ # /* b */ include /* c */ "other.h"\n', "#define pr_info(...) count()\n"),
        ('#inc\\\nlude "other.h"\n', "#define pr_info(...) count()\n"),
        ('#\\\ninclude "other.h"\n', "#define pr_info(...) count()\n"),
        ('%:include "other.h"\n', "#define pr_info(...) count()\n"),
        ('\f#\vinclude "other.h"\n', "#define pr_info(...) count()\n"),
        ('#include "other.h"\n', "#/**/define/**/pr_info(...) count()\n"),
        ('#include "other.h"\n', "#def\\\nine pr_\\\ninfo(...) count()\n"),
        ('#include "other.h"\n', "%:define pr_info(...) count()\n"),
        ('#include "other.h"\n', "static\ninline\nvoid\npr_info\n(const char *form)\n{\n}\n"),
    ],
)
def test_ways_to_write_an_include_and_a_definition(grow: Grow, include: str, header: str) -> None:
    text = include + USER
    source = grow({**TREE, "mm/user.c": text, "mm/other.h": header})
    assert Surroundings(source, "mm/user.c", (text.encode(),)).is_redefined([b"pr_info"])


@pytest.mark.parametrize(
    ("files", "included"),
    [
        ({}, False),
        ({"mm/all.c": "/* user.c */\n#include <linux/user.h>\n"}, False),
        ({"mm/all.c": '#include "user.c"\n'}, True),
        ({"drivers/all.c": '#define F 1\n#include "../mm/user.c"\n'}, True),
        ({"tools/all.c": '#include "../mm/user.c"\n'}, False),
        ({"mm/all.c": '#define ALL "user.c"\n#include ALL\n'}, True),
        ({"mm/deep/all.c": '#include "../user.c"\n'}, True),
        ({"drivers/box/Makefile": "ccflags-y += -I$(srctree)/mm\n", "drivers/box/all.c": '#include "user.c"\n'}, True),
        ({"drivers/box/Makefile": "ccflags-y += -I$(TOP)/mm\n", "drivers/box/all.c": '#include "user.c"\n'}, True),
    ],
)
def test_a_file_that_another_includes(grow: Grow, files: dict[str, str], included: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    around = Surroundings(grow({**TREE, **files}), "mm/user.c", (USER.encode(),))
    assert around.is_included() is included
    with monkeypatch.context() as common:  # as where very many files have the name
        common.setattr(includers, "_MOST_BY_NAME", 0)
        assert around.is_included() is included
        common.setattr(includers, "_MOST_NAMING", -1)
        assert around.is_included()


def test_of_a_common_name_what_is_included_elsewhere_by_its_name_alone_is_another_file(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(includers, "_MOST_BY_NAME", 0)
    other = {"drivers/box/all.c": '#include "user.c"\n', "drivers/box/user.c": "", "drivers/box/Makefile": "ccflags-y += -I$(src)/mm\n"}
    assert not Surroundings(grow({**TREE, **other}), "mm/user.c", (USER.encode(),)).is_included()


def test_an_included_file_has_no_harmless_edit_that_a_rule_would_have_to_prove(tree: Kernel) -> None:
    without = FILE.replace("\ttrace_pool_hit(a);\n", "")
    tree.commit("mm/all.c", '#define trace_pool_hit(a) count(a)\n#include "user.c"\n')
    assert functional(tree, without) == "unknown"


@pytest.mark.parametrize(
    ("name", "use", "header", "answer"),
    [
        ("BOX_1_POST", "GET(1)", "#define GET(n) (n)\n", Answer.NO),
        ("BOX_1_POST", "GET(1)", "#define GET(n) BOX_##n##_POST\n", Answer.UNKNOWN),
        ("BOX_1_POST", "GET(1)", "#define PUT(n) BOX_##n##_POST\n", Answer.NO),
        ("BOX_7", "GET(SEVEN)", "#define GET(n) GET_(n)\n#define GET_(n) BOX_##n\n#define SEVEN 7\n", Answer.UNKNOWN),
        ("BOX_7", "GET(seven)", "#define GET(n) GET_(n)\n#define GET_(n) BOX_##n\n#define seven 7\n", Answer.UNKNOWN),
        ("BOX_7", "GET(seven)", "#define GET(n) GET_(n)\n#define GET_(n) BOX_##n\nextern int seven;\n", Answer.NO),
        ("BOX_one", "GET()", "#define GET(a) BOX_##a##one\n", Answer.UNKNOWN),
        ("BOX_end", "GET()", "#define CAT(a, b) a##b\n#define GET() CAT(BOX_, end)\n", Answer.UNKNOWN),
        ("PREFIX_one", "GET(P)", "#define GET(a) a##REFIX_one\n", Answer.UNKNOWN),
        ("axb", "GET(a, b)", "#define GET(a, b) a##x##b\n", Answer.UNKNOWN),
        ("boxs", "GET(box)", "#define GET(a) a##s\n", Answer.UNKNOWN),
        ("axb", "GET(a, c)", "#define GET(a, b) a##x##b\n", Answer.NO),
    ],
)
def test_an_unused_macro_whose_name_a_macro_of_a_header_may_make(grow: Grow, name: str, use: str, header: str, answer: Answer) -> None:
    without = f"#include <linux/get.h>\nint f(void)\n{{\n\treturn {use};\n}}\n"
    source = grow({"include/linux/get.h": header, "mm/one.c": without})
    text = without.replace("int f", f"#define {name} 5\nint f")
    assert file_edits.compare("c", "mm/one.c", text.encode(), without.encode(), source).functional is answer


HEADERS = {
    "second": "#ifndef LIMIT\n#define LIMIT 2\n#endif\nstatic inline int second(void)\n{\n\treturn level;\n}\n",
    "third": "#define LIMIT 3\n",
    "shared": "#define level 4\n",
    "bringing": "#include <linux/shared.h>\n",
}
FIRST, SECOND = "<linux/first.h>", "<linux/second.h>"


@pytest.mark.parametrize(
    ("first", "depend"),
    [
        ("", False),
        ("#define OTHER 1\n#ifdef OTHER\n#define OTHER_TOO\n#endif\n", False),
        ("#include <asm/abox.h>\n", False),
        ("#pragma pack(1)\n", True),
        ('_Pragma("pack(1)")\n', True),
        ("%:define LIMIT 1\n", True),
        ("#define level 4\n", True),
        ("#ifdef CONFIG_X\n#include <linux/third.h>\n#endif\n", True),
        ('#define THIRD "third.h"\n#include THIRD\n', True),
        ("#define TEXT(name) #name\n#include TEXT(linux/third.h)\n", True),
        ('#include "user.h"\n', True),  # include/linux/user.h, not mm/user.h
        ("#include_next <linux/third.h>\n", True),
        ("#include <asm/limit.h>\n", True),
        ("#ifdef CONFIG_X\n#include <asm/nowhere.h>\n#endif\n", True),
    ],
)
def test_an_order_of_common_headers(grow: Grow, first: str, depend: bool) -> None:
    source = grow({**_guarded({**HEADERS, "first": first}), "mm/user.h": "#ifndef _USER\n#define _USER\n#endif\n"})
    assert Surroundings(source, "mm/user.c").depend_on_order([], [FIRST, SECOND], [SECOND, FIRST]) is depend


@pytest.mark.parametrize(
    ("first", "second", "before", "depend"),
    [
        ("#include <linux/shared.h>\n", "int level;\n", [], True),
        ("#include <linux/shared.h>\n", "int level;\n", ["<linux/shared.h>"], False),
        ("#include <linux/shared.h>\n", "int level;\n", ["<linux/bringing.h>"], False),
        ("#include <linux/shared.h>\n", "#include <linux/shared.h>\nint level;\n", [], False),
        ("#include <linux/shared.h>\n", "#ifdef X\n#include <linux/shared.h>\n#endif\nint level;\n", [], True),
        ("#include <linux/shared.h>\n#undef level\n", "#include <linux/shared.h>\nint level;\n", [], True),
        ("#include <linux/shared.h>\n", "#include <linux/shared.h>\n#undef level\n", [], True),
    ],
)
def test_headers_that_bring_in_the_same_one(grow: Grow, first: str, second: str, before: list[str], depend: bool) -> None:
    source = grow(_guarded({**HEADERS, "first": first, "second": second}))
    assert Surroundings(source, "mm/user.c").depend_on_order(before, [FIRST, SECOND], [SECOND, FIRST]) is depend


def test_an_order_is_not_known_where_too_many_headers_would_be_read(grow: Grow, monkeypatch: pytest.MonkeyPatch) -> None:
    common = "#include <linux/shared.h>\n"
    source = grow(_guarded({**HEADERS, "first": common, "second": f"{common}int level;\n"}))
    around = Surroundings(source, "mm/user.c")
    orders = [], [FIRST, SECOND], [SECOND, FIRST]
    assert not around.depend_on_order(*orders)
    for limit in ("_MOST_HEADERS", "_MOST_FIRST"):
        with monkeypatch.context() as short:
            short.setattr(f"hook.evidence.functional.common_headers.{limit}", 1)
            assert around.depend_on_order(*orders), limit
    # the search from shared.h ends before it comes to second.h
    circle = {"shared": "#define level 4\n#include <linux/deep.h>\n", "deep": "#include <linux/more.h>\n", "more": f"#include {SECOND}\n"}
    source = grow(_guarded({**HEADERS, "first": common, "second": f"{common}int level;\n", **circle}))
    monkeypatch.setattr("hook.evidence.functional.common_headers._MOST_FIRST", 2)
    assert Surroundings(source, "mm/user.c").depend_on_order(*orders)


def _guarded(headers: dict[str, str]) -> dict[str, str]:
    files = {f"include/linux/{name}": text for name, text in headers.items()}
    files |= {"arch/x86/include/asm/abox": "#define BOX\n", "include/asm-generic/limit": "#define LIMIT 5\n"}
    return {f"{path}.h": f"#ifndef _{path[-4:]}_H\n#define _{path[-4:]}_H\n{text}#endif\n" for path, text in files.items()}


def test_a_macro_that_opens_a_brace_and_does_not_close_it(grow: Grow) -> None:
    file = '#define ONE TWO\n#define TWO ({\n#define EVEN(n) do { put("{", n); } while (0)\n#define LAST %>)\n'
    around = Surroundings(grow({**TREE, "mm/user.c": file}), "mm/user.c", (file.encode(),))
    for name, uneven in ((b"ONE", True), (b"LAST", True), (b"EVEN", False), (b"put", False)):
        assert around.has_uneven_macro(frozenset({name})) is uneven, name


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize(
    ("files", "captured"),
    [
        ({}, False),
        ({"mm/own.h": "#define peek() (count)\n"}, True),
        ({"mm/own.h": "#define peek() look()\n#define look() (count)\n"}, True),
        ({"mm/own.h": "#define peek(count) (count)\n#define other() (count)\n"}, False),
        ({"mm/own.h": "#ifdef A\n#define peek() (count)\n#else\n#define peek() 1\n#endif\n"}, True),
        ({"mm/own.h": "#define peek(n) (n##unt)\n"}, True),
        ({"mm/own.h": "#define peek(n) (co ## n)\n"}, True),
        ({"mm/own.h": "#define JOIN(a, b) a##b\n#define peek() (JOIN(co, unt))\n"}, True),
        ({"mm/own.h": "#define JOIN(a, b) a##b\n#define peek() (JOIN(no, unt))\n"}, False),
        ({"mm/own.h": "#define JOIN(a, b, c) a##b##c\n#define peek() (JOIN(co, un, t))\n"}, True),
        ({"include/linux/far.h": "#define peek() (count)\n"}, True),
        ({"include/linux/far.h": "#define peek(n) (cou##n)\n"}, True),
        ({"include/linux/far.h": "#define other() (count)\n"}, False),
        ({"drivers/far.h": "#define peek() (count)\n"}, False),
    ],
)
def test_a_macro_that_has_the_name_of_a_local_in_it(
    grow: Grow, kernel: Kernel, files: dict[str, str], captured: bool, indexed: bool
) -> None:
    source = grow({**TREE, **files})
    if indexed:
        kernel.triage("index")
    around = Surroundings(source, "mm/user.c", (USER.encode(),))
    assert around.may_be_captured(b"count", frozenset({b"peek", b"n", b"("})) is captured
    assert around.may_be_captured(b"count", frozenset({b"co", b"unt"}))  # `##` of these
    assert around.may_be_captured(b"count", frozenset({b"co", b"c", b"un", b"t"}))
    assert not around.may_be_captured(b"count", frozenset({b"co", b"ou", b"n", b"count"}))
    assert around.knows("count" * 300) is not indexed  # too long to search for
