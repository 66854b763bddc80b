"""What is recorded as read when a kernel is asked: all Kconfig files by one digest, and only once their options were needed."""

from __future__ import annotations

import pytest

from hook.kernel.kconfig.options_cache import KCONFIG, known_by
from hook.kernel.kernel import Kernel
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
