"""Descriptions of system calls, and the interfaces that they reach."""

from __future__ import annotations

import pathlib

import pytest

from hook.evidence.reach.calls import descriptions
from hook.evidence.reach.calls.descriptions import NoDescriptions

CALLS = """\
# a comment with openat$no(file ptr[in, string["/dev/no"]])
include <uapi/linux/foo.h>
resource fd_foo[fd]

openat$foo(fd const[AT_FDCWD], file ptr[in, string["/dev/foo"]], flags flags[open_flags], mode const[0]) fd_foo
syz_open_dev$bar(dev ptr[in, string["/dev/bar#"]], id intptr, flags flags[open_flags]) fd
ioctl$FOO_GET(fd fd_foo, cmd const[FOO_GET], arg ptr[out, int32])
ioctl$FOO_OLD(fd fd_foo, cmd const[FOO_OLD], arg const[0]) (disabled)
frob(a int32, b ptr[in, array[int8]]) (timeout[100])
socket$foo(domain const[AF_FOO], type const[SOCK_DGRAM], proto const[0]) sock_foo
syz_genetlink_get_family_id$foo(name ptr[in, string["foo"]], fd sock_nl_generic) genl_foo
syz_mount_image$ext4(fs ptr[in, string[ext4_types]], dir ptr[in, filename])
mount(src ptr[in, filename], dst ptr[in, filename], type ptr[in, string[filesystem]])

ext4_types = "ext4", "ext3"
filesystem = "tmpfs", "foofs"
define FOO_HIDDEN	12

foo_msg {
	type	const[RTM_GETFOO, int16]
	op	const[IORING_OP_FOO, int8]
}
"""


@pytest.fixture
def checkout(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "sys/linux").mkdir(parents=True)
    (tmp_path / "sys/linux/foo.txt").write_text(CALLS)
    return tmp_path


@pytest.mark.parametrize(
    ("interface", "line"),
    [
        ("device:/dev/foo", 5),
        ("device:/dev/bar0", 6),
        ("device:/dev/bar", 6),
        ("device:/dev/no", 0),
        ("device:/dev/fo", 0),
        ("ioctl:FOO_GET", 7),
        ("ioctl:FOO_OLD", 0),
        ("ioctl:FOO_HIDDEN", 0),
        ("call:frob", 9),
        ("call:fro", 0),
        ("family:PF_FOO", 10),
        ("family:AF_BAR", 0),
        ("genl:foo", 11),
        ("genl:bar", 0),
        ("mount:ext3", 12),
        ("mount:foofs", 13),
        ("mount:barfs", 0),
        ("rtnl:RTM_GETFOO", 20),
        ("rtnl:RTM_SETFOO", 0),
        ("op:IORING_OP_FOO", 21),
    ],
)
def test_what_reaches_an_interface(checkout: pathlib.Path, interface: str, line: int) -> None:
    found = descriptions.read(str(checkout)).of(interface)
    assert (found.line if found else 0) == line


def test_a_directory_that_is_no_checkout_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NoDescriptions, match="it names a checkout of syzkaller"):
        descriptions.read(str(tmp_path))


def test_links_odd_bytes_and_huge_files_are_passed_over(checkout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret.txt").write_text("secret()\n")
    (checkout / "sys/linux/link.txt").symlink_to(tmp_path / "secret.txt")
    (checkout / "sys/linux/odd.txt").write_bytes(b"odd(\xff\xfe\x00 int8)\n((((\n$$$\n")
    (checkout / "sys/linux/huge.txt").write_bytes(b"huge()\n" + b"#" * (5 << 20))
    found = descriptions.read(str(checkout))
    assert found.of("call:secret") is None and found.of("call:huge") is None
    assert found.of("call:odd") is not None and found.of("call:frob") is not None
