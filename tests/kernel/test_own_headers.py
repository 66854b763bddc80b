"""What a C file is compiled with beside its own text."""

from __future__ import annotations

import pytest

from hook.kernel import own_headers
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.small_kernel import Kernel


@pytest.mark.parametrize(("most_bytes", "complete", "given"), [(1 << 20, True, {b"take"}), (64, False, set())])
def test_a_makefile_that_cannot_be_read_may_give_the_compiler_anything(
    kernel: Kernel, most_bytes: int, complete: bool, given: set[bytes]
) -> None:
    kernel.commit("mm/Makefile", f"ccflags-y += -Dtake=give\n{'#' * 100}\n")
    with Objects(find(kernel.path), most_bytes) as objects:
        found = own_headers.read(Source(objects, "HEAD"), "mm/one.c", (b"int f(void);\n",))
    assert (found.complete, set(found.given)) == (complete, given)
