"""System calls: what syz-manager is told to enable, from the interfaces that verdicts name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hook import lazy_re
from hook.source.tree import Source
from hook.syzlang import reaching_calls
from hook.syzlang.checkout import Descriptions
from hook.syzlang.requirements import Providers

# a device that a verdict names, or an option that makes one -> the interface that plays its part
_OF_DEVICE: Sequence[tuple[re.Pattern[str], str]] = tuple(
    (lazy_re.compile(pattern), interface)
    for pattern, interface in (
        (r"raw-gadget|USB_RAW_GADGET\Z", "usb:"),
        (r"uhid\b", "device:/dev/uhid"),
        (r"uinput\b", "device:/dev/uinput"),
        (r"userio\b", "device:/dev/userio"),
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
_DEFINED = lazy_re.compile(rb"(?m)^SYSCALL_DEFINE\d\((\w+)")
_FILE_SYSTEM = lazy_re.compile(r"fs/([a-z0-9_]+)/")


class InterfaceCalls(NamedTuple):
    """An interface, and the described calls that drive it; none where no description reaches it."""

    interface: str
    calls: tuple[str, ...]
    described_in: str  # PATH:LINE of the first of them


class Enabled(NamedTuple):
    """The calls to enable. Where there are none, all of them are: the verdict names no interface, or one that everything drives."""

    calls: tuple[str, ...]  # closed: each resource that one takes another one gives
    interfaces: tuple[InterfaceCalls, ...]
    left_out: tuple[str, ...]  # nothing gives what they take

    @property
    def telling(self) -> frozenset[str]:
        """Those of the calls that tell a program which drives the interface from others."""
        return frozenset(call for row in self.interfaces for call in row.calls) - reaching_calls.GENERIC


def interfaces(named: Iterable[str], devices: Iterable[str], files: Iterable[str], source: Source) -> list[str]:
    """The interfaces of verdicts: those on proved call paths, those of their devices, the file systems that changed, and at last the
    system calls that the changed files define (`related:mbind`), which set the stage for what runs later."""
    found = dict.fromkeys(named)
    for device in devices:
        found.update((interface, None) for pattern, interface in _OF_DEVICE if pattern.search(device))
    for path in files:
        file = source.file(path)
        names = _DEFINED.findall(file.data) if file is not None and file.data else []
        found.update((f"related:{name.decode('ascii')}", None) for name in names if f"call:{name.decode('ascii')}" not in found)
        if file_system := _FILE_SYSTEM.match(path):
            found[f"mount:{file_system[1]}"] = None
    return list(found)


def enabled(wanted: Iterable[str], descriptions: Descriptions) -> Enabled:
    """The calls that drive `wanted` interfaces, with those that make what they take."""
    providers = Providers(descriptions.calls, descriptions.resources)
    rows = []
    for interface in wanted:
        calls = reaching_calls.calls(interface.replace("related:", "call:", 1), descriptions)
        if not calls and interface.startswith("mount:"):
            continue  # a guess by the directory
        facts = descriptions.calls[calls[0]] if calls else None
        rows.append(InterfaceCalls(interface, tuple(calls), f"{facts.path}:{facts.line}" if facts else ""))
    if not any(row.calls and not row.interface.startswith("related:") for row in rows):
        return Enabled((), tuple(rows), ())
    calls, left_out = providers.closed(call for row in rows for call in row.calls)
    return Enabled(tuple(calls), tuple(rows), tuple(left_out))
