"""Declarations of system calls, resources and types."""

from __future__ import annotations

import pytest

from hook.syzlang.declarations import Declarations, Type


def declared(text: str, arch: str = "amd64") -> Declarations:
    found = Declarations()
    found.add(text, "sys/linux/a.txt", arch)
    return found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("int32", Type("int32")),
        ("int32[0:5]", Type("int32", (Type("0"),))),
        ("int32:20", Type("int32")),
        ("ptr[in, array[int8]]", Type("ptr", (Type("in"), Type("array", (Type("int8"),))))),
        ('ptr[in, string["a, b[#"]]', Type("ptr", (Type("in"), Type("string", (Type('"a, b[#"'),))))),
        ("len[s1:a:d, int32]", Type("len", (Type("s1"), Type("int32")))),
        ("nlattr[A|B, int32]", Type("nlattr", (Type("A"), Type("B"), Type("int32")))),
        ("const[(A + 1), int8]", Type("const", (Type("A"), Type("1"), Type("int8")))),
    ],
)
def test_types(text: str, kind: Type) -> None:
    assert declared(f"frob(a {text})\n").calls["frob"].arguments[0].type == kind


def test_a_call_says_what_it_returns_and_where_it_stands() -> None:
    call = declared("\n# frob\nfrob$a(fd fd, b ptr[out, foo]) foo (disabled, timeout[100])  # more\n").calls["frob$a"]
    assert (call.base, call.result, call.line, [one.name for one in call.arguments]) == ("frob", "foo", 3, ["fd", "b"])
    assert "disabled" in call.attributes


@pytest.mark.parametrize("line", ["frob(a int32", "Frob(a int32)", "frob a int32)", "(a int32)", 'frob(a string["b)', "define frob(a) 1"])
def test_what_is_no_call_declares_none(line: str) -> None:
    assert declared(f"{line}\nother()\n").calls.keys() == {"other"}


def test_structures_unions_and_templates() -> None:
    found = declared(
        "foo {\n\ta\tint8\t(out)\n\tb\tbar\t(if[value[a] & X == 0])\n} [packed]\nbar [\n\tc int8\n\td fd\n]\ntype box[T] {\n\te T\n}\n"
    )
    assert next((one.name, one.attributes) for one in found.groups["foo"].fields) == ("a", {"out"})
    assert found.groups["bar"].is_union and not found.groups["foo"].is_union
    assert found.groups["box"].parameters == ("T",)


@pytest.mark.parametrize(
    ("meta", "there"),
    [
        ("", True),
        ('meta arches["amd64", "386"]', True),
        ('meta arches["arm64"]', False),
        ("meta automatic", False),
        ("meta noextract", True),
    ],
)
def test_a_file_for_other_architectures_declares_nothing(meta: str, there: bool) -> None:
    assert ("frob" in declared(f"{meta}\nfrob()\n").calls) is there


def test_brackets_without_end_are_read_all_the_same() -> None:
    assert declared(f"frob(a {'ptr[in, ' * 5000}\nother()\n").calls.keys() == {"other"}
