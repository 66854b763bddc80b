"""Reaching calls: which described system calls drive an interface, nearest first.

An interface is `KIND:NAME` as a verdict names it: `call:mbind`, `device:/dev/kvm`, `genl:nl80211`, `mount:ext4`, `usb:`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from hook.syzlang.checkout import Descriptions
from hook.syzlang.requirements import CallFacts, kinds

_MOST_VARIANTS = 64  # of one system call: of more only the plain one
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
# resources that many interfaces share: who takes one is no user of the interface that gave it
_SHARED = frozenset(("fd", "sock", "fd_dir", "pid", "uid", "gid", "timespec", "ifindex", "sock_netlink"))


def first(interface: str, found: Descriptions) -> str:
    """The first call that reaches an interface; empty where none does."""
    return next(_of(interface, found), "")


def calls(interface: str, found: Descriptions) -> list[str]:
    """The calls that drive an interface, with those that use what they give; empty where no description reaches it."""
    entry = list(dict.fromkeys(_of(interface, found)))
    if not entry:
        return []
    chosen = dict.fromkeys(entry)
    kind = interface.partition(":")[0]
    if kind in ("device", "genl", "family", "call"):
        chosen.update(dict.fromkeys(_users(entry, found)))
    if kind in ("device", "proc"):
        chosen.update(dict.fromkeys(name for name in _FILE_CALLS if name in found.calls))
    elif kind == "mount":
        chosen.update(dict.fromkeys(name for name in _PATH_CALLS if name in found.calls))
    return list(chosen)[:_MOST_CALLS]


def _of(interface: str, found: Descriptions) -> Iterator[str]:
    kind, _, name = interface.partition(":")
    rule = _RULES.get(kind)
    if rule is not None:
        yield from rule(name, found)
    else:
        # a constant that only descriptions of this interface have: RTM_…, IORING_OP_…
        yield from _naming(found.calls, name, everywhere=True)


def _variants(name: str, found: Descriptions) -> Iterator[str]:
    those = [call for call in found.calls if _base(call) in (name, f"syz_{name}")]
    if name in found.calls:
        yield name
    if len(those) <= _MOST_VARIANTS:
        yield from those


def _devices(name: str, found: Descriptions) -> Iterator[str]:
    names = {name, re.sub(r"\d+", "#", name), f"{name}#"}
    yield from (call for call, facts in found.calls.items() if _base(call) in _OPENING and names & facts.own)


def _mounts(name: str, found: Descriptions) -> Iterator[str]:
    for call, facts in found.calls.items():
        if _base(call) in _MOUNTING and (name in facts.own or call.partition("$")[2] == name):
            yield call


def _generic_netlink(name: str, found: Descriptions) -> Iterator[str]:
    yield from (call for call, facts in found.calls.items() if _base(call) == "syz_genetlink_get_family_id" and name in facts.own)


def _families(name: str, found: Descriptions) -> Iterator[str]:
    names = {name, name.replace("PF_", "AF_", 1), name.replace("AF_", "PF_", 1)}
    yield from (call for call, facts in found.calls.items() if _base(call) in _SOCKETS and "$" in call and names & facts.own)


def _ioctls(name: str, found: Descriptions) -> Iterator[str]:
    yield from (call for call in _naming(found.calls, name) if _base(call) == "ioctl")


def _usb(name: str, found: Descriptions) -> Iterator[str]:
    yield from (call for call in found.calls if call.startswith("syz_usb_"))


def _wireless(name: str, found: Descriptions) -> Iterator[str]:
    yield from (call for call in found.calls if call.startswith("syz_80211_"))
    yield from _generic_netlink("nl80211", found)


def _bluetooth(name: str, found: Descriptions) -> Iterator[str]:
    yield from (call for call in found.calls if call.startswith("syz_emit_vhci"))
    yield from (call for call, facts in found.calls.items() if call.startswith("syz_init_net_socket$bt") or "AF_BLUETOOTH" in facts.own)


def _entries(kind: str, found: Descriptions) -> Iterator[str]:
    words = _OF_ENTRY.get(kind, ())
    prefixes = tuple(word for word in words if "$" in word or word.endswith("_"))
    yield from (call for call in found.calls if call in words or call.startswith(prefixes))


def _prefixed(*prefixes: str) -> Callable[[str, Descriptions], Iterator[str]]:
    def rule(name: str, found: Descriptions) -> Iterator[str]:
        yield from (call for call in found.calls if call.startswith(prefixes))

    return rule


# what a program does, as hook.kernel.callback_tables names it -> the calls that do it; with a $ or a last _ all that begin so. What nearly
# all programs do is not here: mapped memory, the scheduler, packets
_OF_ENTRY: Mapping[str, tuple[str, ...]] = {
    "BPF programs": ("bpf$", "setsockopt$sock_attach_bpf", "perf_event_open$cgroup"),
    "traffic control": ("sendmsg$nl_route_sched",),
    "rtnetlink messages": ("sendmsg$nl_route",),
    "netfilter": ("setsockopt$IPT", "setsockopt$IP6T", "setsockopt$EBT", "setsockopt$ARPT", "sendmsg$NFT", "sendmsg$IP"),
    "keys": ("add_key", "add_key$", "keyctl$", "request_key"),
    "io_uring": ("io_uring_", "syz_io_uring_"),
    "files below /proc": ("syz_open_procfs", "openat$procfs", "read", "write", "pread64"),
    "files of sysfs": ("openat$sysfs", "read", "write", "pread64"),
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
    """The calls that name a constant among their arguments, or else in the structures that they pass."""
    own = [call for call, facts in calls.items() if name in facts.own]
    if 0 < len(own) <= _MOST_VARIANTS:
        yield from own
    elif everywhere or not own:
        yield from (call for call, facts in calls.items() if name in facts.words)


def _users(entry: Iterable[str], found: Descriptions) -> Iterator[str]:
    """The calls that take what `entry` gives, and what these give, as far as it is a resource of this interface alone."""
    known = dict.fromkeys(given for call in entry for given in found.calls[call].gives if given not in _SHARED)
    waiting = list(known)
    while waiting and len(known) <= _MOST_RESOURCES:
        resource = waiting.pop(0)
        for call, facts in found.calls.items():
            if resource not in facts.direct and not (resource in facts.takes and _is_own(resource, found)):
                continue
            yield call
            for given in facts.gives:
                if given not in known and given not in _SHARED:
                    known[given] = None
                    waiting.append(given)


def _is_own(resource: str, found: Descriptions) -> bool:
    """Whether a resource is no file: the id of a netlink family, which stands inside of a message."""
    return "fd" not in kinds(resource, found.resources)
