"""Uses of a name, one line a case: what stands around it says what the use is."""

from __future__ import annotations

import pytest

from hook.c.translation_unit import TranslationUnit
from hook.c.uses import MOST_USES, UseKind, only_declares, stands_before, uses_of


def uses(code: str) -> list[tuple[str, str, int, str, str]]:
    unit = TranslationUnit("a.c", code.encode())
    return [(use.kind.value, use.callee, use.argument, use.member, use.struct) for use in uses_of(unit, "it")]


def in_function(statement: str) -> list[tuple[str, str, int, str, str]]:
    return uses(f"int user(void)\n{{\n\t{statement}\n}}\n")


@pytest.mark.parametrize(
    ("statement", "kind", "callee", "argument", "member", "struct"),
    [
        ("it(1);", "call", "", -1, "", ""),
        ("x = f(it (1));", "call", "", -1, "", ""),
        ("f(it);", "passed", "f", 0, "", ""),
        ("f(a, g(b), &it);", "passed", "f", 2, "", ""),
        ("f(READ_ONCE(it));", "passed", "f", 0, "", ""),
        ("p->ops = it;", "set-member", "", -1, "ops", ""),
        ("p = &it;", "assigned", "", -1, "p", ""),
        ("p = x ? &it : &other;", "assigned", "", -1, "p", ""),
        ("p->ops = x == &y ? &other : &it;", "set-member", "", -1, "ops", ""),
        ("p = x != y && z ? &it : &other;", "assigned", "", -1, "p", ""),
        ("x == 1 ? g(&it) : 0;", "passed", "g", 0, "", ""),
        ("x == 1 ? &it : 0;", "other", "", -1, "", ""),
        ("return it;", "returned", "", -1, "", ""),
        ("if (p->f == it)\n\t\treturn 1;", "compared", "", -1, "", ""),
        ("if (it == p->f)\n\t\treturn 1;", "compared", "", -1, "", ""),
        ("struct ops o = { .run = it };", "local", "", -1, "run", "ops"),
        ("g((struct ops){ .run = it });", "local", "", -1, "run", "ops"),
        ("it;", "other", "", -1, "", ""),
    ],
)
def test_a_use_in_a_function(statement: str, kind: str, callee: str, argument: int, member: str, struct: str) -> None:
    assert in_function(statement) == [(kind, callee, argument, member, struct)]


@pytest.mark.parametrize(
    ("code", "kind", "callee", "argument", "member", "struct"),
    [
        ("static const struct ops o = {\n\t.run = it,\n};\n", "table", "", -1, "run", "ops"),
        ("static const struct ops o = {\n\tSET(run, it),\n};\n", "table", "SET", 1, "", "ops"),
        ("module_init(it);\n", "statement", "module_init", 0, "", ""),
        ("late_thing(a, it);\n", "statement", "late_thing", 1, "", ""),
        ("\tmodule_init(it);\n", "other", "", -1, "", ""),
        ("late_initcall\n(it);\n", "other", "", -1, "", ""),
        ("static struct ops o[] = {\n{\n\t.stop = go,\n},\n{\n\t.run = it,\n},\n};\n", "other", "", -1, "", ""),
        ("struct ops {\n\tRUN(it)\n\tint x;\n};\n", "other", "", -1, "", ""),
        ("int user(void)\n{\nit();\n}\n", "call", "", -1, "", ""),
        ("int user(void)\n{\nelse it();\n}\n", "call", "", -1, "", ""),
        ("#define RUN() it()\n", "macro-call", "", -1, "", ""),
        ("#define RUN it\n", "macro", "", -1, "", ""),
    ],
)
def test_a_use_outside_of_functions(code: str, kind: str, callee: str, argument: int, member: str, struct: str) -> None:
    assert uses(code) == [(kind, callee, argument, member, struct)]


@pytest.mark.parametrize(
    "code",
    [
        "int it(void);\n",
        "static int\nit(void)\n{\n\treturn 1;\n}\n",
        "int other(struct it *p, int it, void (*it)(void));\n",
        "struct ops {\n\tint it;\n\tint (*it)(void);\n};\n",
        "struct it {\n\tint x;\n};\n",
        "int it(void)\n{\n\treturn 1;\n}\n",
        "int user(void)\n{\n\treturn p->it + q.it;\n}\n",
        "/* it() */\n",
        "#if 0\nint user(void)\n{\n\treturn it();\n}\n#endif\n",
        'int user(void)\n{\n\treturn f("it");\n}\n',
        "int user(void)\n{\n\treturn with_it();\n}\n",
    ],
)
def test_what_is_no_use(code: str) -> None:
    assert uses(code) == []


def test_no_more_uses_are_told_apart_than_may_be() -> None:
    assert len(in_function("it();" * (MOST_USES + 1))) == MOST_USES


def test_a_use_says_what_is_around_it() -> None:
    (use,) = uses_of(TranslationUnit("a.c", b"\nint user(void)\n{\n\tit();\n}\n"), "it")
    assert (use.kind, use.line, use.text) == (UseKind.CALL, 4, "it();")
    assert use.user is not None and use.user.name == "user"


def test_declarations_are_told_without_a_scan() -> None:
    assert only_declares(TranslationUnit("a.c", b"int it(void);\nvoid *it(int a)\n"), "it")
    assert not only_declares(TranslationUnit("a.c", b"int it(void);\n\tit();\n"), "it")
    assert stands_before(TranslationUnit("a.c", b"x = it /* call */ (1);"), "it", b"(")
    assert not stands_before(TranslationUnit("a.c", b"x = it + 1;"), "it", b"(")
