"""Documentation comments of Rust, one line a case: `@` is what an edit changes."""

from __future__ import annotations

import pytest

from hook.c.tokens.comparison import Unreadable
from hook.rust.rust_tokens import compare


def is_same(text: str, edited: str = "b") -> bool:
    try:
        return compare(text.replace("@", "a").encode(), text.replace("@", edited).encode()).same
    except Unreadable:
        return False


@pytest.mark.parametrize(
    "text",
    [
        "/// @\nfn f() {}",
        "/// One.\n///\n/// @\npub struct S {\n    /// @\n    a: u8,\n}",
        "#[inline]\n/// @\n#[must_use = \"x\"]\npub fn f() {}",
        "impl S {\n    /// @\n    fn f(&self) { pr_info!(\"x\"); }\n}",
        "#[derive(Clone)]\nstruct S;\n/// @\nfn f() {}",
        "module! { type: S, }\n/// @\nfn f() {}",
        "/// ```\n/// f();\n/// ```\nfn f() {}\n/// @\nfn g() {}",
        "/// - one\n///   @\nfn f() {}",
        "#[repr(u8)]\nenum E {\n    /// @\n    A = 1 << 3,\n}",
    ],
)  # fmt: skip
def test_what_nothing_but_a_reader_sees(text: str) -> None:
    assert is_same(text)
    assert is_same(text, "b\n    /// c")
    assert not is_same(text, "b\nfn g() {}\n///")


def test_a_comment_that_comes_or_goes() -> None:
    assert compare(b"fn f() {}\n", b"/// Does it.\nfn f() {}\n").same
    assert compare(b"/// Does it.\nfn f() {}\n", b"// Does it.\nfn f() {}\n").same
    assert not compare(b"fn f() {}\nfn g() {}\n", b"/// Does it.\nfn g() {}\nfn f() {}\n").same


@pytest.mark.parametrize(
    "text",
    [
        "m! {\n    /// @\n    fn f() {}\n}",
        "m!(\n/// @\n);",
        "macro_rules! m { () => {\n    /// @\n    fn f() {}\n} }",
        "#[vtable]\nimpl T for S {\n    /// @\n    fn f() {}\n}",
        "/// @\n#[vtable]\nimpl T for S<{ 1 }> {}",
        "#[pin_data]\nstruct S<const N: usize = { 1 }> {\n    /// @\n    a: u8,\n}",
        "#[derive(Clone)]\n/// @\nstruct S;",
        "struct S {\n    #[pin]\n    a: u8,\n    /// @\n    b: u8,\n}",
        "#![feature(x)]\n/// @\nfn f() {}",
        "#[r#inline]\n/// @\nfn f() {}",
        "#[cfg_attr(CONFIG_X, m)]\n/// @\nfn f() {}",
        "/// ```\n/// @\n/// ```\nfn f() {}",
        "/// ~~~\n/// @\nfn f() {}",
        "/// > ```\n/// > @\nfn f() {}",
        "///     @\nfn f() {}",
        "/// >     @\nfn f() {}",
        "/// -     @\nfn f() {}",
        "/// [^1]:     @\nfn f() {}",
        "///\t@\nfn f() {}",
        "/// ```\n#[inline]\n/// @\nfn f() {}",
        "/// ```\n#[allow(a[[[0]]])]\n/// @\nfn f() {}",
        '#[doc = "```"]\n/// @\nfn f() {}',
        '/// @\n#[doc = "```"]\nfn f() {}',
        "//! @\nfn f() {}",
        "/** @ */\nfn f() {}",
        "/// @\nfn f() { line!(); }\n",
        '/// @\nconst A: &str = include_str!("a.rs");',
        "/// @\nfn f() { ]",
    ],
)
def test_what_a_macro_or_a_test_may_see(text: str) -> None:
    assert not is_same(text, "b\n/// c") and not is_same(text, "b\n/// d\n/// e")


def test_a_comment_moves_from_one_item_to_another() -> None:
    assert compare(b"/// a\nfn f() {}\nfn g() {}\n", b"fn f() {}\n/// a\nfn g() {}\n").same
    assert not compare(b"/// a\nfn f() {}\n#[m]\nfn g() {}\n", b"fn f() {}\n#[m]\n/// a\nfn g() {}\n").same
