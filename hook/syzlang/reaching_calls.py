"""Reaching calls: the described system calls that drive an interface, nearest first.

An interface is `KIND:NAME` as in a verdict: `call:mbind`, `device:/dev/kvm`, `genl:nl80211`, `mount:ext4`, `usb:`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from hook.syzlang.checkout import Descriptions
from hook.syzlang.requirements import CallFacts, kinds

_MOST_VARIANTS = 64  # of one system call; with more, only the call without a variant
_MOST_CALLS = 300  # of one interface
_MOST_RESOURCES = 200  # that are followed from one interface
_MOUNTING = frozenset(("mount", "fsopen", "syz_mount_image", "syz_fuse_mount", "syz_fuseblk_mount"))
_OPENING = frozenset(("open", "openat", "openat2", "syz_open_dev"))
_SOCKETS = frozenset(("socket", "socketpair", "syz_init_net_socket"))
# what may be done with a file that is open, whatever it is
_FILE_CALLS = ("read", "write", "pread64", "pwrite64", "lseek", "mmap", "close", "fcntl$dupfd", "ppoll", "sendfile", "splice")
_PATH_CALLS = (*_FILE_CALLS, "open", "openat", "creat", "mkdir", "rename", "link", "symlink", "unlink", "rmdir", "truncate", "ftruncate",
    "fallocate", "getdents64", "chmod", "chown", "statfs", "sync", "fsync", "setxattr", "getxattr", "removexattr")  # fmt: skip
GENERIC = frozenset(_PATH_CALLS)
# resources that many interfaces share: a call that takes one is not specific to the interface that created it
_SHARED = frozenset(("fd", "sock", "fd_dir", "pid", "uid", "gid", "timespec", "ifindex", "sock_netlink"))


def first(interface: str, descriptions: Descriptions) -> str:
    """The first call that reaches an interface; empty if none does."""
    return next(_of(interface, descriptions), "")


def calls(interface: str, descriptions: Descriptions) -> list[str]:
    """The calls that drive an interface, with those that use their resources; empty if no description reaches it."""
    entry = list(dict.fromkeys(_of(interface, descriptions)))
    if not entry:
        return []
    chosen = dict.fromkeys(entry)
    kind = interface.partition(":")[0]
    if kind in ("device", "genl", "family", "call"):
        chosen.update(dict.fromkeys(_users(entry, descriptions)))
    if kind in ("device", "proc"):
        chosen.update(dict.fromkeys(name for name in _FILE_CALLS if name in descriptions.calls))
    elif kind == "mount":
        chosen.update(dict.fromkeys(name for name in _PATH_CALLS if name in descriptions.calls))
    return list(chosen)[:_MOST_CALLS]


def _of(interface: str, descriptions: Descriptions) -> Iterator[str]:
    kind, _, name = interface.partition(":")
    rule = _RULES.get(kind)
    if rule is not None:
        yield from rule(name, descriptions)
    else:
        # a constant that only descriptions of this interface contain: RTM_…, IORING_OP_…
        yield from _naming(descriptions.calls, name, everywhere=True)


def _variants(name: str, descriptions: Descriptions) -> Iterator[str]:
    variants = [call for call in descriptions.calls if _base(call) in (name, f"syz_{name}")]
    if name in descriptions.calls:
        yield name
    if len(variants) <= _MOST_VARIANTS:
        yield from variants


def _devices(name: str, descriptions: Descriptions) -> Iterator[str]:
    names = {name, re.sub(r"\d+", "#", name), f"{name}#"}
    yield from (call for call, facts in descriptions.calls.items() if _base(call) in _OPENING and names & facts.own)


def _mounts(name: str, descriptions: Descriptions) -> Iterator[str]:
    for call, facts in descriptions.calls.items():
        if _base(call) in _MOUNTING and (name in facts.own or call.partition("$")[2] == name):
            yield call


def _generic_netlink(name: str, descriptions: Descriptions) -> Iterator[str]:
    yield from (call for call, facts in descriptions.calls.items() if _base(call) == "syz_genetlink_get_family_id" and name in facts.own)


def _families(name: str, descriptions: Descriptions) -> Iterator[str]:
    names = {name, name.replace("PF_", "AF_", 1), name.replace("AF_", "PF_", 1)}
    yield from (call for call, facts in descriptions.calls.items() if _base(call) in _SOCKETS and "$" in call and names & facts.own)


def _ioctls(name: str, descriptions: Descriptions) -> Iterator[str]:
    yield from (call for call in _naming(descriptions.calls, name) if _base(call) == "ioctl")


def _usb(name: str, descriptions: Descriptions) -> Iterator[str]:
    yield from (call for call in descriptions.calls if call.startswith("syz_usb_"))


def _wireless(name: str, descriptions: Descriptions) -> Iterator[str]:
    yield from (call for call in descriptions.calls if call.startswith("syz_80211_"))
    yield from _generic_netlink("nl80211", descriptions)


def _bluetooth(name: str, descriptions: Descriptions) -> Iterator[str]:
    yield from (call for call in descriptions.calls if call.startswith("syz_emit_vhci"))
    yield from (
        call for call, facts in descriptions.calls.items() if call.startswith("syz_init_net_socket$bt") or "AF_BLUETOOTH" in facts.own
    )


def _entries(kind: str, descriptions: Descriptions) -> Iterator[str]:
    words = _OF_ENTRY.get(kind, ())
    prefixes = tuple(word for word in words if "$" in word or word.endswith("_"))
    yield from (call for call in descriptions.calls if call in words or call.startswith(prefixes))


def _prefixed(*prefixes: str) -> Callable[[str, Descriptions], Iterator[str]]:
    def rule(name: str, descriptions: Descriptions) -> Iterator[str]:
        yield from (call for call in descriptions.calls if call.startswith(prefixes))

    return rule


# an EntryKind of hook.kernel.callback_tables -> its calls; a word with $ or a last _ is a prefix. Kinds of nearly all programs are not
# here: mapped memory, the scheduler, packets
_OF_ENTRY: Mapping[str, tuple[str, ...]] = {
    "BPF programs": ("bpf$", "setsockopt$sock_attach_bpf", "perf_event_open$cgroup"),
    "traffic control": ("sendmsg$nl_route_sched",),
    "rtnetlink messages": ("sendmsg$nl_route",),
    "netfilter": ("setsockopt$IPT", "setsockopt$IP6T", "setsockopt$EBT", "setsockopt$ARPT", "sendmsg$NFT", "sendmsg$IP"),
    "keys": ("add_key", "add_key$", "keyctl$", "request_key"),
    "io_uring": ("io_uring_", "syz_io_uring_"),
    "files below /proc": ("syz_open_procfs", "openat$procfs", "read", "write", "pread64"),
    "files of sysfs": ("openat$sysfs", "read", "write", "pread64"),
    "a processor that goes offline or online": ("openat", "write"),
    "files of configfs": ("openat", "mkdirat", "read", "write"),
    "sysctl": ("openat$sysctl", "write$sysctl", "openat$proc", "read", "write"),
    "control groups": ("openat$cgroup", "write$cgroup", "mkdirat$cgroup", "bpf$BPF_PROG_ATTACH"),
    "execve": ("execve", "execveat"),
    "ptrace and core dumps": ("ptrace",),
    "perf events": ("perf_event_open", "ioctl$PERF_EVENT"),
    "timers and clocks": ("timer_", "timerfd_", "clock_", "setitimer", "getitimer"),
    "terminals": ("openat$ptmx", "syz_open_pts", "syz_open_dev$tty", "ioctl$TIOC", "ioctl$TC", "ioctl$KD", "ioctl$VT"),
    "AF_ALG sockets": ("socket$alg", "bind$alg", "accept$alg", "accept4$alg", "setsockopt$ALG", "sendmsg$alg", "sendmmsg$alg", "recvmsg"),
    "sound": ("openat$snd", "syz_open_dev$snd", "ioctl$SNDRV", "ioctl$SNDCTL"),
    "dma-buf": ("ioctl$UDMABUF", "ioctl$DMA_BUF"),
    "virtual machines": ("openat$kvm", "ioctl$KVM", "syz_kvm"),
}  # fmt: skip
_RULES: Mapping[str, Callable[[str, Descriptions], Iterator[str]]] = {
    "call": _variants,
    "device": _devices,
    "mount": _mounts,
    "genl": _generic_netlink,
    "family": _families,
    "ioctl": _ioctls,
    "usb": _usb,
    "wireless": _wireless,
    "bluetooth": _bluetooth,
    "entry": _entries,
    "packets": _prefixed("syz_emit_ethernet", "syz_extract_tcp_res"),
}


def _base(call: str) -> str:
    return call.partition("$")[0]


def _naming(calls: Mapping[str, CallFacts], name: str, *, everywhere: bool = False) -> Iterator[str]:
    """The calls with a constant among their arguments, or else in the structures that they pass."""
    own = [call for call, facts in calls.items() if name in facts.own]
    if 0 < len(own) <= _MOST_VARIANTS:
        yield from own
    elif everywhere or not own:
        yield from (call for call, facts in calls.items() if name in facts.words)


def _users(entry: Iterable[str], descriptions: Descriptions) -> Iterator[str]:
    """The calls that take a resource which `entry` creates, directly or through others, if it belongs to this interface alone."""
    resources = dict.fromkeys(created for call in entry for created in descriptions.calls[call].gives if created not in _SHARED)
    waiting = list(resources)
    while waiting and len(resources) <= _MOST_RESOURCES:
        resource = waiting.pop(0)
        for call, facts in descriptions.calls.items():
            if resource not in facts.direct and not (resource in facts.takes and _is_own(resource, descriptions)):
                continue
            yield call
            for created in facts.gives:
                if created not in resources and created not in _SHARED:
                    resources[created] = None
                    waiting.append(created)


def _is_own(resource: str, descriptions: Descriptions) -> bool:
    """Whether a resource is no file, but such as the id of a netlink family inside a message."""
    return "fd" not in kinds(resource, descriptions.resources)
