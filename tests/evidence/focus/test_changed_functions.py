"""Which functions an edit changes, and which of them a fuzzer can be aimed at."""

from __future__ import annotations

import pytest

from hook.evidence.focus import changed_functions
from hook.verdict import Answer
from tests.small_kernel import Kernel

BEFORE = """
#define LIMIT 4
#define OVER(x) ((x) > LIMIT)
#define UNUSED 1

struct box {
	int count;
};

enum kind { FIRST, SECOND, THIRD };

static int leaf(int a)
{
	return a + 1;
}

static inline int tiny(int a)
{
	return a * 2;
}

static noinline int kept(int a)
{
	return a - 1;
}

static int callback(int a)
{
	return tiny(a);
}

static const struct ops table = { .call = callback };

int entry(int a)
{
	if (OVER(a))
		return leaf(a);
	return kept(a);
}

int other(struct box *b)
{
	return b->count + tiny(SECOND);
}

SYSCALL_DEFINE1(thing, int, a)
{
	return entry(a);
}
"""


def edited(old: str, new: str, path: str = "mm/x.c") -> tuple[list[str], list[str]]:
    assert BEFORE.count(old) == 1
    changed, aims = changed_functions.of_patch([changed_functions.of_file(path, BEFORE.encode(), BEFORE.replace(old, new).encode())])
    return [one.name for one in changed], [one.name for one in aims]


@pytest.mark.parametrize(
    ("old", "new", "changed", "aims"),
    [
        ("return a + 1;", "return a + 3;", ["leaf"], ["entry"]),  # called once: put into its caller
        ("return a - 1;", "return a - 3;", ["kept"], ["kept"]),
        ("return a * 2;", "return a * 3;", ["tiny"], ["callback", "other"]),
        ("return tiny(a);", "return tiny(a + 1);", ["callback"], ["callback"]),  # its address is taken
        ("return leaf(a);", "return leaf(a + 1);", ["entry"], ["entry"]),
        ("return entry(a);", "return entry(a + 1);", ["sys_thing"], ["sys_thing"]),
        ("#define LIMIT 4", "#define LIMIT 5", ["entry"], ["entry"]),  # by way of another macro
        ("#define UNUSED 1", "#define UNUSED 2", [], []),
        ("FIRST, SECOND,", "SECOND, FIRST,", ["other"], ["other"]),
        ("\tint count;\n", "\tlong count;\n", ["other"], ["other"]),
        ("};\n\nenum", "} __packed;\n\nenum", ["other"], ["other"]),
        ("return a + 1;", "return a + 1; /* why */", [], []),
        (".call = callback", ".call = callback, .more = 1", [], []),
    ],
)
def test_an_edit_and_what_it_changes(old: str, new: str, changed: list[str], aims: list[str]) -> None:
    assert edited(old, new) == (changed, aims)


UNSURE = """
static int middling(struct box *b, int a)
{
	if (b->count > a)
		return b->count - a * 2;
	if (b->count < -a)
		return b->count + a * 2;
	b->count = a;
	return b->count;
}

static int outer(struct box *b)
{
	return middling(b, 1) + middling(b, 2);
}

int first(struct box *b)
{
	return outer(b);
}

SYSCALL_DEFINE1(second, struct box *, b)
{
	return middling(b, 3);
}
"""


@pytest.mark.parametrize(
    ("old", "new", "together"),
    [
        ("b->count = a;", "b->count = a + 1;", {"middling": ("sys_second", "first"), "sys_second": (), "first": ()}),
        ("return middling(b, 3);", "return middling(b, 4);", {"sys_second": ()}),
        ("static int middling", "static noinline int middling", {"middling": ()}),  # it surely has an address
        ("static int middling", "int middling", {"middling": ()}),
        ("b->count = a;", "b->count = a; b->a = b->b = b->c = b->d = b->e = b->f = 0;", {"middling": ()}),  # larger: it mostly has one
    ],
)
def test_a_function_that_may_be_inlined_is_named_with_its_nearest_callers_that_surely_are_not(
    old: str, new: str, together: dict[str, tuple[str, ...]]
) -> None:
    assert UNSURE.count(old) == 1
    found = changed_functions.of_file("mm/x.c", UNSURE.encode(), UNSURE.replace(old, new).encode())
    assert {aim.name: aim.may_be_in for aim in found.aims} == together


