"""Edits that are proved harmless, each beside the nearest ones that are not: a line a case."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hook.c import segments, translation_unit
from hook.evidence.change_classes import ChangeClass as Class
from tests.evidence.functional.rules import (
    HEAD,
    function,
    harmless,
    harmless_outside,
    not_harmless,
    not_harmless_outside,
    proved,
)


def test_macros_of_headers_far_away() -> None:
    harmless("-int v = 3;", '+int v = 3;\n\tpr_info("%d", v * 2);', Class.LOG_CALL)
    for argument in ("far", "far * 2", "far ? 1 : 2", "sizeof(far)"):
        not_harmless("-int far = 3;", f'+int far = 3;\n\tpr_info("%d", {argument});')
    not_harmless("-int far;\n\n\tget(b, far);", "+int note;\n\n\tget(b, note);")
    not_harmless("-int far;\n\n\tif (n) {\n\t\tfar = n;\n\t}", "+int far;\n\n\tif (n)\n\t\tfar = n;")
    not_harmless("-if (n) {\n\t\treturn -EREDEFINED;\n\t}", "+if (n)\n\t\treturn -EREDEFINED;")


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
    not_harmless("-if (n) {\n\t\tb->far = n;\n\t}", "+if (n)\n\t\tb->far = n;")
    not_harmless("-if (n) {\n\t\tgoto far;\n\t}", "+if (n)\n\t\tgoto far;")
    harmless("-if (n) {\n\t\treturn -EINVAL;\n\t}", "+if (n)\n\t\treturn -EINVAL;", Class.SPELLING)
    not_harmless("-set(b, REG(8));", "+set(b, REG(0x8));")  # a macro may make a name of it
    not_harmless("-named(b, 8);", "+named(b, 0x8);")  # one in lower case too
    not_harmless('-pr_err("%s\\n", named(8));', '+pr_err("%s\\n", named(0x8));')
    not_harmless('-named(b - n);\n\tpr_err("a");', '+named(b-n);\n\tpr_err("b");')
    harmless('-take(b - n);\n\tpr_err("a");', '+take(b-n);\n\tpr_err("b");', Class.LOG_TEXT)
    not_harmless("-if (n > 4)\n\t\tSTATE = n;", "+if (n > 4) {\n\t\tSTATE = n;\n\t}")  # a macro of two statements
    not_harmless_outside("-static void *seen = NULL;", "+static void *seen;", HEAD + "#undef NULL\n#define NULL ((void *)8)\n")
    not_harmless("-if (n)\n\t\tb->n = n;", "+if (n) {\n\t\tb->n = n;\n\t}", HEAD + "#define if if (count_up()) if\n")
    not_harmless("-BUILD(b, n);", "+BUILD(b, (n));")
    not_harmless("-int more;", "+int more = 0;")
    not_harmless_outside("-static int seen = 0;", "+static int seen = 1;")
    not_harmless_outside("-static int seen = 0;", "+int seen;")


DRIVER = "static struct ops table = {\n\t.probe = go,\n\t%s,\n\t.inner = { .name = text },\n};"


def test_another_name_of_the_same_member() -> None:
    old, new = DRIVER % ".remove_new = stop", DRIVER % ".remove = stop"
    harmless_outside(f"-{old}", f"+{new}", Class.SPELLING)
    harmless_outside(f"-{old.replace('static', 'static const')}", f"+{new.replace('static', 'static const')}", Class.SPELLING)
    for before, after in (
        ("struct ops", "struct other"),
        ("table =", "table[1] ="),
        ("\t.probe = go,\n", "\t.remove = go,\n\t.remove_new = go,\n"),  # the last one counts
        ("stop", "remove"),
        ("\t.probe = go,\n", "#ifdef CONFIG_X\n\t.probe = go,\n#endif\n"),
        ("\t.probe = go,\n", "\tMADE(go\n"),
    ):
        not_harmless_outside(f"-{old.replace(before, after)}", f"+{new.replace(before, after)}")
    not_harmless_outside(f"-{old}", f"+{DRIVER % '.remove = go'}")
    not_harmless_outside(f"-{old}", f"+{DRIVER % '.shutdown = stop'}")
    inside = DRIVER % ".more = { .remove_new = stop }"
    not_harmless_outside(f"-{inside}", f"+{inside.replace('_new', '')}")
    not_harmless_outside(
        f"-#define table x\n{old}",
        f"+#define table x\n{old}",
    )
    struct = "struct ops {\n\tint x;\n};\n"
    not_harmless_outside(f"-{struct}{old}", f"+{struct}{new}")  # one of the file's own


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
    user = "int user(struct box *b)\n{\n\treturn helper(b);\n}"
    not_harmless_outside(f"-static int helper(struct box *b);\n\n{user}\n\n{helper}", f"+{user}\n\n{helper}")  # it is not declared then
    twice = f"static int helper(struct box *b);\n{user}"
    harmless_outside(f"-{twice}\n\n{helper}", f"+{twice}\nstatic int helper(struct box *b);\n\n{helper}", Class.DECLARATION)
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


def test_parameters_whose_names_the_bpf_verifier_reads() -> None:
    text = "__bpf_kfunc int f(void *mem, int size)\n{\n\tint msg = size;\n\n\treturn g(mem, msg);\n}\n"
    assert proved(text, text.replace("size", "rdonly_buf_size")) == ""
    assert proved(text, text.replace("msg", "note")) == Class.LOCAL_RENAME
    plain = text.replace("__bpf_kfunc ", "")
    assert proved(plain, plain.replace("size", "length")) == Class.LOCAL_RENAME
    for name in ("size__sz", "size__nullable"):
        assert (proved(plain, plain.replace("size", name)), proved(plain.replace("size", name), plain)) == ("", "")


def test_an_unused_macro_that_no_other_can_put_together() -> None:
    head = HEAD + "/* BOX limit */\n#define REG(x) BOX_REG_ ## x\n#define PINS(x) { x ## _pins, x ## _end ## _pins }\n"
    harmless_outside("-", "+#define BOX_LIMIT 3", Class.UNUSED_MACRO, head)
    harmless_outside("-", "+#define BOX_LIMIT NAMED(3)", Class.UNUSED_MACRO, head)
    for name in ("BOX_REG_LIMIT", "BOX_pins"):
        not_harmless_outside("-", f"+#define {name} 3", head)
    not_harmless_outside("-", "+#define BOX_LIMIT 3", head + "#define JOIN(a, b) a ## b\n")
    not_harmless_outside("-", "+#define BOX_LIMIT 3", head + "#define JOIN(a) BOX_ \\\n## a\n")


def test_what_is_no_local_variable_is_not_renamed() -> None:
    not_harmless("-n = b->msg;", "+n = b->note;")
    not_harmless("-msg: n = 1;", "+note: n = 1;")
    not_harmless("-n = BUG_ON(msg);", "+n = BUG_ON(note);")
    not_harmless("-take(n * LIMIT);", "+take(n * OTHER);")  # a product, no declaration
    not_harmless("-n = NOT LIMIT;", "+n = NOT OTHER;")
    not_harmless("-extern int msg;\n\n\tget(b, msg);", "+extern int note;\n\n\tget(b, note);")  # of another file
    not_harmless("-extern struct msg *volatile msg;\n\n\tget(b, msg);", "+extern struct msg *volatile note;\n\n\tget(b, note);")
    not_harmless("-far int msg;\n\n\tget(b, msg);", "+far int note;\n\n\tget(b, note);")  # a macro that may stand for `extern`
    harmless("-u8 __user *msg;\n\n\tget(b, msg);", "+u8 __user *note;\n\n\tget(b, note);", Class.LOCAL_RENAME)
    not_harmless("-n = sizeof(struct msg);", "+n = sizeof(struct note);")
    not_harmless("-int msg;\n\n\tget_prop(b, msg);", "+int note;\n\n\tget_prop(b, note);")  # a macro makes a string of it
    not_harmless("-int seen;\n\n\tpeek(b);", "+int note;\n\n\tpeek(b);")  # a macro of a header has the name in its body
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


def test_declarations_of_locals_in_another_order_change_registers() -> None:
    not_harmless("-int first;\n\tu8 second;", "+u8 second;\n\tint first;")


def test_declarations_that_run_code_at_the_end_of_their_scope() -> None:
    guard = "guard(mutex)(&b->lock);"
    harmless(f'-{guard}\n\tpr_debug("a");', f'+{guard}\n\tpr_debug("b");', Class.LOG_TEXT)
    not_harmless(f"-{guard}", "+")
    not_harmless(f"-{guard}", "+guard(mutex)(&b->other);")
    not_harmless(f"-{guard}\n\tn++;", f"+n++;\n\t{guard}")
    scoped = "scoped_guard(mutex, &b->lock)"
    not_harmless(f"-{scoped} {{\n\t\tn++;\n\t\tb->n = n;\n\t}}", f"+{scoped}\n\t\tn++;\n\tb->n = n;")
    not_harmless(f'-{scoped}\n\t\tpr_debug("x");\n\tn++;', f"+{scoped}\n\tn++;")  # the guard is held around what comes next
    free = "void *p __free(kfree) = get(b);"
    not_harmless(f"-{free}", "+")
    not_harmless(f"-{free}", "+void *p = get(b);")
    not_harmless(f"-{free}", "+void *p __free(kvfree) = get(b);")
    not_harmless(f"-{free}\n\tvoid *q __free(put) = get(b);", f"+void *q __free(put) = get(b);\n\t{free}")  # freed in the other order
    not_harmless("-void *p __free(kfree) = NULL;", "+")
    not_harmless("-int kfree;\n\tvoid *p __free(kfree) = NULL;\n\tget(kfree);", "+int n;\n\tvoid *p __free(kfree) = NULL;\n\tget(n);")
    not_harmless("-ACQUIRE(mutex_intr, lock)(&b->lock);", "+")
    not_harmless("-CLASS(fd, f)(n);\n\tget(b, f);", "+CLASS(fd, g)(n);\n\tget(b, g);")  # it pastes the name


def test_macros_of_newer_kernels_that_are_given_a_local() -> None:
    harmless("-struct box *p = kmalloc_obj(*p);\n\tget(p);", "+struct box *q = kmalloc_obj(*q);\n\tget(q);", Class.LOCAL_RENAME)
    not_harmless("-b->p = kmalloc_obj(*b);", "+b->p = kzalloc_obj(*b);")
    timer = "struct box *p = timer_container_of(p, t, timer);"
    harmless(f"-{timer}\n\tget(p);", "+struct box *q = timer_container_of(q, t, timer);\n\tget(q);", Class.LOCAL_RENAME)
    not_harmless(f"-{timer}", "+struct box *p = timer_container_of(p, t, other);")
    not_harmless(f"-int timer = n;\n\t{timer}\n\tget(timer);", f"+int count = n;\n\t{timer}\n\tget(count);")  # a member has the name
    not_harmless_outside('-EXPORT_SYMBOL_FOR_MODULES(f, "kvm");', '+EXPORT_SYMBOL_FOR_MODULES(f, "kvm,other");')
    not_harmless_outside('-EXPORT_SYMBOL_FOR_MODULES(f, "kvm");', "+")
    not_harmless_outside("-DEFINE_FREE(box, struct box *, if (_T) put(_T))", "+DEFINE_FREE(box, struct box *, put(_T))")
