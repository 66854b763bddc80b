"""System calls: the calls that syz-manager should enable, from the interfaces in verdicts."""

from __future__ import annotations

import bisect
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from hook import lazy_re
from hook.source.tree import Source
from hook.syzlang import reaching_calls
from hook.syzlang.checkout import FOLDER, Descriptions
from hook.syzlang.requirements import Providers

# a device in a verdict, or the option of one -> the interface by which programs drive or emulate it
_OF_DEVICE: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (lazy_re.compile(pattern), interface)
    for pattern, interface in (
        (r"raw-gadget|USB_RAW_GADGET\Z", "usb:"),
        (r"uhid\b", "device:/dev/uhid"),
        (r"uinput\b", "device:/dev/uinput"),
        (r"userio\b", "device:/dev/userio"),
        (r"on a pseudo terminal\Z", "device:/dev/ptmx"),
        (r"80211_hwsim\b|MAC80211_HWSIM\Z", "wireless:"),
        (r"hci_vhci\b|BT_HCIVHCI\Z", "bluetooth:"),
        (r"vhci_hcd\b", "usb:"),
        (r"\btun\b", "packets:"),
        (r"rtnetlink\b", "entry:rtnetlink messages"),
        (r"vhost-vsock", "family:AF_VSOCK"),
        (r"\bloop\b", "device:/dev/loop0"),
        (r"\bnbd\b", "device:/dev/nbd0"),
        (r"null_blk|zram|\bbrd\b", "device:/dev/nullb0"),
        (r"COMEDI_DEVCONFIG", "device:/dev/comedi0"),
        (r"vivid\b|VIDEO_VIVID\Z", "device:/dev/video0"),
        (r"netdevsim\b", "genl:devlink"),
    )
)
# where syzkaller would describe an interface, by its kind; NAME stands for the rest of it in small letters
_FILES = {
    "call": "sys", "device": "dev_NAME", "family": "socket_NAME", "genl": "socket_netlink_generic_NAME", "rtnl": "socket_netlink_route",
    "op": "io_uring", "mount": "filesystem", "usb": "vusb", "wireless": "net_80211", "bluetooth": "dev_vhci", "packets": "vnet",
}  # fmt: skip
_PREFIX = lazy_re.compile(r"[AP]F_|/dev/")
_DEFINED = lazy_re.compile(rb"(?m)^SYSCALL_DEFINE\d\((\w+)")
_FILE_SYSTEM = lazy_re.compile(r"fs/([a-z0-9_]+)/")


class InterfaceCalls(NamedTuple):
    """An interface, and the described calls that drive it; none if no description reaches it."""

    interface: str
    calls: tuple[str, ...]
    described_in: str  # PATH:LINE of the first of them


class Enabled(NamedTuple):
    """The calls to enable. No calls: all are enabled, since the verdict names no interface, or only ones that nearly all calls drive."""

    calls: tuple[str, ...]  # closed: another one creates each resource that one takes
    interfaces: tuple[InterfaceCalls, ...]
    left_out: tuple[str, ...]  # no call creates a resource that they take
    disabled: tuple[str, ...] = ()  # what `calls` would enable beside themselves

    @property
    def telling(self) -> frozenset[str]:
        """Those of the calls that distinguish a program for the interface from other programs."""
        return frozenset(call for row in self.interfaces for call in row.calls) - reaching_calls.GENERIC


def interfaces(verdict_interfaces: Iterable[str], devices: Iterable[str], files: Iterable[str], source: Source) -> list[str]:
    """The interfaces of verdicts: those of proved call paths, those of their devices, the changed file systems, and last the system calls
    that the changed files define (`related:mbind`), which may prepare the state that changed code needs."""
    interfaces_found = dict.fromkeys(verdict_interfaces)
    for device in devices:
        interfaces_found.update((interface, None) for pattern, interface in _OF_DEVICE if pattern.search(device))
    for path in files:
        file = source.file(path)
        names = _DEFINED.findall(file.data) if file is not None and file.data else []
        interfaces_found.update(
            (f"related:{name.decode('ascii')}", None) for name in names if f"call:{name.decode('ascii')}" not in interfaces_found
        )
        if file_system := _FILE_SYSTEM.match(path):
            interfaces_found[f"mount:{file_system[1]}"] = None
    return list(interfaces_found)


def file_for(interface: str) -> str:
    """The file of syzkaller's checkout that would describe an interface, by how the others are named."""
    kind, _, name = interface.partition(":")
    name = name.rstrip("0123456789") if kind == "device" else name
    bare_name = _PREFIX.sub("", name, count=1).lower().replace("/", "_")
    return f"{FOLDER}/{_FILES[kind].replace('NAME', bare_name)}.txt" if kind in _FILES else f"a file of {FOLDER}"


def enabled(interfaces: Iterable[str], descriptions: Descriptions) -> Enabled:
    """The calls that drive these interfaces, with those that create their resources."""
    providers = Providers(descriptions.calls, descriptions.resources)
    rows = []
    for interface in interfaces:
        calls = reaching_calls.calls(interface.replace("related:", "call:", 1), descriptions)
        if not calls and interface.startswith("mount:"):
            continue  # only guessed from the directory
        facts = descriptions.calls[calls[0]] if calls else None
        rows.append(InterfaceCalls(interface, tuple(calls), f"{facts.path}:{facts.line}" if facts else ""))
    if not any(row.calls and not row.interface.startswith("related:") for row in rows):
        return Enabled((), tuple(rows), ())
    calls, left_out = providers.closed(call for row in rows for call in row.calls)
    return Enabled(tuple(calls), tuple(rows), tuple(left_out), tuple(_other_variants(calls, descriptions.calls)))


def _other_variants(calls: Collection[str], described: Iterable[str]) -> Iterator[str]:
    """What to disable, so that only `calls` are enabled: by `read` syz-manager means each `read$…` too.

    By ParseEnabledSyscalls in pkg/mgrconfig/load.go of syzkaller, which disables last. Each pattern matches a call: it refuses others.
    """
    names = sorted(described)
    for call in calls:
        variants = names[bisect.bisect(names, f"{call}$") : bisect.bisect(names, f"{call}$\x7f")]
        others = [variant for variant in variants if variant not in calls]
        yield from others if len(others) < len(variants) else [f"{call}$*"] if others else ()
