"""Entry points: the calls and macros that attach a function to user space, run it later, or run it at boot.

The names are those of the kernel's own headers, checked on Linux 6.12. To add one, put its name into its table here and a line into
tests/kernel/test_entry_points.py. Structures of callbacks are in hook.kernel.callback_tables.
"""

from __future__ import annotations

import re

from hook import lazy_re
from hook.kernel.callback_tables import EntryKind

# members that are called for anything that happens to their object; a function that itself runs assigns them
MEMBERS: dict[str, EntryKind] = {
    **dict.fromkeys(
        ("sk_data_ready", "sk_write_space", "sk_state_change", "sk_destruct", "sk_backlog_rcv", "sk_error_report", "encap_rcv",
         "encap_destroy", "encap_err_lookup", "encap_err_rcv", "gro_receive", "gro_complete"), EntryKind.SOCKETS,
    ),
    **dict.fromkeys(("destructor", "priv_destructor"), EntryKind.PACKET_END),
    **dict.fromkeys(("bi_end_io", "b_end_io", "end_io", "ki_complete"), EntryKind.IO_COMPLETION),
    **dict.fromkeys(("rx_handler",), EntryKind.PACKETS),
    **dict.fromkeys(("scan_objects", "count_objects"), EntryKind.MEMORY_PRESSURE),
}  # fmt: skip

# calls that register a function with an interface for programs
REGISTERING: dict[str, EntryKind] = {
    **dict.fromkeys(("rtnl_register", "rtnl_register_module"), EntryKind.RTNETLINK),
    **dict.fromkeys(("proc_create_single", "proc_create_single_data", "proc_create_net_single"), EntryKind.PROC_FILES),
    **dict.fromkeys(("debugfs_create_devm_seqfile",), EntryKind.DEBUGFS_FILES),
    **dict.fromkeys(("netdev_rx_handler_register", "setup_udp_tunnel_sock"), EntryKind.PACKETS),
    "xt_hook_ops_alloc": EntryKind.NETFILTER,  # the hooks of a table, which a program's first rule registers
    # each callback runs as /sys/devices/system/cpu/cpu1/online is written; of `_multi`, once for each instance that is added
    **dict.fromkeys(
        ("cpuhp_setup_state", "cpuhp_setup_state_cpuslocked", "cpuhp_setup_state_nocalls", "cpuhp_setup_state_nocalls_cpuslocked"),
        EntryKind.CPU_HOTPLUG,
    ),
}
# calls that run the function in their arguments, at once or as the program goes on
CALLING = frozenset((
    "single_open", "single_open_size", "single_open_net", "seq_open_private", "__seq_open_private", "netlink_rcv_skb",
    "alloc_netdev", "alloc_netdev_mqs", "alloc_netdev_mq", "sget", "sget_fc", "sget_dev", "iget5_locked", "ilookup5",
    "ilookup5_nowait", "inode_insert5", "mount_bdev", "mount_nodev", "mount_single", "get_tree_bdev", "get_tree_bdev_flags",
    "get_tree_nodev", "get_tree_single", "get_tree_keyed", "vfs_get_super",
))  # fmt: skip
# calls that do nothing without an option
_OPTION_OF_CALL: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (lazy_re.compile(form), option)
    for form, option in (
        (r"cpuhp_setup_state", "HOTPLUG_CPU"), (r"crypto_register_notifier", "CRYPTO_USER_API"),
        (r"register_memory_notifier", "MEMORY_HOTPLUG"),  # it is raised as a memory block's state is written in sysfs
        (r"debugfs_", "DEBUG_FS"), (r"proc_(?:create|net)|proc_mkdir", "PROC_FS"), (r"(?:device_create_file|sysfs_)", "SYSFS"),
        (r"configfs_", "CONFIGFS_FS"), (r"securityfs_", "SECURITYFS"), (r"register_(?:net_)?sysctl|__register_sysctl", "SYSCTL"),
        (r"(?:tracefs_|trace_create_|rv_create_)", "TRACING"),
    )
)  # fmt: skip