BIG = "static int big(int a)\n{\n" + "\ta += a * 3;\n" * 20 + "\treturn a;\n}\n\n"
FIRST = "int first(int a)\n{\n\treturn big(a);\n}\n"
SECOND = FIRST.replace("first", "second")


@pytest.mark.parametrize(
    ("text", "callers"),
    [
        (BIG + FIRST + SECOND, ()),
        (BIG + FIRST + "#ifdef CONFIG_A\n" + SECOND + "#endif\n", ("first", "second")),  # perhaps it is called once
        (BIG + "#ifdef CONFIG_A\n" + FIRST + "#else\n" + SECOND + "#endif\n", ("first", "second")),
        ("#ifdef CONFIG_A\n" + BIG + FIRST + SECOND + "#endif\n", ()),
        ("#ifdef CONFIG_A\n" + BIG + FIRST + "# if B\n" + SECOND + "# endif\n#endif\n", ("first", "second")),
        (BIG + "#ifdef CONFIG_A\nint other;\n#endif\n" + FIRST + SECOND, ()),
        (BIG + FIRST.replace("big(a)", "big(a) + big(2)") + "#ifdef CONFIG_A\n" + SECOND + "#endif\n", ()),
    ],
)
def test_a_caller_that_may_not_be_compiled_leaves_a_function_with_one(text: str, callers: tuple[str, ...]) -> None:
    found = changed_functions.of_file("mm/x.c", text.encode(), text.replace("return a;", "return a + 1;").encode())
    assert next(aim.may_be_in for aim in found.aims if aim.name == "big") == callers


STATEMENT = "\tb.count += b.count * a;\n"
LARGE = f"""
static int large(int a)
{{
	struct box b = {{ .count = a }};

{STATEMENT * 25}	return b.count;
}}

int caller(int a)
{{
	int local = 1;

	return large(a) + local;
}}
"""


@pytest.mark.parametrize(
    ("old", "new", "aims"),
    [
        ("struct box b = {", "union box b = {", {"large": ("caller",), "caller": ()}),
        ("struct box b = {", "u8 n[64], b = {", {"large": ("caller",), "caller": ()}),
        ("struct box b = {", "struct box *b = {", {"caller": ()}),  # no object on its stack
        ("struct box b = {", "static struct box b = {", {"caller": ()}),
        ("struct box b = {", "static u8 b[64] = {", {"caller": ()}),
        ("int local = 1;", "struct box local;", {"caller": ()}),  # the caller has a large frame of its own
        (STATEMENT * 25, "", {"caller": ()}),  # not large
        ("static int large", "int large", {"large": ()}),
    ],
)
def test_a_large_function_with_objects_on_its_stack_may_be_kept_though_it_is_called_once(
    old: str, new: str, aims: dict[str, tuple[str, ...]]
) -> None:
    assert LARGE.count(old) == 1
    now = LARGE.replace(old, new).replace("return b.count;", "return b.count + 1;")
    found = changed_functions.of_file("mm/x.c", LARGE.encode(), now.encode())
    assert {aim.name: aim.may_be_in for aim in found.aims} == aims


LONG = f"""
static int long_one(int a)
{{
	{"a += a * 3;" * 20}
	return a;
}}

static int between(int a)
{{
	return long_one(a) + long_values[a] * a + {" + ".join(["a * 2"] * 11)};
}}

int first(int a)
{{
	return between(a);
}}

int second(int a)
{{
	return between(a + 1);
}}
"""


@pytest.mark.parametrize(
    ("old", "new", "aims"),
    [
        ("", "", {"long_one": ("first", "second"), "between": ("first", "second"), "first": (), "second": ()}),
        ("between(a + 1)", "a", {"first": ()}),  # its caller is called once too
        ("a += a * 3;" * 10, "", {"between": ("first", "second"), "first": (), "second": ()}),  # not long: it goes wherever its caller goes
        ("static int between", "static noinline int between", {"between": ()}),
    ],
)
def test_a_long_function_whose_only_caller_goes_into_several_may_be_kept(old: str, new: str, aims: dict[str, tuple[str, ...]]) -> None:
    now = LONG.replace(old, new, 1)
    found = changed_functions.of_file("mm/x.c", now.encode(), now.replace("return a;", "return a + 1;", 1).encode())
    assert {aim.name: aim.may_be_in for aim in found.aims} == aims


