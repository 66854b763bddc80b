"""Callback tables: the structures whose members user space makes the kernel call.

The names are those of the kernel's own headers, checked on Linux 6.12 and 7.1. To add a structure, put its name behind its kind in TABLES,
and a line into tests/kernel/test_entry_points.py. A table is an entry point only where it is registered too. A name that is missing here
costs an answer, and never makes one.
"""

from __future__ import annotations

import enum

import msgspec

from hook import lazy_re


class EntryKind(enum.StrEnum):
    """What a program does to run a function."""

    FILE_OPERATIONS = "open, read, write, ioctl, mmap"
    PATHS = "calls on paths and files"
    FILE_HANDLES = "name_to_handle_at, open_by_handle_at"
    PAGE_CACHE = "file contents through the page cache"
    MOUNT = "mount, statfs, sync"
    FILE_LOCKS = "file locks and leases"
    MAPPED_MEMORY = "memory that is mapped"
    RANGE_WALKS = "walks over memory and file ranges"
    PIPES = "pipes and splice"
    IO_URING = "io_uring"
    PROC_FILES = "files below /proc"
    SYSFS_FILES = "files of sysfs"
    CONFIGFS_FILES = "files of configfs"
    SYSCTL = "sysctl"
    MODULE_PARAMETERS = "module parameters"
    CONTROL_GROUPS = "control groups"
    SOCKETS = "sockets"
    PACKETS = "packets"
    NETFILTER = "netfilter"
    NETLINK = "netlink"
    NETWORK_DEVICES = "network devices"
    TRAFFIC_CONTROL = "traffic control"
    NETWORK_NAMESPACES = "network namespaces"
    BPF = "BPF programs"
    KEYS = "keys"
    AF_ALG = "AF_ALG sockets"
    TERMINALS = "terminals"
    BLOCK_REQUESTS = "block requests"
    PERF_EVENTS = "perf events"
    TRACEFS = "tracefs"
    CLOCKS = "timers and clocks"
    SCHEDULER = "the scheduler"
    EXECVE = "execve"
    SECURITY_HOOKS = "security hooks"
    MISC_DEVICES = "random numbers and virtual devices"
    SOUND = "sound"
    RPC = "remote procedure calls"
    VIRTUAL_MACHINES = "virtual machines"
    DMA_BUF = "dma-buf"
    PTRACE = "ptrace and core dumps"
    INPUT = "keyboard and other input"
    RTNETLINK = "rtnetlink messages"
    DEBUGFS_FILES = "files of debugfs"
    PACKET_END = "packets and network devices"
    IO_COMPLETION = "input and output that completes"
    MEMORY_PRESSURE = "memory pressure"
    CPU_HOTPLUG = "a processor that goes offline or online"


class CallbackTable(msgspec.Struct, frozen=True):
    """How user space makes the kernel call the members of a structure."""

    kind: EntryKind
    is_indexed_by_core: bool = False  # an array of the core names the table, so that nothing registers it
    options: tuple[str, ...] = ()  # without which nothing calls the members, if no makefile says so
    only: frozenset[str] = frozenset()  # the only members that a program can run; empty: all
    is_called_at_once: bool = False  # the function that gets the table calls its members, and nothing does later


def _tables(
    kind: EntryKind,
    names: str,
    *,
    is_indexed_by_core: bool = False,
    options: tuple[str, ...] = (),
    only: str = "",
    is_called_at_once: bool = False,
) -> dict[str, CallbackTable]:
    table = CallbackTable(kind, is_indexed_by_core, options, frozenset(only.split()), is_called_at_once)
    return dict.fromkeys(names.split(), table)