# calls after which a function runs later in any case: the call path goes on from their caller
LATER = frozenset((
    "DEFINE_WAIT_FUNC", "init_waitqueue_func_entry",
    "call_rcu", "call_rcu_hurry", "call_srcu", "call_rcu_tasks", "call_rcu_tasks_trace", "smp_call_function",
    "smp_call_function_single", "smp_call_function_many", "smp_call_function_many_cond", "on_each_cpu", "on_each_cpu_mask",
    "on_each_cpu_cond", "on_each_cpu_cond_mask", "smp_call_function_any", "stop_machine", "stop_one_cpu", "stop_two_cpus",
    "stop_one_cpu_nowait", "schedule_on_each_cpu", "work_on_cpu", "work_on_cpu_safe", "async_schedule",
    "async_schedule_domain", "devm_add_action", "devm_add_action_or_reset", "execute_in_process_context",
    "create_io_thread", "create_kthread", "user_mode_thread", "kernel_thread", "vhost_task_create",
))  # fmt: skip
THREADS = frozenset((
    "kthread_run", "kthread_create", "kthread_create_on_node", "kthread_create_on_cpu", "kthread_run_on_cpu",
    "kthread_create_worker", "kernel_thread", "user_mode_thread", "svc_create_pooled", "smpboot_register_percpu_thread",
))  # fmt: skip
# calls and macros that set the function of the work item, timer or tasklet that is their first argument
TIED = frozenset((
    "INIT_WORK", "INIT_DELAYED_WORK", "INIT_DEFERRABLE_WORK", "INIT_RCU_WORK", "INIT_WORK_ONSTACK", "INIT_DELAYED_WORK_ONSTACK",
    "INIT_WORK_KEY", "INIT_WORK_ONSTACK_KEY",
    "timer_setup", "timer_setup_on_stack", "tasklet_setup", "tasklet_init", "hrtimer_init", "hrtimer_setup", "init_task_work",
    "init_irq_work", "kthread_init_work", "kthread_init_delayed_work", "DECLARE_WORK", "DECLARE_DELAYED_WORK",
    "DECLARE_DEFERRABLE_WORK", "DEFINE_TIMER", "DECLARE_TASKLET",
))  # fmt: skip
QUEUEING = lazy_re.compile(
    rb"\b(?:schedule_(?:delayed_)?work\w*|insert_work|queue_(?:delayed_|rcu_)?work\w*|mod_delayed_work\w*|mod_timer\w*|add_timer\w*|timer_reduce"
    rb"|hrtimer_(?:re)?start\w*|tasklet_(?:hi_)?schedule|task_work_add|irq_work_queue\w*|kthread_queue_(?:delayed_)?work"
    rb"|sk_reset_timer|inet_csk_reset_\w+)\s*\("
)

# macros outside of functions that make a function run at boot: include/linux/init.h, module.h
AT_BOOT = lazy_re.compile(
    r"(?:module_init|__initcall|console_initcall|(?:early|pure|core|postcore|arch|subsys|fs|rootfs|device|late)_initcall(?:_sync)?"
    r"|security_initcall|init_subsys\w*|net_initcall|__define_initcall|pci_subsys_initcall|crypto_initcall)\Z"
)
# words in the body of a macro that make or may make an initcall: the headers of Linux 6.12 have no other form
STARTING = lazy_re.compile(
    r"\b(?:\w*initcall\w*|(?:\w+_)?(?:module|builtin)_(?!param|exit|put\b|get\b|name\b)\w+|cpufreq_governor_init|early_param|__setup\w*"
    r"|\w*section\w*|\w*constructor\w*|(?:COMPAT_)?SYSCALL_DEFINE\w*|\w*PCI_FIXUP\w*|__?asm\w*|asm)\b"
)
AT_BOOT_FUNCTIONS = {"init/main.c": frozenset(("start_kernel", "kernel_init", "rest_init"))}
# functions that run all the time on every machine, and what runs them: a program that sleeps, and the timer's interrupts
ALWAYS_FUNCTIONS = {
    "kernel/sched/idle.c": {"do_idle": "where a processor has nothing to do"},
    "arch/x86/kernel/smpboot.c": {"start_secondary": "as a program takes a processor online"},
    "kernel/softirq.c": dict.fromkeys(("irq_enter_rcu", "irq_exit_rcu"), "at each interrupt"),
}
AT_EXIT = lazy_re.compile(r"(?:module_exit|__exitcall)\Z")
BOOT_OPTIONS = lazy_re.compile(r"(?:early_param|__setup|__setup_param|early_initcall_param)\Z")
PARAMETERS = lazy_re.compile(r"(?:module|core|subsys|device)_param_c(?:all|b)\Z")
# where boot code may first look for hardware, and the exceptions
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
    "arch/x86/kvm/",  # it asks for AMD-V, which QEMU emulates, or for VMX, which a virtual machine may have: `-cpu max`
    "arch/x86/kernel/cpu/mtrr/",  # it asks for memory type ranges, which the processor of a virtual machine has
    "arch/x86/crypto/",  # it asks for instructions that the processor of a virtual machine has as its host does
    "sound/core/", "drivers/vhost/", "drivers/dma-buf/", "drivers/hid/uhid.c", "drivers/android/", "drivers/target/",
)  # fmt: skip

