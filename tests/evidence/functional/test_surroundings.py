"""What the rest of a tree says about the names and headers of a file."""

from __future__ import annotations

import json

import pytest

import hook.source.tree
from hook.evidence.functional.surroundings import Surroundings
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
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


def test_an_include_behind_a_header_of_the_file_s_own(tree: Kernel) -> None:
    assert functional(tree, FILE.replace('"near.h"\n', '"near.h"\n#include <linux/near_only.h>\n')) == "no"
    assert functional(tree, FILE.replace('"near.h"\n', '"near.h"\n#include <linux/sometimes.h>\n')) == "unknown"


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


def test_headers_that_cannot_be_read_do_not_stand_in_any_order(grow: Grow) -> None:
    source = grow({"mm/one.c": "int f(void);\n"})
    assert Surroundings(source, "mm/one.c").depend_on_order(["<linux/a.h>", "<linux/b.h>"])


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
