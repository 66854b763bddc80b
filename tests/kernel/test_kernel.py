"""What is recorded as read when a kernel is asked: all Kconfig files by one digest, and only once their options were needed."""

from __future__ import annotations

import os

import pytest

from hook.kernel.kconfig.options_cache import KCONFIG, TreeOptions, known_by, target
from hook.kernel.kconfig.toolchain import toolchain
from hook.kernel.kernel import Kernel
from hook.source.tree import Source
from tests.conftest import Grow

FILES = {
    "Kconfig": 'config NET\n\tbool "Networking"\n',
    "Kbuild": "obj-y += a.o\n",
    "a.c": "int a;\n",
}


@pytest.mark.parametrize("question", ["options", "base"])
def test_kconfig_is_read_once_its_options_are_asked_for(grow: Grow, question: str) -> None:
    source = grow(FILES)
    kernel = Kernel(source, "x86_64", "gcc-12", None)
    kernel.built_if("a.c")
    kernel.conditionals("a.c")
    assert "a.c" in source.read_blobs
    assert KCONFIG + "x86_64" not in source.read_blobs
    getattr(kernel, question)
    assert source.read_blobs[KCONFIG + "x86_64"] == known_by(source, KCONFIG + "x86_64", "gcc-12") != ""
    assert "Kconfig" not in source.read_blobs


@pytest.mark.parametrize(("path", "known"), [("a.c", True), ("Kconfig", False), ("b/Kconfig.more", False)])
def test_the_options_that_were_read_for_a_staged_change_are_those_of_its_base(grow: Grow, path: str, known: bool) -> None:
    base = grow(FILES)
    staged = Source(base.objects, base.revision, {path: base.oid("Kbuild")}, base=base.revision)
    assert Kernel(staged, "x86_64", "gcc-12", None).options.get("NET") is not None or path == "Kconfig"
    assert TreeOptions(base, target("x86_64"), toolchain("gcc-12")).is_known is known


def test_the_options_that_were_used_last_are_kept(grow: Grow) -> None:
    trees = [grow(FILES | {"Kconfig": f"{FILES['Kconfig']}# {number}\n"}) for number in range(7)]
    for age, tree in enumerate(trees[:6]):
        known_by(tree, KCONFIG + "x86_64", "gcc-12")
        (fresh,) = (path for path in tree.repo.state_dir.glob("kconfig/*.options") if path.stat().st_mtime > 6)
        os.utime(fresh, (age, age))
    assert Kernel(trees[0], "x86_64", "gcc-12", None).options.get("NET") is not None
    known_by(trees[6], KCONFIG + "x86_64", "gcc-12")
    known = [TreeOptions(tree, target("x86_64"), toolchain("gcc-12")).is_known for tree in trees]
    assert known == [True, False, True, True, True, True, True]