# a table that a macro registers at boot
REGISTERED_BY = lazy_re.compile(r"(?:module|builtin|subsys|core)_\w+\Z")

# functions that exceptions run which a program causes at will, or interrupts of every machine
EXCEPTION = lazy_re.compile(
    r"(?:exc_(?:divide_error|overflow|bounds|invalid_op|device_not_available|invalid_tss|segment_not_present|stack_segment"
    r"|general_protection|alignment_check|coprocessor_error|simd_coprocessor_error|page_fault|debug|int3)"
    r"|int80_emulation|sysvec_(?:apic_timer_interrupt|reschedule_ipi|call_function(?:_single)?|irq_work))\Z"
)
ENTERED_FROM = ("entry/entry_64.S", "entry/entry_64_compat.S", "entry/entry_32.S", "kernel/entry.S")  # below arch/*/
NOT_ENTERED = lazy_re.compile(r"nmi|mce|machine_check|xen|hv_|vmm|sev_|double_fault|bad_iret|panic")  # a program cannot cause them
# softirqs that run on every machine: kernel/softirq.c
SOFTIRQS = lazy_re.compile(r"\b(?:HI|TIMER|NET_TX|NET_RX|BLOCK|TASKLET|SCHED|HRTIMER|RCU)_SOFTIRQ\b")
# notifiers that system calls of a program call, by the function that registers them
NOTIFIERS = lazy_re.compile(
    r"register_(?:netdevice_notifier\w*|inetaddr_notifier|inet6addr_notifier|inetaddr_validator_notifier|inet6addr_validator_notifier"
    r"|netevent_notifier|fib_notifier|nexthop_notifier|vt_notifier|keyboard_notifier)\Z"
    r"|netlink_register_notifier\Z|task_handoff_register\Z|profile_event_register\Z|crypto_register_notifier\Z|register_memory_notifier\Z"
)
# calls that unregister a table, or only read it
_TAKES_AWAY = lazy_re.compile(
    r"(?:\A|_)(?:un\w*|del|delete|remove|destroy|free|exit|detach|put|cleanup|release|deregister|clear|drop|kfree|is|has|match|find|lookup"
    r"|ARRAY_SIZE|sizeof|offsetof|container_of|IS_ERR|WARN_ON\w*|BUG_ON|printk|pr_\w+)(?:_|\Z)"
)
_REGISTERS = lazy_re.compile(r"(?:\A|_)register_")  # xt_register_match


def options_of_call(call: str) -> tuple[str, ...]:
    """The options without which a call registers nothing."""
    return tuple(option for form, option in _OPTION_OF_CALL if form.match(call))


def depends_on_hardware(path: str) -> bool:
    """Whether the boot code of a file may depend on the machine."""
    return path.startswith(HARDWARE) and not path.startswith(SOFTWARE)


def takes_away(function: str) -> bool:
    """Whether a call of a function does not register its arguments."""
    return _TAKES_AWAY.search(function) is not None and _REGISTERS.search(function) is None
