"""Descriptions of system calls, and the interfaces that they reach."""

from __future__ import annotations

import pathlib

import pytest

from hook.syzlang import checkout as descriptions
from hook.syzlang import reaching_calls
from hook.syzlang.checkout import NoDescriptions

CALLS = """\
# a comment with openat$no(file ptr[in, string["/dev/no"]])
include <uapi/linux/foo.h>
resource fd[int32]: -1
resource fd_foo[fd]

openat$foo(fd const[AT_FDCWD], file ptr[in, string["/dev/foo"]], flags flags[open_flags], mode const[0]) fd_foo
syz_open_dev$bar(dev ptr[in, string["/dev/bar#"]], id intptr, flags flags[open_flags]) fd
ioctl$FOO_GET(fd fd_foo, cmd const[FOO_GET], arg ptr[out, int32])
ioctl$FOO_OLD(fd fd_foo, cmd const[FOO_OLD], arg const[0]) (disabled)
syz_clone3(a int32)
bpf$FOO(cmd const[FOO])
frob(a int32, b ptr[in, array[int8]]) (timeout[100])
socket$foo(domain const[AF_FOO], type const[SOCK_DGRAM], proto const[0]) sock_foo
syz_genetlink_get_family_id$foo(name ptr[in, string["foo"]], fd sock_nl_generic) genl_foo
syz_mount_image$ext4(fs ptr[in, string[ext4_types]], dir ptr[in, filename])
mount(src ptr[in, filename], dst ptr[in, filename], type ptr[in, string[filesystem]])

ext4_types = "ext4", "ext3"
filesystem = "tmpfs", "foofs"
define FOO_HIDDEN	12

sendmsg$foo(fd sock_foo, msg ptr[in, foo_msg])
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
    ("interface", "call"),
    [
        ("device:/dev/foo", "openat$foo"),
        ("device:/dev/bar0", "syz_open_dev$bar"),
        ("device:/dev/bar", "syz_open_dev$bar"),
        ("device:/dev/no", ""),
        ("device:/dev/fo", ""),
        ("ioctl:FOO_GET", "ioctl$FOO_GET"),
        ("ioctl:FOO_OLD", ""),
        ("ioctl:FOO_HIDDEN", ""),
        ("call:frob", "frob"),
        ("call:fro", ""),
        ("call:clone3", "syz_clone3"),
        ("family:PF_FOO", "socket$foo"),
        ("family:AF_BAR", ""),
        ("genl:foo", "syz_genetlink_get_family_id$foo"),
        ("genl:bar", ""),
        ("mount:ext3", "syz_mount_image$ext4"),
        ("mount:foofs", "mount"),
        ("mount:barfs", ""),
        ("rtnl:RTM_GETFOO", "sendmsg$foo"),
        ("rtnl:RTM_SETFOO", ""),
        ("op:IORING_OP_FOO", "sendmsg$foo"),
        ("entry:BPF programs", "bpf$FOO"),
        ("entry:no such thing", ""),
    ],
)
def test_what_reaches_an_interface(checkout: pathlib.Path, interface: str, call: str) -> None:
    found = descriptions.read(str(checkout), "x86_64")
    assert reaching_calls.first(interface, found) == call


def test_a_directory_that_is_no_checkout_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(NoDescriptions, match="it names a checkout of syzkaller"):
        descriptions.read(str(tmp_path), "x86_64")


def test_links_odd_bytes_and_huge_files_are_passed_over(checkout: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "secret.txt").write_text("secret()\n")
    (checkout / "sys/linux/link.txt").symlink_to(tmp_path / "secret.txt")
    (checkout / "sys/linux/odd.txt").write_bytes(b"odd(\xff\xfe\x00 int8)\n((((\n$$$\n")
    (checkout / "sys/linux/huge.txt").write_bytes(b"huge()\n" + b"#" * (5 << 20))
    found = descriptions.read(str(checkout), "x86_64")
    assert "frob" in found.calls
    assert not found.calls.keys() & {"secret", "huge"}


def test_the_calls_come_in_the_order_in_which_they_lead_on(tmp_path: pathlib.Path) -> None:
    """Not in that of a set of strings, which is another one in each process."""
    (tmp_path / "sys/linux").mkdir(parents=True)
    names = [f"r{number}" for number in range(30)]
    text = "".join(f"resource {name}[int32]\nuse_{name}(a {name})\n" for name in names)
    outs = ", ".join(f"{name} ptr[out, {name}]" for name in names)
    device = 'a ptr[in, string["/dev/many"]]'
    (tmp_path / "sys/linux/a.txt").write_text(f"{text}openat$many({device}, {outs})\n")
    calls = reaching_calls.calls("device:/dev/many", descriptions.read(str(tmp_path), "x86_64"))
    assert calls == ["openat$many", *(f"use_{name}" for name in names)]
