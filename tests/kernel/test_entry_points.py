"""What user space can run: a structure's member, a call, a macro, each with what a program does to run it."""

from __future__ import annotations

import pytest

from hook.kernel import entry_points
from hook.kernel.callback_tables import EntryKind, entry_of

MEMBERS = [
    ("file_operations", "open", EntryKind.FILE_OPERATIONS),
    ("file_operations", "mmap_prepare", EntryKind.FILE_OPERATIONS),  # since Linux 6.16
    ("proto_ops", "bind", EntryKind.SOCKETS),
    ("genl_small_ops", "doit", EntryKind.NETLINK),
    ("export_operations", "fh_to_dentry", EntryKind.FILE_HANDLES),
    ("export_operations", "commit_metadata", None),  # nfsd alone calls it
    ("iomap_read_ops", "read_folio_range", EntryKind.RANGE_WALKS),
    ("io_uring_bpf_ops", "loop_step", None),  # what stands in it is a stub of BPF's, which nothing calls
    ("liveupdate_file_ops", "preserve", None),  # a kernel without liveupdate=on registers none
    ("cpuhp_step", "single", EntryKind.CPU_HOTPLUG),
    ("pci_driver", "probe", None),  # a device decides
    ("seq_operations_of_mine", "show", None),
]
CALLS = [
    ("rtnl_register", EntryKind.RTNETLINK, ()),
    ("proc_create_single", EntryKind.PROC_FILES, ("PROC_FS",)),
    ("debugfs_create_devm_seqfile", EntryKind.DEBUGFS_FILES, ("DEBUG_FS",)),
    ("cpuhp_setup_state_nocalls", EntryKind.CPU_HOTPLUG, ("HOTPLUG_CPU",)),
    ("cpuhp_setup_state_multi", None, ("HOTPLUG_CPU",)),  # its callbacks run for instances
    ("xt_hook_ops_alloc", EntryKind.NETFILTER, ()),
    ("xt_alloc_table_info", None, ()),
    ("crypto_register_notifier", None, ("CRYPTO_USER_API",)),
    ("register_memory_notifier", None, ("MEMORY_HOTPLUG",)),
    ("printk", None, ()),
]


@pytest.mark.parametrize(("struct", "member", "kind"), MEMBERS)
def test_a_member_of_a_callback_table_is_an_entry_point(struct: str, member: str, kind: EntryKind | None) -> None:
    table = entry_of(struct, member)
    assert (table.kind if table else None) == kind


@pytest.mark.parametrize(("call", "kind", "options"), CALLS)
def test_a_call_gives_its_function_to_user_space(call: str, kind: EntryKind | None, options: tuple[str, ...]) -> None:
    assert (entry_points.REGISTERING.get(call), entry_points.options_of_call(call)) == (kind, options)


@pytest.mark.parametrize(
    "call",
    ["unregister_filesystem", "xt_unregister_match", "device_match_name", "kfree", "is_bdi_congested", "debugfs_remove", "ARRAY_SIZE"],
)
def test_a_call_that_takes_a_table_away_attaches_nothing(call: str) -> None:
    assert entry_points.takes_away(call)


@pytest.mark.parametrize("call", ["register_filesystem", "xt_register_match", "misc_register", "sysfs_create_groups"])
def test_a_call_that_registers_does_not_take_away(call: str) -> None:
    assert not entry_points.takes_away(call)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("drivers/net/tun.c", False),
        ("drivers/net/e1000.c", True),
        ("fs/pipe.c", False),
        ("arch/x86/kvm/svm/svm.c", False),
        ("arch/x86/crypto/aesni-intel_glue.c", False),
        ("drivers/crypto/padlock-aes.c", True),
        ("arch/x86/events/amd/ibs.c", True),
    ],
)
def test_boot_code_of_drivers_may_look_for_hardware(path: str, answer: bool) -> None:
    assert entry_points.depends_on_hardware(path) is answer


@pytest.mark.parametrize(
    ("call", "is_raised"),
    [("crypto_register_notifier", True), ("register_netdevice_notifier", True), ("register_reboot_notifier", False)],
)
def test_a_program_raises_the_event_of_a_notifier(call: str, is_raised: bool) -> None:
    assert bool(entry_points.NOTIFIERS.match(call)) is is_raised
