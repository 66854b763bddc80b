"""Sinks: the calls that copy memory out of the kernel, or out of the function.

The reader gets all bytes, also those that were never written: user space, a socket, a netlink listener, a device. KMSAN reports at
`copy_to_user` and its like (`kmsan_copy_to_user`), at a transfer to a device (`kmsan_handle_urb`, `kmsan_handle_dma`), and for a socket
buffer when it is read (include/linux/kmsan.h, include/linux/instrumented.h).
"""

from __future__ import annotations

import msgspec

from hook import lazy_re
from hook.c.word_places import places


class Sink(msgspec.Struct, frozen=True):
    """A call that copies bytes: the numbers, from 0, of the argument that points to them, and of the size."""

    name: bytes
    source: int
    size: int
    to: str  # the reader


def _table(to: str, rows: str) -> dict[bytes, Sink]:
    sinks = {}
    for row in rows.split(","):
        name, source, size = row.split()
        sinks[name.encode()] = Sink(name.encode(), int(source), int(size), to)
    return sinks


# each by its prototype in include/linux, include/net, include/rdma or net/bluetooth
SINKS: dict[bytes, Sink] = {
    **_table(
        "user space",
        "copy_to_user 1 2, __copy_to_user 1 2, __copy_to_user_inatomic 1 2, copy_to_user_nofault 1 2,"
        "copy_to_sockptr 1 2, copy_to_sockptr_offset 2 3, copy_to_bpfptr_offset 2 3, copy_to_iter 0 1, copy_to_iter_full 0 1,"
        "simple_read_from_buffer 3 4, ib_copy_to_udata 1 2, put_cmsg 4 3, memcpy_to_msg 1 2,"
        "rds_info_copy 1 2, uverbs_copy_to 2 3",
    ),
    **_table(
        "netlink",
        "nla_put 3 2, __nla_put 3 2, nla_put_nohdr 2 1, __nla_put_nohdr 2 1, nla_append 2 1, nla_put_64bit 3 2, __nla_put_64bit 3 2",
    ),
    **_table(
        "a socket buffer",
        "skb_put_data 1 2, __skb_put_data 1 2, skb_store_bits 2 3, hci_send_cmd 3 2, __hci_cmd_sync 3 2, __hci_cmd_sync_status 3 2,"
        "mgmt_cmd_complete 4 5, mgmt_event 2 3, l2cap_send_cmd 4 3",
    ),
    **_table("a file", "seq_write 1 2, kernel_write 1 2, __kernel_write 1 2, dump_emit 1 2"),
    **_table("a device", "usb_control_msg_send 6 7, memcpy_toio 1 2"),
}  # fmt: skip
# calls that may copy something out, but copy a value, go in either direction, or only reserve room in a buffer: a signal, no proof
LIKELY_SINKS = frozenset(
    b"put_user __put_user unsafe_put_user put_compat_flock nla_put_u8 nla_put_u16 nla_put_u32 nla_put_u64_64bit nla_put_s32 nla_put_be16"
    b" nla_put_be32 nla_put_le32 nla_put_string unsafe_copy_to_user copy_struct_to_user copy_siginfo_to_user put_timespec64 skb_put_u8"
    b" skb_put nlmsg_data nlmsg_put genlmsg_put nla_reserve nla_data ib_respond_udata uverbs_attr_get_obj simple_copy_to_iter"
    b" raw_copy_to_user relay_write perf_output_copy skb_copy_datagram_iter copy_page_to_iter fuse_copy_one"
    b" usb_control_msg usb_bulk_msg usb_interrupt_msg usb_fill_control_urb usb_fill_bulk_urb usb_fill_int_urb".split()
)

# calls that write all of what their first argument points to (FILLING: as many bytes as their size argument says); and allocators of zeroed
# memory, with the allocator of uninitialised memory for each
ZEROING = frozenset(b"memset memset64 memzero_explicit memset_after memset_startat bzero clear_page clear_user".split())
FILLING = frozenset(b"copy_from_user __copy_from_user copy_from_sockptr memcpy memdup_user copy_from_iter nla_memcpy".split())
ZEROED = {
    b"kzalloc": b"kmalloc", b"kcalloc": b"kmalloc_array", b"kzalloc_node": b"kmalloc_node", b"kvzalloc": b"kvmalloc",
    b"kvcalloc": b"kvmalloc_array", b"vzalloc": b"vmalloc", b"kmem_cache_zalloc": b"kmem_cache_alloc", b"devm_kzalloc": b"devm_kmalloc",
    b"devm_kcalloc": b"devm_kmalloc_array", b"skb_put_zero": b"skb_put", b"get_zeroed_page": b"__get_free_page",
    b"kvzalloc_obj": b"kvmalloc_obj", b"kvzalloc_objs": b"kvmalloc_objs", b"kvzalloc_flex": b"kvmalloc_flex",
    b"kzalloc_obj": b"kmalloc_obj", b"kzalloc_objs": b"kmalloc_objs", b"kzalloc_flex": b"kmalloc_flex",
}  # fmt: skip
# allocators of uninitialised memory, with the numbers of the argument for the size and of the one for the flags (-1: there is none)
UNINITIALISED_ALLOCATORS = {
    b"kmalloc": (0, 1), b"kvmalloc": (0, 1), b"kmalloc_node": (0, 1), b"vmalloc": (0, -1), b"devm_kmalloc": (1, 2), b"kmalloc_obj": (0, 1),
    b"kvmalloc_obj": (0, 1),
}  # fmt: skip
ALLOCATORS_OF_AN_OBJECT = frozenset((b"kmalloc_obj", b"kvmalloc_obj"))  # their argument is the object or its type; checked on 7.1
# include/linux/gfp_types.h: flags that do not zero the memory
PLAIN_FLAGS = frozenset(
    b"GFP_KERNEL GFP_ATOMIC GFP_NOWAIT GFP_NOIO GFP_NOFS GFP_USER GFP_DMA GFP_DMA32 GFP_KERNEL_ACCOUNT GFP_HIGHUSER __GFP_NOWARN"
    b" __GFP_NORETRY __GFP_NOFAIL __GFP_RETRY_MAYFAIL __GFP_ACCOUNT __GFP_COMP |".split()
)
# calls that get the address of an object, and at most read it
READERS = frozenset(
    b"kfree kvfree vfree kfree_sensitive kvfree_sensitive kfree_const devm_kfree memcmp IS_ERR IS_ERR_OR_NULL PTR_ERR PTR_ERR_OR_ZERO"
    b" ZERO_OR_NULL_PTR likely unlikely WARN_ON WARN_ON_ONCE BUG_ON virt_to_page kmemleak_not_leak".split()
)

CALLS = lazy_re.compile(rb"\b(?:" + b"|".join(sorted(SINKS)) + rb")\b")
_WORTH_READING = frozenset(name.decode() for name in {*SINKS, *LIKELY_SINKS})


def is_worth_reading(data: bytes) -> bool:
    """Whether a file has a sink or a likely one, without which nothing can be found in it. This costs a tenth of reading it as C."""
    return any(next(places(data, name), None) is not None for name in _WORTH_READING)
