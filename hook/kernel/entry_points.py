"""Entries: what of the kernel a program can drive, by the tables, macros and calls that attach a function to it.

The names are those of the kernel's own headers. A table is driven where its structure stands here and the table is registered; what is not
here is no entry, so that what is missing costs an answer and never makes one.
"""

from __future__ import annotations

import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Driven:
    """How a program makes the kernel call what stands in a structure."""

    how: str
    everywhere: bool = False  # the core indexes the table itself, so that nothing registers it
    needs: tuple[str, ...] = ()  # options without which nothing is driven, where no makefile says so
    members: frozenset[str] = frozenset()  # the only ones that a program gets to; all where there are none
    at_once: bool = False  # called by who is given the table, and by nobody later


def _all(
    how: str, names: str, *, everywhere: bool = False, needs: tuple[str, ...] = (), members: str = "", at_once: bool = False
) -> dict[str, Driven]:
    return {name: Driven(how, everywhere, needs, frozenset(members.split()), at_once) for name in names.split()}


TABLES: dict[str, Driven] = dict(
    pair
    for pairs in (
        _all(
            "open, read, write, ioctl, mmap",
            "file_operations proc_ops kernfs_ops seq_operations block_device_operations",
        ),
        _all(
            "calls on paths and files",
            "inode_operations dentry_operations xattr_handler",
        ),
        # the others are called by nfsd alone
        _all(
            "name_to_handle_at, open_by_handle_at",
            "export_operations",
            members="encode_fh fh_to_dentry fh_to_parent get_name get_parent",
        ),
        _all(
            "file contents through the page cache",
            "address_space_operations iomap_folio_ops netfs_request_ops fscrypt_operations fsverity_operations",
        ),
        _all(
            "mount, statfs, sync",
            "super_operations file_system_type fs_context_operations quotactl_ops dquot_operations quota_format_ops quota_format_type",
        ),
        _all(
            "file locks and leases",
            "file_lock_operations lock_manager_operations lease_manager_operations",
        ),
        _all(
            "memory that is mapped",
            "vm_operations_struct mmu_notifier_ops vm_special_mapping movable_operations",
        ),
        _all("walks over memory and file ranges", "mm_walk_ops iomap_ops iomap_dio_ops iomap_writeback_ops", at_once=True),
        _all(
            "pipes and splice",
            "pipe_buf_operations",
        ),
        _all(
            "io_uring",
            "io_issue_def io_cold_def",
            everywhere=True,
        ),
        _all(
            "files below /proc",
            "pid_entry proc_ns_operations",
        ),
        _all(
            "files of sysfs",
            "device_attribute kobj_attribute class_attribute bus_attribute driver_attribute module_attribute bin_attribute "
            "sysfs_ops attribute_group slab_attribute queue_sysfs_entry blk_mq_hw_ctx_sysfs_entry netdev_queue_attribute "
            "rx_queue_attribute brport_attribute elv_fs_entry",
        ),
        _all(
            "files of configfs",
            "configfs_attribute configfs_bin_attribute configfs_item_operations configfs_group_operations configfs_subsystem",
        ),
        _all(
            "sysctl",
            "ctl_table ctl_table_root",
        ),
        _all(
            "module parameters",
            "kernel_param_ops",
        ),
        _all(
            "control groups",
            "cftype kernfs_syscall_ops",
        ),
        _all(
            "control groups",
            "cgroup_subsys",
            everywhere=True,
            needs=("CGROUPS",),
        ),
        _all(
            "sockets",
            "proto_ops proto net_proto_family inet_protosw nf_sockopt_ops tcp_congestion_ops tcp_ulp_ops "
            "inet_connection_sock_af_ops request_sock_ops tcp_request_sock_ops timewait_sock_ops af_alg_type can_proto "
            "mptcp_sched_ops vsock_transport tcp_sock_af_ops sctp_af sctp_pf inet_diag_handler sock_diag_handler",
        ),
        _all(
            "packets",
            "net_protocol inet6_protocol packet_type net_offload packet_offload offload_callbacks dst_ops neigh_ops "
            "header_ops xfrm_type xfrm_tunnel xfrm6_tunnel xfrm4_protocol xfrm6_protocol xfrm_input_afinfo xfrm_policy_afinfo "
            "xfrm_state_afinfo xfrm_mgr xfrm_type_offload xfrm_translator gre_protocol ip_tunnel_encap_ops ip6_tnl_encap_ops "
            "lwtunnel_encap_ops l3mdev_ops udp_tunnel_sock_cfg stp_proto ipv6_stub nf_ipv6_ops ipv6_bpf_stub neigh_table "
            "xfrm_if_cb",
        ),
        _all(
            "netfilter",
            "nf_hook_ops xt_match xt_target xt_table nft_expr_type nft_expr_ops nft_chain_type nft_object_type nft_object_ops "
            "nft_set_type nft_set_ops nft_flowtable_filter nf_flowtable_type nf_logger nf_conntrack_l4proto "
            "nf_conntrack_helper nf_queue_handler nf_nat_hook nf_ct_hook nfnl_ct_hook nf_conntrack_nat_helper ip_set_type "
            "ip_set_type_variant ip_vs_scheduler ip_vs_pe ip_vs_app ip_vs_protocol ebt_table nf_defrag_hook",
        ),
        _all(
            "netlink",
            "genl_ops genl_small_ops genl_split_ops genl_family nfnl_callback nfnetlink_subsystem rtnl_msg_handler "
            "netlink_kernel_cfg fib_rules_ops rtnl_link_ops rtnl_af_ops dcbnl_rtnl_ops netlink_dump_control",
        ),
        _all(
            "network devices",
            "net_device_ops ethtool_ops xfrmdev_ops tlsdev_ops devlink_ops udp_tunnel_nic_info team_mode macsec_ops "
            "xdp_metadata_ops netdev_queue_mgmt_ops cfg80211_ops ieee80211_ops rate_control_ops ieee802154_ops hci_uart_proto "
            "cfg802154_ops",
        ),
        _all(
            "traffic control",
            "Qdisc_ops Qdisc_class_ops tcf_proto_ops tc_action_ops tcf_ematch_ops",
        ),
        _all(
            "network namespaces",
            "pernet_operations",
            needs=("NET_NS",),
        ),
        _all(
            "BPF programs",
            "bpf_func_proto btf_kfunc_id_set bpf_iter_reg bpf_iter_seq_info bpf_struct_ops bpf_link_ops bpf_raw_event_map",
        ),
        _all(
            "BPF programs",
            "bpf_map_ops bpf_verifier_ops bpf_prog_ops",
            everywhere=True,
            needs=("BPF_SYSCALL",),
        ),
        _all(
            "keys",
            "key_type asymmetric_key_parser asymmetric_key_subtype",
        ),
        _all(
            "AF_ALG sockets",
            "crypto_alg shash_alg ahash_alg skcipher_alg aead_alg akcipher_alg rng_alg kpp_alg acomp_alg scomp_alg "
            "crypto_template crypto_type lskcipher_alg",
            needs=("CRYPTO_USER_API",),
        ),
        _all(
            "terminals",
            "tty_operations tty_ldisc_ops tty_port_operations consw",
        ),
        _all(
            "block requests",
            "blk_mq_ops elevator_mq_ops blkcg_policy rq_qos_ops target_type",
        ),
        _all(
            "perf events",
            "pmu",
        ),
        _all(
            "tracefs",
            "tracer trace_event_functions trace_event_class trace_event_call event_command event_trigger_ops "
            "dyn_event_operations ftrace_ops tracer_opt",
        ),
        _all(
            "timers and clocks",
            "k_clock posix_clock_operations",
        ),
        _all(
            "the scheduler",
            "sched_class",
            everywhere=True,
        ),
        _all(
            "execve",
            "linux_binfmt",
        ),
        _all(
            "security hooks",
            "security_hook_list",
        ),
        _all(
            "random numbers and virtual devices",
            "miscdevice",
        ),
        _all(
            "sound",
            "snd_pcm_ops snd_rawmidi_ops snd_seq_port_callback snd_info_entry_ops",
        ),
        _all(
            "remote procedure calls",
            "rpc_call_ops rpc_procinfo svc_procedure svc_version svc_program rpc_authops rpc_credops rpc_xprt_ops xprt_class "
            "svc_xprt_ops svc_xprt_class cache_detail rpc_pipe_ops",
        ),
        _all(
            "virtual machines",
            "kvm_device_ops kvm_io_device_ops",
        ),
        _all(
            "dma-buf",
            "dma_buf_ops dma_fence_ops",
        ),
        _all(
            "ptrace and core dumps",
            "user_regset user_regset_view",
        ),
        _all(
            "keyboard and other input",
            "input_handler",
        ),
    )
    for pair in pairs.items()
)