TABLES: dict[str, CallbackTable] = {
    **_tables(EntryKind.FILE_OPERATIONS, "file_operations proc_ops kernfs_ops seq_operations block_device_operations"),
    **_tables(EntryKind.PATHS, "inode_operations dentry_operations xattr_handler"),
    **_tables(EntryKind.FILE_HANDLES, "export_operations", only="encode_fh fh_to_dentry fh_to_parent get_name get_parent"),
    **_tables(EntryKind.PAGE_CACHE, "address_space_operations iomap_folio_ops netfs_request_ops fscrypt_operations fsverity_operations"),
    **_tables(
        EntryKind.MOUNT,
        "super_operations file_system_type fs_context_operations quotactl_ops dquot_operations quota_format_ops quota_format_type",
    ),
    **_tables(EntryKind.FILE_LOCKS, "file_lock_operations lock_manager_operations lease_manager_operations"),
    **_tables(EntryKind.MAPPED_MEMORY, "vm_operations_struct mmu_notifier_ops vm_special_mapping movable_operations"),
    **_tables(
        EntryKind.RANGE_WALKS,
        "mm_walk_ops iomap_ops iomap_dio_ops iomap_writeback_ops iomap_read_ops iomap_write_ops",
        is_called_at_once=True,
    ),
    **_tables(EntryKind.PIPES, "pipe_buf_operations"),
    **_tables(EntryKind.IO_URING, "io_issue_def io_cold_def io_op_def", is_indexed_by_core=True),
    **_tables(EntryKind.PROC_FILES, "pid_entry proc_ns_operations"),
    **_tables(
        EntryKind.SYSFS_FILES,
        "device_attribute dev_ext_attribute kobj_attribute class_attribute bus_attribute driver_attribute module_attribute bin_attribute "
        "sysfs_ops attribute_group slab_attribute queue_sysfs_entry blk_mq_hw_ctx_sysfs_entry netdev_queue_attribute rx_queue_attribute "
        "brport_attribute elv_fs_entry",
    ),
    **_tables(
        EntryKind.CONFIGFS_FILES,
        "configfs_attribute configfs_bin_attribute configfs_item_operations configfs_group_operations configfs_subsystem",
    ),
    **_tables(EntryKind.SYSCTL, "ctl_table ctl_table_root"),
    **_tables(EntryKind.MODULE_PARAMETERS, "kernel_param_ops"),
    **_tables(EntryKind.CONTROL_GROUPS, "cftype kernfs_syscall_ops"),
    **_tables(EntryKind.CONTROL_GROUPS, "cgroup_subsys", is_indexed_by_core=True, options=("CGROUPS",)),
    **_tables(
        EntryKind.SOCKETS,
        "proto_ops proto net_proto_family inet_protosw nf_sockopt_ops tcp_congestion_ops tcp_ulp_ops inet_connection_sock_af_ops "
        "request_sock_ops tcp_request_sock_ops timewait_sock_ops af_alg_type can_proto mptcp_sched_ops vsock_transport "
        "tcp_sock_af_ops sctp_af sctp_pf inet_diag_handler sock_diag_handler",
    ),
    **_tables(
        EntryKind.PACKETS,
        "net_protocol inet6_protocol packet_type net_offload packet_offload offload_callbacks dst_ops neigh_ops header_ops "
        "xfrm_type xfrm_tunnel xfrm6_tunnel xfrm4_protocol xfrm6_protocol xfrm_input_afinfo xfrm_policy_afinfo xfrm_state_afinfo "
        "xfrm_mgr xfrm_type_offload xfrm_translator gre_protocol ip_tunnel_encap_ops ip6_tnl_encap_ops lwtunnel_encap_ops "
        "l3mdev_ops udp_tunnel_sock_cfg stp_proto ipv6_stub nf_ipv6_ops ipv6_bpf_stub neigh_table xfrm_if_cb",
    ),
    **_tables(
        EntryKind.NETFILTER,
        "nf_hook_ops xt_match xt_target xt_table nft_expr_type nft_expr_ops nft_chain_type nft_object_type nft_object_ops "
        "nft_set_type nft_set_ops nft_flowtable_filter nf_flowtable_type nf_logger nf_conntrack_helper "
        "nf_queue_handler nf_nat_hook nf_ct_hook nfnl_ct_hook nf_conntrack_nat_helper ip_set_type ip_set_type_variant "
        "ip_vs_scheduler ip_vs_pe ip_vs_app ip_vs_protocol ebt_table nf_defrag_hook",
    ),
    **_tables(
        EntryKind.NETLINK,
        "genl_ops genl_small_ops genl_split_ops genl_family nfnl_callback nfnetlink_subsystem rtnl_msg_handler netlink_kernel_cfg "
        "fib_rules_ops rtnl_link_ops rtnl_af_ops dcbnl_rtnl_ops netlink_dump_control",
    ),
    **_tables(
        EntryKind.NETWORK_DEVICES,
        "net_device_ops ethtool_ops xfrmdev_ops tlsdev_ops devlink_ops udp_tunnel_nic_info team_mode macsec_ops xdp_metadata_ops "
        "netdev_queue_mgmt_ops cfg80211_ops ieee80211_ops rate_control_ops ieee802154_ops hci_uart_proto cfg802154_ops",
    ),
    **_tables(EntryKind.TRAFFIC_CONTROL, "Qdisc_ops Qdisc_class_ops tcf_proto_ops tc_action_ops tcf_ematch_ops"),
    **_tables(EntryKind.NETWORK_NAMESPACES, "pernet_operations", options=("NET_NS",)),
    **_tables(
        EntryKind.BPF,
        "bpf_func_proto btf_kfunc_id_set bpf_iter_reg bpf_iter_seq_info bpf_struct_ops bpf_link_ops bpf_raw_event_map",
    ),
    **_tables(EntryKind.BPF, "bpf_map_ops bpf_verifier_ops bpf_prog_ops", is_indexed_by_core=True, options=("BPF_SYSCALL",)),
    **_tables(EntryKind.KEYS, "key_type asymmetric_key_parser asymmetric_key_subtype"),
    **_tables(
        EntryKind.AF_ALG,
        "crypto_alg shash_alg ahash_alg skcipher_alg aead_alg akcipher_alg rng_alg kpp_alg acomp_alg scomp_alg crypto_template "
        "crypto_type lskcipher_alg",
        options=("CRYPTO_USER_API",),
    ),
    **_tables(EntryKind.TERMINALS, "tty_operations tty_ldisc_ops tty_port_operations consw"),
    **_tables(EntryKind.BLOCK_REQUESTS, "blk_mq_ops elevator_mq_ops elevator_type blkcg_policy rq_qos_ops target_type"),
    **_tables(EntryKind.PERF_EVENTS, "pmu"),
    **_tables(
        EntryKind.TRACEFS,
        "tracer trace_event_functions trace_event_class trace_event_call event_command event_trigger_ops dyn_event_operations "
        "ftrace_ops tracer_opt",
    ),
    **_tables(EntryKind.CLOCKS, "k_clock", is_indexed_by_core=True),
    **_tables(EntryKind.CLOCKS, "posix_clock_operations"),
    **_tables(EntryKind.CPU_HOTPLUG, "cpuhp_step", is_indexed_by_core=True, options=("HOTPLUG_CPU", "SYSFS")),
    **_tables(EntryKind.SCHEDULER, "sched_class", is_indexed_by_core=True),
    **_tables(EntryKind.EXECVE, "linux_binfmt"),
    **_tables(EntryKind.SECURITY_HOOKS, "security_hook_list"),
    **_tables(EntryKind.MISC_DEVICES, "miscdevice"),
    **_tables(EntryKind.SOUND, "snd_pcm_ops snd_rawmidi_ops snd_seq_port_callback snd_info_entry_ops"),
    **_tables(
        EntryKind.RPC,
        "rpc_call_ops rpc_procinfo svc_procedure svc_version svc_program rpc_authops rpc_credops rpc_xprt_ops xprt_class "
        "svc_xprt_ops svc_xprt_class cache_detail rpc_pipe_ops",
    ),
    **_tables(EntryKind.VIRTUAL_MACHINES, "kvm_device_ops kvm_io_device_ops"),
    **_tables(EntryKind.DMA_BUF, "dma_buf_ops dma_fence_ops"),
    **_tables(EntryKind.PTRACE, "user_regset user_regset_view"),
    **_tables(EntryKind.INPUT, "input_handler"),
}

