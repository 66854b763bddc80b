"""On how much it depends whether a function comes to each of its calls."""

from __future__ import annotations

import pytest

from hook.c import body
from hook.evidence.focus import call_conditions
from hook.evidence.focus.call_conditions import BEHIND_RETURN, IF, LOOP, SWITCH


def conditions(code: bytes) -> dict[bytes, int]:
    return call_conditions.of_body(body.read(code, 0, len(code)))


@pytest.mark.parametrize(
    ("code", "of_f"),
    [
        (b"f();", 0),
        (b"int a = f(1); return a;", 0),
        (b"return g(f(a));", 0),
        (b"{ { f(); } }", 0),
        (b"if (f(a)) return;", 0),
        (b"if (a) f();", IF),
        (b"if (a) { g(); f(); } h();", IF),
        (b"if (a) g(); else f();", IF),
        (b"if (a) g(); else if (b) f();", 2 * IF),
        (b"if (a) return; f();", 0),
        (b"if (likely(a)) f();", 0),
        (b"if (likely(a)) return; f();", BEHIND_RETURN),  # the slow path
        (b"if (likely(a)) goto out; g(); out: f();", 0),
        (b"if (b) { if (likely(a)) goto out; g(); } f();", 0),
        (b"if (likely(a)) g(); f();", 0),
        (b"if (!ret) f();", 0),
        (b"if (ret) goto out; else f();", 0),
        (b"for (i = 0; i < f(); i++) g();", 0),
        (b"while (a) f();", LOOP),
        (b"do { f(); } while (a); g();", 0),
        (b"do { g(); } while (f());", 0),
        (b"list_for_each_entry(a, b, c) f(a);", LOOP),
        (b"scoped_guard(rcu) { f(); }", LOOP),
        (b"switch (a) { case 1: f(); break; default: g(); }", SWITCH),
        (b"if (a) { f(); } f();", 0),
        (b"g(); out: f(); return;", 0),
        (b"g(); return; out: f();", BEHIND_RETURN),
        (b"if (likely(a)) { if (likely(b)) return 0; } else if (c) return 1; f();", BEHIND_RETURN),
        (b"while (c) { if (likely(b)) return 0; } f();", 0),
        (b"if (a->ns == b->ns) return 0; f();", BEHIND_RETURN),  # nothing has changed
        (b"if (a->ns == b->ns) return -EINVAL; f();", 0),
        (b"if (a->ns == NULL) return 0; f();", 0),
        (b"if (unlikely(atomic_dec_and_test(&a))) f();", IF),  # the last reference
        (b"if (a) { if (unlikely(b)) g(); else f(); }", IF),
    ],
)
def test_what_a_call_depends_on(code: bytes, of_f: int) -> None:
    assert conditions(code)[b"f"] == of_f


@pytest.mark.parametrize(
    "code",
    [
        b"if (unlikely(a)) f();",
        b"if (ret) f();",
        b"if (a) { if (unlikely(b)) f(); }",
        b"if (err < 0) { f(); return; }",
        b"if (IS_ERR(a)) f();",
        b"if (WARN_ON_ONCE(a)) f();",
        b"ops->f(a);",
        b"ops.f(a);",
        b"a = f;",
        b"",
        b"}}} f",
    ],
)
def test_what_is_not_counted_as_called(code: bytes) -> None:
    assert b"f" not in conditions(code)


@pytest.mark.parametrize("opening", [b"{", b"if (a) ", b"if (a) g(); else ", b"do ", b"for (;;) ", b"switch (a) "])
def test_statements_in_each_other_without_end_are_read_to_the_end(opening: bytes) -> None:
    assert conditions(opening * 5000 + b"f();").get(b"f", IF) >= 0