# set inside a running function for what it calls next: driven where that function is
CALLBACKS = frozenset(
    (
        "rmap_walk_control", "netlink_dump_control", "netlink_kernel_cfg", "mm_walk_ops", "iomap_ops", "walk_control",
        "strp_callbacks", "dir_context", "getdents_callback", "readdir_callback", "seq_operations", "tcf_walker",
        "qdisc_walker", "fib6_walker", "fib6_cleaner", "ptdump_state",
    )
)  # fmt: skip

# a member that is called for whatever its object does, set by a function that is itself run
MEMBERS: dict[str, str] = {
    **dict.fromkeys(
        ("sk_data_ready", "sk_write_space", "sk_state_change", "sk_destruct", "sk_backlog_rcv", "sk_error_report", "encap_rcv",
         "encap_destroy", "encap_err_lookup", "encap_err_rcv", "gro_receive", "gro_complete"), "sockets",
    ),
    **dict.fromkeys(("destructor", "priv_destructor"), "packets and network devices"),
    **dict.fromkeys(("bi_end_io", "b_end_io", "end_io", "ki_complete"), "input and output that completes"),
    **dict.fromkeys(("rx_handler",), "packets"),
    **dict.fromkeys(("scan_objects", "count_objects"), "memory pressure"),
}  # fmt: skip

