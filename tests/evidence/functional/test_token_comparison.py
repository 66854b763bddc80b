"""Which edits are proved to change nothing, and the traps that must not be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hook.c.tokens.c_tokens import _LINE_TOKEN
from hook.evidence.functional import token_comparison

HARMLESS = {
    "c": [
        ("int a; /* x */", "int a; /* y */"),
        ("int a; // x\nint b;", "int a;\n\n\nint b;\n"),
        ("int a;", "int a;\n"),
        ("if(x==1){", "if (x == 1) {"),
        ("\tx = 1;\r\n\ty = 2;\r\n", "\tx = 1;\n\ty = 2;\n"),
        ("a;\fb;", "a;\n\nb;"),
        ("/* caf\xe9 */ a;", "/* caf\xc3\xa9 */ a;"),
        ("f(a,\n  b);", "f(a, b);"),
        ("f(a,b);", "f(a, b);"),
        ("f( a );", "f(a);"),
        ("BUG_ON( a );", "BUG_ON(a);"),
        ("#define  f(x)   x /* y */", "#define f(x) x"),
        ("#  define f(x) \\\n\tx", "#define f(x) x"),
        ("#if defined(A)&&B\n#endif /* A */", "#if defined(A) && B\n#endif"),
        ('char *s = "/* no */"; /* x */', 'char *s = "/* no */"; // y'),
        ("c = '\"'; /* x */ d = '\\'';", "c = '\"'; d = '\\'';"),
        ('s = "a"\n    "b";', 's = "a" "b";'),
        ("#error Can't do that\nint a; // x", "#error Can't do that\nint a;"),
        ("int a\\\nb;", "int ab;"),
        ("// x \\\n more\nint a;", "int a;"),
        ("int a; /* x */ /* y", "int a; /* x */ /* y"),
    ],
    "asm": [
        ("\tmov %eax, %ebx /* x */\n", "\tmov  %eax, %ebx\n"),
        ("\tret\n\n\n\tnop", "\tret\n\tnop\n"),
        ("\tret // x\n", "\tret\n"),
    ],
    "rust": [
        ("let a = 'a'; // x", "let a = 'a';"),
        ("fn f<'a>(x: &'a u8) /* a /* b */ c */ {}", "fn f<'a>(x: &'a u8) {}"),
        ('let s = r#"// " "#; // x', 'let s = r#"// " "#; // y'),
        ("//// no documentation\nx", "x"),
    ],
    "make": [
        ("# x\nobj-y += a.o\n\n", "# y\n\nobj-y += a.o\n"),
    ],
    "kconfig": [
        ('config A\n\tbool "a"\n\thelp\n\t  x\n\n\t  y\nconfig B\n', 'config A\n\tbool "b"\n\n\thelp\n\t z\n# c\nconfig B\n'),
        ('menu "a"\nendmenu', 'menu "b"\nendmenu\n'),
    ],
}
TRAPS = {
    "c": [
        ("/* x\n * y */ a;", "/* x */\n * y; a;"),
        ("/* a; */ b;", "/* a; b;"),
        ("// x\na;", "// x \\\na;"),
        ("// x\na;", "// x \\  \na;"),
        ("x = y /*p; /* */;", "x = y / *p; /* */;"),
        ("x = y / *p; /* */", "x = y /*p; /* */"),
        ('s = "/*"; a; /* x */', 's = "/*"; /* x */'),
        ('s = "a // b";', 's = "a // c";'),
        ('s = "a b";', 's = "a  b";'),
        ("#define f(x) x", "#define f (x) x"),
        ("#define A a b", "#define A a\n b"),
        ("#define A a+b", "#define A a + b"),
        ("#define A \\\n\tb", "#define A\n\tb"),
        ("int b; #define A", "int b;\n#define A"),
        ("#if 0\na\n#endif", "#if 0\nb\n#endif"),
        ("#if 0\na\n#endif", "#if 1\na\n#endif"),
        ("#if 0\ndon't /* x */\n#endif", "#if 0\ndon't /* y */\n#endif"),
        ("a+++b;", "a+ ++b;"),
        ("- -x;", "--x;"),
        ("int x;", "intx;"),
        ("int/**/x;", "intx;"),
        ("a<:0:>;", "a[0];"),
        ("c = '\"'; /* x */", "c = '\"; /* x */'"),
        ("c = '\\''; a; // '", "c = '\\'; a; // '"),
        ("#include <a.h>\n#include <b.h>", "#include <b.h>\n#include <a.h>"),
        ("#include <a//b.h>", "#include <a//c.h>"),
        ("BUG_ON(x ==1);", "BUG_ON(x == 1);"),
        ("f(cpu-cycles);", "f(cpu - cycles);"),
        ("__section(.init.text)", "__section(.init .text)"),
        ("#define f(x...) #x\nf(a,b);", "#define f(x...) #x\nf(a, b);"),
        ("__stringify(a,b);", "__stringify(a, b);"),
        ("A(b)(c+d);", "A(b)(c + d);"),
        ("F(\n#ifdef X\na)\n#else\nb+c)\n#endif", "F(\n#ifdef X\na)\n#else\nb + c)\n#endif"),
        ('x = R"(/* a */)";', 'x = R"(/* b */)";'),
        ("// x ??/\na;", "// y ??/\na;"),
        ("/* x", "/* y"),
        ("a; // x\\", "a; // y\\"),
        ("a \0 /* x */", "a \0 /* y */"),
        ("a \\ b;", "a  \\  c;"),
        ("0xe+1;", "0xe +1;"),
        ("L'a';", "L 'a';"),
        (".macro a\n\tmov\n\tret\n.endm", ".macro a\n\tmov ret\n.endm"),
        ("#ifdef __ASSEMBLY__\n\tmov\n\tret\n#endif", "#ifdef __ASSEMBLY__\n\tmov ret\n#endif"),
    ],
    "asm": [
        ("\tnop\n\tret", "\tnop ret"),
        ("\tret # x", "\tret # y"),
        ("# don't /* x */\n", "# don't /* y */\n"),
        ('.ascii "a  b"', '.ascii "a b"'),
        ("mov r0, #1", "mov r0, # 1"),
    ],
    "rust": [
        ("/// x\nfn f() {}", "/// y\nfn f() {}"),
        ("/* /* a */ b", "/* /* a */ */ b"),
        ('m!("a"r"\\" // one\n"); //"', 'm!("a"r"\\" // two\n"); //"'),
        ('m!(\'a\'r"\\" // one\n"); //"', 'm!(\'a\'r"\\" // two\n"); //"'),
        ("let c = /* \u00e9 */ column!();", "let c = /* ee */ column!();"),
        ("---\n/*\n---\nfn f() -> u8 { 1 }\n// */", "---\n/*\n---\nfn f() -> u8 { 2 }\n// */"),
        ('global_asm!(".incbin \\"a.rs\\""); // a', 'global_asm!(".incbin \\"a.rs\\""); // b'),
        ('r#"a"#', 'r#"b"#'),
        ('"// a"', '"// b"'),
        ("assert!(a==b)", "assert!(a == b)"),
        ("a & &b", "a && b"),
        ('#! "\nlet s = "// a";', '#! "\nlet s = "// b";'),
        ("b'\"' // x\"", 'b\'"\' // y"\n"z"'),
        ("/* a */ column!()", "/* ab */ column!()"),
        ("// a\nlet l = line /**/ !();", "let l = line /**/ !();"),
        ("macro_rules! l { () => { line!() } }\n\nl!()", "macro_rules! l { () => { line!() } }\nl!()"),
        ("use core::line as l;\n\nl!()", "use core::line as l;\nl!()"),
        ("Location::caller().line()\n\nf()", "Location::caller().line()\nf()"),
        ('// a\ninclude_str!("self.rs")', '// b\ninclude_str!("self.rs")'),
        ("'a'/* '\"' */b'\\'' // \"", "'a'b'\\'' /* '\"' */ // \""),
        ('br##"a"# // b"##', 'br##"a"# // c"##'),
        ('cr"// a"', 'cr"// b"'),
        ("/*! a */ b", "/*! c */ b"),
        ("/** a */ b", "/** c */ b"),
        ("f!(a /**/)", "f!(a)"),
    ],
    "make": [
        ("A = b\n", "A = b \n"),
        ("A = b \\\n# x\n", "A = b \\\n# y\n"),
        ("# x\nB = 1", "# x \\\nB = 1"),
        ("define a\n# x\nendef", "define a\n# y\nendef"),
        ("define a\n\tendef\n# x\nendef", "define a\n\tendef\n# y\nendef"),
        ("define a\nendef#\n# x\nendef", "define a\nendef#\n# y\nendef"),
        ("a:\n\t# x\n", "a:\n\t# y\n"),
        ("A = b # x", "A = b # y"),
    ],
    "kconfig": [
        ('config A\n\tbool "a"', "config A\n\tbool"),
        ('config A\n\tbool "a"', 'config A\n\tbool "a" if B'),
        ('config A\n\tbool "a"', 'config A\n\ttristate "a"'),
        ("config A\n\thelp\n\t  x\n\tselect B", "config A\n\thelp\n\t  x\n\t  select B"),
        ("config A\n\thelp\n\t  x\n\t  select B", "config A\n\thelp\n\t  x\n\tselect B"),
        ('config A\n\tdefault "a"', 'config A\n\tdefault "b"'),
        ('config A\n\tbool "$(a)"', 'config A\n\tbool "$(b)"'),
        ("config A\n\tdepends on B # c", "config A\n\tdepends on B || C"),
        ("help\nconfig A", "help\n config A"),
    ],
}


def _cases(table):
    return [(language, old, new) for language, pairs in table.items() for old, new in pairs]


@pytest.mark.parametrize(("language", "old", "new"), _cases(HARMLESS))
def test_an_edit_that_no_compiler_sees_is_proved_harmless_both_ways(language, old, new):
    for one, other in ((old, new), (new, old)):
        compared = token_comparison.compare(language, one.encode("latin-1"), other.encode("latin-1"))
        assert compared.same, compared
        assert compared.change_class and compared.why


@pytest.mark.parametrize(("language", "old", "new"), _cases(TRAPS))
def test_a_trap_is_not_proved_harmless_either_way(language, old, new):
    for one, other in ((old, new), (new, old)):
        compared = token_comparison.compare(language, one.encode("latin-1"), other.encode("latin-1"))
        assert not compared.same
        assert compared.change_class == "" and compared.why


@pytest.mark.parametrize(
    ("language", "old", "new", "change_class"),
    [
        ("c", "int a;", "int  a;", "white space"),
        ("c", "/* x */ a;", "/* y */ a;", "comment"),
        ("c", "/** x */ a; // z", "/** y */ a; // z", "documentation comment"),
        ("c", "/** x */ a; // z", "/** y */ a; // w", "comment"),
        ("kconfig", "help\n x", "help\n y", "help text"),
        ("kconfig", 'bool "x"', 'bool "y"', "prompt text"),
    ],
)
def test_the_change_class_says_what_was_edited(language, old, new, change_class):
    assert token_comparison.compare(language, old.encode(), new.encode()).change_class == change_class


def test_the_first_difference_is_the_first_token_that_differs_and_not_a_comment_before_it():
    old = b"/* a\n b */\nint \\\n x;\n\nint y;\n"
    new = b"/* c */\nint x;\nint z;\n"
    compared = token_comparison.compare("c", old, new)
    assert compared.first_new_line == 3


def test_a_language_without_a_reader_proves_nothing():
    assert not token_comparison.compare("yacc", b"a /* x */", b"a /* y */").same


SNIPPETS = [
    b"static int f(struct a *b, int c)\n{\n\tint d = b->e[c]++ + 0x1fUL;\n\n"
    b'\tif (d && !c)\n\t\treturn -EINVAL;\n\treturn g("x /* y */", d);\n}\n',
    b"#define A(x, y) do { \\\n\tif (x) \\\n\t\ty(x); \\\n} while (0)\n#ifdef B\nint z = '\\'' + '\"';\n#endif\n\nint w;\n\nint v;\n",
]
SPACES = st.sampled_from([b" ", b"\t", b"\n", b" /* // */ ", b" // it's \"\n", b" /** ' */ ", b"\f", b" \\\n "])


def _outside_of_directives(text):
    """Places in `text` where white space stands, on lines that are no directives and continue none."""
    places = [place.start() for place in re.finditer(rb"(?<=[;{}\n])[\t\n](?!\t*#|\Z)", text)]
    return [place for place in places if b"#define" not in text[:place] or place > text.index(b"#endif")]


@given(st.data())
def test_comments_and_blanks_anywhere_between_statements_are_harmless(data):
    text = data.draw(st.sampled_from(SNIPPETS))
    place = data.draw(st.sampled_from(_outside_of_directives(text)))
    edited = text[:place] + data.draw(SPACES) + text[place:]
    # a blank that ends in a continuation must not swallow the start of a directive
    if re.search(rb"\\\n *\n?\t*#", edited):
        return
    assert token_comparison.compare("c", text, edited).same


@given(st.data())
def test_a_token_taken_out_doubled_or_replaced_is_never_harmless(data):
    text = data.draw(st.sampled_from(SNIPPETS))
    found = [one for one in _LINE_TOKEN.finditer(text) if not one[0].isspace() and one[0] != b"\\"]
    token = data.draw(st.sampled_from(found))
    other = data.draw(st.sampled_from([b"", token[0] + b" " + token[0], b"q_" + token[0], b"7"]))
    assert not token_comparison.compare("c", text, text[: token.start()] + other + text[token.end() :]).same


@given(
    st.lists(st.sampled_from([b"/*", b"*/", b"//", b'"', b"'", b"\\", b"\n", b"#", b" ", b"a", b"(", b")", b"?", b"/", b"R", b"define"]))
)
def test_no_text_makes_the_reader_fail(parts):
    text = b"".join(parts)
    for language in ("c", "asm", "rust", "make", "kconfig"):
        assert not token_comparison.compare(language, b"int a;\n" + text, b"int b;\n" + text).same
        token_comparison.compare(language, text, text + b" /* */\n")


@pytest.mark.parametrize(
    "hard",
    [
        b" " * 500_000,
        b"/*" * 200_000,
        b'"' * 300_001,
        b"\\" * 300_000,
        b"(" * 300_000,
        b"\n" * 300_000,
        b"#" * 300_000,
        b"include <a/" * 30_000,
        b"/* x */ \\\n" * 30_000,
    ],
)
def test_hostile_text_is_compared(hard):
    """With the square of the length none of them would end within the time that a test may take."""
    for language in ("c", "asm", "rust", "make", "kconfig"):
        compared = token_comparison.compare(language, b"a" + hard + b"b ", b"a  " + hard + b"c")
        assert not compared.same or hard.startswith(b"#")  # where it may be a comment


def test_forty_thousand_lines_are_compared():
    text = SNIPPETS[0] * 5_000
    assert token_comparison.compare("c", text, text.replace(b"\t", b"    ").replace(b"int c)", b"int c) /* x */")).same
