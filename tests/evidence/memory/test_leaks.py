"""Uninitialised memory that is copied out: what is proved, what is only signalled, and what neither may be said of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hook.c.definitions import DefinitionKind, scan
from hook.c.struct_parser import NotUnderstood
from hook.evidence.memory import uninitialised
from hook.evidence.memory.source_file import File
from hook.evidence.memory.struct_layouts import StructLayouts
from tests.conftest import Grow
from tests.evidence.memory.padded_structs import ALL, CLANG, HEADER, OUT, TELL, body, tell
from tests.small_kernel import Kernel


@pytest.fixture
def structs(grow: Grow) -> Iterator[Any]:
    source = grow({"include/uapi/linux/tell.h": HEADER})

    def made(text: str) -> File:
        data = text.encode()
        scanned = scan(data)
        return File(data, StructLayouts(source, "mm/tell.c", data, scanned, "x86", True))

    yield made


def uninitialised_in(file: File, function: str = "f") -> list[str]:
    one = next(one for one in file.scan.definitions if one.name == function and one.kind is DefinitionKind.FUNCTION)
    return [part.description for part in uninitialised.find(file, one)]


def test_what_is_never_written_and_leaves_whole_is_proved(structs: Any) -> None:
    for code, said in {
        body("struct tell x;", ALL, OUT): "3 bytes of padding after kind",
        body("struct tell x;", "x.id = 1; x.kind = 2;", OUT): "count and 3 bytes of padding after kind",
        body("struct whole x;", "x.id = 1;", OUT): "reserved",
        body("struct whole x;", "x.id = 1;", "return nla_put(skb, 1, sizeof(struct whole), &x);"): "reserved",
        body("struct whole x, y = {};", "x.id = y.id;", "put_cmsg(m, 1, 2, sizeof(x), (void *)&x);", "return 0;"): "reserved",
        body("struct named x;", "x.id = 1; x.flags = 0;", OUT): "name",
        body("struct named x;", "x.id = 1; strscpy(x.name, n, sizeof(x.name));", OUT): "flags",
        body("struct tight x;", "x.id = 1;", OUT): "kind",
        body("struct bits x;", "x.low = 1; x.id = 2;", OUT): "count",
        body("struct choice x;", "x.number = 1;", OUT): "id",
        body(
            "struct outer x;", "x.inner.id = 1; x.inner.kind = 1; x.inner.count = 1; x.last = 1;", OUT
        ): "3 bytes of padding after inner.kind",
        body("struct whole *x = kmalloc_obj(*x);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"): "reserved",
        body("struct whole *x = kvmalloc_obj(*x, GFP_ATOMIC);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"): "reserved",
        body("struct whole *x = kmalloc_obj(struct whole);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"): "reserved",
        body(
            "struct whole *x = kmalloc(sizeof(*x), GFP_KERNEL);",
            "if (!x)",
            "\treturn -1;",
            "x->id = 1;",
            "copy_to_user(arg, x, sizeof(*x));",
            "kfree(x);",
            "return 0;",
        ): "reserved",
        body("struct whole x;", "if (in)", "\tx.id = 1;", "else", "\tx.id = 2;", OUT): "reserved",
        body("struct whole x;", "fill(&x, 3);", OUT, before="static void fill(struct whole *to, int n)\n{\n\tto->id = n;\n}\n"): "reserved",
        body(
            "struct whole x;",
            "x.id = 1;",
            "return tell(arg, &x);",
            before="static int tell(void __user *a, const struct whole *w)\n{\n\treturn copy_to_user(a, w, sizeof(*w));\n}\n",
        ): "reserved",
    }.items():
        assert uninitialised_in(structs(code)) == [said], code


CLEAR = "static void clear(struct whole *to)\n{\n\tmemset(to, 0, sizeof(*to));\n}\n"


@pytest.mark.parametrize(
    "code",
    [
        body("struct tell x;", "memset(&x, 0, sizeof(x));", ALL, OUT),
        body("struct tell x = {};", ALL, OUT),
        body("struct tell x = { .id = 1 };", OUT),
        body("static struct whole x;", OUT),
        body("struct whole x;", "x.id = x.reserved = 1;", OUT),
        body("struct whole x;", "x = (struct whole) { .id = 1 };", OUT),
        body("struct whole x;", "*(&x) = y;", OUT),
        body("struct whole x, *p = &x;", "p->reserved = 1; x.id = 1;", OUT),
        body("struct whole x;", "x.id = 1; ops->fill(&x);", OUT),
        body("struct whole x;", "x.id = 1; elsewhere(&x);", OUT),
        body("struct whole x;", "x.id = 1; (*get)(&x);", OUT),
        body("struct whole x;", "x.id = 1; get_user(x.reserved, arg);", OUT),
        body("struct whole x;", "memcpy(&x.id, in, sizeof(x));", OUT),
        body("struct whole x;", "copy_from_user(&x, arg, sizeof(x));", OUT),
        body("struct whole x;", "clear(&x); x.id = 1;", OUT, before=CLEAR),
        body("struct whole x;", "CLEAR_IT(); x.id = 1;", OUT, before="#define CLEAR_IT() memset(&x, 0, sizeof(x))\n"),
        body("struct whole x;", "SET(x, reserved); x.id = 1;", OUT),
        body("struct whole x;", "x.id = 1;", "#ifdef CONFIG_SMP", "x.reserved = 2;", "#endif", OUT),
        body("struct whole x;", "x.id = 1;", "{", "\tint x;", "\tx = 3;", "}", OUT),
        body("struct tell x;", "x.id = 1; x.kind = 2; x.count = 3;", "return copy_to_user(arg, &x, sizeof(x.id));"),
        body("struct tell x;", ALL, "return copy_to_user(arg, &x, offsetofend(struct tell, kind));"),
        body("struct whole x;", "x.id = 1;", "return copy_to_user(arg, &x, min(len, sizeof(x)));"),
        body("struct whole x;", "x.id = 1; x.reserved = 0;", OUT),
        body("struct tight x;", "x.id = 1; x.kind = 2;", OUT),
        body("struct odd x;", "x.id = 1; x.kind = 2;", OUT),
        body("struct bits x;", "x.id = 1; x.low = 1; x.high = 1; x.count = 1;", OUT),
        body("struct choice x;", "x.id = 1; strscpy(x.text, n, sizeof(x.text));", OUT),
        body("struct outer x;", "x.inner = *in; x.last = 1;", OUT),
        body("struct guarded x;", "x.id = 1;", OUT),
        body("struct nowhere x;", "x.id = 1;", OUT),
        body("struct listed x;", "x.id = 1; list_add(&x.list, all);", OUT),
        body("struct whole *x = kzalloc(sizeof(*x), GFP_KERNEL);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = kmalloc(sizeof(*x), GFP_KERNEL | __GFP_ZERO);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = kmalloc_obj(*x, flags);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = kmalloc_obj(*x, GFP_KERNEL, 1);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = kmalloc_obj(struct tell);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = kzalloc_obj(*x);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = kmalloc(sizeof(*x), flags);", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = kmalloc(sizeof(*x), GFP_KERNEL);", "x->id = 1; keep = x;", "return copy_to_user(arg, x, sizeof(*x));"),
        body("struct whole *x = in;", "x->id = 1;", "return copy_to_user(arg, x, sizeof(*x));"),
    ],
)
def test_a_doubt_is_no_proof(structs: Any, code: str) -> None:
    assert uninitialised_in(structs(code)) == []


def test_two_structs_of_one_name_are_neither_meant(grow: Grow) -> None:
    source = grow(
        {"include/linux/one.h": "struct whole {\n\t__u32 id;\n};\n", "include/linux/two.h": "struct whole {\n\t__u32 id, reserved;\n};\n"}
    )
    data = body("struct whole x;", "x.id = 1;", OUT).encode()
    file = File(data, StructLayouts(source, "mm/tell.c", data, scan(data), "x86", True))
    assert uninitialised_in(file) == []
    with pytest.raises(NotUnderstood, match="defined 2 times"):
        file.structs.layout("whole")


def test_a_target_with_another_layout_has_no_padding_that_is_known(grow: Grow) -> None:
    source = grow({"include/uapi/linux/tell.h": HEADER})
    data = body("struct tell x;", ALL, OUT).encode()
    assert uninitialised_in(File(data, StructLayouts(source, "mm/tell.c", data, scan(data), "x86", False))) == []


# the whole way, from a staged change to its verdict


@pytest.fixture
def telling(kernel: Kernel) -> Kernel:
    tell(kernel)
    kernel.triage("index", "--quiet")
    return kernel


def verdict(kernel: Kernel, **env: str) -> dict[str, Any]:
    return dict(json.loads(kernel.triage("check", "--staged", "--format", "json", **env)))


def test_a_change_that_leaves_padding_uninitialised_needs_kmsan_and_says_why_kasan_is_blind(telling: Kernel) -> None:
    telling.stage("mm/tell.c", TELL.replace("\tmemset(&x, 0, sizeof(x));\n", ""))
    said = verdict(telling, **CLANG)
    assert said["NeedsKMSAN"] and said["WorthFuzzing"]
    assert (
        "3 bytes of padding after kind are uninitialised (mm/tell.c:7)" in said["KMSANReasoning"]
        and "KASAN does not see it" in said["KMSANReasoning"]
    )
    proof = [(one["Path"], one["Line"], one["Text"]) for one in said["Evidence"]][:3]
    assert proof == [("mm/tell.c", 7, OUT), ("mm/tell.c", 4, "struct tell x;"), ("include/uapi/linux/tell.h", 3, "")]
    assert "needs KMSAN: KASAN does not see it" in telling.triage("check", "--staged", **CLANG)


def test_where_kmsan_cannot_be_set_it_is_not_asked_for_and_that_is_said(telling: Kernel) -> None:
    telling.stage("mm/tell.c", TELL.replace("\tmemset(&x, 0, sizeof(x));\n", ""))
    said = verdict(telling)
    assert not said["NeedsKMSAN"] and "KMSAN needs clang 14 or later (fuzz.toolchain is gcc-12)" in said["KMSANReasoning"]
    assert "3 bytes of padding" in said["Evidence"][0]["Claim"]
    assert "there is no KMSAN for arm64" in verdict(telling, PATCH_TRIAGE_TARGET_ARCH="arm64", **CLANG)["KMSANReasoning"]


def test_a_flaw_that_was_there_before_is_a_signal(telling: Kernel) -> None:
    leaky = TELL.replace("\tmemset(&x, 0, sizeof(x));\n", "")
    telling.commit("mm/tell.c", leaky)
    telling.stage("mm/tell.c", leaky.replace("x.count = 3", "x.count = 4"))
    said = verdict(telling, **CLANG)
    assert not said["NeedsKMSAN"] and "as before the change" in said["KMSANReasoning"]


def test_a_new_member_that_its_only_writer_does_not_set_needs_kmsan(telling: Kernel) -> None:
    telling.commit("mm/tell.c", body("struct whole x;", "x.id = 1; x.reserved = 0;", OUT))
    telling.triage("index", "--quiet")
    telling.stage("include/uapi/linux/tell.h", HEADER.replace("\t__u32 reserved;\n", "\t__u32 reserved;\n\t__u32 more;\n"))
    said = verdict(telling, **CLANG)
    assert said["NeedsKMSAN"] and "more is uninitialised (mm/tell.c:7)" in said["KMSANReasoning"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("memset(&x, 0, sizeof(x));", "elsewhere(&x);", "no longer initialises all of x (memset())"),
        (
            "struct tell x;\n\n\tmemset(&x, 0, sizeof(x));",
            "struct tell x = { .id = 1 };\n",
            "initialiser alone, which leaves its padding uninitialised",
        ),
        ("sizeof(x)) ? ", "len) ? ", "copies something out: copy_to_user(arg, &x, len)"),
        (
            "return copy_to_user(arg, &x, len)",
            "if (len > 4)\n\t\tlen = 4;\n\treturn copy_to_user(arg, &x, len)",
            "the length that copy_to_user() takes depends now on if(len > 4)",
        ),
        (ALL, f"int n;\n\tif (n > 1)\n\t\treturn 0;\n\t{ALL}", "n is read here before it is set"),
    ],
)
def test_what_may_leak_is_a_signal_with_its_place_and_no_need(telling: Kernel, old: str, new: str, said: str) -> None:
    if "len" in new:
        elsewhere = TELL.replace("memset(&x, 0, sizeof(x));", "elsewhere(&x);")
        telling.commit("mm/tell.c", elsewhere.replace("sizeof(x)) ? ", "len) ? ") if "len" in old else elsewhere)
    telling.stage("mm/tell.c", telling.read("mm/tell.c").replace(old, new))
    found = verdict(telling, **CLANG)
    assert not found["NeedsKMSAN"] and said in found["KMSANReasoning"] and "(mm/tell.c:" in found["KMSANReasoning"]
    assert said not in telling.triage("check", "--staged", **CLANG)
    assert said in telling.triage("check", "--staged", "-v", **CLANG)


USE = ("use(x);", "return 0;")


@pytest.mark.parametrize(
    ("old", "new", "is_signal"),
    [
        (body("struct whole x;", *USE), body("struct whole x = {};", *USE), True),
        (body("struct whole x;", *USE), body("struct whole x = { .id = 1 };", *USE), True),
        (body("struct whole x;", *USE), body("struct whole x;", "memset(&x, 0, sizeof(x));", *USE), True),
        (body("struct whole *x = kmalloc(8, GFP_KERNEL);", *USE), body("struct whole *x = kzalloc(8, GFP_KERNEL);", *USE), True),
        (body("struct whole x;", *USE), body("struct whole x, y = {};", *USE), False),  # y is new
        (body("struct whole x = {};", *USE), body("struct whole x = {};", "again(x);", *USE), False),
        (body("struct whole *x = kzalloc(8, GFP_KERNEL);", *USE), body("struct whole *x = kcalloc(1, 8, GFP_KERNEL);", *USE), False),
    ],
)
def test_zeroing_that_is_new_is_a_signal_for_the_code_before(telling: Kernel, old: str, new: str, is_signal: bool) -> None:
    telling.commit("mm/tell.c", old)
    telling.stage("mm/tell.c", new)
    said = verdict(telling, **CLANG)["KMSANReasoning"]
    assert ("before the change it may have been read uninitialised" in said) is is_signal


def test_a_member_that_an_initialiser_sets_is_not_called_unset(telling: Kernel) -> None:
    begin = "struct tell x;\n\n\tmemset(&x, 0, sizeof(x));"
    moved = TELL.replace(begin, "struct tell x = { .id = 1, .kind = 2 };\n").replace("x.id = 1; x.kind = 2; ", "")
    telling.stage("mm/tell.c", moved)
    assert "no longer sets" not in verdict(telling, **CLANG)["KMSANReasoning"]
    telling.stage("mm/tell.c", TELL.replace(begin, "struct tell x;\n").replace("x.kind = 2; ", "clear(&x); "))
    assert "no longer sets x.kind" in verdict(telling, **CLANG)["KMSANReasoning"]


def test_what_is_set_whole_gives_no_signal(telling: Kernel) -> None:
    cleared = TELL.replace("struct tell x;\n\n\tmemset(&x, 0, sizeof(x));", "struct tell x = {};\n").replace("x.count = 3", "x.count = 4")
    telling.stage("mm/tell.c", cleared)
    assert verdict(telling, **CLANG)["KMSANReasoning"] == ""
    telling.stage("mm/tell.c", body("struct whole x;", "x.id = 1;", "x.reserved = 0;", OUT))
    assert verdict(telling, **CLANG)["KMSANReasoning"] == ""
