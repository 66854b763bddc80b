"""What a C file defines, in the forms that kernel code has."""

from __future__ import annotations

import pytest

from hook.c.definitions import DefinitionKind, definitions, scan
from hook.source.indexing.defined_names import defined_names

FUNCTIONS = {
    "int f(void)\n{\n}\n": "f",
    "static inline struct page *f(int a) { return 0; }\n": "f",
    "static void __printf(1, 2) f(const char *fmt, ...)\n{\n}\n": "f",
    "static void f(int a)\n\t__releases(&lock)\n\t__acquires(&lock)\n{\n}\n": "f",
    "void (*f(int a))(void)\n{\n}\n": "f",
    "static __init int\nf(int a,\n  int b)\n{\n}\n": "f",
    "EXPORT_SYMBOL(g);\nDEFINE_X(y)\nstatic int f(void)\n{\n}\n": "f",
    "SYSCALL_DEFINE3(f, int, a, int, b, int, c)\n{\n}\n": "sys_f",
    "COMPAT_SYSCALL_DEFINE1(f, int, a)\n{\n}\n": "compat_sys_f",
    "DEFINE_IDTENTRY_IRQ(f)\n{\n}\n": "f",
    "BPF_CALL_2(f, int, a, int, b)\n{\n}\n": "f",
    "int f(void) /* { */\n{ // }\n\tchar *s = \"}\"; char c = '}';\n}\n": "f",
    "#ifdef A\nint f(int a)\n{\n#else\nint f(void)\n{\n#endif\n}\n": "f",
    "int f(void)\n{\n#ifdef A\n\tif (x) {\n#else\n\tif (y) {\n#endif\n\t}\n}\n": "f",
    "int f(void)\n{\n\tstatic const struct s all[] = {\n\t{ 1 },\n};\n\treturn all[0].n;\n}\n": "f",
    "void __attribute__((weak)) f(void)\n{\n}\n": "f",
}


