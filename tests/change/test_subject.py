"""What a message says of a patch."""

from __future__ import annotations

import pytest

from hook.change.subject import kmsan_reports


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"net: fix x\n\nBUG: KMSAN: kernel-infoleak in copyout+0xb6/0x100 lib/iov_iter.c:40", ("KMSAN: kernel-infoleak in copyout",)),
        (b"syzbot reports KMSAN: uninit-value\nin foo. KMSAN: uninit-value in foo", ("KMSAN: uninit-value in foo",)),
        (b"KMSAN: kernel-infoleak", ("KMSAN: kernel-infoleak",)),
        (b"KMSAN: kernel-usb-infoleak in usb_submit_urb, KMSAN: use-after-free in bar", (
            "KMSAN: kernel-usb-infoleak in usb_submit_urb", "KMSAN: use-after-free in bar",
        )),
        (b"KMSAN: uninit-value in \x1b[31mred; KMSAN: false positive", ("KMSAN: uninit-value",)),  # nothing else passes
        (b"KMSAN: uninit-values are no report, and neither is KASAN: use-after-free in foo", ()),
        (b"".join(b"KMSAN: uninit-value in f%d\n" % number for number in range(99)), tuple(f"KMSAN: uninit-value in f{n}" for n in range(5))),
    ],
)  # fmt: skip
def test_the_titles_of_quoted_reports(message: bytes, expected: tuple[str, ...]) -> None:
    assert kmsan_reports(message) == expected