# structures that a function fills in for its next call: their members run where that function runs
CALLBACKS = frozenset((
    "rmap_walk_control", "netlink_dump_control", "netlink_kernel_cfg", "mm_walk_ops", "iomap_ops", "walk_control",
    "strp_callbacks", "dir_context", "getdents_callback", "readdir_callback", "seq_operations", "tcf_walker",
    "qdisc_walker", "fib6_walker", "fib6_cleaner", "ptdump_state",
))  # fmt: skip

# macros that build the names of functions and of a table from an argument: the names used, the table defined, and its structure
PASTED: dict[str, tuple[tuple[str, ...], str, str]] = {
    "DEFINE_SHOW_ATTRIBUTE": (("{0}_show",), "{0}_fops", "file_operations"),
    "DEFINE_SHOW_STORE_ATTRIBUTE": (("{0}_show", "{0}_write"), "{0}_fops", "file_operations"),
    "DEFINE_SEQ_ATTRIBUTE": (("{0}_sops",), "{0}_fops", "file_operations"),
    "DEFINE_PROC_SHOW_ATTRIBUTE": (("{0}_show",), "{0}_proc_ops", "proc_ops"),
    "ATTRIBUTE_GROUPS": (("{0}_attrs",), "{0}_groups", "attribute_group"),
    "__ATTRIBUTE_GROUPS": (("{0}_group",), "{0}_groups", "attribute_group"),
    "BIN_ATTRIBUTE_GROUPS": (("{0}_bin_attrs",), "{0}_groups", "attribute_group"),
    "SLAB_ATTR": (("{0}_show", "{0}_store"), "{0}_attr", "slab_attribute"),
    "SLAB_ATTR_RO": (("{0}_show",), "{0}_attr", "slab_attribute"),
    "CONFIGFS_ATTR": (("{0}{1}_show", "{0}{1}_store"), "{0}attr_{1}", "configfs_attribute"),
    "CONFIGFS_ATTR_RO": (("{0}{1}_show",), "{0}attr_{1}", "configfs_attribute"),
    "CONFIGFS_ATTR_WO": (("{0}{1}_store",), "{0}attr_{1}", "configfs_attribute"),
    **{
        f"{kind}_ATTR_{mode}": (("{0}_show", "{0}_store"), f"{prefix}_attr_{{0}}", struct)
        for kind, prefix, struct in (("DEVICE", "dev", "device_attribute"), ("BUS", "bus", "bus_attribute"),
                                     ("CLASS", "class", "class_attribute"), ("DRIVER", "driver", "driver_attribute"))
        for mode in ("RW", "RO", "WO", "ADMIN_RW", "ADMIN_RO")
    },
}  # fmt: skip
# the same inside the initialiser of a table: the table itself uses the name
PASTED_INSIDE = lazy_re.compile(r"(?:__ATTR|\w*_ATTR)(?:_RW|_RO|_WO|_RW_MODE|_RO_MODE)?\Z")
# macros that define a table from functions in their arguments: the name of the table, and its structure
MAKING: dict[str, tuple[str, str]] = {
    "DEFINE_SIMPLE_ATTRIBUTE": ("{0}", "file_operations"),
    "DEFINE_DEBUGFS_ATTRIBUTE": ("{0}", "file_operations"),
    "DEFINE_DEBUGFS_ATTRIBUTE_SIGNED": ("{0}", "file_operations"),
    "DEFINE_SIMPLE_ATTRIBUTE_SIGNED": ("{0}", "file_operations"),
    "DEVICE_ATTR": ("dev_attr_{0}", "device_attribute"),
    "BUS_ATTR": ("bus_attr_{0}", "bus_attribute"),
    "CLASS_ATTR": ("class_attr_{0}", "class_attribute"),
    "DRIVER_ATTR": ("driver_attr_{0}", "driver_attribute"),
}


def entry_of(struct: str, member: str) -> CallbackTable | None:
    """How user space runs the function that is `member` of a `struct`; None if that is not known."""
    table = TABLES.get(struct)
    return table if table is not None and (not table.only or member in table.only) else None