@pytest.mark.parametrize("text", FUNCTIONS)
def test_a_function_has_its_name_and_its_lines(text: str) -> None:
    found = [one for one in scan((text + "int after(void)\n{\n}\n").encode()).definitions if one.kind is DefinitionKind.FUNCTION]
    assert [one.name for one in found] == [FUNCTIONS[text], "after"]
    lines = text.split("\n")
    bare = FUNCTIONS[text].removeprefix("compat_").removeprefix("sys_")
    assert bare in lines[found[0].line - 1] and lines[found[0].last_line - 1].endswith("}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#define F(x) \\\n\tg(x)\n", {("F", "macro")}),
        ("struct s { int a; };", {("s", "struct")}),
        ("struct s { int a; } __packed v;", {("s", "struct"), ("v", "variable")}),
        ("union u { struct inner { int a; } i; };", {("u", "union"), ("inner", "struct")}),
        ("enum e { A, B = F(1, 2), C };", {("e", "enum"), ("A", "enum constant"), ("B", "enum constant"), ("C", "enum constant")}),
        ("typedef struct { int a; } t;", {("t", "typedef")}),
        ("typedef int (*fn_t)(int, int);", {("fn_t", "typedef")}),
        ("typedef int fn_t(int);", {("fn_t", "typedef")}),
        ("static int a = 1, *b, c[3];", {("a", "variable"), ("b", "variable"), ("c", "variable")}),
        ("static const struct ops o = {\n\t.open = f,\n};", {("o", "variable")}),
        ("static const struct { int a; } t[] = {\n\t{ 1 },\n};", {("t", "variable")}),
        ("static int (*hook)(int) = f;", {("hook", "variable")}),
        ("static int x __read_mostly;", {("x", "variable")}),
        ("static DEFINE_PER_CPU(struct foo, counters);", {("counters", "variable")}),
        ("static DEFINE_MUTEX(lock);\nstatic LIST_HEAD(all);", {("lock", "variable"), ("all", "variable")}),
        ("int f(int);\nextern int x;\nstruct s;\n", set()),
        ("#if 0\nint f(void)\n{\n}\n#define X\n#else\nint g(void)\n{\n}\n#endif\n", {("g", "function")}),
        ("#if 0\n#if 1\nint f(void) { }\n#endif\n#endif\nint g(void) { }\n", {("g", "function")}),
        ("/* int f(void) { } */ int g(void) { }", {("g", "function")}),
        ("else if(x) {\n}\nint g(void) { }", {("g", "function")}),  # a body whose head was not seen
        ("struct s asm(x) { int a; };\nint g(void) { }", {("s", "struct"), ("g", "function")}),
        # what is taken out before names alone are looked for ends where the scanner ends it
        ("u8 a[2] = {\n\t1, 2}\n;\nu8 b[2] = {\n\t3,\n};\n", {("a", "variable"), ("b", "variable")}),
        (
            "enum e\n{\n\tA,\n} v;\nint f(int (*g)(int))\n{\n\treturn 0;\n}\n",
            {("e", "enum"), ("A", "enum constant"), ("v", "variable"), ("f", "function")},
        ),
        ("int f(void)\n{\n#ifdef A\n\treturn 0;\n}\n#else\n\treturn 1;\n}\n#endif\nint x;\n", {("f", "function"), ("x", "variable")}),
        ("#ifdef A\nint f(void)\n#else\nint g(void)\n#endif\n{\n\treturn 0;\n}\nint x;\n", {("g", "function"), ("x", "variable")}),
        ("int f(void) __must_hold(x)\n{\n\treturn 0;\n}\nDEFINE_CALL(g)\n{\n\treturn 0;\n}\n", {("f", "function"), ("g", "function")}),
        (
            "int f(void)\n{\n\tif (x) {\n}\n\nint g(void)\n{\n\treturn 0;\n}\nint x;\n",
            {("f", "function"), ("g", "function"), ("x", "variable")},
        ),
        ("int f(void)\n{\n\t#define IN 1\n\treturn g(IN);\n}\n", {("f", "function"), ("IN", "macro")}),
    ],
)
def test_other_definitions(text: str, expected: set[tuple[str, str]]) -> None:
    assert {(one.name, str(one.kind)) for one in scan(text.encode()).definitions} == expected
    assert defined_names(text.encode(), "x.c") == {name.encode() for name, _ in expected}