# calls that hand a function to the interface that a program uses, with the interface
REGISTERING: dict[str, str] = {
    **dict.fromkeys(("rtnl_register", "rtnl_register_module"), "rtnetlink messages"),
    **dict.fromkeys(("proc_create_single", "proc_create_single_data", "proc_create_net_single"), "files below /proc"),
    **dict.fromkeys(("debugfs_create_devm_seqfile",), "files of debugfs"),
    **dict.fromkeys(("netdev_rx_handler_register", "setup_udp_tunnel_sock"), "packets"),
}
# calls that call the function that they are given, or have it called as the program goes on with what it does
CALLING = frozenset(
    (
        "single_open", "single_open_size", "single_open_net", "seq_open_private", "__seq_open_private", "netlink_rcv_skb",
        "alloc_netdev", "alloc_netdev_mqs", "alloc_netdev_mq", "sget", "sget_fc", "sget_dev", "iget5_locked", "ilookup5",
        "ilookup5_nowait", "inode_insert5", "mount_bdev", "mount_nodev", "mount_single", "get_tree_bdev", "get_tree_bdev_flags",
        "get_tree_nodev", "get_tree_single", "get_tree_keyed", "vfs_get_super",
    )
)  # fmt: skip
# what a call needs to be more than a stub
NEEDED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(form), option)
    for form, option in (
        (r"debugfs_", "DEBUG_FS"), (r"proc_(?:create|net)|proc_mkdir", "PROC_FS"), (r"(?:device_create_file|sysfs_)", "SYSFS"),
        (r"configfs_", "CONFIGFS_FS"), (r"securityfs_", "SECURITYFS"), (r"register_(?:net_)?sysctl|__register_sysctl", "SYSCTL"),
        (r"(?:tracefs_|trace_create_|rv_create_)", "TRACING"),
    )
)  # fmt: skip


def needed_by(call: str) -> tuple[str, ...]:
    """The options without which a call of the kernel registers nothing."""
    return tuple(option for form, option in NEEDED if form.match(call))


