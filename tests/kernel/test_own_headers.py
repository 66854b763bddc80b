"""What a C file is compiled with beside its own text."""

from __future__ import annotations

import pytest

from hook.c import blanking
from hook.kernel import own_headers
from hook.source.git import find
from hook.source.object_store import Objects
from hook.source.tree import Source
from tests.conftest import Grow
from tests.small_kernel import Kernel


@pytest.mark.parametrize(("most_bytes", "complete", "given"), [(1 << 20, True, {b"take"}), (64, False, set())])
def test_a_makefile_that_cannot_be_read_may_give_the_compiler_anything(
    kernel: Kernel, most_bytes: int, complete: bool, given: set[bytes]
) -> None:
    kernel.commit("mm/Makefile", f"ccflags-y += -Dtake=give\n{'#' * 100}\n")
    with Objects(find(kernel.path), most_bytes) as objects:
        found = own_headers.read(Source(objects, "HEAD"), "mm/one.c", (b"int f(void);\n",))
    assert (found.complete, set(found.by_makefiles)) == (complete, given)


@pytest.mark.parametrize(
    ("flags", "complete", "given"),
    [
        ("KBUILD_CFLAGS += -Dtake=give\n", True, True),
        ("KBUILD_CFLAGS += -DGIVE\n", True, False),
        ("KBUILD_CFLAGS += -D$(TAKEN)\n", False, False),
        ("KBUILD_CFLAGS += -include $(srctree)/include/linux/own.h\n", True, False),
    ],
)
def test_what_the_top_makefile_gives_the_compiler(grow: Grow, flags: str, complete: bool, given: bool) -> None:
    found = own_headers.read(grow({"Makefile": flags}), "mm/one.c", (b"int f(void);\n",))
    assert (found.complete, b"take" in found.by_makefiles, "own.h" in found.included) == (complete, given, "own.h" in flags)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("int f(void);\n", {"f"}),
        ("#define F(x) x\n# undef G\n", {"F", "G"}),
        ("static inline\nint f(void)\n{\n\treturn g(1);\n}\n", {"f"}),
        ("struct a {\n\tint (*f)(void);\n};\n", set()),
        ("int a = f(1);\n", set()),
        ("void\nf (void);\nint g(int (*h)(void));\n", {"f", "g"}),
        (f"int {'f' * 300}(void);\n", set()),
    ],
)
def test_the_names_that_a_header_defines(header: str, names: set[str]) -> None:
    assert own_headers.defined(blanking.plain(header.encode())) == {name.encode() for name in names}