@pytest.mark.parametrize(
    "text",
    [
        "int f(void)\n{\n\tg(); /* } */\n}\nint a;\n",
        "/* int f(void)\n{\n*/\nint a;\n/* }\n}\n*/\nint b;\n",  # a body that begins in a comment
        "/*\nint f(void)\n{\n\tg();\n}\n*/\nint a;\n",
        "int f(void)\n{\n/*\n}\nint no;\n*/\n}\nint a;\n",  # the brace is in a comment
        'int f(void)\n{\n\tg("/*");\n}\nint a;\n/* */\n',
        "int f(void)\n{\n\tg(); // x \\\n}\n}\nint a;\n",  # the comment goes on in the next line
        "int f(void)\n{\n#define IN_IT 1\n}\nint a;\n",
        "int f(void)\n{\n};\nint a;\n",
        "enum kind __attribute__((packed))\n{\n\tONE,\n\tTWO\n} kinds;\n",
        "enum kind __attribute__((packed))\n{\n\tONE,\n}\nkinds;\nint a;\n",
        "enum kind __aligned(8)\n{\n\tONE = sizeof(struct { int a; }),\n} kinds;\n",
        "int f(void)\n{\n\tif (x) {\n{\n}\nint g(void)\n{\n}\n",
        "int f(void)\n{\n#ifdef A\n#endif\n\tif (a) {\n\t\tg();\nh(2);\n\t}\n\tint b;\n}\nint x;\n",  # a call in the first column
        "#if 0\nint f(void)\n{\n\tg();\n}\n#define A 1\n#elif B\nint h(void)\n{\n\tg();\n}\n#endif\nint a;\n",
        "#if 0\ndon't\nint f(void)\n{\n\tg();\n}\n#endif\nint h(void)\n{\n\tg();\n}\n",
        "#if 0\nint f(void)\n#else\nint h(void)\n#endif\n{\n\tg();\n}\n#define A # if\nint a;\n",
        "int g(int a);\nint x;\n",
        "int a __aligned(8);\nint b;\n",
        "int a\n__attribute__((aligned(8)));\nint b __aligned(4);\n",
        ';\nregister long sp asm("r1");\nint b;\n',
        ";\nregister long sp asm(r1);\nint b;\n",
        "int x;\nDEFINE_MUTEX(a);\nLIST_HEAD(b);\nstatic DEFINE_SPINLOCK(c);\nBLOCKING_NOTIFIER_HEAD(d);\n",
        "int x;\nint (*hook)(int);\nint (__user *hook2)(int);\n",
        "int x;\ntypedef int f_t(int);\ntypedef struct s s_t;\n",
        "int x;\ntypedef int\nf_t(int);\n",
        "static int\n#ifdef A\nint g(void);\n#endif\nx;\n",
        "int a;\n#ifdef A\nint g(void);\n#else\nstruct h;\n#endif\nint x;\n",
        "int a;\n#ifdef A\nextern int g;\n#endif\nstatic int x;\n",
        "int a;\nstruct s {\n\tint b;\n\tint f(int);\n};\nint x;\n",
        "int a;\nstruct s {\n\tint b;\n} v;\nint x;\n",
        "int a;\nstruct s {\n\tint b;\n} __packed;\nint x;\n",
        "int a;\nstruct s {\n#ifdef A\n\tint b;\n#endif\n};\nint x;\n",
        "int a;\nstruct s {\n\tstruct t { int b; } c;\n};\nint x;\n",
        "int a;\nstatic\nstruct s {\n\tint b;\n};\nint x;\n",
        "int a;\ntypedef\nstruct s {\n\tint b;\n} s_t;\nint x;\n",
        "M(x)\nstruct s {\n\tint b;\n};\nint x;\n",
        "int f(void)\n{\n\tif (x) {\n}\nint a;\nstruct s {\n\tint b;\n};\nint x;\n",
        "struct s {\n\tint a;\n} v = {\n\t1,\n};\nint x;\n",
        "struct s {\n\tint a;\n} v[] = {\n\t1,\n}, w;\nint x;\n",
        "static struct s v = {\n\t1,\n}, w = {\n\t2,\n};\nint x;\n",
        "static struct s v[2][3] __initdata = {\n\t1,\n};\nint x;\n",
        "static struct s v[A(3)] = {\n\t1,\n};\nint x;\n",
        "struct s v __aligned(8) = {\n\t1,\n};\nint x;\n",
        "struct s *v[] = {\n\t1,\n};\nint x;\n",
        "u8 v[] = {\n\t1,\n};\nint x;\n",
        "const u8 *const v[] = {\n\t1,\n};\nint x;\n",
        "v = {\n\t1,\n};\nint x;\n",
        "static v = {\n\t1,\n};\nint x;\n",
        "static const struct s v __initconst = {\n\t1,\n};\nint x;\n",
        "static const struct s __v = {\n\t1,\n};\nint x;\n",
        "static __maybe_unused const struct s v = {\n\t1,\n};\nint x;\n",
        "static const struct s\n#ifdef A\nv\n#else\nw\n#endif\n= {\n\t1,\n};\nint x;\n",
        "#ifdef A\nstatic const struct s v[] = {\n#else\nstatic const struct s w[] = {\n#endif\n\t1,\n};\nint x;\n",
        "int f(void)\n{\n\tstatic const struct s all[] = {\n\t{ 1 },\n};\n\treturn 0;\n}\nint x;\n",
        "int f(void)\n{\n\tstatic const struct s all[] = {\n\t1,\n};\n\treturn 0;\n}\nint x;\n",
        "int f(void)\n{\n#ifdef A\n\tstatic const struct s all[] = {\n\t1,\n};\n#endif\n\treturn 0;\n}\nint x;\n",
        "static struct s a = {\n\t.b = {\n\t\t1,\n};\nstatic struct s c = {\n\t1,\n};\nint x;\n",
        "int f(a)\nint a;\n{\n}\nint x;\n",
        "int x;\nint f(a)\nint a;\n{\n#ifdef A\n#endif\n}\nint y;\n",
        "int x;\nstruct s *f(int a)\n{\n#if A\n\tg(a);\n#endif\n}\nint y;\n",
        "int x;\nfoo(a);\nbar(b)\nint y;\n",
        "int x;\nenum e;\nenum f {\n\tA,\n\tB\n};\nstruct s\n{\n\tint a;\n};\nunion u { int b; };\n",
        "int x;\nint g(int a), h;\nint y;\n",
        'int x;\nMODULE_LICENSE("GPL");\nmodule_init(f);\nint y;\n',
        "int x;\nextern DEFINE_PER_CPU(int, y);\nDECLARE_PER_CPU(int, z);\nextern struct s LIST_HEAD(q);\n",
        "int x;\nmy_DEFINE_A(q);\nmyHEAD(r);\nmy_HEAD(t);\nint aDEFINE(u);\n",
        "int x;\nint g(int (*h)(int));\nint y(int a)[3];\n",
        "int x;\nint g(a) = 3;\nint y = g(2);\n",
        "\n} ;\n} ;\nint x;\n",
    ],
)
def test_what_is_taken_out_of_a_file_changes_no_name(text: str) -> None:
    assert defined_names(text.encode(), "x.c") == {one.name.encode() for one in scan(text.encode()).definitions}


