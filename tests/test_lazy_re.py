"""Patterns that are compiled at their first use."""

import importlib
import pkgutil
import re

import hook
from hook import lazy_re


def test_is_compiled_at_its_first_use_and_once(monkeypatch):
    compiled = []
    compiler = re.compile

    def counting(pattern, flags=0):
        compiled.append(pattern)
        return compiler(pattern, flags)

    monkeypatch.setattr(re, "compile", counting)
    word = lazy_re.compile(r"(\w+)-(\d)", re.ASCII)
    assert compiled == []
    assert word.search("a-1")[1] == "a"
    assert word.sub(r"\2", "b-2") == "2"
    assert compiled == [r"(\w+)-(\d)"]


def test_answers_as_the_compiled_pattern_does():
    lazy, eager = lazy_re.compile(rb"a(b)?", re.IGNORECASE), re.compile(rb"a(b)?", re.IGNORECASE)
    assert (lazy.pattern, lazy.flags, lazy.groups) == (eager.pattern, eager.flags, eager.groups)
    text = b"xAB a b"
    assert [found.span() for found in lazy.finditer(text, 1, 4)] == [found.span() for found in eager.finditer(text, 1, 4)]
    assert (lazy.findall(text), lazy.split(text), lazy.subn(b"-", text)) == (eager.findall(text), eager.split(text), eager.subn(b"-", text))


def test_all_patterns_of_the_program_can_be_compiled():
    seen = 0
    for module in pkgutil.walk_packages(hook.__path__, "hook."):
        if module.name == "hook.__main__":
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, lazy_re._Pattern):
                assert isinstance(re.compile(value.pattern, value.flags & ~re.UNICODE), re.Pattern)
                seen += 1
    assert seen > 300
