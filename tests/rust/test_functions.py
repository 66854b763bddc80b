"""Functions of Rust, one line a case."""

from __future__ import annotations

import pytest

from hook.rust.functions import changed, functions


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("fn f() {}", ["f"]),
        ("pub(crate) const unsafe fn f<T: Into<u8>>(a: [u8; 4]) -> Option<T> { g() }", ["f"]),
        ("mod a { pub mod b { fn f() {} } fn g() {} }", ["a::b::f", "a::g"]),
        ("impl S { fn f(&self) {} }", ["S::f"]),
        ("impl<T, const N: usize> Trait<T> for p::S<T, { N }> where T: Copy { fn f() {} }", ["S::f"]),
        ("impl<'a> Drop for &'a mut S { fn drop(&mut self) {} }", ["S::drop"]),
        ("impl<F: Fn(u8) -> u8> S<F> { fn f() {} }", ["S::f"]),
        ("trait T { fn f(&self); fn g(&self) -> u8 { 1 } }", ["T::g"]),
        ('unsafe extern "C" { fn f(); }\nextern "C" fn g() {}', ["g"]),
        ("fn f() { fn inner() {} let c = || { 2 }; }\nfn g() {}", ["f", "g"]),
        ("static OPS: Ops = Ops { run: Some(f) };\nfn f() {}", ["f"]),
        ("type F = fn(u8) -> u8;\nstruct S { f: fn() }\nfn g() {}", ["g"]),
        ("macro_rules! m { () => { fn f() {} } }\nmodule! { type: S, }\nfn g() {}", ["g"]),
        ('fn f() { "}"; \'}\'; r#"}"#; /* } */ }\nfn g() {}', ["f", "g"]),
        ("#[cfg(test)] mod tests { fn f() {} }", ["tests::f"]),
        ("", []),
    ],
)
def test_the_functions_of_a_source(source: str, names: list[str]) -> None:
    assert [function.name for function in functions(source.encode())] == names


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("fn f() { 1 }\nfn g() { 1 }", "fn f() { 1 }\nfn g() { 2 }", ["g"]),
        ('fn f() { p("a") }', 'fn f() { p("b") }', ["f"]),
        ("fn f() {}", "#[inline]\nfn f() {}", ["f"]),
        ("fn f() {}\nfn g() {}", "fn g() {}\n\nfn f() { }", []),
        ("/// One.\nfn f() {}", "/// Two.\nfn f() {} // c", []),
        ("fn f() {}", "fn f() {}\nfn g() {}", ["g"]),
        ("fn f() {}\nfn g() {}", "fn f() {}", ["g"]),
        ("impl A { fn f() {} }\nimpl B { fn f() {} }", "impl A { fn f() {} }\nimpl B { fn f() { 1 } }", ["B::f"]),
        ("impl T for A { fn f() {} }\nimpl U for A { fn f() {} }", "impl T for A { fn f() {} }\nimpl U for A { fn f() { 1 } }", ["A::f"]),
        ("#[test]\nfn f() { 1 }\n#[kunit_tests(x)]\nmod t { fn g() { 1 } }", "#[test]\nfn f() { 2 }\n#[kunit_tests(x)]\nmod t { fn g() { 2 } }", []),
        ("const A: u8 = 1;\nfn f() {}", "const A: u8 = 2;\nfn f() {}", []),
        ("fn f() { 1 }", "fn f() { 2 ", []),
        ("fn f() { 1 }", "fn f() { 2 ] }", []),
    ],
)  # fmt: skip
def test_the_functions_that_an_edit_changes(old: str, new: str, names: list[str]) -> None:
    assert [function.name for function in changed(old.encode(), new.encode())] == names


def test_a_deep_and_a_long_source_are_read_once() -> None:
    deep = b"mod m { " * 20_000 + b"fn f() {}" + b"}" * 20_000
    assert changed(deep, deep.replace(b"{}", b"{ 1 }")) == []
    assert len(list(functions(b"fn f() { g(|| { 1 }) }\n" * 20_000))) == 20_000