# calls that have a function run later, whatever else happens; the way goes on from who makes them
LATER = frozenset(
    (
        "DEFINE_WAIT_FUNC", "init_waitqueue_func_entry",
        "call_rcu", "call_rcu_hurry", "call_srcu", "call_rcu_tasks", "call_rcu_tasks_trace", "smp_call_function",
        "smp_call_function_single", "smp_call_function_many", "smp_call_function_many_cond", "on_each_cpu", "on_each_cpu_mask",
        "on_each_cpu_cond", "on_each_cpu_cond_mask", "smp_call_function_any", "stop_machine", "stop_one_cpu", "stop_two_cpus",
        "stop_one_cpu_nowait", "schedule_on_each_cpu", "work_on_cpu", "work_on_cpu_safe", "async_schedule",
        "async_schedule_domain", "devm_add_action", "devm_add_action_or_reset", "execute_in_process_context",
        "create_worker_thread", "create_io_thread", "create_kthread", "user_mode_thread", "kernel_thread", "vhost_task_create",
    )
)  # fmt: skip
THREADS = frozenset(
    (
        "kthread_run", "kthread_create", "kthread_create_on_node", "kthread_create_on_cpu", "kthread_run_on_cpu",
        "kthread_create_worker", "kernel_thread", "user_mode_thread", "svc_create_pooled", "smpboot_register_percpu_thread",
    )
)  # fmt: skip
# calls and macros that tie a function to something that is queued by its name: the argument with that name
TIED: dict[str, int] = {
    **dict.fromkeys(
        ("INIT_WORK", "INIT_DELAYED_WORK", "INIT_DEFERRABLE_WORK", "INIT_RCU_WORK", "INIT_WORK_ONSTACK", "INIT_DELAYED_WORK_ONSTACK",
         "timer_setup", "timer_setup_on_stack", "tasklet_setup", "tasklet_init", "hrtimer_init", "hrtimer_setup", "init_task_work",
         "init_irq_work", "kthread_init_work", "kthread_init_delayed_work", "DECLARE_WORK", "DECLARE_DELAYED_WORK",
         "DECLARE_DEFERRABLE_WORK", "DEFINE_TIMER", "DECLARE_TASKLET", "INIT_WORK_KEY"), 0,
    ),
}  # fmt: skip
QUEUEING = re.compile(
    rb"\b(?:schedule_(?:delayed_)?work\w*|queue_(?:delayed_|rcu_)?work\w*|mod_delayed_work\w*|mod_timer\w*|add_timer\w*|timer_reduce"
    rb"|hrtimer_(?:re)?start\w*|tasklet_(?:hi_)?schedule|task_work_add|irq_work_queue\w*|kthread_queue_(?:delayed_)?work"
    rb"|sk_reset_timer|inet_csk_reset_\w+)\s*\("
)

# macros outside of functions that have a function run at boot: include/linux/init.h, module.h
AT_BOOT = re.compile(
    r"(?:module_init|__initcall|console_initcall|(?:early|pure|core|postcore|arch|subsys|fs|rootfs|device|late)_initcall(?:_sync)?"
    r"|security_initcall|init_subsys\w*|net_initcall|__define_initcall|pci_subsys_initcall|crypto_initcall)\Z"
)
AT_BOOT_FUNCTIONS = {"init/main.c": frozenset(("start_kernel", "kernel_init", "rest_init"))}
AT_EXIT = re.compile(r"(?:module_exit|__exitcall)\Z")
BOOT_OPTIONS = re.compile(r"(?:early_param|__setup|__setup_param|early_initcall_param)\Z")
# where the boot code of drivers may look for hardware first, and where not
HARDWARE = ("drivers/", "sound/", "arch/", "virt/")
SOFTWARE = (
    "drivers/base/", "drivers/char/mem.c", "drivers/char/random.c", "drivers/char/misc.c", "drivers/tty/tty_", "drivers/tty/pty.c",
    "drivers/tty/n_", "drivers/tty/vt/", "drivers/block/loop.c", "drivers/block/nbd.c", "drivers/block/brd.c", "drivers/block/null_blk/",
    "drivers/block/zram/", "drivers/md/", "drivers/net/loopback.c", "drivers/net/tun.c", "drivers/net/tap.c", "drivers/net/veth.c",
    "drivers/net/dummy.c", "drivers/net/ifb.c", "drivers/net/macvlan.c", "drivers/net/macsec.c", "drivers/net/macvtap.c",
    "drivers/net/ipvlan/",
    "drivers/net/vxlan/", "drivers/net/geneve.c", "drivers/net/gtp.c", "drivers/net/bareudp.c", "drivers/net/bonding/", "drivers/net/team/",
    "drivers/net/vrf.c", "drivers/net/nlmon.c", "drivers/net/netkit.c", "drivers/net/ppp/", "drivers/net/wireguard/", "drivers/net/amt.c",
    "drivers/net/netdevsim/", "drivers/input/input.c", "drivers/input/evdev.c", "drivers/input/mousedev.c", "drivers/input/misc/uinput.c",
    "drivers/bluetooth/hci_vhci.c", "drivers/net/wireless/virtual/", "drivers/usb/gadget/", "drivers/usb/usbip/", "drivers/usb/core/",
    "drivers/vhost/", "drivers/dma-buf/", "drivers/hid/uhid.c", "drivers/android/", "drivers/target/",
)  # fmt: skip

