"""Edits that are proved harmless, each beside the nearest ones that are not: a line a case."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from hook.c import segments, translation_unit
from hook.evidence.change_classes import ChangeClass as Class
from hook.evidence.functional import harmless_rules

HEAD = """
#include <linux/kernel.h>
#include "local.h"
#define DBG(fmt, ...) pr_debug(fmt, ##__VA_ARGS__)
#define TRACE(fmt, ...) do { pr_debug(fmt, next_id()); } while (0)
"""


@dataclasses.dataclass(frozen=True)
class Tree:
    """What the rest of the tree is said to hold."""

    names: frozenset[str] = frozenset({"current"})
    tracepoints: frozenset[str] = frozenset({"box_open"})
    included: frozenset[str] = frozenset({"<linux/types.h>"})
    numbers: frozenset[str] = frozenset({"LIMIT_OF_ALL"})
    texts: frozenset[str] = frozenset({"PREFIX_OF_ALL"})

    own_names: frozenset[bytes] = frozenset({b"__private"})  # that a header beside the file defines
    statements: frozenset[bytes] = frozenset({b"STATE"})

    def is_redefined(self, names: Iterable[bytes]) -> bool:
        return not {b"__always_unused", b"pr_notice"}.isdisjoint(names)

    def keeps_spelling(self, name: bytes) -> bool:
        return name.startswith(b"MODULE_") or (name.lower() == name and name not in (b"named", b"get_prop"))

    def is_statement(self, name: bytes) -> bool:
        return name in self.statements

    def knows(self, name: str) -> bool:
        return name in self.names

    def is_tracepoint(self, name: str) -> bool:
        return name in self.tracepoints

    def depend_on_order(self, headers: Iterable[str]) -> bool:
        return "<linux/first.h>" in headers

    def formats(self) -> list[bytes]:
        return []

    def is_number(self, name: str) -> bool:
        return name in self.numbers

    def is_text(self, name: str) -> bool:
        return name in self.texts

    def includes(self, headers: Iterable[str], header: str) -> bool:
        return header in self.included and "<linux/kernel.h>" in headers


def proved(before: str, after: str) -> str:
    """The change classes that are proved of an edit, empty where it is not proved harmless."""
    old, new = translation_unit.of_text(before.encode()), translation_unit.of_text(after.encode())
    proofs = harmless_rules.prove(segments.edits(old.segments, new.segments), old, new, Tree())
    return ", ".join(proof.change_class for proof in proofs or ())


def function(lines: str, name: str = "f") -> str:
    return f"int {name}(struct box *b, int n)\n{{\n\tint err;\n\n\tenter(b);\n\t{lines}\n\terr = leave(b);\n\treturn err;\n}}\n"


def versions(removed: str, added: str, head: str = HEAD) -> tuple[str, str]:
    """A file before and after an edit of lines in a function."""
    return f"{head}\n{function(removed[1:])}", f"{head}\n{function(added[1:])}"


def harmless(removed: str, added: str, change_class: Class, head: str = HEAD) -> None:
    before, after = versions(removed, added, head)
    assert (proved(before, after), proved(after, before)) == (change_class, change_class), (removed, added)


def not_harmless(removed: str, added: str, head: str = HEAD) -> None:
    before, after = versions(removed, added, head)
    assert (proved(before, after), proved(after, before)) == ("", ""), (removed, added)


def harmless_outside(removed: str, added: str, change_class: Class, head: str = HEAD) -> None:
    """The same of lines outside of functions, before one."""
    before, after = (f"{head}{side[1:]}\n{function('')}" for side in (removed, added))
    assert (proved(before, after), proved(after, before)) == (change_class, change_class), (removed, added)


def not_harmless_outside(removed: str, added: str, head: str = HEAD) -> None:
    before, after = (f"{head}{side[1:]}\n{function('')}" for side in (removed, added))
    assert (proved(before, after), proved(after, before)) == ("", ""), (removed, added)


def test_the_text_of_logging_calls() -> None:
    harmless('-pr_err("cannot open %s\\n", b->name);', '+pr_err("could not open %s\\n", b->name);', Class.LOG_TEXT)
    harmless('-DBG("own %d\\n", n);', '+DBG("mine %d\\n", n);', Class.LOG_TEXT)
    harmless('-printk(KERN_ERR "100%% of %d\\n", n);', '+printk(KERN_ERR "all 100%%s of %d\\n", n);', Class.LOG_TEXT)
    harmless('-dev_err(b->dev, PREFIX_OF_ALL "no\\n");', '+dev_err(b->dev, PREFIX_OF_ALL "none\\n");', Class.LOG_TEXT)
    harmless('-return dev_err_probe(b->dev, err, "no way\\n");', '+return dev_err_probe(b->dev, err, "none\\n");', Class.LOG_TEXT)
    not_harmless('-return dev_err_probe(b->dev, err, "no way\\n");', '+return dev_err_probe(b->dev, err, "no way %s\\n");')
    not_harmless('-return dev_err_probe(b->dev, err, "no way\\n");', '+return dev_err_probe(b->dev, -ENODEV, "no way\\n");')
    not_harmless('-set(b, "text");', '+set(b, "texts");')


def test_text_that_changes_what_a_logging_call_reads() -> None:
    not_harmless('-pr_info("100 s\\n");', '+pr_info("100\\x25s\\n");')
    not_harmless('-pr_info("100 s\\n");', '+pr_info("100\\45s\\n");')
    not_harmless('-pr_info("100%%s\\n");', '+pr_info("100%s\\n");')
    not_harmless('-pr_info("%.4s\\n", b->name);', '+pr_info("%s\\n", b->name);')
    not_harmless('-pr_info("%p M\\n", b);', '+pr_info("%pM\\n", b);')
    not_harmless('-pr_info("%p" " M\\n", b);', '+pr_info("%p" "M\\n", b);')
    not_harmless('-pr_info("%d %s\\n", n, b->name);', '+pr_info("%s %d\\n", n, b->name);')


def test_text_that_is_more_than_logged() -> None:
    not_harmless('-pr_info("%d", ({ const char *m = "a"; load(m); }));', '+pr_info("%d", ({ const char *m = "b"; load(m); }));')
    not_harmless('-pr_info("%s", b->ops->name("a"));', '+pr_info("%s", b->ops->name("b"));')
    not_harmless('-pr_info("%s", b->name = "a");', '+pr_info("%s", b->name = "b");')
    not_harmless('-pr_info("a" STR(n));', '+pr_info("b" STR(n));')
    not_harmless('-n = printk("a");', '+n = printk("ab");')  # it gives how many characters it printed
    not_harmless('-return n ? 1 : printk("a");', '+return n ? 1 : printk("ab");')
    not_harmless('-RUN(pr_info("a"));', '+RUN(pr_info("b"));')  # a macro may make a string of it
    not_harmless('-pr_info("a");', '+pr_info("b");', HEAD + '#define pr_fmt(fmt) fmt "%d", count++\n')
    not_harmless('-pr_info("a");', '+pr_info("sa");', HEAD + '#define pr_fmt(fmt) "%" fmt\n')


def test_logging_calls() -> None:
    harmless('-pr_err("%d\\n", n);', '+pr_warn_ratelimited("%d\\n", n);', Class.LOG_CALL)
    harmless("-", '+pr_debug("in %s, %d of %zu\\n", __func__, n, sizeof(*b));', Class.LOG_CALL)
    harmless('-if (n)\n\t\tpr_info("open\\n");', '+if (n)\n\t\tpr_debug("open %p\\n", b);', Class.LOG_CALL)
    harmless('-DBG("own %d\\n", n);', "+", Class.LOG_CALL)
    harmless("-", '+pr_info("%d %u\\n", n * 4 + 1, LIMIT_OF_ALL & 0xff);', Class.LOG_CALL)
    harmless("-", '+pr_info("%s %llu\\n", n ? "on" : "off", (unsigned long long)n);', Class.LOG_CALL)
    harmless("-if (n)\n\t\treturn n;", '+if (n) {\n\t\tpr_info("%d\\n", n);\n\t\treturn n;\n\t}', Class.LOG_CALL)
    not_harmless('-pr_notice("a\\n");', '+pr_notice("b\\n");')  # a header of the driver defines it
    not_harmless('-TRACE("calls\\n");', "+")  # its own macro calls something
    not_harmless('-for (err = 0; pr_debug("x"), err < 3; err++)', "+for (err = 0; err < 3; err++)")
    not_harmless('-if (n)\n\t\tpr_info("open\\n");\n\telse', '+if (n)\n\t\tpr_info("open\\n");')
    not_harmless('-if (n)\n\t\tpr_info("open\\n");\n\telse\n\t\tb->open = 1;', "+b->open = 1;")
    not_harmless("-WARN_ON(n < 0);", "+")
    not_harmless('-dev_dbg(b->dev, "opened\\n");', "+", HEAD + "#define dev_dbg(dev, fmt) count_up(dev)\n")


def test_logging_calls_that_read_as_much_as_before() -> None:
    harmless('-dev_dbg(b->dev, "%u\\n", b->n);', '+dev_dbg(b->dev, "%llu\\n", (unsigned long long)b->n);', Class.LOG_CALL)
    harmless('-netdev_err(b->dev, "%s %d\\n", b->name, n);', '+netdev_info(b->dev, "%s\\n", b->name);', Class.LOG_CALL)
    harmless('-dev_err(b->dev, "a\\n");', '+dev_err(b->dev, "a\\n");\n\tdev_err(b->dev, "%d\\n", n);', Class.LOG_CALL)
    not_harmless('-dev_dbg(b->dev, "opened\\n");', "+")
    not_harmless('-dev_dbg(b->dev, "opened\\n");', '+dev_info(b->dev, "opened\\n");')  # it reads the name more often
    not_harmless('-dev_info_once(b->dev, "a\\n");', '+dev_info_once(b->dev, "a\\n");\n\tdev_info(b->dev, "b\\n");')
    not_harmless('-dev_err(b->dev, "a\\n");', '+netdev_err(b->dev, "a\\n");')
    not_harmless('-dev_err(b->dev, "%d\\n", b->n);', '+dev_err(b->dev, "%d\\n", b->next->n);')
    not_harmless('-dev_err(b->dev, "a\\n");\n\tput(b);', '+put(b);\n\tdev_err(b->dev, "a\\n");')
    not_harmless('-if (n) {\n\t\tput(b);\n\t}\n\tdev_err(b->dev, "a");', '+if (n) {\n\t\tput(b);\n\t\tdev_err(b->dev, "a");\n\t}')
    not_harmless("-kfree(b);", '+kfree(b);\n\tpr_info("%d %s\\n", b->n, b->name);')


def test_arguments_of_logging_calls_that_fault_or_have_an_effect() -> None:
    for argument in (
        "++n", "take(b)", "b->open = 1", "b->next(b)", "b->n", "*b", "b[n]", "table[0]", "100 / n", "n % 3", "*reg", "jiffies", "NEXT_ID",
        "({ n; })", "(n)(3)", "(u8)take(b)", "err", "b.n", "n, n", "1 << n", "unknown", "sizeof(b->n[n++])", "PTR_ERR(b->n)", "n * *reg",
    ):  # fmt: skip
        not_harmless('-pr_err("%d\\n", n);', f'+pr_err("%d\\n", {argument});')
    for conversion in ("%s", "%pI4", "%pM", "%pd", "%pV", "%pU", "%20s", "%.3s", "%ps", "%p4cc"):
        not_harmless("-", f'+pr_err("{conversion}\\n", b);')
    not_harmless("-", '+pr_err("%*ph\\n", n, b);')
    not_harmless("-", '+pr_err("%d %s\\n", n);')  # an argument too few
    not_harmless("-", '+pr_err("%llu %s\\n", n, "a");')  # on 32 bits the string is read from elsewhere
    not_harmless("-", "+pr_err(b);")
    not_harmless("-", '+pr_err("\\x25s\\n");')


def test_names_in_arguments_of_logging_calls_that_mean_something_else() -> None:
    not_harmless("-", '+pr_info("%d", STATE);', HEAD + "#define STATE count++\n")
    not_harmless("-int (*u8)(int) = take;", '+int (*u8)(int) = take;\n\tpr_info("%d", (u8)(3));')
    not_harmless("-volatile int v = 1;", '+volatile int v = 1;\n\tpr_info("%d", v);')
    not_harmless("-reg_t v = 1;", '+reg_t v = 1;\n\tpr_info("%d", v);')  # it may be volatile
    not_harmless("-struct box v = *b;", '+struct box v = *b;\n\tpr_info("%d", v);')
    not_harmless("-int v[4] = { 0 };", '+int v[4] = { 0 };\n\tpr_info("%p", v);')
    not_harmless("-{\n\t\tint v = 1;\n\t}", '+{\n\t\tint v = 1;\n\t}\n\tpr_info("%d", v);')  # that is a global
    not_harmless("-{\n\t\treg_t n = 1;\n\t\tset(n);\n\t}", '+{\n\t\treg_t n = 1;\n\t\tset(n);\n\t\tpr_info("%d", n);\n\t}')
    not_harmless("-#define n count++\n", '+#define n count++\n\tpr_info("%d", n);')


def test_variables_that_a_logging_call_finds_unset() -> None:
    harmless("-n = 2;\n\terr = 3;", '+n = 2;\n\terr = 3;\n\tpr_info("%d", err);', Class.LOG_CALL)
    harmless("-int v = 3;", '+int v = 3;\n\tpr_info("%d", v);', Class.LOG_CALL)
    not_harmless("-int v;", '+int v;\n\tpr_info("%d", v);')
    not_harmless("-if (n)\n\t\terr = 1;", '+if (n)\n\t\terr = 1;\n\tpr_info("%d", err);')
    not_harmless("-if (n) {\n\t\terr = 1;\n\t}", '+if (n) {\n\t\terr = 1;\n\t}\n\tpr_info("%d", err);')
    not_harmless("-goto out;\n\terr = 1;\nout:", '+goto out;\n\terr = 1;\nout:\n\tpr_info("%d", err);')
    not_harmless("-CHECK(n);\n\terr = 1;\nout:", '+CHECK(n);\n\terr = 1;\nout:\n\tpr_info("%d", err);')  # a macro may jump
    not_harmless("-get(&err);", '+get(&err);\n\tpr_info("%d", err);')
    not_harmless("-#ifdef A\n\terr = 1;\n#endif", '+#ifdef A\n\terr = 1;\n#endif\n\tpr_info("%d", err);')
    not_harmless("-for (;; err = 1)\n\t\tset(b);", '+for (;; err = 1) {\n\t\tpr_info("%d", err);\n\t\tset(b);\n\t}')


def test_macros_that_log_for_the_file() -> None:
    call, log = '-dbg("%d\\n", n);', "#define dbg(fmt, ...) pr_debug(fmt, ##__VA_ARGS__)\n"
    harmless(call, "+", Class.LOG_CALL, HEAD + log)
    harmless(call, "+", Class.LOG_CALL, HEAD + '#define dbg(f, a...) do { printk(KERN_INFO "box: " f, ##a); } while (0)\n')
    for own in (
        f"#ifdef A\n{log}#else\nstatic void dbg(const char *fmt, ...) {{ count++; }}\n#endif\n",
        f"{log}#undef dbg\n",
        '#define dbg(fmt, ...) pr_debug("%d " fmt, count++, ##__VA_ARGS__)\n',
        '#define dbg(fmt, ...) pr_debug("%s" fmt, ##__VA_ARGS__)\n',
        "#define dbg(fmt, ...) own_debug(fmt, ##__VA_ARGS__)\n",
        "#define dbg(fmt, ...) do { pr_debug(fmt, ##__VA_ARGS__); count++; } while (0)\n",
        "#define pr_debug(fmt, ...) count++\n" + log,
    ):
        not_harmless(call, "+", HEAD + own)


def test_calls_of_tracepoints() -> None:
    harmless("-trace_box_open(n, sizeof(u32));", "+", Class.TRACEPOINT_CALL)
    not_harmless("-trace_box_open(b->name, n);", "+trace_box_open(b->name, n++);")
    not_harmless("-trace_box_open(b->name, n);", "+")
    not_harmless("-trace_box_open(b);", "+")  # it may read what b points to
    not_harmless("-trace_box_open(take(b));", "+")
    not_harmless("-n = trace_box_open(n);", "+n = 0;")
    not_harmless("-trace_box_hit(b);", "+")  # no tracepoint of that name


def test_spelling() -> None:
    harmless("-if (n > 4)\n\t\tb->n = n;", "+if (n > 4) {\n\t\tb->n = n;\n\t}", Class.SPELLING)
    harmless("-if (n)\n\t\treturn 0;", "+if (n)\n\t\treturn (0);", Class.SPELLING)
    harmless("-n = n > 4;", "+n = n > 0x4;", Class.SPELLING)
    harmless('-take(b, "text");', '+take(b, "te" "xt");', Class.SPELLING)
    harmless_outside("-static int seen = 0;", "+static int seen;", Class.SPELLING)
    not_harmless("-if (n > 4)\n\t\tb->n = n;", "+if (n > 4) {\n\t\tb->n = n;\n\t\tb->open = 0;\n\t}")
    not_harmless("-if (n > 4)\n\t\tb->n = n;", "+if (n > 4)\n\t\tb->n = n + 1;")
    not_harmless("-if (n > 4)", "+if (n >= 4)")
    not_harmless("-if (n) {\n\t\tSTATE = 2;\n\t}", "+if (n)\n\t\tSTATE = 2;")  # a macro may be two statements
    not_harmless("-if (n) {\n\t\tb->n = STATE;\n\t}", "+if (n)\n\t\tb->n = STATE;")
    not_harmless("-if (n) {\n\t\treturn TWO_STATEMENTS;\n\t}", "+if (n)\n\t\treturn TWO_STATEMENTS;")
    not_harmless("-if (n) {\n\t\treturn -EBOX;\n\t}", "+if (n)\n\t\treturn -EBOX;", HEAD + "#define EBOX 1; count++\n")
    harmless("-if (n) {\n\t\treturn -EINVAL;\n\t}", "+if (n)\n\t\treturn -EINVAL;", Class.SPELLING)
    not_harmless("-set(b, REG(8));", "+set(b, REG(0x8));")  # a macro may make a name of it
    not_harmless("-named(b, 8);", "+named(b, 0x8);")  # one in lower case too
    not_harmless('-pr_err("%s\\n", named(8));', '+pr_err("%s\\n", named(0x8));')
    not_harmless('-named(b - n);\n\tpr_err("a");', '+named(b-n);\n\tpr_err("b");')
    harmless('-take(b - n);\n\tpr_err("a");', '+take(b-n);\n\tpr_err("b");', Class.LOG_TEXT)
    not_harmless("-if (n > 4)\n\t\tSTATE = n;", "+if (n > 4) {\n\t\tSTATE = n;\n\t}")  # a macro of two statements
    not_harmless("-BUILD(b, n);", "+BUILD(b, (n));")
    not_harmless("-int more;", "+int more = 0;")
    not_harmless_outside("-static int seen = 0;", "+static int seen = 1;")
    not_harmless_outside("-static int seen = 0;", "+int seen;")


def test_macros() -> None:
    harmless_outside("-#define LIMIT 8", "+#define LIMIT 0x8", Class.SPELLING)
    harmless_outside("-", "+#define BRAND_NEW 3", Class.UNUSED_MACRO)
    not_harmless_outside("-#define LIMIT 8", "+#define LIMIT 08")
    not_harmless_outside("-#define LIMIT 8", "+#define LIMIT 8u")
    not_harmless_outside("-#define LIMIT 8", "+#define LIMIT (8)")
    not_harmless_outside("-#define LIMIT 8", "+#define LIMIT 9")
    not_harmless_outside("-#define LIMIT 8", "+#define LIMIT 0x8", HEAD + "#define NAME __stringify(LIMIT)\n")
    not_harmless_outside("-#define LIMIT 8", "+#define LIMIT 0x8", HEAD + "int k = named(LIMIT);\n")  # pasted to a name
    harmless_outside("-#define LIMIT 8", "+#define LIMIT 0x8", Class.SPELLING, HEAD + "int k = take(LIMIT);\n")
    not_harmless_outside("-", "+#define made_pci_by 1", HEAD + "TABLE(pci, ids);\n")  # TABLE may put the name together
    not_harmless_outside("-", "+#define err 3")  # a local has this name
    not_harmless_outside("-", "+#define current 3")  # a header has
    not_harmless_outside("-", "+#define PREFIX_NEW 1", HEAD + "#define MAKE(x) PREFIX_##x\nint PREFIX_;\n")
    not_harmless_outside("-", "+#define BRAND_NEW 1\n#include <linux/slab.h>")  # it may be meant for the header


def test_annotations() -> None:
    harmless("-switch (n) {\n\tcase 1:\n\t\tn = 2;\n\t\tfallthrough;", "+switch (n) {\n\tcase 1:\n\t\tn = 2;", Class.ANNOTATION)
    harmless("-copy(b, (void __iomem *)b->regs);", "+copy(b, (void *)b->regs);", Class.ANNOTATION)
    harmless("-int more __maybe_unused;", "+int more;", Class.ANNOTATION)
    harmless_outside("-static struct ops *table __maybe_unused;", "+static struct ops *table;", Class.ANNOTATION)
    harmless_outside("-int __must_check far(void);", "+int far(void);", Class.ANNOTATION)
    not_harmless("-switch (n) {\n\tcase 1:\n\t\tn = 2;\n\t\tfallthrough;", "+switch (n) {\n\tcase 1:\n\t\tn = 2;\n\t\tbreak;")
    not_harmless("-copy(b, (void __iomem *)b->regs);", "+copy(b, (void __user *)b->regs);")  # BTF has __user
    not_harmless("-EXPR((void __force *)b);", "+EXPR((void *)b);")  # a macro may make a string of it
    not_harmless_outside("-static struct ops *table __maybe_unused;", "+static struct ops *table __ro_after_init;")
    not_harmless("-int more __private;", "+int more;")  # a header beside the file defines it
    not_harmless("-int more __always_unused;", "+int more;")  # what the tree says of the name is asked
    not_harmless_outside("-static void g(void)\n{\n}", "+static void __cold g(void)\n{\n}")
    not_harmless_outside("-static void g(void)\n{\n}", "+void g(void)\n{\n}")


def test_module_metadata() -> None:
    harmless_outside('-MODULE_DESCRIPTION("A box");', '+MODULE_DESCRIPTION("Another box");', Class.MODULE_METADATA)
    harmless_outside('-MODULE_PARM_DESC(limit, "Many");', '+MODULE_PARM_DESC(limit, "More");', Class.MODULE_METADATA)
    for text in ("A\\0alias=pci:*", "A\\x00softdep=pre: b", "A\\000license=GPL", "A\\u0000"):  # another field begins behind a NUL
        not_harmless_outside('-MODULE_DESCRIPTION("A");', f'+MODULE_DESCRIPTION("{text}");')
        not_harmless_outside('-MODULE_PARM_DESC(limit, "A");', f'+MODULE_PARM_DESC(limit, "{text}");')
    not_harmless_outside('-MODULE_AUTHOR("A");', '+MODULE_AUTHOR("B");', HEAD + "#undef MODULE_AUTHOR\n")
    not_harmless_outside('-MODULE_AUTHOR(NAME("A"));', '+MODULE_AUTHOR(NAME("B"));')
    not_harmless_outside('-MODULE_LICENSE("GPL");', '+MODULE_LICENSE("Proprietary");')
    not_harmless_outside('-MODULE_PARM_DESC(limit, "Many");', '+MODULE_PARM_DESC(other, "Many");')


def test_includes() -> None:
    kernel, slab, types, local = "#include <linux/kernel.h>", "#include <linux/slab.h>", "#include <linux/types.h>", '#include "local.h"'
    harmless_outside(f"-{kernel}\n{slab}", f"+{slab}\n{kernel}", Class.INCLUDE_ORDER, head="")
    harmless_outside(f"-{kernel}\n{slab}", f"+{kernel}\n{slab}\n{types}", Class.INCLUDE, head="")
    harmless_outside(f"-{kernel}\n{slab}", f"+{types}\n{kernel}\n{slab}", Class.INCLUDE, head="")
    first = "#include <linux/first.h>"
    not_harmless_outside(f"-{first}\n{slab}", f"+{slab}\n{first}", head="")  # it tests what the other sets
    harmless_outside(f"-{first}\n{kernel}\n{slab}", f"+{first}\n{slab}\n{kernel}", Class.INCLUDE_ORDER, head="")
    not_harmless_outside("-#  include <linux/a.h>\n#  include <linux/b.h>", "+#  include <linux/b.h>\n#  include <linux/a.h>", head="")
    not_harmless_outside(f"-{kernel}\n{slab}", f"+{kernel}\n{slab}\n{types}", head="#undef _TYPES_H\n")
    behind = "int more;\n#undef LIMIT"
    harmless_outside(f"-{kernel}\n{slab}\n{behind}", f"+{kernel}\n{slab}\n{types}\n{behind}", Class.INCLUDE, head="")
    not_harmless_outside(f"-{slab}\n{local}", f"+{local}\n{slab}", head="")
    not_harmless_outside(f"-{kernel}\n{slab}", f"+{kernel}\n{slab}\n#include <linux/mm.h>", head="")
    not_harmless_outside(f"-{slab}", f"+{slab}\n{types}", head="")  # nothing beside it includes it
    not_harmless_outside(f"-{kernel}\n{local}", f"+{kernel}\n{local}\n#define LATE 1\n{types}", head="")
    not_harmless_outside(f"-{kernel}\n{slab}", f"+{kernel}\n#ifdef CONFIG_X\n{types}\n#endif\n{slab}", head="")


def test_prototypes() -> None:
    helper = "static int helper(struct box *b)\n{\n\treturn b->open;\n}"
    harmless_outside(f"-static int helper(struct box *b);\n\n{helper}", f"+{helper}", Class.DECLARATION)
    not_harmless_outside(f"-int helper(struct box *b);\n\n{helper}", f"+{helper}")
    not_harmless_outside(f"-static int other(struct box *b);\n\n{helper}", f"+{helper}")
    not_harmless_outside(f"-static int helper(struct box *c);\n\n{helper}", f"+{helper}")


def test_local_renames() -> None:
    text = "int f(int value)\n{\n\tint msg = 1;\n\n\tmsg += value;\n\treturn g(msg, value);\n}\n"
    assert proved(text, text.replace("msg", "note")) == Class.LOCAL_RENAME
    assert proved(text, text.replace("value", "v")) == Class.LOCAL_RENAME
    assert proved(text, text.replace("msg", "value")) == ""  # two variables of one name
    assert proved(text, text.replace("msg", "current")) == ""  # a header has this name
    assert proved(text, text.replace("msg", "return")) == ""
    assert proved(text, text.replace("g(msg", "g(note")) == ""  # not everywhere
    assert proved(text, text.replace("g(", "h(")) == ""  # another function


def test_what_is_no_local_variable_is_not_renamed() -> None:
    not_harmless("-n = b->msg;", "+n = b->note;")
    not_harmless("-msg: n = 1;", "+note: n = 1;")
    not_harmless("-n = BUG_ON(msg);", "+n = BUG_ON(note);")
    not_harmless("-take(n * LIMIT);", "+take(n * OTHER);")  # a product, no declaration
    not_harmless("-n = NOT LIMIT;", "+n = NOT OTHER;")
    not_harmless("-n = sizeof(struct msg);", "+n = sizeof(struct note);")
    not_harmless("-int msg;\n\n\tget_prop(b, msg);", "+int note;\n\n\tget_prop(b, note);")  # a macro makes a string of it
    harmless("-int msg;\n\n\tget(b, msg);", "+int note;\n\n\tget(b, note);", Class.LOCAL_RENAME)
    not_harmless("-int msg = GET();", "+int note = GET();", HEAD + "#define GET() (msg)\n")


def test_code_is_not_harmless() -> None:
    not_harmless("-b->n += 2;", "+b->n += 3;")
    not_harmless("-WARN_ON(n < 0);", "+WARN_ON(n < 1);")


def test_what_goes_and_leaves_nothing_behind_is_seen() -> None:
    text = 'int a(void)\n{\n\tpr_info("one");\n\treturn 1;\n}\nEXPORT_SYMBOL(a);\n\nint b(void)\n{\n\treturn 2;\n}\n'
    without = text.replace("one", "two").replace("EXPORT_SYMBOL(a);\n", "")
    assert proved(text, without) == ""
    before, after = translation_unit.of_text(text.encode()), translation_unit.of_text(without.encode())
    assert len(segments.edits(before.segments, after.segments)) == 2


def test_what_moved_is_not_harmless() -> None:
    a, b = "int a(void)\n{\n\treturn 1;\n}\n", "int b(void)\n{\n\treturn 2;\n}\n"
    assert proved(f"{a}\n{b}", f"{b}\n{a}") == ""
    # nor where its comment changed too
    function = "static int f(void)\n{\n\treturn X;\n}\n"
    logging = 'int g(void)\n{\n\tpr_info("WORD");\n\treturn 1;\n}\n'
    old, new = [function.replace("X", f"X /* {word} */") for word in ("one", "two")]
    old = f"#define X 2 /* one */\n/* one */\n{old}/* one */\n{logging.replace('WORD', 'one')}"
    new = f"{new}/* two */\n#define X 2 /* two */\n/* two */\n{logging.replace('WORD', 'two')}"
    assert proved(old, new) == ""


HARMLESS = [
    ('pr_err("cannot open %s\\n", b->name);', 'pr_err("could not open %s\\n", b->name);'),
    ('pr_debug("opened %d\\n", n);', ""),
    ("n = n > 4;", "n = n > 0x4;"),
    ("if (n)\n\t\tb->n = n;", "if (n) {\n\t\tb->n = n;\n\t}"),
    ("copy(b, (void __iomem *)b->regs);", "copy(b, (void *)b->regs);"),
    ("trace_box_open(n);", ""),
]
EFFECTIVE = [("n = n > 4;", "n = n < 4;"), ("b->open = 1;", "b->open = 2;"), ("b->n += 2;", "b->n -= 2;"), ("take(b, 16);", "")]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(HARMLESS), min_size=1, max_size=4), st.none() | st.sampled_from(EFFECTIVE))
def test_harmless_edits_together_are_harmless_and_one_effect_among_them_is_not(
    edits: list[tuple[str, str]], effective: tuple[str, str] | None
) -> None:
    edits = [*edits, *([effective] if effective else [])]
    before, after = (HEAD + "".join(function(edit[side], f"f{at}") for at, edit in enumerate(edits)) for side in (0, 1))
    assert bool(proved(before, after)) is (effective is None)
