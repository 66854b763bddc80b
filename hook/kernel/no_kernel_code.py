"""No kernel code: the parts of the tree that are not linked into a kernel, or not into one that is fuzzed, and why.

One table for every search for callers, users and definitions. A rule that proves `no` from all users names the reasons for which it leaves
code out: each more makes the claim bolder.
"""

from __future__ import annotations

import enum


class OtherCode(enum.Enum):
    """Why code does not belong to the kernel. The value: the beginnings of its paths."""

    PROGRAM = ("tools/",)  # runs in user space, or at build time on the building machine
    SAMPLE = ("samples/",)  # examples, built only with SAMPLES
    BUILD = ("scripts/",)  # builds the kernel
    DOCUMENTATION = ("Documentation/",)
    INITRAMFS = ("usr/",)  # makes the first file system
    RUST = ("rust/",)
    TEST = ("lib/test_", "lib/kunit/")  # runs at boot, in a kernel built for tests


def left_out(*reasons: OtherCode) -> tuple[str, ...]:
    """The beginnings of the paths that `reasons` leave out."""
    return tuple(prefix for reason in reasons for prefix in reason.value)


PROGRAMS = left_out(OtherCode.PROGRAM, OtherCode.SAMPLE, OtherCode.BUILD)
NO_KERNEL_CODE = left_out(OtherCode.PROGRAM, OtherCode.SAMPLE, OtherCode.BUILD, OtherCode.DOCUMENTATION, OtherCode.INITRAMFS)


def in_kernel(path: str, srcarch: str, without: tuple[str, ...]) -> bool:
    """Whether a file may be part of a kernel for `srcarch` (a directory of arch/), and its path begins with none of `without`."""
    return not path.startswith(without) and (not path.startswith("arch/") or path.startswith(f"arch/{srcarch}/"))
