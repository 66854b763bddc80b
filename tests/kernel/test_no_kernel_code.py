"""Which paths are no kernel code."""

from __future__ import annotations

import pytest

from hook.kernel.no_kernel_code import NO_KERNEL_CODE, PROGRAMS, OtherCode, in_kernel, left_out


@pytest.mark.parametrize(
    ("path", "without", "answer"),
    [
        ("mm/slub.c", NO_KERNEL_CODE, True),
        ("arch/x86/mm/fault.c", NO_KERNEL_CODE, True),
        ("arch/x86_other/mm/fault.c", NO_KERNEL_CODE, False),
        ("arch/arm64/mm/fault.c", NO_KERNEL_CODE, False),
        ("tools/mm/slabinfo.c", NO_KERNEL_CODE, False),
        ("tools/mm/slabinfo.c", left_out(OtherCode.SAMPLE), True),
        ("drivers/tools/driver.c", NO_KERNEL_CODE, True),
        ("usr/gen_init_cpio.c", NO_KERNEL_CODE, False),
        ("usr/gen_init_cpio.c", PROGRAMS, True),
        ("lib/test_xarray.c", NO_KERNEL_CODE, True),
        ("lib/test_xarray.c", left_out(OtherCode.TEST), False),
        ("lib/testing.c", left_out(OtherCode.TEST), True),
    ],
)
def test_each_user_names_what_it_leaves_out(path: str, without: tuple[str, ...], answer: bool) -> None:
    assert in_kernel(path, "x86", without) is answer