@pytest.mark.parametrize(
    ("code", "aims"),
    [
        ("stop(b);\n\tb->count = 0;\n\tfree(b->all);", {"put": ("first", "second"), "first": (), "second": ()}),
        ("stop(b);\n\tfree(b);", {"first": (), "second": ()}),  # so few tokens that it is always inlined
    ],
)
def test_a_small_function_with_several_callers_may_be_kept(code: str, aims: dict[str, tuple[str, ...]]) -> None:
    users = "".join(f"int {name}(struct box *b)\n{{\n\tput(b);\n\treturn {name}_of(b);\n}}\n\n" for name in ("first", "second"))
    before, after = (
        f"static void put(struct box *b)\n{{\n\t{text}\n}}\n\n{users}".encode() for text in (code, code.replace("stop", "end"))
    )
    assert {aim.name: aim.may_be_in for aim in changed_functions.of_file("mm/x.c", before, after).aims} == aims


def test_functions_that_call_each_other_in_a_circle_are_named_once() -> None:
    circle = UNSURE.replace("b->count = a;", "b->count = outer(b);")
    found = changed_functions.of_file("mm/x.c", UNSURE.encode(), circle.encode())
    assert sorted(aim.name for aim in found.aims) == ["first", "middling", "outer", "sys_second"]


def test_users_of_a_type_do_not_drown_the_functions_that_changed() -> None:
    both = BEFORE.replace("\tint count;\n", "\tlong count;\n").replace("return a - 1;", "return a - 3;")
    changed, _ = changed_functions.of_patch([changed_functions.of_file("mm/x.c", BEFORE.encode(), both.encode())])
    assert [one.name for one in changed] == ["kept"]


def test_functions_that_only_moved_did_not_change() -> None:
    head, leaf, rest = BEFORE.partition("static int leaf(int a)\n{\n\treturn a + 1;\n}\n")
    moved = head + rest.replace("int entry(int a)", f"{leaf}\nint entry(int a)")
    assert changed_functions.of_file("mm/x.c", BEFORE.encode(), moved.encode()).changed == ()


def test_new_and_removed_functions() -> None:
    added = BEFORE + "\nint fresh(void)\n{\n\treturn 1;\n}\n"
    found = changed_functions.of_file("mm/x.c", BEFORE.encode(), added.encode())
    assert [(one.name, one.gone) for one in found.changed] == [("fresh", False)] and [one.name for one in found.aims] == ["fresh"]
    gone = changed_functions.of_file("mm/x.c", added.encode(), BEFORE.encode())
    assert [(one.name, one.gone) for one in gone.changed] == [("fresh", True)] and gone.aims == ()
    assert {one.name for one in changed_functions.of_file("mm/x.c", b"", BEFORE.encode()).changed} >= {"entry", "leaf", "sys_thing"}


def verdict(kernel: Kernel, *args: str) -> dict[str, object]:
    import json

    return dict(json.loads(kernel.triage("check", "--format", "json", *args)))


def test_code_that_kcov_does_not_see_is_on_the_call_path(kernel: Kernel) -> None:
    kernel.commit("mm/Makefile", kernel.read("mm/Makefile") + "KCOV_INSTRUMENT_pool.o := n\n")
    kernel.stage("mm/pool.c", kernel.read("mm/pool.c").replace("--pool->count", "pool->count--"))
    found = verdict(kernel)
    assert (found["FocusSymbols"], found["Via"]) == ([], ["pool_get"])
    assert any("KCOV_INSTRUMENT_pool.o := n" in str(one) for one in found["Evidence"])  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("flags", "why"), [("export RUSTFLAGS_KCOV := -C\n", "aim at mm/pool.rs, not at"), ("\n", "does not instrument Rust")]
)
def test_a_function_of_rust_is_named_and_its_file_is_the_aim(kernel: Kernel, flags: str, why: str) -> None:
    kernel.commit("scripts/Makefile.kcov", flags)
    kernel.commit("mm/pool.rs", "impl Pool {\n    fn get(&self) -> u32 {\n        1\n    }\n}\n")
    kernel.stage("mm/pool.rs", kernel.read("mm/pool.rs").replace("1", "2"))
    found = verdict(kernel)
    assert (found["FocusSymbols"], found["ChangedFunctions"], found["Via"]) == ([], ["pool::Pool::get"], ["pool::Pool::get"])
    assert (found["Functional"], found["Reachable"]) == ("unknown", "unknown")
    assert any(why in str(fact) for fact in found["Evidence"])  # type: ignore[attr-defined]