# a table that a macro registers at boot
REGISTERED_BY = re.compile(r"(?:module|builtin|subsys|core)_\w+\Z")

# functions that exceptions enter which a program causes at will, and interrupts that every machine has
EXCEPTION = re.compile(
    r"(?:exc_(?:divide_error|overflow|bounds|invalid_op|device_not_available|invalid_tss|segment_not_present|stack_segment"
    r"|general_protection|alignment_check|coprocessor_error|simd_coprocessor_error|page_fault|debug|int3)"
    r"|int80_emulation|sysvec_(?:apic_timer_interrupt|reschedule_ipi|call_function(?:_single)?|irq_work))\Z"
)
ENTERED_FROM = ("entry/entry_64.S", "entry/entry_64_compat.S", "entry/entry_32.S", "kernel/entry.S")  # below arch/*/
NOT_ENTERED = re.compile(r"nmi|mce|machine_check|xen|hv_|vmm|sev_|double_fault|bad_iret|panic")  # by what a program does
# softirqs that run on every machine: kernel/softirq.c
SOFTIRQS = re.compile(r"\b(?:HI|TIMER|NET_TX|NET_RX|BLOCK|TASKLET|SCHED|HRTIMER|RCU)_SOFTIRQ\b")

# macros that paste the name of a function or a table out of an argument: what is used, what it makes, and of what structure
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
# the same as an initialiser of a table: what is used is an entry of the table itself
PASTED_INSIDE = re.compile(r"(?:__ATTR|\w*_ATTR)(?:_RW|_RO|_WO|_RW_MODE|_RO_MODE)?\Z")
# macros that make a table of the functions that they are given
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
PARAMETERS = re.compile(r"(?:module|core|subsys|device)_param_c(?:all|b)\Z")

# calls that take a table away, or only look at it
_TAKES_AWAY = re.compile(
    r"(?:\A|_)(?:un\w*|del|delete|remove|destroy|free|exit|detach|put|cleanup|release|deregister|clear|drop|kfree|is|has|match|find|lookup"
    r"|ARRAY_SIZE|sizeof|offsetof|container_of|IS_ERR|WARN_ON\w*|BUG_ON|printk|pr_\w+)(?:_|\Z)"
)


def depends_on_hardware(path: str) -> bool:
    """Whether what a file does at boot may depend on the machine."""
    return path.startswith(HARDWARE) and not path.startswith(SOFTWARE)


def takes_away(function: str) -> bool:
    """Whether a call of a function is none that attaches what it is given."""
    return _TAKES_AWAY.search(function) is not None


# notifiers that a program's own calls raise, by what registers them
NOTIFIERS = re.compile(
    r"register_(?:netdevice_notifier\w*|inetaddr_notifier|inet6addr_notifier|inetaddr_validator_notifier|inet6addr_validator_notifier"
    r"|netevent_notifier|fib_notifier|nexthop_notifier|vt_notifier|keyboard_notifier)\Z"
    r"|netlink_register_notifier\Z|task_handoff_register\Z|profile_event_register\Z"
)