def test_a_lost_brace_costs_no_more_than_its_table() -> None:
    found = scan(b"static struct s t = {\n\t.a = {\n\t\t1,\n};\nint after(void)\n{\n}\n").definitions
    assert [one.name for one in found] == ["t", "after"]
    # whatever the function before it has in braces
    before, after = b"int f(void)\n{\n\tint a[] = { 1 };\n}\n", b"int after(void) {\n}\n"
    found = scan(before + b"static struct s t = {\n\t.a = {\n\t\t1,\n};\n" + after).definitions
    assert [one.name for one in found] == ["f", "t", "after"]


def test_a_lost_brace_costs_no_more_than_its_function() -> None:
    text = b"int f(void)\n{\n\tif (x) {\n}\n\nint g(void)\n{\n}\n"
    assert [one.name for one in scan(text).definitions] == ["f", "g"]


def test_the_code_of_a_scan_has_the_lines_of_the_file() -> None:
    text = b'/* a\nb */ int f(void)\n{\n\tg("x\\\ny");\n}\n#define A \\\n\tB\n'
    assert scan(text).code.count(b"\n") == text.count(b"\n") and len(scan(text).code) == len(text)


def test_assembly_and_options_are_found_by_their_own_forms() -> None:
    assert defined_names(b"SYM_FUNC_START(memcpy)\n\tret\n", "arch/x86/lib/memcpy_64.S") == {b"memcpy"}
    found = definitions(b'menuconfig NET\n\tbool "net"\n\nconfig INET # comment\n\tbool\n', "net/Kconfig").definitions
    assert [(one.name, one.line) for one in found] == [("NET", 1), ("INET", 4)]
    assert defined_names(b"int f(void) { }", "notes.txt") == set()


@pytest.mark.parametrize(
    "odd", [b"", b"{", b"}" * 50, b"#if\n#else\n#endif\n#endif", b"'", b'"', b"/*", b"\\", b"int f(", b"= { { {", b"\xff\x00{;}"]
)
def test_odd_text_defines_nothing_and_breaks_nothing(odd: bytes) -> None:
    assert scan(odd).definitions == ()