def test_the_only_caller_of_a_changed_function_is_on_the_call_path(kernel: Kernel) -> None:
    kernel.commit("mm/user.c", "int user(void)\n{\n\treturn helper();\n}\n")
    kernel.commit("mm/helper.c", "int helper(void)\n{\n\treturn 1;\n}\n")
    kernel.triage("index")
    kernel.stage("mm/helper.c", "int helper(void)\n{\n\treturn 2;\n}\n")
    found = verdict(kernel)
    assert (found["FocusSymbols"], found["Via"], found["ChangedFunctions"]) == (["helper"], ["user"], ["helper"])


def test_the_verdict_of_a_cached_change_is_judged_anew_where_what_it_rests_on_changed(kernel: Kernel) -> None:
    kernel.stage("mm/pool.c", kernel.read("mm/pool.c").replace("--pool->count", "pool->count--"))
    assert verdict(kernel)["FocusSymbols"] == ["pool_get"]
    kernel.git("stash", "-q")
    kernel.commit("mm/Makefile", kernel.read("mm/Makefile") + "KCOV_INSTRUMENT := n\n")
    kernel.git("stash", "pop", "-q", "--index")
    assert verdict(kernel)["FocusSymbols"] == []


def test_harmless_and_out_of_reach_changes_have_no_focus(kernel: Kernel) -> None:
    kernel.stage("arch/arm64/kernel/trap.c", kernel.read("arch/arm64/kernel/trap.c") + "int more(void)\n{\n\treturn 1;\n}\n")
    found = verdict(kernel)
    assert (found["Reachable"], found["FocusSymbols"], found["ChangedFunctions"]) == (Answer.NO, [], [])


def test_users_of_a_header_are_aimed_at_where_nothing_else_can_be(kernel: Kernel) -> None:
    kernel.write("include/linux/box.h", "struct box {\n\tint n;\n};\n\nstatic inline int box_size(struct box *b)\n{\n\treturn b->n;\n}\n")
    kernel.write(
        "mm/box.c",
        "/* box_size is fun */\nint other_box(void)\n{\n\treturn 1;\n}\n\nint use_box(struct box *b)\n{\n\treturn box_size(b);\n}\n",
    )
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "box")
    kernel.triage("index")
    kernel.stage("include/linux/box.h", kernel.read("include/linux/box.h").replace("return b->n;", "return b->n + 1;"))
    found = verdict(kernel)
    assert (found["FocusSymbols"], found["ChangedFunctions"]) == (["use_box"], ["box_size"])
    kernel.stage("include/linux/box.h", kernel.read("include/linux/box.h").replace("b->n + 1;", "b->n;").replace("\tint n;", "\tlong n;"))
    assert verdict(kernel)["FocusSymbols"] == ["use_box"]
    kernel.stage("mm/pool.c", kernel.read("mm/pool.c").replace("--pool->count", "pool->count--"))
    assert verdict(kernel)["FocusSymbols"] == ["pool_get"]


def test_a_table_that_changed_gives_what_it_names_now_or_who_uses_it() -> None:
    text = "static int a(void)\n{\n\treturn 1;\n}\n\nstatic int b(void)\n{\n\treturn 2;\n}\n"
    text += "static const struct ops table = { .call = a, .size = 1 };\n\nint run(void)\n{\n\treturn table.call();\n}\n"
    for old, new, aims in ((".call = a", ".call = b", ["b"]), (".size = 1", ".size = 2", ["run"])):
        found = changed_functions.of_file("mm/x.c", text.encode(), text.replace(old, new).encode())
        assert (found.changed, [aim.name for aim in found.aims]) == ((), aims)


@pytest.mark.parametrize(
    ("head", "instrumented"),
    [
        ("DEFINE_IDTENTRY_RAW(exc_thing)", False),
        ("DEFINE_IDTENTRY_RAW_ERRORCODE(exc_thing)", False),
        ("DEFINE_IDTENTRY(exc_thing)", False),
        ("DEFINE_FREDENTRY_NMI(exc_thing)", False),
        ("DEFINE_IDTENTRY_SYSVEC(exc_thing)", True),
        ("noinstr void exc_thing(void)", False),
        ("void exc_thing(void)", True),
    ],
)
def test_what_kcov_sees_of_the_handler_of_an_exception(head: str, instrumented: bool) -> None:
    text = f"{head}\n{{\n\thandle(1);\n}}\n"
    aims = changed_functions.of_file("arch/x86/kernel/traps.c", text.encode(), text.replace("(1)", "(2)").encode()).aims
    assert [(aim.name, aim.instrumented) for aim in aims] == [("exc_thing", instrumented)]


def test_no_name_is_of_another_architecture_or_of_a_file_that_is_not_built(kernel: Kernel) -> None:
    """The index holds files of all architectures and options; the kernel that is fuzzed does not."""
    kernel.write("mm/Makefile", kernel.read("mm/Makefile") + "obj-y += helper.o\nobj-$(CONFIG_POOL) += user.o\nobj-y += always.o\n")
    user = "int {}(struct box *b)\n{{\n\treturn helper() + box_size(b);\n}}\n"
    for path, name in (("arch/arm64/kernel/user.c", "user_arm"), ("mm/user.c", "user_pool"), ("mm/always.c", "user_always")):
        kernel.write(path, user.format(name))
    kernel.write("mm/helper.c", "int helper(void)\n{\n\treturn 1;\n}\n")
    header = "struct box {\n\tint n;\n};\n\nstatic inline int box_size(struct box *b)\n{\n\treturn b->n;\n}\n"
    kernel.write("include/linux/box.h", header)
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "users")
    kernel.triage("index", "--quiet")
    kernel.stage("mm/helper.c", "int helper(void)\n{\n\treturn 2;\n}\n")
    found = verdict(kernel)
    assert (found["FocusSymbols"], found["Via"], found["EnableConfigs"]) == (["helper"], ["user_always"], [])
    kernel.git("reset", "-q", "--hard")
    kernel.stage("include/linux/box.h", header.replace("return b->n;", "return b->n + 1;"))
    assert (verdict(kernel)["FocusSymbols"], verdict(kernel)["EnableConfigs"]) == (["user_always"], [])


def test_where_only_what_is_not_built_uses_a_header_its_option_is_asked_for(kernel: Kernel) -> None:
    kernel.write("mm/Makefile", kernel.read("mm/Makefile") + "obj-$(CONFIG_POOL) += user.o\n")
    header = "static inline int box_size(int n)\n{\n\treturn n;\n}\n"
    kernel.write("include/linux/box.h", header)
    kernel.write("mm/user.c", "int user(int n)\n{\n\treturn box_size(n);\n}\n")
    kernel.git("add", "-A", "-f")
    kernel.git("commit", "-qm", "user")
    kernel.triage("index", "--quiet")
    kernel.stage("include/linux/box.h", header.replace("return n;", "return n + 1;"))
    found = verdict(kernel)
    assert (found["FocusSymbols"], found["EnableConfigs"]) == (["user"], ["POOL"])


TABLES = """
enum sizes { SMALL = 1, NEXT, LARGE = 10, TWICE = LARGE * 2, LAST = 99 };
static int show(int a)
{
	return a + NEXT;
}
static int store(int a)
{
	return a + LAST;
}
static int both(int a)
{
	return a + TWICE;
}
static const struct nla_policy store_policy[] = { [1] = { .type = NLA_U8 }, [2] = { .type = NLA_U8, .len = 4 } };
static const struct nla_policy parsed_policy[] = { [1] = { .type = NLA_U16 } };
static const struct genl_ops ops[] = {
	{ .cmd = 1, .doit = show, .flags = ADMIN },
	{ .cmd = 2, .doit = store, .policy = store_policy },
};
int parse(void)
{
	return nla_parse(parsed_policy) + both(1);
}
"""


@pytest.mark.parametrize(
    ("old", "new", "aims"),
    [
        (".flags = ADMIN", ".flags = 0", ["show"]),  # another member of its entry
        (".doit = show, ", ".doit = both, ", ["both"]),
        (".cmd = 2", ".cmd = 3", ["store"]),
        (".len = 4", ".len = 8", ["store"]),  # by the entry that has the policy
        (".type = NLA_U16", ".type = NLA_U32", ["parse"]),
        ("SMALL = 1", "SMALL = 2", ["show"]),  # the next one is counted from it
        ("LARGE = 10", "LARGE = 20", ["both"]),
        ("LAST = 99", "LAST = 98", ["store"]),
        ("{ SMALL", "{\n#ifdef X\nSMALL", ["show", "store", "both"]),
    ],
)
def test_an_entry_of_a_table_and_the_value_of_a_constant_name_who_has_them(old: str, new: str, aims: list[str]) -> None:
    assert TABLES.count(old) == 1
    text = TABLES.replace("static int both", "static noinline int both")
    found = changed_functions.of_file("net/x.c", text.encode(), text.replace(old, new).encode())
    assert [aim.name for aim in found.aims] == aims
